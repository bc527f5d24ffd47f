"""Conversations with tools, from instructions that a model wrote for an image told in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import field_validator

from leaven.draws import Draw
from leaven.errors import RecipeError
from leaven.fields import VALUE, Column
from leaven.operators import Expr, Make, Text
from leaven.records import Record
from leaven.text._tools import (
    ACTION,
    ANSWER,
    EXAMPLE,
    INPUT,
    OBSERVATION,
    THOUGHT,
    Tool,
    ToolTable,
    answer,
    call,
    observed,
)

if TYPE_CHECKING:
    import numpy as np

    from leaven.context import Context

RESULT = "result.png"
"""What a picture that a tool makes is called while a model writes."""
FOLDERS = ("image", "images", "examples", "cache", "")
LETTERS = "abcdefghijklmnopqrstuvwxyz"
TASK = """\
You help with many tasks, from answering questions to working on pictures. You cannot look at a picture yourself: each \
is a file, and tools that take its name tell you about it, change it or make a new one. Be strict about the names of \
files: use the ones that were given, and never make one up.

TOOLS:
You have these tools:
{tools}

To use a tool, write:
{THOUGHT} Yes
{ACTION}the tool's name, one of: {names}
{INPUT}what the tool is given
{OBSERVATION} what the tool gives back

When you need no tool, or have something to say to the human, write:
{THOUGHT} No
{ANSWER}what you say

A picture that a tool makes is a new file: tell the human its name, letter by letter, and say of no file that is not \
there that it is.

Previous conversation:
{history}
New input: {question}
Where a tool is needed, use it, and do not guess what is in a picture. The human does not see what tools give back, so \
repeat what matters of it in your answer. Think step by step."""
"""In our words: the parts of the prompt that GPT4Tools trains on, in its order; what is parsed is as there."""


class ToolDialogue(Make):
    """Make a conversation in which an assistant calls a tool, out of an instruction and the call that it needs.

    The record holds what a model wrote for an image that it knew by words alone and by the name `example.jpg`:
    `question`, `tool`, `arguments` (a list), and if it was asked for them `result`, what the tool says, and `answer`,
    what the assistant says then (`result.png` in it is a picture that the tool makes).  The image gets a drawn name;
    the prompt lists some drawn tools, among them the one that is needed; a tool with `first` is called on the picture
    that this other one makes.  As in GPT4Tools (Yang et al. 2023, arXiv:2305.18752), but with a prompt in our words,
    the image's name in the question too, and what tools say from the model in place of a placeholder.

    With `call: false` it is a conversation that needs no tool, of `question` and `answer`; in half of them an image was
    handed over, that of a row which `draw` draws.

    A call that cannot be is refused: of an `unknown_tool`, with `wrong_arguments`, on a file that is `not_the_image`;
    that of a tool which answers in words, without these, has `no_result`.

    Needs question, tool and arguments; without a call question and answer.
    Makes `messages`: `system`, then `assistant` and `user` (what a tool gives back) in turn; with `cut` also
    `instruction` and `output`.

    >>> edges = {"name": "Edge Detection On Image", "use": "finds edges", "arguments": ["image"], "makes": "image"}
    >>> asked = {"question": "Where are the edges?", "tool": "edge detection on image", "arguments": ["example.jpg"]}
    >>> [row] = ToolDialogue([edges], shown=[1, 1])(asked)
    >>> [message["role"] for message in row["messages"]]
    ['system', 'assistant', 'user', 'assistant']
    >>> print(row["messages"][1]["content"])
    Thought: Do I need to use a tool? Yes
    Action: Edge Detection On Image
    Action Input: cache/kkdwhhip.png
    Observation:
    """

    tools: Expr
    """The tools: a list of `{name, use, arguments: [...], makes: image or text}`, where needed with `first`, the tool
    whose picture it works on, and `aliases`, its other names.  The first argument of one that sees is `image`."""
    shown: tuple[int, int] = (2, 5)
    """How many tools the prompt lists, from and to."""
    call: bool = True
    """Whether a tool is called."""
    scene: Text | None = None
    """What the image shows, in words; it stands in the conversation before the question."""
    draw: Draw | None = None
    """Whose image half of the conversations without a call are about: `draw: {k: 1}`."""
    cut: bool = False
    """Take one of the assistant's messages, drawn, as what is to be learnt, and all before it as the instruction."""

    @field_validator("shown")
    @classmethod
    def _upwards(cls, shown: tuple[int, int]) -> tuple[int, int]:
        if not 1 <= shown[0] <= shown[1]:
            raise ValueError(RecipeError(f"`shown` is {list(shown)}; it says from and to.", "shown: [2, 5]"))
        return shown

    def reads(self) -> frozenset[str]:
        return super().reads() | {"question", *(("tool", "arguments") if self.call else ("answer",))}

    def changes(self) -> frozenset[str]:
        return frozenset({"messages", *(("instruction", "output") if self.cut else ())})

    def writes(self) -> dict[str, Column]:
        return {name: Column(VALUE) for name in sorted(self.changes())}

    def make(self, record: Record, ctx: Context) -> Iterator[Record]:
        rng = ctx.rng
        tools = ToolTable(self.tools(ctx.values(record), rng))
        said = self.calling(record, tools, ctx, rng) if self.call else self.talking(record, tools, ctx, rng)
        if isinstance(said, Record):
            yield said
            return
        image, contents = said
        messages = [{"role": role, "content": content} for role, content in zip(_roles(), contents, strict=False)]
        drawn: dict[str, Any] = {"image": image} if image else {}
        if not self.cut:
            yield record.child(messages=messages, drawn=drawn)
            return
        last = 1 + 2 * int(rng.integers(len(contents) // 2))
        fields = {"messages": messages, "instruction": joined(contents[:last]), "output": contents[last]}
        yield record.child(fields, drawn={**drawn, "cut": last})

    def calling(
        self, record: Record, tools: ToolTable, ctx: Context, rng: np.random.Generator
    ) -> Record | tuple[str, list[str]]:
        """The image's name and what is said in turn, or why there is nothing: the refused child."""
        tool = tools.find(str(record.get("tool") or ""))
        if tool is None:
            return self.none(record, "unknown_tool", str(record.get("tool")))
        given = record.get("arguments")
        parts = [str(part).strip() for part in (given if isinstance(given, list | tuple) else [given or ""])]
        arguments = tool.fitted(parts)
        if arguments is None:
            return self.none(record, "wrong_arguments", f"{', '.join(parts)}: {len(tool.arguments)} wanted")
        if tool.sees and arguments[0] != EXAMPLE:
            return self.none(record, "not_the_image", arguments[0])
        result, closing = (str(record.get(name) or "").strip() for name in ("result", "answer"))
        if tool.makes == "text" and not result:
            return self.none(record, "no_result", tool.name)

        image = file_name(rng)
        first = tools.all.get(tool.first)
        shown = self.listed(tools, [tool, *filter(None, [first])], rng)
        told = tool.sees or rng.random() < 0.5
        scene = self.about(image, record, ctx) if told else ""
        contents = [task(shown, scene, str(record.get("question") or "").replace(EXAMPLE, image))]
        arguments = [argument.replace(EXAMPLE, image) for argument in arguments]
        if first:
            name = file_name(rng)
            contents += [call(first, [image]), observed(saved(name, rng))]
            arguments[0] = name
        made = file_name(rng) if tool.makes == "image" else ""
        seen = saved(made, rng) if made else result.replace(EXAMPLE, image)
        closing = closing.replace(EXAMPLE, image).replace(RESULT, made or image)
        if made not in closing:  # the name of a new picture has to be said
            closing = f"{closing} {seen}".strip()
        return image, [*contents, call(tool, arguments), observed(seen), answer(closing or seen)]

    def none(self, record: Record, reason: str, detail: str) -> Record:
        """The child that there is not."""
        return record.child(dict.fromkeys(self.changes())).refuse(reason, detail)

    def talking(
        self, record: Record, tools: ToolTable, ctx: Context, rng: np.random.Generator
    ) -> Record | tuple[str, list[str]]:
        """As `calling`, without a call."""
        if not str(record.get("question") or "").strip() or not str(record.get("answer") or "").strip():
            return self.none(record, "empty", "question" if record.get("answer") else "answer")
        shown = self.listed(tools, [], rng)
        image, scene = "", ""
        if self.draw and rng.random() < 0.5 and (others := ctx.partners(record, self.draw)):
            image = file_name(rng)
            scene = self.about(image, others[0], ctx)
        return image, [task(shown, scene, str(record.get("question"))), answer(str(record.get("answer")))]

    def listed(self, tools: ToolTable, needed: Sequence[Tool], rng: np.random.Generator) -> list[Tool]:
        """The tools that the prompt lists, in a drawn order."""
        low, high = self.shown
        n = max(int(rng.integers(low, high + 1)), len(needed))
        rest = [tool for tool in tools.all.values() if tool not in needed]
        some = [*needed, *(rest[i] for i in rng.permutation(len(rest))[: n - len(needed)])]
        return [some[i] for i in rng.permutation(len(some))]

    def about(self, image: str, of: Record, ctx: Context) -> str:
        """How the conversation begins: a human hands the image over."""
        said = self.scene.render(ctx.values(of)).strip() if self.scene else ""
        shows = f" Description: {said}" if said else ""
        return f"Human: Here is an image named {image}.{shows} Use tools to look at it or to work on it.\nAI: Received."


def _roles() -> Iterator[str]:
    yield "system"
    while True:
        yield "assistant"
        yield "user"


def file_name(rng: np.random.Generator) -> str:
    """A name for an image that no other has."""
    folder = FOLDERS[int(rng.integers(len(FOLDERS)))]
    name = "".join(LETTERS[i] for i in rng.integers(len(LETTERS), size=8)) + ".png"
    return f"{folder}/{name}" if folder else name


def saved(name: str, rng: np.random.Generator) -> str:
    """What a tool that makes a picture says."""
    return f"Result saved as {name}" if rng.random() < 0.5 else name


def task(tools: Sequence[Tool], history: str, question: str) -> str:
    """The prompt of the assistant."""
    lines = [f"> {tool.name}: {tool.use}. It is given {' and '.join(_inputs(tool))}." for tool in tools]
    parts: Mapping[str, str] = {
        "tools": "\n".join(lines), "names": ", ".join(tool.name for tool in tools),
        "history": history, "question": question,
        "THOUGHT": THOUGHT, "ACTION": ACTION, "INPUT": INPUT, "OBSERVATION": OBSERVATION, "ANSWER": ANSWER,
    }  # fmt: skip
    return TASK.format_map(parts)


def _inputs(tool: Tool) -> list[str]:
    return ["the file of an image" if argument == "image" else argument for argument in tool.arguments]


def joined(contents: Sequence[str]) -> str:
    """What was said so far as one text; a call's place for what comes back is filled by it."""
    return "\n".join(
        content.removesuffix(f"\n{OBSERVATION}") if i % 2 else content for i, content in enumerate(contents)
    )
