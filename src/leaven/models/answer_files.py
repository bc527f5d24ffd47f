"""The sounds and images that models answered: files beside the ledger, named by what they hold."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from leaven.errors import DataError
from leaven.media.audio import Audio
from leaven.media.image import Image
from leaven.records import digest

BEGINS = {b"RIFF": "wav", b"fLaC": "flac", b"OggS": "ogg", b"\x89PNG": "png"}
PICTURES = ("png", "jpg")


class AnswerFiles:
    """The files of one ledger, in ``answers/`` beside it; without a folder they are kept in memory.

    A file is written aside and renamed before the ledger's row names it: a row never names half a file.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self._held: dict[str, bytes] = {}

    def put(self, medium: Audio | Image) -> str:
        """Store a sound or an image; its name."""
        data = medium.encoded
        name = f"{digest(data).hex()}.{BEGINS.get(data[:4], 'jpg' if isinstance(medium, Image) else 'mp3')}"
        if self.folder is None:
            self._held[name] = data
            return name
        path = self.folder / name
        if path.exists():
            return name
        try:
            self.folder.mkdir(exist_ok=True)
            handle, aside = tempfile.mkstemp(dir=self.folder, prefix=".")
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            os.replace(aside, path)
        except OSError as error:
            raise DataError(
                f"{path} cannot be written ({error.strerror}), so nothing more is asked.",
                "make room on the disk; the same command goes on.",
                next_step=True,
            ) from None
        return name

    def get(self, name: str) -> Audio | Image:
        """The sound or image of a name.  Raises DataError where its file is not there."""
        kind = Image if name.rpartition(".")[2] in PICTURES else Audio
        if self.folder is None:
            return kind(self._held[name])
        try:
            return kind((self.folder / name).read_bytes())
        except OSError:
            raise DataError(
                f"{self.folder / name} is gone, which the ledger names as a model's answer.",
                f"put it back: {self.folder.name}/ belongs to the ledger beside it.",
            ) from None
