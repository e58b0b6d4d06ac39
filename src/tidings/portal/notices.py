# SPDX-License-Identifier: MIT
"""The sentences that a page shows after a form, by the name in its address."""

from typing import Final

_SENTENCES: Final = {
    "signed_out": "You are signed out.",
    "saved": "The changes are saved.",
    "created": "Created.",
    "deleted": "Deleted.",
    "integration_deleted": "The integration is deleted. Every node refuses its key within two seconds.",
    "connector_created": "The connector is created. Your customers find it under “Connect a product”.",
    "connector_deleted": "The connector is deleted. Endpoints keep the scripts that they got from it.",
    "version_saved": "The new version is saved. Endpoints keep the version that they have until it is applied there.",
    "connector_applied": "The endpoint has the script of the connector. It applies from the next request on.",
    "connected": "The product is connected. Send a test event to see a message there.",
    "endpoint_added": "The endpoint is added. Copy its secret into your receiver, then send a test event.",
    "endpoint_deleted": "The endpoint is deleted.",
    "enabled": "The endpoint is enabled.",
    "enabled_catching_up": "The endpoint is enabled. What it missed is being resent; the tasks show the progress.",
    "disabled": "The endpoint is disabled. It receives nothing until you enable it.",
    "test_sent": "The test event is sent. This page shows the result.",
    "resent": "The message is being resent. This page shows the result.",
    "secret_rotated": "The endpoint has a new secret. Reveal it, and copy it into your receiver.",
    "task_pause": "The task is paused. It stays paused until you resume it.",
    "task_resume": "The task continues from where it was paused.",
    "task_cancel": "The task is canceled, with the deliveries that it had not sent yet.",
    "task_retry": "The task continues from where it failed.",
    "resent_all": "The selected messages are sent now.",
    "resent_some": "Some of the messages cannot be sent: their endpoint is disabled, or their payload is deleted.",
    "nothing_selected": "No message is selected. Select some, and repeat it.",
    "imported": "The event types of the document are imported.",
    "started": "The task has started.",
    "chat_added": "The chat is added. Send a test to see a message there.",
    "chat_removed": "The chat is removed.",
    "chat_tested": "The test is on its way. If it does not arrive, reload this page: it shows the last error.",
    "revoked": "The key is revoked. Every node refuses it within two seconds.",
}


def sentence(name: str) -> str:
    """Return the sentence of a name in an address; empty for an unknown one, so that no link can show its own text."""
    return _SENTENCES.get(name, "")
