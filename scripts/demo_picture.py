# SPDX-License-Identifier: MIT
"""Run the demo and draw its terminal output as docs/demo.svg, the picture in the README.

`.venv/bin/python scripts/demo_picture.py` takes about half a minute; commit the result.
"""

import io
import os
import re
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

CHECKOUT = Path(__file__).resolve().parent.parent
PICTURE = CHECKOUT / "docs" / "demo.svg"
WIDTH = 112
FONT_FACE = re.compile(r"\s*@font-face \{.*?\}", re.DOTALL)
FOLDER = re.compile(r"/\S*/(tidings-demo-)")


def run_demo() -> str:
    """Run the demo as a terminal without animations would show it; return the colored output."""
    terminal = {"COLUMNS": str(WIDTH), "FORCE_COLOR": "1", "TTY_INTERACTIVE": "0", "TERM": "xterm-256color"}
    ran = subprocess.run(
        [sys.executable, "-m", "tidings", "demo"],
        env={**os.environ, **terminal},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return ran.stdout


def draw(output: str) -> str:
    """Return an SVG of the output. It fetches nothing: viewers use their own monospace font."""
    console = Console(record=True, file=io.StringIO(), width=WIDTH, force_terminal=True)
    console.print(Text("$ make demo", style="bold"))
    console.print(Text.from_ansi(FOLDER.sub(r"/…/\1", output)), soft_wrap=True)
    svg = console.export_svg(title="tidings", theme=MONOKAI, unique_id="demo")
    return FONT_FACE.sub("", svg)


def main() -> None:
    PICTURE.write_text(draw(run_demo()))
    print(f"{PICTURE.relative_to(CHECKOUT)} is drawn")


if __name__ == "__main__":
    main()
