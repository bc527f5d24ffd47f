"""How many pictures and texts a second models on a GPU make: through leaven's players, and from the bare libraries.

    python -m benchmarks.on_a_gpu [--images 64] [--texts 128] [--turns 2] [--tiny]

A Stable Diffusion of the size of 1.5 and a Llama of 1.2 billion weights are built with random weights, which cost the
same time as learnt ones, and nothing is fetched.  *Bare*: the same folder read by diffusers, or transformers, in the
same number format, and asked in a plain loop of batches of the size that leaven's have on a GPU; pictures come as
arrays and texts are decoded.  *leaven*: as many calls at once as a run keeps on their way, through Players.  Each goes
first in half of the turns; a first batch of each is not counted.

``--tiny`` is for a machine without a GPU, and says nothing about one: there leaven answers call by call.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"  # read when the hub's client is imported

import diffusers
import torch
import transformers

from leaven.models.backends.local.paints import Paints
from leaven.models.backends.local.speaks import Speaks
from leaven.models.calls import About, Answer, Ask
from leaven.models.config import Config
from leaven.models.players import Players

AT_ONCE = 64
"""Calls on their way at the same time."""
THINGS = ("a red car", "two dogs in the snow", "a lighthouse above a calm sea at dusk", "an old wooden chair")


@dataclass(frozen=True)
class Size:
    """How large the models are, and how much each is asked."""

    side: int
    steps: int
    network: tuple[int, ...]
    decoder: tuple[int, ...]
    words: dict[str, int]
    writer: dict[str, int]
    tokens: int


REAL = Size(
    side=512,
    steps=30,
    network=(320, 640, 1280, 1280),
    decoder=(128, 256, 512, 512),
    words={"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12},
    writer={
        "hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 16, "num_attention_heads": 32,
        "num_key_value_heads": 8, "vocab_size": 128_256,
    },
    tokens=128,
)  # fmt: skip
TINY = Size(
    side=64,
    steps=4,
    network=(32, 64, 64, 64),
    decoder=(32, 32, 32, 32),
    words={"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4},
    writer={
        "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 4, "num_attention_heads": 4,
        "num_key_value_heads": 2, "vocab_size": 1_000,
    },
    tokens=16,
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=0)
    parser.add_argument("--texts", type=int, default=0)
    parser.add_argument("--turns", type=int, default=0)
    parser.add_argument("--tiny", action="store_true")
    arguments = parser.parse_args()
    size = TINY if arguments.tiny else REAL
    where = "cuda" if torch.cuda.is_available() else "cpu"
    if where == "cpu" and not arguments.tiny:
        raise SystemExit("no GPU is at hand: --tiny shows that this runs")
    named = torch.cuda.get_device_name() if where == "cuda" else "CPU"
    if where == "cpu":
        torch.set_num_threads(1)  # as leaven does, call by call; on so little several mostly wait for each other
    for library in (diffusers, transformers):
        library.utils.logging.set_verbosity_error()
        library.utils.logging.disable_progress_bar()
    print(f"{named}, torch {torch.__version__}, {number(where)}\n")
    turns = arguments.turns or (1 if arguments.tiny else 2)
    images = arguments.images or (8 if arguments.tiny else 64)
    texts = arguments.texts or (16 if arguments.tiny else 128)
    with tempfile.TemporaryDirectory() as scratch, torch.inference_mode(False):
        folder = Path(scratch)
        painter(folder / "sd", size, where)
        writer(folder / "llama", size, where)
        print("\n| | batch | bare, a second | leaven, a second | leaven beside bare |")
        print("|---|---|---|---|---|", flush=True)
        asks = [paint(i, size) for i in range(images)]
        name = f"pictures of {size.side} x {size.side} in {size.steps} steps"
        show(name, Paints.batch, asks, f"diffusers:{folder / 'sd'}", bare_pipeline(folder / "sd", where), turns)
        asks = [complete(i, size) for i in range(texts)]
        name = f"texts of {size.tokens} tokens"
        show(name, Speaks.batch, asks, f"transformers:{folder / 'llama'}", bare_writer(folder / "llama", where), turns)


Bare = Callable[[Sequence[Ask]], int]
"""Answers one batch; how many came."""


def show(name: str, batch: int, asks: list[Ask], uri: str, bare: Bare, turns: int) -> None:
    without, took = beside(batch, asks, uri, bare, turns)
    rates = len(asks) / statistics.median(without), len(asks) / statistics.median(took)
    print(f"| {name} | {batch} | {rates[0]:.2f} | {rates[1]:.2f} | {rates[1] / rates[0]:.3f} |", flush=True)


def beside(batch: int, asks: list[Ask], uri: str, bare: Bare, turns: int) -> tuple[list[float], list[float]]:
    """Seconds for all calls, bare and through leaven, in each turn."""
    players = Players({asks[0].role: uri}, Config(), recording=lambda name: [])
    _, player = players.player(asks[0].role)

    def loop(some: Sequence[Ask]) -> None:
        came = sum(bare(some[i : i + batch]) for i in range(0, len(some), batch))
        assert came == len(some)

    async def run(some: Sequence[Ask]) -> None:
        room = asyncio.Semaphore(AT_ONCE)

        async def one(i: int, ask: Ask) -> Answer:
            async with room:
                return await player.play(ask, About("step", 0, f"{i:05}"))

        found = await asyncio.gather(*(one(i, ask) for i, ask in enumerate(some)))
        assert all(answer.media is not None or answer.tokens_out for answer in found)

    async def turn_by_turn() -> tuple[list[float], list[float]]:
        without: list[float] = []
        took: list[float] = []
        loop(asks[:batch])
        await run(asks[:batch])
        for turn in range(turns):
            for leaven in (False, True) if turn % 2 == 0 else (True, False):
                begin = time.perf_counter()
                if leaven:
                    await run(asks)
                else:
                    loop(asks)
                (took if leaven else without).append(time.perf_counter() - begin)
        await players.close()
        return without, took

    return asyncio.run(turn_by_turn())


def paint(i: int, size: Size) -> Ask:
    how = {"steps": size.steps, "guidance": 7.5, "width": size.side, "height": size.side}
    return Ask("paint", {"prompt": f"{THINGS[i % 4]}, number {i}", **how}, {"seed": i})


def complete(i: int, size: Size) -> Ask:
    how = {"temperature": 0.8, "max_tokens": size.tokens, "min_tokens": size.tokens}
    return Ask("complete", {"prompt": f"{i}. Write about {THINGS[i % 4]}, " * (1 + i % 3)}, {**how, "seed": i})


def bare_pipeline(folder: Path, where: str) -> Bare:
    from diffusers import StableDiffusionPipeline

    pipe = StableDiffusionPipeline.from_pretrained(folder, use_safetensors=True, dtype=number(where)).to(where)
    pipe.set_progress_bar_config(disable=True)

    def bare(asks: Sequence[Ask]) -> int:
        how = asks[0].content
        generators = [torch.Generator("cpu").manual_seed(ask.sampling["seed"]) for ask in asks]
        found = pipe(
            [ask.content["prompt"] for ask in asks], num_inference_steps=how["steps"], guidance_scale=how["guidance"],
            width=how["width"], height=how["height"], generator=generators, output_type="np",
        )  # fmt: skip
        return len((found.images * 255).round().astype("uint8"))

    return bare


def bare_writer(folder: Path, where: str) -> Bare:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    reads = AutoTokenizer.from_pretrained(folder, padding_side="left")
    model = AutoModelForCausalLM.from_pretrained(folder, use_safetensors=True, dtype=number(where)).to(where)

    def bare(asks: Sequence[Ask]) -> int:
        how = asks[0].sampling
        inputs = reads([ask.content["prompt"] for ask in asks], return_tensors="pt", padding=True).to(where)
        inputs.pop("token_type_ids", None)
        with torch.inference_mode():
            found = model.generate(
                **inputs, do_sample=True, temperature=how["temperature"], top_k=0, max_new_tokens=how["max_tokens"],
                min_new_tokens=how["max_tokens"],
            )  # fmt: skip
        return len(reads.batch_decode(found[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True))

    return bare


def number(where: str) -> torch.dtype:
    """The format that leaven loads models in."""
    return torch.float32 if where == "cpu" else torch.bfloat16


# -- the models ------------------------------------------------------------------------------------------------------


def painter(folder: Path, size: Size, where: str) -> None:
    """A Stable Diffusion whose networks have this size; a picture is eight times as wide as what it paints."""
    from diffusers import AutoencoderKL, PNDMScheduler, StableDiffusionPipeline, UNet2DConditionModel
    from tokenizers import pre_tokenizers
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    pieces = [*letters, *(letter + "</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    reads = CLIPTokenizer(
        vocab={piece: i for i, piece in enumerate(pieces)}, merges=[], pad_token="<|endoftext|>", model_max_length=77
    )
    marks = {"bos_token_id": len(pieces) - 2, "eos_token_id": len(pieces) - 1, "pad_token_id": len(pieces) - 1}
    with torch.device(where):
        unet = UNet2DConditionModel(
            sample_size=size.side // 8, cross_attention_dim=size.words["hidden_size"], attention_head_dim=8,
            block_out_channels=size.network,
        )  # fmt: skip
        many = len(size.decoder)
        vae = AutoencoderKL(
            block_out_channels=size.decoder, layers_per_block=2, latent_channels=4, sample_size=size.side,
            down_block_types=["DownEncoderBlock2D"] * many, up_block_types=["UpDecoderBlock2D"] * many,
        )  # fmt: skip
        words = CLIPTextModel(CLIPTextConfig(vocab_size=len(pieces), max_position_embeddings=77, **marks, **size.words))
    scheduler = PNDMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", skip_prk_steps=True, steps_offset=1
    )
    pipe = StableDiffusionPipeline(
        vae=vae, unet=unet, text_encoder=words, tokenizer=reads, scheduler=scheduler, safety_checker=None,
        feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip
    pipe.to(number(where)).save_pretrained(folder)
    print_size("a Stable Diffusion", unet, vae, words)


def writer(folder: Path, size: Size, where: str) -> None:
    """A Llama of this size that reads bytes."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    letters = ["<pad>", "</s>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    pieces = [*letters, *(f"word{i}" for i in range(size.writer["vocab_size"] - len(letters)))]
    own = Tokenizer(models.BPE(vocab={piece: i for i, piece in enumerate(pieces)}, merges=[]))
    own.pre_tokenizer, own.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    reads = PreTrainedTokenizerFast(
        tokenizer_object=own, pad_token="<pad>", eos_token="</s>", padding_side="left", model_max_length=4096
    )
    with torch.device(where):
        model = LlamaForCausalLM(
            LlamaConfig(
                **size.writer, max_position_embeddings=4096, tie_word_embeddings=True, pad_token_id=0, eos_token_id=1,
                bos_token_id=None,
            )
        )  # fmt: skip
    model.to(number(where)).save_pretrained(folder)
    reads.save_pretrained(folder)
    print_size("a Llama", model)


def print_size(name: str, *networks: Any) -> None:
    millions = sum(weights.numel() for network in networks for weights in network.parameters()) / 1e6
    print(f"{name} of {millions:,.1f} million weights", flush=True)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
