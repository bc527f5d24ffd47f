"""AlpaGasus: rows whose first line of judgement is a number, and at least 4.5."""

from __future__ import annotations

import re
from typing import Any

from asked import cli, failed, source, table
from saying import Heard, Said, Saying, chat

JUDGED = [
    ("4.5\nIt says what was asked.", 4.5, True),
    ("5", 5.0, True),
    (" 4.5 ", 4.5, True),
    ("4", 4.0, False),
    ("4.5/5", -1.0, False),
    ("Score: 5", -1.0, False),
    ("4.49\nNearly.", 4.49, False),
    ("5.0\r\nIt does.", 5.0, True),
    ("Good.\n5", -1.0, False),
    ("-1", -1.0, False),
]
ROWS = [{"instruction": f"Do thing {i}.", "input": "it" * (i % 2), "output": f"done {i}"} for i in range(len(JUDGED))]


FEW = ("--concurrency", "4")  # the small server hears no more at once


def reply(heard: Heard) -> Said:
    return chat(JUDGED[number(heard)][0])


def number(heard: Heard) -> int:
    found = re.search(r"Do thing (\d+)\.", heard.prompt)
    assert found
    return int(found[1])


def test_what_is_kept(ran: Any):
    with Saying(reply) as server:
        found = ran("alpagasus", ROWS, *FEW, chat=f"openai:m@{server.url}")
    kept = {row["instruction"]: (row["output"], float(row["mark"])) for row in found.train}
    assert kept == {
        ROWS[i]["instruction"]: (ROWS[i]["output"], mark) for i, (_, mark, good) in enumerate(JUDGED) if good
    }
    assert not found.made, "rows are chosen, none is made"
    assert len(server.heard) == len(ROWS), "each is judged once"
    for heard in server.heard:
        assert (heard.body["temperature"], heard.body["top_p"], heard.body["max_tokens"]) == (0.0, 1.0, 256)
        row = ROWS[number(heard)]
        head = f"### Instruction:\n{row['instruction']}\n\n### Input:\n{row['input']}\n\n### Response:\n{row['output']}"
        assert head in heard.prompt, "the input has its heading where it is empty, too"


def test_an_empty_judgement_is_never_kept(tmp_path: Any):
    with Saying(lambda heard: chat("" if number(heard) == 1 else "5")) as server:
        data, model = source(tmp_path, ROWS[:3]), f"--model=chat=openai:m@{server.url}"
        said = cli("augment", data, "-o", tmp_path / "out", "-r", "alpagasus", "-q", "--workers", "1", model)
    assert said.code == 3
    assert {row["instruction"] for row in table(tmp_path / "out")} == {"Do thing 0.", "Do thing 2."}
    assert [row["instruction"] for row in failed(tmp_path / "out")] == ["Do thing 1."]
