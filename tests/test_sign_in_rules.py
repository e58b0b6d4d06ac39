# SPDX-License-Identifier: MIT
"""The rules about who may sign in: their syntax, whom they match, and the settings that need them."""

from typing import Any, Final

import pytest

from tidings import config, sign_in_rules
from tidings.settings import ConfigError, Settings
from tidings.sign_in_rules import rules_of

ORG: Final = "org_23rb8YdGqMT0qIzpgGwdXfHirMu"
OIDC: Final[dict[str, Any]] = {
    "oidc_issuer": "https://id.example.com/realms/main",
    "oidc_client_id": "tidings",
    "oidc_client_secret": "hush",
    "oidc_allowed": "@example.com=operator",
}
PROXY: Final[dict[str, Any]] = {
    "console_trusted_proxies": "10.0.0.0/8",
    "console_user_header": "X-Forwarded-Email",
    "oidc_allowed": "@example.com=operator",
}


@pytest.mark.parametrize(
    ("email", "groups", "expected"),
    [
        ("ada@example.com", (), (None, False)),
        ("bob@example.com", (), (ORG, True)),
        ("bob@sub.example.com", (), None),
        ("bob@notexample.com", (), None),
        ("eve@example.org", ("cn=ops",), (None, True)),
        ("eve@example.org", ("CN=ops",), None),
        ("eve@example.org", ("ada@example.com", "@example.com"), None),
        ("group:cn=ops", (), None),
    ],
)
def test_the_first_entry_that_matches_counts(email: str, groups: tuple[str, ...], expected: object) -> None:
    rules = rules_of(("Ada@Example.com=operator", f"@example.com={ORG}:read-only", "group:cn=ops=operator:read-only"))

    found = rules.rule_for(email, groups)

    assert expected == (None if found is None else (found.org_id, found.is_read_only))


@pytest.mark.parametrize(
    "entry",
    [
        "",
        "=",
        "operator",
        "ada@example.com",
        "ada@example.com=",
        "ada@example.com=admin",
        "ada@example.com=operator:read",
        "ada@example.com=org_",
        "ada@example.com=org_a b",
        "*=operator",
        "@=operator",
        "@example..com=operator",
        "example.com=operator",
        "group:=operator",
        "group:" + "x" * 300 + "=operator",
        "a" * 65 + "@example.com=operator",
        "ad\u00e4@example.com=operator",
    ],
)
def test_any_other_entry_is_refused(entry: str) -> None:
    assert "must list entries like" in (sign_in_rules.fault((entry,)) or "")


def test_another_rule_or_term_changes_the_fingerprint() -> None:
    rules = rules_of((f"@example.com={ORG}",))
    others = [rules_of((f"@example.com={ORG}:read-only",)), rules_of(("@example.com=operator",)), rules_of(())]

    found = {each.fingerprint("a") for each in (rules, *others)} | {rules.fingerprint("b")}

    assert 5 == len(found)
    assert rules.fingerprint("a") == rules_of((f"@EXAMPLE.com = {ORG}",)).fingerprint("a")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        *(({**OIDC, name: None}, f"oidc_issuer needs {name}") for name in list(OIDC)[1:]),
        ({**OIDC, "oidc_issuer": None}, "oidc_client_id has no effect without oidc_issuer"),
        ({"oidc_allowed": "@example.com=operator"}, "oidc_allowed has no effect"),
        *(({**PROXY, name: None}, f"console_trusted_proxies needs {name}") for name in list(PROXY)[1:]),
        ({**PROXY, "console_trusted_proxies": None}, "console_user_header has no effect"),
        ({"console_groups_header": "X-Groups"}, "console_groups_header has no effect"),
        ({**OIDC, "oidc_issuer": "http://id.example.com"}, "oidc_issuer must be a URL that starts with https://"),
        ({**OIDC, "oidc_issuer": "https://id.example.com?x=y"}, "oidc_issuer must have no query"),
        ({**OIDC, "oidc_issuer": "https://id.example.com:x"}, "oidc_issuer is not a URL"),
        ({**OIDC, "oidc_session": "1m"}, "oidc_session must be a time like 12h"),
        ({**OIDC, "oidc_session": "31d"}, "oidc_session must be a time like 12h"),
        ({**OIDC, "oidc_session": "long"}, "oidc_session must be a time like 12h"),
        ({**PROXY, "console_user_header": "X Forwarded"}, "console_user_header must be the name of a header"),
        ({**PROXY, "console_user_header": "Cookie"}, "console_user_header must be the name of a header"),
    ],
)
def test_a_sign_in_that_is_incomplete_refuses_the_start(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words.replace("?", r"\?")):
        config.load({}, **given)


@pytest.mark.parametrize(
    "given", [OIDC, PROXY, {**OIDC, **PROXY}, {**OIDC, "oidc_issuer": "http://127.0.0.1:5556/dex"}]
)
def test_a_complete_sign_in_is_accepted_and_its_secret_masked(given: dict[str, Any]) -> None:
    settings: Settings = config.load({}, **given)

    assert ("@example.com=operator",) == settings.oidc_allowed
    assert "hush" not in str(settings.masked())
    assert ("hush" in settings.secret_texts()) == ("oidc_client_secret" in given)
