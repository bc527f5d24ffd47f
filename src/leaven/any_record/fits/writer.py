"""A language model that the user names, fitted further: what it is asked, and what it is to write."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal

from leaven.any_record.fits.way import Said, first, folder_of, player_of, records, second, template_of
from leaven.errors import RecipeError
from leaven.fields import Column

if TYPE_CHECKING:
    from leaven.context import Context, Rows
    from leaven.models.backends.local.tuned_texts import Example
    from leaven.operators import State

BATCH = 16
LR, LORA_LR = 5e-5, 1e-4
DECAY = 0.01


def check(said: Said) -> None:
    if not said.target:
        raise RecipeError(f"adapter does not say what a model that plays {said.role} is to write.", EXAMPLE)
    if said.role == "chat" and not said.input:
        raise RecipeError("adapter does not say what a model that chats is asked.", f"{ASKED}, {EXAMPLE}")
    if said.role == "complete" and isinstance(said.input, list):
        raise RecipeError("a model that goes on with texts is given one text.", ASKED)
    if isinstance(said.input, list) and not second(said):
        raise RecipeError("adapter does not say what is asked about the image.", 'input: [image, "{{ question }}"]')
    for source in filter(None, (_asked(said), said.target)):
        template_of(source)


ASKED, EXAMPLE = 'input: "{{ question }}"', 'target: "{{ answer }}"'


def bound(said: Said, columns: Mapping[str, Column]) -> dict[str, Any]:
    image = _image(said)
    if image and columns.get(image, Column("image")).type != "image":
        raise RecipeError(f"adapter shows a model images, and `{image}` holds none.", f"name a text alone: {ASKED}")
    return {}


def reads(said: Said) -> frozenset[str]:
    told = [template_of(source).names for source in (_asked(said), said.target) if source]
    return frozenset(filter(None, [_image(said)])).union(*told)


def fit(said: Said, rows: Rows, ctx: Context) -> State:
    """Raises ModelError where who plays the role does not run here."""
    from leaven.models.backends.local.lora import Lora
    from leaven.models.backends.local.speaks import Speaks
    from leaven.models.backends.local.tuned_texts import tune
    from leaven.models.backends.local.tuned_writer import Tuning

    player = player_of(ctx, Speaks, said.role, "a language model")
    lora = Lora(said.rank, said.alpha, said.dropout, said.layers) if said.how == "lora" else None
    lr = said.lr or (LORA_LR if lora else LR)
    how = Tuning(lora, epochs=said.epochs, lr=lr, decay=DECAY, batch=said.batch or BATCH, seed=ctx.seed)
    examples = list(_examples(said, rows, ctx))
    role: Literal["complete", "chat"] = "chat" if said.role == "chat" else "complete"
    with folder_of(ctx) as folder:
        trained, cut = tune(role, player.weights, examples, how, folder, lambda progress: ctx.told(str(progress)))
    return {"rows": len(examples), "cut": cut, "best": trained.best, "last": trained.last, "held": trained.held}


def _image(said: Said) -> str | None:
    return first(said) if isinstance(said.input, list) else None


def _asked(said: Said) -> str:
    return second(said) if isinstance(said.input, list) else said.input or ""


def _examples(said: Said, rows: Rows, ctx: Context) -> Iterator[Example]:
    """The rows that have something to learn; what is asked stays as it is, since it is asked so later."""
    from leaven.models.backends.local.tuned_texts import Example

    image, prompt = _image(said), _asked(said)
    asks, says = template_of(prompt) if prompt else None, template_of(str(said.target))
    for record, mine in records(rows, ctx):
        target = mine.text(says, record).rstrip()
        shown = record.get(image) if image else None
        if target and (shown is not None or not image):
            yield Example(mine.text(asks, record) if asks else "", target, shown)
