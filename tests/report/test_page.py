"""report.html of real runs: what it says, that it is one safe file, and that it stays small."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from reading import Copy, Reader, read

from leaven.errors import DataError
from leaven.models.ledger import SCHEMA
from leaven.report.content import Content
from leaven.report.cost import cost
from leaven.report.labels import labels
from leaven.report.measured import verdict
from leaven.report.page import SECTIONS, write
from leaven.report.refused import refused
from leaven.report.samples import samples

Augmented = Callable[[str, list[dict[str, Any]]], list[dict[str, Any]]]


def section(page: Path, name: str) -> str:
    """The HTML of one section."""
    found = re.search(rf'<section id="{name}">(.*?)</section>', page.read_text("utf-8"), re.DOTALL)
    assert found
    return found[1]


def test_the_page_is_well_formed_and_in_order(runs: Path):
    for name in ("recombine", "classic"):
        page = read(runs / name / "report.html")
        assert len(set(page.ids)) == len(page.ids)
        assert page.headings[0] == 1
        assert all(b - a <= 1 for a, b in zip(page.headings, page.headings[1:], strict=False))
        assert page.untitled
        assert not any(page.untitled)
        assert {s.lower() for s in SECTIONS} <= set(page.ids)
        assert len([t for t, _ in page.tags if t == "caption"]) == len([t for t, _ in page.tags if t == "table"])
        links = [a["href"] for t, a in page.tags if t == "a"]
        assert all(str(link)[1:] in page.ids for link in links)


def test_nothing_is_fetched_and_nothing_stands_in_attributes_that_run(runs: Path):
    page = read(runs / "recombine" / "report.html")
    for tag, attributes in page.tags:
        assert tag not in ("link", "iframe", "object", "embed", "form", "base", "img")
        for name, value in attributes.items():
            assert not name.startswith("on")
            assert name not in ("src", "srcset", "style")
            if name in ("href", "xlink:href"):
                assert str(value).startswith("#")
    assert not re.search(r"url\((?!#)|@import", page.raw["style"])


def test_the_policy_names_the_style_and_the_script(runs: Path):
    text = (runs / "recombine" / "report.html").read_text("utf-8")
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', text)
    assert policy
    assert policy[1].startswith("default-src 'none';")
    assert "unsafe" not in policy[1]
    for tag, rule in (("style", "style-src"), ("script", "script-src")):
        bodies = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        assert len(bodies) == 1
        hashed = base64.b64encode(hashlib.sha256(bodies[0].encode()).digest()).decode()
        assert f"{rule} 'sha256-{hashed}'" in policy[1]


def test_a_measured_run_says_its_verdict_with_its_interval(runs: Path):
    folder = runs / "recombine"
    found = json.loads((folder / "measure.json").read_text())
    page = folder / "report.html"
    gain = next(
        x["gain"]
        for x in found["rows"]
        if x["student"] == found["student"] and x["arm"] == "both" and x["ratio"] == found["ratio"]
    )
    said = f"[{gain['low'] * 100:+.1f}, {gain['high'] * 100:+.1f}]"
    assert said in section(page, "verdict")
    assert said in section(page, "gain")
    counts = json.loads((folder / "run.json").read_text())["counts"]
    for name in ("kept", "refused", "failed"):
        assert f"<dt>{name}</dt><dd>{counts[name]:,}</dd>" in section(page, "verdict")
    student = sum(x["student"] == found["student"] and x["arm"] in ("both", "made", "classic") for x in found["rows"])
    assert section(page, "gain").count('class="dot"') == student
    assert section(page, "gain").count('class="dot other"') == student


def test_a_gain_of_labels_is_drawn_where_the_measurement_has_it(copied: Copy):
    folder = copied("recombine")
    found = json.loads((folder / "measure.json").read_text())
    (folder / "measure.json").write_text(json.dumps({name: v for name, v in found.items() if name != "labels"}))
    assert "Rows in train/" in labels(Content(folder))
    found["labels"] = [{"label": "card", "gain": 0.1}, {"label": "loan", "gain": -0.25}]
    (folder / "measure.json").write_text(json.dumps(found))
    shown = labels(Content(folder))
    assert "1 gained, 1 lost" in shown
    assert "<title>loan: -25.0 points</title>" in shown


def test_what_is_not_there_is_said_in_a_sentence(copied: Copy):
    folder = copied("classic")
    page = write(folder)
    for name in ("verdict", "gain"):
        assert f'Not measured yet: <code class="copy">leaven measure {folder}</code>' in section(page, name)
    assert "No calls" in section(page, "cost")
    for file in (folder / "refused").glob("*"):
        file.unlink()
    assert "Nothing was refused" in refused(Content(folder))
    for file in (folder / "train").glob("*"):
        file.unlink()
    page = write(folder)
    assert "Nothing was made: see Refused" in section(page, "samples")
    assert "No step scored" in section(page, "scores")
    assert "Too few made rows" in section(page, "quality")


def test_under_40_rows_there_is_no_null(augmented: Augmented, tmp_path: Path):
    data = "text,label\n" + "".join(f"is my card number {i} lost,a\nwhen do you open on day {i},b\n" for i in range(10))
    augmented(data, [{"edit_words": {"n": 2}}])
    assert "Too few rows for a null (under 40)" in section(write(tmp_path / "o"), "quality")


def test_a_run_that_has_not_ended_says_so(copied: Copy):
    folder = copied("classic")
    said = json.loads((folder / "run.json").read_text())
    del said["counts"], said["reasons"], said["models"]
    (folder / "run.json").write_text(json.dumps({**said, "finished": False}))
    assert "The run has not ended" in verdict(Content(folder))


def test_a_folder_without_a_run_is_an_error(tmp_path: Path):
    with pytest.raises(DataError, match="holds no run"):
        write(tmp_path)


def test_children_stand_beside_their_parent_with_what_differs_marked(runs: Path):
    folder = runs / "classic"
    page = section(folder / "report.html", "samples")
    row = next(r for r in pq.read_table(folder / "train").to_pylist() if r["_synthetic"])
    family = next(f for f in page.split("<article") if row["_id"] in f)
    assert f'<span class="chip">{row["intent"]}</span>' in family
    assert "<mark>" in page
    assert "<del>" in page
    assert "64 parents" in page
    assert all(r["_id"] in page for r in pq.read_table(folder / "refused").to_pylist()[:1]) or "more refused" in page


def test_a_child_of_a_child_stands_beside_the_real_row(augmented: Augmented, tmp_path: Path):
    data = "text,label\n" + "".join(f"is my card number {i} lost,a\nwhen do you open day {i},b\n" for i in range(5))
    augmented(data, [{"edit_words as first": {"n": 2}}, {"edit_chars as second": {"n": 2}}])
    page = samples(Content(tmp_path / "o"))
    assert "All 10 parents." in page
    assert "made on the way" not in page
    for file in (tmp_path / "o" / "parts").glob("*"):
        file.unlink()
    assert "made on the way, and not written" in samples(Content(tmp_path / "o"))


def test_refused_rows_are_counted_by_step_and_reason(runs: Path):
    folder = runs / "recombine"
    found = pq.read_table(folder / "refused").to_pylist()
    page = section(folder / "report.html", "refused")
    pairs = {(r["_step"], r["_reason"]) for r in found}
    for step, reason in pairs:
        n = sum((r["_step"], r["_reason"]) == (step, reason) for r in found)
        assert f"{step}: {reason}" in page
        assert f"</strong> {step}, {n:,}</summary>" in page


def test_histograms_count_every_row_and_show_where_the_recipe_cuts(copied: Copy):
    folder = copied("recombine")
    said = json.loads((folder / "run.json").read_text())
    said["recipe_text"] = said["recipe_text"].replace("prediction == label", "label_prob > 0.3")
    (folder / "run.json").write_text(json.dumps(said))
    page = section(write(folder), "scores")
    rows = [r for name in ("train", "refused") for r in pq.read_table(folder / name).to_pylist()]
    scores = [r["_scores"]["label_prob"] for r in rows if r.get("_synthetic", True)]
    scores = [s for s in scores if s is not None]
    below = sum(s < 0.3 for s in scores)
    assert f"{below:,} rows below 0.3, {len(scores) - below:,} at or above" in page
    table = next(t for t in page.split("<figure>") if "<strong>label prob</strong>" in t)
    cells = re.findall(r'<td class="n">([\d,]+)</td><td class="n">([\d,]+)</td></tr>', table)
    assert sum(int(a.replace(",", "")) + int(b.replace(",", "")) for a, b in cells) == len(scores)


def test_the_ledger_becomes_a_table_with_unknown_prices_and_failures(copied: Copy):
    folder = copied("classic")
    ledger = sqlite3.connect(folder / "ledger.sqlite")
    ledger.executescript(SCHEMA)
    cells = [
        (
            b"a",
            "say",
            0,
            "r",
            0,
            0,
            "chat",
            "openai:big",
            "{}",
            "{}",
            None,
            None,
            10,
            5,
            0.02,
            30.0,
            2,
            0,
            1,
        ),
        (
            b"b",
            "say",
            0,
            "r",
            0,
            1,
            "chat",
            "openai:big",
            "{}",
            "{}",
            None,
            None,
            10,
            5,
            0.02,
            30.0,
            1,
            1,
            2,
        ),
        (b"c", "judge", 0, "r", 0, 0, "chat", "own", "{}", "{}", None, None, 7, 1, None, 6.0, 1, 0, 3),
        (b"d", "judge", 0, "s", 0, 0, "chat", "own", "{}", None, "timed_out", "60 s", 0, 0, None, 60.0, 5, 0, 4),
    ]
    names = "key step round record attempt call role model asked answer error detail tokens_in tokens_out usd seconds"
    columns = f"{names} tries repair at".split()
    ledger.executemany(f"INSERT INTO answers ({', '.join(columns)}) VALUES ({', '.join('?' * 19)})", cells)
    ledger.commit()
    ledger.close()
    (folder / "failed").mkdir()
    row = {"_id": "s", "_step": "judge", "_error": "timed_out: 60 s", "utterance": "is it", "_answers": ["Sure! Here"]}
    (folder / "failed" / "records.jsonl").write_text(json.dumps(row) + "\n")
    page = cost(Content(folder))

    def numbers(step: str) -> list[str]:
        line = next(r for r in page.split("<tr>") if f">{step}</th>" in r)
        return re.findall(r'<td class="n">([^<]*)</td>', line)

    assert numbers("say") == ["3", "1", "1", "0", "20", "10", "0.0400", "1.0"]
    assert numbers("judge") == ["6", "4", "0", "1", "7", "1", "unknown", "1.1"]
    assert "0.04 USD and an unknown rest" in page
    (folder / "ledger.sqlite").unlink()
    said = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**said, "spent": {"calls": 9}}))
    assert "9 calls; the ledger" in cost(Content(folder))
    assert "Failed: 1 record" in page
    assert "Sure! Here" in page


def test_a_page_older_than_its_run_says_so(copied: Copy):
    folder = copied("recombine")
    assert "written again after" not in verdict(Content(folder))
    after = (folder / "measure.json").stat().st_mtime + 60
    os.utime(folder / "run.json", (after, after))
    assert "written again after" in verdict(Content(folder))


def test_leaks_are_said(copied: Copy):
    folder = copied("recombine")
    found = json.loads((folder / "measure.json").read_text())
    found["leaks"]["copies"] = 14
    (folder / "measure.json").write_text(json.dumps(found))
    assert "14 made rows copy a test row" in verdict(Content(folder))


HOSTILE = [
    "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "</script></style></title><svg/onload=alert(1)>",
    "\x1b[31mred\x07\x00 bell",
    "safe \u202egnp.exe\u202c \u2066x\u2069 \u200bzero",
    "[bold red]markup[/] {{ 7 * 7 }} {% raw %} ${7*7} `x`",
    "javascript:alert(1) http://evil.example/x?a=1&b=2 \"quoted\" 'single'",
    "broken \ufffe\ue000 end",
    "a" * 5_000_000,
    "word " * 1_000_000,
]


def hostile(folder: Path) -> None:
    """Every made row, the labels and the failures bear texts that want to be more than texts."""
    for name in ("train", "refused"):
        table = pq.read_table(folder / name)
        texts = [HOSTILE[i % len(HOSTILE)] if i < 3 * len(HOSTILE) else HOSTILE[i % 7] for i in range(len(table))]
        table = table.set_column(table.column_names.index("utterance"), "utterance", pa.array(texts))
        odd = [f"{HOSTILE[i % 7]}{i % 3}" for i in range(len(table))]
        table = table.set_column(table.column_names.index("intent"), "intent", pa.array(odd))
        if name == "refused":
            for column in ("_reason", "_detail", "_step"):
                table = table.set_column(table.column_names.index(column), column, pa.array(odd))
        for file in (folder / name).glob("*"):
            file.unlink()
        pq.write_table(table, folder / name / "part-00000.parquet")
    (folder / "failed").mkdir(exist_ok=True)
    rows = [{"_id": t, "_step": t, "_error": t, "utterance": t, "_answers": [t] * 9} for t in HOSTILE[:8]]
    (folder / "failed" / "records.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    said = json.loads((folder / "run.json").read_text())
    said |= {"data": HOSTILE[1], "recipe": HOSTILE[0], "warnings": HOSTILE[:7], "models": {HOSTILE[0]: HOSTILE[1]}}
    said["set"] = [HOSTILE[0]]
    (folder / "run.json").write_text(json.dumps(said))


def test_hostile_text_stays_text(copied: Copy):
    folder = copied("recombine")
    hostile(folder)
    path = write(folder)
    assert path.stat().st_size < 5_000_000
    text = path.read_text("utf-8")
    page = read(path)
    assert len([t for t, _ in page.tags if t == "script"]) == 2
    assert not [t for t, _ in page.tags if t == "img"]
    assert "<script>alert(1)</script>" in page.said
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f\u200b\u202a-\u202e\u2066-\u2069\ufffe\ue000]", text)
    assert "U+202E" in page.said
    assert "4,999,000 more characters" in page.said
    data = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert data
    assert not set("<>&") & set(data[1])
    assert any("<script>" in point[3] for point in json.loads(data[1])["points"])


def test_fifty_thousand_records_fit(copied: Copy):
    folder = copied("classic")
    for name, n in (("train", 26_000), ("refused", 24_000)):
        table = pq.read_table(folder / name)
        rows = table.to_pylist()
        many = [
            {**rows[i % len(rows)], "utterance": f"{i} is my card {i % 97} blocked again", "_id": f"{name}{i}"}
            for i in range(n)
        ]
        pq.write_table(pa.Table.from_pylist(many, schema=table.schema), folder / name / "part-00000.parquet")
    path = write(folder)
    assert path.stat().st_size < 2_500_000
    page = read(path)
    assert "50 of 24,000 rows, even by label; all: refused/" in page.said
    points = json.loads(re.findall(r'id="data">(.*?)</script>', path.read_text("utf-8"))[0])["points"]
    assert len(points) == 3_000
    assert "1,468 of 24,000 refused" in page.said
    assert "20,000 of 24,000 refused rows" in page.said


def test_the_same_folder_gives_the_same_page(runs: Path, copied: Copy):
    folder = copied("classic")
    assert write(folder).read_text("utf-8").replace(str(folder), str(runs / "classic")) == (
        runs / "classic" / "report.html"
    ).read_text("utf-8")


def test_reader_sees_what_is_wrong():
    with pytest.raises(AssertionError):
        Reader().feed("<p><b></p>")
