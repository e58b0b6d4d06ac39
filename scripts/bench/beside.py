# SPDX-License-Identifier: MIT
"""tidings beside another server of the same API, such as svix-server: the same load, receiver and machine.

    make bench-beside ARGS='--port 8071 --token FILE --server PID --database PID'

The other server and its database run already, on this machine: configured for durability, with receivers on loopback
allowed. `--token` is a file with a token of an organization; `--server` and `--database` are the processes whose CPU
time is counted, with their children. tidings gets a private PostgreSQL with the settings of `make bench`. The two run
in turns. A message counts once the receiver has it, and each must arrive.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx

from bench import machine, report
from bench.databases import Measured, fresh
from bench.measures import ACCEPT, CPU, MACHINE, RECEIVE
from bench.message_path import Figures, Run, Shape, posting
from bench.programs import Sink, build
from bench.service import Service, running

SATURATED = 0
TIMEOUT_SECONDS = 30.0
COLUMNS = (
    ("load", "{load}"),
    ("accepted/s", "{accepted:.0f}"),
    ("delivered/s", "{delivered:.0f}"),
    *CPU,
    ACCEPT,
    RECEIVE,
    *MACHINE,
)


class Peer(Service):
    """A server that runs already, and is left running."""

    def __init__(self, port: int, token: str, pid: int, folder: Path) -> None:
        self.port, self.token_file, self.pid = port, folder / "token-of-the-other", pid
        self.token_file.write_text(token)
        self._client = httpx.Client(
            base_url=f"http://127.0.0.1:{port}/api/v1",
            headers={"authorization": f"Bearer {token}"},
            timeout=TIMEOUT_SECONDS,
        )


def main() -> int:
    """Measure both servers at each load, and print a table."""
    asked = _arguments()
    with tempfile.TemporaryDirectory(prefix="tidings-bench-") as made:
        folder = Path(made)
        build(folder)
        runs: list[dict[str, Any]] = []
        for number in range(asked.runs):
            for rate in (SATURATED, *asked.rate):
                shape = Shape(seconds=asked.seconds, connections=asked.connections, rate=rate)
                print(f"... run {number + 1} of {asked.runs}, {_named(rate)}", file=sys.stderr, flush=True)
                runs += [
                    {"database": "tidings", "figures": _tidings(folder, shape)},
                    {"database": "the other", "figures": _peer(asked, folder, shape)},
                ]
        print(report.of_machine(machine.described(folder), "make bench-beside"))
        for rate in (SATURATED, *asked.rate):
            print(report.of_measure(COLUMNS, [run for run in runs if run["figures"]["rate"] == rate], markdown=True))
    return 0


def _tidings(folder: Path, shape: Shape) -> Figures:
    with fresh("postgresql", folder) as database, running(folder, database) as service:
        figures = _driven(folder, shape, service, database)
        service.stop()
    return figures


def _peer(asked: argparse.Namespace, folder: Path, shape: Shape) -> Figures:
    token = asked.token.read_text().split()[-1]  # `jwt generate` writes words before it
    peer = Peer(asked.port, token, asked.server, folder)
    return _driven(folder, shape, peer, Measured("the other", "", tuple(asked.database)))


def _driven(folder: Path, shape: Shape, service: Service, database: Measured) -> Figures:
    """Drive a server; `Run.drive` returns once the receiver has every accepted message."""
    calibration = machine.calibration_ms()
    with Sink(folder, 1) as sink:
        run = Run(database, sink, folder, shape, [posting(service, sink.ports)])
        figures = run.drive(service, shape.rate or SATURATED)
    return {"calibration": calibration, "load": _named(shape.rate or SATURATED), "rate": shape.rate, **figures}


def _named(rate: float) -> str:
    return f"{rate:.0f}/s" if rate else "saturated"


def _arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-beside", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="of the other server, on loopback")
    parser.add_argument("--token", type=Path, required=True, help="a file with a token of an organization")
    parser.add_argument("--server", type=int, required=True, metavar="PID", help="the process of the other server")
    parser.add_argument("--database", type=int, nargs="*", default=[], metavar="PID", help="processes of its database")
    parser.add_argument("--rate", type=int, nargs="*", default=[500, 2_000], help="loads beside saturation (500 2000)")
    parser.add_argument("--seconds", type=int, default=10, help="of each measurement (10)")
    parser.add_argument("--connections", type=int, default=256, help="of the sender (256)")
    parser.add_argument("--runs", type=int, default=3, help="in turns (3)")
    return parser.parse_args(given)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (httpx.HTTPError, OSError) as error:
        sys.exit(f"the other server cannot be measured: {error}")
