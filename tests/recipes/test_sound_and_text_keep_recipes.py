"""Rules of published systems on sounds, and on texts about images, made elsewhere: the worked numbers of each."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from leaven.media.audio import Audio
from recordings import recording
from saying import Heard, Said, Saying
from scored import fate, given, without

Row = dict[str, Any]


def tone(folder: Path) -> str:
    (folder / "tone.wav").write_bytes(Audio.of(np.sin(np.arange(800) / 9).astype(np.float32), 8000).encoded)
    return "tone.wav"


# -- Synthio: sigmoid(scale * cosine) of at least .85, which is 1.734601 before the sigmoid ----------------------------


@pytest.mark.parametrize(("scaled", "reason"), [(1.7346, "unlike_label"), (1.7347, ""), (-5, "unlike_label"), (90, "")])
def test_synthio(ran: Any, tmp_path: Path, scaled: float, reason: str):
    source = [{"audio": tone(tmp_path), "label": label} for label in ("rain", "dog_bark")]
    row = {**source[0], "name": "it", "match": 1 / (1 + math.exp(-scaled))}
    found = ran(without("synthio-keep", ["match"], tmp_path), source, *given([row], tmp_path))
    assert fate(found) == {"it": reason}


def test_synthio_keeps_the_first_try_that_passes(ran: Any, tmp_path: Path):
    source = [{"audio": tone(tmp_path), "label": label} for label in ("rain", "dog_bark")]
    tries = [("a", 0.2), ("a", 0.9), ("a", 0.99), ("b", 0.86), (None, 0.9), (None, 0.9)]
    rows = [{**source[0], "name": str(i), "row_id": of, "match": score} for i, (of, score) in enumerate(tries)]
    found = fate(ran(without("synthio-keep", ["match"], tmp_path), source, *given(rows, tmp_path)))
    assert found == {"0": "unlike_label", "1": "", "2": "below_top_k", "3": "", "4": "", "5": ""}


# -- Wu et al.: refused where the detector's probability of an error is above .9 ---------------------------------------


def test_audio_mixup(ran: Any, tmp_path: Path):
    audio = tone(tmp_path)
    errors = {"fluent": 0.0, "at the cut": 0.9, "above": 0.900001, "sure": 1.0}
    rows = [{"audio": audio, "caption": "A dog barks.", "name": name, "errors": p} for name, p in errors.items()]
    rows.append({"audio": audio, "caption": None, "name": "silent", "errors": 0.0})
    source = [{"audio": audio, "caption": "Rain falls."}]
    found = ran("audio-mixup-keep", source, *given(rows, tmp_path), chat=recording(tmp_path, [("x", "y")]))
    cut = {"fluent": "", "at the cut": "", "above": "disfluent", "sure": "disfluent"}
    assert fate(found) == {**cut, "silent": "no_caption"}


@pytest.mark.parametrize("role", ["complete", "chat"])
def test_audio_mixup_by_a_language_model(ran: Any, tmp_path: Path, role: str):
    """One that completes gives a probability; one that chats, its word."""
    audio = tone(tmp_path)
    wrong = {"a dog barks as rain falls": 0.05, "dog rain bark and and": 0.95, "rain and a dog, perhaps": 0.85}

    def reply(heard: Heard) -> Said:
        prompt = heard.body["prompt"] if role == "complete" else heard.prompt
        [p] = [p for text, p in wrong.items() if text in prompt]
        if role == "chat":
            word = "disfluent" if p > 0.9 else "fluent"
            message = {"role": "assistant", "content": json.dumps({"label": word})}
            return Said({"choices": [{"message": message, "finish_reason": "stop"}]})
        tops = {" disfluent": math.log(p), " fluent": math.log(1 - p)}
        first = {"tokens": [" fluent"], "token_logprobs": [math.log(1 - p)], "top_logprobs": [tops]}
        return Said({"choices": [{"text": " fluent", "logprobs": first, "finish_reason": "length"}]})

    rows = [{"audio": audio, "caption": text, "name": text} for text in wrong]
    with Saying(reply) as server:
        source = [{"audio": audio, "caption": "Rain falls."}]
        found = ran("audio-mixup-keep", source, *given(rows, tmp_path), **{role: f"openai:m@{server.url}"})
    assert fate(found) == {text: "disfluent" if p > 0.9 else "" for text, p in wrong.items()}
    if role == "complete":
        kept = {row["name"]: row["_scores"]["fluency_guess_prob"] for row in found.made}
        assert kept == {"a dog barks as rain falls": 0.95, "rain and a dog, perhaps": 0.85}


# -- GMDA: length, tags, copies, and a second reader -------------------------------------------------------------------

TEXT = "Ann met Bea in York today"


def spans(*marked: tuple[str, str], text: str = TEXT) -> list[Row]:
    return [{"start": text.index(s), "end": text.index(s) + len(s), "label": label} for s, label in marked]


def test_gmda(ran: Any, tmp_path: Path):
    people = spans(("Ann", "PER"), ("York", "LOC"))
    hyphen = "Jean-Luc met Bea in York today"
    nested = "She went to New York and saw York there"
    cases = [
        ("whole", TEXT, people, None, ""),
        ("four tokens", "Ann met Bea today", [], None, "length"),
        ("five tokens", "Ann met Bea again today", [], None, ""),
        ("29 tokens", " ".join(f"x{i}" for i in range(29)), [], None, ""),
        ("30 tokens", " ".join(f"y{i}" for i in range(30)), [], None, "length"),
        ("a tag that no row bears", TEXT + " now", spans(("Ann", "ANIMAL")), None, "tags"),
        ("an empty entity", TEXT + " too", [{"start": 3, "end": 3, "label": "PER"}], None, "tags"),
        ("the same twice", TEXT + " at last", spans(("Ann", "PER"), ("Ann", "LOC")), None, "tags"),
        ("beyond the text", TEXT + " or so", [{"start": 3, "end": 300, "label": "PER"}], None, "tags"),
        ("a hyphen", hyphen, spans(("Jean-Luc", "PER"), text=hyphen), None, "tags"),
        ("nested", nested, spans(("New York", "LOC"), ("York", "LOC"), text=nested), None, ""),
        ("a copy of a candidate", TEXT.upper(), [], None, "duplicate"),
        ("a copy of a row", "Cy met Ann in Bath today", [], None, "duplicate"),
        ("read alike", TEXT + " again", people, people, ""),
        ("read otherwise", TEXT + " indeed", people, people[:1], "tagged_otherwise"),
    ]
    source = [{"text": "Cy met Ann in Bath today", "spans": spans(("Ann", "PER")) + spans(("York", "LOC"))}]
    rows = [
        {"text": text, "spans": marked, "seen_spans": other, "name": name} for name, text, marked, other, _ in cases
    ]
    assert fate(ran("gmda-keep", source, *given(rows, tmp_path))) == {name: reason for name, *_, reason in cases}


# -- SunGen: all weigh the same at first, and a round moves each by .25 before the sigmoid -----------------------------


def test_sungen(ran: Any, tmp_path: Path):
    source = [{"text": "where is my card", "label": "card"}, {"text": "when do you open", "label": "hours"}]
    texts = {"card": "my card is lost and gone", "hours": "are you open on sunday"}
    rows = [{"text": f"{text}, {i}", "label": label} for i in range(40) for label, text in texts.items()]
    rows[0]["label"] = "hours"
    found = ran("sungen-keep", source, *given(rows, tmp_path), "--set", "weight.rounds=1")
    assert len(found.train) == len(found.made) == 80, "no real row is in the set"
    weights = {row["text"]: row["_weight"] for row in found.made}
    unlike = weights.pop(rows[0]["text"])
    assert unlike == pytest.approx(1 / (1 + math.exp(0.25)), abs=1e-3)
    assert unlike + 0.01 < min(weights.values()) <= max(weights.values()) <= 1 / (1 + math.exp(-0.25))
