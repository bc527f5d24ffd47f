"""OWL-ViT, OWLv2, Grounding DINO, YOLOS, SAM and Segformer in folders: what finds things in images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tiny import tokens
from tiny.encoders import HALF, spread


def owlvit(folder: Path) -> Path:
    from transformers import OwlViTConfig, OwlViTForObjectDetection, OwlViTImageProcessorPil, OwlViTProcessor

    config, words = _owl(OwlViTConfig)
    spread(OwlViTForObjectDetection(config)).save_pretrained(folder)
    eye = OwlViTImageProcessorPil(size={"height": 64, "width": 64}, do_center_crop=False)
    OwlViTProcessor(eye, words).save_pretrained(folder)
    return folder


def owlv2(folder: Path) -> Path:
    from transformers import Owlv2Config, Owlv2ForObjectDetection, Owlv2ImageProcessorPil, Owlv2Processor

    config, words = _owl(Owlv2Config)
    spread(Owlv2ForObjectDetection(config)).save_pretrained(folder)
    Owlv2Processor(Owlv2ImageProcessorPil(size={"height": 64, "width": 64}), words).save_pretrained(folder)
    return folder


def _owl(kind: Any) -> tuple[Any, Any]:
    words = tokens.clip(16)
    words.pad_token = "!"  # a query that begins with token 0 counts as empty, and only padding may
    ends = {"bos_token_id": words.bos_token_id, "eos_token_id": words.eos_token_id, "pad_token_id": words.pad_token_id}
    text = {"vocab_size": len(words), "max_position_embeddings": 16, **ends, **HALF}
    return kind(text_config=text, vision_config={"image_size": 64, "patch_size": 16, **HALF}, projection_dim=32), words


def gdino(folder: Path) -> Path:
    from transformers import (
        BertConfig,
        GroundingDinoConfig,
        GroundingDinoForObjectDetection,
        GroundingDinoImageProcessorPil,
        GroundingDinoProcessor,
        SwinConfig,
    )

    words = _wordpiece()
    sees = SwinConfig(
        embed_dim=16, depths=[1, 1, 1, 1], num_heads=[2, 2, 2, 2], window_size=4, image_size=128, out_indices=[2, 3, 4]
    )
    reads = BertConfig(
        vocab_size=len(words), hidden_size=32, num_hidden_layers=1, num_attention_heads=4, intermediate_size=64
    )
    config = GroundingDinoConfig(
        backbone_config=sees, text_config=reads, d_model=32, encoder_layers=1, decoder_layers=2, encoder_ffn_dim=64,
        decoder_ffn_dim=64, encoder_attention_heads=4, decoder_attention_heads=4, num_queries=20, num_feature_levels=4,
        max_text_len=32,
    )  # fmt: skip
    spread(GroundingDinoForObjectDetection(config), 0.1).save_pretrained(folder)
    eye = GroundingDinoImageProcessorPil(size={"shortest_edge": 128, "longest_edge": 128})
    GroundingDinoProcessor(eye, words).save_pretrained(folder)
    return folder


def _wordpiece() -> Any:
    from transformers import BertTokenizer

    letters = "abcdefghijklmnopqrstuvwxyz0123456789.,'-"
    marks = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    pieces = [*marks, *dict.fromkeys([*letters, *tokens.WORDS]), *("##" + letter for letter in letters)]
    return BertTokenizer(vocab={piece: i for i, piece in enumerate(pieces)}, model_max_length=64)


def yolos(folder: Path) -> Path:
    """A detector with labels of its own."""
    from transformers import YolosConfig, YolosForObjectDetection, YolosImageProcessorPil

    labels = {0: "Cat", 1: "traffic light", 2: "N/A"}
    config = YolosConfig(image_size=[64, 64], patch_size=16, num_detection_tokens=12, id2label=labels, **HALF)
    spread(YolosForObjectDetection(config)).save_pretrained(folder)
    YolosImageProcessorPil(size={"height": 64, "width": 64}).save_pretrained(folder)
    return folder


def sam(folder: Path) -> Path:
    from transformers import SamConfig, SamModel

    return _sam(folder, SamConfig, SamModel)


def sam_hq(folder: Path) -> Path:
    from transformers import SamHQConfig, SamHQModel

    return _sam(folder, SamHQConfig, SamHQModel, vit_dim=32)


def _sam(folder: Path, config: Any, model: Any, **more: int) -> Path:
    from transformers import SamImageProcessorPil, SamProcessor

    sees = {
        "hidden_size": 32, "output_channels": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "image_size": 64,
        "patch_size": 8, "mlp_dim": 64, "num_pos_feats": 16, "window_size": 4, "global_attn_indexes": [1],
    }  # fmt: skip
    prompted = {
        "hidden_size": 32, "image_size": 64, "patch_size": 8, "mask_input_channels": 4, "image_embedding_size": 8,
    }  # fmt: skip
    marks = {
        "hidden_size": 32, "mlp_dim": 64, "num_hidden_layers": 1, "num_attention_heads": 4, "iou_head_hidden_dim": 32,
        **more,
    }  # fmt: skip
    whole = config(vision_config=sees, prompt_encoder_config=prompted, mask_decoder_config=marks)
    spread(model(whole), 0.15).save_pretrained(folder)
    eye = SamImageProcessorPil(
        size={"longest_edge": 64}, pad_size={"height": 64, "width": 64}, mask_size={"longest_edge": 32},
        mask_pad_size={"height": 32, "width": 32},
    )  # fmt: skip
    SamProcessor(eye).save_pretrained(folder)
    return folder


def segformer(folder: Path) -> Path:
    """A map of classes, for which no box is asked."""
    from transformers import SegformerConfig, SegformerForSemanticSegmentation

    config = SegformerConfig(
        depths=[1, 1, 1, 1], hidden_sizes=[8, 8, 16, 16], num_attention_heads=[1, 1, 2, 2], decoder_hidden_size=16
    )
    SegformerForSemanticSegmentation(config).save_pretrained(folder)
    return folder
