"""An installed package adds operators, recipes and models."""

from __future__ import annotations

import importlib
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from leaven import cli, operators, plugins, recipe
from leaven.errors import RecipeError

EXAMPLE = Path(__file__).parent / "plugin_example"
ROWS = """text,label
please cancel my order now,cancel
could you stop the delivery,cancel
stop it,cancel
where is my parcel today,track
please tell me where it is,track
when will it come,track
"""


def install(folder: Path, name: str = "leaven-mylab", *, prefix: str = "mylab", module: str = "mylab") -> Path:
    """What ``pip install`` leaves behind: the files of the package and what its metadata says."""
    about = folder / f"{name.replace('-', '_')}-0.1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.1.0\n")
    (about / "entry_points.txt").write_text(f"[leaven]\n{prefix} = {module}\n")
    return folder


@pytest.fixture(autouse=True)
def no_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the report other tests tell."""
    monkeypatch.setattr(cli, "write_report", lambda *_: None)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with the example installed, on the path; beside it some rows, in the current folder."""
    said = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]
    [(prefix, module)] = said["entry-points"]["leaven"].items()
    folder = install(tmp_path / "site", said["name"], prefix=prefix, module=module)
    shutil.copytree(EXAMPLE / "mylab", folder / "mylab", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "bank.csv").write_text(ROWS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(folder))
    yield folder
    forget()


def forget() -> None:
    """Take the example's modules out of this process, so that its files are read anew."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "mylab"]:
        del sys.modules[name]
    importlib.invalidate_caches()


Call = Callable[..., str]


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Call:
    """What a command prints; where it is to fail, what it says."""

    def called(command: str, code: int = 0) -> str:
        forget()
        capsys.readouterr()
        found = cli.run(command.split())
        said = capsys.readouterr()
        assert found == code, said.out + said.err
        return said.err if code else said.out

    return called


def python(site: Path, code: str) -> str:
    """What a fresh interpreter prints."""
    own = {**os.environ, "PYTHONPATH": str(site)}
    done = subprocess.run([sys.executable, "-c", code], env=own, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_its_recipe_runs_its_operator(site: Path, call: Call):
    said = json.loads(call("augment bank.csv -o o -r mylab:sketch --workers 1 --json"))
    assert (said["made"], said["kept"], said["refused"]) == (6, 5, 1)
    rows = pq.read_table(site.parent / "o" / "train").to_pylist()
    made = {row["text"] for row in rows if row["_synthetic"]}
    assert "please cancel order" in made
    assert {row["_steps"][0]["step"] for row in rows if row["_synthetic"]} == {"sketch"}
    [refused] = pq.read_table(site.parent / "o" / "refused").to_pylist()
    assert (refused["text"], refused["_reason"]) == ("stop it", "short")


def test_worker_processes_find_it(site: Path, call: Call):
    rows = "".join(f"please tell me of number {i},{'ab'[i % 2]}\n" for i in range(2500))  # some parts
    (site.parent / "many.csv").write_text(f"text,label\n{rows}")
    outs = [site.parent / name for name in ("one", "two")]
    for workers, out in enumerate(outs, 1):
        call(f"augment many.csv -o {out} -r mylab:sketch --workers {workers} -q")
    one, two = ((out / "train" / "part-00000.parquet").read_bytes() for out in outs)
    assert one == two


def test_recipes_lists_and_prints_it(site: Path, call: Call):
    assert "mylab:sketch" in call("recipes")
    assert call("recipes mylab:sketch") == (site / "mylab" / "recipes" / "sketch.yaml").read_text()


def test_a_recipe_of_ones_own_names_its_operator(site: Path, call: Call):
    (site.parent / "r.yaml").write_text("steps:\n  - mylab:sketch as words: {n: 2}\n  - keep: text != ''\n")
    call("augment bank.csv -o o -r r.yaml --workers 1 --set words.n=1 -q")
    texts = [row["text"] for row in pq.read_table(site.parent / "o" / "train").to_pylist() if row["_synthetic"]]
    assert {len(text.split()) for text in texts} == {1}
    said = json.loads(call("augment bank.csv -o p -r mylab:sketch --workers 1 --set mylab:sketch.n=5 --json"))
    assert (said["kept"], said["refused"]) == (1, 5)


def test_its_model_plays_a_role(site: Path, call: Call):
    (site.parent / "r.yaml").write_text("steps:\n  - translate: {via: spa}\n")
    command = "augment bank.csv -o o -r r.yaml --model translate=mylab:capitals --workers 1 -q"
    call(command)
    texts = {row["text"] for row in pq.read_table(site.parent / "o" / "train").to_pylist() if row["_synthetic"]}
    assert "STOP IT" in texts
    assert plugins.scheme("other") is None
    assert "`mylabs:x` names no model" in call(command.replace("mylab:capitals", "mylabs:x"), code=1)


def test_only_what_a_recipe_names_is_imported(site: Path):
    code = (
        "import sys; from leaven import recipe, operators; recipe.read('classic-text')\n"
        "recipe.names(); operators.names(); recipe.source('mylab:sketch')\n"
        "before = [m for m in sys.modules if m.startswith('mylab')]\n"
        "recipe.read('mylab:sketch'); print(before, [m for m in sys.modules if m.startswith('mylab')])"
    )
    assert python(site, code) == "[] ['mylab', 'mylab.sketch']"


def test_what_is_installed_is_not_looked_up_without_a_colon(site: Path):
    code = (
        "from leaven import recipe; import importlib.metadata; importlib.metadata.entry_points = None\n"
        "recipe.read('classic-text'); recipe.source('judge'); print('read')"
    )
    assert python(site, code) == "read"


def test_what_is_mistyped(site: Path, call: Call):
    run = "augment bank.csv -o o -r"
    said = call(f"{run} mylab:sketsh", code=1)
    assert "there is no recipe `mylab:sketsh`.\n  Fix: the nearest is `mylab:sketch`" in said
    assert "no installed package adds `mylabs`.\n  Fix: the nearest is `mylab`" in call(f"{run} mylabs:x", code=1)
    for step, said in (
        ("mylab:sketsh", "the plug-in `mylab` has no operator `sketsh`.\n  Fix: the nearest is `mylab:sketch`"),
        ("mylab:__init__", "has no operator `__init__`"),
        ("mylab:sketch: {m: 3}", "sketch has no parameter `m`"),
    ):
        (site.parent / "r.yaml").write_text(f"steps: [{step}]\n")
        found = call(f"{run} r.yaml", code=1)
        assert "r.yaml line 1: " in found
        assert said in found


def test_two_packages_of_one_name(site: Path, call: Call):
    install(site, "other-lab")
    said = call("recipes mylab:sketch", code=1)
    assert "2 packages add `mylab`: leaven-mylab, other-lab." in said
    assert "pip uninstall other-lab" in said
    assert "classic-text" in call("recipes")  # the others go on
    call("augment bank.csv -o o -r classic-text --workers 1 -q")


def test_one_that_does_not_load(site: Path, call: Call):
    (site / "mylab" / "sketch.py").write_text(
        "from leaven.operators import Make\nimport nothing_of_the_kind\nclass Sketch(Make): pass\n"
    )
    said = call("augment bank.csv -o o -r mylab:sketch", code=1)
    assert "the plug-in `mylab` of leaven-mylab does not load: ModuleNotFoundError" in said
    assert "pip uninstall leaven-mylab" in said
    (site / "mylab" / "__init__.py").write_text("schemes = {'mylab': 'mylab.backend:Nobody'}\n")
    said = call("augment bank.csv -o p -r back-translation --model translate=mylab:x", code=1)
    assert "does not load: AttributeError" in said
    shutil.rmtree(site / "mylab")
    assert "does not load: ModuleNotFoundError: No module named 'mylab'" in call("recipes mylab:x", code=1)
    (site / "mylab.py").write_text("")
    assert "names the module mylab, and files are found in packages" in call("recipes mylab:x", code=1)


def test_without_any_it_says_so():
    assert plugins.names() == []
    assert plugins.scheme("mylab") is None
    for ask in (operators.find, recipe.source):
        with pytest.raises(RecipeError, match="no installed package adds `mylab`") as error:
            ask("mylab:sketch")
        assert error.value.fix == "install the one that does; none is installed here."


def test_the_example_is_the_one_of_the_page(site: Path):
    assert python(site, "import doctest, mylab.sketch; print(doctest.testmod(mylab.sketch).attempted)") == "1"
    page = (EXAMPLE.parents[1] / "docs" / "plug-ins.md").read_text("utf-8")
    shown = dict(re.findall(r"^<!-- file: lab/(\S+) -->\n```\w+\n(.*?)^```$", page, re.MULTILINE | re.DOTALL))
    files = [path for path in EXAMPLE.rglob("*") if path.is_file() and path.suffix in (".py", ".toml", ".yaml")]
    assert shown == {str(path.relative_to(EXAMPLE)): path.read_text("utf-8") for path in files}
