"""A blend as a dataset for a training loop: `DataLoader(run.blend(ratio=0.5, redraw="epoch"))`."""

from leaven.train.drawn import Drawn as Blended

__all__ = ["Blended"]
