# SPDX-License-Identifier: MIT
"""The settings as a TOML file that gives the same settings when it is read."""

import dataclasses
import json
from collections.abc import Iterator, Mapping

from tidings.settings import Settings


def toml_lines(settings: Settings, origins: Mapping[str, str], *, show_secrets: bool) -> Iterator[str]:
    """Yield one line for each setting, with its source as a comment.

    A setting without a value is a comment, because TOML has no word for it. So is one with a secret, unless
    `show_secrets`: a masked value would be read as the secret itself.
    """
    masked = settings.masked()
    for each in dataclasses.fields(settings):
        value, source = getattr(settings, each.name), _plain(origins[each.name])
        if value is None:
            yield f"# {each.name} is not set"
        elif not show_secrets and masked[each.name] != str(value):
            shown = _value(masked[each.name])
            yield f"# {each.name} = {shown}  # {source}; masked: --show-secrets prints the value"
        else:
            yield f"{each.name} = {_value(value)}  # {source}"


def _value(value: object) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    # The escapes of JSON are escapes of TOML; TOML requires one more.
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")


def _plain(text: str) -> str:
    """Return the name of a file without characters that would end a comment."""
    return "".join(character if character.isprintable() else "?" for character in text)
