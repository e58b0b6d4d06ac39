# SPDX-License-Identifier: MIT
"""`tidings` with one fault: each message and each attempt is committed on its own.

It replaces `python -m tidings` in the test that must fail with it.
"""

from functools import partial

from tidings import server
from tidings.cli.main import main
from tidings.core.accept import AcceptBatcher
from tidings.core.tuning import CoreTuning
from tidings.delivery import settle

if __name__ == "__main__":
    server.AcceptBatcher = partial(AcceptBatcher, tuning=CoreTuning(accept_batch=1))  # type: ignore[assignment,attr-defined]
    settle.BATCH = 1  # type: ignore[misc]
    main()
