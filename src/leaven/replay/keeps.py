"""What becomes of recorded rows under a keep: a run of leaven, with the steps that a user would write."""

from __future__ import annotations

import csv
import shutil
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from leaven.errors import RecipeError, nearest
from leaven.expressions import parse_expression
from leaven.replay.rows import Row

ALL = "all"
"""Every recorded row, as it is."""
MOST = 50
"""Children of a seed in one run: what ``paraphrase`` asks for at most."""


@dataclass(frozen=True)
class KeepSteps:
    """Steps of a recipe, one a line as the file has them, and the column that weighs the rows."""

    name: str
    steps: tuple[str, ...]
    weight: str = ""
    by_parent: bool = False
    """True where it needs to know the parent of a row."""
    compares: bool = False
    """True where rows are compared with each other; else those of all methods may go through one run."""

    def recipe(self, begin: str) -> str:
        """The recipe file."""
        lines = ["fields: [text, label]", "steps:", *(f"  - {step}" for step in (begin, *self.steps))]
        return "\n".join([*lines, *([f"blend: {{weight: {self.weight}}}"] if self.weight else []), ""])


KEEPS = {
    keep.name: keep
    for keep in (
        KeepSteps("agree", ("prediction", "keep: prediction == label")),
        KeepSteps("likely", ("prediction", "keep: label_prob >= 0.5")),
        KeepSteps("top2", ("prediction", "top: {n: 2, by: label_prob, per: root}"), by_parent=True, compares=True),
        KeepSteps("new", ("unique: {by: vector, at: 0.95}",), compares=True),
        KeepSteps("near", ("neighbours: {of: source, same: label}", "keep: nearness >= 0.3")),
        KeepSteps("light", ("note: {share: 0.2}",), "share"),
        KeepSteps("agree-light", ("prediction", "keep: prediction == label", "note: {share: 0.2}"), "share"),
    )
}
"""Agreement of a student that never saw the parent; its probability; its best two of a seed; no near duplicates;
nearness to another real row of the label; all rows at a fifth of the weight of a real one; the first and the last."""


def keeps(asked: Sequence[str]) -> list[KeepSteps]:
    """The named keeps, or all.  Another text is an expression over what ``prediction`` and ``neighbours`` note.

    Raises RecipeError for one that cannot be read.
    """
    if "none" in asked:
        return []
    found = []
    for said in asked or KEEPS:
        if said in KEEPS:
            found.append(KEEPS[said])
            continue
        if said.replace("-", "").replace("_", "").isalnum():
            close = nearest(said, KEEPS)
            way = f"the nearest is {close}." if close else f"it is {', '.join(KEEPS)}, none, or an expression."
            raise RecipeError(f"--keep {said} is not known.", way)
        parse_expression(said)
        quoted = '"' + said.replace("\\", "\\\\").replace('"', '\\"') + '"'
        noted = ("prediction", "neighbours: {of: source, same: label}")
        found.append(KeepSteps(said, (*noted, f"keep: {{that: {quoted}}}")))
    return found


def kept(
    keep: KeepSteps, seeds: Sequence[Row], made: Mapping[str, Sequence[Row]], scratch: Path
) -> Iterator[dict[str, dict[int, float]]]:
    """Of each method the places of the made rows that leaven keeps, with the weight of each; a few methods at a time.

    Where every made row names its parent, recorded answers about the seeds are played, so that a student which judges
    a row never saw its parent; else the rows come in as candidates made elsewhere.
    """
    linked = all(is_linked(seeds, rows) for rows in made.values())
    for names in _groups(keep, made, linked):
        rows = [row for name in names for row in made[name]]
        found = _run(keep, seeds, rows, linked, scratch)
        out, begin = {}, 0
        for name in names:
            end = begin + len(made[name])
            out[name] = {at - begin: found[at] for at in range(begin, end) if at in found}
            begin = end
        yield out


def _groups(keep: KeepSteps, made: Mapping[str, Sequence[Row]], linked: bool) -> list[list[str]]:
    """The methods whose rows go through one run."""
    groups: list[list[str]] = []
    room = 0
    for name, rows in made.items():
        n = _most(rows) if linked else 0
        if keep.compares or not groups or n > room:
            groups.append([])
            room = MOST
        groups[-1].append(name)
        room -= n
    return groups


def _most(rows: Sequence[Row]) -> int:
    """The most children that a seed has."""
    return max(Counter(row.parent for row in rows).values())


def _run(keep: KeepSteps, seeds: Sequence[Row], made: Sequence[Row], linked: bool, scratch: Path) -> dict[int, float]:
    """The places of the rows that stand in train/ after a run, with their weights."""
    from leaven.engine.augment import Request, augment
    from leaven.terminal import Progress

    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    table = scratch / "real.csv"
    _write(table, [{"text": seed.text, "label": seed.label} for seed in seeds])
    if linked:
        _write(scratch / "made.csv", [{"parent": seeds[row.parent].text, "text": row.text} for row in made])
        begin = f"paraphrase: {{n: {_most(made)}}}"
        models, given = {"chat": f"recorded:{scratch / 'made.csv'}?parent=parent&text=text"}, None
    else:
        _write(scratch / "made.csv", [{"text": row.text, "label": row.label} for row in made])
        begin, models, given = "from: given", {}, str(scratch / "made.csv")
    recipe = scratch / "keep.yaml"
    recipe.write_text(keep.recipe(begin), "utf-8")
    request = Request(
        str(table), scratch / "run", str(recipe), {"text": "text", "label": "label"}, given=given, models=models
    )
    augment(request, Progress(quiet=True))
    return _found(scratch / "run" / "train", seeds, made, linked)


def is_linked(seeds: Sequence[Row], made: Sequence[Row]) -> bool:
    """True where each made row is the child of a seed, with its label."""
    return all(row.parent >= 0 and row.label == seeds[row.parent].label for row in made)


def _found(train: Path, seeds: Sequence[Row], made: Sequence[Row], linked: bool) -> dict[int, float]:
    """Which of the recorded rows stand in train/: by their parent's text and their own, as ``paraphrase`` cleans it."""
    import pyarrow.parquet as pq

    from leaven.text.bare import bare

    waiting: dict[tuple[str, str], list[int]] = defaultdict(list)
    for at, row in enumerate(made):
        waiting[seeds[row.parent].text if linked else row.label, bare(row.text) if linked else row.text].append(at)
    columns = ["_id", "_parents", "_synthetic", "_weight", "text", "label"]
    rows = [row for path in sorted(train.glob("*.parquet")) for row in pq.read_table(path, columns=columns).to_pylist()]
    real: Mapping[str, str] = {row["_id"]: row["text"] for row in rows if not row["_synthetic"]}
    found: dict[int, float] = {}
    for row in sorted((row for row in rows if row["_synthetic"]), key=lambda row: str(row["_id"])):
        above = real[row["_parents"][0]] if linked else row["label"]
        found[waiting[above, row["text"]].pop(0)] = float(row["_weight"])
    return found


def _write(path: Path, rows: Sequence[Mapping[str, str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
