"""``leaven plan``: what a run will ask, what that takes, and what leaves the machine.  It asks nothing.

Prompts are rendered as the run will render them, up to where they are sent.  What is not known yet is a range: how many
records a keep leaves, how long answers are, how many need a repair turn.
"""

from __future__ import annotations

from collections.abc import Sequence, Sized
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leaven.context import Context
from leaven.engine.asking import asking_of
from leaven.engine.augment import Request, desk_of, engine_of, prepare_aside
from leaven.engine.folder import Folder, folder_aside
from leaven.engine.local import Engine
from leaven.engine.part import answered, with_values
from leaven.engine.rows import to_records
from leaven.engine.trial import try_out
from leaven.errors import RecipeError
from leaven.expressions import Expression
from leaven.io.dataset import Dataset
from leaven.models.asker import MOST_OUT, Asker, Player
from leaven.models.budget import Budget
from leaven.models.calls import About, Answer, Ask, CallFailed
from leaven.models.conversation import Conversation
from leaven.models.ledger import Ledger
from leaven.models.players import batched, host, in_a_prompt
from leaven.models.prices import tokens, tokens_of
from leaven.models.roles import ASKED
from leaven.operators import Keep, Make
from leaven.recipe import Fork, Recipe, Repeat, Start, Step
from leaven.records import Record

if TYPE_CHECKING:
    from leaven.engine.augment import Reporter
    from leaven.recipe import Node

WRITTEN = frozenset({"chat", "complete", "classify", "translate"})
"""The roles that are asked in a prompt, whose tokens are counted."""
SHORT, LONG = 20.0, 2000.0
"""Tokens of a prompt about a group whose rows are not there yet, at least and at most."""
UNWRITTEN = frozenset(ASKED) - WRITTEN
"""Those that are asked about one image, sound or text a call."""
LOOKED = 500
"""So many prompts are rendered for an estimate; the others count as their mean."""
REPAIRED = 0.2
"""The share of answers that need a repair turn, at the high end."""
KEPT = 0.5
"""The share of records that a keep leaves, at the low end; at the high end it leaves all."""

Range = tuple[float, float]


@dataclass
class Planned:
    """One line of a plan; ``usd`` None where a price is not known."""

    title: str
    records: Range
    calls: Range = (0.0, 0.0)
    tokens_in: Range = (0.0, 0.0)
    tokens_out: Range = (0.0, 0.0)
    usd: Range | None = (0.0, 0.0)
    stored: int = 0
    seconds: float = 0.0


@dataclass
class Plan:
    request: Request
    recipe: Recipe
    dataset: Dataset
    lines: list[Planned]
    prompts: list[tuple[str, str, str]]
    """Step, record and text of the first prompts."""
    leaves: dict[str, list[str]]
    """For each host, the fields that go there."""
    seen: int
    """Answers from which lengths and times are known."""
    stored: int
    """Answers of this run that are stored already."""
    unpriced: list[str]
    seconds: Range | None

    def total(self, name: str) -> Range:
        found = [getattr(line, name) for line in self.lines]
        return sum(low for low, _ in found), sum(high for _, high in found)

    @property
    def usd(self) -> Range | None:
        return None if self.unpriced else self.total("usd")


def plan(request: Request, out: Path | None, reporter: Reporter, *, sample: int = 0) -> Plan:
    """What ``augment`` with the same request would ask.  With ``sample`` so many records are tried first, for real."""
    if sample:
        try_out(request, sample, out, reporter)
    with ExitStack() as stack:
        work = stack.enter_context(folder_aside())
        recipe, dataset = prepare_aside(request, work, out, reporter.waiting)
        if out:
            Folder(out).lend_answers(work)
        desk = desk_of(request, recipe, work.path)
        if desk:
            stack.callback(desk.close)
        engine = engine_of(request, recipe, dataset, work, desk, reporter)
        return _Planner(request, recipe, dataset, engine).plan()


class _Looked(CallFailed):
    """A call that was looked at, and not made."""


class _Look(Asker):
    """Takes down what would be asked; what is stored is answered."""

    def __init__(self, ledger: Ledger) -> None:
        super().__init__(ledger, Budget(None, 0.0))
        self.asked: list[tuple[About, Ask, Player, bool]] = []

    async def ask(self, player: Player, ask: Ask, about: About) -> Answer:
        attempt = self.ledger.attempt((about.step, about.round, about.record))
        found = self.ledger.find(self._key(player, ask, about, attempt))
        self.asked.append((about, ask, player, found is not None))
        if found and found[0]:
            return found[0]
        raise _Looked("not_asked", "")


class _Planner:
    def __init__(self, request: Request, recipe: Recipe, dataset: Dataset, engine: Engine) -> None:
        self.request, self.recipe, self.dataset, self.engine = request, recipe, dataset, engine
        self.lines: list[Planned] = []
        self.prompts: list[tuple[str, str, str]] = []
        self.leaves: dict[str, list[str]] = {}
        self.unpriced: set[str] = set()
        self.seen = self.stored = 0
        self.wanted = 0.0
        """How many records a round starts, where the repeat around it says so."""

    def plan(self) -> Plan:
        for chain in self.recipe.chains:
            self.stand_in = self.rows(chain.start)
            count = float(self.dataset.counts.get(chain.start, 0))
            if self.request.limit:
                count = min(count, self.request.limit)
            self.walk(chain.nodes, (count, count))
        return Plan(
            self.request,
            self.recipe,
            self.dataset,
            self.lines,
            self.prompts,
            self.leaves,
            self.seen,
            self.stored,
            sorted(self.unpriced),
            self.time(),
        )

    def rows(self, name: str) -> list[Record]:
        """Records to render prompts with: the first of a set, as a run would order them."""
        if not self.dataset.counts.get(name):
            name = "source"
        table = self.dataset.table(name)
        stage = self.engine.stage_of([], None, None, dict(self.dataset.typed()))
        return to_records(table.slice(0, LOOKED), stage)

    def walk(self, nodes: tuple[Node, ...], records: Range) -> Range:
        keeps: list[str] = []

        def tell_keeps() -> None:
            if keeps:
                self.lines.append(Planned(f"keeps: {', '.join(keeps)}", (0.0, 0.0)))
                keeps.clear()

        for node in nodes:
            if isinstance(node, Step) and isinstance(node.op, Keep):
                n = node.values["n"].source if "n" in node.values else getattr(node.op, "n", None)
                keeps.append(f"{node.name} n={n}" if isinstance(n, int | str) else node.name)
                records = (records[0] * KEPT, records[1])
                continue
            tell_keeps()
            if isinstance(node, Step):
                records = self.step(node, records)
            elif isinstance(node, Start):
                each = len(self.dataset.labels) if node.per else 1
                count = self.wanted or float(self.engine.number_of(node.n, 1)) * each
                records = (count, count)
                self.stand_in = self.begun(node)
            elif isinstance(node, Fork):
                ends = [self.walk(branch, records) for branch in node.branches.values()]
                records = (sum(low for low, _ in ends), sum(high for _, high in ends))
            else:
                records = self.repeat(node, records)
        tell_keeps()
        return records

    def repeat(self, node: Repeat, records: Range) -> Range:
        """One round at least; where it goes on until enough are kept, as much again as keeps may refuse."""
        if node.begins and node.until and node.until.kept:
            each = len(self.dataset.labels)
            self.wanted = float(self.engine.number_of(node.until.kept, 1)) * each
        before = len(self.lines)
        end = self.walk(node.steps, records)
        self.wanted = 0.0
        more = 2.0 if node.until and node.until.kept else float(node.times)
        more = min(more, float(node.times))
        for line in self.lines[before:]:
            line.title += f"  (up to {node.times} rounds)" if node.times > 1 else ""
            for name in ("calls", "tokens_in", "tokens_out", "usd"):
                low_high = getattr(line, name)
                if low_high is not None:
                    setattr(line, name, (low_high[0], low_high[1] * more))
        return end[0], end[1] * (1 if node.last else more)

    def begun(self, node: Start) -> list[Record]:
        labels = list(self.dataset.labels) if node.per else [""]
        return [Record(f"{i:024x}", {node.per: label} if node.per else {}, made=True) for i, label in enumerate(labels)]

    def step(self, step: Step, records: Range) -> Range:
        line = Planned(_title(step), records)
        self.lines.append(line)
        if step.op.awaits():
            self.asking(step, line)
        elif step.op.asks():
            self.asking_of_groups(step, line)
        if isinstance(step.op, Make):
            op = self.standing(step)
            each = max(1, op.asked() or int(getattr(op, "n", 1) or 1)) * self.items(step)
            return records[0] * each, records[1] * each
        return records

    def standing(self, step: Step) -> Make:
        """A make with those of its numbers that the recipe alone decides, such as `n: tools|length`."""
        constants = self.engine.constants
        found = {}
        for name, expression in step.values.items():
            if expression.names <= constants.keys():
                with suppress(RecipeError):  # it draws by chance
                    found[name] = expression(constants)
        op = with_values(step.op, found) if found else step.op
        assert isinstance(op, Make)
        return op

    def items(self, step: Step) -> int:
        """The items of the list that a step makes a child of each of, where the recipe holds it; 1 else."""
        each = getattr(step.op, "each", None)
        if not isinstance(each, Expression) or not each.names <= self.engine.constants.keys():
            return 1
        found = each(self.engine.constants)
        return len(found) if isinstance(found, Sized) else 1

    def asking_of_groups(self, step: Step, line: Planned) -> None:
        """One call a group: how many there are is known of a column of the data; its prompt shows rows to come."""
        assert self.engine.desk is not None
        desk = self.engine.desk
        per = getattr(step.op, "per", None)
        names = [per] if isinstance(per, str) else list(per or ())
        source = self.dataset.table("source")
        most = line.records[1]
        if names == ["all"]:
            most = 1.0
        elif set(names) <= set(source.column_names):
            most = min(most, float(len(source.group_by(names).aggregate([]))))
        _, player = desk.players.player("chat", getattr(step.op, "model", None))
        line.calls = (min(1.0, most), most)
        line.tokens_in = (SHORT * line.calls[0], LONG * most)
        out = float(step.op.sampling().get("max_tokens", MOST_OUT)) if hasattr(step.op, "sampling") else MOST_OUT
        line.tokens_out = (SHORT * line.calls[0], out * most)
        self.cost(line, player)
        self.leaving(step, player)

    def asking(self, step: Step, line: Planned) -> None:
        """Render the prompts of a step, and count what they take."""
        assert self.engine.desk is not None
        desk = self.engine.desk
        nick = getattr(step.op, "model", None)
        written = sorted(step.op.roles & WRITTEN)
        if not written:
            asked = {role: desk.players.player(role, nick) for role in sorted(step.op.roles & UNWRITTEN)}
            written = [role for role, (over, player) in asked.items() if in_a_prompt(over, player.uri)]
            if asked and not written:
                self.without_a_prompt(step, line, [player for _, player in asked.values()])
                return
        look = _Look(desk.ledger)
        conversation = Conversation(look, desk.players)
        for record in self.stand_in:
            desk.run(self.look(step, record, conversation))
        [role] = written
        _, player = desk.players.player(role, nick)
        looked = look.asked
        here = max(1, len(self.stand_in))
        fresh = [ask for _, ask, _, stored in looked if not stored]
        stored = len(looked) - len(fresh)
        # Where no prompt could be rendered ahead (it shows what an earlier step makes), one call of a common length.
        per_record = len(looked) / here if looked else 1.0
        mean_in = sum(_tokens(ask) for _, ask, _, _ in looked) / len(looked) if looked else 200.0
        seen, seen_in, seen_out, seconds = desk.ledger.seen(step.key)
        self.seen += seen
        self.stored += stored
        line.stored, line.seconds = stored, 0.0 if batched({role: player.uri}) else seconds  # a batch takes hours
        share = len(fresh) / len(looked) if looked else 1.0
        exact = bool(looked) and len(self.stand_in) >= line.records[1]
        low = line.records[0] * per_record * share if not exact else float(len(fresh))
        high = line.records[1] * per_record * share if not exact else float(len(fresh))
        repaired = 1 + REPAIRED if fresh and fresh[0].shape is not None else 1.0
        line.calls = (low, high * repaired)
        mean_in = seen_in or mean_in
        line.tokens_in = (0.9 * low * mean_in, 1.1 * high * repaired * mean_in)
        out_low, out_high = self.length(step, looked, seen, seen_out)
        line.tokens_out = (low * out_low, high * repaired * out_high)
        self.cost(line, player)
        for about, ask, _, _ in looked[:1]:
            self.prompts.append((step.name, about.record, _prompt(ask)))
        self.leaving(step, player)

    def without_a_prompt(self, step: Step, line: Planned, players: Sequence[Player]) -> None:
        """One call a record, or as many as it makes: priced by the image or the minute, which no list tells."""
        each = (isinstance(step.op, Make) and step.op.asked()) or 1
        line.calls = (line.records[0] * each, line.records[1] * each)
        for player in players:
            if not player.free:
                line.usd = None
                self.unpriced.add(player.model)
            self.leaving(step, player)

    def cost(self, line: Planned, player: Player) -> None:
        """What the tokens of a line cost, where a price is known."""
        if player.free:
            line.usd = (0.0, 0.0)
        elif player.price is None:
            line.usd = None
            self.unpriced.add(player.model)
        else:
            line.usd = (
                player.price.of(int(line.tokens_in[0]), int(line.tokens_out[0])),
                player.price.of(int(line.tokens_in[1]), int(line.tokens_out[1])),
            )

    async def look(self, step: Step, record: Record, conversation: Conversation) -> None:
        """Have the operator ask about a record, as far as it comes."""
        run_step = replace(step, when=None)
        ctx = Context(
            seed=self.request.seed,
            step=run_step.key,
            constants=self.engine.constants,
            lineage=self.engine.lineage,
            columns=self.dataset.typed(),
        )
        try:
            op = step.op
            if step.values:
                of = ctx.of(record)
                op = with_values(op, {name: e(of.values(record), of.rng) for name, e in step.values.items()})
            main = self.dataset.main("text")
            asking = asking_of(op, conversation, self.recipe.texts, main, self.engine.rows_of)
            await answered(op, record, ctx.apart(record, asking))
        except Exception:  # it was looked at, or needs what an earlier step would have made
            pass

    def length(self, step: Step, looked: list[Any], seen: int, seen_out: float) -> Range:
        """Tokens of an answer: as those seen, else by what is asked for."""
        if seen:
            return 0.85 * seen_out, 1.15 * seen_out
        text = self.dataset.main("text")
        texts = [tokens(str(r.get(text) or "")) for r in self.stand_in if r.get(text)]
        mean = sum(texts) / len(texts) if texts else 20.0
        wanted = max([ask.wanted for _, ask, _, _ in looked] or [1])
        most = float(step.op.sampling().get("max_tokens", MOST_OUT)) if hasattr(step.op, "sampling") else MOST_OUT
        return min(most, 0.8 * wanted * mean + 5), min(most, 2.0 * wanted * (mean + 6) + 20)

    def leaving(self, step: Step, player: Player) -> None:
        to = host(player.uri)
        if not to:
            return
        names = [n for n in self.dataset.types if n in step.op.reads()]
        if "record" in step.op.reads() and self.dataset.main("text") not in names:
            names.insert(0, self.dataset.main("text"))
        known = self.leaves.setdefault(to, [])
        known += [self.dataset.columns[n] for n in names if self.dataset.columns[n] not in known]

    def time(self) -> Range | None:
        """Seconds: as long as the answers seen took, between 64 and 8 of them at a time."""
        asking = [line for line in self.lines if line.calls[1]]
        if not asking:
            return 0.0, 0.0
        if not all(line.seconds for line in asking):
            return None
        low = sum(max(line.seconds, line.calls[0] * line.seconds / 64) for line in asking)
        return low, sum(max(line.seconds, line.calls[1] * line.seconds / 8) for line in asking)


def _title(step: Step) -> str:
    """A step as one reads it: its kind, its name, and the parameters that were set."""
    said = []
    for name in sorted(step.op.model_fields_set, key=lambda n: list(type(step.op).model_fields).index(n)):
        value = step.values[name].source if name in step.values else getattr(step.op, name)
        if isinstance(value, int | float | str) and name not in ("on", "prompt", "system") and len(str(value)) < 20:
            said.append(f"{name}={value}")
    first = f"{step.op.kind} {step.name}"
    return f"{first}  {', '.join(said)}" if said else first


def _tokens(ask: Ask) -> int:
    """About how many tokens a call has."""
    return tokens(ask.encoded) + sum(map(tokens_of, ask.media.values()))


def _said(content: Any) -> str:
    """A message as one reads it: where it shows an image, so it says."""
    if not isinstance(content, list):
        return str(content)
    return "\n".join(str(part["text"]) if part["type"] == "text" else f"[{part['type']}]" for part in content)


def _prompt(ask: Ask) -> str:
    messages = ask.content.get("messages")
    if messages:
        return "\n\n".join(_said(m["content"]) for m in messages)
    return str(ask.content.get("prompt") or ask.content.get("text") or "")
