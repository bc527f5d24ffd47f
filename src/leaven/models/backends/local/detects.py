"""Detectors that play ``detect``: OWL-ViT, OWLv2 and Grounding DINO find any phrase, DETR and its kin their own labels.

OWL-ViT gives each place one of the phrases that it is asked.  Grounding DINO gives tokens of a sentence, which may run
over two phrases; so it is asked phrase by phrase.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from leaven.errors import ModelError, listed
from leaven.models.backends.local.local import Local
from leaven.models.backends.local.pictures import pillow
from leaven.models.calls import Answer, Ask, CallFailed

if TYPE_CHECKING:
    from leaven.models.backends.local.weights import Weights
    from leaven.models.roles import Box

    Found = list[tuple[list[float], str, float]]
    """For one image: corners (x0, y0, x1, y1) in pixels, what it is, and how sure the model is."""

OWLS = ("owlvit", "owlv2")
GROUNDED = ("grounding-dino", "mm-grounding-dino")
CLOSED = "ForObjectDetection"
"""How the class of a detector with labels of its own ends."""
DIGITS = 2
"""Of a pixel: a hundredth."""


class Detects(Local):
    """Plays ``transformers:FOLDER`` for the role ``detect``.  Raises ModelError for what is no detector."""

    def __init__(self, weights: Weights) -> None:
        super().__init__(weights)
        self.own: dict[str, str] = {}
        """Labels that it was trained on, by how they are written in small letters; empty where it takes any phrase."""
        if weights.family not in OWLS + GROUNDED:
            if not any(str(name).endswith(CLOSED) for name in weights.config.get("architectures") or ()):
                raise ModelError(
                    f"{weights.uri} is a model of type `{weights.family}`, which finds nothing in images.",
                    "name OWL-ViT, OWLv2 or Grounding DINO for any phrase, or DETR, YOLOS and their kin for their own.",
                    where="detect",
                )
            labels: Mapping[str, str] = weights.config.get("id2label") or {}
            self.own = {str(label).casefold(): str(label) for label in labels.values()}

    def load(self) -> None:
        import torch
        import transformers

        self.dtype = torch.float32  # half a number is off by pixels in a place
        open_to_all = transformers.AutoModelForZeroShotObjectDetection
        kind = transformers.AutoModelForObjectDetection if self.own else open_to_all
        model = self.weights.read(kind, use_safetensors=True, dtype=self.dtype)
        self._model: Any = model.train(False).to(self.device)
        # Pillow's way: the same pixels on every machine, with torchvision or without.
        self._eye: Any = self.weights.read(transformers.AutoImageProcessor, backend="pil")
        self._words: Any = None if self.own else self.weights.read(transformers.AutoTokenizer)

    def unload(self) -> None:
        self._model = self._eye = self._words = None

    def kind(self, ask: Ask) -> Hashable:
        return ask.role, tuple(ask.content["phrases"]), ask.content["at_least"]

    def answers(self, asks: Sequence[Ask]) -> list[Answer | CallFailed]:
        content = asks[0].content
        phrases = [phrase for phrase in dict.fromkeys(str(phrase).strip() for phrase in content["phrases"]) if phrase]
        if self.own and phrases and not self._known(phrases):
            return [CallFailed("unknown_phrase", self._unknown(phrases)) for _ in asks]
        images = [pillow(ask.media[ask.content["image"]]) for ask in asks]
        found: list[Found] = self._seen(images, phrases) if phrases else [[] for _ in images]
        return [
            Answer(json.dumps(boxes(seen, image.size, float(content["at_least"])), ensure_ascii=False))
            for image, seen in zip(images, found, strict=True)
        ]

    def _seen(self, images: Sequence[Any], phrases: Sequence[str]) -> list[Found]:
        """What is where in each image, every place that the model looked at."""
        given = self._eye(list(images), return_tensors="pt")
        pixels = {"pixel_values": given["pixel_values"].to(self.device, self.dtype)}
        if "pixel_mask" in given:
            pixels["pixel_mask"] = given["pixel_mask"].to(self.device)
        if self.own:
            return self._labelled(images, pixels, self._known(phrases))
        found: list[Found] = [[] for _ in images]
        for some in [list(phrases)] if self.weights.family in OWLS else [[phrase] for phrase in phrases]:
            for seen, more in zip(found, self._asked(images, pixels, some), strict=True):
                seen += more
        return found

    def _asked(self, images: Sequence[Any], pixels: Mapping[str, Any], phrases: list[str]) -> list[Found]:
        """Each place as the one of the phrases that fits it best."""
        owl = self.weights.family in OWLS
        # Grounding DINO reads sentences in small letters that end in a dot.
        texts = phrases if owl else [f"{phrase.lower().rstrip('.')}." for phrase in phrases]
        how = {"padding": "max_length"} if owl else {}
        read = self._words(texts * len(images), return_tensors="pt", truncation=True, **how).to(self.device)
        said = self._model(**read, **pixels)
        scores, which = said.logits.float().sigmoid().max(dim=-1)
        places = said.pred_boxes.float().cpu().tolist()  # centre, width and height, as shares of the image
        found: list[Found] = []
        for image, rows, sure, best in zip(images, places, scores.tolist(), which.tolist(), strict=True):
            # OWLv2 looks at the image in the upper left corner of a square.
            wide, high = (max(image.size),) * 2 if self.weights.family == "owlv2" else image.size
            corners = [
                [(x - w / 2) * wide, (y - h / 2) * high, (x + w / 2) * wide, (y + h / 2) * high] for x, y, w, h in rows
            ]
            names = [phrases[i] for i in best] if owl else phrases * len(corners)
            found.append(list(zip(corners, names, sure, strict=True)))
        return found

    def _labelled(self, images: Sequence[Any], pixels: Mapping[str, Any], known: Mapping[str, str]) -> list[Found]:
        """What a detector with labels of its own sees of those that are asked for."""
        said = self._model(**pixels)
        sizes = [(image.height, image.width) for image in images]
        kinds = self._model.config.id2label
        found: list[Found] = []
        for one in self._eye.post_process_object_detection(said, threshold=0.0, target_sizes=sizes):
            names = [known.get(str(kinds[i]), "") for i in one["labels"].tolist()]
            rows = zip(one["boxes"].float().tolist(), names, one["scores"].float().tolist(), strict=True)
            found.append([(corners, name, score) for corners, name, score in rows if name])
        return found

    def _known(self, phrases: Sequence[str]) -> dict[str, str]:
        """Its own label to the phrase that asks for it."""
        return {self.own[phrase.casefold()]: phrase for phrase in phrases if phrase.casefold() in self.own}

    def _unknown(self, phrases: Sequence[str]) -> str:
        some = sorted(self.own.values())
        more = f" and {len(some) - 8} more" if len(some) > 8 else ""
        return f"{self.uri} does not know {listed(phrases)}; it finds {', '.join(some[:8])}{more}"


def boxes(found: Found, size: tuple[int, int], at_least: float) -> list[Box]:
    """What a model is sure enough of, cut off at the edges of the image, the surest first; empty boxes are left out."""
    kept: list[Box] = []
    for corners, label, sure in found:
        score = round(sure, 6)
        x0, y0, x1, y1 = (
            round(min(max(place, 0.0), float(side)), DIGITS) for place, side in zip(corners, size * 2, strict=True)
        )
        w, h = round(x1 - x0, DIGITS), round(y1 - y0, DIGITS)
        if score >= at_least and w > 0 and h > 0:
            kept.append({"x": x0, "y": y0, "w": w, "h": h, "label": label, "score": score})
    return sorted(kept, key=lambda box: (-box["score"], box["y"], box["x"], box["h"], box["w"], box["label"]))
