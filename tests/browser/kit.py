# SPDX-License-Identifier: MIT
"""A server with a customer's data, a receiver that obeys the test, and checks of what a browser shows."""

import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

import playwright.sync_api as playwright

from live import Live
from tidings.clock import SystemClock
from tidings.core import access
from tidings.ids import DEFAULT_ORG, MANAGEMENT_ORG

AXE: Final = Path(__file__).parents[2] / ".venv/browser/node_modules/axe-core/axe.min.js"
_RULES: Final = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


class Receiver:
    """A receiver on loopback: each path answers with the status that the test set for it, 204 at first."""

    def __init__(self) -> None:
        self.statuses: dict[str, int] = {}
        self.got: list[tuple[str, bytes]] = []
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                status = receiver.statuses.get(self.path, 204)
                receiver.got.append((self.path, body))
                answer = b"" if status == 204 else json.dumps({"error": f"This receiver answers {status}."}).encode()
                self.send_response(status)
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_arguments: object) -> None:
                """Print nothing."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def payloads(self, path: str) -> list[Any]:
        """Return the payloads that arrived at a path, in their order."""
        return [json.loads(body) for at, body in self.got if at == path]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@dataclass
class Customer:
    """An application of a running server, and calls to prepare its data."""

    server: Live
    receiver: Receiver
    app: str = "acme"

    def made(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Create something of the application."""
        return self.created(f"/app/{self.app}{path}", body)

    def created(self, path: str, body: dict[str, Any], *, token: str | None = None) -> dict[str, Any]:
        """Create something of the organization, or of the one whose token is given."""
        status, found = self.server.call("POST", f"/api/v1{path}", body, token=token)
        assert status in (200, 201, 202), (status, found)
        return dict(found)

    def replaced(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Replace something of the organization."""
        status, found = self.server.call("PUT", f"/api/v1{path}", body)
        assert status == 200, (status, found)
        return dict(found)

    def link(self, **access: Any) -> str:
        """Return a link to the application's portal."""
        return str(self.created(f"/auth/app-portal-access/{self.app}", access)["url"])

    def endpoint(self, path: str, **more: Any) -> str:
        """Create an endpoint at a path of the receiver."""
        return str(self.made("/endpoint", {"url": f"{self.receiver.url}{path}", **more})["id"])

    def key(self, name: str, owner: str = DEFAULT_ORG, **more: Any) -> str:
        """Create an API key of an organization, or one of an operator; return its text."""
        path = f"/management/authentication/{owner}/api-token"
        scope = "operator" if owner == MANAGEMENT_ORG else "organization"
        return str(self.created(path, {"name": name, "scopes": [scope], **more}, token=self._operator())["token"])

    def _operator(self) -> str:
        """Return a token with which the command line acts as an operator."""
        secret = access.stored_operator_secret(Path(self.server.database_url.removeprefix("sqlite:///")))
        assert secret is not None
        return access.issue_operator_token(secret, SystemClock().now())

    def message(self, event_type: str, payload: dict[str, Any], **more: Any) -> str:
        """Create a message."""
        return str(self.made("/msg", {"eventType": event_type, "payload": payload, **more})["id"])


@dataclass
class Watched:
    """A browser's page, with everything that it must not do: errors, and requests to elsewhere."""

    page: playwright.Page
    origin: str
    problems: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("console", lambda said: self.problems.append(said.text) if said.type == "error" else None)
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("request", lambda sent: self._check(sent.url))

    def _check(self, url: str) -> None:
        if not url.startswith((self.origin, "data:", "about:")):
            self.problems.append(f"a request to {url}")

    def faults(self) -> list[str]:
        """Return the faults of the page that is open: errors, overflow, and what axe-core finds."""
        found = [*self.problems]
        self.problems.clear()
        wide = self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        if wide > 0:
            found.append(f"the page is {wide} px wider than the window")
        return [*found, *self._violations()]

    def _violations(self) -> list[str]:
        self.page.evaluate(AXE.read_text())
        report = self.page.evaluate(
            "(rules) => axe.run(document, {runOnly: rules, resultTypes: ['violations']})", _RULES
        )
        return [
            f"{each['id']}: {each['help']} at {[node['target'] for node in each['nodes']][:3]}"
            for each in report["violations"]
        ]


@contextmanager
def opened(
    browser: playwright.Browser, origin: str, *, width: int = 1440, scheme: str = "light", **more: Any
) -> Iterator[Watched]:
    """Open a window of its own: no cookie of another is in it."""
    scheme_known: Any = scheme
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme_known, **more)
    context.set_default_timeout(15_000)
    try:
        yield Watched(context.new_page(), origin)
    finally:
        context.close()
