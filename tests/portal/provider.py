# SPDX-License-Identifier: MIT
"""A small OpenID Connect provider on loopback: real HTTP, real signatures, and every way to answer wrongly."""

import asyncio
import base64
import hashlib
import json
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qs, unquote_plus, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from tidings.clock import ManualClock

CLIENT: Final = "tidings"
CLIENT_SECRET: Final = "a secret: of the client+"
Json = dict[str, Any]


@dataclass
class SigningKey:
    """A key of the provider."""

    kid: str
    private: Any = field(default_factory=lambda: rsa.generate_private_key(65_537, 2_048))
    algorithm: str = "RS256"

    @property
    def public(self) -> Json:
        """The key as the provider publishes it."""
        made: Any = jwt.algorithms.get_default_algorithms()[self.algorithm]
        return {**made.to_jwk(self.private.public_key(), as_dict=True), "kid": self.kid, "use": "sig"}

    def signed(self, claims: Json, **header: Any) -> str:
        """Return a token."""
        return jwt.encode(claims, self.private, self.algorithm, {"kid": self.kid, **header})


@dataclass
class Provider:
    """The provider; its members decide what it says."""

    clock: ManualClock
    url: str = ""
    key: SigningKey = field(default_factory=lambda: SigningKey("first"))
    claims: Json = field(default_factory=dict)
    """Members of ID tokens that differ from correct ones; None leaves one out."""
    document: Json = field(default_factory=dict)
    """Members of its description that differ from correct ones."""
    tokens: list[str] = field(default_factory=list)
    """What the token endpoint returns in place of correct ID tokens."""
    raw: dict[str, bytes] = field(default_factory=dict)
    """Whole responses by path."""
    requests: list[str] = field(default_factory=list)
    """The paths that were requested."""
    forms: list[Json] = field(default_factory=list)
    codes: dict[str, Json] = field(default_factory=dict)

    def authorize(self, location: str) -> str:
        """Sign a person in at the address to which a browser was sent; return the code."""
        query = {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}
        assert (query["client_id"], query["response_type"]) == (CLIENT, "code")
        assert query["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe()
        self.codes[code] = query
        return code

    def id_token(self, nonce: str) -> str:
        """Return a correct ID token but for `claims`."""
        now = self.clock.now() // 1_000
        correct = {"iss": self.url, "sub": "1", "aud": CLIENT, "iat": now, "exp": now + 300, "nonce": nonce}
        correct |= {"email": "Ada@Example.com", "email_verified": True}
        return self.key.signed({name: value for name, value in (correct | self.claims).items() if value is not None})

    def answer(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, Json]:
        """Return the response to a request."""
        if path == "/.well-known/openid-configuration":
            names = {"authorization_endpoint": "/authorize", "token_endpoint": "/token", "jwks_uri": "/keys"}
            return 200, {"issuer": self.url, **{name: self.url + at for name, at in names.items()}, **self.document}
        if path == "/keys":
            return 200, {"keys": [self.key.public]}
        if path == "/token":
            return self._exchanged(headers, {name: values[0] for name, values in parse_qs(body.decode()).items()})
        return 404, {}

    def _exchanged(self, headers: dict[str, str], form: Json) -> tuple[int, Json]:
        self.forms.append(form)
        query = self.codes.pop(form["code"], {})
        given = base64.b64decode(headers.get("authorization", "Basic Og==").removeprefix("Basic ")).decode()
        client, _, secret = given.partition(":")
        digest = base64.urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest()).rstrip(b"=")
        client, secret = form.get("client_id", unquote_plus(client)), form.get("client_secret", unquote_plus(secret))
        is_right = query and (client, secret) == (CLIENT, CLIENT_SECRET)
        if not is_right or query["code_challenge"] != digest.decode() or query["redirect_uri"] != form["redirect_uri"]:
            return 400, {"error": "invalid_grant"}
        return 200, {"id_token": self.tokens.pop(0) if self.tokens else self.id_token(query["nonce"])}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request."""
        line, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
        headers = {name.lower(): value for name, _, value in (each.partition(": ") for each in lines)}
        path = line.split()[1]
        self.requests.append(path)
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        if path in self.raw:
            writer.write(self.raw[path])
        else:
            status, found = self.answer(path, headers, body)
            text = json.dumps(found).encode()
            writer.write(b"HTTP/1.1 %d X\r\ncontent-length: %d\r\n\r\n%b" % (status, len(text), text))
        writer.close()


@asynccontextmanager
async def providing(clock: ManualClock) -> AsyncIterator[Provider]:
    """Run a provider on loopback."""
    provider = Provider(clock)
    server = await asyncio.start_server(provider.serve, "127.0.0.1", 0)
    provider.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield provider
    finally:
        server.close()
        await server.wait_closed()
