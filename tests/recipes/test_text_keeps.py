"""Rules of published systems over rows made elsewhere, with the scores that models gave them as columns: the worked
values of their fact sheets, one table a recipe."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from asked import cli, source

Row = dict[str, Any]
Said = Callable[..., dict[Any, str]]


@pytest.fixture
def said(ran: Any, tmp_path: Path) -> Said:
    """The reason for which each candidate is refused, by its column `key`; empty where it is kept.  What was kept is in
    ``said.made``."""

    def reasons(recipe: str, real: Sequence[Row], given: Sequence[Mapping[str, Any]], *options: str) -> dict[Any, str]:
        path = tmp_path / "given.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in given), "utf-8")
        found = ran(recipe, list(real), "--given", str(path), *options)
        reasons.made = {row["key"]: row for row in found.made}  # type: ignore[attr-defined]
        return {row["key"]: row["_reason"] for row in found.refused} | dict.fromkeys(reasons.made, "")  # type: ignore[attr-defined]

    return reasons


TEXTS = [{"text": f"real {i}", "label": "ab"[i % 2]} for i in range(4)]


# -- STraTA ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("unsure", "accuracy", "probabilities", "kept"),
    [
        (0, 1, [0.9, 0.5, 0.7, 0.6], [0, 1, 2, 3]),  # both off: all
        (0.5, 1, [0.9, 0.5, 0.7, 0.6], [0, 2, 3]),  # above, not at
        (0.5, 0.8, [0.9, 0.5, 0.7, 0.6], [0, 2]),  # int(.8 x 3), of those that are left
        (0, 0.29, [i / 100 for i in range(1, 101)], list(range(72, 100))),  # int(.29 x 100) = 28
        (0, 0.9, [0.9], []),  # int(.9)
    ],
)
def test_strata(said: Said, unsure: float, accuracy: float, probabilities: list[float], kept: list[int]):
    rows = [
        {"key": i, "text": f"made {i}", "label": "a", "prediction": "b" if i % 3 else "a", "probability": p}
        for i, p in enumerate(probabilities)
    ]
    found = said("strata-keep", TEXTS, rows, "--set", f"unsure={unsure}", "--set", f"accuracy={accuracy}")
    assert sorted(key for key, reason in found.items() if not reason) == kept
    assert all(found[i] == "unsure" for i, p in enumerate(probabilities) if p <= unsure)
    assert all(row["label"] == row["prediction"] for row in said.made.values())  # type: ignore[attr-defined]


# -- FlipDA ---------------------------------------------------------------------------------------------------------

FLIPPED = [  # of one row, whose own label is 0: the labels asked for are 0, 0, 1, 1
    ("a", "0", {"0": 2, "1": 1}),
    ("b", "0", {"0": 0, "1": 3}),
    ("c", "1", {"0": 1.2, "1": 1}),
    ("d", "1", {"0": 0, "1": 1}),
]
THREE = [("e", "2", {"0": 5, "1": 0, "2": 0}), ("f", "1", {"0": 5, "1": 4, "2": -9})]
"""Of another row; divided by ten the second is surer (.4648 to .4519), as they stand the first (.9867 to .7311)."""


@pytest.mark.parametrize(
    ("rule", "kept"),
    [
        ("eachla", {"a": "0", "b": "1", "f": "0"}),
        ("eachla_sep", {"a": "0", "d": "1"}),
        ("prevla", {"a": "0"}),
        ("prevla_comb", {"a": "0", "f": "0"}),
        ("otherla", {"d": "1"}),
        ("otherla_comb", {"b": "1"}),
        ("global_topk", {"a": "0", "b": "1"}),  # the best one of 0 to 0 and of 0 to 1, over all rows
        ("global_topk_sep", {"a": "0", "d": "1"}),
        ("global_topp", {"b": "1", "e": "0"}),  # above .9: .9526, .9867
        ("believe_cls", {"a": "0", "b": "1", "c": "0", "d": "1", "e": "0", "f": "0"}),
    ],
)
def test_flipda(said: Said, rule: str, kept: dict[str, str]):
    rows = [
        {"key": key, "text": f"made {key}", "label": label, "row_id": at, "row_label": "0", "logits": logits}
        for at, some in (("one", FLIPPED), ("two", THREE))
        for key, label, logits in some
    ]
    real = [{"text": f"real {i}", "label": "012"[i % 3]} for i in range(3)]
    found = said("flipda-keep", real, rows, "--set", f"rule={rule}", "--set", "k=1")
    made = said.made  # type: ignore[attr-defined]
    assert {key: row["label"] for key, row in made.items()} == kept
    if rule == "eachla":
        assert found == dict.fromkeys("cde", "below_top_k") | dict.fromkeys("abf", "")
        assert round(float(made["a"]["chance"]), 5) == 0.52498
        assert round(float(made["f"]["chance"]), 5) == 0.46481


# -- CATfOOD --------------------------------------------------------------------------------------------------------

PASSAGE = "Paris lies on the Seine. Lyon lies on the Rhone, in the South."
READ = {"context": PASSAGE, "question": "On which river is Paris?", "answer": "the Seine"}


def test_catfood(said: Said):
    table: list[tuple[str, Row, str]] = [
        (
            "1_0",
            {"question": "Which town is on the Seine?", "answer": "Paris.", "answers": ["paris", "PARIS", "Lyon"]},
            "",
        ),
        ("1_1", {"question": "What lies in the South?", "answer": "Lyon"}, "below_top_k"),  # one of each row: the first
        ("2_0", {"question": "Where is Madrid?", "answer": "Spain"}, "not_in_context"),
        ("3_0", {"question": "Who [lies]", "answer": "Lyon"}, "short"),
        ("4_0", {"question": "hen did 'it' lie down", "answer": "lyon", "answers": ["Lyon", "Lyon", "?"]}, ""),
        ("5_0", {"question": "Is there anything?", "answer": " "}, "no_answer"),
        ("6_0", {**READ}, "duplicate"),  # as a real row
        ("7_0", {"question": "When did it lie down", "answer": "Lyon"}, "duplicate"),  # as 4_0, once that is repaired
        ("8_0", {"question": "Is it a bc", "answer": "in"}, ""),
        ("9_0", {"question": "Is it a b", "answer": "cin", "context": "cinema"}, ""),  # no double: the pair counts
        (
            "10_0",
            {"question": "Which one is it?", "answer": "Rhone", "judged": "Context is relevant: False."},
            "not_relevant",
        ),
        ("13_0", {"question": "Which one is it now?", "answer": "Seine"}, ""),  # the answer is another
        ("11_0", {"question": "Which one is it now?", "answer": "Rhone", "judged": "Context is relevant: True."}, ""),
        (
            "12_0",
            {"question": "Which town is it?", "answer": "Paris", "answers": ["paris", "lyon", "rome"]},
            "read_otherwise",
        ),
    ]
    rows = [
        {
            "context": PASSAGE,
            "judged": None,
            "answers": [row["answer"]] * 3,
            **row,
            "key": key,
            "row_id": key.split("_")[0],
        }
        for key, row, _ in table
    ]
    rows[0]["answers"] = ["paris.", "PARIS.", "Lyon"]
    found = said("catfood-keep", [READ, {**READ, "question": "And Lyon?", "answer": "the Rhone"}], rows)
    assert found == {key: reason for key, _, reason in table}
    assert said.made["4_0"]["question"] == "When did it lie down"  # type: ignore[attr-defined]


# -- AugESC ---------------------------------------------------------------------------------------------------------


def talk(*words: int, roles: str = "", end: str = ".", same: int = 0) -> list[Row]:
    """Messages of so many words, in turn, the last ``same`` of them as the first; each says another thing."""
    roles = roles or "ab" * len(words)
    said = [" ".join([f"w{i}"] * n) + "." for i, n in enumerate(words)]
    for i in range(same):
        said[-1 - i] = said[1 - i % 2]
    said[-1] = said[-1][:-1] + end
    return [{"role": role, "content": text} for role, text in zip(roles, said, strict=False)]


DIALOGUES = {
    "fair": (talk(*[6, 4] * 6), ""),
    "loud": (talk(*[15, 5] * 5), "balance"),  # 25 of 100 words
    "edge": (talk(*[7, 3] * 5), ""),
    "nine": (talk(*[5] * 9), "turns"),
    "ten": (talk(*[5] * 10), ""),
    "forty": (talk(*[5] * 40), ""),
    "forty-one": (talk(*[5] * 41), "turns"),
    "long": (talk(*[100] * 9, 121), "long"),
    "as long as may be": (talk(*[100] * 9, 120), ""),
    "three again": (talk(*[5] * 10, same=3), "repeats"),
    "two again": (talk(*[5] * 10, same=2), ""),
    "four in a row": (talk(*[5] * 10, roles="abaaaababb"), "one_speaks_on"),
    "three in a row": (talk(*[5] * 10, roles="abaaababab"), ""),
    "alone": (talk(*[5] * 10, roles="a" * 10), "format"),
    "cut": (talk(*[5] * 10, end=""), "unfinished"),
    "cut and loud": (talk(*[15, 5] * 5, end=","), "unfinished"),  # the first rule names the reason
    "asked": (talk(*[5] * 10, end='?"'), ""),
}


def test_augesc(said: Said):
    rows = [{"key": key, "messages": messages} for key, (messages, _) in DIALOGUES.items()]
    found = said("augesc-keep", [{"messages": talk(3, 3)}, {"messages": talk(4, 4)}], rows)
    assert found == {key: reason for key, (_, reason) in DIALOGUES.items()}


# -- Self-Instruct ----------------------------------------------------------------------------------------------------

INSTRUCTIONS = {
    "Write a poem": "length",  # three words
    "write  a short  poem": "",
    "Explain photographs to kids": "",
    "Draw me a cat now": "not_text",
    "Please go to the shop": "not_text",
    "File a complaint with them": "not_text",  # so it is in the source, too
    "Profile a hard working baker": "",
    "Write a program that adds numbers": "program",
    "¿Say what this means here?": "begins_oddly",
    '"Yes" is said when?': "begins_oddly",
    "Compose a short poem about the sea": "near_duplicate",  # .8571 to a real one
    "A b c d e f g x y z": "",  # .7 to a real one
    "Tell NASA about our plans": "",
    "Tell NASA about all plans": "near_duplicate",  # .8 to the one before
    "word " * 150: "near_duplicate",  # of the allowed length, as one of 140
    "other " * 151: "length",
}


def test_self_instruct(said: Said):
    real = ["Compose a short poem about the moon", "a b c d e f g h i j", "word " * 140]
    rows = [{"key": i, "instruction": text} for i, text in enumerate(INSTRUCTIONS)]
    rows.append({"key": 99, "instruction": "Say why the sun sets in", "finish": "length"})
    found = said("self-instruct-keep", [{"instruction": text} for text in real], rows)
    assert found == dict(enumerate(INSTRUCTIONS.values())) | {99: "cut_off"}
    made = said.made  # type: ignore[attr-defined]
    assert (made[1]["instruction"], made[12]["instruction"]) == ("Write a short poem", "Tell NASA about our plans")


# -- GENIUS -----------------------------------------------------------------------------------------------------------


def test_genius(said: Said):
    chances = [0.9, 0.1, 0.8, 0.2, 0.7, 0.7000001]
    rows = [{"key": i, "text": f"made {i}", "label": "ab"[i % 2], "chance": p} for i, p in enumerate(chances)]
    found = said("genius-keep", TEXTS, rows)
    assert found == {0: "", 1: "label_doubted", 2: "", 3: "label_doubted", 4: "label_doubted", 5: ""}


# -- InPars -----------------------------------------------------------------------------------------------------------

PROBABLE = {  # of each token: A and C tie at -.2, B is too short, D is -.2325
    "A": [-0.1, -0.2, -0.3],
    "B": [-0.05, -0.05],
    "C": [-0.2, -0.2, -0.2],
    "D": [-0.9, -0.01, -0.01, -0.01],
    "E": [-0.15] * 6,  # the highest mean, one of the lowest sums
    "short enough": [-1.0] * 1000,
    "too long": [-0.001] * 1001,
}
ASKED = [
    {"context": "A dog barks.", "question": "What barks?"},
    {"context": "A cat sleeps.", "question": "What sleeps?"},
]


@pytest.mark.parametrize(
    ("n", "by", "kept"),
    [
        (1, "mean", "E"),
        (2, "mean", "EA"),
        (3, "mean", "EAC"),
        (4, "mean", "EACD"),
        (1, "match", "D"),
        (2, "match", "CD"),
    ],
)
def test_inpars(said: Said, n: int, by: str, kept: str):
    reranked = {"A": 0.5, "B": 0.99, "C": 0.6, "D": 0.880797, "E": 0.3, "short enough": 0.1, "too long": 0.2}
    rows = [
        {
            "key": key,
            "context": f"Text {key}.",
            "question": f"What is {key}?",
            "logprobs": logprobs,
            "match": reranked[key],
        }
        for key, logprobs in PROBABLE.items()
    ]
    found = said("inpars-keep", ASKED, rows, "--set", f"top.n={n}", "--set", f"by={by}")
    assert {key for key, reason in found.items() if not reason} == set(kept)
    dropped = {"B": "length", "too long": "length"}
    assert {key: found[key] for key in dropped} == dropped
    assert found["short enough"] == "below_top_k"


# -- SuperGen ---------------------------------------------------------------------------------------------------------


def test_supergen(said: Said):
    worked = [("A1", "A", -0.5), ("A1 again", "A", -0.1), ("B", "B", -0.3), ("C", "C", -0.2)]
    rows = [
        {"key": f"{label} {key}", "premise": premise, "hypothesis": f"so {key}", "label": label, "logprob": score}
        for label in ("entailment", "contradiction", "neutral")
        for key, premise, score in worked
    ]
    real = [{"premise": f"Real {i}", "hypothesis": "so it is", "label": row["label"]} for i, row in enumerate(rows)]
    found = said("supergen-keep", real, rows, "--set", "pairs=6")
    for label in ("entailment", "contradiction"):
        of_label = {key.removeprefix(f"{label} "): reason for key, reason in found.items() if key.startswith(label)}
        assert of_label == {"A1": "below_top_k", "A1 again": "duplicate", "B": "", "C": ""}
    assert sorted(reason for key, reason in found.items() if key.startswith("neutral")) == [
        "",
        "",
        "duplicate",
        "not_drawn",
    ]


# -- Evol-Instruct ----------------------------------------------------------------------------------------------------


def test_evol(said: Said):
    sorry = ["I am sorry that", *(f"w{i}" for i in range(75))]
    table = [
        ("Explain the tides", "Sorry, I cannot.", None, "sorry"),
        ("Explain the winds", " ".join(sorry), None, "sorry"),  # 79 words, with one more 80
        ("Explain the rains", " ".join([*sorry, "more"]), None, ""),
        ("Explain the seas", "The. Of, and!", False, "empty"),
        ("Explain the hills", "The tide.", False, ""),
        ("Explain the tides again", "They come.", True, "equal"),
        ("Rewrite the given prompt as a haiku", "They come.", False, "copied_prompt"),
        ("#Rewritten Prompt#: explain", "They come.", False, "copied_prompt"),
        ("Improve the Created Prompt", "They come.", False, "copied_prompt"),
        ("Rewrite the prompt as a haiku", "They come.", None, ""),
    ]
    rows = [{"key": i, "instruction": a, "output": b, "equal": c} for i, (a, b, c, _) in enumerate(table)]
    found = said("evol-keep", [{"instruction": f"Do {i}", "output": "Done."} for i in range(2)], rows)
    assert found == {i: reason for i, (*_, reason) in enumerate(table)}


# -- Samuel -----------------------------------------------------------------------------------------------------------


def test_samuel(said: Said):
    table = [
        ("14 days", "The 14 days.", ""),
        ("14 days", "14", "read_differently"),
        ("U.S.", "US", ""),
        ("two weeks", "two weeks", "not_a_span"),
        ("14 days", "", "read_differently"),
        ("14 Days", "14 days", "not_a_span"),  # as it stands, letter by letter
    ]
    passage = "In the U.S. it takes 14 days."
    rows = [
        {"key": i, "context": passage, "question": f"How long, {i}?", "answer": answer, "again": again}
        for i, (answer, again, _) in enumerate(table)
    ]
    real = [{"context": f"It takes {i} days.", "question": "How long?", "answer": f"{i} days"} for i in range(2)]
    assert said("samuel-keep", real, rows) == {i: reason for i, (*_, reason) in enumerate(table)}


# -- AlpaGasus --------------------------------------------------------------------------------------------------------


def test_alpagasus(said: Said):
    replies = {"4.5\n...": 4.5, "5": 5, " 4.5 ": 4.5, "4": 4, "4.5/5": -1, "Score: 5": -1, "": -1}
    rows = [{"key": i, "instruction": f"Do {i}", "output": "Done.", "reply": r} for i, r in enumerate(replies)]
    found = said("alpagasus-keep", [{"instruction": f"Do so {i}", "output": "Done."} for i in range(2)], rows)
    assert found == {i: "" if mark >= 4.5 else "marked_low" for i, mark in enumerate(replies.values())}
    made = said.made  # type: ignore[attr-defined]
    assert [float(made[i]["mark"]) for i in range(3)] == [4.5, 5, 4.5]


# -- T-SciQ ---------------------------------------------------------------------------------------------------------


def test_t_sciq(said: Said):
    errors = {"a": (2, 3), "b": (1, 1), "c": (0, 1), "d": (0, 0), "e": (4, 1)}  # of the plain student, of the planned
    rows = [
        {
            "key": f"{skill} {kind} {i}",
            "question": f"{skill} {i}",
            "answer": "x",
            "skill": skill,
            "kind": kind,
            "errors": n,
        }
        for skill, both in errors.items()
        for kind, n in zip(("plain", "planned"), both, strict=True)
        for i in range(2)
    ]
    real = [{"question": f"real {i}", "answer": "x", "skill": "abcde"[i]} for i in range(5)]
    found = said("t-sciq-keep", real, rows)
    kept = {skill: {key.split()[1] for key, why in found.items() if not why and key[0] == skill} for skill in errors}
    assert kept == {"a": {"plain"}, "b": {"planned"}, "c": {"plain"}, "d": {"planned"}, "e": {"planned"}}
    assert sum(not why for why in found.values()) == 10
    assert {why for why in found.values() if why} == {"other_kind"}


# -- all of them ------------------------------------------------------------------------------------------------------


def test_without_candidates_it_says_how_to_give_them(tmp_path: Path):
    done = cli("augment", source(tmp_path, TEXTS), "-o", tmp_path / "out", "-r", "strata-keep", "-q")
    assert done.code == 1
    said, fix = done.error
    assert "recipe strata-keep line 7: it starts from candidates made elsewhere, and there are none" in said
    assert fix == "Fix: give them with --given FILE."
    assert not (tmp_path / "out").exists()
