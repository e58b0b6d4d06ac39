# SPDX-License-Identifier: MIT
"""Database URLs by libpq's rules."""

from pathlib import Path

import pytest

from tidings import dsn

ESCAPED = "postgresql://us%40er:p%40%2F%3F%23%3A%25@host/db"


def test_a_url_is_parsed_into_its_parts() -> None:
    server = dsn.postgres(ESCAPED)

    assert ("us@er", "p@/?#:%") == (server.user, server.password)
    assert (("host",), (5432,), "db") == (server.hosts, server.ports, server.database)
    assert "p@" not in repr(server)


@pytest.mark.parametrize(
    ("url", "hosts", "ports"),
    [
        ("postgres://h1:1,h2:2/d", ("h1", "h2"), (1, 2)),
        ("postgres://h1,h2/d?port=7", ("h1", "h2"), (7, 7)),
        ("postgres://u@[::1]:1,[fe80::1]/d", ("::1", "fe80::1"), (1, 5432)),
        ("postgres://%2Fvar%2Frun/d", ("/var/run",), (5432,)),
        ("postgres:///d?host=/run&port=6", ("/run",), (6,)),
        ("postgres:///d", (), ()),
        (" postgres://h/d\n", ("h",), (5432,)),
    ],
)
def test_several_hosts_and_ports_are_parsed(url: str, hosts: tuple[str, ...], ports: tuple[int, ...]) -> None:
    server = dsn.postgres(url)

    assert (hosts, ports, "d") == (server.hosts, server.ports, server.database)


def test_a_user_of_a_managed_database_has_an_at_sign_in_a_parameter() -> None:
    server = dsn.postgres("postgres://h/d?user=me@server&password=a@b&sslmode=require")

    assert ("me@server", "a@b") == (server.user, server.password)


def test_url_parameters_are_supported_or_listed_as_ignored() -> None:
    server = dsn.postgres(
        "postgresql://h/d?sslmode=require&channel_binding=require&connect_timeout=7&keepalives=1&keepalives_idle=30"
        "&application_name=mine&options=-csearch_path%3Dx&target_session_attrs=any&ssl-root-cert=a.crt"
        "&gssencmode=disable&pgbouncer=true&tcp_user_timeout=2000"
    )

    assert ("channel_binding", "pgbouncer") == server.ignored
    assert {"sslmode": "require", "sslrootcert": "a.crt", "target_session_attrs": "any"} == dict(server.driver)
    assert {"application_name": "mine", "options": "-csearch_path=x"} == dict(server.server)
    assert {"keepalives": 1, "keepalives_idle": 30, "tcp_user_timeout": 2000} == dict(server.keepalives)
    assert server.connect_timeout == 7


@pytest.mark.parametrize("sign", "@/?#[]:&=\\ %+")
@pytest.mark.parametrize("place", ["{}@host:1/db", "{}@host/db?sslmode=require", "{}@[::1]/db", "{}@/db?host=x"])
def test_an_unescaped_character_in_a_password_repeats_no_part_of_it(sign: str, place: str) -> None:
    for password in (f"hunter{sign}secret", f"12{sign}34", f"hunter{sign}", f"{sign}secret", f"a{sign}b=c"):
        url = "postgresql://" + place.format(f"user:{password}")
        try:
            server = dsn.postgres(url)
        except dsn.DsnError as error:
            said = str(error)
        else:
            said = f"{server.place} {server.ignored} {server!r}"
            assert server.password == password or sign == "%"
        assert not any(part in said for part in ("hunter", "secret", "34", "b=c"))


def test_the_file_of_a_sqlite_url_is_decoded_and_its_parameters_are_not_in_its_name() -> None:
    assert dsn.Sqlite(Path("a b.db")) == dsn.sqlite("sqlite:///a%20b.db?mode=rwc")
    assert dsn.Sqlite(Path("/x/y.db"), may_create=False) == dsn.sqlite("sqlite:////x/y.db?mode=rw")
    assert ("cache",) == dsn.sqlite("sqlite://a.db?cache=shared").ignored


@pytest.mark.parametrize("url", ["sqlite::memory:", "sqlite://:memory:", "sqlite:///a?mode=ro", "sqlite:///a%00"])
def test_a_sqlite_url_that_names_no_file_to_write_is_refused(url: str) -> None:
    with pytest.raises(dsn.DsnError):
        dsn.sqlite(url)
