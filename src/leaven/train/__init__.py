"""What runs inside a training loop: batches mixed, rows drawn anew each epoch, and modules that change features.

The batch functions take tensors of torch or arrays of numpy, whatever the images are; none of them needs torch to be
installed.  ``Drawn`` is a dataset as ``torch.utils.data.DataLoader`` takes it.  Modules and losses need torch, and load
it when they are first named.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from leaven.errors import MissingExtra
from leaven.train.batch import cutmix, mixup
from leaven.train.calibration import Calibration, tukey
from leaven.train.counterfactual import counterfactual_loss
from leaven.train.drawn import Drawn
from leaven.train.feature_mixing import (
    change_selected,
    drop_features,
    drop_modalities,
    extrapolate_features,
    interpolate_features,
    noise_features,
)
from leaven.train.modalities import cut_switch
from leaven.train.pairs import mixgen, mixgen_batch
from leaven.train.rising_cut import RisingCut
from leaven.train.sequence_distillation import sequence_distillation

if TYPE_CHECKING:
    from leaven.train.aligned import DomainAdversary, reversal_schedule
    from leaven.train.bilevel_weights import BilevelWeights, reverse_cross_entropy
    from leaven.train.diffusion_views import DiffusionViews, info_nce
    from leaven.train.distillation import distillation_loss
    from leaven.train.divergence import jensen_shannon, normal_kl
    from leaven.train.feature_statistics import MixStyle, StatisticsNoise, feature_importance
    from leaven.train.gan_bert import GanBert
    from leaven.train.gradients import scale_gradient
    from leaven.train.lemda import AttentionVae, LeMDA, MlpVae
    from leaven.train.loop import Batches, alone, fit, warm_and_fall
    from leaven.train.manifold_mixup import ManifoldMixup
    from leaven.train.sluma import distance_smoothing, pseudo_label_loss
    from leaven.train.tmmda import TMMDA, token_mix
    from leaven.train.xmda import cross_modality_mixup, forced_alignment, xmda_loss

OF_TORCH = {
    "TMMDA": "tmmda",
    "AttentionVae": "lemda",
    "Batches": "loop",
    "BilevelWeights": "bilevel_weights",
    "DiffusionViews": "diffusion_views",
    "DomainAdversary": "aligned",
    "GanBert": "gan_bert",
    "LeMDA": "lemda",
    "ManifoldMixup": "manifold_mixup",
    "MixStyle": "feature_statistics",
    "MlpVae": "lemda",
    "StatisticsNoise": "feature_statistics",
    "alone": "loop",
    "cross_modality_mixup": "xmda",
    "distance_smoothing": "sluma",
    "distillation_loss": "distillation",
    "feature_importance": "feature_statistics",
    "fit": "loop",
    "forced_alignment": "xmda",
    "info_nce": "diffusion_views",
    "jensen_shannon": "divergence",
    "normal_kl": "divergence",
    "pseudo_label_loss": "sluma",
    "reversal_schedule": "aligned",
    "reverse_cross_entropy": "bilevel_weights",
    "scale_gradient": "gradients",
    "token_mix": "tmmda",
    "warm_and_fall": "loop",
    "xmda_loss": "xmda",
}
"""Where the names that need torch are found."""

__all__ = [
    "TMMDA",
    "AttentionVae",
    "Batches",
    "BilevelWeights",
    "Calibration",
    "DiffusionViews",
    "DomainAdversary",
    "Drawn",
    "GanBert",
    "LeMDA",
    "ManifoldMixup",
    "MixStyle",
    "MlpVae",
    "RisingCut",
    "StatisticsNoise",
    "alone",
    "change_selected",
    "counterfactual_loss",
    "cross_modality_mixup",
    "cut_switch",
    "cutmix",
    "distance_smoothing",
    "distillation_loss",
    "drop_features",
    "drop_modalities",
    "extrapolate_features",
    "feature_importance",
    "fit",
    "forced_alignment",
    "info_nce",
    "interpolate_features",
    "jensen_shannon",
    "mixgen",
    "mixgen_batch",
    "mixup",
    "noise_features",
    "normal_kl",
    "pseudo_label_loss",
    "reversal_schedule",
    "reverse_cross_entropy",
    "scale_gradient",
    "sequence_distillation",
    "token_mix",
    "tukey",
    "warm_and_fall",
    "xmda_loss",
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
