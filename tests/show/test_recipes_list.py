"""``leaven recipes``: what each needs, and what must be installed first."""

from __future__ import annotations

import pytest

from leaven.cli import run
from leaven.engine.opening import recording
from leaven.models.config import load
from leaven.models.players import Players
from leaven.recipe import names, read
from leaven.show import recipes


def needs(name: str) -> str:
    return recipes.needs(read(name), Players({}, load(), recording=recording))


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with no program and no extra."""
    monkeypatch.setenv("PATH", "")
    for module in ("leaven.show.recipes", "leaven.models.backends.pocketsphinx"):
        monkeypatch.setattr(f"{module}.find_spec", lambda name: None)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("classic-image", 'needs image (label); first: pip install "leaven[image]"'),
        ("audio-mixup", 'needs audio, caption; --model chat=URI; first: pip install "leaven[audio]"'),
        (
            "spoken-commands",
            "needs text, label; the program espeak-ng; pocketsphinx; first: apt install espeak-ng; "
            'pip install "leaven[audio]"',
        ),
        ("self-train", "needs text, label; --unlabelled FILE"),
        ("judge", "needs text, label; --given FILE; --model chat=URI"),
        (
            "promptmix-image",
            "needs image, target; --model caption=URI; --model map=URI; --model paint=URI; "
            'first: pip install "leaven[image]"',
        ),
        (
            "culture-mixup",
            "needs image, sentence, label, boxes, concept; --set concepts.graph=FILE; --set code_switch.lexicon=FILE; "
            'first: pip install "leaven[image]"',
        ),
    ],
)
def test_what_a_recipe_needs_on_a_bare_machine(bare: None, name: str, said: str):
    assert needs(name) == said


def test_what_is_installed_is_not_asked_for(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("leaven.show.recipes.find_spec", lambda name: True)
    assert needs("trivial-augment") == "needs image (label)"


def test_every_recipe_is_listed_whole_under_its_kind(capsys: pytest.CaptureFixture[str]):
    assert run(["recipes"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert all(len(line) <= 100 for line in lines)
    heads = [i for i, line in enumerate(lines) if line.startswith("For ")]
    assert [lines[i] for i in heads] == ["For texts", "For images", "For sounds", "For vectors"]
    listed = [line.split()[0] for line in lines[: heads[-1] + 99] if line.startswith("  ") and line[2] != " "]
    assert sorted(listed) == names()
    said = " ".join(" ".join(lines).split())
    for name in names():
        assert read(name).about in said
