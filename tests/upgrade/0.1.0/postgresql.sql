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
INSERT INTO public.application VALUES
	('app_3MnpmTjR00099TfRAS5zzmt6oCy', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', NULL, 'deleted', NULL, '{}', 1795996344480, 1795996344528, 1795996344528, 2, 1795996344528),
	('app_3MnpmTFD000w1wFn5OVgYp1AaAD', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'customer-1', 'Zoë', 900, '{"tier": "gold"}', 1795996344416, 1795996344416, NULL, 10, 1795996352704);
INSERT INTO public.attempt_20261126 VALUES
	('msg_3MnpmcK90006xBAuOpTCjMoA1Df', 'atmpt_3MnpmfmM000wWe56vdolBeMBBwI', 'ep_3MnpmUXP000oyd5pnfg3L1lip6t', 'app_3MnpmTFD000w1wFn5OVgYp1AaAD', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:41811/ok', 0, 1, 0, NULL, 200, 54, 'answer', NULL, NULL),
	('msg_3MnpmcK90006xBAuOpTCjMoA1Df', 'atmpt_3MnpmfmM001cIKUrt1irh7JdHHT', 'ep_3MnpmVZW000zzD5CR9E8GiDu4eg', 'app_3MnpmTFD000w1wFn5OVgYp1AaAD', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:41811/fail', 2, 1, 0, NULL, 500, 80, 'answer', 1795996347075, NULL),
	('msg_3MnpmcK90006xBAuOpTCjMoA1Df', 'atmpt_3MnpmfoG000OuJcxQY6XvC3pYsg', 'ep_3MnpmW8300034l9vhfAwkJq4bT9', 'app_3MnpmTFD000w1wFn5OVgYp1AaAD', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:41811/gone', 2, 1, 0, 1, 410, 114, 'answer', NULL, NULL),
	('msg_3Mnpmhxc000fM8kYo2Zww4B46QJ', 'atmpt_3MnpmoEd000faT6Cu9JMsPlkFsZ', 'ep_3MnpmVZW000zzD5CR9E8GiDu4eg', 'app_3MnpmTFD000w1wFn5OVgYp1AaAD', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:41811/fail', 2, 1, 0, NULL, 500, 35, 'answer', 1795996348011, NULL),
	('msg_3MnpmhSW000f58EbcXACZEVpqtf', 'atmpt_3MnpmoEd001jdaeHz2ct3s6W63L', 'ep_3MnpmVZW000zzD5CR9E8GiDu4eg', 'app_3MnpmTFD000w1wFn5OVgYp1AaAD', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:41811/fail', 2, 1, 0, NULL, 500, 35, 'answer', 1795996348328, NULL),
	('msg_3MnpmhSW000f58EbcXACZEVpqtf', 'atmpt_3MnpmoBi000TUJRG80Ky3UArs5Z', 'ep_3MnpmUXP000oyd5pnfg3L1lip6t', 'app_3MnpmTFD000w1wFn5OVgYp1AaAD', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:41811/ok', 0, 1, 0, NULL, 200, 35, 'answer', NULL, NULL),
	('msg_3Mnpmhxc000fM8kYo2Zww4B46QJ', 'atmpt_3MnpmoEd002AXEYjmd5xGDrtYZ9', 'ep_3MnpmUXP000oyd5pnfg3L1lip6t', 'app_3MnpmTFD000w1wFn5OVgYp1AaAD', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:41811/ok', 0, 1, 0, NULL, 200, 37, 'answer', NULL, NULL),
	('msg_3MnpmcK90006xBAuOpTCjMoA1Df', 'atmpt_3MnpmqRQ000dv9XRdEp7xLd77Id', 'ep_3MnpmVZW000zzD5CR9E8GiDu4eg', 'app_3MnpmTFD000w1wFn5OVgYp1AaAD', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:41811/fail', 2, 2, 0, NULL, 500, 41, 'answer', 1796032479667, NULL),
	('msg_3Mnpmh4D000Oa2MKzZu55hXnCoU', 'atmpt_3MnpmoEd003iLD235763s425D8U', 'ep_3MnpmVZW000zzD5CR9E8GiDu4eg', 'app_3MnpmTFD000w1wFn5OVgYp1AaAD', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:41811/fail', 2, 1, 0, NULL, 500, 1086, 'answer', 1795996348998, NULL),
	('msg_3Mnpmh4D000Oa2MKzZu55hXnCoU', 'atmpt_3MnpmoEd004W9e07daY89ROd6a5', 'ep_3MnpmUXP000oyd5pnfg3L1lip6t', 'app_3MnpmTFD000w1wFn5OVgYp1AaAD', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:41811/ok', 0, 1, 0, NULL, 200, 1086, 'answer', NULL, NULL),
	('msg_3Mnpmf4p000IVrzFz8bBiO2zLxi', 'atmpt_3MnpmoEd005Hjb8LWUWgCzuxsax', 'ep_3MnpmVZW000zzD5CR9E8GiDu4eg', 'app_3MnpmTFD000w1wFn5OVgYp1AaAD', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:41811/fail', 2, 1, 0, NULL, 500, 1087, 'answer', 1795996349102, NULL),
	('msg_3Mnpmf4p000IVrzFz8bBiO2zLxi', 'atmpt_3MnpmoEd006hn3Y9NCOC64a8AM6', 'ep_3MnpmUXP000oyd5pnfg3L1lip6t', 'app_3MnpmTFD000w1wFn5OVgYp1AaAD', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:41811/ok', 0, 1, 0, NULL, 200, 1087, 'answer', NULL, NULL),
	('msg_3Mnpml5t000PWBWvKlawLf3HIu5', 'atmpt_3MnpmoEd0077ijIcpnvocFLTosn', 'ep_3MnpmVZW000zzD5CR9E8GiDu4eg', 'app_3MnpmTFD000w1wFn5OVgYp1AaAD', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:41811/fail', 2, 1, 0, NULL, 500, 1087, 'answer', 1795996349268, NULL),
	('msg_3MnpmiRg000jAcuQMvw7GbfinfP', 'atmpt_3MnpmoEd008kNhrSSQRQRLI33Nj', 'ep_3MnpmUXP000oyd5pnfg3L1lip6t', 'app_3MnpmTFD000w1wFn5OVgYp1AaAD', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:41811/ok', 0, 1, 0, NULL, 200, 1277, 'answer', NULL, NULL),
	('msg_3MnpmiRg000jAcuQMvw7GbfinfP', 'atmpt_3MnpmoEd009a3xnK3kaxpMeGicw', 'ep_3MnpmVZW000zzD5CR9E8GiDu4eg', 'app_3MnpmTFD000w1wFn5OVgYp1AaAD', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:41811/fail', 2, 1, 0, NULL, 500, 1277, 'answer', 1795996349495, NULL),
	('msg_3Mnpml5t000PWBWvKlawLf3HIu5', 'atmpt_3MnpmoEd00Aqrr3kkkh4M0avUGI', 'ep_3MnpmUXP000oyd5pnfg3L1lip6t', 'app_3MnpmTFD000w1wFn5OVgYp1AaAD', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:41811/ok', 0, 1, 0, NULL, 200, 1277, 'answer', NULL, NULL),
	('msg_3MnpmhSW000f58EbcXACZEVpqtf', 'atmpt_3Mnpn0PZ000Cldw6PsizA4Lh4IN', 'ep_3MnpmVZW000zzD5CR9E8GiDu4eg', 'app_3MnpmTFD000w1wFn5OVgYp1AaAD', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:41811/fail', 2, 2, 0, NULL, 500, 42, 'answer', 1796032287944, NULL),
	('msg_3Mnpmhxc000fM8kYo2Zww4B46QJ', 'atmpt_3Mnpn2AG0002Qny59kSQHx8VCtz', 'ep_3MnpmVZW000zzD5CR9E8GiDu4eg', 'app_3MnpmTFD000w1wFn5OVgYp1AaAD', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:41811/fail', 2, 2, 0, NULL, 500, 13, 'answer', 1796025692109, NULL),
	('msg_3Mnpmh4D000Oa2MKzZu55hXnCoU', 'atmpt_3Mnpn4YC000wjIfB44XrVu3NSNR', 'ep_3MnpmVZW000zzD5CR9E8GiDu4eg', 'app_3MnpmTFD000w1wFn5OVgYp1AaAD', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:41811/fail', 2, 2, 0, NULL, 500, 11, 'answer', 1796033018747, NULL),
	('msg_3Mnpmf4p000IVrzFz8bBiO2zLxi', 'atmpt_3Mnpn6WV000oEEhETDyW2tBDKU5', 'ep_3MnpmVZW000zzD5CR9E8GiDu4eg', 'app_3MnpmTFD000w1wFn5OVgYp1AaAD', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:41811/fail', 2, 2, 0, NULL, 500, 42, 'answer', 1796029485317, NULL),
	('msg_3Mnpml5t000PWBWvKlawLf3HIu5', 'atmpt_3Mnpn6WV001gbe645qeQRuhzrRu', 'ep_3MnpmVZW000zzD5CR9E8GiDu4eg', 'app_3MnpmTFD000w1wFn5OVgYp1AaAD', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:41811/fail', 2, 2, 0, NULL, 500, 42, 'answer', 1796030998045, NULL),
	('msg_3MnpmiRg000jAcuQMvw7GbfinfP', 'atmpt_3Mnpn8JA000ihf6ZxvIO2ot18in', 'ep_3MnpmVZW000zzD5CR9E8GiDu4eg', 'app_3MnpmTFD000w1wFn5OVgYp1AaAD', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:41811/fail', 2, 2, 0, NULL, 500, 27, 'answer', 1796036188011, NULL),
	('msg_3MnpmcK90006xBAuOpTCjMoA1Df', 'atmpt_3MnpnMJc000smUyci4BilJAmU3c', 'ep_3MnpmUXP000oyd5pnfg3L1lip6t', 'app_3MnpmTFD000w1wFn5OVgYp1AaAD', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:41811/ok', 0, NULL, 1, NULL, 200, 14, 'answer', NULL, 'qtask_3MnpnJ9W000FMvkwO3GSJA5og1M'),
	('msg_3Mnpmh4D000Oa2MKzZu55hXnCoU', 'atmpt_3MnpnMMi000Zi8VAuWSls3Op5kj', 'ep_3MnpmUXP000oyd5pnfg3L1lip6t', 'app_3MnpmTFD000w1wFn5OVgYp1AaAD', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:41811/ok', 0, NULL, 1, NULL, 200, 14, 'answer', NULL, 'qtask_3MnpnJ9W000FMvkwO3GSJA5og1M'),
	('msg_3Mnpmf4p000IVrzFz8bBiO2zLxi', 'atmpt_3MnpnMMi0012TGTvWvB71bSOCDl', 'ep_3MnpmUXP000oyd5pnfg3L1lip6t', 'app_3MnpmTFD000w1wFn5OVgYp1AaAD', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:41811/ok', 0, NULL, 1, NULL, 200, 14, 'answer', NULL, 'qtask_3MnpnJ9W000FMvkwO3GSJA5og1M'),
	('msg_3MnpmhSW000f58EbcXACZEVpqtf', 'atmpt_3MnpnMMi002Px5VMTHH1ypi6xCQ', 'ep_3MnpmUXP000oyd5pnfg3L1lip6t', 'app_3MnpmTFD000w1wFn5OVgYp1AaAD', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:41811/ok', 0, NULL, 1, NULL, 200, 31, 'answer', NULL, 'qtask_3MnpnJ9W000FMvkwO3GSJA5og1M'),
	('msg_3Mnpmhxc000fM8kYo2Zww4B46QJ', 'atmpt_3MnpnMMi003iIrrM5TTm1whoL6E', 'ep_3MnpmUXP000oyd5pnfg3L1lip6t', 'app_3MnpmTFD000w1wFn5OVgYp1AaAD', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:41811/ok', 0, NULL, 1, NULL, 200, 31, 'answer', NULL, 'qtask_3MnpnJ9W000FMvkwO3GSJA5og1M'),
	('msg_3MnpmiRg000jAcuQMvw7GbfinfP', 'atmpt_3MnpnMMi004wWch34mBtUpTyysm', 'ep_3MnpmUXP000oyd5pnfg3L1lip6t', 'app_3MnpmTFD000w1wFn5OVgYp1AaAD', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:41811/ok', 0, NULL, 1, NULL, 200, 39, 'answer', NULL, 'qtask_3MnpnJ9W000FMvkwO3GSJA5og1M'),
	('msg_3Mnpml5t000PWBWvKlawLf3HIu5', 'atmpt_3MnpnMMi005MNWca5K00aPcNxqM', 'ep_3MnpmUXP000oyd5pnfg3L1lip6t', 'app_3MnpmTFD000w1wFn5OVgYp1AaAD', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:41811/ok', 0, NULL, 1, NULL, 200, 1041, 'answer', NULL, 'qtask_3MnpnJ9W000FMvkwO3GSJA5og1M'),
	('msg_3MnpnTDl0005qAHqOrg2YKlLFMt', 'atmpt_3MnpnVgT000aQrDWWGsMsQ3WpLC', 'ep_3MnpmUXP000oyd5pnfg3L1lip6t', 'app_3MnpmTFD000w1wFn5OVgYp1AaAD', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'http://127.0.0.1:41811/ok', 0, 1, 0, NULL, 200, 17, 'answer', NULL, 'qtask_3MnpnRIa000Ia5YqpH26updH2rD');
INSERT INTO public.bucket_index VALUES
	('app_3MnpmTFD000w1wFn5OVgYp1AaAD', 'c"eu"', '3Mnp'),
	('app_3MnpmTFD000w1wFn5OVgYp1AaAD', 'einvoice.paid', '3Mnp'),
	('app_3MnpmTFD000w1wFn5OVgYp1AaAD', 't"first"', '3Mnp'),
	('ep_3MnpmUXP000oyd5pnfg3L1lip6t', 'd', '3Mnp3Mnp'),
	('ep_3MnpmVZW000zzD5CR9E8GiDu4eg', 'f5', '3Mnp3Mnp'),
	('ep_3MnpmW8300034l9vhfAwkJq4bT9', 'f4', '3Mnp3Mnp');
INSERT INTO public.delivery VALUES
	('msg_3MnpmcK90006xBAuOpTCjMoA1Df', 'ep_3MnpmWaY0007LprFoKGp4Kfs1hv', 'app_3MnpmTFD000w1wFn5OVgYp1AaAD', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 0, 1795996345588, 0, NULL, 0, 0, 2315291445491138564, 1795996400705, NULL),
	('msg_3Mnpmm2B00030PnrJ8zLBwIFbXf', 'ep_3MnpmUXP000oyd5pnfg3L1lip6t', 'app_3MnpmTFD000w1wFn5OVgYp1AaAD', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 0, 1796068346811, 0, NULL, 0, 0, NULL, NULL, NULL),
	('msg_3Mnpmm2B00030PnrJ8zLBwIFbXf', 'ep_3MnpmVZW000zzD5CR9E8GiDu4eg', 'app_3MnpmTFD000w1wFn5OVgYp1AaAD', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 0, 1796068346811, 0, NULL, 0, 0, NULL, NULL, NULL),
	('msg_3Mnpmm2B00030PnrJ8zLBwIFbXf', 'ep_3MnpmWaY0007LprFoKGp4Kfs1hv', 'app_3MnpmTFD000w1wFn5OVgYp1AaAD', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 0, 1796068346811, 0, NULL, 0, 0, NULL, NULL, NULL),
	('msg_3MnpmhSW000f58EbcXACZEVpqtf', 'ep_3MnpmWaY0007LprFoKGp4Kfs1hv', 'app_3MnpmTFD000w1wFn5OVgYp1AaAD', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 0, 1795996346236, 0, NULL, 0, 0, 2315291445491138574, 1795996401775, NULL),
	('msg_3MnpmcK90006xBAuOpTCjMoA1Df', 'ep_3MnpmVZW000zzD5CR9E8GiDu4eg', 'app_3MnpmTFD000w1wFn5OVgYp1AaAD', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 0, 1796032479667, 2, NULL, 0, 0, NULL, NULL, NULL),
	('msg_3MnpmhSW000f58EbcXACZEVpqtf', 'ep_3MnpmVZW000zzD5CR9E8GiDu4eg', 'app_3MnpmTFD000w1wFn5OVgYp1AaAD', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 0, 1796032287944, 2, NULL, 0, 0, NULL, NULL, NULL),
	('msg_3Mnpmhxc000fM8kYo2Zww4B46QJ', 'ep_3MnpmVZW000zzD5CR9E8GiDu4eg', 'app_3MnpmTFD000w1wFn5OVgYp1AaAD', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 0, 1796025692109, 2, NULL, 0, 0, NULL, NULL, NULL),
	('msg_3Mnpmhxc000fM8kYo2Zww4B46QJ', 'ep_3MnpmWaY0007LprFoKGp4Kfs1hv', 'app_3MnpmTFD000w1wFn5OVgYp1AaAD', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 0, 1795996346304, 0, NULL, 0, 0, 2315291445491138574, 1795996401775, NULL),
	('msg_3MnpmiRg000jAcuQMvw7GbfinfP', 'ep_3MnpmWaY0007LprFoKGp4Kfs1hv', 'app_3MnpmTFD000w1wFn5OVgYp1AaAD', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 0, 1795996346370, 0, NULL, 0, 0, 2315291445491138574, 1795996401775, NULL),
	('msg_3Mnpmf4p000IVrzFz8bBiO2zLxi', 'ep_3MnpmWaY0007LprFoKGp4Kfs1hv', 'app_3MnpmTFD000w1wFn5OVgYp1AaAD', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 0, 1795996346760, 0, NULL, 0, 0, 2315291445491138574, 1795996401775, NULL),
	('msg_3Mnpmh4D000Oa2MKzZu55hXnCoU', 'ep_3MnpmWaY0007LprFoKGp4Kfs1hv', 'app_3MnpmTFD000w1wFn5OVgYp1AaAD', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 0, 1795996346760, 0, NULL, 0, 0, 2315291445491138574, 1795996401775, NULL),
	('msg_3Mnpml5t000PWBWvKlawLf3HIu5', 'ep_3MnpmWaY0007LprFoKGp4Kfs1hv', 'app_3MnpmTFD000w1wFn5OVgYp1AaAD', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 0, 1795996346719, 0, NULL, 0, 0, 2315291445491138574, 1795996401775, NULL),
	('msg_3Mnpmh4D000Oa2MKzZu55hXnCoU', 'ep_3MnpmVZW000zzD5CR9E8GiDu4eg', 'app_3MnpmTFD000w1wFn5OVgYp1AaAD', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 0, 1796033018747, 2, NULL, 0, 0, NULL, NULL, NULL),
	('msg_3Mnpmf4p000IVrzFz8bBiO2zLxi', 'ep_3MnpmVZW000zzD5CR9E8GiDu4eg', 'app_3MnpmTFD000w1wFn5OVgYp1AaAD', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 0, 1796029485317, 2, NULL, 0, 0, NULL, NULL, NULL),
	('msg_3Mnpml5t000PWBWvKlawLf3HIu5', 'ep_3MnpmVZW000zzD5CR9E8GiDu4eg', 'app_3MnpmTFD000w1wFn5OVgYp1AaAD', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 0, 1796030998045, 2, NULL, 0, 0, NULL, NULL, NULL),
	('msg_3MnpmiRg000jAcuQMvw7GbfinfP', 'ep_3MnpmVZW000zzD5CR9E8GiDu4eg', 'app_3MnpmTFD000w1wFn5OVgYp1AaAD', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 0, 1796036188011, 2, NULL, 0, 0, NULL, NULL, NULL),
	('msg_3MnpnTDl0005qAHqOrg2YKlLFMt', 'ep_3MnpmVZW000zzD5CR9E8GiDu4eg', 'app_3MnpmTFD000w1wFn5OVgYp1AaAD', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 0, 1795996352372, 0, NULL, 0, 0, 2315291445491138583, 1795996407604, 'qtask_3MnpnRIa000Ia5YqpH26updH2rD'),
	('msg_3MnpnTDl0005qAHqOrg2YKlLFMt', 'ep_3MnpmWaY0007LprFoKGp4Kfs1hv', 'app_3MnpmTFD000w1wFn5OVgYp1AaAD', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 0, 1795996352372, 0, NULL, 0, 0, 2315291445491138583, 1795996407604, 'qtask_3MnpnRIa000Ia5YqpH26updH2rD');
INSERT INTO public.endpoint VALUES
	('ep_3MnpmVZW000zzD5CR9E8GiDu4eg', 'app_3MnpmTFD000w1wFn5OVgYp1AaAD', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'fail', 'http://127.0.0.1:41811/fail', 'fail', 1, 0, '["invoice.paid"]', NULL, NULL, '{"kind": "fail"}', '{}', '\x81fc73a5fbb62e649a04321825991c8d42d2e12f30dee6f048f05941247aea720f9c010faaaa2b537fb98ce5047488c20a6f8e073e43744f639d30a701187262c7', '[]', 1795996344724, 1795996344724, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('ep_3MnpmWaY0007LprFoKGp4Kfs1hv', 'app_3MnpmTFD000w1wFn5OVgYp1AaAD', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'hang', 'http://127.0.0.1:41811/hang', 'hang', 1, 0, '["invoice.paid"]', NULL, NULL, '{"kind": "hang"}', '{}', '\x81ccecd035420c33c34442ca7dcc12305d3fb3f9b57fa6801bfcdbb4bdc03fdb70de902d512a88f45bd2719d33af5297a713665616418881e4817859471cf21f7b', '[]', 1795996344856, 1795996344856, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('ep_3MnpmUXP000oyd5pnfg3L1lip6t', 'app_3MnpmTFD000w1wFn5OVgYp1AaAD', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'ok', 'http://127.0.0.1:41811/ok', 'ok', 1, 0, '["invoice.paid"]', NULL, 500, '{"kind": "ok"}', 'xchacha20poly1305:h1LUVmAUFA2XAIQPnLe8HEK+xGRAmFG15ycA7N+5zx15+o6WrTvI/TihMNHbRGbmi3XXGz5MJPTlFA==', '\x817434f441d44422ca531a0a3449910d23b5fa9cf4ddaed82c76d6aefac00c12e2fbb8fcd5db6b354a412b476ce94cf3282ae5fe875d4507d445932b3a3fd5013c', '[[1796082744924, "gVvmPLGWkn0gvBmreu9fd0+wHy7JEcsZpcgZtu/iQXp7iKIdE+NwBS4JyIMtrXh2rticA1G1n7YyxPuJnREC7o4="]]', 1795996344588, 1795996345188, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('ep_3MnpmW8300034l9vhfAwkJq4bT9', 'app_3MnpmTFD000w1wFn5OVgYp1AaAD', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', NULL, 'http://127.0.0.1:41811/gone', 'gone', 1, 1, '["invoice.paid"]', NULL, NULL, '{"kind": "gone"}', '{}', '\x81734f187be12635d2d994f7073756cd53dfcae2dd224adcc10513d676d9edd158bf0dc63d0ad807c2f6bbec274dc2978e749936c50c08abdbcfbdc07be6127f44', '[]', 1795996344796, 1795996352704, 1795996352704, NULL, NULL, NULL, NULL, 1795996346155, 'gone');
INSERT INTO public.endpoint_history VALUES
	('ep_3MnpmUXP000oyd5pnfg3L1lip6t', 2, 1795996344588, '["invoice.paid"]', NULL, 0, NULL, 0),
	('ep_3MnpmVZW000zzD5CR9E8GiDu4eg', 3, 1795996344724, '["invoice.paid"]', NULL, 0, NULL, 0),
	('ep_3MnpmW8300034l9vhfAwkJq4bT9', 4, 1795996344796, '["invoice.paid"]', NULL, 0, NULL, 0),
	('ep_3MnpmWaY0007LprFoKGp4Kfs1hv', 5, 1795996344856, '["invoice.paid"]', NULL, 0, NULL, 0),
	('ep_3MnpmW8300034l9vhfAwkJq4bT9', 9, 1795996346155, '["invoice.paid"]', NULL, 1, 'gone', 0),
	('ep_3MnpmW8300034l9vhfAwkJq4bT9', 10, 1795996352704, '["invoice.paid"]', NULL, 1, 'gone', 1);
INSERT INTO public.event_id VALUES
	('app_3MnpmTFD000w1wFn5OVgYp1AaAD', 'event-0', 'msg_3MnpmcK90006xBAuOpTCjMoA1Df'),
	('app_3MnpmTFD000w1wFn5OVgYp1AaAD', 'event-1', 'msg_3Mnpmf4p000IVrzFz8bBiO2zLxi'),
	('app_3MnpmTFD000w1wFn5OVgYp1AaAD', 'event-2', 'msg_3Mnpmh4D000Oa2MKzZu55hXnCoU'),
	('app_3MnpmTFD000w1wFn5OVgYp1AaAD', 'event-3', 'msg_3MnpmhSW000f58EbcXACZEVpqtf'),
	('app_3MnpmTFD000w1wFn5OVgYp1AaAD', 'event-4', 'msg_3Mnpmhxc000fM8kYo2Zww4B46QJ'),
	('app_3MnpmTFD000w1wFn5OVgYp1AaAD', 'event-5', 'msg_3MnpmiRg000jAcuQMvw7GbfinfP');
INSERT INTO public.event_type VALUES
	('org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'invoice.paid', 'Paid', 0, 0, '{"1":{"type":"object"}}', NULL, NULL, 1795996344192, 1795996344192),
	('org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'invoice.void', 'Void', 1, 1, NULL, NULL, NULL, 1795996344292, 1795996344344);
INSERT INTO public.export VALUES
	('synthetic', 1, 'synthetic', '\x0102', 1);
INSERT INTO public.idempotency_record VALUES
	('mgQURlM8PhEtj2+cYGVCSQ', 1796039545588, 'msg_3MnpmcK90006xBAuOpTCjMoA1Df', NULL, NULL),
	('r7p/nAJGHF3zVEMusK98IQ', 1796039545950, 'msg_3Mnpmf4p000IVrzFz8bBiO2zLxi', NULL, NULL),
	('ngChSPhk2ZGefFKGNOiGjQ', 1796039546188, 'msg_3Mnpmh4D000Oa2MKzZu55hXnCoU', NULL, NULL),
	('WPph8YzRu1JaDBZ1TyOzoA', 1796039546236, 'msg_3MnpmhSW000f58EbcXACZEVpqtf', NULL, NULL),
	('7YPt9IoGMoEIPX0MrjNS7A', 1796039546304, 'msg_3Mnpmhxc000fM8kYo2Zww4B46QJ', NULL, NULL),
	('1KSQPS98aXmrUb0NQArAsA', 1796039546370, 'msg_3MnpmiRg000jAcuQMvw7GbfinfP', NULL, NULL);
INSERT INTO public.message_20261126 VALUES
	('msg_3MnpmcK90006xBAuOpTCjMoA1Df', 'app_3MnpmTFD000w1wFn5OVgYp1AaAD', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'invoice.paid', 'event-0', '["eu"]', '["first"]', '\x7b22696e766f696365223a20312c20226e616d65223a20225a6f5c7530306562222c20226e223a20307d', 1798588345588, NULL, NULL),
	('msg_3Mnpmf4p000IVrzFz8bBiO2zLxi', 'app_3MnpmTFD000w1wFn5OVgYp1AaAD', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'invoice.paid', 'event-1', '["eu"]', '["first"]', '\x7b22696e766f696365223a20312c20226e616d65223a20225a6f5c7530306562222c20226e223a20317d', 1798588345950, NULL, NULL),
	('msg_3Mnpmh4D000Oa2MKzZu55hXnCoU', 'app_3MnpmTFD000w1wFn5OVgYp1AaAD', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'invoice.paid', 'event-2', '["eu"]', '["first"]', '\x7b22696e766f696365223a20312c20226e616d65223a20225a6f5c7530306562222c20226e223a20327d', 1798588346188, NULL, NULL),
	('msg_3MnpmhSW000f58EbcXACZEVpqtf', 'app_3MnpmTFD000w1wFn5OVgYp1AaAD', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'invoice.paid', 'event-3', '["eu"]', '["first"]', '\x7b22696e766f696365223a20312c20226e616d65223a20225a6f5c7530306562222c20226e223a20337d', 1798588346236, NULL, NULL),
	('msg_3Mnpmhxc000fM8kYo2Zww4B46QJ', 'app_3MnpmTFD000w1wFn5OVgYp1AaAD', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'invoice.paid', 'event-4', '["eu"]', '["first"]', '\x7b22696e766f696365223a20312c20226e616d65223a20225a6f5c7530306562222c20226e223a20347d', 1798588346304, NULL, NULL),
	('msg_3MnpmiRg000jAcuQMvw7GbfinfP', 'app_3MnpmTFD000w1wFn5OVgYp1AaAD', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'invoice.paid', 'event-5', '["eu"]', '["first"]', '\x7b22696e766f696365223a20312c20226e616d65223a20225a6f5c7530306562222c20226e223a20357d', 1798588346370, NULL, NULL),
	('msg_3Mnpml5t000PWBWvKlawLf3HIu5', 'app_3MnpmTFD000w1wFn5OVgYp1AaAD', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'invoice.paid', NULL, NULL, NULL, '\x612c620a312c32', NULL, NULL, 1),
	('msg_3Mnpmm2B00030PnrJ8zLBwIFbXf', 'app_3MnpmTFD000w1wFn5OVgYp1AaAD', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'invoice.paid', NULL, NULL, NULL, '\x7b22696e766f696365223a20312c20226e616d65223a20225a6f5c7530306562227d', NULL, 1796068346811, NULL),
	('msg_3MnpnTDl0005qAHqOrg2YKlLFMt', 'app_3MnpmTFD000w1wFn5OVgYp1AaAD', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'invoice.paid', NULL, NULL, NULL, '\x7b22696e766f696365223a20312c20226e616d65223a20225a6f5c7530306562222c202274657874223a20227878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878227d', NULL, NULL, NULL);
INSERT INTO public.node VALUES
	(1078141595, 'vm:15610:4043229b', '0.1.0');
INSERT INTO public.operational_event VALUES
	('msg_3MnpmVEg000txFuL0qKLV7qk4KP', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'endpoint.created', '{"data":{"appId":"app_3MnpmTFD000w1wFn5OVgYp1AaAD","appUid":"customer-1","endpointId":"ep_3MnpmUXP000oyd5pnfg3L1lip6t","endpointUid":"ok"},"type":"endpoint.created"}'),
	('msg_3MnpmVt2000EYsEUEXiOZ4JamQ8', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'endpoint.created', '{"data":{"appId":"app_3MnpmTFD000w1wFn5OVgYp1AaAD","appUid":"customer-1","endpointId":"ep_3MnpmVZW000zzD5CR9E8GiDu4eg","endpointUid":"fail"},"type":"endpoint.created"}'),
	('msg_3MnpmWIy000jXltfrqFR89FzUpQ', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'endpoint.created', '{"data":{"appId":"app_3MnpmTFD000w1wFn5OVgYp1AaAD","appUid":"customer-1","endpointId":"ep_3MnpmW8300034l9vhfAwkJq4bT9","endpointUid":"gone"},"type":"endpoint.created"}'),
	('msg_3MnpmWrv000moKiyxkU2koKb82c', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'endpoint.created', '{"data":{"appId":"app_3MnpmTFD000w1wFn5OVgYp1AaAD","appUid":"customer-1","endpointId":"ep_3MnpmWaY0007LprFoKGp4Kfs1hv","endpointUid":"hang"},"type":"endpoint.created"}'),
	('msg_3MnpmXWm000cDhzdb0ip3unmYAk', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'endpoint.updated', '{"data":{"appId":"app_3MnpmTFD000w1wFn5OVgYp1AaAD","appUid":"customer-1","endpointId":"ep_3MnpmUXP000oyd5pnfg3L1lip6t","endpointUid":"ok"},"type":"endpoint.updated"}'),
	('msg_3MnpmZLN000lvz2O4D5POiameMU', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'endpoint.updated', '{"data":{"appId":"app_3MnpmTFD000w1wFn5OVgYp1AaAD","appUid":"customer-1","endpointId":"ep_3MnpmUXP000oyd5pnfg3L1lip6t","endpointUid":"ok"},"type":"endpoint.updated"}'),
	('msg_3Mnpmgo3000pFeJbxNDE620WTmP', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'message.attempt.exhausted', '{"data":{"appId":"app_3MnpmTFD000w1wFn5OVgYp1AaAD","appUid":"customer-1","endpointId":"ep_3MnpmW8300034l9vhfAwkJq4bT9","lastAttempt":{"id":"atmpt_3MnpmfoG000OuJcxQY6XvC3pYsg","responseStatusCode":410,"timestamp":"2026-11-29T23:52:26.020Z"},"msgEventId":"event-0","msgId":"msg_3MnpmcK90006xBAuOpTCjMoA1Df"},"type":"message.attempt.exhausted"}'),
	('msg_3Mnpmgo30010mqpK4cSRDcYXToN', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'endpoint.disabled', '{"data":{"appId":"app_3MnpmTFD000w1wFn5OVgYp1AaAD","appUid":"customer-1","endpointId":"ep_3MnpmW8300034l9vhfAwkJq4bT9","endpointUid":"gone","failSince":null,"trigger":"automatic"},"type":"endpoint.disabled"}'),
	('msg_3MnpnE2m000n6f5vbjADEcPOXlk', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'background_task.finished', '{"data":{"data":{"endp_id":"ep_3MnpmUXP000oyd5pnfg3L1lip6t","messages_sent":0,"since":"2026-11-29T22:52:29.954Z","until":null},"status":"finished","task":"endpoint.recover","taskId":"qtask_3MnpnB4d000UTQaPQr7erDnn9ZO"},"type":"background_task.finished"}'),
	('msg_3MnpnIJq000M4ps7m3dQt1kwaHp', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'background_task.finished', '{"data":{"data":{"endp_id":"ep_3MnpmUXP000oyd5pnfg3L1lip6t","messages_sent":0,"since":"2026-11-29T22:52:29.954Z","until":null},"status":"finished","task":"endpoint.replay","taskId":"qtask_3MnpnETY000504P63UIG0BQnKUM"},"type":"background_task.finished"}'),
	('msg_3MnpnLXd000GQ0bvj6qmxuoErV1', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'background_task.finished', '{"data":{"data":{"endp_id":"ep_3MnpmUXP000oyd5pnfg3L1lip6t","messages_sent":7,"since":"2026-11-29T22:52:29.954Z","until":null},"status":"finished","task":"endpoint.bulk-replay","taskId":"qtask_3MnpnJ9W000FMvkwO3GSJA5og1M"},"type":"background_task.finished"}'),
	('msg_3MnpnNqq000efaKTSNks7Gixrfu', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'background_task.finished', '{"data":{"data":{"app_stats":[{"appId":"app_3MnpmTFD000w1wFn5OVgYp1AaAD","appUid":"customer-1","messageDestinations":22}]},"status":"finished","task":"application.stats","taskId":"qtask_3MnpnLur0002Kd7BRP9XRW0Bh87"},"type":"background_task.finished"}'),
	('msg_3MnpnQvC0009cwU9jbVZUpPbPoI', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'background_task.finished', '{"data":{"data":{"event_types":[{"appId":"app_3MnpmTFD000w1wFn5OVgYp1AaAD","explicitlySubscribedEventTypes":["invoice.paid"],"hasCatchAllEndpoint":false}]},"status":"finished","task":"event-type.aggregate","taskId":"qtask_3MnpnP3z000xRKn4ZUWhNFydIX0"},"type":"background_task.finished"}'),
	('msg_3MnpnUji0006H34SJhvqQUuV2Th', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'background_task.finished', '{"data":{"data":{"messages_created":[{"appId":"app_3MnpmTFD000w1wFn5OVgYp1AaAD","msgId":"msg_3MnpnTDl0005qAHqOrg2YKlLFMt"}],"messages_failed":[]},"status":"finished","task":"message.broadcast","taskId":"qtask_3MnpnRIa000Ia5YqpH26updH2rD"},"type":"background_task.finished"}'),
	('msg_3MnpnW7L0004h8WdNwZKkYEBnb1', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'endpoint.deleted', '{"data":{"appId":"app_3MnpmTFD000w1wFn5OVgYp1AaAD","appUid":"customer-1","endpointId":"ep_3MnpmW8300034l9vhfAwkJq4bT9","endpointUid":"gone"},"type":"endpoint.deleted"}');
INSERT INTO public.schema_migration VALUES
	(1, 'initial', '6a829b445665445c2c8d2b18ba7897b682a41aefaf296e017c953b8ffb13cb2b', '0.1.0');
INSERT INTO public.setting VALUES
	('main_secret_proof', 'Qws+JpY23f2S/GbNw/H1xqperemkLZjZCqk12MARX0MtBOiZH1z9tC45fA3mDjLRX56V'),
	('heartbeat:11', '1795996351848');
INSERT INTO public.task VALUES
	('qtask_3MnpnB4d000UTQaPQr7erDnn9ZO', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'app_3MnpmTFD000w1wFn5OVgYp1AaAD', 'app_3MnpmTFD000w1wFn5OVgYp1AaAD', 'endpoint.recover', '{"endpoint_id":"ep_3MnpmUXP000oyd5pnfg3L1lip6t","since":1795992749954,"until":null,"high_water_mark":null,"force":false}', 1, 'succeeded', 'finished', 0, 0, 0, 1, NULL, NULL, '["atmpt_3MnpmoEd00Aqrr3kkkh4M0avUGI0","atmpt_3MniUlJPw8yAmfU7N0267FG6dJQ","atmpt_3MnpmoEd00Aqrr3kkkh4M0avUGI0"]', 7, 0, 7, 1, 120, 486.78432707170595, 14, 1, 0, NULL, '{"messagesSent": 0}', 'endpoint:ep_3MnpmUXP000oyd5pnfg3L1lip6t', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 779, NULL, 1795996350035, 1795996350174, 1795996350423, 1795996350423),
	('qtask_3MnpnLur0002Kd7BRP9XRW0Bh87', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', NULL, 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'application.stats', '{"since":1795992749954,"until":1795996349954,"app_ids":null,"high_water_mark":null}', 1, 'succeeded', 'finished', 0, 0, 0, 1, NULL, NULL, '{"after":"app_3MnpmTFD000w1wFn5OVgYp1AaAD","last":"app_3MnpmTjR00099TfRAS5zzmt6oCy","app":"","uid":null,"endpoint":"","first":"","counted":0}', 1, 0, 1, 1, 120, 19.24793765052249, 52, 1, 0, NULL, '{}', NULL, 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 794, NULL, 1795996351436, 1795996351484, 1795996351681, 1795996351681),
	('qtask_3MnpnETY000504P63UIG0BQnKUM', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'app_3MnpmTFD000w1wFn5OVgYp1AaAD', 'app_3MnpmTFD000w1wFn5OVgYp1AaAD', 'endpoint.replay', '{"endpoint_id":"ep_3MnpmUXP000oyd5pnfg3L1lip6t","since":1795992749954,"until":null,"high_water_mark":null,"force":false}', 1, 'succeeded', 'finished', 0, 0, 0, 1, NULL, NULL, '["msg_3Mnpmm2B00030PnrJ8zLBwIFbXf0","msg_3MniUlJPw8yAmfU7N0267FG6dJQ","msg_3Mnpmm2B00030PnrJ8zLBwIFbXf0"]', 8, 0, 8, 1, 120, 69.12205067981047, 116, 1, 0, NULL, '{"messagesSent": 0}', 'endpoint:ep_3MnpmUXP000oyd5pnfg3L1lip6t', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 783, NULL, 1795996350482, 1795996350596, 1795996350974, 1795996350974),
	('qtask_3MnpnJ9W000FMvkwO3GSJA5og1M', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'app_3MnpmTFD000w1wFn5OVgYp1AaAD', 'app_3MnpmTFD000w1wFn5OVgYp1AaAD', 'endpoint.bulk-replay', '{"endpoint_id":"ep_3MnpmUXP000oyd5pnfg3L1lip6t","since":1795992749954,"until":null,"high_water_mark":null,"force":false,"filters":{"messages":{"event_types":[],"channel":null,"tag":null},"status":null,"code_class":null}}', 1, 'succeeded', 'finished', 0, 0, 0, 1, NULL, NULL, '["msg_3Mnpmm2B00030PnrJ8zLBwIFbXf0","msg_3MniUlJPw8yAmfU7N0267FG6dJQ","msg_3Mnpmm2B00030PnrJ8zLBwIFbXf0"]', 8, 0, 8, 1, 120, 75.35184105805607, 106, 1, 0, NULL, '{"messagesSent": 7}', 'endpoint:ep_3MnpmUXP000oyd5pnfg3L1lip6t', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 788, NULL, 1795996351074, 1795996351127, 1795996351371, 1795996351371),
	('qtask_3MnpnRIa000Ia5YqpH26updH2rD', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', NULL, 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'message.broadcast', '{"event_type":"invoice.paid","event_id":null,"channels":null,"retention_ms":7776000000,"high_water_mark":null}', 1, 'succeeded', 'finished', 0, 0, 0, 1, NULL, NULL, '["app_3MnpmTFD000w1wFn5OVgYp1AaAD","","app_3MnpmTjR00099TfRAS5zzmt6oCy"]', 1, 0, 1, 1, 108, 4.405552345813114, 227, 1, 0, NULL, '{}', NULL, 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 804, NULL, 1795996352122, 1795996352187, 1795996352567, 1795996352567),
	('qtask_3MnpnP3z000xRKn4ZUWhNFydIX0', 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', NULL, 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 'event-type.aggregate', '{"high_water_mark":null}', 1, 'succeeded', 'finished', 0, 0, 0, 1, NULL, NULL, '{"after":"app_3MnpmTFD000w1wFn5OVgYp1AaAD","last":"app_3MnpmTjR00099TfRAS5zzmt6oCy","app":"","uid":null,"endpoint":"","first":"","counted":0}', 1, 0, 1, 1, 120, 27.450675528165323, 36, 1, 0, NULL, '{}', NULL, 'org_23rb8YdGqMT0qIzpgGwdXfHirMu', 800, NULL, 1795996351851, 1795996351951, 1795996352053, 1795996352053);
INSERT INTO public.task_event VALUES
	('qtask_3MnpnB4d000UTQaPQr7erDnn9ZO', 1, 1795996350035, 'created', NULL),
	('qtask_3MnpnB4d000UTQaPQr7erDnn9ZO', 2, 1795996350423, 'succeeded', NULL),
	('qtask_3MnpnETY000504P63UIG0BQnKUM', 1, 1795996350482, 'created', NULL),
	('qtask_3MnpnETY000504P63UIG0BQnKUM', 2, 1795996350974, 'succeeded', NULL),
	('qtask_3MnpnJ9W000FMvkwO3GSJA5og1M', 1, 1795996351074, 'created', NULL),
	('qtask_3MnpnJ9W000FMvkwO3GSJA5og1M', 2, 1795996351371, 'succeeded', NULL),
	('qtask_3MnpnLur0002Kd7BRP9XRW0Bh87', 1, 1795996351436, 'created', NULL),
	('qtask_3MnpnLur0002Kd7BRP9XRW0Bh87', 2, 1795996351681, 'succeeded', NULL),
	('qtask_3MnpnP3z000xRKn4ZUWhNFydIX0', 1, 1795996351851, 'created', NULL),
	('qtask_3MnpnP3z000xRKn4ZUWhNFydIX0', 2, 1795996352053, 'succeeded', NULL),
	('qtask_3MnpnRIa000Ia5YqpH26updH2rD', 1, 1795996352122, 'created', NULL),
	('qtask_3MnpnRIa000Ia5YqpH26updH2rD', 2, 1795996352567, 'succeeded', NULL);
INSERT INTO public.task_input VALUES
	('qtask_3MnpnRIa000Ia5YqpH26updH2rD', '\x7b22696e766f696365223a20312c20226e616d65223a20225a6f5c7530306562222c202274657874223a20227878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878787878227d');
INSERT INTO public.task_item VALUES
	('qtask_3MnpnLur0002Kd7BRP9XRW0Bh87', 'app_3MnpmTFD000w1wFn5OVgYp1AaAD', 'counted', '{"messageDestinations": 22, "appId": "app_3MnpmTFD000w1wFn5OVgYp1AaAD", "appUid": "customer-1"}'),
	('qtask_3MnpnP3z000xRKn4ZUWhNFydIX0', 'app_3MnpmTFD000w1wFn5OVgYp1AaAD', 'aggregated', '{"appId": "app_3MnpmTFD000w1wFn5OVgYp1AaAD", "explicitlySubscribedEventTypes": ["invoice.paid"], "hasCatchAllEndpoint": false}'),
	('qtask_3MnpnRIa000Ia5YqpH26updH2rD', 'app_3MnpmTFD000w1wFn5OVgYp1AaAD', 'created', '{"appId": "app_3MnpmTFD000w1wFn5OVgYp1AaAD", "msgId": "msg_3MnpnTDl0005qAHqOrg2YKlLFMt"}');
INSERT INTO public.throttle VALUES
	('app_3MnpmTFD000w1wFn5OVgYp1AaAD', 1795996352629850, NULL),
	('ep_3MnpmUXP000oyd5pnfg3L1lip6t', 1795996352628483, NULL);
INSERT INTO public.token_end VALUES
	('app_3MnpmTFD000w1wFn5OVgYp1AaAD', 'token:654ed4fe619a25b3307eeff6f11a5fe9', 4611686018427387904, 1795996347051);
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
