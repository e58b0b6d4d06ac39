# SPDX-License-Identifier: MIT
"""What a test reads of the log: the fields of an event, and lines as an operator sees them."""

import logging

import pytest

from tidings.log_lines import Identity, LineFormatter, TextFormatter


def fields_of(record: logging.LogRecord) -> dict[str, object]:
    """Return the fields of an event, as they appear in its line."""
    return LineFormatter(Identity()).fields(record)


def text_of(caplog: pytest.LogCaptureFixture) -> str:
    """Return the log as text, with all fields and tracebacks."""
    formatter = TextFormatter(Identity())
    return "\n".join(formatter.format(record) for record in caplog.records)
