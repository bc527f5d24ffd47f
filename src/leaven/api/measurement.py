"""Whether made rows helped, as an object that shows itself."""

from __future__ import annotations

from leaven.api.chart import Svg, gain_chart
from leaven.api.html import card
from leaven.measure.gain import Line
from leaven.measure.interval import Interval
from leaven.measure.measured import Measured
from leaven.measure.show import ARMS, at_setting, lines, points, score
from leaven.terminal import WIDTH, cut


class Measurement:
    """``verdict`` is use, no_gain, harmful or unclear; ``print`` shows the table of ``leaven measure``."""

    def __init__(self, measured: Measured) -> None:
        self.measured = measured

    @property
    def verdict(self) -> str:
        return self.measured.measurement.verdict

    @property
    def ratio(self) -> float:
        """Made rows for each real one in the blend that was judged."""
        return self.measured.measurement.ratio

    @property
    def weight(self) -> float:
        """What a made row weighs beside a real one there."""
        return self.measured.measurement.weight

    @property
    def gain(self) -> Interval:
        """The gain over real rows only, a share of one with its 95 % interval (``mean``, ``low``, ``high``)."""
        return self.measured.measurement.chosen.gain

    @property
    def lines(self) -> list[Line]:
        """Every arm of every student."""
        return self.measured.measurement.lines

    def plot(self) -> Svg:
        """The gain at each ratio, as SVG that a notebook draws; ``str`` of it is the drawing."""
        return gain_chart(self.measured.measurement)

    def __str__(self) -> str:
        return "\n".join(lines(self.measured))

    def __repr__(self) -> str:
        word = self.verdict.replace("_", " ").upper()
        gain = self.gain
        said = f"{gain.mean * 100:+.1f} points [{gain.low * 100:+.1f}, {gain.high * 100:+.1f}]"
        at = at_setting(self.measured.measurement)
        return cut(f"Measurement: {word} {at}, {said}, {self.measured.test_rows:,} test rows", WIDTH)

    def _repr_html_(self) -> str:
        m = self.measured.measurement
        rows = [
            [
                ARMS[x.arm],
                "" if x.arm in ("real", "repeat") else f"{x.ratio:.3g}" + (f" x {x.weight:g}" if x.weight != 1 else ""),
                f"{x.rows:,}",
                f"{score(x, m):.1f}",
                "" if x.arm == "real" else points(x.gain),
            ]
            for x in m.lines
            if x.student == m.student
        ]
        name = "accuracy" if m.metric == "accuracy" else "macro-F1"
        return card(repr(self), ["arm", "ratio", "rows", name, "gain, 95 % interval"], rows, self.plot())
