"""Captions joined without a model."""

from __future__ import annotations

import pytest

from leaven.audio.sentences import joined


@pytest.mark.parametrize(
    ("captions", "how", "said"),
    [
        (["A dog barks.", "Rain falls."], "mix", "A dog barks and rain falls."),
        (["Dogs bark", "Rain falls", "Cars pass"], "join", "Dogs bark followed by rain falls followed by cars pass"),
        (["A dog barks.", "I am here"], "mix", "A dog barks and I am here"),
        (["a dog", "TV noise"], "mix", "a dog and TV noise"),
        ([["A", "B", "C"], ["D", "E"]], "mix", ["A and d", "B and e"]),
        (["A dog barks.", None], "mix", None),
        ([" ", "Rain"], "mix", None),
    ],
)
def test_joined(captions: list, how: str, said: object):
    assert joined(captions, how) == said
