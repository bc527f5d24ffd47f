"""Encoders of transformers that play ``embed``: CLIP, SigLIP and their kin (texts and images), CLAP (texts and sounds),
ViT, DINOv2 and their kin (images).

From a folder or a hub's name; weights are safetensors alone, and no code of a repository is run.  They stay in the
process that owns the models.  On a CPU each item goes through alone and under one thread, many beside each other; on a
GPU in batches that are always equally large: so no vector depends on those that came with it.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from leaven.errors import MissingExtra, ModelError
from leaven.media.resampled import resampled
from leaven.models.backends.local.pictures import pillow
from leaven.models.backends.local.weights import find, hush
from leaven.models.calls import About, Answer, Ask, CallFailed

if TYPE_CHECKING:
    import numpy as np

    from leaven.models.limiter import Limiter
    from leaven.models.prices import Price
    from leaven.models.roles import Item

BATCH = 32
"""Items that go through a GPU together."""
LONGEST = 512
"""Tokens of a text where its tokenizer names no limit."""


class Encoder:
    """Plays ``transformers:FOLDER`` and ``transformers:NAME`` for the role ``embed``.

    ``kinds`` are those of items that it embeds; ``model`` holds a hash of the folder's files, or the hub's commit, so
    that other weights get another name in the ledger.  Raises ModelError for what is no encoder that it knows.
    """

    limiter: Limiter | None = None
    price: Price | None = None
    free = True
    left_out = ()

    def __init__(self, uri: str, place: str) -> None:
        self.uri = uri
        self.weights = find(uri, place)
        self.model, self.family = self.weights.model, self.weights.family
        self.kinds = _kinds(self.weights.config)
        if not self.kinds:
            raise self._no_vectors()
        self.device = ""
        """Where it runs: known once it is loaded."""
        self._model: Any = None
        self._processors: dict[str, Any] = {}
        self._pool: ThreadPoolExecutor | None = None
        self._threads = 0
        self._loading = threading.Lock()

    async def play(self, ask: Ask, about: About) -> Answer:
        raise CallFailed("no_answer", f"{self.uri} makes vectors alone")

    async def close(self) -> None:
        if self._pool:
            self._pool.shutdown()
            self._pool = None
        if self._threads:
            import torch

            torch.set_num_threads(self._threads)

    async def embed(self, items: Sequence[Item]) -> tuple[np.ndarray, int]:
        """A vector of each item, n x d, float32; no tokens are counted."""
        import numpy as np

        loop = asyncio.get_running_loop()
        if self._model is None:
            await asyncio.to_thread(self._load)
        assert self._pool is not None
        each = 1 if self.device == "cpu" else BATCH
        batches = [items[i : i + each] for i in range(0, len(items), each)]
        made = [loop.run_in_executor(self._pool, self._vectors, batch, each) for batch in batches]
        return np.concatenate(await asyncio.gather(*made)), 0

    async def scale(self) -> float | None:
        """What the model itself multiplies the cosine of a text and an image or a sound by; None where it does not."""
        if self._model is None:
            await asyncio.to_thread(self._load)
        found = getattr(self._model, "logit_scale", getattr(self._model, "logit_scale_a", None))
        return None if found is None else round(float(found.detach().exp()), 6)

    def _no_vectors(self) -> ModelError:
        return ModelError(
            f"{self.uri} is a model of type `{self.family}`, which gives no vectors of images, sounds or pairs.",
            "name CLIP, SigLIP, CLAP, ViT or DINOv2, or one of their kin.",
        )

    # -- in a thread ------------------------------------------------------------------------------------------------

    def _load(self) -> None:
        with self._loading:
            if self._model is not None:
                return
            os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
            try:
                import torch
                import transformers
            except ImportError as error:
                raise MissingExtra(
                    f"{self.uri} needs the extra `torch` ({error.name}).", 'pip install "leaven[torch]"'
                ) from None
            hush(transformers.logging)
            model = self.weights.read(transformers.AutoModel, use_safetensors=True, dtype=torch.float32)
            self._processors = self._readers(transformers)
            if len(self.kinds) > 1 and not all(hasattr(model, f"get_{kind}_features") for kind in self.kinds):
                raise self._no_vectors()
            self.device = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
            self._threads = torch.get_num_threads()
            beside = (os.cpu_count() or 1) if self.device == "cpu" else 1
            # One thread of torch in each of ours: two add up in another order.
            self._pool = ThreadPoolExecutor(beside, "leaven encoder", torch.set_num_threads, (1,))
            self._model = model.train(False).to(self.device)

    def _readers(self, transformers: Any) -> dict[str, Any]:
        """What turns items of each kind into tensors."""
        found = {}
        if "text" in self.kinds:
            found["text"] = self.weights.read(transformers.AutoTokenizer)
        if "image" in self.kinds:  # Pillow's way: the same pixels on every machine, with torchvision or without
            found["image"] = self.weights.read(transformers.AutoImageProcessor, backend="pil")
        if "audio" in self.kinds:  # saved with its tokenizer, it is not found alone
            found["audio"] = self.weights.read(transformers.AutoProcessor).feature_extractor
        return found

    def _vectors(self, batch: Sequence[Item], size: int) -> np.ndarray:
        """Vectors of a batch, filled up to ``size`` by its last item."""
        import torch

        from leaven.models.embedders import kind_of

        kind = kind_of(batch)
        items = [*batch, *[batch[-1]] * (size - len(batch))]
        given = {key: tensor.to(self.device) for key, tensor in self._tensors(kind, items, size > 1).items()}
        with torch.inference_mode():
            method = getattr(self._model, f"get_{kind}_features", None)
            found = method(**given) if method else self._model(**given)
        if not isinstance(found, torch.Tensor):
            found = found.pooler_output if method else self._pooled(found)
        vectors: np.ndarray = found[: len(batch)].float().cpu().numpy()
        return vectors

    def _pooled(self, found: Any) -> Any:
        """The first token, or the mean over all places of a picture."""
        last = getattr(found, "last_hidden_state", None)
        if last is None or last.ndim not in (3, 4):
            raise self._no_vectors()
        return last.mean(dim=(2, 3)) if last.ndim == 4 else last[:, 0]

    def _tensors(self, kind: str, items: Sequence[Any], batched: bool) -> Mapping[str, Any]:
        read = self._processors[kind]
        if kind == "image":
            found = read([pillow(image) for image in items], return_tensors="pt")
            return {"pixel_values": found["pixel_values"]}
        if kind == "audio":
            rate = int(read.sampling_rate)
            # Its own way with a longer sound is to draw a piece of it.
            most = int(getattr(read, "nb_max_samples", 0)) or None
            sounds = [resampled(sound.mono, sound.rate, rate)[:most] for sound in items]
            found = read(sounds, sampling_rate=rate, return_tensors="pt", padding=True)
            return {"input_features": found["input_features"]}
        # SigLIP learned from texts of full length, and batches of one length are told apart by nothing.
        full = batched or self.family.startswith("siglip")
        longest = min(int(read.model_max_length), _positions(self._model.config) or LONGEST)
        found = read(
            [str(text) for text in items],
            return_tensors="pt",
            padding="max_length" if full else False,
            truncation=True,
            max_length=longest,
        )
        return {key: found[key] for key in ("input_ids", "attention_mask") if key in found}


def _positions(config: Any) -> int:
    """The most tokens that the text half takes; RoBERTa counts its places from two."""
    text = getattr(config, "text_config", config)
    places = int(getattr(text, "max_position_embeddings", 0))
    return places - 2 if "roberta" in str(getattr(text, "model_type", "")) or config.model_type == "clap" else places


def _kinds(config: Mapping[str, Any]) -> tuple[str, ...]:
    """The kinds of items that a model embeds, by its config."""
    if "text_config" in config and "vision_config" in config:
        return ("text", "image")
    if "text_config" in config and "audio_config" in config:
        return ("text", "audio")
    sees = {"image_size", "patch_size", "num_channels"} & config.keys()
    return ("image",) if sees and "vocab_size" not in config else ()
