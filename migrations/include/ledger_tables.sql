-- The tables of libs/ledger, made in the first schema of search_path.

-- Who may commit for a partition: whoever knows its epoch. Locked first in every transaction.
CREATE TABLE partition_owner (
    grp       text        NOT NULL,
    partition int         NOT NULL,
    epoch     bigint      NOT NULL,
    owner     text        NOT NULL, -- instance id
    process   text        NOT NULL, -- that of the owner's which took it: no other may go on with it
    taken_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (grp, partition)
) WITH (fillfactor = 50);

-- What was handled: everything before next_offset; of event topics everything up to last_position.
CREATE TABLE input_offset (
    grp           text   NOT NULL,
    topic         text   NOT NULL,
    partition     int    NOT NULL,
    next_offset   bigint NOT NULL,
    last_position bigint, -- null: no event seen yet
    PRIMARY KEY (grp, topic, partition)
) WITH (fillfactor = 50);

-- The position that the next row of the outbox gets.
CREATE TABLE output_position (
    topic         text   NOT NULL,
    partition     int    NOT NULL,
    next_position bigint NOT NULL CHECK (next_position >= 1),
    PRIMARY KEY (topic, partition)
) WITH (fillfactor = 50);

-- Committed, and perhaps not yet in the log. Rows go as a prefix.
CREATE TABLE outbox (
    topic     text   NOT NULL,
    partition int    NOT NULL,
    position  bigint NOT NULL,
    key       text,
    value     bytea  NOT NULL,
    PRIMARY KEY (topic, partition, position)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000);

-- Answers to commands, for repeats.
CREATE TABLE command_verdict (
    command_id text        NOT NULL PRIMARY KEY,
    partition  int         NOT NULL,
    verdict    text        NOT NULL,
    at         timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX command_verdict_at ON command_verdict (at);
