"""A painter that the user names, fitted further: a LoRA beside its network, or words that it learns."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from leaven.any_record.fits.way import Said, column_of, folder_of, player_of, records, target_of
from leaven.errors import DataError, ModelError, RecipeError
from leaven.expressions import Template, parse_template
from leaven.fields import Column

if TYPE_CHECKING:
    from leaven.context import Context, Rows
    from leaven.models.backends.local.paints import Paints
    from leaven.models.backends.local.tuned_painter import Example, Tuning
    from leaven.operators import State

STEPS, BATCH = 1000, 4
LORA_LR = 1e-4
WORD_LR = 5e-4
"""For a row of a step: with four it is 0.002."""
TOKEN = "token"
"""What texts of a word name it by."""
OF_ALL = "<it>"
"""The word of all rows, where labels have none of their own."""
NEUTRAL = (
    "a photo of a {}", "a photo of the {}", "a photo of one {}", "a photo of some {}", "a picture of a {}",
    "an image of a {}", "a snapshot of a {}", "a plain photo of a {}", "a clear photo of a {}", "a good photo of a {}",
    "a bad photo of a {}", "a dim photo of a {}", "a bright photo of a {}", "a small photo of a {}",
    "a large photo of a {}", "a photo of a {} from nearby", "a photo of a {} from afar",
    "a photo of a {} from the side", "a part of a {}, in a photo", "a {} in a photo", "the {} in a photo",
    "a photo that shows a {}",
    "here is a photo of a {}", "a photo of a small {}", "a photo of a large {}", "a photo of an old {}",
)  # fmt: skip
"""Texts that say nothing of an image but its word."""


def check(said: Said) -> None:
    if said.input is not None:
        raise RecipeError(
            "a painter that is fitted further is told a text, and no field.", 'prompt: "a photo of a {{ label }}"'
        )
    if said.layers != "attention":
        raise RecipeError("a painter's LoRA stands at attention alone.", "layers: attention")
    if said.how == "lora" and not said.prompt:
        raise RecipeError(
            "adapter does not say what a painter is told of an image.", 'prompt: "a photo of a {{ label }}"'
        )
    if said.how == "lora" and said.per:
        raise RecipeError("`per` gives each label a word of its own, and a LoRA learns none.", "how: token")
    if said.how == "token" and said.prior:
        raise RecipeError("`prior` is for a LoRA: learned words leave the model as it is.", "how: lora")
    for text in filter(None, (said.prompt, said.prior)):
        names = parse_template(text).names
        if said.how == "token" and TOKEN not in names:
            raise RecipeError(f"`{text}` has no place for the word.", 'prompt: "a photo of a {{ token }}"')


def bound(said: Said, columns: Mapping[str, Column]) -> dict[str, Any]:
    found = {"target": target_of("image", said, columns)}
    if said.per == "label" and "label" not in columns and (label := column_of("label", columns)):
        found["per"] = label
    return found


def reads(said: Said) -> frozenset[str]:
    texts = [parse_template(text).names for text in (said.prompt, said.prior) if text]
    names = frozenset(filter(None, (said.target, said.per))).union(*texts)
    return names - {TOKEN} if said.how == "token" else names


def fit(said: Said, rows: Rows, ctx: Context) -> State:
    """Raises ModelError where who plays ``paint`` does not run here."""
    from leaven.models.backends.local.paints import Paints

    player = player_of(ctx, Paints, "paint", "Stable Diffusion", "diffusers")
    if player.adapter:
        raise ModelError(
            f"{player.uri} names an adapter, and what is fitted is fitted to the model without one.", "leave it out."
        )
    return _words(said, rows, ctx, player) if said.how == "token" else _lora(said, rows, ctx, player)


def _lora(said: Said, rows: Rows, ctx: Context, player: Paints) -> State:
    from leaven.models.backends.local.tuned_painter import Prior, tune

    prompt = parse_template(str(said.prompt))
    examples = list(_examples(rows, str(said.target), ctx, lambda record: (ctx.text(prompt, record).strip(),)))
    prior = Prior(_priors(rows, parse_template(said.prior), ctx), said.priors) if said.prior else None
    if prior and not prior.prompts:
        raise DataError(f"`{said.prior}` is an empty text for every row.", "prior: a photo of a dog")
    with folder_of(ctx) as folder:
        found = tune(player.weights, examples, _tuning(said, LORA_LR, ctx), folder, ctx.told, prior)
    return {"rows": len(examples), "best": found.best, "last": found.last, "held": found.held}


def _words(said: Said, rows: Rows, ctx: Context, player: Paints) -> State:
    from leaven.models.backends.local.tuned_painter import learn

    prompt = parse_template(said.prompt) if said.prompt else None
    given = rows.column(said.per) if said.per else [""] * len(rows)
    labels = [None if label is None else str(label) for label in given]
    known = sorted({label for label in labels if label is not None})
    if not known:
        raise DataError(f"no row has a `{said.per}` to learn a word for.", "give it rows with labels.")
    words = dict(zip(known, tokens(known) if said.per else [OF_ALL], strict=True))

    def told(word: str) -> Any:
        neutral = tuple(text.format(word) for text in NEUTRAL)
        return lambda record: (ctx.text(prompt, record, token=word).strip(),) if prompt else neutral

    own: dict[str, list[Example]] = {}
    for label, word in words.items():
        mine = rows.take([i for i, one in enumerate(labels) if one == label])
        own[word] = list(_examples(mine, str(said.target), ctx, told(word)))
    words = {label: word for label, word in words.items() if own[word]}
    own = {word: own[word] for word in words.values()}
    if not own:
        raise DataError("there is no image to fit a painter to.", "give it rows with an image.")
    how = _tuning(said, WORD_LR * (said.batch or BATCH), ctx)
    with folder_of(ctx) as folder:
        found = learn(player.weights, own, how, folder, ctx.told, said.init)
    return {
        "labels": list(words),
        "tokens": list(words.values()),
        "rows": [len(examples) for examples in own.values()],
        "best": [found[word].best for word in own],
        "last": [found[word].last for word in own],
        "held": [found[word].held for word in own],
    }


def words_of(state: Mapping[str, Any]) -> dict[str, str]:
    """The words that were learned, by their labels; that of all rows by an empty text."""
    return dict(zip(map(str, state["labels"]), map(str, state["tokens"]), strict=True))


def tokens(labels: Iterable[str]) -> list[str]:
    """A word for each label, which stands for it alone; tokenizers know no capitals.

    >>> tokens(["red car", "Red car", "Äpfel", "?"])
    ['<red_car>', '<red_car_2>', '<äpfel>', '<word>']
    """
    found: dict[str, None] = {}
    for label in labels:
        plain = re.sub(r"\W+", "_", unicodedata.normalize("NFC", label).lower()).strip("_") or "word"
        name, number = f"<{plain}>", 2
        while name in found:
            name, number = f"<{plain}_{number}>", number + 1
        found[name] = None
    return list(found)


def _tuning(said: Said, lr: float, ctx: Context) -> Tuning:
    from leaven.models.backends.local.tuned_painter import Tuning

    return Tuning(
        steps=said.steps or STEPS, lr=said.lr or lr, batch=said.batch or BATCH, flip=said.flip, size=said.size,
        seed=ctx.seed, rank=said.rank, alpha=said.alpha, dropout=said.dropout,
    )  # fmt: skip


def _priors(rows: Rows, prior: Template, ctx: Context) -> tuple[str, ...]:
    """The texts of the prior, each once, in the order of the rows."""
    texts = (mine.text(prior, record).strip() for record, mine in records(rows, ctx))
    return tuple(dict.fromkeys(filter(None, texts)))


def _examples(rows: Rows, image: str, ctx: Context, told: Any) -> Iterator[Example]:
    from leaven.models.backends.local.tuned_painter import Example

    for record, _ in records(rows, ctx):  # ``told`` asks the same context, which stands at the record by now
        if record.get(image) is not None and all(prompts := told(record)):
            yield Example(record[image], prompts)
