"""CLIP, SigLIP, CLAP, ViT, DINOv2 and BERT in folders of some hundred kilobytes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tiny import tokens

HALF = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}


def spread(model: Any, width: float = 0.2, seed: int = 0) -> Any:
    """The model with weights so wide that other inputs get visibly other answers."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weights in model.parameters():
            constant = weights.numel() and bool((weights == weights.flatten()[0]).all())
            if weights.ndim > 1 or not constant:  # biases and scales stay; all else was drawn by torch's own generator
                weights.normal_(0, width, generator=generator)
    return model


def clip(folder: Path, seed: int = 0) -> Path:
    from transformers import CLIPConfig, CLIPImageProcessorPil, CLIPModel, CLIPProcessor

    words = tokens.clip()
    ends = {"bos_token_id": words.bos_token_id, "eos_token_id": words.eos_token_id, "pad_token_id": words.pad_token_id}
    config = CLIPConfig(
        text_config={"vocab_size": len(words), "max_position_embeddings": 77, **ends, **HALF},
        vision_config={"image_size": 32, "patch_size": 8, **HALF},
        projection_dim=16,
    )
    spread(CLIPModel(config), seed=seed).save_pretrained(folder)
    size = {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}}
    CLIPProcessor(CLIPImageProcessorPil(**size), words).save_pretrained(folder)
    return folder


def siglip(folder: Path) -> Path:
    from transformers import SiglipConfig, SiglipImageProcessorPil, SiglipModel

    words = tokens.of_bytes(16)
    config = SiglipConfig(
        text_config={"vocab_size": len(words), "max_position_embeddings": 16, "projection_size": 32, **HALF},
        vision_config={"image_size": 32, "patch_size": 8, **HALF},
    )
    spread(SiglipModel(config)).save_pretrained(folder)
    words.save_pretrained(folder)
    SiglipImageProcessorPil(size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder


def clap(folder: Path) -> Path:
    from transformers import ClapConfig, ClapFeatureExtractor, ClapModel, ClapProcessor

    words = tokens.roberta()
    places = {"max_position_embeddings": 80, "projection_dim": 16, "pad_token_id": words.pad_token_id}
    hears = {
        "window_size": 2, "num_mel_bins": 64, "spec_size": 128, "hidden_size": 32, "patch_size": 4,
        "patch_stride": [4, 4], "patch_embeds_hidden_size": 16, "depths": [1, 1], "num_attention_heads": [2, 2],
        "projection_dim": 16, "enable_fusion": False, "num_classes": 4,
    }  # fmt: skip
    config = ClapConfig(text_config={"vocab_size": len(words), **HALF, **places}, audio_config=hears, projection_dim=16)
    spread(ClapModel(config)).save_pretrained(folder)
    reader = ClapFeatureExtractor(
        feature_size=64, sampling_rate=16000, max_length_s=2, nb_max_samples=32000, hop_length=320, frequency_max=8000,
        truncation="rand_trunc",
    )  # fmt: skip
    ClapProcessor(reader, words).save_pretrained(folder)
    return folder


def vit(folder: Path) -> Path:
    """A ViT without a pooler, as classifiers are trained."""
    from transformers import ViTConfig, ViTImageProcessorPil, ViTModel

    model = ViTModel(ViTConfig(image_size=32, patch_size=8, **HALF), add_pooling_layer=False)
    spread(model).save_pretrained(folder)
    ViTImageProcessorPil(size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder


def dinov2(folder: Path) -> Path:
    from transformers import BitImageProcessorPil, Dinov2Config, Dinov2Model

    layers = {key: value for key, value in HALF.items() if key != "intermediate_size"}
    spread(Dinov2Model(Dinov2Config(image_size=32, patch_size=8, mlp_ratio=2, **layers))).save_pretrained(folder)
    size = {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}}
    BitImageProcessorPil(**size).save_pretrained(folder)
    return folder


def bert(folder: Path, seed: int = 0) -> Path:
    """A small BERT that reads bytes, as a folder that ``from_pretrained`` opens."""
    from transformers import BertConfig, BertModel

    config = BertConfig(
        vocab_size=300, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64,
        max_position_embeddings=130,
    )  # fmt: skip
    spread(BertModel(config), 0.1, seed).save_pretrained(folder)
    tokens.of_bytes(128).save_pretrained(folder)
    return folder
