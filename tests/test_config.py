# SPDX-License-Identifier: MIT
"""Every setting, given hostile values in every way: an error that names the setting, or a value that works."""

import dataclasses
import itertools
import math
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from tidings import terms
from tidings.config import load
from tidings.model.encryption import Encryption
from tidings.model.signature import SignatureType
from tidings.settings import ConfigError, Settings

FIELDS = {each.name: each for each in dataclasses.fields(Settings)}
TYPES = get_type_hints(Settings)
NUMBERS = [name for name in FIELDS if TYPES[name] in (int, float, tuple[int, ...])]
PASSWORD = "hunter2"
TEXTS = [
    "",
    " ",
    "0",
    "-1",
    "1",
    "99999",
    "9" * 20,
    "9" * 5_000,
    "1e400",
    "nan",
    "inf",
    "-inf",
    "1.5",
    "0x10",
    "²",
    "٣",
    "1_0",
    "--1",
    "1__0",
    "true",
    "maybe",
    "[",
    "[]",
    "[,]",
    "[1,[2]]",
    "[-1]",
    "[99999999999999999999]",
    "[1000000000000]",
    f"[{','.join(['1'] * 101)}]",
    "[nan]",
    "10.0.0.0/99",
    "[::1/129]",
    "a/b",
    "\0",
    "\udcff",
    "\x1b[2J",
    "x" * 70_000,
    "..",
    "/",
    "é" * 300,
    "a..b:80",
    "host:99999",
    "host:²",
    "[::1",
    "::1:80",
    ":80",
    "sqlite:",
    "sqlite:///",
    "sqlite:///a%00b",
    "sqlite:///a?mode=ro",
    "sqlite::memory:",
    "postgresql://",
    "postgresql:///?%zz",
    "postgresql://h/d?sslmode=yes",
    "postgresql://h/d?connect_timeout=soon",
    "postgresql://h/d?keepalives_idle=99999999999",
    "postgresql://h:0/d",
    "postgresql://[::1/d",
    "postgresql://a,b:1,c/d?port=1,2",
    *(f"postgresql://user:{PASSWORD}{sign}rest@host/db" for sign in "@/?#[]:% &=\\"),
    *(f"http://user:{PASSWORD}{sign}rest@host:80" for sign in "@/?#[]:% &=\\"),
]
TOML = [
    "true",
    "0",
    "-1",
    "1.5",
    "nan",
    "inf",
    "-inf",
    "99999999999999999999",
    "9" * 5_000,
    "1e400",
    "[]",
    "[[1]]",
    "[true]",
    "[1.5]",
    "[nan]",
    "[1000000000000]",
    "{}",
    "{ a = 1 }",
    "1979-05-27",
    "07:32:00",
    '""',
    '"\\u0000"',
    '["\\u0000"]',
    '["10.0.0.0/99"]',
]


def works(settings: Settings) -> bool:
    """Build the objects that the start builds from settings."""
    settings.masked()
    terms.delivery(settings)
    terms.tasks(settings)
    Encryption(settings.main_secret, SignatureType(settings.default_signature_type))
    return all(math.isfinite(getattr(settings, name)) for name in NUMBERS if TYPES[name] in (int, float))


def outcome(name: str, **given: Any) -> None:
    try:
        settings = load(given.pop("environment", {}), **given)
    except ConfigError as error:
        refusal = error
    else:
        assert works(settings)
        return
    text = str(refusal)
    assert name in text
    assert "\n" not in text
    assert len(text) < 400
    assert PASSWORD not in text
    assert PASSWORD not in str(refusal.__cause__)


@pytest.mark.parametrize("name", FIELDS)
def test_a_variable_with_any_value_is_accepted_or_named_in_the_error(name: str) -> None:
    for text, prefix in itertools.product(TEXTS, ("TIDINGS_", "SVIX_")):
        outcome(name, environment={prefix + name.upper(): text})


@pytest.mark.parametrize("name", FIELDS)
def test_a_file_value_is_accepted_or_named_in_the_error(name: str, tmp_path: Path) -> None:
    file = tmp_path / "t.toml"
    for value in TOML:
        file.write_text(f"{name} = {value}\n")
        try:
            outcome(name, file=file)
        except AssertionError:
            if f"{file} is not TOML" not in _complaint(file):
                raise


def _complaint(file: Path) -> str:
    with pytest.raises(ConfigError) as refusal:
        load({}, file=file)
    return str(refusal.value)


@pytest.mark.parametrize("name", ["listen_address", "db_dsn"])
def test_a_flag_with_any_value_is_accepted_or_named_in_the_error(name: str) -> None:
    for text in TEXTS:
        outcome(name, **{name: text})


@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_out_of_range_stops_the_start_with_an_error(name: str) -> None:
    bounds = FIELDS[name].metadata["bounds"]
    assert bounds is not None, "a setting that is a number needs bounds"
    least, most = bounds
    is_list = TYPES[name] == tuple[int, ...]

    for fit in (least, most):
        text = str(fit if TYPES[name] is float else int(fit))
        assert works(load({f"TIDINGS_{name.upper()}": f"[{text}]" if is_list else text}))
    for unfit in (least - 1, most + 1):
        text = f"[{unfit}]" if is_list else str(unfit)
        with pytest.raises(ConfigError, match=rf"^{name} must (be|list numbers) from {least:,} to {most:,}$"):
            load({f"TIDINGS_{name.upper()}": text})


def test_a_list_with_an_invalid_entry_is_reported_as_a_list() -> None:
    with pytest.raises(ConfigError, match=r"^retry_schedule must list whole numbers, like \[5,300\], not 'x'$"):
        load({"TIDINGS_RETRY_SCHEDULE": '[5,"x"]'})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"listen_address = \xff", "is not UTF-8"),
        (b"listen_address = ", "is not TOML"),
        (b"a = 1\na = 2", "is not TOML"),
        (b"a = " + b"[" * 5_000, "is not TOML"),
    ],
)
def test_a_settings_file_that_is_not_toml_is_named_in_the_error(tmp_path: Path, text: bytes, said: str) -> None:
    file = tmp_path / "t.toml"
    file.write_bytes(text)

    assert said in _complaint(file)
    assert "cannot read" in _complaint(tmp_path)


@pytest.mark.parametrize(
    "address", ["localhost:8071", "ftp://a", "http://", "http://a:0", "http://u:p@a", "http://a?b"]
)
def test_the_address_of_operational_webhooks_is_a_url_with_a_host(address: str) -> None:
    with pytest.raises(ConfigError, match="operational_webhook_address must"):
        load({"SVIX_OPERATIONAL_WEBHOOK_ADDRESS": address})

    assert "http://a:1/b/" == load({"SVIX_OPERATIONAL_WEBHOOK_ADDRESS": "http://a:1/b/"}).operational_webhook_address
