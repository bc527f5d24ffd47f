"""train/ and refused/ as others read them: with the user's own column names and types."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from running import LABELS, leaven, rows

RECIPE = """
fields: [text, label]
steps:
  - prediction
  - edit_words: {n: 2}
  - prediction as sure: {input: text}
  - keep: {that: text|length > 25, reason: too_short}
  - note: {length: text|length}
"""


def test_datasets_and_pandas_read_it(tmp_path: Path, monkeypatch):
    import datasets

    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    found = rows(120)
    table = pa.table(
        {
            "nr": pa.array(range(120), pa.int32()),
            "utterance": [text for text, _ in found],
            "intent": [LABELS.index(label) for _, label in found],
            "when": pa.array([i * 86_400_000 for i in range(120)], pa.timestamp("ms")),
            "tags": [["a", "b"]] * 60 + [None] * 60,
            "branch": ["north", "south"] * 60,
            "stars": pa.array([i / 2 for i in range(120)]),
        }
    )
    pq.write_table(table, tmp_path / "data.parquet")
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    out = tmp_path / "out"
    said = leaven(
        tmp_path / "data.parquet", "-o", out, "-r", tmp_path / "recipe.yaml", "--text", "utterance", "--label", "intent"
    )
    train = datasets.load_dataset(str(out / "train"), split="train", cache_dir=str(tmp_path / "cache"))
    refused = datasets.load_dataset(str(out / "refused"), split="train", cache_dir=str(tmp_path / "cache"))
    assert len(train) == said["written"]
    assert len(refused) == said["refused"] > 0
    assert train.column_names[:7] == table.column_names
    frame = pd.read_parquet(out / "train")
    assert frame["intent"].dtype == "int64"
    assert frame["nr"].dtype == "int32"
    assert str(frame["when"].dtype).startswith("datetime64")
    assert set(frame["branch"]) == {"north", "south"}
    real = frame[~frame["_synthetic"]].set_index("nr").sort_index()
    assert real["utterance"].tolist() == [text for text, _ in found]
    assert real["tags"].map(lambda t: None if t is None else list(t)).tolist() == table["tags"].to_pylist()
    children = frame[frame["_synthetic"]]
    parents = frame.set_index("_id").loc[[p[0] for p in children["_parents"]]]
    for column in ("nr", "intent", "when", "branch", "stars"):
        assert children[column].tolist() == parents[column].tolist()
    assert set(children["length"].dropna()) == {str(len(t)) for t in children["utterance"]}
    changed = (children["utterance"].array != parents["utterance"].array).tolist()
    assert [s["label_prob"] is None for s in children["_scores"]] == changed
    assert children["_scores"].map(lambda s: s["sure_label_prob"]).notna().all()
    steps = children["_steps"].iloc[0]
    assert steps[0]["step"] == "edit_words"
    assert json.loads(steps[0]["drawn"]).keys() == {"op"}
    assert set(pd.read_parquet(out / "refused")["_reason"]) == {"too_short"}
