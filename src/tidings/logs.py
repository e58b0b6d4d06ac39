# SPDX-License-Identifier: MIT
"""The log of a process: where its lines go, what they have in common, and the request or task that they belong to.

Every event has a name, a constant sentence, and fields. Libraries that use the standard loggers, warnings and errors
that nothing catches get the same form.
"""

import asyncio
import logging
import os
import sys
import threading
from collections.abc import Iterable, Iterator, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import TracebackType
from typing import Final

from tidings.log_lines import Identity, JsonFormatter, TextFormatter

JSON: Final = "json"
_STDERR: Final = 2
_QUIET: Final = {"uvicorn.error": logging.WARNING, "uvicorn.access": logging.WARNING, "asyncio": logging.WARNING}
"""The least level of loggers whose lines repeat ours."""

identity: Final = Identity(node=f"{os.uname().nodename}:{os.getpid()}")
"""The node of this process, as it appears in each line."""

Context = MutableMapping[str, object]
_context: Final[ContextVar[tuple[asyncio.Task[object] | None, Context] | None]] = ContextVar("context", default=None)


class EventLog:
    """Writes events to a logger of the standard library."""

    __slots__ = ("_logger",)

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger

    def debug(self, event: str, message: str, **fields: object) -> None:
        """Log an event for developers."""
        self.write(logging.DEBUG, event, message, fields)

    def info(self, event: str, message: str, **fields: object) -> None:
        """Log an event of normal operation."""
        self.write(logging.INFO, event, message, fields)

    def warning(self, event: str, message: str, **fields: object) -> None:
        """Log an event that an operator should look at."""
        self.write(logging.WARNING, event, message, fields)

    def error(self, event: str, message: str, *, cause: BaseException | None = None, **fields: object) -> None:
        """Log a failure; `cause` adds its traceback."""
        self.write(logging.ERROR, event, message, fields, cause)

    def write(
        self,
        level: int,
        event: str,
        message: str,
        fields: MutableMapping[str, object],
        cause: BaseException | None = None,
    ) -> None:
        """Log an event at a level. Fields that are None are left out."""
        if self._logger.isEnabledFor(level):
            self._logger.log(level, message, exc_info=cause, extra={"event": event, "fields": fields})


@contextmanager
def belonging_to(fields: Context) -> Iterator[None]:
    """Add fields to all lines that the current task of the event loop writes within the block.

    The fields may be completed later. Tasks that are started within the block do not inherit them, because a batch
    that one request starts also serves others.
    """
    token = _context.set((_current_task(), fields))
    try:
        yield
    finally:
        _context.reset(token)


def context() -> Context:
    """Return the fields that the current task of the event loop adds to its lines."""
    found = _context.get()
    return {} if found is None or found[0] is not _current_task() else found[1]


def _current_task() -> asyncio.Task[object] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:  # no event loop runs in this thread
        return None


class StderrHandler(logging.Handler):
    """Writes each line to standard error with one system call. A log that cannot be written stops nothing."""

    def __init__(self, descriptor: int = _STDERR) -> None:
        super().__init__()
        self._descriptor = descriptor
        self.lost = 0
        """The lines that could not be written since the last one that could."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            record.context = context()
            line = self.format(record)
        except Exception as error:  # noqa: BLE001 - a line must not end the work that it reports
            line = f"a log line could not be formatted: {type(error).__name__}"
        try:
            self._write(line)
        except OSError:
            self.lost += 1

    def _write(self, line: str) -> None:
        if self.lost:
            missing = logging.makeLogRecord({"levelno": logging.WARNING, "levelname": "WARNING"})
            missing.event, missing.msg, missing.fields = (
                "log.lost",
                "log lines could not be written",
                {"lines": self.lost},
            )
            os.write(self._descriptor, f"{self.format(missing)}\n".encode("utf-8", "backslashreplace"))
            self.lost = 0
        data = f"{line}\n".encode("utf-8", "backslashreplace")
        while data:
            data = data[os.write(self._descriptor, data) :]


def start_logging(level: str, style: str, *, colored: bool = False, secrets: Iterable[str | None] = ()) -> None:
    """Write the log of this process to standard error, as `text` or as `json`; mask secrets.

    `colored` permits colors on a terminal. Without a standard error nothing is written: its descriptor may be that of
    another file.
    """
    identity.mask(secrets)
    handler: logging.Handler = logging.NullHandler() if sys.stderr is None else StderrHandler()
    on_terminal = colored and sys.stderr is not None and os.isatty(_STDERR)
    handler.setFormatter(JsonFormatter(identity) if style == JSON else TextFormatter(identity, colored=on_terminal))
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    for name, least in _QUIET.items():
        logging.getLogger(name).setLevel(least)
    logging.captureWarnings(True)  # noqa: FBT003 - the name of the logging module
    sys.excepthook = _on_uncaught
    threading.excepthook = lambda found: _on_uncaught(found.exc_type, found.exc_value, found.exc_traceback)
    sys.unraisablehook = lambda found: _on_uncaught(found.exc_type, found.exc_value, found.exc_traceback)


def is_json() -> bool:
    """Return whether the log of this process is JSON, so that a reader of it expects nothing else."""
    return any(isinstance(each.formatter, JsonFormatter) for each in logging.getLogger().handlers)


def _on_uncaught(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
    if error is None or issubclass(kind, KeyboardInterrupt | SystemExit):
        sys.__excepthook__(kind, error or kind(), trace)
        return
    log.write(logging.CRITICAL, "process.uncaught", "an error was not handled", {}, error)


log: Final = EventLog(logging.getLogger("tidings"))
