# SPDX-License-Identifier: MIT
"""A running `tidings dev`, and a browser without JavaScript that follows its sign-in link."""

import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import httpx

import live
from cli.command import SECONDS
from forked import Program
from portal.kit import Page


@dataclass
class DevServer:
    """A running `tidings dev`."""

    program: Program
    url: str
    out: str
    err: Path

    @property
    def link(self) -> str:
        """The sign-in link that it printed."""
        return str(re.findall(r"http://\S+\?code=\S+", self.out)[0])

    @property
    def token(self) -> str:
        return str(re.findall(r"export TIDINGS_TOKEN=(\S+)", self.out)[0])

    def call(self, method: str, path: str, body: object = None) -> Any:
        """Make a request to the API; return the JSON of the response."""
        headers = {"authorization": f"Bearer {self.token}"}
        answer = httpx.request(method, f"{self.url}/api/v1{path}", json=body, headers=headers, timeout=SECONDS)
        assert answer.is_success, answer.text
        return answer.json()

    def end(self) -> None:
        """End it as Ctrl-C does."""
        self.program.send_signal(signal.SIGINT)
        assert 0 == self.program.wait(SECONDS), self.err.read_text()


@contextmanager
def developing(folder: Path, *arguments: str, **settings: Any) -> Iterator[DevServer]:
    """Run `tidings dev` in a folder for the length of a block, which begins once the addresses are printed.

    `settings` are variables, which have no effect.
    """
    port = live.free_port()
    pipe, err = folder / f"out-{port}", folder / "err"
    pipe.unlink(missing_ok=True)
    os.mkfifo(pipe)
    environment = {**live.environment(settings), "COLUMNS": "80"}
    listen = ("--listen", f"127.0.0.1:{port}")
    program = Program(["dev", *listen, *arguments], folder=folder, environment=environment, out=pipe, err=err)
    try:
        with pipe.open() as out:
            said = ""
            for line in iter(out.readline, ""):
                said += line
                if line.startswith("The API is documented"):
                    break
            else:
                raise AssertionError(err.read_text())
            yield DevServer(program, f"http://127.0.0.1:{port}", said, err)
    finally:
        program.kill()


@dataclass
class DevBrowser:
    """A browser without JavaScript."""

    client: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=SECONDS))
    response: httpx.Response = field(default_factory=lambda: httpx.Response(204))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.client.close()

    @property
    def page(self) -> Page:
        return Page(self.response.text)

    @property
    def said(self) -> str:
        """The texts of the page."""
        return self.page.said

    def open(self, url: str) -> None:
        """Open a page, and follow redirects, also the one of a page that refreshes itself."""
        self.response = self.client.get(url, follow_redirects=True)
        refresh = re.search(r'http-equiv="refresh" content="0;url=([^"]+)"', self.response.text)
        if refresh is not None:
            self.response = self.client.get(self.response.url.join(refresh[1]), follow_redirects=True)
        assert self.response.is_success, self.response.text

    def follow(self, words: str) -> None:
        """Follow the link whose target contains these words."""
        [target, *_] = [link for link in self.page.links if words in link]
        self.open(str(self.response.url.join(target)))

    def ask(self, action: str, **fields: str) -> None:
        """Send the form on the page that only reads, as a query."""
        form = self.page.form(action)
        self.open(str(self.response.url.join(form.action).copy_merge_params({**form.values, **fields})))

    def submit(self, action: str, **fields: str) -> None:
        """Send the form on the page whose action ends so."""
        form = self.page.form(action)
        origin = str(self.response.url.join("/")).rstrip("/")
        self.response = self.client.post(
            self.response.url.join(form.action),
            data={**form.values, **fields},
            headers={"origin": origin},
            follow_redirects=True,
        )
        assert self.response.is_success, self.response.text
