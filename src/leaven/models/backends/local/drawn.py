"""How a model that writes draws its next token: by a generator of the call's own, so that no answer hangs on another.

transformers itself draws from torch's global generator, one for a whole batch.  Here generation is told to take the
likeliest token, and each step is handed scores in which the token that was drawn is the only one left.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

LIKELIEST = 20
"""How many of the likeliest first tokens are told."""
SORTED = 1024
"""Tokens that are put in order for top_p; all, which takes ten times as long, where these do not hold the share."""


@dataclass(frozen=True)
class How:
    """How tokens are drawn; a ``temperature`` of 0 takes the likeliest."""

    temperature: float = 0.0
    top_k: int = 0
    """Draw from so many of the likeliest; 0: from all."""
    top_p: float = 1.0
    min_p: float = 0.0
    """Draw from those at least this share as likely as the likeliest."""
    repetition: float = 1.0
    """What the scores of tokens that stand in the prompt or the answer are divided by (times, where below 0)."""
    frequency: float = 0.0
    """Taken off a token's score for each time that it stands in the answer."""


def how(sampling: Mapping[str, Any], own: Any) -> How:
    """What a call says and, where it says nothing, what the model's own generation config does.

    A call that names top_p or top_k and no temperature draws at 1; ``temperature: 0`` takes the likeliest.
    """

    def said(name: str, other: float) -> float:
        found = sampling.get(name, getattr(own, name, None))
        return other if found is None else found

    drawing = bool(getattr(own, "do_sample", None)) or any(sampling.get(name) for name in ("top_p", "top_k"))
    temperature = sampling.get("temperature")
    if temperature is None:
        temperature = said("temperature", 1.0) if drawing else 0.0
    return How(
        float(temperature),
        int(said("top_k", 0)),
        float(said("top_p", 1.0)),
        float(said("min_p", 0.0)),
        float(said("repetition_penalty", 1.0)),
        float(sampling.get("frequency_penalty", 0.0)),
    )


class Drawn:
    """A logits processor of ``generate`` that draws, for rows that are drawn alike, each by its own seed.

    ``padding`` is how many tokens stand before each row's prompt.  ``logprobs`` holds, for each step, the
    log-probability of each row's token as the model itself gives it, before temperature and penalties; ``tops`` the
    likeliest first tokens of each row with theirs.  ``begin`` is where the answers begin.
    """

    def __init__(self, how: How, seeds: Sequence[int], padding: Sequence[int]) -> None:
        import torch

        self.how = how
        self.padding = padding
        self.generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        self.begin = -1
        self.logprobs: list[torch.Tensor] = []
        self.tops: list[dict[int, float]] = []

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        import torch

        where = "cpu" if scores.device.type == "mps" else scores.device  # which has no numbers of 64 bits
        logits, seen = scores.to(where, torch.float32), input_ids.to(where)
        known = torch.log_softmax(logits, -1)
        if self.begin < 0:
            self.begin = seen.shape[1]
            best = known.topk(min(LIKELIEST, known.shape[1]))
            pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
            self.tops = [dict(zip(*pair, strict=True)) for pair in pairs]
        taken = self._next(self._penalised(seen, logits))
        self.logprobs.append(known.gather(1, taken))
        only = torch.full_like(scores, -torch.inf)
        return only.scatter_(1, taken.to(scores.device), 0.0)

    def _penalised(self, seen: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
        import torch

        if self.how.repetition != 1:
            padding = torch.tensor(self.padding, device=seen.device)[:, None]
            real = torch.arange(seen.shape[1], device=seen.device)[None] >= padding
            known = _counts(seen, real, logits) > 0
            other = torch.where(logits < 0, logits * self.how.repetition, logits / self.how.repetition)
            logits = torch.where(known, other, logits)
        if self.how.frequency:
            answer = seen[:, self.begin :]
            logits = logits - self.how.frequency * _counts(answer, torch.ones_like(answer, dtype=torch.bool), logits)
        return logits

    def _next(self, logits: torch.Tensor) -> torch.Tensor:
        """The token of each row, rows x 1: drawn where the sum of the probabilities passes a number from 0 to 1."""
        import torch

        how = self.how
        if how.temperature <= 0:
            return logits.argmax(-1, keepdim=True)
        logits = logits / how.temperature
        if 0 < how.top_k < logits.shape[1]:
            logits = logits.masked_fill(logits < logits.topk(how.top_k).values[:, -1:], -torch.inf)
        chances = torch.softmax(logits.double(), -1)
        if how.min_p > 0:
            chances = chances.masked_fill(chances < how.min_p * chances.amax(-1, keepdim=True), 0.0)
        if how.top_p < 1:
            chances = _likeliest(chances, how.top_p)
        points = torch.stack([torch.rand(1, generator=own, dtype=torch.float64) for own in self.generators])
        heights = chances.cumsum(-1)
        found = torch.searchsorted(heights, points.to(heights.device) * heights[:, -1:], right=True)
        return found.clamp_(max=logits.shape[1] - 1)


def _likeliest(chances: torch.Tensor, share: float) -> torch.Tensor:
    """Probabilities with 0 for all but the fewest tokens that hold this share."""
    import torch

    least = share * chances.sum(-1, keepdim=True)
    ordered = chances.topk(min(SORTED, chances.shape[1]))
    if bool((ordered.values.sum(-1, keepdim=True) < least).any()):
        ordered = chances.sort(dim=-1, descending=True, stable=True)
    before = ordered.values.cumsum(-1) - ordered.values
    return torch.zeros_like(chances).scatter_(1, ordered.indices, ordered.values.masked_fill(before >= least, 0.0))


def _counts(tokens: torch.Tensor, real: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """How often each token stands in a row, rows x vocabulary."""
    import torch

    wide = like.shape[1]
    at = torch.where(real & (tokens < wide), tokens, wide)
    found = torch.zeros((len(like), wide + 1), device=like.device)
    return found.scatter_add_(1, at, torch.ones_like(at, dtype=found.dtype))[:, :wide]
