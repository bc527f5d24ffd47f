"""The weight-free embedder: deterministic, blind to order and repetition, near for near texts."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from leaven.models.backends.hashed import BUCKETS, Hashed

WORDS = [
    "card",
    "money",
    "transfer",
    "bank",
    "account",
    "top",
    "up",
    "pin",
    "lost",
    "stolen",
    "app",
    "fee",
    "rate",
    "change",
    "order",
    "late",
    "cash",
]
TEXTS = [f"{a} {b} {c}" for i, a in enumerate(WORDS) for b in WORDS[i::3] for c in WORDS[i::5]]


def test_shapes_unit_length_and_zeros():
    model = Hashed.fit(TEXTS)
    assert model.arrays()["components"].shape == (128, BUCKETS)
    vectors = model.embed([*TEXTS[:5], ""])
    assert vectors.shape == (6, 128)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors[:5], axis=1), 1, atol=1e-5)
    assert not vectors[5].any()


def test_order_and_repetition_of_the_source_change_no_byte():
    def bytes_of(model: Hashed) -> bytes:
        return model.arrays()["components"].tobytes()

    one = bytes_of(Hashed.fit(TEXTS, seed=3))
    assert bytes_of(Hashed.fit(TEXTS[::-1] + TEXTS[:50], seed=3)) == one
    assert bytes_of(Hashed.fit(TEXTS, seed=4)) != one


def test_a_stored_state_embeds_the_same():
    assert Hashed.from_arrays(MODEL.arrays()).embed(TEXTS).tobytes() == MODEL.embed(TEXTS).tobytes()


def test_fewer_texts_than_dimensions_and_none():
    model = Hashed.fit(["a card", "b money", ""])
    assert model.arrays()["components"].shape[0] == 2
    assert model.embed(["a card"])[0] @ model.embed(["a cards"])[0] > 0.5
    assert not Hashed.fit([]).embed(["anything"]).any()


MODEL = Hashed.fit(TEXTS)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.text(max_size=30), max_size=5), st.text(max_size=30))
def test_a_vector_does_not_depend_on_its_neighbours(others: list[str], text: str):
    alone, among = MODEL.embed([text])[0], MODEL.embed([*others, text])[-1]
    assert alone.tobytes() == among.tobytes()
    assert np.isfinite(alone).all()
