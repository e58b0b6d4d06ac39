# SPDX-License-Identifier: MIT
"""A webhook as a shell command, which signs it with a secret that the user fills in."""

import shlex
from typing import Final

from tidings.model.message import Message

LONGEST: Final = 16 * 1024
"""The largest payload that a command contains, in bytes; a larger one is read from the downloaded file."""
_COMMAND: Final = """\
# Fill in the secret of the endpoint, then paste this into a shell with curl and openssl.
SECRET='whsec_FILL_IN'
ID={id}
TIMESTAMP=$(date +%s)
{body}
KEY=$(printf %s "${{SECRET#whsec_}}" | openssl base64 -d -A | od -An -v -tx1 | tr -d ' \\n')
SIGNATURE=$({{ printf %s "$ID.$TIMESTAMP."; cat "$BODY"; }} |
  openssl dgst -sha256 -mac HMAC -macopt "hexkey:$KEY" -binary | openssl base64 -A)
curl -i{method} {url} \\
  -H 'content-type: application/json' \\
  -H "{prefix}-id: $ID" \\
  -H "{prefix}-timestamp: $TIMESTAMP" \\
  -H "{prefix}-signature: v1,$SIGNATURE" \\
  --data-binary "@$BODY"
"""


def command(message: Message, url: str, prefix: str, method: str = "POST") -> str:
    """Return a command that sends the payload of a message to a URL; empty if the payload is deleted.

    `prefix` is that of the signature headers.
    """
    if message.payload is None:
        return ""
    return _COMMAND.format(
        id=message.id,
        body=_body(message, message.payload),
        method="" if method == "POST" else f" -X {shlex.quote(method)}",  # the method of curl's requests with data
        url=shlex.quote(url),
        prefix=prefix,
    )


def _body(message: Message, payload: bytes) -> str:
    """Return the commands that put the payload into a file; a here-document would add a line break."""
    try:
        text = payload.decode() if len(payload) <= LONGEST else ""
    except UnicodeDecodeError:
        text = ""
    if not text or not text.replace("\n", "").isprintable():
        return f"BODY={message.id}.json  # the downloaded payload"
    return f'BODY=$(mktemp)\nprintf %s {shlex.quote(text)} > "$BODY"'
