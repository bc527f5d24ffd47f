"""SAM and SAM-HQ, which play ``segment``: from a box to the pixels of what stands in it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from leaven.errors import ModelError
from leaven.media.image import Image
from leaven.models.backends.local.local import Local
from leaven.models.backends.local.pictures import pillow
from leaven.models.calls import Answer, Ask, CallFailed

if TYPE_CHECKING:
    from leaven.models.backends.local.weights import Weights

KNOWN = ("sam", "sam_hq")
OTHERS = ("sam2", "sam2_video", "sam3", "sam3_video", "sam3_tracker", "edgetam", "edgetam_video")
"""Those that take a box too, but whose processors want torchvision."""


KEPT = 16
"""Images of which is kept what the encoder made of them: four megabytes each."""


class Segments(Local):
    """Plays ``transformers:FOLDER`` for the role ``segment``.  Raises ModelError for what takes no box."""

    def __init__(self, weights: Weights) -> None:
        super().__init__(weights)
        if weights.family not in KNOWN:
            why = "whose processor needs torchvision" if weights.family in OTHERS else "which is asked with no box"
            raise ModelError(
                f"{weights.uri} is a model of type `{weights.family}`, {why}.",
                "name SAM or SAM-HQ, which mark what stands in a box.",
                where="segment",
            )

        self._looked: dict[str, Any] = {}
        """What the encoder made of the last images, by their hashes."""
        self._lock = threading.Lock()

    def load(self) -> None:
        import torch
        import transformers

        self.dtype = torch.float32  # half a number is off by pixels in the corners of a box
        kind = transformers.AutoModelForMaskGeneration
        model = self.weights.read(kind, use_safetensors=True, dtype=self.dtype)
        self._model: Any = model.train(False).to(self.device)
        # Pillow's way: the same pixels on every machine, with torchvision or without.
        self._eye: Any = self.weights.read(transformers.AutoImageProcessor, backend="pil")

    def unload(self) -> None:
        self._model = self._eye = None
        self._looked.clear()

    def answers(self, asks: Sequence[Ask]) -> list[Answer | CallFailed]:
        import torch

        images = [pillow(ask.media[ask.content["image"]]) for ask in asks]
        windows = [within(ask.content["box"], image.size) for ask, image in zip(asks, images, strict=True)]
        given = self._eye(images, return_tensors="pt")
        sizes, reshaped = given["original_sizes"], given["reshaped_input_sizes"]
        corners = [
            [[(window or (0, 0, *image.size))[i] * (new[1 - i % 2] / old[1 - i % 2]) for i in range(4)]]
            for window, image, new, old in zip(windows, images, reshaped.tolist(), sizes.tolist(), strict=True)
        ]
        pixels = given["pixel_values"].to(self.device, self.dtype)
        said = self._model(
            **self._seen([ask.content["image"] for ask in asks], pixels),
            input_boxes=torch.tensor(corners, dtype=self.dtype, device=self.device),
        )
        masks = self._eye.post_process_masks(said.pred_masks.float().cpu(), sizes, reshaped)
        best = said.iou_scores.float().cpu().argmax(dim=-1).tolist()
        return [
            Answer("", media=Image.of_codes(mask[0, which].numpy().astype("uint8")))
            if window
            else CallFailed("no_box", "the box holds no pixel of the image")
            for mask, [which], window in zip(masks, best, windows, strict=True)
        ]

    def _seen(self, names: Sequence[str], pixels: Any) -> dict[str, Any]:
        """What the model is given of the images: most of its work, done once for the boxes of an image."""
        import torch

        if self.weights.family != "sam":  # SAM-HQ looks at more than the last of its layers
            return {"pixel_values": pixels}
        found = []
        for name, one in zip(names, pixels.split(1), strict=True):
            with self._lock:
                known = self._looked.get(name)
            if known is None:
                known = self._model.get_image_embeddings(one)
                with self._lock:
                    while len(self._looked) >= KEPT:
                        del self._looked[next(iter(self._looked))]
                    self._looked[name] = known
            found.append(known)
        return {"image_embeddings": torch.cat(found)}


def within(box: Sequence[float], size: tuple[int, int]) -> tuple[float, float, float, float] | None:
    """The corners of a box (x, y, w, h), cut off at the edges of the image; None where nothing is left."""
    x, y, w, h = box
    x0, y0, x1, y1 = max(x, 0.0), max(y, 0.0), min(x + w, float(size[0])), min(y + h, float(size[1]))
    return (x0, y0, x1, y1) if x1 > x0 and y1 > y0 else None
