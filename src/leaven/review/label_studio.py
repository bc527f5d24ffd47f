"""Label Studio: tasks with predictions and the labelling interface, and the annotations that its export holds.

https://labelstud.io/guide/tasks, https://labelstud.io/guide/export (the formats of label-studio-sdk 2.1).
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import escape

from leaven.engine.decisions import ACCEPT, REJECT
from leaven.errors import DataError
from leaven.io.export.train import Warn
from leaven.review.answers import GIVEN, SKIPPED, Answer, need
from leaven.review.asked import ABOUT, DECISION, EDIT, LABEL, PARENT, Asked, Form, literally, write_list

NAME = "Label Studio"
TASKS, CONFIG = "tasks.json", "config.xml"
ID, CONTENT = "_id", "_content"
LOCAL = "/data/local-files/?d="
"""Where its server has files of its own disk, under LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT."""
BUTTONS = 20
"""More labels than these are a list to open."""


def write(form: Form, records: Iterable[Asked], folder: Path, warn: Warn, to: Path) -> int:
    """Write tasks and the interface; how many tasks.  ``to`` is where the folder will stand."""
    (folder / CONFIG).write_text(_config(form), "utf-8")
    if form.media:
        root = f"LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT={shlex.quote(str(to.resolve().parent))}"
        warn(f"start {NAME} with LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED=true {root}, and add {to.name} as storage")
    return write_list(folder / TASKS, (_task(form, record, n, to.name) for n, record in enumerate(records, 1)))


def _config(form: Form) -> str:
    first = next(iter(form.shown.values()))
    lines = ["<View>", _tag("Header", size="5", value=f"${ABOUT}")]
    for column, name in form.shown.items():
        tag = "Audio" if column in form.sounds else "Image" if column in form.media else "Text"
        for key, title in ((name, column), (PARENT + name, f"{column} of the real one")):
            lines += [_tag("Header", size="6", value=literally(title)), _tag(tag, name=key, value=f"${key}")]
    lines += _choices(DECISION, first, (ACCEPT, REJECT), required="true")
    if form.options:
        layout = {"layout": "select"} if len(form.options) > BUTTONS else {"showInline": "true"}
        lines += _choices(LABEL, first, form.options.values(), **layout)
    for column in form.editable:
        lines.append(_tag("Header", size="6", value=literally(f"{column}, corrected")))
        name = form.texts[column]
        lines.append(_tag("TextArea", name=EDIT + name, toName=name, editable="true", maxSubmissions="1", rows="3"))
    return "\n".join([*lines, "</View>", ""])


def _choices(name: str, to: str, options: Iterable[str], **more: str) -> list[str]:
    opened = _tag("Choices", ">", name=name, toName=to, choice="single", **more)
    return [opened, *(f"  {_tag('Choice', value=option)}" for option in options), "</Choices>"]


def _tag(tag: str, end: str = "/>", **attributes: str) -> str:
    """A tag; quotes are escaped, since Label Studio looks for ``name="`` in the text of the file."""
    said = (f'{name}="{escape(value, {chr(34): "&quot;"})}"' for name, value in attributes.items())
    return f"<{tag} {' '.join(said)}{end}"


def _task(form: Form, asked: Asked, n: int, name: str) -> dict[str, Any]:
    data = {ID: asked.id, CONTENT: asked.content, ABOUT: asked.about}
    data |= {"state": "kept" if asked.kept else "refused"}
    for column, key in form.shown.items():
        for begin, row in (("", asked.row), (PARENT, asked.parent)):
            said = row.get(column, "")
            data[begin + key] = LOCAL + quote(f"{name}/{said}") if said and column in form.media else said
    first = next(iter(form.shown.values()))
    result = [_chosen(DECISION, first, ACCEPT if asked.kept else REJECT)]
    if asked.label is not None and asked.label in form.options:
        result.append(_chosen(LABEL, first, form.options[asked.label]))
    for column in form.editable:
        if asked.row.get(column):
            to = form.texts[column]
            result.append(_result(EDIT + to, to, "textarea", {"text": [asked.row[column]]}))
    scored = {} if asked.likely is None else {"score": asked.likely}
    return {
        "id": n,
        "data": data,
        "predictions": [{"model_version": "leaven", **scored, "result": result}],
        "meta": {"step": asked.step, "reason": asked.reason, "scores": dict(asked.scores)},
    }


def _chosen(name: str, to: str, option: str) -> dict[str, Any]:
    return _result(name, to, "choices", {"choices": [option]})


def _result(name: str, to: str, kind: str, value: dict[str, Any]) -> dict[str, Any]:
    return {"id": name, "from_name": name, "to_name": to, "type": kind, "value": value}


# -- the way back -----------------------------------------------------------------------------------------------------


def knows(item: Mapping[str, Any]) -> bool:
    """True for a task of its JSON export.  Raises DataError for one of JSON-MIN, which has no discarded answers."""
    if "annotation_id" in item and "annotations" not in item:
        raise DataError("this is Label Studio's JSON-MIN.", "export it as JSON.")
    return "annotations" in item and "data" in item


def read(item: Mapping[str, Any], where: str) -> Iterator[Answer]:
    """What each person answered about a task."""
    data = need(item.get("data"), dict, "its data", where)
    for said in need(item.get("annotations") or [], list, "its annotations", where):
        annotation = need(said, dict, "an annotation", where)
        values: dict[str, Any] = {}
        at = str(annotation.get("updated_at") or annotation.get("created_at") or "")
        for found in need(annotation.get("result") or [], list, "a result", where):
            one = need(found, dict, "a part of a result", where)
            value = need(one.get("value") or {}, dict, "a value", where)
            chosen = value.get("choices", value.get("text"))
            values[str(one.get("from_name"))] = chosen[-1] if isinstance(chosen, list) and chosen else chosen
        yield Answer(
            id=str(data.get(ID)),
            content=str(data.get(CONTENT) or ""),
            who=_who(annotation.get("completed_by")),
            state=SKIPPED if annotation.get("was_cancelled") else GIVEN,
            decision=values.get(DECISION),
            label=values.get(LABEL),
            texts={name[len(EDIT) :]: text for name, text in values.items() if name.startswith(EDIT)},
            time=at.encode("ascii", "replace").decode(),
        )


def _who(said: Any) -> str:
    return str(said.get("id", said.get("email"))) if isinstance(said, dict) else str(said)
