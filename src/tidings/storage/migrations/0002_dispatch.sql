-- Oldest release that may run on this schema: 0.1.0

-- Endpoints ------------------------------------------------------------------------------------------------------

-- The payload filter: a JSON array of conditions, all of which a message must meet; see `model/payload_filter.py`.
-- Null for all messages.
ALTER TABLE endpoint ADD COLUMN filter {text};
-- 1 if an enabled script changes each request to the endpoint; the script is in the table `transformation`.
ALTER TABLE endpoint ADD COLUMN is_transformed SMALLINT NOT NULL DEFAULT 0;
ALTER TABLE endpoint_history ADD COLUMN filter {text};
