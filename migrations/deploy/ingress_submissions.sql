-- Blasts from Kafka: what ingress has taken from wa.blast.submit.v1 and not yet decided, and the
-- first verdict on each request, which every repeat gets again.
-- requires: ingress_tables ledger_tables
BEGIN;

SET LOCAL search_path = ingress;
\ir ../include/ledger_tables.sql

CREATE TABLE submission (
    partition  int         NOT NULL,
    log_offset bigint      NOT NULL,
    key_sha256 text, -- of the API key that came along; the key itself is kept nowhere
    record     bytea       NOT NULL,
    taken_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (partition, log_offset)
);

CREATE TABLE submission_verdict (
    user_id      bigint      NOT NULL,
    request_id   text        NOT NULL,
    code         text, -- null: accepted
    message      text,
    is_done      boolean     NOT NULL DEFAULT false, -- false: promised, and perhaps not yet created
    session_uuid uuid, -- of a promised one: what its blast is made for, also when the session is gone
    session_key  text,
    decided_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, request_id)
);

COMMIT;
