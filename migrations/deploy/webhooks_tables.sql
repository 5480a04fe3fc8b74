-- What webhooks owns: where each session's events go, and the deliveries on their way there.
-- requires: schemas ledger_tables
BEGIN;

SET LOCAL search_path = webhooks;

-- A session's subscriber, from wa.session.events.v1. Deleted sessions keep their row, so that late
-- events of theirs are known to be nobody's. is_known: its SessionCreated was read.
CREATE TABLE endpoint (
    session_uuid uuid PRIMARY KEY,
    partition    int         NOT NULL,
    is_known     boolean     NOT NULL,
    is_deleted   boolean     NOT NULL,
    session_key  text        NOT NULL,
    user_id      bigint      NOT NULL,
    url          text        NOT NULL, -- empty: none
    secret       bytea,                -- sealed under WEBHOOK_KEY
    subscribe    int         NOT NULL, -- bits of domain/event_names.h
    jid          text        NOT NULL,
    cancel_below bigint      NOT NULL, -- deliveries with a smaller number are to be cancelled; next ones get none such
    updated_at   timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 70);
CREATE INDEX endpoint_partition ON endpoint (partition);

-- Deliveries that are not done, in the order of number within a session. EARLY: whether anybody wants
-- it is decided when what was said of the session before is known. DEAD: parked for 30 days. What did
-- not fit into the line of its session has no row here, only its events.
CREATE TABLE delivery (
    delivery_id     uuid PRIMARY KEY,
    session_uuid    uuid        NOT NULL,
    partition       int         NOT NULL,
    number          bigint      NOT NULL,
    source_event_id text        NOT NULL,
    event           text        NOT NULL,
    body            text        NOT NULL,
    state           text        NOT NULL CHECK (state IN ('EARLY', 'QUEUED', 'RETRYING', 'DEAD')),
    attempts        int         NOT NULL,
    sequence        bigint      NOT NULL,
    next_at         timestamptz,
    happened_at     timestamptz NOT NULL,
    last_error      text,
    created_at      timestamptz NOT NULL DEFAULT now(),
    UNIQUE (session_uuid, number)
) WITH (fillfactor = 70);
CREATE INDEX delivery_partition ON delivery (partition);
CREATE INDEX delivery_dead ON delivery (created_at) WHERE state = 'DEAD';

-- What a receipt has to say of a message that was sent, for sessions that subscribe to receipts.
CREATE TABLE sent (
    message_id    uuid PRIMARY KEY,
    session_uuid  uuid        NOT NULL,
    wa_message_id text        NOT NULL,
    recipient     text        NOT NULL,
    created_at    timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX sent_created ON sent (created_at);

COMMIT;
