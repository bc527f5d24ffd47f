"""Models that play ``map``: a number for every pixel of an image, its depth or its class."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from leaven.errors import ModelError
from leaven.media.image import Image
from leaven.models.backends.local.local import Local
from leaven.models.backends.local.pictures import pillow
from leaven.models.calls import Answer, Ask, CallFailed

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from leaven.models.backends.local.weights import Weights

    Codes = NDArray[np.uint16]

DEPTH, CLASSES = "ForDepthEstimation", "ForSemanticSegmentation"
"""How the names of their classes end."""
KNOWN = {
    DEPTH: ("dpt", "depth_anything", "glpn"),
    CLASSES: ("segformer", "beit", "data2vec-vision", "dpt", "upernet"),
}
"""Those whose processors work without torchvision and see the whole image."""
METRE = 1000.0
"""What a metre counts where nobody says: millimetres, as most sets of rooms are kept."""
MOST = 65535
"""The greatest number of a PNG of 16 bits."""


class Maps(Local):
    """Plays ``transformers:FOLDER`` for the role ``map``.  Raises ModelError for what gives no number for a pixel.

    Depths of a model that measures in metres (GLPN, the metric models of Depth Anything) are whole parts of a metre, as
    many as the call says, 1000 where it does not; what is farther than 65535 of them stands at 65535.  Others know only
    which is nearer than which: these run from 0 to the call's ``top`` within each image, and for DPT and Depth Anything
    the nearest is the greatest.  Classes are the model's own numbers.
    """

    def __init__(self, weights: Weights) -> None:
        super().__init__(weights)
        names = [str(name) for name in weights.config.get("architectures") or ()]
        self.gives = next((end for end in KNOWN if any(name.endswith(end) for name in names)), "")
        if weights.family not in KNOWN.get(self.gives, ()):
            why = "whose processor needs torchvision, or cuts the image" if self.gives else "which gives no map"
            raise ModelError(
                f"{weights.uri} is a model of type `{weights.family}`, {why}.",
                "name DPT, Depth Anything or GLPN for depths, or SegFormer, BEiT, UPerNet or DPT for classes.",
                where="map",
            )
        self.metric = self.gives == DEPTH and measures(weights.config)

    def load(self) -> None:
        import torch
        import transformers

        self.dtype = torch.float32  # bfloat16 has 256 steps between two powers of two: depths would come in terraces
        depth = self.gives == DEPTH
        kind = transformers.AutoModelForDepthEstimation if depth else transformers.AutoModelForSemanticSegmentation
        model = self.weights.read(kind, use_safetensors=True, dtype=self.dtype)
        self._model: Any = model.train(False).to(self.device)
        # Pillow's way: the same pixels on every machine, with torchvision or without.
        self._eye: Any = self.weights.read(transformers.AutoImageProcessor, backend="pil")

    def unload(self) -> None:
        self._model = self._eye = None

    def kind(self, ask: Ask) -> Hashable:
        return ask.role, ask.content["top"], ask.content.get("metre")

    def answers(self, asks: Sequence[Ask]) -> list[Answer | CallFailed]:
        import torch

        metre, top = asks[0].content.get("metre"), int(asks[0].content["top"])
        if metre is not None and not self.metric:
            said = "gives classes" if self.gives == CLASSES else "tells only what is nearer"
            raise ModelError(
                f"{self.uri} {said}, and metres are asked for.",
                "name GLPN or a metric Depth Anything, or leave `metre` out.",
                where="map",
            )
        images = [pillow(ask.media[ask.content["image"]]) for ask in asks]
        seen = [self._eye(image, return_tensors="pt")["pixel_values"] for image in images]
        found: dict[int, Any] = {}
        for shape in dict.fromkeys(one.shape for one in seen):  # some processors keep the ratio of the sides
            alike = [i for i, one in enumerate(seen) if one.shape == shape]
            said = self._model(pixel_values=torch.cat([seen[i] for i in alike]).to(self.device, self.dtype))
            rows = said.predicted_depth[:, None] if self.gives == DEPTH else said.logits
            found.update(zip(alike, rows.float().cpu(), strict=True))
        return [self._answer(found[i], image.size, metre, top) for i, image in enumerate(images)]

    def _answer(self, rows: Any, size: tuple[int, int], metre: float | None, top: int) -> Answer | CallFailed:
        """What the model said of one image (1 or classes x height x width) in the image's own size, as numbers."""
        from torch.nn.functional import interpolate

        wide, high = size
        mode = "bicubic" if self.gives == DEPTH else "bilinear"
        whole = interpolate(rows[None], size=(high, wide), mode=mode, align_corners=False)[0]
        if self.gives == CLASSES:
            return Answer("", media=Image.of_codes(whole.argmax(dim=0).numpy()))
        depth = whole[0].double().numpy()
        if not (depth == depth).all() or abs(depth).max() == float("inf"):
            return CallFailed("no_answer", f"{self.uri} gave no number for some pixels")
        return Answer("", media=Image.of_codes(metres(depth, metre or METRE) if self.metric else ranked(depth, top)))


def measures(config: Mapping[str, Any]) -> bool:
    """Whether a model of depths gives metres, by its config."""
    return config.get("model_type") == "glpn" or config.get("depth_estimation_type") == "metric"


def metres(depth: NDArray[np.float64], metre: float) -> Codes:
    """Depths in metres (height x width) as whole numbers, ``metre`` a metre."""
    import numpy as np

    found: Codes = np.clip(np.rint(depth * metre), 0, MOST).astype(np.uint16)
    return found


def ranked(depth: NDArray[np.float64], top: int) -> Codes:
    """Depths of any unit as whole numbers from 0, the image's least, to ``top``; all 0 where they are equal."""
    import numpy as np

    low, high = depth.min(), depth.max()
    found: Codes = np.rint((depth - low) * (top / (high - low) if high > low else 0.0)).astype(np.uint16)
    return found
