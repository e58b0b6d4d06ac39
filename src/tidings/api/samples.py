# SPDX-License-Identifier: MIT
"""Examples that the OpenAPI document shows, each in one place."""

from typing import Final

APP: Final = "app_3D7gcLAT000ibLJgZ1n4XIaDpHR"
APP_UID: Final = "customer-42"
ENDPOINT: Final = "ep_3D7gcLAW000si2hYwAfEQAzqMH2"
MESSAGE: Final = "msg_3D7gcL9m000oss2o9gHDKT6z7u8"
EVENT_ID: Final = "invoice-1042-paid"
ATTEMPT: Final = "atmpt_3D7gcLB0000RyF0gCj7Y1pDkGxJ"
TASK: Final = "qtask_3D7gcLAU000Si441hMPPzbRJwKr"
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
