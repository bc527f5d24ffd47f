"""The gain at each ratio with its interval, drawn as SVG in the colour of the text around it."""

from __future__ import annotations

from collections.abc import Iterator

from leaven.measure.gain import Line, Measurement

WIDTH, ROW, LEFT, RIGHT, TOP = 560, 26, 130, 150, 30


class Svg(str):
    """A drawing: a notebook shows it, and as a text it is the SVG itself."""

    def __repr__(self) -> str:
        return f"Svg: {len(self):,} characters"

    def _repr_html_(self) -> str:
        return str(self)


def gain_chart(m: Measurement) -> Svg:
    """A row an arm: a dot for its gain in points, a bar for the 95 % interval, a line at 0."""
    arms = [x for x in m.lines if x.student == m.student and x.arm == "both"]
    reach = max([1.0, *(abs(end) * 100 for x in arms for end in (x.gain.low, x.gain.high))])
    reach = min(reach, 20.0) * 1.05
    height = TOP + ROW * len(arms) + 24
    title = f"Gain over real rows only, in points, at {len(arms)} ratios"
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
        ' role="img" fill="currentColor" stroke="none" style="max-width:100%;font:13px sans-serif">'
    )
    body = "".join(_parts(arms, m, reach, height))
    return Svg(f"{head}<title>{title}</title>{body}</svg>")


def _parts(arms: list[Line], m: Measurement, reach: float, height: int) -> Iterator[str]:
    bottom = height - 24
    yield f'<text x="0" y="16">made rows for each real one</text>{_text(WIDTH, 16, "gain, points", "end")}'
    yield _line(_x(0, reach), TOP - 6, _x(0, reach), bottom, 1)
    for value in (-reach / 1.05, 0.0, reach / 1.05):
        yield _text(_x(value, reach), bottom + 18, f"{value:+.0f}" if value else "0", "middle")
    for number, x in enumerate(arms):
        y = TOP + ROW * number + ROW / 2
        gain = x.gain
        low, mean, high = (max(-reach, min(reach, v * 100)) for v in (gain.low, gain.mean, gain.high))
        chosen = ", chosen" if (x.ratio, x.weight) == (m.ratio, m.weight) else ""
        weight = f" x {x.weight:g}" if x.weight != 1 else ""
        yield _text(LEFT - 16, y + 4, f"{x.ratio:.3g}{weight}{chosen}", "end")
        yield _line(_x(low, reach), y, _x(high, reach), y, 2)
        inside = abs(gain.mean) * 100 <= reach
        fill = "currentColor" if chosen else "none"
        if inside:
            yield f'<circle cx="{_x(mean, reach):.1f}" cy="{y:.1f}" r="4.5" fill="{fill}" stroke="currentColor"/>'
        said = f"{gain.mean * 100:+.1f} [{gain.low * 100:+.1f}, {gain.high * 100:+.1f}]"
        yield _text(WIDTH, y + 4, said, "end")


def _x(points: float, reach: float) -> float:
    return LEFT + (points + reach) / (2 * reach) * (WIDTH - LEFT - RIGHT)


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{text}</text>'


def _line(x1: float, y1: float, x2: float, y2: float, width: int) -> str:
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="currentColor" stroke-width="{width}"/>'
    )
