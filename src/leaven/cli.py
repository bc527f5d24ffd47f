"""The command line: options in, one answer out, and an exit code that says who must act.

0 done; 1 the user's input is wrong; 3 done, but some records failed; 4 stopped, the same command goes on; 70 a bug;
130 Ctrl-C.  Only typer is imported here: what a command needs, it imports itself.
"""

from __future__ import annotations

import errno
import io
import json
import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from leaven import __version__
from leaven.errors import BudgetReached, LeavenError, nearest

if TYPE_CHECKING:
    from leaven.engine.augment import Request
    from leaven.terminal import Progress

app = typer.Typer(
    name="leaven",
    help="Raise small datasets: make new rows, keep the good ones, blend them with yours, measure whether it helped.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)

TextOption = Annotated[str | None, typer.Option("--text", metavar="COLUMN", help="The column of texts.")]
LabelOption = Annotated[str | None, typer.Option("--label", metavar="COLUMN", help="The column of labels.")]
FieldOption = Annotated[
    list[str] | None, typer.Option("--field", metavar="NAME=COLUMN", help="The column of a field of the recipe.")
]
SeedOption = Annotated[int, typer.Option("--seed", min=0, help="Decides every draw.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="No narration, no progress.")]
ModelOption = Annotated[
    list[str] | None, typer.Option("--model", metavar="ROLE=URI", help="Who plays a role: chat=openai:MODEL[@URL].")
]
BudgetOption = Annotated[
    float | None, typer.Option("--budget", metavar="USD", min=0, help="What all commands in DIR may spend together.")
]
GivenOption = Annotated[
    str | None, typer.Option("--given", metavar="FILE", help="Candidates made elsewhere, to judge and to blend.")
]
TimeoutOption = Annotated[float, typer.Option("--timeout", metavar="S", min=0.1, help="Seconds that one try may take.")]
ConcurrencyOption = Annotated[
    int | None, typer.Option("--concurrency", metavar="N", min=1, help="Calls at a time; else found out by asking.")
]
HeaderOption = Annotated[
    list[str] | None, typer.Option("--header", metavar="NAME=VALUE", help="Sent with each call; stored nowhere.")
]
RecipeOption = Annotated[
    str | None, typer.Option("-r", "--recipe", metavar="NAME|FILE", help="A built-in recipe or a .yaml file.")
]
UnlabelledOption = Annotated[
    str | None, typer.Option("--unlabelled", metavar="FILE", help="Rows without a label: the pool.")
]
LabelsOption = Annotated[
    str | None,
    typer.Option("--labels", metavar="FILE", help="What each label means: yaml, or csv label,name,about."),
]
TestOption = Annotated[
    str | None, typer.Option("--test", metavar="FILE|SHARE", help="Rows to measure on, never trained on.")
]
DevOption = Annotated[
    str | None, typer.Option("--dev", metavar="FILE", help="Rows that steps may look at to decide when to stop.")
]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="STEP.PARAM=V", help="Change a parameter of the recipe.")
]
OperatorsOption = Annotated[
    list[str] | None, typer.Option("--operators", metavar="DIR", help="A folder with operators of your own.")
]
DataArgument = Annotated[
    str, typer.Argument(help="csv, tsv, jsonl, json, Parquet, a folder of images or sounds, a saved dataset, hf://ID.")
]
OutOption = Annotated[Path, typer.Option("-o", "--out", metavar="DIR", help="The folder of the run.")]
WorkersOption = Annotated[int, typer.Option("--workers", min=1, max=256, help="Processes; the result is the same.")]
CORES = os.cpu_count() or 1
REFUSED = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENAMETOOLONG, errno.ELOOP}
STOPPED = 130


def _version(wanted: bool) -> None:
    if wanted:
        print(f"leaven {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@app.command(short_help="Make rows from DATA, keep the good ones, blend them with yours.")
def augment(
    data: DataArgument,
    out: OutOption,
    recipe: RecipeOption = None,
    model: ModelOption = None,
    budget: BudgetOption = None,
    text: TextOption = None,
    label: LabelOption = None,
    field: FieldOption = None,
    unlabelled: UnlabelledOption = None,
    given: GivenOption = None,
    labels: LabelsOption = None,
    test: TestOption = None,
    dev: DevOption = None,
    set_: SetOption = None,
    operators: OperatorsOption = None,
    timeout: TimeoutOption = 60.0,
    concurrency: ConcurrencyOption = None,
    header: HeaderOption = None,
    seed: SeedOption = 0,
    workers: WorkersOption = CORES,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Make from this many records only.")] = None,
    json_: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Make new rows from DATA, keep the good ones, and write them blended with yours to DIR/train."""
    said = locals()
    from leaven import terminal

    progress = terminal.Progress(quiet=quiet)
    progress.waiting(f"read {terminal.shown(data)}")  # at once: what comes next is imported first
    from leaven.engine.augment import augment as run_augment

    request = _request(said)
    try:
        run = run_augment(request, progress)
    except BudgetReached as reached:
        progress.clear()
        if reached.more is None:
            raise
        answer(terminal.stopped(reached.more, request))
        raise typer.Exit(4) from None
    finally:
        progress.clear()
    write_report(out, progress)
    answer([json.dumps(run.as_json())] if json_ else terminal.summary(run))
    if run.written.failed:
        raise typer.Exit(3)


@app.command(short_help="Say whether the made rows help, on rows never trained on.")
def measure(
    run: Annotated[str, typer.Argument(metavar="OUT|DATA", help="The folder of a run, or a file of real rows.")],
    with_: Annotated[
        str | None, typer.Option("--with", metavar="DATA", help="Made rows from elsewhere, to measure with DATA.")
    ] = None,
    test: Annotated[str | None, typer.Option("--test", metavar="FILE|SHARE", help="Rows never trained on.")] = None,
    text: TextOption = None,
    label: LabelOption = None,
    field: FieldOption = None,
    ratios: Annotated[str, typer.Option("--ratios", help="Made rows for each real row, to try.")] = "0,0.25,0.5,1,2,4",
    weights: Annotated[
        str, typer.Option("--weights", help="What a made row may weigh beside a real one; first as written.")
    ] = "1,0.5,0.2",
    slice_: Annotated[
        list[str] | None, typer.Option("--slice", metavar="COLUMN", help="Tell the gain for its values, too.")
    ] = None,
    family: Annotated[
        str | None, typer.Option("--family", metavar="COLUMN", help="What made each row, to leave out one in turn.")
    ] = None,
    student: Annotated[
        str | None,
        typer.Option(
            "--student",
            metavar="cnn|transformers:DIR",
            help="Train a small net on media, or fine-tune a model on texts.",
        ),
    ] = None,
    seeds: Annotated[
        int, typer.Option("--seeds", min=2, max=100, help="How often rows are drawn and models fitted.")
    ] = 5,
    metric: Annotated[
        str | None, typer.Option("--metric", help="accuracy or macro_f1; without it the balance of labels decides.")
    ] = None,
    seed: SeedOption = 0,
    workers: WorkersOption = CORES,
    json_: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Train on real rows with and without the made ones, and say on the test set whether they helped."""
    from leaven import terminal
    from leaven.measure.command import MeasureRequest
    from leaven.measure.command import measure as run_measure
    from leaven.measure.measured import as_json
    from leaven.measure.show import lines

    request = MeasureRequest(
        run, with_, test, named(text, label, field), numbers(ratios), seeds, metric, seed, workers, student,
        weights=numbers(weights, "--weights"), family=family, slices=slice_ or (),
    )  # fmt: skip
    progress = terminal.Progress(quiet=quiet)
    try:
        found = run_measure(request, progress)
    finally:
        progress.clear()
    if not with_:
        write_report(Path(run), progress)
    answer([json.dumps(as_json(found))] if json_ else lines(found))


@app.command(short_help="Try recipes, keeps, ratios and weights on DATA; end with a recipe, or with none.")
def search(
    data: DataArgument,
    out: OutOption,
    recipe: Annotated[
        list[str] | None, typer.Option("-r", "--recipe", metavar="NAME|FILE", help="A recipe to try; may be repeated.")
    ] = None,
    trials: Annotated[int, typer.Option("--trials", min=1, max=10_000, help="How many settings to try.")] = 60,
    model: ModelOption = None,
    budget: BudgetOption = None,
    text: TextOption = None,
    label: LabelOption = None,
    field: FieldOption = None,
    unlabelled: UnlabelledOption = None,
    given: GivenOption = None,
    labels: LabelsOption = None,
    test: TestOption = None,
    dev: DevOption = None,
    operators: OperatorsOption = None,
    timeout: TimeoutOption = 60.0,
    concurrency: ConcurrencyOption = None,
    header: HeaderOption = None,
    seeds: Annotated[int, typer.Option("--seeds", min=2, max=100, help="Seeds of the measurement at the end.")] = 5,
    metric: Annotated[str | None, typer.Option("--metric", help="accuracy or macro_f1.")] = None,
    seed: SeedOption = 0,
    workers: WorkersOption = CORES,
    json_: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Try recipes, keeps, ratios and weights; choose out of fold on the real rows; judge the choice on the test set."""
    said = {**locals(), "recipe": None, "set_": None}
    from leaven import terminal
    from leaven.measure.trials import metric_of
    from leaven.search.command import SearchRequest
    from leaven.search.command import search as run_search
    from leaven.search.show import as_json, lines

    progress = terminal.Progress(quiet=quiet, brief=True)
    request = SearchRequest(_request(said), recipe or (), trials, seeds, metric_of(metric))
    try:
        found = run_search(request, progress)
    finally:
        progress.clear()
    answer([json.dumps(as_json(found))] if json_ else lines(found, data))


@app.command("try", short_help="Show what becomes of a few records of DATA.")
def try_(
    data: DataArgument,
    number: Annotated[int, typer.Option("-n", min=1, max=1000, help="How many records.")] = 5,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", metavar="DIR", help="Store the answers there, for the full run.")
    ] = None,
    recipe: RecipeOption = None,
    model: ModelOption = None,
    budget: BudgetOption = None,
    text: TextOption = None,
    label: LabelOption = None,
    field: FieldOption = None,
    unlabelled: UnlabelledOption = None,
    given: GivenOption = None,
    labels: LabelsOption = None,
    test: TestOption = None,
    dev: DevOption = None,
    set_: SetOption = None,
    operators: OperatorsOption = None,
    timeout: TimeoutOption = 60.0,
    concurrency: ConcurrencyOption = None,
    header: HeaderOption = None,
    seed: SeedOption = 0,
    quiet: QuietOption = False,
) -> None:
    """Run the recipe over a few records of DATA, and show each beside what came of it."""
    said = locals()
    from leaven import terminal

    progress = terminal.Progress(quiet=quiet, brief=True)
    from leaven.engine.trial import try_out
    from leaven.show import trial

    request = _request(said)
    try:
        found = try_out(request, number, out, progress)
    finally:
        progress.clear()
    answer(trial.lines(found, out))


@app.command(short_help="Say what a run will ask, cost and send away; it spends nothing.")
def plan(
    data: DataArgument,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", metavar="DIR", help="Count the answers stored there as paid.")
    ] = None,
    recipe: RecipeOption = None,
    model: ModelOption = None,
    budget: BudgetOption = None,
    sample: Annotated[
        int, typer.Option("--sample", metavar="N", min=0, max=100, help="Try N records for real, to estimate from.")
    ] = 0,
    text: TextOption = None,
    label: LabelOption = None,
    field: FieldOption = None,
    unlabelled: UnlabelledOption = None,
    given: GivenOption = None,
    labels: LabelsOption = None,
    test: TestOption = None,
    dev: DevOption = None,
    set_: SetOption = None,
    operators: OperatorsOption = None,
    timeout: TimeoutOption = 60.0,
    concurrency: ConcurrencyOption = None,
    header: HeaderOption = None,
    seed: SeedOption = 0,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Make from this many records only.")] = None,
    json_: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Say what a run over DATA will ask, what that takes, and what leaves the machine.  Spends nothing."""
    said = locals()
    from leaven import terminal

    progress = terminal.Progress(quiet=quiet, brief=True)
    from leaven.engine.plan import plan as make_plan
    from leaven.show import plan as show

    request = _request(said)
    try:
        found = make_plan(request, out, progress, sample=sample)
    finally:
        progress.clear()
    answer([json.dumps(show.as_json(found))] if json_ else show.lines(found, out))


@app.command(short_help="Repeat a run from its folder alone, and compare every byte.")
def verify(
    run: Annotated[Path, typer.Argument(metavar="OUT", help="The folder of a finished run.")],
    operators: OperatorsOption = None,
    workers: WorkersOption = CORES,
    quiet: QuietOption = False,
) -> None:
    """Repeat a run from its folder alone, network off, and compare every byte."""
    from leaven import terminal

    progress = terminal.Progress(quiet=quiet, brief=True)
    from leaven.engine.verify import verify as run_verify
    from leaven.show import verify as show

    try:
        found = run_verify(run, progress, operators=tuple(operators or ()), workers=workers)
    finally:
        progress.clear()
    answer(show.lines(found))
    if not found.same:
        raise typer.Exit(1)


@app.command(short_help="Play a published comparison again, from outputs that its authors recorded.")
def replay(
    table: Annotated[
        str | None, typer.Argument(metavar="TABLE", help="Its name, or a .yaml file; without it all are listed.")
    ] = None,
    data: Annotated[
        str | None, typer.Option("--data", metavar="FOLDER", help="The folder where the recorded files lie.")
    ] = None,
    student: Annotated[
        list[str] | None,
        typer.Option("--student", metavar="NAME", help="Who learns: embeddings, tfidf, tfidf-lr, tfidf-svm."),
    ] = None,
    seeds: Annotated[
        int | None, typer.Option("--seeds", min=1, max=100, help="Draws of the real rows; else those of the authors.")
    ] = None,
    sizes: Annotated[
        str | None, typer.Option("--sizes", metavar="N,N", help="Only these sizes, in real rows a label.")
    ] = None,
    keep: Annotated[
        list[str] | None,
        typer.Option("--keep", metavar="NAME|EXPR", help="Only this keep, or an expression; `none` tries none."),
    ] = None,
    json_: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Train students on recorded outputs of published methods, and print our numbers beside the published ones."""
    from leaven import terminal
    from leaven.replay import table as tables

    if table is None:
        from leaven.replay.show import listing

        answer(listing([tables.read(name) for name in tables.names()]))
        return
    found = tables.read(table)
    if not data:
        from leaven.errors import DataError

        raise DataError(f"replay {table} needs the recorded files.", f"leaven replay {table} --data FOLDER")
    from leaven.replay.play import ReplayRequest, play
    from leaven.replay.show import as_json, lines

    progress = terminal.Progress(quiet=quiet)
    whole = [int(n) for n in numbers(sizes, "--sizes")] if sizes else []
    try:
        played = play(ReplayRequest(found, data, student or (), seeds, whole, keep or ()), progress)
    finally:
        progress.clear()
    answer([json.dumps(as_json(played))] if json_ else lines(played))


@app.command(short_help="Say who plays which role, and whether they answer.")
def models(
    model: ModelOption = None,
    timeout: TimeoutOption = 20.0,
) -> None:
    """Say who plays which role, and ask each named model one short thing."""
    import asyncio

    from leaven.models import config
    from leaven.models.players import named_models
    from leaven.show import models as show

    answer(show.lines(asyncio.run(show.probe(named_models(model or ()), config.load(), timeout))))


@app.command(short_help="Say how varied, faithful and like the real rows the made ones are.")
def quality(
    run: Annotated[Path, typer.Argument(metavar="OUT", help="The folder of a finished run.")],
    seed: Annotated[
        int | None, typer.Option("--seed", min=0, help="Deals the halves of the real rows; else the run's own.")
    ] = None,
    json_: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Say how varied, faithful, balanced and like the real rows the made ones are, each number beside its null."""
    from leaven import terminal

    progress = terminal.Progress(quiet=quiet, brief=True)
    progress.waiting(f"compare the rows of {terminal.shown(str(run))}")
    from leaven.measure.quality.show import as_json, lines
    from leaven.report.examined import examine

    try:
        found = examine(run, seed)
    finally:
        progress.clear()
    answer([json.dumps(as_json(found))] if json_ else lines(found, str(run)))


@app.command(short_help="Write the report and the dataset card of a run anew.")
def report(run: Annotated[Path, typer.Argument(metavar="OUT", help="The folder of a run.")]) -> None:
    """Write OUT/report.html and the dataset card OUT/README.md anew."""
    from leaven.report import card, page

    answer([f"Look:  {page.write(run)}", f"Card:  {card.write(run)}"])


@app.command(short_help="Look at what a run made; accept, reject, relabel, edit.")
def review(
    run: Annotated[Path, typer.Argument(metavar="OUT", help="The folder of a finished run.")],
    port: Annotated[int | None, typer.Option("--port", min=1, max=65535, help="The port on this machine.")] = None,
    import_: Annotated[
        Path | None,
        typer.Option("--import", metavar="FILE", help="Answers from Argilla or Label Studio; serves nothing."),
    ] = None,
) -> None:
    """Serve a page of what a run made, on this machine alone; what is decided there, the next run applies."""
    from leaven import terminal

    progress = terminal.Progress(brief=True)
    progress.waiting(f"read {terminal.shown(str(run))}")
    if import_:
        from leaven.review.imported import take

        try:
            found = take(run, import_)
        finally:
            progress.clear()
        answer(found.lines())
        return
    from leaven.review import serve

    def say(line: str) -> None:
        progress.clear()
        answer([line])

    try:
        answer(serve.ended(run, serve.serve(run, port, say)))
    finally:
        progress.clear()


@app.command(short_help="Write the blended rows as one file, or as a folder of media.")
def export(
    run: Annotated[Path, typer.Argument(metavar="OUT", help="The folder of a run.")],
    kind: Annotated[
        str,
        typer.Option(
            "--as",
            metavar="KIND",
            help="csv, jsonl, parquet, chat; imagefolder, audiofolder, coco, voc, yolo, webdataset; "
            "argilla, labelstudio: all made rows, to review there.",
        ),
    ] = "csv",
    to: Annotated[Path | None, typer.Option("-o", "--out", metavar="PATH", help="The file or folder to write.")] = None,
) -> None:
    """Write the blended rows of OUT/train as one file, or as a folder of images or sounds."""
    from leaven.io.export import FOLDERS, FOR_PEOPLE
    from leaven.terminal import rows, shown, warn

    if kind in FOR_PEOPLE:
        from leaven.review.exported import export as write
    else:
        from leaven.io.export import export as write
    folder = kind in (*FOLDERS, *FOR_PEOPLE)
    name = f"{run.name}-{kind}" if folder else f"{run.name}.{'jsonl' if kind == 'chat' else kind}"
    path = to or Path(name)
    said = [f"{rows(write(run, kind, path, warn))} in {shown(str(path))}"]
    if kind in FOR_PEOPLE:
        said.append(f"Next:  leaven review {shown(shlex.quote(str(run)))} --import FILE   (what people answered there)")
    answer(said)


@app.command()
def recipes(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="Print this recipe's file, to copy and edit.")
    ] = None,
) -> None:
    """List the recipes, or print one."""
    from leaven.errors import RecipeError
    from leaven.recipe import names, read, source
    from leaven.terminal import warn

    if name:
        sys.stdout.write(source(name))
        return

    found = []
    for known in names():
        try:
            found.append(read(known))
        except RecipeError as error:
            if ":" not in known:
                raise
            warn(f"{known} cannot be read: {error.what}")
    from leaven.show import recipes as show

    answer([*show.lines(found), "Next:  leaven recipes recombine              (the YAML, the paper)"])


@app.command(short_help="Raise a small dataset that comes with leaven, and measure it.")
def demo(
    out: Annotated[Path, typer.Option("-o", "--out", metavar="DIR", help="The folder of the run.")] = Path("demo"),
    workers: WorkersOption = CORES,
    quiet: QuietOption = False,
) -> None:
    """Raise a small dataset that comes with leaven and measure it: offline, under a minute."""
    from leaven import terminal
    from leaven.demo.show import run_demo

    progress = terminal.Progress(quiet=quiet)
    try:
        run_demo(out, workers, progress, answer)
    finally:
        progress.clear()


def write_report(out: Path, progress: Progress) -> None:
    """The page and the card of a run, anew."""
    from leaven.report import card, page

    progress.waiting("write the report")
    page.write(out)
    card.write(out)
    progress.clear()


def _request(said: Mapping[str, Any]) -> Request:
    """The options of a command that makes records, as what the engine is asked for."""
    from leaven.engine.augment import Request
    from leaven.models.players import named_models

    return Request(
        out=said["out"] or Path("out"),
        named=named(said["text"], said["label"], said["field"]),
        sets=said["set_"] or (),
        operators=said["operators"] or (),
        models=named_models(said["model"] or ()),
        headers=headers(said["header"]),
        workers=said.get("workers", 1),
        limit=said.get("limit"),
        **{name: said[name] for name in SAME},
    )


SAME = (
    "data", "recipe", "budget", "unlabelled", "given", "labels", "test", "dev", "timeout", "concurrency", "seed",
)  # fmt: skip
"""Options that the engine knows by the same name."""


def named(text: str | None, label: str | None, fields: list[str] | None) -> dict[str, str]:
    """Which column each field was said to be."""
    from leaven.errors import DataError

    found = {name: column for name, column in (("text", text), ("label", label)) if column}
    for said in fields or ():
        name, equals, column = said.partition("=")
        if not (name and equals and column):
            raise DataError(f"--field {said} is not NAME=COLUMN.", "--field premise=sentence1")
        if found.get(name, column) != column:
            raise DataError(f"--field {said}: the {name} is the column `{found[name]}` already.", "name it once.")
        found[name] = column
    return found


def headers(said: list[str] | None) -> dict[str, str]:
    """HTTP headers of one's own, NAME=VALUE or NAME: VALUE."""
    from leaven.errors import DataError

    found = {}
    for option in said or ():
        name, sign, value = option.partition("=") if "=" in option.partition(":")[0] else option.partition(":")
        if not sign or not name.strip() or not value.strip() or not option.isprintable():
            raise DataError("--header is not NAME=VALUE.", '--header "X-Team=mine"')
        found[name.strip()] = value.strip()
    return found


def numbers(said: str, option: str = "--ratios") -> list[float]:
    from leaven.errors import DataError

    try:
        found = [float(part) for part in said.split(",")]
    except ValueError:
        found = [-1.0]
    if any(not 0 <= n <= 1000 for n in found):
        given = said or "''"
        raise DataError(f"{option} {given} is no list of numbers from 0 to 1000.", f"{option} 0.2,0.5,1,2")
    if not any(found):
        raise DataError(f"{option} {said} holds no number above 0.", f"{option} 0.2,0.5,1,2")
    return found


def answer(lines: list[str]) -> None:
    """Print the answer; a reader who closes the pipe early is no error."""
    try:
        print("\n".join(lines), flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def main(arguments: list[str] | None = None) -> None:
    for stream in (sys.stdout, sys.stderr):  # a terminal that cannot show a letter shows its number
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    sys.exit(run(arguments))


def run(arguments: list[str] | None = None) -> int:
    """Run a command; the exit code."""
    from leaven.terminal import show_error

    try:
        code = app(arguments, standalone_mode=False, prog_name="leaven")
        if code == STOPPED:  # typer turns Ctrl-C into this exit code
            raise KeyboardInterrupt
        return code if isinstance(code, int) else 0
    except LeavenError as error:
        show_error(error)
        return 4 if isinstance(error, BudgetReached) else 1
    except KeyboardInterrupt:
        print("Stopped by you. What is done is stored; the same command goes on.", file=sys.stderr)
        return STOPPED
    except Exception as error:
        return _other(error)


def _other(error: Exception) -> int:
    """A wrong option, a full disk, or a bug."""
    if type(error).__name__ in ("Exit", "Abort"):
        return int(getattr(error, "exit_code", 1))
    if hasattr(error, "format_message"):  # what click raises for wrong options
        print(f"{_usage(error)}", file=sys.stderr)
        return 1
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        print("DataError: the disk is full.\n  Next: make room; the same command goes on.", file=sys.stderr)
        return 4
    if isinstance(error, OSError) and error.errno in REFUSED and error.filename:
        from leaven.errors import DataError
        from leaven.terminal import show_error

        show_error(
            DataError(f"{error.filename}: {error.strerror}.", "correct its permissions, or choose another path.")
        )
        return 1
    import traceback

    traceback.print_exception(error)
    print(
        "This is a bug in leaven: please report it with the lines above."
        " The folder of the run is intact; the same command goes on.",
        file=sys.stderr,
    )
    return 70


def _usage(error: Any) -> str:
    """Wrong options, in two lines as any other error."""
    from leaven.terminal import shown

    context = getattr(error, "ctx", None)
    command = context.command_path if context else "leaven"
    if type(error).__name__ == "NoArgsIsHelpError":
        return str(error.format_message())
    wrong = getattr(error, "option_name", "")
    message = error.format_message().partition(" (Possible options")[0].partition(" Did you mean")[0].rstrip(".")
    message = message.replace(
        "Input should be a valid integer, unable to parse string as an integer", "it is no whole number"
    )
    message = message.replace("Input should be a valid number, unable to parse string as a number", "it is no number")
    message = message.replace("Input should be", "it has to be")
    known = [option for p in context.command.params for option in p.opts] if context else []
    if not wrong and context and message.startswith("No such command"):
        wrong, known = message.split("'")[1], list(context.command.commands)
    close = nearest(wrong, known) if wrong else None
    fix = f"the nearest is {close}." if close else f"{command} --help"
    return f"UsageError: {command}: {shown(message[0].lower() + message[1:])}.\n  Fix: {fix}"


if __name__ == "__main__":
    main()
