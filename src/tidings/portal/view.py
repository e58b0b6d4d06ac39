# SPDX-License-Identifier: MIT
"""The declaration of a page: where it is, who may open it, and the function that answers it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from tidings.model.token import Capability
from tidings.portal.request import PageRequest
from tidings.portal.response import Answer

Handler = Callable[[PageRequest], Awaitable[Answer]]


class Scope(Enum):
    """What a page shows, and thereby who may open it."""

    APPLICATION = "one application"
    """In the portal below `/portal/{app_id}`, and in the console below `/console/{org_id}/app/{app_id}`."""
    ORGANIZATION = "one organization"
    """In the console below `/console/{org_id}`: for that organization and for operators."""
    INSTALLATION = "the installation"
    """In the console below `/console`: for operators only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A page, or the target of a form."""

    scope: Scope
    path: str
    """The path below the scope's prefix, empty for its first page; parameters are in braces."""
    handler: Handler
    method: str = "GET"
    needs: Capability = Capability.VIEW_BASE
    """The capability that the session needs; the organization has all."""
    form_bytes: int = 64 * 1024
    """The size limit of the form."""
    is_reading: bool = False
    """Whether the form changes nothing that is stored, so that read-only sessions may send it."""
    shell: str | None = None
    """The only shell in which the page appears, `portal` or `console`; both by default."""

    @property
    def writes(self) -> bool:
        """Whether the view changes something, so that it needs a form token and refuses read-only sessions."""
        return self.method == "POST"


def forms_of_application(
    needs: Capability, form_bytes: int, forms: Mapping[str, tuple[Handler, Handler]]
) -> tuple[View, ...]:
    """Return the views of forms, by path: the handler of the page, and the one of the form that it sends."""
    return tuple(
        View(scope=Scope.APPLICATION, path=path, method=method, handler=handler, needs=needs, form_bytes=form_bytes)
        for path, handlers in forms.items()
        for method, handler in zip(("GET", "POST"), handlers, strict=True)
    )


PREFIXES: Final = {
    (Scope.APPLICATION, "portal"): "/portal/{app_id}",
    (Scope.APPLICATION, "console"): "/console/{org_id}/app/{app_id}",
    (Scope.ORGANIZATION, "console"): "/console/{org_id}",
    (Scope.INSTALLATION, "console"): "/console",
}
"""The prefix of each scope in each shell where it appears."""
