# SPDX-License-Identifier: MIT
"""Parts that a command adds to its node: pages, paths of their own, and work beside the service."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from tidings.asgi.http import AsgiApp
from tidings.core.services import Acceptor, Services
from tidings.core.signer import Signer
from tidings.portal.sign_in import OpenHandler
from tidings.portal.view import View
from tidings.process.stopping import Stop


@dataclass(frozen=True, slots=True)
class AddedPages:
    """What an extension serves."""

    views: Sequence[View] = ()
    open_routes: Mapping[str, Mapping[str, OpenHandler]] = field(default_factory=dict)
    """Pages that need no session, by path and method."""
    tabs: tuple[tuple[str, str], ...] = ()
    """Further pages in the navigation of an organization: path and name."""
    apps: Mapping[str, AsgiApp] = field(default_factory=dict)
    """Applications by the first segment of their paths, with its slash."""


class Extension(Protocol):
    """A part of a node that `serve` starts and stops with it."""

    def bind(self, services: Services, acceptor: Acceptor, signer: Signer) -> AddedPages:
        """Receive the parts of the node, and return the pages to serve."""
        ...

    async def prepare(self) -> None:
        """Write the rows that the extension needs, before the node starts."""
        ...

    def started(self, stop: Stop) -> None:
        """Begin to work: the node responds. `stop` is set when it stops."""
        ...
