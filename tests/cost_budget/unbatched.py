# SPDX-License-Identifier: MIT
"""`tidings` with one fault: each message and each attempt is committed on its own.

It replaces `python -m tidings` in the test that must fail with it.
"""

from functools import partial

from tidings.cli.main import main
from tidings.core.accept import AcceptBatcher
from tidings.core.tuning import CoreTuning
from tidings.delivery.role import DeliveryRole
from tidings.delivery.tuning import DeliveryTuning
from tidings.server import node

if __name__ == "__main__":
    accept, deliver = CoreTuning(accept_batch=1), DeliveryTuning(settle_batch=1)
    node.AcceptBatcher = partial(AcceptBatcher, tuning=accept)  # type: ignore[assignment,attr-defined]
    node.DeliveryRole = partial(DeliveryRole, tuning=deliver)  # type: ignore[assignment,attr-defined]
    main()
