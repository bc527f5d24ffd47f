"""WANLI: its rules in their order, and the most ambiguous, above a quantile and by a count a label."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

REAL = [
    {"premise": f"{who} {did}.", "hypothesis": f"{who} {also}.", "label": label}
    for who in ("Ann", "The old man", "My neighbour", "A tall girl")
    for did, also, label in (
        ("sang in the hall", "was silent", "contradiction"),
        ("ran a mile", "moved fast", "entailment"),
        ("sat on a chair", "was rather tired", "neutral"),
    )
]
DEMO = ["It was dark in town.", "Nobody saw a thing."]
Given = dict[str, Any]


def pair(premise: str, hypothesis: str, ambiguity: float, label: str = "neutral") -> Given:
    return {"premise": premise, "hypothesis": hypothesis, "label": label, "ambiguity": ambiguity, "demos": [DEMO]}


GIVEN = [
    (pair("  Hi.  ", "It is a dog that barks.", 0.5), "short"),
    (pair("It is a dog that barks.", " 1234 ", 0.5), "short"),
    (pair("tiny", "tiny", 0.5), "short"),  # copied, too: the first rule names the reason
    (pair("Hi there.", "hi there", 0.5), "copied_premise"),
    (pair("He said The speaker left", "Yes it is", 0.5), "forbidden"),
    (pair("Here is a pair of sentences", "It is one of them", 0.5), "forbidden"),
    (pair("There the pair of", " sentences stood alone", 0.5), "forbidden"),  # joined with nothing between them
    (pair(*DEMO, 0.5), "copied_nn"),
    # The eleven that are left: int(0.5 x 11) // 3 = 1 of each label, and not 5 in all.
    (pair("There the pair of", "sentences stood alone", 0.3266), ""),
    (pair("Hello", "It is", 0.1), "below_top_k"),  # five characters are enough
    (pair("He said the speaker left", "Yes it is", 0.2944), "below_top_k"),  # the case counts
    (pair(DEMO[0], DEMO[1][:-1], 0.0816), "below_top_k"),  # but for a full stop
    (pair("'ello there", '"Good evening," he said', 0.0), "below_top_k"),
    (pair("  'tis a fine day ", '"It rains."', 0.2, "contradiction"), ""),
    (pair("(He left) and so (did) she", "(They both stayed here)", 0.2, "contradiction"), "below_top_k"),  # a tie
    (pair("The shop is closed", "It sells bread", 0.1, "contradiction"), "below_top_k"),
    (pair("A boat went by", "There was water here", 0.1, "entailment"), "below_top_k"),
    (pair("A bird flew by", "There was a bird", 0.3, "entailment"), ""),
    (pair("A horse ran by", "There was a horse", 0.2999, "entailment"), "below_top_k"),
]


def test_rules_and_then_as_many_of_each_label(ran: Any, tmp_path: Path):
    path = tmp_path / "given.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row, _ in GIVEN), "utf-8")
    found = ran("wanli-keep", REAL, "--given", str(path))
    said = {(r["premise"].strip(" '"), r["label"], float(r["ambiguity"])): r["_reason"] for r in found.refused}
    said |= {(r["premise"].strip(" '"), r["label"], float(r["ambiguity"])): "" for r in found.made}
    assert said == {(r["premise"].strip(" '"), r["label"], r["ambiguity"]): reason for r, reason in GIVEN}
    [tis] = [row for row in found.made if row["label"] == "contradiction"]
    assert (tis["premise"], tis["hypothesis"]) == ("tis a fine day", "It rains."), "cleaned after the rules"
    assert found.train == found.made, "no real row goes into the set"


CHANGING = {"x": [0.1, 0.2, 0.3, 0.4, 0.5], "y": [0.7, 0.7, 0.7, 0.7, 0.7], "z": [0.0, 0.9, 0.3, 0.9]}
"""The third quarter ends at 0.4, at 0.7, and at 0.9: what stands there is not above it."""


def test_seeds_are_above_the_third_quarter_of_their_label(ran: Any):
    rows = [
        {
            "premise": f"{label} {i} is here",
            "hypothesis": "so it is",
            "label": label,
            "changing": value,
            "genre": "fiction",
        }
        for label, values in CHANGING.items()
        for i, value in enumerate(values)
    ]
    calls = [{**rows[0], "premise": f"hello {i}", "changing": 0.9, "genre": "telephone"} for i in range(4)]
    found = ran("wanli-seeds", rows + calls)
    assert [(row["label"], row["changing"]) for row in found.train] == [("x", 0.5)]
    assert (found.made, found.refused) == ([], []), "real rows are chosen, none is made or refused"
