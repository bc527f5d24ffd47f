"""What a captioner is fitted to: images, what it is told with each, and what it is to write."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leaven.errors import ModelError
from leaven.expressions import Template, parse_template
from leaven.records import Record

if TYPE_CHECKING:
    from leaven.context import Context, Rows
    from leaven.models.backends.local.tuned_captions import Example, Tuned, Tuning


def template_of(source: str) -> Template:
    """A text with ``{{ }}``; anything else is an expression, or the name of a field or of a text of ``let``."""
    return parse_template(source if "{{" in source or "{%" in source else f"{{{{ {source} }}}}")


def fitted(rows: Rows, image: str, prompt: str, target: str, how: Tuning, ctx: Context) -> tuple[Tuned, int]:
    """A captioner fitted to the rows whose image and target are there, in the folder of the step's state, and how many
    these are.  Raises ModelError where who plays ``caption`` does not run here."""
    from leaven.models.backends.local.captions import Captions
    from leaven.models.backends.local.tuned_captions import tune

    player = ctx.fitted_further
    if not isinstance(player, Captions):
        who = getattr(player, "uri", "") or "nobody"
        raise ModelError(
            f"{who} plays caption, and cannot be fitted: only a captioner that runs here can.",
            "name one: --model caption=transformers:FOLDER",
        )
    examples = list(_examples(rows, image, prompt, target, ctx))
    with ExitStack() as stack:
        folder = ctx.folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="leaven-")))
        tuned = tune(player.weights, examples, how, folder, lambda progress: ctx.told(str(progress)))
    return tuned, len(examples)


def _examples(rows: Rows, image: str, prompt: str, target: str, ctx: Context) -> Iterator[Example]:
    from leaven.models.backends.local.tuned_captions import Example

    asks, says = template_of(prompt) if prompt else None, template_of(target)
    for i, own in enumerate(rows.ids):
        fields: dict[str, Any] = rows.row(i)
        record = Record(own, fields, own)
        mine = ctx.of(record)
        said = mine.text(says, record).strip()
        if fields.get(image) is not None and said:
            yield Example(fields[image], mine.text(asks, record).strip() if asks else "", said)
