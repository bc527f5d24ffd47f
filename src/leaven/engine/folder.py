"""The folder of a run: what lies where, one command at a time, and files that appear whole or not at all."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from leaven.errors import DataError, MissingExtra, ModelError, RecipeError
from leaven.models.ledger import FILES, answers_in

if TYPE_CHECKING:
    import numpy as np

FORMAT = 1
LEDGER = "ledger.sqlite"


class Folder:
    """``out/``: run.json, input/, parts/, states/, train/, refused/, failed/."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.input = path / "input"
        self.parts = path / "parts"
        self.states = path / "states"
        self.recipe = path / "recipe"

    def describe(self) -> dict[str, Any]:
        """What ``run.json`` says; nothing where there is none."""
        file = self.path / "run.json"
        if not file.is_file():
            return {}
        try:
            said: dict[str, Any] = json.loads(file.read_text("utf-8"))
            known = said.get("format", 0) <= FORMAT
        except (OSError, ValueError, TypeError, AttributeError):
            raise DataError(f"{file} is damaged.", "choose another folder with -o.") from None
        if not known:
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
        """Hold the folder; a second command at the same time is an error.

        A folder that was not there before goes again, with those above it, where no part of the work got done.
        """
        created, file = self._open()
        held = False
        try:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                held = os.fstat(file.fileno()).st_nlink > 0  # else its folder was taken away in between
            except OSError:
                pass
            if not held:
                raise DataError(
                    f"another command is at work in {self.path}.", "wait for it, or choose another folder with -o."
                )
            yield
        except (DataError, RecipeError, MissingExtra, ModelError):
            empty = not any(self.parts.glob("*.arrow")) and not (self.path / "train").exists()
            if held and created and empty and not self.answered():
                shutil.rmtree(self.path, ignore_errors=True)
            raise
        finally:
            file.close()
            if held and created and not (self.path / "run.json").exists() and not self.answered():
                shutil.rmtree(self.path, ignore_errors=True)
            if not self.path.exists():
                for parent in created[1:]:
                    with suppress(OSError):  # something else came into it
                        parent.rmdir()

    def answered(self) -> int:
        """How many answers of models are stored here."""
        return answers_in(self.path / LEDGER)

    def lend_answers(self, to: Folder) -> bool:
        """Copy the ledger into another folder, with its log, should a command have been cut off; False without one."""
        if not (self.path / LEDGER).is_file():
            return False
        for path in self.path.glob(f"{LEDGER}*"):
            shutil.copy(path, to.path / path.name)
        for file in (self.path / FILES).glob("*.*"):  # what was spoken is read there, and never written again
            (to.path / FILES).mkdir(exist_ok=True)
            (to.path / FILES / file.name).symlink_to(file.resolve())
        return True

    def _open(self) -> tuple[list[Path], TextIO]:
        """Make the folder and open its lock: the folders that were made, innermost first, and the lock."""
        try:
            if self.path.exists() and not self.path.is_dir():
                raise DataError(f"{self.path} is a file, not a folder.", "choose another folder with -o.")
            if self.path.exists() and not (self.path / "run.json").exists() and self._foreign():
                raise DataError(
                    f"{self.path} is not empty and holds no run.",
                    "choose another folder with -o; leaven overwrites nothing.",
                )
            created = [path for path in (self.path, *self.path.parents) if not path.exists()]
            self.path.mkdir(parents=True, exist_ok=True)
            return created, (self.path / "lock").open("a")
        except OSError as error:
            raise DataError(
                f"{self.path} cannot be written ({error.strerror}).", "choose another folder with -o."
            ) from None

    @contextmanager
    def unharmed(self) -> Iterator[None]:
        """Put ``input/`` and ``run.json`` back where the user's data or recipe turns out to be wrong in the middle."""
        old_input, old_said = self.path / ".input.before", self.path / "run.json"
        shutil.rmtree(old_input, ignore_errors=True)
        said = old_said.read_bytes() if old_said.is_file() else None
        if said is not None and self.input.is_dir():
            self.input.rename(old_input)
        try:
            yield
        except (DataError, RecipeError):
            if said is not None and old_input.is_dir():
                replace_folder(old_input, self.input)
                write_whole(old_said, said)
            raise
        finally:
            shutil.rmtree(old_input, ignore_errors=True)

    def _foreign(self) -> bool:
        ours = ("lock", "input", "input.new", ".input.old", "states")
        begun = (
            ".run.json.",
            LEDGER,
            FILES,
        )  # run.json while it is written; the ledger and its logs, which a trial begins
        return any(not (e.name in ours or e.name.startswith(begun)) for e in self.path.iterdir())

    def keep_files(self, files: Mapping[str, bytes]) -> None:
        """Keep what the recipe's files hold, under the names that it gives them: a replay reads them here."""
        shutil.rmtree(self.recipe, ignore_errors=True)
        for name, data in files.items():
            write_whole(self.recipe / (Path(name).name if Path(name).is_absolute() else name), data)

    def save_state(self, name: str, state: Mapping[str, Any]) -> None:
        write_whole(self.states / f"{name}.npz", arrays_bytes(state))

    def load_state(self, name: str) -> dict[str, np.ndarray]:
        import numpy as np

        with np.load(self.states / f"{name}.npz", allow_pickle=False) as found:
            return {key: found[key] for key in found.files}

    def lend_models(self, to: Folder) -> None:
        """Let another folder use the models that were fitted here: it takes minutes, and a model's name says what all
        of it hangs on."""
        for model in sorted(path for path in self.states.glob("*") if path.is_dir() and self.has_state(path.name)):
            to.states.mkdir(exist_ok=True)
            (to.states / model.name).symlink_to(model.resolve())
            shutil.copy(self.states / f"{model.name}.npz", to.states)

    def has_state(self, name: str) -> bool:
        return (self.states / f"{name}.npz").is_file()


@contextmanager
def folder_aside() -> Iterator[Folder]:
    """A folder to work in, which is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="leaven-", ignore_cleanup_errors=True) as path:
        yield Folder(Path(path))


def arrays_bytes(arrays: Mapping[str, Any]) -> bytes:
    """Arrays by name as the bytes of an npz file, without pickles."""
    import io

    import numpy as np

    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **{key: np.asarray(value) for key, value in arrays.items()})
    return buffer.getvalue()


def write_whole(path: Path, data: bytes) -> None:
    with whole(path) as aside:
        aside.write_bytes(data)


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Write aside, then rename: whoever is killed leaves the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    yield aside
    aside.replace(path)


def replace_folder(new: Path, old: Path) -> None:
    """Put a finished folder in the place of the old one."""
    gone = old.with_name(f".{old.name}.old")
    shutil.rmtree(gone, ignore_errors=True)
    if old.exists():
        old.rename(gone)
    new.rename(old)
    shutil.rmtree(gone, ignore_errors=True)
