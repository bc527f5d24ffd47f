"""Other libraries at the same work: N prompts to an OpenAI-compatible server, C at a time, each answer stored.

    PYTHON benchmarks/peers.py URL N C

Runs with the interpreter that has the peer installed: ``bespokelabs-curator`` or ``data-designer``.  Nothing of leaven
is imported.  Prints a line for each peer that is there: seconds of the second of two runs; the first warms it up.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import sys
import tempfile
import time

os.environ.setdefault("OPENAI_API_KEY", "none")
os.environ["CURATOR_DISABLE_CACHE"] = "1"
os.environ["CURATOR_DISABLE_RICH_DISPLAY"] = "1"
os.environ["TELEMETRY_ENABLED"] = "0"
os.environ["NEMO_TELEMETRY_ENABLED"] = "false"


class Words:
    """Stands in for a tokenizer that is downloaded at the first use: where this runs there may be no network."""

    def encode(self, text: str, **_: object) -> list[str]:
        return text.split()


def curator(url: str, calls: int, capacity: int) -> float:
    import tiktoken

    tiktoken.get_encoding = tiktoken.encoding_for_model = lambda *_: Words()
    from bespokelabs import curator as lib
    from pydantic import BaseModel

    class Rewrites(BaseModel):
        rewrites: list[str]

    class Say(lib.LLM):
        response_format = Rewrites

        def prompt(self, row: dict[str, str]) -> str:
            return f"Say this in 6 other ways: {row['text']}"

        def parse(self, row: dict[str, str], answer: Rewrites) -> list[dict[str, str]]:
            return [{"text": text} for text in answer.rewrites]

    said = Say(
        model_name="gpt-4o-mini",
        backend="openai",
        backend_params={
            "base_url": url,
            "max_concurrent_requests": capacity,
            "max_requests_per_minute": 1_000_000,
            "max_tokens_per_minute": 1_000_000_000,
            "require_all_responses": False,
        },
    )
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        said([{"text": f"question {i}"} for i in range(calls)], working_dir=folder)
        return time.perf_counter() - began


def data_designer(url: str, calls: int, capacity: int) -> float:
    import data_designer.config as dd
    from data_designer.interface import DataDesigner

    provider = dd.ModelProvider(name="local", endpoint=url, provider_type="openai", api_key="none")
    with tempfile.TemporaryDirectory() as folder:
        library = DataDesigner(artifact_path=folder, model_providers=[provider])
        model = dd.ModelConfig(
            alias="chat",
            model="any",
            provider="local",
            inference_parameters=dd.ChatCompletionInferenceParams(max_parallel_requests=capacity),
            skip_health_check=True,
        )
        config = dd.DataDesignerConfigBuilder(model_configs=[model])
        config.add_column(
            dd.SamplerColumnConfig(
                name="number", sampler_type=dd.SamplerType.UUID, params=dd.UUIDSamplerParams(prefix="q")
            )
        )
        config.add_column(
            dd.LLMTextColumnConfig(name="said", prompt="Say question {{ number }} in other words", model_alias="chat")
        )
        began = time.perf_counter()
        library.create(config, num_records=calls)
        return time.perf_counter() - began


def main() -> None:
    url, calls, capacity = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    logging.disable(logging.WARNING)
    for name, module, run in (
        ("bespokelabs-curator", "bespokelabs", curator),
        ("data-designer", "data_designer", data_designer),
    ):
        if importlib.util.find_spec(module):
            run(url, 10, capacity)
            print(f"| {name} | {calls} calls, C = {capacity} | {run(url, calls, capacity):.2f} s |", flush=True)


if __name__ == "__main__":
    main()
