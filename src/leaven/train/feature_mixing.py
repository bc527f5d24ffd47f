"""Features of a batch changed under the label that they have: drawn together or apart, shaken, left out.

Features are what an encoder gave or a layer gives: n x d, or n x channels x ... .  Between rows of different labels,
``leaven.train.mixup`` mixes features as it mixes images, and the labels with them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from leaven import mixing
from leaven.errors import DataError
from leaven.train.generators import rng_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def interpolate_features(features: Any, labels: Any, *, generator: Any, lam: float = 0.5) -> Any:
    """Each row moved by the share ``lam`` of the way towards another row of its label: x_i + lam (x_j - x_i).

    ``features``: n x ... floats, a tensor or an array; ``labels``: n whole numbers.  j is drawn for each row from the
    others of its label in the batch; a row that is alone stays as it is.  Same shape and type; labels stay true, so
    they are not given back.  Gradients reach both rows.  Source: DeVries and Taylor 2017 (arXiv:1702.05538), who draw
    from the ten nearest rows of the label in the whole set.
    """
    return _towards("interpolate_features", features, labels, lam, 1, generator)


def extrapolate_features(features: Any, labels: Any, *, generator: Any, lam: float = 0.5) -> Any:
    """Each row moved away from another row of its label: x_i + lam (x_i - x_j); all else as ``interpolate_features``.

    The better of the two in the paper, since it widens what a label covers.
    """
    return _towards("extrapolate_features", features, labels, lam, -1, generator)


def noise_features(features: Any, *, generator: Any, strength: float = 0.5, spread: Any = None) -> Any:
    """Normal noise, for each feature ``strength`` times its standard deviation.

    ``features``: n x ... floats.  ``spread``: the standard deviation of each feature over the whole set, of the shape
    of a row; where left out, that of the batch (so a batch of one row stays).  No gradient goes through the spread.
    Same shape and type.
    Source: DeVries and Taylor 2017 (arXiv:1702.05538), with 0.5.
    """
    _check_floats("noise_features", features)
    if not strength >= 0:
        raise DataError(f"strength is {strength}; it is 0 or more.", "strength=0.5")
    if spread is None:
        still = features.detach() if hasattr(features, "detach") else features
        spread = ((still - still.mean(0)) ** 2).mean(0) ** 0.5
    elif tuple(spread.shape) != tuple(features.shape[1:]):
        raise DataError(
            f"the spread is {tuple(spread.shape)}, and a row of features is {tuple(features.shape[1:])}.",
            "spread = all_features.std(0)",
        )
    drawn = rng_of(generator).standard_normal(tuple(features.shape), dtype="float32")
    out = features + _like(drawn, features) * (strength * spread)
    return out.to(features.dtype) if hasattr(out, "to") else out.astype(features.dtype)


def drop_features(features: Any, *, p: float, generator: Any) -> Any:
    """Each feature of each row zero with the chance ``p``, a channel of n x channels x ... as a whole.

    Those that stay are divided by ``1 - p``, so that their sum keeps its mean: as dropout does (Tompson et al. 2015,
    arXiv:1411.4280, of whole channels).  Same shape and type.  For training alone.
    """
    _check_floats("drop_features", features)
    if not 0 <= p < 1:
        raise DataError(f"p is {p}; it is a chance from 0 to below 1.", "p=0.1")
    if features.ndim < 2:
        raise DataError(f"features are n x d or n x channels x ...; got {tuple(features.shape)}.", "give a batch.")
    stays = rng_of(generator).random(tuple(features.shape[:2])) >= p
    return features * _shaped(stays / (1 - p), features)


def drop_modalities(features: Any, *, p: float, generator: Any) -> Any:
    """Each modality of each row zero with the chance ``p``, never all of a row: one that is drawn stays.

    ``features``: n x modalities x ... floats, as a late fusion stacks them.  Nothing is rescaled: a modality that is
    missing later is zero in the same way.  Source: Neverova et al. 2016, ModDrop (arXiv:1501.00102).
    """
    _check_floats("drop_modalities", features)
    if not 0 <= p <= 1:
        raise DataError(f"p is {p}; it is a chance from 0 to 1.", "p=0.2")
    if features.ndim < 3:
        raise DataError(
            f"features are n x modalities x width; got {tuple(features.shape)}.",
            "stack those of all modalities: torch.stack([image, text], dim=1)",
        )
    rng = rng_of(generator)
    rows, modalities = features.shape[:2]
    stays = rng.random((rows, modalities)) >= p
    one = rng.integers(modalities, size=rows)
    lost = ~stays.any(axis=1)
    stays[lost, one[lost]] = True
    return features * _shaped(stays, features)


def change_selected(
    features: Any, changed: Any, importance: Any, *, share: float = 0.5, change: Literal["others", "useful"] = "others"
) -> Any:
    """Rows of which some features are those of ``changed``: all but the most useful, or these alone.

    ``features``, ``changed``: n x d or n x channels x ... floats, before and after any of the functions here;
    ``importance``: n x d (n x channels), such as ``feature_importance`` gives.  The most useful of a row are its
    ``share`` of the features, rounded, of the highest importance.  With ``change="others"`` they stay and the rest is
    augmented: the label stays true.  With ``"useful"`` they are augmented and the rest stays: the net has to find other
    evidence, as in Representation Self-Challenging (Huang et al. 2020, arXiv:2007.02454), which mutes the third of the
    steepest gradients.  That importance chooses what noise, mixing or dropping may touch is ours.
    """
    import numpy as np

    if tuple(changed.shape) != tuple(features.shape) or tuple(importance.shape) != tuple(features.shape[:2]):
        shapes = ", ".join(str(tuple(given.shape)) for given in (features, changed, importance))
        raise DataError(f"features, changed and importance are {shapes}.", "two of one shape, and n x d of importance.")
    if not 0 <= share <= 1 or change not in ("others", "useful"):
        raise DataError(f"share is {share} and change {change!r}.", 'share=0.5, change="others" or "useful"')
    most = round(share * features.shape[1])
    if hasattr(importance, "detach"):
        ranks = importance.detach().argsort(dim=1, descending=True, stable=True).argsort(dim=1)
    else:
        ranks = np.argsort(np.argsort(-importance, axis=1, kind="stable"), axis=1)
    taken = (ranks >= most) if change == "others" else (ranks < most)
    taken = taken.reshape(*taken.shape, *[1] * (features.ndim - 2))
    if hasattr(features, "detach"):
        import torch

        return changed.where(torch.as_tensor(taken, device=features.device), features)
    return np.where(taken, changed, features)


def _check_floats(what: str, features: Any) -> None:
    if "float" not in str(features.dtype):
        raise DataError(f"{what} takes floats, and the features are {features.dtype}.", "features.float()")


def _towards(what: str, features: Any, labels: Any, lam: float, way: int, generator: Any) -> Any:
    _check_floats(what, features)
    if not 0 <= lam <= 1:
        raise DataError(f"lam is {lam}; it is a share from 0 to 1.", "lam=0.5")
    if tuple(labels.shape) != (len(features),) or "float" in str(labels.dtype):
        raise DataError(
            f"there are {len(features)} rows, and labels are {labels.dtype} {tuple(labels.shape)}.",
            "give one whole number a row; between rows of shared labels, use mixup.",
        )
    own = labels.detach().cpu().numpy() if hasattr(labels, "detach") else labels
    return mixing.mix(features, features[_partners(own, rng_of(generator))], 1 - way * lam)


def _partners(labels: NDArray[Any], rng: np.random.Generator) -> NDArray[np.int64]:
    """For each row another one of its label, each alike likely; itself where there is none."""
    import numpy as np

    out = np.arange(len(labels))
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        if len(rows) > 1:
            steps = rng.integers(1, len(rows), size=len(rows))
            out[rows] = rows[(np.arange(len(rows)) + steps) % len(rows)]
    return out


def _shaped(mask: NDArray[Any], features: Any) -> Any:
    """n x d numbers in the kind of the features, to multiply them by."""
    return _like(mask.reshape(*mask.shape, *[1] * (features.ndim - 2)), features)


def _like(array: NDArray[Any], features: Any) -> Any:
    if hasattr(features, "new_tensor"):
        import torch

        return torch.from_numpy(array).to(device=features.device, dtype=features.dtype)
    return array.astype(features.dtype)
