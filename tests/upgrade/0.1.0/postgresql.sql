SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;
CREATE FUNCTION public.accept_batch(apps text[], versions bigint[], keys text[], key_messages text[], keys_expire_at bigint, made_at bigint, skew bigint, event_apps text[], event_ids text[], event_messages text[], index_owners text[], index_names text[], index_buckets text[], message_ids text[], message_apps text[], message_orgs text[], message_types text[], message_channels text[], message_payloads bytea[], message_event_ids text[], message_expiries bigint[], message_tags text[], message_deliver_ats bigint[], message_raws smallint[], delivery_messages text[], delivery_endpoints text[], delivery_apps text[], delivery_orgs text[], delivery_due_ats bigint[], delivery_leases bigint[], delivery_lease_expiries bigint[]) RETURNS void
    LANGUAGE plpgsql
    SET lock_timeout TO '100ms'
    AS $$
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
CREATE FUNCTION public.settle_batch(leases bigint[], messages text[], ids text[], endpoints text[], apps text[], orgs text[], urls text[], statuses smallint[], codes integer[], responses text[], durations integer[], triggers smallint[], numbers smallint[], next_ats bigint[], ends smallint[], tasks text[], index_owners text[], index_names text[], index_buckets text[]) RETURNS void
    LANGUAGE plpgsql
    SET lock_timeout TO '1s'
    AS $$
DECLARE
    written bigint;
BEGIN
    DELETE FROM delivery USING unnest(messages, endpoints, leases) AS given(message, endpoint, held)
    WHERE msg_id = message AND endpoint_id = endpoint AND lease = held AND again < 2;
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
        trigger_type, number, next_at, ended, task_id
    )
    SELECT * FROM unnest(
        messages, ids, endpoints, apps, orgs, urls, statuses, codes, responses, durations, triggers, numbers, next_ats,
        ends, tasks
    );
END $$;
SET default_tablespace = '';
SET default_table_access_method = heap;
CREATE TABLE public.api_key (
    id text NOT NULL COLLATE pg_catalog."C",
    hash text NOT NULL COLLATE pg_catalog."C",
    org_id text NOT NULL COLLATE pg_catalog."C",
    app_id text COLLATE pg_catalog."C",
    scope text NOT NULL COLLATE pg_catalog."C",
    read_only smallint NOT NULL,
    name text NOT NULL COLLATE pg_catalog."C",
    hint text NOT NULL COLLATE pg_catalog."C",
    created_by text NOT NULL COLLATE pg_catalog."C",
    created_at bigint NOT NULL,
    expires_at bigint,
    revoked_at bigint,
    last_used_at bigint,
    version bigint DEFAULT 1 NOT NULL,
    changed_at bigint
);
CREATE TABLE public.application (
    id text NOT NULL COLLATE pg_catalog."C",
    org_id text NOT NULL COLLATE pg_catalog."C",
    uid text COLLATE pg_catalog."C",
    name text NOT NULL COLLATE pg_catalog."C",
    throttle_rate integer,
    metadata text NOT NULL COLLATE pg_catalog."C",
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    deleted_at bigint,
    routing_version bigint DEFAULT 1 NOT NULL,
    routed_at bigint NOT NULL
);
CREATE TABLE public.attempt (
    msg_id text NOT NULL COLLATE pg_catalog."C",
    id text NOT NULL COLLATE pg_catalog."C",
    endpoint_id text NOT NULL COLLATE pg_catalog."C",
    app_id text NOT NULL COLLATE pg_catalog."C",
    org_id text NOT NULL COLLATE pg_catalog."C",
    url text NOT NULL COLLATE pg_catalog."C",
    status smallint NOT NULL,
    number smallint DEFAULT 1,
    trigger_type smallint NOT NULL,
    ended smallint,
    response_status_code integer NOT NULL,
    response_duration_ms integer NOT NULL,
    response text NOT NULL COLLATE pg_catalog."C",
    next_at bigint,
    task_id text COLLATE pg_catalog."C"
)
PARTITION BY RANGE (msg_id);
CREATE TABLE public.attempt_20261126 (
    msg_id text NOT NULL COLLATE pg_catalog."C",
    id text NOT NULL COLLATE pg_catalog."C",
    endpoint_id text NOT NULL COLLATE pg_catalog."C",
    app_id text NOT NULL COLLATE pg_catalog."C",
    org_id text NOT NULL COLLATE pg_catalog."C",
    url text NOT NULL COLLATE pg_catalog."C",
    status smallint NOT NULL,
    number smallint DEFAULT 1,
    trigger_type smallint NOT NULL,
    ended smallint,
    response_status_code integer NOT NULL,
    response_duration_ms integer NOT NULL,
    response text NOT NULL COLLATE pg_catalog."C",
    next_at bigint,
    task_id text COLLATE pg_catalog."C"
);
CREATE TABLE public.attempt_20261203 (
    msg_id text NOT NULL COLLATE pg_catalog."C",
    id text NOT NULL COLLATE pg_catalog."C",
    endpoint_id text NOT NULL COLLATE pg_catalog."C",
    app_id text NOT NULL COLLATE pg_catalog."C",
    org_id text NOT NULL COLLATE pg_catalog."C",
    url text NOT NULL COLLATE pg_catalog."C",
    status smallint NOT NULL,
    number smallint DEFAULT 1,
    trigger_type smallint NOT NULL,
    ended smallint,
    response_status_code integer NOT NULL,
    response_duration_ms integer NOT NULL,
    response text NOT NULL COLLATE pg_catalog."C",
    next_at bigint,
    task_id text COLLATE pg_catalog."C"
);
CREATE TABLE public.attempt_default (
    msg_id text NOT NULL COLLATE pg_catalog."C",
    id text NOT NULL COLLATE pg_catalog."C",
    endpoint_id text NOT NULL COLLATE pg_catalog."C",
    app_id text NOT NULL COLLATE pg_catalog."C",
    org_id text NOT NULL COLLATE pg_catalog."C",
    url text NOT NULL COLLATE pg_catalog."C",
    status smallint NOT NULL,
    number smallint DEFAULT 1,
    trigger_type smallint NOT NULL,
    ended smallint,
    response_status_code integer NOT NULL,
    response_duration_ms integer NOT NULL,
    response text NOT NULL COLLATE pg_catalog."C",
    next_at bigint,
    task_id text COLLATE pg_catalog."C"
);
CREATE TABLE public.bucket_index (
    owner text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL COLLATE pg_catalog."C",
    bucket text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE public.delivery (
    msg_id text NOT NULL COLLATE pg_catalog."C",
    endpoint_id text NOT NULL COLLATE pg_catalog."C",
    app_id text NOT NULL COLLATE pg_catalog."C",
    org_id text NOT NULL COLLATE pg_catalog."C",
    lane smallint DEFAULT 0 NOT NULL,
    due_at bigint NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    retry_at bigint,
    manual smallint DEFAULT 0 NOT NULL,
    again smallint DEFAULT 0 NOT NULL,
    lease bigint,
    lease_until bigint,
    task_id text COLLATE pg_catalog."C",
    CONSTRAINT delivery_check CHECK (((lease IS NULL) = (lease_until IS NULL))),
    CONSTRAINT delivery_check1 CHECK (((again = 0) OR (lease IS NOT NULL)))
)
WITH (autovacuum_vacuum_scale_factor='0.05', vacuum_truncate=off);
CREATE TABLE public.endpoint (
    id text NOT NULL COLLATE pg_catalog."C",
    app_id text NOT NULL COLLATE pg_catalog."C",
    org_id text NOT NULL COLLATE pg_catalog."C",
    uid text COLLATE pg_catalog."C",
    url text NOT NULL COLLATE pg_catalog."C",
    description text NOT NULL COLLATE pg_catalog."C",
    version integer DEFAULT 1 NOT NULL,
    disabled smallint DEFAULT 0 NOT NULL,
    event_types text COLLATE pg_catalog."C",
    channels text COLLATE pg_catalog."C",
    throttle_rate integer,
    metadata text NOT NULL COLLATE pg_catalog."C",
    headers text NOT NULL COLLATE pg_catalog."C",
    secret bytea NOT NULL,
    old_secrets text DEFAULT '[]'::text NOT NULL COLLATE pg_catalog."C",
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    deleted_at bigint,
    failing_since bigint,
    last_failure_at bigint,
    disables_at bigint,
    unreachable_since bigint,
    disabled_at bigint,
    disabled_reason text COLLATE pg_catalog."C"
);
CREATE TABLE public.endpoint_history (
    endpoint_id text NOT NULL COLLATE pg_catalog."C",
    routing_version bigint NOT NULL,
    at bigint NOT NULL,
    event_types text COLLATE pg_catalog."C",
    channels text COLLATE pg_catalog."C",
    disabled smallint NOT NULL,
    disabled_reason text COLLATE pg_catalog."C",
    deleted smallint NOT NULL
);
CREATE TABLE public.event_id (
    app_id text NOT NULL COLLATE pg_catalog."C",
    event_id text NOT NULL COLLATE pg_catalog."C",
    msg_id text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE public.event_type (
    org_id text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL COLLATE pg_catalog."C",
    description text NOT NULL COLLATE pg_catalog."C",
    archived smallint DEFAULT 0 NOT NULL,
    deprecated smallint DEFAULT 0 NOT NULL,
    schemas text COLLATE pg_catalog."C",
    feature_flags text COLLATE pg_catalog."C",
    group_name text COLLATE pg_catalog."C",
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL
);
CREATE TABLE public.export (
    id text NOT NULL COLLATE pg_catalog."C",
    part integer NOT NULL,
    org_id text NOT NULL COLLATE pg_catalog."C",
    content bytea NOT NULL,
    expires_at bigint NOT NULL
);
CREATE TABLE public.idempotency_record (
    key text NOT NULL COLLATE pg_catalog."C",
    expires_at bigint NOT NULL,
    msg_id text COLLATE pg_catalog."C",
    status integer,
    body bytea
);
CREATE TABLE public.message (
    id text NOT NULL COLLATE pg_catalog."C",
    app_id text NOT NULL COLLATE pg_catalog."C",
    org_id text NOT NULL COLLATE pg_catalog."C",
    event_type text NOT NULL COLLATE pg_catalog."C",
    event_id text COLLATE pg_catalog."C",
    channels text COLLATE pg_catalog."C",
    tags text COLLATE pg_catalog."C",
    payload bytea,
    expires_at bigint,
    deliver_at bigint,
    raw smallint
)
PARTITION BY RANGE (id);
CREATE TABLE public.message_20261126 (
    id text NOT NULL COLLATE pg_catalog."C",
    app_id text NOT NULL COLLATE pg_catalog."C",
    org_id text NOT NULL COLLATE pg_catalog."C",
    event_type text NOT NULL COLLATE pg_catalog."C",
    event_id text COLLATE pg_catalog."C",
    channels text COLLATE pg_catalog."C",
    tags text COLLATE pg_catalog."C",
    payload bytea,
    expires_at bigint,
    deliver_at bigint,
    raw smallint
);
CREATE TABLE public.message_20261203 (
    id text NOT NULL COLLATE pg_catalog."C",
    app_id text NOT NULL COLLATE pg_catalog."C",
    org_id text NOT NULL COLLATE pg_catalog."C",
    event_type text NOT NULL COLLATE pg_catalog."C",
    event_id text COLLATE pg_catalog."C",
    channels text COLLATE pg_catalog."C",
    tags text COLLATE pg_catalog."C",
    payload bytea,
    expires_at bigint,
    deliver_at bigint,
    raw smallint
);
CREATE TABLE public.message_default (
    id text NOT NULL COLLATE pg_catalog."C",
    app_id text NOT NULL COLLATE pg_catalog."C",
    org_id text NOT NULL COLLATE pg_catalog."C",
    event_type text NOT NULL COLLATE pg_catalog."C",
    event_id text COLLATE pg_catalog."C",
    channels text COLLATE pg_catalog."C",
    tags text COLLATE pg_catalog."C",
    payload bytea,
    expires_at bigint,
    deliver_at bigint,
    raw smallint
);
CREATE TABLE public.node (
    id bigint NOT NULL,
    worker text NOT NULL COLLATE pg_catalog."C",
    release text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE public.operational_event (
    id text NOT NULL COLLATE pg_catalog."C",
    org_id text NOT NULL COLLATE pg_catalog."C",
    type text NOT NULL COLLATE pg_catalog."C",
    payload text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE public.schema_migration (
    version integer NOT NULL,
    name text NOT NULL,
    checksum text NOT NULL,
    oldest_release text NOT NULL
);
CREATE TABLE public.setting (
    name text NOT NULL COLLATE pg_catalog."C",
    value text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE public.task (
    id text NOT NULL COLLATE pg_catalog."C",
    org_id text NOT NULL COLLATE pg_catalog."C",
    app_id text COLLATE pg_catalog."C",
    tenant text NOT NULL COLLATE pg_catalog."C",
    kind text NOT NULL COLLATE pg_catalog."C",
    args text NOT NULL COLLATE pg_catalog."C",
    args_version integer DEFAULT 1 NOT NULL,
    state text NOT NULL COLLATE pg_catalog."C",
    wire_status text NOT NULL COLLATE pg_catalog."C",
    priority smallint DEFAULT 0 NOT NULL,
    fair_round bigint NOT NULL,
    ready_at bigint NOT NULL,
    epoch bigint DEFAULT 0 NOT NULL,
    lease_until bigint,
    worker text COLLATE pg_catalog."C",
    cursor text COLLATE pg_catalog."C",
    done bigint DEFAULT 0 NOT NULL,
    skipped bigint DEFAULT 0 NOT NULL,
    total bigint,
    total_exact smallint DEFAULT 0 NOT NULL,
    size integer NOT NULL,
    rate double precision DEFAULT 0 NOT NULL,
    busy_ms bigint DEFAULT 0 NOT NULL,
    chunks bigint DEFAULT 0 NOT NULL,
    failed_attempts integer DEFAULT 0 NOT NULL,
    error text COLLATE pg_catalog."C",
    counters text DEFAULT '{}'::text NOT NULL COLLATE pg_catalog."C",
    lock_key text COLLATE pg_catalog."C",
    created_by text COLLATE pg_catalog."C",
    created_xid bigint,
    rate_limit integer,
    created_at bigint NOT NULL,
    started_at bigint,
    updated_at bigint NOT NULL,
    finished_at bigint,
    CONSTRAINT task_check CHECK (((state = 'running'::text) = (lease_until IS NOT NULL))),
    CONSTRAINT task_check1 CHECK (((state = ANY (ARRAY['succeeded'::text, 'failed'::text, 'cancelled'::text])) = (finished_at IS NOT NULL))),
    CONSTRAINT task_check2 CHECK (((wire_status = 'finished'::text) = (state = 'succeeded'::text))),
    CONSTRAINT task_check3 CHECK (((wire_status = 'failed'::text) = (state = ANY (ARRAY['failed'::text, 'cancelled'::text])))),
    CONSTRAINT task_check4 CHECK (((state <> 'succeeded'::text) OR (error IS NULL))),
    CONSTRAINT task_check5 CHECK (((done >= 0) AND (skipped >= 0))),
    CONSTRAINT task_state_check CHECK ((state = ANY (ARRAY['queued'::text, 'running'::text, 'paused'::text, 'succeeded'::text, 'failed'::text, 'cancelled'::text]))),
    CONSTRAINT task_wire_status_check CHECK ((wire_status = ANY (ARRAY['running'::text, 'finished'::text, 'failed'::text])))
)
WITH (fillfactor='80');
CREATE TABLE public.task_event (
    task_id text NOT NULL COLLATE pg_catalog."C",
    seq integer NOT NULL,
    at bigint NOT NULL,
    type text NOT NULL COLLATE pg_catalog."C",
    data text COLLATE pg_catalog."C"
);
CREATE TABLE public.task_input (
    task_id text NOT NULL COLLATE pg_catalog."C",
    content bytea NOT NULL
);
CREATE TABLE public.task_item (
    task_id text NOT NULL COLLATE pg_catalog."C",
    key text NOT NULL COLLATE pg_catalog."C",
    outcome text NOT NULL COLLATE pg_catalog."C",
    data text COLLATE pg_catalog."C"
);
CREATE TABLE public.throttle (
    key text NOT NULL COLLATE pg_catalog."C",
    tat_us bigint NOT NULL,
    limited_since bigint
);
CREATE TABLE public.token_end (
    app_id text NOT NULL COLLATE pg_catalog."C",
    whose text NOT NULL COLLATE pg_catalog."C",
    issued_before bigint NOT NULL,
    ends_at bigint NOT NULL
);
ALTER TABLE ONLY public.attempt ATTACH PARTITION public.attempt_20261126 FOR VALUES FROM ('msg_3McYD6bBWxVjQFk3tGDm1OnseNk') TO ('msg_3MwK4ges5IEAMW3nCa4UAjOfmwS');
ALTER TABLE ONLY public.attempt ATTACH PARTITION public.attempt_20261203 FOR VALUES FROM ('msg_3MwK4ges5IEAMW3nCa4UAjOfmwS') TO ('msg_3NG5wGiYdcwbImNWVtvCK3zSvVA');
ALTER TABLE ONLY public.attempt ATTACH PARTITION public.attempt_default DEFAULT;
ALTER TABLE ONLY public.message ATTACH PARTITION public.message_20261126 FOR VALUES FROM ('msg_3McYD6bBWxVjQFk3tGDm1OnseNk') TO ('msg_3MwK4ges5IEAMW3nCa4UAjOfmwS');
ALTER TABLE ONLY public.message ATTACH PARTITION public.message_20261203 FOR VALUES FROM ('msg_3MwK4ges5IEAMW3nCa4UAjOfmwS') TO ('msg_3NG5wGiYdcwbImNWVtvCK3zSvVA');
ALTER TABLE ONLY public.message ATTACH PARTITION public.message_default DEFAULT;
INSERT INTO public.api_key VALUES
	('synthetic', 'synthetic', 'synthetic', 'synthetic', 'synthetic', 1, 'synthetic', 'synthetic', 'synthetic', 1, 1, 1, 1, 1, 1);
INSERT INTO public.application VALUES
	('app_3MntYtWo000T5sxvvqYvNVXYAPl', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', NULL, 'deleted', NULL, '{}', 1795998209860, 1795998209896, 1795998209896, 2, 1795998209896),
	('app_3MntYtJr000q1hG5zzcLLjEKgGK', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'customer-1', 'Zoë', 900, '{"tier": "gold"}', 1795998209832, 1795998209832, NULL, 10, 1795998214696);
INSERT INTO public.attempt_20261126 VALUES
	('msg_3MntYz6i0002k1n27wjkMVCVV5h', 'atmpt_3MntZ1Z5000naLog0zwtOC037Px', 'ep_3MntYu8l000Pkccz8mGVkFAFvMa', 'app_3MntYtJr000q1hG5zzcLLjEKgGK', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:42949/ok', 0, 1, 0, NULL, 200, 38, 'answer', NULL, NULL),
	('msg_3MntYz6i0002k1n27wjkMVCVV5h', 'atmpt_3MntZ1Z5001STX0GSc1XWQ3tyGM', 'ep_3MntYv91000wqe0NjghMYW1utgw', 'app_3MntYtJr000q1hG5zzcLLjEKgGK', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:42949/fail', 2, 1, 0, NULL, 500, 38, 'answer', 1795998212110, NULL),
	('msg_3MntYz6i0002k1n27wjkMVCVV5h', 'atmpt_3MntZ1Z5002KWBoIzRkbIvS0CP2', 'ep_3MntYvfd000wP5e0q4IA9j4qpv0', 'app_3MntYtJr000q1hG5zzcLLjEKgGK', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:42949/gone', 2, 1, 0, 1, 410, 39, 'answer', NULL, NULL),
	('msg_3MntZ01d00005FYtc9JvUt4zCp1', 'atmpt_3MntZ1Z5003kpeXsWNsRGfnQ2qj', 'ep_3MntYvfd000wP5e0q4IA9j4qpv0', 'app_3MntYtJr000q1hG5zzcLLjEKgGK', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:42949/gone', 2, 1, 0, 1, 410, 50, 'answer', NULL, NULL),
	('msg_3MntZ01d00005FYtc9JvUt4zCp1', 'atmpt_3MntZ1Z5004F2mGpPjIIoOUOhLM', 'ep_3MntYu8l000Pkccz8mGVkFAFvMa', 'app_3MntYtJr000q1hG5zzcLLjEKgGK', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:42949/ok', 0, 1, 0, NULL, 200, 58, 'answer', NULL, NULL),
	('msg_3MntZ1IC000pZXXPUzA29gu8Dtv', 'atmpt_3MntZ2bD000dnU87UnOQGuT9SUp', 'ep_3MntYu8l000Pkccz8mGVkFAFvMa', 'app_3MntYtJr000q1hG5zzcLLjEKgGK', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:42949/ok', 0, 1, 0, NULL, 200, 20, 'answer', NULL, NULL),
	('msg_3MntZ1IC000pZXXPUzA29gu8Dtv', 'atmpt_3MntZ2bD0017mXNnn9EMMvbpZ3C', 'ep_3MntYv91000wqe0NjghMYW1utgw', 'app_3MntYtJr000q1hG5zzcLLjEKgGK', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:42949/fail', 2, 1, 0, NULL, 500, 29, 'answer', 1795998211843, NULL),
	('msg_3MntZ1S2000FO66UiXQ3VMRfkUP', 'atmpt_3MntZ3W5000Bi6pxfsH14KgrAO8', 'ep_3MntYvfd000wP5e0q4IA9j4qpv0', 'app_3MntYtJr000q1hG5zzcLLjEKgGK', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:42949/gone', 2, 1, 0, 1, 410, 33, 'answer', NULL, NULL),
	('msg_3MntZ1S2000FO66UiXQ3VMRfkUP', 'atmpt_3MntZ3W5001voQsN2PWNreZ5tR0', 'ep_3MntYv91000wqe0NjghMYW1utgw', 'app_3MntYtJr000q1hG5zzcLLjEKgGK', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:42949/fail', 2, 1, 0, NULL, 500, 33, 'answer', 1795998212280, NULL),
	('msg_3MntZ2KI000mybtiwVjbw4URwv7', 'atmpt_3MntZ3W5002XgpQ2qFNcHRRyc1t', 'ep_3MntYvfd000wP5e0q4IA9j4qpv0', 'app_3MntYtJr000q1hG5zzcLLjEKgGK', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:42949/gone', 2, 1, 0, 1, 410, 48, 'answer', NULL, NULL),
	('msg_3MntZ2KI000mybtiwVjbw4URwv7', 'atmpt_3MntZ3W5003BAkyjLSpZTPwAltI', 'ep_3MntYv91000wqe0NjghMYW1utgw', 'app_3MntYtJr000q1hG5zzcLLjEKgGK', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:42949/fail', 2, 1, 0, NULL, 500, 63, 'answer', 1795998212278, NULL),
	('msg_3MntZ1S2000FO66UiXQ3VMRfkUP', 'atmpt_3MntZ3W5004GR62dJkjwTn77GFy', 'ep_3MntYu8l000Pkccz8mGVkFAFvMa', 'app_3MntYtJr000q1hG5zzcLLjEKgGK', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:42949/ok', 0, 1, 0, NULL, 200, 39, 'answer', NULL, NULL),
	('msg_3MntZ2mU000LNBzMI4HNyM8Ep1B', 'atmpt_3MntZ3W5005dDngd51AgXT0aUHT', 'ep_3MntYv91000wqe0NjghMYW1utgw', 'app_3MntYtJr000q1hG5zzcLLjEKgGK', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:42949/fail', 2, 1, 0, NULL, 500, 63, 'answer', 1795998212180, NULL),
	('msg_3MntZ37R000Y1GweOvjBXl7M5AD', 'atmpt_3MntZ4lI000Ya0ACs9pRPH1gYmb', 'ep_3MntYu8l000Pkccz8mGVkFAFvMa', 'app_3MntYtJr000q1hG5zzcLLjEKgGK', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:42949/ok', 0, 1, 0, NULL, 200, 16, 'answer', NULL, NULL),
	('msg_3MntZ37R000Y1GweOvjBXl7M5AD', 'atmpt_3MntZ4lI001PRTLL0Wz1jRnLU7z', 'ep_3MntYv91000wqe0NjghMYW1utgw', 'app_3MntYtJr000q1hG5zzcLLjEKgGK', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:42949/fail', 2, 1, 0, NULL, 500, 25, 'answer', 1795998212351, NULL),
	('msg_3MntZ01d00005FYtc9JvUt4zCp1', 'atmpt_3MntZ1Z5005I2LVTgJOU7hz8Zkl', 'ep_3MntYv91000wqe0NjghMYW1utgw', 'app_3MntYtJr000q1hG5zzcLLjEKgGK', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:42949/fail', 2, 1, 0, NULL, 500, 1041, 'answer', 1795998212850, NULL),
	('msg_3MntZ1IC000pZXXPUzA29gu8Dtv', 'atmpt_3MntZ9dJ000Z4R4lyfxWBn538bC', 'ep_3MntYv91000wqe0NjghMYW1utgw', 'app_3MntYtJr000q1hG5zzcLLjEKgGK', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:42949/fail', 2, 2, 0, NULL, 500, 5, 'answer', 1796031869548, NULL),
	('msg_3MntYz6i0002k1n27wjkMVCVV5h', 'atmpt_3MntZBdm000K4QRjLKg6wU95QcT', 'ep_3MntYv91000wqe0NjghMYW1utgw', 'app_3MntYtJr000q1hG5zzcLLjEKgGK', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:42949/fail', 2, 2, 0, NULL, 500, 10, 'answer', 1796031470091, NULL),
	('msg_3MntZ2mU000LNBzMI4HNyM8Ep1B', 'atmpt_3MntZ3W50064O1ROFaRpTH7oUvl', 'ep_3MntYu8l000Pkccz8mGVkFAFvMa', 'app_3MntYtJr000q1hG5zzcLLjEKgGK', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:42949/ok', 0, 1, 0, NULL, 200, 1051, 'answer', NULL, NULL),
	('msg_3MntZ2mU000LNBzMI4HNyM8Ep1B', 'atmpt_3MntZ3W5007okUwisbkCujIh57E', 'ep_3MntYvfd000wP5e0q4IA9j4qpv0', 'app_3MntYtJr000q1hG5zzcLLjEKgGK', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:42949/gone', 2, 1, 0, 1, 410, 1064, 'answer', NULL, NULL),
	('msg_3MntZ2KI000mybtiwVjbw4URwv7', 'atmpt_3MntZ3W5008bjiEiJwytNeWBrtZ', 'ep_3MntYu8l000Pkccz8mGVkFAFvMa', 'app_3MntYtJr000q1hG5zzcLLjEKgGK', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:42949/ok', 0, 1, 0, NULL, 200, 1068, 'answer', NULL, NULL),
	('msg_3MntZ2mU000LNBzMI4HNyM8Ep1B', 'atmpt_3MntZCm5000Y0mcR5JdJ3H6esF2', 'ep_3MntYv91000wqe0NjghMYW1utgw', 'app_3MntYtJr000q1hG5zzcLLjEKgGK', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:42949/fail', 2, 2, 0, NULL, 500, 6, 'answer', 1796037913120, NULL),
	('msg_3MntZ2KI000mybtiwVjbw4URwv7', 'atmpt_3MntZDxA000dOAk4l5JrfMTVrWG', 'ep_3MntYv91000wqe0NjghMYW1utgw', 'app_3MntYtJr000q1hG5zzcLLjEKgGK', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:42949/fail', 2, 2, 0, NULL, 500, 13, 'answer', 1796029634049, NULL),
	('msg_3MntZ1S2000FO66UiXQ3VMRfkUP', 'atmpt_3MntZDxA0013qZiREp1bYH84pmR', 'ep_3MntYv91000wqe0NjghMYW1utgw', 'app_3MntYtJr000q1hG5zzcLLjEKgGK', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:42949/fail', 2, 2, 0, NULL, 500, 13, 'answer', 1796041189088, NULL),
	('msg_3MntZ37R000Y1GweOvjBXl7M5AD', 'atmpt_3MntZDxA002YSgjJeC6ZVwFdCuB', 'ep_3MntYv91000wqe0NjghMYW1utgw', 'app_3MntYtJr000q1hG5zzcLLjEKgGK', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:42949/fail', 2, 2, 0, NULL, 500, 13, 'answer', 1796033339852, NULL),
	('msg_3MntZ01d00005FYtc9JvUt4zCp1', 'atmpt_3MntZHa7000bSkjxXkgaaIEDhmh', 'ep_3MntYv91000wqe0NjghMYW1utgw', 'app_3MntYtJr000q1hG5zzcLLjEKgGK', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:42949/fail', 2, 2, 0, NULL, 500, 17, 'answer', 1796039114813, NULL),
	('msg_3MntYz6i0002k1n27wjkMVCVV5h', 'atmpt_3MntZPHR000fuUCtTumQaZgo0fH', 'ep_3MntYu8l000Pkccz8mGVkFAFvMa', 'app_3MntYtJr000q1hG5zzcLLjEKgGK', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:42949/ok', 0, NULL, 1, NULL, 200, 11, 'answer', NULL, 'qtask_3MntZNIU000BTIWnyxYgo4Sc0K8'),
	('msg_3MntZ01d00005FYtc9JvUt4zCp1', 'atmpt_3MntZPJh000RgdTyX9FOdo9Gw80', 'ep_3MntYu8l000Pkccz8mGVkFAFvMa', 'app_3MntYtJr000q1hG5zzcLLjEKgGK', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:42949/ok', 0, NULL, 1, NULL, 200, 17, 'answer', NULL, 'qtask_3MntZNIU000BTIWnyxYgo4Sc0K8'),
	('msg_3MntZ2KI000mybtiwVjbw4URwv7', 'atmpt_3MntZPRq000OgAt9G1S9SqH6orV', 'ep_3MntYu8l000Pkccz8mGVkFAFvMa', 'app_3MntYtJr000q1hG5zzcLLjEKgGK', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:42949/ok', 0, NULL, 1, NULL, 200, 10, 'answer', NULL, 'qtask_3MntZNIU000BTIWnyxYgo4Sc0K8'),
	('msg_3MntZ1IC000pZXXPUzA29gu8Dtv', 'atmpt_3MntZPJh001r0AO4840df1XZILM', 'ep_3MntYu8l000Pkccz8mGVkFAFvMa', 'app_3MntYtJr000q1hG5zzcLLjEKgGK', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:42949/ok', 0, NULL, 1, NULL, 200, 26, 'answer', NULL, 'qtask_3MntZNIU000BTIWnyxYgo4Sc0K8'),
	('msg_3MntZ2mU000LNBzMI4HNyM8Ep1B', 'atmpt_3MntZPVK0004NIbCljl03LRQObj', 'ep_3MntYu8l000Pkccz8mGVkFAFvMa', 'app_3MntYtJr000q1hG5zzcLLjEKgGK', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:42949/ok', 0, NULL, 1, NULL, 200, 12, 'answer', NULL, 'qtask_3MntZNIU000BTIWnyxYgo4Sc0K8'),
	('msg_3MntZ1S2000FO66UiXQ3VMRfkUP', 'atmpt_3MntZPNA000IFLZOzXCRpKcuo33', 'ep_3MntYu8l000Pkccz8mGVkFAFvMa', 'app_3MntYtJr000q1hG5zzcLLjEKgGK', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:42949/ok', 0, NULL, 1, NULL, 200, 27, 'answer', NULL, 'qtask_3MntZNIU000BTIWnyxYgo4Sc0K8'),
	('msg_3MntZ37R000Y1GweOvjBXl7M5AD', 'atmpt_3MntZPVK001H0N4egQQ1hpClOyl', 'ep_3MntYu8l000Pkccz8mGVkFAFvMa', 'app_3MntYtJr000q1hG5zzcLLjEKgGK', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:42949/ok', 0, NULL, 1, NULL, 200, 18, 'answer', NULL, 'qtask_3MntZNIU000BTIWnyxYgo4Sc0K8');
INSERT INTO public.bucket_index VALUES
	('app_3MntYtJr000q1hG5zzcLLjEKgGK', 'c"eu"', '3Mnt'),
	('app_3MntYtJr000q1hG5zzcLLjEKgGK', 'einvoice.paid', '3Mnt'),
	('app_3MntYtJr000q1hG5zzcLLjEKgGK', 't"first"', '3Mnt'),
	('ep_3MntYu8l000Pkccz8mGVkFAFvMa', 'd', '3Mnt3Mnt'),
	('ep_3MntYv91000wqe0NjghMYW1utgw', 'f5', '3Mnt3Mnt'),
	('ep_3MntYvfd000wP5e0q4IA9j4qpv0', 'f4', '3Mnt3Mnt');
INSERT INTO public.delivery VALUES
	('msg_3MntYz6i0002k1n27wjkMVCVV5h', 'ep_3MntYwDc000JqRlMRSno4khQdgi', 'app_3MntYtJr000q1hG5zzcLLjEKgGK', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 0, 1795998210573, 0, NULL, 0, 0, 1944649264781066243, 1795998265707, NULL),
	('msg_3MntZ01d00005FYtc9JvUt4zCp1', 'ep_3MntYwDc000JqRlMRSno4khQdgi', 'app_3MntYtJr000q1hG5zzcLLjEKgGK', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 0, 1795998210695, 0, NULL, 0, 0, 1944649264781066243, 1795998265707, NULL),
	('msg_3MntZ1IC000pZXXPUzA29gu8Dtv', 'ep_3MntYwDc000JqRlMRSno4khQdgi', 'app_3MntYtJr000q1hG5zzcLLjEKgGK', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 0, 1795998210858, 0, NULL, 0, 0, 1944649264781066246, 1795998265915, NULL),
	('msg_3MntZ1S2000FO66UiXQ3VMRfkUP', 'ep_3MntYwDc000JqRlMRSno4khQdgi', 'app_3MntYtJr000q1hG5zzcLLjEKgGK', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 0, 1795998210883, 0, NULL, 0, 0, 1944649264781066250, 1795998266035, NULL),
	('msg_3MntZ2KI000mybtiwVjbw4URwv7', 'ep_3MntYwDc000JqRlMRSno4khQdgi', 'app_3MntYtJr000q1hG5zzcLLjEKgGK', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 0, 1795998210992, 0, NULL, 0, 0, 1944649264781066250, 1795998266035, NULL),
	('msg_3MntZ2mU000LNBzMI4HNyM8Ep1B', 'ep_3MntYwDc000JqRlMRSno4khQdgi', 'app_3MntYtJr000q1hG5zzcLLjEKgGK', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 0, 1795998211029, 0, NULL, 0, 0, 1944649264781066250, 1795998266035, NULL),
	('msg_3MntZ3Tt000acLyFJdx06Sx61Ba', 'ep_3MntYu8l000Pkccz8mGVkFAFvMa', 'app_3MntYtJr000q1hG5zzcLLjEKgGK', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 0, 1796070211109, 0, NULL, 0, 0, NULL, NULL, NULL),
	('msg_3MntZ37R000Y1GweOvjBXl7M5AD', 'ep_3MntYwDc000JqRlMRSno4khQdgi', 'app_3MntYtJr000q1hG5zzcLLjEKgGK', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 0, 1795998211075, 0, NULL, 0, 0, 1944649264781066252, 1795998266152, NULL),
	('msg_3MntZ1IC000pZXXPUzA29gu8Dtv', 'ep_3MntYv91000wqe0NjghMYW1utgw', 'app_3MntYtJr000q1hG5zzcLLjEKgGK', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 0, 1796031869548, 2, NULL, 0, 0, NULL, NULL, NULL),
	('msg_3MntZ2mU000LNBzMI4HNyM8Ep1B', 'ep_3MntYv91000wqe0NjghMYW1utgw', 'app_3MntYtJr000q1hG5zzcLLjEKgGK', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 0, 1796037913120, 2, NULL, 0, 0, NULL, NULL, NULL),
	('msg_3MntZ1S2000FO66UiXQ3VMRfkUP', 'ep_3MntYv91000wqe0NjghMYW1utgw', 'app_3MntYtJr000q1hG5zzcLLjEKgGK', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 0, 1796041189088, 2, NULL, 0, 0, NULL, NULL, NULL),
	('msg_3MntZ2KI000mybtiwVjbw4URwv7', 'ep_3MntYv91000wqe0NjghMYW1utgw', 'app_3MntYtJr000q1hG5zzcLLjEKgGK', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 0, 1796029634049, 2, NULL, 0, 0, NULL, NULL, NULL),
	('msg_3MntZ37R000Y1GweOvjBXl7M5AD', 'ep_3MntYv91000wqe0NjghMYW1utgw', 'app_3MntYtJr000q1hG5zzcLLjEKgGK', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 0, 1796033339852, 2, NULL, 0, 0, NULL, NULL, NULL),
	('msg_3MntZ01d00005FYtc9JvUt4zCp1', 'ep_3MntYv91000wqe0NjghMYW1utgw', 'app_3MntYtJr000q1hG5zzcLLjEKgGK', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 0, 1796039114813, 2, NULL, 0, 0, NULL, NULL, NULL),
	('msg_3MntZ3Tt000acLyFJdx06Sx61Ba', 'ep_3MntYv91000wqe0NjghMYW1utgw', 'app_3MntYtJr000q1hG5zzcLLjEKgGK', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 0, 1796070211109, 0, NULL, 0, 0, NULL, NULL, NULL),
	('msg_3MntZ3Tt000acLyFJdx06Sx61Ba', 'ep_3MntYwDc000JqRlMRSno4khQdgi', 'app_3MntYtJr000q1hG5zzcLLjEKgGK', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 0, 1796070211109, 0, NULL, 0, 0, NULL, NULL, NULL),
	('msg_3MntYz6i0002k1n27wjkMVCVV5h', 'ep_3MntYv91000wqe0NjghMYW1utgw', 'app_3MntYtJr000q1hG5zzcLLjEKgGK', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 0, 1796031470091, 2, NULL, 0, 0, NULL, NULL, NULL),
	('msg_3MntZUER000c1MT9i76XRe3BMF4', 'ep_3MntYu8l000Pkccz8mGVkFAFvMa', 'app_3MntYtJr000q1hG5zzcLLjEKgGK', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 0, 1795998214564, 0, NULL, 0, 0, 1944649264781066260, 1795998269634, 'qtask_3MntZT7y000wDv8VOsgHRcz2CeT'),
	('msg_3MntZUER000c1MT9i76XRe3BMF4', 'ep_3MntYv91000wqe0NjghMYW1utgw', 'app_3MntYtJr000q1hG5zzcLLjEKgGK', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 0, 1795998214564, 0, NULL, 0, 0, 1944649264781066260, 1795998269634, 'qtask_3MntZT7y000wDv8VOsgHRcz2CeT'),
	('msg_3MntZUER000c1MT9i76XRe3BMF4', 'ep_3MntYwDc000JqRlMRSno4khQdgi', 'app_3MntYtJr000q1hG5zzcLLjEKgGK', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 0, 1795998214564, 0, NULL, 0, 0, 1944649264781066260, 1795998269634, 'qtask_3MntZT7y000wDv8VOsgHRcz2CeT');
INSERT INTO public.endpoint VALUES
	('ep_3MntYv91000wqe0NjghMYW1utgw', 'app_3MntYtJr000q1hG5zzcLLjEKgGK', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'fail', 'http://127.0.0.1:42949/fail', 'fail', 1, 0, '["invoice.paid"]', NULL, NULL, '{"kind": "fail"}', '{}', '\x81b4d019ccbce06f838615e59ad93be047e9612a7d288b20fb8b731468ef8b03985d92ee8fb368529875a0cdb95e8dd531a55dc27e2a9d65ea568b4d4fabcc62f6', '[]', 1795998210048, 1795998210048, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('ep_3MntYwDc000JqRlMRSno4khQdgi', 'app_3MntYtJr000q1hG5zzcLLjEKgGK', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'hang', 'http://127.0.0.1:42949/hang', 'hang', 1, 0, '["invoice.paid"]', NULL, NULL, '{"kind": "hang"}', '{}', '\x81165e7f3f89e51fbdf645331843d45222220dd37fcfd380cb968e9aa27a55de9934f8818488e3ae09cb99ee71dd3f7fe71a1b6b1d7f233b81d0332783c3c2d319', '[]', 1795998210192, 1795998210192, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('ep_3MntYu8l000Pkccz8mGVkFAFvMa', 'app_3MntYtJr000q1hG5zzcLLjEKgGK', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'ok', 'http://127.0.0.1:42949/ok', 'ok', 1, 0, '["invoice.paid"]', NULL, 500, '{"kind": "ok"}', 'xchacha20poly1305:eTjl6ErFBSPNnplJkqEi29TFf/+PjwHzWTx/RrYxXWVzCmyYMHc89l/h/2WhEhQ2e/jUlEP64imo2g==', '\x813eb21ac4a6337332c8b9401e8bcd82dd46da3e77ea1b49f59dc1b478e9a8727a7812cc9f056ae82d5e4dca45f69f75eed2a42707934a882fac013c8740129a9f', '[[1796084610256, "gR0OdA0E3nCYABYoDX1XxXw/6MPZI4+TrekKEv7x6JlWEfB9pCeEP3eIS+eh1NcpLS/3AzVeQq10DSzfuI/1jgY="]]', 1795998209940, 1795998210456, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('ep_3MntYvfd000wP5e0q4IA9j4qpv0', 'app_3MntYtJr000q1hG5zzcLLjEKgGK', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', NULL, 'http://127.0.0.1:42949/gone', 'gone', 1, 1, '["invoice.paid"]', NULL, NULL, '{"kind": "gone"}', '{}', '\x8156dc22817def04541f169c01b5e3efe85a8dc4d213e821430aa6dfefde2a4038691e56e92a72b47ce2475be78b52f283ea4c49eab4609071b19d7cf713b84593', '[]', 1795998210120, 1795998214696, 1795998214696, NULL, NULL, NULL, NULL, 1795998210987, 'gone');
INSERT INTO public.endpoint_history VALUES
	('ep_3MntYu8l000Pkccz8mGVkFAFvMa', 2, 1795998209940, '["invoice.paid"]', NULL, 0, NULL, 0),
	('ep_3MntYv91000wqe0NjghMYW1utgw', 3, 1795998210048, '["invoice.paid"]', NULL, 0, NULL, 0),
	('ep_3MntYvfd000wP5e0q4IA9j4qpv0', 4, 1795998210120, '["invoice.paid"]', NULL, 0, NULL, 0),
	('ep_3MntYwDc000JqRlMRSno4khQdgi', 5, 1795998210192, '["invoice.paid"]', NULL, 0, NULL, 0),
	('ep_3MntYvfd000wP5e0q4IA9j4qpv0', 9, 1795998210987, '["invoice.paid"]', NULL, 1, 'gone', 0),
	('ep_3MntYvfd000wP5e0q4IA9j4qpv0', 10, 1795998214696, '["invoice.paid"]', NULL, 1, 'gone', 1);
INSERT INTO public.event_id VALUES
	('app_3MntYtJr000q1hG5zzcLLjEKgGK', 'event-0', 'msg_3MntYz6i0002k1n27wjkMVCVV5h'),
	('app_3MntYtJr000q1hG5zzcLLjEKgGK', 'event-1', 'msg_3MntZ01d00005FYtc9JvUt4zCp1'),
	('app_3MntYtJr000q1hG5zzcLLjEKgGK', 'event-2', 'msg_3MntZ1IC000pZXXPUzA29gu8Dtv'),
	('app_3MntYtJr000q1hG5zzcLLjEKgGK', 'event-3', 'msg_3MntZ1S2000FO66UiXQ3VMRfkUP'),
	('app_3MntYtJr000q1hG5zzcLLjEKgGK', 'event-4', 'msg_3MntZ2KI000mybtiwVjbw4URwv7'),
	('app_3MntYtJr000q1hG5zzcLLjEKgGK', 'event-5', 'msg_3MntZ2mU000LNBzMI4HNyM8Ep1B');
INSERT INTO public.event_type VALUES
	('org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'invoice.paid', 'Paid', 0, 0, '{"1":{"type":"object"}}', NULL, NULL, 1795998209700, 1795998209700),
	('org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'invoice.void', 'Void', 1, 1, NULL, NULL, NULL, 1795998209756, 1795998209808);
INSERT INTO public.export VALUES
	('synthetic', 1, 'synthetic', '\x0102', 1);
INSERT INTO public.idempotency_record VALUES
	('UNw2bdq8NWJXsI3qO7kgRA', 1796041410573, 'msg_3MntYz6i0002k1n27wjkMVCVV5h', NULL, NULL),
	('7thX4Bv0iplLtqLpWvMqhA', 1796041410695, 'msg_3MntZ01d00005FYtc9JvUt4zCp1', NULL, NULL),
	('/MLbxkqVHCzHr+VJATG1xA', 1796041410858, 'msg_3MntZ1IC000pZXXPUzA29gu8Dtv', NULL, NULL),
	('EuWYjtbryDLWIlhqlaQMRA', 1796041410883, 'msg_3MntZ1S2000FO66UiXQ3VMRfkUP', NULL, NULL),
	('ykHBA1eQsWtn1TOk7QBW9Q', 1796041410992, 'msg_3MntZ2KI000mybtiwVjbw4URwv7', NULL, NULL),
	('k1jfAxZft4AOJ3KvNheYwQ', 1796041411029, 'msg_3MntZ2mU000LNBzMI4HNyM8Ep1B', NULL, NULL);
INSERT INTO public.message_20261126 VALUES
	('msg_3MntYz6i0002k1n27wjkMVCVV5h', 'app_3MntYtJr000q1hG5zzcLLjEKgGK', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'invoice.paid', 'event-0', '["eu"]', '["first"]', '\x7b22696e766f696365223a20312c20226e616d65223a20225a6f5c7530306562222c20226e223a20307d', 1798590210573, NULL, NULL),
	('msg_3MntZ01d00005FYtc9JvUt4zCp1', 'app_3MntYtJr000q1hG5zzcLLjEKgGK', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'invoice.paid', 'event-1', '["eu"]', '["first"]', '\x7b22696e766f696365223a20312c20226e616d65223a20225a6f5c7530306562222c20226e223a20317d', 1798590210695, NULL, NULL),
	('msg_3MntZ1IC000pZXXPUzA29gu8Dtv', 'app_3MntYtJr000q1hG5zzcLLjEKgGK', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'invoice.paid', 'event-2', '["eu"]', '["first"]', '\x7b22696e766f696365223a20312c20226e616d65223a20225a6f5c7530306562222c20226e223a20327d', 1798590210858, NULL, NULL),
	('msg_3MntZ1S2000FO66UiXQ3VMRfkUP', 'app_3MntYtJr000q1hG5zzcLLjEKgGK', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'invoice.paid', 'event-3', '["eu"]', '["first"]', '\x7b22696e766f696365223a20312c20226e616d65223a20225a6f5c7530306562222c20226e223a20337d', 1798590210883, NULL, NULL),
	('msg_3MntZ2KI000mybtiwVjbw4URwv7', 'app_3MntYtJr000q1hG5zzcLLjEKgGK', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'invoice.paid', 'event-4', '["eu"]', '["first"]', '\x7b22696e766f696365223a20312c20226e616d65223a20225a6f5c7530306562222c20226e223a20347d', 1798590210992, NULL, NULL),
	('msg_3MntZ2mU000LNBzMI4HNyM8Ep1B', 'app_3MntYtJr000q1hG5zzcLLjEKgGK', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'invoice.paid', 'event-5', '["eu"]', '["first"]', '\x7b22696e766f696365223a20312c20226e616d65223a20225a6f5c7530306562222c20226e223a20357d', 1798590211029, NULL, NULL),
	('msg_3MntZ37R000Y1GweOvjBXl7M5AD', 'app_3MntYtJr000q1hG5zzcLLjEKgGK', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'invoice.paid', NULL, NULL, NULL, '\x612c620a312c32', NULL, NULL, 1),
	('msg_3MntZ3Tt000acLyFJdx06Sx61Ba', 'app_3MntYtJr000q1hG5zzcLLjEKgGK', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'invoice.paid', NULL, NULL, NULL, '\x7b22696e766f696365223a20312c20226e616d65223a20225a6f5c7530306562227d', NULL, 1796070211109, NULL),
	('msg_3MntZUER000c1MT9i76XRe3BMF4', 'app_3MntYtJr000q1hG5zzcLLjEKgGK', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'invoice.paid', NULL, NULL, NULL, '\x7b22696e766f696365223a20312c20226e616d65223a20225a6f5c7530306562222c202274657874223a20227878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878227d', NULL, NULL, NULL);
INSERT INTO public.node VALUES
	(905547880, 'vm:24816:35f99068', '0.1.0');
INSERT INTO public.operational_event VALUES
	('msg_3MntYurP000VbMO5XNK6q11tylk', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'endpoint.created', '{"data":{"appId":"app_3MntYtJr000q1hG5zzcLLjEKgGK","appUid":"customer-1","endpointId":"ep_3MntYu8l000Pkccz8mGVkFAFvMa","endpointUid":"ok"},"type":"endpoint.created"}'),
	('msg_3MntYvSi000DzGsOu683zhkoQvj', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'endpoint.created', '{"data":{"appId":"app_3MntYtJr000q1hG5zzcLLjEKgGK","appUid":"customer-1","endpointId":"ep_3MntYv91000wqe0NjghMYW1utgw","endpointUid":"fail"},"type":"endpoint.created"}'),
	('msg_3MntYvsH000ieNcjuxUvp2eQ1Vp', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'endpoint.created', '{"data":{"appId":"app_3MntYtJr000q1hG5zzcLLjEKgGK","appUid":"customer-1","endpointId":"ep_3MntYvfd000wP5e0q4IA9j4qpv0","endpointUid":"gone"},"type":"endpoint.created"}'),
	('msg_3MntYwXZ000SToJvSJwEoNFJII9', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'endpoint.created', '{"data":{"appId":"app_3MntYtJr000q1hG5zzcLLjEKgGK","appUid":"customer-1","endpointId":"ep_3MntYwDc000JqRlMRSno4khQdgi","endpointUid":"hang"},"type":"endpoint.created"}'),
	('msg_3MntYx9O0004gmPQcZj4Dg7tAXF', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'endpoint.updated', '{"data":{"appId":"app_3MntYtJr000q1hG5zzcLLjEKgGK","appUid":"customer-1","endpointId":"ep_3MntYu8l000Pkccz8mGVkFAFvMa","endpointUid":"ok"},"type":"endpoint.updated"}'),
	('msg_3MntYyNw000tZMSM1ygbXB8AuQc', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'endpoint.updated', '{"data":{"appId":"app_3MntYtJr000q1hG5zzcLLjEKgGK","appUid":"customer-1","endpointId":"ep_3MntYu8l000Pkccz8mGVkFAFvMa","endpointUid":"ok"},"type":"endpoint.updated"}'),
	('msg_3MntZ2Go0004uga9tUPfrBqHezs', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'message.attempt.exhausted', '{"data":{"appId":"app_3MntYtJr000q1hG5zzcLLjEKgGK","appUid":"customer-1","endpointId":"ep_3MntYvfd000wP5e0q4IA9j4qpv0","lastAttempt":{"id":"atmpt_3MntZ1Z5002KWBoIzRkbIvS0CP2","responseStatusCode":410,"timestamp":"2026-11-30T00:23:30.892Z"},"msgEventId":"event-0","msgId":"msg_3MntYz6i0002k1n27wjkMVCVV5h"},"type":"message.attempt.exhausted"}'),
	('msg_3MntZ2Go001ggvc70PfHj6CY0qD', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'message.attempt.exhausted', '{"data":{"appId":"app_3MntYtJr000q1hG5zzcLLjEKgGK","appUid":"customer-1","endpointId":"ep_3MntYvfd000wP5e0q4IA9j4qpv0","lastAttempt":{"id":"atmpt_3MntZ1Z5003kpeXsWNsRGfnQ2qj","responseStatusCode":410,"timestamp":"2026-11-30T00:23:30.892Z"},"msgEventId":"event-1","msgId":"msg_3MntZ01d00005FYtc9JvUt4zCp1"},"type":"message.attempt.exhausted"}'),
	('msg_3MntZ2Go002xwAg4HnYpuXfLhAv', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'endpoint.disabled', '{"data":{"appId":"app_3MntYtJr000q1hG5zzcLLjEKgGK","appUid":"customer-1","endpointId":"ep_3MntYvfd000wP5e0q4IA9j4qpv0","endpointUid":"gone","failSince":null,"trigger":"automatic"},"type":"endpoint.disabled"}'),
	('msg_3MntZ4OS000LWnD1IbK3JqJQfqs', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'message.attempt.exhausted', '{"data":{"appId":"app_3MntYtJr000q1hG5zzcLLjEKgGK","appUid":"customer-1","endpointId":"ep_3MntYvfd000wP5e0q4IA9j4qpv0","lastAttempt":{"id":"atmpt_3MntZ3W5000Bi6pxfsH14KgrAO8","responseStatusCode":410,"timestamp":"2026-11-30T00:23:31.124Z"},"msgEventId":"event-3","msgId":"msg_3MntZ1S2000FO66UiXQ3VMRfkUP"},"type":"message.attempt.exhausted"}'),
	('msg_3MntZ4OS001frrskbzgk50J4aPO', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'message.attempt.exhausted', '{"data":{"appId":"app_3MntYtJr000q1hG5zzcLLjEKgGK","appUid":"customer-1","endpointId":"ep_3MntYvfd000wP5e0q4IA9j4qpv0","lastAttempt":{"id":"atmpt_3MntZ3W5002XgpQ2qFNcHRRyc1t","responseStatusCode":410,"timestamp":"2026-11-30T00:23:31.124Z"},"msgEventId":"event-4","msgId":"msg_3MntZ2KI000mybtiwVjbw4URwv7"},"type":"message.attempt.exhausted"}'),
	('msg_3MntZC2Y0006mPFhlM9i5oe12Lq', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'message.attempt.exhausted', '{"data":{"appId":"app_3MntYtJr000q1hG5zzcLLjEKgGK","appUid":"customer-1","endpointId":"ep_3MntYvfd000wP5e0q4IA9j4qpv0","lastAttempt":{"id":"atmpt_3MntZ3W5007okUwisbkCujIh57E","responseStatusCode":410,"timestamp":"2026-11-30T00:23:31.124Z"},"msgEventId":"event-5","msgId":"msg_3MntZ2mU000LNBzMI4HNyM8Ep1B"},"type":"message.attempt.exhausted"}'),
	('msg_3MntZKfw000vHkVXFbLNoUK8Kin', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'background_task.finished', '{"data":{"data":{"endp_id":"ep_3MntYu8l000Pkccz8mGVkFAFvMa","messages_sent":0,"since":"2026-11-29T23:23:33.044Z","until":null},"status":"finished","task":"endpoint.recover","taskId":"qtask_3MntZIjn000OqgRGviqF3kUOS00"},"type":"background_task.finished"}'),
	('msg_3MntZMTS00060YaTiDp41PtfW86', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'background_task.finished', '{"data":{"data":{"endp_id":"ep_3MntYu8l000Pkccz8mGVkFAFvMa","messages_sent":0,"since":"2026-11-29T23:23:33.044Z","until":null},"status":"finished","task":"endpoint.replay","taskId":"qtask_3MntZL4C000mBN76rrpuiRi75I7"},"type":"background_task.finished"}'),
	('msg_3MntZOjL0001nBxQfSMQdOMGHEn', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'background_task.finished', '{"data":{"data":{"endp_id":"ep_3MntYu8l000Pkccz8mGVkFAFvMa","messages_sent":7,"since":"2026-11-29T23:23:33.044Z","until":null},"status":"finished","task":"endpoint.bulk-replay","taskId":"qtask_3MntZNIU000BTIWnyxYgo4Sc0K8"},"type":"background_task.finished"}'),
	('msg_3MntZR66000ryXV7SrMfaMWOs2G', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'background_task.finished', '{"data":{"data":{"app_stats":[{"appId":"app_3MntYtJr000q1hG5zzcLLjEKgGK","appUid":"customer-1","messageDestinations":26}]},"status":"finished","task":"application.stats","taskId":"qtask_3MntZPwZ000zf6y9B4EcQQp9805"},"type":"background_task.finished"}'),
	('msg_3MntZSI3000D8djGSSoHpvdf6ym', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'background_task.finished', '{"data":{"data":{"event_types":[{"appId":"app_3MntYtJr000q1hG5zzcLLjEKgGK","explicitlySubscribedEventTypes":["invoice.paid"],"hasCatchAllEndpoint":false}]},"status":"finished","task":"event-type.aggregate","taskId":"qtask_3MntZRSG000XA4aJTSPNTO2mT4m"},"type":"background_task.finished"}'),
	('msg_3MntZUbf000YFqDMR8sLVTGs3b3', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'background_task.finished', '{"data":{"data":{"messages_created":[{"appId":"app_3MntYtJr000q1hG5zzcLLjEKgGK","msgId":"msg_3MntZUER000c1MT9i76XRe3BMF4"}],"messages_failed":[]},"status":"finished","task":"message.broadcast","taskId":"qtask_3MntZT7y000wDv8VOsgHRcz2CeT"},"type":"background_task.finished"}'),
	('msg_3MntZVVN000vYzTgnED9n7G2O6Z', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'endpoint.deleted', '{"data":{"appId":"app_3MntYtJr000q1hG5zzcLLjEKgGK","appUid":"customer-1","endpointId":"ep_3MntYvfd000wP5e0q4IA9j4qpv0","endpointUid":"gone"},"type":"endpoint.deleted"}');
INSERT INTO public.schema_migration VALUES
	(1, 'initial', '77bd108cf91411c2c9f0b8e97f7266189f9074c5e0c76eb53970a8dabbf263dc', '0.1.0');
INSERT INTO public.setting VALUES
	('main_secret_proof', 'z/fU+kmdZR4rVENLVUnOISm6mJB54rVS2EmX2fxryPISftgqvaLX0QLXdl+Uw5Sl77lD'),
	('heartbeat:8', '1795998213990');
INSERT INTO public.task VALUES
	('qtask_3MntZIjn000OqgRGviqF3kUOS00', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'app_3MntYtJr000q1hG5zzcLLjEKgGK', 'app_3MntYtJr000q1hG5zzcLLjEKgGK', 'endpoint.recover', '{"endpoint_id":"ep_3MntYu8l000Pkccz8mGVkFAFvMa","since":1795994613044,"until":null,"high_water_mark":null,"force":false}', 1, 'succeeded', 'finished', 0, 0, 0, 1, NULL, NULL, '["atmpt_3MntZ4lI000Ya0ACs9pRPH1gYmb0","atmpt_3MnmGtWPEu5ljnMsRgvdzwblgOm","atmpt_3MntZ4lI000Ya0ACs9pRPH1gYmb0"]', 7, 0, 7, 1, 120, 206.46568529936192, 34, 1, 0, NULL, '{"messagesSent": 0}', 'endpoint:ep_3MntYu8l000Pkccz8mGVkFAFvMa', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 775, NULL, 1795998213080, 1795998213138, 1795998213321, 1795998213321),
	('qtask_3MntZPwZ000zf6y9B4EcQQp9805', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', NULL, 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'application.stats', '{"since":1795994613044,"until":1795998213044,"app_ids":null,"high_water_mark":null}', 1, 'succeeded', 'finished', 0, 0, 0, 1, NULL, NULL, '{"after":"app_3MntYtJr000q1hG5zzcLLjEKgGK","last":"app_3MntYtWo000T5sxvvqYvNVXYAPl","app":"","uid":null,"endpoint":"","first":"","counted":0}', 1, 0, 1, 1, 120, 56.29457193201094, 18, 1, 0, NULL, '{}', NULL, 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 791, NULL, 1795998214003, 1795998214052, 1795998214151, 1795998214151),
	('qtask_3MntZL4C000mBN76rrpuiRi75I7', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'app_3MntYtJr000q1hG5zzcLLjEKgGK', 'app_3MntYtJr000q1hG5zzcLLjEKgGK', 'endpoint.replay', '{"endpoint_id":"ep_3MntYu8l000Pkccz8mGVkFAFvMa","since":1795994613044,"until":null,"high_water_mark":null,"force":false}', 1, 'succeeded', 'finished', 0, 0, 0, 1, NULL, NULL, '["msg_3MntZ3Tt000acLyFJdx06Sx61Ba0","msg_3MnmGtWPEu5ljnMsRgvdzwblgOm","msg_3MntZ3Tt000acLyFJdx06Sx61Ba0"]', 8, 0, 8, 1, 120, 121.59072710223464, 66, 1, 0, NULL, '{"messagesSent": 0}', 'endpoint:ep_3MntYu8l000Pkccz8mGVkFAFvMa', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 779, NULL, 1795998213384, 1795998213411, 1795998213567, 1795998213567),
	('qtask_3MntZRSG000XA4aJTSPNTO2mT4m', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', NULL, 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'event-type.aggregate', '{"high_water_mark":null}', 1, 'succeeded', 'finished', 0, 0, 0, 1, NULL, NULL, '{"after":"app_3MntYtJr000q1hG5zzcLLjEKgGK","last":"app_3MntYtWo000T5sxvvqYvNVXYAPl","app":"","uid":null,"endpoint":"","first":"","counted":0}', 1, 0, 1, 1, 120, 41.62036227881449, 24, 1, 0, NULL, '{}', NULL, 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 795, NULL, 1795998214201, 1795998214221, 1795998214306, 1795998214306),
	('qtask_3MntZNIU000BTIWnyxYgo4Sc0K8', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'app_3MntYtJr000q1hG5zzcLLjEKgGK', 'app_3MntYtJr000q1hG5zzcLLjEKgGK', 'endpoint.bulk-replay', '{"endpoint_id":"ep_3MntYu8l000Pkccz8mGVkFAFvMa","since":1795994613044,"until":null,"high_water_mark":null,"force":false,"filters":{"messages":{"event_types":[],"channel":null,"tag":null},"status":null,"code_class":null}}', 1, 'succeeded', 'finished', 0, 0, 0, 1, NULL, NULL, '["msg_3MntZ3Tt000acLyFJdx06Sx61Ba0","msg_3MnmGtWPEu5ljnMsRgvdzwblgOm","msg_3MntZ3Tt000acLyFJdx06Sx61Ba0"]', 8, 0, 8, 1, 120, 181.63146054726172, 44, 1, 0, NULL, '{"messagesSent": 7}', 'endpoint:ep_3MntYu8l000Pkccz8mGVkFAFvMa', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 783, NULL, 1795998213676, 1795998213708, 1795998213859, 1795998213859),
	('qtask_3MntZT7y000wDv8VOsgHRcz2CeT', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', NULL, 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'message.broadcast', '{"event_type":"invoice.paid","event_id":null,"channels":null,"retention_ms":7776000000,"high_water_mark":null}', 1, 'succeeded', 'finished', 0, 0, 0, 1, NULL, NULL, '["app_3MntYtJr000q1hG5zzcLLjEKgGK","","app_3MntYtWo000T5sxvvqYvNVXYAPl"]', 1, 0, 1, 1, 120, 15.09477663063588, 66, 1, 0, NULL, '{}', NULL, 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 799, NULL, 1795998214422, 1795998214488, 1795998214615, 1795998214615);
INSERT INTO public.task_event VALUES
	('qtask_3MntZIjn000OqgRGviqF3kUOS00', 1, 1795998213080, 'created', NULL),
	('qtask_3MntZIjn000OqgRGviqF3kUOS00', 2, 1795998213321, 'succeeded', NULL),
	('qtask_3MntZL4C000mBN76rrpuiRi75I7', 1, 1795998213384, 'created', NULL),
	('qtask_3MntZL4C000mBN76rrpuiRi75I7', 2, 1795998213567, 'succeeded', NULL),
	('qtask_3MntZNIU000BTIWnyxYgo4Sc0K8', 1, 1795998213676, 'created', NULL),
	('qtask_3MntZNIU000BTIWnyxYgo4Sc0K8', 2, 1795998213859, 'succeeded', NULL),
	('qtask_3MntZPwZ000zf6y9B4EcQQp9805', 1, 1795998214003, 'created', NULL),
	('qtask_3MntZPwZ000zf6y9B4EcQQp9805', 2, 1795998214151, 'succeeded', NULL),
	('qtask_3MntZRSG000XA4aJTSPNTO2mT4m', 1, 1795998214201, 'created', NULL),
	('qtask_3MntZRSG000XA4aJTSPNTO2mT4m', 2, 1795998214306, 'succeeded', NULL),
	('qtask_3MntZT7y000wDv8VOsgHRcz2CeT', 1, 1795998214422, 'created', NULL),
	('qtask_3MntZT7y000wDv8VOsgHRcz2CeT', 2, 1795998214615, 'succeeded', NULL);
INSERT INTO public.task_input VALUES
	('qtask_3MntZT7y000wDv8VOsgHRcz2CeT', '\x7b22696e766f696365223a20312c20226e616d65223a20225a6f5c7530306562222c202274657874223a20227878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878227d');
INSERT INTO public.task_item VALUES
	('qtask_3MntZPwZ000zf6y9B4EcQQp9805', 'app_3MntYtJr000q1hG5zzcLLjEKgGK', 'counted', '{"messageDestinations": 26, "appId": "app_3MntYtJr000q1hG5zzcLLjEKgGK", "appUid": "customer-1"}'),
	('qtask_3MntZRSG000XA4aJTSPNTO2mT4m', 'app_3MntYtJr000q1hG5zzcLLjEKgGK', 'aggregated', '{"appId": "app_3MntYtJr000q1hG5zzcLLjEKgGK", "explicitlySubscribedEventTypes": ["invoice.paid"], "hasCatchAllEndpoint": false}'),
	('qtask_3MntZT7y000wDv8VOsgHRcz2CeT', 'app_3MntYtJr000q1hG5zzcLLjEKgGK', 'created', '{"appId": "app_3MntYtJr000q1hG5zzcLLjEKgGK", "msgId": "msg_3MntZUER000c1MT9i76XRe3BMF4"}');
INSERT INTO public.throttle VALUES
	('app_3MntYtJr000q1hG5zzcLLjEKgGK', 1795998214655542, NULL),
	('ep_3MntYu8l000Pkccz8mGVkFAFvMa', 1795998214654175, NULL);
INSERT INTO public.token_end VALUES
	('app_3MntYtJr000q1hG5zzcLLjEKgGK', 'token:490c615997dae7d27296968293a0464a', 4611686018427387904, 1795998211207);
ALTER TABLE ONLY public.api_key
    ADD CONSTRAINT api_key_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.application
    ADD CONSTRAINT application_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.attempt
    ADD CONSTRAINT attempt_pkey PRIMARY KEY (msg_id, endpoint_id, id);
ALTER TABLE ONLY public.attempt_20261126
    ADD CONSTRAINT attempt_20261126_pkey PRIMARY KEY (msg_id, endpoint_id, id);
ALTER TABLE ONLY public.attempt_20261203
    ADD CONSTRAINT attempt_20261203_pkey PRIMARY KEY (msg_id, endpoint_id, id);
ALTER TABLE ONLY public.attempt_default
    ADD CONSTRAINT attempt_default_pkey PRIMARY KEY (msg_id, endpoint_id, id);
ALTER TABLE ONLY public.delivery
    ADD CONSTRAINT delivery_pkey PRIMARY KEY (msg_id, endpoint_id);
ALTER TABLE ONLY public.endpoint_history
    ADD CONSTRAINT endpoint_history_pkey PRIMARY KEY (endpoint_id, routing_version);
ALTER TABLE ONLY public.endpoint
    ADD CONSTRAINT endpoint_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.event_id
    ADD CONSTRAINT event_id_pkey PRIMARY KEY (app_id, event_id);
ALTER TABLE ONLY public.event_type
    ADD CONSTRAINT event_type_pkey PRIMARY KEY (org_id, name);
ALTER TABLE ONLY public.export
    ADD CONSTRAINT export_pkey PRIMARY KEY (id, part);
ALTER TABLE ONLY public.idempotency_record
    ADD CONSTRAINT idempotency_record_pkey PRIMARY KEY (key);
ALTER TABLE ONLY public.message
    ADD CONSTRAINT message_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.message_20261126
    ADD CONSTRAINT message_20261126_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.message_20261203
    ADD CONSTRAINT message_20261203_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.message_default
    ADD CONSTRAINT message_default_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.node
    ADD CONSTRAINT node_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.operational_event
    ADD CONSTRAINT operational_event_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.schema_migration
    ADD CONSTRAINT schema_migration_pkey PRIMARY KEY (version);
ALTER TABLE ONLY public.setting
    ADD CONSTRAINT setting_pkey PRIMARY KEY (name);
ALTER TABLE ONLY public.task_event
    ADD CONSTRAINT task_event_pkey PRIMARY KEY (task_id, seq);
ALTER TABLE ONLY public.task_input
    ADD CONSTRAINT task_input_pkey PRIMARY KEY (task_id);
ALTER TABLE ONLY public.task_item
    ADD CONSTRAINT task_item_pkey PRIMARY KEY (task_id, key);
ALTER TABLE ONLY public.task
    ADD CONSTRAINT task_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.throttle
    ADD CONSTRAINT throttle_pkey PRIMARY KEY (key);
ALTER TABLE ONLY public.token_end
    ADD CONSTRAINT token_end_pkey PRIMARY KEY (app_id, whose, issued_before);
CREATE INDEX api_key_changed ON public.api_key USING btree (changed_at) WHERE (changed_at IS NOT NULL);
CREATE INDEX api_key_expiry ON public.api_key USING btree (expires_at) WHERE (expires_at IS NOT NULL);
CREATE UNIQUE INDEX api_key_hash ON public.api_key USING btree (hash);
CREATE INDEX api_key_org ON public.api_key USING btree (org_id, id);
CREATE INDEX application_org ON public.application USING btree (org_id, id);
CREATE INDEX application_routed ON public.application USING btree (routed_at);
CREATE UNIQUE INDEX application_uid ON public.application USING btree (org_id, uid) WHERE (uid IS NOT NULL);
CREATE INDEX attempt_failed ON ONLY public.attempt USING btree (endpoint_id, id) WHERE (status = 2);
CREATE INDEX attempt_20261126_endpoint_id_id_idx ON public.attempt_20261126 USING btree (endpoint_id, id) WHERE (status = 2);
CREATE INDEX attempt_endpoint ON ONLY public.attempt USING btree (endpoint_id, id, status, response_status_code);
CREATE INDEX attempt_20261126_endpoint_id_id_status_response_status_code_idx ON public.attempt_20261126 USING btree (endpoint_id, id, status, response_status_code);
CREATE INDEX attempt_ended ON ONLY public.attempt USING btree (endpoint_id, msg_id) WHERE (ended > 0);
CREATE INDEX attempt_20261126_endpoint_id_msg_id_idx ON public.attempt_20261126 USING btree (endpoint_id, msg_id) WHERE (ended > 0);
CREATE INDEX attempt_task ON ONLY public.attempt USING btree (task_id, status, msg_id, endpoint_id) WHERE (task_id IS NOT NULL);
CREATE INDEX attempt_20261126_task_id_status_msg_id_endpoint_id_idx ON public.attempt_20261126 USING btree (task_id, status, msg_id, endpoint_id) WHERE (task_id IS NOT NULL);
CREATE INDEX attempt_20261203_endpoint_id_id_idx ON public.attempt_20261203 USING btree (endpoint_id, id) WHERE (status = 2);
CREATE INDEX attempt_20261203_endpoint_id_id_status_response_status_code_idx ON public.attempt_20261203 USING btree (endpoint_id, id, status, response_status_code);
CREATE INDEX attempt_20261203_endpoint_id_msg_id_idx ON public.attempt_20261203 USING btree (endpoint_id, msg_id) WHERE (ended > 0);
CREATE INDEX attempt_20261203_task_id_status_msg_id_endpoint_id_idx ON public.attempt_20261203 USING btree (task_id, status, msg_id, endpoint_id) WHERE (task_id IS NOT NULL);
CREATE INDEX attempt_default_endpoint_id_id_idx ON public.attempt_default USING btree (endpoint_id, id) WHERE (status = 2);
CREATE INDEX attempt_default_endpoint_id_id_status_response_status_code_idx ON public.attempt_default USING btree (endpoint_id, id, status, response_status_code);
CREATE INDEX attempt_default_endpoint_id_msg_id_idx ON public.attempt_default USING btree (endpoint_id, msg_id) WHERE (ended > 0);
CREATE INDEX attempt_default_task_id_status_msg_id_endpoint_id_idx ON public.attempt_default USING btree (task_id, status, msg_id, endpoint_id) WHERE (task_id IS NOT NULL);
CREATE INDEX bucket_index_owner ON public.bucket_index USING btree (owner, name, bucket);
CREATE INDEX delivery_due ON public.delivery USING btree (endpoint_id, lane, due_at) WHERE (lease IS NULL);
CREATE INDEX delivery_lease_expiry ON public.delivery USING btree (lease_until) WHERE (lease IS NOT NULL);
CREATE INDEX delivery_next ON public.delivery USING btree (due_at) WHERE (lease IS NULL);
CREATE INDEX delivery_task ON public.delivery USING btree (task_id, msg_id, endpoint_id) WHERE (task_id IS NOT NULL);
CREATE INDEX endpoint_app ON public.endpoint USING btree (app_id, id);
CREATE INDEX endpoint_org ON public.endpoint USING btree (org_id, id) WHERE (deleted_at IS NULL);
CREATE UNIQUE INDEX endpoint_uid ON public.endpoint USING btree (app_id, uid) WHERE (uid IS NOT NULL);
CREATE INDEX endpoint_unhealthy ON public.endpoint USING btree (org_id, disabled, disabled_at, disabled_reason, unreachable_since, failing_since, id) WHERE ((deleted_at IS NULL) AND ((disabled = 1) OR (failing_since IS NOT NULL) OR (unreachable_since IS NOT NULL)));
CREATE INDEX export_expiry ON public.export USING btree (expires_at);
CREATE INDEX idempotency_record_expiry ON public.idempotency_record USING brin (expires_at) WITH (pages_per_range='32');
CREATE INDEX message_app ON ONLY public.message USING btree (app_id, id, event_type, channels, tags);
CREATE INDEX message_20261126_app_id_id_event_type_channels_tags_idx ON public.message_20261126 USING btree (app_id, id, event_type, channels, tags);
CREATE INDEX message_expiry ON ONLY public.message USING btree (expires_at) WHERE ((expires_at IS NOT NULL) AND (payload IS NOT NULL));
CREATE INDEX message_20261126_expires_at_idx ON public.message_20261126 USING btree (expires_at) WHERE ((expires_at IS NOT NULL) AND (payload IS NOT NULL));
CREATE INDEX message_20261203_app_id_id_event_type_channels_tags_idx ON public.message_20261203 USING btree (app_id, id, event_type, channels, tags);
CREATE INDEX message_20261203_expires_at_idx ON public.message_20261203 USING btree (expires_at) WHERE ((expires_at IS NOT NULL) AND (payload IS NOT NULL));
CREATE INDEX message_default_app_id_id_event_type_channels_tags_idx ON public.message_default USING btree (app_id, id, event_type, channels, tags);
CREATE INDEX message_default_expires_at_idx ON public.message_default USING btree (expires_at) WHERE ((expires_at IS NOT NULL) AND (payload IS NOT NULL));
CREATE INDEX task_active ON public.task USING btree (tenant) WHERE (state = ANY (ARRAY['paused'::text, 'queued'::text, 'running'::text]));
CREATE INDEX task_app ON public.task USING btree (app_id, wire_status, id);
CREATE INDEX task_app_kind ON public.task USING btree (app_id, kind, wire_status, id);
CREATE INDEX task_fair_round ON public.task USING btree (tenant, priority, fair_round) WHERE (state = 'queued'::text);
CREATE INDEX task_finished ON public.task USING btree (finished_at) WHERE (finished_at IS NOT NULL);
CREATE INDEX task_item_outcome ON public.task_item USING btree (task_id, outcome, key);
CREATE UNIQUE INDEX task_lock ON public.task USING btree (lock_key) WHERE (state = 'running'::text);
CREATE INDEX task_next ON public.task USING btree (ready_at) WHERE (state = 'queued'::text);
CREATE INDEX task_org ON public.task USING btree (org_id, wire_status, id);
CREATE INDEX task_org_kind ON public.task USING btree (org_id, kind, wire_status, id);
CREATE INDEX task_ready ON public.task USING btree (priority DESC, fair_round, id) WHERE (state = 'queued'::text);
CREATE INDEX task_running ON public.task USING btree (tenant) WHERE (state = 'running'::text);
CREATE INDEX throttle_limited ON public.throttle USING btree (key) WHERE (limited_since IS NOT NULL);
ALTER INDEX public.attempt_failed ATTACH PARTITION public.attempt_20261126_endpoint_id_id_idx;
ALTER INDEX public.attempt_endpoint ATTACH PARTITION public.attempt_20261126_endpoint_id_id_status_response_status_code_idx;
ALTER INDEX public.attempt_ended ATTACH PARTITION public.attempt_20261126_endpoint_id_msg_id_idx;
ALTER INDEX public.attempt_pkey ATTACH PARTITION public.attempt_20261126_pkey;
ALTER INDEX public.attempt_task ATTACH PARTITION public.attempt_20261126_task_id_status_msg_id_endpoint_id_idx;
ALTER INDEX public.attempt_failed ATTACH PARTITION public.attempt_20261203_endpoint_id_id_idx;
ALTER INDEX public.attempt_endpoint ATTACH PARTITION public.attempt_20261203_endpoint_id_id_status_response_status_code_idx;
ALTER INDEX public.attempt_ended ATTACH PARTITION public.attempt_20261203_endpoint_id_msg_id_idx;
ALTER INDEX public.attempt_pkey ATTACH PARTITION public.attempt_20261203_pkey;
ALTER INDEX public.attempt_task ATTACH PARTITION public.attempt_20261203_task_id_status_msg_id_endpoint_id_idx;
ALTER INDEX public.attempt_failed ATTACH PARTITION public.attempt_default_endpoint_id_id_idx;
ALTER INDEX public.attempt_endpoint ATTACH PARTITION public.attempt_default_endpoint_id_id_status_response_status_code_idx;
ALTER INDEX public.attempt_ended ATTACH PARTITION public.attempt_default_endpoint_id_msg_id_idx;
ALTER INDEX public.attempt_pkey ATTACH PARTITION public.attempt_default_pkey;
ALTER INDEX public.attempt_task ATTACH PARTITION public.attempt_default_task_id_status_msg_id_endpoint_id_idx;
ALTER INDEX public.message_app ATTACH PARTITION public.message_20261126_app_id_id_event_type_channels_tags_idx;
ALTER INDEX public.message_expiry ATTACH PARTITION public.message_20261126_expires_at_idx;
ALTER INDEX public.message_pkey ATTACH PARTITION public.message_20261126_pkey;
ALTER INDEX public.message_app ATTACH PARTITION public.message_20261203_app_id_id_event_type_channels_tags_idx;
ALTER INDEX public.message_expiry ATTACH PARTITION public.message_20261203_expires_at_idx;
ALTER INDEX public.message_pkey ATTACH PARTITION public.message_20261203_pkey;
ALTER INDEX public.message_app ATTACH PARTITION public.message_default_app_id_id_event_type_channels_tags_idx;
ALTER INDEX public.message_expiry ATTACH PARTITION public.message_default_expires_at_idx;
ALTER INDEX public.message_pkey ATTACH PARTITION public.message_default_pkey;
