"""leaven: raise small datasets.  Make new records, keep the good ones, blend, and measure whether it helped."""

from __future__ import annotations

__version__ = "0.1.0"
