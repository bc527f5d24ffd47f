"""Argilla: the folder that its client opens, and its answers as decisions."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from elsewhere import ASKED, FORM, again, both, decisions, table
from hypothesis import given
from hypothesis import strategies as st

from leaven.cli import run
from leaven.engine.decisions import Decision, path_of
from leaven.errors import DataError
from leaven.review import argilla
from leaven.review.answers import Wish, together
from leaven.review.asked import EDIT, PARENT, TAKEN, _name, _option, plainly
from leaven.review.imported import take

A, B, C = "user a", "user b", "user c"
Row = dict[str, Any]


def text_question(name: str, title: str, **more: Any) -> Row:
    return {
        "name": name,
        "title": title,
        "required": False,
        "settings": {"type": "text", "use_markdown": False},
        **more,
    }


def options(*names: str) -> Row:
    return {
        "type": "label_selection",
        "options": [{"value": name, "text": name} for name in names],
        "visible_options": None,
    }


def test_the_files_are_those_that_argilla_opens(tmp_path: Path):
    """The same were opened by `rg.Dataset.from_disk` of argilla 2.8, images and all."""
    assert argilla.write(FORM, [ASKED], tmp_path, print) == 1
    [record] = json.loads((tmp_path / "records.json").read_text())
    assert record == {
        "id": "aa",
        "fields": {
            "about": "refused at keep: near_copy · label_prob 0.25",
            "text_said": "<b>a</b> text",
            "photo": "photo/aa.png",
            "parent_text_said": "the text",
            "parent_photo": "photo/bb.png",
        },
        "metadata": {
            "content_hash": "cc", "state": "refused", "step": "keep", "reason": "near_copy", "score_label_prob": 0.25,
        },
        "suggestions": {
            "decision": {"value": "reject", "score": None, "agent": "leaven"},
            "label": {"value": "loan", "score": 0.25, "agent": "leaven"},
            "edit_text_said": {"value": "<b>a</b> text", "score": None, "agent": "leaven"},
        },
        "responses": {},
        "vectors": {},
        "status": "pending",
        "_server_id": None,
    }  # fmt: skip
    settings = json.loads((tmp_path / ".argilla" / "settings.json").read_text())
    image = {"type": "image"}
    assert settings["fields"] == [
        text_question("about", "what became of it", required=True),
        {"name": "photo", "title": "photo", "required": False, "settings": image},
        {"name": "parent_photo", "title": "photo of the real one", "required": False, "settings": image},
        text_question("text_said", "Text, said"),
        text_question("parent_text_said", "Text, said of the real one"),
    ]
    assert settings["questions"] == [
        {"name": "decision", "title": "Shall it be trained on?", "required": True,
         "settings": options("accept", "reject")},
        {"name": "label", "title": "Label", "required": False, "settings": options("card", "loan")},
        text_question("edit_text_said", "Text, said, corrected"),
    ]  # fmt: skip
    assert [(one["name"], one["settings"]["type"]) for one in settings["metadata"]] == [
        ("state", "terms"), ("step", "terms"), ("reason", "terms"), ("score_label_prob", "float"),
    ]  # fmt: skip
    assert settings["distribution"] == {"strategy": "overlap", "min_submitted": 1}
    dataset = json.loads((tmp_path / ".argilla" / "dataset.json").read_text())
    assert (dataset["name"], dataset["allow_extra_metadata"]) == ("my-run", True)


def answered(record: Row, *answers: tuple[str, Row, str]) -> Row:
    """A record as ``to_json`` writes it: without what became of each answer."""
    said: Row = {}
    for user, values, _ in answers:
        for question, value in values.items():
            said.setdefault(question, []).append({"value": value, "user_id": user})
    done = any(status == "submitted" for *_, status in answers)
    return {**record, "responses": said, "status": "completed" if done else "pending", "_server_id": "1"}


def flat(record: Row, *answers: tuple[str, Row, str]) -> Row:
    """And as ``to_list(flatten=True)`` does."""
    found = {"id": record["id"], "status": "pending", "_server_id": "1", **record["fields"], **record["metadata"]}
    found |= {"label.responses": None, "label.responses.users": None, "label.responses.status": None}
    for user, values, status in answers:
        for question, value in values.items():
            for key, one in ((".responses", value), (".responses.users", user), (".responses.status", status)):
                found[question + key] = [*(found.get(question + key) or []), one]
    return found


@pytest.fixture
def exported(out: Path, tmp_path: Path) -> dict[str, Row]:
    assert run(["export", str(out), "--as", "argilla", "-o", str(tmp_path / "there")]) == 0
    return {record["id"]: record for record in json.loads((tmp_path / "there" / "records.json").read_text())}


def told(file: Path, records: list[Row]) -> Path:
    file.write_text(json.dumps(records))
    return file


@pytest.mark.parametrize("shape", [answered, flat])
def test_answers_become_decisions_that_the_next_run_applies(
    made: Path, out: Path, exported: dict[str, Row], tmp_path: Path, capsys: pytest.CaptureFixture[str], shape: Any
):
    kept, refused = both(out)
    assert exported.keys() == {row["_id"] for row in (*kept, *refused)}
    other = {"card": "loan", "rate": "card", "hours": "card"}
    other["card"] = "hours"
    new = other[kept[1]["intent"]]
    same = {"label": refused[0]["intent"], "edit_utterance": refused[0]["utterance"] + " \r\n"}
    records = [
        shape(exported[kept[0]["_id"]], (A, {"decision": "reject", "label": new}, "submitted")),
        shape(exported[kept[1]["_id"]], (A, {"decision": "accept", "label": new}, "submitted")),
        shape(exported[kept[2]["_id"]], (A, {"decision": "accept", "edit_utterance": "by a person"}, "submitted")),
        shape(exported[refused[0]["_id"]], (A, {"decision": "accept", **same}, "submitted")),
        shape(exported[refused[1]["_id"]], (A, {"decision": "accept"}, "discarded")),
        shape(exported[refused[2]["_id"]], (A, {"decision": "accept"}, "draft")),
        shape(exported[refused[3]["_id"]]),
    ]
    file = told(tmp_path / "answers.json", records)
    capsys.readouterr()
    assert run(["review", str(out), "--import", str(file)]) == 0
    left = {
        answered: "Import    2 answers are not submitted: left out\n",
        flat: "Import    1 answer was skipped or discarded: left out\nImport    1 answer is not submitted: left out\n",
    }
    assert capsys.readouterr().out == (
        "Import    accept 1   reject 1   relabel 1   edit 1   (from Argilla)\n"
        f"{left[shape]}Next:  the same leaven augment command applies it, without a call\n"
    )
    assert decisions(out) == [
        (kept[0]["_id"], "reject", None),
        (kept[1]["_id"], "relabel", new),
        (kept[2]["_id"], "edit", {"utterance": "by a person"}),
        (refused[0]["_id"], "accept", None),
    ]
    bytes_now = path_of(out).read_bytes()
    os.utime(file, (1, 1))  # the same answers, in a file of another hour
    assert take(out, file).lines()[:2] == [
        "Import    nothing new   (from Argilla)", "Import    4 answers are there already"
    ]  # fmt: skip
    assert path_of(out).read_bytes() == bytes_now
    if shape is flat:
        return
    assert again(made, out) == {"accepted": 1, "rejected": 1, "relabelled": 1, "edited": 1}
    train = table(out, "train")
    assert kept[0]["_id"] not in train
    assert train[kept[1]["_id"]]["intent"] == new
    assert train[kept[2]["_id"]]["utterance"] == "by a person"
    assert refused[0]["_id"] in train
    assert run(["verify", str(out), "-q", "--workers", "1"]) == 0
    assert take(out, file).lines()[1] == "Import    4 answers are there already"  # the run changed what they are about


@pytest.mark.parametrize(
    ("wishes", "expected"),
    [
        ([Wish(True)], (Wish(True), False, False)),
        ([Wish(True), Wish(False), Wish(False)], (Wish(False), True, False)),
        ([Wish(False), Wish(True)], (Wish(True), True, True)),
        ([Wish(True), Wish(False)], (Wish(False), True, True)),
        ([Wish(True, "a"), Wish(True, "b"), Wish(True, "a")], (Wish(True, "a"), True, False)),
        ([Wish(True, "a"), Wish(True, "b")], (Wish(True, "b"), True, True)),
        ([Wish(True, "a"), Wish(True), Wish(True)], (Wish(True), True, False)),
        ([Wish(True, None, {"t": "x"}), Wish(True, "a", {"t": "x"}), Wish(False, "b")],
         (Wish(True, "a", {"t": "x"}), True, True)),
        ([Wish(True, None, {"t": "x"}), Wish(True), Wish(True)], (Wish(True), True, False)),
    ],
)  # fmt: skip
def test_what_several_people_want_together(wishes: list[Wish], expected: tuple[Wish, bool, bool]):
    assert together(wishes) == expected


def test_what_cannot_be_used_is_counted_and_said(out: Path, exported: dict[str, Row], tmp_path: Path):
    kept, refused = (iter(rows) for rows in both(out))

    def one(rows: Any) -> Row:
        return exported[next(rows)["_id"]]

    stale = one(kept)
    stale = {**stale, "metadata": {**stale["metadata"], "content_hash": "of something else"}}
    records = [
        answered({**one(kept), "id": "unknown"}, (A, {"decision": "accept"}, "submitted")),
        answered(stale, (A, {"decision": "reject"}, "submitted")),
        answered(one(kept), (A, {"decision": "accept", "label": "no label"}, "submitted")),
        answered(one(kept), (A, {"decision": ["accept"]}, "submitted")),
        answered(one(kept), (A, {"label": "card", "decision": "maybe"}, "submitted")),
        answered(one(kept), (A, {"decision": "accept", "edit_utterance": 5}, "submitted")),
        answered(one(kept), (A, {"decision": "accept", "edit_utterance": "half \ud800"}, "submitted")),
        answered(one(kept), (A, {"decision": "accept", "label": ["card"]}, "submitted")),
        answered(one(refused), (A, {"another_question": "x"}, "submitted")),
        answered(one(refused), (A, {"decision": "accept"}, "submitted"), (B, {"decision": "reject"}, "submitted"),
                 (C, {"decision": "accept"}, "submitted")),
        answered(one(refused), (A, {"decision": "accept"}, "submitted"), (B, {"decision": "reject"}, "submitted")),
    ]  # fmt: skip
    done = take(out, told(tmp_path / "answers.json", records))
    assert done.lines() == [
        "Import    accept 1   reject 1   (from Argilla)",
        "Import    2 records on which people disagree: what most said counts",
        "Import    1 of these with as many on each side: the later answer counts",
        "Import    1 answer says neither accept nor reject, and corrects nothing: left out",
        "Import    6 answers name no label of the data, or are no text: left out",
        "Import    1 answer is about a record that holds something else now: left out",
        "Import    1 answer is about a record that this folder does not have: left out",
        "Next:  the same leaven augment command applies it, without a call",
    ]
    assert [action for _, action, _ in decisions(out)] == ["accept", "reject"]


def test_who_takes_a_label_back_gets_the_old_one(made: Path, out: Path, exported: dict[str, Row], tmp_path: Path):
    own = next(row["_id"] for row in both(out)[0] if row["intent"] != "card")
    for values in ({"decision": "accept", "label": "card", "edit_utterance": "other words"}, {"decision": "accept"}):
        take(out, told(tmp_path / "answers.json", [answered(exported[own], (A, values, "submitted"))]))
    assert [action for _, action, _ in decisions(out)] == ["relabel", "edit", "undo", "undo", "accept"]
    before = table(out, "train")
    assert again(made, out) == {"agreed": 1}
    assert table(out, "train") == before


def test_what_was_decided_later_on_the_page_stands(out: Path, exported: dict[str, Row], tmp_path: Path):
    own = both(out)[0][0]["_id"]
    file = told(tmp_path / "answers.json", [answered(exported[own], (A, {"decision": "reject"}, "submitted"))])
    take(out, file)
    with path_of(out).open("ab") as decided:
        decided.write(Decision(own, exported[own]["metadata"]["content_hash"], "accept", time="now").line())
    assert take(out, file).lines() == [
        "Import    nothing new   (from Argilla)",
        "Import    1 answer is there already",
        "Import    1 of these was decided otherwise since: the later decision stands",
    ]
    assert [action for _, action, _ in decisions(out)] == ["reject", "accept"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no records"),
        ("[]", "holds no records"),
        ("{", "is no JSON"),
        ("[" * 200_000, "is no JSON .it is nested too deeply"),
        ("id,decision\n1,accept\n", "is no JSON"),
        ("[1, 2]", "is no list of records"),
        ('{"a": 1}', "neither records of Argilla nor tasks of Label Studio"),
        ('[{"id": 1, "text": "x"}]', "neither records of Argilla nor tasks of Label Studio"),
        ('[{"id": "x", "fields": {}, "responses": [1]}]', "its responses: no object"),
        ('[{"id": "x", "fields": {}, "responses": {"decision": 1}}]', "responses of decision: no list"),
        ('[{"id": "x", "fields": {}, "responses": {"decision": [1]}}]', "a response of decision: no object"),
        ('[{"id": "x", "fields": {}, "responses": {}, "metadata": 3}]', "its metadata: no object"),
        ('[{"id": "x", "_server_id": "1", "decision.responses": ["accept"]}]', "not as many values as users"),
        ('[{"id": "x", "fields": {}, "responses": {"decision": [{"value": "accept"}]}}]',
         "none of its 1 answers is about a record of"),
        ('[{"annotation_id": 1, "decision": "accept"}]', "JSON-MIN"),
        ('[{"data": [], "annotations": [{}]}]', "its data: no object"),
        ('[{"data": {}, "annotations": [3]}]', "an annotation: no object"),
        ('[{"data": {}, "annotations": [{"result": {"a": 1}}]}]', "a result: no list"),
    ],
)  # fmt: skip
def test_another_file_is_refused_and_nothing_is_written(made: Path, tmp_path: Path, text: str, message: str):
    file = tmp_path / "answers.json"
    file.write_text(text)
    with pytest.raises(DataError, match=message):
        take(made / "out", file)
    assert not path_of(made / "out").exists()


def test_no_file_and_no_run(made: Path, tmp_path: Path):
    with pytest.raises(DataError, match="No such file"):
        take(made / "out", tmp_path / "none.json")
    (tmp_path / "latin.json").write_bytes(b'["\xe9"]')
    with pytest.raises(DataError, match="it is no UTF-8"):
        take(made / "out", tmp_path / "latin.json")
    with pytest.raises(DataError, match="holds no run"):
        take(tmp_path, tmp_path / "none.json")


@given(st.lists(st.text(max_size=8), unique=True, max_size=12))
def test_every_column_and_label_has_a_name_of_its_own(words: list[str]):
    taken = set(TAKEN)
    names = [_name(word, taken) for word in words]
    every = [*TAKEN, *(begin + name for name in names for begin in ("", EDIT, PARENT))]
    assert len(set(every)) == len(every)
    assert all(re.fullmatch(r"[a-z0-9_]+", name) for name in names)
    given_: set[str] = set()
    shown = [_option(word, given_) for word in words]
    assert len(set(shown)) == len(shown)
    assert all(name.isprintable() and name for name in shown)


def test_a_text_is_compared_as_a_form_gives_it_back():
    assert plainly("a\0b\r\nc\rd") == "a\ufffdb\nc\nd"
    assert plainly(None) == ""
    assert plainly(["a", None, "b"]) == "a\n\nb"


def test_a_label_that_is_long_or_empty_is_an_option():
    assert _option("x" * 300, set()) == "x" * 190
    assert _option(" \n", {"(empty)"}) == "\ufffd"
    assert _option("  ", {"(empty)"}) == "(empty) (2)"
