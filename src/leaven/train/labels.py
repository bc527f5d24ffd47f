"""Labels of a batch as shares: n x k, which mixing leaves summing to what they summed to."""

from __future__ import annotations

from typing import Any

from leaven.errors import DataError


def as_shares(labels: Any, classes: int | None, images: Any) -> Any:
    """n x k floats of the images' kind: given as such, or as n whole numbers and ``classes``, one-hot in float32."""
    if len(labels) != len(images):
        raise DataError(f"there are {len(images)} images and {len(labels)} labels.", "give one label an image.")
    whole = "int" in str(labels.dtype)
    if labels.ndim == 2 and not whole:
        return labels
    if labels.ndim != 1 or not whole:
        raise DataError(
            f"labels are {labels.dtype} {tuple(labels.shape)}; mixing takes n whole numbers or n x k floats.",
            "labels=one_hot.float(), or labels=indices with classes=k",
        )
    if classes is None:
        raise DataError("labels are whole numbers, and how many classes there are is not said.", "classes=10")
    if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < classes:
        raise DataError(
            f"labels go from {int(labels.min())} to {int(labels.max())}; {classes} classes are 0 to {classes - 1}.",
            f"classes={int(labels.max()) + 1}",
        )
    if hasattr(labels, "new_zeros"):
        import torch

        return torch.eye(classes, device=labels.device)[labels.long()]
    import numpy as np

    return np.eye(classes, dtype=np.float32)[labels]
