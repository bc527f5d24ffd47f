"""report.html of runs on images and sounds: one safe file that shows, plays and counts what was made."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from reading import Copy, read

from leaven.cli import run
from leaven.errors import MissingExtra
from leaven.report import album, samples, vectors
from leaven.report.content import Content
from leaven.report.cost import cost
from leaven.report.measured import gain, verdict
from leaven.report.page import page, write
from leaven.report.quality import quality
from recordings import recording

WORLDS = ("pictures", "sounds", "pairs")


def section(text: str, name: str) -> str:
    """The HTML of one section."""
    found = re.search(rf'<section id="{name}">(.*?)</section>', text, re.DOTALL)
    assert found
    return found[1]


@pytest.fixture(scope="session")
def pages(media_runs: Path) -> dict[str, str]:
    """The page of each run, as ``augment`` wrote it."""
    return {name: (media_runs / name / "report.html").read_text("utf-8") for name in WORLDS}


def rows(folder: Path, name: str = "train") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pq.read_table(folder / name).to_pylist()
    return found


# -- one safe file ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", WORLDS)
def test_it_is_well_formed_and_fetches_nothing(media_runs: Path, name: str):
    found = read(media_runs / name / "report.html")
    assert len(set(found.ids)) == len(found.ids)
    assert all(b - a <= 1 for a, b in zip(found.headings, found.headings[1:], strict=False))
    assert not any(found.untitled)
    shown = 0
    for tag, attributes in found.tags:
        assert tag not in ("img", "iframe", "object", "embed", "form", "base", "link", "foreignobject")
        for key, value in attributes.items():
            assert not key.startswith("on")
            assert key not in ("style", "srcset")
            if key == "src":
                assert tag == "audio"
                assert str(value).startswith("data:audio/flac;base64,")
            if key == "href" and tag == "image":
                assert str(value).startswith(("data:image/png;base64,", "data:image/jpeg;base64,"))
                shown += 1
            elif key == "href":
                assert str(value).removeprefix("#") in found.ids
    assert shown > 20


def test_what_the_page_says_of_pictures_is_on_pages_of_texts_nowhere(runs: Path):
    text = (runs / "classic" / "report.html").read_text("utf-8")
    assert ".shots" not in text
    assert "<image" not in text


@pytest.mark.parametrize("name", ["pictures", "sounds"])
def test_the_same_folder_gives_the_same_page(media_runs: Path, pages: dict[str, str], name: str):
    assert page(Content(media_runs / name)) == pages[name]


# -- samples ---------------------------------------------------------------------------------------------------------


def families(text: str) -> list[str]:
    return section(text, "samples").split("<article")[1:]


def test_children_stand_beside_their_parent_with_their_pictures(media_runs: Path, pages: dict[str, str]):
    written = [*rows(media_runs / "pictures"), *rows(media_runs / "pictures", "refused")]
    made = {row["_id"]: row for row in written if row["_parents"]}
    family = next(f for f in families(pages["pictures"]) if sum(own in f for own in made) > 1)
    left, right = family.split("<ul>", 1)
    assert left.count('class="image"') == 1
    kids = [made[own] for own in made if own in right]
    mixed = sum(len(row["_parents"]) > 1 for row in kids)
    assert right.count('class="image"') == right.count('<li class="') + mixed  # the other parent of a mixture too
    assert '<div class="with">' in right or not mixed


def test_boxes_lie_where_the_row_says(media_runs: Path, pages: dict[str, str]):
    row = next(r for r in rows(media_runs / "pictures") if r["_synthetic"] and r["_id"] in pages["pictures"])
    box, scale = row["boxes"][0], 160 / 40  # images are 40 wide, drawings 160
    place = f'<rect x="{box["x"] * scale:.1f}" y="{box["y"] * scale:.1f}" width="{box["w"] * scale:.1f}"'
    family = next(f for f in families(pages["pictures"]) if row["_id"] in f)
    assert place in family
    assert '<path class="area"' in family
    assert '<circle class="spot"' in family


def test_a_mixture_shows_both_parents_and_its_soft_label(pages: dict[str, str]):
    text = section(pages["pictures"], "samples")
    assert "mix_images: lam 0.7" in text
    assert re.search(r'<p class="soft">\w+ 0\.70, \w+ 0\.30</p>', text)
    assert "other parent; 40 x 32 pixels" in text


def test_what_moved_is_said_and_history_unfolds_in_full(pages: dict[str, str]):
    text = section(pages["pictures"], "samples")
    assert re.search(r'<p class="drawn">warp: [^<]*rotate [-\d.]+, scale [\d.]+; 1 box moved, 1 point moved</p>', text)
    assert re.search(r"<li>warp \{[^<]*&quot;rotate&quot;: -?\d+\.\d{3,4}", text)


def test_a_caption_that_did_not_change_is_not_repeated(media_runs: Path, pages: dict[str, str]):
    words = section(pages["pictures"], "samples")
    mirrored = [r for r in rows(media_runs / "pictures") if r["_synthetic"] and "mended" in str(r["_steps"])]
    assert mirrored
    assert "<del>left</del> <mark>right</mark>" in words
    erased = re.findall(r'<li class="kept" data-s="erase">.*?<div class="chips">', words, re.DOTALL)
    assert len(erased) > 5
    assert not [kid for kid in erased if 'class="t"' in kid]


def test_both_images_of_a_pair_are_shown(pages: dict[str, str]):
    family = families(pages["pairs"])[0]
    assert family.count(">image_left</span>") == family.count(">image_right</span>") == 2
    assert "there is a" in family


def test_sounds_have_a_spectrogram_a_player_and_their_segments(media_runs: Path, pages: dict[str, str]):
    text = section(pages["sounds"], "samples")
    family = next(f for f in families(pages["sounds"]) if "alter_sound" in f)
    assert family.count("<audio controls") == family.count('class="spectrogram"') >= 2
    assert ">seconds</text>" in family
    assert ">kHz</text>" in family
    assert 'class="stretch"' in family
    assert '<p class="t" dir="auto">a ' in family  # the caption is the text of the sound
    assert re.search(r"\d+ of \d+ sounds here can be played; the page has room for 40 clips of 5 s", text)


def test_sounds_of_a_family_share_one_scale_of_time(pages: dict[str, str]):
    family = next(f for f in families(pages["sounds"]) if "alter_sound" in f)
    seconds = [float(s) for s in re.findall(r'<p class="told">([\d.]+) s, 8 kHz</p>', family)]
    widths = [float(w) for w in re.findall(r'<image id="[^"]*" width="([\d.]+)"', family)]
    assert len(seconds) == len(widths)
    assert max(widths) == 300
    for s, w in zip(seconds, widths, strict=True):
        assert w == pytest.approx(300 * s / max(seconds), abs=4.5)  # what is told is rounded


# -- caps ------------------------------------------------------------------------------------------------------------


def test_pictures_end_where_their_share_does(media_runs: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(samples, "PICTURES", 12)
    monkeypatch.setattr(album, "PICTURES", 40)
    text = page(Content(media_runs / "pictures"))
    shown = families(text)
    assert 1 <= len(shown) < 6
    assert f"{len(shown)} of 48 parents, even by label" in text
    assert "room for 40 pictures of 160 pixels" in text
    assert len(re.findall(r'<image id="', text)) <= 40


def test_clips_are_counted(media_runs: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(album, "CLIPS", 3)
    text = page(Content(media_runs / "sounds"))
    assert text.count("<audio") == 3
    assert re.search(r"3 of \d\d sounds here can be played; the page has room for 3 clips", text)


def test_where_texts_are_cut_no_mention_of_a_picture_is_left_alone(media_runs: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(samples, "BYTES", 20_000)
    text = page(Content(media_runs / "pictures"))
    assert len(families(text)) < 12
    ids = set(re.findall(r'id="(p\d+)"', text))
    assert ids >= set(re.findall(r'<use href="#(p\d+)"', text))


def test_without_what_reads_images_the_page_says_what_to_install(media_runs: Path, monkeypatch: pytest.MonkeyPatch):
    def missing(*_: object) -> None:
        raise MissingExtra("images need the extra `image` (Pillow).", 'pip install "leaven[image]"')

    monkeypatch.setattr(album, "thumbnail", missing)
    monkeypatch.setattr(vectors.LocalModels, "embed", missing)
    text = page(Content(media_runs / "pictures"))
    assert "No pictures: images need the extra `image` (Pillow)." in text
    assert "<image" not in text
    assert "No embedder was used" in section(text, "map")
    assert "warp: " in section(text, "samples")


# -- refused, failed, labels -----------------------------------------------------------------------------------------


def test_what_was_refused_has_its_picture(media_runs: Path, pages: dict[str, str]):
    text = section(pages["pictures"], "refused")
    pairs = text.split("<article")[1:]
    assert len(pairs) == len(rows(media_runs / "pictures", "refused"))
    assert all(pair.count('class="image"') >= 2 for pair in pairs)
    assert "not_drawn" in text


def test_a_broken_file_is_told_by_its_path_and_reason(media: Copy):
    folder = media("pairs")
    (folder / "failed").mkdir()
    said = {"_id": "", "_step": "read", "_reason": "broken_image", "_error": "a/bad.jpg: no image format is recognised",
            "image_left": "a/bad.jpg", "sentence": "two squares"}  # fmt: skip
    (folder / "failed" / "records.jsonl").write_text(json.dumps(said) + "\n")
    text = cost(Content(folder))
    assert "two squares a/bad.jpg" in text
    assert "read: a/bad.jpg: no image format is recognised" in text


def test_what_is_marked_is_counted_by_label(media_runs: Path, pages: dict[str, str]):
    text = section(pages["pictures"], "labels")
    found = rows(media_runs / "pictures")
    for made, word in ((False, "real"), (True, "made")):
        n = sum(len(r["boxes"] or ()) for r in found if r["_synthetic"] == made)
        assert f"{n:,} boxes in {sum(r['_synthetic'] == made for r in found)} {word} rows" in text
    labels = Counter((b["label"], r["_synthetic"]) for r in found for b in r["boxes"] or ())
    table = text[text.index("Boxes in train/") :]
    for name in ("red", "green", "blue"):
        cells = f'>{name}</th><td class="n">{labels[name, False]}</td><td class="n">{labels[name, True]}</td>'
        assert cells in table
    sizes = text[text.index("Boxes by the root of their area") :]
    cells = re.findall(r'<td class="n">(\d+)</td><td class="n">(\d+)</td></tr>', sizes[: sizes.index("</table>")])
    assert sum(int(real) for real, _ in cells) == 48
    assert sum(int(made) for _, made in cells) == sum(n for (_, made), n in labels.items() if made)


def test_without_labels_a_measurement_says_what_it_described(media: Copy):
    folder = media("pictures")
    described = {
        "traits": [
            {"of": "boxes", "what": "boxes a row", "real": 1.0, "made": 1.2, "distance": 0.3, "null": 0.1},
            {"of": "boxes", "what": "label", "real": None, "made": None, "distance": 0.02, "null": 0.1},
        ],
        "names": [], "boxes": {"made": 150, "of_their_roots": 160}, "missing": ["whether they help: no detector <b>"],
    }  # fmt: skip
    (folder / "measure.json").write_text(json.dumps({"rows": [], "metric": None, "student": None, "ratio": None,
                                                     "verdict": None, "described": described}))  # fmt: skip
    said = verdict(Content(folder))
    assert "No verdict" in said
    assert "whether they help: no detector &lt;b&gt;" in said
    said = gain(Content(folder))
    assert "Made rows hold 150 boxes, the real rows that they came from 160." in said
    assert re.findall(r"<td>(apart|as real rows)</td>", said) == ["apart", "as real rows"]


# -- quality and map -------------------------------------------------------------------------------------------------


def test_measures_are_those_of_pictures(pages: dict[str, str]):
    text = section(pages["pictures"], "quality")
    for name in ("a student agrees with the label", "similarity with the nearest other real row", "real rows reached"):
        assert name in text
    assert "word pairs" not in text
    assert "words a text" not in text
    assert "distinct-n, self-BLEU, length (the rows are images)" in text
    assert "image-features embeds" in text
    assert re.search(r"\d+ of the 130 kept rows are nearly a copy of a real row", text)
    assert "boxes, mask, points (leaven measure compares them)" in text
    assert re.search(r'<details class="worst">.*?class="image"', text, re.DOTALL)


def test_a_picture_that_was_only_copied_is_counted_as_a_copy(media: Copy):
    folder = media("pictures")
    table = pq.read_table(folder / "train")
    real = next(r["image"] for r in table.to_pylist() if not r["_synthetic"])
    images = [real if r["_synthetic"] else r["image"] for r in table.to_pylist()]
    pq.write_table(
        table.set_column(0, "image", pa.array(images, table.schema.field("image").type)),
        folder / "train" / "part-00000.parquet",
    )
    assert table.schema.names[0] == "image"
    content = Content(folder)
    assert "130 of the 130 kept rows are nearly a copy" in quality(
        content, vectors.Vectors(content), album.Album(content)
    )


def test_points_of_the_map_show_their_picture_by_keyboard_too(pages: dict[str, str]):
    text = section(pages["pictures"], "map")
    pins = re.findall(r'<g class="pin (\w+)" tabindex="0" role="img" aria-label="([^"]+)"', text)
    assert Counter(who for who, _ in pins) == {"real": 24, "kept": 36, "refused": 12}
    assert all(said.startswith(f"{who}, ") and "square" in said for who, said in pins)
    assert text.count('class="panel"') == len(pins)
    assert "72 with their picture" in text


def test_a_run_that_changed_texts_only_is_compared_by_its_texts(media: Copy):
    folder = media("pairs")
    said = json.loads((folder / "run.json").read_text())
    assert vectors.Vectors(Content(folder)).kind == "image"
    (folder / "run.json").write_text(json.dumps({**said, "models": {"embed": "wordllama"}}))
    assert vectors.Vectors(Content(folder)).kind == "text"


# -- hostile ---------------------------------------------------------------------------------------------------------

EVIL = ["</title></svg><script>alert(1)</script>", "<image href=x onerror=alert(1)>", "\"'><b>\u202e\x1b[31m"]


def hostile(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    for i, row in enumerate(rows):
        evil = EVIL[i % 3]
        row["label"] = row["caption"] = evil
        row["label_probs"] = [{"label": evil, "prob": 0.6}, {"label": EVIL[0], "prob": 0.4}]
        row["boxes"] = [
            {**box, "label": evil, "x": float("nan") if i % 5 == 0 else box["x"]} for box in row["boxes"] or ()
        ]
        row["points"] = [{**point, "label": evil} for point in row["points"] or ()]
        row["image"] = {**row["image"], "path": f"{evil}.png"}
        row["_steps"] = [{**step, "drawn": json.dumps({evil: evil})} for step in row["_steps"]]
    return rows


def test_hostile_labels_captions_and_names_stay_text(media: Copy):
    folder = media("pictures")
    for name in ("train", "refused"):
        table = pq.read_table(folder / name)
        pq.write_table(
            pa.Table.from_pylist(hostile(table.to_pylist()), schema=table.schema), folder / name / "part-00000.parquet"
        )
    path = write(folder)
    found = read(path)
    assert len([tag for tag, _ in found.tags if tag == "script"]) == 2
    assert not [tag for tag, _ in found.tags if tag in ("b", "img")]
    assert all(str(a["href"]).startswith("data:image/") for tag, a in found.tags if tag == "image")
    assert "<script>alert(1)</script>" in found.said
    assert not re.search(r"[\x1b\u202e]", path.read_text("utf-8"))


def test_an_image_that_cannot_be_decoded_any_more_is_told(media: Copy):
    folder = media("pictures")
    table = pq.read_table(folder / "train")
    cells = [{"bytes": b"nope", "path": None} if i % 7 == 0 else cell for i, cell in
             enumerate(table.column("image").to_pylist())]  # fmt: skip
    pq.write_table(
        table.set_column(0, "image", pa.array(cells, table.schema.field("image").type)),
        folder / "train" / "part-00000.parquet",
    )
    content = Content(folder)
    found = album.Album(content)
    assert "broken_image" in samples.samples(content, found)
    assert "they cannot be decoded" in quality(content, vectors.Vectors(content), found)


def test_named_colours_follow_the_more_frequent_label(media_runs: Path):
    found = album.Album(Content(media_runs / "pictures"))
    counts = np.array([found.marked[0].labels[0][n] + found.marked[0].labels[1][n] for n in found.marked[0].names])
    assert (np.diff(counts) <= 0).all()
    assert [found.colours[name] for name in found.marked[0].names] == [0, 1, 2]


def test_sounds_that_steps_made_of_texts_are_shown(tmp_path: Path):
    (tmp_path / "rows.csv").write_text("text,label\nstop the music,music\nwhat time is it,time\n", "utf-8")
    heard = recording(tmp_path, [("stop the music", "a top hat"), ("what time is it", "what time is it")])
    fakes = ["--model=speak=fake:shape", f"--model=transcribe={heard}", "--set", "speak.n=2"]
    asked = ["augment", str(tmp_path / "rows.csv"), "-o", str(tmp_path / "out"), "-r", "spoken-commands", *fakes]
    assert run([*asked, "-q", "--workers", "1"]) == 0
    text = (tmp_path / "out" / "report.html").read_text("utf-8")
    assert len(families(text)) == 2
    assert len(re.findall(r'<image id="', text)) == 4
    assert text.count("<audio") >= 4
    assert len(re.findall(r"speak: rate [\d.]+, voice \S+", text)) >= 4
    assert len(re.findall(r'<span class="col">transcript</span> a top hat', text)) >= 2
    card = (tmp_path / "out" / "README.md").read_text("utf-8")
    assert 'task_categories: ["audio-classification"]' in card
