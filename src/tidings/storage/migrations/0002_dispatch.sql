-- Oldest release that may run on this schema: 0.1.0

-- Endpoints ------------------------------------------------------------------------------------------------------

-- The payload filter: a JSON array of conditions, all of which a message must meet; see `model/payload_filter.py`.
-- Null for all messages.
ALTER TABLE endpoint ADD COLUMN filter {text};
-- 1 if an enabled script changes each request to the endpoint; the script is in the table `transformation`.
ALTER TABLE endpoint ADD COLUMN is_transformed SMALLINT NOT NULL DEFAULT 0;
ALTER TABLE endpoint_history ADD COLUMN filter {text};

-- Integrations ---------------------------------------------------------------------------------------------------

-- A program that acts for one application with a key of its own. Deleted by callers, and with the application.
CREATE TABLE integration (
    id {text} PRIMARY KEY,
    org_id {text} NOT NULL,
    app_id {text} NOT NULL,
    name {text} NOT NULL,
    -- The feature flags of its key: a JSON array of names, or null for none.
    feature_flags {text},
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX integration_app ON integration (app_id, id);
-- The integration whose key this is; its scope is the application, so that older nodes know it as such a key. An
-- integration has at most one key that has not ended: rotation replaces the hash in the row.
ALTER TABLE api_key ADD COLUMN integration_id {text};
CREATE INDEX api_key_integration ON api_key (app_id, integration_id) WHERE integration_id IS NOT NULL;

-- Connectors and environments ------------------------------------------------------------------------------------------

-- The templates of scripts of an organization. The built-in ones are files of the release and have no rows. Deleted by
-- the API.
CREATE TABLE connector (
    id {text} PRIMARY KEY,
    org_id {text} NOT NULL,
    -- The caller's name for the connector.
    uid {text},
    name {text} NOT NULL,
    -- The URL of an image.
    logo {text},
    description {text} NOT NULL,
    -- The product that receives the messages, in the words of the API: `Slack`, `Custom` and so on.
    kind {text} NOT NULL,
    -- Markdown for the person who creates an endpoint.
    instructions {text} NOT NULL,
    -- Names of event types and of feature flags, as JSON. Null for no limit.
    allowed_event_types {text},
    feature_flags {text},
    -- The script, and its number: 1, and one more with each change of it.
    transformation {text} NOT NULL,
    version INTEGER NOT NULL,
    -- `Dispatch` or `Stream`; without effect.
    product_type {text} NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    transformation_updated_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX connector_uid ON connector (org_id, uid) WHERE uid IS NOT NULL;
CREATE INDEX connector_org ON connector (org_id, id);

-- The former scripts of connectors, the newest 20 of each. Deleted with the connector.
CREATE TABLE connector_version (
    connector_id {text} NOT NULL,
    version INTEGER NOT NULL,
    transformation {text} NOT NULL,
    -- When the script was stored.
    created_at BIGINT NOT NULL,
    PRIMARY KEY (connector_id, version)
);

-- A row for each organization that exported or imported its configuration. Exports and imports lock it.
CREATE TABLE environment (
    org_id {text} PRIMARY KEY,
    -- The settings of imports, as a JSON object: kept and exported, without effect. Null if there were none.
    settings {text},
    -- When the configuration was last exported or imported.
    updated_at BIGINT NOT NULL
);

-- The connector whose script an endpoint got last. Deleted with the application.
CREATE TABLE endpoint_connector (
    endpoint_id {text} PRIMARY KEY,
    connector_id {text} NOT NULL,
    version INTEGER NOT NULL,
    -- The SHA-256 of the script, in hexadecimal.
    digest {text} NOT NULL,
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
    endpoint_id {text} NOT NULL,
    -- The type of the operational event, which has the data: a JSON object.
    type {text} NOT NULL,
    org_id {text} NOT NULL,
    at BIGINT NOT NULL,
    data {text} NOT NULL,
    -- The mail that it is a part of; null until a mail takes it. A later change of the same type sets it to null.
    mail_id {text},
    PRIMARY KEY (endpoint_id, type)
);
CREATE INDEX notification_mail ON notification (mail_id, at);
-- The mail that is being sent, one at a time. `core/notifications.py`. Deleted when it is sent, or after three days.
CREATE TABLE mail (
    -- Names the mail in its Message-ID, so a repeated one can be recognized.
    id {text} PRIMARY KEY,
    created_at BIGINT NOT NULL,
    failures INTEGER NOT NULL DEFAULT 0,
    -- When it may be sent again: after a pause, or when the node that sends it has not reported its result by then.
    due_at BIGINT NOT NULL,
    -- Chosen at each claim. A node that has another one changes nothing.
    claim {text} NOT NULL
);

-- Transformations ------------------------------------------------------------------------------------------------

-- The script of an endpoint. `endpoint.is_transformed` says whether it is in use, so that nothing else reads this table
-- for endpoints without one. Deleted with the application.
CREATE TABLE transformation (
    endpoint_id {text} PRIMARY KEY,
    code {text},
    -- A JSON object of strings, encrypted if there is a main secret, as the headers of endpoints are.
    variables {text} NOT NULL,
    -- Kept without a script, too; then the endpoint is not transformed.
    enabled SMALLINT NOT NULL,
    updated_at BIGINT NOT NULL
);

-- Small batches on PostgreSQL --------------------------------------------------------------------------------------

--postgresql: -- As in 0.1.0, but each application and each entry of the bucket index is looked up by its key, whatever the
--postgresql: -- statistics say: a join could read all of them for each batch.
--postgresql: CREATE OR REPLACE FUNCTION accept_batch(
--postgresql:     apps text[], versions bigint[],
--postgresql:     keys text[], key_messages text[], keys_expire_at bigint, made_at bigint, skew bigint,
--postgresql:     event_apps text[], event_ids text[], event_messages text[],
--postgresql:     index_owners text[], index_names text[], index_buckets text[],
--postgresql:     message_ids text[], message_apps text[], message_orgs text[], message_types text[], message_channels text[],
--postgresql:     message_payloads bytea[], message_event_ids text[], message_expiries bigint[], message_tags text[],
--postgresql:     message_deliver_ats bigint[], message_raws smallint[],
--postgresql:     delivery_messages text[], delivery_endpoints text[], delivery_apps text[], delivery_orgs text[],
--postgresql:     delivery_due_ats bigint[], delivery_leases bigint[], delivery_lease_expiries bigint[]
--postgresql: ) RETURNS void LANGUAGE plpgsql SET lock_timeout = '100ms' AS $$
--postgresql: DECLARE
--postgresql:     written bigint;
--postgresql: BEGIN
--postgresql:     IF abs(extract(epoch FROM statement_timestamp()) * 1000 - made_at) > skew THEN
--postgresql:         RAISE EXCEPTION 'the ids are too far from now' USING ERRCODE = 'TD001';
--postgresql:     END IF;
--postgresql:     PERFORM FROM unnest(apps, versions) AS given(app, version) LEFT JOIN application
--postgresql:         ON application.id = ANY(ARRAY[app]) AND routing_version = version AND deleted_at IS NULL
--postgresql:     WHERE application.id IS NULL;
--postgresql:     IF FOUND THEN
--postgresql:         RAISE EXCEPTION 'an application has changed' USING ERRCODE = 'TD001';
--postgresql:     END IF;
--postgresql:     INSERT INTO idempotency_record (key, msg_id, expires_at)
--postgresql:     SELECT given.key, message, keys_expire_at FROM unnest(keys, key_messages) AS given(key, message)
--postgresql:     ON CONFLICT DO NOTHING;
--postgresql:     GET DIAGNOSTICS written = ROW_COUNT;
--postgresql:     IF written <> cardinality(keys) THEN
--postgresql:         RAISE EXCEPTION 'an idempotency key is in use' USING ERRCODE = 'TD001';
--postgresql:     END IF;
--postgresql:     IF cardinality(event_ids) > 0 THEN
--postgresql:         INSERT INTO event_id (app_id, event_id, msg_id)
--postgresql:         SELECT app, event, message FROM unnest(event_apps, event_ids, event_messages) AS given(app, event, message)
--postgresql:         ON CONFLICT DO NOTHING;
--postgresql:         GET DIAGNOSTICS written = ROW_COUNT;
--postgresql:         IF written <> cardinality(event_ids) THEN
--postgresql:             RAISE EXCEPTION 'an event id is in use' USING ERRCODE = 'TD001';
--postgresql:         END IF;
--postgresql:     END IF;
--postgresql:     IF cardinality(index_owners) > 0 THEN
--postgresql:         INSERT INTO bucket_index (owner, name, bucket)
--postgresql:         SELECT * FROM unnest(index_owners, index_names, index_buckets) AS given(o, n, b)
--postgresql:         WHERE (SELECT 1 FROM bucket_index WHERE owner = o AND name = n AND bucket = b LIMIT 1) IS NULL;
--postgresql:     END IF;
--postgresql:     INSERT INTO message (
--postgresql:         id, app_id, org_id, event_type, channels, payload, event_id, expires_at, tags, deliver_at, raw
--postgresql:     )
--postgresql:     SELECT * FROM unnest(
--postgresql:         message_ids, message_apps, message_orgs, message_types, message_channels, message_payloads, message_event_ids,
--postgresql:         message_expiries, message_tags, message_deliver_ats, message_raws
--postgresql:     );
--postgresql:     IF cardinality(delivery_messages) > 0 THEN
--postgresql:         INSERT INTO delivery (msg_id, endpoint_id, app_id, org_id, due_at, lease, lease_until)
--postgresql:         SELECT * FROM unnest(
--postgresql:             delivery_messages, delivery_endpoints, delivery_apps, delivery_orgs, delivery_due_ats, delivery_leases,
--postgresql:             delivery_lease_expiries
--postgresql:         );
--postgresql:     END IF;
--postgresql: END $$;
--postgresql: CREATE OR REPLACE FUNCTION settle_batch(
--postgresql:     leases bigint[],
--postgresql:     messages text[], ids text[], endpoints text[], apps text[], orgs text[], urls text[], statuses smallint[],
--postgresql:     codes integer[], responses text[], durations integer[], triggers smallint[], numbers smallint[],
--postgresql:     next_ats bigint[], ends smallint[], tasks text[], headers text[],
--postgresql:     index_owners text[], index_names text[], index_buckets text[]
--postgresql: ) RETURNS void LANGUAGE plpgsql SET lock_timeout = '1s' AS $$
--postgresql: DECLARE
--postgresql:     written bigint;
--postgresql: BEGIN
--postgresql:     -- ANY and coalesce leave only the look-up by key: see `storage/tables/deliveries.py`.
--postgresql:     DELETE FROM delivery USING unnest(messages, endpoints, leases) AS given(message, endpoint, held)
--postgresql:     WHERE msg_id = ANY(ARRAY[message]) AND endpoint_id = endpoint AND coalesce(lease, 0) = held AND again < 2;
--postgresql:     GET DIAGNOSTICS written = ROW_COUNT;
--postgresql:     IF written <> cardinality(leases) THEN
--postgresql:         RAISE EXCEPTION 'a delivery has changed' USING ERRCODE = 'TD001';
--postgresql:     END IF;
--postgresql:     IF cardinality(index_owners) > 0 THEN
--postgresql:         INSERT INTO bucket_index (owner, name, bucket)
--postgresql:         SELECT * FROM unnest(index_owners, index_names, index_buckets) AS given(o, n, b)
--postgresql:         WHERE (SELECT 1 FROM bucket_index WHERE owner = o AND name = n AND bucket = b LIMIT 1) IS NULL;
--postgresql:     END IF;
--postgresql:     INSERT INTO attempt (
--postgresql:         msg_id, id, endpoint_id, app_id, org_id, url, status, response_status_code, response, response_duration_ms,
--postgresql:         trigger_type, number, next_at, ended, task_id, headers
--postgresql:     )
--postgresql:     SELECT * FROM unnest(
--postgresql:         messages, ids, endpoints, apps, orgs, urls, statuses, codes, responses, durations, triggers, numbers, next_ats,
--postgresql:         ends, tasks, headers
--postgresql:     );
--postgresql: END $$;
