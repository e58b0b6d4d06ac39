# SPDX-License-Identifier: MIT
"""The sign-in at a provider: every attack on the way, and every failure of the provider."""

from base64 import b64encode
from hashlib import sha256
from typing import Any

import jwt
import pytest

from portal.kit import Site
from portal.provider import CLIENT, CLIENT_SECRET, SigningKey, providing
from portal.sign_in_kit import CALLBACK, START, SignIn, cookies, query_of
from tidings.clock import MINUTE


async def _refused(sign_in: SignIn) -> str:
    """Sign in; the sign-in must fail with a page and no session."""
    browser = await sign_in.done()
    assert "tidings_console" not in cookies(browser), browser.text
    assert browser.status in (401, 403, 503), browser.status
    assert "Traceback" not in browser.text
    return browser.page.said


@pytest.mark.parametrize(
    "claims",
    [
        {"nonce": "another"},
        {"nonce": None},
        {"aud": "another client"},
        {"aud": [CLIENT, "another"]},
        {"aud": [CLIENT, "another"], "azp": "another"},
        {"azp": "another"},
        {"iss": "https://another.example"},
        {"exp": 1},
        {"exp": None},
        {"iat": 1},
        {"iat": None},
        {"nbf": 1 << 36},
        {"sub": None},
        {"sub": ""},
        {"email_verified": False},
        {"email_verified": "true"},
        {"email_verified": None},
        {"email": None},
        {"email": ["ada@example.com"]},
        {"email": "ada@example.com\n"},
        {"email": "ada@example.com@evil.example"},
        {"email": "\u0430da@example.com"},
    ],
)
async def test_a_token_that_says_something_else_signs_nobody_in(sign_in: SignIn, claims: dict[str, Any]) -> None:
    sign_in.provider.claims = claims
    if claims == {"email": "ada@example.com\n"}:
        assert "/console" == (await sign_in.done()).path  # space around an address is no other address
        return

    await _refused(sign_in)


async def test_a_token_without_a_strong_signature_of_the_provider_signs_nobody_in(sign_in: SignIn) -> None:
    provider = sign_in.provider

    def none(nonce: str) -> str:
        return jwt.encode(jwt.decode(provider.id_token(nonce), options={"verify_signature": False}), "", "none")

    def shared(nonce: str) -> str:
        claims = jwt.decode(provider.id_token(nonce), options={"verify_signature": False})
        return jwt.encode(claims, CLIENT_SECRET * 2, "HS256", {"kid": "first"})

    def stranger(nonce: str) -> str:
        claims = jwt.decode(provider.id_token(nonce), options={"verify_signature": False})
        return SigningKey("first").signed(claims)

    def changed(nonce: str) -> str:
        head, _, signature = provider.id_token(nonce).split(".")
        return f"{head}.{provider.id_token('x').split('.')[1]}.{signature}"

    for forge in (none, shared, stranger, changed, lambda _: "nonsense", lambda _: "a.b.c", lambda _: "x" * 70_000):
        browser = sign_in.site.browser()
        location = await sign_in.started(browser)
        query = query_of(location)
        provider.tokens = [forge(query["nonce"])]
        await sign_in.came_back(browser, code=provider.authorize(location), state=query["state"])
        assert 401 == browser.status
        assert "tidings_console" not in cookies(browser)


async def test_a_state_counts_once_and_for_its_browser_alone(sign_in: SignIn) -> None:
    browser, stranger = sign_in.site.browser(), sign_in.site.browser()
    location = await sign_in.started(browser)
    kept = dict(browser.client.cookies)
    state = query_of(location)["state"]

    # An attacker's code, with a state of the attacker, in the browser of another person.
    await sign_in.came_back(stranger, code=sign_in.provider.authorize(location), state=state)
    assert (401, True) == (stranger.status, "not started in this browser" in stranger.page.said)
    await sign_in.came_back(browser, code=sign_in.provider.authorize(location), state=state[:-1])
    assert 401 == browser.status
    await sign_in.came_back(browser, code=sign_in.provider.authorize(location), state=state)
    assert 200 == browser.status
    # The same again, with the cookie that the browser has deleted.
    replay = sign_in.site.browser()
    sent = await replay.client.get(
        CALLBACK,
        params={"code": sign_in.provider.authorize(location), "state": state},
        headers={"cookie": "; ".join(f"{name}={value}" for name, value in kept.items())},
    )
    assert (401, True) == (sent.status_code, "not started in this browser" in sent.text)


async def test_an_attempt_ends_after_ten_minutes(sign_in: SignIn) -> None:
    browser = sign_in.site.browser()
    location = await sign_in.started(browser)
    sign_in.api.clock.advance(10 * MINUTE)

    page = await sign_in.came_back(
        browser, code=sign_in.provider.authorize(location), state=query_of(location)["state"]
    )

    assert (401, True) == (browser.status, "longer than ten minutes" in page.said)


async def test_a_code_of_another_attempt_signs_nobody_in(sign_in: SignIn) -> None:
    mine, other = sign_in.site.browser(), sign_in.site.browser()
    location, foreign = await sign_in.started(mine), await sign_in.started(other)

    await sign_in.came_back(mine, code=sign_in.provider.authorize(foreign), state=query_of(location)["state"])

    assert 401 == mine.status  # the verifier of PKCE is another one


async def test_each_attempt_has_its_own_state_nonce_and_verifier(sign_in: SignIn) -> None:
    """Each of the three refuses the code or token of another attempt, so a test of one would hide the others."""
    sent = []
    for _ in range(3):
        location = await sign_in.started(browser := sign_in.site.browser())
        query = query_of(location)
        await sign_in.came_back(browser, code=sign_in.provider.authorize(location), state=query["state"])
        sent.append((query["state"], query["nonce"], query["code_challenge"]))

    verifiers = [form["code_verifier"] for form in sign_in.provider.forms]
    challenges = [b64encode(sha256(each.encode()).digest(), b"-_").rstrip(b"=").decode() for each in verifiers]
    assert [challenge for _, _, challenge in sent] == challenges
    texts = {*verifiers, *(text for each in sent for text in each)}
    assert 12 == len(texts)
    assert all(43 <= len(each) <= 128 for each in texts)  # RFC 7636, 4.1


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"error": "access_denied"}, "declined at the provider"),
        ({"error": "<script>alert(1)</script>"}, "did not confirm"),
        ({"code": ""}, "did not confirm"),
        ({"code": "x" * 5_000}, "did not confirm"),
        ({"code": "unknown"}, "did not confirm"),
        ({"code": "right", "iss": "https://another.example"}, "did not confirm"),
    ],
)
async def test_a_wrong_response_of_the_provider_is_a_readable_page(
    sign_in: SignIn, query: dict[str, str], words: str
) -> None:
    browser = sign_in.site.browser()
    location = await sign_in.started(browser)
    if query.get("code") == "right":
        query = {**query, "code": sign_in.provider.authorize(location)}

    page = await sign_in.came_back(browser, state=query_of(location)["state"], **query)

    assert (401, True) == (browser.status, words in page.said), page.said
    assert "<script>alert" not in browser.text
    assert "tidings_console" not in cookies(browser)


# Failures of the provider


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"HTTP/1.1 500 X\r\ncontent-length: 2\r\n\r\n{}",
        b"HTTP/1.1 302 X\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 X\r\ncontent-length: 3\r\n\r\n{]}",
        b"HTTP/1.1 200 X\r\ncontent-length: 2\r\n\r\n[]",
        b"HTTP/1.1 200 X\r\ncontent-length: 100000\r\n\r\n" + b"[" * 100_000,
        b"HTTP/1.1 200 X\r\ncontent-length: 900000\r\n\r\n" + b" " * 900_000,
    ],
)
@pytest.mark.parametrize("path", ["/.well-known/openid-configuration", "/keys", "/token"])
async def test_a_provider_in_trouble_is_a_readable_page(sign_in: SignIn, path: str, raw: bytes) -> None:
    sign_in.provider.raw = {path: raw}
    browser = sign_in.site.browser()

    browser.response = await browser.client.get(START, follow_redirects=False)
    if browser.status == 303:
        location = browser.response.headers["location"]
        code = sign_in.provider.authorize(location)
        await sign_in.came_back(browser, code=code, state=query_of(location)["state"])

    assert browser.status in (401, 503)
    assert "Sign in with a key" in browser.page.said
    assert "tidings_console" not in cookies(browser)


async def test_a_provider_that_is_down_is_asked_again_after_a_rest(sign_in: SignIn) -> None:
    sign_in.provider.raw = {"/.well-known/openid-configuration": b"HTTP/1.1 500 X\r\ncontent-length: 0\r\n\r\n"}
    browser = sign_in.site.browser()

    for _ in range(5):
        await browser.open(START)
        assert 503 == browser.status
    assert 1 == len(sign_in.provider.requests)
    sign_in.provider.raw = {}
    sign_in.api.clock.advance(5_000)

    assert 303 == (await browser.client.get(START)).status_code


@pytest.mark.parametrize(
    "document",
    [
        {"issuer": "https://another.example"},
        {"token_endpoint": "ftp://127.0.0.1/token"},
        {"token_endpoint": None},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"authorization_endpoint": "https://evil.example/\r\nset-cookie: x=y"},
        {"jwks_uri": 5},
    ],
)
async def test_a_document_that_misleads_is_refused(sign_in: SignIn, document: dict[str, Any]) -> None:
    sign_in.provider.document = document

    browser = sign_in.site.browser()
    await browser.open(START)

    assert 503 == browser.status


async def test_a_provider_names_no_private_address_beside_its_own(sign_in: SignIn) -> None:
    async with providing(sign_in.api.clock) as inner:
        sign_in.provider.document = {"token_endpoint": f"{inner.url}/token"}

        said = await _refused(sign_in)

    assert "did not respond as expected" in said
    assert [] == inner.requests


async def test_new_keys_of_the_provider_are_read_once_a_minute(sign_in: SignIn) -> None:
    await sign_in.done()
    sign_in.provider.key = SigningKey("second")

    await _refused(sign_in)  # keys were read a moment ago
    sign_in.api.clock.advance(61_000)
    assert "/console" == (await sign_in.done()).path
    assert 2 == sign_in.provider.requests.count("/keys")


async def test_a_secret_in_the_body_is_sent_where_the_provider_asks_for_it(sign_in: SignIn) -> None:
    sign_in.provider.document = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}

    assert "/console" == (await sign_in.done()).path
    assert CLIENT_SECRET == sign_in.provider.forms[-1]["client_secret"]


async def test_without_a_provider_there_is_no_such_page(lite_site: Site) -> None:
    for path in (START, CALLBACK):
        await (browser := lite_site.browser()).open(path)
        assert 404 == browser.status
    page = await lite_site.browser().open("/console/sign-in")
    assert "Sign in at" not in page.said
