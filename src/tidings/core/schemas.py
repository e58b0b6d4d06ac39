# SPDX-License-Identifier: MIT
"""The check of JSON schemas in event types."""

from typing import Final

_DRAFT_7: Final = "http://json-schema.org/draft-07/schema#"


def is_draft_7(schema: object) -> bool:
    """Return whether a value is a schema of Draft 7. References in it are neither resolved nor fetched."""
    if isinstance(schema, dict):
        import jsonschema_rs  # noqa: PLC0415 - takes 8 MB, and many nodes never check a schema

        return jsonschema_rs.meta.is_valid({**schema, "$schema": _DRAFT_7})
    return isinstance(schema, bool)
