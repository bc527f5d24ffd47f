"""What all models that read texts share here: weights that are all there, and how much they read at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from leaven.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from leaven.models.backends.local.local import Local

LONGEST = 100_000
"""A tokenizer that knows no limit says a number far above this one."""


def read(local: Local, kind: Any) -> Any:
    """The model on the device of ``local``, ready to be asked.

    Raises ModelError where the files lack some of its weights: those would be drawn at random.
    """
    model, found = local.weights.read(kind, use_safetensors=True, dtype=local.dtype, output_loading_info=True)
    missing = sorted(found["missing_keys"])
    if missing:
        raise ModelError(
            f"{local.uri} lacks {len(missing)} of the weights that this role needs, such as {missing[0]}.",
            "name a model that was trained for it, not the one that it was trained from.",
        )
    return model.to(local.device).train(False)


def room(tokenizer: Any, model: Any) -> int | None:
    """The most tokens that a text may have, marks at its ends included; None where nothing says."""
    config = model.config
    known = [int(n) for n in (tokenizer.model_max_length, getattr(config, "n_positions", None)) if n and n < LONGEST]
    places = getattr(config, "max_position_embeddings", None)
    if places:
        # RoBERTa and its kin number places from after the one of padding.
        skipped = next((module.padding_idx for module in _places(model) if module.padding_idx is not None), -1)
        known.append(int(places) - skipped - 1)
    return min(known, default=None)


def _places(model: Any) -> Sequence[Any]:
    from torch.nn import Embedding

    named = model.named_modules()
    return [module for name, module in named if name.endswith("position_embeddings") and isinstance(module, Embedding)]
