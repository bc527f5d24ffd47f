"""The docs say what happens: their blocks are run, page by page, in an empty folder.

Python blocks are run unless ``<!-- skip -->`` stands before them.  A block after ``<!-- file: PATH -->`` is written to
that file instead.  A console block after ``<!-- run -->`` is run, and what it shows is compared (``...`` is anything).
"""

from __future__ import annotations

import contextlib
import doctest
import io
import os
import re
import runpy
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from leaven import cli

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
LOOSE = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@dataclass(frozen=True)
class Block:
    language: str
    before: str
    """What the comment before it says: ``skip``, ``run``, ``file: PATH``."""
    code: str
    line: int

    @property
    def used(self) -> bool:
        return (
            self.before == "run" or self.before.startswith("file:") or (self.language == "python" and not self.before)
        )


def blocks(text: str) -> list[Block]:
    found = []
    pattern = r"(?:^<!--[ ]*(?P<before>[^\n]*?)[ ]*-->\n\n?)?^```(?P<language>\w*)[^\n]*\n(?P<code>.*?)^```[ ]*$"
    for match in re.finditer(pattern, text, re.MULTILINE | re.DOTALL):
        line = text.count("\n", 0, match.start("code")) + 1
        found.append(Block(match["language"], match["before"] or "", match["code"], line))
    return found


def commands(code: str) -> list[tuple[str, str]]:
    """Each command of a console block, and what it shows."""
    return [
        (command, shown) for command, shown in re.findall(r"^\$ ([^\n]*)\n((?:(?!\$ )[^\n]*\n)*)", code, re.MULTILINE)
    ]


def call(command: str, folder: Path) -> str:
    """What a command prints, run in the folder, which is the current one too."""
    program, *rest = shlex.split(command)
    if program == "leaven":
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            assert cli.run(rest) == 0, f"{command}\n{printed.getvalue()}"
        return printed.getvalue()
    module = {"pytest": ["-m", "pytest", "-p", "no:cacheprovider"], "python": []}[program]
    own = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST", "COLUMNS"))}
    done = subprocess.run(
        [sys.executable, *module, *rest], cwd=folder, capture_output=True, text=True, timeout=120, check=False, env=own
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


def run_page(page: Path, text: str, folder: Path) -> None:
    names: dict[str, object] = {"__name__": "page"}
    for block in blocks(text):
        where = f"{page.name} line {block.line}"
        if block.before.startswith("file:"):
            path = folder / block.before.removeprefix("file:").strip()
            assert path.resolve().is_relative_to(folder.resolve()), where
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.code)
        elif block.before == "run":
            found = commands(block.code)
            assert found, f"{where}: a command begins with `$ `"
            for command, shown in found:
                got = call(command, folder)
                if shown.strip():
                    matches = doctest.OutputChecker().check_output(shown, got, LOOSE)
                    assert matches, f"{where}: {command}\nshown:\n{shown}\ngot:\n{got}"
        elif block.used and ">>> " in block.code:
            test = doctest.DocTestParser().get_doctest(block.code, names, where, str(page), block.line)
            assert doctest.DocTestRunner(optionflags=LOOSE).run(test, clear_globs=False).failed == 0, where
            names.update(test.globs)
        elif block.used:
            exec(compile(block.code, where, "exec"), names)  # noqa: S102  our own docs


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_blocks_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    try:
        run_page(page, page.read_text("utf-8"), tmp_path)
    finally:
        for name in set(sys.modules) - before:
            if str(getattr(sys.modules[name], "__file__", None) or "").startswith(str(tmp_path)):
                del sys.modules[name]


def test_every_block_of_the_tutorial_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    text = (ROOT / "docs" / "write-your-own.md").read_text("utf-8")
    found = blocks(text)
    assert len(found) > 8
    assert [f"line {block.line}" for block in found if not block.used] == []
    named = {block.before.removeprefix("file: "): block.code for block in found if block.before.startswith("file:")}
    for name in ("terse.py", "test_terse.py"):  # the page says how long they are
        assert re.search(rf"\| {len(named['my/' + name].splitlines())}\b", text), name
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name, code in named.items():  # the examples in the docstrings hold too
        if name.endswith(".py") and "test_" not in name:
            (tmp_path / Path(name).name).write_text(code)
            found_names = runpy.run_path(str(tmp_path / Path(name).name))
            test = next(value for value in found_names.values() if ">>>" in str(getattr(value, "__doc__", "")))
            parsed = doctest.DocTestParser().get_doctest(test.__doc__, found_names, name, name, 0)
            assert doctest.DocTestRunner().run(parsed) == (0, 1)


@pytest.mark.parametrize("path", sorted((ROOT / "docs" / "systems").glob("*.md")), ids=lambda path: path.stem)
def test_the_page_of_a_system_holds_its_recipe(path: Path):
    made = runpy.run_path(str(ROOT / "docs" / "make_systems.py"))["page"](path)
    assert path.read_text("utf-8") == made, "stale: python docs/make_systems.py"
    for part in ("needs", "costs", "measured here", "not to use it"):
        assert re.search(rf"^## .*{part}", made, re.MULTILINE), part


def test_the_page_of_operators_is_fresh():
    made = runpy.run_path(str(ROOT / "docs" / "make_operators.py"))["page"]()
    assert (ROOT / "docs" / "operators.md").read_text("utf-8") == made, "stale: python docs/make_operators.py"
    for link in re.findall(r"\]\((\.\./[^)]+)\)", made):
        assert (ROOT / "docs" / link).is_file()


PAGE = """
```python
x = 1
```

<!-- file: a/b.txt -->
```
hello
```

```python
from pathlib import Path
assert Path("a/b.txt").read_text() == "hello\\n" and x == 1
```

<!-- run -->
```console
$ python -c "print('one', 2)"
one ...
```

<!-- skip -->
```python
raise SystemExit
```

```python
>>> x + 1
2
```
"""


def test_the_runner_runs_and_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    assert [block.used for block in blocks(PAGE)] == [True, True, True, True, False, True]
    run_page(Path("page.md"), PAGE, tmp_path)
    for wrong in (
        PAGE.replace("x = 1", "x = 2"),
        PAGE.replace("one ...", "two ..."),
        PAGE.replace("<!-- skip -->\n", ""),
        PAGE.replace(">>> x + 1\n2", ">>> x + 1\n3"),
    ):
        with pytest.raises((AssertionError, SystemExit)):
            run_page(Path("page.md"), wrong, tmp_path)
