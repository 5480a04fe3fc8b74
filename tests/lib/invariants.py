"""The invariants of docs/rules.md over whole histories in the log: each function folds one aggregate's events and
raises AssertionError at the first that breaks one."""

import collections
import datetime

import folds

ONLINE = ("CONNECTING", "WAITING_FOR_SCAN", "PAIRING", "CONNECTED", "RECONNECTING")
LIVE = ("CREATED", *ONLINE, "DISCONNECTED", "LOGGED_OUT")
LINKABLE = ("CONNECTING", "PAIRING", "CONNECTED", "RECONNECTING", "DISCONNECTED")
# in which states a session's events may happen: the table of libs/domain/session_table_test.c
SESSION_EVENTS = {
    "created": ("NONE",),
    "renamed": LIVE, "webhook_set": LIVE, "subscription_set": LIVE, "profile_updated": LIVE, "deleted": LIVE,
    "connect_requested": ("CREATED", "RECONNECTING", "DISCONNECTED", "LOGGED_OUT"),
    "socket_opened": ("CONNECTING", "PAIRING"),
    "qr_issued": ("CONNECTING", "WAITING_FOR_SCAN"),
    "pair_code_issued": ("WAITING_FOR_SCAN",),
    "paired": ("WAITING_FOR_SCAN",),
    "pair_rejected": ("WAITING_FOR_SCAN",),
    "logged_in": ("CONNECTING", "PAIRING", "RECONNECTING"),
    "connection_lost": ONLINE,
    "reconnect_scheduled": ("RECONNECTING",),
    "disconnect_requested": ONLINE,
    "disconnect_failed": ("DISCONNECTED",),
    "logout_requested": LINKABLE,
    "logout_failed": LINKABLE,
}  # fmt: skip
# the same by the reason that they give
SESSION_ENDS = {
    ("disconnected", "user"): ("DISCONNECTED",),
    ("disconnected", "idle"): ("CONNECTING", "WAITING_FOR_SCAN"),
    ("disconnected", "qr_timeout"): ("WAITING_FOR_SCAN",),
    ("disconnected", "connect_failed"): ("CONNECTING",),
    ("disconnected", "restart"): ("CONNECTING", "WAITING_FOR_SCAN"),
    ("disconnected", "replaced"): ONLINE,
    ("disconnected", "banned"): ONLINE,
    ("logged_out", "user"): LINKABLE,
    ("logged_out", "remote"): (*ONLINE, "DISCONNECTED"),
    ("logged_out", "removed"): ("CREATED", *ONLINE, "DISCONNECTED"),
    ("logged_out", "phone_conflict"): ("WAITING_FOR_SCAN",),
}
RECONNECT_MAX_MS = 30000
QR_LIFE = datetime.timedelta(seconds=60)  # the first code's; the others last 20 s

BLAST_EVENTS = {
    "started": ("IDLE",), "paused": ("RUNNING",), "resumed": ("PAUSED",), "completed": ("RUNNING",),
    "stopped": ("RUNNING", "PAUSED"), "failed": ("RUNNING", "PAUSED"),
    "deleted": ("IDLE", "COMPLETED", "STOPPED", "FAILED"),
}  # fmt: skip
ATTEMPTS_MAX = 3  # MESSAGE_MAX_ATTEMPTS
WEBHOOK_ATTEMPTS_MAX = 6


def where(event) -> str:
    return f"{event.kind} (sequence {event.value['sequence']} of {event.value['aggregate_id']})"


def check_time(event, before) -> None:
    """INV-7: what happened later says so."""
    assert before is None or event.value["occurred_at"] >= before, f"{where(event)} happened before the event before it"


# ---- sessions


def session(history: list) -> folds.Session:
    fold, before, ordinal = folds.Session(), None, 0
    for event in history:
        check_time(event, before)
        check_session_event(fold.state, event)
        ordinal = check_qr(event, ordinal)
        fold.apply(event)
        check_login(fold.state, event)
        before = event.value["occurred_at"]
    return fold


def check_session_event(state: dict, event) -> None:
    """INV-25 too: nothing reconnects that ended, or that nobody wants online."""
    kind, body = event.kind, event.body
    allowed = SESSION_EVENTS.get(kind) or SESSION_ENDS.get((kind, body.get("reason")))
    assert allowed, f"{where(event)}: {body} is not known"
    assert state["phase"] in allowed, f"{where(event)} in state {state['phase']}"
    if kind in ("logged_in", "connection_lost", "reconnect_scheduled", "socket_opened"):
        assert state["wants_online"], f"{where(event)} though nobody wants it online"
    if kind == "reconnect_scheduled":
        assert state["linked"] and 0 <= body["delay_ms"] <= RECONNECT_MAX_MS and body["attempt"] >= 1, f"{where(event)}: {body}"
    if kind == "connection_lost" and state["phase"] == "RECONNECTING":
        is_news = body["reason"] in ("outdated", "refused") and (body["code"] or 0) != state["refused_code"]
        assert body["reason"] == "replaced" or is_news, f"{where(event)}: single tries are no events, {body}"
    if kind in ("logout_requested", "profile_updated"):
        assert state["linked"], f"{where(event)} without an account"


def check_qr(event, ordinal: int) -> int:
    """INV-24: a code is issued before it expires, in order, and only while nothing is linked. Gives the last one's number."""
    if event.kind != "qr_issued":
        return ordinal
    life = event.body["expires_at"] - event.value["occurred_at"]
    assert datetime.timedelta(0) < life <= QR_LIFE, f"{where(event)} lives for {life}"
    assert event.body["ordinal"] in (1, ordinal + 1), f"{where(event)}: code {event.body['ordinal']} after {ordinal}"
    return event.body["ordinal"]


def check_login(state: dict, event) -> None:
    """INV-14: an account without a login has no jid. (It may have had one: the phone's number stays.)"""
    assert bool(state["jid"]) == state["linked"], f"after {where(event)}: linked {state['linked']}, jid {state['jid']!r}"
    assert state["linked"] or state["phase"] not in ("PAIRING", "CONNECTED", "RECONNECTING"), f"after {where(event)}: {state}"
    assert state["phase"] in ONLINE or not state["wants_online"], f"after {where(event)}: {state['phase']} and wanted online"


def phones(histories: dict[str, list]) -> None:
    """INV-16: at no moment did a phone belong to two sessions."""
    times = collections.defaultdict(list)  # by phone: from when to when it belonged to whom
    for aggregate, history in histories.items():
        phone, since = None, None
        for event in history:
            if event.kind == "paired":
                phone, since = event.body["phone"], event.value["occurred_at"]
            elif event.kind in ("logged_out", "deleted") and phone:
                times[phone].append((since, event.value["occurred_at"], aggregate))
                phone = None
        if phone:
            times[phone].append((since, datetime.datetime.max.replace(tzinfo=datetime.UTC), aggregate))
    for phone, spans in times.items():
        spans.sort()
        for (_, until, one), (since, _, other) in zip(spans, spans[1:]):
            assert until <= since, f"{phone} belonged to {one} until {until}, to {other} from {since}"


# ---- blasts


def blast(history: list) -> folds.Blast:
    assert history[0].kind == "created", f"a blast begins with {history[0].kind}"
    fold, before = folds.Blast(), None
    for event in history:
        check_time(event, before)
        check_blast_event(fold, event)
        index = fold.state["current_index"]
        fold.apply(event)
        assert fold.state["current_index"] >= index, f"{where(event)}: current_index went back"  # INV-1
        check_counters(fold.state, event)
        check_times(fold.state, event)
        before = event.value["occurred_at"]
    return fold


def check_blast_event(fold: folds.Blast, event) -> None:
    kind, state = event.kind, fold.state
    assert not state["deleted"], f"{where(event)} of a blast that is deleted"
    assert (kind == "created") == (state["status"] == "NONE"), f"{where(event)} in state {state['status']}"  # INV-10
    if kind in BLAST_EVENTS:  # INV-9
        assert state["status"] in BLAST_EVENTS[kind], f"{where(event)} in state {state['status']}"
    if event.body.get("estimated_completion") is not None:  # INV-8
        assert state["status"] == "RUNNING", f"{where(event)}: an estimate in state {state['status']}"
    if "at" in event.body:
        off = abs(event.body["at"] - event.value["occurred_at"])
        assert off < datetime.timedelta(seconds=1), f"{where(event)} is said to be at {event.body['at']}"


def check_counters(state: dict, event) -> None:
    index, sent, failed, skipped, delivered, read = (state[name] for name in folds.COUNTERS.values())
    said = f"after {where(event)}: {[state[name] for name in folds.COUNTERS.values()]} of {state['total']}"
    assert min(index, sent, failed, skipped, delivered, read) >= 0, said
    assert index <= state["total"], said  # INV-1
    assert sent + failed + skipped <= state["total"], said  # INV-2
    assert sent + skipped <= index <= sent + failed + skipped, said  # INV-3
    assert read <= delivered <= sent, said
    if event.kind == "completed":  # INV-4
        assert index == state["total"] == sent + failed + skipped, said


def check_times(state: dict, event) -> None:
    """INV-6 and INV-7: what a state needs is there, and created <= started <= all others."""
    started = state["started_at_ms"]
    later = [state[f"{name}_at_ms"] for name in ("paused", "resumed", "ended") if state[f"{name}_at_ms"]]
    said = f"after {where(event)}: created {state['created_at_ms']}, started {started}, then {later}"
    assert (state["status"] == "IDLE") == (started == 0), said
    assert started == 0 or state["created_at_ms"] <= started, said
    assert all(started <= at for at in later), said
    assert state["status"] != "PAUSED" or state["paused_at_ms"], said
    assert (state["status"] in ("COMPLETED", "STOPPED", "FAILED")) == bool(state["ended_at_ms"]), said
    assert event.kind != "failed" or event.body["error_message"], said


def recipients(created: dict, chunks: list) -> list[dict]:
    """INV-10: the chunks of the upload that a blast was created with are its recipients, each index once; chunks that
    came twice say the same. Gives them in order."""
    found: dict[int, dict] = {}
    for chunk in chunks:
        for at, one in enumerate(chunk["recipients"], chunk["first_index"]):
            assert found.setdefault(at, one) == one, f"recipient {at} changed from {found[at]} to {one}"
    assert sorted(found) == list(range(created["total_messages"])), f"{len(found)} recipients of {created['total_messages']}"
    return [found[at] for at in sorted(found)]


# ---- messages


def message(history: list) -> folds.Message:
    """An outbound message; each event names the state before it (B1)."""
    fold, before, times = folds.Message(), None, {}
    for event in history:
        check_time(event, before)
        state = fold.state["state"]
        said = event.value["state_before"]
        # a blast hands its message over without an event, also once more when it has expired: the next one may say PENDING
        handed_over = said == "PENDING" and state in ("NONE", "EXPIRED")
        assert said == state or handed_over, f"{where(event)} says {said} was before, not {state}"
        if event.kind == "dispatched":  # INV-20
            assert event.body["attempt"] == fold.state["attempts"] + 1 <= ATTEMPTS_MAX, f"{where(event)}: {event.body['attempt']}"
        if event.kind in ("sent", "delivered", "read"):
            times.setdefault(event.kind, event.body["at"])
        fold.apply(event)
        check_attempts(fold.state, event)
        before = event.value["occurred_at"]
    order = [times[name] for name in ("sent", "delivered", "read") if name in times]
    assert order == sorted(order), f"times of a message in the wrong order: {times}"  # INV-20
    return fold


def check_attempts(state: dict, event) -> None:
    """INV-20: what left by hand-over was tried."""
    tried = state["state"] in ("DISPATCHED", "SENT", "DELIVERED", "READ", "FAILED_RETRY")
    assert not tried or state["attempts"] >= 1, f"after {where(event)}: {state['state']} without an attempt"


# ---- webhooks


def delivery(history: list) -> folds.Delivery:
    fold, before = folds.Delivery(), None
    for event in history:
        check_time(event, before)
        assert (event.kind == "queued") == (fold.state["state"] == "NONE"), f"{where(event)} in state {fold.state['state']}"
        assert not fold.is_settled, f"{where(event)} after its end"
        if event.kind in ("attempt_failed", "delivered"):
            attempt = event.body["attempt"]
            assert attempt == fold.state["attempts"] + 1 <= WEBHOOK_ATTEMPTS_MAX, f"{where(event)}: attempt {attempt}"
        if event.kind == "attempt_failed":
            assert event.body["next_at"] > event.value["occurred_at"], f"{where(event)}: {event.body}"
        if event.kind == "delivered":
            assert 200 <= event.body["http_status"] < 300, f"{where(event)}: {event.body}"
        fold.apply(event)
        before = event.value["occurred_at"]
    return fold


def lines(events: list, sources: dict[str, object]) -> None:
    """INV-27 as the log has it: `events` of all deliveries, `sources` every event by its id. Of one session, nothing is
    tried before all that came earlier is settled, and each source has one delivery."""
    place = {}  # delivery: its session and topic, and where its source stands there
    waiting = collections.defaultdict(set)
    newest = {}
    for event in events:
        own, kind = event.value["aggregate_id"], event.kind
        if kind == "queued":
            place[own] = place_of(event, sources)
            waiting[place[own][0]].add(place[own][1])
            continue
        line, at = place[own]
        if kind in ("attempt_failed", "delivered"):
            assert at == min(waiting[line]), f"{where(event)}: an earlier one of its session is not settled"
            assert at >= newest.get(line, 0), f"{where(event)}: a later one of its session went before it"
            newest[line] = at
        if kind in ("delivered", "dead"):
            waiting[line].discard(at)
    twice = [source for source, n in collections.Counter(place.values()).items() if n > 1]
    assert not twice, f"two deliveries of one event: {twice}"


def place_of(event, sources: dict) -> tuple[tuple[str, str], int]:
    source = sources.get(event.value["source_event_id"])
    assert source, f"{where(event)}: its source {event.value['source_event_id']} is not in the log"
    session_uuid = source.value.get("session_uuid", source.value["aggregate_id"])
    assert session_uuid == event.value["session_uuid"], f"{where(event)}: its source is of session {session_uuid}"
    return (session_uuid, source.topic), source.value["position"]


def arrivals(ids: list[str], line: list[str]) -> None:
    """INV-27 as a subscriber of one session sees it: the ids of what arrived, repeats too, against its deliveries in the
    order of their sources. A repeat comes before anything later."""
    groups = [one for at, one in enumerate(ids) if at == 0 or ids[at - 1] != one]
    order = [line.index(one) for one in groups]
    assert order == sorted(set(order)), f"deliveries arrived out of order, or again after a later one: {order}"
