"""seltda: a captioner fitted to ask and answer about images, asked about images that nobody asked about."""

from __future__ import annotations

import base64
import json
from collections import Counter
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from leaven.cli import run
from leaven.engine.folder import Folder
from leaven.measure.bench import ANYWHERE
from leaven.measure.roots import Line, Lines
from leaven.media.image import Image
from leaven.models.backends.local import fitting, tuned_captions, tuned_writer
from saying import Heard, Said, Saying, chat
from tiny import writers

pytest.importorskip("transformers")

ALL = ("--set", "blend.ratio=9")
QUICKLY = [f"--set={said}" for said in ("asker.lr=0.03", "asker.epochs=14", "asker.batch=9", "raw.temperature=0.2")]
RAW = {
    ": what is this? answer : dog, dog, puppy.": ("what is this?", ["dog", "dog", "puppy"]),
    "what? why? answer : because": ("what?", ["because"]),
    "what is this answer : dog": "no_question",
    "what? dog": "no_answer",
    "x? answer : yes, no": "ambiguous",
    "what? answer : sad, yes, nope": ("what?", ["sad", "yes", "nope"]),
    "what time? answer :: 10, 10": ("what time?", ["10", "10"]),
    "where is it? answer : u. s. a": ("where is it?", ["u"]),
    "who? answer of many : no yes, a: b. more": ("who?", ["no yes", "a: b"]),
    "??": "no_question",
    ".": "no_question",
}
"""What a captioner said, and what comes of it: a question and its answers, or why it is refused."""


def coloured(folder: Path, name: str, *, red: bool) -> str:
    pixels = np.full((32, 32, 3), (230, 20, 40) if red else (20, 230, 40), np.uint8)
    pixels[:3, :3] = len(list(folder.iterdir()))  # no two alike
    (folder / f"{name}.png").write_bytes(Image.of(pixels).encoded)
    return f"{name}.png"


def source(folder: Path) -> list[dict[str, Any]]:
    """Red and green images, each with a question and its answers."""
    said: list[dict[str, Any]] = []
    for i in range(10):
        answers = ["red", "red", "car"] if i % 2 else ["blue"]
        image = coloured(folder, f"{i}", red=bool(i % 2))
        said.append({"image": image, "question": "Is it a dog?!", "answer": answers})
    return said


def pool(folder: Path, n: int) -> Path:
    path = folder / "pool.jsonl"
    rows = [{"image": coloured(folder, f"p{i}", red=bool(i % 2))} for i in range(n)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_a_captioner_is_fitted_and_asks_about_the_pool(ran: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    blip = writers.blip(tmp_path / "blip", known=("question", "answer", "it"), far=0.1)
    rows, unlabelled, uri = source(tmp_path), pool(tmp_path, 6), f"transformers:{blip}"
    taught: list[tuple[str, str]] = []

    def spied(weights: Any, examples: Any, *more: Any) -> Any:
        assert weights.place == str(blip)
        taught.extend((one.prompt, one.target) for one in examples)
        return tune(weights, examples, *more)

    tune = tuned_captions.tune
    monkeypatch.setattr(tuned_captions, "tune", spied)
    monkeypatch.setattr(tuned_writer, "LOOKS", 2)
    found = ran("seltda", rows, "--unlabelled", str(unlabelled), *QUICKLY, caption=uri)
    assert Counter(taught) == {
        ("", "Question: is it a dog? Answer: red,red,car"): 5,
        ("", "Question: is it a dog? Answer: blue"): 5,
    }
    counts = json.loads((found.out / "run.json").read_text())["counts"]
    assert (counts["read"], counts["made"], counts["kept"], counts["refused"]) == (16, 12, 12, 0)
    assert len(found.made) == 10, "as many as real rows"
    right = [
        json.loads(row["answer"]) == (["red", "red", "car"] if int(row["image"]["path"][1]) % 2 else ["blue"])
        for row in found.made
    ]
    assert sum(right) > len(right) * 0.7, "it has learnt to look"
    assert {row["question"] for row in found.made} & {"is it a dog?"}
    assert len({row["_id"] for row in found.train}) == len(found.train)
    assert {json.loads(row["answer"])[0] for row in found.real.values()} == {"red", "blue"}

    lines = Lines(Folder(found.out), {own: i for i, own in enumerate(found.real)})
    origins = lines.roots(
        *zip(*[(row["_id"], Line(None, row["_parents"], row["_steps"])) for row in found.made], strict=True)
    )
    assert set(origins.flat) == {ANYWHERE}, "no fold is honest about them"

    # Two workers, and a command that was stopped while it fitted: the same bytes.
    again = [str(tmp_path / "rows.jsonl"), "-r", "seltda", "-q", "--unlabelled", str(unlabelled), *QUICKLY]
    two = ["augment", *again, "-o", str(tmp_path / "two"), "--workers", "2", f"--model=caption={uri}"]
    write = fitting.Course.write
    with monkeypatch.context() as patch:

        def stopped(at: Any, path: Path) -> None:
            write(at, path)
            if at.step == 7:
                raise KeyboardInterrupt

        patch.setattr(fitting.Course, "write", stopped)
        assert run(two) == 130
    assert len(list((tmp_path / "two" / "states").glob("*/checkpoint.safetensors"))) == 1
    assert run(two) == 0
    assert files(tmp_path / "two" / "train") == files(found.out / "train")

    # What was fitted is not fitted again, to repeat the run; another captioner is.
    def interrupted(*said: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(tuned_captions, "tune", interrupted)
    assert run(["verify", str(found.out), "-q"]) == 0
    assert run([*two, "--seed", "0"]) == 0
    other = writers.blip(tmp_path / "other", seed=1)
    assert run([*two[:-1], f"--model=caption=transformers:{other}"]) == 130


def test_what_a_captioner_says_becomes_a_question_and_answers(ran: Any, tmp_path: Path):
    """Over a server, as the recipe stands but for the fit."""
    unlabelled = pool(tmp_path, len(RAW))
    says = {base64.b64encode((tmp_path / f"p{i}.png").read_bytes()).decode(): raw for i, raw in enumerate(RAW)}

    def reply(heard: Heard) -> Said:
        body = json.dumps(heard.body)
        [raw] = [raw for image, raw in says.items() if image in body]
        assert "Question:" in body
        return chat(raw)

    recipe = resources.files("leaven").joinpath("recipes", "seltda.yaml").read_text("utf-8")
    fit, rest = recipe.index("  - adapter as asker:"), recipe.index("  - from: pool")
    asks = recipe[:fit] + recipe[rest:].replace("      adapter: asker\n", "")
    (tmp_path / "mine.yaml").write_text(asks)
    with Saying(reply) as server:
        named = {"caption": f"openai:m@{server.url}"}
        found = ran(str(tmp_path / "mine.yaml"), source(tmp_path), "--unlabelled", str(unlabelled), *ALL, **named)
        assert len(server.heard) == 2 * len(RAW)
    assert all(heard.body["top_p"] == 0.9 and heard.body["max_tokens"] == 37 for heard in server.heard)
    came: dict[str, list[Any]] = {raw: [] for raw in RAW}
    for row in found.made:
        came[row["raw"]].append((row["question"], json.loads(row["answer"])))
    for row in found.refused:
        came[row["raw"]].append(row["_reason"])
    assert came == {raw: [what, what] for raw, what in RAW.items()}


def test_who_plays_caption_elsewhere_cannot_be_fitted(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    rows = tmp_path / "rows.jsonl"
    rows.write_text("".join(json.dumps(row) + "\n" for row in source(tmp_path)))
    command = ["augment", str(rows), "-o", str(tmp_path / "out"), "-r", "seltda", "-q"]
    command += ["--unlabelled", str(pool(tmp_path, 1))]
    assert run([*command, "--model=caption=openai:m@http://127.0.0.1:9/v1"]) == 1
    said = capsys.readouterr().err
    assert "step asker fits a model for caption further, and openai:m@http://127.0.0.1:9/v1 is named" in said
    assert "--model caption=transformers:FOLDER" in said
    assert run(command) == 1
    assert "further, and none is named" in capsys.readouterr().err
