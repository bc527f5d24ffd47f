"""The page itself: one document with its style and script, and a policy that lets nothing else count."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib import resources

SCRIPTS = ("net.js", "decided.js", "texts.js", "list.js", "record.js", "threshold.js", "keys.js")


@cache
def page() -> str:
    """The document: it holds no data, and asks for all of it with the key."""
    body = _asset("page.html")
    return body.replace("{style}", style()).replace("{script}", script())


@cache
def style() -> str:
    return _asset("style.css")


@cache
def script() -> str:
    return '"use strict";\n(() => {\n' + "".join(map(_asset, SCRIPTS)) + "})();\n"


@cache
def policy() -> str:
    """Only this style and this script count; questions go to the page's own server alone."""
    return (
        f"default-src 'none'; style-src '{_hash(style())}'; script-src '{_hash(script())}'; connect-src 'self'; "
        "img-src blob:; media-src blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def _asset(name: str) -> str:
    return (resources.files("leaven.review") / name).read_text("utf-8")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
