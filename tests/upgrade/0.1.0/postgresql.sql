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
CREATE FUNCTION public.settle_batch(leases bigint[], messages text[], ids text[], endpoints text[], apps text[], orgs text[], urls text[], statuses smallint[], codes integer[], responses text[], durations integer[], triggers smallint[], numbers smallint[], next_ats bigint[], ends smallint[], tasks text[], headers text[], index_owners text[], index_names text[], index_buckets text[]) RETURNS void
    LANGUAGE plpgsql
    SET lock_timeout TO '1s'
    AS $$
DECLARE
    written bigint;
BEGIN
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
    headers text COLLATE pg_catalog."C",
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
    headers text COLLATE pg_catalog."C",
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
    headers text COLLATE pg_catalog."C",
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
    headers text COLLATE pg_catalog."C",
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
CREATE TABLE public.rollup (
    org_id text NOT NULL COLLATE pg_catalog."C",
    app_id text NOT NULL COLLATE pg_catalog."C",
    endpoint_id text NOT NULL COLLATE pg_catalog."C",
    hour bigint NOT NULL,
    delivered bigint NOT NULL,
    failed bigint NOT NULL,
    latency text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE public.rollup_reopened (
    hour bigint NOT NULL,
    endpoint_id text NOT NULL COLLATE pg_catalog."C",
    attempt_id text NOT NULL COLLATE pg_catalog."C"
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
	('app_3MoJesCw000g00aiAIvafvPhafR', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', NULL, 'deleted', NULL, '{}', 1796011084960, 1796011084972, 1796011084972, 2, 1796011084972),
	('app_3MoJes4V000VxJ6dGrjtyWlcf2j', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'customer-1', 'Zoë', 900, '{"tier": "gold"}', 1796011084944, 1796011084944, NULL, 10, 1796011088352);
INSERT INTO public.attempt_20261126 VALUES
	('msg_3MoJeuJO000dpYFpjSmX1wkVbJE', 'atmpt_3MoJevo50001guj3G51swPo2Ofp', 'ep_3MoJet2m000TjWBumZHeWhf92HQ', 'app_3MoJes4V000VxJ6dGrjtyWlcf2j', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:33013/fail', 2, 1, 0, NULL, 500, 27, 'answer', '["svix",1796011085,"v1,QBwmCNoWMBMUIpBPPzu2Cpgws+2QafoXW8KLhovUKbo=",[],"Server: BaseHTTP/0.6 Python/3.11.7\r\nDate: Mon, 30 Nov 2026 03:58:05 GMT",0]', 1796011086254, NULL),
	('msg_3MoJeuJO000dpYFpjSmX1wkVbJE', 'atmpt_3MoJevo5001qqSdv7Ws6lPz0Ne3', 'ep_3MoJetEX000yROIpkL5JbKv4kZt', 'app_3MoJes4V000VxJ6dGrjtyWlcf2j', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:33013/gone', 2, 1, 0, 1, 410, 30, 'answer', '["svix",1796011085,"v1,4CH79ItKfsJRl1Edc+lGkp7eVZgWH6JYsk448ujhpIw=",[],"Server: BaseHTTP/0.6 Python/3.11.7\r\nDate: Mon, 30 Nov 2026 03:58:05 GMT",0]', NULL, NULL),
	('msg_3MoJeuJO000dpYFpjSmX1wkVbJE', 'atmpt_3MoJevo5002kRmwDY0ApCwdJKaA', 'ep_3MoJesn1000W8kInOpQG19hCsuE', 'app_3MoJes4V000VxJ6dGrjtyWlcf2j', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:33013/ok', 0, 1, 0, NULL, 200, 18, 'answer', NULL, NULL, NULL),
	('msg_3MoJeukO000Dy4wjMPH63YOBDMk', 'atmpt_3MoJevo50038WTwMDk9DrJ6lnUb', 'ep_3MoJetEX000yROIpkL5JbKv4kZt', 'app_3MoJes4V000VxJ6dGrjtyWlcf2j', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:33013/gone', 2, 1, 0, 1, 410, 32, 'answer', '["svix",1796011085,"v1,ceyGRAmQDu6eh0aC9URkW896/PV5IrWBXhzpPiSrY/c=",[],"Server: BaseHTTP/0.6 Python/3.11.7\r\nDate: Mon, 30 Nov 2026 03:58:05 GMT",0]', NULL, NULL),
	('msg_3MoJeukO000Dy4wjMPH63YOBDMk', 'atmpt_3MoJevp2000diHgyTrrmg7IeY27', 'ep_3MoJet2m000TjWBumZHeWhf92HQ', 'app_3MoJes4V000VxJ6dGrjtyWlcf2j', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:33013/fail', 2, 1, 0, NULL, 500, 38, 'answer', '["svix",1796011085,"v1,NcGNykTMoW6IE0CVk++7bTC8EJBKQI1u0XACI2jWiy0=",[],"Server: BaseHTTP/0.6 Python/3.11.7\r\nDate: Mon, 30 Nov 2026 03:58:05 GMT",0]', 1796011086653, NULL),
	('msg_3MoJeukO000Dy4wjMPH63YOBDMk', 'atmpt_3MoJevp2001wNA13b6YSA3e5rma', 'ep_3MoJesn1000W8kInOpQG19hCsuE', 'app_3MoJes4V000VxJ6dGrjtyWlcf2j', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:33013/ok', 0, 1, 0, NULL, 200, 56, 'answer', NULL, NULL, NULL),
	('msg_3MoJevRZ000hlPLrir4hJzd2TNO', 'atmpt_3MoJewXl0001unYXp5vxvJLc2Sl', 'ep_3MoJet2m000TjWBumZHeWhf92HQ', 'app_3MoJes4V000VxJ6dGrjtyWlcf2j', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:33013/fail', 2, 1, 0, NULL, 500, 17, 'answer', '["svix",1796011085,"v1,vkiYh22FG8VYIkhiJER5ff7NRcvMa7H48ENaCIog0ns=",[],"Server: BaseHTTP/0.6 Python/3.11.7\r\nDate: Mon, 30 Nov 2026 03:58:05 GMT",0]', 1796011086486, NULL),
	('msg_3MoJevRZ000hlPLrir4hJzd2TNO', 'atmpt_3MoJewXl001bs8rpeskA5dFPzrJ', 'ep_3MoJesn1000W8kInOpQG19hCsuE', 'app_3MoJes4V000VxJ6dGrjtyWlcf2j', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:33013/ok', 0, 1, 0, NULL, 200, 18, 'answer', NULL, NULL, NULL),
	('msg_3MoJevXM000izec9wqhkHUSDkCN', 'atmpt_3MoJewXl002GIkmGqgYqBzymTxB', 'ep_3MoJet2m000TjWBumZHeWhf92HQ', 'app_3MoJes4V000VxJ6dGrjtyWlcf2j', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:33013/fail', 2, 1, 0, NULL, 500, 17, 'answer', '["svix",1796011085,"v1,KaTKx9b26PYAaV3hWJJFXIOd7A9/Uw7acvDssil77ZU=",[],"Server: BaseHTTP/0.6 Python/3.11.7\r\nDate: Mon, 30 Nov 2026 03:58:05 GMT",0]', 1796011086572, NULL),
	('msg_3MoJevXM000izec9wqhkHUSDkCN', 'atmpt_3MoJewXl003u9Tko5KortitsEjm', 'ep_3MoJesn1000W8kInOpQG19hCsuE', 'app_3MoJes4V000VxJ6dGrjtyWlcf2j', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:33013/ok', 0, 1, 0, NULL, 200, 25, 'answer', NULL, NULL, NULL),
	('msg_3MoJevei000GJ3y9IFfIS0rJ5n7', 'atmpt_3MoJewXl004o9bDEebTe0Cr9w4y', 'ep_3MoJet2m000TjWBumZHeWhf92HQ', 'app_3MoJes4V000VxJ6dGrjtyWlcf2j', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:33013/fail', 2, 1, 0, NULL, 500, 25, 'answer', '["svix",1796011085,"v1,ail3sIGDsnO3eDvYfZVNk7bnI/8N96ErQjYTAGaMokc=",[],"Server: BaseHTTP/0.6 Python/3.11.7\r\nDate: Mon, 30 Nov 2026 03:58:05 GMT",0]', 1796011086470, NULL),
	('msg_3MoJeuJO000dpYFpjSmX1wkVbJE', 'atmpt_3MoJf2k2000JyTkZlEfETkngPtW', 'ep_3MoJet2m000TjWBumZHeWhf92HQ', 'app_3MoJes4V000VxJ6dGrjtyWlcf2j', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:33013/fail', 2, 2, 0, NULL, 500, 4, 'answer', '["svix",1796011086,"v1,N9GurN+B9SLiQDVlbIN9OfSgimfpjIy2M/HX1zB1/TM=",[],"Server: BaseHTTP/0.6 Python/3.11.7\r\nDate: Mon, 30 Nov 2026 03:58:06 GMT",0]', 1796048249637, NULL),
	('msg_3MoJevei000GJ3y9IFfIS0rJ5n7', 'atmpt_3MoJf4Gt000hldNO7Wy880XaWcg', 'ep_3MoJet2m000TjWBumZHeWhf92HQ', 'app_3MoJes4V000VxJ6dGrjtyWlcf2j', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:33013/fail', 2, 2, 0, NULL, 500, 4, 'answer', '["svix",1796011086,"v1,CC68SXRJ0sFhZWG6/C6DGDQA+koW1scv556r2lpqxww=",[],"Server: BaseHTTP/0.6 Python/3.11.7\r\nDate: Mon, 30 Nov 2026 03:58:06 GMT",0]', 1796042450670, NULL),
	('msg_3MoJevvT000SukNYnjWo3rlRDEu', 'atmpt_3MoJewXl0055gSyB5MSltaRPYUP', 'ep_3MoJesn1000W8kInOpQG19hCsuE', 'app_3MoJes4V000VxJ6dGrjtyWlcf2j', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:33013/ok', 0, 1, 0, NULL, 200, 1035, 'answer', NULL, NULL, NULL),
	('msg_3MoJevvT000SukNYnjWo3rlRDEu', 'atmpt_3MoJewXl006xUNI0K1AqTU1ijOR', 'ep_3MoJet2m000TjWBumZHeWhf92HQ', 'app_3MoJes4V000VxJ6dGrjtyWlcf2j', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:33013/fail', 2, 1, 0, NULL, 500, 1036, 'answer', '["svix",1796011085,"v1,kN+W/dDIo5amMveEEVcaiHk+jjcdf6fYXukYjtkasZM=",[],"Server: BaseHTTP/0.6 Python/3.11.7\r\nDate: Mon, 30 Nov 2026 03:58:06 GMT",0]', 1796011087378, NULL),
	('msg_3MoJevkM0000bVNKHftxUvTiLQW', 'atmpt_3MoJewXl007j4JPTUVzpFmCxkSJ', 'ep_3MoJesn1000W8kInOpQG19hCsuE', 'app_3MoJes4V000VxJ6dGrjtyWlcf2j', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:33013/ok', 0, 1, 0, NULL, 200, 1045, 'answer', NULL, NULL, NULL),
	('msg_3MoJevkM0000bVNKHftxUvTiLQW', 'atmpt_3MoJewXl008HRcA8xmGLt214olw', 'ep_3MoJet2m000TjWBumZHeWhf92HQ', 'app_3MoJes4V000VxJ6dGrjtyWlcf2j', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:33013/fail', 2, 1, 0, NULL, 500, 1049, 'answer', '["svix",1796011085,"v1,z3scJNu4zoKYGJDxRhRnZuGrtk9bvbLi50j0N3kNKgg=",[],"Server: BaseHTTP/0.6 Python/3.11.7\r\nDate: Mon, 30 Nov 2026 03:58:06 GMT",0]', 1796011087628, NULL),
	('msg_3MoJevRZ000hlPLrir4hJzd2TNO', 'atmpt_3MoJf56y000wRbZxLF86Nt4Qko0', 'ep_3MoJet2m000TjWBumZHeWhf92HQ', 'app_3MoJes4V000VxJ6dGrjtyWlcf2j', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:33013/fail', 2, 2, 0, NULL, 500, 2, 'answer', '["svix",1796011086,"v1,/VdpiCgTYfMajS0l5YPnpoublh+yvn4kgrl4hZW+lTs=",[],"Server: BaseHTTP/0.6 Python/3.11.7\r\nDate: Mon, 30 Nov 2026 03:58:06 GMT",0]', 1796049886070, NULL),
	('msg_3MoJevXM000izec9wqhkHUSDkCN', 'atmpt_3MoJf5kP000TIkQuAtONgLi9bbZ', 'ep_3MoJet2m000TjWBumZHeWhf92HQ', 'app_3MoJes4V000VxJ6dGrjtyWlcf2j', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:33013/fail', 2, 2, 0, NULL, 500, 4, 'answer', '["svix",1796011086,"v1,QcdpXPp729ZSgG96QvbwmyfnjrSJnIZxmR3a6I6G8Rs=",[],"Server: BaseHTTP/0.6 Python/3.11.7\r\nDate: Mon, 30 Nov 2026 03:58:06 GMT",0]', 1796052016679, NULL),
	('msg_3MoJeukO000Dy4wjMPH63YOBDMk', 'atmpt_3MoJf5kP001t13h645gcHT2nrlz', 'ep_3MoJet2m000TjWBumZHeWhf92HQ', 'app_3MoJes4V000VxJ6dGrjtyWlcf2j', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:33013/fail', 2, 2, 0, NULL, 500, 4, 'answer', '["svix",1796011086,"v1,luMUYIUJcd+cJ3uAw0jCeu3CK11vkO//pCSAJ1bf1dc=",[],"Server: BaseHTTP/0.6 Python/3.11.7\r\nDate: Mon, 30 Nov 2026 03:58:06 GMT",0]', 1796047626545, NULL),
	('msg_3MoJevei000GJ3y9IFfIS0rJ5n7', 'atmpt_3MoJewXl009sQRTyumS2Jpyti4o', 'ep_3MoJesn1000W8kInOpQG19hCsuE', 'app_3MoJes4V000VxJ6dGrjtyWlcf2j', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:33013/ok', 0, 1, 0, NULL, 200, 1239, 'answer', NULL, NULL, NULL),
	('msg_3MoJevvT000SukNYnjWo3rlRDEu', 'atmpt_3MoJfBJG000XF7ndIxfzwmgjXbB', 'ep_3MoJet2m000TjWBumZHeWhf92HQ', 'app_3MoJes4V000VxJ6dGrjtyWlcf2j', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:33013/fail', 2, 2, 0, NULL, 500, 3, 'answer', '["svix",1796011087,"v1,6saeeWLCXMzMK3lrx5Kk79F5m5cug/KA9gqpcyid5pk=",[],"Server: BaseHTTP/0.6 Python/3.11.7\r\nDate: Mon, 30 Nov 2026 03:58:07 GMT",0]', 1796048673318, NULL),
	('msg_3MoJevkM0000bVNKHftxUvTiLQW', 'atmpt_3MoJfD9U000TgTXp50zq04mZWy8', 'ep_3MoJet2m000TjWBumZHeWhf92HQ', 'app_3MoJes4V000VxJ6dGrjtyWlcf2j', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:33013/fail', 2, 2, 0, NULL, 500, 1, 'answer', '["svix",1796011087,"v1,eP7uVUT35pXdxKerIGmkEFtRFmIYnwmYIxpOl17uU/A=",[],"Server: BaseHTTP/0.6 Python/3.11.7\r\nDate: Mon, 30 Nov 2026 03:58:07 GMT",0]', 1796042659808, NULL),
	('msg_3MoJeukO000Dy4wjMPH63YOBDMk', 'atmpt_3MoJfGLP000Mxfa6IZtJ7w9CnBy', 'ep_3MoJesn1000W8kInOpQG19hCsuE', 'app_3MoJes4V000VxJ6dGrjtyWlcf2j', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:33013/ok', 0, NULL, 1, NULL, 200, 6, 'answer', '["svix",1796011088,"v1,ElC4tFjYHU4MU35SxeTpcjJHXrpuX5upbjHY+Htlho4= v1,+/dk3S0jG79Ylv7GO3h0P8RQodIN4oboVH5hez4bfOo=",["X-Key"],"Server: BaseHTTP/0.6 Python/3.11.7\r\nDate: Mon, 30 Nov 2026 03:58:08 GMT",0]', NULL, 'qtask_3MoJfFIv000AhPBmpx8wXNKlK8U'),
	('msg_3MoJeuJO000dpYFpjSmX1wkVbJE', 'atmpt_3MoJfGLP001o4quiepiGaTbYvTX', 'ep_3MoJesn1000W8kInOpQG19hCsuE', 'app_3MoJes4V000VxJ6dGrjtyWlcf2j', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:33013/ok', 0, NULL, 1, NULL, 200, 11, 'answer', '["svix",1796011088,"v1,w01vxwaaMOo+BSWy2sDZcskjCATed4ewFmPX9T7/IfQ= v1,fgOwV9Ema6EGDk+2Qb3fwgn/JUjt5hIdeOM1rvu1Lsw=",["X-Key"],"Server: BaseHTTP/0.6 Python/3.11.7\r\nDate: Mon, 30 Nov 2026 03:58:08 GMT",0]', NULL, 'qtask_3MoJfFIv000AhPBmpx8wXNKlK8U'),
	('msg_3MoJevRZ000hlPLrir4hJzd2TNO', 'atmpt_3MoJfGNE000Y0f95OoczU2Xl8t3', 'ep_3MoJesn1000W8kInOpQG19hCsuE', 'app_3MoJes4V000VxJ6dGrjtyWlcf2j', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:33013/ok', 0, NULL, 1, NULL, 200, 10, 'answer', '["svix",1796011088,"v1,ytvgBsBP2rHdlTDI4nILLTOs2Mr/ZCnL0z2TpcfIgTU= v1,VkhppOAb1t8oCCVPpgprrW5ThG5GHh4916KfFkT3kj8=",["X-Key"],"Server: BaseHTTP/0.6 Python/3.11.7\r\nDate: Mon, 30 Nov 2026 03:58:08 GMT",0]', NULL, 'qtask_3MoJfFIv000AhPBmpx8wXNKlK8U'),
	('msg_3MoJevXM000izec9wqhkHUSDkCN', 'atmpt_3MoJfGNE001FeZVk0Snl0K8ek6B', 'ep_3MoJesn1000W8kInOpQG19hCsuE', 'app_3MoJes4V000VxJ6dGrjtyWlcf2j', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:33013/ok', 0, NULL, 1, NULL, 200, 10, 'answer', '["svix",1796011088,"v1,T+G1Swr03mf435SA2iSwHETv6Bn9ZYO6Vf68qeEqTts= v1,8zVAezHMJ6RIHWzdsgv4pIrIPB5yhw/OS3NvDCFqc6c=",["X-Key"],"Server: BaseHTTP/0.6 Python/3.11.7\r\nDate: Mon, 30 Nov 2026 03:58:08 GMT",0]', NULL, 'qtask_3MoJfFIv000AhPBmpx8wXNKlK8U'),
	('msg_3MoJevei000GJ3y9IFfIS0rJ5n7', 'atmpt_3MoJfGNE0023SmiS7ivTbf8VSJn', 'ep_3MoJesn1000W8kInOpQG19hCsuE', 'app_3MoJes4V000VxJ6dGrjtyWlcf2j', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:33013/ok', 0, NULL, 1, NULL, 200, 12, 'answer', '["svix",1796011088,"v1,I25c6A7HegpznqV7LNGNO1pLU9MT30jGXu99sF/ufn0= v1,PA6c1o2cWAhUgRZUUfB8qo2JdmZN4MzO0XymjrAjS18=",["X-Key"],"Server: BaseHTTP/0.6 Python/3.11.7\r\nDate: Mon, 30 Nov 2026 03:58:08 GMT",0]', NULL, 'qtask_3MoJfFIv000AhPBmpx8wXNKlK8U'),
	('msg_3MoJevkM0000bVNKHftxUvTiLQW', 'atmpt_3MoJfGNE003J4LSJkigOiTNgFlw', 'ep_3MoJesn1000W8kInOpQG19hCsuE', 'app_3MoJes4V000VxJ6dGrjtyWlcf2j', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:33013/ok', 0, NULL, 1, NULL, 200, 14, 'answer', '["svix",1796011088,"v1,0hAgg5uTFJI7EgGhcjNFrQTlO5pDyJcaHd1keiwywi4= v1,hg/yE5AreT2QPWsQRBn4m086qtBRS072pa95Qe+v0r0=",["X-Key"],"Server: BaseHTTP/0.6 Python/3.11.7\r\nDate: Mon, 30 Nov 2026 03:58:08 GMT",0]', NULL, 'qtask_3MoJfFIv000AhPBmpx8wXNKlK8U'),
	('msg_3MoJevvT000SukNYnjWo3rlRDEu', 'atmpt_3MoJfGP10005ADC5wLTXkG6bRVM', 'ep_3MoJesn1000W8kInOpQG19hCsuE', 'app_3MoJes4V000VxJ6dGrjtyWlcf2j', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:33013/ok', 0, NULL, 1, NULL, 200, 20, 'answer', '["svix",1796011088,"v1,oqUIMX/FqrSeVUQasRYYe/K1iKbCPA5Oy61Go3cQXaw= v1,GSamZifdQ4+ihGXc5M/G3+D0+E2lBZyeXFB2UusFtsA=",["X-Key"],"Server: BaseHTTP/0.6 Python/3.11.7\r\nDate: Mon, 30 Nov 2026 03:58:08 GMT",0]', NULL, 'qtask_3MoJfFIv000AhPBmpx8wXNKlK8U');
INSERT INTO public.bucket_index VALUES
	('app_3MoJes4V000VxJ6dGrjtyWlcf2j', 'c"eu"', '3MoJ'),
	('app_3MoJes4V000VxJ6dGrjtyWlcf2j', 'einvoice.paid', '3MoJ'),
	('app_3MoJes4V000VxJ6dGrjtyWlcf2j', 't"first"', '3MoJ'),
	('ep_3MoJesn1000W8kInOpQG19hCsuE', 'd', '3MoJ3MoJ'),
	('ep_3MoJet2m000TjWBumZHeWhf92HQ', 'f5', '3MoJ3MoJ'),
	('ep_3MoJetEX000yROIpkL5JbKv4kZt', 'f4', '3MoJ3MoJ');
INSERT INTO public.delivery VALUES
	('msg_3MoJeuJO000dpYFpjSmX1wkVbJE', 'ep_3MoJetMV000QwJRWyf4glEcMi6u', 'app_3MoJes4V000VxJ6dGrjtyWlcf2j', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 0, 1796011085213, 0, NULL, 0, 0, 2427591762106122243, 1796011140275, NULL),
	('msg_3MoJeukO000Dy4wjMPH63YOBDMk', 'ep_3MoJetMV000QwJRWyf4glEcMi6u', 'app_3MoJes4V000VxJ6dGrjtyWlcf2j', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 0, 1796011085274, 0, NULL, 0, 0, 2427591762106122243, 1796011140275, NULL),
	('msg_3MoJevRZ000hlPLrir4hJzd2TNO', 'ep_3MoJetMV000QwJRWyf4glEcMi6u', 'app_3MoJes4V000VxJ6dGrjtyWlcf2j', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 0, 1796011085365, 0, NULL, 0, 0, 2427591762106122249, 1796011140433, NULL),
	('msg_3MoJeuJO000dpYFpjSmX1wkVbJE', 'ep_3MoJet2m000TjWBumZHeWhf92HQ', 'app_3MoJes4V000VxJ6dGrjtyWlcf2j', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 0, 1796048249637, 2, NULL, 0, 0, NULL, NULL, NULL),
	('msg_3MoJevRZ000hlPLrir4hJzd2TNO', 'ep_3MoJet2m000TjWBumZHeWhf92HQ', 'app_3MoJes4V000VxJ6dGrjtyWlcf2j', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 0, 1796049886070, 2, NULL, 0, 0, NULL, NULL, NULL),
	('msg_3MoJeukO000Dy4wjMPH63YOBDMk', 'ep_3MoJet2m000TjWBumZHeWhf92HQ', 'app_3MoJes4V000VxJ6dGrjtyWlcf2j', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 0, 1796047626545, 2, NULL, 0, 0, NULL, NULL, NULL),
	('msg_3MoJevXM000izec9wqhkHUSDkCN', 'ep_3MoJet2m000TjWBumZHeWhf92HQ', 'app_3MoJes4V000VxJ6dGrjtyWlcf2j', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 0, 1796052016679, 2, NULL, 0, 0, NULL, NULL, NULL),
	('msg_3MoJevXM000izec9wqhkHUSDkCN', 'ep_3MoJetMV000QwJRWyf4glEcMi6u', 'app_3MoJes4V000VxJ6dGrjtyWlcf2j', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 0, 1796011085377, 0, NULL, 0, 0, 2427591762106122249, 1796011140433, NULL),
	('msg_3MoJevei000GJ3y9IFfIS0rJ5n7', 'ep_3MoJetMV000QwJRWyf4glEcMi6u', 'app_3MoJes4V000VxJ6dGrjtyWlcf2j', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 0, 1796011085388, 0, NULL, 0, 0, 2427591762106122249, 1796011140433, NULL),
	('msg_3MoJevkM0000bVNKHftxUvTiLQW', 'ep_3MoJetMV000QwJRWyf4glEcMi6u', 'app_3MoJes4V000VxJ6dGrjtyWlcf2j', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 0, 1796011085402, 0, NULL, 0, 0, 2427591762106122249, 1796011140433, NULL),
	('msg_3MoJevvT000SukNYnjWo3rlRDEu', 'ep_3MoJetMV000QwJRWyf4glEcMi6u', 'app_3MoJes4V000VxJ6dGrjtyWlcf2j', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 0, 1796011085427, 0, NULL, 0, 0, 2427591762106122249, 1796011140433, NULL),
	('msg_3MoJevei000GJ3y9IFfIS0rJ5n7', 'ep_3MoJet2m000TjWBumZHeWhf92HQ', 'app_3MoJes4V000VxJ6dGrjtyWlcf2j', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 0, 1796042450670, 2, NULL, 0, 0, NULL, NULL, NULL),
	('msg_3MoJevvT000SukNYnjWo3rlRDEu', 'ep_3MoJet2m000TjWBumZHeWhf92HQ', 'app_3MoJes4V000VxJ6dGrjtyWlcf2j', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 0, 1796048673318, 2, NULL, 0, 0, NULL, NULL, NULL),
	('msg_3MoJevkM0000bVNKHftxUvTiLQW', 'ep_3MoJet2m000TjWBumZHeWhf92HQ', 'app_3MoJes4V000VxJ6dGrjtyWlcf2j', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 0, 1796042659808, 2, NULL, 0, 0, NULL, NULL, NULL),
	('msg_3MoJewJ6000aVoQ183aT5MIQgVN', 'ep_3MoJesn1000W8kInOpQG19hCsuE', 'app_3MoJes4V000VxJ6dGrjtyWlcf2j', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 0, 1796083085476, 0, NULL, 0, 0, NULL, NULL, NULL),
	('msg_3MoJewJ6000aVoQ183aT5MIQgVN', 'ep_3MoJet2m000TjWBumZHeWhf92HQ', 'app_3MoJes4V000VxJ6dGrjtyWlcf2j', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 0, 1796083085476, 0, NULL, 0, 0, NULL, NULL, NULL),
	('msg_3MoJewJ6000aVoQ183aT5MIQgVN', 'ep_3MoJetMV000QwJRWyf4glEcMi6u', 'app_3MoJes4V000VxJ6dGrjtyWlcf2j', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 0, 1796083085476, 0, NULL, 0, 0, NULL, NULL, NULL),
	('msg_3MoJfIVU000DgPQEA8YDcVlYOB7', 'ep_3MoJesn1000W8kInOpQG19hCsuE', 'app_3MoJes4V000VxJ6dGrjtyWlcf2j', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 0, 1796011088320, 0, NULL, 0, 0, NULL, NULL, 'qtask_3MoJfI6V000RB5cuL7jhL5Sn6bR'),
	('msg_3MoJfIVU000DgPQEA8YDcVlYOB7', 'ep_3MoJet2m000TjWBumZHeWhf92HQ', 'app_3MoJes4V000VxJ6dGrjtyWlcf2j', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 0, 1796011088320, 0, NULL, 0, 0, NULL, NULL, 'qtask_3MoJfI6V000RB5cuL7jhL5Sn6bR'),
	('msg_3MoJfIVU000DgPQEA8YDcVlYOB7', 'ep_3MoJetMV000QwJRWyf4glEcMi6u', 'app_3MoJes4V000VxJ6dGrjtyWlcf2j', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 0, 1796011088320, 0, NULL, 0, 0, NULL, NULL, 'qtask_3MoJfI6V000RB5cuL7jhL5Sn6bR');
INSERT INTO public.endpoint VALUES
	('ep_3MoJet2m000TjWBumZHeWhf92HQ', 'app_3MoJes4V000VxJ6dGrjtyWlcf2j', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'fail', 'http://127.0.0.1:33013/fail', 'fail', 1, 0, '["invoice.paid"]', NULL, NULL, '{"kind": "fail"}', '{}', '\x81af0174c5e9dcf9cb508e98f9cd5567d94c0d2e364c2a1ba9fc8f3e72e9588cdf04a8f78f69caee4462113dd9c063cc2504e274e284a58d800f09638adeb8f94b', '[]', 1796011085048, 1796011085048, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('ep_3MoJetMV000QwJRWyf4glEcMi6u', 'app_3MoJes4V000VxJ6dGrjtyWlcf2j', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'hang', 'http://127.0.0.1:33013/hang', 'hang', 1, 0, '["invoice.paid"]', NULL, NULL, '{"kind": "hang"}', '{}', '\x81929773377a306847f9937b801544cbd4c0d83c0b17d440cbf68694d45336bfe46e5829d033219d846e3feb675156787691fde69accee1299e770809493121490', '[]', 1796011085088, 1796011085088, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('ep_3MoJesn1000W8kInOpQG19hCsuE', 'app_3MoJes4V000VxJ6dGrjtyWlcf2j', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'ok', 'http://127.0.0.1:33013/ok', 'ok', 1, 0, '["invoice.paid"]', NULL, 500, '{"kind": "ok"}', 'xchacha20poly1305:qCwvDPfrnN1RyIidHlLYN2zZc6OhTdPc491w1ox1QYYa0/oz1RSlchHM4bTmAUHClqdTTjhlJV/d+Q==', '\x81762ca8759e94ae0825348ef89466e9c4729d8eaf3564c15ab8c6db430e023732c7fbc70abdd6078ae3ca35ecd2b9d805f9b32241f3b1317990f4d31a7a5020e9', '[[1796097485116, "gWxDsDMfc/S9jJbDwKnpxt3ciwlZBoOb+6XEuOMnwIJUpKlBc3PwDSy7QS9vpH0lHtDclzPtcK2Udamf0o0shGM="]]', 1796011085012, 1796011085172, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('ep_3MoJetEX000yROIpkL5JbKv4kZt', 'app_3MoJes4V000VxJ6dGrjtyWlcf2j', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', NULL, 'http://127.0.0.1:33013/gone', 'gone', 1, 1, '["invoice.paid"]', NULL, NULL, '{"kind": "gone"}', '{}', '\x81dd894f5536be34464c7cca2ff84b1cde90dcc33e0632fe1ddcbff59b8bc11996926f2e8e88bd09a13c412a8b0ccee287c61231213796f00b594440219be80e25', '[]', 1796011085072, 1796011088352, 1796011088352, NULL, NULL, NULL, NULL, 1796011085471, 'gone');
INSERT INTO public.endpoint_history VALUES
	('ep_3MoJesn1000W8kInOpQG19hCsuE', 2, 1796011085012, '["invoice.paid"]', NULL, 0, NULL, 0),
	('ep_3MoJet2m000TjWBumZHeWhf92HQ', 3, 1796011085048, '["invoice.paid"]', NULL, 0, NULL, 0),
	('ep_3MoJetEX000yROIpkL5JbKv4kZt', 4, 1796011085072, '["invoice.paid"]', NULL, 0, NULL, 0),
	('ep_3MoJetMV000QwJRWyf4glEcMi6u', 5, 1796011085088, '["invoice.paid"]', NULL, 0, NULL, 0),
	('ep_3MoJetEX000yROIpkL5JbKv4kZt', 9, 1796011085471, '["invoice.paid"]', NULL, 1, 'gone', 0),
	('ep_3MoJetEX000yROIpkL5JbKv4kZt', 10, 1796011088352, '["invoice.paid"]', NULL, 1, 'gone', 1);
INSERT INTO public.event_id VALUES
	('app_3MoJes4V000VxJ6dGrjtyWlcf2j', 'event-0', 'msg_3MoJeuJO000dpYFpjSmX1wkVbJE'),
	('app_3MoJes4V000VxJ6dGrjtyWlcf2j', 'event-1', 'msg_3MoJeukO000Dy4wjMPH63YOBDMk'),
	('app_3MoJes4V000VxJ6dGrjtyWlcf2j', 'event-2', 'msg_3MoJevRZ000hlPLrir4hJzd2TNO'),
	('app_3MoJes4V000VxJ6dGrjtyWlcf2j', 'event-3', 'msg_3MoJevXM000izec9wqhkHUSDkCN'),
	('app_3MoJes4V000VxJ6dGrjtyWlcf2j', 'event-4', 'msg_3MoJevei000GJ3y9IFfIS0rJ5n7'),
	('app_3MoJes4V000VxJ6dGrjtyWlcf2j', 'event-5', 'msg_3MoJevkM0000bVNKHftxUvTiLQW');
INSERT INTO public.event_type VALUES
	('org_00000000000SvixManagement00', 'endpoint.created', 'An endpoint was created.', 0, 0, NULL, NULL, NULL, 1796011084459, 1796011084459),
	('org_00000000000SvixManagement00', 'endpoint.updated', 'An endpoint was changed, or its secret was rotated.', 0, 0, NULL, NULL, NULL, 1796011084459, 1796011084459),
	('org_00000000000SvixManagement00', 'endpoint.deleted', 'An endpoint was deleted.', 0, 0, NULL, NULL, NULL, 1796011084459, 1796011084459),
	('org_00000000000SvixManagement00', 'endpoint.disabled', 'An endpoint was disabled, by a request or by its failures.', 0, 0, NULL, NULL, NULL, 1796011084459, 1796011084459),
	('org_00000000000SvixManagement00', 'endpoint.enabled', 'An endpoint was enabled.', 0, 0, NULL, NULL, NULL, 1796011084459, 1796011084459),
	('org_00000000000SvixManagement00', 'message.attempt.failing', 'The fourth attempt of a message failed, and another follows.', 0, 0, NULL, NULL, NULL, 1796011084459, 1796011084459),
	('org_00000000000SvixManagement00', 'message.attempt.exhausted', 'The last attempt of a message failed.', 0, 0, NULL, NULL, NULL, 1796011084459, 1796011084459),
	('org_00000000000SvixManagement00', 'message.attempt.recovered', 'A message was delivered after an event about its failures.', 0, 0, NULL, NULL, NULL, 1796011084459, 1796011084459),
	('org_00000000000SvixManagement00', 'background_task.finished', 'A background task ended: it succeeded, failed or was canceled.', 0, 0, NULL, NULL, NULL, 1796011084459, 1796011084459),
	('org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'invoice.paid', 'Paid', 0, 0, '{"1":{"type":"object"}}', NULL, NULL, 1796011084844, 1796011084844),
	('org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'invoice.void', 'Void', 1, 1, NULL, NULL, NULL, 1796011084896, 1796011084928);
INSERT INTO public.export VALUES
	('synthetic', 1, 'synthetic', '\x0102', 1);
INSERT INTO public.idempotency_record VALUES
	('sAD8Tam2jWeKgThkgDiT+g', 1796054285213, 'msg_3MoJeuJO000dpYFpjSmX1wkVbJE', NULL, NULL),
	('46tmDzLVz1Sw3dBTjzr39g', 1796054285274, 'msg_3MoJeukO000Dy4wjMPH63YOBDMk', NULL, NULL),
	('VW+pd4FTa77nx8FcwBkKqQ', 1796054285365, 'msg_3MoJevRZ000hlPLrir4hJzd2TNO', NULL, NULL),
	('CkJPKtO/xTPv6qlAQk4xGw', 1796054285377, 'msg_3MoJevXM000izec9wqhkHUSDkCN', NULL, NULL),
	('jR0alZPRMQ84Ch86RwVX2Q', 1796054285388, 'msg_3MoJevei000GJ3y9IFfIS0rJ5n7', NULL, NULL),
	('mYpCC0AshwaXZy/mJKKrtA', 1796054285402, 'msg_3MoJevkM0000bVNKHftxUvTiLQW', NULL, NULL);
INSERT INTO public.message_20261126 VALUES
	('msg_3MoJeuJO000dpYFpjSmX1wkVbJE', 'app_3MoJes4V000VxJ6dGrjtyWlcf2j', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'invoice.paid', 'event-0', '["eu"]', '["first"]', '\x7b22696e766f696365223a20312c20226e616d65223a20225a6f5c7530306562222c20226e223a20307d', 1798603085213, NULL, NULL),
	('msg_3MoJeukO000Dy4wjMPH63YOBDMk', 'app_3MoJes4V000VxJ6dGrjtyWlcf2j', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'invoice.paid', 'event-1', '["eu"]', '["first"]', '\x7b22696e766f696365223a20312c20226e616d65223a20225a6f5c7530306562222c20226e223a20317d', 1798603085274, NULL, NULL),
	('msg_3MoJevRZ000hlPLrir4hJzd2TNO', 'app_3MoJes4V000VxJ6dGrjtyWlcf2j', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'invoice.paid', 'event-2', '["eu"]', '["first"]', '\x7b22696e766f696365223a20312c20226e616d65223a20225a6f5c7530306562222c20226e223a20327d', 1798603085365, NULL, NULL),
	('msg_3MoJevXM000izec9wqhkHUSDkCN', 'app_3MoJes4V000VxJ6dGrjtyWlcf2j', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'invoice.paid', 'event-3', '["eu"]', '["first"]', '\x7b22696e766f696365223a20312c20226e616d65223a20225a6f5c7530306562222c20226e223a20337d', 1798603085377, NULL, NULL),
	('msg_3MoJevei000GJ3y9IFfIS0rJ5n7', 'app_3MoJes4V000VxJ6dGrjtyWlcf2j', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'invoice.paid', 'event-4', '["eu"]', '["first"]', '\x7b22696e766f696365223a20312c20226e616d65223a20225a6f5c7530306562222c20226e223a20347d', 1798603085388, NULL, NULL),
	('msg_3MoJevkM0000bVNKHftxUvTiLQW', 'app_3MoJes4V000VxJ6dGrjtyWlcf2j', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'invoice.paid', 'event-5', '["eu"]', '["first"]', '\x7b22696e766f696365223a20312c20226e616d65223a20225a6f5c7530306562222c20226e223a20357d', 1798603085402, NULL, NULL),
	('msg_3MoJevvT000SukNYnjWo3rlRDEu', 'app_3MoJes4V000VxJ6dGrjtyWlcf2j', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'invoice.paid', NULL, NULL, NULL, '\x612c620a312c32', NULL, NULL, 1),
	('msg_3MoJewJ6000aVoQ183aT5MIQgVN', 'app_3MoJes4V000VxJ6dGrjtyWlcf2j', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'invoice.paid', NULL, NULL, NULL, '\x7b22696e766f696365223a20312c20226e616d65223a20225a6f5c7530306562227d', NULL, 1796083085476, NULL),
	('msg_3MoJfIVU000DgPQEA8YDcVlYOB7', 'app_3MoJes4V000VxJ6dGrjtyWlcf2j', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'invoice.paid', NULL, NULL, NULL, '\x7b22696e766f696365223a20312c20226e616d65223a20225a6f5c7530306562222c202274657874223a20227878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878227d', NULL, NULL, NULL);
INSERT INTO public.node VALUES
	(1130435505, 'vm:29829:436113b1', '0.1.0');
INSERT INTO public.operational_event VALUES
	('msg_3MoJfIaI000TPBJ7v4VFqfRngnm', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'background_task.finished', '{"data":{"data":{"messages_created":[{"appId":"app_3MoJes4V000VxJ6dGrjtyWlcf2j","msgId":"msg_3MoJfIVU000DgPQEA8YDcVlYOB7"}],"messages_failed":[]},"status":"finished","task":"message.broadcast","taskId":"qtask_3MoJfI6V000RB5cuL7jhL5Sn6bR"},"type":"background_task.finished"}'),
	('msg_3MoJfItO000XLf3jtOScM1LNi6Z', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'endpoint.deleted', '{"data":{"appId":"app_3MoJes4V000VxJ6dGrjtyWlcf2j","appUid":"customer-1","endpointId":"ep_3MoJetEX000yROIpkL5JbKv4kZt","endpointUid":"gone"},"type":"endpoint.deleted"}');
INSERT INTO public.rollup VALUES
	('synthetic', 'synthetic', 'synthetic', 1, 1, 1, 'synthetic');
INSERT INTO public.rollup_reopened VALUES
	(1, 'synthetic', 'synthetic');
INSERT INTO public.schema_migration VALUES
	(1, 'initial', '3928ff1c2bb75b0c7927a4bf304bbd40488fd3c84a24f842908f0221e9ccbef7', '0.1.0');
INSERT INTO public.setting VALUES
	('main_secret_proof', 'x6XGGwDqoNPJgk6XbdAONzjnWDxCilRLFGsA1p0vx8btgA19Qy707o8CG9RwyWcgj+3r'),
	('heartbeat:1', '1796011087950');
INSERT INTO public.task VALUES
	('qtask_3MoJfDu4000p1G2iGWKviEa22XU', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'app_3MoJes4V000VxJ6dGrjtyWlcf2j', 'app_3MoJes4V000VxJ6dGrjtyWlcf2j', 'endpoint.recover', '{"endpoint_id":"ep_3MoJesn1000W8kInOpQG19hCsuE","since":1796007487723,"until":null,"high_water_mark":null,"force":false}', 1, 'succeeded', 'finished', 0, 0, 0, 1, NULL, NULL, '["atmpt_3MoJewXl009sQRTyumS2Jpyti4o0","atmpt_3MoCMonIefj2RR7DLuyHo2dNMDA","atmpt_3MoJewXl009sQRTyumS2Jpyti4o0"]', 7, 0, 7, 1, 120, 963.6622250257266, 7, 1, 0, NULL, '{"messagesSent": 0}', 'endpoint:ep_3MoJesn1000W8kInOpQG19hCsuE', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 779, NULL, 1796011087740, 1796011087754, 1796011087798, 1796011087798),
	('qtask_3MoJfG9u000leeUU1uV8qTHrxIY', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', NULL, 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'application.stats', '{"since":1796007487723,"until":1796011087723,"app_ids":null,"high_water_mark":null}', 1, 'succeeded', 'finished', 0, 0, 0, 1, NULL, NULL, '{"after":"app_3MoJes4V000VxJ6dGrjtyWlcf2j","last":"app_3MoJesCw000g00aiAIvafvPhafR","app":"","uid":null,"endpoint":"","first":"","counted":0}', 1, 0, 1, 1, 120, 43.196962252079636, 23, 1, 0, NULL, '{}', NULL, 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 796, NULL, 1796011088013, 1796011088030, 1796011088107, 1796011088107),
	('qtask_3MoJfEXy000JseExDNbTMbfB0WC', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'app_3MoJes4V000VxJ6dGrjtyWlcf2j', 'app_3MoJes4V000VxJ6dGrjtyWlcf2j', 'endpoint.replay', '{"endpoint_id":"ep_3MoJesn1000W8kInOpQG19hCsuE","since":1796007487723,"until":null,"high_water_mark":null,"force":false}', 1, 'succeeded', 'finished', 0, 0, 0, 1, NULL, NULL, '["msg_3MoJewJ6000aVoQ183aT5MIQgVN0","msg_3MoCMonIefj2RR7DLuyHo2dNMDA","msg_3MoJewJ6000aVoQ183aT5MIQgVN0"]', 8, 0, 8, 1, 120, 613.5020606907567, 13, 1, 0, NULL, '{"messagesSent": 0}', 'endpoint:ep_3MoJesn1000W8kInOpQG19hCsuE', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 783, NULL, 1796011087824, 1796011087833, 1796011087875, 1796011087875),
	('qtask_3MoJfI6V000RB5cuL7jhL5Sn6bR', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', NULL, 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'message.broadcast', '{"event_type":"invoice.paid","event_id":null,"channels":null,"retention_ms":7776000000,"high_water_mark":null}', 1, 'succeeded', 'finished', 0, 0, 0, 1, NULL, NULL, '["app_3MoJes4V000VxJ6dGrjtyWlcf2j","","app_3MoJesCw000g00aiAIvafvPhafR"]', 1, 0, 1, 1, 120, 52.73292886535113, 19, 1, 0, NULL, '{}', NULL, 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 808, NULL, 1796011088268, 1796011088279, 1796011088332, 1796011088332),
	('qtask_3MoJfFIv000AhPBmpx8wXNKlK8U', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'app_3MoJes4V000VxJ6dGrjtyWlcf2j', 'app_3MoJes4V000VxJ6dGrjtyWlcf2j', 'endpoint.bulk-replay', '{"endpoint_id":"ep_3MoJesn1000W8kInOpQG19hCsuE","since":1796007487723,"until":null,"high_water_mark":null,"force":false,"filters":{"messages":{"event_types":[],"channel":null,"tag":null},"status":null,"code_class":null,"state":null}}', 1, 'succeeded', 'finished', 0, 0, 0, 1, NULL, NULL, '["msg_3MoJewJ6000aVoQ183aT5MIQgVN0","msg_3MoCMonIefj2RR7DLuyHo2dNMDA","msg_3MoJewJ6000aVoQ183aT5MIQgVN0"]', 8, 0, 8, 1, 120, 523.6744376294325, 15, 1, 0, NULL, '{"messagesSent": 7}', 'endpoint:ep_3MoJesn1000W8kInOpQG19hCsuE', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 788, NULL, 1796011087925, 1796011087939, 1796011087987, 1796011087987),
	('qtask_3MoJfHQ10004Uo0hfSN7DkF4B8N', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', NULL, 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'event-type.aggregate', '{"high_water_mark":null}', 1, 'succeeded', 'finished', 0, 0, 0, 1, NULL, NULL, '{"after":"app_3MoJes4V000VxJ6dGrjtyWlcf2j","last":"app_3MoJesCw000g00aiAIvafvPhafR","app":"","uid":null,"endpoint":"","first":"","counted":0}', 1, 0, 1, 1, 120, 134.95001653938257, 7, 1, 0, NULL, '{}', NULL, 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 804, NULL, 1796011088180, 1796011088197, 1796011088225, 1796011088225);
INSERT INTO public.task_event VALUES
	('qtask_3MoJfDu4000p1G2iGWKviEa22XU', 1, 1796011087740, 'created', NULL),
	('qtask_3MoJfDu4000p1G2iGWKviEa22XU', 2, 1796011087798, 'succeeded', NULL),
	('qtask_3MoJfEXy000JseExDNbTMbfB0WC', 1, 1796011087824, 'created', NULL),
	('qtask_3MoJfEXy000JseExDNbTMbfB0WC', 2, 1796011087875, 'succeeded', NULL),
	('qtask_3MoJfFIv000AhPBmpx8wXNKlK8U', 1, 1796011087925, 'created', NULL),
	('qtask_3MoJfFIv000AhPBmpx8wXNKlK8U', 2, 1796011087987, 'succeeded', NULL),
	('qtask_3MoJfG9u000leeUU1uV8qTHrxIY', 1, 1796011088013, 'created', NULL),
	('qtask_3MoJfG9u000leeUU1uV8qTHrxIY', 2, 1796011088107, 'succeeded', NULL),
	('qtask_3MoJfHQ10004Uo0hfSN7DkF4B8N', 1, 1796011088180, 'created', NULL),
	('qtask_3MoJfHQ10004Uo0hfSN7DkF4B8N', 2, 1796011088225, 'succeeded', NULL),
	('qtask_3MoJfI6V000RB5cuL7jhL5Sn6bR', 1, 1796011088268, 'created', NULL),
	('qtask_3MoJfI6V000RB5cuL7jhL5Sn6bR', 2, 1796011088332, 'succeeded', NULL);
INSERT INTO public.task_input VALUES
	('qtask_3MoJfI6V000RB5cuL7jhL5Sn6bR', '\x7b22696e766f696365223a20312c20226e616d65223a20225a6f5c7530306562222c202274657874223a20227878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878227d');
INSERT INTO public.task_item VALUES
	('qtask_3MoJfG9u000leeUU1uV8qTHrxIY', 'app_3MoJes4V000VxJ6dGrjtyWlcf2j', 'counted', '{"messageDestinations": 23, "appId": "app_3MoJes4V000VxJ6dGrjtyWlcf2j", "appUid": "customer-1"}'),
	('qtask_3MoJfHQ10004Uo0hfSN7DkF4B8N', 'app_3MoJes4V000VxJ6dGrjtyWlcf2j', 'aggregated', '{"appId": "app_3MoJes4V000VxJ6dGrjtyWlcf2j", "explicitlySubscribedEventTypes": ["invoice.paid"], "hasCatchAllEndpoint": false}'),
	('qtask_3MoJfI6V000RB5cuL7jhL5Sn6bR', 'app_3MoJes4V000VxJ6dGrjtyWlcf2j', 'created', '{"appId": "app_3MoJes4V000VxJ6dGrjtyWlcf2j", "msgId": "msg_3MoJfIVU000DgPQEA8YDcVlYOB7"}');
INSERT INTO public.throttle VALUES
	('app_3MoJes4V000VxJ6dGrjtyWlcf2j', 1796011088023292, NULL),
	('ep_3MoJesn1000W8kInOpQG19hCsuE', 1796011088029669, NULL);
INSERT INTO public.token_end VALUES
	('app_3MoJes4V000VxJ6dGrjtyWlcf2j', 'token:df8de419ee60f3d86dac521ea9d24edb', 4611686018427387904, 1796011085533);
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
ALTER TABLE ONLY public.rollup
    ADD CONSTRAINT rollup_pkey PRIMARY KEY (org_id, app_id, endpoint_id, hour);
ALTER TABLE ONLY public.rollup_reopened
    ADD CONSTRAINT rollup_reopened_pkey PRIMARY KEY (hour, endpoint_id, attempt_id);
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
CREATE INDEX attempt_exhausted ON ONLY public.attempt USING btree (endpoint_id, msg_id) WHERE (ended = 1);
CREATE INDEX attempt_20261126_endpoint_id_msg_id_idx1 ON public.attempt_20261126 USING btree (endpoint_id, msg_id) WHERE (ended = 1);
CREATE INDEX attempt_org_exhausted ON ONLY public.attempt USING btree (org_id, msg_id, endpoint_id) WHERE (ended = 1);
CREATE INDEX attempt_20261126_org_id_msg_id_endpoint_id_idx ON public.attempt_20261126 USING btree (org_id, msg_id, endpoint_id) WHERE (ended = 1);
CREATE INDEX attempt_task ON ONLY public.attempt USING btree (task_id, status, msg_id, endpoint_id) WHERE (task_id IS NOT NULL);
CREATE INDEX attempt_20261126_task_id_status_msg_id_endpoint_id_idx ON public.attempt_20261126 USING btree (task_id, status, msg_id, endpoint_id) WHERE (task_id IS NOT NULL);
CREATE INDEX attempt_20261203_endpoint_id_id_idx ON public.attempt_20261203 USING btree (endpoint_id, id) WHERE (status = 2);
CREATE INDEX attempt_20261203_endpoint_id_id_status_response_status_code_idx ON public.attempt_20261203 USING btree (endpoint_id, id, status, response_status_code);
CREATE INDEX attempt_20261203_endpoint_id_msg_id_idx ON public.attempt_20261203 USING btree (endpoint_id, msg_id) WHERE (ended > 0);
CREATE INDEX attempt_20261203_endpoint_id_msg_id_idx1 ON public.attempt_20261203 USING btree (endpoint_id, msg_id) WHERE (ended = 1);
CREATE INDEX attempt_20261203_org_id_msg_id_endpoint_id_idx ON public.attempt_20261203 USING btree (org_id, msg_id, endpoint_id) WHERE (ended = 1);
CREATE INDEX attempt_20261203_task_id_status_msg_id_endpoint_id_idx ON public.attempt_20261203 USING btree (task_id, status, msg_id, endpoint_id) WHERE (task_id IS NOT NULL);
CREATE INDEX attempt_default_endpoint_id_id_idx ON public.attempt_default USING btree (endpoint_id, id) WHERE (status = 2);
CREATE INDEX attempt_default_endpoint_id_id_status_response_status_code_idx ON public.attempt_default USING btree (endpoint_id, id, status, response_status_code);
CREATE INDEX attempt_default_endpoint_id_msg_id_idx ON public.attempt_default USING btree (endpoint_id, msg_id) WHERE (ended > 0);
CREATE INDEX attempt_default_endpoint_id_msg_id_idx1 ON public.attempt_default USING btree (endpoint_id, msg_id) WHERE (ended = 1);
CREATE INDEX attempt_default_org_id_msg_id_endpoint_id_idx ON public.attempt_default USING btree (org_id, msg_id, endpoint_id) WHERE (ended = 1);
CREATE INDEX attempt_default_task_id_status_msg_id_endpoint_id_idx ON public.attempt_default USING btree (task_id, status, msg_id, endpoint_id) WHERE (task_id IS NOT NULL);
CREATE INDEX bucket_index_owner ON public.bucket_index USING btree (owner, name, bucket);
CREATE INDEX delivery_due ON public.delivery USING btree (endpoint_id, lane, due_at) WHERE (lease IS NULL);
CREATE INDEX delivery_lease_expiry ON public.delivery USING btree (lease_until) WHERE (lease IS NOT NULL);
CREATE INDEX delivery_next ON public.delivery USING btree (due_at) WHERE (lease IS NULL);
CREATE INDEX delivery_org ON public.delivery USING btree (org_id, due_at) WHERE (lease IS NULL);
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
CREATE INDEX rollup_hour ON public.rollup USING btree (hour);
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
ALTER INDEX public.attempt_exhausted ATTACH PARTITION public.attempt_20261126_endpoint_id_msg_id_idx1;
ALTER INDEX public.attempt_org_exhausted ATTACH PARTITION public.attempt_20261126_org_id_msg_id_endpoint_id_idx;
ALTER INDEX public.attempt_pkey ATTACH PARTITION public.attempt_20261126_pkey;
ALTER INDEX public.attempt_task ATTACH PARTITION public.attempt_20261126_task_id_status_msg_id_endpoint_id_idx;
ALTER INDEX public.attempt_failed ATTACH PARTITION public.attempt_20261203_endpoint_id_id_idx;
ALTER INDEX public.attempt_endpoint ATTACH PARTITION public.attempt_20261203_endpoint_id_id_status_response_status_code_idx;
ALTER INDEX public.attempt_ended ATTACH PARTITION public.attempt_20261203_endpoint_id_msg_id_idx;
ALTER INDEX public.attempt_exhausted ATTACH PARTITION public.attempt_20261203_endpoint_id_msg_id_idx1;
ALTER INDEX public.attempt_org_exhausted ATTACH PARTITION public.attempt_20261203_org_id_msg_id_endpoint_id_idx;
ALTER INDEX public.attempt_pkey ATTACH PARTITION public.attempt_20261203_pkey;
ALTER INDEX public.attempt_task ATTACH PARTITION public.attempt_20261203_task_id_status_msg_id_endpoint_id_idx;
ALTER INDEX public.attempt_failed ATTACH PARTITION public.attempt_default_endpoint_id_id_idx;
ALTER INDEX public.attempt_endpoint ATTACH PARTITION public.attempt_default_endpoint_id_id_status_response_status_code_idx;
ALTER INDEX public.attempt_ended ATTACH PARTITION public.attempt_default_endpoint_id_msg_id_idx;
ALTER INDEX public.attempt_exhausted ATTACH PARTITION public.attempt_default_endpoint_id_msg_id_idx1;
ALTER INDEX public.attempt_org_exhausted ATTACH PARTITION public.attempt_default_org_id_msg_id_endpoint_id_idx;
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
