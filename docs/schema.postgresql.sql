-- The schema on PostgreSQL. Generated from src/tidings/storage/migrations by scripts/docs.py.

-- Oldest release that may run on this schema: 0.1.0
--
-- The schema. `docs/schema.sqlite.sql` and `docs/schema.postgresql.sql` have it for each kind of database.
--
-- Types:
--   Timestamps are milliseconds since the Unix epoch (`…_at`, `…_since`, `…_until`), except one that ends in `_us`.
--   Booleans are 0 or 1. JSON is stored as text. Ids are a prefix and a KSUID: their order is the order of creation,
--   and their timestamp is encoded in them, so the hot tables have no column for it. There are no foreign keys and no
--   triggers. An organization has no row: `org_id` comes from its tokens.
--
-- Tables, with their writers and how they are emptied. Besides, `tidings wipe` deletes all rows of one organization
-- (its idempotency records expire), and `tidings prune` deletes old messages with their attempts, deliveries and event
-- ids.
--
--   hot: one or more rows for each message
--     message             an accepted message. Accept and broadcasts. The payload is deleted after its retention, by a
--                         purge or an expunge; the row by retention or `prune`.
--     delivery            an outstanding delivery of a message to an endpoint. Accept, claim, settle, and resends by the
--                         API and by tasks. Deleted when it ends: the table is as large as the backlog.
--     attempt             one HTTP request with its response. Settle. Deleted with its message.
--     event_id            the caller's ids of messages. Accept. Deleted with the message.
--     idempotency_record  the responses to idempotency keys. Accept and the API. Deleted after 12 hours.
--     bucket_index        where filtered lists find their rows. Accept and settle, but few rows: one for each event
--                         type, channel, tag or outcome of 494 seconds. Deleted by `wipe` and `prune`.
--
--   cold: written by calls to the API, and where a delivery changes the health of an endpoint
--     application         a customer of an organization. A deleted one keeps its row.
--     endpoint            a URL that receives messages, with its health. A deleted one keeps its row.
--     endpoint_history    what decided which messages an endpoint received. The newest 50 rows of an endpoint are kept.
--     event_type          the catalog of event types of an organization. Deleted by the API.
--     token_end           revoked application tokens. Deleted after 400 days.
--     api_key             API keys. Deleted 90 days after their end.
--
--   written by the service, at most a few times a second
--     throttle            a rate limit in use. Deleted after a day without deliveries.
--     operational_event   notifications to organizations, until the relay takes them.
--     setting             a few values of the installation, some 20 rows. Never deleted.
--     node                PostgreSQL only: the running nodes. Deleted at the end of a node, or by the other ones.
--     schema_migration    the migrations that ran (created by the program before this file).
--     rollup              attempts counted by endpoint and hour, with totals. The task `system.rollup`. Deleted after 90
--                         days.
--     rollup_reopened     hours to count again. Settle, where an attempt is stored late. Deleted by `system.rollup`.
--
--   background tasks: their number is small, their items may be many
--     task                a task with its progress. The API and the workers. Deleted 90 days after its end.
--     task_item           results and skipped items of a task. The workers. Deleted with the task.
--     task_input          input that is too large for the row of the task. The API. Deleted with the task.
--     task_event          the state transitions of a task. The API and the workers. Deleted with the task.
--     export              files for download. The workers. Deleted when their links expire.
--
-- PostgreSQL only: `message` and `attempt` are partitioned by week, by the timestamp in the id of the message. A node
-- creates the partitions of the next weeks, `prune` drops empty ones, and the default partitions take the other rows.

-- Values of the installation, by name. `payloads_expired_to`: the message up to which payloads have expired.
-- `bucket_index_pruned_at`: when retention last deleted old entries of that table.
-- `jwt_secret`, `link_secret`: what signs tokens and links to exports, if the service generated it. `operator_secret`:
-- SQLite only, signs the tokens with which the command line manages keys of a running service. `main_secret_proof`:
-- shows whether a node has the same `main_secret`. `heartbeat:0` to `heartbeat:15`: the last writes of nodes, as proof
-- that the database takes writes. `rollup_closed_to`, `rollup_counted_at`: the end of the hours whose rollups are
-- complete (the mark), and when attempts were last counted. `totals`, `totals_claimed_at`: what one node counted for the metrics of all.
CREATE TABLE setting (
    name TEXT COLLATE "C" PRIMARY KEY,
    value TEXT COLLATE "C" NOT NULL
);

-- ---------------------------------------------------------------------------------------------------------------------
-- Applications, endpoints and their settings

CREATE TABLE application (
    id TEXT COLLATE "C" PRIMARY KEY,
    org_id TEXT COLLATE "C" NOT NULL,
    -- The caller's name for the application. Null after deletion, so that another one may have it.
    uid TEXT COLLATE "C",
    name TEXT COLLATE "C" NOT NULL,
    -- The most deliveries per second to all endpoints together; null for no limit.
    throttle_rate INTEGER,
    -- A JSON object of the caller.
    metadata TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    deleted_at BIGINT,
    -- Incremented by every write to the application or one of its endpoints, in the same transaction. Routing that was
    -- compiled from an older version is never used to accept a message.
    routing_version BIGINT NOT NULL DEFAULT 1,
    -- When routing_version was incremented; the other nodes look for recent ones once a second.
    routed_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX application_uid ON application (org_id, uid) WHERE uid IS NOT NULL;
CREATE INDEX application_org ON application (org_id, id);
CREATE INDEX application_routed ON application (routed_at);

CREATE TABLE endpoint (
    id TEXT COLLATE "C" PRIMARY KEY,
    app_id TEXT COLLATE "C" NOT NULL,
    org_id TEXT COLLATE "C" NOT NULL,
    -- The caller's name for the endpoint. Null after deletion, so that another one may have it.
    uid TEXT COLLATE "C",
    url TEXT COLLATE "C" NOT NULL,
    description TEXT COLLATE "C" NOT NULL,
    -- A number of the caller, part of the Svix API; without effect.
    version INTEGER NOT NULL DEFAULT 1,
    disabled SMALLINT NOT NULL DEFAULT 0,
    -- Filters, as JSON arrays of names: the messages that the endpoint receives. Null for all.
    event_types TEXT COLLATE "C",
    channels TEXT COLLATE "C",
    -- The most deliveries per second; null for no limit.
    throttle_rate INTEGER,
    -- A JSON object of the caller.
    metadata TEXT COLLATE "C" NOT NULL,
    -- Headers of every request: a JSON object, or its encrypted form if the setting `main_secret` is set.
    headers TEXT COLLATE "C" NOT NULL,
    -- The signing key after a marker byte: 1 symmetric, 2 asymmetric, plus 128 if the key is encrypted.
    secret BYTEA NOT NULL,
    -- Rotated secrets that still sign: [[expiry, base64], …].
    old_secrets TEXT COLLATE "C" NOT NULL DEFAULT '[]',
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    deleted_at BIGINT,
    -- Health, rarely written. failing_since and last_failure_at: the first and last time at which a delivery was
    -- exhausted without a success in between. disables_at: when a further failure disables the endpoint.
    -- unreachable_since: since when no request gets a response. disabled_at, disabled_reason: when and why the endpoint
    -- was disabled: `failing`, `receiver` or `gone` by the service, null by a call to the API.
    failing_since BIGINT,
    last_failure_at BIGINT,
    disables_at BIGINT,
    unreachable_since BIGINT,
    disabled_at BIGINT,
    disabled_reason TEXT COLLATE "C"
);
CREATE UNIQUE INDEX endpoint_uid ON endpoint (app_id, uid) WHERE uid IS NOT NULL;
CREATE INDEX endpoint_app ON endpoint (app_id, id);
-- The status of the service: how many endpoints there are, and the few that are unhealthy. A query must repeat the
-- conditions in the same words.
CREATE INDEX endpoint_org ON endpoint (org_id, id) WHERE deleted_at IS NULL;
CREATE INDEX endpoint_unhealthy
    ON endpoint (org_id, disabled, disabled_at, disabled_reason, unreachable_since, failing_since, id)
    WHERE deleted_at IS NULL AND (disabled = 1 OR failing_since IS NOT NULL OR unreachable_since IS NOT NULL);

-- What decided whether an endpoint received a message, over time: the explanation of a missing delivery reads the row
-- that was in force when the message was accepted. Each row copies columns of the endpoint, in the transaction that
-- changed one of them. An endpoint keeps its newest 50 rows.
CREATE TABLE endpoint_history (
    endpoint_id TEXT COLLATE "C" NOT NULL,
    -- The application's routing_version after the write, which orders two writes of one millisecond.
    routing_version BIGINT NOT NULL,
    -- When it was written.
    at BIGINT NOT NULL,
    event_types TEXT COLLATE "C",
    channels TEXT COLLATE "C",
    disabled SMALLINT NOT NULL,
    disabled_reason TEXT COLLATE "C",
    deleted SMALLINT NOT NULL,
    PRIMARY KEY (endpoint_id, routing_version)
);

CREATE TABLE event_type (
    org_id TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    description TEXT COLLATE "C" NOT NULL,
    -- 1: hidden from lists, and no endpoint may subscribe to it any longer; messages may still have it.
    archived SMALLINT NOT NULL DEFAULT 0,
    -- 1: shown as deprecated; without effect.
    deprecated SMALLINT NOT NULL DEFAULT 0,
    -- JSON schemas of the payload by version, and names of feature flags, as JSON.
    schemas TEXT COLLATE "C",
    feature_flags TEXT COLLATE "C",
    group_name TEXT COLLATE "C",
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (org_id, name)
);

-- Application tokens that end before their expiry. Applies to tokens issued before issued_before; they are invalid from
-- ends_at on.
CREATE TABLE token_end (
    app_id TEXT COLLATE "C" NOT NULL,
    -- Empty for all tokens of the application; else those of a session (`session:…`) or one (`token:…`).
    whose TEXT COLLATE "C" NOT NULL,
    issued_before BIGINT NOT NULL,
    ends_at BIGINT NOT NULL,
    PRIMARY KEY (app_id, whose, issued_before)
);

-- API keys. The key itself is shown once and stored nowhere.
CREATE TABLE api_key (
    id TEXT COLLATE "C" PRIMARY KEY,
    -- The SHA-256 of the key, in hexadecimal.
    hash TEXT COLLATE "C" NOT NULL,
    -- The organization; for the keys of operators that of the installation, `org_00000000000SvixManagement00`.
    org_id TEXT COLLATE "C" NOT NULL,
    -- The application, if the scope is one.
    app_id TEXT COLLATE "C",
    -- `operator`, `organization` or `application`.
    scope TEXT COLLATE "C" NOT NULL,
    -- 1: the key changes nothing.
    read_only SMALLINT NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    -- The last characters of the key.
    hint TEXT COLLATE "C" NOT NULL,
    -- The id of the key, the application or the organization that created it, or `cli`.
    created_by TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    -- The key is invalid from then on: its expiry, or its revocation if that is earlier.
    expires_at BIGINT,
    revoked_at BIGINT,
    -- Each node writes the last use of a key at most once a minute.
    last_used_at BIGINT,
    -- Incremented by each change, and when that was: other nodes look for recent ones once a second.
    version BIGINT NOT NULL DEFAULT 1,
    changed_at BIGINT
);
CREATE UNIQUE INDEX api_key_hash ON api_key (hash);
CREATE INDEX api_key_org ON api_key (org_id, id);
CREATE INDEX api_key_expiry ON api_key (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX api_key_changed ON api_key (changed_at) WHERE changed_at IS NOT NULL;

-- A rate limit in use; the key is the id of an endpoint or an application.
CREATE TABLE throttle (
    key TEXT COLLATE "C" PRIMARY KEY,
    -- The theoretical arrival time: when the next delivery may be sent. In microseconds, unlike all other timestamps,
    -- because a limit of more than 1,000 deliveries per second has less than a millisecond for each.
    tat_us BIGINT NOT NULL,
    -- Since when more deliveries are due than the rate allows; null if they are not.
    limited_since BIGINT
);
CREATE INDEX throttle_limited ON throttle (key) WHERE limited_since IS NOT NULL;

-- Notifications to organizations about their endpoints, messages and tasks. Written in the transaction of their cause.
CREATE TABLE operational_event (
    id TEXT COLLATE "C" PRIMARY KEY,
    org_id TEXT COLLATE "C" NOT NULL,
    -- As in the Svix API: `endpoint.disabled`, `message.attempt.exhausted`, `background_task.finished` and others.
    type TEXT COLLATE "C" NOT NULL,
    -- The type and the data, as a JSON object.
    payload TEXT COLLATE "C" NOT NULL
);

-- ---------------------------------------------------------------------------------------------------------------------
-- Hot tables: few indexes, and the tenant on every row

CREATE TABLE message (
    id TEXT COLLATE "C" PRIMARY KEY,
    app_id TEXT COLLATE "C" NOT NULL,
    org_id TEXT COLLATE "C" NOT NULL,
    event_type TEXT COLLATE "C" NOT NULL,
    -- The caller's id of the message; it is unique in the application (table event_id).
    event_id TEXT COLLATE "C",
    -- JSON arrays of names.
    channels TEXT COLLATE "C",
    tags TEXT COLLATE "C",
    -- The bytes to send. Null after the retention, or if the content was expunged.
    payload BYTEA,
    -- When the payload expires. Null for the default retention of 90 days, where the expiry follows from the id.
    expires_at BIGINT,
    -- When to deliver the message, if not at once.
    deliver_at BIGINT,
    -- 1 if the payload is not a JSON object, else null.
    raw SMALLINT
) PARTITION BY RANGE (id);
CREATE TABLE message_default PARTITION OF message DEFAULT;
-- Lists filter by the last three columns within the index, without reading the rows.
CREATE INDEX message_app ON message (app_id, id, event_type, channels, tags);
CREATE INDEX message_expiry ON message (expires_at) WHERE expires_at IS NOT NULL AND payload IS NOT NULL;

-- The time buckets in which an application has messages with an event type, a channel or a tag, and an endpoint has
-- attempts with an outcome: see `storage/tables/bucket_index.py`. There is no unique key on PostgreSQL, so that two
-- processes that write the same entry do not wait for each other.
CREATE TABLE bucket_index (
    -- The id of an application or an endpoint.
    owner TEXT COLLATE "C" NOT NULL,
    -- Of an application: `e`, `c` or `t` and an event type, a channel or a tag. Of an endpoint: `d` delivered, `f` and
    -- the first digit of the status code for failed (0 without a response), `l` late: not in the bucket of its message.
    name TEXT COLLATE "C" NOT NULL,
    -- The first four characters of the timestamps in the ids: 494 seconds. For `d` and `f`, those of the attempt and
    -- then those of its message; for `l`, the other way round.
    bucket TEXT COLLATE "C" NOT NULL
);
CREATE INDEX bucket_index_owner ON bucket_index (owner, name, bucket);

CREATE TABLE event_id (
    app_id TEXT COLLATE "C" NOT NULL,
    event_id TEXT COLLATE "C" NOT NULL,
    msg_id TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (app_id, event_id)
);

-- One row for each delivery that is outstanding: a message and an endpoint. A row is either scheduled (lease is null;
-- due at due_at) or leased (a node holds it in memory until lease_until).
CREATE TABLE delivery (
    msg_id TEXT COLLATE "C" NOT NULL,
    endpoint_id TEXT COLLATE "C" NOT NULL,
    app_id TEXT COLLATE "C" NOT NULL,
    org_id TEXT COLLATE "C" NOT NULL,
    -- 0 live, 1 replay: live deliveries are claimed and sent first.
    lane SMALLINT NOT NULL DEFAULT 0,
    due_at BIGINT NOT NULL,
    -- Automatic attempts made so far, and the due time of the next one while a manual send has precedence.
    attempts INTEGER NOT NULL DEFAULT 0,
    retry_at BIGINT,
    -- 1 if the next attempt is a manual send, by a person or a task. It does not count as an automatic attempt.
    manual SMALLINT NOT NULL DEFAULT 0,
    -- A manual send requested while the row was leased: 0 none, 1 to send only if the send in flight fails, 2 to send
    -- anyway.
    again SMALLINT NOT NULL DEFAULT 0,
    -- The lease token: the node's number and a counter. Only its holder may settle or reschedule the row.
    lease BIGINT,
    lease_until BIGINT,
    -- The task that requested the manual send.
    task_id TEXT COLLATE "C",
    PRIMARY KEY (msg_id, endpoint_id),
    CHECK ((lease IS NULL) = (lease_until IS NULL)),
    CHECK (again = 0 OR lease IS NOT NULL)
)
-- Each delivered message leaves a dead row, so the table is vacuumed often. It keeps the emptied pages: the next rows fill
-- them, and to give them back to the system would lock the table. No free space is kept in a page for updated rows,
-- because each update moves the row in an index.
WITH (autovacuum_vacuum_scale_factor = 0.05, vacuum_truncate = off);
-- The next deliveries of an endpoint; when the next one of any endpoint is due.
CREATE INDEX delivery_due ON delivery (endpoint_id, lane, due_at) WHERE lease IS NULL;
CREATE INDEX delivery_next ON delivery (due_at) WHERE lease IS NULL;
-- The scheduled deliveries of an organization in due order. A delivery that succeeds at once was never scheduled, so it
-- does not pay for this index.
CREATE INDEX delivery_org ON delivery (org_id, due_at) WHERE lease IS NULL;
-- Expired leases; the backlog of a task.
CREATE INDEX delivery_lease_expiry ON delivery (lease_until) WHERE lease IS NOT NULL;
CREATE INDEX delivery_task ON delivery (task_id, msg_id, endpoint_id) WHERE task_id IS NOT NULL;

-- The numbers are side by side, so PostgreSQL does not pad them, and before the response, so SQLite reads them without
-- the overflow pages of a long one.
CREATE TABLE attempt (
    msg_id TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    endpoint_id TEXT COLLATE "C" NOT NULL,
    app_id TEXT COLLATE "C" NOT NULL,
    org_id TEXT COLLATE "C" NOT NULL,
    -- The URL of the endpoint at that time.
    url TEXT COLLATE "C" NOT NULL,
    -- The result: 0 the receiver accepted the message, 2 failed. The API uses the same codes.
    status SMALLINT NOT NULL,
    -- Which attempt of the retry schedule, from 1. Null for a manual send, which the schedule does not count.
    number SMALLINT DEFAULT 1,
    -- 0 the first delivery or the retry schedule, 1 a manual send. The API uses the same codes.
    trigger_type SMALLINT NOT NULL,
    -- How the delivery ended after this attempt, without another one. Null: the attempt succeeded, or another attempt
    -- was scheduled. 1 exhausted: no attempts were left, or the receiver asked for no more. 2 canceled: a task that had
    -- requested the message again was canceled before it was sent. 3 discarded: the endpoint was disabled or deleted,
    -- or the payload was deleted. 0: it had one of these ends, and a manual send succeeded later.
    ended SMALLINT,
    -- 0 if there was no response.
    response_status_code INTEGER NOT NULL,
    response_duration_ms INTEGER NOT NULL,
    -- The first 20,000 bytes of the response, or why there was none.
    response TEXT COLLATE "C" NOT NULL,
    -- The headers of a failed or a manual attempt: a JSON array with the signature, the names of the endpoint's headers
    -- and the headers of the response; see `model/attempt_headers.py`. Null for others, unless `attempt_headers` is set.
    headers TEXT COLLATE "C",
    -- When the next attempt was scheduled, as of the end of this one. Null if none was.
    next_at BIGINT,
    -- The task that requested this attempt.
    task_id TEXT COLLATE "C",
    -- The id alone is unique. With this order, the attempts of a message at one endpoint are a range, however many
    -- endpoints the message has.
    PRIMARY KEY (msg_id, endpoint_id, id)
) PARTITION BY RANGE (msg_id);
CREATE TABLE attempt_default PARTITION OF attempt DEFAULT;
CREATE INDEX attempt_endpoint ON attempt (endpoint_id, id, status, response_status_code);
-- Failed attempts are few and often queried; successes do not pay for this index.
CREATE INDEX attempt_failed ON attempt (endpoint_id, id) WHERE status = 2;
-- A query must repeat the condition in the same words: SQLite uses a partial index only then.
CREATE INDEX attempt_ended ON attempt (endpoint_id, msg_id) WHERE ended > 0;
-- Exhausted deliveries, of an endpoint and of an organization.
CREATE INDEX attempt_exhausted ON attempt (endpoint_id, msg_id) WHERE ended = 1;
CREATE INDEX attempt_org_exhausted ON attempt (org_id, msg_id, endpoint_id) WHERE ended = 1;
CREATE INDEX attempt_task ON attempt (task_id, status, msg_id, endpoint_id) WHERE task_id IS NOT NULL;

-- The response to each POST with an idempotency key. The response to a message is rebuilt from its row (msg_id); any
-- other response is stored here (status, body). A row with neither belongs to a request that is being processed.
CREATE TABLE idempotency_record (
    key TEXT COLLATE "C" PRIMARY KEY,
    expires_at BIGINT NOT NULL,
    msg_id TEXT COLLATE "C",
    status INTEGER,
    body BYTEA
);
-- Rows are written in the order in which they expire: a block range index finds expired ones at almost no cost, and on
-- SQLite they have the lowest rowids.
CREATE INDEX idempotency_record_expiry ON idempotency_record USING brin (expires_at) WITH (pages_per_range = 32);

-- The attempts of each hour at each endpoint, counted for charts and success rates. An attempt belongs to the hour in
-- its id, in which it began. The task `system.rollup` replaces rows; `setting` has its mark. The total of an application
-- has an empty endpoint_id, that of an organization an empty app_id as well, and that of all an empty org_id as well.
CREATE TABLE rollup (
    org_id TEXT COLLATE "C" NOT NULL,
    app_id TEXT COLLATE "C" NOT NULL,
    endpoint_id TEXT COLLATE "C" NOT NULL,
    -- When the hour begins.
    hour BIGINT NOT NULL,
    -- Successful and failed attempts.
    delivered BIGINT NOT NULL,
    failed BIGINT NOT NULL,
    -- The successful ones by duration: a JSON array of numbers, for the bounds in `model/rollup.py`.
    latency TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (org_id, app_id, endpoint_id, hour)
);
CREATE INDEX rollup_hour ON rollup (hour);

-- Hours to count again for an endpoint, because an attempt was stored late. A note has the id of that attempt, so that
-- one that is added while an hour is counted is another row.
CREATE TABLE rollup_reopened (
    hour BIGINT NOT NULL,
    endpoint_id TEXT COLLATE "C" NOT NULL,
    attempt_id TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (hour, endpoint_id, attempt_id)
);

-- ---------------------------------------------------------------------------------------------------------------------
-- Background tasks

CREATE TABLE task (
    id TEXT COLLATE "C" PRIMARY KEY,
    org_id TEXT COLLATE "C" NOT NULL,
    app_id TEXT COLLATE "C",
    -- Whose share of the workers it uses: the application, or else the organization.
    tenant TEXT COLLATE "C" NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    -- The arguments of the kind, as a JSON object, and the version of their format: a node leaves newer ones to others.
    args TEXT COLLATE "C" NOT NULL,
    args_version INTEGER NOT NULL DEFAULT 1,
    state TEXT COLLATE "C" NOT NULL CHECK (state IN ('queued', 'running', 'paused', 'succeeded', 'failed', 'cancelled')),
    -- The state as the API shows it.
    wire_status TEXT COLLATE "C" NOT NULL CHECK (wire_status IN ('running', 'finished', 'failed')),
    -- The next task to run: the highest priority, then the lowest round. Maintenance of the service has -1, others 0.
    priority SMALLINT NOT NULL DEFAULT 0,
    fair_round BIGINT NOT NULL,
    -- Not before this time: after a failed attempt, or while the task waits for its backlog. 0 for a new task.
    ready_at BIGINT NOT NULL,
    -- The fencing token: incremented by every claim and every end of one. A write of an older claim changes nothing.
    epoch BIGINT NOT NULL DEFAULT 0,
    lease_until BIGINT,
    -- The name of the worker that runs it: host, process and node.
    worker TEXT COLLATE "C",
    -- Where the next chunk begins, in the format of the kind. Null before the task was planned.
    cursor TEXT COLLATE "C",
    -- Items visited, those that were left out with a reason, and all items of the range (null if unknown).
    done BIGINT NOT NULL DEFAULT 0,
    skipped BIGINT NOT NULL DEFAULT 0,
    total BIGINT,
    -- 1 if total is the exact number, 0 if it is an estimate.
    total_exact SMALLINT NOT NULL DEFAULT 0,
    -- The pace: items of the next chunk, items per second, and the time and the number of chunks so far.
    size INTEGER NOT NULL,
    rate DOUBLE PRECISION NOT NULL DEFAULT 0,
    busy_ms BIGINT NOT NULL DEFAULT 0,
    chunks BIGINT NOT NULL DEFAULT 0,
    -- Attempts of the present chunk that failed, and the last error as a JSON object.
    failed_attempts INTEGER NOT NULL DEFAULT 0,
    error TEXT COLLATE "C",
    -- The counters of the kind (`messagesSent`), as a JSON object.
    counters TEXT COLLATE "C" NOT NULL DEFAULT '{}',
    -- Tasks with one key run one after the other.
    lock_key TEXT COLLATE "C",
    -- Who started it: the subject of the token.
    created_by TEXT COLLATE "C",
    -- PostgreSQL's id of the creating transaction: the first chunk waits until every older one has ended.
    created_xid BIGINT,
    -- The maximum rate of resends, in messages per second.
    rate_limit INTEGER,
    created_at BIGINT NOT NULL,
    started_at BIGINT,
    updated_at BIGINT NOT NULL,
    finished_at BIGINT,
    CHECK ((state = 'running') = (lease_until IS NOT NULL)),
    CHECK ((state IN ('succeeded', 'failed', 'cancelled')) = (finished_at IS NOT NULL)),
    CHECK ((wire_status = 'finished') = (state = 'succeeded')),
    CHECK ((wire_status = 'failed') = (state IN ('failed', 'cancelled'))),
    CHECK (state <> 'succeeded' OR error IS NULL),
    CHECK (done >= 0 AND skipped >= 0)
) WITH (fillfactor = 80);
-- No index contains the columns that a checkpoint changes (cursor, progress, lease), so PostgreSQL can use HOT updates.
CREATE INDEX task_ready ON task (priority DESC, fair_round, id) WHERE state = 'queued';
CREATE INDEX task_next ON task (ready_at) WHERE state = 'queued';
CREATE INDEX task_fair_round ON task (tenant, priority, fair_round) WHERE state = 'queued';
CREATE INDEX task_running ON task (tenant) WHERE state = 'running';
-- The states are in the same order as in the statement: SQLite uses a partial index only if the conditions match.
CREATE INDEX task_active ON task (tenant) WHERE state IN ('paused', 'queued', 'running');
CREATE UNIQUE INDEX task_lock ON task (lock_key) WHERE state = 'running';
-- Lists. Without a filter by status, a list merges the three statuses, so it needs no index of its own.
CREATE INDEX task_org ON task (org_id, wire_status, id);
CREATE INDEX task_org_kind ON task (org_id, kind, wire_status, id);
CREATE INDEX task_app ON task (app_id, wire_status, id);
CREATE INDEX task_app_kind ON task (app_id, kind, wire_status, id);
CREATE INDEX task_finished ON task (finished_at) WHERE finished_at IS NOT NULL;

-- Results and skipped items. Messages that a task resends have no row here: their deliveries and attempts have its id.
CREATE TABLE task_item (
    task_id TEXT COLLATE "C" NOT NULL,
    -- What the item is about: an application, an event type, or a message and an endpoint.
    key TEXT COLLATE "C" NOT NULL,
    -- `created` (a message), `counted` (attempts), `aggregated` (subscriptions), `link` (to an export), `skipped`, or
    -- `withdrawn` for a send that was canceled with the task.
    outcome TEXT COLLATE "C" NOT NULL,
    -- JSON, or the reason why the item was skipped.
    data TEXT COLLATE "C",
    PRIMARY KEY (task_id, key)
);
CREATE INDEX task_item_outcome ON task_item (task_id, outcome, key);

-- Input that is too large for the row of a task: the payload of a broadcast.
CREATE TABLE task_input (
    task_id TEXT COLLATE "C" PRIMARY KEY,
    content BYTEA NOT NULL
);

-- Files that tasks export for download.
CREATE TABLE export (
    id TEXT COLLATE "C" NOT NULL,
    -- From 1 while the task runs; then one row with part 0 has the whole file.
    part INTEGER NOT NULL,
    org_id TEXT COLLATE "C" NOT NULL,
    content BYTEA NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (id, part)
);
CREATE INDEX export_expiry ON export (expires_at);

-- State transitions of a task that users cause or need to see.
CREATE TABLE task_event (
    task_id TEXT COLLATE "C" NOT NULL,
    -- From 1 for each task.
    seq INTEGER NOT NULL,
    at BIGINT NOT NULL,
    -- `created`, `paused`, `resumed`, `retried`, `struck` (a failed attempt), `lapsed` (the lease expired), `succeeded`,
    -- `failed` or `cancelled`.
    type TEXT COLLATE "C" NOT NULL,
    -- The error, as a JSON object.
    data TEXT COLLATE "C",
    PRIMARY KEY (task_id, seq)
);

-- ---------------------------------------------------------------------------------------------------------------------
-- Nodes

-- The nodes on this PostgreSQL database. Each holds the advisory lock of its number (the liveness lock) on a session of
-- its own, except behind a pooler without sessions.
CREATE TABLE node (
    id BIGINT PRIMARY KEY,
    -- The worker name in the tasks that the node has claimed.
    worker TEXT COLLATE "C" NOT NULL,
    -- The release that the node runs. Nodes of two releases share the database during a rolling upgrade.
    release TEXT COLLATE "C" NOT NULL
);

-- ---------------------------------------------------------------------------------------------------------------
-- PostgreSQL: small batches in one statement, which is its own transaction and takes one round trip. Each function
-- writes a whole batch if it is plain. Otherwise it raises TD001, nothing is written, and the service writes the batch
-- in a transaction. Rows are locked in key order, as in those transactions, so the two do not deadlock.

-- Stores messages with their deliveries. A batch is plain if its applications still have these routing versions,
-- its idempotency keys and event ids are new, and the ids of its messages (made_at) differ from the time of the
-- server by at most skew milliseconds. Lists of the same length are columns; their names begin with the table.
CREATE FUNCTION accept_batch(
    apps text[], versions bigint[],
    keys text[], key_messages text[], keys_expire_at bigint, made_at bigint, skew bigint,
    event_apps text[], event_ids text[], event_messages text[],
    index_owners text[], index_names text[], index_buckets text[],
    message_ids text[], message_apps text[], message_orgs text[], message_types text[], message_channels text[],
    message_payloads bytea[], message_event_ids text[], message_expiries bigint[], message_tags text[],
    message_deliver_ats bigint[], message_raws smallint[],
    delivery_messages text[], delivery_endpoints text[], delivery_apps text[], delivery_orgs text[],
    delivery_due_ats bigint[], delivery_leases bigint[], delivery_lease_expiries bigint[]
) RETURNS void LANGUAGE plpgsql SET lock_timeout = '100ms' AS $$
DECLARE
    written bigint;
BEGIN
    IF abs(extract(epoch FROM statement_timestamp()) * 1000 - made_at) > skew THEN
        RAISE EXCEPTION 'the ids are too far from now' USING ERRCODE = 'TD001';
    END IF;
    PERFORM FROM unnest(apps, versions) AS given(app, version) LEFT JOIN application
        ON application.id = app AND routing_version = version AND deleted_at IS NULL
    WHERE application.id IS NULL;
    IF FOUND THEN
        RAISE EXCEPTION 'an application has changed' USING ERRCODE = 'TD001';
    END IF;
    INSERT INTO idempotency_record (key, msg_id, expires_at)
    SELECT given.key, message, keys_expire_at FROM unnest(keys, key_messages) AS given(key, message)
    ON CONFLICT DO NOTHING;
    GET DIAGNOSTICS written = ROW_COUNT;
    IF written <> cardinality(keys) THEN
        RAISE EXCEPTION 'an idempotency key is in use' USING ERRCODE = 'TD001';
    END IF;
    IF cardinality(event_ids) > 0 THEN
        INSERT INTO event_id (app_id, event_id, msg_id)
        SELECT app, event, message FROM unnest(event_apps, event_ids, event_messages) AS given(app, event, message)
        ON CONFLICT DO NOTHING;
        GET DIAGNOSTICS written = ROW_COUNT;
        IF written <> cardinality(event_ids) THEN
            RAISE EXCEPTION 'an event id is in use' USING ERRCODE = 'TD001';
        END IF;
    END IF;
    IF cardinality(index_owners) > 0 THEN
        INSERT INTO bucket_index (owner, name, bucket)
        SELECT * FROM unnest(index_owners, index_names, index_buckets) AS given(o, n, b)
        WHERE NOT EXISTS (SELECT FROM bucket_index WHERE owner = o AND name = n AND bucket = b);
    END IF;
    INSERT INTO message (
        id, app_id, org_id, event_type, channels, payload, event_id, expires_at, tags, deliver_at, raw
    )
    SELECT * FROM unnest(
        message_ids, message_apps, message_orgs, message_types, message_channels, message_payloads, message_event_ids,
        message_expiries, message_tags, message_deliver_ats, message_raws
    );
    IF cardinality(delivery_messages) > 0 THEN
        INSERT INTO delivery (msg_id, endpoint_id, app_id, org_id, due_at, lease, lease_until)
        SELECT * FROM unnest(
            delivery_messages, delivery_endpoints, delivery_apps, delivery_orgs, delivery_due_ats, delivery_leases,
            delivery_lease_expiries
        );
    END IF;
END $$;

-- Records successful attempts and ends their deliveries. A batch is plain if each delivery still has its lease, and
-- no further send of it was requested meanwhile.
CREATE FUNCTION settle_batch(
    leases bigint[],
    messages text[], ids text[], endpoints text[], apps text[], orgs text[], urls text[], statuses smallint[],
    codes integer[], responses text[], durations integer[], triggers smallint[], numbers smallint[],
    next_ats bigint[], ends smallint[], tasks text[], headers text[],
    index_owners text[], index_names text[], index_buckets text[]
) RETURNS void LANGUAGE plpgsql SET lock_timeout = '1s' AS $$
DECLARE
    written bigint;
BEGIN
    -- ANY and coalesce leave only the look-up by key: see `storage/tables/deliveries.py`.
    DELETE FROM delivery USING unnest(messages, endpoints, leases) AS given(message, endpoint, held)
    WHERE msg_id = ANY(ARRAY[message]) AND endpoint_id = endpoint AND coalesce(lease, 0) = held AND again < 2;
    GET DIAGNOSTICS written = ROW_COUNT;
    IF written <> cardinality(leases) THEN
        RAISE EXCEPTION 'a delivery has changed' USING ERRCODE = 'TD001';
    END IF;
    IF cardinality(index_owners) > 0 THEN
        INSERT INTO bucket_index (owner, name, bucket)
        SELECT * FROM unnest(index_owners, index_names, index_buckets) AS given(o, n, b)
        WHERE NOT EXISTS (SELECT FROM bucket_index WHERE owner = o AND name = n AND bucket = b);
    END IF;
    INSERT INTO attempt (
        msg_id, id, endpoint_id, app_id, org_id, url, status, response_status_code, response, response_duration_ms,
        trigger_type, number, next_at, ended, task_id, headers
    )
    SELECT * FROM unnest(
        messages, ids, endpoints, apps, orgs, urls, statuses, codes, responses, durations, triggers, numbers, next_ats,
        ends, tasks, headers
    );
END $$;
-- Oldest release that may run on this schema: 0.1.0

-- Endpoints ------------------------------------------------------------------------------------------------------

-- The payload filter: a JSON array of conditions, all of which a message must meet; see `model/payload_filter.py`.
-- Null for all messages.
ALTER TABLE endpoint ADD COLUMN filter TEXT COLLATE "C";
-- 1 if an enabled script changes each request to the endpoint; the script is in the table `transformation`.
ALTER TABLE endpoint ADD COLUMN is_transformed SMALLINT NOT NULL DEFAULT 0;
ALTER TABLE endpoint_history ADD COLUMN filter TEXT COLLATE "C";

-- Integrations ---------------------------------------------------------------------------------------------------

-- A program that acts for one application with a key of its own. Deleted by callers, and with the application.
CREATE TABLE integration (
    id TEXT COLLATE "C" PRIMARY KEY,
    org_id TEXT COLLATE "C" NOT NULL,
    app_id TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    -- The feature flags of its key: a JSON array of names, or null for none.
    feature_flags TEXT COLLATE "C",
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX integration_app ON integration (app_id, id);
-- The integration whose key this is; its scope is the application, so that older nodes know it as such a key. An
-- integration has at most one key that has not ended: rotation replaces the hash in the row.
ALTER TABLE api_key ADD COLUMN integration_id TEXT COLLATE "C";
CREATE INDEX api_key_integration ON api_key (app_id, integration_id) WHERE integration_id IS NOT NULL;

-- Connectors and environments ------------------------------------------------------------------------------------------

-- The templates of scripts of an organization. The built-in ones are files of the release and have no rows. Deleted by
-- the API.
CREATE TABLE connector (
    id TEXT COLLATE "C" PRIMARY KEY,
    org_id TEXT COLLATE "C" NOT NULL,
    -- The caller's name for the connector.
    uid TEXT COLLATE "C",
    name TEXT COLLATE "C" NOT NULL,
    -- The URL of an image.
    logo TEXT COLLATE "C",
    description TEXT COLLATE "C" NOT NULL,
    -- The product that receives the messages, in the words of the API: `Slack`, `Custom` and so on.
    kind TEXT COLLATE "C" NOT NULL,
    -- Markdown for the person who creates an endpoint.
    instructions TEXT COLLATE "C" NOT NULL,
    -- Names of event types and of feature flags, as JSON. Null for no limit.
    allowed_event_types TEXT COLLATE "C",
    feature_flags TEXT COLLATE "C",
    -- The script, and its number: 1, and one more with each change of it.
    transformation TEXT COLLATE "C" NOT NULL,
    version INTEGER NOT NULL,
    -- `Dispatch` or `Stream`; without effect.
    product_type TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    transformation_updated_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX connector_uid ON connector (org_id, uid) WHERE uid IS NOT NULL;
CREATE INDEX connector_org ON connector (org_id, id);

-- The former scripts of connectors, the newest 20 of each. Deleted with the connector.
CREATE TABLE connector_version (
    connector_id TEXT COLLATE "C" NOT NULL,
    version INTEGER NOT NULL,
    transformation TEXT COLLATE "C" NOT NULL,
    -- When the script was stored.
    created_at BIGINT NOT NULL,
    PRIMARY KEY (connector_id, version)
);

-- A row for each organization that exported or imported its configuration. Exports and imports lock it.
CREATE TABLE environment (
    org_id TEXT COLLATE "C" PRIMARY KEY,
    -- The settings of imports, as a JSON object: kept and exported, without effect. Null if there were none.
    settings TEXT COLLATE "C",
    -- When the configuration was last exported or imported.
    updated_at BIGINT NOT NULL
);

-- The connector whose script an endpoint got last. Deleted with the application.
CREATE TABLE endpoint_connector (
    endpoint_id TEXT COLLATE "C" PRIMARY KEY,
    connector_id TEXT COLLATE "C" NOT NULL,
    version INTEGER NOT NULL,
    -- The SHA-256 of the script, in hexadecimal.
    digest TEXT COLLATE "C" NOT NULL,
    applied_at BIGINT NOT NULL
);

-- Changes of the state of endpoints -------------------------------------------------------------------------------

-- run_failing_since: since when every attempt failed, from the event `endpoint.failing` until `endpoint.recovered`.
-- warned_at: when the last event `endpoint.disabling` was stored. An earlier one than failing_since is of an earlier
-- record. See `core/state_changes.py`.
ALTER TABLE endpoint ADD COLUMN run_failing_since BIGINT;
ALTER TABLE endpoint ADD COLUMN warned_at BIGINT;
-- Replaces `endpoint_unhealthy`, which remains for nodes of 0.1.0. A query must repeat the conditions in the same words.
CREATE INDEX endpoint_needing_attention
    ON endpoint (org_id, disabled, disabled_at, disabled_reason, unreachable_since, failing_since, run_failing_since, id)
    WHERE deleted_at IS NULL AND (disabled = 1 OR failing_since IS NOT NULL OR unreachable_since IS NOT NULL
      OR run_failing_since IS NOT NULL);
-- The endpoints that are disabled unless a message succeeds.
CREATE INDEX endpoint_disabling ON endpoint (id)
    WHERE deleted_at IS NULL AND disabled = 0 AND failing_since IS NOT NULL;

-- E-mail ----------------------------------------------------------------------------------------------------------

-- Changes of the state of endpoints that are to be mailed, the latest of each type. Settle and warnings, if the setting
-- `notify_email` is set. Deleted when they are sent, with the mail that cannot be sent, or by `wipe`.
CREATE TABLE notification (
    endpoint_id TEXT COLLATE "C" NOT NULL,
    -- The type of the operational event, which has the data: a JSON object.
    type TEXT COLLATE "C" NOT NULL,
    org_id TEXT COLLATE "C" NOT NULL,
    at BIGINT NOT NULL,
    data TEXT COLLATE "C" NOT NULL,
    -- The mail that it is a part of; null until a mail takes it. A later change of the same type sets it to null.
    mail_id TEXT COLLATE "C",
    PRIMARY KEY (endpoint_id, type)
);
CREATE INDEX notification_mail ON notification (mail_id, at);
-- The mail that is being sent, one at a time. `core/notifications.py`. Deleted when it is sent, or after three days.
CREATE TABLE mail (
    -- Names the mail in its Message-ID, so a repeated one can be recognized.
    id TEXT COLLATE "C" PRIMARY KEY,
    created_at BIGINT NOT NULL,
    failures INTEGER NOT NULL DEFAULT 0,
    -- When it may be sent again: after a pause, or when the node that sends it has not reported its result by then.
    due_at BIGINT NOT NULL,
    -- Chosen at each claim. A node that has another one changes nothing.
    claim TEXT COLLATE "C" NOT NULL
);

-- Transformations ------------------------------------------------------------------------------------------------

-- The script of an endpoint. `endpoint.is_transformed` says whether it is in use, so that nothing else reads this table
-- for endpoints without one. Deleted with the application.
CREATE TABLE transformation (
    endpoint_id TEXT COLLATE "C" PRIMARY KEY,
    code TEXT COLLATE "C",
    -- A JSON object of strings, encrypted if there is a main secret, as the headers of endpoints are.
    variables TEXT COLLATE "C" NOT NULL,
    -- Kept without a script, too; then the endpoint is not transformed.
    enabled SMALLINT NOT NULL,
    updated_at BIGINT NOT NULL
);

-- Small batches on PostgreSQL --------------------------------------------------------------------------------------

-- As in 0.1.0, but each application and each entry of the bucket index is looked up by its key, whatever the
-- statistics say: a join could read all of them for each batch.
CREATE OR REPLACE FUNCTION accept_batch(
    apps text[], versions bigint[],
    keys text[], key_messages text[], keys_expire_at bigint, made_at bigint, skew bigint,
    event_apps text[], event_ids text[], event_messages text[],
    index_owners text[], index_names text[], index_buckets text[],
    message_ids text[], message_apps text[], message_orgs text[], message_types text[], message_channels text[],
    message_payloads bytea[], message_event_ids text[], message_expiries bigint[], message_tags text[],
    message_deliver_ats bigint[], message_raws smallint[],
    delivery_messages text[], delivery_endpoints text[], delivery_apps text[], delivery_orgs text[],
    delivery_due_ats bigint[], delivery_leases bigint[], delivery_lease_expiries bigint[]
) RETURNS void LANGUAGE plpgsql SET lock_timeout = '100ms' AS $$
DECLARE
    written bigint;
BEGIN
    IF abs(extract(epoch FROM statement_timestamp()) * 1000 - made_at) > skew THEN
        RAISE EXCEPTION 'the ids are too far from now' USING ERRCODE = 'TD001';
    END IF;
    PERFORM FROM unnest(apps, versions) AS given(app, version) LEFT JOIN application
        ON application.id = ANY(ARRAY[app]) AND routing_version = version AND deleted_at IS NULL
    WHERE application.id IS NULL;
    IF FOUND THEN
        RAISE EXCEPTION 'an application has changed' USING ERRCODE = 'TD001';
    END IF;
    INSERT INTO idempotency_record (key, msg_id, expires_at)
    SELECT given.key, message, keys_expire_at FROM unnest(keys, key_messages) AS given(key, message)
    ON CONFLICT DO NOTHING;
    GET DIAGNOSTICS written = ROW_COUNT;
    IF written <> cardinality(keys) THEN
        RAISE EXCEPTION 'an idempotency key is in use' USING ERRCODE = 'TD001';
    END IF;
    IF cardinality(event_ids) > 0 THEN
        INSERT INTO event_id (app_id, event_id, msg_id)
        SELECT app, event, message FROM unnest(event_apps, event_ids, event_messages) AS given(app, event, message)
        ON CONFLICT DO NOTHING;
        GET DIAGNOSTICS written = ROW_COUNT;
        IF written <> cardinality(event_ids) THEN
            RAISE EXCEPTION 'an event id is in use' USING ERRCODE = 'TD001';
        END IF;
    END IF;
    IF cardinality(index_owners) > 0 THEN
        INSERT INTO bucket_index (owner, name, bucket)
        SELECT * FROM unnest(index_owners, index_names, index_buckets) AS given(o, n, b)
        WHERE (SELECT 1 FROM bucket_index WHERE owner = o AND name = n AND bucket = b LIMIT 1) IS NULL;
    END IF;
    INSERT INTO message (
        id, app_id, org_id, event_type, channels, payload, event_id, expires_at, tags, deliver_at, raw
    )
    SELECT * FROM unnest(
        message_ids, message_apps, message_orgs, message_types, message_channels, message_payloads, message_event_ids,
        message_expiries, message_tags, message_deliver_ats, message_raws
    );
    IF cardinality(delivery_messages) > 0 THEN
        INSERT INTO delivery (msg_id, endpoint_id, app_id, org_id, due_at, lease, lease_until)
        SELECT * FROM unnest(
            delivery_messages, delivery_endpoints, delivery_apps, delivery_orgs, delivery_due_ats, delivery_leases,
            delivery_lease_expiries
        );
    END IF;
END $$;
CREATE OR REPLACE FUNCTION settle_batch(
    leases bigint[],
    messages text[], ids text[], endpoints text[], apps text[], orgs text[], urls text[], statuses smallint[],
    codes integer[], responses text[], durations integer[], triggers smallint[], numbers smallint[],
    next_ats bigint[], ends smallint[], tasks text[], headers text[],
    index_owners text[], index_names text[], index_buckets text[]
) RETURNS void LANGUAGE plpgsql SET lock_timeout = '1s' AS $$
DECLARE
    written bigint;
BEGIN
    -- ANY and coalesce leave only the look-up by key: see `storage/tables/deliveries.py`.
    DELETE FROM delivery USING unnest(messages, endpoints, leases) AS given(message, endpoint, held)
    WHERE msg_id = ANY(ARRAY[message]) AND endpoint_id = endpoint AND coalesce(lease, 0) = held AND again < 2;
    GET DIAGNOSTICS written = ROW_COUNT;
    IF written <> cardinality(leases) THEN
        RAISE EXCEPTION 'a delivery has changed' USING ERRCODE = 'TD001';
    END IF;
    IF cardinality(index_owners) > 0 THEN
        INSERT INTO bucket_index (owner, name, bucket)
        SELECT * FROM unnest(index_owners, index_names, index_buckets) AS given(o, n, b)
        WHERE (SELECT 1 FROM bucket_index WHERE owner = o AND name = n AND bucket = b LIMIT 1) IS NULL;
    END IF;
    INSERT INTO attempt (
        msg_id, id, endpoint_id, app_id, org_id, url, status, response_status_code, response, response_duration_ms,
        trigger_type, number, next_at, ended, task_id, headers
    )
    SELECT * FROM unnest(
        messages, ids, endpoints, apps, orgs, urls, statuses, codes, responses, durations, triggers, numbers, next_ats,
        ends, tasks, headers
    );
END $$;
