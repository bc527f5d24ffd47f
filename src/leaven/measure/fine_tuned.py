"""A transformer fine-tuned whole on texts: the student for who will train one.

As the small net of ``cnn``, every arm takes the same number of optimiser steps over batches drawn by the rows' weights,
on the CPU and with one thread, so that the same seed gives the same model.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leaven.errors import DataError, MissingExtra, ModelError
from leaven.measure.cnn import alone, drawn
from leaven.models.backends.local.weights import hush

STEPS, BATCH = 300, 16
RATE, DECAY, WARM = 5e-5, 0.01, 0.1
LONGEST = 128
"""Tokens of a text; the rest is cut off."""
TESTED_AT_A_TIME = 64


class FineTuned:
    """A model with a new head for the labels, from a local folder; safetensors alone, and no code of it is run.

    ``steps`` of AdamW on ``BATCH`` rows each; the rate rises to ``rate`` for a tenth of them and falls to 0.
    Raises ModelError for a folder that holds no such model, MissingExtra without torch and transformers.
    """

    def __init__(self, folder: str, steps: int | None = None, rate: float = RATE) -> None:
        self.folder, self.steps, self.rate = folder, STEPS if steps is None else steps, rate
        self.name = f"{Path(folder).name}, fine-tuned"

    def train_and_predict(
        self, items: Sequence[str], shares: NDArray[np.float64], tested: Sequence[str], luck: int
    ) -> NDArray[np.int64]:
        """See ``students.Stepped``."""
        with alone(luck):
            import torch

            from leaven.train import fit

            model, tokenizer = self._load(shares.shape[1])
            weights = shares.sum(axis=1)
            truth = torch.from_numpy((shares / weights[:, None]).astype(np.float32))
            order = drawn(weights, self.steps, BATCH, luck)
            optimiser = torch.optim.AdamW(model.parameters(), lr=self.rate, weight_decay=DECAY)
            model.train()

            def loss(rows: NDArray[np.int64]) -> torch.Tensor:
                scores = model(**self._tokens(tokenizer, [items[i] for i in rows])).logits
                return torch.nn.functional.cross_entropy(scores, truth[torch.from_numpy(rows)])

            def falling(optimiser: torch.optim.Optimizer) -> torch.optim.lr_scheduler.LRScheduler:
                return torch.optim.lr_scheduler.LambdaLR(
                    optimiser, lambda step: min((step + 1) / (WARM * self.steps), (self.steps - step) / self.steps)
                )

            fit(loss, optimiser, order, steps=self.steps, schedule=falling)
            model.train(False)
            # Of like length together: less is padded, and the padding changes no answer but by rounding.
            by_length = sorted(range(len(tested)), key=lambda i: (len(tested[i]), tested[i]))
            found = np.zeros(len(tested), np.int64)
            with torch.no_grad():
                for begin in range(0, len(tested), TESTED_AT_A_TIME):
                    some = by_length[begin : begin + TESTED_AT_A_TIME]
                    scores = model(**self._tokens(tokenizer, [tested[i] for i in some])).logits
                    found[some] = scores.argmax(dim=1).numpy()
        return found

    def _tokens(self, tokenizer: Any, texts: Sequence[str]) -> Any:
        return tokenizer(list(texts), padding=True, truncation=True, max_length=LONGEST, return_tensors="pt")

    def _load(self, labels: int) -> tuple[Any, Any]:
        try:
            import transformers
        except ImportError:
            raise MissingExtra(
                "--student transformers:FOLDER needs the extra `torch`.", 'pip install "leaven[torch]"'
            ) from None
        if not Path(self.folder).is_dir():
            raise DataError(
                f"--student transformers:{self.folder}: there is no such folder.",
                "name a folder with config.json, model.safetensors and the tokenizer's files.",
            )
        hush(transformers.logging)
        how: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
        try:
            tokenizer = transformers.AutoTokenizer.from_pretrained(self.folder, **how)
            model = transformers.AutoModelForSequenceClassification.from_pretrained(
                self.folder, num_labels=labels, use_safetensors=True, ignore_mismatched_sizes=True, **how
            )
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            raise ModelError(
                f"transformers:{self.folder} cannot be fine-tuned: {' '.join(str(error).split())[:300]}",
                "name a text encoder such as BERT or DistilBERT; only safetensors are read, and no code is run.",
            ) from None
        if tokenizer.pad_token is None:
            tokenizer.pad_token = tokenizer.eos_token
        model.config.pad_token_id = tokenizer.pad_token_id
        return model.float(), tokenizer
