"""What ``leaven replay`` says of the comparisons that come with leaven.  Prints Markdown.

    python benchmarks/replayed.py DATA_FOLDER [--only atis-llm,...] [--json FOLDER]

DATA_FOLDER holds the recorded files of each, in folders of their names (docs/replay.md).
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from datetime import date
from importlib import metadata
from pathlib import Path

from leaven.replay import table as tables
from leaven.replay.play import ReplayRequest, play
from leaven.replay.show import as_json, lines
from leaven.terminal import Progress


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("--only", default=",".join(tables.names()))
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    versions = ", ".join(
        f"{name} {metadata.version(name)}" for name in ("leaven", "numpy", "scikit-learn", "wordllama")
    )
    print("# Published comparisons, replayed\n")
    print(
        f"Written by `python benchmarks/replayed.py DATA_FOLDER > benchmarks/replayed.md`, {date.today()}, on one core;"
    )
    print(
        f"Python {sys.version.partition(' ')[0]}, {versions}.\n"
        "[The page on replays](../docs/replay.md) says what to make of it."
    )
    for name in asked.only.split(","):
        progress = Progress()
        found = play(ReplayRequest(tables.read(name), asked.folder), progress)
        progress.clear()
        if asked.json:
            (asked.json / f"{name}.json").write_text(json.dumps(as_json(found), indent=1))
        shown = "\n".join(line.rstrip() for line in lines(replace(found, folder=name)))
        print(f"\n## {name}\n\n```text\n{shown}\n```", flush=True)


if __name__ == "__main__":
    main()
