"""How a run in Python tells how far it is: three lines in a notebook, a terminal's own, else lines of a log."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from io import StringIO
from typing import TYPE_CHECKING, Any

from leaven.terminal import Progress, is_terminal

if TYPE_CHECKING:
    from leaven.engine.augment import Request
    from leaven.io.dataset import Dataset
    from leaven.recipe import Recipe

log = logging.getLogger("leaven")


class Logged(Progress):
    """Lines through ``logging.getLogger("leaven")``: at the start and end of a step, and every 30 seconds."""

    def __init__(self) -> None:
        super().__init__()
        self.live = False

    def read(self, dataset: Dataset, recipe: Recipe, why: str, request: Request, new: bool) -> None:
        for warning in dataset.warnings:
            log.warning(warning)
        super().read(replace(dataset, warnings=[]), recipe, why, request, new)

    def log(self, text: str) -> None:
        log.info(text)
        self.last_said = self.now()


class Shown(Progress):
    """The lines of a terminal, drawn anew in one output of a notebook's cell."""

    def __init__(self, display: Callable[..., Any]) -> None:
        super().__init__()
        self.live = True
        self.display = display
        self.handle: Any = None
        self.stream = StringIO()  # what a terminal shows once is not shown here

    def draw(self, *lines: str) -> None:
        self.show("\n".join(lines))

    def show(self, text: str) -> None:
        if self.handle is None:
            self.handle = self.display(Lines(text), display_id=True)
        else:
            self.handle.update(Lines(text))

    def clear(self) -> None:
        self.stream.truncate(0)


class Lines(str):
    """A text that shows without quotes."""

    def __repr__(self) -> str:
        return str(self)


@dataclass(frozen=True)
class Told:
    """Who is told how the work goes on, and what is done once it ended."""

    reporter: Progress
    done: Callable[[object], None]


@contextmanager
def reporter(wanted: bool) -> Iterator[Told]:
    """The way that fits where Python runs; without ``wanted`` always the log."""
    if not wanted:
        yield Told(Logged(), _nothing)
    elif kernel() is not None:
        shown = Shown(sys.modules["IPython.display"].display)
        yield Told(shown, lambda found: shown.show(repr(found)))
    elif is_terminal(sys.stderr):
        progress = Progress()
        try:
            yield Told(progress, _nothing)
        finally:
            progress.clear()
    else:
        yield Told(Logged(), _nothing)


def kernel() -> Any:
    """The notebook's shell; None where Python runs without one."""
    module = sys.modules.get("IPython")
    shell = module.get_ipython() if module is not None and hasattr(module, "get_ipython") else None
    return shell if getattr(shell, "kernel", None) is not None else None


def _nothing(run: object) -> None:
    """Nothing is left to say."""
