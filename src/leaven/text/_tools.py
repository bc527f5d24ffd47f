"""Tools that an assistant may call: what each is called and takes, and how a call of one is written and read.

The form of a call is that of Visual ChatGPT (Wu et al. 2023, arXiv:2303.04671), which GPT4Tools trains on.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from leaven.errors import RecipeError, listed, suggest

EXAMPLE = "example.jpg"
"""What the image is called while a model writes instructions for it."""
THOUGHT = "Thought: Do I need to use a tool?"
ACTION, INPUT, OBSERVATION, ANSWER = "Action: ", "Action Input: ", "Observation:", "AI: "
_THOUGHTS = re.compile(rf"{re.escape(THOUGHT)} *(Yes|No)")
_ACTIONS = re.compile(rf"^[ \t]*{ACTION}(.*)$", re.MULTILINE)
_INPUTS = re.compile(rf"^[ \t]*{INPUT}(.*)$", re.MULTILINE)
FORM = "tools: [{name: Edge Detection On Image, use: finds the edges, arguments: [image], makes: image}]"


class Tool(BaseModel):
    """One tool.  An argument called `image` is the path of an image, and stands first."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1)
    use: str
    arguments: tuple[str, ...] = Field(min_length=1)
    makes: Literal["image", "text"]
    first: str = ""
    """The tool whose picture it works on: an edge map, a depth map."""
    aliases: tuple[str, ...] = ()

    @property
    def sees(self) -> bool:
        """Whether it takes an image."""
        return self.arguments[0] == "image"

    def fitted(self, arguments: Sequence[str]) -> list[str] | None:
        """The arguments as it takes them; None where they are too few or too many.

        Commas divide them too often: of two arguments the second is put together again, and so is the one of a tool
        that takes words alone.
        """
        wanted = len(self.arguments)
        if len(arguments) > wanted and (wanted == 2 or not self.sees):
            arguments = [*arguments[: wanted - 1], ",".join(arguments[wanted - 1 :])]
        return list(arguments) if len(arguments) == wanted and all(arguments) else None


class ToolTable:
    """A table of tools, by name, in its order.  Raises RecipeError where it is none."""

    def __init__(self, table: Any) -> None:
        if not isinstance(table, list | tuple) or not table:
            raise RecipeError("`tools` of tool_dialogue is no list of tools.", FORM)
        self.all: dict[str, Tool] = {}
        self.known: dict[str, Tool] = {}
        for row in table:
            tool = _tool(row)
            self.all[tool.name] = tool
            for name in (tool.name, *tool.aliases):
                if name.casefold() in self.known:
                    raise RecipeError(f"two tools are called `{name}`.", "give each a name of its own.")
                self.known[name.casefold()] = tool
        for tool in self.all.values():
            if tool.first and tool.first not in self.all:
                raise RecipeError(
                    f"`first` of the tool {tool.name} names no tool: {tool.first}.",
                    f"{suggest(tool.first, list(self.all))}.",
                )

    def find(self, name: str) -> Tool | None:
        """The tool of a name or of another name for it, whatever its case."""
        return self.known.get(" ".join(name.split()).casefold())


def _tool(row: Any) -> Tool:
    said = row.get("name", "") if isinstance(row, Mapping) else ""
    try:
        return Tool.model_validate(row)
    except ValidationError as error:
        keys = listed(list(dict.fromkeys(str(e["loc"][0]) for e in error.errors() if e["loc"])))
        raise RecipeError(f"the tool {said or row!r} is not understood{f': {keys}' if keys else ''}.", FORM) from None


def call(tool: Tool, arguments: Sequence[str]) -> str:
    """A call as an assistant writes it; it ends where what the tool says is to follow."""
    return f"{THOUGHT} Yes\n{ACTION}{tool.name}\n{INPUT}{', '.join(arguments)}\n{OBSERVATION}"


def observed(text: str) -> str:
    """What a tool said, as it comes back."""
    return f"{OBSERVATION} {text}"


def answer(text: str) -> str:
    """What an assistant says itself."""
    return f"{THOUGHT} No\n{ANSWER}{text}"


def thoughts(text: str) -> list[str]:
    """`Yes` or `No` for each time that a text asks itself about a tool."""
    return _THOUGHTS.findall(text)


def actions(text: str) -> list[str]:
    """The tools that a text calls."""
    return [name.strip() for name in _ACTIONS.findall(text)]


def inputs(text: str) -> list[list[str]]:
    """The arguments of each call."""
    return [[part.strip() for part in line.split(",")] for line in _INPUTS.findall(text)]
