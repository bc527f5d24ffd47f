"""Blanks filled in this process: by masked language models (BERT, RoBERTa, DistilBERT and their kin), and by T5."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from leaven.errors import ModelError
from leaven.models.backends.local.local import Local
from leaven.models.backends.local.of_texts import read, room
from leaven.models.calls import Answer, Ask, CallFailed

if TYPE_CHECKING:
    from collections.abc import Hashable

    from torch import Tensor

    from leaven.models.backends.local.weights import Weights

SPANS = ("t5", "mt5", "umt5")
"""The families that fill several blanks with words of their own number, as they were first trained to."""
MASKED = ("ForMaskedLM", "BertForPreTraining")
A_BLANK = 24
"""Tokens for a blank where nothing is said."""


class Fills(Local):
    """Plays ``fill``.

    A masked language model reads the text once with a mask in place of each blank, and draws each word by itself from
    softmax(logits / temperature): one token of its vocabulary a blank, no mark, and with ``whole_words`` only those
    of letters that begin a word.  T5 writes all blanks one after the other, of any number of words.  Without a
    temperature, and at 0, the likeliest are taken.  Everything else of the text stays as it is.

    Raises ModelError for what is neither.
    """

    def __init__(self, weights: Weights) -> None:
        super().__init__(weights)
        kinds = [str(kind) for kind in weights.config.get("architectures") or ()]
        self.spans = weights.family in SPANS
        if not self.spans and not any(kind.endswith(MASKED) for kind in kinds):
            raise ModelError(
                f"{self.uri} is {kinds[0] if kinds else 'a model'} of type `{weights.family}`, which fills no blanks.",
                "name a masked language model, such as BERT, RoBERTa or DistilBERT, or T5.",
                where="fill",
            )
        self._model: Any = None
        self._tokenizer: Any = None
        self._room: int | None = None

    def load(self) -> None:
        import torch
        import transformers

        self._tokenizer = self.weights.read(transformers.AutoTokenizer)
        kind = transformers.AutoModelForSeq2SeqLM if self.spans else transformers.AutoModelForMaskedLM
        self._model = read(self, kind)
        self._room = room(self._tokenizer, self._model)
        if self.spans:
            self._marks = _sentinels(self._tokenizer)
        else:
            self._words, whole = _vocabulary(self._tokenizer, self._model)
            self._ids = {False: torch.tensor(sorted(self._words)), True: torch.tensor(whole)}

    def unload(self) -> None:
        self._model = self._tokenizer = None

    def kind(self, ask: Ask) -> Hashable:
        return ask.role  # each call has a seed of its own, and draws by itself

    def answers(self, asks: Sequence[Ask]) -> list[Answer | CallFailed]:
        pieces = [str(ask.content["text"]).split(str(ask.content["blank"])) for ask in asks]
        ready: list[Answer | CallFailed | dict[str, list[int]]] = [self._tokens(piece) for piece in pieces]
        some = [i for i, tokens in enumerate(ready) if isinstance(tokens, dict)]
        if some:
            batch = self._tokenizer.pad([ready[i] for i in some], return_tensors="pt").to(self.device)
            write = self._spans if self.spans else self._masked
            for i, found in zip(some, write(batch, [asks[i] for i in some], [pieces[i] for i in some]), strict=True):
                ready[i] = found
        return [found for found in ready if not isinstance(found, dict)]

    def _tokens(self, pieces: Sequence[str]) -> Answer | CallFailed | dict[str, list[int]]:
        """The text with a mark for each blank, as the model reads it; the text itself where it has no blank."""
        blanks = len(pieces) - 1
        if not blanks:
            return Answer(pieces[0])
        if self.spans and blanks > len(self._marks):
            return CallFailed("too_long", f"{blanks} blanks; the model has marks for {len(self._marks)}")
        marks = list(self._marks.values())[:blanks] if self.spans else [self._tokenizer.mask_token] * blanks
        text = pieces[0] + "".join(mark + piece for mark, piece in zip(marks, pieces[1:], strict=True))
        found = self._tokenizer(text)
        ids = list(found["input_ids"])
        if self._room is not None and len(ids) > self._room:
            return CallFailed("too_long", f"{len(ids)} tokens; the model reads {self._room}")
        known = self._marks if self.spans else {self._tokenizer.mask_token_id: ""}
        if sum(token in known for token in ids) != blanks:
            return CallFailed("mark_in_text", f"the text itself holds `{marks[0]}`, or the model cannot read it")
        return {name: list(values) for name, values in found.items()}

    # -- masked language models ----------------------------------------------------------------------------------------

    def _masked(self, batch: Any, asks: Sequence[Ask], pieces: Sequence[Sequence[str]]) -> list[Answer | CallFailed]:
        logits = self._model(**batch).logits.float().cpu()
        found: list[Answer | CallFailed] = []
        for row, ask, texts in zip(range(len(asks)), asks, pieces, strict=True):
            places = (batch["input_ids"][row] == self._tokenizer.mask_token_id).nonzero()[:, 0].cpu()
            ids = self._ids[bool(ask.content["whole_words"])]
            if not len(ids):
                found.append(CallFailed("no_answer", "the model has no token that is a word of letters"))
                continue
            drawn = draw(logits[row][places][:, ids], ask, generator(ask))
            words = [self._words[int(token)] for token in ids[drawn]]
            text = texts[0] + "".join(word + piece for word, piece in zip(words, texts[1:], strict=True))
            tokens = int(batch["attention_mask"][row].sum())
            found.append(Answer(text, tokens_in=tokens, tokens_out=len(words)))
        return found

    # -- T5 ------------------------------------------------------------------------------------------------------------

    def _spans(self, batch: Any, asks: Sequence[Ask], pieces: Sequence[Sequence[str]]) -> list[Answer | CallFailed]:
        from transformers import LogitsProcessorList

        most = [int(a.sampling.get("max_tokens") or A_BLANK * len(p)) for a, p in zip(asks, pieces, strict=True)]
        written = self._model.generate(
            **batch,
            do_sample=False,
            num_beams=1,
            max_new_tokens=max(most),
            logits_processor=LogitsProcessorList([_drawn(asks, len(self._tokenizer))]),
        )
        rows = zip(written.tolist(), most, pieces, strict=True)
        return [self._put(row[1 : 1 + length], texts) for row, length, texts in rows]

    def _put(self, ids: Sequence[int], texts: Sequence[str]) -> Answer | CallFailed:
        """The text with what was written for each blank; a blank that nothing was written for is an error."""
        ends = (self._tokenizer.eos_token_id, self._tokenizer.pad_token_id)
        said: dict[int, list[int]] = {}
        at: int | None = None
        for token in ids:
            if token in self._marks:
                at = None if token in said else token  # a mark that comes again says nothing more
                if at is not None:
                    said[at] = []
            elif token in ends:
                break
            elif at is not None:
                said[at].append(token)
        words = []
        for number, mark in enumerate(list(self._marks)[: len(texts) - 1], 1):
            word = str(self._tokenizer.decode(said.get(mark, []), skip_special_tokens=True)).strip()
            if not word:
                whole = str(self._tokenizer.decode(ids))
                return CallFailed("no_answer", f"blank {number} of {len(texts) - 1} was not filled", [whole])
            words.append(word)
        text = texts[0] + "".join(word + piece for word, piece in zip(words, texts[1:], strict=True))
        return Answer(text, tokens_out=len(ids))


def generator(ask: Ask) -> Any:
    """What a call draws with: of its own, and on the CPU, so that it draws the same on every device."""
    import torch

    return torch.Generator().manual_seed(int(ask.sampling.get("seed", 0)))


def draw(logits: Tensor, ask: Ask, numbers: Any) -> Tensor:
    """A token for each row of logits: drawn at the call's temperature, the likeliest where it has none."""
    import torch

    temperature, top_p = ask.sampling.get("temperature"), ask.sampling.get("top_p")
    if not temperature:
        return logits.argmax(-1)
    chances = torch.softmax(logits.float().cpu() / float(temperature), -1)
    if top_p is not None:
        sure, order = chances.sort(dim=-1, descending=True, stable=True)
        before = sure.cumsum(-1) - sure
        chances = torch.zeros_like(chances).scatter(-1, order, sure * (before < float(top_p)))
    return torch.multinomial(chances, 1, generator=numbers)[:, 0]


def _drawn(asks: Sequence[Ask], known: int) -> Any:
    """Leaves of each row's next tokens the one that its call draws, of those known: so generation reads no generator
    but theirs."""
    import torch

    numbers = [generator(ask) for ask in asks]

    def drawn(input_ids: Tensor, scores: Tensor) -> Tensor:
        left = torch.full_like(scores, -torch.inf)
        for row, ask in enumerate(asks):
            left[row, draw(scores[row : row + 1, :known], ask, numbers[row])] = 0.0
        return left

    return drawn


def _sentinels(tokenizer: Any) -> dict[int, str]:
    """The marks of blanks by their ids, in their order: <extra_id_0> and so on."""
    named = {int(found[1]): str(token) for token in tokenizer.get_vocab() if (found := _SENTINEL.match(str(token)))}
    return {int(tokenizer.convert_tokens_to_ids(named[number])): named[number] for number in sorted(named)}


_SENTINEL = re.compile(r"<extra_id_(\d+)>$")


def _vocabulary(tokenizer: Any, model: Any) -> tuple[dict[int, str], list[int]]:
    """What each token says, but for the marks; and which are whole words of letters.

    Tokens that go on with a word begin with ``##`` (BERT), or are those that do not begin with ``Ġ`` or ``▁`` where
    others do (RoBERTa, XLM-R).
    """
    tokens = {int(i): str(token) for token, i in tokenizer.get_vocab().items() if int(i) < model.config.vocab_size}
    marks = {*tokenizer.all_special_ids, *tokenizer.get_added_vocab().values()}
    begins = next((mark for mark in "Ġ▁" if any(token.startswith(mark) for token in tokens.values())), "")
    words: dict[int, str] = {}
    whole: list[int] = []
    for i in sorted(tokens.keys() - marks):
        token = tokens[i]
        if token.startswith("[") and token.endswith("]"):  # BERT's unused places
            continue
        word = str(tokenizer.convert_tokens_to_string([token])).strip() if begins else token.removeprefix("##")
        if not word or "�" in word:  # a part of a letter
            continue
        words[i] = word
        first = token.startswith(begins) if begins else not token.startswith("##")
        if first and word.isalpha():
            whole.append(i)
    return words, whole
