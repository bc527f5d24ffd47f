"""What ``leaven plan`` prints: a line a step, the total, where the ranges come from, what leaves, the first prompts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from leaven.engine.plan import KEPT, REPAIRED
from leaven.models.budget import dollars
from leaven.show.command_line import command
from leaven.terminal import cut, loopback, shown

if TYPE_CHECKING:
    from leaven.engine.plan import Plan, Planned, Range

HEAD = ("step", "records", "calls", "tokens in", "tokens out", "USD")
WIDTHS = (30, 15, 12, 18, 18)
OFFLINE = 76
"""The width of a step where no model is asked."""


def lines(plan: Plan, out: Path | None) -> list[str]:
    """The answer of the command."""
    asks = plan.total("calls")[1] > 0 or plan.stored > 0
    said = _priced(plan) if asks else _offline(plan)
    said += _notes(plan)
    for step, record, text in plan.prompts:
        said.append(f"First prompt of {step}, record {record[:6]}, in full:")
        said += [f"  | {shown(line)}" for line in text.splitlines()]
    more = {"budget": f"{plan.request.budget:g}"} if plan.request.budget is not None else {}
    said.append(f"Next:  {shown(command('augment', plan.request, out or Path('out'), **more))}")
    return said


def as_json(plan: Plan) -> dict[str, Any]:
    """The plan as one object."""
    return {
        "recipe": plan.recipe.name,
        "steps": [
            {
                "step": line.title,
                "records": line.records,
                "calls": line.calls,
                "tokens_in": line.tokens_in,
                "tokens_out": line.tokens_out,
                "usd": line.usd,
                "stored": line.stored,
            }
            for line in plan.lines
        ],
        "calls": plan.total("calls"),
        "usd": plan.usd,
        "seconds": plan.seconds,
        "leaves": plan.leaves,
        "unpriced": plan.unpriced,
    }


def _priced(plan: Plan) -> list[str]:
    said = [_row(HEAD), *(_line(number, line) for number, line in enumerate(plan.lines, 1))]
    if len(plan.lines) > 1:
        total = [_span(plan.total(name)) for name in ("calls", "tokens_in", "tokens_out")]
        said.append(_row(("total", "", *total, _usd(plan.usd))))
    return said


def _offline(plan: Plan) -> list[str]:
    """Steps and records; where nothing is asked, the rest would be naughts."""
    said = [f"{HEAD[0]:<{OFFLINE}}{HEAD[1]}"]
    for number, line in enumerate(plan.lines, 1):
        records = "" if line.title.startswith("keeps") else _span(line.records)
        said.append(f"{cut(f'{number} {line.title}', OFFLINE - 1):<{OFFLINE}}{records}".rstrip())
    return said


def _row(cells: tuple[str, ...]) -> str:
    return ("".join(f"{cell:<{width}}" for cell, width in zip(cells, WIDTHS, strict=False)) + cells[5]).rstrip()


def _line(number: int, line: Planned) -> str:
    title = f"{number} {line.title}"
    if line.title.startswith("keeps"):
        wide = WIDTHS[0] + WIDTHS[1]
        return f"{cut(title, wide - 1):<{wide}}{'0':<{WIDTHS[2]}}{'-':<{WIDTHS[3]}}{'-':<{WIDTHS[4]}}0"
    tokens_in, tokens_out = (_span(r) if line.calls[1] else "-" for r in (line.tokens_in, line.tokens_out))
    usd = _usd(line.usd) if line.calls[1] else "0"
    cells = (cut(title, WIDTHS[0] - 1), _span(line.records), _span(line.calls), tokens_in, tokens_out, usd)
    return _row(cells)


def _span(values: Range) -> str:
    low, high = round(values[0]), round(values[1])
    if high >= 10_000:
        low, high = round(low, -3), round(high, -3)
        low_said, high_said = f"{low // 1000:,}k", f"{high // 1000:,}k"
        return low_said if low == high else f"{low_said} to {high_said}"
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _usd(values: Range | None) -> str:
    if values is None:
        return "unknown"
    low, high = values
    if high == 0:
        return "0"
    return "-".join(dict.fromkeys(f"{end:.2f}" if high >= 0.1 else dollars(end) for end in (low, high)))


def _notes(plan: Plan) -> list[str]:
    said = []
    if plan.total("calls")[1] == 0:
        said.append(
            "Asks     no model; nothing is spent." if not plan.stored else "Asks     nothing: every answer is stored."
        )
    else:
        said.append(f"Time     {_time(plan)}")
        keeps = f"; a keep leaves {KEPT:.0%} to all".replace("%", " %") if _keeps_before_asking(plan) else ""
        one_in = round(1 / REPAIRED)
        stored = f" {plan.stored:,} are stored already." if plan.stored else ""
        said.append(f"Range    low: every answer parses; high: one in {one_in} needs a repair turn{keeps}.{stored}")
        if not plan.seen:
            said.append("Tokens   estimated from the texts (--sample 3 makes a few real calls first)")
    for model in plan.unpriced:
        said.append(f'Price    of {model} unknown, not guessed; leaven.toml: [prices] "{model}" = [IN, OUT]')
    elsewhere = {h: fields for h, fields in plan.leaves.items() if not loopback(h)}
    budget = plan.request.budget
    enough = ""
    if budget is not None and plan.usd is not None:
        word = (
            "is enough" if plan.usd[1] <= budget else "may not be enough" if plan.usd[0] <= budget else "is not enough"
        )
        enough = f" Budget {budget:.2f} USD {word}."
    if elsewhere:
        count = f"{plan.dataset.counts.get('source', 0):,} rows"
        for host, fields in elsewhere.items():
            names = " and ".join(shown(f) for f in fields) or "the prompts"
            said.append(f"Leaves   this machine: {names} of {count}, to {host}.{enough}")
            enough = ""
    else:
        said.append(f"Leaves   this machine: nothing.{enough}")
    return said


def _time(plan: Plan) -> str:
    if plan.seconds is None:
        return "not known before the first answer (--sample 3 makes a few real calls)"
    low, high = plan.seconds
    return f"{_minutes(low, high)}, from the {plan.seen:,} answers seen; the server's limit is found on the way"


def _minutes(low: float, high: float) -> str:
    unit, name = (1, "second") if high < 90 else (60, "minute")
    ends = [max(1, round(end / unit)) for end in (low, high)]
    return " to ".join(dict.fromkeys(map(str, ends))) + f" {name}{'' if ends[1] == 1 else 's'}"


def _keeps_before_asking(plan: Plan) -> bool:
    seen = False
    for line in plan.lines:
        seen = seen or line.title.startswith("keeps")
        if seen and line.calls[1]:
            return True
    return False
