# SPDX-License-Identifier: MIT
"""The entry point of `tidings`. The calls that containers and scripts repeat load no more than they need.

`tidings --version` and `tidings healthcheck URL` take a sixth of the CPU time of a command that loads the command line.
"""

import sys

from tidings import __version__
from tidings.cli.interrupt import ending_at_once


def main() -> None:
    """Run the command line."""
    match sys.argv[1:]:
        case ["--version"]:
            sys.stdout.write(f"tidings {__version__}\n")
        case ["healthcheck", url] if not url.startswith("-"):
            with ending_at_once():
                from tidings.cli import health  # noqa: PLC0415 - in the block

            sys.exit(health.check(url))
        case _:
            with ending_at_once():
                from tidings.cli.commands import run  # noqa: PLC0415 - slow to import

            run()
