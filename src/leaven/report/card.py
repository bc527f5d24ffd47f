"""The dataset card, ``README.md``: how the rows were made, by which models, and which share of them is synthetic.

It is meant for strangers, so it holds no text of the user, no key, no name of a private server and no local path; and
only what is true: what is not known is left out of the YAML, and called not known in the text.
"""

from __future__ import annotations

import html
import json
import re
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from leaven.engine.folder import write_whole
from leaven.recipe import Step
from leaven.report.content import Content
from leaven.report.labels import counts
from leaven.report.marks import Marked, marked
from leaven.report.measured import METRICS, WORDS, chosen, interval, score
from leaven.terminal import shown

NAME = "README.md"
LABELS = 20
SIZES = [(1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"),
         (10_000_000, "1M<n<10M")]  # fmt: skip
PUBLIC = re.compile(r"(?:arxiv\.org|doi\.org|aclanthology\.org|github\.com|huggingface\.co)(?:[/:?#]|$)")
SECRET = re.compile(
    r"\b(?:sk|pk|hf|gsk|xai|AIza|ghp|glpat|r8|api|key|token)[-_][A-Za-z0-9_-]{12,}|\bAIza[\w-]{20,}|\bBearer +\S+"
)
URL = re.compile(r"\b[a-z][a-z0-9+.-]*://([^\s\"'<>)\]}]+)", re.IGNORECASE)
HOST = re.compile(
    r"\b(?:\d{1,3}(?:\.\d{1,3}){3}|localhost|[\w-]+(?:\.[\w-]+)*\.(?:local|lan|internal|intranet|corp|home))(?::\d+)?\b"
)
LOCAL = re.compile(
    r"(?<![\w.:/])(?:~|\.{1,2})?/(?:[\w.@+-]+/)+[\w.@+-]*|(?<![\w.:/])/[\w.@+-]{2,}|\b[A-Za-z]:\\[^\s\"']+"
)
BUILT_IN = {
    "image-features": ("image-features", "none of its own"),
    "audio-features": ("audio-features", "none of its own"),
    "wordllama": ("wordllama, l2_supercat_256: static vectors of English words", "MIT"),
    "hashed": ("hashed character pieces, fitted on these rows", "none of its own"),
    "espeak": ("espeak-ng, a program that is called: synthetic voices", "GPL-3.0-or-later, of the program"),
    "pocketsphinx": ("pocketsphinx, with the English model in its wheel", "BSD-2-Clause"),
    "apertium": ("apertium, a program that is called: rules and a dictionary", "GPL-2.0-or-later, of the program"),
}
"""What plays a role without being asked for by a user's model: its name, and its licence."""
SEEN = {
    "image-features": "edges, texture, colours and layout of images; no weights",
    "audio-features": "cepstra of sounds; no weights",
}
TYPES = {
    "image": "Image", "map": "Image", "mask": "Image of numbers", "audio": "Audio",
    "boxes": "Sequence of boxes: x, y, w, h in pixels, label, polygons",
    "points": "Sequence of points: x, y in pixels, label",
    "segments": "Sequence of segments: start, end in seconds, label",
    "label_probs": "Sequence of labels with their share",
}  # fmt: skip
SAYS = {
    "image": "the image", "audio": "the sound", "mask": "what each pixel belongs to", "boxes": "where things are",
    "points": "where things are", "segments": "when things are heard", "caption": "says what is there",
    "label_probs": "the soft label; the shares sum to 1", "text": "the text", "label": "the label",
    "value": "a column of the source",
}  # fmt: skip
HERE = {
    "fill": "an n-gram model fitted on the real rows of each label; fills blanks",
    "student": "a linear model fitted on the real rows; predicts labels, so that a step can keep or refuse",
}
MEANINGS = {
    "_id": ("text", "names the row; of a real row a hash of its content, of a synthetic one of where it comes from"),
    "_parents": ("list of texts", "the `_id` of the rows it was made from; empty for a real row"),
    "_steps": ("list", "the steps that made it: step, round, and what was drawn"),
    "_scores": ("numbers by name", "what steps measured about it"),
    "_synthetic": ("true or false", "true for a row that was made, or got its label from a model"),
    "_weight": ("number", "how much it should count in training"),
}


def write(folder: Path, *, licence: str | None = None, language: Sequence[str] = ()) -> Path:
    """Write the card of the run in ``folder`` into it, and say where it lies.

    ``licence`` is the source's, as the hub spells it (``cc-by-4.0``), ``language`` its codes (``en``); without them the
    card says nothing of either.  Raises DataError where there is no run.
    """
    path = folder / NAME
    write_whole(path, card(Content(folder), licence, language).encode("utf-8"))
    return path


def card(content: Content, licence: str | None, language: Sequence[str]) -> str:
    real, made = int((~content.train.made).sum()), int(content.train.made.sum())
    total = max(1, real + made)
    head = (
        f"**{real + made:,} rows: {real:,} real ({real / total * 100:.0f} %), {made:,} synthetic "
        f"({made / total * 100:.0f} %).** The column `_synthetic` tells them apart."
    )
    parts = [
        ("How it was made", _how(content)),
        ("Models", _models(content)),
        ("Fields", _fields(content)),
        ("Balance", _balance(content)),
        ("Does it help?", _help(content)),
        ("Limits", _limits(content)),
        ("Licences, citing", _licences(content, licence)),
    ]
    body = "\n\n".join(f"## {title}\n\n{text}" for title, text in parts)
    return f"---\n{_front(content, licence, language, real, made)}---\n\n{head}\n\n{body}\n"


# -- YAML ----------------------------------------------------------------------------------------------------


def _front(content: Content, licence: str | None, language: Sequence[str], real: int, made: int) -> str:
    """The hub's own keys; those that are not known are left out."""
    name = str(content.said.get("data", ""))
    kinds = {*content.dataset.types.values(), *(content.kinds[name] for name in content.media)}
    said: dict[str, Any] = {"pretty_name": f"{_title(name)}, raised with leaven"}
    if language:
        said["language"] = list(language)
    if licence:
        said["license"] = licence
    if tasks := _tasks(content, kinds):
        said["task_categories"] = tasks
    if content.finished:
        said["size_categories"] = [next((word for n, word in SIZES if real + made < n), "n>10M")]
    hub = name.removeprefix("hf://") if name.startswith("hf://") else ""
    said["source_datasets"] = [hub or "extended"]
    if made:
        said["annotations_creators"] = ["machine-generated"]
    tags = ["synthetic"] if made else []
    recipe = re.sub(r"[^\w.-]+", "-", _title(str(content.said.get("recipe", ""))))
    said["tags"] = [*tags, "leaven", *([f"leaven-recipe:{recipe}"] if recipe else [])]
    files = [{"split": "train", "path": "train/*.parquet"}]
    said["configs"] = [{"config_name": "default", "data_files": files}]
    return "".join(f"{key}: {json.dumps(value, ensure_ascii=False)}\n" for key, value in said.items())


def _tasks(content: Content, kinds: set[str]) -> list[str]:
    """What the hub calls what can be learned from rows of these types; nothing where that is not certain."""
    if "image" in kinds:
        if {"question", "answer"} <= kinds:
            return ["visual-question-answering"]
        if "text" in kinds:
            return []
        outlines = "mask" in kinds or any(map(content.train.outlined, content.columns_of("boxes")))
        found = [("label", "image-classification"), ("boxes", "object-detection"),
                 ("points", "keypoint-detection"), ("caption", "image-to-text")]  # fmt: skip
        return [task for kind, task in found if kind in kinds] + ["image-segmentation"] * outlines
    if "audio" in kinds:
        return ["audio-classification"] if "label" in kinds else []
    return ["text-classification"] if {"label", "text"} <= kinds else []


def _title(name: str) -> str:
    """The name of a file without its folder and ending; of a hub's dataset, without its owner."""
    last = re.split(r"[/\\]", name)[-1]
    return scrubbed(shown(re.sub(r"\.(csv|tsv|txt|jsonl|ndjson|json|parquet|pq|yaml|yml)(\.gz)?$", "", last))) or "data"


# -- sections ------------------------------------------------------------------------------------------------


def _how(content: Content) -> str:
    recipe, said = content.recipe, content.said
    steps = [f"{i}. {_in_words(step)}" for i, step in enumerate(recipe.steps(), 1)] if recipe else []
    text = scrubbed(str(said.get("recipe_text", ""))).rstrip("\n")
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
    changed = "".join(f"\n- changed with `--set {_code(scrubbed(str(s)))}`" for s in said.get("set") or ())
    limit = f"\n- made from {said['limit']:,} records only" if said.get("limit") else ""
    versions = ", ".join(f"{_plain(k)} {_plain(v)}" for k, v in (said.get("versions") or {}).items())
    facts = (
        f"- recipe `{_code(_title(str(said.get('recipe', ''))))}`, seed {said.get('seed', 0)}, "
        f"{time.strftime('%Y-%m-%d', content.date)}\n- {versions}{changed}{limit}\n"
        f"- made {content.count('made'):,}, kept {content.count('kept'):,}, refused {content.count('refused'):,}, "
        f"failed {content.count('failed'):,}\n- repeat it: `leaven verify DIR`, in the folder of the run"
    )
    listed = "\n".join(steps)
    return f"{listed}\n\n{facts}\n\n{fence}yaml\n{text}\n{fence}".lstrip()


def _in_words(step: Step) -> str:
    """A step's name, and what its operator does: the first paragraph of its documentation."""
    said = " ".join((type(step.op).__doc__ or "").split("\n\n")[0].split())
    name = f"`{_code(step.name)}`"
    return f"{name} ({step.op.kind}): {_plain(said)}" if said else f"{name} ({step.op.kind})"


def _models(content: Content) -> str:
    rows = []
    for role, names in content.models.items():
        for name in names.split(", ") if role == "embed" else [names]:  # texts and images may each have one
            what, where, licence = _model(name, _known(content, name))
            rows.append((_plain(role), what, where, licence, _did(content, role, name)))
    recipe = content.recipe
    if recipe and any("fill" in step.op.roles for step in recipe.steps()) and "fill" not in content.models:
        rows.append(("fill", "n-gram", "this machine", "none of its own", HERE["fill"]))
    if recipe and any(step.op.name == "prediction" for step in recipe.steps()) and "student" not in content.models:
        rows.append(("student", "linear", "this machine", "none of its own", HERE["student"]))
    if not rows:
        return "None: the steps are transforms without a model."
    # Of what is built in the name tells the version.
    revisions = "\n\nRevisions: not known." if any(licence == "not known" for _, _, _, licence, _ in rows) else ""
    return _table(["role", "name", "where it ran", "licence", "what it did"], rows) + revisions


def _known(content: Content, name: str) -> str:
    """What the ledger calls a model: its version, of those that have one."""
    return str((content.said.get("ledger_names") or {}).get(name, name))


NO_MODELS = {"recorded": "recorded answers", "fake": "none: made-up texts of the right form"}


def _model(uri: str, known: str) -> tuple[str, str, str]:
    """A model's name, where it ran and its licence, without the address of a server or a folder."""
    own = uri if uri in BUILT_IN else "apertium" if uri.startswith("apertium:") else ""
    if own:
        name, licence = BUILT_IN[own]
        version = re.search(r" (\d[\w.-]*)$", known)
        pair = f", {uri.partition(':')[2]}" if own == "apertium" else ""
        if version:
            program, comma, rest = name.partition(",")
            name = f"{program} {version[1]}{comma}{rest}"
        return _plain(name + pair), "this machine", licence
    provider, colon, rest = uri.partition(":")
    name, _, address = (rest if colon else uri).partition("@")
    if not colon:
        return _name(uri), "not known", "not known"
    if re.match(r"https?://(localhost|127\.|\[::1\])", address):
        where = f"a server on this machine, over {_plain(provider)}'s interface"
    elif address:
        where = f"a server of the maker's choice, over {_plain(provider)}'s interface"
    elif provider in ("transformers", "diffusers", "apertium", "recorded", "fake"):
        where = "this machine"
    else:
        where = _plain(provider)
    if provider in ("recorded", "fake"):
        return NO_MODELS[provider], where, "not known"
    return _name(name), where, "not known"


def _name(name: str) -> str:
    """A model's name; a folder is no name."""
    path = name.startswith(("/", ".", "~")) or "\\" in name or name.count("/") > 1
    return "a model in a folder" if path else _plain(scrubbed(name))


def _did(content: Content, role: str, name: str) -> str:
    known = _known(content, name)
    steps = {c.step: c.calls for c in content.calls if c.model == known}
    if steps:
        return ", ".join(f"step {_plain(step)}, {n:,} calls" for step, n in steps.items())
    of = SEEN.get(name, "vectors of texts")
    return f"{of}, to compare rows" if role == "embed" else "not known"


def _fields(content: Content) -> str:
    types = {column: content.dataset.types[name] for name, column in content.dataset.columns.items()}
    noted = {name: kind for name, kind in content.kinds.items() if kind in TYPES}
    rows: list[tuple[str, ...]] = []
    for column in content.train.columns:
        if column in MEANINGS:
            rows.append((f"`{column}`", *MEANINGS[column]))
        elif kind := types.get(column) or noted.get(column):
            many = "Sequence of texts" if kind == "caption" and content.train.lists(column) else TYPES.get(kind, kind)
            rows.append((_plain(column), _plain(many), SAYS.get(kind, "a field of the recipe")))
        else:
            rows.append((_plain(column), "text", "noted by a step"))
    return _table(["name", "type", "meaning"], rows) if rows else "Not written yet."


def _balance(content: Content) -> str:
    if not content.label:
        return "\n\n".join(map(_marks, marked(content))) or "No label."
    found = counts(content)
    before = content.dataset.labels
    first = sorted(found, key=lambda name: (-sum(found[name]), name))[:LABELS]
    rows = [(_plain(name), f"{before.get(name, 0):,}", f"{found[name][0]:,}", f"{found[name][1]:,}") for name in first]
    more = f"\n\nand {len(found) - LABELS:,} more labels" if len(found) > LABELS else ""
    return _table(["label", "before", "real", "synthetic"], rows) + more


def _marks(found: Marked) -> str:
    """Boxes, points or segments by label."""
    real, made = found.labels
    rows = [(_plain(name), f"{real[name]:,}", f"{made[name]:,}") for name in found.names[:LABELS]]
    more = f"\n\nand {len(found.names) - LABELS:,} more labels" if len(found.names) > LABELS else ""
    kind = _plain(found.kind)
    return _table([f"label of {kind}", f"{kind} of real rows", f"{kind} of synthetic rows"], rows) + more


def _help(content: Content) -> str:
    found = content.measured
    line = chosen(found) if found else None
    if line is None and found.get("described"):
        return "No student was trained: the rows have no label."
    if line is None:
        return "Not measured."
    real = next(x for x in found["rows"] if x["student"] == found["student"] and x["arm"] == "real")
    metric = METRICS[found["metric"]]
    said = [
        f"**{WORDS.get(found['verdict'], 'Not known')}**, at {found['ratio']:.3g} synthetic rows for each real one: "
        f"{interval(line['gain'])} points of {metric}, 95 % interval; from {score(real, found):.1f} to "
        f"{score(line, found):.1f} %.",
        f"Tested on {found['test']['rows']:,} real rows that no model was trained on; "
        f"student: {_plain(found['student'])}; {found['seeds']} seeds.",
    ]
    baseline = f"the {_plain(found.get('classic') or 'classic-text')} recipe"
    others = {"repeat": "real rows repeated", "classic": baseline, "made": "synthetic rows only"}
    rows = [x for x in found["rows"] if x["student"] == found["student"] and x["arm"] in others]
    said += [f"Baseline, {others[x['arm']]}: {interval(x['gain'])} points." for x in rows]
    weaker = next((x for x in found["rows"] if x["student"] != found["student"] and x["arm"] == "both"
                   and x["ratio"] == line["ratio"]), None)  # fmt: skip
    if weaker:
        said.append(f"With another student, {_plain(weaker['student'])}: {interval(weaker['gain'])} points.")
    if content.outdated:
        said.append("The rows were written again after this measurement.")
    return "\n".join(f"- {x}" for x in said)


def _limits(content: Content) -> str:
    headers = (
        "\n- Images and sounds of real rows are the source's files, byte for byte: their headers may name a device, a "
        "time or a place."
        if content.media
        else ""
    )
    return (
        "- Gaps and slants of the source repeat in what was made from it.\n"
        "- Labels of synthetic rows come from their parents or from a model. Whether a person checked them is not "
        "known.\n- Nobody searched for personal data; a synthetic row may hold what its parent holds." + headers
    )


def _licences(content: Content, licence: str | None) -> str:
    source = f"`{_code(licence)}`, as named by who wrote this card" if licence else "not known"
    papers = [content.recipe.paper] if content.recipe and content.recipe.paper else []
    cited = f"\n- The recipe: {_plain(scrubbed(papers[0]))}" if papers else ""
    return (
        f"- The source: {source}.\n- The outputs of models: the terms of each model hold; leaven claims nothing."
        f"{cited}\n- Made with leaven."
    )


# -- text ----------------------------------------------------------------------------------------------------


def scrubbed(text: str) -> str:
    """A text without what is nobody else's business: keys, addresses of servers, local paths."""
    text = SECRET.sub("(a key)", text)
    text = URL.sub(lambda m: m[0] if PUBLIC.match(m[1].removeprefix("www.")) else "(an address)", text)
    return LOCAL.sub("(a path)", HOST.sub("(an address)", text))


def _plain(text: object, most: int = 120) -> str:
    """A text of the user's on one line of Markdown: it is neither markup nor a link."""
    said = shown(str(text))
    said = said if len(said) <= most else said[: most - 3] + "..."
    said = re.sub(r"([\\`*_{}\[\]#|!~$])", r"\\\1", html.escape(said, quote=False))
    return said.replace("://", "&#58;//").replace("www.", "www&#46;")


def _code(text: str) -> str:
    """A text between two backticks."""
    return shown(text).replace("`", "'")[:200]


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])
