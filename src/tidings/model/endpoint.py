# SPDX-License-Identifier: MIT
"""An endpoint: a URL at which an application receives messages, with its filters, headers and rate limit."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from tidings.errors import Fault
from tidings.ids import AppId, EndpointId, OrgId
from tidings.model.health import NO_ATTEMPTS, NO_FAILURES, FailureRecord, RecentAttempts
from tidings.model.payload_filter import PayloadFilter
from tidings.model.signature import AnyKey

Given = TypeVar("Given")

CHANNELS_MAX: Final = 10
RATE_MAX: Final = 65_535
HEADER_BYTES: Final = 4_096
HEADERS_MAX: Final = 50
HEADERS_BYTES: Final = 16 * 1024
"""The total size of all names and values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointDraft:
    """A validated request to create or change an endpoint; `url` is normalized."""

    url: str
    description: str
    uid: str | None
    version: int
    disabled: bool
    event_types: tuple[str, ...] | None
    channels: tuple[str, ...] | None
    throttle_rate: int | None
    metadata: Mapping[str, str]
    headers: Mapping[str, str]
    secret: AnyKey | None
    """The signing key; None generates one."""
    filter: PayloadFilter | None = None
    keeps_filter: bool = False
    """Whether an existing endpoint keeps its payload filter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A stored endpoint, without its signing keys and headers."""

    id: EndpointId
    app_id: AppId
    org_id: OrgId
    url: str
    description: str
    uid: str | None
    version: int
    disabled: bool
    event_types: tuple[str, ...] | None
    channels: tuple[str, ...] | None
    throttle_rate: int | None
    metadata: Mapping[str, str]
    created_at: int
    updated_at: int
    record: FailureRecord = NO_FAILURES
    recent: RecentAttempts = NO_ATTEMPTS
    """The totals of its recent attempts, if the query reads them."""
    filter: PayloadFilter | None = None
    """The conditions that a payload must meet; None if there are none."""

    def overwritten(self, draft: EndpointDraft) -> "Endpoint":
        """Return this endpoint with the fields of the draft; headers and signing keys do not change."""
        return replace(
            self,
            url=draft.url,
            description=draft.description,
            uid=draft.uid,
            version=draft.version,
            disabled=draft.disabled,
            event_types=draft.event_types,
            channels=draft.channels,
            throttle_rate=draft.throttle_rate,
            metadata=draft.metadata,
            filter=self.filter if draft.keeps_filter else draft.filter,
        )

    def has_same_delivery_settings(self, other: "Endpoint") -> bool:
        """Return whether deliveries in memory for one version of the endpoint remain valid for the other."""
        mine = (self.url, self.disabled, self.throttle_rate)
        return mine == (other.url, other.disabled, other.throttle_rate)


# ----------------------------------------------------------------------------------------------------------------------
# Custom headers

_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE: Final = re.compile(r"[\t\x20-\x7e]*")
_FORBIDDEN: Final = frozenset(
    (
        *("user-agent", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailers"),
        *("transfer-encoding", "upgrade", "age", "cache-control", "clear-site-data", "expires", "pragma", "warning"),
        *("content-length", "content-type", "content-encoding", "content-language", "content-location"),
    )
)
_OF_THE_CONNECTION: Final = frozenset(
    ("connection", "proxy-connection", "expect", "trailer", "http2-settings", "close")
)
_ON_THE_WIRE: Final = _FORBIDDEN | _OF_THE_CONNECTION
_REDACTED: Final = frozenset(
    ("x-auth-token", "x-api-key", "www-authenticate", "authorization", "proxy-authenticate", "proxy-authorization")
)
_PREFIXES: Final = ("x-amz-", "x-amzn-", "x-google", "x-goog-", "x-gfe", "x-azure-", "x-fd-", "x-svix-", "svix-")


def header_error(name: str, value: str) -> str | None:
    """Return an error message if an endpoint must not have this custom header."""
    lower = name.lower()
    if not _TOKEN.fullmatch(name):
        return "Invalid Header Name."
    if lower in _FORBIDDEN:
        return "Header uses a forbidden key."
    if lower in _OF_THE_CONNECTION:
        return "Header uses a forbidden key: the sender sets headers about the connection. Remove it."
    if lower.startswith(_PREFIXES):
        return "Header starts with a forbidden prefix."
    if not _VALUE.fullmatch(value) or len(value) > HEADER_BYTES:
        return "Invalid Header Value."
    return None


def is_redacted(name: str) -> bool:
    """Return whether responses hide the value of a header."""
    return name.lower() in _REDACTED


def header_faults(headers: Mapping[str, str]) -> list[Fault]:
    """Return the errors in the headers of a request body."""
    if len(headers) > HEADERS_MAX:
        return size_faults(headers)
    found = ((name, header_error(name, value)) for name, value in headers.items())
    return [Fault(("body", "headers", name), wrong) for name, wrong in found if wrong is not None] or size_faults(
        headers
    )


def size_faults(headers: Mapping[str, str]) -> list[Fault]:
    """Return an error if there are too many headers, or if their total size is too large."""
    if len(headers) > HEADERS_MAX:
        return [Fault(("body", "headers"), f"An endpoint has at most {HEADERS_MAX} headers.")]
    if sum(len(name) + len(value) for name, value in headers.items()) > HEADERS_BYTES:
        return [Fault(("body", "headers"), f"An endpoint's headers have at most {HEADERS_BYTES} bytes in all.")]
    return []


def deduplicated(headers: Mapping[str, Given]) -> dict[str, Given]:
    """Return headers without duplicate names; the last one wins, ignoring case (RFC 9110 section 5.1)."""
    last = {name.lower(): name for name in headers}
    if len(last) == len(headers):
        return dict(headers)
    return {name: value for name, value in headers.items() if last[name.lower()] == name}


def merged(headers: Mapping[str, str], changes: Mapping[str, str | None], deleted: Iterable[str]) -> dict[str, str]:
    """Return headers with changes applied. A change to None deletes the header, as does `deleted`, which wins."""
    changes = deduplicated(changes)
    replaced = {name.lower() for name in (*changes, *deleted)}
    removed = {name.lower() for name in deleted}
    kept = {name: value for name, value in deduplicated(headers).items() if name.lower() not in replaced}
    added = {name: value for name, value in changes.items() if value is not None and name.lower() not in removed}
    return kept | added


def sendable_headers(headers: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Return the custom headers of a request, without stored ones that would break it (earlier releases took them)."""
    return tuple((name, value) for name, value in deduplicated(headers).items() if name.lower() not in _ON_THE_WIRE)


# ----------------------------------------------------------------------------------------------------------------------
# Rates and metadata, of endpoints and applications


def rate_of(throttle_rate: int | None, rate_limit: int | None) -> int | None:
    """Return the effective rate; `rate_limit` is the deprecated name of `throttle_rate`."""
    return rate_limit if throttle_rate is None else throttle_rate


def metadata_bytes(metadata: Mapping[str, str]) -> int:
    """Return the size of metadata as compact JSON, to which the limit applies."""
    return len(json.dumps(dict(metadata), ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass"))
