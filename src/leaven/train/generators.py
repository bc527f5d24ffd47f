"""Where the draws of a batch come from: a generator of numpy or torch, always one that the caller holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from leaven.errors import DataError

if TYPE_CHECKING:
    import numpy as np


def rng_of(generator: Any) -> np.random.Generator:
    """Random numbers for one batch.

    A numpy Generator is taken as it is; of a torch Generator 63 bits are drawn, which key a numpy one: so the draws are
    the same for arrays and tensors, on every device.
    """
    import numpy as np

    if isinstance(generator, np.random.Generator):
        return generator
    if type(generator).__module__.partition(".")[0] == "torch" and hasattr(generator, "initial_seed"):
        import torch

        key = torch.randint(2**63 - 1, (1,), generator=generator, device=generator.device)
        return np.random.Generator(np.random.Philox(key=int(key)))
    raise DataError(
        f"the generator is of type {type(generator).__name__}; draws come from one of torch or numpy.",
        "generator=torch.Generator().manual_seed(0)",
    )
