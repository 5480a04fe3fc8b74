"""The invariants of a blast and its messages, checked over their whole histories in the log."""

import dataclasses

from log import Record

AFTER = {
    ("IDLE", "started"): "RUNNING",
    ("RUNNING", "paused"): "PAUSED",
    ("PAUSED", "resumed"): "RUNNING",
    ("RUNNING", "completed"): "COMPLETED",
    ("RUNNING", "stopped"): "STOPPED",
    ("PAUSED", "stopped"): "STOPPED",
    ("RUNNING", "failed"): "FAILED",
    ("PAUSED", "failed"): "FAILED",
}
COUNTERS = ("current_index", "sent_count", "failed_count", "skipped_count", "delivered_count", "read_count")
MESSAGE_STATES = {
    "queued": "PENDING", "dispatched": "DISPATCHED", "sent": "SENT", "delivered": "DELIVERED", "read": "READ",
    "skipped": "SKIPPED", "expired": "EXPIRED",
}  # fmt: skip


@dataclasses.dataclass
class Blast:
    status: str
    total: int
    counters: dict[str, int]
    at: dict[str, object]


def fold_blast(history: list[Record]) -> Blast:
    """The state that a blast's events lead to; AssertionError at the first one that breaks an invariant."""
    assert history[0].kind == "created", f"a blast begins with {history[0].kind}"
    blast = Blast("IDLE", history[0].body["total_messages"], dict.fromkeys(COUNTERS, 0), {})
    for event in history[1:]:
        apply(blast, event)
        check_counters(blast, event)
    return blast


def apply(blast: Blast, event: Record) -> None:
    kind, body = event.kind, event.body
    if kind not in ("progressed", "recipients_skipped", "recipients_cancelled", "deleted"):
        assert (blast.status, kind) in AFTER, f"{kind} in state {blast.status}"  # INV-9 too
        blast.status = AFTER[blast.status, kind]
        blast.at[kind] = event.value["occurred_at"]
        earlier = [blast.at[name] for name in ("started",) if name in blast.at]
        assert all(event.value["occurred_at"] >= then for then in earlier), f"{kind} before the start"  # INV-7
    if "sent_count" in body:
        assert body["current_index"] >= blast.counters["current_index"], "current_index went back"  # INV-1
        blast.counters = {name: body[name] for name in COUNTERS}
    if body.get("estimated_completion") is not None:
        assert blast.status == "RUNNING", f"an estimate in state {blast.status}"  # INV-8


def check_counters(blast: Blast, event: Record) -> None:
    index, sent, failed, skipped, delivered, read = (blast.counters[name] for name in COUNTERS)
    where = f"{event.kind} (sequence {event.value['sequence']}): {blast.counters}"
    assert all(count >= 0 for count in blast.counters.values()), where
    assert index <= blast.total, where  # INV-1
    assert sent + failed + skipped <= blast.total, where  # INV-2
    assert sent + skipped <= index <= sent + failed + skipped, where  # INV-3
    assert read <= delivered <= sent, where
    if blast.status == "COMPLETED":  # INV-4
        assert index == blast.total == sent + failed + skipped, where


def fold_message(history: list[Record]) -> str:
    """The state that an outbound message's events lead to; each event names the one before it (B1)."""
    state, times = None, {}
    for event in history:
        before = event.value["state_before"]
        assert state is None or before == state, f"{event.kind} says {before} was before, but it was {state}"
        if event.kind == "failed":
            state = "FAILED" if event.body["next_attempt_at"] is None else "FAILED_RETRY"
        else:
            state = MESSAGE_STATES[event.kind]
        if event.kind in ("sent", "delivered", "read"):
            times.setdefault(event.kind, event.body["at"])
    order = [times[name] for name in ("sent", "delivered", "read") if name in times]
    assert order == sorted(order), f"times of a message in the wrong order: {times}"  # INV-20
    return state
