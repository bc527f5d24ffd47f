"""Sounds heard together, or one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from leaven.audio.fitted import with_channels
from leaven.audio.levels import SILENT, fit_factor, frame_energy, mean_square, scaled, snr_gain
from leaven.audio.segments import noted
from leaven.audio.sentences import joined
from leaven.draws import Draw
from leaven.fields import VALUE, Column
from leaven.label_mass import LABEL, LABEL_PROBS, label_field, labels_of
from leaven.media.audio import Audio
from leaven.media.resampled import resampled
from leaven.operators import Make
from leaven.ranges import Range, drawn_from, within
from leaven.records import Record

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from leaven.context import Context

    Sound = NDArray[np.float32]


def overlaid(sounds: Sequence[Sound], gains: Sequence[float], offsets: Sequence[int]) -> Sound:
    """The sum of sounds (frames x channels), each with its gain from its offset on; as long as the longest needs."""
    import numpy as np

    length = max(len(sound) + offset for sound, offset in zip(sounds, offsets, strict=True))
    out = np.zeros((length, sounds[0].shape[1]), np.float32)
    for sound, gain, offset in zip(sounds, gains, offsets, strict=True):
        out[offset : offset + len(sound)] += sound if gain == 1 else sound * np.float32(gain)
    return out


class MixSounds(Make):
    """Put a sound and drawn ones together, over each other or one after the other.

    Over each other: each drawn sound gets the gain that puts the record's `snr` dB above it, by the mean of RMS
    squared over frames of 2,048 samples every 512 (silence is refused as `silent`); whichever is longer, all others
    are added into the longest, each from a drawn sample on, so that they end within it.  Wu et al. 2024
    (arXiv:2309.17352), whose code gives the gain to the wrong one where the drawn sound is the longer.  In turn: the
    record's first, levels as they are.  Drawn sounds are brought to the rate and channels of the record's.  Where the
    sum would go beyond full scale, all is made quieter by `scaled`, in the history.

    Captions are joined ("A and B", "A followed by B"; a chat model may say it better); segments of all move along.  A
    label stays where all agree.  Where not, `soft` says what becomes of it, or `holds` that it stays; otherwise a child
    with a caption has no label, and one without is refused as `labels_differ`.  A record for which nothing is drawn is
    refused as `no_partner`.

    Needs audio, and rows to draw from.  Makes audio, caption, `label_probs` with soft; `order`, which is together, in
    turn or alone; `sounds`, the label, caption and `changes` of each in their order; segments move along.

    >>> import numpy as np
    >>> from leaven.media.audio import Audio
    >>> rain = {"audio": Audio.of(np.sin(np.arange(8000) / 3) / 4, 8000), "caption": "Rain falls."}
    >>> dogs = {"audio": Audio.of(np.sin(np.arange(4000) / 9) / 4, 8000), "caption": "Dogs bark."}
    >>> [row] = MixSounds(snr=0)(rain, source=[dogs])
    >>> row["caption"], row["audio"].seconds, row["order"]
    ('Rain falls and dogs bark.', 1.0, 'together')
    """

    takes: ClassVar[str] = "audio"
    moves: ClassVar[frozenset[str]] = frozenset({"segments"})
    draw: Draw = Draw(k=1)
    """The rows to mix with: `{k: 1, same: label}`; more than one are all put into one child."""
    snr: Annotated[float | Range, within(-60, 60)] = (-5.0, 5.0)
    """How many dB the record's sound is above each drawn one: a number, or low and high to draw from."""
    n: int = Field(1, ge=1, le=50)
    """How many children, each with partners of its own."""
    how: Literal["mix", "join", "either"] = "mix"
    """Over each other, one after the other, or one of the two, drawn."""
    offset: Literal["random", "start"] = "random"
    """Where the shorter begin in the longest."""
    soft: bool = False
    """Write `label_probs`, the share of each label; `label` is then the likeliest."""
    shares: Literal["equal", "energy"] = "equal"
    """Each sound the same share, or by its energy in the child (of joined ones, their length)."""
    alone: bool = False
    """Where nothing is drawn, the record's own sound is the child, instead of none."""
    on: str | None = None
    """The sound to mix; the main audio."""

    @property
    def needs(self) -> frozenset[str]:  # type: ignore[override]
        return frozenset({LABEL}) if self.soft or LABEL in self.draw.reads() else frozenset()

    def writes(self) -> dict[str, Column]:
        about = frozenset({self.on or "audio"})
        found = {name: Column(VALUE, about, written=False) for name in ("order", "sounds")}
        return found | ({LABEL_PROBS: Column(LABEL_PROBS)} if self.soft else {})

    def make(self, record: Record, ctx: Context) -> Iterator[Record]:
        for ordinal in range(self.n):
            drawn = ctx.partners(record, self.draw, ordinal)
            partners = [row for row in drawn if row.get(self.on or "audio") is not None]
            yield self.child(record, partners, ctx.rng_of(ordinal), ctx)

    def child(self, record: Record, partners: list[Record], rng: np.random.Generator, ctx: Context) -> Record:
        field = self.on or "audio"
        own: Audio = record[field]
        line = [record, *partners]
        how = ("mix", "join")[int(rng.integers(2))] if self.how == "either" else self.how
        if not partners:
            said = {"order": "alone", "sounds": [_told(record)]}
            return record.child(said) if self.alone else record.child().refuse("no_partner", "no other row fits")
        differing = "" if self.soft else self.differing(line, ctx)
        captions = {
            name: joined([row.get(name) for row in line], how)
            for name in ctx.fields_of("caption")
            if name not in self.holds
        }
        if differing and not any(captions.values()):
            return record.child(parents=line).refuse("labels_differ", differing)
        sounds = [with_channels(_at(row[field], own.rate), own.samples.shape[1]) for row in line]
        silent = [row[field].path or row.id for row, s in zip(line, sounds, strict=True) if how == "mix" and _silent(s)]
        if silent:
            return record.child(parents=line).refuse("silent", ", ".join(silent))
        gains, offsets, drawn = self.placed(how, sounds, rng)
        new = overlaid(sounds, gains, offsets)
        factor = fit_factor(new)
        new, drawn = new * new.dtype.type(factor), drawn | scaled(factor)
        fields: dict[str, Any] = {
            field: Audio.of(new, own.rate, own),
            "order": "together" if how == "mix" else "in turn",
            "sounds": [_told(row) for row in line],
        }
        for name in noted(ctx, record, field):
            fields[name] = _segments([row.get(name) for row in line], [offset / own.rate for offset in offsets])
        fields |= captions
        if differing:
            fields[label_field(ctx)] = None
        weights = [1.0] * len(line)
        if self.shares == "energy":
            weights = [len(s) * (g * g * mean_square(s) if how == "mix" else 1.0) for s, g in zip(sounds, gains)]
        parts = [(weight / sum(weights), row) for weight, row in zip(weights, line, strict=True)]
        labels = labels_of(parts, ctx, self.soft)
        if labels is None:
            return record.child(parents=line).refuse("no_label", "a sound without a label has no share of one")
        if not self.soft:
            labels.pop(label_field(ctx), None)
        return record.child({**fields, **labels}, parents=line, drawn=drawn)

    def placed(
        self, how: str, sounds: Sequence[Sound], rng: np.random.Generator
    ) -> tuple[list[float], list[int], dict[str, Any]]:
        """The gain and the first frame of each sound, and what was drawn."""
        if how == "join":
            offsets = [sum(map(len, sounds[:i])) for i in range(len(sounds))]
            return [1.0] * len(sounds), offsets, {"how": how}
        energies = [frame_energy(sound) for sound in sounds]
        snr = [drawn_from(self.snr, rng) for _ in sounds[1:]]
        gains = [1.0, *(snr_gain(energies[0], e, r) for e, r in zip(energies[1:], snr, strict=True))]
        room = [max(map(len, sounds)) - len(sound) for sound in sounds]
        offsets = [int(rng.integers(free + 1)) if self.offset == "random" and free else 0 for free in room]
        return gains, offsets, {"how": how, "snr": snr, "offset": offsets}

    def differing(self, line: Sequence[Record], ctx: Context) -> str:
        """The labels, where they differ and nothing says what becomes of them."""
        name = label_field(ctx)
        labels = {str(row.get(name)) for row in line if name in row.fields}
        return ", ".join(sorted(labels)) if len(labels) > 1 and name not in self.holds else ""


def _at(sound: Audio, rate: int) -> Sound:
    return resampled(sound.samples, sound.rate, rate)


def _silent(sound: Sound) -> bool:
    return mean_square(sound) < SILENT


def _told(row: Record) -> dict[str, Any]:
    said = {name: row[name] for name in ("label", "caption") if row.get(name) is not None}
    return said | {"changes": row.get("changes") or []}


def _segments(parts: Sequence[list[dict[str, Any]] | None], offsets: Sequence[float]) -> list[dict[str, Any]] | None:
    """The segments of all sounds; none where those of one are not known."""
    if any(part is None for part in parts):
        return None
    return [
        {**segment, "start": round(segment["start"] + by, 6), "end": round(segment["end"] + by, 6)}
        for part, by in zip(parts, offsets, strict=True)
        for segment in part or ()
    ]
