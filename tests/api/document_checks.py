# SPDX-License-Identifier: MIT
"""Checks that document and server agree: the server accepts what the document allows; the document has each response.

The exceptions are few and listed here: rules that no schema can state, and inputs that the server accepts beyond the
document.
"""

import re
from typing import Any, Final

from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.core.parameters import ParameterLocation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    positive_data_acceptance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

CHECKS: Final = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    positive_data_acceptance,
)
RULES: Final = (
    # on stored data
    r"event types don't exist",
    r"None of these applications exists",
    r"You can only rotate a key 10 times",
    r"The endpoint is disabled",
    r"The schema has no such example|Cannot resend the message",
    # on times
    r"'(since|until)' (cannot|must not) be",
    r"Cannot recover more than",
    r"deliverAt must be at least",
    # on combinations of members
    r"Only one of payloadRetentionPeriod and payloadRetentionHours",
    r"metadata may have at most",
    r"The value of (in|exists|[<>]=?) is",
    r"A filter has at most",
    r"A path has at most 16",
    r"An index is at most",
    r"A text has at most",
    r"A number is",
    r"An endpoint's headers have at most",
    # on values; JSON Schema takes 1.0 for an integer, the contract does not
    r"Expected `int( \| null)?`, got `float`",  # 1.0 is an integer of JSON Schema, and none of the contract
    r"not a valid JSON Schema \(Draft 7\)",
    r"failed signing test",
    r"Header uses a forbidden key",
    r"Header starts with a forbidden prefix",
    r"Uids are not allowed to have the same prefix",
    r"rawPayload",
    r"Application UID",
    r"name must have 1 to 256 printable characters",
    r"scopes are `organization` or",
    # on scripts, connectors and documents
    r"the script (must|was)",
    r"\(line \d+, column \d+\)",
    r"must not contain NUL",
    r"There is no such connector",
    r"Send the document either as",
    r'"loc":\["body","spec(Raw)?"',
    r"A transformation without code",
    r"The connector is for streams",
    r"logo must be a URL",
    r"An earlier item has the same one",
    r"variables must have at most",
)
"""Error texts for requests that the document allows and the server refuses: rules that no schema states."""
LOOSE: Final = re.compile(r"Non-unique items|`uniqueItems`|event_types \(was array")
"""Requests that the document refuses and the server accepts: a set with a duplicate member, a list of one name."""
WITH_PARTS: Final = "v1.message.create-batch"
"""Its response reports the faults of each message in the batch."""


def validate(case: Any, response: Any) -> None:
    """Raise if a response is not in the document, or if document and server disagree about a request."""
    is_rule = response.status_code in {400, 422} and any(re.search(rule, response.text) for rule in RULES)
    checks = [check for check in CHECKS if not (is_rule and check is positive_data_acceptance)]
    case.validate_response(response, checks=checks)
    if _is_broken(case):
        _must_be_refused(case, response)


def _is_broken(case: Any) -> bool:
    """Return whether the body or a declared query parameter is invalid; unknown parameters are ignored."""
    if case.operation.definition.raw["operationId"] == WITH_PARTS:
        return False
    in_query = case.meta.is_negative_at(ParameterLocation.QUERY) and set(case.query or ()) <= {
        parameter.name for parameter in case.operation.query
    }
    return in_query or case.meta.is_negative_at(ParameterLocation.BODY)


def _must_be_refused(case: Any, response: Any) -> None:
    try:
        case.validate_response(response, checks=[negative_data_rejection])
    except (Failure, FailureGroup) as found:
        failures = found.exceptions if isinstance(found, FailureGroup) else [found]
        if not all(LOOSE.search(str(failure)) for failure in failures):
            raise
