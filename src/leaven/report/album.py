"""The pictures and clips of the page: of each record one, within caps that the page says aloud."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from leaven.errors import MissingExtra
from leaven.media.broken import Broken
from leaven.report import overlay
from leaven.report.charts import label, line, ticks
from leaven.report.content import MARKS, Content
from leaven.report.marked import plain
from leaven.report.marks import Marked, marked
from leaven.report.spectrogram import MOST_RATE as FASTEST
from leaven.report.spectrogram import SECONDS, Heard, clip, hear, heights, spectrogram
from leaven.report.thumbnail import SIDE, Thumbnail, thumbnail, veil
from leaven.storage import to_values

PICTURES = 300
CLIPS = 40
BYTES = 10_000_000
"""What pictures and clips may take of the page's 15 MB."""
LONG, HIGH, LEFT, TOP, BOTTOM = 300, 84, 34, 16, 26
"""A spectrogram and its margins."""
LOOKED = 20
DATA = re.compile(r'"data:[^"]*"')
"""Rows whose rates say up to which tone spectrograms go."""


class Scale(NamedTuple):
    """What the spectrograms of a family share: how many seconds are as long as the drawing, and what is black."""

    seconds: float
    loudest: float


@dataclass
class Shot:
    """One image or sound as the page shows it; ``wrong`` says why it cannot."""

    picture: Thumbnail | None = None
    heard: Heard | None = None
    clip: str = ""
    veils: list[str] = field(default_factory=list)
    boxes: list[Mapping[str, Any]] = field(default_factory=list)
    points: list[Mapping[str, Any]] = field(default_factory=list)
    segments: list[Mapping[str, Any]] = field(default_factory=list)
    wrong: str = ""


class Album:
    """Sections ask for the records that they show (``open``, ``reserve``, ``load``), and draw them (``show``)."""

    def __init__(self, content: Content) -> None:
        self.content = content
        self.marked: list[Marked] = marked(content)
        self.colours = overlay.Colours(name for m in self.marked for name in m.names)
        self.shots: dict[str, dict[str, Shot]] = {}
        self.lacking = ""
        """What must be installed before there are pictures."""
        self._kind = {name: content.kinds[name] for name in content.media}
        self._beside = [name for name in content.kinds if content.kinds[name] in ("mask", *MARKS)]
        self._reserved: dict[str, bool] = {}
        self._pictures = self._clips = 0
        self._most = (0, 0)
        self._bytes = self._names = self._players = 0
        self._drawn: dict[tuple[str, str, Scale | None], tuple[str, float, float]] = {}
        self._rate = self._first_rate()

    @property
    def sounds(self) -> bool:
        """True where the data are sounds."""
        return self._kind[self.content.media[0]] == "audio"

    def _first_rate(self) -> int:
        names = [name for name, kind in self._kind.items() if kind == "audio"]
        rates = [0]
        if names:
            ids = sorted(
                own for own, (set_name, i) in self.content.places.items() if set_name == "source" and i < LOOKED
            )
            for row in self.content.as_read(ids):
                for name in names:
                    try:
                        [sound] = to_values("audio", [row.get(name)])
                        rates.append(sound.rate if sound else 0)
                    except (Broken, MissingExtra):
                        continue
        return min(max(rates) or FASTEST, FASTEST)

    # -- what is shown ------------------------------------------------------------------------------------------------

    def open(self, pictures: int, clips: int) -> None:
        """Begin a section, which may have so many more."""
        self._most = (min(PICTURES, self._pictures + pictures), min(CLIPS, self._clips + clips))

    def reserve(self, ids: Iterable[str]) -> bool:
        """Ask for the pictures of records, all or none of them; False where the section's share is used up."""
        new = [own for own in dict.fromkeys(ids) if own not in self.shots and own not in self._reserved]
        if self._pictures + len(new) * len(self._kind) > self._most[0] or self._bytes > BYTES:
            return False
        self._pictures += len(new) * len(self._kind)
        for own in new:
            self._reserved[own] = self.sounds and self._clips < self._most[1]
            self._clips += self._reserved[own]
        return True

    def load(self) -> None:
        """Make the pictures that were asked for."""
        asked, self._reserved = self._reserved, {}
        for row in self.content.as_read(asked):
            self._take(row["_id"], row, asked[row["_id"]])
        for rows in (self.content.train, self.content.refused):
            columns = [name for name in (*self._kind, *self._beside) if name in rows.columns]
            at = [i for i, own in enumerate(rows.ids) if own in asked and own not in self.shots]
            for i, row in rows.few_at_a_time(at, columns):
                self._take(rows.ids[i], row, asked[rows.ids[i]])

    def _take(self, own: str, row: Mapping[str, Any], playing: bool) -> None:
        first = self.content.media[0]
        self.shots[own] = {}
        for name, kind in self._kind.items():
            if row.get(name) is None or self._bytes > BYTES:
                continue
            beside = {other: row[other] for other in self._beside if name == first and row.get(other) is not None}
            try:
                shot = self._shot(kind, row[name], beside, playing and name == first)
            except Broken as broken:
                shot = Shot(wrong=broken.reason)
            except MissingExtra as missing:
                self.lacking = str(missing)
                return
            self._bytes += sum(map(len, (shot.picture.uri if shot.picture else "", shot.clip, *shot.veils)))
            self.shots[own][name] = shot

    def _shot(self, kind: str, cell: Any, beside: Mapping[str, Any], playing: bool) -> Shot:
        [value] = to_values(kind, [cell])
        if kind == "audio":
            shot = Shot(heard=hear(value, self._rate), clip=clip(value) if playing else "")
        else:
            shot = Shot(thumbnail(value))
        for name, found in beside.items():
            what = self.content.kinds[name]
            if what == "mask":
                [mask] = to_values("mask", [found])
                with suppress(Broken):  # the image can be shown without it
                    shot.veils.append(veil(mask))
            else:
                getattr(shot, what).extend(found)
        return shot

    def within(self, pieces: Iterable[str], most: int) -> tuple[list[str], bool]:
        """The first pieces that take at most ``most`` bytes beside their pictures, and whether that was all."""
        found: list[str] = []
        left, known = most, len(self._drawn)
        for piece in pieces:
            left -= len(DATA.sub("", piece).encode())
            if left < 0:
                for key in list(self._drawn)[known:]:
                    del self._drawn[key]  # the page does not show them: the next mention draws them whole
                return found, False
            found.append(piece)
            known = len(self._drawn)
        return found, True

    def every(self) -> Iterator[Shot]:
        """All that was loaded."""
        return (shot for found in self.shots.values() for shot in found.values())

    def caps(self) -> str:
        """What there is no room for, and why."""
        if self.lacking:
            return f'<p class="cap">No pictures: {plain(self.lacking, 300)}</p>'
        if not self.sounds:
            return f'<p class="cap">The page has room for {PICTURES} pictures of {SIDE} pixels.</p>'
        heard = [shot for shot in self.every() if shot.heard]
        playing = sum(bool(shot.clip) for shot in heard)
        return (
            f'<p class="cap">{playing:,} of {len(heard):,} sounds here can be played; the page has room for {CLIPS} '
            f"clips of {SECONDS:g} s and {PICTURES} spectrograms.</p>"
        )

    # -- how it is drawn ----------------------------------------------------------------------------------------------

    def scale(self, ids: Iterable[str]) -> Scale | None:
        """The scale for sounds that stand together."""
        heard = [s.heard for own in ids for s in self.shots.get(own, {}).values() if s.heard]
        if not heard:
            return None
        return Scale(max(h.seconds for h in heard), float(max(h.power.max() for h in heard)))

    def show(self, own: str, who: str, scale: Scale | None = None, kind: str = "shots") -> str:
        """The pictures of a record, its player, and what is marked; ``who`` says whose they are."""
        found = self.shots.get(own, {})
        drawn = [self._one(own, name, shot, who, scale) for name, shot in found.items()]
        return f'<div class="{kind}">{"".join(drawn)}</div>' if drawn else ""

    def _one(self, own: str, name: str, shot: Shot, who: str, scale: Scale | None) -> str:
        column = f'<span class="col">{plain(name, 60)}</span>' if len(self._kind) > 1 else ""
        if shot.wrong:
            return f'<figure class="shot">{column}<p class="empty">{plain(shot.wrong)}</p></figure>'
        marks = [*shot.boxes, *shot.points, *shot.segments]
        told = overlay.counted(marks, self.colours)
        legend = f'<p class="told">{told}</p>' if told else ""
        if shot.heard:
            drawing = self._sound(own, name, shot, shot.heard, who, scale or self.scale([own]))
            return f'<figure class="shot sound">{column}{drawing}{legend}</figure>'
        return f'<figure class="shot">{column}{self._image(own, name, shot, who)}{legend}</figure>'

    def picture(self, own: str, name: str, scale: Scale | None = None) -> tuple[str, float, float]:
        """The bare picture of a record with its width and height: whole the first time, afterwards a mention of it."""
        known = self._drawn.get((own, name, scale))
        if known:
            reference, width, height = known
            return f'<use href="#{reference}"/>', width, height
        self._names += 1
        shot, reference = self.shots[own][name], f"p{self._names}"
        if shot.heard:
            scale = scale or self.scale([own])
            assert scale
            uri, width, height = spectrogram(shot.heard, scale.loudest), LONG * shot.heard.seconds / scale.seconds, HIGH
            self._bytes += len(uri)
        else:
            assert shot.picture
            large = SIDE / max(shot.picture.width, shot.picture.height)
            uri, width, height = shot.picture.uri, shot.picture.width * large, shot.picture.height * large
        self._drawn[own, name, scale] = (reference, width, height)
        size = f'width="{width:.1f}" height="{height:.1f}"'
        return f'<image id="{reference}" {size} preserveAspectRatio="none" href="{uri}"/>', width, height

    def _image(self, own: str, name: str, shot: Shot, who: str) -> str:
        assert shot.picture
        drawing, width, height = self.picture(own, name)
        scale = width / shot.picture.width
        veils = "".join(
            f'<image width="{width:.1f}" height="{height:.1f}" preserveAspectRatio="none" href="{uri}"/>'
            for uri in shot.veils
        )
        marks = overlay.boxes(shot.boxes, scale, self.colours) + overlay.points(shot.points, scale, self.colours)
        over = f'<g class="marks">{veils}{marks}</g>' if veils or marks else ""
        title = [who, f"{shot.picture.width} x {shot.picture.height} pixels"]
        title += [overlay.in_words(m, k) for m, k in ((shot.boxes, "boxes"), (shot.points, "points")) if m]
        title += ["a mask"] * bool(veils)
        said = f"<title>{plain('; '.join(title), 400)}</title>"
        return f'<svg viewBox="0 0 {width:.0f} {height:.0f}" role="img" class="image">{said}{drawing}{over}</svg>'

    def _sound(self, own: str, name: str, shot: Shot, heard: Heard, who: str, scale: Scale | None) -> str:
        assert scale
        drawing, width, _ = self.picture(own, name, scale)
        marks = overlay.segments(shot.segments, heard.seconds, width, TOP, self.colours)
        axes = _axes(scale.seconds, self._rate)
        long = f"{heard.whole:.2f} s" + (
            f", the first {SECONDS:g} shown" if heard.whole > heard.seconds + 0.005 else ""
        )
        said = f"{long}, {heard.rate / 1000:g} kHz" + (f", {heard.channels} channels" if heard.channels > 1 else "")
        title = [f"{who}: spectrogram", said, *([overlay.in_words(shot.segments, "segments")] if shot.segments else [])]
        picture = (
            f'<svg viewBox="0 0 {LEFT + LONG + 8} {TOP + HIGH + BOTTOM}" role="img" class="spectrogram">'
            f"<title>{plain('; '.join(title), 400)}</title>{axes}"
            f'<g transform="translate({LEFT} {TOP})"><g class="power">{drawing}</g></g>'
            f'<g class="marks" transform="translate({LEFT} 0)">{marks}</g></svg>'
        )
        playing = bool(shot.clip) and self._players < CLIPS
        self._players += playing
        player = (
            f'<audio controls preload="metadata" src="{shot.clip}" aria-label="{plain(f"{who}, {long}", 300)}"></audio>'
            if playing
            else ""
        )
        return f'{picture}{player}<p class="told">{plain(said)}</p>'


def _axes(seconds: float, rate: int) -> str:
    """Seconds below, kHz on the left."""
    foot = TOP + HIGH
    out = [f'<rect x="{LEFT}" y="{TOP}" width="{LONG}" height="{HIGH}" class="frame"/>']
    for t in ticks(0, seconds, 4):
        x = LEFT + t / seconds * LONG
        out += [line(x, foot, x, foot + 3, "edge"), label(x, foot + 13, f"{t:g}")]
    out.append(label(LEFT + LONG, foot + 24, "seconds", "end", "axis"))
    for hertz, share in heights(tuple(h for h in (0, 1000, 4000, 8000) if h <= rate / 2), rate):
        out += [line(LEFT - 3, foot - share * HIGH, LEFT, foot - share * HIGH, "edge"),
                label(LEFT - 6, foot - share * HIGH + 4, f"{hertz / 1000:g}", "end")]  # fmt: skip
    out.append(label(0, TOP - 5, "kHz", "start", "axis"))
    return "".join(out)
