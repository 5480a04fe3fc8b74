"""Folds of the log: what an aggregate's events lead to, member by member as the services keep it in their schemas.

Written from the tables in the tests of libs/domain, not from its code, so that a fold in C that goes wrong is seen. An event
is a Record of log.py: kind, body, and value, its envelope.
"""

import datetime

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
EVENT_NAMES = (
    "Message", "ReadReceipt", "Presence", "HistorySync", "ChatPresence", "Connected", "Disconnected", "LoggedOut", "QR",
    "PairSuccess", "All",
)  # fmt: skip
# the counters of a blast's events and, by them, the members of its snapshot
COUNTERS = {
    "current_index": "current_index", "sent_count": "sent", "failed_count": "failed", "skipped_count": "skipped",
    "delivered_count": "delivered", "read_count": "read",
}  # fmt: skip
NAME_MAX, URL_MAX = 255, 2048  # bytes that a session's state keeps
SETTLED = ("SENT", "DELIVERED", "READ", "FAILED", "SKIPPED", "CANCELLED")
TALLY = {
    "SENT": ("sent",), "DELIVERED": ("sent", "delivered"), "READ": ("sent", "delivered", "read"),
    "FAILED_RETRY": ("retrying",), "FAILED": ("failed",), "SKIPPED": ("skipped",),
}  # fmt: skip


def micros(at: datetime.datetime) -> int:
    return (at - EPOCH) // datetime.timedelta(microseconds=1)


def millis(at: datetime.datetime | None) -> int:
    """0 for none, as the states in C have it."""
    return 0 if at is None else micros(at) // 1000


def moment(ms: int) -> datetime.datetime | None:
    """The other way round."""
    return EPOCH + datetime.timedelta(milliseconds=ms) if ms else None


def cut(text: str | None, most: int) -> str:
    """As much of a text as fits in so many bytes, in whole characters."""
    return (text or "").encode()[:most].decode(errors="ignore")


def name_bits(names: list[str]) -> int:
    return sum(1 << EVENT_NAMES.index(name) for name in set(names) if name in EVENT_NAMES)


class Fold:
    """apply() each event in order; `state` is what the snapshot must be."""

    def __init__(self):
        self.state: dict = {}
        self.created_at = self.updated_at = None

    def apply(self, event) -> None:
        self.state["sequence"] = event.value["sequence"]
        self.updated_at = event.value["occurred_at"]
        self.created_at = self.created_at or self.updated_at
        handler = getattr(self, f"on_{event.kind}", None)
        if handler:
            handler(event.body, event)

    @classmethod
    def of(cls, history: list) -> "Fold":
        fold = cls()
        for event in history:
            fold.apply(event)
        return fold


class Session(Fold):
    """connector.session.snapshot."""

    def __init__(self):
        super().__init__()
        texts = "uuid session_key name display_name push_name webhook_url declared_phone phone jid lid".split()
        self.state = dict.fromkeys(texts, "") | {
            "phase": "NONE", "sequence": 0, "epoch": 0, "id": 0, "user_id": 0, "subscribe": 0, "wants_online": False,
            "linked": False, "closing": False, "logging_out": False, "unlinked_losses": 0, "replaced_at_us": 0,
            "refused_code": 0,
        }  # fmt: skip
        self.newest_jid = ""  # also after the account was unlinked
        self.secret: bytes | None = None
        self.urls: set[str] = set()

    def apply(self, event) -> None:
        super().apply(event)
        self.state["epoch"] = max(self.state["epoch"], event.value["epoch"])

    def subscribe(self, names: list[str]) -> None:
        self.state["subscribe"] = name_bits(names) or self.state["subscribe"]

    def set_url(self, url: str) -> None:
        self.state["webhook_url"] = cut(url, URL_MAX)
        self.urls.add(url)

    def set_given(self, body: dict, *names: str) -> None:
        self.state.update({name: cut(body[name], NAME_MAX) for name in names if body[name] is not None})

    def on_created(self, body, event):
        envelope = event.value
        self.state |= {
            "phase": "CREATED", "uuid": envelope["aggregate_id"], "id": body["id"], "user_id": envelope["user_id"],
            "session_key": envelope["session_key"], "name": cut(body["name"], NAME_MAX),
            "declared_phone": body["phone"] or "", "subscribe": name_bits(body["subscribe"]),
        }  # fmt: skip
        self.set_url(body["webhook_url"])
        self.secret = body["webhook_secret_enc"]

    def on_renamed(self, body, _):
        self.state["name"] = cut(body["name"], NAME_MAX)

    def on_webhook_set(self, body, _):
        self.set_url(body["webhook_url"])
        self.secret = body["secret_enc"] or self.secret

    def on_subscription_set(self, body, _):
        self.subscribe(body["subscribe"])

    def on_connect_requested(self, body, _):
        self.state |= {
            "phase": "CONNECTING", "wants_online": True, "closing": False, "unlinked_losses": 0, "replaced_at_us": 0, "refused_code": 0,
        }  # fmt: skip
        self.subscribe(body["subscribe"])

    def on_qr_issued(self, *_):
        self.state |= {"phase": "WAITING_FOR_SCAN", "unlinked_losses": 0}

    def on_paired(self, body, _):
        self.state |= {
            "phase": "PAIRING", "linked": True, "jid": body["jid"], "lid": body["lid"] or "", "phone": body["phone"],
        }  # fmt: skip
        self.newest_jid = body["jid"]

    def on_logged_in(self, body, _):
        self.state |= {"phase": "CONNECTED", "linked": True, "unlinked_losses": 0, "refused_code": 0}
        self.set_given(body, "jid", "lid", "push_name")
        self.newest_jid = body["jid"]

    def on_profile_updated(self, body, _):
        self.set_given(body, "display_name", "push_name")

    def on_connection_lost(self, body, event):
        self.state["phase"] = "RECONNECTING" if self.state["linked"] else "CONNECTING"
        self.state["unlinked_losses"] += not self.state["linked"]
        if body["reason"] == "replaced":
            self.state["replaced_at_us"] = micros(event.value["occurred_at"])
        if body["reason"] in ("outdated", "refused"):
            self.state["refused_code"] = body["code"] or 0

    def on_disconnect_requested(self, *_):
        self.state |= {"phase": "DISCONNECTED", "wants_online": False, "closing": True}

    def on_disconnected(self, *_):
        self.state |= {"phase": "DISCONNECTED", "wants_online": False, "closing": False}

    def on_disconnect_failed(self, *_):
        self.state["closing"] = False

    def on_logout_requested(self, *_):
        self.state["logging_out"] = True

    def on_logout_failed(self, *_):
        self.state["logging_out"] = False

    def end(self, phase: str):
        self.state |= {
            "phase": phase, "wants_online": False, "linked": False, "closing": False, "logging_out": False, "jid": "", "lid": "",
        }  # fmt: skip

    def on_logged_out(self, *_):
        self.end("LOGGED_OUT")

    def on_deleted(self, *_):
        self.end("DELETED")


class Blast(Fold):
    """scheduler.blast.snapshot."""

    def __init__(self):
        super().__init__()
        numbers = "sequence id user_id total counted_at_ms run_from_ms run_from_index created_at_ms started_at_ms paused_at_ms"
        self.state = dict.fromkeys([*numbers.split(), "resumed_at_ms", "ended_at_ms", *COUNTERS.values()], 0)
        self.state |= dict.fromkeys("uuid blast_key session_uuid session_key upload_id".split(), "")
        self.state |= {"status": "NONE", "deleted": False, "paused_by_account": False}
        self.created: dict = {}
        self.left_out: set[int] = set()  # recipients that the scheduler skipped
        self.cancelled: list[range] = []

    def apply(self, event) -> None:
        super().apply(event)
        if "sent_count" in event.body:
            self.state |= {member: event.body[counter] for counter, member in COUNTERS.items()}
            self.state["counted_at_ms"] = millis(event.value["occurred_at"])

    @property
    def is_going(self) -> bool:
        return self.state["status"] in ("RUNNING", "PAUSED") and not self.state["deleted"]

    @property
    def is_over(self) -> bool:
        """Nothing will be handed over any more."""
        return self.state["deleted"] or self.state["status"] in ("COMPLETED", "STOPPED", "FAILED")

    def on_created(self, body, event):
        envelope, self.created = event.value, body
        names = ("id", "blast_key", "user_id", "session_uuid", "session_key")
        self.state |= {name: envelope[name] for name in names} | {
            "status": "IDLE", "uuid": envelope["aggregate_id"], "upload_id": body["upload_id"],
            "total": body["total_messages"], "created_at_ms": millis(envelope["occurred_at"]),
        }  # fmt: skip

    def run_from(self, at):
        self.state |= {
            "status": "RUNNING", "paused_by_account": False, "run_from_ms": millis(at),
            "run_from_index": self.state["current_index"],
        }  # fmt: skip

    def on_started(self, body, _):
        self.state["started_at_ms"] = millis(body["at"])
        self.run_from(body["at"])

    def on_paused(self, body, _):
        by_account = body["reason"] == "account_offline"
        self.state |= {"status": "PAUSED", "paused_at_ms": millis(body["at"]), "paused_by_account": by_account}

    def on_resumed(self, body, _):
        self.state["resumed_at_ms"] = millis(body["at"])
        self.run_from(body["at"])

    def end(self, status: str, body):
        self.state |= {"status": status, "paused_by_account": False, "ended_at_ms": millis(body["at"])}

    def on_completed(self, body, _):
        self.end("COMPLETED", body)

    def on_stopped(self, body, _):
        self.end("STOPPED", body)

    def on_failed(self, body, _):
        self.end("FAILED", body)

    def on_deleted(self, *_):
        self.state["deleted"] = True

    def on_recipients_skipped(self, body, _):
        self.left_out |= {one["index"] for one in body["recipients"]}

    def on_recipients_cancelled(self, body, _):
        self.cancelled.append(range(body["first_index"], body["last_index"] + 1))


class Message(Fold):
    """A row of connector.message, from the first event on. Not for messages that came in."""

    STATES = {
        "queued": "PENDING", "dispatched": "DISPATCHED", "sent": "SENT", "delivered": "DELIVERED", "read": "READ",
        "skipped": "SKIPPED", "expired": "EXPIRED",
    }  # fmt: skip

    def __init__(self):
        super().__init__()
        self.state = {"state": "NONE", "sequence": 0, "attempts": 0, "next_attempt": None, "is_settled": False}
        self.expired = 0  # so often

    def apply(self, event) -> None:
        super().apply(event)
        names = ("session_uuid", "user_id", "blast_id", "blast_index", "campaign_id")
        self.state |= {name: event.value[name] for name in names}
        next_at = event.body["next_attempt_at"] if event.kind == "failed" else None
        failed = "FAILED" if next_at is None else "FAILED_RETRY"
        state = failed if event.kind == "failed" else self.STATES[event.kind]
        self.state |= {"state": state, "next_attempt": next_at, "is_settled": state in SETTLED or state == "EXPIRED"}

    def row(self, handed_over: int) -> dict:
        """The row once it was handed over so often. A blast hands over what expired again, and the row begins anew, without an
        event: the command is in the log, and the next event will say PENDING was before. Who reads events alone has EXPIRED
        until then. Both mean the same to readers: it is not sent, and no counter has it (proj.messages, domain/tally.c)."""
        waits_again = self.state["state"] == "EXPIRED" and handed_over > self.expired
        return self.state | {"state": "PENDING", "is_settled": False} if waits_again else self.state

    def on_expired(self, *_):
        self.expired += 1

    def on_queued(self, body, _):
        self.state |= {name: body[name] for name in ("recipient", "kind", "text", "contact_name")}

    def on_dispatched(self, body, _):
        self.state |= {name: body[name] for name in ("wa_message_id", "recipient", "text")} | {"attempts": body["attempt"]}


class Delivery(Fold):
    """A row of webhooks.delivery: parked ones stay, those that arrived or were called off do not."""

    def __init__(self):
        super().__init__()
        self.state = {"state": "NONE", "sequence": 0, "attempts": 0, "next_at": None}
        self.is_parked = False

    def apply(self, event) -> None:
        self.state |= {"next_at": None} | {name: event.value[name] for name in ("session_uuid", "source_event_id")}
        super().apply(event)

    @property
    def is_settled(self) -> bool:
        return self.state["state"] in ("DELIVERED", "DEAD")

    @property
    def has_row(self) -> bool:
        return not self.is_settled or self.is_parked

    def on_queued(self, body, _):
        self.state |= {"state": "QUEUED", "event": body["event"]}

    def on_attempt_failed(self, body, _):
        self.state |= {"state": "RETRYING", "attempts": body["attempt"], "next_at": body["next_at"]}

    def on_delivered(self, body, _):
        self.state |= {"state": "DELIVERED", "attempts": body["attempt"]}

    def on_dead(self, body, _):
        self.is_parked = body["attempt"] > self.state["attempts"]  # by a last attempt, not by a decision
        self.state |= {"state": "DEAD", "attempts": body["attempt"]}


def tally(states: list[str], left_out: int) -> dict[str, int]:
    """The counters of scheduler.blast for messages in these states, and recipients that were left out."""
    counts = dict.fromkeys(("sent", "delivered", "read", "retrying", "failed", "skipped"), 0)
    for state in states:
        for counter in TALLY.get(state, ()):
            counts[counter] += 1
    counts["skipped"] += left_out
    return counts
