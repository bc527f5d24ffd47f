"""LaCLIP: four rewrites of a caption, each after three examples of a style; one of five is drawn an epoch."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import leaven as lv
from leaven.recipe import read
from saying import Heard, Said, Saying
from small_media import picture

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
