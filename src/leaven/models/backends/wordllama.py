"""WordLlama: the default embedder of text, from two files that lie inside the ``wordllama`` package.

A text's vector is the mean of its tokens' rows in a 32,000 x 256 table, scaled to unit length.  The rows were
trained from the token embeddings of large language models (WordLlama, MIT, weights ``l2_supercat_256``), so a
dataset card that used them should name it.  The table is strong on short English texts and weak elsewhere.

The package itself is never imported: that takes half a second, and its loader asks a model hub for a file
which it ships.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leaven.errors import MissingExtra

DIMENSIONS = 256
WEIGHTS = "weights/l2_supercat_256.safetensors"
TOKENIZER = "tokenizers/l2_supercat_tokenizer_config.json"
BLOCK = 1024  # texts tokenized at a time: bounds memory, and changes no result


class WordLlama:
    """Text to unit vectors of 256 float32 numbers; about 13,000 short texts a second on one core."""

    name = "wordllama"

    def __init__(self, folder: Path | None = None) -> None:
        """Read both files (0.1 s, 32 MB of memory); ``folder`` is the installed package's unless given."""
        weights, tokenizer = files(folder)
        said = tuple((path, path.stat().st_mtime_ns) for path in (weights, tokenizer))
        self._table, self._tokenizer = _read(*said)

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors of ``texts``: n x 256, float32, unit length; a text without a token gets zeros.

        A text's vector does not depend on the texts around it, so vectors may be computed in any blocks.
        """
        from scipy.sparse import csr_array

        out = np.zeros((len(texts), DIMENSIONS), dtype=np.float32)
        for begin in range(0, len(texts), BLOCK):
            encodings = self._encode([texts[i] for i in range(begin, min(begin + BLOCK, len(texts)))])
            lengths = np.array([len(ids) for ids in encodings], dtype=np.int64)
            ends = np.concatenate(([0], np.cumsum(lengths)))
            ids = np.fromiter((i for row in encodings for i in row), dtype=np.int64, count=int(ends[-1]))
            np.minimum(ids, len(self._table) - 1, out=ids)
            # A sparse product adds the token rows one after the other, row by row: no padding, the same sum
            # in any block.
            sums = (
                csr_array((np.ones(len(ids), dtype=np.float32), ids, ends), shape=(len(lengths), len(self._table)))
                @ self._table
            )
            # The mean's divisor cancels in the scaling to unit length.
            norms = np.sqrt(np.einsum("ij,ij->i", sums, sums, dtype=np.float64))
            np.divide(sums, norms[:, None], out=out[begin : begin + len(lengths)], where=norms[:, None] > 0)
        return out

    def _encode(self, texts: list[str]) -> list[list[int]]:
        try:
            encodings = self._tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        except (TypeError, UnicodeEncodeError):  # a lone surrogate, as broken json escapes leave it
            clean = [text.encode("utf-8", "replace").decode("utf-8") for text in texts]
            encodings = self._tokenizer.encode_batch_fast(clean, add_special_tokens=False)
        return [encoding.ids for encoding in encodings]


@lru_cache(maxsize=1)  # a run, its report and its measurement each ask for it
def _read(weights: tuple[Path, int], tokenizer: tuple[Path, int]) -> tuple[NDArray[np.float32], Any]:
    """The table and the tokenizer; each file comes with the time when it was last written."""
    # Threads of the tokenizer would fight with our own processes, and warn after a fork.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    folder = weights[0].parent.parent
    try:
        from safetensors.numpy import load_file
        from tokenizers import Tokenizer
    except ImportError as error:
        missing = str(error.name)
        raise MissingExtra(f"{missing} is not installed", f"pip install {missing}") from error
    try:
        tables = list(load_file(weights[0]).values())
        found: Any = Tokenizer.from_file(str(tokenizer[0]))
    except Exception as error:  # both libraries raise bare Exceptions of their own on a damaged file
        raise _damaged(folder, str(error).splitlines()[0] if str(error) else "") from error
    if len(tables) != 1 or tables[0].ndim != 2 or tables[0].shape[1] != DIMENSIONS:
        raise _damaged(folder, f"expected one table of {DIMENSIONS} columns in {WEIGHTS}")
    found.no_padding()
    found.no_truncation()
    return np.ascontiguousarray(tables[0], dtype=np.float32), found


def files(folder: Path | None = None) -> tuple[Path, Path]:
    """The paths of the weights and of the tokenizer; raises MissingExtra where one is absent."""
    from importlib.util import find_spec

    if folder is None:
        spec = find_spec("wordllama")
        if spec is None or not spec.submodule_search_locations:
            raise MissingExtra("wordllama, the embedder of text, is not installed", "pip install wordllama")
        folder = Path(next(iter(spec.submodule_search_locations)))
    for name in (WEIGHTS, TOKENIZER):
        if not (folder / name).is_file():
            raise _damaged(folder, f"{name} is absent")
    return folder / WEIGHTS, folder / TOKENIZER


def _damaged(folder: Path, why: str) -> MissingExtra:
    return MissingExtra(
        f"the files of wordllama cannot be used ({why})",
        'pip install --force-reinstall --no-deps "wordllama>=0.2.2"',
        where=str(folder),
    )
