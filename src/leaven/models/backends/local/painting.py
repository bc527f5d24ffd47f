"""What pipelines of diffusers can do with a prompt and images, read off their folders before anything is loaded."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leaven.errors import MissingExtra, ModelError, listed

if TYPE_CHECKING:
    from leaven.models.backends.local.weights import Weights

BEGIN = "StableDiffusion"
WAYS = {
    frozenset({"text"}): "Pipeline",
    frozenset({"image"}): "Img2ImgPipeline",
    frozenset({"mask"}): "InpaintPipeline",
    frozenset({"instruct"}): "InstructPix2PixPipeline",
    frozenset({"text", "control"}): "ControlNetPipeline",
    frozenset({"image", "control"}): "ControlNetImg2ImgPipeline",
    frozenset({"mask", "control"}): "ControlNetInpaintPipeline",
    frozenset({"text", "boxes"}): "GLIGENPipeline",
}
"""What is asked, and the end of the name of the class that does it; ``XL`` stands before the end for that family."""
KNOWN = [f"{BEGIN}{family}{end}" for family in ("", "XL") for end in WAYS.values() if (family, end[:2]) != ("XL", "GL")]
CHANNELS = {4: {"text", "image", "mask"}, 8: {"instruct"}, 9: {"mask"}}
"""What a network can do by the numbers it takes for a point: those of the noise, then of an image, then of a mask."""
WOULD = {
    "text": "a text-to-image pipeline does",
    "image": "a text-to-image pipeline does",
    "mask": "an inpainting or a text-to-image pipeline does",
    "instruct": "an InstructPix2Pix pipeline does; without `instruct` the image is painted over",
    "control": "a ControlNet does: diffusers:FOLDER?controlnet=FOLDER2",
    "boxes": "a GLIGEN pipeline does",
    "like": "an IP-Adapter does: diffusers:FOLDER?ip_adapter=FOLDER2",
}
SAID = {
    "text": "paints nothing from a prompt alone",
    "image": "does not paint over a whole image",
    "mask": "does not paint into a part of an image",
    "instruct": "does not follow instructions about an image",
    "control": "takes no image to be steered by",
    "boxes": "takes no boxes",
    "like": "takes no image as a prompt",
}


def asked(content: Mapping[str, Any]) -> frozenset[str]:
    """What a call wants to be done.

    >>> sorted(asked({"prompt": "a car", "image": "1f", "control": "2e", "boxes": []}))
    ['control', 'image']
    """
    begin = next((way for way in ("instruct", "mask", "image") if content.get(way)), "text")
    return frozenset({begin, *(more for more in ("control", "boxes", "like") if content.get(more))})


def family(weights: Weights) -> str:
    """``""`` or ``"XL"``.  Raises ModelError for a pipeline that is not known."""
    name = str(weights.config.get("_class_name", ""))
    if name not in KNOWN:
        raise ModelError(
            f"{weights.uri} is {'a ' + name if name else 'no pipeline'}, which is not known to paint.",
            f"name one of {listed(KNOWN)}.",
        )
    return "XL" if name.startswith(BEGIN + "XL") else ""


def can(weights: Weights, beside: Mapping[str, Any]) -> frozenset[str]:
    """What a pipeline honours, with what stands beside it (``controlnet``, ``ip_adapter``)."""
    network = part(weights, "unet")
    found = set(CHANNELS.get(int(network.get("in_channels", 4)), {"text", "image", "mask"}))
    if weights.config.get("controlnet") or "controlnet" in beside:
        found.add("control")
    if str(network.get("attention_type", "")).startswith("gated") and not family(weights):
        found.add("boxes")
    if "ip_adapter" in beside:
        found.add("like")
    return frozenset(found)


def class_of(kind: str, wanted: frozenset[str], able: frozenset[str], uri: str) -> str:
    """The class of diffusers that does what is wanted.

    Raises ModelError, which names what would do it, where the pipeline cannot or no class does all of it at once.
    """
    for way in (*WOULD,):
        if way in wanted - able:
            raise ModelError(f"{uri} {SAID[way]}.", f"{WOULD[way]}.")
    end = WAYS.get(wanted - {"like"})
    apart = [{"like", "boxes"}, *([{"like", "instruct"}] if kind else [])]
    if end is None or any(both <= wanted for both in apart):
        raise ModelError(
            f"no pipeline of diffusers does {listed(sorted(wanted))} in one.", "leave out one of them, or do it in two."
        )
    return f"{BEGIN}{kind}{end}"


def part(weights: Weights, name: str) -> Mapping[str, Any]:
    """The config of a part of a pipeline; empty where there is none."""
    if weights.revision is None:
        file = Path(weights.place) / name / "config.json"
    else:
        try:
            from huggingface_hub import hf_hub_download
        except ImportError:
            raise MissingExtra(f"{weights.uri} needs the extra `torch`.", 'pip install "leaven[torch]"') from None
        try:
            file = Path(hf_hub_download(weights.place, f"{name}/config.json", revision=weights.revision))
        except Exception:  # of many kinds; loading says what is wrong
            return {}
    try:
        found = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
