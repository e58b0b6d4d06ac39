# SPDX-License-Identifier: MIT
"""The templates: one environment, which escapes every value."""

from functools import cache
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined

from tidings.ids import timestamp_of
from tidings.portal import assets, charts, formats, notices, words

_PACKAGE: Final = "tidings.portal"


@cache
def environment() -> Environment:
    """Return the environment, made by the first page."""
    found = Environment(
        loader=PackageLoader(_PACKAGE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        cache_size=-1,
    )
    found.filters.update(formats.FILTERS)
    found.globals.update(asset=assets.url, charts=charts, notice=notices.sentence, new_once=formats.new_once)
    found.globals.update(words=words, time_of=timestamp_of)
    return found


def render(template: str, **values: Any) -> str:  # noqa: ANN401 - whatever the template needs
    """Render a template."""
    return environment().get_template(template).render(**values)
