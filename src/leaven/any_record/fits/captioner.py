"""A captioner that the user names, fitted further: images, what it is told with each, and what it is to write."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from leaven.any_record.fits.way import Said, column_of, first, folder_of, player_of, records, second, template_of
from leaven.errors import RecipeError
from leaven.fields import Column

if TYPE_CHECKING:
    from leaven.context import Context, Rows
    from leaven.models.backends.local.tuned_captions import Example
    from leaven.operators import State

BATCH = 16
LR, LORA_LR = 1e-5, 1e-4


def check(said: Said) -> None:
    if not said.target:
        raise RecipeError("adapter does not say what a captioner is to write.", 'target: "{{ caption }}"')
    for source in filter(None, (second(said), said.target)):
        template_of(source)


def bound(said: Said, columns: Mapping[str, Column]) -> dict[str, Any]:
    image = first(said) or column_of("image", columns)
    if image is None or columns.get(image, Column("image")).type != "image":
        lack = f"`{image}` holds none" if image else "the data has none"
        raise RecipeError(f"adapter shows a captioner images, and {lack}.", "name the field: input: image")
    return {"input": [image, *filter(None, [second(said)])]}


def reads(said: Said) -> frozenset[str]:
    told = [template_of(source).names for source in (second(said), said.target) if source]
    return frozenset(filter(None, [first(said)])).union(*told)


def fit(said: Said, rows: Rows, ctx: Context) -> State:
    """Raises ModelError where who plays ``caption`` does not run here."""
    from leaven.models.backends.local.captions import Captions
    from leaven.models.backends.local.lora import Lora
    from leaven.models.backends.local.tuned_captions import tune
    from leaven.models.backends.local.tuned_writer import Tuning

    player = player_of(ctx, Captions, "caption", "a captioner")
    lora = Lora(said.rank, said.alpha, said.dropout, said.layers) if said.how == "lora" else None
    lr = said.lr or (LORA_LR if lora else LR)
    how = Tuning(lora, epochs=said.epochs, lr=lr, batch=said.batch or BATCH, seed=ctx.seed)
    examples = list(_examples(rows, str(first(said)), second(said), str(said.target), ctx))
    with folder_of(ctx) as folder:
        trained, cut = tune(player.weights, examples, how, folder, lambda progress: ctx.told(str(progress)))
    return {"rows": len(examples), "cut": cut, "best": trained.best, "last": trained.last, "held": trained.held}


def _examples(rows: Rows, image: str, prompt: str, target: str, ctx: Context) -> Iterator[Example]:
    from leaven.models.backends.local.tuned_captions import Example

    asks, says = template_of(prompt) if prompt else None, template_of(target)
    for record, mine in records(rows, ctx):
        said = mine.text(says, record).strip()
        if record.get(image) is not None and said:
            yield Example(record.get(image), mine.text(asks, record).strip() if asks else "", said)
