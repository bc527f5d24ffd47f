"""Recognisers that play ``transcribe``: Whisper, and wav2vec 2.0 and its kin, which spell by CTC.

They hear some thirty seconds at a time.  A longer sound is cut where it is quietest, near the end of each window, so
that no sample is left out and hardly a word is cut; what is heard is put together.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from leaven.errors import ModelError
from leaven.media.audio import Audio
from leaven.media.resampled import resampled
from leaven.models.backends.local.local import Local
from leaven.models.calls import Answer, Ask, CallFailed

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from leaven.models.backends.local.weights import Weights

    Samples = NDArray[np.float32]

SPELLS = "ForCTC"
"""How the class of a model that spells ends."""
WINDOW = 30.0
"""Seconds that a model which spells hears at a time; Whisper says itself how many."""
LAST = 1 / 6
"""The share of a window, at its end, in which the quietest place is looked for."""
QUIET = 0.1
"""Seconds over which it is told how quiet a place is; also the shortest sound that is asked."""


class Hears(Local):
    """Plays ``transformers:FOLDER`` for the role ``transcribe``.  Raises ModelError for what recognises no speech."""

    def __init__(self, weights: Weights) -> None:
        super().__init__(weights)
        self.spells = any(str(name).endswith(SPELLS) for name in weights.config.get("architectures") or ())
        if weights.family != "whisper" and not self.spells:
            raise ModelError(
                f"{weights.uri} is a model of type `{weights.family}`, which writes down no speech.",
                "name Whisper, or wav2vec 2.0, HuBERT or one of their kin that was fitted with CTC.",
                where="transcribe",
            )

    def load(self) -> None:
        import transformers

        kind = transformers.AutoModelForCTC if self.spells else transformers.AutoModelForSpeechSeq2Seq
        model = self.weights.read(kind, use_safetensors=True, dtype=self.dtype)
        self._model: Any = model.train(False).to(self.device)
        self._ear: Any = self._half(transformers.AutoFeatureExtractor, "feature_extractor")
        self._words: Any = self._half(transformers.AutoTokenizer, "tokenizer")

    def _half(self, kind: Any, name: str) -> Any:
        """A half of the processor: saved with the other one, it may not be found alone."""
        import transformers

        try:
            return self.weights.read(kind)
        except ModelError:
            return getattr(self.weights.read(transformers.AutoProcessor), name)

    def unload(self) -> None:
        self._model = self._ear = self._words = None

    def answers(self, asks: Sequence[Ask]) -> list[Answer | CallFailed]:
        rate = int(self._ear.sampling_rate)
        longest = WINDOW if self.spells else float(self._ear.chunk_length)
        heard = []
        for ask in asks:
            kept = ask.media[ask.content["audio"]]
            assert isinstance(kept, Audio)
            sound = Audio(kept.encoded, kept.path)  # its samples go with it; the record's own keeps none
            windows = list(cut(resampled(sound.mono, sound.rate, rate), rate, longest))
            # All of a sound alike, whatever came with it: padded windows are heard otherwise.
            size = 1 if self.device == "cpu" or self.spells else self.batch
            said = [text for i in range(0, len(windows), size) for text in self._said(windows[i : i + size], rate)]
            heard.append(Answer(" ".join(" ".join(said).split())))
        return list(heard)

    def _said(self, windows: Sequence[Samples], rate: int) -> list[str]:
        """What is heard in each window; language and task are left to the model."""
        given = self._ear(list(windows), sampling_rate=rate, return_tensors="pt", return_attention_mask=True)
        tensors = {name: tensor.to(self.device) for name, tensor in given.items()}
        for name in {"input_values", "input_features"} & tensors.keys():
            tensors[name] = tensors[name].to(self.dtype)
        if self.spells:
            found = self._model(**tensors).logits.argmax(dim=-1)
            texts: list[str] = self._words.batch_decode(found)
            return texts
        texts = self._words.batch_decode(self._model.generate(**tensors), skip_special_tokens=True)
        return texts


def cut(samples: Samples, rate: int, longest: float) -> Iterator[Samples]:
    """A sound in windows of at most ``longest`` seconds, all its samples in their order; one that is too short to be
    asked has silence after it."""
    import numpy as np

    most, least = max(1, int(longest * rate)), max(1, int(QUIET * rate))
    while len(samples) > most:
        begin = most - max(1, int(most * LAST))
        # The loudness about each place that may be cut, by sums up to it.
        sums = np.concatenate([[0.0], np.cumsum(np.square(samples[begin:most], dtype=np.float64))])
        wide = min(least, most - begin)
        at = begin + int(np.argmin(sums[wide:] - sums[:-wide])) + wide // 2
        yield samples[: max(at, 1)]
        samples = samples[max(at, 1) :]
    yield np.pad(samples, (0, max(0, least - len(samples))))
