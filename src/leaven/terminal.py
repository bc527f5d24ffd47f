"""What the terminal shows: the narration and progress on stderr, the answer on stdout.

Plain ASCII but for the user's own text, drawn for 100 columns.  A terminal gets a line that is redrawn; a log gets a
line at the start and end of a step and every 30 seconds.
"""

from __future__ import annotations

import os
import sys
import time
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from leaven.engine.augment import Request, Run
    from leaven.errors import More
    from leaven.io.dataset import Dataset
    from leaven.models.asker import Spend
    from leaven.recipe import Recipe

WIDTH = 100
HINT = 69
SPLIT_COLUMN = "the split column"
"""What ``Dataset.test_from`` says of test rows that stand in the data itself."""
STYLES = {"bold": "\x1b[1m", "dim": "\x1b[2m", "red": "\x1b[31m", "yellow": "\x1b[33m"}


def shown(text: str) -> str:
    """A user's text with control characters and direction marks escaped, so that it can do nothing to a terminal."""
    return "".join(c if c.isprintable() or c == " " else _escaped(c) for c in text)


def _escaped(char: str) -> str:
    code = ord(char)
    if unicodedata.category(char) == "Zs":
        return " "
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 65536 else f"\\U{code:08x}"


def cut(text: str, width: int) -> str:
    """At most ``width`` characters; what is cut is said by three dots."""
    return text if len(text) <= width else text[: max(0, width - 3)] + "..."


def clock(seconds: float) -> str:
    """Minutes and seconds, or hours too: 0:52, 1:02:07."""
    whole = round(seconds)
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def in_words(seconds: float) -> str:
    """A time that is only guessed: 45 s, 12 min, 1 h 5 min."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def rows(n: int) -> str:
    return f"{n:,} row" if n == 1 else f"{n:,} rows"


def styled(text: str, style: str, stream: TextIO) -> str:
    return f"{STYLES[style]}{text}\x1b[0m" if colours(stream) else text


def colours(stream: TextIO) -> bool:
    """NO_COLOR wins over FORCE_COLOR, and a pipe has none."""
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or is_terminal(stream)


def is_terminal(stream: TextIO) -> bool:
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def show_error(error: Exception) -> None:
    """An expected error: two lines, the class word in red."""
    print(f"{styled(type(error).__name__, 'red', sys.stderr)}: {_safe(str(error))}", file=sys.stderr)


def warn(text: str, stamp: str = "") -> None:
    print(f"{stamp}{styled('warning:', 'yellow', sys.stderr)} {_safe(text)}", file=sys.stderr)


def _safe(text: str) -> str:
    return "\n".join(shown(line) for line in text.split("\n"))


def table_line(key: str, value: str, hint: str = "") -> str:
    line = f"{key:<9}{value}"
    return f"{line:<{HINT}}{hint}".rstrip() if hint else line


def facts(dataset: Dataset, recipe: Recipe, why: str, request: Request) -> list[str]:
    """The lines that say what was read and what was guessed, with the option that changes each guess."""
    counts = dataset.counts
    total = sum(n for name, n in counts.items() if name in ("source", "given"))
    lines = [table_line("Read", f"{shown(dataset.name)}: {rows(total)}, {len(dataset.order)} columns")]
    for name, column in dataset.columns.items():
        if name in dataset.types and dataset.types[name] != "value":
            guess = dataset.guessed.get(name, "")
            if guess and dataset.types[name] == "label":
                guess = f"guessed: {len(dataset.labels)} values, {rows(_middle(dataset.labels))} each"
            option = f"--{name}" if name in ("text", "label") else f"--field {name}="
            space = "" if option.endswith("=") else " "
            said = f"{shown(column):<11} {guess}" if guess else shown(column)
            lines.append(table_line(name.capitalize(), said, f"change: {option}{space}COLUMN" if guess else ""))
    if "test" in counts:
        leaks = any("stand" in w for w in dataset.warnings)
        inside = dataset.test_from == SPLIT_COLUMN or dataset.test_from.endswith(f"of {dataset.name}")
        clean = "" if leaks or inside or not dataset.test_from else f"; no row of it is in {shown(dataset.name)}"
        lines.append(table_line("Test", f"{shown(dataset.test_from)}: {rows(counts['test'])}, never trained on{clean}"))
    elif dataset.labels:
        lines.append(table_line("Test", "none; `leaven measure` needs one", "add: --test FILE or --test 0.3"))
    if "pool" in counts:
        lines.append(table_line("Pool", f"{rows(counts['pool'])} without a label"))
    elif dataset.labels:
        lines.append(table_line("Pool", "none; rows without a label would help", "add: --unlabelled FILE"))
    if "given" in counts:
        lines.append(table_line("Given", f"{rows(counts['given'])} marked _synthetic; never taken for real ones"))
    reason = f": {why}" if why != "named" else ""
    lines.append(table_line("Recipe", f"{recipe.name}{reason}", "change: -r NAME" if reason else ""))
    return lines


def _middle(counts: Mapping[str, int]) -> int:
    return sorted(counts.values())[len(counts) // 2]


def players(recipe: Recipe, models: Mapping[str, str]) -> str:
    """Which model plays each role that the recipe asks for, and what leaves the machine."""
    from leaven.models.players import host

    found = {}
    for step in recipe.steps():
        if "fill" in step.op.roles:
            found["fill"] = "ngram"
        if step.op.name == "prediction":
            found["student"] = "linear"
    found |= {role: shown(uri) for role, uri in models.items()}
    said = ", ".join(f"{role} {name}" for role, name in sorted(found.items()))
    elsewhere = sorted({h for uri in models.values() if (h := host(uri)) and not loopback(h)})
    if elsewhere:
        return f"{said}; prompts go to {', '.join(elsewhere)}"
    inner = "built in, nothing leaves this machine" if not models.keys() - {"embed"} else "nothing leaves this machine"
    return f"{said}; {inner}" if said else "none; nothing leaves this machine"


def loopback(host: str) -> bool:
    from leaven.models.keys import is_loopback

    return is_loopback(f"http://{host}/")


class Progress:
    """Told by the engine how the work goes on; says it on stderr in the way that the stream can show."""

    def __init__(self, *, quiet: bool = False, brief: bool = False, now: Callable[[], float] = time.monotonic) -> None:
        self.stream = sys.stderr
        self.quiet = quiet
        self.brief = brief
        """Of a command that answers in a moment, a terminal shows one line."""
        self.now = now
        self.began = now()
        self.live = is_terminal(self.stream) and not quiet
        self.counts: dict[str, int] = {}
        self.title, self.parts, self.parts_done, self.records = "", 0, 0, 0
        self.number, self.steps = 0, 0
        self.begins_said = False
        self.stage_began = self.last_said = self.last_part = self.began
        self.drawn = 0
        self.spend: Spend | None = None
        self.flying = 0

    def read(self, dataset: Dataset, recipe: Recipe, why: str, request: Request, new: bool) -> None:
        for warning in dataset.warnings:
            self.warn(warning)
        workers = f"{request.workers} worker{'s' if request.workers > 1 else ''}"
        state = "new" if new else "goes on"
        if self.quiet:
            return
        self.clear()
        if self.live:
            for line in facts(dataset, recipe, why, request):
                print(styled(line, "dim", self.stream), file=self.stream)
            return
        columns = ", ".join(
            f"{n}={shown(c)}{' (guessed)' if n in dataset.guessed else ''}"
            for n, c in dataset.columns.items()
            if dataset.types.get(n) != "value"
        )
        given = dataset.counts.get("given", 0)
        aside = f"; {rows(given)} marked _synthetic are never taken for real ones" if given else ""
        self.log(f"read {shown(dataset.name)}: {rows(dataset.counts['source'])}; {columns}{aside}")
        reason = f" ({why})" if why != "named" else ""
        self.log(
            f"recipe {recipe.name}{reason}; seed {request.seed}; {workers}; {shown(str(request.out))} {_is(state)}"
        )

    def log(self, text: str) -> None:
        if not self.quiet:
            print(f"{self.stamp()}{text}", file=self.stream, flush=True)
            self.last_said = self.now()

    def stamp(self) -> str:
        """What a line of a log begins with: how long the command runs."""
        return "" if self.live or self.quiet else f"{clock(self.now() - self.began)} "

    def warn(self, text: str) -> None:
        self.clear()
        warn(text, self.stamp())

    def models(self, models: Mapping[str, str], recipe: Recipe, request: Request, new: bool) -> None:
        if self.live:
            self.clear()
            workers = f"{request.workers} worker{'s' if request.workers > 1 else ''}"
            state = "new" if new else "goes on"
            writes = f"{shown(str(request.out))} ({state}), seed {request.seed}, {workers}"
            for line in (table_line("Models", players(recipe, models)), table_line("Writes", writes)):
                print(styled(line, "dim", self.stream), file=self.stream)
            print(file=self.stream)

    def resumed(self, stored: int, before: Mapping[str, Any]) -> None:
        """A run that was begun goes on."""
        if self.quiet:
            return
        self.clear()
        stopped = before.get("stopped") or {}
        when = f" (stopped {stopped['at']}, {stopped['why']})" if stopped else ""
        line = f"Going on{when}: {stored:,} answers are stored and are not paid again."
        if self.live:
            print(styled(line, "dim", self.stream), file=self.stream)
        else:
            self.log(line[0].lower() + line[1:])

    def waiting(self, what: str) -> None:
        if self.live:
            self.draw(f"{what} ...")
        elif self.now() - max(self.began, self.last_said) >= 30:
            self.log(what)

    def stage(self, number: int, steps: int, title: str, records: int) -> None:
        self.number, self.steps, self.title, self.parts = number, steps, title, records
        self.parts_done, self.counts, self.stage_began = 0, {}, self.now()
        self.begins_said = not self.live and records > 0 and self.now() - self.began > 5
        if self.begins_said:
            self.log(f"step {number} of {steps}, {title}: begins")

    def part(self, records: int, counts: Mapping[str, int]) -> None:
        self.parts_done += records
        self.last_part = self.now()
        for name, n in counts.items():
            self.counts[name] = self.counts.get(name, 0) + n
        self.refresh(at_once=self.parts_done == self.parts)
        long = self.begins_said or self.now() - self.stage_began > 5
        if not self.live and self.parts_done == self.parts and long:
            made = self.counts.get("on", 0) + self.counts.get("refused", 0)
            self.log(f"step {self.number} of {self.steps}, {self.title}: done, {made:,} records")

    def spent(self, spend: Spend, flying: int) -> None:
        """Told some times a second while models are asked, from whichever thread waits for them."""
        self.spend, self.flying = spend, flying
        self.refresh()

    def refresh(self, *, at_once: bool = False) -> None:
        """Say how far the step is, where it was not said just now: a terminal is drawn anew, a log gets a line."""
        waited = self.now() - self.last_said
        if self.live and (waited > 0.25 or at_once):
            self.last_said = self.now()
            self.draw(*self.lines()[: 1 if self.brief else 2])
        elif not self.live and waited >= 30:
            self.log(self.one_line())

    def say(self, text: str, *, warning: bool = True) -> None:
        """Something that a model does otherwise than asked, or where it runs and what it waits for."""
        if self.quiet:
            return
        if warning:
            self.warn(text)
            return
        self.clear()
        print(f"{self.stamp()}{_safe(text)}", file=sys.stderr)

    def costs(self) -> str:
        """What this command took so far."""
        if self.spend is None:
            return "0 calls, 0 tokens, 0 USD"
        return spend_line(self.spend.calls, self.spend.tokens, self.spend.usd, sorted(self.spend.unpriced))

    def silence(self) -> str:
        """What is waited for, where nothing came for 15 seconds."""
        waited = self.now() - max(self.last_part, self.stage_began)
        if self.spend and self.spend.waits:
            return self.spend.waits
        if not self.flying or waited < 15:
            return ""
        return f"no answer for {waited:.0f} s, {self.flying} asked"

    def left(self) -> str:
        spent = self.now() - self.stage_began
        todo = self.parts - self.parts_done
        return f"{in_words(spent / self.parts_done * todo)} left" if self.parts_done and todo else ""

    def lines(self) -> tuple[str, str]:
        share = self.parts_done / max(1, self.parts)
        wide = 24 if _columns() >= 96 else 10
        bar = ("#" * int(wide * share)).ljust(wide, ".")
        records = self.counts.get("records", 0)
        rate = records / max(1e-3, self.now() - self.stage_began)
        of = f" of {self.parts:,}" if records == self.parts_done else ""  # where records are told one by one
        told = f"[{bar}]  {records:,}{of} records"
        silence, left = self.silence(), self.left()
        told += "   ".join(["", *filter(None, ["" if silence else f"{rate:,.0f}/s", left])])
        step = f"step {self.number} of {self.steps}  "
        room = max(12, min(30, _columns() - 2 - len(step + told)))
        first = f"{step}{cut(self.title, room):<16} {told}"
        second = (
            f"  going on {self.counts.get('on', 0):,}   refused {self.counts.get('refused', 0):,}"
            f"   failed {self.counts.get('failed', 0):,}     {self.costs()}"
        )
        if self.flying:
            second += f", {self.flying} in flight"
        return first, f"  {silence}" if silence else second

    def one_line(self) -> str:
        left = self.left()
        return (
            f"step {self.number} of {self.steps}, {self.title}: {self.parts_done:,} of {self.parts:,}, going on"
            f" {self.counts.get('on', 0):,}, refused {self.counts.get('refused', 0):,},"
            f" failed {self.counts.get('failed', 0):,}{', ' + left if left else ''}"
            + (f", {self.costs()}, {self.flying} in flight" if self.spend else "")
            + (f"; {silence}" if (silence := self.silence()) else "")
        )

    def draw(self, *lines: str) -> None:
        width = max(40, _columns())
        self.clear()
        for line in lines:
            print(cut(line, width - 1), file=self.stream)
        self.drawn = len(lines)
        self.stream.flush()

    def clear(self) -> None:
        if self.live and self.drawn:
            print(f"\x1b[{self.drawn}F\x1b[J", end="", file=self.stream)
            self.drawn = 0


def _columns() -> int:
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns
    except (OSError, ValueError):
        return WIDTH


def _is(state: str) -> str:
    return "is new" if state == "new" else "goes on"


def spend_line(calls: int, tokens: int, usd: float, unpriced: Sequence[str]) -> str:
    """Calls, tokens and USD in one phrase; an unknown price is called unknown."""
    from leaven.models.budget import dollars

    cost = f"{dollars(usd)} USD"
    if unpriced:
        cost = "USD unknown" if not usd else f"{cost} and what {', '.join(unpriced)} costs"
    return f"{calls:,} {'call' if calls == 1 else 'calls'}, {tokens:,} tokens, {cost}"


def stopped(more: More, request: Request) -> list[str]:
    """The answer of ``augment`` where its budget ended."""
    from leaven.models.budget import dollars

    out = shown(str(request.out))
    return [
        f"Stopped at the budget: {dollars(more.spent)} of {more.limit:g} USD spent, the next call could have"
        " passed it. Exit 4.",
        f"Answered {more.done:,} of {more.total:,} records of this step. {out}/train is not written yet.",
        f"Next:  the same command with --budget {more.enough:g} goes on here   ({dollars(more.low)} to"
        f" {dollars(more.high)} USD more)",
    ]


def costs(run: Run) -> str:
    """What the folder's commands took, and how much of it this one."""
    from leaven.models.budget import dollars

    if not run.spent:
        return "0 calls, 0 tokens, 0 USD"
    spent, now = run.spent, run.spend
    again = spent["retries"] + spent["repairs"]
    line = spend_line(spent["calls"], spent["tokens_in"] + spent["tokens_out"], spent["usd"], spent["unpriced"])
    calls, _, rest = line.partition(", ")
    retries = f" ({again:,} {'retry' if again == 1 else 'retries'} or repairs)" if again else ""
    earlier = spent["calls"] > now.calls
    share = (f", {dollars(now.usd)} of it now" if spent["usd"] else f", {now.calls:,} of them now") if earlier else ""
    return f"{calls}{retries}, {rest}{share}"


def summary(run: Run) -> list[str]:
    """The answer of ``augment``."""
    done, dataset, out = run.written, run.dataset, shown(str(run.request.out))
    total = done.real_written + done.made_written
    share = f" ({done.made_written / total:.0%})".replace("%", " %") if done.made_written else ""
    exit_said = " Exit 3." if done.failed else ""
    how = ", with failures" if done.failed else ""
    lines = [
        f"Done in {clock(run.seconds)}{how}. {out}/train holds {rows(total)}: {done.real_written:,} real,"
        f" {done.made_written:,} made{share}. Spent {costs(run)}.{exit_said}",
        f"Made {done.made:,}, kept {done.kept:,}, refused {done.refused:,}, failed {done.failed:,}."
        + (f" Pool rows left {done.left:,}." if done.left else ""),
    ]
    if run.recipe.blend.attach:
        lines.append(f"Blend     put fields of {done.attached:,} of the {done.kept:,} kept into rows of yours")
    elif done.kept > done.made_written:
        lines.append(f"Blend     took {done.made_written:,} of the {done.kept:,} kept ({_blend(run.recipe)})")
    lines += done.reviewed.lines()
    if done.not_chosen:
        n = sum(done.not_chosen.values())
        why = "   ".join(f"{reason} {n:,}" for reason, n in done.not_chosen.items())
        lines.append(f"Left      {rows(n)} of yours, of which nothing was made: {why}")
    if done.reasons:
        lines.append("Refused   " + "   ".join(f"{reason} {n:,}" for reason, n in done.reasons.items()))
    if done.failures:
        lines.append(
            "Failed    "
            + "   ".join(f"{n:,} {reason}" for reason, n in done.failures.items())
            + f"; all, with the error: {out}/failed"
        )
        if done.failed_places:
            first = f"{done.failed_places[0][2][:6]} {_quoted(done.first_failed)}".rstrip()
            lines[-1] = lines[-1].rpartition("; all")[0]
            lines.append(f"          first: {first}; all, with the raw answers: {out}/failed")
    if done.balance:
        lines.append(f"Balance   {balance(done.balance, dataset.labels)}")
    look = f"Look:  {out}/report.html      " if (run.request.out / "report.html").exists() else ""
    lines.append(f'{look}Load: datasets.load_dataset("{out}/train")')
    again = len(done.failed_places)
    if again and set(done.failures) == {"no_recording"} and not done.made:
        lines.append("Next:  nothing of these rows is recorded: is its column of parents the right one?")
    elif again:
        lines.append(f"Next:  the same command retries {f'these {again:,}' if again > 1 else 'this one'} only")
    elif not done.made_written and not done.attached:
        where = f"; the reasons: {out}/refused" if done.refused else ""
        lines.append(f"Next:  leaven try shows why nothing was {'kept' if done.made else 'made'}{where}")
    elif not dataset.labels and (dataset.main("image") or dataset.main("audio")):
        lines.append(_without_label(dataset, out))
    elif "test" in dataset.counts:
        lines.append(f"Next:  leaven measure {out}                    (did it help?)")
    else:
        lines.append(f"Next:  leaven measure {out} --test FILE        (did it help? it needs rows never trained on)")
    return lines


def _without_label(dataset: Dataset, out: str) -> str:
    """What comes next where no student can be trained: what is marked on the rows is compared, where there is some."""
    from leaven.storage import MARKED

    if any(kind in MARKED for kind in dataset.types.values()):
        return f"Next:  leaven measure {out}                    (what is marked on made rows, beside real ones)"
    return f"Next:  leaven export {out} --as {'imagefolder' if dataset.main('image') else 'audiofolder'}"


def _quoted(text: str) -> str:
    return f'"{cut(shown(text), 50)}"' if text else ""


def _blend(recipe: Recipe) -> str:
    asked = recipe.blend.model_dump(exclude_defaults=True)
    return ", ".join(f"{name} {value}" for name, value in asked.items())


def balance(now: Mapping[str, tuple[int, int]], before: Mapping[str, int]) -> str:
    """Rows a label, before and after."""
    totals = [real + made for real, made in now.values()]
    real, made = [r for r, _ in now.values()], [m for _, m in now.values()]
    labels = "the one label" if len(now) == 1 else f"each of {len(now)} labels"
    each = f"{_span(totals)} for {labels} ({_span(real, '')} real, {_span(made, '')} made)"
    return f"{each}; before: {_span(list(before.values()), '')}"


def _span(values: list[int], unit: str = "rows") -> str:
    low, high = min(values), max(values)
    numbers = f"{low:,}" if low == high else f"{low:,} to {high:,}"
    word = {"rows": " row" if high == 1 else " rows", "": ""}[unit]
    return numbers + word
