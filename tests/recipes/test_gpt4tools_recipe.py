"""GPT4Tools: one call an image for an instruction for each tool, as conversations, and as many that need none."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from asked import cli, failed, ledger, source
from asked import table as rows_of
from leaven.cli import run
from leaven.recipe import read
from saying import Heard, Said, Saying, chat
from small_media import picture
from tiny import repliers, writers

TOOLS: list[dict[str, Any]] = read("gpt4tools").let["tools"]
FEW = ("--concurrency", "4")
N = 5
PLAIN = 150
NO = "Thought: Do I need to use a tool? No\nAI: "


@pytest.fixture
def rows(tmp_path: Path) -> list[dict[str, Any]]:
    for i in range(N):
        picture(tmp_path / f"{i}.png", (80, 40), 10 * i)
    box = {"x": 8, "y": 4, "w": 16, "h": 20, "label": "cat"}
    return [{"image": f"{i}.png", "captions": [f"scene {i}.", "A cat sits."], "boxes": [box]} for i in range(N)]


@pytest.fixture
def plain(tmp_path: Path) -> str:
    """Instructions as Alpaca has them."""
    path = tmp_path / "plain.jsonl"
    said = [
        {"instruction": f"Say {i}.", "input": "Loudly." if i % 2 else "", "output": f"It is {i}."} for i in range(PLAIN)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in said), "utf-8")
    return str(path)


def answered(i: int) -> str:
    """What a teacher says of an image: of the third also what the parser refuses, and a tool by another name."""
    items = []
    for j, tool in enumerate(TOOLS):
        words = [f"thing {k}" for k in range(1, len(tool["arguments"]))]
        arguments = ["example.jpg", *words] if tool["arguments"][0] == "image" else ["a cat"]
        name, question = tool["name"], f"Do {j} with example.jpg of {i}!"
        if (i, j) in ((0, 0), (1, 0)):
            question = "1. Tell me of  example.jpg" if i else "1. tell me of example.jpg"  # said of two images
        if (i, j) == (2, 1):
            name = "Crop Image"
        if (i, j) == (2, 3):
            arguments = ["image.jpg"]
        if (i, j) == (2, 9):
            arguments = ["example.jpg", "foo"]
        if (i, j) == (2, 6):
            arguments.append("a fourth")
        if (i, j) == (2, 2):
            name, arguments = "Detect Object", ["example.jpg", "cat", "on the left"]
        result = "a cat on a mat" if tool["makes"] == "text" else "result.png"
        said = {"question": question, "tool": name, "arguments": arguments}
        items.append({**said, "result": result, "answer": f"Here is {result}."})
    return json.dumps({"items": items})


def reply(heard: Heard) -> Said:
    return chat(answered(int(heard.prompt.partition("scene ")[2][0])))


def said_of(row: dict[str, Any]) -> list[str]:
    """What its messages say."""
    messages = row["messages"] if isinstance(row["messages"], list) else json.loads(row["messages"])
    return [message["content"] for message in messages]


def split(rows: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The rows with a call, and those without."""
    of = {True: [], False: []}  # type: dict[bool, list[dict[str, Any]]]
    for row in rows:
        of[row["tool"] is not None].append(row)
    return of[True], of[False]


def listed(prompt: str) -> list[str]:
    return re.findall(r"^> ([^:]+):", prompt, re.MULTILINE)


def test_conversations_with_and_without_calls(ran: Any, rows: list[dict[str, Any]], plain: str):
    with Saying(reply) as server:
        found = ran("gpt4tools", rows, "--unlabelled", plain, *FEW, chat=f"openai:m@{server.url}")
    assert len(server.heard) == N
    for heard in server.heard:
        assert heard.body["temperature"] == 0.7
        assert [m["role"] for m in heard.body["messages"]] == ["user"]
        assert "cat: [8, 4, 24, 24]\n" in heard.prompt
        assert "23. Generate Image Condition On Pose Image: " in heard.prompt
    check(found, N)


def check(found: Any, n: int) -> None:
    """What is made of ``n`` images, and of as many plain instructions."""
    why = Counter(row["_reason"] for row in found.refused)
    assert why == {"duplicate": 1, "unknown_tool": 1, "not_the_image": 1, "wrong_arguments": 2}
    calls, others = split(found.made)
    assert not found.real
    assert len(calls) == len(others) == 23 * n - 5

    table = {tool["name"]: tool for tool in TOOLS}
    cuts = Counter()
    for row in calls:
        said = said_of(row)
        tool = table[row["tool"].replace("Detect Object", "Detect the Give Object")]
        needed = {tool["name"], tool.get("first", tool["name"])}
        assert len(said) == (6 if "first" in tool else 4)
        shown = listed(said[0])
        assert needed <= set(shown)
        assert 2 <= len(shown) <= 5
        assert "example.jpg" not in json.dumps(said)
        told = f"Description: {' '.join(row['captions'])} cat: [8, 4, 24, 24] "
        assert told in said[0] or tool["name"] == "Generate Image From User Input Text"
        assert said.index(row["output"]) % 2 == 1
        assert row["input"] == ""
        assert said[-1].startswith(f"{NO}Here is ")
        cuts[len(said), said.index(row["output"])] += 1
    assert set(cuts) == {(4, 1), (4, 3), (6, 1), (6, 3), (6, 5)}

    scenes = 0
    for row in others:
        [number] = re.findall(r"New input: Say (\d+)\.(?: Loudly\.)?\n", row["instruction"])
        assert row["instruction"].count("Loudly") == int(number) % 2
        assert row["output"] == f"{NO}It is {number}."
        assert row["instruction"].count("Yes") == 1, "only in what it says of the form"
        assert 2 <= len(listed(row["instruction"])) <= 5
        assert row["input"] == ""
        scenes += bool(re.search(r"scene \d\. A cat sits\. cat: \[", row["instruction"]))
    assert 0.3 < scenes / len(others) < 0.7


def test_with_a_model_of_the_real_class(ran: Any, rows: list[dict[str, Any]], plain: str, tmp_path: Path):
    """A Llama that chats, in this process: one call an image."""
    pytest.importorskip("transformers")
    rules = [((f"It shows: scene {i}.",), answered(i)) for i in range(3)]
    chat = repliers.replier(tmp_path / "chat", *rules)
    found = ran("gpt4tools", rows[:3], "--unlabelled", plain, chat=f"transformers:{chat}")
    calls = [json.loads(row["asked"]) for row in ledger(found.out)]
    assert {row["role"] for row in ledger(found.out)} == {"chat"}
    assert len(calls) == len({call["seed"] for call in calls}) == 3
    for call in calls:
        assert (call["temperature"], call["max_tokens"]) == (0.7, 8000)
        [message] = call["messages"]
        assert message["role"] == "user"
        assert "cat: [8, 4, 24, 24]\n" in message["content"]
        assert re.findall(r"^(\d+)\. ([^:]+): ", message["content"], re.MULTILINE) == [
            (f"{i}", tool["name"]) for i, tool in enumerate(TOOLS, 1)
        ]
    check(found, 3)
    [joined] = [row for row in found.made if row["tool"] == "Detect Object"]
    action = said_of(joined)[1]
    assert "\nAction: Detect the Give Object\n" in action
    assert re.search(r"^Action Input: (\w+/)?\w+\.png, cat,on the left$", action, re.MULTILINE)


def test_a_model_that_talks_nonsense(rows: list[dict[str, Any]], plain: str, tmp_path: Path):
    """Each failed record is kept with what was answered; the run ends, with one plain conversation at the least."""
    pytest.importorskip("transformers")
    chat = writers.llama(tmp_path / "chat", room=8192)
    out, data = tmp_path / "out", source(tmp_path, rows[:1])
    how = ("-q", "--workers", "1", "--set", "write.max_tokens=12", f"--model=chat=transformers:{chat}")
    assert cli("augment", data, "-o", out, "-r", "gpt4tools", "--unlabelled", plain, *how).code == 3
    assert [(row["_step"], row["_reason"], len(row["_answers"])) for row in failed(out)] == [
        ("write", "no_valid_json", 2)
    ]
    assert [row["tool"] for row in rows_of(out)] == [None]


def test_fewer_without_a_call(ran: Any, rows: list[dict[str, Any]], plain: str):
    with Saying(reply) as server:
        options = ("--unlabelled", plain, *FEW, "--set", "ratio=0.3", "--set", "blend.most=100")
        found = ran("gpt4tools", rows[:1], *options, chat=f"openai:m@{server.url}")
    calls, others = split(found.made)
    assert (len(calls), len(others)) == (23, 6)  # 6.9 rounded down


def test_plain_instructions_under_names_of_their_own(ran: Any, rows: list[dict[str, Any]], tmp_path: Path):
    pool, test = tmp_path / "pool.jsonl", tmp_path / "test.jsonl"
    pool.write_text('{"ask": "Say it.", "input": null, "reply": "It."}\n' * 2, "utf-8")
    test.write_text(json.dumps(rows[4]) + "\n", "utf-8")  # which has no plain instructions
    named = ("--field", "instruction=ask", "--field", "output=reply", "--test", str(test))
    with Saying(reply) as server:
        found = ran("gpt4tools", rows[:1], "--unlabelled", str(pool), *named, *FEW, chat=f"openai:m@{server.url}")
    calls, others = split(found.made)
    assert (len(calls), len(others)) == (23, 2)
    assert {row["reply"] for row in others} == {f"{NO}It."}
    assert all("New input: Say it.\n" in row["ask"] for row in others)


def test_what_counts_the_rows_made_so_far(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    rows, pool, recipe = (tmp_path / name for name in ("rows.jsonl", "pool.jsonl", "r.yaml"))
    rows.write_text("".join(json.dumps({"text": f"row {i} of some"}) + "\n" for i in range(3)), "utf-8")
    pool.write_text("".join(json.dumps({"text": f"free {i}"}) + "\n" for i in range(20)), "utf-8")

    def ran(n: str) -> tuple[int, str]:
        steps = [{"edit_words": {"n": 2}}, {"from": "pool"}, {"sample": {"n": n}}, {"edit_chars": {"p": 0.4}}]
        recipe.write_text(json.dumps({"fields": ["text"], "pool": ["text"], "steps": steps}), "utf-8")
        command = ["augment", str(rows), "-o", str(tmp_path / f"out {n}"), "-r", str(recipe), "--unlabelled", str(pool)]
        code = run([*command, "--workers", "1"])
        return code, " ".join("".join(capsys.readouterr()).split())

    assert "Made 9" in ran("count('made') // 2")[1], "6, and 3 of the pool"
    code, said = ran("count('pool')")
    assert code != 0
    assert "`count(...)` is over a group of records, which only a `keep` sees" in said


def test_two_workers_write_the_same_bytes(
    tmp_path: Path, rows: list[dict[str, Any]], plain: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("leaven.cli.write_report", lambda *_: None)
    source = tmp_path / "rows.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows[:3]), "utf-8")
    files = []
    with Saying(reply) as server:
        for workers in ("1", "2"):
            out = tmp_path / f"out{workers}"
            said = ["augment", str(source), "-o", str(out), "-r", "gpt4tools", "-q", "--workers", workers]
            said += ["--unlabelled", plain, f"--model=chat=openai:m@{server.url}", *FEW]
            assert run(said) == 0
            files.append({path.name: path.read_bytes() for path in sorted((out / "train").glob("*.parquet"))})
    assert files[0]
    assert files[0] == files[1]


def test_a_pool_without_answers(
    tmp_path: Path, rows: list[dict[str, Any]], plain: str, capsys: pytest.CaptureFixture[str]
):
    source = tmp_path / "rows.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    lacking = tmp_path / "lacking.jsonl"
    lacking.write_text('{"instruction": "Say it.", "input": ""}\n', "utf-8")
    command = ["augment", str(source), "-o", str(tmp_path / "o"), "-r", "gpt4tools", "--model=chat=fake:shape", "-q"]
    assert run([*command, "--unlabelled", str(lacking)]) != 0
    assert "lacking.jsonl has no column `output`, which the recipe needs" in " ".join(capsys.readouterr().err.split())
