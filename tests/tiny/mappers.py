"""DPT, Depth Anything, GLPN and SegFormer in folders: a depth or a class for every pixel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tiny.encoders import HALF, spread

SIDE = {"height": 64, "width": 64}
STAGES = {"hidden_sizes": [8, 8, 16, 16], "depths": [1, 1, 1, 1], "num_attention_heads": [1, 1, 2, 2]}
NECK = {"neck_hidden_sizes": [8, 8, 16, 16], "fusion_hidden_size": 16}


def dpt(folder: Path) -> Path:
    """Depths of no unit."""
    from transformers import DPTConfig, DPTForDepthEstimation

    return _saved(folder, DPTForDepthEstimation(DPTConfig(**_dpt())))


def dpt_classes(folder: Path) -> Path:
    from transformers import DPTConfig, DPTForSemanticSegmentation

    return _saved(folder, DPTForSemanticSegmentation(DPTConfig(**_dpt(), num_labels=4, use_auxiliary_head=False)))


def _dpt() -> dict[str, Any]:
    shape = {**HALF, "num_hidden_layers": 4, "image_size": 64, "patch_size": 16}
    return {**shape, **NECK, "backbone_out_indices": [0, 1, 2, 3], "is_hybrid": False}


def depth_anything(folder: Path, *, metric: bool = False) -> Path:
    """Its processor keeps the ratio of the sides; the metric one measures up to 20 metres."""
    from transformers import DepthAnythingConfig, DepthAnythingForDepthEstimation, Dinov2Config

    sees = Dinov2Config(
        hidden_size=32, num_hidden_layers=4, num_attention_heads=4, image_size=56, patch_size=14,
        reshape_hidden_states=False, out_features=["stage1", "stage2", "stage3", "stage4"],
    )  # fmt: skip
    kind = {"depth_estimation_type": "metric", "max_depth": 20} if metric else {}
    shape = {**NECK, "patch_size": 14, "reassemble_hidden_size": 32, "head_hidden_size": 8}
    config = DepthAnythingConfig(backbone_config=sees, **shape, **kind)
    side = {"height": 56, "width": 56}
    return _saved(
        folder, DepthAnythingForDepthEstimation(config), size=side, keep_aspect_ratio=True, ensure_multiple_of=14
    )


def _saved(folder: Path, model: Any, **eye: Any) -> Path:
    from transformers import DPTImageProcessorPil

    spread(model)
    if hasattr(model.head, "conv3"):
        model.head.conv3.bias.data.fill_(1.0)  # before the last ReLU: else the depth is 0 everywhere
    elif "Depth" in type(model).__name__:
        model.head.head[-2].bias.data.fill_(1.0)
    model.save_pretrained(folder)
    DPTImageProcessorPil(**{"size": SIDE, **eye}).save_pretrained(folder)
    return folder


def glpn(folder: Path) -> Path:
    """Depths of up to 10 metres."""
    from transformers import GLPNConfig, GLPNForDepthEstimation, GLPNImageProcessorPil

    spread(GLPNForDepthEstimation(GLPNConfig(**STAGES, decoder_hidden_size=16))).save_pretrained(folder)
    GLPNImageProcessorPil().save_pretrained(folder)
    return folder


def segformer(folder: Path) -> Path:
    from transformers import SegformerConfig, SegformerForSemanticSegmentation, SegformerImageProcessorPil

    labels = dict(enumerate(("sky", "road", "car", "tree")))
    config = SegformerConfig(**STAGES, decoder_hidden_size=16, id2label=labels)
    spread(SegformerForSemanticSegmentation(config)).save_pretrained(folder)
    SegformerImageProcessorPil(size=SIDE).save_pretrained(folder)
    return folder
