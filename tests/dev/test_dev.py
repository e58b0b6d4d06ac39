# SPDX-License-Identifier: MIT
"""`tidings dev` from the terminal to a repaired inbox, and why it refuses to start."""

import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

import live
from cli.command import tidings
from dev.kit import DevBrowser, DevServer, developing

APP = "acme"
INBOX = "/console/org_23rb8YdGqMT0qIzpgGwdXfHirMu/inbox"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevServer]:
    with developing(tmp_path_factory.mktemp("dev")) as running:
        yield running


@pytest.fixture(scope="module")
def browser(server: DevServer) -> Iterator[DevBrowser]:
    """Give a browser that followed the sign-in link."""
    with DevBrowser() as browser:
        browser.open(server.link)
        yield browser


def until_arrived(browser: DevBrowser, server: DevServer, words: str) -> str:
    """Read the stream of the inbox until its part contains these words; return the part."""
    with browser.client.stream("GET", f"{server.url}{INBOX}/live") as stream:
        part = ""
        for line in stream.iter_lines():
            if line:
                part += line.removeprefix("data: ") + "\n"
                continue
            if words in part:
                return part
            part = ""
    raise AssertionError(words)


def delivery(server: DevServer, msg_id: str) -> dict[str, Any]:
    [found] = server.call("GET", f"/app/{APP}/msg/{msg_id}/delivery")["data"]
    return dict(found)


def newest_message(server: DevServer) -> str:
    return str(server.call("GET", f"/app/{APP}/msg?limit=1")["data"][0]["id"])


def test_a_developer_breaks_the_inbox_finds_out_why_and_repairs_it(tmp_path: Path) -> None:
    with developing(tmp_path, "--ephemeral") as server, DevBrowser() as browser:
        browser.open(server.link)
        until_arrived(browser, server, "user.created")
        browser.open(f"{server.url}{INBOX}")
        assert "Everything arrived" in browser.said
        assert "The signature is valid" in browser.said

        browser.submit("/mode", mode="failing")
        browser.submit("/send", event_type="invoice.paid")
        msg_id = newest_message(server)
        until_arrived(browser, server, "did not accept the last message")
        browser.open(f"{server.url}{INBOX}")
        browser.follow(f"/message/{msg_id}")
        while "failed with status 500" not in browser.said:  # the attempt is recorded a few milliseconds later
            browser.open(str(browser.response.url))

        until_arrived(browser, server, "attempt 2")
        while delivery(server, msg_id)["attemptCount"] < 2:  # the next retry is due in minutes: recover comes first
            pass
        browser.open(f"{server.url}{INBOX}")
        browser.submit("/mode", mode="accepting")
        assert "not been accepted yet" in browser.said
        browser.follow("/recover")
        browser.ask("/recover/check")
        assert "1 message would be sent" in browser.said
        browser.submit("/recover")
        until_arrived(browser, server, "everything has arrived")
        while delivery(server, msg_id)["state"] != "delivered":
            pass


def test_the_sample_has_event_types_with_schemas_and_examples(server: DevServer) -> None:
    found = server.call("GET", "/event-type?with_content=true")["data"]

    assert ["invoice.paid", "invoice.payment_failed", "user.created"] == [each["name"] for each in found]
    assert [each["name"] for each in found] == [each["schemas"]["1"]["examples"][0]["type"] for each in found]
    server.call("POST", f"/app/{APP}/endpoint/inbox/send-example", {"eventType": "user.created"})


def test_a_foreign_request_is_shown_as_unsigned(server: DevServer, browser: DevBrowser) -> None:
    receiver = server.call("GET", f"/app/{APP}/endpoint/inbox")["url"]
    hostile = '<script>alert(1)</script>"&'

    assert 200 == httpx.post(receiver, json={"type": hostile, "x": hostile}).status_code
    browser.open(f"{server.url}{INBOX}")

    assert "There is no signature" in browser.said
    assert "<script>alert" not in browser.response.text
    assert 405 == httpx.get(receiver).status_code


def test_a_hanging_inbox_makes_the_attempt_time_out(server: DevServer, browser: DevBrowser) -> None:
    browser.submit("/mode", mode="hanging")
    browser.submit("/send", event_type="user.created")
    msg_id = newest_message(server)
    until_arrived(browser, server, "waiting")
    browser.open(f"{server.url}{INBOX}")
    browser.submit("/mode", mode="accepting")

    while delivery(server, msg_id)["state"] != "delivered":
        pass


def test_unknown_values_of_forms_and_addresses_change_nothing(server: DevServer, browser: DevBrowser) -> None:
    for query in ("?show=0", "?show=999999999", "?show=x", "?show=" + "9" * 99):
        browser.open(f"{server.url}{INBOX}{query}")
    form = browser.page.form("/mode")
    for action, fields in (("mode", {"mode": "burning"}), ("send", {"event_type": "none"})):
        token = browser.page.form(f"/{action}").values["csrf"]
        answer = browser.client.post(
            f"{server.url}{INBOX}/{action}", data={**fields, "csrf": token}, headers={"origin": server.url}
        )
        assert 400 == answer.status_code
    without = browser.client.post(
        f"{server.url}{form.action}", data={"mode": "failing"}, headers={"origin": server.url}
    )

    assert 403 == without.status_code


# -----------------------------------------------------------------------------------------------------------------
# The sign-in link


def test_the_link_works_once_and_then_explains_itself(server: DevServer, browser: DevBrowser) -> None:
    used = httpx.get(server.link)

    assert 401 == used.status_code
    assert "This link has been used" in used.text
    assert "set-cookie" not in used.headers
    browser.open(server.link)
    assert "Inbox" in browser.said


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8071", "127.0.0.1.evil.example", "[", ""])
def test_the_link_works_under_the_names_of_this_machine_only(server: DevServer, host: str) -> None:
    assert httpx.get(server.link, headers={"host": host}).status_code in (400, 404)


def test_a_browser_that_looks_ahead_does_not_use_the_link(tmp_path: Path) -> None:
    with developing(tmp_path, "--ephemeral") as server:
        assert "set-cookie" not in httpx.get(server.link, headers={"sec-purpose": "prefetch;prerender"}).headers
        assert "set-cookie" not in httpx.head(server.link).headers
        assert "tidings_console=" in httpx.get(server.link).headers["set-cookie"]


def test_without_a_session_the_inbox_asks_to_sign_in(server: DevServer) -> None:
    assert "/console/sign-in" in httpx.get(f"{server.url}{INBOX}").headers["location"]
    assert 401 == httpx.get(f"{server.url}{INBOX}/live").status_code


# -----------------------------------------------------------------------------------------------------------------
# Starts and ends


def test_a_restart_keeps_the_data_and_the_token_and_follows_a_changed_port(tmp_path: Path) -> None:
    with developing(tmp_path) as server:
        token, first = server.token, server.url
        server.call("PATCH", f"/app/{APP}/endpoint/inbox", {"description": "mine"})
        server.end()
    with developing(tmp_path) as server:
        endpoint = server.call("GET", f"/app/{APP}/endpoint/inbox")
        assert (token, "mine") == (server.token, endpoint["description"])
        assert endpoint["url"].startswith(server.url)
        assert first != server.url
        assert 3 == len(server.call("GET", f"/app/{APP}/msg")["data"])
        headers = {"authorization": f"Bearer {token}"}
        httpx.delete(f"{server.url}/api/v1/app/{APP}/endpoint/inbox", headers=headers)
        server.end()
    with developing(tmp_path) as server:
        assert "" != server.call("GET", f"/app/{APP}/endpoint/inbox/secret")["key"]
        server.end()


def test_an_ephemeral_server_leaves_nothing(tmp_path: Path) -> None:
    with developing(tmp_path, "--ephemeral") as server:
        server.end()

    assert ["err", f"out-{server.url.rpartition(':')[2]}"] == sorted(each.name for each in tmp_path.iterdir())


def test_it_ends_while_the_inbox_holds_a_request(tmp_path: Path) -> None:
    with developing(tmp_path, "--ephemeral") as server, DevBrowser() as browser:
        browser.open(server.link)
        browser.submit("/mode", mode="hanging")
        browser.submit("/send", event_type="user.created")
        until_arrived(browser, server, "waiting")
        server.end()

    assert "late" not in server.err.read_text()


def refused(folder: Path, *arguments: str) -> str:
    result = tidings("dev", *arguments, folder=folder)
    assert (2, "") == (result.code, result.out), result.err
    assert "Traceback" not in result.err
    [said] = [line for line in result.err.splitlines() if line.startswith("tidings: ")]
    return said.removeprefix("tidings: ")


def test_a_port_in_use_is_one_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        place = f"127.0.0.1:{other.getsockname()[1]}"
        said = refused(tmp_path, "--listen", place)

    assert f"cannot listen on {place}: Address already in use; pass --listen with another port" == said


@pytest.mark.parametrize("address", ["0.0.0.0:8071", "192.0.2.1:8071", "[::]:8071", "example.com:80", "127.0.0.1:0"])
def test_an_address_that_others_can_reach_is_refused(tmp_path: Path, address: str) -> None:
    assert "tidings dev listens on this machine only" in refused(tmp_path, "--listen", address)


def test_a_database_of_another_release_is_one_sentence(tmp_path: Path) -> None:
    folder = tmp_path / ".tidings-dev"
    folder.mkdir()
    with closing(sqlite3.connect(folder / "tidings.db")) as other:
        other.execute("CREATE TABLE schema_migration (version INTEGER PRIMARY KEY, name, checksum, oldest_release)")
        other.execute("INSERT INTO schema_migration VALUES (1, 'initial', 'x', '0.1.0'), (999, 'later', 'x', '9.8.0')")
        other.commit()
    said = refused(tmp_path, "--listen", f"127.0.0.1:{live.free_port()}")

    assert "needs tidings 9.8.0 or later" in said
    assert said.endswith(f"To start over, delete the folder {folder}")


def test_settings_of_the_environment_have_no_effect(tmp_path: Path) -> None:
    (tmp_path / "tidings.toml").write_text('environment = "prod"')
    with developing(tmp_path, "--ephemeral", jwt_secret="short", listen_address="203.0.113.1:80") as server:
        assert server.call("GET", f"/app/{APP}")["uid"] == APP
        server.end()
