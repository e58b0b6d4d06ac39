# SPDX-License-Identifier: MIT
"""Texts of the OpenAPI document that belong to no field: tags, responses, path parameters, headers."""

from typing import Final

from tidings import ids
from tidings.api import samples
from tidings.api.routes import EventStream

TAGS: Final = {
    "Application": "Applications: the customers or tenants of an organization that receive messages.",
    "Endpoint": "Endpoints: the URLs to which the messages of an application are delivered.",
    "Connector": "Connectors: templates of the scripts that make requests for other products, such as Slack.",
    "Environment": "The configuration of an organization as one document.",
    "Event Type": "Event types: the names of what can happen, with optional JSON Schemas of the payloads.",
    "Message": "Messages: events that are delivered to the endpoints of an application.",
    "Message Attempt": "Attempts: the single HTTP requests that deliver messages, and their responses.",
    "Statistics": "Usage statistics, counted by background tasks.",
    "Broadcast": "Messages to every application of the organization.",
    "Background Tasks": "Background tasks: long-running work, such as recovering an endpoint after an outage.",
    "Background Task Control": "Commands for background tasks, and ways to follow them.",
    "Authentication": "Tokens with which the users of an application call the API, and API keys.",
    "Integration": "Integrations: programs that act for one application, each with a key of its own.",
    "Health": "Health checks for load balancers and monitoring.",
    "Webhook Endpoint": "Operational endpoints: the URLs that receive the operational events of the organization.",
    "Webhook": "Operational events: what the service sends to the operational endpoints of the organization.",
}
"""The description of each tag."""

SUCCESSES: Final[dict[object, str]] = {
    201: "Created. ",
    202: "Accepted. ",
    None: "The request succeeded.",
    EventStream: "A stream of server-sent events, which ends with the task.",
}
"""Descriptions of responses: the beginning by status, or the whole text by the type of the body."""
DRY_RUN: Final = "What the task would do, in response to a dry run."
WEBHOOK_TAKEN: Final = "The receiver accepts the event."

REFUSALS: Final = {
    400: "The request cannot be read or carried out: malformed HTTP, an unreadable parameter, or a limit reached.",
    401: "The token is missing, malformed, expired or revoked.",
    403: "The token does not permit this operation.",
    404: "The resource does not exist, or the caller may not see it.",
    409: "The request conflicts with the stored state: an identifier is in use, or the state forbids it.",
    413: "The request body exceeds the size limit of the server.",
    422: "Values in the request break their rules. `detail` names each of them.",
    429: "The caller has reached a rate or concurrency limit. Retry after the seconds in `Retry-After`.",
    431: "The request head exceeds the size limit of the server.",
    500: "The server failed. The request can be repeated, with the same idempotency key.",
    501: "The server does not implement the operation or the transfer encoding.",
    503: "The database is unavailable or overloaded. Repeat the request later.",
}
"""The description of each error response."""
RETRY_AFTER: Final = "Seconds to wait before the next request."

PATH: Final = {
    "app_id": "The id or the uid of the application.",
    "endpoint_id": "The id or the uid of the endpoint.",
    "msg_id": "The id or the event id of the message.",
    "attempt_id": "The id of the attempt.",
    "connector_id": "The id or the uid of the connector.",
    "event_type_name": "The name of the event type.",
    "task_id": "The id of the background task.",
    "env_id": "The id of the organization.",
    "integ_id": "The id of the integration.",
    "key_id": "The id of the API key.",
    "export_id": "The id of the export, as in the link that its background task returns.",
    "idempotency-key": (
        "A key that identifies the request for twelve hours. A request repeated with the same key runs once, and both"
        " calls get the same response."
    ),
    "authorization": "An API key, or a token of the organization or of an application as a JSON Web Token.",
}
"""The descriptions of path parameters and of headers."""

EXAMPLES: Final = {
    "app_id": samples.APP,
    "endpoint_id": samples.ENDPOINT,
    "msg_id": samples.MESSAGE,
    "attempt_id": samples.ATTEMPT,
    "connector_id": samples.CONNECTOR,
    "event_type_name": samples.EVENT_TYPE,
    "task_id": samples.TASK,
    "env_id": ids.DEFAULT_ORG,
    "integ_id": samples.INTEGRATION,
    "key_id": samples.API_KEY,
    "export_id": samples.TASK,
    "idempotency-key": samples.IDEMPOTENCY_KEY,
}
"""Examples of path parameters and of headers."""
