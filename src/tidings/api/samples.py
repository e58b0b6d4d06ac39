# SPDX-License-Identifier: MIT
"""Examples in the OpenAPI document, each defined once."""

from typing import Final

APP: Final = "app_3D7gcLAT000ibLJgZ1n4XIaDpHR"
APP_UID: Final = "customer-42"
ENDPOINT: Final = "ep_3D7gcLAW000si2hYwAfEQAzqMH2"
MESSAGE: Final = "msg_3D7gcL9m000oss2o9gHDKT6z7u8"
EVENT_ID: Final = "invoice-1042-paid"
ATTEMPT: Final = "atmpt_3D7gcLB0000RyF0gCj7Y1pDkGxJ"
INTEGRATION: Final = "integ_3D7gcLAU000Si441hMPPzbRJwKr"
API_KEY: Final = "key_3D7gcLAU000Si441hMPPzbRJwKr"
TASK: Final = "qtask_3D7gcLAU000Si441hMPPzbRJwKr"
CONNECTOR: Final = "trtmpl_3D7gcLAU000Si441hMPPzbRJwKr"
EVENT_TYPE: Final = "invoice.paid"
CHANNEL: Final = "project:1337"
TAG: Final = "region/eu"
FEATURE_FLAG: Final = "beta-events"
SESSION: Final = "user-7"
TIMESTAMP: Final = "2026-05-01T12:30:00Z"
URL: Final = "https://example.com/webhooks"
SECRET: Final = "whsec_dGlkaW5ncy1leGFtcGxlLXNlY3JldC0wMDAx"  # noqa: S105 - an example, which signs nothing
RATE: Final = 100
METADATA: Final = {"plan": "business"}
HEADERS: Final = {"x-tenant": "acme"}
PAYLOAD: Final = {"invoiceId": "inv_1042", "amount": 1999}
IDEMPOTENCY_KEY: Final = "order-1042-created"

PROPERTIES: Final[dict[str, object]] = {
    "name": "Acme",
    "description": "Production",
    "uid": APP_UID,
    "endpointUid": APP_UID,
    "msgId": MESSAGE,
    "endpointId": ENDPOINT,
    "attemptId": ATTEMPT,
    "taskId": TASK,
    "tasks": [TASK],
    "sample": [MESSAGE],
    "id": MESSAGE,
    "iterator": MESSAGE,
    "prevIterator": f"-{MESSAGE}",
    "eventType": EVENT_TYPE,
    "schemas": {"1": {"type": "object", "examples": [PAYLOAD]}},
    "version": 1,
    "headers": HEADERS,
    "sensitive": ["authorization"],
    "deleteHeaders": ["x-tenant"],
    "capabilities": ["CreateAttempts"],
    "token": "eyJhbGciOiJIUzI1NiJ9.e30.c2lnbmF0dXJl",
    "expiry": 86_400,
    "gracePeriodSeconds": 3_600,
    "payloadRetentionPeriod": 30,
    "payloadRetentionHours": 48,
    "transformationsParams": {"rawPayload": "id=1042&amount=1999"},
    "ratePerSecond": 200,
    "response": '{"ok": true}',
    "responseStatusCode": 200,
    "responseDurationMs": 84,
    "attemptCount": 1,
    "count": 1_042,
    "total": 1_432,
    "percent": 48.9,
    "etaSeconds": 12,
    "successRate": 0.98,
    "status": 202,
    "state": "running",
    "kind": "endpoint.recover",
    "code": "not_found",
    "detail": "Entity not found",
    "createdBy": APP,
    "loc": ["body", "url"],
    "msg": "String too long",
    "type": "value_error",
}
"""Examples of properties by name, for properties whose type and field have none."""

OVERRIDING: Final[dict[str, object]] = {
    "eventId": EVENT_ID,
    "msgEventId": EVENT_ID,
    "ids": [MESSAGE, EVENT_ID],
    "featureFlag": FEATURE_FLAG,
    "featureFlags": [FEATURE_FLAG],
    "groupName": "billing",
}
"""Examples of properties by name, for properties whose type has an unsuitable one."""
