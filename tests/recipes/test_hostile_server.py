"""Systems that ask chat models and painters of a server whose answers are often broken: nothing is lost or crashes."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Iterable, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from asked import cli, described, failed, ledger
from leaven.models.backends.local import tuned_captions
from leaven.models.backends.local.captions import Captions
from leaven.models.calls import Answer, Ask
from loopback.options import MORE, OF_IMAGES
from loopback.process import Server
from small_media import picture, text
from tiny import encoders, writers

KINDS = ("429", "500", "503", "garbage", "half", "invalid", "refused")
BOX = {"x": 8, "y": 4, "w": 30, "h": 20, "label": "cat"}
N = 5


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tries follow each other without a pause."""
    sleep = asyncio.sleep
    monkeypatch.setattr("leaven.models.limiter.asyncio.sleep", lambda s: sleep(min(s, 0.005)))


def rows(recipe: str) -> list[dict[str, Any]]:
    if recipe == "t-sciq":
        options = {"choices": ["no", "yes"], "answer": 1, "context": ""}
        return [{"question": f"Is it {i}?", **options, "skill": "ab"[i % 2]} for i in range(N)]
    listed = recipe in ("llava-instruct", "gpt4tools")
    captions = {"captions": ["a grey wall", "a cat at a wall", "a cat"]} if listed else {}
    told = captions or {"caption": "a grey wall with a cat"}
    marked = {"boxes": [BOX]} if captions else {}
    return [{"image": f"{i}.png", **told, **marked} for i in range(N)]


@pytest.mark.usefixtures("at_once")
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


# -- captioned, painted, tagged ----------------------------------------------------------------------------------------

HOSTILE = ("429", "500", "garbage", "half", "invalid", *MORE)
FAILS = {"no_valid_json", "server_error", "provider_refused", "no_answer", "wrong_size"}
FEW = 8
PER = {"start": 0, "end": 3, "text": "Ann", "label": "PER", "chain": 1}
DOMAINS = ["a photo of a bird at sea", "a photo of a bird in the snow"]
CHANGES = {"color": ("red", "blue"), "shape": ("round", "flat"), "material": ("wood", "tin"), "other": ("open", "shut")}
SAYS: dict[str, dict[str, Any]] = {
    "alia": {"Write at most 10 captions": {"domains": DOMAINS}},
    "biaug": {
        "Which objects": {"objects": ["door"]},
        **{
            f"value: a {of}": {"value": a, "better": f"a {a} door", "contrary": b, "worse": f"a {b} door"}
            for of, (a, b) in CHANGES.items()
        },
    },
    "gmda": {"a short post": "B-PER Dee and B-PER Bob sang here again"},
    "seltda": {"Question:": ": what is this? answer : dog, dog, puppy."},
    "cft-clip": {"Copy the names": {"names": [{"text": "Ann", "label": "PERSON"}]}},
}
"""What the server says by heart where a prompt holds this; else it says what it sees."""
PLAYED = {
    "alia": ("caption", "chat", "paint"),
    "biaug": ("chat", "paint"),
    "promptmix-image": ("caption", "paint"),
    "gmda": ("caption", "paint"),
    "seltda": ("caption",),
    "sluma": ("paint",),
    "cft-clip": ("chat",),
}
"""The roles that it plays: `caption` unfitted where a recipe fits it, `paint` without a layout, `tag` over chat."""
ELSEWHERE = {
    "alia": ("embed",),
    "biaug": ("detect",),
    "promptmix-image": ("map",),
    "sluma": ("embed",),
    "cft-clip": ("fill", "embed"),
}
"""The roles that no server of this protocol plays: `embed` has to read images too."""
OTHERWISE = {"sluma": ("--set=paint.layout=null", "--set=paint.width=64", "--set=paint.height=48")}


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> str:
    pytest.importorskip("transformers")
    return f"transformers:{encoders.clip(tmp_path_factory.mktemp('clip'))}"


def written(path: Path, data: Iterable[Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in data), "utf-8")
    return path


def few(recipe: str, folder: Path) -> list[object]:
    """Rows of images, all different, as a recipe reads them; the data and options of a command."""
    for i in range(FEW):
        picture(folder / f"{i}.png", (48, 40), 30 * i)
        picture(folder / f"map{i}.png", (48, 40), i)
    texts: list[dict[str, Any]] = [{"text": f"Ann sang {i} songs of the old days", "spans": [PER]} for i in range(FEW)]
    more: dict[str, Callable[[int], dict[str, Any]]] = {
        "alia": lambda i: {"label": "ab"[i % 2]},
        "biaug": lambda i: {"caption": f"a door of house {i}"},
        "promptmix-image": lambda i: {"target": f"map{i}.png"},
        "gmda": lambda i: {**texts[i], "boxes": [BOX]},
        "seltda": lambda i: {"question": "Is it a dog?", "answer": ["yes"]},
        "sluma": lambda i: {**texts[i], "boxes": [BOX]},
        "cft-clip": lambda i: {"text": texts[i]["text"]},
        "culture-mixup-detect": lambda i: {"sentence": "a violin", "label": "tf"[i % 2], "concept": "erhu"},
    }
    data = written(folder / "rows.jsonl", ({"image": f"{i}.png", **more[recipe](i)} for i in range(FEW)))
    pools = {"seltda": [{"image": f"{i}.png"} for i in range(FEW)], "sluma": texts}
    if recipe == "culture-mixup-detect":
        beside = {
            "concepts.graph": "start,start_lang,relation,end,end_lang",
            "code_switch.lexicon": "word,lang,translation",
        }
        files = {name: text(folder / f"{name}.csv", f"{head}\n") for name, head in beside.items()}
        return [data, *(f"--set={name}={file}" for name, file in files.items())]
    if recipe not in pools:
        return [data]
    return [data, "--unlabelled", written(folder / "pool.jsonl", pools[recipe])]


def unfitted(recipe: str, folder: Path) -> str:
    """A recipe, or a file of it without the step that fits a captioner, which no server lets itself be."""
    said = resources.files("leaven").joinpath("recipes", f"{recipe}.yaml").read_text("utf-8")
    found = re.search(r"  - adapter as (\w+):\n(    .*\n)+", said)
    if not found:
        return recipe
    mine = folder / "mine.yaml"
    mine.write_text(
        re.sub(rf"\n +adapter: {found[1]}\b|adapter: {found[1]}, ", "", said.replace(found[0], "")), "utf-8"
    )
    return str(mine)


def survived(server: Server, recipe: str, out: Path, *command: object) -> tuple[set[str], set[str]]:
    """A run with broken answers, and the same command with none: what came, and why records failed.

    Each record that failed is told with its raw answers, and the second command asks about those again, and no other.
    """
    command = ("augment", "-o", out, "--workers", "1", "-q", *command)
    script = [{"match": match, "answer": answer} for match, answer in SAYS.get(recipe, {}).items()]
    server.set(hostile=0.6, hostile_kinds=HOSTILE, script=script, always_b64=True)
    done = cli(*command)
    while done.code == 1 and "the same command" in done.err:  # a group without an answer
        done = cli(*command)
    assert done.code == 3, done.err
    assert "Traceback" not in done.err
    heard, counts, broken = server.counts()["hostile"], described(out)["counts"], failed(out)
    assert counts["made"] == counts["kept"] + counts["refused"]
    assert len(broken) == counts["failed"] > 0
    for row in broken:
        assert row["_reason"] in FAILS
        assert row["_error"]
        assert row["_answers"] or row["_reason"] == "server_error"
    assert cli("verify", out, "-q", "--workers", "1").code == 0

    before = {row["key"]: (row["step"], row["record"]) for row in ledger(out)}
    server.set(hostile=0.0)
    done = cli(*command)
    assert done.code == 0, done.err
    assert failed(out) == []
    last = described(out)["counts"]
    assert last["failed"] == 0
    assert last["made"] == last["kept"] + last["refused"] > counts["made"]
    new = {(row["step"], row["record"]) for row in ledger(out) if row["key"] not in before}
    again = {place for place in new & set(before.values()) if place[1]}  # a group may have more rows now
    assert again == {(row["_step"], row["_id"]) for row in broken}
    return set(heard), {row["_reason"] for row in broken}


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("recipe", PLAYED)
def test_broken_images_cost_records_not_runs(recipe: str, server: Server, clip: str, tmp_path: Path):
    uri = f"openai:m@{server.url}"
    by = dict.fromkeys(PLAYED[recipe], uri) | dict.fromkeys(ELSEWHERE.get(recipe, ()), "fake:shape")
    by |= {"embed": clip} if "embed" in by else {}
    named = [f"--model={role}={uri}" for role, uri in by.items()]
    what = [*few(recipe, tmp_path), "-r", unfitted(recipe, tmp_path), *named, *OTHERWISE.get(recipe, ())]
    came, why = survived(server, recipe, tmp_path / "out", *what)
    assert "policy" in came
    if recipe in ("alia", "biaug"):  # the others ask for few
        assert came >= set(OF_IMAGES)
    if recipe == "biaug":
        assert why >= {"provider_refused", "no_answer", "wrong_size"}


@pytest.mark.usefixtures("at_once")
def test_a_captioner_fitted_here_and_a_painter_on_a_broken_server(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """gmda as it stands; so small a captioner says nothing that passes, so what it says is said for it."""
    pytest.importorskip("peft")
    fits: list[int] = []
    tune, llava = tuned_captions.tune, writers.llava(tmp_path / "llava", room=512)

    def counted(weights: Any, examples: Any, *more: Any) -> Any:
        fits.append(len(examples))
        return tune(weights, examples, *more)

    def said(self: Captions, asks: Sequence[Ask]) -> list[Answer]:
        return [Answer(f"B-PER Dee and B-PER Bob sang here {ask.sampling['seed'] % 2 * 'again'}") for ask in asks]

    monkeypatch.setattr(tuned_captions, "tune", counted)
    monkeypatch.setattr(Captions, "answers", said)
    named = f"--model=caption=transformers:{llava}", f"--model=paint=openai:m@{server.url}"
    quick = ("--set=writer.epochs=1", "--set=raw.max_tokens=6")
    survived(server, "gmda", tmp_path / "out", *few("gmda", tmp_path), "-r", "gmda", *named, *quick)
    assert fits == [FEW], "once for both commands"


@pytest.mark.parametrize(
    ("recipe", "role", "message"),
    [
        ("sluma", "paint", "paints from a prompt, an image and a mask, and takes no `boxes`"),
        ("seltda", "caption", "step asker fits a model for caption further, and openai:m@"),
        ("gmda", "caption", "step writer fits a model for caption further, and openai:m@"),
        ("biaug", "detect", "openai does not play detect"),
        ("culture-mixup-detect", "detect", "openai does not play detect"),
        ("promptmix-image", "map", "openai does not play map"),
        ("cft-clip", "fill", "openai does not play fill"),
        ("alia", "embed", "step zero_shot compares an image or a sound with a text, and openai:m@"),
    ],
)
def test_what_no_server_plays_is_said_before_it_is_asked(
    recipe: str, role: str, message: str, server: Server, clip: str, tmp_path: Path
):
    shapes = dict.fromkeys(("caption", "chat", "paint"), "fake:shape")
    by = {"embed": clip, **shapes, role: f"openai:m@{server.url}"}
    named = [f"--model={role}={uri}" for role, uri in by.items()]
    done = cli("augment", *few(recipe, tmp_path), "-o", tmp_path / "out", "-r", recipe, "-q", "--workers", "1", *named)
    assert done.code == 1
    assert message in done.error[0]
    assert server.counts()["requests"] == {}
