"""Models that write: a Llama that chats, LLaVA and Idefics3 that see, BLIP and GIT that caption."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tiny import tokens
from tiny.encoders import HALF, spread

SIZE = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4}
VISION = {**HALF, "image_size": 32, "patch_size": 8}


TEMPLATE = (
    "{% for m in messages %}<|{{ m['role'] }}|>{% if m['content'] is string %}{{ m['content'] }}{% else %}"
    "{% for part in m['content'] %}{{ '<image>' if part['type'] == 'image' else part['text'] }}{% endfor %}{% endif %}"
    "<|end|>{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
MARKS = ("<pad>", "<unk>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>")


def words(*more: str) -> Any:
    """One token a byte, the marks of a chat, and those in ``more``."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    marks = [*MARKS, *more]
    pieces = [*marks, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    own = Tokenizer(models.BPE(vocab={piece: i for i, piece in enumerate(pieces)}, merges=[], unk_token="<unk>"))
    own.add_special_tokens([AddedToken(mark, special=True) for mark in marks])
    own.pre_tokenizer, own.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=own, pad_token="<pad>", eos_token="<|end|>", unk_token="<unk>", model_max_length=256,
        chat_template=TEMPLATE,
    )  # fmt: skip


def talks(reads: Any, **more: Any) -> dict[str, Any]:
    """The numbers of a small Llama."""
    ends = {"pad_token_id": reads.pad_token_id, "eos_token_id": reads.eos_token_id, "bos_token_id": None}
    numbers = {"vocab_size": len(reads), "num_key_value_heads": 2, "max_position_embeddings": 256}
    return {**SIZE, **ends, **numbers, **more}


def fresh(kind: Any, config: Any) -> Any:
    """A new model, the same in every process: some weights of theirs are drawn where it is made."""
    import torch

    torch.manual_seed(0)
    return kind(config)


def llama(folder: Path, *, chats: bool = True, drawn: dict[str, Any] | None = None, room: int = 256) -> Path:
    """``chats=False``: without a chat template; ``drawn`` is what its generation config says, ``room`` its context."""
    from transformers import LlamaConfig, LlamaForCausalLM

    reads = words()
    if not chats:
        reads.chat_template = None
    model = spread(fresh(LlamaForCausalLM, LlamaConfig(**talks(reads, max_position_embeddings=room))), 0.15)
    model.generation_config.update(**drawn or {})
    model.save_pretrained(folder)
    reads.save_pretrained(folder)
    return folder


def gpt2(folder: Path) -> Path:
    """Its tokenizer puts no mark before a text, and its matrices are no layers of torch's."""
    from transformers import GPT2Config, GPT2LMHeadModel

    reads = words()
    reads.chat_template = None
    ends = {"bos_token_id": reads.eos_token_id, "eos_token_id": reads.eos_token_id}
    config = GPT2Config(vocab_size=len(reads), n_positions=256, n_embd=64, n_layer=2, n_head=4, **ends)
    spread(fresh(GPT2LMHeadModel, config), 0.15).save_pretrained(folder)
    reads.save_pretrained(folder)
    return folder


def llava(folder: Path, room: int = 256) -> Path:
    """``room`` is its context."""
    from transformers import CLIPImageProcessorPil, LlavaConfig, LlavaForConditionalGeneration, LlavaProcessor

    reads = words("<image>")
    config = LlavaConfig(
        vision_config={"model_type": "clip_vision_model", "projection_dim": 16, **VISION},
        text_config={"model_type": "llama", **talks(reads, max_position_embeddings=room)},
        image_token_id=reads.convert_tokens_to_ids("<image>"),
        image_seq_length=16,
        vision_feature_layer=-2,
    )
    spread(fresh(LlavaForConditionalGeneration, config)).save_pretrained(folder)
    eyes = CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    LlavaProcessor(
        eyes, reads, patch_size=8, vision_feature_select_strategy="default", num_additional_image_tokens=1,
        chat_template=TEMPLATE,
    ).save_pretrained(folder)  # fmt: skip
    return folder


def idefics3(folder: Path) -> Path:
    """SmolVLM's kin whose processor needs no torchvision."""
    from transformers import (
        Idefics3Config,
        Idefics3ForConditionalGeneration,
        Idefics3ImageProcessorPil,
        Idefics3Processor,
    )

    reads = words("<image>", "<fake_token_around_image>", "<global-img>", "<end_of_utterance>")
    config = Idefics3Config(
        vision_config=VISION,
        text_config={"model_type": "llama", **talks(reads)},
        image_token_id=reads.convert_tokens_to_ids("<image>"),
        scale_factor=2,
        pad_token_id=reads.pad_token_id,
    )
    spread(fresh(Idefics3ForConditionalGeneration, config)).save_pretrained(folder)
    edge = {"longest_edge": 32}
    eyes = Idefics3ImageProcessorPil(size=edge, max_image_size=edge, do_image_splitting=False)
    Idefics3Processor(eyes, reads, image_seq_len=4, chat_template=TEMPLATE).save_pretrained(folder)
    return folder


def qwen2vl(folder: Path) -> Path:
    """As save_pretrained writes it where torchvision is installed, without weights: its processor reads videos too."""
    import json

    words().save_pretrained(folder)
    says = {"model_type": "qwen2_vl", "architectures": ["Qwen2VLForConditionalGeneration"]}
    (folder / "config.json").write_text(json.dumps(says))
    eyes = {"image_processor_type": "Qwen2VLImageProcessor", "processor_class": "Qwen2VLProcessor"}
    (folder / "preprocessor_config.json").write_text(json.dumps(eyes))
    return folder


def blip(folder: Path, seed: int = 0, known: tuple[str, ...] = (), far: float = 0.4) -> Path:
    """``known`` are words that it need not spell; ``far`` is how large its weights are."""
    from transformers import BlipConfig, BlipForConditionalGeneration, BlipImageProcessorPil, BlipProcessor

    reads = tokens.bert()
    reads.add_tokens(list(known))
    ends = {
        "bos_token_id": reads.cls_token_id, "eos_token_id": reads.sep_token_id, "sep_token_id": reads.sep_token_id,
        "pad_token_id": reads.pad_token_id,
    }  # fmt: skip
    text = {**HALF, **ends, "vocab_size": len(reads), "encoder_hidden_size": 32, "max_position_embeddings": 64}
    config = BlipConfig(text_config=text, vision_config=VISION, projection_dim=16)
    spread(fresh(BlipForConditionalGeneration, config), far, seed).save_pretrained(folder)
    BlipProcessor(BlipImageProcessorPil(size={"height": 32, "width": 32}), reads).save_pretrained(folder)
    return folder


def git(folder: Path) -> Path:
    from transformers import CLIPImageProcessorPil, GitConfig, GitForCausalLM, GitProcessor

    reads = tokens.bert()
    ends = {"bos_token_id": reads.cls_token_id, "eos_token_id": reads.sep_token_id, "pad_token_id": reads.pad_token_id}
    config = GitConfig(vision_config=VISION, vocab_size=len(reads), max_position_embeddings=64, **HALF, **ends)
    spread(fresh(GitForCausalLM, config), 0.4).save_pretrained(folder)
    eyes = CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    GitProcessor(eyes, reads).save_pretrained(folder)
    return folder
