# SPDX-License-Identifier: MIT
"""`tidings listen` against a real server and a real receiver on this machine."""

import contextlib
import json
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import IO

import pytest
from svix.webhooks import Webhook

import live
from cli.command import SECONDS, tidings
from cli.local_program import LocalProgram, running
from forked import Program
from live import environment

SECRET = "whsec_" + "c2VjcmV0IG9mIHRoZSBsaXN0ZW5pbmcgdGVzdHM="
NOTHING = "http://127.0.0.1:1/"


@pytest.fixture
def receiver() -> Iterator[LocalProgram]:
    with running() as program:
        yield program


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[live.Live]:
    folder: Path = tmp_path_factory.mktemp("listen")
    with live.serving(f"sqlite:///{folder}/t.db", folder) as running:
        yield running


@pytest.fixture
def app(server: live.Live) -> str:
    return str(server.call("POST", "/api/v1/app", {"name": "Acme"})[1]["id"])


def send(server: live.Live, app: str, payload: object = None, **more: object) -> str:
    body = {"eventType": "invoice.paid", "payload": payload or {}, **more}
    status, message = server.call("POST", f"/api/v1/app/{app}/msg", body)
    assert 202 == status, message
    return str(message["id"])


@dataclass
class Listener:
    """A running `tidings listen`."""

    program: Program
    out: IO[str]
    err: Path

    def line(self) -> str:
        """Return its next line; empty at its end."""
        return self.out.readline()

    def secret(self) -> str:
        """Return the secret that it prints once it listens."""
        for line in iter(self.line, ""):
            if line.startswith("Secret: "):
                return line.split()[1]
        raise AssertionError(self.err.read_text())

    def end(self, number: signal.Signals = signal.SIGINT) -> list[str]:
        """Interrupt it; return its last lines."""
        self.program.send_signal(number)
        assert 0 == self.program.wait(SECONDS), self.err.read_text()
        return self.out.read().splitlines()


@contextlib.contextmanager
def listening(folder: Path, post_to: str, app: str, *arguments: str, **where: str) -> Iterator[Listener]:
    """Run the command; its output is a pipe, so a test waits for a line without a clock."""
    pipe = folder / "out"
    os.mkfifo(pipe)
    program = Program(
        ["listen", post_to, "--app", app, *arguments],
        folder=folder,
        environment=environment(where),
        out=pipe,
        err=folder / "err",
    )
    try:
        with pipe.open() as out:
            yield Listener(program, out, folder / "err")
    finally:
        program.kill()


def where(server: live.Live) -> dict[str, str]:
    return {"url": server.url, "token": server.token}


def test_a_new_message_is_posted_as_the_server_would_send_it(
    server: live.Live, app: str, receiver: LocalProgram, tmp_path: Path
) -> None:
    send(server, app, {"number": 0})
    with listening(tmp_path, receiver.url, app, **where(server)) as listener:
        assert f"Posting the messages of Acme ({app}) to {receiver.url}\n" == listener.line()
        secret = listener.secret()
        msg_id = send(server, app, {"number": 1, "text": "ü"})
        found = receiver.next()
        line = listener.line()
        ending = listener.end()

    assert "/hook?from=tidings" == found.path
    assert b'{"number": 1, "text": "\\u00fc"}' == found.body
    assert "application/json" == found.headers["content-type"]
    assert found.headers["user-agent"].startswith("Svix-Webhooks/")
    for family in ("webhook", "svix"):
        signed = {name: value for name, value in found.headers.items() if name.startswith(f"{family}-")}
        Webhook(secret).verify(found.body, signed)
        assert msg_id == signed[f"{family}-id"]
    assert ["invoice.paid", msg_id, "204"] == line.split()[1:4]
    assert ["1 message: 1 delivered."] == ending
    assert [] == server.call("GET", f"/api/v1/app/{app}/attempt/msg/{msg_id}")[1]["data"]


def test_messages_are_posted_in_order_since_a_timestamp(
    server: live.Live, app: str, receiver: LocalProgram, tmp_path: Path
) -> None:
    sent = [send(server, app, {"number": number}) for number in range(60)]
    with listening(tmp_path, receiver.url, app, "--since", "1h", "--secret", SECRET, **where(server)) as listener:
        assert SECRET == listener.secret()
        sent.append(send(server, app))
        arrived = [receiver.next().headers["svix-id"] for _ in sent]

    assert sent == arrived


def test_filters_are_those_of_the_list(server: live.Live, app: str, receiver: LocalProgram, tmp_path: Path) -> None:
    filters = ("--event-types", "invoice.paid,user.added", "--channel", "eu")
    with listening(tmp_path, receiver.url, app, *filters, **where(server)) as listener:
        listener.secret()
        send(server, app, channels=["us"])
        send(server, app, eventType="other", channels=["eu"])
        expected = [
            send(server, app, channels=["eu", "us"]),
            send(server, app, eventType="user.added", channels=["eu"]),
        ]

        assert expected == [receiver.next().headers["svix-id"] for _ in expected]


def test_a_token_of_the_application_is_enough(
    server: live.Live, app: str, receiver: LocalProgram, tmp_path: Path
) -> None:
    token = server.call("POST", f"/api/v1/auth/app-portal-access/{app}", {})[1]["token"]
    other = str(server.call("POST", "/api/v1/app", {"name": "Other"})[1]["id"])
    with listening(tmp_path, receiver.url, app, url=server.url, token=token) as listener:
        listener.secret()
        msg_id = send(server, app)
        assert msg_id == receiver.next().headers["svix-id"]
    refused = tidings("listen", receiver.url, "--app", other, folder=tmp_path, url=server.url, token=token)

    assert 2 == refused.code
    assert "no application has the id or uid" in refused.error_line


def test_a_receiver_that_refuses_or_fails_is_reported_and_the_next_message_posted(
    server: live.Live, app: str, receiver: LocalProgram, tmp_path: Path
) -> None:
    receiver.status = 500
    with listening(tmp_path, receiver.url, app, **where(server)) as listener:
        listener.secret()
        send(server, app)
        failed = listener.line()
        receiver.respond = _hang_up
        send(server, app)
        cut = listener.line()
        receiver.respond, receiver.status = None, 200
        send(server, app)
        delivered = listener.line()
        ending = listener.end(signal.SIGTERM)

    assert failed.split()[3] == "500"
    assert failed.endswith("no such [31m table\n")
    assert cut.split()[3] == "failed"
    assert delivered.split()[3] == "200"
    assert ["3 messages: 1 delivered, 2 failed."] == ending


def _hang_up(request: BaseHTTPRequestHandler) -> None:
    request.close_connection = True


def test_json_lines_are_for_programs(server: live.Live, app: str, receiver: LocalProgram, tmp_path: Path) -> None:
    receiver.status = 422
    with listening(tmp_path, receiver.url, app, "--json", "--since", "1h", **where(server)) as listener:
        msg_id = send(server, app)
        line = json.loads(listener.line())
        assert [] == listener.end()

    assert (msg_id, "invoice.paid", 422) == (line["id"], line["eventType"], line["status"])
    assert {"timestamp", "postedAt", "durationMs", "detail"} < set(line)
    assert ["Posting", "Secret:", "1"] == [note.split()[0] for note in listener.err.read_text().splitlines()]


def test_quiet_prints_only_what_was_not_accepted(
    server: live.Live, app: str, receiver: LocalProgram, tmp_path: Path
) -> None:
    with listening(tmp_path, receiver.url, app, "--quiet", **where(server)) as listener:
        listener.secret()
        send(server, app)
        receiver.next()
        receiver.status = 503
        failed = send(server, app)
        line = listener.line()
        ending = listener.end()

    assert failed in line
    assert ["2 messages: 1 delivered, 1 failed."] == ending


def test_a_payload_that_is_no_object_is_posted_as_it_is(
    server: live.Live, app: str, receiver: LocalProgram, tmp_path: Path
) -> None:
    with listening(tmp_path, receiver.url, app, **where(server)) as listener:
        listener.secret()
        send(server, app, transformationsParams={"rawPayload": "<a>ü</a>"})
        send(server, app, {"raw": "text", "other": 1})
        send(server, app, {"raw": '{"a":1}'})
        send(server, app, {"half": "\ud83d"})

        assert ["<a>ü</a>", '{"raw": "text", "other": 1}', '{"raw": "{\\"a\\":1}"}', '{"half": "\\ud83d"}'] == [
            receiver.next().body.decode() for _ in range(4)
        ]


def test_a_deleted_payload_is_reported_and_not_posted(
    server: live.Live, app: str, receiver: LocalProgram, tmp_path: Path
) -> None:
    deleted = send(server, app)
    assert 204 == server.call("DELETE", f"/api/v1/app/{app}/msg/{deleted}/content")[0]
    kept = send(server, app)
    with listening(tmp_path, receiver.url, app, "--since", "1h", **where(server)) as listener:
        listener.secret()
        line = listener.line()
        arrived = receiver.next()

    assert deleted in line
    assert "the payload has been deleted" in line
    assert kept == arrived.headers["svix-id"]


def test_a_restart_of_the_server_loses_no_message(receiver: LocalProgram, tmp_path: Path) -> None:
    folder = tmp_path / "server"
    with live.serving(f"sqlite:///{folder}/t.db", folder) as server:
        app = server.call("POST", "/api/v1/app", {"name": "Acme", "uid": "acme"})[1]["id"]
        with listening(tmp_path, receiver.url, "acme", **where(server)) as listener:
            listener.secret()
            server.kill()
            assert "The server does not respond; trying again.\n" == listener.line()
            server.restart()
            msg_id = send(server, app)
            assert "The server responds again.\n" == listener.line()
            assert msg_id == receiver.next().headers["svix-id"]
            server.call("DELETE", f"/api/v1/app/{app}")
            assert 2 == listener.program.wait(SECONDS)

    assert "no application has the id or uid 'acme'" in listener.err.read_text()


@pytest.mark.parametrize(
    ("url", "arguments", "given", "message"),
    [
        ("ftp://localhost/", (), {}, "the URL to post to is invalid; use one like http://localhost:3000/hook"),
        ("localhost:3000", (), {}, "the URL to post to is invalid"),
        ("http://user@localhost/", (), {}, "may have no user"),
        (NOTHING, ("--secret", "short"), {}, "--secret: "),
        (NOTHING, ("--since", "soon"), {}, "--since 'soon' is not a timestamp"),
        (NOTHING, ("--channel", "not a channel"), {}, "channel"),
        (NOTHING, ("--app", "absent"), {}, "no application has the id or uid 'absent'"),
        (NOTHING, (), {"token": "nonsense"}, "the server rejects the token"),
        (NOTHING, (), {"token": ""}, "no token"),
        (NOTHING, (), {"url": "http://127.0.0.1:1"}, "no server responds at http://127.0.0.1:1"),
    ],
)
def test_bad_input_is_one_sentence(  # noqa: PLR0913, PLR0917 - a table
    server: live.Live,
    app: str,
    tmp_path: Path,
    url: str,
    arguments: tuple[str, ...],
    given: dict[str, str],
    message: str,
) -> None:
    result = tidings("listen", url, "--app", app, *arguments, folder=tmp_path, **{**where(server), **given})

    assert 2 == result.code
    assert message in result.err.splitlines()[-1]
    assert result.err.splitlines()[-1].startswith("tidings: ")
    assert "Traceback" not in result.err
