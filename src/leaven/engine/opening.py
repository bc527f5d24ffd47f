"""Open what a recipe asks models with: who plays its roles, the ledger and the budget of the folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leaven.engine.asking import ModelDesk
from leaven.engine.folder import LEDGER
from leaven.errors import DataError, ModelError, RecipeError, suggest
from leaven.io.tables import open_table
from leaven.models import config
from leaven.models.budget import Budget
from leaven.models.embedders import BUILT_IN
from leaven.models.ledger import Ledger
from leaven.models.players import Players, nobody, seeded
from leaven.models.roles import ASKED

if TYPE_CHECKING:
    from leaven.models.asker import Player
    from leaven.recipe import Recipe, Step


def asks(recipe: Recipe) -> list[Step]:
    """The steps that ask models, or fit one further that the user names."""
    return [step for step in recipe.steps() if step.op.asks() or step.op.tunes()]


def roles_of(recipe: Recipe) -> list[tuple[str, str | None]]:
    """The roles that the steps ask, each with the nick of a second model where one is named."""
    found = {
        (role, getattr(step.op, "model", None))
        for step in asks(recipe)
        for role in {*step.op.roles, step.op.tunes()}
        if role in ASKED
    }
    return sorted(found, key=str)


def open_players(recipe: Recipe, named: Mapping[str, str], **how: Any) -> Players:
    """Who plays the roles of a recipe.  Raises ModelError where nobody is named for one."""
    players = Players(named, config.load(), recording=recording, hints=recipe.models, **how)
    for step in recipe.steps():
        nick = getattr(step.op, "model", None)
        if (role := step.op.tunes()) and not seeded(uri := players.who(role, nick)[1]):
            raise ModelError(
                f"step {step.name} fits a model for {role} further, and {uri or 'none'} is named: it has to run here.",
                f"--model {f'{role}.{nick}' if nick else role}"
                f"={'diffusers' if role == 'paint' else 'transformers'}:FOLDER",
            )
    for role, nick in roles_of(recipe):
        over, uri = players.who(role, nick)
        if not over:
            raise nobody(role, nick, recipe.name, recipe.models.get(role, ""))
        if role == "complete" and over != role and scored(recipe):
            raise ModelError(
                f"recipe {recipe.name} chooses by `logprob`, which the chat model {uri} does not give.",
                "name a model that completes texts and gives log-probabilities: --model complete=URI",
            )
    return players


def check_embedder(recipe: Recipe, embed: str) -> None:
    """Raises RecipeError where a step compares an image or a sound with a text, and who embeds cannot do both.

    Before any model is asked: the steps before it may be dear.
    """
    if embed and not embed.startswith(("openai:", *BUILT_IN)):
        return
    for step in recipe.steps():
        if step.op.sees_and_reads():
            who = f"{embed} embeds texts alone" if embed else "no model that does both is named"
            raise RecipeError(
                f"step {step.name} compares an image or a sound with a text, and {who}.",
                "--model embed=transformers:FOLDER, of a CLIP or CLAP model",
                where=f"{recipe.where} line {step.line}",
            )


def scored(recipe: Recipe) -> bool:
    """Whether a step reads the log-probability of what a model wrote: only `complete` gives one."""
    return any(step.op.name == "perplexity" or "logprob" in step.op.reads() for step in recipe.steps())


def open_desk(
    path: Path | None, recipe: Recipe, players: Players, budget: float | None, *, replay: bool = False
) -> ModelDesk:
    """The models and the ledger of a folder; without one, answers are kept in memory.

    Raises ModelError where a budget is set and a price is not known: a price is never guessed.
    """
    if budget is not None:
        for role, nick in roles_of(recipe):
            check_price(role, players.player(role, nick)[1], budget)
    ledger = Ledger(path / LEDGER if path else None)
    return ModelDesk(ledger, Budget(budget, ledger.totals()["usd"]), players, replay=replay)


def check_price(role: str, player: Player, budget: float) -> None:
    if player.free or player.price is not None:
        return
    where = f" at {player.uri.rpartition('@')[2]}" if "@http" in player.uri else ""
    raise ModelError(
        f"no price is known for {player.model}{where}; --budget {budget:g} needs one.",
        f'give it in leaven.toml, [prices] "{player.model}" = [IN, OUT], or use --limit N and no budget.',
        where=role,
    )


def recording(said: str) -> Iterator[tuple[str, str]]:
    """The (parent, text) rows of ``FILE[?parent=COLUMN&text=COLUMN]``."""
    file, _, options = said.partition("?")
    named = {"parent": "parent", "text": "text"}
    for option in filter(None, options.split("&")):
        key, _, column = option.partition("=")
        if key not in named or not column:
            raise DataError(
                f"recorded:{said}: `{option}` is not understood.", "recorded:FILE?parent=COLUMN&text=COLUMN"
            )
        named[key] = column
    table = open_table(file)
    for key, column in named.items():
        if column not in table.columns:
            fix = f"recorded:{file}?{key}=COLUMN; {suggest(column, table.columns)}."
            raise DataError(f"{table.name} has no column `{column}` to take the {key} from.", fix)
    for batch in table.batches():
        parents, texts = (batch.column(named[key]).to_pylist() for key in ("parent", "text"))
        for parent, text in zip(parents, texts, strict=True):
            if parent is not None and text is not None:
                yield str(parent), str(text)
