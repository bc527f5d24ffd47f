"""What looks personal, kind by kind, and what only looks so."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leaven.text.personal import Personal, iban, luhn, personal

DESK = [
    {"text": "my mail is ann.lee@mail.org", "label": "card"},
    {"text": "account DE89 3704 0044 0532 0130 00 is closed", "label": "card"},
    {"text": "call 020 7946 0958 or ann.lee@mail.org", "label": "hours"},
]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Mail Ann.Lee+x@Mail.org now", [("email", "ann.lee+x@mail.org")]),
        ("<ann@mail.example.co.uk>, bob@x.de.", [("email", "ann@mail.example.co.uk"), ("email", "bob@x.de")]),
        ("from https://ann:secret@host.org/x?y=1 on", [("link_user", "https://ann:secret@host.org")]),
        ("IBAN GB82 WEST 1234 5698 7654 32.", [("iban", "GB82WEST12345698765432")]),
        ("pay to de89370400440532013000 please", [("iban", "DE89370400440532013000")]),
        ("card 4111 1111 1111 1111 expired", [("card", "4111111111111111")]),
        ("card 4111-1111-1111-1111", [("card", "4111111111111111")]),
        ("amex 378282246310005", [("card", "378282246310005")]),
        ("host 192.168.0.17 is down", [("ip", "192.168.0.17")]),
        ("host 2001:DB8::1 is down", [("ip", "2001:db8::1")]),
        ("call +49 (0)30 1234567 or 020 7946 0958", [("phone", "490301234567"), ("phone", "02079460958")]),
        ("(415) 555-0132", [("phone", "4155550132")]),
        ("415-555-0132.", [("phone", "4155550132")]),
        ("customer 837465920", [("number", "837465920")]),
        ("a@b.org a@b.org A@B.ORG", [("email", "a@b.org")]),
        ("the card 4111 1111 1111 1112", []),  # the check digit is wrong
        ("GB82 WEST 1234 5698 7654 33", []),
        ("on 2024-05-17 or 17.05.2024 or 05/17/24 12:30", []),
        ("in 1984, 1985 1986 1987 and 2001-2003", []),
        ("costs 1,234,567.89 or 12345678 or 0.123456789", []),
        ("flight 1200 1300 to gate 12", []),
        ("at 10:30:15 and localhost 127.0.0.1", []),
        ("version 1.2.3, 999.1.1.1, @ann, ann@home", []),
        ("https://host.org/a@b", []),
        ("000000000000", []),
        ("", []),
    ],
)
def test_by_hand(text: str, found: list[tuple[str, str]]):
    assert sorted(personal(text)) == sorted(found)


def test_check_digits():
    assert luhn("79927398713")
    assert not luhn("79927398710")
    assert iban("FR1420041010050500013M02606")
    assert not iban("FR1420041010050500013M02607")


def noted(text: str) -> tuple[int, int, str | None]:
    [row] = Personal()({"text": text, "label": "made"}, source=DESK)
    return row["personal"], row["personal_kept"], row["personal_kind"]


def test_what_a_real_row_holds():
    assert noted("write to new@mail.org") == (1, 0, "email")
    assert noted("new@mail.org, ring 0207 946 0958") == (2, 1, "phone")
    assert noted("DE89370400440532013000 and ANN.LEE@mail.org") == (2, 2, "email")
    assert noted("nothing here") == (0, 0, None)


def test_a_real_row_is_not_compared_with_itself():
    def kept(row: dict[str, str]) -> int:
        [found] = Personal()(row, source=DESK)
        return int(found["personal_kept"])

    assert [kept(row) for row in DESK] == [1, 0, 1]  # two rows share an address


@given(st.text(max_size=60))
@settings(max_examples=60)
def test_any_text(text: str):
    count, kept, kind = noted(text)
    assert 0 <= kept <= count
    assert (kind is None) == (count == 0)


@given(st.text(alphabet="0123456789 -+().:@a", max_size=60))
@settings(max_examples=60)
def test_each_counts_once(text: str):
    found = personal(text)
    assert len(set(found)) == len(found)
    assert set(personal(f"{text} , {text}")) >= {(kind, said) for kind, said in found if kind == "email"}


@pytest.mark.parametrize("piece", ["1", "a@", "1-", "a.", "ab12 ", "1:", "http://", "+1 ", "::", "1.2.", "a.b@c.", "("])
def test_a_long_text_takes_no_long(piece: str):
    began = time.perf_counter()
    personal(piece * (400_000 // len(piece)))
    assert time.perf_counter() - began < 3
