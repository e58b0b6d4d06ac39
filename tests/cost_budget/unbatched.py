# SPDX-License-Identifier: MIT
"""`tidings` with one fault: each message and each attempt is committed on its own.

It replaces `python -m tidings` in the test that must fail with it.
"""

from types import ModuleType

from tidings.cli.main import main
from tidings.core import accept
from tidings.delivery import settle


def unbatch(module: ModuleType) -> None:
    assert module.BATCH > 1, "there is nothing to switch off here"
    module.BATCH = 1  # type: ignore[attr-defined]


if __name__ == "__main__":
    unbatch(accept)
    unbatch(settle)
    main()
