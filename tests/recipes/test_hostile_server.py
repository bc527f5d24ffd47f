"""Systems that ask chat models, and a server a quarter of whose answers are broken: nothing is lost, none crashes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from asked import cli
from loopback.process import Server
from small_media import picture

KINDS = ("429", "500", "503", "garbage", "half", "invalid", "refused")
BOX = {"x": 8, "y": 4, "w": 30, "h": 20, "label": "cat"}
N = 5


def rows(recipe: str) -> list[dict[str, Any]]:
    if recipe == "t-sciq":
        options = {"choices": ["no", "yes"], "answer": 1, "context": ""}
        return [{"question": f"Is it {i}?", **options, "skill": "ab"[i % 2]} for i in range(N)]
    listed = recipe in ("llava-instruct", "gpt4tools")
    captions = {"captions": ["a grey wall", "a cat at a wall", "a cat"]} if listed else {}
    told = captions or {"caption": "a grey wall with a cat"}
    marked = {"boxes": [BOX]} if captions else {}
    return [{"image": f"{i}.png", **told, **marked} for i in range(N)]


@pytest.mark.parametrize("recipe", ["laclip", "llava-instruct", "t-sciq", "gpt4tools", "biaug"])
def test_broken_answers_cost_records_not_runs(recipe: str, server: Server, tmp_path: Path):
    for i in range(N):
        picture(tmp_path / f"{i}.png", (60, 40), 20 * i)
    data, pool = tmp_path / "rows.jsonl", tmp_path / "pool.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows(recipe)), "utf-8")
    plain = [{"instruction": f"Say {i}", "input": "", "output": f"{i}."} for i in range(N)]
    pool.write_text("".join(json.dumps(row) + "\n" for row in plain), "utf-8")
    server.set(hostile=0.35, hostile_kinds=KINDS)
    uri = f"openai:m@{server.url}"
    roles = {"chat": uri, "detect": "fake:shape", "paint": "fake:shape"}
    roles |= {"complete": uri} if recipe == "laclip" else {}
    roles |= {"chat.reader": uri} if recipe == "t-sciq" else {}
    asked = [f"--model={role}={named}" for role, named in roles.items()]
    asked += ["--unlabelled", str(pool)] if recipe == "gpt4tools" else []
    command = ["augment", data, "-o", tmp_path / "out", "-r", recipe, "-q", "--json", "--workers", "1", *asked]
    done = cli(*command)
    while done.code == 1 and "the same command" in done.err:  # a group without an answer
        done = cli(*command)
    assert done.code in (0, 3), done.err
    counts = json.loads((tmp_path / "out" / "run.json").read_text())["counts"]
    assert counts["made"] == counts["kept"] + counts["refused"]
    heard = server.counts()
    assert sum(heard["hostile"].values()) > 3
    server.set(hostile=0.0)
    assert cli(*command).code == 0
    last = json.loads((tmp_path / "out" / "run.json").read_text())["counts"]
    assert last["made"] == last["kept"] + last["refused"] >= counts["made"]
    assert not last.get("failed")
