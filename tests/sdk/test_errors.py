# SPDX-License-Identifier: MIT
"""Every refusal reaches the SDK's user as the SDK's own exception."""

from collections.abc import Callable, Iterator
from contextlib import aclosing, closing
from pathlib import Path
from typing import Any

import pytest
from svix import Svix, SvixAsync, SvixOptions
from svix.api import ApplicationListOptions, BackgroundTaskListOptions
from svix.exceptions import HttpError, HTTPValidationError
from svix.models import ApplicationIn, EndpointIn, EventTypeIn, MessageIn

import live

NOBODY = "app_" + "1" * 27


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[live.Live]:
    folder: Path = tmp_path_factory.mktemp("errors")
    with live.serving(f"sqlite:///{folder}/t.db", folder) as running:
        yield running


@pytest.fixture
def client(server: live.Live) -> Iterator[Svix]:
    client = Svix(server.token, SvixOptions(server_url=server.url))
    with closing(client._httpx_client):  # noqa: SLF001 - the SDK has no way to close it
        yield client


def twice(act: Callable[[], object]) -> None:
    act()
    act()


REFUSALS: dict[str, tuple[int, str, Callable[[Svix], Any]]] = {
    "an unknown application": (404, "not_found", lambda client: client.application.get(NOBODY)),
    "an unknown task": (404, "not_found", lambda client: client.background_task.get("qtask_" + "1" * 27)),
    "a task's id that is none": (404, "not_found", lambda client: client.background_task.get("nonsense")),
    "an operation that is not served": (501, "not_implemented", lambda client: client.streaming.stream.list()),
    "a message for an absent application": (
        404,
        "not_found",
        lambda client: client.message.create(NOBODY, MessageIn(event_type="a.b", payload={})),
    ),
    "an event type that exists": (
        409,
        "event_type_exists",
        lambda client: twice(lambda: client.event_type.create(EventTypeIn(name="taken", description=""))),
    ),
    "a uid that is taken": (
        409,
        "conflict",
        lambda client: twice(lambda: client.application.create(ApplicationIn(name="A", uid="taken"))),
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_a_refusal_raises_the_sdks_http_error(client: Svix, name: str) -> None:
    status, code, act = REFUSALS[name]

    with pytest.raises(HttpError) as caught:
        act(client)

    assert (status, code) == (caught.value.status_code, caught.value.code)
    assert caught.value.detail


INVALID: dict[str, tuple[str, Callable[[Svix], Any]]] = {
    "an empty name": ("name", lambda client: client.application.create(ApplicationIn(name=""))),
    "a bad uid": ("uid", lambda client: client.application.create(ApplicationIn(name="A", uid="a b"))),
    "too long a page": ("limit", lambda client: client.application.list(ApplicationListOptions(limit=251))),
    "an iterator of another kind": (
        "iterator",
        lambda client: client.background_task.list(BackgroundTaskListOptions(iterator=NOBODY)),
    ),
}


@pytest.mark.parametrize("name", INVALID)
def test_invalid_input_raises_the_sdks_validation_error(client: Svix, name: str) -> None:
    place, act = INVALID[name]

    with pytest.raises(HTTPValidationError) as caught:
        act(client)

    assert caught.value.detail
    assert place in caught.value.detail[0].loc


def test_an_invalid_url_raises_the_sdks_validation_error(client: Svix) -> None:
    app = client.application.create(ApplicationIn(name="A"))

    with pytest.raises(HTTPValidationError) as caught:
        client.endpoint.create(app.id, EndpointIn(url="ftp://example.com/"))

    assert "url" in caught.value.detail[0].loc


def test_an_invalid_token_raises_the_sdks_http_error(server: live.Live) -> None:
    client = Svix("nonsense", SvixOptions(server_url=server.url))

    with closing(client._httpx_client), pytest.raises(HttpError) as caught:  # noqa: SLF001 - as above
        client.application.list()

    assert (401, "authentication_failed") == (caught.value.status_code, caught.value.code)


def test_get_or_create_returns_the_existing_application(client: Svix) -> None:
    first = client.application.get_or_create(ApplicationIn(name="First", uid="one"))

    second = client.application.get_or_create(ApplicationIn(name="Second", uid="one"))

    assert (first.id, "First") == (second.id, second.name)


async def test_the_asynchronous_client_creates_and_lists_a_message(server: live.Live) -> None:
    client = SvixAsync(server.token, SvixOptions(server_url=server.url))
    async with aclosing(client._httpx_client):  # noqa: SLF001 - as above
        app = await client.application.create(ApplicationIn(name="A"))

        message = await client.message.create(app.id, MessageIn(event_type="a.b", payload={"n": 1}))

        assert message.id in [each.id for each in (await client.message.list(app.id)).data]


def test_the_health_call_succeeds(client: Svix) -> None:
    client.health.get()
