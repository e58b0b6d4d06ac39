# SPDX-License-Identifier: MIT
"""The form of log lines: one event each, inert whatever they contain, and never with a secret."""

import asyncio
import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidings.clock import ManualClock
from tidings.log_lines import LINE_MAX, Identity, JsonFormatter, TextFormatter, error_text
from tidings.logs import EventLog, StderrHandler, belonging_to, context
from tidings.observe import RepeatLimit, failure
from tidings.settings import Settings

HOSTILE = 'line one\nlevel=error event="forged"\r\x1b[2J\x1b]0;title\x07\u202eright\u2028left\x00\ud800\x9b31m'
SECRETS = (
    "postgresql://tidings:hunter2-p%40ss@db.example/app",
    "Authorization: Bearer abcdef123456",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJvcmcifQ.c2lnbmF0dXJl",
    "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
    "tidings_hunter2abcdef0123456789",
    "password=hunter2-secret",
)
CONTROLS = {chr(code) for code in (*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029, 0x202E)}


def record(message: str = "it happened", level: int = logging.INFO, **fields: object) -> logging.LogRecord:
    made = logging.makeLogRecord({"msg": message, "levelno": level, "levelname": logging.getLevelName(level)})
    made.event, made.fields = "test.event", fields
    return made


def raised(error: BaseException) -> BaseException:
    try:
        raise error
    except type(error) as caught:
        return caught


def as_json(made: logging.LogRecord, identity: Identity | None = None) -> dict[str, object]:
    line = JsonFormatter(identity or Identity("host:1:0a")).format(made)
    assert "\n" not in line
    assert line.isascii()
    found: dict[str, object] = json.loads(line)
    return found


def test_a_json_line_has_the_same_names_first_and_numbers_stay_numbers() -> None:
    line = as_json(record(error=ValueError("no"), rows=3, app="app_1", task=None, request_id="r-1", ok=True))

    assert list(line) == ["time", "level", "event", "message", "node", "request_id", "app", "error", "rows", "ok"]
    assert (line["event"], line["node"], line["rows"], line["ok"]) == ("test.event", "host:1:0a", 3, True)
    assert line["error"] == "ValueError: no"
    assert str(line["time"]).endswith("Z")


def test_a_text_line_is_aligned_and_has_color_only_when_permitted() -> None:
    plain = TextFormatter(Identity("n")).format(record(app="app_1", note="two words"))
    colored = TextFormatter(Identity("n"), colored=True).format(record(app="app_1"))

    assert plain.partition(" ")[2] == f'INFO    {"it happened":<40} app=app_1 note="two words"'
    assert "\x1b" not in plain
    assert "\x1b[32m" in colored


@pytest.mark.parametrize(
    ("worker", "place"), [(None, "INFO    it"), (0, "INFO    supervisor it"), (2, "INFO    worker 2   it")]
)
def test_the_lines_of_a_worker_have_its_number(worker: int | None, place: str) -> None:
    identity = Identity("n", worker)

    assert place in TextFormatter(identity).format(record())
    assert as_json(record(), identity).get("worker") == worker


@given(st.text(max_size=600) | st.just(HOSTILE))
def test_text_from_outside_is_inert_in_both_forms(text: str) -> None:
    made = record(text, error=ValueError(text), url=text)
    made.exc_info = (ValueError, raised(ValueError(text)), None)

    rendered = TextFormatter(Identity("n")).format(made)

    as_json(made)
    first, *rest = rendered.split("\n")
    assert all(line.startswith("    ") for line in rest)
    assert not CONTROLS & set(first + "".join(rest))


def test_a_value_cannot_pass_for_a_field() -> None:
    line = TextFormatter(Identity("n")).format(record(name='x" org=org_forged level="error'))

    assert line.endswith('name="x\\" org=org_forged level=\\"error"')


@pytest.mark.parametrize("secret", SECRETS)
def test_what_looks_like_a_secret_is_masked_everywhere(secret: str) -> None:
    made = record(f"sent {secret}", error=ValueError(secret), header=secret)
    made.exc_info = (ValueError, raised(ValueError(f"cannot use {secret}")), None)

    for text in (JsonFormatter(Identity()).format(made), TextFormatter(Identity()).format(made)):
        assert "********" in text
        for part in ("hunter2", "abcdef", "c2lnbmF0dXJl", "C2FVsBQ"):
            assert part not in text


def test_the_secrets_of_the_settings_are_masked_in_any_text() -> None:
    settings = Settings(
        db_dsn="postgresql://tidings:data%20base%21word@db/app",
        jwt_secret="-----BEGIN KEY-----\nline-of-a-private-key\n-----END KEY-----",
        main_secret="main secret of sixteen",
        proxy_addr="http://user:proxy-word@proxy:1",
        jwt_algorithm="RS256",
    )
    identity = Identity()
    identity.mask(settings.secret_texts())
    told = "data base!word data%20base%21word line-of-a-private-key main secret of sixteen proxy-word"

    line = JsonFormatter(identity).format(record(told, error=told))

    for secret in ("base!word", "base%21word", "private-key", "main secret", "proxy-word"):
        assert secret not in line


def test_an_error_is_its_first_line_without_the_values_that_drivers_repeat() -> None:
    detail = "duplicate key value violates unique constraint\nDETAIL:  Key (payload)=(customer) already exists."
    driver = "invalid input for query argument $2: 'customer data' (expected bytes)"

    assert "customer" not in error_text(ValueError(detail))
    assert "customer" not in JsonFormatter(Identity()).format(record(error=ValueError(driver)))


@pytest.mark.parametrize("form", [JsonFormatter, TextFormatter])
def test_a_line_fits_into_one_write_to_a_pipe(form: type[JsonFormatter | TextFormatter]) -> None:
    def deep(left: int) -> None:
        if left:
            deep(left - 1)
        raise ValueError("ü" * 5_000)

    made = record("m" * 5_000)
    made.fields = {f"field{number}": "ü\n" * 5_000 for number in range(40)}
    with pytest.raises(ValueError, match="ü") as caught:
        deep(100)
    made.exc_info = (ValueError, caught.value, None)

    line = form(Identity("n" * 100)).format(made)

    assert len(f"{line}\n".encode()) <= LINE_MAX
    if form is JsonFormatter:
        json.loads(line)


def test_a_traceback_is_one_field_with_the_causes_and_the_innermost_frames() -> None:
    made, effect = record(), ValueError("effect")
    effect.__cause__ = raised(KeyError("cause"))
    made.exc_info = (ValueError, raised(effect), None)

    text = str(as_json(made)["traceback"])

    assert text.startswith("Traceback (most recent call last):\n")
    assert text.index("KeyError: 'cause'") < text.index("which led to:") < text.index("ValueError: effect")
    assert "in raised: raise error" in text


def test_a_library_gets_the_same_form() -> None:
    made = logging.makeLogRecord({"name": "asyncpg", "msg": "lost %s\nsecond", "args": ("it",), "levelname": "ERROR"})

    line = as_json(made)

    assert (line["event"], line["logger"], line["message"]) == ("library", "asyncpg", "lost it")


def test_a_log_that_cannot_be_written_stops_nothing_and_reports_the_lost_lines() -> None:
    reading, writing = os.pipe()
    handler = StderrHandler(writing)
    handler.setFormatter(TextFormatter(Identity()))
    os.close(reading)  # a write fails with EPIPE
    for _ in range(3):
        handler.handle(record())
    assert handler.lost == 3

    reading, other = os.pipe()
    os.dup2(other, writing)
    handler.handle(record("again"))

    lines = os.read(reading, 10_000).decode().splitlines()
    assert ["lines=3" in lines[0], "again" in lines[1]] == [True, True]
    for each in (reading, other, writing):
        os.close(each)


async def test_fields_belong_to_one_task_and_not_to_those_that_it_starts() -> None:
    async def other() -> dict[str, object]:
        return dict(context())

    fields: dict[str, object] = {"request_id": "r-1"}
    with belonging_to(fields):
        fields["app"] = "app_1"
        mine, others = dict(context()), await asyncio.create_task(other())

    assert mine == {"request_id": "r-1", "app": "app_1"}
    assert others == dict(context()) == {}


def test_a_repeated_internal_error_is_limited_and_the_rest_is_counted() -> None:
    clock = ManualClock()
    limit = RepeatLimit(clock)
    first = [limit.admit("claiming", KeyError()) for _ in range(15)]
    clock.advance(60_000)

    assert first == [0] * 10 + [None] * 5
    assert [limit.admit("claiming", KeyError()), limit.admit("claiming", KeyError())] == [5, 0]
    assert limit.admit("settling", KeyError()) == 0


def test_a_failure_names_its_work_and_its_fields(caplog: pytest.LogCaptureFixture) -> None:
    failure("reading an endpoint", raised(KeyError("x")), endpoint="ep_1")

    line = as_json(caplog.records[0])

    assert (line["event"], line["message"], line["endpoint"]) == ("failure", "reading an endpoint failed", "ep_1")
    assert line["error"] == "KeyError: 'x'"
    assert "raised" in str(line["traceback"])


PROGRAM = """
import logging, sys, threading, warnings
from tidings.logs import start_logging
start_logging("info", "json")
warnings.warn("old\\nstyle", DeprecationWarning, stacklevel=1)
logging.getLogger("uvicorn.error").info("Started server process")
logging.getLogger("uvicorn.error").error("lost")
thread = threading.Thread(target=lambda: 1 / 0)
thread.start(); thread.join()
raise ValueError("the end")
"""


def test_warnings_threads_and_uncaught_errors_are_json_lines(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-W", "default", "-c", PROGRAM], capture_output=True, text=True, cwd=tmp_path, check=False
    )

    lines = [json.loads(line) for line in ran.stderr.splitlines()]
    assert [(each["event"], each["level"]) for each in lines] == [
        ("python.warning", "warning"),
        ("library", "error"),
        ("process.uncaught", "critical"),
        ("process.uncaught", "critical"),
    ]
    assert [each["error"] for each in lines[2:]] == ["ZeroDivisionError: division by zero", "ValueError: the end"]


def test_without_standard_error_nothing_is_written_to_another_file(tmp_path: Path) -> None:
    program = (
        "f = open('data', 'w'); from tidings import logs; logs.start_logging('info', 'text'); logs.log.info('e', 'm')"
    )

    subprocess.run(["sh", "-c", f'exec {sys.executable} -c "{program}" 2>&-'], cwd=tmp_path, check=True)

    assert (tmp_path / "data").read_text() == ""


@pytest.mark.parametrize(
    ("given", "environment", "style"),
    [("auto", "dev", "text"), ("auto", "prod", "json"), ("text", "prod", "text"), ("json", "dev", "json")],
)
def test_the_format_follows_the_environment_unless_it_is_set(given: str, environment: str, style: str) -> None:
    settings = Settings(log_format=given, environment=environment, jwt_secret="s" * 64)

    assert settings.log_style == style


def test_an_event_below_the_level_is_not_built(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "quiet")

    EventLog(logging.getLogger("quiet")).debug("e", "m", value=object())

    assert caplog.records == []
