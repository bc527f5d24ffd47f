"""Argilla 2: a folder that ``argilla.Dataset.from_disk`` opens, and the answers that its records come back with.

https://docs.argilla.io/latest/how_to_guides/import_export/ (the layout is that of argilla 2.8).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from leaven.engine.decisions import ACCEPT, REJECT
from leaven.errors import DataError
from leaven.io.export.train import Warn
from leaven.review.answers import DRAFT, GIVEN, SKIPPED, Answer, need
from leaven.review.asked import ABOUT, DECISION, EDIT, LABEL, PARENT, Asked, Form, write_list

NAME = "Argilla"
RECORDS, CONTENT = "records.json", "content_hash"
SETTINGS, DATASET = ".argilla/settings.json", ".argilla/dataset.json"
MOST_OPTIONS = 500
"""Options of a question that its server takes where nobody told it otherwise."""
AGENT = "leaven"
STATES = {"submitted": GIVEN, "discarded": SKIPPED, "draft": DRAFT}
GUIDELINES = (
    "Each record was made from a real one, which stands below it. Accept it for training, or reject it. Where the label"
    " or the text is wrong, correct it, and accept. The suggestions are what the run made of it. Discard leaves it as"
    " it is."
)


def write(form: Form, records: Iterable[Asked], folder: Path, warn: Warn) -> int:
    """Write settings and records; how many.  Raises DataError for sounds, which Argilla has no field for."""
    if form.sounds:
        raise DataError(f"argilla has no field for sounds, such as `{min(form.sounds)}`.", "--as labelstudio")
    if len(form.options) > MOST_OPTIONS:
        most = f"ARGILLA_LABEL_SELECTION_OPTIONS_MAX_ITEMS={len(form.options)}"
        warn(f"its server takes {MOST_OPTIONS} labels: start it with {most}")
    for path, said in ((SETTINGS, _settings(form)), (DATASET, _dataset(form))):
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_text(json.dumps(said, ensure_ascii=False, indent=1), "utf-8")
    return write_list(folder / RECORDS, (_record(form, record) for record in records))


def _dataset(form: Form) -> dict[str, Any]:
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", form.name).strip("-_") or AGENT
    return {"name": name, "status": "draft", "allow_extra_metadata": True, "guidelines": GUIDELINES}


def _settings(form: Form) -> dict[str, Any]:
    fields = [_titled(ABOUT, "what became of it", {"type": "text", "use_markdown": False}, required=True)]
    for column, name in form.shown.items():
        kind = {"type": "image"} if column in form.media else {"type": "text", "use_markdown": False}
        fields.append(_titled(name, column, kind))
        fields.append(_titled(PARENT + name, f"{column} of the real one", kind))
    questions = [_choice(DECISION, "Shall it be trained on?", {ACCEPT: ACCEPT, REJECT: REJECT}, required=True)]
    if len(form.options) > 1:
        questions.append(_choice(LABEL, "Label", form.options))
    questions += [
        _titled(EDIT + form.texts[column], f"{column}, corrected", {"type": "text", "use_markdown": False})
        for column in form.editable
    ]
    terms = [_titled(name, name, {"type": "terms"}) for name in ("state", "step", "reason")]
    floats = [_titled(name, score, {"type": "float"}) for score, name in form.scores.items()]
    metadata = [{k: v for k, v in one.items() if k != "required"} for one in (*terms, *floats)]
    return {
        "guidelines": GUIDELINES,
        "questions": questions,
        "fields": fields,
        "vectors": [],
        "metadata": metadata,
        "allow_extra_metadata": True,
        "distribution": {"strategy": "overlap", "min_submitted": 1},
        "mapping": None,
    }


def _titled(name: str, title: str, settings: Mapping[str, Any], *, required: bool = False) -> dict[str, Any]:
    return {"name": name, "title": title[:500], "required": required, "settings": dict(settings)}


def _choice(name: str, title: str, options: Mapping[str, str], *, required: bool = False) -> dict[str, Any]:
    known = [{"value": option, "text": option} for option in options.values()]
    return _titled(
        name, title, {"type": "label_selection", "options": known, "visible_options": None}, required=required
    )


def _record(form: Form, asked: Asked) -> dict[str, Any]:
    fields = {ABOUT: asked.about}
    fields |= {form.shown[column]: text for column, text in asked.row.items()}
    fields |= {PARENT + form.shown[column]: text for column, text in asked.parent.items()}
    suggested = {DECISION: _suggestion(ACCEPT if asked.kept else REJECT)}
    if asked.label is not None and asked.label in form.options and len(form.options) > 1:
        suggested[LABEL] = _suggestion(form.options[asked.label], asked.likely)
    suggested |= {
        EDIT + form.texts[column]: _suggestion(asked.row[column]) for column in form.editable if asked.row.get(column)
    }
    said = {"state": "kept" if asked.kept else "refused", "step": asked.step, "reason": asked.reason}
    return {
        "id": asked.id,
        "fields": fields,
        "metadata": {
            CONTENT: asked.content,
            **{name: word for name, word in said.items() if word},
            **{form.scores[score]: value for score, value in asked.scores.items()},
        },
        "suggestions": suggested,
        "responses": {},
        "vectors": {},
        "status": "pending",
        "_server_id": None,
    }


def _suggestion(value: str, score: float | None = None) -> dict[str, Any]:
    return {"value": value, "score": score, "agent": AGENT}


# -- the way back -----------------------------------------------------------------------------------------------------


def knows(item: Mapping[str, Any]) -> bool:
    """True for a record of ``records.to_json``, or of ``records.to_list(flatten=True)``."""
    return "_server_id" in item or ("responses" in item and "fields" in item)


def read(item: Mapping[str, Any], where: str) -> Iterator[Answer]:
    """What each person answered about a record.

    ``to_json`` leaves out whether an answer was submitted: then those of a record that Argilla calls completed count.
    """
    flat = "fields" not in item
    metadata = item if flat else need(item.get("metadata") or {}, dict, "its metadata", where)
    said: dict[str, dict[str, Any]] = {}
    states: dict[str, str] = {}
    for question, value, user, status in _flat(item, where) if flat else _nested(item, where):
        said.setdefault(user, {})[question] = value
        states[user] = str(status)
    for user, values in said.items():
        yield Answer(
            id=str(item.get("id")),
            content=str(metadata.get(CONTENT) or ""),
            who=user,
            state=STATES.get(states[user], DRAFT),
            decision=values.get(DECISION),
            label=values.get(LABEL),
            texts={name[len(EDIT) :]: text for name, text in values.items() if name.startswith(EDIT)},
        )


def _nested(item: Mapping[str, Any], where: str) -> Iterator[tuple[str, Any, str, Any]]:
    whole = "submitted" if item.get("status", "completed") == "completed" else "draft"
    for question, answers in need(item.get("responses") or {}, dict, "its responses", where).items():
        for answer in need(answers, list, f"responses of {question}", where):
            one = need(answer, dict, f"a response of {question}", where)
            yield question, one.get("value"), str(one.get("user_id")), one.get("status") or whole


def _flat(item: Mapping[str, Any], where: str) -> Iterator[tuple[str, Any, str, Any]]:
    for key in item:
        if key.endswith(".responses") and item[key] is not None:
            columns = [need(item.get(name) or [], list, name, where) for name in (key, f"{key}.users", f"{key}.status")]
            if len({len(column) for column in columns}) > 1:
                raise DataError(f"{key} has not as many values as users and states.", "export it again.", where=where)
            for value, user, status in zip(*columns, strict=True):
                yield key.removesuffix(".responses"), value, str(user), status
