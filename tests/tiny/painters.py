"""Stable Diffusion in all its ways, AudioLDM 2 and Stable Audio, in folders of some hundred kilobytes."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from tiny import tokens
from tiny.encoders import HALF, spread

SIDE = 32
"""The size of a picture that the tiny networks paint."""
BLOCKS = {
    "block_out_channels": (8, 16), "layers_per_block": 1, "norm_num_groups": 4, "attention_head_dim": 4,
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
}  # fmt: skip


def seeded(seed: int = 0) -> None:
    import torch

    torch.manual_seed(seed)


def words_of(vocabulary: Any, **more: Any) -> Any:
    from transformers import CLIPTextConfig

    ends = {f"{end}_token_id": getattr(vocabulary, f"{end}_token_id") for end in ("bos", "eos", "pad")}
    return CLIPTextConfig(vocab_size=len(vocabulary), max_position_embeddings=77, **ends, **{**HALF, **more})


def parts(channels: int = 4, **network: Any) -> dict[str, Any]:
    """What every pipeline of the family is made of."""
    from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
    from transformers import CLIPTextModel

    seeded()
    vocabulary = tokens.clip()
    unet = UNet2DConditionModel(
        **{
            **BLOCKS, "in_channels": channels, "out_channels": 4, "sample_size": SIDE // 2, "cross_attention_dim": 32,
            "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"), **network,
        }
    )  # fmt: skip
    for name, weights in unet.named_parameters():
        if "attn2" in name and weights.ndim == 2:
            weights.data.mul_(6)  # a new network hardly hears its prompt
    vae = AutoencoderKL(
        block_out_channels=[8, 16], down_block_types=["DownEncoderBlock2D"] * 2, latent_channels=4, norm_num_groups=4,
        up_block_types=["UpDecoderBlock2D"] * 2, sample_size=SIDE,
    )  # fmt: skip
    scheduler = DDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False, set_alpha_to_one=False,
        steps_offset=1,
    )  # fmt: skip
    return {
        "unet": unet, "vae": vae, "scheduler": scheduler, "tokenizer": vocabulary,
        "text_encoder": CLIPTextModel(words_of(vocabulary)),
    }  # fmt: skip


def plain(folder: Path, channels: int = 4, kind: str = "StableDiffusionPipeline", **more: Any) -> Path:
    """A pipeline without a safety checker; 9 channels are an inpainter's, 8 InstructPix2Pix's."""
    import diffusers

    unchecked = {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
    getattr(diffusers, kind)(**{**parts(channels), **unchecked, **more}).save_pretrained(folder)
    return folder


def noisy(folder: Path) -> Path:
    """With a scheduler that draws noise at each of its steps, from no generator that it is given."""
    from diffusers import DPMSolverSDEScheduler

    return plain(folder, scheduler=DPMSolverSDEScheduler(steps_offset=1))


XL = {
    "cross_attention_dim": 64, "addition_embed_type": "text_time", "addition_time_embed_dim": 8,
    "projection_class_embeddings_input_dim": 80, "transformer_layers_per_block": (1, 2),
}  # fmt: skip
"""What the network of an XL has besides: two encoders' words, and the size of the picture."""


def xl(folder: Path, channels: int = 4, kind: str = "StableDiffusionXLPipeline", **more: Any) -> Path:
    """With two text encoders; 9 channels are an inpainter's, 8 InstructPix2Pix's."""
    import diffusers
    from transformers import CLIPTextModelWithProjection

    whole = parts(channels, **XL)
    vocabulary = whole["tokenizer"]
    second = CLIPTextModelWithProjection(words_of(vocabulary, projection_dim=32))
    named = {"text_encoder_2": second, "tokenizer_2": vocabulary, "add_watermarker": False, **more}
    getattr(diffusers, kind)(**whole, **named).save_pretrained(folder)
    return folder


def control(folder: Path, **network: Any) -> Path:
    """A ControlNet alone, with its closed layers opened."""
    from diffusers import ControlNetModel

    seeded(1)
    known = {**BLOCKS, "in_channels": 4, "conditioning_embedding_out_channels": (4, 8), "cross_attention_dim": 32}
    net = ControlNetModel(**{**known, **network})
    for weights in [*net.controlnet_down_blocks.parameters(), *net.controlnet_mid_block.parameters()]:
        weights.data.normal_(0, 0.2)
    net.controlnet_cond_embedding.conv_out.weight.data.normal_(0, 0.2)
    net.save_pretrained(folder)
    return folder


def gligen(folder: Path) -> Path:
    from diffusers import StableDiffusionGLIGENPipeline

    whole = parts(attention_type="gated")
    for name, weights in whole["unet"].named_parameters():
        if name.endswith(("alpha_attn", "alpha_dense")):
            weights.data.fill_(1.0)
        if ".fuser." in name and weights.ndim == 2:
            weights.data.mul_(6)
    pipe = StableDiffusionGLIGENPipeline(
        **whole, safety_checker=None, feature_extractor=None, requires_safety_checker=False
    )
    pipe.save_pretrained(folder)
    return folder


def ip_adapter(folder: Path, **network: Any) -> Path:
    """Weights laid out as the published ones are, and the encoder that they read."""
    import torch
    from safetensors.torch import save_file
    from transformers import CLIPImageProcessorPil, CLIPVisionConfig, CLIPVisionModelWithProjection

    seeded(2)
    unet = parts(**network)["unet"]
    words = unet.config.cross_attention_dim
    found = {
        "image_proj.proj.weight": torch.randn(4 * words, 32), "image_proj.proj.bias": torch.zeros(4 * words),
        "image_proj.norm.weight": torch.ones(words), "image_proj.norm.bias": torch.zeros(words),
    }  # fmt: skip
    cross = [name for name in unet.attn_processors if "attn2" in name]
    for number, name in enumerate(cross):
        wide = unet.get_submodule(name.removesuffix(".processor")).inner_dim
        for part in ("k", "v"):
            found[f"ip_adapter.{2 * number + 1}.to_{part}_ip.weight"] = torch.randn(wide, words)
    folder.mkdir()
    save_file(found, folder / "ip-adapter.safetensors")
    sees = CLIPVisionConfig(image_size=32, patch_size=8, projection_dim=32, **HALF)
    CLIPVisionModelWithProjection(sees).save_pretrained(folder / "image_encoder")
    size = {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}}
    CLIPImageProcessorPil(**size).save_pretrained(folder / "image_encoder")
    return folder


def lora(folder: Path, seed: int = 3, **network: Any) -> Path:
    from diffusers import StableDiffusionPipeline
    from peft import LoraConfig
    from peft.utils import get_peft_model_state_dict

    unet = parts(**network)["unet"]
    seeded(seed)
    unet.add_adapter(LoraConfig(r=2, lora_alpha=2, target_modules=["to_q", "to_v"], init_lora_weights=False))
    StableDiffusionPipeline.save_lora_weights(folder, unet_lora_layers=get_peft_model_state_dict(unet))
    return folder


def learned(folder: Path, word: str = "<mine>", vectors: int = 2) -> Path:
    """A word that was learned, of several vectors."""
    import torch
    from safetensors.torch import save_file

    folder.mkdir(exist_ok=True)
    generator = torch.Generator().manual_seed(4)
    save_file({word: torch.randn(vectors, 32, generator=generator)}, folder / "learned_embeds.safetensors")
    return folder


def flagging(folder: Path) -> Path:
    """A Stable Diffusion whose safety checker flags every picture."""
    from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
    from transformers import CLIPConfig, CLIPImageProcessorPil

    seeded(5)
    sees = CLIPConfig(vision_config={"image_size": 32, "patch_size": 8, **HALF}, projection_dim=16)
    checker = StableDiffusionSafetyChecker(sees)
    checker.concept_embeds_weights.data.fill_(-2.0)  # no cosine is below
    checker.special_care_embeds_weights.data.fill_(-2.0)
    size = {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}}
    reader = CLIPImageProcessorPil(**size)
    return plain(folder, safety_checker=checker, feature_extractor=reader, requires_safety_checker=True)


def audioldm2(folder: Path) -> Path:
    from diffusers import (
        AudioLDM2Pipeline,
        AudioLDM2ProjectionModel,
        AudioLDM2UNet2DConditionModel,
        AutoencoderKL,
        DDIMScheduler,
    )
    from transformers import (
        ClapConfig,
        ClapFeatureExtractor,
        ClapModel,
        GPT2Config,
        GPT2LMHeadModel,
        SpeechT5HifiGan,
        SpeechT5HifiGanConfig,
        T5Config,
        T5EncoderModel,
    )

    seeded(6)
    words = tokens.roberta()
    hears = {
        "window_size": 2, "num_mel_bins": 64, "spec_size": 128, "hidden_size": 32, "patch_size": 4,
        "patch_stride": [4, 4], "patch_embeds_hidden_size": 16, "depths": [1, 1], "num_attention_heads": [2, 2],
        "projection_dim": 16, "num_classes": 4,
    }  # fmt: skip
    reads = {
        "vocab_size": len(words), "max_position_embeddings": 80, "projection_dim": 16,
        "pad_token_id": words.pad_token_id, **HALF,
    }  # fmt: skip
    language = GPT2LMHeadModel(
        GPT2Config(
            n_embd=16, n_head=1, n_layer=1, n_positions=99, vocab_size=len(words), bos_token_id=0, eos_token_id=2
        )
    )
    language.config.max_new_tokens = 8  # where the pipeline looks for it
    vocoder = SpeechT5HifiGanConfig(
        model_in_dim=8, sampling_rate=16000, upsample_initial_channel=16, upsample_rates=[2, 2],
        upsample_kernel_sizes=[4, 4], resblock_kernel_sizes=[3], resblock_dilation_sizes=[[1, 3]],
        normalize_before=False,
    )  # fmt: skip
    AudioLDM2Pipeline(
        unet=AudioLDM2UNet2DConditionModel(
            block_out_channels=(8, 16), layers_per_block=1, norm_num_groups=8, sample_size=32, in_channels=4,
            out_channels=4, down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"), cross_attention_dim=(8, 16),
        ),
        vae=AutoencoderKL(
            block_out_channels=[8, 16], in_channels=1, out_channels=1, norm_num_groups=8, latent_channels=4,
            down_block_types=["DownEncoderBlock2D"] * 2, up_block_types=["UpDecoderBlock2D"] * 2,
        ),
        text_encoder=spread(ClapModel(ClapConfig(text_config=reads, audio_config=hears, projection_dim=16))),
        tokenizer=words,
        text_encoder_2=T5EncoderModel(
            T5Config(vocab_size=len(words), d_model=32, d_kv=8, d_ff=37, num_layers=1, num_heads=4)
        ),
        tokenizer_2=words,
        projection_model=AudioLDM2ProjectionModel(
            text_encoder_dim=16, text_encoder_1_dim=32, langauge_model_dim=16
        ),
        language_model=language,
        feature_extractor=ClapFeatureExtractor(
            feature_size=64, sampling_rate=16000, max_length_s=2, hop_length=320, frequency_max=8000
        ),
        vocoder=spread(SpeechT5HifiGan(vocoder)),
        scheduler=DDIMScheduler(),
    ).save_pretrained(folder)  # fmt: skip
    return folder


def stable_audio(folder: Path, scheduler: str = "EDMDPMSolverMultistepScheduler", **levels: Any) -> Path:
    """In two channels, a hundred samples a second.  The scheduler of the published one is
    CosineDPMSolverMultistepScheduler."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own: its old way to norm weights
        return _stable_audio(folder, scheduler, levels)


def _stable_audio(folder: Path, scheduler: str, levels: dict[str, Any]) -> Path:
    import diffusers
    from diffusers import (
        AutoencoderOobleck,
        StableAudioDiTModel,
        StableAudioPipeline,
        StableAudioProjectionModel,
    )
    from transformers import T5Config, T5EncoderModel

    seeded(7)
    words = tokens.of_bytes(64)
    reads = T5Config(
        vocab_size=len(words), d_model=4, d_kv=4, d_ff=8, num_layers=1, num_heads=2, pad_token_id=words.pad_token_id
    )
    StableAudioPipeline(
        transformer=StableAudioDiTModel(
            sample_size=64, in_channels=3, num_layers=2, attention_head_dim=4, num_attention_heads=8,
            num_key_value_attention_heads=4, out_channels=3, cross_attention_dim=4, time_proj_dim=8,
            global_states_input_dim=8, cross_attention_input_dim=4,
        ),
        vae=AutoencoderOobleck(
            encoder_hidden_size=6, downsampling_ratios=[1, 2], decoder_channels=3, decoder_input_channels=3,
            audio_channels=2, channel_multiples=[2, 4], sampling_rate=100,
        ),
        text_encoder=spread(T5EncoderModel(reads)),
        tokenizer=words,
        projection_model=StableAudioProjectionModel(text_encoder_dim=4, conditioning_dim=4, min_value=0, max_value=32),
        scheduler=getattr(diffusers, scheduler)(
            **{
                "solver_order": 2, "prediction_type": "v_prediction", "sigma_data": 1.0,
                "sigma_schedule": "exponential", **levels,
            }
        ),
    ).save_pretrained(folder)  # fmt: skip
    return folder
