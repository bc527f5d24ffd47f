"""VITS and MMS-TTS, which play ``speak``: from a text to a sound, in the voices that they were trained on."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Hashable, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from leaven.errors import ModelError
from leaven.media.audio import Audio
from leaven.models.backends.local.local import Local
from leaven.models.calls import Answer, Ask, CallFailed

if TYPE_CHECKING:
    from leaven.models.backends.local.weights import Weights

ONLY = "default"
"""The voice of a model that has one."""
MOST = 2_000
"""Characters of the longest text: some two minutes of speech, all of which a model has in memory at once."""
BESIDE = {"phonemize": "phonemizer", "is_uroman": "uroman"}
"""What a tokenizer may need that is no part of transformers, by what it says of itself."""


class ReadsAloud(Local):
    """Plays ``transformers:FOLDER`` for the role ``speak``; voices are ``"0"``, ``"1"`` ... or ``default``.

    Raises ModelError for what does not speak.
    """

    def __init__(self, weights: Weights) -> None:
        super().__init__(weights)
        if weights.family != "vits":
            raise ModelError(
                f"{weights.uri} is a model of type `{weights.family}`, which is not asked to speak.",
                "name VITS or a model of MMS-TTS.",
                where="speak",
            )
        many = int(weights.config.get("num_speakers") or 1)
        self.voices = [f"{i}" for i in range(many)] if many > 1 else [ONLY]

    def load(self) -> None:
        import torch
        import transformers

        self.dtype = torch.float32  # its durations are sums of many small numbers
        model = self.weights.read(transformers.VitsModel, use_safetensors=True, dtype=self.dtype)
        self._model: Any = model.train(False).to(self.device)
        self._words: Any = self.weights.read(transformers.AutoTokenizer)
        for says, package in BESIDE.items():
            if getattr(self._words, says, False) and find_spec(package) is None:
                raise ModelError(
                    f"{self.uri} reads texts through the package `{package}`, which is not installed.",
                    f"pip install {package}, or name a model of MMS-TTS that reads letters.",
                    where="speak",
                )

    def unload(self) -> None:
        self._model = self._words = None

    def kind(self, ask: Ask) -> Hashable:
        return ask.role, "voices" in ask.content

    def answers(self, asks: Sequence[Ask]) -> list[Answer | CallFailed]:
        """Each alone, on a GPU too: padding would be heard."""
        return [Answer(json.dumps(self.voices)) if "voices" in ask.content else self._spoken(ask) for ask in asks]

    def _spoken(self, ask: Ask) -> Answer | CallFailed:
        import torch

        from leaven.models.backends.local.drawn_noise import drawn_noise

        text, voice, rate = str(ask.content["text"]), str(ask.content["voice"]), float(ask.content["rate"])
        if voice not in self.voices:
            last = f"{self.voices[0]} to {self.voices[-1]}" if len(self.voices) > 1 else ONLY
            raise ModelError(f"{self.uri} has no voice `{voice}`.", f"name one of its own: {last}.", where="speak")
        if len(text) > MOST:
            return CallFailed("too_long", f"a text of {len(text):,} characters; {self.uri} is given {MOST:,} at most")
        if not any(letter.isalnum() for letter in text):
            return CallFailed("unspeakable", "the text holds no letter and no digit")
        if lost := self._unsaid(text):
            return CallFailed("unspeakable", f"{self.uri} has no way to say {' '.join(lost[:10])}")
        read = self._words(text, return_tensors="pt").to(self.device)
        speaker = {"speaker_id": int(voice)} if voice != ONLY else {}
        pace = float(self._model.speaking_rate) * rate
        generator = torch.Generator().manual_seed(int(ask.sampling.get("seed", 0)))
        with drawn_noise(generator):
            said = self._model(**read, **speaker, speaking_rate=pace)
        samples = said.waveform[0, : int(said.sequence_lengths[0])].float().cpu().numpy()
        if not len(samples) or not samples.any():
            return CallFailed("no_answer", f"{self.uri} said nothing for a text of {len(text):,} characters")
        return Answer("", media=Audio.of(samples, int(self._model.config.sampling_rate)))

    def _unsaid(self, text: str) -> list[str]:
        """Letters, digits and marks of a text that would be left out of what is said."""
        if any(getattr(self._words, says, False) for says in BESIDE):  # another package spells them out
            return []
        known = self._words.get_vocab()
        folded = self._words.normalize_text(text) if self._words.normalize else text
        spoken = [sign for sign in folded if sign.isalnum() or unicodedata.category(sign).startswith("M")]
        return list(dict.fromkeys(sign for sign in spoken if sign not in known))
