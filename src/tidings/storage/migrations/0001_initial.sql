-- The first schema. Timestamps are milliseconds since the Unix epoch, JSON is stored as text, booleans as 0 or 1.

CREATE TABLE setting (
    name {text} PRIMARY KEY,
    value {text} NOT NULL
);

-- ---------------------------------------------------------------------------------------------------------------
-- Cold tables: applications, endpoints and their settings.

CREATE TABLE application (
    id {text} PRIMARY KEY,
    org_id {text} NOT NULL,
    uid {text},
    name {text} NOT NULL,
    throttle_rate INTEGER,
    metadata {text} NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    deleted_at BIGINT,
    -- Incremented by every write to the application or one of its endpoints, in the same transaction. Routing that was
    -- compiled from an older version is never used to accept a message.
    routing_version BIGINT NOT NULL DEFAULT 1,
    routed_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX application_uid ON application (org_id, uid) WHERE uid IS NOT NULL;
CREATE INDEX application_org ON application (org_id, id);
CREATE INDEX application_routed ON application (routed_at);

CREATE TABLE endpoint (
    id {text} PRIMARY KEY,
    app_id {text} NOT NULL,
    org_id {text} NOT NULL,
    uid {text},
    url {text} NOT NULL,
    description {text} NOT NULL,
    version INTEGER NOT NULL DEFAULT 1,
    disabled SMALLINT NOT NULL DEFAULT 0,
    event_types {text},
    channels {text},
    throttle_rate INTEGER,
    metadata {text} NOT NULL,
    headers {text} NOT NULL,
    secret {bytes} NOT NULL,
    -- Rotated secrets that still sign: [[expiry, base64], …].
    old_secrets {text} NOT NULL DEFAULT '[]',
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    deleted_at BIGINT,
    -- Health, rarely written. failing_since and last_failure_at: the first and last time at which a delivery was
    -- exhausted without a success in between. disables_at: when a further failure disables the endpoint.
    -- unreachable_since: since when no request gets a response. disabled_at, disabled_reason: when and why the endpoint
    -- was disabled.
    failing_since BIGINT,
    last_failure_at BIGINT,
    disables_at BIGINT,
    unreachable_since BIGINT,
    disabled_at BIGINT,
    disabled_reason {text}
);
CREATE UNIQUE INDEX endpoint_uid ON endpoint (app_id, uid) WHERE uid IS NOT NULL;
CREATE INDEX endpoint_app ON endpoint (app_id, id);

-- What decided whether an endpoint received a message, over time: the explanation of a missing delivery reads the row that
-- was in force when the message was accepted. Each row copies columns of the endpoint, in the transaction that changed one
-- of them. An endpoint keeps its newest 50 rows.
CREATE TABLE endpoint_history (
    endpoint_id {text} NOT NULL,
    -- The application's routing_version after the write, which orders two writes of one millisecond.
    routing_version BIGINT NOT NULL,
    at BIGINT NOT NULL,
    event_types {text},
    channels {text},
    disabled SMALLINT NOT NULL,
    disabled_reason {text},
    deleted SMALLINT NOT NULL,
    PRIMARY KEY (endpoint_id, routing_version)
);

CREATE TABLE event_type (
    org_id {text} NOT NULL,
    name {text} NOT NULL,
    description {text} NOT NULL,
    archived SMALLINT NOT NULL DEFAULT 0,
    deprecated SMALLINT NOT NULL DEFAULT 0,
    schemas {text},
    feature_flags {text},
    group_name {text},
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (org_id, name)
);

-- Application tokens that end before their expiry: all tokens, those of a session (`session:…`) or one (`token:…`).
-- Applies to tokens issued before issued_before; they are invalid from ends_at on.
CREATE TABLE token_end (
    app_id {text} NOT NULL,
    whose {text} NOT NULL,
    issued_before BIGINT NOT NULL,
    ends_at BIGINT NOT NULL,
    PRIMARY KEY (app_id, whose, issued_before)
);

-- A rate limit in use; the key is the id of an endpoint or an application.
CREATE TABLE throttle (
    key {text} PRIMARY KEY,
    -- The theoretical arrival time: when the next delivery may be sent. In microseconds, unlike all other timestamps,
    -- because a limit of more than 1,000 deliveries per second has less than a millisecond for each.
    tat_us BIGINT NOT NULL,
    -- Since when more deliveries are due than the rate allows; null if they are not.
    limited_since BIGINT
);

-- Operational events: notifications to organizations about their endpoints, messages and tasks.
CREATE TABLE operational_event (
    id {text} PRIMARY KEY,
    org_id {text} NOT NULL,
    type {text} NOT NULL,
    payload {text} NOT NULL,
    created_at BIGINT NOT NULL
);

-- ---------------------------------------------------------------------------------------------------------------
-- Hot tables: few indexes, no foreign keys, the tenant on every row. The id of a message or an attempt contains its
-- timestamp, so neither table has a timestamp column.

CREATE TABLE message (
    id {text} PRIMARY KEY,
    app_id {text} NOT NULL,
    org_id {text} NOT NULL,
    event_type {text} NOT NULL,
    event_id {text},
    channels {text},
    tags {text},
    payload {bytes},
    -- When the payload expires. Null for the default retention, where the expiry follows from the id.
    expires_at BIGINT,
    deliver_at BIGINT,
    -- 1 if the payload is not a JSON object.
    raw SMALLINT
)
--postgresql: PARTITION BY RANGE (id)
;
--postgresql: CREATE TABLE message_default PARTITION OF message DEFAULT;
-- Lists filter by the last three columns within the index, without reading the rows.
CREATE INDEX message_app ON message (app_id, id, event_type, channels, tags);
CREATE INDEX message_expiry ON message (expires_at) WHERE expires_at IS NOT NULL AND payload IS NOT NULL;

-- The time buckets in which an application has messages with an event type, a channel or a tag, and an endpoint has
-- attempts with an outcome: see `storage/tables/bucket_index.py`. There is no unique key on PostgreSQL, so that two processes
-- that write the same entry do not wait for each other.
CREATE TABLE bucket_index (
    owner {text} NOT NULL,
    name {text} NOT NULL,
    bucket {text} NOT NULL
--sqlite:    , PRIMARY KEY (owner, name, bucket)
)
--sqlite: WITHOUT ROWID
;
--postgresql: CREATE INDEX bucket_index_owner ON bucket_index (owner, name, bucket);

CREATE TABLE event_id (
    app_id {text} NOT NULL,
    event_id {text} NOT NULL,
    msg_id {text} NOT NULL,
    PRIMARY KEY (app_id, event_id)
);

-- One row for each delivery that is outstanding: a message and an endpoint. A row is either scheduled (lease is null;
-- due at due_at) or leased (a node holds it in memory until lease_until).
CREATE TABLE delivery (
    msg_id {text} NOT NULL,
    endpoint_id {text} NOT NULL,
    app_id {text} NOT NULL,
    org_id {text} NOT NULL,
    lane SMALLINT NOT NULL DEFAULT 0,
    due_at BIGINT NOT NULL,
    -- Automatic attempts made so far, and the due time of the next one while a manual send has precedence.
    attempts INTEGER NOT NULL DEFAULT 0,
    retry_at BIGINT,
    manual SMALLINT NOT NULL DEFAULT 0,
    -- A manual send requested while the row was leased: 1 to send only if the send in flight fails, 2 to send anyway.
    again SMALLINT NOT NULL DEFAULT 0,
    lease BIGINT,
    lease_until BIGINT,
    task_id {text},
    PRIMARY KEY (msg_id, endpoint_id),
    CHECK ((lease IS NULL) = (lease_until IS NULL)),
    CHECK (again = 0 OR lease IS NOT NULL)
)
--postgresql: WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05)
;
CREATE INDEX delivery_due ON delivery (endpoint_id, lane, due_at) WHERE lease IS NULL;
CREATE INDEX delivery_next ON delivery (due_at) WHERE lease IS NULL;
CREATE INDEX delivery_lease_expiry ON delivery (lease_until) WHERE lease IS NOT NULL;
CREATE INDEX delivery_task ON delivery (task_id, msg_id, endpoint_id) WHERE task_id IS NOT NULL;

CREATE TABLE attempt (
    msg_id {text} NOT NULL,
    id {text} NOT NULL,
    endpoint_id {text} NOT NULL,
    app_id {text} NOT NULL,
    org_id {text} NOT NULL,
    url {text} NOT NULL,
    -- The result: 0 the receiver accepted the message, 2 failed. The API uses the same codes.
    status SMALLINT NOT NULL,
    -- Which attempt of the retry schedule, from 1. Null for a manual send, which the schedule does not count.
    number SMALLINT DEFAULT 1,
    -- 0 if there was no response.
    response_status_code INTEGER NOT NULL,
    response {text} NOT NULL,
    response_duration_ms INTEGER NOT NULL,
    -- 0 the first delivery or the retry schedule, 1 a manual send. The API uses the same codes.
    trigger_type SMALLINT NOT NULL,
    -- How the delivery ended after this attempt, without another one. Null: the attempt succeeded, or another attempt was
    -- scheduled. 1 exhausted: no attempts were left. 2 canceled: a task was canceled before it sent the message again.
    -- 3 discarded: the endpoint was disabled or deleted, or the payload was deleted. 0: a manual send succeeded later.
    ended SMALLINT,
    -- When the next attempt was scheduled, as of the end of this one. Null if none was.
    next_at BIGINT,
    -- The task that requested this attempt.
    task_id {text},
    -- The id alone is unique. With this order, the attempts of a message at one endpoint are a range, however many
    -- endpoints the message has.
    PRIMARY KEY (msg_id, endpoint_id, id)
)
--postgresql: PARTITION BY RANGE (msg_id)
;
--postgresql: CREATE TABLE attempt_default PARTITION OF attempt DEFAULT;
CREATE INDEX attempt_endpoint ON attempt (endpoint_id, id, status, response_status_code);
-- Failed attempts are few and often queried; successes do not pay for this index.
CREATE INDEX attempt_failed ON attempt (endpoint_id, id) WHERE status = 2;
-- A query must repeat the condition in the same words: SQLite uses a partial index only then.
CREATE INDEX attempt_ended ON attempt (endpoint_id, msg_id) WHERE ended > 0;
CREATE INDEX attempt_task ON attempt (task_id, status, msg_id, endpoint_id) WHERE task_id IS NOT NULL;

-- The response to each POST with an idempotency key. The response to a message is rebuilt from its row (msg_id);
-- any other response is stored here (status, body).
CREATE TABLE idempotency_record (
    key {text} PRIMARY KEY,
    expires_at BIGINT NOT NULL,
    msg_id {text},
    status INTEGER,
    body {bytes}
);
-- Rows are written in the order in which they expire, so a block range index finds expired rows at almost no cost.
--postgresql: CREATE INDEX idempotency_record_expiry ON idempotency_record USING brin (expires_at) WITH (pages_per_range = 32);

-- ---------------------------------------------------------------------------------------------------------------
-- Background tasks.

CREATE TABLE task (
    id {text} PRIMARY KEY,
    org_id {text} NOT NULL,
    app_id {text},
    tenant {text} NOT NULL,
    kind {text} NOT NULL,
    args {text} NOT NULL,
    args_version INTEGER NOT NULL DEFAULT 1,
    state {text} NOT NULL CHECK (state IN ('queued', 'running', 'paused', 'succeeded', 'failed', 'cancelled')),
    wire_status {text} NOT NULL CHECK (wire_status IN ('running', 'finished', 'failed')),
    priority SMALLINT NOT NULL DEFAULT 0,
    fair_round BIGINT NOT NULL,
    ready_at BIGINT NOT NULL,
    epoch BIGINT NOT NULL DEFAULT 0,
    lease_until BIGINT,
    worker {text},
    cursor {text},
    done BIGINT NOT NULL DEFAULT 0,
    skipped BIGINT NOT NULL DEFAULT 0,
    total BIGINT,
    total_exact SMALLINT NOT NULL DEFAULT 0,
    size INTEGER NOT NULL,
    rate DOUBLE PRECISION NOT NULL DEFAULT 0,
    busy_ms BIGINT NOT NULL DEFAULT 0,
    chunks BIGINT NOT NULL DEFAULT 0,
    failed_attempts INTEGER NOT NULL DEFAULT 0,
    error {text},
    -- The counters of the kind (`messagesSent`), as a JSON object.
    counters {text} NOT NULL DEFAULT '{}',
    lock_key {text},
    created_by {text},
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
)
--postgresql: WITH (fillfactor = 80)
;
-- No index contains the columns that a checkpoint changes (cursor, progress, lease), so PostgreSQL can use HOT updates.
CREATE INDEX task_ready ON task (priority DESC, fair_round, id) WHERE state = 'queued';
CREATE INDEX task_next ON task (ready_at) WHERE state = 'queued';
CREATE INDEX task_fair_round ON task (tenant, priority, fair_round) WHERE state = 'queued';
CREATE INDEX task_running ON task (tenant) WHERE state = 'running';
-- The states are in the same order as in the statement: SQLite uses a partial index only if the conditions match.
CREATE INDEX task_active ON task (tenant) WHERE state IN ('paused', 'queued', 'running');
CREATE UNIQUE INDEX task_lock ON task (lock_key) WHERE state = 'running';
CREATE INDEX task_org ON task (org_id, id);
CREATE INDEX task_org_status ON task (org_id, wire_status, id);
CREATE INDEX task_org_kind ON task (org_id, kind, id);
CREATE INDEX task_org_both ON task (org_id, kind, wire_status, id);
CREATE INDEX task_app ON task (app_id, id);
CREATE INDEX task_app_status ON task (app_id, wire_status, id);
CREATE INDEX task_app_kind ON task (app_id, kind, id);
CREATE INDEX task_app_both ON task (app_id, kind, wire_status, id);
CREATE INDEX task_finished ON task (finished_at) WHERE finished_at IS NOT NULL;

CREATE TABLE task_item (
    task_id {text} NOT NULL,
    key {text} NOT NULL,
    outcome {text} NOT NULL,
    data {text},
    PRIMARY KEY (task_id, key)
);
CREATE INDEX task_item_outcome ON task_item (task_id, outcome, key);

-- Input that is too large for the row of a task: the payload of a broadcast.
CREATE TABLE task_input (
    task_id {text} PRIMARY KEY,
    content {bytes} NOT NULL
);

-- Files that tasks export for download, in parts. Parts are numbered from 1 while the task runs; part 0 is the whole.
CREATE TABLE export (
    id {text} NOT NULL,
    part INTEGER NOT NULL,
    org_id {text} NOT NULL,
    content {bytes} NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (id, part)
);
CREATE INDEX export_expiry ON export (expires_at);

CREATE TABLE task_event (
    task_id {text} NOT NULL,
    seq INTEGER NOT NULL,
    at BIGINT NOT NULL,
    type {text} NOT NULL,
    data {text},
    PRIMARY KEY (task_id, seq)
);

-- ---------------------------------------------------------------------------------------------------------------
-- Nodes on this database that can hold a session. Each holds the advisory lock of its number (the liveness lock).

CREATE TABLE node (
    id BIGINT PRIMARY KEY,
    -- The worker name in the tasks that the node has claimed.
    worker {text} NOT NULL,
    -- The release that the node runs. Nodes of two releases share the database during a rolling upgrade.
    release {text} NOT NULL
);
