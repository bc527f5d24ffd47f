"""How the models of a run did what its steps asked of them: from the ledger, refused/ and failed/."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from contextlib import closing
from typing import Any

from leaven.measure.quality.rows import Following, Worst
from leaven.report.content import Content

WORST = 5
LONGEST = 300
ASKED = """
    SELECT step, model, TOTAL(repair = 0), TOTAL(repair = 1), COUNT(DISTINCT record || ' ' || round)
    FROM answers WHERE role IN ('chat', 'complete') AND answer IS NOT NULL
    GROUP BY step, model ORDER BY MIN(at), step, model
"""
LACKING = "too_few"


def following(content: Content) -> list[Following]:
    """One entry a step and model that answers were asked of; none without a ledger."""
    path = content.folder / "ledger.sqlite"
    if not path.is_file():
        return []
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as ledger:
            asked = ledger.execute(ASKED).fetchall()
    except sqlite3.Error:
        return []
    steps = {step.key: step for step in content.recipe.steps()} if content.recipe else {}
    unparsed = _unparsed(content)
    refused = Counter(zip(map(str, content.refused.steps), map(str, content.refused.reasons), strict=True))
    found = []
    models = Counter(str(step) for step, *_ in asked)
    for key, model, answers, repaired, records in asked:
        step = steps.get(str(key).partition(".")[0]) or steps.get(str(key))
        name = step.name if step else str(key)
        alone = models[str(key)] == 1  # else it is not known whose answer a refused row came of
        failed = unparsed.get(name, []) if alone else []
        here = {reason: n for (of, reason), n in refused.items() if of == name} if alone else {}
        n = step.op.asked() if step and step.op.kind == "make" and alone else 0  # type: ignore[attr-defined]
        found.append(
            Following(
                name, str(model), int(answers), int(repaired), len(failed), n * max(0, int(records) - len(failed)),
                here.get(LACKING, 0), {reason: n for reason, n in sorted(here.items()) if reason != LACKING},
                [*failed[:WORST], *_unusable(content, name, WORST - len(failed))] if alone else [],
            )
        )  # fmt: skip
    return found


def _unparsed(content: Content) -> dict[str, list[Worst]]:
    """Records whose answer was of no use, by step, with the answer."""
    found: dict[str, list[Worst]] = {}
    try:
        with (content.folder / "failed" / "records.jsonl").open(encoding="utf-8") as file:
            for line in file:
                row: dict[str, Any] = json.loads(line)
                if row.get("_reason") == "no_valid_json":
                    said = " ".join(str(row.get(column) or "") for column in content.texts.values())
                    answers = [a if isinstance(a, str) else json.dumps(a) for a in row.get("_answers") or ()]
                    worst = Worst(
                        said[:LONGEST], (answers or [""])[-1][:LONGEST], "answer", 0.0, (str(row.get("_id")),)
                    )
                    found.setdefault(str(row.get("_step", "")), []).append(worst)
    except (OSError, ValueError):
        pass
    return found


def _unusable(content: Content, step: str, most: int) -> list[Worst]:
    """The first texts that the step itself refused."""
    rows, found = content.refused, []
    pairs = enumerate(zip(rows.steps, rows.reasons, strict=True))
    here = [i for i, (of, reason) in pairs if of == step and reason != LACKING][: max(0, most)]
    for i, row in zip(here, rows.take(here, list(content.texts.values()), LONGEST) if here else [], strict=True):
        said = " ".join(str(row.get(column) or "") for column in content.texts.values())
        found.append(Worst(said, str(rows.reasons[i]), "refused", 0.0, (rows.ids[i],)))
    return found
