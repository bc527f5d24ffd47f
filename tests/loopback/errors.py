"""Error bodies in OpenAI's wording."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


class Refused(Exception):
    """A request that is answered with an error."""

    def __init__(
        self, status: int, message: str, kind: str = "invalid_request_error", param: str | None = None, code: Any = None
    ) -> None:
        self.status = status
        self.body = json.dumps({"error": {"message": message, "type": kind, "param": param, "code": code}}).encode()
        super().__init__(message)


def wrong_key(authorization: str | None) -> Refused:
    if not authorization:
        return Refused(
            401, "You didn't provide an API key. You need to provide your API key in an Authorization header."
        )
    return Refused(401, "Incorrect API key provided.", code="invalid_api_key")


def no_model(model: Any) -> Refused:
    return Refused(
        404,
        f"The model `{model}` does not exist or you do not have access to it.",
        code="model_not_found",
        param="model",
    )


def rate_limit(limit: str) -> Refused:
    message = f"Rate limit reached on {limit}. Visit https://platform.openai.com/account/rate-limits to learn more."
    return Refused(429, message, "requests", code="rate_limit_exceeded")


def server_error() -> Refused:
    return Refused(500, "The server had an error while processing your request. Sorry about that!", "server_error")


def overloaded() -> Refused:
    return Refused(503, "The engine is currently overloaded, please try again later.", "server_error")


def policy() -> Refused:
    message = "Your request was rejected as a result of our safety system."
    return Refused(400, message, "image_generation_user_error", code="moderation_blocked")


def missing(param: str) -> Refused:
    return Refused(400, f"Missing required parameter: '{param}'.", param=param, code="missing_required_parameter")


def refused_parameter(name: str, asked: Mapping[str, Any]) -> Refused:
    """400 for a parameter the model does not take.  Two leave ``param`` null, as OpenAI does: the text names it."""
    if name == "temperature":
        return Refused(
            400,
            f"Unsupported value: 'temperature' does not support {asked[name]} with this model."
            " Only the default (1) value is supported.",
            param=name,
            code="unsupported_value",
        )
    if name == "response_format" and isinstance(asked[name], Mapping):
        return Refused(
            400,
            f"Invalid parameter: 'response_format' of type '{asked[name].get('type')}' is not supported with this"
            " model. Learn more about supported models at the Structured Outputs guide:"
            " https://platform.openai.com/docs/guides/structured-outputs",
        )
    if name == "logprobs":
        return Refused(400, "You are not allowed to request logprobs from this model.")
    instead = " Use 'max_completion_tokens' instead." if name == "max_tokens" else ""
    return Refused(
        400,
        f"Unsupported parameter: '{name}' is not supported with this model.{instead}",
        param=name,
        code="unsupported_parameter",
    )
