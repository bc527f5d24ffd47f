"""What the run took, by step and model, and all that it takes to repeat it."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

from leaven.report.charts import table
from leaven.report.content import Content
from leaven.report.fit import within
from leaven.report.marked import cut, plain, whole

BYTES = 300_000
ANSWERS = 3
RECIPE = 40_000


def cost(content: Content) -> str:
    return f'<section id="cost"><h2>Cost</h2>{_cost(content)}{_failed(content)}</section>'


def _cost(content: Content) -> str:
    if not content.calls and (calls := int(content.spent.get("calls") or 0)):
        return (
            f"<p>{calls:,} {'call' if calls == 1 else 'calls'}; the ledger, which says of which step, is not here.</p>"
        )
    if not content.calls:
        return '<p class="empty">No calls</p>'
    rows = [
        (
            plain(c.step, 60),
            plain(c.model, 120),
            f"{c.calls:,}",
            f"{c.retries:,}",
            f"{c.repairs:,}",
            f"{c.failed:,}",
            f"{c.tokens_in:,}",
            f"{c.tokens_out:,}",
            "unknown" if c.usd is None else f"{c.usd:,.4f}",
            f"{c.seconds / 60:,.1f}",
        )
        for c in content.calls
    ]
    heads = ["step", "model", "#calls", "#retries", "#repairs", "#failed", "#tokens in", "#tokens out", "#USD",
             "#minutes"]  # fmt: skip
    known = [c.usd for c in content.calls if c.usd is not None]
    calls = sum(c.calls for c in content.calls)
    usd = f"{sum(known):,.2f} USD" + ("" if len(known) == len(content.calls) else " and an unknown rest")
    usd = usd if known else "USD unknown"
    said = (
        f"{calls:,} {'call' if calls == 1 else 'calls'}, {usd}. Minutes are those of the calls, which run side by side."
    )
    left_out = [
        f"{plain(model, 120)} does not take {plain(', '.join(names), 200)}; left out of every call."
        for model, names in (content.said.get("left_out") or {}).items()
    ]
    return f"<p>{said}</p>{table('Calls by step and model', heads, rows)}" + "".join(f"<p>{x}</p>" for x in left_out)


def _failed(content: Content) -> str:
    found, total = content.failed
    if not total:
        return ""
    drawn = [_record(content, row) for row in found]
    shown, _ = within(drawn, BYTES)
    cap = (
        f'<p class="cap">{len(shown):,} of {total:,}; all, with the raw answers: failed/</p>'
        if len(shown) < total
        else ""
    )
    said = "record" if total == 1 else "records"
    return f'<h3>Failed: {total:,} {said}</h3>{cap}<ol class="failed">{"".join(shown)}</ol>'


def _record(content: Content, row: dict[str, Any]) -> str:
    said = " ".join(str(row.get(column) or "") for column in content.texts.values())
    said = " ".join(filter(None, [said, *(_path(row.get(column)) for column in content.media)]))
    answers = [a if isinstance(a, str) else json.dumps(a) for a in row.get("_answers") or ()]
    raw = "".join(f"<pre>{cut(a)}</pre>" for a in answers[:ANSWERS])
    more = f'<p class="cap">{ANSWERS} of {len(answers):,} answers</p>' if len(answers) > ANSWERS else ""
    folded = f"<details><summary>{len(answers):,} raw answers</summary>{raw}{more}</details>" if answers else ""
    return (
        f'<li><p class="t" dir="auto">{cut(said)}</p><p class="chips"><span class="chip why">'
        f"{plain(row.get('_step', ''), 60)}: {plain(row.get('_error', ''), 400)}</span></p>{folded}</li>"
    )


def _path(value: Any) -> str:
    """Which file it is; a value that came with the data has no path."""
    return str((value.get("path") if isinstance(value, dict) else value) or "")


def how(content: Content) -> str:
    """Everything that decides what came out."""
    said = content.said
    facts = [
        ("data", plain(said.get("data", ""), 200)),
        ("columns", ", ".join(f"{plain(f, 60)} = {plain(c, 60)}" for f, c in content.dataset.columns.items())),
        ("recipe", plain(said.get("recipe", ""), 120) + _changes(content)),
        ("seed", plain(said.get("seed", ""))),
        ("models", ", ".join(f"{plain(r, 40)} {plain(_shared(m), 200)}" for r, m in content.models.items()) or "none"),
        ("versions", ", ".join(f"{plain(k, 40)} {plain(v, 40)}" for k, v in (said.get("versions") or {}).items())),
        ("fingerprint", f"<code>{plain(said.get('fingerprint', ''))}</code>"),
    ]
    text = str(said.get("recipe_text", ""))
    recipe = whole(text) if len(text) <= RECIPE else cut(text, RECIPE)
    command = f"leaven verify {plain(shlex.quote(str(content.folder)), 400)}"
    listed = "".join(f"<div><dt>{k}</dt><dd>{v}</dd></div>" for k, v in facts)
    return (
        f'<section id="how"><h2>How</h2><dl class="facts">{listed}</dl>'
        f'<p>Repeat it: <code class="copy">{command}</code></p>'
        f'<pre class="copy" tabindex="0" aria-label="recipe">{recipe}</pre></section>'
    )


def _changes(content: Content) -> str:
    """What ``--set`` and ``--limit`` changed."""
    sets = "".join(f" <code>--set {plain(s, 120)}</code>" for s in content.said.get("set") or ())
    limit = content.said.get("limit")
    return sets + (f" <code>--limit {plain(limit)}</code>" if limit else "")


def _shared(uri: str) -> str:
    """A model's URI as a page that is shown to others may say it: of a recording the file's name alone."""
    scheme, _, rest = uri.partition(":")
    return f"recorded:{Path(rest.partition('?')[0]).name}" if scheme == "recorded" else uri
