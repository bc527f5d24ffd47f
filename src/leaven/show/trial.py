"""What ``leaven try`` prints: each parent, and its children below it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from leaven.show.command_line import command
from leaven.terminal import WIDTH, cut, shown, spend_line

if TYPE_CHECKING:
    from leaven.engine.trial import Child, Parent, Trial

MOST_REASON = 36
SHORT = {"label_prob": "prob", "match": "sim", "confidence": "conf", "nearness": "near"}


def lines(trial: Trial, out: Path | None) -> list[str]:
    """The answer of the command."""
    request, parents = trial.request, trial.parents
    total = trial.dataset.counts.get("source", 0)
    said = [f"{len(parents)} of {total:,} records, drawn with seed {request.seed} (others: --seed {request.seed + 1})"]
    width = max([len(p.label) for p in parents] or [0])
    width = min(24, width)
    for parent in parents:
        said += _parent(parent, width)
    if not parents:
        said.append("No record came through; is the source empty?")
    if trial.waits:
        names = ", ".join(dict.fromkeys(trial.waits))
        said.append(f"Decided among {len(parents)} records: {names} may decide otherwise in the full run.")
    spend = trial.spend
    if spend.calls or spend.stored:
        repairs = f" ({spend.repairs} repair{'s' if spend.repairs > 1 else ''})" if spend.repairs else ""
        cost = spend_line(spend.calls, spend.tokens, spend.usd, sorted(spend.unpriced))
        calls, _, rest = cost.partition(", ")
        before = f" {spend.stored:,} more were stored before." if spend.stored else ""
        where = (
            f", stored: a run with -o {shown(str(out))} will not pay for them again.{before}"
            if out
            else "; not stored: with -o DIR a run there would not pay for them again."
        )
        said.append(f"{calls}{repairs}, {rest}{where}")
    following = "plan" if trial.spend.calls or trial.spend.stored else "augment"
    said.append(f"Next:  {shown(command(following, request, out or Path('out')))}")
    return said


def _parent(parent: Parent, width: int) -> list[str]:
    repairs = f"      ({parent.repairs} repair{'s' if parent.repairs > 1 else ''})" if parent.repairs else ""
    text = shown(parent.text) or "(from nothing)"
    head = f"{parent.id[:6]}  {cut(shown(parent.label), width):<{width}}  "
    said = [head + cut(text, max(20, WIDTH - len(head) - len(repairs))) + repairs]
    named = {name for child in parent.children for name, _ in child.scores}
    for child in parent.children:
        said.append(_child(child, bool(named)))
    if not parent.children:
        said.append("  nothing was made of it")
    return said


def _child(child: Child, scored: bool) -> str:
    scores = "  ".join(f"{SHORT.get(name, name)} {value:.2f}" for name, value in child.scores)
    reason = cut(shown(child.reason), MOST_REASON)
    head = f"  {child.state:<8}  " + (f"{scores:<21}  " if scored else "")
    if child.state == "failed":
        return cut(f"  failed    {child.reason}: {shown(child.text)}", WIDTH)
    room = WIDTH - len(head) - (len(reason) + 3 if reason else 0)
    text = cut(shown(child.text), max(20, room)) or "(nothing)"
    return f"{head}{text:<{max(0, room)}}   {reason}".rstrip() if reason else head + text
