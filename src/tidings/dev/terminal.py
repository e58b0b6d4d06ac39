# SPDX-License-Identifier: MIT
"""What `tidings dev` prints, and the Enter key, which prints another sign-in link."""

import asyncio
import shlex
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.markup import escape

from tidings.dev.folder import DevFolder
from tidings.dev.sample import APP_UID

_NAME: Final = "tidings"


def command(called: str) -> str:
    """Return how a shell calls `tidings`: by the path by which this process was called if that is not on PATH."""
    path = Path(called)
    if path.name != _NAME:
        return f"{shlex.quote(sys.executable)} -m {_NAME}"
    found = shutil.which(_NAME)
    return _NAME if found is not None and path.exists() and path.samefile(found) else shlex.quote(called)


class Terminal:
    """Prints to standard output."""

    def __init__(self, folder: DevFolder) -> None:
        self._folder = folder
        self._console = Console(highlight=False, soft_wrap=True)
        self._reads = False

    def announce(self, url: str, token: str, new_link: Callable[[], str]) -> None:
        """Print the addresses and the token; on a terminal, Enter prints another link."""
        keys = sys.stdin is not None and sys.stdin.isatty()
        self._line("[bold]tidings dev[/] is running; Ctrl-C stops it.\n")
        self._line("Open this link: it leads to the inbox and the console, signed in.")
        self._line(f"  [bold cyan]{escape(new_link())}[/]")
        self._line(f"  [dim]It works once, for ten minutes.{' Enter prints another one.' if keys else ''}[/]\n")
        self._line("For another terminal, and for your own code:")
        self._line(f"  export TIDINGS_URL={url}")
        self._line(f"  export TIDINGS_TOKEN={escape(token)}")
        self._line(f"  {escape(command(sys.argv[0]))} listen http://localhost:3000/hook --app {APP_UID}\n")
        self._line(f"The API is documented at {url}/docs. {escape(self._where())}")
        if keys:
            asyncio.get_running_loop().add_reader(sys.stdin.fileno(), self._on_key, new_link)
            self._reads = True

    def close(self) -> None:
        """Read no more keys."""
        if self._reads:
            self._reads = False
            asyncio.get_running_loop().remove_reader(sys.stdin.fileno())

    def _on_key(self, new_link: Callable[[], str]) -> None:
        if not sys.stdin.readline():  # end of input
            self.close()
            return
        self._line(f"  [bold cyan]{escape(new_link())}[/]")

    def _where(self) -> str:
        if not self._folder.is_kept:
            return "The data is deleted at the end."
        return f"The data is in {self._folder.path}; delete that folder to start over."

    def _line(self, text: str) -> None:
        self._console.print(text)
