# SPDX-License-Identifier: MIT
"""The rights of a child process: what it has, and what fails in it, tried in Python where no script could."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import tidings
from delivery.client_kit import until
from tidings.model.transformation import Script, Webhook
from tidings.sandbox.pool import Sandbox, SandboxOptions

pytest.importorskip("_quickjs", reason="the extra `transformations` is not installed")

PROBE = """
import errno, json, os, resource, socket, subprocess, sys, ctypes
sys.path.insert(0, {path!r})
from tidings.sandbox.confinement import confine
status = lambda: open("/proc/self/status").read()
def tried(call):
    try:
        return repr(call())
    except OSError as error:
        return type(error).__name__
    except BaseException as error:
        return type(error).__name__
def code(call):
    try:
        return call()
    except OSError as error:
        return error.errno
way = confine(16 << 20)
found = dict(
    way=way,
    descriptors=[each for each in range(3, 64) if code(lambda: os.lseek(each, 0, 1)) != errno.EBADF],
    socket=tried(socket.socket),
    pair=tried(socket.socketpair),
    open=tried(lambda: open("/etc/passwd")),
    write=tried(lambda: open("/tmp/x", "w")),
    fork=tried(os.fork),
    kill=tried(lambda: os.kill(os.getppid(), 0)),
    execute=tried(lambda: os.execv("/bin/true", ["true"])),
    memory=tried(lambda: len(bytearray(512 << 20))),
)
os.write(1, json.dumps(found).encode())
"""


def probe() -> dict[str, object]:
    path = str(Path(tidings.__file__).parents[1])
    inherited = os.dup(0)
    os.set_inheritable(inherited, True)  # noqa: FBT003 - the name of the os module
    try:
        done = subprocess.run(
            [sys.executable, "-c", PROBE.format(path=path)], capture_output=True, check=True, close_fds=False
        )
    finally:
        os.close(inherited)
    found: dict[str, object] = json.loads(done.stdout)
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have limits only")
def test_a_child_has_no_descriptors_sockets_files_processes_or_signals() -> None:
    found = probe()
    assert found["way"] in ("seccomp", "network namespace")
    assert found["descriptors"] == []
    refused = {"PermissionError", "OSError", "BlockingIOError"}
    assert {found[name] for name in ("open", "write", "execute")} <= refused
    assert found["memory"] == "MemoryError"
    if found["way"] == "seccomp":
        assert {found[name] for name in ("socket", "pair", "fork", "kill")} == {"PermissionError"}


def facts(pid: int) -> tuple[bytes, str, list[str], str]:
    proc = Path(f"/proc/{pid}")
    descriptors = sorted(path.name for path in (proc / "fd").iterdir())
    return (proc / "environ").read_bytes(), (proc / "status").read_text(), descriptors, str((proc / "fd/2").readlink())


def resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_a_running_child_has_an_empty_environment_and_may_gain_no_rights() -> None:
    sandbox = Sandbox()
    try:
        await sandbox.compile("app_1", "function handler(webhook) { return webhook }")
        [pid] = sandbox.processes
        environment, status, descriptors, errors = facts(pid)
    finally:
        await sandbox.close()
    assert environment == b""
    assert "NoNewPrivs:\t1" in status
    assert descriptors == ["0", "1", "2"]
    assert errors == "/dev/null"
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_an_idle_pool_takes_less_than_60_mib() -> None:
    sandbox = Sandbox()
    webhook = Webhook("https://example.com/", "a", b"{}")
    script = Script("function handler(webhook) { return webhook }")
    assert sandbox.processes == []
    await asyncio.gather(*(sandbox.run(f"ep_{number}", script, webhook) for number in range(8)))
    used = sum(map(resident_bytes, sandbox.processes))
    await sandbox.close()
    assert used < 60 << 20


async def test_idle_processes_end() -> None:
    sandbox = Sandbox(SandboxOptions(idle_seconds=0.01))
    await sandbox.compile("app_1", "function handler(webhook) { return webhook }")
    assert len(sandbox.processes) == 1
    await until(lambda: not sandbox.processes)
    await sandbox.compile("app_1", "function handler(webhook) { return webhook }")
    await sandbox.close()
