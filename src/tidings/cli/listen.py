# SPDX-License-Identifier: MIT
"""`tidings listen`: post the messages of an application to a URL on this machine, for development."""

import signal
from typing import Annotated, NoReturn

import typer

from tidings.cli.remote import BadArgumentError, Remote
from tidings.cli.tasks import DEFAULT_URL, TokenOption, UrlOption
from tidings.cli.timestamps import parse_timestamp
from tidings.clock import SystemClock, parse_rfc3339
from tidings.config import has_colors


def listen(  # noqa: PLR0913 - each is a flag
    post_to: Annotated[str, typer.Argument(metavar="URL", help="Where to post, like http://localhost:3000/hook.")],
    *,
    app_ref: Annotated[str, typer.Option("--app", metavar="APP", help="The application's id or uid.")],
    event_types: Annotated[
        str | None, typer.Option(metavar="TYPES", help="Post only these event types, separated by commas.")
    ] = None,
    channel: Annotated[str | None, typer.Option(metavar="CHANNEL", help="Post only messages of this channel.")] = None,
    since: Annotated[
        str | None,
        typer.Option(metavar="AGE|TIME", help="Begin with messages of this age (10m, 2h) or since a timestamp."),
    ] = None,
    secret: Annotated[
        str | None, typer.Option(metavar="SECRET", help="Sign with this secret (`whsec_…`) in place of a new one.")
    ] = None,
    timeout: Annotated[
        float, typer.Option(metavar="SECONDS", min=0.1, max=600, help="How long the receiver may take.")
    ] = 30,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print only messages that were not accepted.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print each message as a line of JSON.")] = False,
    url: UrlOption = DEFAULT_URL,
    token: TokenOption = None,
) -> None:
    """Post new messages of an application to a local URL, signed with a secret of their own.

    The server records nothing: a message that fails here is not sent again.
    """
    from tidings.cli import following, listening, local_receiver  # noqa: PLC0415 - they load cryptography
    from tidings.model import signature  # noqa: PLC0415

    clock = SystemClock()
    try:
        key = signature.generate() if secret is None else signature.parse_secret(secret)
    except ValueError as error:
        raise BadArgumentError(f"--secret: {error}; use one like the server's, or none to create one") from error
    receiver = local_receiver.LocalReceiver(post_to, key, clock, timeout)
    log = listening.ListenLog(as_json=as_json, quiet=quiet, colored=has_colors(), clock=clock)
    wanted = following.MessagesToFollow(
        app_ref,
        tuple(filter(None, (event_types or "").split(","))),
        channel,
        None if since is None else parse_rfc3339(parse_timestamp(since, "--since", clock)),
    )
    follower = following.Follower(Remote(url, token), wanted, clock, log.note)
    signal.signal(signal.SIGTERM, _interrupt)
    listening.run(follower, receiver, log, key.public_text)


def _interrupt(number: int, frame: object) -> NoReturn:
    """End like Ctrl-C."""
    del number, frame
    raise KeyboardInterrupt
