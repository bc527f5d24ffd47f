"""What the server answers: a function of the request's body and of nothing else."""

from __future__ import annotations

import base64
import json
import math
import re
from array import array
from collections.abc import Mapping, Sequence
from hashlib import shake_128
from typing import Any

from . import tokens
from .draws import Draws, digest
from .errors import Refused, missing
from .media import seen
from .options import Options
from .schema import Maker

CREATED = 1_700_000_000
ITEMS = 6
"""Items of an array without bounds, where the prompt holds no number from 1 to 50."""
OWN_SHAPE = {"type": "object", "properties": {"answers": {"type": "array", "items": {"type": "string"}}}}
"""What is answered where JSON is asked for and no schema is given."""
SIZE = 256
OTHER_WAYS = re.compile(r"(\d+) other ways")
NUMBER = re.compile(r"\d+")
DEFAULT_MODEL = "loopback"
COMPLETION_TOKENS = 16
"""``max_tokens`` of a completion that does not state it, as OpenAI has it."""


def chat(asked: Mapping[str, Any], key: str, options: Options) -> dict[str, Any]:
    """The answer to ``/v1/chat/completions``."""
    messages = asked.get("messages")
    if not isinstance(messages, list) or not messages:
        raise missing("messages")
    shown = [seen_in(message.get("content")) for message in messages]
    texts = [text_of(message.get("content")) for message in messages]
    prompt = "\n".join([*(line for lines in shown for line in lines), *texts])
    last = next((t for t, m in zip(reversed(texts), reversed(messages)) if m.get("role") == "user"), texts[-1])
    limit = asked.get("max_completion_tokens", asked.get("max_tokens"))
    choices, made = [], 0
    for index in range(asked.get("n") or 1):
        text = say(asked.get("response_format") or {}, prompt, last, choice_key(key, index), options)
        if shown[-1] and not text.startswith("{"):
            text = f"{text} {' '.join(shown[-1])}"
        text, why = tokens.cut(text, limit)
        made += tokens.count(text)
        choices.append(
            {
                "index": index,
                "message": {"role": "assistant", "content": text, "refusal": None},
                "logprobs": tokens.for_chat(text, asked.get("top_logprobs") or 0) if asked.get("logprobs") else None,
                "finish_reason": why,
            }
        )
    return {
        "id": f"chatcmpl-{key}",
        "object": "chat.completion",
        "created": CREATED,
        "model": asked["model"],
        "choices": choices,
        **usage(tokens.count(prompt), made, options),
    }


def choice_key(key: str, index: int) -> str:
    """The key that a choice draws by: each has its own stream."""
    return digest(f"{key}{index}".encode()) if index else key


def say(form: Mapping[str, Any], prompt: str, last: str, key: str, options: Options) -> str:
    """One answer to a conversation whose texts are ``prompt`` and whose last user message is ``last``."""
    text = by_heart(prompt, options)
    if text is None:
        kind, draws = form.get("type"), Draws(key)
        if kind == "json_schema":
            text = json.dumps(Maker(words(last), draws, wanted(prompt)).value(form["json_schema"]["schema"]))
        elif kind == "json_object" or "json" in prompt.lower() or '"properties"' in prompt:
            schema, written = find_schema(prompt)
            prompt, last = (prompt.replace(written, ""), last.replace(written, "")) if written else (prompt, last)
            text = json.dumps(Maker(words(last), draws, wanted(prompt)).value(schema))
            if kind != "json_object":
                text = f"Here is what you asked for.\n\n```json\n{text}\n```"
        else:
            text = Maker(words(last), draws, 0).sentence()
    return f"<think>{last[:80]} Let me see.</think>\n\n{text}" if options.think else text


def by_heart(prompt: str, options: Options) -> str | None:
    """The answer of the first line of the script that fits."""
    found = next((line["answer"] for line in options.script if line["match"] in prompt), None)
    return found if found is None or isinstance(found, str) else json.dumps(found)


def find_schema(prompt: str) -> tuple[Any, str]:
    """The first JSON schema of an object in a text, and how it stands there; ours and nothing where there is none."""
    for found in re.finditer(r"\{", prompt):
        try:
            value, end = json.JSONDecoder().raw_decode(prompt, found.start())
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict) and ("properties" in value or "$ref" in value):
            return value, prompt[found.start() : end]
    return OWN_SHAPE, ""


def wanted(prompt: str) -> int:
    """How many items a prompt asks for: the N of "N other ways", or its first number from 1 to 50."""
    said = OTHER_WAYS.search(prompt) if "other ways" in prompt else None
    if said:
        return int(said[1])
    return next((int(n) for n in NUMBER.findall(prompt) if len(n) < 3 and 1 <= int(n) <= 50), ITEMS)


def words(message: str) -> list[str]:
    """The words of the last line that holds any."""
    return next((line.split() for line in reversed(message.splitlines()) if line.strip()), [])


def seen_in(content: Any) -> list[str]:
    """The images and sounds of a message, in words."""
    if not isinstance(content, list):
        return []
    return [seen(part) for part in content if part.get("type") in ("image_url", "input_audio")]


def text_of(content: Any) -> str:
    """The text of a message; of one in parts, the texts among them."""
    if isinstance(content, list):
        return "\n".join(part.get("text", "") for part in content if part.get("type") == "text")
    return content or ""


def completion(asked: Mapping[str, Any], key: str, options: Options) -> dict[str, Any]:
    """The answer to ``/v1/completions``."""
    if "prompt" not in asked:
        raise missing("prompt")
    prompts = many(asked["prompt"])
    limit = asked.get("max_tokens")
    top = asked.get("logprobs")
    choices: list[dict[str, Any]] = []
    made = 0
    for prompt in prompts:
        for _ in range(asked.get("n") or 1):
            own = choice_key(key, len(choices))
            text, why = tokens.cut(
                " " + say({}, prompt, prompt, own, options), COMPLETION_TOKENS if limit is None else limit
            )
            made += tokens.count(text)
            echo = bool(asked.get("echo"))
            choices.append(
                {
                    "index": len(choices),
                    "text": prompt + text if echo else text,
                    "logprobs": None if top is None else tokens.for_completion(prompt, text, top, echo),
                    "finish_reason": why,
                }
            )
    return {
        "id": f"cmpl-{key}",
        "object": "text_completion",
        "created": CREATED,
        "model": asked["model"],
        "choices": choices,
        **usage(sum(map(tokens.count, prompts)), made, options),
    }


def embeddings(asked: Mapping[str, Any], key: str, options: Options) -> dict[str, Any]:
    """The answer to ``/v1/embeddings``."""
    if "input" not in asked:
        raise missing("input")
    texts = many(asked["input"])
    if not texts or "" in texts:
        raise Refused(400, "'$.input' is invalid. It cannot be empty.", param="input")
    packed = asked.get("encoding_format") == "base64"
    vectors = [vector(text, asked.get("dimensions") or SIZE) for text in texts]
    n = sum(map(tokens.count, texts))
    return {
        "object": "list",
        "data": [
            {
                "object": "embedding",
                "index": i,
                "embedding": base64.b64encode(v.tobytes()).decode() if packed else v.tolist(),
            }
            for i, v in enumerate(vectors)
        ],
        "model": asked["model"],
        **({} if options.no_usage else {"usage": {"prompt_tokens": n, "total_tokens": n}}),
    }


def vector(text: str, size: int) -> array[float]:
    """A unit vector of float32 that only this text has."""
    raw = array("h", shake_128(text.encode("utf-8", "surrogatepass")).digest(2 * size))
    length = math.sqrt(sum(x * x for x in raw))
    return array("f", [x / length for x in raw])


def many(given: Any) -> list[str]:
    """A text, texts, token numbers or lists of those, as texts."""
    if isinstance(given, str):
        return [given]
    if given and isinstance(given[0], int):
        given = [given]
    return [one if isinstance(one, str) else " ".join(map(str, one)) for one in given]


def usage(prompt: int, made: int, options: Options) -> dict[str, Any]:
    if options.no_usage:
        return {}
    return {"usage": {"prompt_tokens": prompt, "completion_tokens": made, "total_tokens": prompt + made}}


def models(names: Sequence[str]) -> dict[str, Any]:
    """The answer to ``/v1/models``."""
    return {"object": "list", "data": [model(name) for name in names or (DEFAULT_MODEL,)]}


def model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": CREATED, "owned_by": "loopback"}
