"""Images by pipelines of diffusers: from a prompt, over an image or a part of it, by instruction, control or boxes."""

from __future__ import annotations

import copy
import inspect
import threading
import warnings
from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from leaven.errors import MissingExtra, ModelError
from leaven.media.image import Image
from leaven.models.backends.local import noise_of_steps, painting
from leaven.models.backends.local.in_turn import InTurn
from leaven.models.backends.local.local import Local
from leaven.models.backends.local.weights import hush
from leaven.models.calls import About, Answer, Ask, CallFailed

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from leaven.models.backends.local.weights import Weights
    from leaven.models.calls import Adapter

GRID = 8
"""Widths and heights are multiples of this."""
LORA, WORDS = "pytorch_lora_weights.safetensors", "learned_embeds.safetensors"
"""The files of an adapter."""
TOKENIZERS = ("tokenizer", "tokenizer_2")
LIKE = "ip_adapter"
SETTINGS = ("requires_aesthetics_score", "force_zeros_for_empty_prompt", "is_cosxl_edit")
"""What a pipeline's folder says besides its parts."""


class Paints(Local):
    """Plays ``paint`` with Stable Diffusion and Stable Diffusion XL: text to image, image to image, inpainting,
    InstructPix2Pix, ControlNet, GLIGEN and IP-Adapter.

    All pipelines share one set of weights; each call has a scheduler, tokenizers and a generator of its own.
    ``beside`` names the folders of a ``controlnet`` and an ``ip_adapter``.  An adapter is a folder with LoRA weights,
    learned words, or both; it is there for the calls that name it, or for those that name none where it is given here.

    A picture is painted in the nearest size that the network takes, multiples of 8, and answered in the size that was
    asked for: that of the image, else of the control, else ``width`` and ``height``, else the model's own.
    """

    extra: ClassVar[str] = "diffusion"
    batch: ClassVar[int] = 4

    def __init__(
        self, weights: Weights, beside: Mapping[str, Weights] | None = None, adapter: Adapter | None = None
    ) -> None:
        super().__init__(weights)
        self.beside = dict(beside or {})
        self.family = painting.family(weights)
        self.adapter = adapter
        """What calls that name no other are painted with."""
        named = [adapter.name] if adapter else []
        self.model = " + ".join([self.model, *(other.model for other in self.beside.values()), *named])
        self._can: frozenset[str] | None = None
        self._parts: dict[str, Any] = {}
        self._pipes: dict[str, Any] = {}
        self._building = threading.Lock()
        self._turn = InTurn()
        self._adapted: dict[str, Any] = {}
        """The parts that learned words changed: copies, so that the others stay as they are."""
        self._on: tuple[str, bool, bool] = ("", False, False)
        """The adapter whose state the parts are in, whether it is a LoRA, and whether images are prompts."""
        self._own = threading.local()

    @property
    def can(self) -> frozenset[str]:
        """What it honours: text, image, mask, instruct, control, boxes, like."""
        if self._can is None:
            self._can = painting.can(self.weights, self.beside)
        return self._can

    def class_of(self, ask: Ask) -> str:
        """The pipeline that answers a call.  Raises ModelError where none does."""
        return painting.class_of(self.family, painting.asked(ask.content), self.can, self.uri)

    async def play(self, ask: Ask, about: About) -> Answer:
        self.class_of(ask)  # before weights are loaded
        return await super().play(ask, about)

    def kind(self, ask: Ask) -> Hashable:
        named = {"prompt", "image", "mask", "control", "like"}
        shared = sorted((key, str(value)) for key, value in ask.content.items() if key not in named)
        sizes = [shown(ask, key).size for key in ("image", "control") if key in ask.content]
        # Boxes, and images as prompts, are given for a whole batch at a time.
        alone = ask.encoded + ask.settings if painting.asked(ask.content) & {"boxes", "like"} else ""
        return self.class_of(ask), *shared, *sizes, alone

    # -- in a thread ------------------------------------------------------------------------------------------------

    def load(self) -> None:
        diffusers = quiet(self.uri)
        noise_of_steps.check(self.weights)
        more: dict[str, Any] = {"use_safetensors": True, "dtype": self.dtype}
        name = str(self.weights.config["_class_name"])
        if "controlnet" in self.beside:
            more["controlnet"] = self.beside["controlnet"].read(diffusers.ControlNetModel, **more)
            name = name if "ControlNet" in name else f"{painting.BEGIN}{self.family}ControlNetPipeline"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pipe = self.weights.read(getattr(diffusers, name), **more)
        self._parts = {**pipe.components, **{key: value for key, value in pipe.config.items() if key in SETTINGS}}
        self._parts["add_watermarker"] = False  # else it hangs on which other packages are installed
        if LIKE in self.beside:
            self._parts |= self._seeing()
        for part in self._parts.values():
            if hasattr(part, "parameters"):
                part.requires_grad_(False).train(False).to(self.device, self.dtype)

    def unload(self) -> None:
        self._parts, self._pipes, self._adapted, self._on = {}, {}, {}, ("", False, False)
        self._own = threading.local()
        self._turn.forget()

    def answers(self, asks: Sequence[Ask]) -> list[Answer | CallFailed]:
        import numpy as np
        import torch

        first = asks[0]
        how = first.content
        name, size, goal = self.class_of(first), *self.sizes(first)
        if (failed := too_few_steps(how)) is not None:
            return [failed] * len(asks)
        generators = [torch.Generator("cpu").manual_seed(int(ask.sampling["seed"])) for ask in asks]
        with self._state(first) as pipe_of:
            pipe = pipe_of(name)
            noise_of_steps.owned(pipe.scheduler, generators)
            found = pipe(
                prompt=[ask.content["prompt"] for ask in asks],
                num_inference_steps=int(how.get("steps", 30)),
                guidance_scale=float(how.get("guidance", 7.5)),
                generator=generators,
                output_type="np",
                **({"negative_prompt": [how["negative"]] * len(asks)} if how.get("negative") else {}),
                **self.given(asks, size),
            )
        flagged = getattr(found, "nsfw_content_detected", None) or [False] * len(asks)
        answers: list[Answer | CallFailed] = []
        for picture, unfit in zip(found.images, flagged, strict=True):
            if unfit:
                answers.append(CallFailed("provider_refused", f"the safety checker of {self.uri} flags the picture"))
            elif not np.isfinite(picture).all():
                answers.append(CallFailed("model_error", f"{self.uri} painted what are no numbers"))
            else:
                pixels = (np.clip(picture, 0, 1) * 255).round().astype(np.uint8)
                answers.append(Answer("", media=Image.of(fitted(pixels, goal))))
        return answers

    def given(self, asks: Sequence[Ask], size: tuple[int, int]) -> dict[str, Any]:
        """What the pipeline is given beside prompts: images in the size that it paints in, and how they count."""
        how = asks[0].content
        wanted = painting.asked(how)
        images = {
            key: [picture(shown(ask, key), size, mask=key == "mask") for ask in asks]
            for key in ("image", "mask", "control")
            if key in how
        }
        sized = dict(zip(("width", "height"), size, strict=True))
        found: dict[str, Any] = dict(sized)
        if "instruct" in wanted:
            # The one for XL brings images to its own size, unless it is told another.
            own = sized if self.family else {}
            found = {"image": images["image"], "image_guidance_scale": float(how.get("image_guidance", 1.5)), **own}
        elif "mask" in wanted:
            found = {"image": images["image"], "mask_image": images["mask"], **sized}
        elif "image" in wanted:
            found = {"image": images["image"]}
        if wanted & {"image", "mask"}:
            found["strength"] = float(how.get("strength", 1.0))  # their own defaults differ
        if "control" in wanted:
            found["control_image" if wanted & {"image", "mask"} else "image"] = images["control"]
        if "boxes" in wanted:
            found |= shares(how["boxes"], self.sizes(asks[0])[1])
        if "like" in wanted:
            found["ip_adapter_image"] = [picture(shown(asks[0], "like"), None)]
        return found

    def sizes(self, ask: Ask) -> tuple[tuple[int, int], tuple[int, int]]:
        """Width and height to paint in, and to answer in."""
        how = ask.content
        for key in ("image", "control"):
            if key in how:
                width, height = shown(ask, key).size
                break
        else:
            own = painting.part(self.weights, "unet").get("sample_size") or 64
            levels = painting.part(self.weights, "vae").get("block_out_channels") or [0] * 4
            side = (own if isinstance(own, int) else own[0]) * 2 ** (len(levels) - 1)
            width, height = int(how.get("width") or side), int(how.get("height") or side)
        over = how if "image" in how else {}  # an image may be painted over at another size than its own
        at = int(over.get("width") or width), int(over.get("height") or height)
        return (on_grid(at[0]), on_grid(at[1])), (width, height)

    # -- what calls share -------------------------------------------------------------------------------------------

    @contextmanager
    def _state(self, ask: Ask) -> Iterator[Any]:
        """While the shared parts are in the state that a call needs: what makes a pipeline of its own for it."""
        own = ask.adapter or self.adapter
        adapter = own.name if own else ""
        like = float(ask.content.get("scale", 0.5)) if "like" in ask.content else None
        # GLIGEN opens and closes the gates of the shared network while it paints.
        alone = (ask.encoded, ask.settings) if ask.content.get("boxes") else None
        with self._turn((adapter, like, alone), lambda: self._become(own, like)):
            yield lambda name: self._pipe(name, adapter)

    def _pipe(self, name: str, adapter: str) -> Any:
        """A pipeline of this class with a scheduler and tokenizers of its own, which keep state."""
        pipe = copy.copy(self._prototype(name))
        scheduler = pipe.scheduler
        pipe.scheduler = type(scheduler).from_config(scheduler.config)
        if getattr(self._own, "adapter", None) != adapter:
            whole = {**self._parts, **self._adapted}
            self._own.tokenizers = {part: copy.deepcopy(whole[part]) for part in TOKENIZERS if whole.get(part)}
            self._own.adapter = adapter
        for part, value in {**self._adapted, **self._own.tokenizers}.items():
            if part in pipe.components:
                setattr(pipe, part, value)
        return pipe

    def _prototype(self, name: str) -> Any:
        import diffusers

        with self._building:
            if name not in self._pipes:
                kind = getattr(diffusers, name)
                parts = {**self._parts, "requires_safety_checker": self._parts.get("safety_checker") is not None}
                takes = inspect.signature(kind.__init__).parameters
                scheduler = parts["scheduler"]
                parts["scheduler"] = type(scheduler).from_config(scheduler.config)  # some classes mend its settings
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    pipe = kind(**{key: value for key, value in parts.items() if key in takes})
                pipe.set_progress_bar_config(disable=True)
                self._pipes[name] = pipe
            return self._pipes[name]

    def _become(self, adapter: Adapter | None, like: float | None) -> None:
        """Bring the shared parts into a state; nobody uses them meanwhile."""
        import torch

        wanted = adapter.name if adapter else ""
        was, lora, seeing = self._on
        base = f"{painting.BEGIN}{self.family}Pipeline"
        with torch.inference_mode(False), torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if seeing and (like is None or was != wanted):
                copy.copy(self._prototype(base)).unload_ip_adapter()
                seeing = False
            if was != wanted:
                if lora:
                    copy.copy(self._prototype(base)).unload_lora_weights()
                self._adapted, self._on, lora = {}, ("", False, seeing), False
                if adapter is not None:
                    lora = self._adapt(adapter, copy.copy(self._prototype(base)))
            if like is not None:
                pipe = copy.copy(self._prototype(base))
                if not seeing:
                    folder = Path(self.beside[LIKE].place)
                    pipe.load_ip_adapter(
                        str(folder), subfolder="", weight_name=ip_file(folder).name, image_encoder_folder=None,
                        local_files_only=True,
                    )  # fmt: skip
                    self._parts["unet"].to(self.device, self.dtype)
                pipe.set_ip_adapter_scale(like)
            self._on = (wanted, lora, like is not None)

    def _adapt(self, adapter: Adapter, pipe: Any) -> bool:
        """Take an adapter's learned words and weights up; True where there are weights."""
        words, weights = adapter.folder / WORDS, adapter.folder / LORA
        if not words.is_file() and not weights.is_file():
            raise ModelError(f"{adapter.folder} is no adapter of paint.", f"it holds {LORA} or {WORDS}.")
        if words.is_file() and self.family:
            raise ModelError("learned words are for Stable Diffusion with one text encoder.", "fit a LoRA instead.")
        try:
            if words.is_file():
                from safetensors.torch import load_file

                self._adapted = {part: copy.deepcopy(self._parts[part]) for part in ("tokenizer", "text_encoder")}
                pipe.tokenizer, pipe.text_encoder = self._adapted["tokenizer"], self._adapted["text_encoder"]
                learned = load_file(words)  # all at once: each time the whole of the vectors is copied
                pipe.load_textual_inversion([{word: own} for word, own in learned.items()], token=list(learned))
                pipe.text_encoder.to(self.device, self.dtype)
            if weights.is_file():
                pipe.load_lora_weights(
                    str(adapter.folder), weight_name=LORA, adapter_name="fitted", local_files_only=True
                )
                pipe.set_adapters(["fitted"], adapter_weights=[1.0])
                self._parts["unet"].train(False)
        except (ValueError, RuntimeError, KeyError, OSError) as error:
            why = " ".join(str(error).split())[:300]
            raise ModelError(
                f"the adapter in {adapter.folder} does not fit {self.uri}: {why}", "fit it anew to this model."
            ) from None
        except ImportError as error:
            raise MissingExtra(
                f"adapters need the extra `diffusion` ({error.name}).", 'pip install "leaven[diffusion]"'
            ) from None
        return weights.is_file()

    def _seeing(self) -> dict[str, Any]:
        """What turns an image into a prompt."""
        import transformers

        place = Path(self.beside[LIKE].place)
        ip_file(place)
        encoder = replace(self.beside[LIKE], place=str(place / "image_encoder"))
        seeing = {"image_encoder": encoder.read(transformers.CLIPVisionModelWithProjection, use_safetensors=True)}
        if self._parts.get("feature_extractor") is None:
            seeing["feature_extractor"] = (
                encoder.read(transformers.AutoImageProcessor, backend="pil")
                if (place / "image_encoder" / "preprocessor_config.json").is_file()
                else transformers.CLIPImageProcessorPil()
            )
        return seeing


def quiet(uri: str) -> Any:
    """The library, which says nothing but errors.  Raises MissingExtra."""
    try:
        import diffusers
    except ImportError as error:
        raise MissingExtra(
            f"{uri} needs the extra `diffusion` ({error.name}).", 'pip install "leaven[diffusion]"'
        ) from None
    hush(diffusers.utils.logging)
    return diffusers


def shown(ask: Ask, key: str) -> Image:
    """The image that a call names."""
    found = ask.media[ask.content[key]]
    assert isinstance(found, Image), "paint is shown images alone"
    return found


def ip_file(folder: Path) -> Path:
    """The weights of an IP-Adapter.  Raises ModelError where there are none, or several."""
    found = sorted(folder.glob("*.safetensors"))
    if len(found) != 1 or not (folder / "image_encoder").is_dir():
        raise ModelError(
            f"{folder} is no IP-Adapter: it holds {len(found)} files of weights.",
            "a folder with one .safetensors, and its encoder in image_encoder/.",
        )
    return found[0]


def too_few_steps(how: Mapping[str, Any]) -> CallFailed | None:
    """An image that is painted over at a low strength takes its last steps alone: there has to be one."""
    steps, strength = int(how.get("steps", 30)), float(how.get("strength", 1.0))
    if how.get("instruct") or not {"image", "mask"} & how.keys() or int(steps * strength):
        return None
    return CallFailed("too_few_steps", f"{steps} steps at strength {strength:g} are none")


def on_grid(pixels: int) -> int:
    """
    >>> on_grid(3), on_grid(500), on_grid(512)
    (8, 504, 512)
    """
    return max(GRID, (pixels + GRID // 2) // GRID * GRID)


def picture(image: Image, size: tuple[int, int] | None, *, mask: bool = False) -> Any:
    """An image as Pillow's, in another size; of a mask what is not 0, in white."""
    from PIL import Image as pillow

    found = pillow.fromarray((image.codes != 0).astype("uint8") * 255 if mask else image.pixels)
    if size is None or found.size == size:
        return found
    return found.resize(size, pillow.Resampling.NEAREST if mask else pillow.Resampling.LANCZOS)


def fitted(pixels: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Pixels in the size that was asked for."""
    import numpy as np
    from PIL import Image as pillow

    if pixels.shape[1::-1] == size:
        return pixels
    return np.array(pillow.fromarray(pixels).resize(size, pillow.Resampling.LANCZOS))


def shares(boxes: Sequence[Mapping[str, Any]], size: tuple[int, int]) -> dict[str, Any]:
    """Boxes as GLIGEN takes them: two corners in shares of the image, and what is in each.

    >>> shares([{"x": 8, "y": 0, "w": 24, "h": 16, "label": "a car"}], (32, 32))
    {'gligen_phrases': ['a car'], 'gligen_boxes': [[0.25, 0.0, 1.0, 0.5]]}
    """
    corners = [(box["x"], box["y"], box["x"] + box["w"], box["y"] + box["h"]) for box in boxes]
    return {
        "gligen_phrases": [str(box.get("label") or "") for box in boxes],
        "gligen_boxes": [
            [min(1.0, max(0.0, edge / side)) for edge, side in zip(four, (*size, *size), strict=True)]
            for four in corners
        ],
    }
