"""The batch API: files that are handed in, batches that are worked through after a while, files of answers."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable
from typing import Any

from . import answers
from .draws import digest
from .errors import Refused, missing, refused_parameter
from .forms import read_form
from .options import Options
from .wire import Head

ENDPOINT = "/v1/chat/completions"
FATES = ("completed", "expired", "cancelled", "failed")


class Batches:
    """What was handed in, and what became of it.  ``now`` is a clock in seconds."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.now = now
        self.files: dict[str, bytes] = {}
        self.batches: dict[str, dict[str, Any]] = {}
        self.began: dict[str, float] = {}
        self.lost = 0
        self.paid: Counter[str] = Counter()
        """How often each line was answered, by its custom id."""

    def serve(self, head: Head, body: bytes, options: Options) -> bytes | None:
        """The body of the answer; None where the connection is to be cut."""
        path, _, query = head.path.removeprefix("/v1/").partition("?")
        kind, _, rest = path.partition("/")
        name, _, verb = rest.partition("/")
        if kind == "files" and head.method == "POST":
            return told(self.take(head, body))
        if kind == "files" and verb == "content" and name in self.files:
            return self.files[name]
        if kind == "batches" and head.method == "POST" and not name:
            batch = self.begin(json.loads(body), options)
            if self.lost < options.lose:
                self.lost += 1
                return None
            return told(batch)
        if kind == "batches" and not name:
            for each in self.batches.values():
                self.work(each, options)
            return told(self.page(query))
        if kind == "batches" and name in self.batches:
            batch = self.batches[name]
            if verb == "cancel":
                self.end(batch, "cancelled", self.done(batch, options), options)
            self.work(batch, options)
            return told(batch)
        raise Refused(404, f"No such {kind.removesuffix('es')} object: {name}", param="id")

    def take(self, head: Head, body: bytes) -> dict[str, Any]:
        form = read_form(head.kind, body)
        if not form or not isinstance(form.get("file"), bytes):
            raise missing("file")
        if form.get("purpose") != "batch":
            raise Refused(400, f"Invalid value for purpose: '{form.get('purpose')}'.", param="purpose")
        name = f"file-{len(self.files) + 1}"
        self.files[name] = form["file"]
        return {"id": name, "object": "file", "bytes": len(form["file"]), "purpose": "batch", "filename": "batch.jsonl"}

    def begin(self, asked: dict[str, Any], options: Options) -> dict[str, Any]:
        file = asked.get("input_file_id")
        if file not in self.files or asked.get("endpoint") != ENDPOINT or asked.get("completion_window") != "24h":
            raise Refused(400, "Invalid input_file_id, endpoint or completion_window.")
        name = f"batch_{len(self.batches) + 1}"
        lines = self.lines(file)
        self.batches[name] = batch = {
            "id": name, "object": "batch", "endpoint": ENDPOINT, "input_file_id": file, "status": "validating",
            "completion_window": "24h", "created_at": answers.CREATED, "errors": None,
            "output_file_id": None, "error_file_id": None,
            "request_counts": {"total": len(lines), "completed": 0, "failed": 0},
        }  # fmt: skip
        self.began[name] = self.now()
        return batch

    def lines(self, file: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.files[file].splitlines()]

    def page(self, query: str) -> dict[str, Any]:
        """Batches, the newest first."""
        said = dict(one.partition("=")[::2] for one in query.split("&"))
        names = list(self.batches)[::-1]
        at = names.index(said["after"]) + 1 if said.get("after") in names else 0
        some = names[at : at + int(said.get("limit") or 20)]
        return {
            "object": "list",
            "data": [self.batches[name] for name in some],
            "has_more": at + len(some) < len(names),
        }

    def done(self, batch: dict[str, Any], options: Options) -> int:
        """How many lines were worked through by now."""
        share = (self.now() - self.began[batch["id"]]) / options.batch_seconds if options.batch_seconds else 1.0
        total: int = batch["request_counts"]["total"]
        return math.ceil(min(1.0, share) * total * options.batch_share)

    def work(self, batch: dict[str, Any], options: Options) -> None:
        """Bring a batch to where it is by now."""
        if batch["status"] in FATES:
            return
        batch["status"] = "in_progress"
        batch["request_counts"]["completed"] = done = self.done(batch, options)
        if self.now() - self.began[batch["id"]] >= options.batch_seconds:
            self.end(batch, options.fate, done, options)

    def end(self, batch: dict[str, Any], fate: str, done: int, options: Options) -> None:
        if batch["status"] in FATES:
            return
        batch["status"] = fate
        if fate == "failed":
            why = {"code": "invalid_json_line", "line": 1, "message": "This line is not parseable as valid JSON."}
            batch["errors"] = {"object": "list", "data": [why]}
            return
        good: list[dict[str, Any]] = []
        bad: list[dict[str, Any]] = []
        for i, line in enumerate(self.lines(batch["input_file_id"])):
            row = {"id": f"batch_req_{i}", "custom_id": line["custom_id"], "error": None}
            if i >= done:
                error = {"code": f"batch_{fate}", "message": "This request could not be executed in time."}
                bad.append({**row, "response": None, "error": error})
                continue
            status, body = self.answered(line, options)
            if status == 200:
                self.paid[line["custom_id"]] += 1
            (good if status == 200 else bad).append({**row, "response": {"status_code": status, "body": body}})
        batch["request_counts"].update(completed=len(good), failed=len(bad))
        for name, rows in (("output_file_id", good), ("error_file_id", bad)):
            if rows:
                rows.reverse()  # in no order that a client may rely on
                batch[name] = f"file-{len(self.files) + 1}"
                self.files[batch[name]] = b"".join(json.dumps(row).encode() + b"\n" for row in rows)

    def answered(self, line: dict[str, Any], options: Options) -> tuple[int, dict[str, Any]]:
        """Status and body of a line's answer: what the same request would get by itself."""
        asked = line["body"]
        raw = json.dumps(asked, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
        try:
            for name in options.refuse:
                if name in asked:
                    raise refused_parameter(name, asked)
            if options.fail and options.fail in raw.decode():
                raise Refused(400, "This prompt is not taken.", code="invalid_prompt")
            return 200, answers.chat(asked, digest(raw), options)
        except Refused as refused:
            return refused.status, json.loads(refused.body)


def told(said: Any) -> bytes:
    return json.dumps(said).encode()
