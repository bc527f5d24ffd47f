"""Images, sounds and marks in a notebook's cells and in a line of text."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import worlds
from leaven.api.html import table
from leaven.api.rows import Rows
from leaven.media.audio import Audio
from leaven.media.image import Image
from leaven.storage import arrow_of, to_cells


def test_rows_of_pictures_are_shown_small_and_told_in_words(tmp_path: Path):
    world = worlds.images()
    pq.write_table(pq.read_table(world.table(tmp_path / "data", world.source)), tmp_path / "part-0.parquet")
    (tmp_path / "data.parquet").unlink()
    rows = Rows.of_parquet("Train", tmp_path)
    assert "Image(40 x 32, 0.png)  red  a red square on the" in repr(rows)
    assert "1 box: 1 red" in repr(rows)
    shown = rows._repr_html_()
    sources = re.findall(r'<img alt="Image\(40 x 32[^"]*" title="[^"]*" src="([^"]*)">', shown)
    assert len(sources) == 10  # image and mask of five rows
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert "1 point: 1 centre" in shown
    assert len(shown) < 200_000


def test_sounds_are_played():
    cells = to_cells("audio", [worlds.tone(0)["audio"]])
    rows = Rows.of_table("Sounds", pa.table({"audio": pa.array(cells, arrow_of("audio"))}))
    assert re.search(r"Audio\(0\.\d\d s, 8000 Hz, 1 ch, 0\.wav\)", repr(rows))
    assert '<audio controls aria-label="Audio(0.' in rows._repr_html_()


def test_where_there_is_no_room_left_the_rest_is_told():
    noise = np.random.Generator(np.random.Philox(key=1)).uniform(-1, 1, 40_000).astype(np.float32)
    sound = Audio(Audio.of(noise, 8000).encoded)
    shown = table(["audio"], [[sound]] * 6)
    assert len(shown) < 200_000
    assert shown.count("<audio") == 1
    assert shown.count("Audio(5.00 s, 8000 Hz, 1 ch)</td>") == 5


def test_what_cannot_be_decoded_is_told_and_names_are_text():
    cell = {"bytes": b"nope", "path": "<b>x</b>.png"}
    assert ">Image(broken_image)</td>" in table(["image"], [[cell]])
    small = Image.of(np.zeros((4, 4, 3), np.uint8)).encoded
    shown = table(["image"], [[{"bytes": small, "path": '"><script>.png'}]])
    assert "<script>" not in shown
    assert "&quot;&gt;&lt;script&gt;" in shown


def test_other_lists_and_dicts_stay_what_they_were():
    assert ">[{&#x27;a&#x27;: 1}]</td>" in table(["x"], [[[{"a": 1}]]])
    assert ">cat 0.70, dog 0.30</td>" in table(
        ["x"], [[[{"label": "cat", "prob": 0.7}, {"label": "dog", "prob": 0.3}]]]
    )
    assert ">2 segments: 2 word</td>" in table(["x"], [[[{"start": 0.0, "end": 1.0, "label": "word"}] * 2]])
