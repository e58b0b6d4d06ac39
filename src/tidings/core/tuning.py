# SPDX-License-Identifier: MIT
"""Internal limits of the use cases. They are no settings: only tests choose other values."""

from dataclasses import dataclass

from tidings.clock import MINUTE


@dataclass(frozen=True, slots=True)
class CoreTuning:
    """Internal limits of the use cases."""

    accept_batch: int = 500
    """The most messages of single requests that one transaction stores."""
    accept_fan_out: int = 2_000
    """A batch of single requests with this many deliveries takes no further message: claims and settles, which write
    about as many rows at most, get their turn after it. They make little progress if it has many more."""
    request_batch_fan_out: int = 10_000
    """A transaction with this many deliveries takes no further message of a request with many messages."""
    accept_chunk: int = 2_000
    """The most deliveries that are written in one iteration of the event loop."""
    accept_small: int = 40
    """A batch with at most this many deliveries is written in one statement; for more, a transaction costs less."""
    accept_small_skew_ms: int = 150
    """How far its ids may be from the time of the server: with the clocks, less than a followed list lags."""
    accept_wait_seconds: float = 5.0
    """How long a message waits for a lock, or for an earlier request with its key: shorter than a client's timeout."""
    accept_lock_ms: int = 100
    """How long a batch waits for an idempotency key that another node holds, before it is split to find the message."""
    request_fan_out: int = 500_000
    """The most deliveries that the messages of one request may create, because memory holds them all."""
    idempotency_wait_seconds: float = 5.0
    """How long a request waits for one with the same idempotency key: shorter than the timeout of a client."""
    counted_attempts: int = 10_000
    """The most attempts that a count reads, so that it ends within milliseconds; the contract allows that."""
    held_back_ms: int = 10_000
    """The longest time for which a list holds an element back because of an open transaction."""
    expiry_rows_read: int = 500
    """The messages that one query of payload expiry reads."""
    expiry_chunk_rows: int = 64
    """The most payloads that one transaction deletes, so that other writes hardly wait."""
    expiry_chunk_bytes: int = 256 * 1024
    """The most bytes of them: the cost of deleting a payload grows with its size, because SQLite visits each page."""
    background_chunk_rows: int = 32
    """The rows that the first transaction of a deletion deletes; the next ones have more or fewer, by its duration."""
    background_chunk_seconds: float = 0.015
    """How long such a transaction may take beside other writes before the next one deletes less."""
    retention_rows: int = 64
    """The most messages that one transaction of retention deletes on SQLite, where any other write waits for it."""
    retention_rows_shared: int = 500
    """The same on PostgreSQL."""
    retention_attempts_per_message: int = 4
    """A transaction deletes at most this many attempts for each of its messages; the rest follow in further ones."""
    retention_week_rows: int = 5_000
    """The messages whose event ids one transaction deletes, before their partition is dropped."""
    vacuum_pages: int = 100
    """The pages that one transaction returns to the file system on SQLite."""
    vacuum_reserve: float = 0.1
    """The part of a SQLite file that stays free for new rows."""
    encrypted_at_once: int = 100
    """The endpoints whose stored secrets one transaction encrypts."""
    relay_events: int = 500
    """The most operational events that one transaction of the relay takes."""
    relay_deliveries: int = 2_000
    """The most deliveries that it creates, unless one event has more."""
    relay_linger_seconds: float = 0.05
    """How long the relay waits for more events: an outage causes many at a time."""
    relay_give_way_seconds: float = 0.05
    """The longest time that the relay waits for foreground writes before its own."""
    posted_events: int = 100
    """The most operational events that are posted to another service at a time."""
    posting_turn_seconds: float = 5.0
    """How long after a batch has begun another node may post: a second post of an event is harmless."""
    relay_pause_seconds: float = 1.0
    """The first pause after a failure of the relay; each further one is twice as long."""
    relay_longest_pause_seconds: float = 60.0
    """The longest pause."""
    mail_poll_seconds: float = 10.0
    """How often a node looks for mails to send; after a change of its own it looks soon."""
    mail_linger_seconds: float = 5.0
    """How long a node waits for more changes before a mail: an outage causes many at a time."""
    mail_gather_seconds: float = 60.0
    """The shortest time between two mails: changes in between become one mail."""
    mail_notifications: int = 10_000
    """The most changes of one mail."""
    mail_listed: int = 50
    """The most changes that a mail lists; it counts the others."""
    mail_send_seconds: float = 60.0
    """How long a mail server may take for one mail."""
    mail_claim_seconds: float = 180.0
    """How long a node may send a mail before another one may: longer than the time of a mail server."""
    mail_pause_seconds: float = 60.0
    """The first pause after a mail that could not be sent; each further one is twice as long."""
    mail_longest_pause_seconds: float = 1_800.0
    """The longest pause."""
    mail_refusals: int = 5
    """How often a mail is sent that the server refuses for good."""
    mail_keep_seconds: float = 259_200.0
    """How long a mail is sent again that the server does not take: three days."""
    watch_seconds: float = 1.0
    """The interval between two queries for a watched task."""
    streams_per_token: int = 32
    """The most concurrent streams of one token: each holds a connection."""
    keys_cached: int = 10_000
    """The API keys that a process remembers."""
    keys_per_organization: int = 1_000
    """The most API keys of one organization."""
    ended_key_ms: int = MINUTE
    """How long an ended key stays at least, so that every node hears of its end."""
    preview_bytes: int = 1_048_576
    """The most bytes of payload that a preview checks in one iteration of the event loop, unless one has more."""
    integrations_per_application: int = 100
    """The most integrations of one application."""
    import_active_types: int = 20_000
    """The most active event types of an organization that an import compares with a document."""
    import_stored_bytes: int = 32 * 1024 * 1024
    """The most bytes of stored schemas that an import compares, because memory holds them."""
    key_trusted_seconds: float = 2.0
    """How long a key counts as valid after the last news from the database."""
    key_use_seconds: float = 60.0
    """The interval between two writes of the last uses of keys."""
