"""The students that are trained in steps: the same net from the same seed, whatever the rows' order and number."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from shapes_and_tones import picture, pictures

from leaven.measure import cnn, scenes
from leaven.measure.bench import NO_ROOT, Arm, Rows
from leaven.measure.cnn import Cnn, drawn
from leaven.measure.command import MeasureRequest, measure
from leaven.measure.detector import Detector
from leaven.measure.notes import SMALL, Noted
from leaven.measure.precision import matched, mean_average_precision
from leaven.measure.segmenter import Segmenter, mean_iou
from leaven.measure.show import lines
from leaven.measure.students import fit_predict

pytest.importorskip("torch")


class Quiet:
    def waiting(self, what: str) -> None:
        pass


def test_rows_are_drawn_by_their_weights():
    found = np.bincount(drawn(np.array([1.0, 0.0, 3.0]), 100, 40, 0).ravel(), minlength=3) / 4000
    assert found[1] == 0
    assert found[2] == pytest.approx(0.75, abs=0.02)
    assert (drawn(np.array([1.0, 0.0, 3.0]), 5, 8, 1) == drawn(np.array([2.0, 0.0, 6.0]), 5, 8, 1)).all()


def test_a_net_learns():
    rng = np.random.default_rng(0)
    seen = {f"{kind}{i}": picture(kind, rng) for kind in ("disc", "frame") for i in range(30)}
    items, labels = list(seen), np.repeat([0, 1], 30)
    student = Cnn(seen, steps=40)
    train, test = np.arange(60) % 2 == 0, [item for item in items if int(item.strip("discframe")) % 2]
    mine = [item for item, here in zip(items, train, strict=True) if here]
    once = fit_predict(student, mine, labels[train], None, test, 0.0, 2)
    assert np.mean(once == np.repeat([0, 1], 15)) > 0.8


def test_the_order_and_the_number_of_rows_change_no_net_and_its_seed_does():
    rng = np.random.default_rng(0)
    seen = {f"{kind}{i}": picture(kind, rng) for kind in ("disc", "frame") for i in range(6)}
    items, labels = list(seen), np.repeat([0, 1], 6)
    student = Cnn(seen, steps=2)
    order = rng.permutation(np.tile(np.arange(12), 3))

    def net(rows: np.ndarray, luck: int) -> bytes:
        return fit_predict(student, [items[i] for i in rows], labels[rows], None, items, 0.0, 2, luck=luck).tobytes()

    found = [net(np.arange(12), luck) for luck in range(4)]
    assert [net(order, luck) for luck in range(4)] == found
    assert len(set(found)) > 1


def squares(seed: int, number: int) -> tuple[np.ndarray, list[Noted]]:
    """Bright squares and dark ones on gray, with their boxes and their mask."""
    rng = np.random.default_rng(seed)
    seen, notes = [], []
    for _ in range(number):
        pixels = np.full((SMALL, SMALL, 3), 128, np.uint8) + rng.integers(0, 20, (SMALL, SMALL, 3), dtype=np.uint8)
        mask, boxes, labels = np.zeros((SMALL, SMALL), np.uint8), [], []
        for label, shade in (("bright", 250), ("dark", 10)):
            (x, y), side = rng.integers(0, SMALL - 30, 2), int(rng.integers(16, 30))
            pixels[y : y + side, x : x + side] = shade
            mask[y : y + side, x : x + side] = 1 + labels.__len__()
            boxes.append([x / SMALL, y / SMALL, side / SMALL, side / SMALL])
            labels.append(label)
        seen.append(pixels)
        notes.append(Noted({}, np.array(boxes), labels, mask))
    return np.stack(seen), notes


def test_a_detector_finds_squares():
    (seen, notes), (tested, truth) = squares(0, 24), squares(1, 8)
    student = Detector(["bright", "dark"], steps=50)
    found = student.train_and_predict(seen, notes, np.ones(24), tested, 0)
    score = mean_average_precision(matched(found, [student.truth(n) for n in truth], 2), np.ones((1, 8)))[0]
    assert score > 0.4


def test_a_segmenter_colours_squares():
    (seen, notes), (tested, truth) = squares(0, 16), squares(1, 6)
    student = Segmenter([0, 1, 2], steps=25)
    found = student.train_and_predict(seen, notes, np.ones(16), tested, 0)
    assert mean_iou(found, [student.truth(n) for n in truth], [0, 1, 2], np.ones((1, 6)))[0] > 0.6


def test_the_arms_of_a_measurement_of_scenes():
    (few, few_notes), (more, more_notes), (tested, truth) = squares(0, 3), squares(2, 7), squares(1, 4)
    items = [[f"{name}{i}" for i in range(n)] for name, n in (("real", 3), ("made", 7), ("test", 4))]
    seen = dict(zip((item for some in items for item in some), [*few, *more, *tested], strict=True))
    real, made, test = (
        Rows(some, np.zeros(len(some), np.int64), np.full(len(some), NO_ROOT), some, notes=notes)
        for some, notes in zip(items, (few_notes, more_notes, truth), strict=True)
    )
    nothing = Rows([], np.zeros(0, np.int64))
    student = scenes.student_of(["boxes"], real)
    assert isinstance(student, Detector)
    assert student.labels == ["bright", "dark"]
    student.steps = 4
    bench = scenes.SceneBench(real, {"made": made, "classic": nothing}, test, seen, student)
    found = scenes.measure(bench, ratios=(0, 1, 2, 4), seeds=2, workers=1, progress=lambda said: None)
    assert [(x.arm, x.ratio, x.rows) for x in found.lines] == [("real", 0, 3), ("made", 2, 6), ("both", 2, 9)]
    assert found.left_out == [(4, 12)]
    assert found.metric == "map50"
    for line in found.lines:
        assert 0 <= line.accuracy.low <= line.accuracy.mean <= line.accuracy.high <= 1
        assert line.gain.low <= line.gain.mean <= line.gain.high
    once, none = np.ones(3, np.int64), np.zeros(0, np.int64)
    first, twice = (bench.predict(bench.students(), Arm(0, times * once, none)) for times in (1, 2))
    assert all((a.boxes == b.boxes).all() and (a.scores == b.scores).all() for a, b in zip(first, twice, strict=True))
    assert bench.same(Arm(0, once, none), Arm(0, 2 * once, none))
    assert not bench.same(Arm(0, once, none), Arm(0, once, np.eye(1, 7, dtype=np.int64)[0]))


def test_the_named_student_has_the_verdict(
    augment: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(cnn, "STEPS", 2)
    out = augment(pictures(tmp_path / "data", 6, 0, ("disc", "cross")), [{"shade": {"brightness": 0.1}}],
                  "--test", "0.5")  # fmt: skip
    found = measure(MeasureRequest(str(out), None, None, {}, (1,), 2, None, 0, 1, "cnn"), Quiet())
    m = found.measurement
    assert m.student == "CNN"
    assert {x.student for x in m.lines} == {"CNN", "image features + linear", "thumbnail + linear"}
    repeated = next(x for x in m.lines if (x.student, x.arm) == ("CNN", "repeat"))
    assert (repeated.gain.mean, repeated.gain.low, repeated.gain.high) == (0, 0, 0)
    shown = lines(found)
    assert "Student  CNN: the one that was named; the ratio, out of fold" in shown
    assert sum("without," in line for line in shown) == 2
