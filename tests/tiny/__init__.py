"""Small models of the real classes of transformers, with random weights, built where a test runs.

They show that folders are loaded and asked rightly, and nothing of how good a model is.
"""

from __future__ import annotations

import os

os.environ["HF_HUB_OFFLINE"] = "1"  # read when huggingface_hub is imported
