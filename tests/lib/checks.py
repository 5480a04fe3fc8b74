"""What must hold in a stack when all is quiet, whatever was killed before: each function raises AssertionError."""

import collections
import json
import time

import folds
import invariants
import snapshots
from log import Log
from stack import Stack, wait_until

LEDGERS = ("connector", "scheduler", "webhooks", "proj")
# of proj.messages, by the counter of the blast that they make up
COUNTED = {"sentCount": ("SENT", "DELIVERED", "READ"), "failedCount": ("FAILED", "FAILED_RETRY"), "skippedCount": ("SKIPPED",)}


def log_of(stack: Stack) -> Log:
    return Log(f"127.0.0.1:{stack.port('kafka')}")


def wait_until_quiet(stack: Stack, seconds: float = 60) -> None:
    """Every committed event is in the log, and everything in the log is projected."""
    wait_until(lambda: not outbox_rows(stack), seconds, "the outboxes to be empty", every=0.2)
    wait_until(lambda: not behind(stack), seconds, "the projections to hold all that was committed", every=0.2)


def outbox_rows(stack: Stack) -> int:
    union = " union all ".join(f"select 1 from {schema}.outbox" for schema in LEDGERS)
    return int(stack.sql(f"select count(*) from ({union}) as rows")[0][0])


def behind(stack: Stack) -> dict[tuple[str, str], int]:
    """By topic and partition: how many events were committed and not projected yet."""
    union = " union all ".join(f"select topic, partition, next_position - 1 as made from {s}.output_position" for s in LEDGERS)
    rows = stack.sql(
        f"select topic, partition, made - coalesce(last_position, 0) from ({union}) as writers "
        "left join (select topic, partition, max(last_position) as last_position from proj.input_offset "
        "           group by topic, partition) as reader using (topic, partition) "
        "where topic like '%.events.v1'"
    )
    return {(topic, partition): int(n) for topic, partition, n in rows if int(n) != 0}


def nothing_was_given_up(stack: Stack, garbage: tuple[bytes, ...] = ()) -> None:
    """No record became a dead letter but those whose values are in `garbage`."""
    dead = [letter for letter in log_of(stack).records("wa.dlq.v1") if letter.value["value"] not in garbage]
    assert not dead, f"dead letters: {[(d.value['service'], d.value['source_topic'], d.value['reason']) for d in dead]}"


def histories_hold(stack: Stack, receivers=()) -> Log:
    """Every event is in the log once by position, sequences have no gaps, and each history keeps the invariants; what the
    services load their state from, and the projections, are folds of it. `receivers` are the subscribers of webhooks."""
    log = log_of(stack)
    history = snapshots.compare(stack, log)
    every_event_is_projected(stack, history)
    aggregates_hold(history)
    recipients_are_the_messages(history, log)
    webhooks_are_in_order(history, receivers)
    qr_codes_are_fresh(stack, history)
    return log


def connector_holds(stack: Stack) -> None:
    """As much of it as there is without the other services."""
    history = snapshots.compare(stack, log_of(stack), ("connector",))
    aggregates_hold(history)
    qr_codes_are_fresh(stack, history)


def aggregates_hold(history) -> None:
    for topic, check in (
        (snapshots.SESSIONS, invariants.session),
        (snapshots.BLASTS, invariants.blast),
        (snapshots.MESSAGES, invariants.message),
        (snapshots.WEBHOOKS, invariants.delivery),
    ):
        for own in history.aggregates(topic).values():
            check(own)
    invariants.phones(history.aggregates(snapshots.SESSIONS))


def every_event_is_projected(stack: Stack, history) -> None:
    for topic, events in history.events.items():
        projected = int(stack.sql(f"select count(*) from proj.events where {projected_types(topic)}")[0][0])
        assert projected == len(events), f"{topic}: {len(events)} events in the log, {projected} in the projections"


def recipients_are_the_messages(history, log: Log) -> None:
    """INV-10, and each message went to the recipient of its index."""
    chunks = collections.defaultdict(list)
    for record in log.records("wa.blast.recipients.v1"):
        chunks[record.value["blast_id"], record.value["upload_id"]].append(record.value)
    for uuid, fold in history.blasts.items():
        people = invariants.recipients(fold.created, chunks[uuid, fold.created["upload_id"]])
        for message in history.messages.values():
            if message.state["blast_id"] == uuid and "recipient" in message.state:
                wanted = people[message.state["blast_index"]]["phone"]
                got = message.state["recipient"]
                assert got.partition("@")[0] == wanted.lstrip("+"), f"{uuid} {message.state}: to {got}, not to {wanted}"


def webhooks_are_in_order(history, receivers) -> None:
    """INV-27: the deliveries in the log, what subscribers got of them, and none is missing."""
    sources = {event.value["event_id"]: event for events in history.events.values() for event in events}
    invariants.lines(history.events[snapshots.WEBHOOKS], sources)
    of_source = {fold.state["source_event_id"]: own for own, fold in history.deliveries.items()}
    lines = collections.defaultdict(list)  # by session key and topic: its deliveries in the order of their sources
    for topic in (snapshots.SESSIONS, snapshots.MESSAGES):
        for event in history.events[topic]:
            if event.value["event_id"] in of_source:
                lines[event.value["session_key"], topic].append(of_source[event.value["event_id"]])
    for receiver in receivers:
        for key, ids in receiver.arrivals().items():
            own = {topic: line for (other, topic), line in lines.items() if other == key}
            strange = set(ids) - {one for line in own.values() for one in line}
            assert not strange, f"{key} posted what is not in the log: {strange}"
            for line in own.values():
                invariants.arrivals([one for one in ids if one in line], line)
    every_answer_is_delivered(history, of_source)


def every_answer_is_delivered(history, of_source: dict[str, str]) -> None:
    """A session that had one URL from its first day on is told of every message that came in."""
    steady = {
        uuid: fold for uuid, fold in history.sessions.items()
        if len(fold.urls) == 1 and fold.state["webhook_url"] and fold.state["phase"] != "DELETED"
        and fold.state["subscribe"] & folds.name_bits(["Message", "All"])
    }  # fmt: skip
    for event in history.events[snapshots.MESSAGES]:
        if event.kind == "received" and event.value["session_uuid"] in steady:
            assert event.value["event_id"] in of_source, f"no webhook for {event.value['aggregate_id']}: {event.body}"


def qr_codes_are_fresh(stack: Stack, history) -> None:
    """INV-24: a code is kept for those that wait for a scan, and no longer than it is good."""
    for uuid, fold in history.sessions.items():
        code = stack.redis("GET", f"sess:{uuid}:qr")
        if code:
            assert fold.state["phase"] == "WAITING_FOR_SCAN", f"session {uuid}: a code in state {fold.state['phase']}"
            left = json.loads(code)["expires_at"] / 1000 - time.time()
            kept = int(stack.redis("PTTL", f"sess:{uuid}:qr")) / 1000
            assert kept <= left + 1, f"session {uuid}: a code that is good for {left:.1f} s is kept for {kept:.1f} s"


def projected_types(topic: str) -> str:
    return f"aggregate_type = '{topic.split('.')[1]}'"


def counters_are_the_messages(stack: Stack, blast: dict) -> None:
    """INV-11, when all is quiet."""
    rows = stack.sql(f"select status, count(*) from proj.messages where blast_id = '{uuid_of(stack, blast)}' group by 1")
    by_status = collections.Counter({status: int(n) for status, n in rows})
    for counter, statuses in COUNTED.items():
        counted = sum(by_status[status] for status in statuses)
        assert blast[counter] == counted, f"{blast['sessionId']}: {counter} {blast[counter]}, messages {dict(by_status)}"
    assert blast["readCount"] == by_status["READ"], f"{blast['readCount']} read, messages {dict(by_status)}"
    assert blast["deliveredCount"] == by_status["READ"] + by_status["DELIVERED"], dict(by_status)


def uuid_of(stack: Stack, blast: dict) -> str:
    return stack.sql(f"select uuid from proj.blasts where id = {int(blast['id'])}")[0][0]


def phones_belong_to_one_session(stack: Stack) -> None:
    """INV-16."""
    twice = stack.sql("select phone from proj.sessions where linked and deleted_at is null group by 1 having count(*) > 1")
    assert not twice, f"phones of two sessions: {twice}"


def messages_are_in_order(stack: Stack) -> None:
    """INV-20."""
    bad = stack.sql(
        "select id, status from proj.messages where sent_at > delivered_at or delivered_at > read_at "
        "or (status in ('DELIVERED', 'READ') and delivered_at is null) or (status = 'READ' and read_at is null) "
        "or (status in ('DISPATCHED', 'SENT', 'DELIVERED', 'READ') and attempt_count < 1)"
    )
    assert not bad, f"messages with impossible times or attempts: {bad[:5]}"


def read_once(driver, sender: str, texts: dict[str, str]) -> None:
    """The sandbox's phones: everybody in `texts` decrypted exactly one message of `sender`, once, with that text."""
    seen = collections.defaultdict(list)
    for message in driver.sandbox.received(sender):
        seen[message["number"]].append(message)
    missing = [number for number in texts if number not in seen]
    assert not missing, f"{len(missing)} recipients got nothing: {missing[:5]}"
    for number, messages in seen.items():
        assert number in texts, f"{number} got a message that nobody sent: {messages}"
        assert len(messages) == 1, f"{number} got {len(messages)} messages: {messages}"
        assert messages[0]["decrypted"] == 1, f"{number}: {messages[0]}"
        assert messages[0]["text"] == texts[number], f"{number} read {messages[0]['text']!r}, not {texts[number]!r}"


def webhooks_are_the_answers(receiver, session_id: str, count: int) -> None:
    """Each answer once by the phone's message id, signed, with session_id and message and nothing else."""
    assert not receiver.refused, f"{len(receiver.refused)} webhooks were wrong: {receiver.refused[0]}"
    bodies = list(receiver.deliveries.values())
    assert all(set(body) == {"session_id", "message"} and body["session_id"] == session_id for body in bodies), bodies[:3]
    ids = collections.Counter(body["message"]["id"] for body in bodies)
    assert len(ids) == count and max(ids.values(), default=1) == 1, f"{len(bodies)} webhooks with {len(ids)} message ids"


def projections_equal_a_rebuild(stack: Stack) -> None:
    """INV-23: built again from the log beside the live ones, every table comes out equal row by row."""
    done = stack.run("deploy/lib/ctl", "run", "tracker", "--compare", check=False)
    assert done.returncode == 0, f"tracker --compare: {done.stdout}{done.stderr[-2000:]}"
    result = json.loads(done.stdout)
    assert result["equal"] and result["tables"]["events"]["live"] > 0, result
