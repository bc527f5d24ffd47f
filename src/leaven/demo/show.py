"""``leaven demo``: raise a small dataset that comes with leaven, by answers that come with it, and measure it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from leaven.engine.augment import Request, augment
from leaven.measure.command import MeasureRequest, measure
from leaven.measure.measured import Measured
from leaven.measure.show import score, verdict
from leaven.report import card, page
from leaven.terminal import Progress, cut, shown

WIDE = 58


def run_demo(out: Path, workers: int, progress: Progress, answer: Callable[[list[str]], None]) -> None:
    """Run the main job on questions to a library desk, offline; stored answers play the chat model."""
    folder = Path(str(resources.files("leaven") / "demo"))
    answer(["Demo: 120 questions to a library desk, 12 labels. Rows and stored answers were written for leaven."])
    request = Request(
        str(folder / "desk.csv"),
        out,
        recipe="reword",
        test=str(folder / "desk_test.csv"),
        workers=workers,
        models={"chat": f"recorded:{folder / 'desk_answers.csv'}", "embed": "wordllama"},
    )
    run = augment(request, progress)
    progress.clear()
    answer(samples(out))
    done = run.written
    answer([f"Made {done.made:,}, kept {done.kept:,}, refused {done.refused:,}, failed {done.failed:,}, cost 0 USD."])
    asked = MeasureRequest(str(out), None, None, {}, (0, 0.25, 0.5, 1, 2), 5, None, 0, workers)
    measured = measure(asked, progress)
    progress.clear()
    answer(result(measured))
    progress.waiting("write the report")
    written = page.write(out)
    card.write(out)
    progress.clear()
    answer(
        [
            f"Look:  {shown(str(written)):<21}  Next:  leaven augment YOUR.csv -o out --test 0.3",
            "Rows and answers were written by the authors of leaven: they show nothing about other data.",
        ]
    )


def samples(out: Path) -> list[str]:
    """A real row, a child that was kept, and two of its siblings that were not."""
    kept = {row["_parents"][0]: row for row in rows(out / "train") if row["_synthetic"]}
    refused: dict[str, dict[str, Mapping[str, Any]]] = {}
    for row in rows(out / "refused"):
        if row["_parents"]:
            refused.setdefault(row["_parents"][0], {}).setdefault(row["_reason"], row)
    real = {row["_id"]: row for row in rows(out / "train") if not row["_synthetic"]}
    shown = sorted(i for i in real if i in kept and {"label_changed"} <= refused.get(i, {}).keys())
    if not shown:
        return []
    chosen = max(shown, key=lambda i: (len(refused[i]), i))
    lines = [line("real", real[chosen], f"label: {real[chosen]['topic']}")]
    lines.append(line("kept", kept[chosen], f"label prob {kept[chosen]['_scores']['label_prob']:.2f}"))
    for reason in sorted(refused[chosen].keys() - {"label_changed"})[-1:]:
        lines.append(line("refused", refused[chosen][reason], reason))
    changed = refused[chosen]["label_changed"]
    said = changed["_detail"].partition(",")[0].removeprefix("prediction ")
    lines.append(line("refused", changed, f"label_changed: {said}"))
    return lines


def rows(folder: Path) -> list[dict[str, Any]]:
    found = [pq.read_table(path).to_pylist() for path in sorted(folder.glob("*.parquet"))]
    return [row for some in found for row in some]


def line(word: str, row: Mapping[str, Any], why: str) -> str:
    quoted = '"' + cut(shown(row["question"]), WIDE) + '"'
    return f"  {word:<9} {quoted:<{WIDE + 3}} {why}"


def result(measured: Measured) -> list[str]:
    m = measured.measurement
    without, with_made = score(m.real, m), score(m.chosen, m)
    said = f"real rows only {without:.1f} %, with {m.chosen.rows - m.real.rows:,} made rows {with_made:.1f} %"
    measured_on = f"Measured on {measured.test_rows:,} rows never trained on, {m.seeds} seeds"
    return [f"{measured_on}: {said}.", *verdict(measured)]
