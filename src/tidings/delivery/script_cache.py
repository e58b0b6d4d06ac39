# SPDX-License-Identifier: MIT
"""The scripts of endpoints that sends use, read from the database once for each version of an endpoint."""

from collections import OrderedDict
from typing import Final

from tidings.model.encryption import Encryption
from tidings.model.routing import Receiver
from tidings.model.transformation import Script
from tidings.sandbox.requests import ScriptRequests
from tidings.storage.tables.transformations import StoredTransformation

_BYTES_MAX: Final = 8 << 20
"""The scripts and variables that are cached, in bytes."""
_ENTRY_BYTES: Final = 512


class ScriptCache:
    """Scripts by receiver, each ready to make requests; None of an endpoint that has no script in use any more.

    A changed endpoint is another receiver, so a cached script is never outdated for long.
    """

    __slots__ = ("_bytes", "_encryption", "_scripts")

    def __init__(self, encryption: Encryption) -> None:
        self._encryption = encryption
        self._scripts: OrderedDict[Receiver, ScriptRequests | None] = OrderedDict()
        self._bytes = 0

    def __contains__(self, receiver: Receiver) -> bool:
        return receiver in self._scripts

    def get(self, receiver: Receiver) -> ScriptRequests | None:
        """Return a cached script. Raises KeyError if it is not cached."""
        self._scripts.move_to_end(receiver)
        return self._scripts[receiver]

    def keep(self, receiver: Receiver, stored: StoredTransformation | None) -> None:
        """Cache a script that was read. Raises `DecryptionError` if its variables cannot be decrypted."""
        script = None
        if stored is not None and stored.code is not None and stored.enabled:
            script = ScriptRequests(Script(stored.code, self._encryption.decode_headers(stored.variables)))
        if receiver in self._scripts:
            self._bytes -= _size(self._scripts[receiver])
        self._scripts[receiver] = script
        self._bytes += _size(script)
        while self._bytes > _BYTES_MAX and len(self._scripts) > 1:
            _, dropped = self._scripts.popitem(last=False)
            self._bytes -= _size(dropped)


def _size(script: ScriptRequests | None) -> int:
    return _ENTRY_BYTES + (0 if script is None else script.size)
