"""The tables that services load their state from, and the projections, held against folds of the log in Python, row by row.

A service commits state, events and offsets together, and the log follows. So the tables are read in one statement, with
the positions and offsets of that moment, and compared once the log stands where they stand.
"""

import collections
import datetime
import functools
import json

import folds
from log import Log, Record, by_aggregate
from stack import Stack, wait_until

SESSIONS, BLASTS, MESSAGES, WEBHOOKS = (f"wa.{name}.events.v1" for name in ("session", "blast", "message", "webhook"))
COMMANDS = "wa.message.cmd.v1"
# the schemas, and the topics that their services write
SCHEMAS = {"connector": (SESSIONS, MESSAGES), "scheduler": (BLASTS, COMMANDS), "webhooks": (WEBHOOKS,), "proj": ()}
COUNTS = "next_index sent delivered read retrying failed skipped is_live wants_recipients"
TIMES_OF_ALL = "created_at updated_at"
MESSAGE_PLACE = "session_uuid user_id blast_id blast_index campaign_id"

# what is compared: key and columns of each table; others hold what no event says
TABLES = {
    "connector.session": (("session_uuid",), "snapshot"),
    "connector.phone_in_use": (("phone",), "session_uuid"),
    "connector.message": (
        ("message_id",),
        f"{MESSAGE_PLACE} state sequence attempts next_attempt is_settled wa_message_id recipient kind text contact_name",
    ),
    "scheduler.session": (("session_uuid",), "phase linked sequence"),
    "scheduler.blast": (("blast_id",), f"session_uuid snapshot upload_id message_template config campaign_id {COUNTS}"),
    "scheduler.in_flight": (("blast_id", "message_index"), "times is_back"),
    "webhooks.endpoint": (("session_uuid",), "is_known is_deleted session_key user_id url secret subscribe jid"),
    "webhooks.delivery": (("delivery_id",), "session_uuid source_event_id event state attempts sequence next_at"),
    "proj.sessions": (
        ("uuid",),
        f"state linked desired_online connected logged_in jid phone name webhook_url applied_seq {TIMES_OF_ALL}",
    ),
    "proj.blasts": (
        ("uuid",),
        "status total_messages current_index sent_count failed_count skipped_count delivered_count read_count applied_seq "
        f"started_at paused_at resumed_at completed_at stopped_at failed_at deleted_at {TIMES_OF_ALL}",
    ),
    "proj.message_states": (("message_id",), f"state attempt_count next_attempt_at wa_message_id applied_seq {TIMES_OF_ALL}"),
    "proj.webhook_deliveries": (("id",), f"session_uuid source_event_id status attempt next_at applied_seq {TIMES_OF_ALL}"),
}
Rows = dict[tuple, dict]


class Stored:
    """The tables of some schemas at one moment, and how far their services had written and read the log."""

    def __init__(self, stack: Stack, schemas):
        own = {name: (key, columns.split()) for name, (key, columns) in TABLES.items() if name.partition(".")[0] in schemas}
        parts = [f"'{name}', {rows_of(name, [*key, *columns])}" for name, (key, columns) in own.items()]
        for schema in schemas:
            parts.append(f"'{schema}.out', {rows_of(f'{schema}.output_position', ['topic', 'partition', 'next_position'])}")
            parts.append(f"'{schema}.in', {rows_of(f'{schema}.input_offset', ['topic', 'partition', 'next_offset'])}")
        found = json.loads(stack.sql(f"select jsonb_build_object({', '.join(parts)})")[0][0])
        self.rows = {name: keyed(found[name], key, columns) for name, (key, columns) in own.items()}
        self.written = {(r["topic"], r["partition"]): r["next_position"] - 1 for s in schemas for r in found[f"{s}.out"]}
        self.read = {s: {(r["topic"], r["partition"]): r["next_offset"] for r in found[f"{s}.in"]} for s in schemas}


def rows_of(table: str, columns: list[str]) -> str:
    return f"(select coalesce(jsonb_agg(t), '[]') from (select {', '.join(columns)} from {table}) as t)"


def keyed(rows: list[dict], key: tuple[str, ...], columns: list[str]) -> Rows:
    for row in rows:
        row |= {name: datetime.datetime.fromisoformat(at) for name, at in row.items() if at and is_time(name)}
    return {tuple(row[name] for name in key): {name: row[name] for name in columns} for row in rows}


def is_time(name: str) -> bool:
    return name.endswith("_at") or name == "next_attempt"


class History:
    """The log at one moment, folded."""

    def __init__(self, log: Log):
        self.events = {topic: log.events(topic) for topic in (SESSIONS, BLASTS, MESSAGES, WEBHOOKS)}
        self.commands = list({record.value["command_id"]: record for record in log.records(COMMANDS)}.values())
        self.sessions = folded(folds.Session, self.aggregates(SESSIONS))
        self.blasts = folded(folds.Blast, self.aggregates(BLASTS))
        self.messages = folded(folds.Message, self.aggregates(MESSAGES))
        self.deliveries = folded(folds.Delivery, self.aggregates(WEBHOOKS))
        self.ends = log.ends()

    def aggregates(self, topic: str) -> dict[str, list[Record]]:
        """Each one's events, without messages that came in, which are one event each."""
        return by_aggregate([event for event in self.events[topic] if event.kind != "received"])

    @functools.cached_property
    def handed_over(self) -> dict[tuple[str, int], int]:
        """How often each recipient of a blast was given to the connector."""
        return collections.Counter((c.body["blast_id"], c.body["blast_index"]) for c in self.commands if is_of_a_blast(c))

    @functools.cached_property
    def flights(self) -> Rows:
        """Those that were handed over and have not settled. One that expired is back, until it goes again or is called off."""
        messages = {place_of(fold): fold for fold in self.messages.values()}
        found = {}
        for place, times in self.handed_over.items():
            blast, index = place
            message = messages.get(place, folds.Message())
            is_back = message.expired == times
            called_off = is_back and self.blasts[blast].is_over or index in self.blasts[blast].left_out
            if message.state["state"] not in folds.SETTLED and not called_off:
                found[place] = {"times": times, "is_back": is_back}
        return found

    def written(self, schemas) -> dict[tuple[str, int], int]:
        """The last position of each partition; of commands, which have none, how many the scheduler wrote."""
        last = {(e.topic, e.partition): e.value["position"] for events in self.events.values() for e in events}
        made = collections.Counter((r.topic, r.partition) for r in self.commands if is_of_a_blast(r))
        topics = {topic for schema in schemas for topic in SCHEMAS[schema]}
        return {place: n for place, n in (last | dict(made)).items() if place[0] in topics}


def folded(kind: type[folds.Fold], histories: dict[str, list[Record]]) -> dict:
    return {aggregate: kind.of(history) for aggregate, history in histories.items()}


def place_of(message: folds.Message) -> tuple[str, int]:
    return message.state["blast_id"], message.state["blast_index"]


def is_of_a_blast(command: Record) -> bool:
    return command.kind == "send" and command.body["blast_id"] is not None


def both_at_rest(stack: Stack, log: Log, schemas) -> tuple[Stored, History]:
    """At a moment at which they say the same of the log, and the services have read all of it."""
    apart: list = []

    def at_rest():
        stored = Stored(stack, schemas)
        history = History(log)
        written = {place: n for place, n in stored.written.items() if n > 0 and not place[0].startswith("wa.dlq.")}
        apart[:] = sorted(written.items() ^ history.written(schemas).items())
        for schema, offsets in stored.read.items():
            # before anything was read the offset is a negative number that stands for the beginning
            apart.extend((schema, *p) for p, offset in offsets.items() if max(offset, 0) < history.ends[p])
        return None if apart else (stored, history)

    try:
        return wait_until(at_rest, 60, "tables and log to stand at the same place", every=0.3)
    except AssertionError as e:
        raise AssertionError(f"{e}: {apart}") from None


# ---- what the tables must hold


def blast_row(history: History, blast: str, fold: folds.Blast) -> dict:
    states = [m.state["state"] for m in history.messages.values() if m.state["blast_id"] == blast]
    counts = folds.tally(states, len(fold.left_out))
    taken = [index for one, index in history.handed_over if one == blast] + list(fold.left_out)
    taken += [indexes[-1] for indexes in fold.cancelled]
    said = {name: fold.state[name] for name in ("sent", "failed", "skipped", "delivered", "read")}
    now = counts | {"failed": counts["failed"] + counts["retrying"]}
    unsaid = not fold.state["deleted"] and any(now[name] != n for name, n in said.items())
    return {
        "session_uuid": fold.state["session_uuid"],
        "snapshot": fold.state,
        "next_index": max(taken, default=-1) + 1,
        "is_live": fold.is_going or unsaid or any(one == blast for one, _ in history.flights),
        "wants_recipients": not fold.is_over,
        **{name: fold.created[name] for name in ("upload_id", "message_template", "config", "campaign_id")},
        **counts,
    }


def endpoint_row(fold: folds.Session) -> dict:
    state, gone = fold.state, fold.state["phase"] == "DELETED"
    secret = fold.secret if not gone and fold.secret else b""
    return {
        "is_known": True,
        "is_deleted": gone,
        "url": "" if gone else state["webhook_url"],
        "secret": "\\x" + secret.hex() if secret else None,
        "jid": fold.newest_jid,
        **{name: state[name] for name in ("session_key", "user_id", "subscribe")},
    }


# ---- what the projections must hold


def projected(fold: folds.Fold, row: dict) -> dict:
    """INV-7: created with the first event, updated with every one."""
    return row | {"applied_seq": fold.state["sequence"], "created_at": fold.created_at, "updated_at": fold.updated_at}


def session_shown(fold: folds.Session) -> dict:
    state, phase = fold.state, fold.state["phase"]
    return {
        "state": phase,
        "desired_online": state["wants_online"],
        "connected": phase in ("WAITING_FOR_SCAN", "PAIRING", "CONNECTED"),  # INV-15: both only with a login
        "logged_in": state["linked"] or phase in ("PAIRING", "CONNECTED", "RECONNECTING"),
        **{name: state[name] for name in ("linked", "name", "webhook_url")},
        **{name: state[name] or None for name in ("jid", "phone")},  # INV-14
    }


def blast_shown(fold: folds.Blast) -> dict:
    state, ends = fold.state, {"completed_at": "COMPLETED", "stopped_at": "STOPPED", "failed_at": "FAILED"}
    return {
        "status": state["status"],
        "total_messages": state["total"],
        "deleted_at": fold.updated_at if state["deleted"] else None,
        **{counter: state[member] for counter, member in folds.COUNTERS.items()},
        **{name: folds.moment(state[f"{name}_ms"]) for name in ("started_at", "paused_at", "resumed_at")},
        **{name: folds.moment(state["ended_at_ms"]) if state["status"] == s else None for name, s in ends.items()},
    }


def message_shown(fold: folds.Message) -> dict:
    state = fold.state
    return {
        "state": "FAILED" if state["state"] == "FAILED_RETRY" else state["state"],
        "attempt_count": state["attempts"],
        "next_attempt_at": state["next_attempt"],
        "wa_message_id": state.get("wa_message_id"),
    }


def delivery_shown(fold: folds.Delivery) -> dict:
    state = fold.state
    return {
        "status": state["state"],
        "attempt": state["attempts"],
        **{name: state[name] for name in ("session_uuid", "source_event_id", "next_at")},
    }


# what each table must hold, by what the log folds to
EXPECTED = {
    "connector.session": lambda h: {(k,): {"snapshot": fold.state} for k, fold in h.sessions.items()},
    "connector.phone_in_use": lambda h: {
        (fold.state["phone"],): {"session_uuid": k} for k, fold in h.sessions.items() if fold.state["linked"]
    },
    "connector.message": lambda h: {(k,): fold.row(h.handed_over[place_of(fold)]) for k, fold in h.messages.items()},
    "scheduler.session": lambda h: {
        (k,): {name: fold.state[name] for name in ("phase", "linked", "sequence")} for k, fold in h.sessions.items()
    },
    "scheduler.blast": lambda h: {(k,): blast_row(h, k, fold) for k, fold in h.blasts.items()},
    "scheduler.in_flight": lambda h: h.flights,
    "webhooks.endpoint": lambda h: {(k,): endpoint_row(fold) for k, fold in h.sessions.items()},
    "webhooks.delivery": lambda h: {(k,): fold.state for k, fold in h.deliveries.items() if fold.has_row},
    "proj.sessions": lambda h: {(k,): projected(fold, session_shown(fold)) for k, fold in h.sessions.items()},
    "proj.blasts": lambda h: {(k,): projected(fold, blast_shown(fold)) for k, fold in h.blasts.items()},
    "proj.message_states": lambda h: {(k,): projected(fold, message_shown(fold)) for k, fold in h.messages.items()},
    "proj.webhook_deliveries": lambda h: {(k,): projected(fold, delivery_shown(fold)) for k, fold in h.deliveries.items()},
}


# ---- the comparison


def without_events(stored: Stored, history: History) -> None:
    """Rows of what no event has told yet are taken out: accepted messages, deliveries that wait for their session."""
    asked_for = {record.value["aggregate_id"] for record in history.commands}
    for table, is_silent in (
        ("connector.message", lambda row: row["sequence"] == 0 and row["state"] == "NONE"),
        ("webhooks.delivery", lambda row: row["sequence"] == 0 and row["state"] == "EARLY"),
    ):
        silent = {key for key, row in stored.rows.get(table, {}).items() if is_silent(row)}
        for key in silent:
            del stored.rows[table][key]
        if table == "connector.message":
            assert all(key[0] in asked_for for key in silent), f"messages that nobody asked for: {silent}"


def differences(table: str, stored: Rows, folded: Rows) -> list[str]:
    found = [f"{table} {key}: in the table, not in the log: {stored[key]}" for key in stored.keys() - folded.keys()]
    found += [f"{table} {key}: in the log, not in the table: {folded[key]}" for key in folded.keys() - stored.keys()]
    for key in stored.keys() & folded.keys():
        got, wanted = flat(stored[key]), flat(folded[key])
        for name in wanted.keys() | {name for name in got if name.startswith("snapshot.")}:
            if got.get(name) != wanted.get(name):
                found.append(f"{table} {key}: {name} is {got.get(name)!r}, the log says {wanted.get(name)!r}")
    return found


def flat(row: dict) -> dict:
    """A row with the members of its snapshot beside the others."""
    inner = {f"snapshot.{name}": value for name, value in row.get("snapshot", {}).items()}
    return inner | {name: value for name, value in row.items() if name != "snapshot"}


def compare(stack: Stack, log: Log, schemas=tuple(SCHEMAS)) -> History:
    """AssertionError unless every table is what the log folds to. Gives the log that it read."""
    stored, history = both_at_rest(stack, log, schemas)
    without_events(stored, history)
    found = [line for name, rows in stored.rows.items() for line in differences(name, rows, EXPECTED[name](history))]
    assert not found, f"{len(found)} differences between tables and log, such as:\n" + "\n".join(found[:10])
    return history
