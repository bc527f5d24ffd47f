"""The folder of a run: what lies where, one command at a time, and files that appear whole or not at all."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leaven.errors import DataError

if TYPE_CHECKING:
    import numpy as np

FORMAT = 1


class Folder:
    """``out/``: run.json, input/, parts/, states/, train/, refused/, failed/."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.input = path / "input"
        self.parts = path / "parts"
        self.states = path / "states"

    def describe(self) -> dict[str, Any]:
        """What ``run.json`` says; nothing where there is none."""
        file = self.path / "run.json"
        if not file.is_file():
            return {}
        try:
            said: dict[str, Any] = json.loads(file.read_text("utf-8"))
        except json.JSONDecodeError:
            raise DataError(f"{file} is damaged.", "choose another folder with -o.") from None
        if said.get("format", 0) > FORMAT:
            raise DataError(
                f"{self.path} was written by a newer leaven (format {said['format']}, this one knows {FORMAT}).",
                "update leaven, or choose another folder with -o.",
            )
        return said

    def say(self, what: Mapping[str, Any]) -> None:
        """Write ``run.json``."""
        text = json.dumps({"format": FORMAT, **what}, indent=1, ensure_ascii=False) + "\n"
        write_whole(self.path / "run.json", text.encode())

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder; a second command at the same time is an error.  A fresh folder that stays empty goes."""
        fresh = not self.path.exists()
        if not fresh and not (self.path / "run.json").exists() and self._foreign():
            raise DataError(
                f"{self.path} is not empty and holds no run.",
                "choose another folder with -o; leaven overwrites nothing.",
            )
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            file = (self.path / "lock").open("a")
        except OSError as error:
            raise DataError(
                f"{self.path} cannot be written ({error.strerror}).", "choose another folder with -o."
            ) from None
        try:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise DataError(
                    f"another command is at work in {self.path}.", "wait for it, or choose another folder with -o."
                ) from None
            yield
        finally:
            file.close()
            if fresh and not (self.path / "run.json").exists():
                shutil.rmtree(self.path, ignore_errors=True)

    def _foreign(self) -> bool:
        ours = ("lock", "input", "input.new", ".input.old", ".run.json.")  # the last: run.json while it is written
        return any(not (e.name in ours or e.name.startswith(ours[-1])) for e in self.path.iterdir())

    def save_state(self, name: str, state: Mapping[str, Any]) -> None:
        import io

        import numpy as np

        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=False, **{key: np.asarray(value) for key, value in state.items()})
        write_whole(self.states / f"{name}.npz", buffer.getvalue())

    def load_state(self, name: str) -> dict[str, np.ndarray]:
        import numpy as np

        with np.load(self.states / f"{name}.npz", allow_pickle=False) as found:
            return {key: found[key] for key in found.files}

    def has_state(self, name: str) -> bool:
        return (self.states / f"{name}.npz").is_file()


def write_whole(path: Path, data: bytes) -> None:
    """Write aside, then rename: whoever is killed leaves the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    aside.write_bytes(data)
    aside.replace(path)


def replace_folder(new: Path, old: Path) -> None:
    """Put a finished folder in the place of the old one."""
    gone = old.with_name(f".{old.name}.old")
    shutil.rmtree(gone, ignore_errors=True)
    if old.exists():
        old.rename(gone)
    new.rename(old)
    shutil.rmtree(gone, ignore_errors=True)
