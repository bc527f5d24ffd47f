"""What runs inside a training loop: batches mixed, rows drawn anew each epoch, and modules that change features.

The batch functions take tensors of torch or arrays of numpy, whatever the images are; none of them needs torch to be
installed.  ``Drawn`` is a dataset as ``torch.utils.data.DataLoader`` takes it.  Modules and losses need torch, and load
it when they are first named.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from leaven.errors import MissingExtra
from leaven.train.batch import cutmix, mixup
from leaven.train.counterfactual import counterfactual_loss
from leaven.train.drawn import Drawn
from leaven.train.modalities import cut_switch
from leaven.train.pairs import mixgen, mixgen_batch
from leaven.train.rising_cut import RisingCut

if TYPE_CHECKING:
    from leaven.train.divergence import jensen_shannon, normal_kl
    from leaven.train.gradients import scale_gradient
    from leaven.train.loop import Batches, alone, fit, warm_and_fall

OF_TORCH = {
    "Batches": "loop",
    "alone": "loop",
    "fit": "loop",
    "jensen_shannon": "divergence",
    "normal_kl": "divergence",
    "scale_gradient": "gradients",
    "warm_and_fall": "loop",
}
"""Where the names that need torch are found."""

__all__ = [
    "Batches",
    "Drawn",
    "RisingCut",
    "alone",
    "counterfactual_loss",
    "cut_switch",
    "cutmix",
    "fit",
    "jensen_shannon",
    "mixgen",
    "mixgen_batch",
    "mixup",
    "normal_kl",
    "scale_gradient",
    "warm_and_fall",
]


def __getattr__(name: str) -> Any:
    if name not in OF_TORCH:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(import_module(f"{__name__}.{OF_TORCH[name]}"), name)
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise MissingExtra(f"leaven.train.{name} needs the extra `torch`.", 'pip install "leaven[torch]"') from None
