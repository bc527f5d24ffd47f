"""A small translator of spoken digits into numbers in words, and what XmDA does for it.

python -m benchmarks.in_training.xmda SPOKEN_DIGITS_FOLDER
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, ctc_loss, relu

from benchmarks.in_training.paired import Arm, paired
from benchmarks.in_training.spoken_numbers import BANDS, BEGIN, END, PAD, TOGETHER, WORDS, Spoken, split
from leaven.train import Batches, alone, cross_modality_mixup, fit, forced_alignment, xmda_loss

ROWS, STEPS, BATCH = 300, 400, 16
WIDTH, HEADS, DROP = 64, 4, 0.1
RATE, DECAY = 3e-3, 1e-3
GLOSSES = 11
"""Ten digits and the blank."""
NEAR = 5
"""Frames that a convolution sees, of which there are two."""
LONGEST = 400
MOST = 8
"""Words of a translation, the end with it."""


class Translator(nn.Module):
    """Frames to their embeddings (``embed``), these to encoded ones, and these to glosses and to words."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Sequential(
            nn.Linear(TOGETHER * BANDS, WIDTH), nn.ReLU(), nn.Dropout(DROP), nn.Linear(WIDTH, WIDTH)
        )
        self.glosses = nn.Embedding(GLOSSES, WIDTH)
        self.near = nn.ModuleList(nn.Conv1d(WIDTH, WIDTH, NEAR, padding="same") for _ in range(2))
        self.norms = nn.ModuleList(nn.LayerNorm(WIDTH) for _ in range(2))
        self.read = nn.Linear(WIDTH, GLOSSES)
        self.words = nn.Embedding(len(WORDS), WIDTH)
        self.decoder = nn.TransformerDecoderLayer(WIDTH, HEADS, 2 * WIDTH, DROP, batch_first=True)
        self.tell = nn.Linear(WIDTH, len(WORDS))
        self.register_buffer("places", waves(LONGEST))

    def encode(self, embedded: Tensor, frames: Tensor) -> Tensor:
        inside = (torch.arange(embedded.shape[1]) < frames[:, None])[..., None]
        for near, norm in zip(self.near, self.norms, strict=True):
            heard = near((embedded * inside).transpose(1, 2)).transpose(1, 2)
            embedded = norm(embedded + relu(heard))
        return embedded

    def decode(self, encoded: Tensor, frames: Tensor, words: Tensor) -> Tensor:
        """Logits of the word after each, n x L x words."""
        encoded = encoded + self.places[: encoded.shape[1]]
        said = self.words(words) + self.places[: words.shape[1]]
        later = torch.ones(words.shape[1], words.shape[1], dtype=torch.bool, device=words.device).triu(1)
        beyond = torch.arange(encoded.shape[1], device=words.device) >= frames[:, None]
        return self.tell(self.decoder(said, encoded, tgt_mask=later, memory_key_padding_mask=beyond))

    @torch.no_grad()
    def translate(self, rows: Spoken) -> Tensor:
        """The likeliest word after each, n x L."""
        encoded = self.encode(self.embed(rows.sound), rows.frames)
        words = torch.full((len(encoded), 1), BEGIN)
        for _ in range(MOST):
            words = torch.cat([words, self.decode(encoded, rows.frames, words)[:, -1:].argmax(-1)], dim=1)
        return words


def waves(most: int) -> Tensor:
    angles = torch.arange(most)[:, None] / 10000 ** (torch.arange(0, WIDTH, 2) / WIDTH)
    return torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1)


Loss = Callable[[Translator, Spoken], Tensor]


def trained(folder: Path, seed: int, loss: Loss) -> NDArray[np.float64]:
    """Train on a seed's numbers; which test numbers are translated without a fault."""
    seen, tested = split(folder, ROWS, seed)
    return right(fitted(seen, seed, loss), tested)


def fitted(seen: Spoken, seed: int, loss: Loss) -> Translator:
    with alone(seed):
        net = Translator()
        optimiser = torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=DECAY)
        net.train()
        fit(lambda rows: loss(net, seen.rows(rows)), optimiser, Batches(len(seen.sound), BATCH, seed=seed), steps=STEPS)
        net.train(False)
    return net


def right(net: Translator, tested: Spoken) -> NDArray[np.float64]:
    said = net.translate(tested)
    ended = ((said == END).cumsum(1) - (said == END).long()) > 0
    said = said.masked_fill(ended, PAD)
    wanted = nn.functional.pad(tested.words, (0, said.shape[1] - tested.words.shape[1]), value=PAD)
    return (said == wanted).all(1).double().numpy()


def heard(net: Translator, rows: Spoken, encoded: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    return net.read(encoded).log_softmax(-1), rows.digits, rows.frames, rows.lengths


def both(net: Translator, rows: Spoken, embedded: Tensor, frames: Tensor) -> Tensor:
    """CTC and the text, as sums over a sentence and means over the batch."""
    encoded = net.encode(embedded, frames)
    log_probs = net.read(encoded).log_softmax(-1).transpose(0, 1)
    read = ctc_loss(log_probs, rows.digits, frames, rows.lengths, reduction="sum", zero_infinity=True)
    logits, words = net.decode(encoded, frames, rows.words[:, :-1]), rows.words[:, 1:]
    told = cross_entropy(logits.flatten(0, 1), words.flatten(), ignore_index=PAD, reduction="sum")
    return (read + told) / len(words)


def plain(net: Translator, rows: Spoken) -> Tensor:
    return both(net, rows, net.embed(rows.sound), rows.frames)


def manifold(alpha: float) -> Callable[[int], Loss]:
    """Mixup of the frames' embeddings (arXiv:1806.05236): the losses of both sentences, by their shares."""

    def of(seed: int) -> Loss:
        draws = np.random.default_rng([2, seed])

        def loss(net: Translator, rows: Spoken) -> Tensor:
            lam, order = float(draws.beta(alpha, alpha)), torch.from_numpy(draws.permutation(len(rows.sound)))
            other = Spoken(*(part[order] for part in rows))
            embedded = net.embed(rows.sound)
            inside = torch.arange(embedded.shape[1]) < rows.frames[:, None]
            embedded = embedded * inside[..., None]
            mixed, frames = lam * embedded + (1 - lam) * embedded[order], rows.frames.maximum(other.frames)
            return lam * both(net, rows, mixed, frames) + (1 - lam) * both(net, other, mixed, frames)

        return loss

    return of


def xmda(consistency: float, lam: float = 0.6) -> Callable[[int], Loss]:
    def of(seed: int) -> Loss:
        draws = torch.Generator().manual_seed(seed)

        def loss(net: Translator, rows: Spoken) -> Tensor:
            embedded = net.embed(rows.sound)
            encoded = net.encode(embedded, rows.frames)
            read = heard(net, rows, encoded)
            mixed = cross_modality_mixup(
                embedded, net.glosses(rows.digits), forced_alignment(*read), lam=lam, generator=draws
            )
            told = [
                net.decode(one, rows.frames, rows.words[:, :-1]) for one in (encoded, net.encode(mixed, rows.frames))
            ]
            return xmda_loss(*read, *told, rows.words[:, 1:], pad=PAD, consistency=consistency)

        return loss

    return of


def arms(folder: Path) -> dict[str, Arm]:
    return {
        "nothing": lambda seed: trained(folder, seed, plain),
        "manifold mixup (2)": lambda seed: trained(folder, seed, manifold(2.0)(seed)),
        "XmDA mix-up (0.6)": lambda seed: trained(folder, seed, xmda(0.0)(seed)),
        "XmDA mix-up (0.6) and JSD": lambda seed: trained(folder, seed, xmda(1.0)(seed)),
    }


if __name__ == "__main__":
    print(paired(arms(Path(sys.argv[1]))))
