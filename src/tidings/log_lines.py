# SPDX-License-Identifier: MIT
"""The two forms of a log line: text for a terminal, and JSON for machines.

Text that came from outside is inert in both: control characters are escaped, values are bounded and quoted, and secrets
are masked. A line has at most `LINE_MAX` bytes, which a pipe takes as a whole, so the lines of several processes that
share it do not mix. Only the middle of a traceback is ever left out to keep that bound.
"""

import json
import logging
import re
import traceback
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

LINE_MAX: Final = 4_096
_VALUE_MAX: Final = 400
_FIELDS_MAX: Final = 24
_TRACEBACK_MIN: Final = 200
_FRAMES_MAX: Final = 40
_CHAIN_MAX: Final = 4
_MASK: Final = "********"
_SECRET_LEAST: Final = 6
"""A shorter secret is not masked wherever it occurs: it would mask words."""
_TRACEBACK: Final = "Traceback (most recent call last):"
_MESSAGE_WIDTH: Final = 40
_PLACE_WIDTH: Final = 10
_COLORS: Final = {"DEBUG": "2", "INFO": "32", "WARNING": "33", "ERROR": "31", "CRITICAL": "1;31"}
_ORDER: Final = ("request_id", "org", "app", "endpoint", "task", "error")
"""The fields that many events share, in the order of a line."""
_UNSAFE: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]"
)
"""Characters that end a line, control a terminal, are invisible, or reverse the direction of text."""
_PLAIN: Final = re.compile(r"[^\s\"=\\]+")
_SECRETS: Final = (
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=:-]{6,}"), rf"\1 {_MASK}"),
    (re.compile(r"\beyJ[\w-]{6,}\.[\w-]+(?:\.[\w-]*)?"), _MASK),
    (re.compile(r"\btidings_[0-9A-Za-z]{16,}"), _MASK),
    (re.compile(r"\bwhs(?:ec|k)_[\w+/=-]+"), _MASK),
    (re.compile(r"(\w://)[^\s/?#@]*@"), rf"\1{_MASK}@"),
    (re.compile(r"(?i)\b((?:\w+_)?(?:password|passwd|secret|token))=[^\s&'\"]+"), rf"\1={_MASK}"),
    (re.compile(r"(query argument \$\d+): .*", re.DOTALL), r"\1"),  # the driver repeats the value
)


@dataclass(slots=True)
class Identity:
    """What every line of a process has in common: the name of the node, its worker number, and the secrets to mask."""

    node: str = ""
    worker: int | None = None
    """The number of a worker of `serve --workers`, from 1; 0 is the supervisor. None if there are no workers."""
    secrets: tuple[str, ...] = field(default=(), repr=False)

    def mask(self, texts: Iterable[str | None]) -> None:
        """Mask these secrets, and each line of those that have several, in all lines from now on."""
        lines = {line.strip() for text in texts if text for line in text.splitlines()}
        self.secrets = tuple(sorted((each for each in lines if len(each) >= _SECRET_LEAST), key=len, reverse=True))

    def masked(self, text: str) -> str:
        """Return a text without secrets: those of the settings, and whatever looks like one."""
        for secret in self.secrets:
            text = text.replace(secret, _MASK)
        for pattern, replacement in _SECRETS:
            text = pattern.sub(replacement, text)
        return text


def escaped(text: str) -> str:
    """Return a text in which each character that could change the log or the terminal is written as its escape."""
    return _UNSAFE.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    return match.group().encode("unicode_escape", "surrogatepass").decode("ascii")


def error_text(error: BaseException) -> str:
    """Return the class and the first line of the message of an error; further lines may repeat stored values."""
    first = next(iter(str(error).splitlines()), "")
    return f"{type(error).__name__}: {first}" if first else type(error).__name__


def _traceback_lines(error: BaseException, depth: int = 0) -> Iterator[str]:
    """Yield the frames of an error and of its causes, the cause first, with bounded messages."""
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is not None and depth < _CHAIN_MAX:
        yield from _traceback_lines(cause, depth + 1)
        yield "which led to:"
    for frame in traceback.extract_tb(error.__traceback__)[-_FRAMES_MAX:]:
        yield f"{frame.filename}:{frame.lineno} in {frame.name}: {frame.line or ''}"
    yield error_text(error)
    if isinstance(error, BaseExceptionGroup) and depth < _CHAIN_MAX:
        for each in error.exceptions[:_CHAIN_MAX]:
            yield "with:"
            yield from _traceback_lines(each, depth + 1)


def _shortened(text: str, size: int) -> str:
    """Return a text with its middle left out, so that it has at most about `size` characters."""
    if len(text) <= size:
        return text
    head = size // 4
    return f"{text[:head]} … {text[len(text) - (size - head) :]}"


class LineFormatter(logging.Formatter):
    """The parts of a line that both forms have in common."""

    def __init__(self, identity: Identity) -> None:
        super().__init__()
        self.identity = identity

    def event(self, record: logging.LogRecord) -> str:
        """Return the name of the event; the records of libraries have none."""
        found: str | None = getattr(record, "event", None)
        return found or ("python.warning" if record.name == "py.warnings" else "library")

    def message(self, record: logging.LogRecord) -> str:
        """Return the sentence of a record: its first line, masked, escaped and bounded."""
        text = next(iter(record.getMessage().splitlines()), "")
        return self.value(text)

    def value(self, text: str) -> str:
        """Return a text as a value: masked, escaped and bounded."""
        return escaped(_shortened(self.identity.masked(text[: 8 * _VALUE_MAX]), _VALUE_MAX))

    def fields(self, record: logging.LogRecord) -> dict[str, object]:
        """Return the fields of a record, the shared ones first; numbers stay numbers."""
        given: dict[str, object] = {**getattr(record, "context", {}), **getattr(record, "fields", {})}
        if not hasattr(record, "event"):
            given["logger"] = record.name
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            given.setdefault("error", error_text(error))
        names = [*(name for name in _ORDER if name in given), *(name for name in given if name not in _ORDER)]
        return {name: self._plain(given[name]) for name in names[:_FIELDS_MAX] if given[name] is not None}

    def _plain(self, value: object) -> object:
        if isinstance(value, bool | int | float):
            return value
        return self.value(error_text(value) if isinstance(value, BaseException) else str(value))

    def traceback(self, record: logging.LogRecord) -> list[str]:
        """Return the lines of the traceback, if the record has an exception."""
        error = record.exc_info[1] if record.exc_info else None
        return [] if error is None else [_TRACEBACK, *(self.value(line) for line in _traceback_lines(error))]


def _timestamp(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class JsonFormatter(LineFormatter):
    """One JSON object per line, in ASCII."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": _timestamp(record),
            "level": record.levelname.lower(),
            "event": self.event(record),
            "message": self.message(record),
            "node": self.identity.node,
        }
        if self.identity.worker is not None:
            line["worker"] = self.identity.worker
        line |= self.fields(record)
        if lines := self.traceback(record):
            line["traceback"] = "\n".join(lines)
        return _fitting(line)


def _fitting(line: dict[str, object]) -> str:
    """Encode a line within its bound: the traceback is shortened first, then the longest texts."""
    text = json.dumps(line)
    while len(text) >= LINE_MAX:
        name = "traceback" if "traceback" in line else max(line, key=lambda each: len(json.dumps(line[each])))
        value = str(line[name])
        size = min(len(value) - 1, int(len(value) * (LINE_MAX - 64) / len(text)) - 16)
        if size < _TRACEBACK_MIN:
            del line[name]
        else:
            line[name] = _shortened(value, size - 3)
        text = json.dumps(line)
    return text


class TextFormatter(LineFormatter):
    """Aligned text; a traceback follows in indented lines."""

    def __init__(self, identity: Identity, *, colored: bool = False) -> None:
        super().__init__(identity)
        self._colored = colored

    def format(self, record: logging.LogRecord) -> str:
        level = record.levelname
        fields = self.fields(record)
        message = self.message(record)
        parts = [
            self._painted("2", _timestamp(record)),
            self._painted(_COLORS.get(level, "0"), f"{level:<7}"),
            *self._place(),
            f"{message:<{_MESSAGE_WIDTH}}" if fields else message,
            *(f"{self._painted('2', name + '=')}{_quoted(value)}" for name, value in fields.items()),
        ]
        head = _cut(" ".join(parts), LINE_MAX - 1)
        return "\n    ".join([head, *self._within(self.traceback(record), LINE_MAX - len(head.encode()) - 1)])

    def _place(self) -> Iterator[str]:
        if self.identity.worker is not None:
            place = f"worker {self.identity.worker}" if self.identity.worker else "supervisor"
            yield f"{place:<{_PLACE_WIDTH}}"

    @staticmethod
    def _within(lines: list[str], size: int) -> list[str]:
        """Return the last lines of a traceback that fit: they have the error and its location."""
        kept: list[str] = []
        size -= len(_TRACEBACK) + 5
        for line in reversed(lines[1:]):
            size -= len(line.encode()) + 5
            if size < 0:
                break
            kept.insert(0, line)
        return [_TRACEBACK, *kept] if kept else []

    def _painted(self, color: str, text: str) -> str:
        return f"\x1b[{color}m{text}\x1b[0m" if self._colored else text


def _cut(text: str, size: int) -> str:
    data = text.encode("utf-8", "backslashreplace")
    return text if len(data) <= size else data[: size - 4].decode("utf-8", "ignore") + "\x20…"


def _quoted(value: object) -> str:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return text if _PLAIN.fullmatch(text) else '"' + text.replace('"', '\\"') + '"'
