"""The section on quality: what it shows of a run's rows, and of what its models were asked."""

from __future__ import annotations

import html
import json
import re

import numpy as np
from reading import Copy

from leaven.measure.quality.quality import Quality
from leaven.measure.quality.show import as_json
from leaven.report.content import Content
from leaven.report.examined import examine, quality_of
from leaven.report.quality import quality
from leaven.report.vectors import Vectors


def stands(found: Quality) -> dict[str, str]:
    return {m.name.partition(" (")[0]: m.stands for m in found.measures}


def test_real_rows_given_as_made_ones_lie_within_their_null(copied: Copy):
    """Where made rows are nothing but other real rows, no measure but that of a leak may say that they differ."""
    content = Content(copied("classic"))
    vectors = Vectors(content)
    test = vectors.test
    vectors.__dict__["kept"] = type(test)(test.ids, test.texts, test.labels, [None] * len(test), test.vectors, 80)
    found = {m.name: m for m in quality_of(content, vectors).measures if m.group != "balanced"}
    leaks = {name for name, m in found.items() if m.stands != "within"}
    assert leaks == {
        "similarity with the nearest test row", "copies of a test row", "copies or near copies of a test row",
    }  # fmt: skip
    assert {found[name].stands for name in leaks} == {"above"}


def test_copies_of_one_row_are_called_so(copied: Copy):
    content = Content(copied("classic"))
    vectors = Vectors(content)
    kept = vectors.kept
    vectors.__dict__["kept"] = type(kept)(
        kept.ids, [kept.texts[0]] * len(kept), kept.labels, kept.parents,
        np.repeat(kept.vectors[:1], len(kept), axis=0), len(kept),
    )  # fmt: skip
    found = stands(quality_of(content, vectors))
    assert found["different word pairs"] == found["real rows reached"] == "below"
    assert found["similarity with the nearest other made row"] == "above"
    assert found["a student agrees with the label"] == "below"


def test_the_page_shows_the_numbers_of_the_file(copied: Copy):
    folder = copied("classic")
    text = quality(Content(folder), Vectors(Content(folder)))
    found = examine(folder)
    assert json.loads((folder / "quality.json").read_text("utf-8")) == as_json(found)
    rows = re.findall(r'<th scope="row">(.*?)<span>(.*?)</span></th>', text)
    assert [(m.group, m.name) for m in found.measures] == [(group, html.unescape(name)) for group, name in rows]
    assert text.count('<details class="worst">') == sum(bool(m.worst) for m in found.measures)
    assert "Not measured: instructions followed (no chat model was asked)." in text
    assert "Labels: 16 to 16 rows a label before" in text


def test_rows_made_elsewhere_stand_beside_the_parent_that_they_name(copied: Copy):
    vectors = Vectors(Content(copied("classic")))
    real = vectors.real
    assert vectors._named(real.texts[3].upper()) == real.ids[3]
    assert vectors._named(real.ids[4]) == real.ids[4]
    assert vectors._named("nobody") is vectors._named(None) is None
