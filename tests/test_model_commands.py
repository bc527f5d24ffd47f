"""What try, plan, models and verify print: in a pipe, and whatever stands in records and in answers."""

from __future__ import annotations

import json
import re
import socket
import time
from pathlib import Path

import pytest

from asked import Ran, cli, process, recipe, rows, source
from loopback.process import Server
from recordings import recording
from saying import Heard, Said, Saying, chat, error, rewrites

EVIL = "\x1b[2J\x1b]0;title\x07 \u202etxet\u202c \u2066x\u2069 \x9b31m a\rb"
LONG = ("Next:", "Leaves", "  | ", "Price", "Range")
"""Lines with commands, paths and names, which are not cut."""
UNSAFE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def named(server: Server | Saying) -> str:
    return f"--model=chat=openai:m@{server.url}"


def good(done: Ran, width: int = 100) -> list[str]:
    """The lines of an answer, which any terminal can show."""
    assert done.code == 0, done.err
    assert not UNSAFE.search(done.out + done.err), ascii(UNSAFE.findall(done.out + done.err))
    lines = done.out.splitlines()
    for line in lines:
        assert len(line) <= width or line.startswith(LONG) or " calls" in line, line
    return lines


# -- try --------------------------------------------------------------------------------------------------------------


def test_try_shows_each_record_beside_what_came_of_it(here: Path):
    """The first call about the first row needs a repair; one child is a duplicate, one is empty, one record fails."""
    data = rows(12)

    def reply(heard: Heard) -> Said:
        number = int(heard.body["messages"][0]["content"].partition("question number ")[2].split()[0])
        if number % 3 == 0:
            return error(400, "flagged", code="policy")
        if number % 3 == 1 and len(heard.body["messages"]) == 1:
            return chat("let me think")
        return rewrites(f"other words for {number}", f"Other words for {number}", " ")

    made = recipe(here, "paraphrase: {n: 3}", "unique")
    with Saying(reply) as server:
        command = ["data.jsonl", "-o", "out", "-r", made, named(server)]
        source(here, data)
        lines = good(cli("try", *command, "-n", 12))
    assert lines[0] == "12 of 12 records, drawn with seed 0 (others: --seed 1)"
    heads = [i for i, line in enumerate(lines) if re.match(r"[0-9a-f]{6}  \w", line)]
    assert len(heads) == 12
    parents = {}
    for begin, end in zip(heads, [*heads[1:], len(lines)], strict=True):
        number = int(lines[begin].partition("question number ")[2].split()[0])
        parents[number] = lines[begin:end]
        head = rf"[0-9a-f]{{6}}  {data[number]['label']:<6}  {re.escape(data[number]['text'])}"
        assert re.fullmatch(head + (r" +\(1 repair\)" if number % 3 == 1 else ""), lines[begin])
    assert list(parents) == list(range(12))  # in the order of the file
    for number in (3, 6):
        assert parents[number][1] == "  failed    provider_refused: 400 flagged"
    for number in (2, 4):
        kept, *others = parents[number][1:4]
        assert kept == f"  kept      other words for {number}"
        assert [line.split()[0] for line in others] == ["refused", "refused"]
        assert {line.split()[-1] for line in others} == {"duplicate", "empty"}
        assert "(nothing)" in parents[number][2] + parents[number][3]
    [decided, cost, following] = lines[-3:]
    assert decided == "Decided among 12 records: unique may decide otherwise in the full run."
    assert re.fullmatch(
        r"16 calls \(4 repairs\), [\d,]+ tokens, USD unknown, stored: a run with -o out will not pay for them again\.",
        cost,
    )
    assert following == f"Next:  leaven plan data.jsonl -o out -r {made} --model chat=openai:m@{server.url}"


def test_the_suggested_commands_run_as_they_are_pasted(here: Path, server: Server):
    import shlex

    (here / "my data").mkdir()
    data = source(here / "my data", 12)
    done = cli(
        "try", data, "-o", "my out", "-r", "auggpt", named(server), "-n", 2, "--set", "paraphrase.n=2", "--seed", 3
    )
    asked = 2
    for name in ("plan", "augment", "measure"):
        following = shlex.split(next(line for line in done.out.splitlines() if line.startswith("Next:")))[1:]
        assert following[:2] == ["leaven", name]
        if name == "measure":
            break
        assert server.counts()["answered"] == {} or sum(server.counts()["answered"].values()) == asked
        done = cli(*following[1:])
        assert done.code == 0, done.err
    assert sum(server.counts()["answered"].values()) == 12


def test_try_without_a_folder_stores_nothing(here: Path, server: Server):
    source(here)
    lines = good(cli("try", "data.jsonl", "-r", "auggpt", named(server), "-n", 2))
    assert lines[-2].endswith("; not stored: with -o DIR a run there would not pay for them again.")
    assert [f.name for f in here.iterdir()] == ["data.jsonl"]


def test_try_of_what_asks_no_model(here: Path):
    source(here)
    lines = good(cli("try", "data.jsonl", "-r", "classic-text", "-n", 2))
    assert lines[0].startswith("2 of 20 records")
    assert not any("calls" in line for line in lines)
    assert lines[-1].startswith("Next:  leaven augment data.jsonl ")


def test_try_shows_scores(here: Path):
    data = [{**row, "text": f"{row['text']} {i}"} for i, row in enumerate(rows(40))]
    source(here, data)
    lines = good(cli("try", "data.jsonl", "-r", "reword", "--model=chat=fake:shape", "-n", 3))
    assert any(re.match(r"  (kept|refused) +prob \d\.\d\d", line) for line in lines)


# -- plan -------------------------------------------------------------------------------------------------------------


def test_plan_says_what_a_run_will_ask_and_asks_nothing(here: Path, server: Server):
    (here / "leaven.toml").write_text('[prices]\n"m" = [0.25, 2.0]\n')
    source(here, 40)
    command = ["data.jsonl", "-o", "out", "-r", "reword", named(server)]
    lines = good(cli("plan", *command, "--budget", 2), width=110)
    assert re.split(r"  +", lines[0]) == ["step", "records", "calls", "tokens in", "tokens out", "USD"]
    assert re.match(
        r"1 make paraphrase  n=6 +40 +40 to 48 +[\d,]+k? to [\d,]+k? +[\d,]+k? to [\d,]+k? +0\.\d+-0\.\d+$", lines[1]
    )
    assert re.match(r"2 note prediction +240 +0 +- +- +0$", lines[2])
    assert re.match(r"3 keeps: keep[\w ]*, unique, top n=2 +0 +- +- +0$", lines[3])
    assert re.match(r"total +40 to 48 ", lines[4])
    said = {line.split()[0]: line for line in lines[5:] if line[:1].isalpha()}
    assert said["Time"] == "Time     not known before the first answer (--sample 3 makes a few real calls)"
    assert said["Range"] == "Range    low: every answer parses; high: one in 5 needs a repair turn."
    assert said["Leaves"] == "Leaves   this machine: nothing. Budget 2.00 USD is enough."
    assert re.fullmatch(r"First prompt of paraphrase, record [0-9a-f]{6}, in full:", said["First"])
    assert said["Next:"].startswith("Next:  leaven augment data.jsonl -o out -r reword --model ")
    assert said["Next:"].endswith(" --budget 2")
    prompt = "\n".join(line.removeprefix("  | ").removeprefix("  |") for line in lines if line.startswith("  |"))
    assert server.counts()["requests"] == {}
    assert not (here / "out").exists()
    assert cli("try", *command, "-n", 40).code == 0
    sent = [body["messages"][0]["content"] for body in server.bodies()]
    assert prompt in ["\n".join(line.rstrip() for line in p.splitlines()) for p in sent]


def test_what_was_spent_lies_within_what_was_planned(here: Path, server: Server):
    (here / "leaven.toml").write_text('[prices]\n"m" = [10, 20]\n')
    server.set(hostile=0.1, hostile_kinds=("invalid",))
    source(here, 80)
    command = ["data.jsonl", "-o", "out", "-r", "auggpt", named(server)]
    assert cli("plan", *command, "--sample", 10).code == 0
    assert 10 <= sum(server.counts()["bodies"].values()) <= 20
    plan = json.loads(cli("plan", *command, "--json").out)
    before = sum(server.counts()["bodies"].values())
    done = cli("augment", *command, "--json")
    assert done.code in (0, 3)
    calls = sum(server.counts()["bodies"].values()) - before
    assert plan["calls"][0] <= calls <= plan["calls"][1] + 1
    spent = done.said["usd"]
    assert plan["usd"][0] < spent < 2 * plan["usd"][1]


def test_plan_says_what_leaves_and_what_is_not_known(here: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(*args: object, **more: object) -> None:
        raise AssertionError(f"a connection: {args}")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    source(here)
    lines = good(cli("plan", "data.jsonl", "-r", "auggpt", "--model=chat=openai:qwen3-32b@http://gpu-box:8000/v1"))
    said = {line.split()[0]: line for line in lines}
    assert lines[1].endswith("unknown")
    assert said["Price"] == 'Price    of qwen3-32b unknown, not guessed; leaven.toml: [prices] "qwen3-32b" = [IN, OUT]'
    assert said["Leaves"].startswith("Leaves   this machine: text")
    assert said["Leaves"].endswith(" of 20 rows, to gpu-box:8000.")
    assert not re.search(r"\d USD", "".join(lines))


@pytest.mark.parametrize("name", ["auggpt", "reword", "promptmix", "sahu", "judge", "back-translation", "classic-text"])
def test_every_recipe_can_be_planned(name: str, here: Path):
    source(here)
    given = ["--given", source(here, [{"text": f"made {i}", "label": "card"} for i in range(5)], "given.jsonl")]
    models = [f"--model={role}=fake:shape" for role in ("chat", "complete", "translate")]
    lines = good(cli("plan", "data.jsonl", "-r", name, *models, *(given if name == "judge" else [])))
    assert lines[-1].startswith("Next:  leaven augment data.jsonl ")
    assert any(line.startswith(("Asks ", "Range ")) for line in lines)


# -- models -----------------------------------------------------------------------------------------------------------


def test_models_says_who_plays_what_and_whether_it_answers(here: Path, server: Server, monkeypatch: pytest.MonkeyPatch):
    (here / "leaven.toml").write_text(
        f'[models]\nchat = "openai:m@{server.url}"\ncomplete = "openai:c@{server.url}"\n'
        f'[keys]\n"127.0.0.1" = "MY_KEY"\n[prices]\n"m" = [0.25, 2]\n'
    )
    monkeypatch.setenv("MY_KEY", "sk-SECRET-0123456789")
    server.set(key="sk-SECRET-0123456789")
    lines = good(cli("models"), width=200)
    assert re.split(r"  +", lines[0]) == ["role", "played by", "named in", "answers", "USD per million tokens in / out"]
    table = {line.split()[0]: re.split(r"  +", line) for line in lines[1:] if "  " in line}
    assert table["chat"][1:3] == [f"openai:m@{server.url}", "leaven.toml"]
    assert re.fullmatch(r"yes, \d\.\d s", table["chat"][3])
    assert table["chat"][4] == "0.25 / 2.00"
    assert re.fullmatch(r"yes, \d\.\d s, with log-probabilities", table["complete"][3])
    assert table["complete"][4] == "unknown"
    assert table["embed"][1:3] == ["wordllama", "built in"]
    assert re.fullmatch(r"Checked with 2 calls of \d+ tokens\. MY_KEY is set, not shown\.", lines[-1])
    assert sum(server.counts()["requests"].values()) == 2


def test_a_model_that_does_not_answer_is_a_line_among_others(here: Path, server: Server):
    with socket.create_server(("127.0.0.1", 0)) as gone:
        nobody = f"http://127.0.0.1:{gone.getsockname()[1]}/v1"
    server.set(models=["a", "b"])
    done = cli("models", "--model", f"chat=openai:x@{server.url}", "--model", f"chat.other=openai:a@{server.url}",
               "--model", f"complete=openai:x@{nobody}", "--model", "classify=openai:gpt-5-mini",
               "--model", f"embed=openai:a@{server.url}", "--model", "translate=fake:shape")  # fmt: skip
    lines = good(done, width=300)
    table = {line.split()[0]: line for line in lines[1:]}
    assert "no: the server has no model `x`; it has a, b." in table["chat"]
    assert "yes, " in table["chat.other"]
    assert "no: no server answers at" in table["complete"]
    assert "no: OPENAI_API_KEY is not set, and api.openai.com wants a key." in table["classify"]
    assert "256 numbers" in table["embed"]
    assert "yes" in table["translate"]


def test_models_waits_for_nobody_for_ever(here: Path):
    with Server(hostile=1.0, hostile_kinds=("never",)) as server:
        began = time.monotonic()
        lines = good(cli("models", named(server), "--timeout", 0.2), width=200)
    assert any("no: " in line and "no answer for 0.2 s" in line for line in lines)
    assert time.monotonic() - began < 10


# -- verify -----------------------------------------------------------------------------------------------------------


def test_verify_says_what_is_the_same(here: Path, server: Server):
    source(here, 20)
    made = recipe(here, "paraphrase: {n: 2}", "unique")
    assert cli("augment", "data.jsonl", "-o", "out", "-r", made, named(server), "--workers", 1).code == 0
    lines = good(cli("verify", "out", "--workers", 1))
    assert re.fullmatch(
        r"Replayed 20 answers from out/ledger\.sqlite, network off, leaven [\d.]+, pyarrow [\d.]+ as recorded\.",
        lines[0],
    )
    assert re.fullmatch(r"train \d+ rows same(   refused \d+ rows same)?", lines[1])
    assert lines[2] == "Same bytes. Whoever has out can repeat this without a key."


def test_verify_names_the_row_that_differs(here: Path, server: Server):
    import pyarrow as pa
    import pyarrow.parquet as pq

    source(here, 8)
    made = recipe(here, "paraphrase: {n: 2}")
    assert cli("augment", "data.jsonl", "-o", "out", "-r", made, named(server), "--workers", 1).code == 0
    file = here / "out" / "train" / "part-00000.parquet"
    table = pq.read_table(file)
    texts = table.column("text").to_pylist()
    row = next(i for i, made in enumerate(table.column("_synthetic").to_pylist()) if made)
    texts[row] = EVIL
    pq.write_table(table.set_column(table.column_names.index("text"), "text", pa.array(texts)), file)
    done = cli("verify", "out", "--workers", 1)
    assert done.code == 1
    ident = table.column("_id").to_pylist()[row][:6]
    assert done.out.splitlines()[-1] == f"train/part-00000.parquet differs: row {row + 1}, _id {ident}, field text"
    (here / "out" / "train" / "part-00001.parquet").write_bytes(file.read_bytes())
    done = cli("verify", "out", "--workers", 1)
    assert (done.code, "train/ holds part-00000.parquet here" in done.out) == (1, True)


def test_verify_of_a_run_without_models(here: Path):
    source(here, 20)
    assert cli("augment", "data.jsonl", "-o", "out", "-r", "classic-text", "--workers", 1).code == 0
    lines = good(cli("verify", "out", "--workers", 1))
    assert lines[0].startswith("Ran again, network off, ")


# -- hostile text -----------------------------------------------------------------------------------------------------


def test_what_stands_in_rows_and_answers_does_nothing_to_a_terminal(here: Path):
    data = [{"text": f"{EVIL} {i}\nline two", "label": f"la{EVIL}bel{i % 2}"} for i in range(8)]
    source(here, data)
    with Saying(lambda heard: rewrites(f"{EVIL}\none {len(server.heard)}", EVIL)) as server:
        made = recipe(here, "paraphrase: {n: 2}", "unique")
        command = ["data.jsonl", "-o", "out", "-r", made, named(server)]
        for name, more in (("try", ["-n", 3]), ("plan", []), ("augment", [])):
            done = cli(name, *command, *more)
            assert done.code == 0, done.err
            assert not UNSAFE.search(done.out + done.err), (name, ascii(done.out + done.err))
            if name == "try":
                assert "\\x1b[2J" in done.out
                assert "\\u202e" in done.out
    with Saying(lambda heard: error(400, EVIL)) as server:
        done = cli("augment", "data.jsonl", "-o", "failed", "-r", made, named(server), "--workers", 1)
        assert done.code == 3
        assert not UNSAFE.search(done.out + done.err)
        done = cli("try", "data.jsonl", "-o", "failed", "-r", made, named(server))
        assert not UNSAFE.search(done.out + done.err)
        assert "failed    provider_refused: 400 \\x1b[2J" in done.out


def test_a_pipe_gets_no_escape_codes(here: Path, server: Server):
    source(here, 20)
    command = ["data.jsonl", "-o", "out", "-r", "auggpt", "--model", f"chat=openai:m@{server.url}"]
    for name in ("try", "plan", "augment"):
        done = process(name, *command, cwd=here)
        assert done.code == 0, done.err
        assert "\x1b" not in done.out + done.err
    assert process("verify", "out", cwd=here).code == 0


def test_json_leaves_one_object_and_counts_that_add_up(here: Path):
    data = rows(10)
    source(here, data)
    pairs = [(row["text"], f"{row['text']} {w}") for row in data[:7] for w in ("again", "AGAIN", "anew")]
    made = recipe(here, "paraphrase: {n: 3}", "unique")
    done = cli("augment", "data.jsonl", "-o", "out", "-r", made, "--json", "--model", f"chat={recording(here, pairs)}")
    assert done.code == 3
    said = done.said
    assert (said["read"], said["made"], said["kept"], said["refused"], said["failed"]) == (10, 21, 14, 7, 3)
    assert said["usd"] == 0
    plan = json.loads(cli("plan", "data.jsonl", "-o", "out", "-r", made, "--json", "--model=chat=fake:shape").out)
    assert plan["calls"] == [10, 12]
