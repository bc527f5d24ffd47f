"""report.html in a real browser: with its script, and without."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from reading import Copy

import worlds
from leaven.report.page import write

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium here")
QUIET = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--enable-logging=stderr",
]  # fmt: skip
Opened = tuple[str, list[str]]


@pytest.fixture
def opened(tmp_path: Path) -> Callable[..., Opened]:
    """Open a page; the document as it then is, and what the console said."""

    def open_page(page: Path, fragment: str = "") -> Opened:
        profile = f"--user-data-dir={tmp_path / 'profile'}"
        asked = [str(CHROMIUM), *QUIET, profile, "--dump-dom", f"{page.as_uri()}{fragment}"]
        done = subprocess.run(asked, capture_output=True, text=True, timeout=120, check=True)
        return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]

    return open_page


def shown_parents(dom: str) -> list[str]:
    samples = dom[dom.index('id="samples"') : dom.index('id="refused"')]
    return [tag for tag in re.findall(r'<article class="family"[^>]*>', samples) if "hidden" not in tag]


def test_the_script_finds_filters_and_sets_the_theme_from_the_fragment(runs: Path, opened: Callable[..., Opened]):
    page = runs / "recombine" / "report.html"
    dom, console = opened(page, "#labels&theme=dark&label=card&sort=name")
    assert not console
    assert 'data-theme="dark"' in dom
    assert ">theme: dark</button>" in dom
    assert 'id="filters" hidden' not in dom
    parents = shown_parents(dom)
    assert parents
    assert all('data-l="card"' in tag for tag in parents)
    assert f"{len(parents)} of " in dom
    names = re.findall(r'<tr[^>]*><th scope="row">(\w+)</th>', dom[dom.index('id="labels"') :])[:4]
    assert names == sorted(names)
    assert "Point at the map" in dom
    assert dom.count('class="copied"') > 2


def test_it_reads_without_the_script(copied: Copy, opened: Callable[..., Opened]):
    """The page's own policy stops it here: chromium prints no document where scripts are switched off."""
    page = copied("recombine") / "report.html"
    page.write_text(re.sub(r"script-src '[^']*'", "script-src 'none'", page.read_text("utf-8")), "utf-8")
    dom, console = opened(page)
    assert console
    assert 'data-theme="auto"' in dom
    assert 'id="filters" hidden' in dom
    assert len(shown_parents(dom)) == 64
    assert "95 % interval" in dom
    assert dom.count("<svg") == page.read_text("utf-8").count("<svg")


def test_what_a_text_says_never_runs(copied: Copy, opened: Callable[..., Opened]):
    """First that the console would say so: a script that the policy does not name is stopped aloud."""
    folder = copied("classic")
    page = folder / "report.html"
    text = page.read_text("utf-8")
    page.write_text(text.replace("<main", "<script>console.log('ran')</script><main"), "utf-8")
    _, console = opened(page)
    assert any("Content Security Policy" in line for line in console)
    assert not any("'ran'" in line or '"ran"' in line for line in console)
    said = (folder / "run.json").read_text()
    (folder / "run.json").write_text(said.replace("bank.csv", "<img src=x onerror=alert(1)><script>alert(1)</script>"))
    dom, console = opened(write(folder))
    assert not console
    assert "<img" not in dom


def test_pictures_are_painted_and_the_policy_refuses_nothing(media_runs: Path, tmp_path: Path):
    """Squares of three colours: on the map's small pictures, which come after some thousand pixels of page."""
    page, shot = media_runs / "pictures" / "report.html", tmp_path / "shot.png"
    asked = [*QUIET, f"--user-data-dir={tmp_path / 'profile'}", "--window-size=1280,14000", f"--screenshot={shot}"]
    done = subprocess.run(
        [str(CHROMIUM), *asked, f"{page.as_uri()}#theme=light"],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert not [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    seen = np.asarray(Image.open(shot).convert("RGB"))[5000:].astype(np.int16)
    for colour in worlds.COLOURS.values():
        assert (np.abs(seen - np.array(colour, np.int16)).max(axis=2) < 25).sum() > 300
