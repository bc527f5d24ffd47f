"""Whisper, wav2vec 2.0 and VITS in folders: what hears and what speaks."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tiny.encoders import HALF, spread

MARKS = [
    "<|startoftranscript|>", "<|en|>", "<|de|>", "<|translate|>", "<|transcribe|>", "<|startoflm|>", "<|startofprev|>",
    "<|nospeech|>", "<|notimestamps|>",
]  # fmt: skip


def whisper(folder: Path) -> Path:
    """It hears one second at a time, and thinks in two languages."""
    from transformers import (
        WhisperConfig,
        WhisperFeatureExtractor,
        WhisperForConditionalGeneration,
        WhisperProcessor,
        WhisperTokenizer,
    )

    pieces = ["<|endoftext|>", *"abcdefghijklmnopqrstuvwxyzĠ"]  # Ġ is the blank among bytes
    words = WhisperTokenizer(vocab={piece: i for i, piece in enumerate(pieces)}, merges=[])
    words.add_special_tokens({"extra_special_tokens": MARKS})
    number = words.convert_tokens_to_ids
    end = number("<|endoftext|>")
    ends = dict.fromkeys(("pad_token_id", "bos_token_id", "eos_token_id"), end)
    config = WhisperConfig(
        vocab_size=len(words) + 51, d_model=32, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4,
        decoder_attention_heads=4, encoder_ffn_dim=64, decoder_ffn_dim=64, num_mel_bins=16, max_source_positions=50,
        max_target_positions=16, decoder_start_token_id=number("<|startoftranscript|>"), suppress_tokens=[],
        begin_suppress_tokens=[], **ends,
    )  # fmt: skip
    model = spread(WhisperForConditionalGeneration(config), 0.5)
    how = model.generation_config
    how._from_model_config = False  # else generate() makes a new one, without what is set here
    how.is_multilingual, how.return_timestamps, how.max_length = True, False, 14
    how.no_timestamps_token_id = number("<|notimestamps|>")
    how.lang_to_id = {mark: number(mark) for mark in ("<|en|>", "<|de|>")}
    how.task_to_id = {task: number(f"<|{task}|>") for task in ("transcribe", "translate")}
    model.save_pretrained(folder)
    WhisperProcessor(WhisperFeatureExtractor(feature_size=16, chunk_length=1), words).save_pretrained(folder)
    return folder


def wav2vec2(folder: Path) -> Path:
    """It spells, a letter a frame at most."""
    from transformers import (
        Wav2Vec2Config,
        Wav2Vec2CTCTokenizer,
        Wav2Vec2FeatureExtractor,
        Wav2Vec2ForCTC,
        Wav2Vec2Processor,
    )

    signs = ["<pad>", "<s>", "</s>", "<unk>", "|", *"abcdefghijklmnopqrstuvwxyz'"]
    with TemporaryDirectory() as beside:
        place = Path(beside) / "vocab.json"
        place.write_text(json.dumps({sign: i for i, sign in enumerate(signs)}))
        words = Wav2Vec2CTCTokenizer(str(place))
    config = Wav2Vec2Config(
        vocab_size=len(signs), conv_dim=(16, 16), conv_kernel=(10, 8), conv_stride=(40, 8), num_feat_extract_layers=2,
        num_conv_pos_embeddings=8, num_conv_pos_embedding_groups=2, mask_time_prob=0.0, pad_token_id=0, **HALF,
    )  # fmt: skip
    spread(Wav2Vec2ForCTC(config), 0.4).save_pretrained(folder)
    Wav2Vec2Processor(Wav2Vec2FeatureExtractor(return_attention_mask=False), words).save_pretrained(folder)
    return folder


def vits(folder: Path, speakers: int = 2) -> Path:
    """It knows small letters, and the blank."""
    from transformers import VitsConfig, VitsModel, VitsTokenizer

    signs = "_ abcdefghijklmnopqrstuvwxyz'-"
    how: dict[str, Any] = {"pad_token": "_", "unk_token": " ", "language": "eng"}
    with TemporaryDirectory() as beside:
        place = Path(beside) / "vocab.json"
        place.write_text(json.dumps({sign: i for i, sign in enumerate(signs)}))
        VitsTokenizer(str(place), phonemize=False, is_uroman=False, **how).save_pretrained(folder)
    config = VitsConfig(
        vocab_size=len(signs), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, ffn_dim=32, flow_size=16,
        spectrogram_bins=9, duration_predictor_num_flows=2, duration_predictor_filter_channels=16,
        prior_encoder_num_flows=2, upsample_initial_channel=16, upsample_rates=[4, 4], upsample_kernel_sizes=[8, 8],
        resblock_kernel_sizes=[3], resblock_dilation_sizes=[[1, 3]], prior_encoder_num_wavenet_layers=1,
        posterior_encoder_num_wavenet_layers=1, wavenet_dilation_rate=1, num_speakers=speakers,
        speaker_embedding_size=8 if speakers > 1 else 0,
    )  # fmt: skip
    spread(VitsModel(config), 0.1).save_pretrained(folder)
    return folder
