"""LaCLIP: four rewrites of a caption, each after three examples of a style; one of five is drawn an epoch."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import leaven as lv
from asked import ledger
from leaven.recipe import read
from leaven.records import child_id
from saying import Heard, Said, Saying
from small_media import picture
from tiny import repliers, writers

STYLES = ["plain", "lively", "short", "detailed"]
CAPTIONS = ["a dog => runs home", *(f"a grey square, number {i}" for i in range(11))]
FEW = ("--concurrency", "4")


def asked(heard: Heard) -> str:
    return str(heard.body["prompt"])


def reply(heard: Heard) -> Said:
    last = asked(heard).splitlines()[-1]
    said = (
        " A\nB"
        if "dog" in last
        else " dog\n"
        if "number 3" in last
        else ""
        if "number 4" in last
        else " said anew\nand on"
    )
    return Said({"choices": [{"text": said, "finish_reason": "stop"}]})


def augmented(ran: Any, folder: Path) -> tuple[Any, list[str]]:
    for i in range(len(CAPTIONS)):
        picture(folder / f"{i}.png", colour=20 * i)
    with Saying(reply) as server:
        rows = [{"image": f"{i}.png", "caption": caption} for i, caption in enumerate(CAPTIONS)]
        found = ran("laclip", rows, *FEW, complete=f"openai:m@{server.url}")
    assert all(heard.body["max_tokens"] == 77 for heard in server.heard)
    assert all((heard.body["temperature"], heard.body["top_p"]) == (0.9, 0.95) for heard in server.heard)
    return found, [asked(heard) for heard in server.heard]


def test_prompts_rewrites_and_epochs(ran: Any, tmp_path: Path):
    found, prompts = augmented(ran, tmp_path)
    assert len(prompts) == 4 * len(CAPTIONS)
    pairs = read("laclip").let["pairs"]
    known = {f"{pair['source']} => {pair['target']}": pair["style"] for pair in pairs}
    styles = Counter()
    for prompt in prompts:
        lines = prompt.splitlines()
        assert len(lines) == 9
        assert lines[0].endswith(",")
        assert [lines[i] for i in (1, 3, 5, 7)] == [""] * 4
        shown = [lines[i] for i in (2, 4, 6)]
        assert len(set(shown)) == 3
        [style] = {known[line] for line in shown}
        styles[style] += 1
        assert lines[8].endswith("=>")
    assert styles == dict.fromkeys(STYLES, len(CAPTIONS))

    assert not found.refused
    said = Counter((row["image"]["path"], row["caption"]) for row in found.made)
    assert said["0.png", "a dog => runs home"] == 4  # "A", of one word
    assert said["4.png", CAPTIONS[4]] == said["5.png", CAPTIONS[5]] == 4
    assert said["6.png", "said anew"] == 4
    assert Counter(row["style"] for row in found.made) == dict.fromkeys(STYLES, len(CAPTIONS))

    blended = lv.Run(found.out).blend(one_per="root", redraw="epoch")
    assert len(blended) == len(CAPTIONS)
    own = 0
    for epoch in range(200):
        blended.set_epoch(epoch)
        own += sum(blended[i]["caption"].startswith("a grey square, number 5") for i in range(len(blended)))
    assert 15 < own < 70  # a fifth of 200


ANEW = (" said anew\nand on", " in other words")
RULES = (
    (("a dog => runs home =>",), " A\nB"),  # the sheet's own
    (("number 1 =>",), " dog\n"),
    (("number 2 =>",), ""),
    *(((), reply) for reply in ANEW),
)


def test_with_a_model_of_the_real_class(ran: Any, tmp_path: Path):
    """A Llama that goes on with texts, in this process."""
    pytest.importorskip("transformers")
    captions = CAPTIONS[:5]
    for i in range(len(captions)):
        picture(tmp_path / f"{i}.png", colour=20 * i)
    writes = repliers.replier(tmp_path / "writes", *RULES)
    rows = [{"image": f"{i}.png", "caption": caption} for i, caption in enumerate(captions)]
    found = ran("laclip", rows, complete=f"transformers:{writes}")

    calls = [json.loads(row["asked"]) for row in ledger(found.out)]
    assert {row["role"] for row in ledger(found.out)} == {"complete"}
    assert len(calls) == len({call["seed"] for call in calls}) == 4 * len(captions)
    known = {f"{pair['source']} => {pair['target']}": pair["style"] for pair in read("laclip").let["pairs"]}
    drawn = Counter()
    for call in calls:
        assert (call["temperature"], call["top_p"], call["max_tokens"], call["stop"]) == (0.9, 0.95, 77, "\n")
        lines = call["prompt"].splitlines()
        assert len(lines) == 9
        assert len({lines[i] for i in (2, 4, 6)}) == 3
        [style] = {known[lines[i]] for i in (2, 4, 6)}
        drawn[style, lines[8].removesuffix(" =>")] += 1
    assert drawn == {(style, caption): 1 for style in STYLES for caption in captions}

    assert not found.refused
    assert len(found.made) == 4 * len(captions)
    said = {caption: Counter() for caption in captions}
    for row in found.made:
        [real] = [real for real in found.real.values() if real["image"] == row["image"]]
        assert row["_parents"] == [child_id([real["_id"]], "copy", 0, STYLES.index(row["style"]))]
        said[real["caption"]][row["caption"]] += 1
    assert said[captions[0]] == {captions[0]: 4}, "A, of one word"
    assert said[captions[2]] == {captions[2]: 4}, "dog"
    assert said[captions[3]] == {captions[3]: 4}, "nothing"
    others = said[captions[1]] + said[captions[4]]
    assert set(others) == {"said anew", "in other words"}, "drawn, each call with its own seed"


def test_a_model_that_talks_nonsense(ran: Any, tmp_path: Path):
    """Each row has its four, long and short."""
    pytest.importorskip("transformers")
    picture(tmp_path / "0.png")
    writes = writers.llama(tmp_path / "writes", room=1024)
    rows = [{"image": "0.png", "caption": "a grey square"}]
    few = ("--set", "continue.max_tokens=12")
    found = ran("laclip", rows, *few, complete=f"transformers:{writes}")
    assert not found.refused
    assert len(found.made) == 4
    assert all(row["caption"] == "a grey square" or len(row["caption"].split()) > 1 for row in found.made)
