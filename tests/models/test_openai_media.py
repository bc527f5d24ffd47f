"""Images and sounds over OpenAI's protocol: shown to a chat model, painted, spoken, written down."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import io
import json
import sqlite3
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import openai
import pytest
from pydantic import BaseModel

from asked import cli, output, recipe, source, table
from leaven.engine.opening import check_price
from leaven.errors import BudgetReached, ModelError
from leaven.media.audio import Audio
from leaven.media.image import Image
from leaven.models.asker import Asker
from leaven.models.backends.openai_media import VOICES, form, transparent, whole_wav
from leaven.models.budget import Budget
from leaven.models.calls import About, CallFailed
from leaven.models.config import Config
from leaven.models.conversation import Conversation
from leaven.models.ledger import Ledger
from leaven.models.players import Players
from loopback.draws import digest
from loopback.forms import read_form
from loopback.process import Server
from saying import Said, Saying, error

RED = Image.of(np.full((8, 8, 3), (200, 30, 30), np.uint8))
HALF = Image.of(np.repeat([[0] * 4 + [255] * 4], 8, axis=0).astype(np.uint8))
"""A mask, white in its right half."""
HOSTILE = ["429", "500", "503", "garbage", "half"]
TONE = Audio.of(np.sin(np.arange(4000) / 5).astype(np.float32) / 2, 8000)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tries follow each other without a pause; no variable of this machine is read."""
    sleep = asyncio.sleep
    monkeypatch.setattr("leaven.models.limiter.asyncio.sleep", lambda s: sleep(min(s, 0.01)))
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


class Asked:
    """One server for all roles, asked in this process."""

    def __init__(self, url: str, folder: Path | None = None, *, config: Config | None = None) -> None:
        uri = f"openai:m@{url}"
        named = dict.fromkeys(("chat", "caption", "paint", "speak", "transcribe"), uri)
        self.players = Players(named, config or Config(), recording=lambda said: [], timeout=5)
        self.ledger = Ledger(folder / "ledger.sqlite" if folder else None)
        self.asker = Asker(self.ledger, Budget(None, 0.0))
        self.said: list[str] = []
        self.asker.say = lambda text, *, warning=True: self.said.append(text)
        self.conversation = Conversation(self.asker, self.players)

    def __call__(self, method: str, *arguments: Any, **how: Any) -> Any:
        """What a method of the conversation gives, or raises."""

        async def work() -> Any:
            about = [] if method == "voices" else [About("step", 0, "record")]
            try:
                return await getattr(self.conversation, method)(*arguments, *about, **how)
            finally:
                await self.players.close()

        return asyncio.run(work())


@pytest.fixture
def asked(server: Server, tmp_path: Path) -> Iterator[Asked]:
    made = Asked(server.url, tmp_path)
    with contextlib.closing(made.ledger):
        yield made


# -- shown -------------------------------------------------------------------------------------------------------------


def jpeg() -> Image:
    from PIL import Image as pillow

    out = io.BytesIO()
    pillow.new("RGB", (16, 8), (0, 0, 250)).save(out, "JPEG", quality=95)
    return Image(out.getvalue())


def bmp() -> Image:
    from PIL import Image as pillow

    out = io.BytesIO()
    pillow.new("RGB", (5, 4), (10, 250, 20)).save(out, "BMP")
    return Image(out.getvalue())


@pytest.mark.parametrize(
    ("shown", "seen"),
    [
        (RED, "[image rgb(200,30,30) 8 x 8]"),
        (jpeg(), "[image rgb(0,0,250) 16 x 8]"),
        (bmp(), "[image rgb(10,250,20) 5 x 4]"),  # of a format that the protocol has not: a PNG of it
        (TONE, f"[sound of {len(TONE.encoded)} bytes, wav]"),
    ],
)
def test_a_chat_model_is_shown_an_image_or_a_sound(asked: Asked, server: Server, shown: Any, seen: str):
    said = asked("chat", [{"role": "user", "content": "What is it?"}], shown=[shown])
    assert said.endswith(seen)
    [body] = server.bodies()
    kinds = [part["type"] for part in body["messages"][0]["content"]]
    assert kinds == ["input_audio" if shown is TONE else "image_url", "text"]


def test_a_caption_is_asked_of_a_chat_model_with_the_image(asked: Asked, server: Server):
    assert asked("caption", RED).endswith("[image rgb(200,30,30) 8 x 8]")
    assert server.counts()["requests"] == {"/v1/chat/completions": 1}


def test_the_ledger_holds_hashes_and_no_base64(asked: Asked, tmp_path: Path):
    asked("caption", RED)
    with contextlib.closing(sqlite3.connect(tmp_path / "ledger.sqlite")) as db:
        [(kept,)] = db.execute("SELECT asked FROM answers")
    parts = json.loads(kept)["messages"][0]["content"]
    assert [sorted(part) for part in parts] == [["name", "type"], ["text", "type"]]
    assert base64.b64encode(RED.encoded)[:40].decode() not in kept


def test_a_repair_turn_shows_the_image_again(server: Server, asked: Asked):
    class Shade(BaseModel):
        light: int
        dark: int

    server.set(script=[{"match": "rgb(200,30,30)", "answer": "neither"}])
    with pytest.raises(CallFailed, match="no_valid_json"):
        asked("chat", [{"role": "user", "content": "Which colour?"}], shape=Shade, shown=[RED])
    bodies = server.bodies()
    assert [len(body["messages"]) for body in bodies] == [1, 3]
    assert all(body["messages"][0]["content"][0]["type"] == "image_url" for body in bodies)


def test_a_large_image_goes_in_pieces(asked: Asked, server: Server):
    noise = Image.of(np.random.default_rng(0).integers(0, 256, (640, 800, 3), np.uint8))
    assert len(noise.encoded) > 1_000_000
    assert asked("caption", noise).endswith("800 x 640]")


# -- painted -----------------------------------------------------------------------------------------------------------


def colour(prompt: str) -> tuple[int, ...]:
    """What the server paints for a prompt."""
    return tuple(bytes.fromhex(digest(prompt.encode())[:6]))


def test_an_image_is_painted_in_the_size_that_is_asked_for(asked: Asked, server: Server):
    made = asked("paint", "a red bird", width=48, height=24)
    assert made.size == (48, 24)
    assert tuple(made.pixels[3, 5]) == colour("a red bird")
    [body] = server.bodies()
    assert body == {"prompt": "a red bird", "model": "m", "size": "48x24", "response_format": "b64_json"}
    assert asked.asker.spend.unpriced == {"m"}
    assert (asked.asker.spend.tokens_in, asked.asker.spend.tokens_out) == (3, 1000)
    server.reset()
    again = asked("paint", "a red bird", width=48, height=24)
    assert again.encoded == made.encoded
    assert server.counts()["requests"] == {}


def test_an_image_is_painted_over_where_its_mask_is_white(asked: Asked, server: Server):
    made = asked("paint", "a bird", images={"image": RED, "mask": HALF})
    assert made.size == (8, 8)
    assert tuple(made.pixels[4, 1]) == (200, 30, 30)
    assert tuple(made.pixels[4, 6]) == colour("a bird")
    assert server.counts()["requests"] == {"/v1/images/edits": 1}


def test_without_a_mask_all_of_it_may_change(asked: Asked):
    made = asked("paint", "a bird", images={"image": RED})
    expected = [(before + after) // 2 for before, after in zip((200, 30, 30), colour("a bird"), strict=True)]
    assert made.pixels[4, 1].tolist() == expected


def test_a_parameter_that_a_server_refuses_is_left_out_once(asked: Asked, server: Server):
    server.set(refuse=["response_format"], always_b64=True)
    assert asked("paint", "one").size == (32, 32)
    assert asked("paint", "two", images={"image": RED}).size == (8, 8)
    assert server.counts()["statuses"] == {"200": 2, "400": 1}
    assert asked.said == ["m refuses `response_format`: it is asked without it."]


def test_what_the_protocol_has_no_word_for(asked: Asked):
    assert asked("paint", "one", steps=20, negative="").size == (32, 32)
    assert asked.said == ["m refuses `steps`: it is asked without it."]
    with pytest.raises(ModelError, match="takes no `control`") as caught:
        asked("paint", "two", images={"control": RED})
    assert caught.value.fix == "name a model that does: paint=diffusers:FOLDER"


def painted(data: bytes) -> Said:
    return Said({"data": [{"b64_json": base64.b64encode(data).decode()}]})


def one(role: str, said: Said, **how: Any) -> tuple[Any, int]:
    """What comes of a call to a server that says this, and how many requests it took."""
    with Saying(lambda heard: said) as server:
        asked = Asked(server.url)
        with contextlib.closing(asked.ledger):
            try:
                if role == "paint":
                    found = asked("paint", "a bird", **how)
                elif role == "speak":
                    found = asked("speak", "one two", voice="nova", rate=1.0)
                else:
                    found = asked("transcribe", TONE)
            except (CallFailed, ModelError) as wrong:
                found = wrong
        return found, len(server.heard)


@pytest.mark.parametrize(
    ("said", "reason", "detail", "tries"),
    [
        (painted(b"no image"), "no_answer", "what came is no image: the image: no image format is recognised", 1),
        (painted(RED.encoded[:-40]), "no_answer", "what came is no image", 1),
        (painted(b""), "server_error", "an answer without an image", 5),
        (Said({"data": [{"b64_json": "iVBORw0KGg"}]}), "server_error", "the image is no whole base64", 5),
        (Said({"data": []}), "server_error", "an answer without an image", 5),
        (Said({"data": {"b64_json": 3}}), "server_error", "an answer without an image", 5),
        (Said({"error": {"message": "moved away"}}), "server_error", "moved away", 5),
        (Said(b"<html>"), "server_error", "no JSON object", 5),
        (error(400, "Your request was rejected by the safety system."), "provider_refused", "safety system", 1),
    ],
)
def test_an_answer_that_is_no_image(said: Said, reason: str, detail: str, tries: int):
    found, requests = one("paint", said)
    assert isinstance(found, CallFailed)
    assert found.reason == reason
    assert detail in found.detail
    assert requests == tries


def test_an_address_of_an_image_is_not_fetched():
    with Saying(lambda heard: Said(b"")) as stranger:
        found, requests = one("paint", Said({"data": [{"url": f"{stranger.url}/image.png"}]}))
        assert stranger.heard == []
    assert isinstance(found, ModelError)
    assert "leaven fetches none" in found.what
    assert "b64_json" in found.fix
    assert requests == 1


def test_what_comes_back_in_another_size_is_brought_back_or_refused():
    large = Image.of(np.full((16, 16, 3), 7, np.uint8)).encoded
    wide = Image.of(np.full((8, 16, 3), 7, np.uint8)).encoded
    scaled, _ = one("paint", painted(large), images={"image": RED, "mask": HALF})
    assert scaled.size == (8, 8)
    left, _ = one("paint", painted(wide), images={"image": RED})
    assert left.size == (16, 8)
    refused, _ = one("paint", painted(wide), images={"image": RED, "mask": HALF})
    assert (refused.reason, refused.detail) == ("wrong_size", "8 x 8 pixels were sent, 16 x 8 came back")


def test_a_mask_for_the_protocol_is_transparent_where_ours_is_white():
    mask = Image(transparent(HALF.pixels))
    from PIL import Image as pillow

    alpha = np.asarray(pillow.open(io.BytesIO(mask.encoded)))[..., 3]
    assert alpha[0].tolist() == [255] * 4 + [0] * 4


def test_a_key_that_stands_in_an_image_by_chance_stays_there(monkeypatch: pytest.MonkeyPatch):
    """What hides keys in answers must not spoil an image."""
    said = painted(RED.encoded)
    assert isinstance(said.body, dict)
    part = said.body["data"][0]["b64_json"][60:66]
    monkeypatch.setenv("THE_KEY", part)
    with Saying(lambda heard: said) as server:
        asked = Asked(server.url, config=Config(keys={"127.0.0.1": "THE_KEY"}))
        with contextlib.closing(asked.ledger):
            assert asked("paint", "a bird").encoded == RED.encoded
            assert server.heard[0].headers["authorization"] == f"Bearer {part}"


# -- spoken, written down ----------------------------------------------------------------------------------------------


def test_a_text_is_spoken(asked: Asked, server: Server):
    made = asked("speak", "one two three", voice="nova", rate=1.0)
    assert (made.seconds, made.rate) == (pytest.approx(0.3), 8000)
    with wave.open(io.BytesIO(made.encoded)) as file:  # its header is right, which was not when it came
        assert file.getnframes() == 2400
    faster = asked("speak", "one two three", voice="nova", rate=1.5)
    assert faster.seconds == pytest.approx(0.2)
    assert [body.get("speed") for body in server.bodies()] == [None, 1.5]
    assert server.bodies()[0] == {"input": "one two three", "model": "m", "voice": "nova", "response_format": "wav"}


def test_voices_are_the_servers_own_or_the_protocols(asked: Asked, server: Server):
    server.set(voices=["ada", "bob"])
    assert asked("voices") == ["ada", "bob"]
    server.set(voices=[])
    fresh = Asked(server.url)
    with contextlib.closing(fresh.ledger):
        assert fresh("voices") == list(VOICES)


@pytest.mark.parametrize(
    ("said", "names"),
    [
        (Said({"voices": [{"id": "a", "name": "A"}, {"name": "b"}, 3]}), ["a", "b"]),
        (Said([{"voice_id": "c"}]), ["c"]),  # type: ignore[arg-type]
        (Said({"voices": "many"}), list(VOICES)),
        (Said(b"<html>"), list(VOICES)),
        (Said(b"", 500), list(VOICES)),
    ],
)
def test_voices_in_the_forms_that_servers_have(said: Said, names: list[str]):
    with Saying(lambda heard: said) as server:
        asked = Asked(server.url)
        with contextlib.closing(asked.ledger):
            assert asked("voices") == names


@pytest.mark.parametrize(
    ("said", "reason", "tries"),
    [
        (Said(b""), "no_answer", 1),
        (Said(TONE.encoded[:44]), "no_answer", 1),
        (Said(b"ID3 no sound at all"), "no_answer", 1),
        (Said({"error": {"message": "out of breath"}}), "server_error", 5),
        (Said({"audio": "no"}), "server_error", 5),
        (Said(TONE.encoded, claim=100), "server_error", 5),
    ],
)
def test_an_answer_that_is_no_sound(said: Said, reason: str, tries: int):
    found, requests = one("speak", said)
    assert isinstance(found, CallFailed)
    assert (found.reason, requests) == (reason, tries)


def test_a_wav_without_an_end_gets_one():
    data = bytearray(TONE.encoded)
    data[4:8] = data[40:44] = b"\xff" * 4
    assert whole_wav(bytes(data)) == TONE.encoded
    assert whole_wav(TONE.encoded) == TONE.encoded
    assert whole_wav(b"RIFF\xff\xff\xff\xffWAVE") == b"RIFF\xff\xff\xff\xffWAVE"


def test_speech_is_written_down(asked: Asked, server: Server):
    assert asked("transcribe", TONE) == "a sound of 0.50 seconds"
    assert server.counts()["requests"] == {"/v1/audio/transcriptions": 1}
    assert asked.asker.spend.unpriced == {"m"}


@pytest.mark.parametrize(
    ("said", "found"),
    [
        (Said({"text": "  turn  on\nthe light "}), "turn on the light"),
        (Said({"text": ""}), ""),
        (Said({"words": []}), "server_error"),
        (Said({"text": None}), "server_error"),
        (Said(b"plain"), "server_error"),
        (error(400, "Audio file might be corrupted or unsupported"), "provider_refused"),
    ],
)
def test_what_was_heard(said: Said, found: str):
    came, _ = one("transcribe", said)
    assert (came.reason if isinstance(came, CallFailed) else came) == found


# -- forms, prices, the official client --------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["plain", 'a "quote" and\r\n--a line\r\n', "é \U0001f600", ""])
def test_a_form_is_read_as_it_was_written(text: str):
    body, kind = form({"prompt": text, "n": 2}, [("file", "a.bin", "audio/wav", b"\r\n--\0\xff\r\n")])
    assert read_form(kind, body) == {"prompt": text, "n": "2", "file": b"\r\n--\0\xff\r\n"}


def test_a_budget_needs_a_price_and_takes_the_users_own(server: Server, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-none")
    players = Players({"paint": "openai:gpt-4o", "chat": "openai:gpt-4o"}, Config(), recording=lambda said: [])
    assert players.player("chat")[1].price is not None
    with pytest.raises(ModelError, match="no price is known for gpt-4o"):  # that of its tokens says nothing of images
        check_price("paint", players.player("paint")[1], 2.0)
    own = Asked(server.url, config=Config(prices={"m": (1.0, 40.0)}))
    with contextlib.closing(own.ledger):
        own("paint", "a red bird")
        assert own.asker.spend.usd == pytest.approx((3 * 1.0 + 1000 * 40.0) / 1e6)


def test_what_an_image_may_cost_is_reserved(server: Server):
    """A budget holds back more than an image can take, though the ledger's name of it is short."""
    own = Asked(server.url, config=Config(prices={"m": (1.0, 1.0)}))
    with contextlib.closing(own.ledger):
        own.asker.budget.limit = 0.005
        with pytest.raises(BudgetReached, match="would pass --budget"):
            own("caption", RED)
        own.asker.budget.limit = 0.02
        own.asker.stopping = False
        assert own("caption", RED).endswith("8 x 8]")


def test_the_loopback_server_as_the_official_client_reads_it(server: Server):
    with openai.OpenAI(base_url=server.url, api_key="sk-test", max_retries=0) as client:
        made = client.images.generate(model="m", prompt="a bird", size="64x64", response_format="b64_json")  # type: ignore[call-overload]
        assert Image(base64.b64decode(made.data[0].b64_json)).size == (64, 64)
        mask = transparent(HALF.pixels)
        edited = client.images.edit(
            model="m", prompt="a bird", image=("a.png", RED.encoded), mask=("m.png", mask), response_format="b64_json"
        )
        assert edited.data
        assert Image(base64.b64decode(str(edited.data[0].b64_json))).size == (8, 8)
        spoken = client.audio.speech.create(model="m", voice="nova", input="one two", response_format="wav")
        assert Audio(whole_wav(spoken.content)).seconds == pytest.approx(0.2)
        heard = client.audio.transcriptions.create(model="m", file=("a.wav", TONE.encoded))
        assert heard.text == "a sound of 0.50 seconds"


# -- whole runs --------------------------------------------------------------------------------------------------------


def test_a_run_that_shows_images_to_a_chat_model(server: Server, tmp_path: Path):
    """Each row's answer is that to its own pixels, with hostile and broken ones among them."""
    photos = tmp_path / "photos"
    for name, shade in {"light": 230, "dark": 20}.items():
        (photos / name).mkdir(parents=True)
        for i in range(4):
            pixels = np.full((8, 8, 3), shade + i, np.uint8)
            (photos / name / f"{i}.png").write_bytes(Image.of(pixels).encoded)
    mine = recipe(tmp_path, "ask: {prompt: How light is it?, show: image, into: seen}", fields=["image", "label"])
    shades = [shade + i for shade in (20, 230) for i in range(4)]
    script = [{"match": f"rgb({n},{n},{n})", "answer": {"seen": f"shade {n}"}} for n in shades]
    for workers in (1, 2):
        server.set(script=script, hostile=0.3, hostile_seed=workers, hostile_kinds=HOSTILE)
        out = tmp_path / f"o{workers}"
        ran = cli("augment", photos, "-o", out, "-r", mine, f"--model=chat=openai:m@{server.url}", "--workers", workers)
        assert ran.code == 0, ran.err
        found = {row["seen"]: Image(row["image"]["bytes"]).pixels[0, 0, 0] for row in table(out)}
        assert found == {f"shade {n}": n for n in shades}


def photographs(folder: Path) -> Path:
    """Two images of each of two labels."""
    for name, shade in {"light": 230, "dark": 20}.items():
        (folder / name).mkdir(parents=True)
        for i in range(2):
            (folder / name / f"{i}.png").write_bytes(Image.of(np.full((8, 8, 3), shade + i, np.uint8)).encoded)
    return folder


def test_a_run_that_paints(server: Server, tmp_path: Path):
    photos = photographs(tmp_path / "photos")
    steps = [{"paint": {"prompt": "a {{ label }} wall", "n": 2, "width": 16, "height": 12}}]
    mine = recipe(tmp_path, *map(json.dumps, steps), fields=["image", "label"])
    model = f"--model=paint=openai:m@{server.url}"
    made = []
    for workers in (1, 2):
        server.set(hostile=0.3, hostile_seed=workers, hostile_kinds=HOSTILE)
        out = tmp_path / f"o{workers}"
        ran = cli("augment", photos, "-o", out, "-r", mine, model, "--workers", workers)
        assert ran.code == 0, ran.err
        assert "m refuses `steps`: it is asked without it." in ran.err
        made.append(output(out))
    assert made[0] == made[1]
    painted = [Image(row["image"]["bytes"]) for row in table(tmp_path / "o1") if row["_synthetic"]]
    assert {image.size for image in painted} == {(16, 12)}
    assert {tuple(image.pixels[0, 0].tolist()) for image in painted} == {colour("a light wall"), colour("a dark wall")}
    server.reset()
    assert cli("verify", tmp_path / "o1").code == 0
    assert server.counts()["requests"] == {}
    planned = cli("plan", photos, "-o", tmp_path / "new", "-r", mine, model, "--json").said
    assert (planned["calls"], planned["usd"], planned["unpriced"]) == ([8.0, 8.0], None, ["m"])
    assert list(planned["leaves"]) == [f"127.0.0.1:{server.port}"]
    refused = cli("augment", photos, "-o", tmp_path / "new", "-r", mine, model, "--budget", 2)
    assert "no price is known for m" in refused.error[0]


def test_a_run_that_speaks_and_listens(server: Server, tmp_path: Path):
    steps = [{"speak": {"voice": "any", "n": 2}}, {"transcript": {}}]
    mine = recipe(tmp_path, *map(json.dumps, steps))
    models = [f"--model={role}=openai:m@{server.url}" for role in ("speak", "transcribe")]
    server.set(hostile=0.3, hostile_kinds=HOSTILE)
    out = tmp_path / "o"
    ran = cli("augment", source(tmp_path, 4), "-o", out, "-r", mine, *models, "--workers", 1)
    assert ran.code == 0, ran.err
    made = [row for row in table(out) if row["_synthetic"]]
    assert len(made) == 8
    for row in made:
        assert row["transcript"] == f"a sound of {len(row['text'].split()) / 10:.2f} seconds"


def test_a_plan_of_what_is_shown(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """An image counts in the estimate, and a prompt says where it stands."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "leaven.toml").write_text("[prices]\nm = [1.0, 1.0]\n")
    photos = photographs(tmp_path / "photos")
    tokens = []
    for show in ("", ", show: image"):
        mine = recipe(tmp_path, f"ask: {{prompt: Is it light?, into: seen{show}}}", fields=["image", "label"])
        model = f"--model=chat=openai:m@{server.url}"
        planned = cli("plan", photos, "-o", tmp_path / "new", "-r", mine, model, "--json").said
        tokens.append(planned["steps"][0]["tokens_in"][0])
        assert planned["usd"] is not None
    assert tokens[1] - tokens[0] > 0.9 * 4 * 255
    said = cli("plan", photos, "-o", tmp_path / "new", "-r", mine, model)
    assert "  | [image]\n  | Is it light?\n" in said.out
