"""Where the weights of a model lie: a folder, or a model of the hub; safetensors alone, and no code of a repository.

Which weights they are is part of the model's name in the ledger: a hash of the folder's files, or the hub's commit.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import Any

from leaven.errors import MissingExtra, ModelError

WHAT = ("*.json", "*.safetensors", "*.txt", "*.model", "*.spm", "*.jinja")
"""The files of a folder that its model is made of, in it and in the folders under it."""


@dataclass(frozen=True)
class Weights:
    """A model's files.

    ``place`` is the folder, or the hub's name; ``model`` what it is called in the ledger; ``revision`` the commit of
    what lies on a hub, None for a folder.
    """

    uri: str
    place: str
    model: str
    revision: str | None
    described: Path
    """The file that says what it is: ``config.json``, or ``model_index.json`` of a pipeline."""

    @cached_property
    def config(self) -> Mapping[str, Any]:
        """What the file says.  Raises ModelError where it is absent or no JSON object."""
        try:
            found = json.loads(self.described.read_text("utf-8"))
        except (OSError, ValueError):
            found = None
        if not isinstance(found, dict):
            raise ModelError(
                f"{self.uri}: {self.described} is absent, or no JSON object.",
                "name the folder that save_pretrained wrote.",
            )
        return found

    @property
    def family(self) -> str:
        return str(self.config.get("model_type", ""))

    def read(self, kind: Any, **more: Any) -> Any:
        """``from_pretrained`` of a class.  Raises ModelError where it cannot be read."""
        where = {"local_files_only": True} if self.revision is None else {"revision": self.revision}
        try:
            return kind.from_pretrained(self.place, trust_remote_code=False, **where, **more)
        except (OSError, ValueError, ImportError, KeyError, RuntimeError, TypeError) as error:
            why = " ".join(str(error).split())[:300]
            raise ModelError(
                f"{self.uri} cannot be loaded: {why}", "only safetensors are read, and no code is run."
            ) from None


def find(uri: str, place: str, described: str = "config.json") -> Weights:
    """The weights at a folder, or of a name on the hub.  Raises ModelError, MissingExtra."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # read when the hub's client is imported
    folder = Path(place).expanduser()
    if folder.is_dir():
        return Weights(uri, str(folder), f"{folder.resolve().name} {hashed(folder)}", None, folder / described)
    if place.startswith((".", "/", "~")) or place.count("/") > 1:
        raise ModelError(f"there is no folder {place}.", f"name a folder with {described}, or a model of the hub.")
    try:
        from huggingface_hub import hf_hub_download
    except ImportError:
        raise MissingExtra(f"{uri} needs the extra `torch`.", 'pip install "leaven[torch]"') from None
    try:
        file = Path(hf_hub_download(place, described))
    except Exception as error:  # of many kinds: no network, no such model, no right to it
        said = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise ModelError(
            f"{place} is no folder here, and the hub does not give it: {said}", "name a folder, or go online."
        ) from None
    commit = file.parent.name
    return Weights(uri, place, f"{place}@{commit[:8]}", commit, file)


def hashed(folder: Path) -> str:
    """The files of a model as eight digits."""
    whole = blake2b(digest_size=4)
    for path in sorted({path for pattern in WHAT for path in folder.rglob(pattern)}):
        whole.update(f"{path.relative_to(folder)}\n{path.stat().st_size}\n".encode())
        with path.open("rb") as file:
            while block := file.read(2**20):
                whole.update(block)
    return whole.hexdigest()


def hush(logging: Any) -> None:
    """Have a library say nothing but errors, by its ``logging``, and draw no bars."""
    logging.set_verbosity_error()
    logging.disable_progress_bar()
