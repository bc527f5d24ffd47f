"""What ``leaven try`` prints: each parent, and its children below it."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leaven.keep.keep import KeepIf
from leaven.show import drawn as words
from leaven.show.command_line import command
from leaven.terminal import WIDTH, cut, shown, spend_line

if TYPE_CHECKING:
    from leaven.engine.trial import Child, Parent, Trial

MOST_REASON = 36
INDENT = " " * 12
LINES = 3
"""Of a caption or another text that is new."""
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
    said += _left(trial)
    if not parents:
        said.append("There is nothing to begin with: the rows have no record for the steps of this recipe.")
    if trial.waits:
        names = ", ".join(dict.fromkeys(trial.waits))
        among = f"{len(parents)} record{'' if len(parents) == 1 else 's'}"
        said.append(f"Decided among {among}: {names} may decide otherwise in the full run.")
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


def _left(trial: Trial) -> list[str]:
    """Where nothing was made because keeps chose none of the records: which keeps, and for what reason."""
    every = [child for parent in trial.parents for child in parent.children]
    if not every or any(child.state != "left" for child in every):
        return []
    found = Counter((child.step, child.reason.partition(":")[0]) for child in every)
    said = ["Nothing was made; the recipe left all of them out:"]
    for (name, reason), n in found.most_common():
        asked = [
            f": {step.op.that.source}"
            for step in trial.recipe.steps()
            if step.name == name and isinstance(step.op, KeepIf) and step.op.word() == reason
        ]
        said.append(cut(f"  {reason} {n:,}, by {name}{asked[0] if asked else ''}", WIDTH))
    return said


def _parent(parent: Parent, width: int) -> list[str]:
    repairs = f"      ({parent.repairs} repair{'s' if parent.repairs > 1 else ''})" if parent.repairs else ""
    text = shown(parent.text) or "(from nothing)"
    head = f"{parent.id[:6]}  " + (f"{cut(shown(parent.label), width):<{width}}  " if width else "")
    said = [head + cut(text, max(20, WIDTH - len(head) - len(repairs))) + repairs]
    if parent.captions:
        said += _more("", parent.captions, len(head))
    named = {name for child in parent.children if not child.steps for name, _ in child.scores}
    for child in parent.children:
        said += _media(child) if child.steps else _child(child, bool(named))
    if not parent.children:
        said.append("  nothing was made of it")
    return said


def _child(child: Child, scored: bool) -> list[str]:
    scores = "  ".join(f"{SHORT.get(name, name)} {value:.2f}" for name, value in child.scores)
    reason = cut(shown(child.reason), MOST_REASON)
    head = f"  {child.state:<8}  " + (f"{scores:<21}  " if scored else "")
    if child.state == "failed":
        return [cut(f"  failed    {child.reason}: {shown(child.text)}", WIDTH)]
    if child.state == "left":
        return [cut(f"  left      {shown(child.reason)}", WIDTH)]
    room = WIDTH - len(head) - (len(reason) + 3 if reason else 0)
    text = cut(shown(child.text), max(20, room)) or "(nothing)"
    line = f"{head}{text:<{max(0, room)}}   {reason}".rstrip() if reason else head + text
    return [line, *_said(child)]


def _media(child: Child) -> list[str]:
    """A child that is seen or heard: what was drawn for it, and below that what it says otherwise than its parent."""
    reason = cut(shown(child.reason), MOST_REASON)
    told = "; ".join(words.step(name, drawn) for name, drawn in child.steps)
    scores = [f"{name} {value:.2f}" for name, value in child.scores if name not in child.reason]
    room = WIDTH - len(INDENT) - (len(reason) + 3 if reason else 0)
    first, *rest = textwrap.wrap(shown("; ".join([*scores, told])), room, break_on_hyphens=False)
    lines = [f"  {child.state:<8}  {first:<{room}}   {reason}" if reason else f"  {child.state:<8}  {first}"]
    lines += [INDENT + line for line in rest]
    return [
        *lines,
        *(INDENT + cut(f"with: {shown(other)}", WIDTH - len(INDENT)) for other in child.others),
        *_said(child),
    ]


def _said(child: Child) -> list[str]:
    return [line for name, value in child.said for line in _more(name, value, len(INDENT))]


def _more(name: str, value: Any, indent: int) -> list[str]:
    """A column and what stands in it, on lines of their own; of several captions the first."""
    more = ""
    if isinstance(value, Sequence) and not isinstance(value, str):
        if value and isinstance(value[0], Mapping):
            value = words.soft_label(value)
        else:
            more = f" (and {len(value) - 1} more)" if len(value) > 1 else ""
            value = value[0] if value else ""
    head = f"{shown(name)}: " if name else ""
    said = shown("(none)" if value in (None, "") else str(value))
    room = WIDTH - indent - len(more)
    lines = textwrap.wrap(head + said, room, max_lines=LINES, placeholder=" ...", break_on_hyphens=False)
    return [" " * indent + line for line in [*lines[:-1], lines[-1] + more]]
