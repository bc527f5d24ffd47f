"""What runs inside a training loop: batches mixed, and rows drawn anew each epoch.

The batch functions take tensors of torch or arrays of numpy, whatever the images are; none of them needs torch to be
installed; ``counterfactual_loss`` does.  ``Drawn`` is a dataset as ``torch.utils.data.DataLoader`` takes it.
"""

from leaven.train.batch import cutmix, mixup
from leaven.train.counterfactual import counterfactual_loss
from leaven.train.drawn import Drawn
from leaven.train.modalities import cut_switch
from leaven.train.pairs import mixgen, mixgen_batch
from leaven.train.rising_cut import RisingCut

__all__ = ["Drawn", "RisingCut", "counterfactual_loss", "cut_switch", "cutmix", "mixgen", "mixgen_batch", "mixup"]
