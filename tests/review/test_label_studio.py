"""Label Studio: tasks and interface, and its annotations as decisions."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from elsewhere import ASKED, FORM, again, both, decisions, table
from PIL import Image

from leaven.cli import run
from leaven.engine.decisions import path_of
from leaven.errors import DataError
from leaven.review import label_studio
from leaven.review.asked import _option
from leaven.review.exported import export
from leaven.review.imported import take

Row = dict[str, Any]
CONFIG = """<View>
<Header size="5" value="$about"/>
<Header size="6" value="photo"/>
<Image name="photo" value="$photo"/>
<Header size="6" value="photo of the real one"/>
<Image name="parent_photo" value="$parent_photo"/>
<Header size="6" value="Text, said"/>
<Text name="text_said" value="$text_said"/>
<Header size="6" value="Text, said of the real one"/>
<Text name="parent_text_said" value="$parent_text_said"/>
<Choices name="decision" toName="photo" choice="single" required="true">
  <Choice value="accept"/>
  <Choice value="reject"/>
</Choices>
<Choices name="label" toName="photo" choice="single" showInline="true">
  <Choice value="card"/>
  <Choice value="loan"/>
</Choices>
<Header size="6" value="Text, said, corrected"/>
<TextArea name="edit_text_said" toName="text_said" editable="true" maxSubmissions="1" rows="3"/>
</View>
"""


def region(name: str, to: str, kind: str, value: Row) -> Row:
    return {"id": name, "from_name": name, "to_name": to, "type": kind, "value": value}


def test_the_files_are_those_that_label_studio_opens(tmp_path: Path):
    """`LabelInterface.validate` and `validate_prediction` of label-studio-sdk 2.1 took the same."""
    said: list[str] = []
    to = tmp_path.parent / "my export"
    assert label_studio.write(FORM, [ASKED, replace(ASKED, kept=True, parent={})], tmp_path, said.append, to) == 2
    first, second = json.loads((tmp_path / "tasks.json").read_text())
    assert first == {
        "id": 1,
        "data": {
            "_id": "aa",
            "_content": "cc",
            "about": "refused at keep: near_copy · label_prob 0.25",
            "state": "refused",
            "text_said": "<b>a</b> text",
            "parent_text_said": "the text",
            "photo": "/data/local-files/?d=my%20export/photo/aa.png",
            "parent_photo": "/data/local-files/?d=my%20export/photo/bb.png",
        },
        "predictions": [
            {
                "model_version": "leaven",
                "score": 0.25,
                "result": [
                    region("decision", "photo", "choices", {"choices": ["reject"]}),
                    region("label", "photo", "choices", {"choices": ["loan"]}),
                    region("edit_text_said", "text_said", "textarea", {"text": ["<b>a</b> text"]}),
                ],
            }
        ],
        "meta": {"step": "keep", "reason": "near_copy", "scores": {"label_prob": 0.25}},
    }
    assert (second["id"], second["data"]["parent_photo"], second["data"]["about"]) == (2, "", "kept · label_prob 0.25")
    assert (tmp_path / "config.xml").read_text() == CONFIG
    [warned] = said
    assert f"LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT={tmp_path.parent}" in warned


def test_hostile_labels_and_columns_stay_text(tmp_path: Path):
    labels = [
        "</Choices><script>x</script>",
        'a "name="decision"" & \'b\'',
        "\x00\x1b[31m",
        "]]>",
        "\u202eabc",
        "$5",
        "",
    ]
    given: set[str] = set()
    shown = {label: _option(label, given) for label in labels}
    column = '"/><Image $about name="text_said"'
    form = replace(FORM, media={}, texts={column: "text_said"}, editable=[column], options=shown)
    label_studio.write(form, [], tmp_path, print, tmp_path)
    config = (tmp_path / "config.xml").read_text()
    tree = ET.fromstring(config)
    assert [one.get("value") for one in tree.findall("Choices[@name='label']/Choice")] == [
        "</Choices><script>x</script>", "a \"name=\"decision\"\" & 'b'", "\ufffd\ufffd[31m", "]]>", "\ufffdabc",
        "\uff045", "(empty)",
    ]  # fmt: skip
    assert sorted(tag.tag for tag in tree.iter()).count("Image") == 0
    assert config.count('name="decision"') == 1
    assert tree.findall("Header")[1].get("value") == '"/><Image \uff04about name="text_said"'
    assert json.loads((tmp_path / "tasks.json").read_text()) == []


def test_many_labels_are_a_list_to_open(tmp_path: Path):
    form = replace(FORM, options={str(n): str(n) for n in range(21)})
    label_studio.write(form, [], tmp_path, lambda text: None, tmp_path)
    [choices] = ET.parse(tmp_path / "config.xml").findall("Choices[@name='label']")
    assert (choices.get("layout"), choices.get("showInline")) == ("select", None)


@pytest.fixture
def exported(out: Path, tmp_path: Path) -> dict[str, Row]:
    assert run(["export", str(out), "--as", "labelstudio", "-o", str(tmp_path / "there")]) == 0
    return {task["data"]["_id"]: task for task in json.loads((tmp_path / "there" / "tasks.json").read_text())}


def annotation(who: Any, at: str, *, cancelled: bool = False, **values: str) -> Row:
    """What a person saved, as the JSON export has it."""
    result = []
    for name, value in values.items():
        kind, said = ("textarea", {"text": [value]}) if name.startswith("edit_") else ("choices", {"choices": [value]})
        result.append({"id": name, "from_name": name, "to_name": "utterance", "type": kind, "value": said,
                       "origin": "prediction"})  # fmt: skip
    return {
        "id": 7, "completed_by": who, "result": result, "was_cancelled": cancelled, "ground_truth": False,
        "created_at": "2026-01-01T00:00:00.000000Z", "updated_at": at, "lead_time": 3.1, "prediction": {},
    }  # fmt: skip


def told(file: Path, *annotated: tuple[Row, list[Row]]) -> Path:
    file.write_text(json.dumps([{**task, "annotations": found, "drafts": []} for task, found in annotated]))
    return file


def test_annotations_become_decisions_that_the_next_run_applies(
    made: Path, out: Path, exported: dict[str, Row], tmp_path: Path
):
    kept, refused = both(out)
    assert exported.keys() == {row["_id"] for row in (*kept, *refused)}
    new = "card" if kept[1]["intent"] != "card" else "rate"
    same = {"label": kept[0]["intent"], "edit_utterance": kept[0]["utterance"]}
    file = told(
        tmp_path / "answers.json",
        (exported[kept[0]["_id"]], [annotation(1, "2026-01-02", decision="reject", **same)]),
        (exported[kept[1]["_id"]], [annotation({"id": 1}, "2026-01-03", label=new, edit_utterance="by a person")]),
        (exported[kept[2]["_id"]], [annotation(1, "2026-01-04", cancelled=True, decision="reject")]),
        (exported[refused[0]["_id"]], [annotation(1, "2026-01-06", decision="accept"),
                                       annotation(2, "2026-01-05", decision="reject")]),
        (exported[refused[1]["_id"]], [annotation(1, "2026-01-05", decision="accept"),
                                       annotation(1, "2026-01-06", decision="reject")]),
        (exported[refused[2]["_id"]], []),
    )  # fmt: skip
    assert take(out, file).lines() == [
        "Import    accept 1   reject 2   relabel 1   edit 1   (from Label Studio)",
        "Import    1 record on which people disagree: what most said counts",
        "Import    1 of these with as many on each side: the later answer counts",
        "Import    1 answer was skipped or discarded: left out",
        "Next:  the same leaven augment command applies it, without a call",
    ]
    assert decisions(out) == [
        (kept[0]["_id"], "reject", None),
        (kept[1]["_id"], "relabel", new),
        (kept[1]["_id"], "edit", {"utterance": "by a person"}),
        (refused[0]["_id"], "accept", None),
        (refused[1]["_id"], "reject", None),
    ]
    times = [json.loads(line)["time"] for line in path_of(out).read_text().splitlines()]
    assert times == ["2026-01-02", "2026-01-03", "2026-01-03", "2026-01-06", "2026-01-06"]
    bytes_now = path_of(out).read_bytes()
    assert take(out, file).lines()[0] == "Import    nothing new   (from Label Studio)"
    assert path_of(out).read_bytes() == bytes_now
    assert again(made, out) == {"accepted": 1, "rejected": 1, "relabelled": 1, "edited": 1, "agreed": 1}
    train = table(out, "train")
    assert (train[kept[1]["_id"]]["intent"], train[kept[1]["_id"]]["utterance"]) == (new, "by a person")
    assert kept[0]["_id"] not in train
    assert refused[0]["_id"] in train
    assert run(["verify", str(out), "-q", "--workers", "1"]) == 0


def test_who_comes_back_to_an_answer_is_heard(out: Path, exported: dict[str, Row], tmp_path: Path):
    """Each annotation has its moment: the third export is not taken for the first."""
    own = both(out)[0][0]["_id"]
    for at, decision in (("2026-01-01", "accept"), ("2026-01-02", "reject"), ("2026-01-03", "accept")):
        take(out, told(tmp_path / "answers.json", (exported[own], [annotation(1, at, decision=decision)])))
    assert [action for _, action, _ in decisions(out)] == ["accept", "reject", "accept"]


def test_the_later_of_as_many_is_who_answered_last(out: Path, exported: dict[str, Row], tmp_path: Path):
    own = both(out)[0][0]["_id"]
    said = [(2, "2026-01-03", "accept"), (1, "2026-01-01", "reject"), (1, "2026-01-04", "reject")]
    answers = [annotation(who, at, decision=decision) for who, at, decision in said]
    take(out, told(tmp_path / "answers.json", (exported[own], answers)))
    assert decisions(out) == [(own, "reject", None)]


def test_images_stand_beside_the_tasks_each_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    for i in range(4):
        path = Path("photos") / "ab"[i % 2] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (i * 60, 10, 10)).save(path)
    Path("mine.yaml").write_text("steps:\n  - warp: {}\n  - keep: {that: \"label == 'a'\", reason: not_a}\n")
    assert run(["augment", "photos", "-r", "mine.yaml", "-o", "out", "-q", "--workers", "1"]) == 0
    assert run(["export", "out", "--as", "labelstudio"]) == 0
    tasks = json.loads(Path("out-labelstudio/tasks.json").read_text())
    names = [task["data"][key].partition("?d=")[2] for task in tasks for key in ("image", "parent_image")]
    assert len(tasks) == 4
    assert sorted(set(names)) == sorted(str(p) for p in Path("out-labelstudio/image").iterdir())
    assert len(set(names)) == 8
    assert all(Path(name).read_bytes().startswith(b"\x89PNG") for name in names)
    answers = [{**task, "annotations": [annotation(1, "now", decision="reject")]} for task in tasks]
    Path("answers.json").write_text(json.dumps(answers))
    assert take(Path("out"), Path("answers.json")).added == {"reject": 4}


def test_sounds_have_no_place_in_argilla_and_nothing_is_written_twice(out: Path, tmp_path: Path):
    from leaven.review import argilla

    with pytest.raises(DataError, match="argilla has no field for sounds, such as `photo`"):
        argilla.write(replace(FORM, sounds=frozenset(["photo"])), [ASKED], tmp_path, print)
    (tmp_path / "there").mkdir()
    with pytest.raises(DataError, match="it exists already"):
        export(out, "labelstudio", tmp_path / "there")
    with pytest.raises(DataError, match="holds no run"):
        export(tmp_path, "argilla", tmp_path / "other")
    assert not (tmp_path / "other").exists()
