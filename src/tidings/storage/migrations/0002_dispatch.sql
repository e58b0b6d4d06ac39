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
