"""What an operator is handed beside its record: random numbers of its own, the source, a fitted state, the models."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, overload

from leaven.expressions import Row
from leaven.fields import Column
from leaven.records import Record, Refuse, canonical, digest, random_key
from leaven.storage import ANNOTATIONS, MEDIA, to_values

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from pydantic import BaseModel

    from leaven.asks import Turns
    from leaven.draws import Draw, Draws
    from leaven.expressions import Expression, Template
    from leaven.media.audio import Audio
    from leaven.media.image import Image
    from leaven.models.calls import About, Adapter
    from leaven.models.conversation import Continuation, Conversation, Guess
    from leaven.models.roles import Box, Span

    Shape = TypeVar("Shape", bound=BaseModel)

BLOCK = 65_536


MEDIA_AT_A_TIME = 64
"""Images and sounds that are decoded before the next are read."""


def _unheard(said: str) -> None:
    """Nobody is told."""


class Models(Protocol):
    """The roles that operators call."""

    def embed(self, items: Sequence[Any]) -> np.ndarray:
        """Texts, images or sounds (one kind a call) to unit vectors, n x d; a text without a known token is zeros."""


class Rows:
    """A set as columns: what a fit and a draw read.  Rows stand in the order of their ids' places.

    ``kinds`` are the types of its columns, so that an image comes out as one.
    """

    def __init__(self, table: pa.Table, kinds: Mapping[str, str] | None = None) -> None:
        self.table = table
        self.kinds = kinds or {}
        self._draws: dict[int, Draws] = {}
        self._at: dict[str, int] = {}

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def __contains__(self, name: str) -> bool:
        return name in self.table.column_names

    def column(self, name: str) -> list[Any]:
        return to_values(self.kinds.get(name, ""), self.table.column(name).to_pylist())

    @property
    def ids(self) -> list[str]:
        return self.column("_id")

    @property
    def roots(self) -> list[str]:
        """The id of the real row at the start of each row's line."""
        return self.column("_root") if "_root" in self else self.ids

    def blocks(self) -> Iterator[Rows]:
        """The same rows, some thousands at a time."""
        for begin in range(0, len(self), BLOCK):
            yield Rows(self.table.slice(begin, BLOCK), self.kinds)

    def take(self, where: Sequence[int]) -> Rows:
        """Some of the rows."""
        import pyarrow as pa

        return Rows(self.table.take(pa.array(where, pa.int64())), self.kinds)

    def said(self, fields: Sequence[str]) -> list[str]:
        """What each row holds, as one text: an image or a sound by the hash of its bytes."""
        at_a_time = MEDIA_AT_A_TIME if any(self.kinds.get(name) in MEDIA for name in fields) else BLOCK
        found = []
        for begin in range(0, len(self), at_a_time):
            some = Rows(self.table.slice(begin, at_a_time), self.kinds)
            columns = [some.column(name) for name in fields]
            found += ["\n".join(map(plainly, row)) for row in zip(*columns, strict=True)]
        return found

    def row(self, i: int) -> dict[str, Any]:
        """The fields of one row, without ours."""
        [row] = self.table.slice(i, 1).to_pylist()
        return {n: to_values(self.kinds.get(n, ""), [v])[0] for n, v in row.items() if not n.startswith("_")}

    def named(self, ids: Sequence[str]) -> list[dict[str, Any]]:
        """The fields of the rows of these ids, in their order; of those that are there."""
        self._at = self._at or {own: i for i, own in enumerate(self.ids)}
        return [self.row(self._at[i]) for i in ids if i in self._at]

    def draws(self, how: Draw) -> Draws:
        """What draws from these rows as a step says; what it sorts out of them is kept."""
        from leaven.draws import Draws

        if id(how) not in self._draws:
            self._draws[id(how)] = Draws(how, self)
        return self._draws[id(how)]

    def texts(self, fields: Sequence[str]) -> list[str]:
        """One text a row: the fields joined by line ends."""
        columns = [self.column(name) for name in fields]
        if len(columns) == 1:
            return [value or "" for value in columns[0]]
        return ["\n".join(str(v or "") for v in row) for row in zip(*columns, strict=True)]


def plainly(value: Any) -> str:
    """A value as a text that tells it from others: of an image or a sound the hash of its bytes."""
    told_by_content = hasattr(value, "encoded") or hasattr(value, "tolist")
    return canonical(value).decode() if told_by_content else str(value or "")


def of_unit_length(values: Sequence[Any]) -> np.ndarray:
    """Vectors that the data holds, n x d; where a row has none, zeros."""
    import numpy as np

    width = max((len(value) for value in values if value is not None), default=0)
    rows = np.zeros((len(values), width), np.float64)
    for row, value in zip(rows, values, strict=True):
        if value is not None:
            row[:] = value
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    unit: np.ndarray = (rows / np.where(lengths > 0, lengths, 1)).astype(np.float32)
    return unit


def texts_of(fields: Mapping[str, Any], names: Sequence[str]) -> str:
    """Some fields of a record as one text."""
    return "\n".join(str(fields.get(name) or "") for name in names)


class Asking:
    """What a step that asks models brings: who is asked, the rows to draw examples from, the recipe's texts, and how
    the step wants its answers (``temperature``, ``max_tokens``, ...)."""

    def __init__(
        self,
        conversation: Conversation,
        *,
        draws: Draws | None = None,
        texts: Mapping[str, Template] | None = None,
        main: str = "",
        parameters: Mapping[str, Any] | None = None,
        sampling: Mapping[str, Any] | None = None,
        nick: str | None = None,
        shown: Sequence[str] = (),
        turns: Turns | None = None,
        source: Callable[[], Rows] | None = None,
    ) -> None:
        self.turns = turns
        self.shown = shown
        """The fields whose images and sounds a chat model is shown."""
        self.conversation = conversation
        self.source = source
        self.draws = draws
        self.texts = texts or {}
        self.main = main
        self.parameters = parameters or {}
        self.sampling = sampling or {}
        self.nick = nick
        self.adapter: Adapter | None = None
        """What an earlier step of the recipe fitted, where this one names it."""


class Context:
    """One step's view of the run.  ``of(record)`` turns it to a record; draws depend on nothing else."""

    def __init__(
        self,
        *,
        seed: int = 0,
        step: str = "",
        round_number: int = 0,
        models: Models | None = None,
        state: Mapping[str, Any] | None = None,
        constants: Mapping[str, Any] | None = None,
        lineage: tuple[frozenset[str], frozenset[str]] = (frozenset(), frozenset()),
        columns: Mapping[str, Column] | None = None,
        drawn: Callable[[], Rows] | None = None,
    ) -> None:
        self.seed = seed
        self.step = step
        self.round_number = round_number
        self.state: Mapping[str, Any] = state or {}
        self.constants = {**(constants or {}), "round_number": round_number}
        self.lineage = lineage
        self._columns: Mapping[str, Column] = columns or {}
        self._standing: dict[str, Any] = dict.fromkeys(self._columns)
        self._models = models
        self._drawn = drawn
        self._asking: Asking | None = None
        self._calls = 0
        self.examples: list[str] = []
        """The ids of the rows that were shown to a model as examples."""
        self._record = ""
        self._generator: np.random.Generator | None = None
        self._keyed: tuple[str, int] | None = None
        self.folder: Path | None = None
        """Of a fit: the folder of its own that it may write into.  What lies there stays beside the state, and a fit
        that was cut off finds there what it left."""
        self.told: Callable[[str], None] = _unheard
        """Of a fit: hears how far it is."""
        self.fitted_further: Any = None
        """Of a fit that goes on from a model that the user names: who plays the role."""

    def fits_further(self, player: Any, asking: Asking) -> None:
        """Take who plays the role whose model is fitted, and what texts see."""
        self.fitted_further, self._asking = player, asking

    @property
    def labels(self) -> Mapping[str, str]:
        """The labels of the source, in order, and what each means."""
        found: Mapping[str, str] = self.constants.get("labels", {})
        return found

    def of(self, record: Record) -> Context:
        self._record = record.id
        return self

    def apart(self, record: Record, asking: Asking, step: str = "") -> Context:
        """A context for this record alone: many wait for models at a time, each with draws and calls of its own.

        ``step`` is what its calls are keyed by, where that is not the step's own key.
        """
        own = copy.copy(self)
        own._record, own._generator, own._keyed, own._calls, own.examples = record.id, None, None, 0, []
        own._asking, own.step = asking, step or self.step
        return own

    def drawing(self, what: str) -> Context:
        """The same context for what is drawn beside the operator itself, so that the two draws are independent."""
        own = copy.copy(self)
        own.step, own._generator, own._keyed = f"{self.step}.{what}", None, None
        return own

    @property
    def rng(self) -> np.random.Generator:
        """Random numbers keyed by (seed, step, round, record): the same on every worker and in every order."""
        return self.rng_of(0)

    def rng_of(self, ordinal: int) -> np.random.Generator:
        """The random numbers of the record's n-th child: one more child leaves the others as they are."""
        import numpy as np

        if self._generator is None:
            self._generator = np.random.Generator(np.random.Philox(key=0))
        if self._keyed != (self._record, ordinal):
            key = random_key(self.seed, self.step, self.round_number, self._record, ordinal)
            # Re-keying one generator costs 2 us, a new one 10: and the streams are the same.
            self._generator.bit_generator.state = {
                "bit_generator": "Philox",
                "state": {"counter": np.zeros(4, np.uint64), "key": np.frombuffer(key, np.uint64)},
                "buffer": np.zeros(4, np.uint64),
                "buffer_pos": 4,
                "has_uint32": 0,
                "uinteger": 0,
            }
            self._keyed = (self._record, ordinal)
        return self._generator

    def embed(self, items: Sequence[Any]) -> np.ndarray:
        """Unit vectors, n x d, of texts, images or sounds (one kind a call)."""
        assert self._models is not None, "the engine hands models to every step"
        return self._models.embed(items)

    def scale(self) -> float | None:
        """What the model that makes vectors multiplies their cosines by, where it says so, as CLIP and CLAP do."""
        own = getattr(self._models, "scale", None)
        return own() if own else None

    def vectors(self, of: Rows | Sequence[Record], fields: Sequence[str]) -> np.ndarray:
        """A vector of unit length for each row from several fields: the texts as one, each image and sound for itself,
        vectors that the data holds as they are but for their length; side by side."""
        import numpy as np

        def kind(name: str) -> str:
            known = of.kinds.get(name) if isinstance(of, Rows) else None
            return known or self._columns.get(name, Column("text")).type

        texts = [name for name in fields if kind(name) not in (*MEDIA, "vector")]
        found = []
        if texts or not fields:
            joined = of.texts(texts) if isinstance(of, Rows) else [texts_of(r.fields, texts) for r in of]
            found.append(self.embed(joined))
        for name in fields:
            if name in texts:
                continue
            if kind(name) == "vector":
                found.append(of_unit_length(of.column(name) if isinstance(of, Rows) else [r.get(name) for r in of]))
                continue
            blocks = []
            for begin in range(0, len(of), MEDIA_AT_A_TIME):
                if isinstance(of, Rows):
                    some = Rows(of.table.slice(begin, MEDIA_AT_A_TIME), of.kinds).column(name)
                else:
                    some = [record.get(name) for record in of[begin : begin + MEDIA_AT_A_TIME]]
                blocks.append(self.embed(some))
            found.append(np.concatenate(blocks) if blocks else self.embed([]))
        side_by_side: np.ndarray = found[0] if len(found) == 1 else np.hstack(found) / np.sqrt(np.float32(len(found)))
        return side_by_side

    # -- what the record's other columns say ---------------------------------------------------------------------------

    def fields_of(self, *types: str) -> list[str]:
        """The names of the columns of these types."""
        return [name for name, column in self._columns.items() if column.type in types]

    def noted_on(self, field: str) -> list[tuple[str, str]]:
        """What says where something is in an image, or when in a sound: (type, column), such as boxes and masks."""
        return [(c.type, name) for name, c in self._columns.items() if field in c.about and c.type in ANNOTATIONS]

    def partners(self, record: Record, draw: Draw, ordinal: int = 0) -> list[Record]:
        """Rows drawn to make something of together with the record (its n-th child): the same on every worker."""
        assert self._drawn is not None, "the engine hands rows to every step that draws"
        found = self._drawn().draws(draw).draw(record, self.values(record), self, ordinal)
        return [Record(row.id, dict(row.fields), row.id) for row in found]

    def values(self, record: Record) -> dict[str, Any]:
        """What expressions see of a record: its columns, the constants, and its parent's and root's fields.

        A column that stands in the recipe but not in this record (another branch wrote it) is None.
        """
        values = {**self._standing, **record.fields, "record": Row(record.fields), **self.constants}
        for line, names in zip(("parent", "root"), self.lineage, strict=True):
            if names:
                values[line] = Row({n: record.fields.get(f"{line}.{n}", record.fields.get(n)) for n in names})
        return values

    # -- models -------------------------------------------------------------------------------------------------------

    @overload
    async def chat(
        self, prompt: Template, record: Record, *, shape: type[Shape], system: Template | None = ..., wanted: int = ...,
        **more: Any,
    ) -> Shape: ...  # fmt: skip
    @overload
    async def chat(
        self, prompt: Template, record: Record, *, shape: None = ..., system: Template | None = ..., wanted: int = ...,
        **more: Any,
    ) -> str: ...  # fmt: skip
    async def chat(
        self,
        prompt: Template,
        record: Record,
        *,
        shape: type[Shape] | None = None,
        system: Template | None = None,
        wanted: int = 1,
        **more: Any,
    ) -> Shape | str:
        """Ask the chat model: its answer as a text, or as an object of ``shape`` (``wanted`` texts are expected in it).

        Templates see the record, the step's parameters, what it draws as ``examples``, and ``more``.  Raises CallFailed
        where no answer comes that can be used: the record is then in failed/, with what was answered.
        """
        asked = self._asked()
        messages = self._messages(prompt, system, record, more)
        about = self._about(record)
        return await asked.conversation.chat(
            messages, about, shape=shape, nick=asked.nick, wanted=wanted, shown=self._shown(record),
            adapter=asked.adapter, **asked.sampling,
        )  # fmt: skip

    async def complete(self, prompt: Template, record: Record, **more: Any) -> Continuation:
        """How a model goes on with a text, and its mean log-probability where the model gives it."""
        asked = self._asked()
        text = self.text(prompt, record, **more)
        how = {**asked.sampling, "adapter": asked.adapter}
        return await asked.conversation.complete(text, self._about(record), nick=asked.nick, **how)

    async def classify(
        self, prompt: Template, record: Record, *, among: Sequence[str], system: Template | None = None, **more: Any
    ) -> Guess | None:
        """Which of the labels a model names, with probabilities where it gives them; None where it names none."""
        asked = self._asked()
        messages = self._messages(prompt, system, record, more)
        about = self._about(record)
        text = texts_of(record.fields, more.get("on") or [asked.main])
        return await asked.conversation.classify(
            messages, about, among=among, text=text, nick=asked.nick, **asked.sampling
        )

    async def translate(self, text: str, record: Record, *, to: str, source: str) -> str:
        """A text in another language; codes are ISO 639-3 (``spa``, ``eng``)."""
        asked = self._asked()
        about = self._about(record)
        return await asked.conversation.translate(text, about, to=to, source=source, nick=asked.nick, **asked.sampling)

    async def speak(self, text: str, record: Record, *, voice: str, rate: float) -> Audio:
        """A text as speech; ``rate`` 1 is the voice's own pace."""
        asked = self._asked()
        about = self._about(record)
        return await asked.conversation.speak(text, about, voice=voice, rate=rate, nick=asked.nick)

    async def voices(self) -> list[str]:
        """The voices that whoever speaks can have."""
        asked = self._asked()
        return await asked.conversation.voices(nick=asked.nick)

    async def transcribe(self, sound: Audio, record: Record) -> str:
        """What is said in a sound."""
        asked = self._asked()
        return await asked.conversation.transcribe(sound, self._about(record), nick=asked.nick)

    async def caption(
        self, item: Image | Audio, record: Record, *, prompt: str = "", adapter: Adapter | None = None, **more: Any
    ) -> str:
        """What an image shows or a sound holds, in words."""
        asked = self._asked()
        how = {**asked.sampling, "adapter": adapter or asked.adapter, **more}
        about = self._about(record)
        return await asked.conversation.caption(item, about, prompt=prompt, nick=asked.nick, **how)

    async def detect(self, image: Image, phrases: Sequence[str], record: Record, *, at_least: float) -> list[Box]:
        """Where each phrase is seen in an image, the surest first."""
        asked = self._asked()
        about = self._about(record)
        return await asked.conversation.detect(image, phrases, about, at_least=at_least, nick=asked.nick)

    async def segment(self, image: Image, box: Sequence[float], record: Record) -> Image:
        """The mask of what stands in a box (x, y, w, h) of an image: 1 where it is."""
        asked = self._asked()
        return await asked.conversation.segment(image, box, self._about(record), nick=asked.nick)

    async def map(self, image: Image, record: Record, *, metre: float | None = None, top: int) -> tuple[Image, str]:
        """A number for every pixel of an image, as `Conversation.map` has it, and the name of the model."""
        asked = self._asked()
        about = self._about(record)
        return await asked.conversation.map(image, about, metre=metre, top=top, nick=asked.nick)

    async def paint(self, prompt: str, record: Record, **how: Any) -> Image:
        """An image of what the prompt says; ``how`` as `Conversation.paint` has it."""
        asked = self._asked()
        how = {"adapter": asked.adapter, **how}
        return await asked.conversation.paint(prompt, self._about(record), nick=asked.nick, **how)

    async def sound(self, prompt: str, record: Record, **how: Any) -> Audio:
        """A sound of what the prompt says; ``how`` as `Conversation.sound` has it."""
        asked = self._asked()
        how = {"adapter": asked.adapter, **how}
        return await asked.conversation.sound(prompt, self._about(record), nick=asked.nick, **how)

    async def fill(self, text: str, record: Record, *, blank: str, whole_words: bool, **more: Any) -> str:
        """The text with each ``blank`` filled by a model."""
        asked = self._asked()
        how = {**asked.sampling, **more}
        about = self._about(record)
        return await asked.conversation.fill(text, about, blank=blank, whole_words=whole_words, nick=asked.nick, **how)

    async def tag(self, text: str, labels: Sequence[str], record: Record) -> list[Span]:
        """What stands where in a text."""
        asked = self._asked()
        return await asked.conversation.tag(text, labels, self._about(record), nick=asked.nick, **asked.sampling)

    def text(self, template: Template, record: Record, **more: Any) -> str:
        """A template as a text for this record, as a prompt is."""
        rng: Any = _Drawn(self)
        return template.render(self._values(template, record, more, rng), rng)

    def _shown(self, record: Record) -> list[Any]:
        """The images and sounds that the step shows a model.  Raises Refuse where the record lacks one."""
        fields = self._asked().shown
        for name in fields:
            if record.get(name) is None:
                raise Refuse("nothing_to_show", name)
        return [record.get(name) for name in fields]

    def _asked(self) -> Asking:
        assert self._asking is not None, "the engine hands models to every step that asks"
        return self._asking

    def _about(self, record: Record) -> About:
        from leaven.models.calls import About

        main = self._asked().main
        text = record.fields.get(f"root.{main}", record.fields.get(main))
        number, self._calls = self._calls, self._calls + 1
        # By the run's seed, for models that draw by one; of seven bytes, which every library takes.
        drawn = digest("call", f"{self.seed}", self.step, f"{self.round_number}", self._record, f"{number}", size=7)
        seed = int.from_bytes(drawn, "big")
        return About(self.step, self.round_number, self._record, number, str(text or ""), record.root, seed)

    def _messages(
        self, prompt: Template, system: Template | None, record: Record, more: Mapping[str, Any]
    ) -> list[dict[str, Any]]:
        asked = self._asked()
        found = []
        if system is not None:
            found.append({"role": "system", "content": self.text(system, record, **more)})
        if asked.turns is not None and asked.draws is not None:
            drawn = asked.draws.draw(record, {**self.values(record), **asked.parameters, **more}, self)
            self.examples = [row.id for row in drawn]
            more = {**more, "examples": [row.fields for row in drawn]}
            rng: Any = _Drawn(self)
            for row in drawn:
                for role, template in (("user", asked.turns.user), ("assistant", asked.turns.assistant)):
                    said = template.render({**row.fields, "record": row.fields}, rng)
                    found.append({"role": role, "content": said})
        found.append({"role": "user", "content": self.text(prompt, record, **more)})
        return found

    def _values(
        self, template: Template | Expression, record: Record, more: Mapping[str, Any], rng: Any
    ) -> dict[str, Any]:
        """What a prompt sees: columns, the step's parameters, what it drew, and the texts of ``let`` that it names."""
        asked = self._asked()
        values = {**self.values(record), **asked.parameters, **more}
        named = _named(template, asked.texts)
        if "examples" in named and asked.draws is not None and "examples" not in more:
            drawn = asked.draws.draw(record, values, self)
            self.examples = [row.id for row in drawn]
            values["examples"] = [row.fields for row in drawn]
        elif "examples" in named and "examples" not in more and asked.source and (ids := _shown(record)):
            values["examples"] = [Row(fields) for fields in asked.source().named(ids)]
        for name in asked.texts:
            if name in named:
                values[name] = asked.texts[name].render(values, rng)
        return values


def _shown(record: Record) -> list[str]:
    """The ids of the rows that were shown to a model when the record was made, the last time that any were."""
    for _, _, drawn in reversed(record.steps):
        if found := json.loads(drawn).get("examples"):
            return list(found)
    return []


class _Drawn:
    """Random numbers for a template, made when it first draws: most prompts draw nothing."""

    __slots__ = ("_ctx",)

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ctx.rng, name)


def _named(template: Template | Expression, texts: Mapping[str, Template]) -> frozenset[str]:
    """The names that a template needs, those of the texts that it takes in with them."""
    names = template.names | template.optional
    for name in names & texts.keys():
        names |= texts[name].names | texts[name].optional
    return names
