"""Texts in other languages by models of this process: Marian (one pair, or a few), NLLB and M2M100 (many languages)."""

from __future__ import annotations

import re
import threading
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from leaven.errors import ModelError, listed
from leaven.models.backends.langid import THREE
from leaven.models.backends.local.local import Local
from leaven.models.backends.local.of_texts import read, room
from leaven.models.calls import Answer, Ask, CallFailed

if TYPE_CHECKING:
    from collections.abc import Hashable

    from leaven.models.backends.local.weights import Weights

FAMILIES = ("marian", "m2m_100")
TWO = {
    **THREE, "ff": "ful", "gd": "gla", "sd": "snd", "ss": "ssw", "su": "sun", "tn": "tsn", "wo": "wol", "yi": "yid",
    "ns": "nso",
}  # fmt: skip
"""Short codes of languages, as Marian and M2M100 have them, as ISO 639-3; M2M100 writes Northern Sotho ``ns``."""
MEMBERS = {
    "ara": "arb", "aze": "azj", "fas": "pes", "lav": "lvs", "mlg": "plt", "mon": "khk", "msa": "zsm", "nep": "npi",
    "ori": "ory", "sqi": "als", "swa": "swh", "uzb": "uzn", "yid": "ydd",
}  # fmt: skip
"""Of a language that ISO 639-3 holds for several in one, the one that NLLB means by its name."""
SCRIPTS = {"zho": "zho_Hans", "arb": "arb_Arab"}
"""The script of a language where NLLB writes it in several and a code does not say which."""
AT_MOST = (2, 50)
"""Tokens of a translation: so many times those of the text, and so many more."""


class Translates(Local):
    """Plays ``translate``, with the beams that the model's own generation config names; nothing is drawn.

    Languages are ISO 639-3 codes; one of the model's own codes (``zho_Hant``) does as well.  A Marian model must be
    of the pair that is asked for, where its tokenizer says of which it is.  A text that is longer than the model is an
    error of its record: ``too_long``.

    Raises ModelError for another kind of model, and for a language that it does not know.
    """

    def __init__(self, weights: Weights) -> None:
        super().__init__(weights)
        if weights.family not in FAMILIES:
            kinds = [str(kind) for kind in weights.config.get("architectures") or ()]
            raise ModelError(
                f"{self.uri} is {kinds[0] if kinds else 'a model'} of type `{weights.family}`, which does not"
                " translate.",
                "name a Marian model (Helsinki-NLP/opus-mt-en-es), NLLB or M2M100.",
                where="translate",
            )
        self.many = weights.family != "marian"
        self._model: Any = None
        self._tokenizer: Any = None
        self._reading = threading.Lock()
        self._room: int | None = None

    def load(self) -> None:
        import transformers

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Marian's tokenizer recommends a package that cleans punctuation
            self._tokenizer = self.weights.read(transformers.AutoTokenizer)
        self._model = read(self, transformers.AutoModelForSeq2SeqLM)
        self._room = room(self._tokenizer, self._model)
        self._codes = _codes(self._tokenizer)

    def unload(self) -> None:
        self._model = self._tokenizer = None

    def kind(self, ask: Ask) -> Hashable:
        return ask.role, ask.content["to"] if self.many else ""

    def answers(self, asks: Sequence[Ask]) -> list[Answer | CallFailed]:
        wanted = [(str(ask.content["source"]), str(ask.content["to"])) for ask in asks]
        with self._reading:  # its tokenizer keeps which side it reads
            way = self._many if self.many else self._pair
            texts = [way(str(ask.content["text"]), *pair) for ask, pair in zip(asks, wanted, strict=True)]
        found: list[Answer | CallFailed] = [
            CallFailed("too_long", f"{len(ids)} tokens; the model reads {self._room}") for ids in texts
        ]
        some = [i for i, ids in enumerate(texts) if self._room is None or len(ids) <= self._room]
        if some:
            more = {"forced_bos_token_id": self._code(wanted[0][1])} if self.many else {}
            for i, answer in zip(some, self._written([texts[i] for i in some], more), strict=True):
                found[i] = answer
        return found

    def _written(self, texts: Sequence[Sequence[int]], more: Mapping[str, Any]) -> list[Answer]:
        batch = self._tokenizer.pad({"input_ids": list(texts)}, return_tensors="pt").to(self.device)
        times, plus = AT_MOST
        most = min(times * max(map(len, texts)) + plus, (self._room or 10**6) - 1)
        written = self._model.generate(**batch, do_sample=False, max_length=None, max_new_tokens=most, **more)
        answers = []
        for ids, text in zip(written.tolist(), texts, strict=True):
            said = [token for token in ids[1:] if token != self._tokenizer.pad_token_id]
            finish = "stop" if said and said[-1] == self._tokenizer.eos_token_id else "length"
            with self._reading:
                words = str(self._tokenizer.decode(said, skip_special_tokens=True)).strip()
            answers.append(Answer(words, finish, len(text), len(said)))
        return answers

    # -- one pair ------------------------------------------------------------------------------------------------------

    def _pair(self, text: str, source: str, to: str) -> list[int]:
        """The tokens of a text for a model of one pair, with the mark of its language where it writes several."""
        tokenizer = self._tokenizer
        reads, writes = _three(tokenizer.source_lang), _three(tokenizer.target_lang)
        if reads and reads != source:
            raise self._unknown(source, [reads], "reads")
        if self._codes:
            mark = next((mark for name, mark in self._codes.items() if to in (name, TWO.get(name))), None)
            if mark is None:
                raise self._unknown(to, sorted(self._codes), "writes")
            text = f"{mark} {text}"
        elif writes and writes != to:
            raise self._unknown(to, [writes], "writes")
        return list(tokenizer(text)["input_ids"])

    # -- many languages ------------------------------------------------------------------------------------------------

    def _many(self, text: str, source: str, to: str) -> list[int]:
        """The tokens of a text for a model of many languages; the mark of its language stands before it."""
        self._code(to)
        ids = list(self._tokenizer(text, add_special_tokens=False)["input_ids"])
        end = self._tokenizer.eos_token_id
        if getattr(self._tokenizer, "legacy_behaviour", False):
            return [*ids, end, self._code(source)]
        return [self._code(source), *ids, end]

    def _code(self, language: str) -> int:
        """The id of the token that names a language."""
        token = self._codes.get(language) or self._codes.get(SCRIPTS.get(language, ""))
        if token is None:
            meant = MEMBERS.get(language, language)
            known = [name for name in self._codes if meant in (name.partition("_")[0], TWO.get(name))]
            exact = [name for name in known if name == SCRIPTS.get(meant)] or sorted(known)
            if len(exact) > 1:
                raise ModelError(
                    f"{self.uri} writes {language} as {listed(exact)}.", "say which, in place of it.", where="translate"
                )
            if not exact:
                raise self._unknown(language, sorted(self._codes), "knows")
            token = self._codes[exact[0]]
        return int(self._tokenizer.convert_tokens_to_ids(token))

    def _unknown(self, language: str, known: Sequence[str], does: str) -> ModelError:
        return ModelError(
            f"{self.uri} {does} {listed(list(known))}, not {language}.",
            "name another model for the role, or another language (ISO 639-3: eng, spa, zho).",
            where="translate",
        )


def _codes(tokenizer: Any) -> dict[str, str]:
    """The languages that a model can be told to write, each with the token that says so: spa_Latn, es or fra."""
    marks = [*(getattr(tokenizer, "lang_code_to_token", None) or {}).values()]
    tokens = [str(token) for token in (*tokenizer.get_vocab(), *tokenizer.get_added_vocab(), *marks)]
    return {found[found.lastindex or 0]: token for token in dict.fromkeys(tokens) if (found := _NAMED.match(token))}


_NAMED = re.compile(r">>(\w+)<<$|__([a-z]{2,3})__$|([a-z]{3}_[A-Z][a-z]{3})$")
"""How Marian, M2M100 and NLLB mark a language."""


def _three(code: str | None) -> str | None:
    """A language as ISO 639-3; None where it is a group of languages, or not said."""
    return TWO.get(code or "", code if code in TWO.values() else None)
