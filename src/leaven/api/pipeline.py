"""A recipe in Python: the same language, written by ``|``."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leaven.api.data import Data, read
from leaven.api.html import card
from leaven.api.own_operators import folders_of
from leaven.api.steps import Items, chain, item, roles, said
from leaven.errors import BudgetReached, DataError, RecipeError
from leaven.recipe import yaml
from leaven.terminal import WIDTH, cut

if TYPE_CHECKING:
    from leaven.api.plan import Plan
    from leaven.api.run import Run
    from leaven.engine.augment import Request

ORDER = ("name", "about", "paper", "fields", "pool", "given", "labels", "models", "let", "steps", "blend")


@dataclass(frozen=True, repr=False)
class Pipeline:
    """Steps on data, nothing of which has run.  Each ``|`` gives a new one.

    ``keys`` are what a recipe file holds beside its steps; ``named`` is the built-in recipe or the file that it still
    is, word for word.
    """

    data: Data | None = None
    steps: Items = field(default_factory=Items)
    keys: Mapping[str, Any] | None = None
    named: str = ""
    sets: tuple[str, ...] = ()
    operators: tuple[str, ...] = ()

    def __or__(self, step: Any) -> Pipeline:
        return self.joined(step) if isinstance(step, Pipeline) else self.then(step)

    def __ror__(self, data: Any) -> Pipeline:
        return replace(self, data=read(data))

    def then(self, step: Any, *, name: str | None = None, when: str | None = None) -> Pipeline:
        """This recipe and one more step.

        ``name`` tells it from another of its kind, and columns that it notes bear it.  ``when`` is the expression that
        a record must meet; the step leaves others as they are.
        """
        return replace(self, steps=self.steps.and_then(item(step, name=name, when=when)), named="")

    def blend(self, **options: Any) -> Pipeline:
        """How what is kept joins the real rows: ``ratio=1``, ``per_label="median"``, ``weight="label_prob"`` ..."""
        keys = dict(self.keys or {})
        return replace(self, keys={**keys, "blend": {**(keys.get("blend") or {}), **options}}, named="")

    def let(self, **names: Any) -> Pipeline:
        """Names for values and texts that expressions and prompts may use."""
        keys = dict(self.keys or {})
        return replace(self, keys={**keys, "let": {**(keys.get("let") or {}), **names}}, named="")

    def set(self, **values: Any) -> Pipeline:
        """Change parameters by the names of steps: ``set(top={"n": 3}, blend={"ratio": 1})``."""
        new = []
        for step, parameters in values.items():
            if isinstance(parameters, Mapping):
                new += [f"{step}.{name}={_raw(value)}" for name, value in parameters.items()]
            else:
                new.append(f"{step}={_raw(parameters)}")
        return replace(self, sets=(*self.sets, *new))

    def joined(self, other: Pipeline) -> Pipeline:
        """The steps of both; of other keys that both have, the later recipe's count."""
        if other.data is not None:
            raise RecipeError("the recipe on the right has data of its own.", "write data | recipe, the data once.")
        empty = not self.steps.plain and not self.keys
        steps = Items((*self.steps.plain, *other.steps.plain), (*self.steps.kinds, *other.steps.kinds))
        return Pipeline(
            self.data,
            steps,
            {**(self.keys or {}), **(other.keys or {})},
            other.named if empty else "",
            (*self.sets, *other.sets),
            (*self.operators, *other.operators),
        )

    # -- as a recipe file ---------------------------------------------------------------------------------------------

    @property
    def text(self) -> str:
        """The recipe as a file holds it: ``leaven augment DATA -r FILE`` runs it."""
        if self.named:
            from leaven.recipe import source

            return Path(self.named).read_text("utf-8") if _is_file(self.named) else source(self.named)
        keys = dict(self.keys or {})
        if self.data is not None and self.data.given.fields:
            keys.setdefault("fields", dict(self.data.given.fields))
        keys["steps"] = list(self.steps.plain)
        return yaml.write({key: keys[key] for key in (*ORDER, *(keys.keys() - set(ORDER))) if key in keys})

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the recipe to a file; operators of your own go to the folder ``operators`` beside it."""
        path = Path(path)
        folders_of(self.steps.kinds, path.parent / "operators")
        path.write_text(self.text, "utf-8")
        return path

    @contextmanager
    def _recipe(self) -> Iterator[tuple[str | None, list[str]]]:
        """What names the recipe to the engine, and the folders of its operators."""
        if not self.steps.plain and not self.named:
            if self.keys or self.sets:
                raise RecipeError("the recipe has no steps.", "add one: data | lv.EditWords() | ...")
            yield None, []  # leaven chooses one
            return
        with tempfile.TemporaryDirectory(prefix="leaven-") as scratch:
            folders = [*self.operators, *folders_of(self.steps.kinds, Path(scratch) / "operators")]
            if self.named:
                yield self.named, folders
                return
            file = Path(scratch) / "recipe.yaml"
            file.write_text(self.text, "utf-8")
            yield str(file), folders

    # -- running ------------------------------------------------------------------------------------------------------

    def run(
        self,
        out: str | os.PathLike[str],
        *,
        models: Mapping[str, str] | None = None,
        budget: float | None = None,
        seed: int | None = None,
        workers: int = 1,
        limit: int | None = None,
        timeout: float | None = None,
        concurrency: int | None = None,
        headers: Mapping[str, str] | None = None,
        progress: bool = True,
    ) -> Run:
        """Make, keep, blend, write to the folder ``out``, and give the run.  The same call goes on where one stopped.

        ``models`` names who plays a role (``{"chat": "openai:gpt-5-mini"}``), ``budget`` is what all calls for this
        folder may cost together, in USD; ``timeout`` (seconds a call), ``concurrency`` (calls at a time) and
        ``headers`` are for servers.  ``workers`` are processes; the result is the same (a script that asks for several
        begins with ``if __name__ == "__main__":``).  ``progress=False`` tells ``logging.getLogger("leaven")`` alone.

        Raises LeavenError for what you must act on; a BudgetReached has ``run``.
        """
        from leaven.api.progress import reporter
        from leaven.api.run import Run
        from leaven.engine.augment import augment

        more = {"budget": budget, "timeout": timeout, "concurrency": concurrency, "headers": headers}
        with self._recipe() as (recipe, folders), reporter(progress) as told:
            more |= {"workers": workers, "limit": limit}
            request = self._request(Path(out), recipe, folders, seed, models, more)
            try:
                augment(request, told.reporter)
            except BudgetReached as error:
                error.run = Run(request.out)
                raise
            run = Run(request.out)
            told.done(run)
        return run

    def plan(
        self,
        out: str | os.PathLike[str] | None = None,
        *,
        models: Mapping[str, str] | None = None,
        budget: float | None = None,
        seed: int | None = None,
        limit: int | None = None,
        progress: bool = True,
    ) -> Plan:
        """What ``run`` would ask and what that may cost; nothing is asked.  Answers stored in ``out`` are free."""
        from leaven.api.plan import Plan
        from leaven.api.progress import reporter
        from leaven.engine.plan import plan

        folder = None if out is None else Path(out)
        with self._recipe() as (recipe, folders), reporter(progress) as told:
            more = {"budget": budget, "limit": limit}
            request = self._request(folder or Path("out"), recipe, folders, seed, models, more)
            found = Plan(plan(request, folder, told.reporter))
            told.done(found)
        return found

    def _request(
        self,
        out: Path,
        recipe: str | None,
        folders: Sequence[str],
        seed: int | None,
        models: Mapping[str, str] | None,
        more: Mapping[str, Any],
    ) -> Request:
        """What the engine is asked; of ``more`` what was said."""
        from leaven.engine.augment import Request

        if self.data is None:
            raise DataError("the recipe stands on no data.", 'lv.read("bank.csv") | recipe')
        given = self.data.given
        if seed not in (None, given.seed) and self.data.shared:
            raise DataError(
                f"seed {given.seed} decided which rows are test rows.",
                f"lv.read(..., seed={seed}), or test=ROWS there.",
            )
        return Request(
            data=given.data,
            out=out,
            recipe=recipe,
            named=given.named,
            unlabelled=given.unlabelled,
            labels=given.labels,
            test=given.test,
            dev=given.dev,
            sets=self.sets,
            seed=given.seed if seed is None else seed,
            operators=folders,
            given=given.candidates,
            models=dict(models or {}),
            **{name: value for name, value in more.items() if value is not None},
        )

    # -- to look at ---------------------------------------------------------------------------------------------------

    def roles(self) -> list[str]:
        """The roles for which ``run`` has to be told a model."""
        from leaven.operators import find

        known = {kind.name: kind for kind in self.steps.kinds}
        look = partial(find, folders=self.operators)
        return roles(self.steps.plain, lambda name: known.get(name) or look(name))

    def __repr__(self) -> str:
        name = f" {self.named}" if self.named else ""
        where = f" on {self.data.name}" if self.data is not None else ""
        steps = chain(self.steps.plain) or "chosen by the data"
        needs = f"; needs {', '.join(found)}" if (found := self.roles()) else ""
        return cut(f"Recipe{name}{where}: {steps}", WIDTH - len(needs)) + needs

    def _repr_html_(self) -> str:
        from leaven.operators import find

        known: dict[str, Any] = {kind.name: kind for kind in self.steps.kinds}
        rows = []
        for number, step in enumerate(self.steps.plain, 1):
            name, _, rest = said(step).partition(" ")
            try:
                kind = (known.get(name) or find(name, self.operators)).kind
            except RecipeError:
                kind = ""
            rows.append([number, kind, name, rest])
        return card(repr(self), ["", "kind", "step", "parameters"], rows)


def recipe(name: str | os.PathLike[str] | None = None, *, operators: Sequence[str | os.PathLike[str]] = ()) -> Pipeline:
    """A built-in recipe, or one in a file (a ``/`` or ``.yaml`` in its name); without a name an empty one, for ``|``.

    ``operators`` are folders with operators of your own.  Raises RecipeError where there is none.
    """
    folders = tuple(os.fspath(folder) for folder in operators)
    if name is None:
        return Pipeline(operators=folders)
    from leaven.plain_yaml import load, load_file
    from leaven.recipe import source

    name = os.fspath(name)
    keys = load_file(name) if _is_file(name) else load(source(name), f"recipe {name}")
    if not isinstance(keys, Mapping) or not isinstance(keys.get("steps"), list):
        raise RecipeError("a recipe is a mapping with the key `steps`.", "see leaven recipes classic-text", where=name)
    steps = Items(tuple(_bare(step) for step in keys["steps"]))
    return Pipeline(
        steps=steps, keys={k: _bare(v) for k, v in keys.items() if k != "steps"}, named=name, operators=folders
    )


def _is_file(name: str) -> bool:
    return "/" in name or name.endswith((".yaml", ".yml"))


def _bare(value: Any) -> Any:
    """Plain data without the line numbers that it was read with."""
    if isinstance(value, Mapping):
        return {key: _bare(item) for key, item in value.items()}
    return [_bare(item) for item in value] if isinstance(value, list) else value


def _raw(value: Any) -> str:
    """A value as ``--set`` reads it."""
    from leaven.plain_yaml import scalar

    if isinstance(value, str) and not value.startswith("@") and scalar(value) == value and value == value.strip():
        return value
    return json.dumps(value, ensure_ascii=False)
