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
    WHERE msg_id = message AND endpoint_id = endpoint AND coalesce(lease, 0) = held AND again < 2;
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
	('app_3MnzGWYM000JCn64TFQQ6vc8kJn', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', NULL, 'deleted', NULL, '{}', 1796001023876, 1796001023884, 1796001023884, 2, 1796001023884),
	('app_3MnzGWWR000i22smXaf4cG4Z6Li', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'customer-1', 'Zoë', 900, '{"tier": "gold"}', 1796001023872, 1796001023872, NULL, 10, 1796001026940);
INSERT INTO public.attempt_20261126 VALUES
	('msg_3MnzGXhZ0001SDxb108vN6DDfjP', 'atmpt_3MnzGYA7000iHSFEFyL7QbIcQXe', 'ep_3MnzGWga000vf2aC1b9hrlGw5UC', 'app_3MnzGWWR000i22smXaf4cG4Z6Li', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:43397/ok', 0, 1, 0, NULL, 200, 7, 'answer', NULL, NULL),
	('msg_3MnzGXhZ0001SDxb108vN6DDfjP', 'atmpt_3MnzGYA7001vqMEgB4tTthbqUxZ', 'ep_3MnzGWts000RMRU8MljZJTSvCVM', 'app_3MnzGWWR000i22smXaf4cG4Z6Li', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:43397/fail', 2, 1, 0, NULL, 500, 7, 'answer', 1796001025000, NULL),
	('msg_3MnzGXhZ0001SDxb108vN6DDfjP', 'atmpt_3MnzGYA7002eR0GC3IBNHCx958N', 'ep_3MnzGWzO000I3kHpCF22xeK38xT', 'app_3MnzGWWR000i22smXaf4cG4Z6Li', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:43397/gone', 2, 1, 0, 1, 410, 6, 'answer', NULL, NULL),
	('msg_3MnzGXw9000qd6RDfWF4Z66lZje', 'atmpt_3MnzGYPR000vdQJ2AYdVnCK2Y8s', 'ep_3MnzGWga000vf2aC1b9hrlGw5UC', 'app_3MnzGWWR000i22smXaf4cG4Z6Li', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:43397/ok', 0, 1, 0, NULL, 200, 13, 'answer', NULL, NULL),
	('msg_3MnzGYDr000yB2dV5HcWfQJHeJb', 'atmpt_3MnzGYPR001AZmY8MSjaZX3Qugs', 'ep_3MnzGWzO000I3kHpCF22xeK38xT', 'app_3MnzGWWR000i22smXaf4cG4Z6Li', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:43397/gone', 2, 1, 0, 1, 410, 16, 'answer', NULL, NULL),
	('msg_3MnzGXw9000qd6RDfWF4Z66lZje', 'atmpt_3MnzGYPR0029egX5SsNfsL1iFF7', 'ep_3MnzGWzO000I3kHpCF22xeK38xT', 'app_3MnzGWWR000i22smXaf4cG4Z6Li', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:43397/gone', 2, 1, 0, 1, 410, 9, 'answer', NULL, NULL),
	('msg_3MnzGYDr000yB2dV5HcWfQJHeJb', 'atmpt_3MnzGYPR0037QTIMcCjk1D4b3nV', 'ep_3MnzGWga000vf2aC1b9hrlGw5UC', 'app_3MnzGWWR000i22smXaf4cG4Z6Li', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:43397/ok', 0, 1, 0, NULL, 200, 18, 'answer', NULL, NULL),
	('msg_3MnzGXw9000qd6RDfWF4Z66lZje', 'atmpt_3MnzGYPR004cNLvIgUfySKQjFHw', 'ep_3MnzGWts000RMRU8MljZJTSvCVM', 'app_3MnzGWWR000i22smXaf4cG4Z6Li', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:43397/fail', 2, 1, 0, NULL, 500, 21, 'answer', 1796001025218, NULL),
	('msg_3MnzGYDr000yB2dV5HcWfQJHeJb', 'atmpt_3MnzGYPR005jh3N3TizcJAce9Jf', 'ep_3MnzGWts000RMRU8MljZJTSvCVM', 'app_3MnzGWWR000i22smXaf4cG4Z6Li', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:43397/fail', 2, 1, 0, NULL, 500, 21, 'answer', 1796001025034, NULL),
	('msg_3MnzGYEr000aNccOnfZgzk0Jn3e', 'atmpt_3MnzGYxY000BpYbk137bLepoGiZ', 'ep_3MnzGWga000vf2aC1b9hrlGw5UC', 'app_3MnzGWWR000i22smXaf4cG4Z6Li', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:43397/ok', 0, 1, 0, NULL, 200, 3, 'answer', NULL, NULL),
	('msg_3MnzGYK3000l9bAt5k0dqnUU2HQ', 'atmpt_3MnzGYxY001yy5DnQ2jH4v23gts', 'ep_3MnzGWts000RMRU8MljZJTSvCVM', 'app_3MnzGWWR000i22smXaf4cG4Z6Li', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:43397/fail', 2, 1, 0, NULL, 500, 7, 'answer', 1796001025155, NULL),
	('msg_3MnzGYEr000aNccOnfZgzk0Jn3e', 'atmpt_3MnzGYxY00217oYpIpDfmx95z86', 'ep_3MnzGWts000RMRU8MljZJTSvCVM', 'app_3MnzGWWR000i22smXaf4cG4Z6Li', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:43397/fail', 2, 1, 0, NULL, 500, 5, 'answer', 1796001025156, NULL),
	('msg_3MnzGYK3000l9bAt5k0dqnUU2HQ', 'atmpt_3MnzGYxY003k3PSZbs1tSzly1UR', 'ep_3MnzGWga000vf2aC1b9hrlGw5UC', 'app_3MnzGWWR000i22smXaf4cG4Z6Li', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:43397/ok', 0, 1, 0, NULL, 200, 6, 'answer', NULL, NULL),
	('msg_3MnzGYQw000eq9SrNwaIKAsJSZC', 'atmpt_3MnzGYxY004UFTQdURnk8tHU0E1', 'ep_3MnzGWga000vf2aC1b9hrlGw5UC', 'app_3MnzGWWR000i22smXaf4cG4Z6Li', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:43397/ok', 0, 1, 0, NULL, 200, 8, 'answer', NULL, NULL),
	('msg_3MnzGYbc000hXuJ3NfVn1mn0Y0q', 'atmpt_3MnzGZCm000E0WY0dxUwmu7sIur', 'ep_3MnzGWga000vf2aC1b9hrlGw5UC', 'app_3MnzGWWR000i22smXaf4cG4Z6Li', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:43397/ok', 0, 1, 0, NULL, 200, 3, 'answer', NULL, NULL),
	('msg_3MnzGYbc000hXuJ3NfVn1mn0Y0q', 'atmpt_3MnzGZCm001Bjxwoontd6ACD7tH', 'ep_3MnzGWts000RMRU8MljZJTSvCVM', 'app_3MnzGWWR000i22smXaf4cG4Z6Li', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:43397/fail', 2, 1, 0, NULL, 500, 5, 'answer', 1796001025254, NULL),
	('msg_3MnzGXhZ0001SDxb108vN6DDfjP', 'atmpt_3MnzGfYq000FSjCLhmtWtYlxYoM', 'ep_3MnzGWts000RMRU8MljZJTSvCVM', 'app_3MnzGWWR000i22smXaf4cG4Z6Li', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:43397/fail', 2, 2, 0, NULL, 500, 3, 'answer', 1796036632781, NULL),
	('msg_3MnzGYDr000yB2dV5HcWfQJHeJb', 'atmpt_3MnzGg5Z000ohLAoClz7nDsshS3', 'ep_3MnzGWts000RMRU8MljZJTSvCVM', 'app_3MnzGWWR000i22smXaf4cG4Z6Li', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:43397/fail', 2, 2, 0, NULL, 500, 2, 'answer', 1796033662362, NULL),
	('msg_3MnzGYK3000l9bAt5k0dqnUU2HQ', 'atmpt_3MnzGgm1000IlO1YNQPEpUud3nM', 'ep_3MnzGWts000RMRU8MljZJTSvCVM', 'app_3MnzGWWR000i22smXaf4cG4Z6Li', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:43397/fail', 2, 2, 0, NULL, 500, 2, 'answer', 1796037469214, NULL),
	('msg_3MnzGYEr000aNccOnfZgzk0Jn3e', 'atmpt_3MnzGgm1001tCONYNXTHDzWoFJ5', 'ep_3MnzGWts000RMRU8MljZJTSvCVM', 'app_3MnzGWWR000i22smXaf4cG4Z6Li', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:43397/fail', 2, 2, 0, NULL, 500, 2, 'answer', 1796032339630, NULL),
	('msg_3MnzGYQw000eq9SrNwaIKAsJSZC', 'atmpt_3MnzGYxY005sGAl00Ov9aXMQkDe', 'ep_3MnzGWts000RMRU8MljZJTSvCVM', 'app_3MnzGWWR000i22smXaf4cG4Z6Li', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:43397/fail', 2, 1, 0, NULL, 500, 1028, 'answer', 1796001026311, NULL),
	('msg_3MnzGXw9000qd6RDfWF4Z66lZje', 'atmpt_3MnzGhEe000NC4pq34bUnoDHZLL', 'ep_3MnzGWts000RMRU8MljZJTSvCVM', 'app_3MnzGWWR000i22smXaf4cG4Z6Li', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:43397/fail', 2, 2, 0, NULL, 500, 2, 'answer', 1796039125462, NULL),
	('msg_3MnzGYbc000hXuJ3NfVn1mn0Y0q', 'atmpt_3MnzGhmM0004x0Ugmevqsfj2qRl', 'ep_3MnzGWts000RMRU8MljZJTSvCVM', 'app_3MnzGWWR000i22smXaf4cG4Z6Li', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:43397/fail', 2, 2, 0, NULL, 500, 1, 'answer', 1796042606388, NULL),
	('msg_3MnzGYQw000eq9SrNwaIKAsJSZC', 'atmpt_3MnzGplT000wmS7c0uv9IHTX3i4', 'ep_3MnzGWts000RMRU8MljZJTSvCVM', 'app_3MnzGWWR000i22smXaf4cG4Z6Li', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:43397/fail', 2, 2, 0, NULL, 500, 1, 'answer', 1796037947998, NULL),
	('msg_3MnzGXhZ0001SDxb108vN6DDfjP', 'atmpt_3MnzGs0Y000pJik9TEOL6e4ry1p', 'ep_3MnzGWga000vf2aC1b9hrlGw5UC', 'app_3MnzGWWR000i22smXaf4cG4Z6Li', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:43397/ok', 0, NULL, 1, NULL, 200, 5, 'answer', NULL, 'qtask_3MnzGrZd0005LilutfiC5w7acjR'),
	('msg_3MnzGYDr000yB2dV5HcWfQJHeJb', 'atmpt_3MnzGs2S0000tfeIW1qH6u26Sw1', 'ep_3MnzGWga000vf2aC1b9hrlGw5UC', 'app_3MnzGWWR000i22smXaf4cG4Z6Li', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:43397/ok', 0, NULL, 1, NULL, 200, 4, 'answer', NULL, 'qtask_3MnzGrZd0005LilutfiC5w7acjR'),
	('msg_3MnzGXw9000qd6RDfWF4Z66lZje', 'atmpt_3MnzGs0Y001rEZW3LLfWwNCI9OW', 'ep_3MnzGWga000vf2aC1b9hrlGw5UC', 'app_3MnzGWWR000i22smXaf4cG4Z6Li', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:43397/ok', 0, NULL, 1, NULL, 200, 6, 'answer', NULL, 'qtask_3MnzGrZd0005LilutfiC5w7acjR'),
	('msg_3MnzGYEr000aNccOnfZgzk0Jn3e', 'atmpt_3MnzGs2S001hu2dHSJBow5sB4Yz', 'ep_3MnzGWga000vf2aC1b9hrlGw5UC', 'app_3MnzGWWR000i22smXaf4cG4Z6Li', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:43397/ok', 0, NULL, 1, NULL, 200, 5, 'answer', NULL, 'qtask_3MnzGrZd0005LilutfiC5w7acjR'),
	('msg_3MnzGYK3000l9bAt5k0dqnUU2HQ', 'atmpt_3MnzGs2S002haZaoteMTjvjLT1d', 'ep_3MnzGWga000vf2aC1b9hrlGw5UC', 'app_3MnzGWWR000i22smXaf4cG4Z6Li', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:43397/ok', 0, NULL, 1, NULL, 200, 3, 'answer', NULL, 'qtask_3MnzGrZd0005LilutfiC5w7acjR'),
	('msg_3MnzGYQw000eq9SrNwaIKAsJSZC', 'atmpt_3MnzGs5l000kr9y9hn3dPWJMDby', 'ep_3MnzGWga000vf2aC1b9hrlGw5UC', 'app_3MnzGWWR000i22smXaf4cG4Z6Li', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:43397/ok', 0, NULL, 1, NULL, 200, 3, 'answer', NULL, 'qtask_3MnzGrZd0005LilutfiC5w7acjR'),
	('msg_3MnzGYbc000hXuJ3NfVn1mn0Y0q', 'atmpt_3MnzGs5l001OwXDGf9y1fIqp6rq', 'ep_3MnzGWga000vf2aC1b9hrlGw5UC', 'app_3MnzGWWR000i22smXaf4cG4Z6Li', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:43397/ok', 0, NULL, 1, NULL, 200, 3, 'answer', NULL, 'qtask_3MnzGrZd0005LilutfiC5w7acjR'),
	('msg_3MnzGtdG000Jw3esnbqoJsJEYKI', 'atmpt_3MnzGuA8000Sp64o0HJrZf6NFSF', 'ep_3MnzGWga000vf2aC1b9hrlGw5UC', 'app_3MnzGWWR000i22smXaf4cG4Z6Li', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:43397/ok', 0, 1, 0, NULL, 200, 2, 'answer', NULL, 'qtask_3MnzGtLr00091nNDml9tJ2VW9Hu'),
	('msg_3MnzGtdG000Jw3esnbqoJsJEYKI', 'atmpt_3MnzGuDO000MP8JyFSx4a8wmqSk', 'ep_3MnzGWts000RMRU8MljZJTSvCVM', 'app_3MnzGWWR000i22smXaf4cG4Z6Li', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:43397/fail', 2, 1, 0, NULL, 500, 2, 'answer', 1796001027754, 'qtask_3MnzGtLr00091nNDml9tJ2VW9Hu');
INSERT INTO public.bucket_index VALUES
	('app_3MnzGWWR000i22smXaf4cG4Z6Li', 'c"eu"', '3Mnz'),
	('app_3MnzGWWR000i22smXaf4cG4Z6Li', 'einvoice.paid', '3Mnz'),
	('app_3MnzGWWR000i22smXaf4cG4Z6Li', 't"first"', '3Mnz'),
	('ep_3MnzGWga000vf2aC1b9hrlGw5UC', 'd', '3Mnz3Mnz'),
	('ep_3MnzGWts000RMRU8MljZJTSvCVM', 'f5', '3Mnz3Mnz'),
	('ep_3MnzGWzO000I3kHpCF22xeK38xT', 'f4', '3Mnz3Mnz');
INSERT INTO public.delivery VALUES
	('msg_3MnzGXhZ0001SDxb108vN6DDfjP', 'ep_3MnzGX3V000jmcpgB21oSk1T6RY', 'app_3MnzGWWR000i22smXaf4cG4Z6Li', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 0, 1796001024000, 0, NULL, 0, 0, 2031611494847741955, 1796001079034, NULL),
	('msg_3MnzGXw9000qd6RDfWF4Z66lZje', 'ep_3MnzGX3V000jmcpgB21oSk1T6RY', 'app_3MnzGWWR000i22smXaf4cG4Z6Li', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 0, 1796001024033, 0, NULL, 0, 0, 2031611494847741958, 1796001079072, NULL),
	('msg_3MnzGYDr000yB2dV5HcWfQJHeJb', 'ep_3MnzGX3V000jmcpgB21oSk1T6RY', 'app_3MnzGWWR000i22smXaf4cG4Z6Li', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 0, 1796001024068, 0, NULL, 0, 0, 2031611494847741958, 1796001079072, NULL),
	('msg_3MnzGYfx000yGvzGlm15Ynx4gfl', 'ep_3MnzGWga000vf2aC1b9hrlGw5UC', 'app_3MnzGWWR000i22smXaf4cG4Z6Li', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 0, 1796073024128, 0, NULL, 0, 0, NULL, NULL, NULL),
	('msg_3MnzGYfx000yGvzGlm15Ynx4gfl', 'ep_3MnzGWts000RMRU8MljZJTSvCVM', 'app_3MnzGWWR000i22smXaf4cG4Z6Li', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 0, 1796073024128, 0, NULL, 0, 0, NULL, NULL, NULL),
	('msg_3MnzGYfx000yGvzGlm15Ynx4gfl', 'ep_3MnzGX3V000jmcpgB21oSk1T6RY', 'app_3MnzGWWR000i22smXaf4cG4Z6Li', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 0, 1796073024128, 0, NULL, 0, 0, NULL, NULL, NULL),
	('msg_3MnzGYEr000aNccOnfZgzk0Jn3e', 'ep_3MnzGX3V000jmcpgB21oSk1T6RY', 'app_3MnzGWWR000i22smXaf4cG4Z6Li', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 0, 1796001024075, 0, NULL, 0, 0, 2031611494847741963, 1796001079109, NULL),
	('msg_3MnzGYbc000hXuJ3NfVn1mn0Y0q', 'ep_3MnzGX3V000jmcpgB21oSk1T6RY', 'app_3MnzGWWR000i22smXaf4cG4Z6Li', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 0, 1796001024121, 0, NULL, 0, 0, 2031611494847741964, 1796001079174, NULL),
	('msg_3MnzGXhZ0001SDxb108vN6DDfjP', 'ep_3MnzGWts000RMRU8MljZJTSvCVM', 'app_3MnzGWWR000i22smXaf4cG4Z6Li', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 0, 1796036632781, 2, NULL, 0, 0, NULL, NULL, NULL),
	('msg_3MnzGYDr000yB2dV5HcWfQJHeJb', 'ep_3MnzGWts000RMRU8MljZJTSvCVM', 'app_3MnzGWWR000i22smXaf4cG4Z6Li', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 0, 1796033662362, 2, NULL, 0, 0, NULL, NULL, NULL),
	('msg_3MnzGYEr000aNccOnfZgzk0Jn3e', 'ep_3MnzGWts000RMRU8MljZJTSvCVM', 'app_3MnzGWWR000i22smXaf4cG4Z6Li', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 0, 1796032339630, 2, NULL, 0, 0, NULL, NULL, NULL),
	('msg_3MnzGYK3000l9bAt5k0dqnUU2HQ', 'ep_3MnzGWts000RMRU8MljZJTSvCVM', 'app_3MnzGWWR000i22smXaf4cG4Z6Li', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 0, 1796037469214, 2, NULL, 0, 0, NULL, NULL, NULL),
	('msg_3MnzGXw9000qd6RDfWF4Z66lZje', 'ep_3MnzGWts000RMRU8MljZJTSvCVM', 'app_3MnzGWWR000i22smXaf4cG4Z6Li', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 0, 1796039125462, 2, NULL, 0, 0, NULL, NULL, NULL),
	('msg_3MnzGYbc000hXuJ3NfVn1mn0Y0q', 'ep_3MnzGWts000RMRU8MljZJTSvCVM', 'app_3MnzGWWR000i22smXaf4cG4Z6Li', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 0, 1796042606388, 2, NULL, 0, 0, NULL, NULL, NULL),
	('msg_3MnzGtdG000Jw3esnbqoJsJEYKI', 'ep_3MnzGX3V000jmcpgB21oSk1T6RY', 'app_3MnzGWWR000i22smXaf4cG4Z6Li', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 0, 1796001026836, 0, NULL, 0, 0, 2031611494847741973, 1796001081880, 'qtask_3MnzGtLr00091nNDml9tJ2VW9Hu'),
	('msg_3MnzGtdG000Jw3esnbqoJsJEYKI', 'ep_3MnzGWts000RMRU8MljZJTSvCVM', 'app_3MnzGWWR000i22smXaf4cG4Z6Li', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 0, 1796001027754, 1, NULL, 0, 0, NULL, NULL, NULL),
	('msg_3MnzGYK3000l9bAt5k0dqnUU2HQ', 'ep_3MnzGX3V000jmcpgB21oSk1T6RY', 'app_3MnzGWWR000i22smXaf4cG4Z6Li', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 0, 1796001024086, 0, NULL, 0, 0, 2031611494847741963, 1796001079109, NULL),
	('msg_3MnzGYQw000eq9SrNwaIKAsJSZC', 'ep_3MnzGX3V000jmcpgB21oSk1T6RY', 'app_3MnzGWWR000i22smXaf4cG4Z6Li', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 0, 1796001024096, 0, NULL, 0, 0, 2031611494847741963, 1796001079109, NULL),
	('msg_3MnzGYQw000eq9SrNwaIKAsJSZC', 'ep_3MnzGWts000RMRU8MljZJTSvCVM', 'app_3MnzGWWR000i22smXaf4cG4Z6Li', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 0, 1796037947998, 2, NULL, 0, 0, NULL, NULL, NULL);
INSERT INTO public.endpoint VALUES
	('ep_3MnzGWts000RMRU8MljZJTSvCVM', 'app_3MnzGWWR000i22smXaf4cG4Z6Li', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'fail', 'http://127.0.0.1:43397/fail', 'fail', 1, 0, '["invoice.paid"]', NULL, NULL, '{"kind": "fail"}', '{}', '\x81d32cc817c248994f62a37ea6c587b3b0cc66c316882462871c991c221f3217abed818cebd4d8a016047d6373f0b41da626f10245a3e2b2f86571cc19b5cf1ce4', '[]', 1796001023920, 1796001023920, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('ep_3MnzGX3V000jmcpgB21oSk1T6RY', 'app_3MnzGWWR000i22smXaf4cG4Z6Li', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'hang', 'http://127.0.0.1:43397/hang', 'hang', 1, 0, '["invoice.paid"]', NULL, NULL, '{"kind": "hang"}', '{}', '\x81c9f80245aef2c03bdaa648f750ecbaabca319de07235808000ef7bc5917ea16338b8a0eb1147138ef554bc76be9007f64b5a8a8f6349d98b6767dbb53543ea7e', '[]', 1796001023940, 1796001023940, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('ep_3MnzGWga000vf2aC1b9hrlGw5UC', 'app_3MnzGWWR000i22smXaf4cG4Z6Li', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'ok', 'http://127.0.0.1:43397/ok', 'ok', 1, 0, '["invoice.paid"]', NULL, 500, '{"kind": "ok"}', 'xchacha20poly1305:Jle6m9Ai4ZQ5JO6MkIMFKhtQaX7g13AHo5OK+uXRzHVeSNMQH+Hp/m3Rd1cdrHWKw33+WrK2LoMpZQ==', '\x818f17dff52e23eae2421f62e95328bca32ff6a6f7530503e37e03995585f5869b52c40608350a616f827df5420fabb35299a360c57987472dbb99b3befb14d0d3', '[[1796087423952, "gQipJPGGqvQU9VwOjSaMj8YvzAoGRhY0aKpoUGVykQm/p3ycKwOQlrszI1MGrdAmOHtl5OkA+qx9dUTwhCgKpGY="]]', 1796001023892, 1796001023980, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('ep_3MnzGWzO000I3kHpCF22xeK38xT', 'app_3MnzGWWR000i22smXaf4cG4Z6Li', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', NULL, 'http://127.0.0.1:43397/gone', 'gone', 1, 1, '["invoice.paid"]', NULL, NULL, '{"kind": "gone"}', '{}', '\x81918b3cc77e9cf115d537659014adb2f3633625ad5508292e6c66170ded07b00dddc403b555599072b3e31319c6b4cbf27ada4eb34c629c508389412df703164e', '[]', 1796001023932, 1796001026940, 1796001026940, NULL, NULL, NULL, NULL, 1796001024092, 'gone');
INSERT INTO public.endpoint_history VALUES
	('ep_3MnzGWga000vf2aC1b9hrlGw5UC', 2, 1796001023892, '["invoice.paid"]', NULL, 0, NULL, 0),
	('ep_3MnzGWts000RMRU8MljZJTSvCVM', 3, 1796001023920, '["invoice.paid"]', NULL, 0, NULL, 0),
	('ep_3MnzGWzO000I3kHpCF22xeK38xT', 4, 1796001023932, '["invoice.paid"]', NULL, 0, NULL, 0),
	('ep_3MnzGX3V000jmcpgB21oSk1T6RY', 5, 1796001023940, '["invoice.paid"]', NULL, 0, NULL, 0),
	('ep_3MnzGWzO000I3kHpCF22xeK38xT', 9, 1796001024092, '["invoice.paid"]', NULL, 1, 'gone', 0),
	('ep_3MnzGWzO000I3kHpCF22xeK38xT', 10, 1796001026940, '["invoice.paid"]', NULL, 1, 'gone', 1);
INSERT INTO public.event_id VALUES
	('app_3MnzGWWR000i22smXaf4cG4Z6Li', 'event-0', 'msg_3MnzGXhZ0001SDxb108vN6DDfjP'),
	('app_3MnzGWWR000i22smXaf4cG4Z6Li', 'event-1', 'msg_3MnzGXw9000qd6RDfWF4Z66lZje'),
	('app_3MnzGWWR000i22smXaf4cG4Z6Li', 'event-2', 'msg_3MnzGYDr000yB2dV5HcWfQJHeJb'),
	('app_3MnzGWWR000i22smXaf4cG4Z6Li', 'event-3', 'msg_3MnzGYEr000aNccOnfZgzk0Jn3e'),
	('app_3MnzGWWR000i22smXaf4cG4Z6Li', 'event-4', 'msg_3MnzGYK3000l9bAt5k0dqnUU2HQ'),
	('app_3MnzGWWR000i22smXaf4cG4Z6Li', 'event-5', 'msg_3MnzGYQw000eq9SrNwaIKAsJSZC');
INSERT INTO public.event_type VALUES
	('org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'invoice.paid', 'Paid', 0, 0, '{"1":{"type":"object"}}', NULL, NULL, 1796001023856, 1796001023856),
	('org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'invoice.void', 'Void', 1, 1, NULL, NULL, NULL, 1796001023864, 1796001023868);
INSERT INTO public.export VALUES
	('synthetic', 1, 'synthetic', '\x0102', 1);
INSERT INTO public.idempotency_record VALUES
	('h4z2xPgWNGGoO3xeHVntgQ', 1796044224000, 'msg_3MnzGXhZ0001SDxb108vN6DDfjP', NULL, NULL),
	('OWbvfNk7am5VRMGFD81Z1w', 1796044224033, 'msg_3MnzGXw9000qd6RDfWF4Z66lZje', NULL, NULL),
	('1HdvMe+4p4g8lfD3pmrmUw', 1796044224068, 'msg_3MnzGYDr000yB2dV5HcWfQJHeJb', NULL, NULL),
	('ptjOe5sVzBf4APxkt8Vblw', 1796044224075, 'msg_3MnzGYEr000aNccOnfZgzk0Jn3e', NULL, NULL),
	('GuyRHKLF5p6rAAYCfykzzg', 1796044224086, 'msg_3MnzGYK3000l9bAt5k0dqnUU2HQ', NULL, NULL),
	('1eWIaxqSEWZL632CyoVBDQ', 1796044224096, 'msg_3MnzGYQw000eq9SrNwaIKAsJSZC', NULL, NULL);
INSERT INTO public.message_20261126 VALUES
	('msg_3MnzGXhZ0001SDxb108vN6DDfjP', 'app_3MnzGWWR000i22smXaf4cG4Z6Li', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'invoice.paid', 'event-0', '["eu"]', '["first"]', '\x7b22696e766f696365223a20312c20226e616d65223a20225a6f5c7530306562222c20226e223a20307d', 1798593024000, NULL, NULL),
	('msg_3MnzGXw9000qd6RDfWF4Z66lZje', 'app_3MnzGWWR000i22smXaf4cG4Z6Li', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'invoice.paid', 'event-1', '["eu"]', '["first"]', '\x7b22696e766f696365223a20312c20226e616d65223a20225a6f5c7530306562222c20226e223a20317d', 1798593024033, NULL, NULL),
	('msg_3MnzGYDr000yB2dV5HcWfQJHeJb', 'app_3MnzGWWR000i22smXaf4cG4Z6Li', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'invoice.paid', 'event-2', '["eu"]', '["first"]', '\x7b22696e766f696365223a20312c20226e616d65223a20225a6f5c7530306562222c20226e223a20327d', 1798593024068, NULL, NULL),
	('msg_3MnzGYEr000aNccOnfZgzk0Jn3e', 'app_3MnzGWWR000i22smXaf4cG4Z6Li', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'invoice.paid', 'event-3', '["eu"]', '["first"]', '\x7b22696e766f696365223a20312c20226e616d65223a20225a6f5c7530306562222c20226e223a20337d', 1798593024075, NULL, NULL),
	('msg_3MnzGYK3000l9bAt5k0dqnUU2HQ', 'app_3MnzGWWR000i22smXaf4cG4Z6Li', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'invoice.paid', 'event-4', '["eu"]', '["first"]', '\x7b22696e766f696365223a20312c20226e616d65223a20225a6f5c7530306562222c20226e223a20347d', 1798593024086, NULL, NULL),
	('msg_3MnzGYQw000eq9SrNwaIKAsJSZC', 'app_3MnzGWWR000i22smXaf4cG4Z6Li', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'invoice.paid', 'event-5', '["eu"]', '["first"]', '\x7b22696e766f696365223a20312c20226e616d65223a20225a6f5c7530306562222c20226e223a20357d', 1798593024096, NULL, NULL),
	('msg_3MnzGYbc000hXuJ3NfVn1mn0Y0q', 'app_3MnzGWWR000i22smXaf4cG4Z6Li', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'invoice.paid', NULL, NULL, NULL, '\x612c620a312c32', NULL, NULL, 1),
	('msg_3MnzGYfx000yGvzGlm15Ynx4gfl', 'app_3MnzGWWR000i22smXaf4cG4Z6Li', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'invoice.paid', NULL, NULL, NULL, '\x7b22696e766f696365223a20312c20226e616d65223a20225a6f5c7530306562227d', NULL, 1796073024128, NULL),
	('msg_3MnzGtdG000Jw3esnbqoJsJEYKI', 'app_3MnzGWWR000i22smXaf4cG4Z6Li', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'invoice.paid', NULL, NULL, NULL, '\x7b22696e766f696365223a20312c20226e616d65223a20225a6f5c7530306562222c202274657874223a20227878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878227d', NULL, NULL, NULL);
INSERT INTO public.node VALUES
	(946042824, 'vm:6232:386377c8', '0.1.0');
INSERT INTO public.operational_event VALUES
	('msg_3MnzGWoW000ncXOy63f2E9fjspm', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'endpoint.created', '{"data":{"appId":"app_3MnzGWWR000i22smXaf4cG4Z6Li","appUid":"customer-1","endpointId":"ep_3MnzGWga000vf2aC1b9hrlGw5UC","endpointUid":"ok"},"type":"endpoint.created"}'),
	('msg_3MnzGWvH000szjugDzjtJEbq2PI', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'endpoint.created', '{"data":{"appId":"app_3MnzGWWR000i22smXaf4cG4Z6Li","appUid":"customer-1","endpointId":"ep_3MnzGWts000RMRU8MljZJTSvCVM","endpointUid":"fail"},"type":"endpoint.created"}'),
	('msg_3MnzGX2A000QOQTFSEKONKkAFUi', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'endpoint.created', '{"data":{"appId":"app_3MnzGWWR000i22smXaf4cG4Z6Li","appUid":"customer-1","endpointId":"ep_3MnzGWzO000I3kHpCF22xeK38xT","endpointUid":"gone"},"type":"endpoint.created"}'),
	('msg_3MnzGX5p0001xbHv6xrWg5A10E3', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'endpoint.created', '{"data":{"appId":"app_3MnzGWWR000i22smXaf4cG4Z6Li","appUid":"customer-1","endpointId":"ep_3MnzGX3V000jmcpgB21oSk1T6RY","endpointUid":"hang"},"type":"endpoint.created"}'),
	('msg_3MnzGXAB000zsmvQy3ob9CB3IEL', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'endpoint.updated', '{"data":{"appId":"app_3MnzGWWR000i22smXaf4cG4Z6Li","appUid":"customer-1","endpointId":"ep_3MnzGWga000vf2aC1b9hrlGw5UC","endpointUid":"ok"},"type":"endpoint.updated"}'),
	('msg_3MnzGXNr000o8V77YWy2GzWqbR6', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'endpoint.updated', '{"data":{"appId":"app_3MnzGWWR000i22smXaf4cG4Z6Li","appUid":"customer-1","endpointId":"ep_3MnzGWga000vf2aC1b9hrlGw5UC","endpointUid":"ok"},"type":"endpoint.updated"}'),
	('msg_3MnzGYNy000cZLMjdYRy4uxLxjF', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'message.attempt.exhausted', '{"data":{"appId":"app_3MnzGWWR000i22smXaf4cG4Z6Li","appUid":"customer-1","endpointId":"ep_3MnzGWzO000I3kHpCF22xeK38xT","lastAttempt":{"id":"atmpt_3MnzGYA7002eR0GC3IBNHCx958N","responseStatusCode":410,"timestamp":"2026-11-30T01:10:24.060Z"},"msgEventId":"event-0","msgId":"msg_3MnzGXhZ0001SDxb108vN6DDfjP"},"type":"message.attempt.exhausted"}'),
	('msg_3MnzGYNy001JkNSSR7iRPI9AQif', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'endpoint.disabled', '{"data":{"appId":"app_3MnzGWWR000i22smXaf4cG4Z6Li","appUid":"customer-1","endpointId":"ep_3MnzGWzO000I3kHpCF22xeK38xT","endpointUid":"gone","failSince":null,"trigger":"automatic"},"type":"endpoint.disabled"}'),
	('msg_3MnzGYrg000aJC84jM45iEjmExv', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'message.attempt.exhausted', '{"data":{"appId":"app_3MnzGWWR000i22smXaf4cG4Z6Li","appUid":"customer-1","endpointId":"ep_3MnzGWzO000I3kHpCF22xeK38xT","lastAttempt":{"id":"atmpt_3MnzGYPR001AZmY8MSjaZX3Qugs","responseStatusCode":410,"timestamp":"2026-11-30T01:10:24.096Z"},"msgEventId":"event-2","msgId":"msg_3MnzGYDr000yB2dV5HcWfQJHeJb"},"type":"message.attempt.exhausted"}'),
	('msg_3MnzGYrg001L7A65RL8rM0VbJZb', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'message.attempt.exhausted', '{"data":{"appId":"app_3MnzGWWR000i22smXaf4cG4Z6Li","appUid":"customer-1","endpointId":"ep_3MnzGWzO000I3kHpCF22xeK38xT","lastAttempt":{"id":"atmpt_3MnzGYPR0029egX5SsNfsL1iFF7","responseStatusCode":410,"timestamp":"2026-11-30T01:10:24.096Z"},"msgEventId":"event-1","msgId":"msg_3MnzGXw9000qd6RDfWF4Z66lZje"},"type":"message.attempt.exhausted"}'),
	('msg_3MnzGqkd0004QeykbVvxS204cLC', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'background_task.finished', '{"data":{"data":{"endp_id":"ep_3MnzGWga000vf2aC1b9hrlGw5UC","messages_sent":0,"since":"2026-11-30T00:10:26.402Z","until":null},"status":"finished","task":"endpoint.recover","taskId":"qtask_3MnzGqNN000uaTidk6SjYZTJn3g"},"type":"background_task.finished"}'),
	('msg_3MnzGrIh000CzeDm6lDu9XwMj7a', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'background_task.finished', '{"data":{"data":{"endp_id":"ep_3MnzGWga000vf2aC1b9hrlGw5UC","messages_sent":0,"since":"2026-11-30T00:10:26.402Z","until":null},"status":"finished","task":"endpoint.replay","taskId":"qtask_3MnzGqyx000YQR3bVT0srv4C3XT"},"type":"background_task.finished"}'),
	('msg_3MnzGruV000XFgrJKWr74XDOES1', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'background_task.finished', '{"data":{"data":{"endp_id":"ep_3MnzGWga000vf2aC1b9hrlGw5UC","messages_sent":7,"since":"2026-11-30T00:10:26.402Z","until":null},"status":"finished","task":"endpoint.bulk-replay","taskId":"qtask_3MnzGrZd0005LilutfiC5w7acjR"},"type":"background_task.finished"}'),
	('msg_3MnzGsXf000it1b7yPVi4f5QpEo', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'background_task.finished', '{"data":{"data":{"app_stats":[{"appId":"app_3MnzGWWR000i22smXaf4cG4Z6Li","appUid":"customer-1","messageDestinations":24}]},"status":"finished","task":"application.stats","taskId":"qtask_3MnzGsAL000s2R7GTWPZOlE9W3W"},"type":"background_task.finished"}'),
	('msg_3MnzGtDj000gUaLCwkWwx2mdWhH', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'background_task.finished', '{"data":{"data":{"event_types":[{"appId":"app_3MnzGWWR000i22smXaf4cG4Z6Li","explicitlySubscribedEventTypes":["invoice.paid"],"hasCatchAllEndpoint":false}]},"status":"finished","task":"event-type.aggregate","taskId":"qtask_3MnzGsmv000tOsw0mDu7Ts5LVOL"},"type":"background_task.finished"}'),
	('msg_3MnzGtu80003HfTeXv3VTXsla6t', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'background_task.finished', '{"data":{"data":{"messages_created":[{"appId":"app_3MnzGWWR000i22smXaf4cG4Z6Li","msgId":"msg_3MnzGtdG000Jw3esnbqoJsJEYKI"}],"messages_failed":[]},"status":"finished","task":"message.broadcast","taskId":"qtask_3MnzGtLr00091nNDml9tJ2VW9Hu"},"type":"background_task.finished"}'),
	('msg_3MnzGuUq000YXcWrAlPI7P3TMsV', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'endpoint.deleted', '{"data":{"appId":"app_3MnzGWWR000i22smXaf4cG4Z6Li","appUid":"customer-1","endpointId":"ep_3MnzGWzO000I3kHpCF22xeK38xT","endpointUid":"gone"},"type":"endpoint.deleted"}');
INSERT INTO public.schema_migration VALUES
	(1, 'initial', 'dca5e059fed46bbbe29975e9f9f1de09abb9e3c3801f9c532a6605af45e29299', '0.1.0');
INSERT INTO public.setting VALUES
	('main_secret_proof', 'HjFg9KQAVnSiegg1W0+gTaThwIrZ91RtcoGoRduAZpUubIp5eKs7vATJplvhSLhiIafC'),
	('heartbeat:8', '1796001026864');
INSERT INTO public.task VALUES
	('qtask_3MnzGqNN000uaTidk6SjYZTJn3g', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'app_3MnzGWWR000i22smXaf4cG4Z6Li', 'app_3MnzGWWR000i22smXaf4cG4Z6Li', 'endpoint.recover', '{"endpoint_id":"ep_3MnzGWga000vf2aC1b9hrlGw5UC","since":1795997426402,"until":null,"high_water_mark":null,"force":false}', 1, 'succeeded', 'finished', 0, 0, 0, 1, NULL, NULL, '["atmpt_3MnzGZCm000E0WY0dxUwmu7sIur0","atmpt_3MnryRMS0M8BFhGL41yP0wtDULg","atmpt_3MnzGZCm000E0WY0dxUwmu7sIur0"]', 7, 0, 7, 1, 120, 1214.5330330724034, 6, 1, 0, NULL, '{"messagesSent": 0}', 'endpoint:ep_3MnzGWga000vf2aC1b9hrlGw5UC', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 777, NULL, 1796001026409, 1796001026423, 1796001026458, 1796001026458),
	('qtask_3MnzGqyx000YQR3bVT0srv4C3XT', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'app_3MnzGWWR000i22smXaf4cG4Z6Li', 'app_3MnzGWWR000i22smXaf4cG4Z6Li', 'endpoint.replay', '{"endpoint_id":"ep_3MnzGWga000vf2aC1b9hrlGw5UC","since":1795997426402,"until":null,"high_water_mark":null,"force":false}', 1, 'succeeded', 'finished', 0, 0, 0, 1, NULL, NULL, '["msg_3MnzGYfx000yGvzGlm15Ynx4gfl0","msg_3MnryRMS0M8BFhGL41yP0wtDULg","msg_3MnzGYfx000yGvzGlm15Ynx4gfl0"]', 8, 0, 8, 1, 120, 500.64003699928884, 16, 1, 0, NULL, '{"messagesSent": 0}', 'endpoint:ep_3MnzGWga000vf2aC1b9hrlGw5UC', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 781, NULL, 1796001026488, 1796001026493, 1796001026528, 1796001026528),
	('qtask_3MnzGrZd0005LilutfiC5w7acjR', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'app_3MnzGWWR000i22smXaf4cG4Z6Li', 'app_3MnzGWWR000i22smXaf4cG4Z6Li', 'endpoint.bulk-replay', '{"endpoint_id":"ep_3MnzGWga000vf2aC1b9hrlGw5UC","since":1795997426402,"until":null,"high_water_mark":null,"force":false,"filters":{"messages":{"event_types":[],"channel":null,"tag":null},"status":null,"code_class":null}}', 1, 'succeeded', 'finished', 0, 0, 0, 1, NULL, NULL, '["msg_3MnzGYfx000yGvzGlm15Ynx4gfl0","msg_3MnryRMS0M8BFhGL41yP0wtDULg","msg_3MnzGYfx000yGvzGlm15Ynx4gfl0"]', 8, 0, 8, 1, 120, 652.2951902467681, 12, 1, 0, NULL, '{"messagesSent": 7}', 'endpoint:ep_3MnzGWga000vf2aC1b9hrlGw5UC', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 785, NULL, 1796001026567, 1796001026583, 1796001026611, 1796001026611),
	('qtask_3MnzGsmv000tOsw0mDu7Ts5LVOL', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', NULL, 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'event-type.aggregate', '{"high_water_mark":null}', 1, 'succeeded', 'finished', 0, 0, 0, 1, NULL, NULL, '{"after":"app_3MnzGWWR000i22smXaf4cG4Z6Li","last":"app_3MnzGWYM000JCn64TFQQ6vc8kJn","app":"","uid":null,"endpoint":"","first":"","counted":0}', 1, 0, 1, 1, 120, 137.40146083843211, 7, 1, 0, NULL, '{}', NULL, 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 796, NULL, 1796001026724, 1796001026743, 1796001026779, 1796001026779),
	('qtask_3MnzGsAL000s2R7GTWPZOlE9W3W', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', NULL, 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'application.stats', '{"since":1795997426402,"until":1796001026402,"app_ids":null,"high_water_mark":null}', 1, 'succeeded', 'finished', 0, 0, 0, 1, NULL, NULL, '{"after":"app_3MnzGWWR000i22smXaf4cG4Z6Li","last":"app_3MnzGWYM000JCn64TFQQ6vc8kJn","app":"","uid":null,"endpoint":"","first":"","counted":0}', 1, 0, 1, 1, 120, 81.26147716714026, 12, 1, 0, NULL, '{}', NULL, 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 791, NULL, 1796001026646, 1796001026649, 1796001026690, 1796001026690),
	('qtask_3MnzGtLr00091nNDml9tJ2VW9Hu', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', NULL, 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'message.broadcast', '{"event_type":"invoice.paid","event_id":null,"channels":null,"retention_ms":7776000000,"high_water_mark":null}', 1, 'succeeded', 'finished', 0, 0, 0, 1, NULL, NULL, '["app_3MnzGWWR000i22smXaf4cG4Z6Li","","app_3MnzGWYM000JCn64TFQQ6vc8kJn"]', 1, 0, 1, 1, 120, 24.256281194470183, 41, 1, 0, NULL, '{}', NULL, 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 800, NULL, 1796001026802, 1796001026816, 1796001026870, 1796001026870);
INSERT INTO public.task_event VALUES
	('qtask_3MnzGqNN000uaTidk6SjYZTJn3g', 1, 1796001026409, 'created', NULL),
	('qtask_3MnzGqNN000uaTidk6SjYZTJn3g', 2, 1796001026458, 'succeeded', NULL),
	('qtask_3MnzGqyx000YQR3bVT0srv4C3XT', 1, 1796001026488, 'created', NULL),
	('qtask_3MnzGqyx000YQR3bVT0srv4C3XT', 2, 1796001026528, 'succeeded', NULL),
	('qtask_3MnzGrZd0005LilutfiC5w7acjR', 1, 1796001026567, 'created', NULL),
	('qtask_3MnzGrZd0005LilutfiC5w7acjR', 2, 1796001026611, 'succeeded', NULL),
	('qtask_3MnzGsAL000s2R7GTWPZOlE9W3W', 1, 1796001026646, 'created', NULL),
	('qtask_3MnzGsAL000s2R7GTWPZOlE9W3W', 2, 1796001026690, 'succeeded', NULL),
	('qtask_3MnzGsmv000tOsw0mDu7Ts5LVOL', 1, 1796001026724, 'created', NULL),
	('qtask_3MnzGsmv000tOsw0mDu7Ts5LVOL', 2, 1796001026779, 'succeeded', NULL),
	('qtask_3MnzGtLr00091nNDml9tJ2VW9Hu', 1, 1796001026802, 'created', NULL),
	('qtask_3MnzGtLr00091nNDml9tJ2VW9Hu', 2, 1796001026870, 'succeeded', NULL);
INSERT INTO public.task_input VALUES
	('qtask_3MnzGtLr00091nNDml9tJ2VW9Hu', '\x7b22696e766f696365223a20312c20226e616d65223a20225a6f5c7530306562222c202274657874223a20227878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878227d');
INSERT INTO public.task_item VALUES
	('qtask_3MnzGsAL000s2R7GTWPZOlE9W3W', 'app_3MnzGWWR000i22smXaf4cG4Z6Li', 'counted', '{"messageDestinations": 24, "appId": "app_3MnzGWWR000i22smXaf4cG4Z6Li", "appUid": "customer-1"}'),
	('qtask_3MnzGsmv000tOsw0mDu7Ts5LVOL', 'app_3MnzGWWR000i22smXaf4cG4Z6Li', 'aggregated', '{"appId": "app_3MnzGWWR000i22smXaf4cG4Z6Li", "explicitlySubscribedEventTypes": ["invoice.paid"], "hasCatchAllEndpoint": false}'),
	('qtask_3MnzGtLr00091nNDml9tJ2VW9Hu', 'app_3MnzGWWR000i22smXaf4cG4Z6Li', 'created', '{"appId": "app_3MnzGWWR000i22smXaf4cG4Z6Li", "msgId": "msg_3MnzGtdG000Jw3esnbqoJsJEYKI"}');
INSERT INTO public.throttle VALUES
	('app_3MnzGWWR000i22smXaf4cG4Z6Li', 1796001026894885, NULL),
	('ep_3MnzGWga000vf2aC1b9hrlGw5UC', 1796001026893518, NULL);
INSERT INTO public.token_end VALUES
	('app_3MnzGWWR000i22smXaf4cG4Z6Li', 'token:a022275352ffa62ef28e5c77045f4487', 4611686018427387904, 1796001024152);
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
