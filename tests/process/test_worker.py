# SPDX-License-Identifier: MIT
"""The argument that a supervisor passes to a worker."""

import pytest

from tidings.process.worker import NO_LISTENER, Worker
from tidings.settings import ConfigError


def test_an_argument_is_read_as_it_was_written() -> None:
    worker = Worker(1, 2, channel=1, listener=NO_LISTENER)

    assert Worker.of(worker.argument()) == worker


@pytest.mark.parametrize("argument", ["", "1", "0:1:x:-1", "0:0:1:-1", "2:2:1:-1", "-1:2:1:-1", f"0:1:{1 << 20}:-1"])
def test_an_argument_that_no_supervisor_passes_is_refused(argument: str) -> None:
    with pytest.raises(ConfigError, match="is set by `serve --workers` itself"):
        Worker.of(argument)
