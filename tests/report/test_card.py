"""The dataset card: true, complete, and nobody else's business left out."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml
from reading import Copy

from leaven.report.card import scrubbed, write

KEYS = {
    "pretty_name", "language", "license", "task_categories", "size_categories", "source_datasets",
    "annotations_creators", "tags", "configs",
}  # fmt: skip
HEADINGS = ["How it was made", "Models", "Fields", "Balance", "Does it help?", "Limits", "Licences, citing"]


def parts(path: Path) -> tuple[dict[str, object], str]:
    _, front, body = path.read_text("utf-8").split("---\n", 2)
    return yaml.safe_load(front), body


def test_the_front_matter_holds_true_keys_only(copied: Copy):
    folder = copied("recombine")
    front, body = parts(write(folder))
    assert front == {
        "pretty_name": "bank, raised with leaven",
        "task_categories": ["text-classification"],
        "size_categories": ["n<1K"],
        "source_datasets": ["extended"],
        "annotations_creators": ["machine-generated"],
        "tags": ["synthetic", "leaven", "leaven-recipe:recombine"],
        "configs": [{"config_name": "default", "data_files": [{"split": "train", "path": "train/*.parquet"}]}],
    }
    assert [line[3:] for line in body.splitlines() if line.startswith("## ")] == HEADINGS
    assert "source: not known" in body
    front, body = parts(write(folder, licence="cc-by-4.0", language=["en", "de"]))
    assert front["license"] == "cc-by-4.0"
    assert front["language"] == ["en", "de"]
    assert set(front) == KEYS
    assert "`cc-by-4.0`" in body


def test_the_share_of_synthetic_rows_is_right(copied: Copy):
    folder = copied("recombine")
    flags = pq.read_table(folder / "train").column("_synthetic").to_pylist()
    made, total = sum(flags), len(flags)
    _, body = parts(write(folder))
    share = f"{made:,} synthetic ({made / total * 100:.0f} %)"
    assert f"**{total:,} rows: {total - made:,} real ({(total - made) / total * 100:.0f} %), {share}.**" in body
    rows = [
        line.split(" | ") for line in body.splitlines() if line.startswith(("| card", "| rate", "| hours", "| loan"))
    ]
    assert len(rows) == 4
    assert sum(int(r[3].rstrip(" |")) for r in rows) == made


def test_the_verdict_stands_with_its_interval_or_not_at_all(copied: Copy):
    folder = copied("recombine")
    found = json.loads((folder / "measure.json").read_text())
    line = next(
        x for x in found["rows"]
        if x["student"] == found["student"] and x["arm"] == "both" and x["ratio"] == found["ratio"]
    )  # fmt: skip
    _, body = parts(write(folder))
    g = line["gain"]
    assert f"{g['mean'] * 100:+.1f} [{g['low'] * 100:+.1f}, {g['high'] * 100:+.1f}] points" in body
    (folder / "measure.json").unlink()
    assert "Not measured." in parts(write(folder))[1]


def test_datasets_opens_the_folder_by_its_card(copied: Copy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = copied("classic")
    write(folder)
    cache = tmp_path / "cache"
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", cache)
    upload = tmp_path / "upload"
    upload.mkdir()
    (folder / "train").rename(upload / "train")
    (folder / "README.md").rename(upload / "README.md")
    loaded = datasets.load_dataset(str(upload), cache_dir=str(cache))
    assert list(loaded) == ["train"]
    assert len(loaded["train"]) == pq.read_table(upload / "train").num_rows


def test_texts_keys_servers_and_paths_stay_out(copied: Copy):
    folder = copied("recombine")
    said = json.loads((folder / "run.json").read_text())
    key = "sk-proj-abcdefghijklmnopqrstuvwxyz012345"
    said["data"] = "/home/anna/secret/bank.csv"
    said["recipe_text"] += f"# see /home/anna/prompts/x.txt, http://gpu-box.corp:8000/v1, {key}, ~/notes/a.md\n"
    said["recipe"] = "/home/anna/mine.yaml"
    said["set"] = ["fill.prompt=@/home/anna/prompt.txt"]
    said["models"] = {
        "chat": "openai:gpt-5-mini@https://llm.anna.internal/v1",
        "complete": "openai:gemma3@http://localhost:11434/v1",
        "paint": "diffusers:/home/anna/models/flux",
        "embed": "wordllama",
    }
    said["warnings"] = ["/home/anna/secret/bank.csv has 3 odd rows"]
    (folder / "run.json").write_text(json.dumps(said))
    text = write(folder).read_text("utf-8")
    for word in ("anna", "/home", "gpu-box", "sk-proj", "localhost", "11434", "~/notes", "http://", "odd rows"):
        assert word not in text
    for word in ("gpt-5-mini", "gemma3", "a model in a folder", "MIT", "bank, raised", "leaven-recipe:mine"):
        assert word in text
    rows = [row for name in ("train", "refused") for row in pq.read_table(folder / name).to_pylist()]
    assert not [row for row in rows if row["utterance"] in text]


def test_no_placeholder_and_no_markup_from_labels(copied: Copy):
    folder = copied("classic")
    path = folder / "train" / "part-00000.parquet"
    table = pq.read_table(path)
    odd = ["<b>x</b> | y", "[a](http://evil)", "`z` *w*\n## Heading", "\x1b[31m\u202e"]
    labels = [odd[i % 4] for i in range(len(table))]
    pq.write_table(table.set_column(table.column_names.index("intent"), "intent", [labels]), path)
    _, body = parts(write(folder))
    assert "More Information" not in body
    assert "TODO" not in body
    assert "<b>" not in body
    assert "](" not in body.replace("\\](", "")
    assert "http://" not in body
    assert "\x1b" not in body
    assert "\u202e" not in body
    assert [line[3:] for line in body.splitlines() if line.startswith("## ")] == HEADINGS
    balance = body[body.index("## Balance") : body.index("## Does")]
    assert {line.replace("\\|", "").count("|") for line in balance.splitlines() if line.startswith("|")} == {5}


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("see https://arxiv.org/abs/2108.06332", "see https://arxiv.org/abs/2108.06332"),
        ("{{ a }}/{{ b }} and/or 1/2", "{{ a }}/{{ b }} and/or 1/2"),
        ("ratio: 0.5, arXiv:2109.06270", "ratio: 0.5, arXiv:2109.06270"),
        ("at 10.0.0.3:8000", "at (an address)"),
        ("C:\\Users\\anna\\x", "(a path)"),
        ("from ../data/x.csv", "from (a path)"),
        ("hf_abcdefghijklmnop", "(a key)"),
    ],
)
def test_scrubbed(text: str, left: str):
    assert scrubbed(text) == left


def test_a_card_of_pictures_names_its_tasks_and_fields_and_no_file(media_runs: Path):
    text = (media_runs / "pictures" / "README.md").read_text("utf-8")
    front, body = parts(media_runs / "pictures" / "README.md")
    assert front["task_categories"] == [
        "image-classification", "object-detection", "keypoint-detection", "image-to-text", "image-segmentation"
    ]  # fmt: skip
    for line in (
        "| image | Image | the image |",
        "| mask | Image of numbers | what each pixel belongs to |",
        "| boxes | Sequence of boxes: x, y, w, h in pixels, label, polygons | where things are |",
        "| points | Sequence of points: x, y in pixels, label | where things are |",
        "| label\\_probs | Sequence of labels with their share | the soft label; the shares sum to 1 |",
    ):
        assert line in body
    assert "their headers may name a device, a time or a place" in body
    found = pq.read_table(media_runs / "pictures" / "train").to_pylist()
    paths = [row["image"]["path"] for row in found if row["image"]["path"]]
    assert paths
    assert not [path for path in paths if path in text]
    assert not [row for row in found if row["caption"] in text]


def test_cards_of_sounds_and_of_boxes_without_a_label(media: Copy):
    front, body = parts(write(media("sounds")))
    assert front["task_categories"] == ["audio-classification"]
    assert "| segments | Sequence of segments: start, end in seconds, label | when things are heard |" in body
    folder = media("pictures")
    said = json.loads((folder / "input" / "dataset.json").read_text())
    del said["types"]["label"], said["columns"]["label"]
    (folder / "input" / "dataset.json").write_text(json.dumps({**said, "labels": {}}))
    run = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**run, "models": {"embed": "image-features"}}))
    front, body = parts(write(folder))
    assert front["task_categories"] == [
        "object-detection", "keypoint-detection", "image-to-text", "image-segmentation"
    ]  # fmt: skip
    assert "| embed | image-features | this machine | none of its own |" in body
    balance = body[body.index("## Balance") : body.index("## Does")]
    boxes = sum(len(r["boxes"] or ()) for r in pq.read_table(folder / "train").to_pylist() if not r["_synthetic"])
    cells = [line.split(" | ") for line in balance.splitlines() if line.startswith(("| red", "| green", "| blue"))]
    assert sum(int(row[1]) for row in cells) == boxes == 48


def test_programs_and_models_that_are_built_in_are_named_with_licence_and_version(copied: Copy):
    folder = copied("recombine")
    said = json.loads((folder / "run.json").read_text())
    said["models"] = {
        "speak": "espeak",
        "transcribe": "pocketsphinx",
        "translate": "apertium:eng-spa",
        "embed": "wordllama, image-features",
    }
    said["ledger_names"] = {"espeak": "espeak-ng 1.51", "pocketsphinx": "pocketsphinx 5.1.1"}
    (folder / "run.json").write_text(json.dumps(said))
    body = parts(write(folder))[1]
    models = body[body.index("## Models") : body.index("## Fields")]
    rows = [line.strip("| ").split(" | ")[:4] for line in models.splitlines() if line.startswith("| ")][1:]
    assert rows[:5] == [
        ["speak", "espeak-ng 1.51, a program that is called: synthetic voices", "this machine",
         "GPL-3.0-or-later, of the program"],
        ["transcribe", "pocketsphinx 5.1.1, with the English model in its wheel", "this machine", "BSD-2-Clause"],
        ["translate", "apertium, a program that is called: rules and a dictionary, eng-spa", "this machine",
         "GPL-2.0-or-later, of the program"],
        ["embed", "wordllama, l2\\_supercat\\_256: static vectors of English words", "this machine", "MIT"],
        ["embed", "image-features", "this machine", "none of its own"],
    ]  # fmt: skip
    assert "Revisions" not in models
    said["models"]["chat"] = "openai:gemma3@http://localhost:11434/v1"
    (folder / "run.json").write_text(json.dumps(said))
    assert "Revisions: not known." in parts(write(folder))[1]
