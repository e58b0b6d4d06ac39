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
