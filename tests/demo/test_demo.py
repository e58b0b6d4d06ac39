# SPDX-License-Identifier: MIT
"""`tidings demo` works as documented in any environment, and leaves nothing behind."""

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest

import live

SECONDS = 100


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a folder for temporary files, so that the test can find leftovers."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    return folder


@contextmanager
def begun(folder: Path, *arguments: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-m", "tidings", "demo", *arguments],
        env={**live.environment({}), "TMPDIR": str(folder), **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()


def pids_in(text: str) -> list[int]:
    return [int(pid) for pid in re.findall(r"pid (\d+)", text)]


def are_gone(pids: list[int]) -> bool:
    _, alive = psutil.wait_procs([psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)], timeout=10)
    return not alive


def done_in(text: str) -> list[int]:
    """Return each progress figure that the demo printed.

    The total is 280, for 140 failed messages with two attempts each, and some more: the last attempts before the outage
    may have begun within the first milliseconds of the range.
    """
    return [int(number) for number in re.findall(r"(\d+) of 2[89]\d ", text)]


def row(text: str, name: str) -> int:
    found = re.search(rf"│ {name} +│ +([\d,]+) │", text)
    assert found is not None, text
    return int(found[1].replace(",", ""))


def test_the_demo_loses_no_message_and_leaves_no_process_or_file(folder: Path) -> None:
    hostile = {
        "TIDINGS_RETRY_SCHEDULE": "[1]",
        "SVIX_WHITELIST_SUBNETS": "[10.0.0.0/8]",
        "HTTP_PROXY": "http://127.0.0.1:9",
    }
    with begun(folder, "--messages", "200", **hostile) as process:
        text, _ = process.communicate(timeout=SECONDS)

    assert 0 == process.returncode, text
    assert [200, 60, 140, 140, 140, 0] == [
        row(text, name)
        for name in (
            "accepted",
            "delivered by the first attempt",
            "failed during the outage",
            "resent by the task",
            "delivered after a failure",
            "lost",
        )
    ]
    before, _, after = text.partition("in the middle of the task")
    assert 0 < done_in(before)[-1] < 280
    assert done_in(before)[-1] <= done_in(after)[0]
    assert re.search(r"(2[89]\d) of \1  140 messages sent", after)
    assert are_gone(pids_in(text))
    assert [] == list(folder.iterdir())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_leaves_no_process_or_file(folder: Path, number: signal.Signals) -> None:
    said = ""
    with begun(folder, "--messages", "100") as process:
        for line in lines(process):
            said += line
            if "The receiver fails" in line:
                break
        process.send_signal(number)
        rest, _ = process.communicate(timeout=SECONDS)

    assert process.returncode != 0
    assert "Traceback" not in said + rest
    assert are_gone(pids_in(said))
    assert [] == list(folder.iterdir())


def test_a_kept_demo_serves_its_console_until_ctrl_c(folder: Path) -> None:
    said = ""
    with begun(folder, "--messages", "100", "--keep") as process:
        for line in lines(process):
            said += line
            if "tidings tasks list" in line:
                break
        variables = dict(re.findall(r"export (TIDINGS_\w+)=(\S+)", said))
        assert {"TIDINGS_URL", "TIDINGS_TOKEN"} <= set(variables), said
        found = httpx.post(
            f"{variables['TIDINGS_URL']}/console/sign-in",
            data={"key": variables["TIDINGS_TOKEN"]},
            headers={"origin": variables["TIDINGS_URL"]},
        )
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=SECONDS)

    assert (303, 0) == (found.status_code, process.returncode), rest
    assert are_gone(pids_in(said))
    assert [] == list(folder.iterdir())


def lines(process: subprocess.Popen[str]) -> Iterator[str]:
    assert process.stdout is not None
    yield from iter(process.stdout.readline, "")
