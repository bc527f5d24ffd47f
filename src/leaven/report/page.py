"""``report.html``: one file, no network, no server; it reads without its script, which only finds and unfolds."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from importlib import resources
from pathlib import Path

from leaven.engine.folder import write_whole
from leaven.report.album import Album
from leaven.report.content import Content
from leaven.report.cost import cost, how
from leaven.report.gained import where
from leaven.report.labels import labels
from leaven.report.map import map_
from leaven.report.marked import plain
from leaven.report.measured import gain, verdict
from leaven.report.quality import quality
from leaven.report.refused import refused
from leaven.report.samples import samples
from leaven.report.scores import scores
from leaven.report.vectors import Vectors

NAME = "report.html"
SECTIONS = ("Verdict", "Gain", "Labels", "Where", "Samples", "Refused", "Quality", "Scores", "Map", "Cost", "How")
HATCHES = """<svg class="hatches" width="0" height="0" aria-hidden="true"><title>Hatches</title><defs>
<pattern id="hatch-made" width="5" height="5" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
<rect width="5" height="5" class="ground"/><line x1="0" y1="0" x2="0" y2="5" class="lines"/></pattern>
<pattern id="hatch-refused" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(-45)">
<rect width="6" height="6" class="ground"/><line x1="0" y1="0" x2="0" y2="6" class="lines"/></pattern>
</defs></svg>"""


def write(folder: Path) -> Path:
    """Write the page of the run in ``folder`` into it, whole, and say where it lies.

    Reads nothing but the folder; a run that has not ended, or was not measured, gets a page that says so.  Raises
    DataError where there is no run.
    """
    path = folder / NAME
    write_whole(path, page(Content(folder)).encode("utf-8"))
    return path


def page(content: Content) -> str:
    """The whole page, as HTML of at most 5 MB, and 15 MB with pictures and clips."""
    vectors = Vectors(content)
    album = Album(content) if content.media else None
    before = [
        verdict(content),
        '<div class="two">' + gain(content) + labels(content, album) + "</div>",
        where(content),
        samples(content, album),
        refused(content, album),
        quality(content, vectors, album),
        scores(content, vectors),
    ]
    drawn, points = map_(content, vectors, album)
    parts = [
        *before,
        drawn,
        cost(content),
        how(content),
    ]
    name, recipe = str(content.said.get("data", "")), str(content.said.get("recipe", ""))
    day = time.strftime("%d %b %Y", content.date).lstrip("0")
    links = "".join(f'<a href="#{s.lower()}">{s}</a>' for s in SECTIONS)
    style, script = _asset("style.css") + (_asset("pictures.css") if album else ""), _asset("script.js")
    version = (content.said.get("versions") or {}).get("leaven", "")
    return f"""<!doctype html>
<html lang="en" data-theme="auto">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_policy(style, script)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{plain(name, 80)}, {plain(recipe, 60)}: leaven report</title>
<style>{style}</style>
</head>
<body>
<a class="skip" href="#main">Skip to the report</a>
{HATCHES}
<header><div class="bar"><h1>{plain(name, 80)} <span>{plain(recipe, 60)}, {day}</span></h1>
<button id="theme" type="button" hidden>theme: auto</button></div>
<nav aria-label="Sections">{links}</nav></header>
<main id="main">
{"".join(parts)}
</main>
<footer><p>leaven {plain(version)}. One file that asks nothing of any network.</p></footer>
<script type="application/json" id="data">{_data({"points": points})}</script>
<script>{script}</script>
</body>
</html>
"""


def _asset(name: str) -> str:
    return (resources.files("leaven.report") / name).read_text("utf-8")


def _policy(style: str, script: str) -> str:
    """Nothing is fetched from anywhere, and only this style and this script count."""
    return (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
        "img-src data:; media-src data:; base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _data(values: object) -> str:
    """JSON that cannot end the block it stands in."""
    said = json.dumps(values, ensure_ascii=True, separators=(",", ":"))
    return said.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
