"""Labels of texts by a model of this process: a classifier that was trained on them, or one of inference for any."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from leaven.errors import ModelError, listed
from leaven.models.backends.local.local import Local
from leaven.models.backends.local.of_texts import read, room
from leaven.models.calls import Answer, Ask, CallFailed

if TYPE_CHECKING:
    from collections.abc import Hashable

    from leaven.models.backends.local.weights import Weights

HYPOTHESIS = "This example is {}."
"""What a model of inference is asked of each label (the default of transformers' zero-shot pipeline)."""


class Classifies(Local):
    """Plays ``classify``.

    A model whose own labels are those asked for, without regard to case, gives their probabilities, as shares of what
    these have together.  A model of natural language inference is asked of each label whether "This example is LABEL."
    follows from the text, and the softmax over the labels' entailment scores is the answer (Yin et al. 2019,
    arXiv:1909.00161).  A text that is longer than the model is an error of its record: ``too_long``.

    Raises ModelError for what is no classifier, and where its labels are not those asked for.
    """

    def __init__(self, weights: Weights) -> None:
        super().__init__(weights)
        kinds = [str(kind) for kind in weights.config.get("architectures") or ()]
        said: Mapping[str, Any] = weights.config.get("id2label") or {}
        self._labels = {str(label).casefold(): int(i) for i, label in said.items()}
        # A config without labels has two by default, which it does not write down.
        if not any(kind.endswith("ForSequenceClassification") for kind in kinds) or len(said) == 1:
            raise ModelError(
                f"{self.uri} is {kinds[0] if kinds else 'a model'} of type `{weights.family}`, which gives no labels.",
                "name a model for sequence classification, or for natural language inference.",
                where="classify",
            )
        self._names = sorted(str(label) for label in said.values())
        follows = [i for label, i in self._labels.items() if label.startswith("entail")]
        self._follows = follows[0] if len(follows) == 1 else None
        self._each = weights.config.get("problem_type") == "multi_label_classification"
        self._model: Any = None
        self._tokenizer: Any = None
        self._room: int | None = None

    def load(self) -> None:
        import transformers

        self._tokenizer = self.weights.read(transformers.AutoTokenizer)
        self._model = read(self, transformers.AutoModelForSequenceClassification)
        self._room = room(self._tokenizer, self._model)

    def unload(self) -> None:
        self._model = self._tokenizer = None

    def kind(self, ask: Ask) -> Hashable:
        return ask.role

    def answers(self, asks: Sequence[Ask]) -> list[Answer | CallFailed]:
        own = [self._own([str(label) for label in ask.content["among"]]) for ask in asks]
        pairs = [self._pairs(ask, codes) for ask, codes in zip(asks, own, strict=True)]
        fits = [found if isinstance(found, list) else [] for found in pairs]
        scores = iter(self._scores([pair for some in fits for pair in some]))
        answers: list[Answer | CallFailed] = []
        for ask, codes, found in zip(asks, own, pairs, strict=True):
            if isinstance(found, CallFailed):
                answers.append(found)
                continue
            rows = [next(scores) for _ in found]
            probs = self._probs(rows, codes)
            named = {str(label): round(p, 6) for label, p in zip(ask.content["among"], probs, strict=True)}
            length = sum(len(pair["input_ids"]) for pair in found)
            answers.append(Answer(json.dumps(named, ensure_ascii=False), tokens_in=length))
        return answers

    def _own(self, among: Sequence[str]) -> list[int] | None:
        """The places of the labels among the model's own; None where it is asked of each whether it follows."""
        found = [self._labels.get(label.casefold()) for label in among]
        codes = [code for code in found if code is not None]
        if len(codes) == len(among):
            return codes
        if self._follows is None:
            absent = [label for label, code in zip(among, found, strict=True) if code is None]
            raise ModelError(
                f"{self.uri} has no label {listed(absent)}; it has {listed(self._names)}.",
                "name a model that was trained on these labels, or one of natural language inference.",
                where="classify",
            )
        return None

    def _pairs(self, ask: Ask, codes: list[int] | None) -> list[dict[str, list[int]]] | CallFailed:
        """What the model reads: the text, or the text with what may follow from it, once a label."""
        text = str(ask.content["text"])
        if codes is not None:
            found = [self._tokenizer(text)]
        else:
            found = [self._tokenizer(text, HYPOTHESIS.format(label)) for label in ask.content["among"]]
        longest = max((len(one["input_ids"]) for one in found), default=0)
        if self._room is not None and longest > self._room:
            return CallFailed("too_long", f"{longest} tokens; the model reads {self._room}")
        return [{name: list(values) for name, values in one.items()} for one in found]

    def _scores(self, pairs: Sequence[dict[str, list[int]]]) -> list[Any]:
        rows: list[Any] = []
        for at in range(0, len(pairs), self.batch):
            batch = self._tokenizer.pad(list(pairs[at : at + self.batch]), return_tensors="pt").to(self.device)
            rows += list(self._model(**batch).logits.float().cpu())
        return rows

    def _probs(self, rows: Sequence[Any], codes: list[int] | None) -> list[float]:
        import torch

        if codes is None:
            shares = torch.softmax(torch.stack([row[self._follows] for row in rows]), -1)
        else:
            shares = (torch.sigmoid(rows[0]) if self._each else torch.softmax(rows[0], -1))[codes]
            shares = shares / shares.sum()
        found: list[float] = shares.tolist()
        return found
