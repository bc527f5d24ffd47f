"""The house itself: what loads when, which way imports run, and that the checkers are content."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SRC = ROOT / "src" / "leaven"
HEAVY = (
    "numpy",
    "pyarrow",
    "sklearn",
    "scipy",
    "pydantic",
    "jinja2",
    "yaml",
    "datasets",
    "tokenizers",
    "rich",
    "aiohttp",
    "PIL",
    "cv2",
    "soundfile",
    "torch",
    "transformers",
)
FLOORS = [
    (
        "errors",
        "plugins",
        "records",
        "fields",
        "patterns",
        "plain_yaml",
        "_words",
        "_messages",
        "_tagged",
        "_sandbox",
        "expressions",
        "parameters",
        "mixing",
        "beside",
        "ranges",
        "label_mass",
        "__init__",
    ),
    ("media",),
    ("storage",),
    ("models",),
    ("context", "draws", "asks"),
    ("operators", "io"),
    ("any_record", "text", "image", "audio", "pair", "keep", "blend", "train"),
    ("recipe", "recipes"),
    ("engine",),
    ("one_record",),
    ("terminal",),
    ("show",),
    ("measure",),
    ("search",),
    ("replay", "replays"),
    ("report",),
    ("review",),
    ("demo",),
    ("api",),
    ("cli",),
]
"""From the ground up: a file imports from its own floor and those below."""


def python(code: str) -> tuple[str, float]:
    began = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout, time.perf_counter() - began


def best(code: str, times: int = 5) -> float:
    return min(python(code)[1] for _ in range(times))


def test_import_and_help_load_nothing_heavy():
    code = f"import sys, leaven; print([m for m in {HEAVY} if m in sys.modules])"
    assert python(code)[0].strip() == "[]"
    code = (
        "import sys, contextlib, io\nfrom leaven.cli import run\n"
        f"with contextlib.redirect_stdout(io.StringIO()): run(['--help'])\n"
        f"print([m for m in {HEAVY} if m in sys.modules])"
    )
    assert python(code)[0].strip() == "[]"


def test_import_and_help_are_instant():
    """0.15 s and 0.4 s over an empty interpreter, on a machine with other work: the best of five."""
    empty = best("pass")
    assert best("import leaven") - empty < 0.15
    assert best("from leaven.cli import run; run(['--help'])") - empty < 0.4


def floor_of(name: str) -> int:
    return next(i for i, names in enumerate(FLOORS) if name in names)


def imports(path: Path) -> list[str]:
    """The parts of leaven that a file imports when it runs (what only type checkers read does not count)."""
    found: list[str] = []
    tree = ast.parse(path.read_text("utf-8"))
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for child in node.body
        for inner in ast.walk(child)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and id(node) not in typing_only:
            if node.module == "leaven":
                found += [alias.name for alias in node.names]
            elif node.module.startswith("leaven."):
                found.append(node.module.split(".")[1])
    return found


@pytest.mark.parametrize("path", sorted(SRC.rglob("*.py")), ids=lambda p: str(p.relative_to(SRC)))
def test_imports_run_one_way(path: Path):
    part = path.relative_to(SRC).parts[0].removesuffix(".py")
    for other in imports(path):
        if other.startswith("__"):
            continue
        assert floor_of(other) <= floor_of(part), f"{part} imports {other}, which stands above it"


def test_a_modality_never_imports_another():
    for name in ("text", "image", "audio", "pair", "any_record"):
        for path in (SRC / name).glob("*.py"):
            others = set(imports(path)) & {"text", "image", "audio", "pair", "any_record"} - {name}
            assert not others, path


def test_no_catch_all_files():
    names = {path.name for path in SRC.rglob("*.py")}
    assert not names & {"helpers.py", "utils.py", "common.py", "misc.py"}


def test_no_pickle_eval_or_unsafe_yaml_in_the_source():
    for path in SRC.rglob("*.py"):
        text = path.read_text("utf-8")
        assert not re.search(r"\beval\(|\bexec\(|yaml\.load\(|allow_pickle=True", text.replace("exec_module(", "")), (
            path
        )


def test_ruff_is_content():
    done = subprocess.run([sys.executable, "-m", "ruff", "check", "."], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    done = subprocess.run(
        [sys.executable, "-m", "ruff", "format", "--check", "."], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout


def test_mypy_is_content():
    done = subprocess.run([sys.executable, "-m", "mypy"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
