-- What the connector owns: sessions, their keys, and the messages it has been given.
-- requires: schemas ledger_tables
BEGIN;

SET LOCAL search_path = connector;

-- The fold of wa.session.events.v1, one row per session; partition is that of its key.
CREATE TABLE session (
    session_uuid uuid PRIMARY KEY,
    partition    int         NOT NULL,
    snapshot     jsonb       NOT NULL,
    updated_at   timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 70);
CREATE INDEX session_partition ON session (partition);

-- Device credentials, sealed under CREDENTIALS_KEY; gone when the account is no longer linked.
CREATE TABLE credentials (
    session_uuid uuid PRIMARY KEY,
    partition    int   NOT NULL,
    sealed       bytea NOT NULL
);
CREATE INDEX credentials_partition ON credentials (partition);

-- Devices of sessions that were removed: WhatsApp is yet to be told to unlink them. Sealed as in
-- credentials; gone when it has confirmed.
CREATE TABLE to_unlink (
    session_uuid uuid  NOT NULL,
    device       text  NOT NULL,
    partition    int   NOT NULL,
    sealed       bytea NOT NULL,
    asked_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (session_uuid, device)
);
CREATE INDEX to_unlink_partition ON to_unlink (partition);

-- Signal records (prekeys, sessions, identities), sealed; version is compared at each write.
CREATE TABLE signal_record (
    session_uuid uuid     NOT NULL,
    kind         smallint NOT NULL,
    key          text     COLLATE "C" NOT NULL,
    version      bigint   NOT NULL,
    sealed       bytea    NOT NULL,
    PRIMARY KEY (session_uuid, kind, key)
) WITH (fillfactor = 70);

-- Which LID a phone number has, as this account learned it; both are users without server or device.
CREATE TABLE lid (
    session_uuid uuid NOT NULL,
    phone        text NOT NULL,
    lid          text NOT NULL,
    PRIMARY KEY (session_uuid, phone)
);
CREATE INDEX lid_lid ON lid (session_uuid, lid);

-- A phone belongs to at most one linked session, whatever partition that has.
CREATE TABLE phone_in_use (
    phone        text PRIMARY KEY,
    session_uuid uuid NOT NULL
);
CREATE INDEX phone_in_use_session ON phone_in_use (session_uuid);

-- Outbound messages from hand-over until receipts are no longer expected. The text stays for retry
-- receipts; stanza is what goes to the socket, again and again until the server's ack. Most updates
-- touch no indexed column, so that they stay within their page.
CREATE TABLE message (
    message_id     uuid PRIMARY KEY,
    session_uuid   uuid        NOT NULL,
    partition      int         NOT NULL,
    place          bigint      NOT NULL GENERATED ALWAYS AS IDENTITY,
    user_id        bigint      NOT NULL,
    wa_message_id  text        NOT NULL,
    recipient      text        NOT NULL,
    kind           text        NOT NULL,
    text           text        NOT NULL,
    contact_name   text,
    blast_id       uuid,
    blast_index    int,
    campaign_id    text,
    correlation_id text,
    not_after      timestamptz,
    state          text        NOT NULL,
    sequence       bigint      NOT NULL,
    attempts       int         NOT NULL,
    next_attempt   timestamptz,
    stanza         bytea,
    is_settled     boolean     NOT NULL,
    settled_at     timestamptz NOT NULL DEFAULT now(), -- before it is settled: when it came
    UNIQUE (session_uuid, wa_message_id)
) WITH (fillfactor = 70);
CREATE INDEX message_unsettled ON message (partition, session_uuid, place) WHERE NOT is_settled;
CREATE INDEX message_age ON message (settled_at) WHERE is_settled;

-- A new encryption of one message for one device that asked for it (S2).
CREATE TABLE retry (
    message_id   uuid NOT NULL,
    device       text NOT NULL,
    count        int  NOT NULL,
    session_uuid uuid NOT NULL,
    partition    int  NOT NULL,
    stanza       bytea NOT NULL,
    is_settled   boolean NOT NULL DEFAULT false,
    created_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (message_id, device, count)
);
CREATE INDEX retry_unsettled ON retry (partition, session_uuid) WHERE NOT is_settled;
CREATE INDEX retry_age ON retry (created_at);

-- Messages that came in, so that one that the server gives again is acked and not told twice.
CREATE TABLE inbound (
    message_id   uuid PRIMARY KEY,
    session_uuid uuid NOT NULL,
    received_at  timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX inbound_age ON inbound (received_at);

COMMIT;
