"""What stands where in a text, by a model of this process that classifies tokens."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

from leaven.errors import ModelError, listed
from leaven.models.backends.local.local import Local
from leaven.models.backends.local.of_texts import read, room
from leaven.models.calls import Answer, Ask, CallFailed

if TYPE_CHECKING:
    from collections.abc import Hashable

    from leaven.models.backends.local.weights import Weights

SAME = (
    {"per", "person"},
    {"org", "organization", "organisation"},
    {"loc", "location"},
    {"misc", "miscellaneous"},
)
"""Labels that are two names of one thing.  A GPE is no LOC: the sets of labels that have it tell the two apart."""
NOTHING = "O"
WINDOW = 512
"""Tokens of a window where nothing says how many the model reads."""
_PREFIXED = re.compile("[BIESLU][-_].")
_SAYS = re.compile(r"\w")


class Piece(NamedTuple):
    """A token of a text: where it stands, of which word it is, and its label."""

    start: int
    end: int
    word: int
    label: str


class Window(NamedTuple):
    """Tokens that are read together, and those of them whose labels are taken."""

    start: int
    end: int
    first: int
    last: int


class Tags(Local):
    """Plays ``tag``.

    A word has the label of its first token; words join by the prefixes of the labels (B- begins, I- goes on), and
    without any where neighbours have the same label.  A text longer than the model is read in windows that overlap by
    half, and each token has its label from the window in whose middle it lies.  The labels asked for are matched
    without regard to case, PER is PERSON, ORG is ORGANIZATION, LOC is LOCATION and MISC is MISCELLANEOUS; spans bear
    the name that was asked for.

    Raises ModelError for a model that classifies no tokens, and for a label that it does not know.
    """

    def __init__(self, weights: Weights) -> None:
        super().__init__(weights)
        kinds = [str(kind) for kind in weights.config.get("architectures") or ()]
        if not any(kind.endswith("ForTokenClassification") for kind in kinds):
            raise ModelError(
                f"{self.uri} is {kinds[0] if kinds else 'a model'} of type `{weights.family}`, which tags no words.",
                "name a model for token classification (named entities).",
                where="tag",
            )
        said = weights.config.get("id2label") or {}
        self._labels = {int(i): str(label) for i, label in said.items()}
        others = [label for label in self._labels.values() if label != NOTHING]
        self._prefixed = bool(others) and all(_PREFIXED.match(label) for label in others)
        self.kinds = sorted({self._split(label)[1] for label in others})
        """The labels of its spans."""
        self._model: Any = None
        self._tokenizer: Any = None
        self._room = 0

    def load(self) -> None:
        import transformers

        self._tokenizer = self.weights.read(transformers.AutoTokenizer)
        if not self._tokenizer.is_fast:
            raise ModelError(
                f"{self.uri} has a tokenizer that does not say where in the text a token stands.",
                "name a model with a tokenizer.json.",
                where="tag",
            )
        self._model = read(self, transformers.AutoModelForTokenClassification)
        ends = self._tokenizer("a", return_special_tokens_mask=True)
        marks = ends["special_tokens_mask"]
        first = marks.index(0)
        last = len(marks) - marks[::-1].index(0)
        self._before, self._after = ends["input_ids"][:first], ends["input_ids"][last:]
        self._room = (room(self._tokenizer, self._model) or WINDOW) - len(self._before) - len(self._after)

    def unload(self) -> None:
        self._model = self._tokenizer = None

    def kind(self, ask: Ask) -> Hashable:
        return ask.role

    def answers(self, asks: Sequence[Ask]) -> list[Answer | CallFailed]:
        wanted = [self._wanted(ask.content["labels"]) for ask in asks]  # first: an unknown label ends the run
        texts = [str(ask.content["text"]) for ask in asks]
        tokens = [self._tokenizer(text, add_special_tokens=False, return_offsets_mapping=True) for text in texts]
        labels = self._read([list(found["input_ids"]) for found in tokens])
        answers: list[Answer | CallFailed] = []
        for text, found, codes, names in zip(texts, tokens, labels, wanted, strict=True):
            words = [-1 - i if word is None else word for i, word in enumerate(found.word_ids())]
            places = zip(found["offset_mapping"], words, codes, strict=True)
            pieces = [Piece(start, end, word, self._labels[code]) for (start, end), word, code in places]
            spans = [
                {"start": start, "end": end, "text": text[start:end], "label": names[label]}
                for start, end, label in self._spans(text, pieces)
                if label in names
            ]
            answers.append(Answer(json.dumps(spans, ensure_ascii=False), tokens_in=len(codes)))
        return answers

    def _wanted(self, labels: Sequence[str]) -> dict[str, str]:
        """The model's labels that are asked for, and what each was asked as; all where none is named."""
        if not labels:
            return {label: label for label in self.kinds}
        found: dict[str, str] = {}
        for asked in labels:
            fits = [label for label in self.kinds if _meant(label) == _meant(asked)]
            if not fits:
                raise ModelError(
                    f"{self.uri} knows no label {asked}; it knows {listed(self.kinds)}.",
                    "name one of these, or leave out `labels`.",
                    where="tag",
                )
            found |= dict.fromkeys(fits, asked)
        return found

    def _read(self, texts: Sequence[Sequence[int]]) -> list[list[int]]:
        """The likeliest label of each token, in numbers."""
        labels = [[0] * len(ids) for ids in texts]
        windows = [(row, window) for row, ids in enumerate(texts) for window in windows_of(len(ids), self._room)]
        skip = len(self._before)
        for at in range(0, len(windows), self.batch):
            some = windows[at : at + self.batch]
            ids = [[*self._before, *texts[row][window.start : window.end], *self._after] for row, window in some]
            batch = self._tokenizer.pad({"input_ids": ids}, padding_side="right", return_tensors="pt").to(self.device)
            codes = self._model(**batch).logits.argmax(-1).cpu().tolist()
            for (row, window), found in zip(some, codes, strict=True):
                shift = skip - window.start
                labels[row][window.first : window.last] = found[window.first + shift : window.last + shift]
        return labels

    def _spans(self, text: str, pieces: Sequence[Piece]) -> Iterator[tuple[int, int, str]]:
        """Where each span begins and ends, and its label."""
        start, end, open_label = 0, 0, ""
        for word in _words(pieces):
            prefix, label = self._split(word[0].label)
            while len(word) > 1 and word[-1].label == NOTHING and not _SAYS.search(text[word[-1].start : word[-1].end]):
                word = word[:-1]  # a mark that the tokenizer takes for a part of the word
            goes_on = label and label == open_label and prefix not in ("B", "S", "U")
            if goes_on:
                end = word[-1].end
            else:
                if open_label:
                    yield *_trimmed(text, start, end), open_label
                start, end = word[0].start, word[-1].end
            open_label = label
        if open_label:
            yield *_trimmed(text, start, end), open_label

    def _split(self, label: str) -> tuple[str, str]:
        """The prefix of a label and what it says: ("B", "PER"); no text of what says nothing."""
        if label == NOTHING:
            return "", ""
        return (label[0], label[2:]) if self._prefixed else ("", label)


def windows_of(length: int, room: int) -> Iterator[Window]:
    """Windows of ``room`` tokens that overlap by half; each token belongs to the one in whose middle it lies."""
    step = max(1, room // 2)
    starts = [0, *range(step, length - room + step, step)] if length > room else [0] * (length > 0)
    starts = [min(start, length - room) if length > room else 0 for start in starts]
    for i, start in enumerate(starts):
        first = 0 if i == 0 else (starts[i - 1] + room + start) // 2
        last = length if i == len(starts) - 1 else (start + room + starts[i + 1]) // 2
        yield Window(start, min(start + room, length), first, last)


def _words(pieces: Sequence[Piece]) -> Iterator[Sequence[Piece]]:
    return (list(word) for _, word in groupby(pieces, key=lambda piece: piece.word))


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """Without blanks at the ends, which some tokenizers count to a word."""
    said = text[start:end]
    return start + len(said) - len(said.lstrip()), end - len(said) + len(said.rstrip())


def _meant(label: str) -> str:
    """A label to compare with others: two names of one thing are equal."""
    folded = label.casefold()
    return next((min(same) for same in SAME if folded in same), folded)
