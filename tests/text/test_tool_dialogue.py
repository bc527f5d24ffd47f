"""Conversations with tools, held against the checks of the fact sheet about GPT4Tools."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import pytest

from leaven.context import Context
from leaven.errors import RecipeError
from leaven.recipe import read
from leaven.records import Record
from leaven.text._tools import thoughts
from leaven.text.tool_dialogue import ToolDialogue

TOOLS: list[dict[str, Any]] = read("gpt4tools").let["tools"]
NAMES = [tool["name"] for tool in TOOLS]
CANNY = "Generate Image Condition On Canny Image"
EDGES = "Edge Detection On Image"
NAME = re.compile(r"^(?:(?:image|images|examples|cache)/)?[a-z]{8}\.png$")
DOG = "a dog on a lawn"
DIALOGUE = ToolDialogue(TOOLS, scene="{{ caption }}")
CUT = ToolDialogue(TOOLS, scene="{{ caption }}", cut=True)


def made(tool: str, *arguments: str, seed: int = 0, op: ToolDialogue | None = None, **fields: Any) -> Any:
    """What becomes of a call; without all that one record in Python takes beside the step itself."""
    asked = {
        "question": "What is in example.jpg?",
        "tool": tool,
        "arguments": list(arguments),
        "caption": DOG,
        **fields,
    }
    record = Record("of a test", {**asked, **fields})
    [child] = (op or DIALOGUE).make(record, Context(seed=seed).of(record))
    return {**child.fields, "_reason": child.reason}


def contents(row: Any) -> list[str]:
    return [message["content"] for message in row["messages"]]


def called(content: str) -> tuple[str, list[str]]:
    found = re.fullmatch(
        r"Thought: Do I need to use a tool\? Yes\nAction: (.*)\nAction Input: (.*)\nObservation:", content
    )
    assert found
    return found[1], found[2].split(", ")


def listed(prompt: str) -> list[str]:
    return re.findall(r"^> ([^:]+):", prompt, re.MULTILINE)


def test_the_table_is_that_of_the_paper():
    sizes = Counter(len(tool["arguments"]) for tool in TOOLS)
    assert sizes == {1: 10, 2: 12, 3: 1}
    assert Counter(tool["makes"] for tool in TOOLS) == {"image": 20, "text": 3}
    assert sum("first" in tool for tool in TOOLS) == 7
    assert len(set(NAMES)) == 23


@pytest.mark.parametrize(
    ("tool", "arguments", "reason"),
    [
        ("Segment the Image", ["image.jpg"], "not_the_image"),
        (EDGES, ["example.jpg", "foo"], "wrong_arguments"),
        ("Replace Something From The Photo", ["example.jpg", "a cat", "a dog", "a cow"], "wrong_arguments"),
        ("Replace Something From The Photo", ["example.jpg", "a cat"], "wrong_arguments"),
        (CANNY, ["example.jpg"], "wrong_arguments"),
        (CANNY, ["example.jpg", " "], "wrong_arguments"),
        (EDGES, [], "wrong_arguments"),
        ("Crop Image", ["example.jpg"], "unknown_tool"),
        ("Get Photo Description", ["example.jpg"], "no_result"),
    ],
)
def test_calls_that_cannot_be(tool: str, arguments: list[str], reason: str):
    row = made(tool, *arguments)
    assert row["_reason"] == reason
    assert row["messages"] is None


@pytest.mark.parametrize(
    ("tool", "arguments", "name", "rest"),
    [
        ("Detect the Given Object", ["example.jpg", "dog"], "Detect the Give Object", ["dog"]),
        ("Detect Object", ["example.jpg", "dog", "on the left"], "Detect the Give Object", ["dog,on the left"]),
        ("segment  GIVEN object", ["example.jpg", "dog, cat"], "Segment the given object", ["dog", "cat"]),
        ("Segment Image", [" example.jpg "], "Segment the Image", []),
        (EDGES.lower(), ["example.jpg"], EDGES, []),
    ],
)
def test_other_names_and_commas(tool: str, arguments: list[str], name: str, rest: list[str]):
    row = made(tool, *arguments, result="There is one.")
    [image, *others] = called(contents(row)[1])[1]
    assert called(contents(row)[1])[0] == name
    assert NAME.match(image)
    assert others == rest


def test_a_tool_of_words_alone():
    told = set()
    for seed in range(40):
        row = made("Generate Image From User Input Text", "a dog", "a cat", seed=seed)
        prompt, call, *_ = contents(row)
        assert called(call) == ("Generate Image From User Input Text", ["a dog,a cat"])
        told.add(DOG in prompt)
        assert (DOG in prompt) == ("AI: Received." in prompt)
    assert told == {True, False}, "its image is left out half of the time"
    assert all(DOG in contents(made(EDGES, "example.jpg", seed=seed))[0] for seed in range(20))


def test_a_tool_that_works_on_the_picture_of_another():
    ways = set()
    for seed in range(30):
        row = made(CANNY, "example.jpg", "a red dog", seed=seed, answer="It is drawn as you wished.")
        assert [m["role"] for m in row["messages"]] == ["system", *["assistant", "user"] * 2, "assistant"]
        prompt, first, seen, call, result, last = contents(row)
        name, [image] = called(first)
        assert name == EDGES
        assert f"image named {image}." in prompt
        assert f"New input: What is in {image}?\n" in prompt
        edges = seen.removeprefix("Observation: ").removeprefix("Result saved as ")
        assert NAME.match(edges)
        assert called(call) == (CANNY, [edges, "a red dog"])
        new = result.removeprefix("Observation: ").removeprefix("Result saved as ")
        assert NAME.match(new)
        assert len({image, edges, new}) == 3
        ways |= {"Result" in seen, "Result" in result}
        assert last.startswith("Thought: Do I need to use a tool? No\nAI: It is drawn as you wished.")
        assert new in last
        assert "example.jpg" not in "".join(contents(row))
    assert ways == {True, False}


def test_what_a_tool_says_is_what_the_model_wrote():
    row = made(
        "Answer Question About The Image", "example.jpg", "is it wet, or dry?",
        result="wet", answer="The lawn in example.jpg is wet.",
    )  # fmt: skip
    _, call, seen, last = contents(row)
    image, *_ = called(call)[1]
    assert called(call)[1] == [image, "is it wet", "or dry?"]
    assert seen == "Observation: wet"
    assert last.endswith(f"No\nAI: The lawn in {image} is wet.")
    drawn = contents(made(EDGES, "example.jpg", result="result.png", answer="See result.png."))
    new = drawn[2].removeprefix("Observation: ").removeprefix("Result saved as ")
    assert drawn[3].endswith(f"AI: See {new}.")


def test_the_prompt():
    prompt = contents(made(EDGES, "example.jpg"))[0]
    order = [
        "names of files", "TOOLS:", "\n> ",
        "Thought: Do I need to use a tool? Yes\nAction: ", "\nAction Input: ", "\nObservation:",
        "Thought: Do I need to use a tool? No\nAI: ", "A picture that a tool makes", "Previous conversation:\nHuman: ",
        f"Description: {DOG} ", "AI: Received.\n", "New input: ", "Where a tool is needed",
    ]  # fmt: skip
    places = [prompt.index(part) for part in order]
    assert places == sorted(places)
    assert "{" not in prompt


def test_some_tools_are_listed():
    sizes, places = Counter[int](), Counter[int]()
    for seed in range(400):
        row = made(CANNY, "example.jpg", "a dog", seed=seed)
        names = listed(contents(row)[0])
        assert {CANNY, EDGES} <= set(names) <= set(NAMES)
        assert len(names) == len(set(names))
        sizes[len(names)] += 1
        places[names.index(CANNY)] += 1
    assert set(sizes) == {2, 3, 4, 5}
    assert min(sizes.values()) > 60
    assert set(places) == {0, 1, 2, 3, 4}
    one = made(CANNY, "example.jpg", "a dog", op=ToolDialogue(TOOLS, shown=[1, 1]))
    assert len(listed(contents(one)[0])) == 2


def test_a_cut_conversation():
    cut: Counter[int] = Counter()
    for seed in range(600):
        row = made(CANNY, "example.jpg", "a dog", seed=seed, op=CUT)
        said = contents(row)
        [at] = [i for i, content in enumerate(said) if content == row["output"]]
        cut[at] += 1
        instruction = row["instruction"]
        if at == 1:
            assert instruction == said[0]
        else:
            assert instruction.endswith(f"\n{said[at - 1]}")
            assert instruction.count("\nObservation:") == said[0].count("\nObservation:") + (at - 1) // 2
            assert "\nObservation:\n" not in instruction.removeprefix(said[0])
        assert row["output"].endswith("\nObservation:") == (at < 5)
    assert set(cut) == {1, 3, 5}
    assert all(abs(n / 600 - 1 / 3) < 0.06 for n in cut.values())


def test_without_a_call():
    source = [{"caption": f"scene {i}", "question": "x", "answer": "y"} for i in range(9)]
    plain = ToolDialogue(TOOLS, call=False, scene="{{ caption }}", draw={"k": 1}, cut=True)
    scenes = Counter[str]()
    for seed in range(60):
        [row] = plain({"question": "Name a fruit.", "answer": "A pear.", "caption": None}, seed=seed, source=source)
        prompt, last = contents(row)
        assert last == row["output"] == "Thought: Do I need to use a tool? No\nAI: A pear."
        assert row["instruction"] == prompt
        assert thoughts(prompt) == ["Yes", "No"], "only in what it says of the form"
        assert 2 <= len(listed(prompt)) <= 5
        assert "New input: Name a fruit.\n" in prompt
        scenes[found[0] if (found := re.findall(r"scene \d", prompt)) else ""] += 1
    assert 15 < scenes[""] < 45
    assert len(scenes) > 5
    [row] = plain({"question": "Name a fruit.", "answer": " ", "caption": None}, source=source)
    assert row["_reason"] == "empty"


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"tools": "question"}, "no list of tools"),
        ({"tools": [{"name": "Cut"}]}, "the tool 'Cut' is not understood: use, arguments, makes"),
        ({"tools": [{**TOOLS[0], "first": "Cut"}]}, "`first` of the tool Get Photo Description names no tool: Cut"),
        ({"tools": [TOOLS[0], {**TOOLS[1], "aliases": ["get photo description"]}]}, "two tools are called"),
    ],
)
def test_tables_that_are_none(parameters: dict[str, Any], said: str):
    with pytest.raises(RecipeError, match=said):
        ToolDialogue(**parameters)({"question": "x", "tool": "Cut", "arguments": []})


def test_numbers_of_tools():
    with pytest.raises(RecipeError, match="it says from and to"):
        ToolDialogue(TOOLS, shown=[5, 2])
