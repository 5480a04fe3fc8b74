-- The projections: what queries and dashboards read. The tracker alone writes them, by folding the log.
-- Each table has one source topic, so the order in which topics are read cannot change a row; the views
-- join them. Nothing here refuses a fact: no uniqueness but the key of the fold, no checks, no foreign
-- keys (what is unique was reserved before the command; deleted rows stay, with deleted_at).
-- requires: ledger_tables
BEGIN;

-- wa.session.events.v1
CREATE TABLE proj.sessions (
    uuid               uuid PRIMARY KEY,
    id                 bigint NOT NULL,
    session_key        text NOT NULL,
    user_id            bigint NOT NULL,
    token_enc          bytea,
    name               text NOT NULL DEFAULT '',
    position           integer NOT NULL DEFAULT 0,
    declared_phone     text,
    phone              text,
    jid                text,
    lid                text,
    push_name          text,
    platform           text,
    registered         boolean NOT NULL DEFAULT false,
    display_name       varchar,
    profile_picture    text,
    metadata           jsonb NOT NULL DEFAULT '{}',
    state              text NOT NULL,
    desired_online     boolean NOT NULL DEFAULT false,
    linked             boolean NOT NULL DEFAULT false,
    connected          boolean NOT NULL GENERATED ALWAYS AS
                       (state IN ('WAITING_FOR_SCAN', 'PAIRING', 'CONNECTED')) STORED,
    logged_in          boolean NOT NULL GENERATED ALWAYS AS
                       (linked OR state IN ('PAIRING', 'CONNECTED', 'RECONNECTING')) STORED,
    is_active          boolean NOT NULL GENERATED ALWAYS AS
                       (state IN ('CONNECTED', 'RECONNECTING') OR (state = 'CONNECTING' AND linked)) STORED,
    connection_quality text NOT NULL GENERATED ALWAYS AS
                       (CASE WHEN state IN ('DISCONNECTED', 'LOGGED_OUT') THEN 'poor' ELSE 'unknown' END) STORED,
    events             text[] NOT NULL DEFAULT '{}',
    webhook_url        text NOT NULL DEFAULT '',
    webhook_secret_enc bytea,
    disconnect_reason  text,
    last_login         timestamptz,
    last_seen          timestamptz,
    last_activity      timestamptz,
    created_at         timestamptz NOT NULL,
    updated_at         timestamptz NOT NULL,
    deleted_at         timestamptz,
    applied_seq        bigint NOT NULL
);
COMMENT ON TABLE proj.sessions IS 'WhatsApp logins, from wa.session.events.v1';
COMMENT ON COLUMN proj.sessions.connection_quality IS 'for when Redis has no value of the running socket';
CREATE INDEX sessions_session_key ON proj.sessions (session_key);
CREATE INDEX sessions_id ON proj.sessions (id);
CREATE INDEX sessions_user_position ON proj.sessions (user_id, position);
CREATE INDEX sessions_phone ON proj.sessions (phone) WHERE phone IS NOT NULL;

-- wa.blast.events.v1
CREATE TABLE proj.blasts (
    uuid                 uuid PRIMARY KEY,
    id                   bigint NOT NULL,
    blast_key            text NOT NULL,
    user_id              bigint NOT NULL,
    session_uuid         uuid NOT NULL,
    session_key          text NOT NULL,
    campaign_id          text,
    campaign_name        text NOT NULL,
    message_template     text NOT NULL,
    config               jsonb NOT NULL DEFAULT '{}',
    upload_id            text,
    status               text NOT NULL,
    total_messages       integer NOT NULL DEFAULT 0,
    current_index        integer NOT NULL DEFAULT 0,
    sent_count           integer NOT NULL DEFAULT 0,
    failed_count         integer NOT NULL DEFAULT 0,
    skipped_count        integer NOT NULL DEFAULT 0,
    delivered_count      integer NOT NULL DEFAULT 0,
    read_count           integer NOT NULL DEFAULT 0,
    estimated_completion timestamptz,
    started_at           timestamptz,
    paused_at            timestamptz,
    resumed_at           timestamptz,
    completed_at         timestamptz,
    stopped_at           timestamptz,
    failed_at            timestamptz,
    pause_reason         text,
    error_message        text,
    created_at           timestamptz NOT NULL,
    updated_at           timestamptz NOT NULL,
    deleted_at           timestamptz,
    applied_seq          bigint NOT NULL
);
COMMENT ON TABLE proj.blasts IS 'runs of a campaign, from wa.blast.events.v1';
CREATE INDEX blasts_user_created ON proj.blasts (user_id, created_at DESC, id);
CREATE INDEX blasts_user_status ON proj.blasts (user_id, status);
CREATE INDEX blasts_blast_key ON proj.blasts (blast_key);
CREATE INDEX blasts_id ON proj.blasts (id);
CREATE INDEX blasts_session ON proj.blasts (session_uuid);

-- Recipients that the scheduler left out (wa.blast.events.v1).
CREATE TABLE proj.blast_skipped (
    blast_id      uuid NOT NULL,
    message_index integer NOT NULL,
    reason        text NOT NULL,
    at            timestamptz NOT NULL,
    PRIMARY KEY (blast_id, message_index)
);

-- Ranges that were not handed over when the blast ended, both ends included (wa.blast.events.v1). Ranges,
-- because stopping a blast of a million must not touch a million rows.
CREATE TABLE proj.blast_cancelled (
    blast_id    uuid NOT NULL,
    first_index integer NOT NULL,
    last_index  integer NOT NULL,
    reason      text NOT NULL,
    at          timestamptz NOT NULL,
    PRIMARY KEY (blast_id, first_index)
);

-- wa.blast.recipients.v1. A blast counts only the upload that its BlastCreated names. Others (an upload that was refused
-- half-way, or whose ingress died before it sent the command) belong to nobody, and go a week after they came.
CREATE TABLE proj.blast_recipients (
    blast_id         uuid NOT NULL,
    upload_id        text NOT NULL,
    message_index    integer NOT NULL,
    message_id       uuid NOT NULL,
    recipient        text NOT NULL,
    contact_name     text,
    variables        jsonb NOT NULL DEFAULT '{}',
    message_template text,
    PRIMARY KEY (blast_id, message_index, upload_id) -- so that a list by index needs no sorting
);
COMMENT ON COLUMN proj.blast_recipients.message_id IS 'uuid v5 of (blast, index): also the id of the message, once there is one';

-- Uploads of the last week: until then one may be named. When each came is this reader's own knowledge, no fold of the log.
CREATE TABLE proj.blast_uploads (
    blast_id    uuid NOT NULL,
    upload_id   text NOT NULL,
    partition   integer NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (blast_id, upload_id)
);

-- wa.message.events.v1, outbound messages. Blast messages have a row from the first event on, so a
-- recipient that was not handed over yet has none.
CREATE TABLE proj.message_states (
    message_id      uuid PRIMARY KEY,
    session_uuid    uuid NOT NULL,
    user_id         bigint NOT NULL,
    blast_id        uuid,
    message_index   integer,
    campaign_id     text,
    recipient       text,
    contact_name    text,
    kind            text,
    text            text,
    state           text NOT NULL,
    attempt_count   integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz,
    last_error      text,
    wa_message_id   text,
    sent_at         timestamptz,
    delivered_at    timestamptz,
    read_at         timestamptz,
    created_at      timestamptz NOT NULL,
    updated_at      timestamptz NOT NULL,
    applied_seq     bigint NOT NULL
) WITH (fillfactor = 60); -- each is updated two or three times, which should stay within its page
CREATE INDEX message_states_user_created ON proj.message_states (user_id, created_at);

-- wa.webhook.events.v1
CREATE TABLE proj.webhook_deliveries (
    id              uuid PRIMARY KEY,
    session_uuid    uuid NOT NULL,
    session_key     text NOT NULL,
    user_id         bigint NOT NULL,
    source_event_id text NOT NULL,
    event           text,
    status          text NOT NULL,
    attempt         integer NOT NULL DEFAULT 0,
    http_status     integer,
    last_error      text,
    next_at         timestamptz,
    created_at      timestamptz NOT NULL,
    updated_at      timestamptz NOT NULL,
    applied_seq     bigint NOT NULL
);
CREATE INDEX webhook_deliveries_session ON proj.webhook_deliveries (session_uuid, created_at);

-- The log as it was applied, for audits. Secrets are left out of the payload.
CREATE TABLE proj.events (
    aggregate_id   uuid NOT NULL,
    sequence       bigint NOT NULL,
    aggregate_type text NOT NULL,
    event_id       uuid NOT NULL,
    event_type     text NOT NULL,
    occurred_at    timestamptz NOT NULL,
    correlation_id text,
    causation_id   text,
    actor_kind     text NOT NULL,
    actor_id       text,
    session_uuid   uuid,
    user_id        bigint NOT NULL,
    epoch          bigint NOT NULL,
    position       bigint NOT NULL,
    payload        jsonb NOT NULL,
    PRIMARY KEY (aggregate_id, sequence)
);
CREATE INDEX events_occurred ON proj.events USING brin (occurred_at);

-- Every outbound message of every blast that exists, and every direct one. What a member means is in one
-- place: a recipient is PENDING until a message event, a skip or a cancellation says otherwise; a message
-- that expired before it was written has gone back to its blast.
CREATE VIEW proj.messages AS
SELECT r.message_id AS id,
       b.uuid AS blast_id,
       r.message_index,
       b.session_uuid,
       b.user_id,
       coalesce(m.campaign_id, b.campaign_id) AS campaign_id,
       r.recipient,
       r.contact_name,
       r.variables,
       coalesce(r.message_template, b.message_template) AS template,
       coalesce(m.kind, 'text') AS kind,
       m.text,
       CASE
           WHEN m.state IS NOT NULL AND m.state NOT IN ('PENDING', 'EXPIRED') THEN m.state
           WHEN s.reason IS NOT NULL THEN 'SKIPPED'
           WHEN c.reason IS NOT NULL THEN 'CANCELLED'
           ELSE 'PENDING'
       END AS status,
       coalesce(m.attempt_count, 0) AS attempt_count,
       m.next_attempt_at,
       CASE
           WHEN m.state IS NOT NULL AND m.state NOT IN ('PENDING', 'EXPIRED') THEN m.last_error
           WHEN s.reason IS NOT NULL THEN 'skipped: ' || s.reason
           WHEN c.reason IS NOT NULL THEN 'cancelled'
       END AS last_error,
       m.wa_message_id,
       m.sent_at,
       m.delivered_at,
       m.read_at,
       coalesce(m.created_at, b.created_at) AS created_at,
       coalesce(m.updated_at, s.at, c.at, b.created_at) AS updated_at
FROM proj.blasts b
JOIN proj.blast_recipients r ON r.blast_id = b.uuid AND r.upload_id = b.upload_id
LEFT JOIN proj.message_states m ON m.message_id = r.message_id
LEFT JOIN proj.blast_skipped s ON s.blast_id = b.uuid AND s.message_index = r.message_index
LEFT JOIN LATERAL (
    SELECT x.reason, x.at FROM proj.blast_cancelled x
    WHERE x.blast_id = b.uuid AND x.first_index <= r.message_index AND x.last_index >= r.message_index
    ORDER BY x.first_index DESC LIMIT 1
) c ON true
UNION ALL
SELECT m.message_id, NULL::uuid, NULL::integer, m.session_uuid, m.user_id, m.campaign_id, m.recipient,
       m.contact_name, '{}'::jsonb, NULL::text, coalesce(m.kind, 'text'), m.text,
       CASE WHEN m.state = 'EXPIRED' THEN 'FAILED' ELSE m.state END,
       m.attempt_count, m.next_attempt_at, m.last_error, m.wa_message_id, m.sent_at, m.delivered_at,
       m.read_at, m.created_at, m.updated_at
FROM proj.message_states m
WHERE m.blast_id IS NULL;
COMMENT ON VIEW proj.messages IS 'outbound messages with their present status: PENDING, DISPATCHED, SENT, DELIVERED, READ, FAILED, SKIPPED, CANCELLED';

-- Grants come by default (schemas). Keys and tokens are no business of a dashboard, sealed or not.
REVOKE SELECT ON proj.sessions FROM dashboard;
GRANT SELECT (uuid, id, session_key, user_id, name, position, declared_phone, phone, jid, lid, push_name, platform,
              registered, display_name, profile_picture, metadata, state, desired_online, linked, connected,
              logged_in, is_active, connection_quality, events, webhook_url, disconnect_reason, last_login,
              last_seen, last_activity, created_at, updated_at, deleted_at, applied_seq)
    ON proj.sessions TO dashboard;

COMMIT;
