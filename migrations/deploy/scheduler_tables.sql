-- What the scheduler owns: blasts, their recipients while they may still be sent, and what it knows
-- of sessions. Nothing here grows with a blast but its recipients' chunks.
-- requires: schemas ledger_tables
BEGIN;

SET LOCAL search_path = scheduler;

-- What wa.session.events.v1 says of each session, as far as blasts need it.
CREATE TABLE session (
    session_uuid uuid PRIMARY KEY,
    partition    int     NOT NULL,
    phase        text    NOT NULL,
    linked       boolean NOT NULL,
    sequence     bigint  NOT NULL
) WITH (fillfactor = 70);
CREATE INDEX session_partition ON session (partition);

-- The fold of wa.blast.events.v1, and what no event has: how far handing over is, and the counts of
-- messages by state. Rows stay when a blast is deleted, so that its id is not used again.
CREATE TABLE blast (
    blast_id         uuid PRIMARY KEY,
    partition        int     NOT NULL,
    session_uuid     uuid    NOT NULL,
    snapshot         jsonb   NOT NULL,
    upload_id        text    NOT NULL,
    message_template text    NOT NULL,
    config           text    NOT NULL,
    campaign_id      text,
    next_index       int     NOT NULL, -- recipients before it were handed over or left out
    sent             int     NOT NULL,
    delivered        int     NOT NULL,
    read             int     NOT NULL,
    retrying         int     NOT NULL,
    failed           int     NOT NULL,
    skipped          int     NOT NULL,
    is_live          boolean NOT NULL, -- something may happen to it without a command
    wants_recipients boolean NOT NULL, -- its chunks may still be read
    updated_at       timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 50);
CREATE INDEX blast_live ON blast (partition) WHERE is_live;

-- Chunks of recipients as they came, in Kafka's wire format; those that no blast names go after a day.
CREATE TABLE recipient_chunk (
    blast_id    uuid   NOT NULL,
    upload_id   text   NOT NULL,
    first_index int    NOT NULL,
    partition   int    NOT NULL,
    recipients  int    NOT NULL,
    wire        bytea  NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (blast_id, upload_id, first_index)
);

-- Messages that were handed over and have not settled; is_back: not sent in time, to be handed over again.
CREATE TABLE in_flight (
    blast_id      uuid    NOT NULL,
    message_index int     NOT NULL,
    partition     int     NOT NULL,
    times         int     NOT NULL, -- handed over so often
    is_back       boolean NOT NULL,
    PRIMARY KEY (blast_id, message_index)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
CREATE INDEX in_flight_partition ON in_flight (partition);

-- Commands that wait for recipients or for events of their session, in the order of their offsets. One id
-- may come for two blasts, of which each has another owner.
CREATE TABLE parked (
    command_id   text   NOT NULL,
    blast_id     uuid   NOT NULL,
    partition    int    NOT NULL,
    place        bigint NOT NULL,
    wire         bytea  NOT NULL,
    PRIMARY KEY (blast_id, command_id)
);

COMMIT;
