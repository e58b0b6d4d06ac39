# SPDX-License-Identifier: MIT
"""A resource that a test leaves open fails it, and never blocks the run."""

import asyncio
import socket

import pytest

from loop import Loop


def test_a_loop_with_an_open_connection_is_closed_and_reports_it() -> None:
    loop = Loop()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        loop.run_until_complete(loop.create_connection(asyncio.Protocol, *listener.getsockname()))

        with pytest.raises(ResourceWarning, match="TCPTransport"):
            loop.close()

    assert loop.is_closed()
