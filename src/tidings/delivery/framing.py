# SPDX-License-Identifier: MIT
"""Parse response heads that the HTTP parser rejects but RFC 9112 lets a client accept; pure.

The parser is strict. `amend` reads a head that it rejected, and replaces it with a short one that it accepts. The new
head has only the status, the framing, and the headers that tidings reads. These deviations are accepted:

- `Transfer-Encoding` overrides `Content-Length`. If `chunked` is the last coding, the body is chunked, else it ends
  with the connection (section 6.3). `identity` is ignored.
- Repeated `Content-Length` values count once if they are equal, on separate lines or in a list. Different values are
  an error.
- Folded lines, spaces before a colon, lines that begin with a space, a bare CR, and a status line with more than one
  space (sections 2.2, 4, 5.1, 5.2).

If two parsers could disagree about the end of a response, its connection is closed afterwards.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

STATUS_LINE: Final = re.compile(rb"HTTP/1\.([0-9])[ \t]+([1-9][0-9]{2})(?:[ \t].*)?", re.DOTALL)
START: Final = b"HTTP/1."
END_OF_HEAD: Final = re.compile(rb"\r?\n\r?\n")
END_OF_LINE: Final = re.compile(rb"\r?\n")
NAME: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
REPLIED: Final = frozenset({b"retry-after", b"webhook-delivery"})
GREATEST_LENGTH: Final = 2**62
GREATEST_DIGITS: Final = 18
SWITCHING: Final = 101
FIRST_FINAL_STATUS: Final = 200

_Fields = dict[bytes, list[bytes]]


class FramingError(Exception):
    """A response that cannot be parsed; `status` is from its status line, or 0 without one."""

    def __init__(self, text: str, status: int = 0) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True, slots=True)
class Amended:
    """A response that the parser accepts, and whether its connection must be closed afterwards."""

    data: bytes
    must_close: bool


def amend(raw: bytes) -> Amended | None:
    """Rewrite the head of a response, without interim responses; None while it is incomplete. Raises FramingError."""
    while True:
        raw = raw.lstrip(b"\r\n")
        end = END_OF_HEAD.search(raw)
        if end is None:
            _check_start(raw)
            return None
        status_line, *lines = END_OF_LINE.split(raw[: end.start()])
        version, status = _status(status_line)
        rest = raw[end.end() :]
        if status >= FIRST_FINAL_STATUS:
            fields, is_irregular = _fields(lines, status)
            return _amended(status, fields, rest, must_close=version == 0 or is_irregular)
        if status == SWITCHING:
            raise FramingError("the receiver switches protocols")
        raw = rest


def headers_of(raw: bytes) -> list[tuple[str, str]]:
    """Return the headers of a response that was received, in their order; lines that are no headers are left out.

    `raw` starts with the head, and may continue. Interim responses are skipped. Bytes that are not UTF-8 are replaced.
    """
    while True:
        raw = raw.lstrip(b"\r\n")
        end = END_OF_HEAD.search(raw)
        if end is None:
            return []
        status_line, *lines = END_OF_LINE.split(raw[: end.start()])
        match = STATUS_LINE.fullmatch(status_line)
        if match is not None and int(match[2]) < FIRST_FINAL_STATUS:
            raw = raw[end.end() :]
            continue
        parts = (line.partition(b":") for line in _unfolded(lines))
        named = ((name.rstrip(b" \t") if colon else b"", value.strip(b" \t\r")) for name, colon, value in parts)
        return [(name.decode(), value.decode(errors="replace")) for name, value in named if NAME.fullmatch(name)]


def _check_start(raw: bytes) -> None:
    """Raise FramingError as soon as the first bytes cannot start a response."""
    line, *more = END_OF_LINE.split(raw, maxsplit=1)
    if more:
        _status(line)
    elif not line.startswith(START[: len(line)]):
        raise FramingError("no HTTP/1 status line")


def _status(line: bytes) -> tuple[int, int]:
    match = STATUS_LINE.fullmatch(line)
    if match is None:
        raise FramingError("no HTTP/1 status line")
    return int(match[1]), int(match[2])


def _fields(lines: list[bytes], status: int) -> tuple[_Fields, bool]:
    """Return the headers, and whether another parser could read them differently."""
    fields: _Fields = {}
    is_irregular = any(line.startswith((b" ", b"\t")) or b"\r" in line for line in lines)
    for line in _unfolded(lines):
        name, colon, value = line.partition(b":")
        key = name.rstrip(b" \t").lower()
        if not colon or not NAME.fullmatch(key):
            raise FramingError("invalid header", status)
        is_irregular = is_irregular or len(key) < len(name)
        fields.setdefault(key, []).append(value.replace(b"\r", b" ").strip(b" \t"))
    return fields, is_irregular


def _unfolded(lines: list[bytes]) -> Iterator[bytes]:
    """Join lines that begin with a space to the line before; skip them if there is none."""
    current: list[bytes] = []
    for line in lines:
        if not line.startswith((b" ", b"\t")):
            if current:
                yield b" ".join(current)
            current = [line]
        elif current:
            current.append(line.strip(b" \t"))
    if current:
        yield b" ".join(current)


def _amended(status: int, fields: _Fields, rest: bytes, *, must_close: bool) -> Amended:
    all_codings = _elements(fields.get(b"transfer-encoding", []))
    codings = [coding for coding in all_codings if coding != b"identity"]
    has_length = b"content-length" in fields
    if codings:
        framing = b"Transfer-Encoding: chunked\r\n" if codings[-1] == b"chunked" else b""
    else:
        framing = b"Content-Length: %d\r\n" % _length(fields[b"content-length"], status) if has_length else b""
    is_unclear = bool(all_codings) and (has_length or all_codings != [b"chunked"])
    must_close = must_close or is_unclear or b"close" in _elements(fields.get(b"connection", []))
    kept = b"".join(b"%b: %b\r\n" % (name, fields[name][-1]) for name in REPLIED & fields.keys())
    close = b"Connection: close\r\n" if must_close else b""
    return Amended(b"HTTP/1.1 %d \r\n%b%b%b\r\n" % (status, framing, kept, close) + rest, must_close)


def _elements(values: list[bytes]) -> list[bytes]:
    """Return the elements of comma-separated lists, in lower case and without parameters."""
    elements = (part.partition(b";")[0].strip(b" \t").lower() for part in b",".join(values).split(b","))
    return [element for element in elements if element]


def _length(values: list[bytes], status: int) -> int:
    lengths = {value.lstrip(b"0") or b"0" for value in _elements(values)}
    if not lengths or not all(value.isdigit() for value in lengths) or b";" in b"".join(values):
        raise FramingError("invalid Content-Length", status)
    if len(lengths) > 1:
        raise FramingError("different Content-Length values", status)
    digits = lengths.pop()
    return min(int(digits), GREATEST_LENGTH) if len(digits) <= GREATEST_DIGITS else GREATEST_LENGTH
