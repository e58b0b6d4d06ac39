# SPDX-License-Identifier: MIT
"""Rules for values that callers give in requests and in forms. Each yields faults, and nothing for a valid value."""

from collections.abc import Iterator, Mapping, Sized

from tidings.errors import Fault
from tidings.model import text
from tidings.model.endpoint import RATE_MAX, metadata_bytes


def rate_faults(rates: Mapping[str, int | None], wrong: Mapping[str, str]) -> Iterator[Fault]:
    """Yield a fault for each rate that is out of range, by the names of the rates."""
    for name, rate in rates.items():
        if rate == 0:
            yield Fault(("body", name), wrong[name])
        elif rate is not None and not 0 < rate <= RATE_MAX:
            expected = f"invalid value: integer `{rate}`, expected u16"
            yield Fault(("body", name), expected, "value_error.jsondecode")


def metadata_faults(metadata: Mapping[str, str] | None) -> Iterator[Fault]:
    """Yield a fault if metadata is too large."""
    if metadata and metadata_bytes(metadata) > text.METADATA_BYTES:
        yield Fault(("body", "metadata"), "metadata may have at most 4096 bytes as JSON", "value_error.jsondecode")


def text_faults(field: str, words: str | None, bytes_max: int = text.TEXT_BYTES_MAX) -> Iterator[Fault]:
    """Yield a fault if text for people breaks a rule."""
    wrong = None if words is None else text.text_error(words, bytes_max)
    if wrong is not None:
        yield Fault(("body", field), wrong)


def set_faults(field: str, wrong: Iterator[str | None]) -> Iterator[Fault]:
    """Yield the first fault among the members of a set. Its location does not name the member."""
    first = next(filter(None, wrong), None)
    if first is not None:
        yield Fault(("body", field, "__all__"), first)


def count_faults(field: str, items: Sized | None, items_max: int) -> Iterator[Fault]:
    """Yield a fault if a list has too many items."""
    if items is not None and len(items) > items_max:
        yield Fault(("body", field), f"{field} must have at most {items_max} items.")


def flag_faults(field: str, flags: list[str] | None) -> Iterator[Fault]:
    """Yield the faults of feature flags."""
    yield from count_faults(field, flags, text.FLAGS_MAX)
    yield from set_faults(field, map(text.name_error, flags or ()))


def unique(names: list[str] | None) -> tuple[str, ...] | None:
    """Return the distinct items of a list in their order."""
    if names is None:
        return None
    return tuple(names) if len(names) == 1 else tuple(dict.fromkeys(names))
