"""A search as people read it, and as a program does."""

from __future__ import annotations

from typing import Any

from leaven.measure.measured import as_json as measured_json
from leaven.measure.show import METRICS, points, verdict
from leaven.search.choose import Tried
from leaven.search.command import Found
from leaven.terminal import cut, shown

MOST = 8


def lines(found: Found, data: str) -> list[str]:
    """The answer of ``search``."""
    choice = found.choice
    out = [f"Tried    {_tries(found)}"]
    out += [f"warning: {shown(t.recipe)} has no part: {shown(t.left_out)}" for t in found.tries if t.left_out]
    metric = METRICS[found.metric]
    out.append(
        f"Student  {found.student}: the better one without made rows, {metric} {choice.alone * 100:.1f} out of fold"
    )
    out.append(f"{'recipe':<26}{'keep':<10}{'ratio':>6}{'weight':>8}   gain out of fold, in standard errors")
    out += [_line(t, found) for t in choice.tried[:MOST]]
    more = len(choice.tried) - MOST
    if more > 0:
        out.append(f"and {more:,} more")
    if choice.setting is None:
        out.append("Verdict  NOTHING is better than your real rows alone by more than luck.")
        out.append(
            f"         The best of {len(choice.tried)} worthless settings reaches {choice.needed:.1f} standard errors"
            " one time in five."
        )
        out.append("Next:  collect more real rows; with them, or with a chat model, search again")
        return out
    out.append("Chosen   the one with the least made weight among those within a standard error of the best")
    if found.measured and found.measured.trained:
        m = found.measured.trained
        out.append(
            f"Test     {shown(found.measured.test_name)}: {found.measured.test_rows:,} rows that the search never read"
        )
        real = (m.real.accuracy if m.metric == "accuracy" else m.real.macro_f1).mean * 100
        out.append(f"         {real:.1f} with real rows alone; with made rows {points(m.chosen.gain)}")
        out += verdict(found.measured)
    out.append(f"Wrote    {shown(str(found.recipe))}")
    out.append(f"Next:  leaven augment {shown(data)} -o OUT -r {shown(str(found.recipe))}")
    return out


def _tries(found: Found) -> str:
    made = ", ".join(f"{shown(t.recipe)} ({t.kept:,} rows)" for t in found.tries if not t.left_out)
    settings = f"{len(found.choice.tried)} settings, {found.choice.fits:,} fits on {found.real_rows:,} real rows"
    usd = sum(t.usd for t in found.tries)
    return f"{made}; {settings}" + (f"; {usd:.4g} USD" if usd else "")


def _line(tried: Tried, found: Found) -> str:
    recipe, _, keep = tried.setting.made.rpartition("/")
    said = f"{cut(shown(recipe), 25):<26}{keep:<10}{tried.setting.ratio:>6.2g}{tried.setting.weight:>8.2g}"
    word = "chosen" if tried.setting == found.choice.setting else ""
    early = "" if tried.deals > 3 else f"stopped after {tried.deals} {'deal' if tried.deals == 1 else 'deals'}"
    return f"{said}   {tried.gain * 100:+.1f}{tried.errors:>8.1f}   {word or early}".rstrip()


def as_json(found: Found) -> dict[str, Any]:
    """One object: what was tried, what was chosen, and the measurement on the test set."""
    choice = found.choice
    return {
        "tries": [{"recipe": t.recipe, "kept": t.kept, "usd": t.usd, "left_out": t.left_out} for t in found.tries],
        "student": found.student,
        "metric": found.metric,
        "alone": round(choice.alone, 12),
        "needed": round(choice.needed, 6),
        "fits": choice.fits,
        "settings": [
            {**_setting(t), "gain": round(t.gain, 12), "errors": round(t.errors, 6), "deals": t.deals}
            for t in choice.tried
        ],
        "chosen": next((_setting(t) for t in choice.tried if t.setting == choice.setting), None),
        "recipe": None if found.recipe is None else str(found.recipe),
        "measured": None if found.measured is None else measured_json(found.measured),
    }


def _setting(tried: Tried) -> dict[str, Any]:
    recipe, _, keep = tried.setting.made.rpartition("/")
    return {"recipe": recipe, "keep": keep, "ratio": round(tried.setting.ratio, 4), "weight": tried.setting.weight}
