"""Who may ask the review page's server, and what it answers to nonsense."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from serving import Serving

from leaven.cli import run

Serve = Callable[..., Serving]
LINE = {"id": "6f", "content": "c", "action": "accept", "old": None, "new": None, "time": "t"}


def ask(served: Serving, path: str, body: Any = None, **headers: str) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=20)
    said = {"X-Leaven-Key": served.key, **{name.replace("_", "-"): value for name, value in headers.items()}}
    connection.putrequest("GET" if body is None else "POST", path, skip_host="Host" in said)
    data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    for name, value in {**said, **({"Content-Length": str(len(data))} if data else {})}.items():
        connection.putheader(name, value)
    connection.endheaders(data)
    answer = connection.getresponse()
    found = answer.status, dict(answer.getheaders()), answer.read()
    connection.close()
    return found


@pytest.fixture
def served(out: Path, serve: Serve) -> Serving:
    return serve(out)


def test_only_this_page_with_this_key_is_answered(served: Serving):
    assert ask(served, "/api/run")[0] == 200
    assert ask(served, "/api/run", X_Leaven_Key="wrong")[0] == 403
    assert ask(served, "/api/run", X_Leaven_Key="")[0] == 403
    assert ask(served, "/api/run", Host="evil.example")[0] == 403  # a name that was bent to this machine
    assert ask(served, "/", Host=f"evil.example:{served.port}")[0] == 403
    assert ask(served, "/api/run", Origin="http://evil.example")[0] == 403
    assert ask(served, "/api/decisions", [LINE], Origin="null")[0] == 403
    assert ask(served, "/api/run", Origin=f"http://127.0.0.1:{served.port}")[0] == 200
    assert served.lines() == []
    status, headers, body = ask(served, "/", X_Leaven_Key="")
    assert status == 200
    assert served.key.encode() not in body
    assert b"rate" not in body.replace(b"separate", b"")  # no word of the data: it is asked for with the key
    assert headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_it_listens_on_loopback_alone(served: Serving):
    elsewhere = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)}
    for address in elsewhere - {"127.0.0.1", "127.0.1.1"}:
        with pytest.raises(OSError):
            socket.create_connection((address, served.port), timeout=2).close()


def test_nonsense_is_answered_and_writes_nothing(served: Serving):
    for path in ("/api/record/999999", "/api/record/x", "/api/list?at=99999", "/api/media?id=../../etc&column=_id",
                 "/api/media?id=x&column=image", "/nothing", "/../run.json"):  # fmt: skip
        assert ask(served, path)[0] == 404, path
    assert ask(served, "/api/text?id=../run.json&column=utterance")[::2] == (200, b"")
    for body in (
        b"{",
        b"[" * 50_000,
        [{"id": 1}],
        [{**LINE, "action": "burn"}],
        [{**LINE, "action": "relabel", "new": "x"}],
    ):
        status, _, said = ask(served, "/api/decisions", body)
        assert (status, "error" in json.loads(said)) == (422, True), body
    assert ask(served, "/api/decisions", {"not": "a list"})[0] == 200
    for wish in ({}, {"threshold": 9}, {"threshold": 0, "condition": 0, "value": "x"}, [1]):
        assert ask(served, "/api/recipe", wish)[0] == 422, wish
    assert served.lines() == []
    assert ask(served, "/api/run")[0] == 200


def test_a_line_that_is_sent_twice_is_written_once(served: Serving, serve: Serve):
    for _ in range(2):
        assert ask(served, "/api/decisions", [LINE, {**LINE, "action": "undo", "time": "u"}])[0] == 200
    assert len(served.lines()) == 2
    served.kill()
    again = serve(served.out)
    ask(again, "/api/decisions", [LINE])
    assert len(again.lines()) == 2
    found = json.loads(ask(again, "/api/decisions?since=0")[2])
    assert [line["action"] for line in found["lines"]] == ["accept", "undo"]
    assert found["end"] == (served.out / "review" / "decisions.jsonl").stat().st_size
    assert json.loads(ask(again, f"/api/decisions?since={found['end']}")[2])["lines"] == []


def test_half_a_line_of_a_killed_server_is_taken_away(out: Path, serve: Serve):
    (out / "review").mkdir()
    path = out / "review" / "decisions.jsonl"
    path.write_bytes(json.dumps(LINE).encode() + b'\n{"id":"6f","cont')
    served = serve(out)
    ask(served, "/api/decisions", [{**LINE, "time": "later"}])
    assert [line["time"] for line in served.lines()] == ["t", "later"]


@pytest.mark.parametrize(
    ("asked", "said"),
    [(["nowhere"], "nowhere holds no run"), (["{out}", "--port", "1"], "port 1 cannot be used")],
)
def test_what_cannot_be_served_is_said(
    asked: list[str], said: str, out: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    import os

    if "--port" in asked and os.geteuid() == 0:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = str(taken.getsockname()[1])
            assert run(["review", str(out), "--port", port]) == 1
            assert f"port {port} cannot be used" in capsys.readouterr().err
        return
    assert run(["review", *(part.format(out=out) for part in asked)]) == 1
    assert said in capsys.readouterr().err
