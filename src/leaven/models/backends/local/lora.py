"""A LoRA (Hu et al. 2022, arXiv:2106.09685): small matrices beside a model's own, which stay as they are."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

LORA = "adapter_config.json"
"""The file of a folder with a LoRA that says what it is."""
LEARNT_BY_ATTENTION = ("query", "value", "q_proj", "v_proj", "q", "v", "c_attn", "qkv_proj", "query_key_value")
"""What models call the two matrices of attention that a LoRA learns beside, or the one that holds them."""


@dataclass(frozen=True)
class Lora:
    """``rank`` and ``alpha`` as Hu et al. name them; ``layers`` are the queries and values of the part that writes, or
    all linear layers, those that see among them."""

    rank: int = 16
    alpha: float = 16.0
    dropout: float = 0.0
    layers: Literal["attention", "all"] = "attention"


def with_lora(model: Any, lora: Lora) -> Any:
    """The model with new matrices, which alone are learnt."""
    from peft import LoraConfig, get_peft_model
    from torch.nn import Linear
    from transformers.pytorch_utils import Conv1D

    head = model.get_output_embeddings()
    named = {n: m for n, m in model.named_modules() if isinstance(m, Linear | Conv1D) and m is not head}
    linear = list(named)
    if lora.layers == "attention":
        writing = [name for name in linear if "vision" not in name and "image_encoder" not in name]
        linear = [name for name in writing if name.rpartition(".")[2] in LEARNT_BY_ATTENTION] or writing
    config = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=sorted(linear),
        bias="none",
        fan_in_fan_out=any(isinstance(named[name], Conv1D) for name in linear),
    )
    with _quietly():
        return get_peft_model(model, config)


def save(model: Any, folder: Path, base: str) -> None:
    """Write the matrices as peft reads them; ``base`` is what the model is called beside which they stand."""
    model.save_pretrained(folder)
    (folder / "README.md").unlink(missing_ok=True)
    described = folder / LORA
    said: Mapping[str, Any] = json.loads(described.read_text("utf-8"))
    # Its layers are a set, in an order by chance; and where the model lay says nothing.
    plain = {name: sorted(value) if isinstance(value, list) else value for name, value in said.items()}
    plain["base_model_name_or_path"] = base
    described.write_text(json.dumps(plain, indent=1, sort_keys=True) + "\n", "utf-8")


def merged(model: Any, folder: Path) -> Any:
    """The model with the matrices of a folder added to its own."""
    from peft import PeftModel

    with _quietly():
        return PeftModel.from_pretrained(model, folder).merge_and_unload().train(False)


@contextmanager
def _quietly() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)  # of peft, by transformers
        yield
