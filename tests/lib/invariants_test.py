"""The invariants refuse what breaks them: good histories, each spoilt in one way at a time."""

import datetime
import types
import unittest

import folds
import invariants

START = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
PHONE, JID = "6281", "6281:3@s.whatsapp.net"
TOPIC = "wa.message.events.v1"


def at(seconds: float) -> datetime.datetime:
    return START + datetime.timedelta(seconds=seconds)


def history(*steps, aggregate: str = "one", **envelope) -> list:
    """Events a second apart from (kind, members): sequence and time may be given too."""
    events = []
    for number, (kind, body) in enumerate(steps, 1):
        value = {
            "aggregate_id": aggregate, "sequence": number, "occurred_at": at(number), "epoch": 1, "user_id": 1,
            "session_key": "key", "position": number, "event_id": f"{aggregate}-{number}",
        }  # fmt: skip
        events.append(types.SimpleNamespace(topic=TOPIC, kind=kind, body=body, value=value | envelope))
    return events


def changed(steps: list, number: int, **members) -> list:
    """The steps with members of one (from 0) replaced."""
    kind, body = steps[number]
    return steps[:number] + [(kind, body | members)] + steps[number + 1 :]


CREATED = ("created", {"id": 1, "name": "n", "position": 1, "phone": None, "webhook_url": "", "webhook_secret_enc": None,
                       "token_enc": b"", "subscribe": []})  # fmt: skip
CONNECT = ("connect_requested", {"immediate": False, "subscribe": []})
QR = ("qr_issued", {"ordinal": 1, "expires_at": at(30)})
PAIRED = ("paired", {"jid": JID, "lid": None, "phone": PHONE, "platform": None, "registered": True, "declared_phone": None,
                     "phone_mismatch": False})  # fmt: skip
LOGGED_IN = ("logged_in", {"jid": JID, "lid": None, "push_name": None, "at": at(0)})
LOST = ("connection_lost", {"code": None, "reason": "closed"})
OUTDATED = ("connection_lost", {"code": 405, "reason": "outdated"})
AGAIN = ("reconnect_scheduled", {"attempt": 1, "delay_ms": 900})
SESSION = [CREATED, CONNECT, ("socket_opened", {"connector_id": "c"}), QR, ("qr_issued", {"ordinal": 2, "expires_at": at(30)}),
           PAIRED, LOGGED_IN, LOST, AGAIN, OUTDATED, LOGGED_IN, ("logged_out", {"reason": "remote"})]  # fmt: skip


def counts(index=0, sent=0, failed=0, skipped=0, delivered=0, read=0) -> dict:
    values = (index, sent, failed, skipped, delivered, read)
    return dict(zip(folds.COUNTERS, values))


BLAST = [
    ("created", {"campaign_id": None, "campaign_name": "", "message_template": "", "total_messages": 3, "upload_id": "u",
                 "config": ""}),
    ("started", {"at": at(2)}),
    ("progressed", counts(1, 1) | {"estimated_completion": at(9)}),
    ("paused", {"reason": "user", "at": at(4)}),
    ("resumed", {"at": at(5)}),
    ("progressed", counts(2, 1, 1, 1) | {"estimated_completion": None}),
    ("completed", counts(3, 2, 0, 1, 1, 1) | {"at": at(7)}),
]  # fmt: skip
MESSAGE = [
    ("queued", {"recipient": PHONE, "kind": "text", "text": "t", "contact_name": None}),
    ("dispatched", {"attempt": 1, "wa_message_id": "3EB0", "recipient": PHONE, "text": "t"}),
    ("failed", {"error": "e", "permanent": False, "attempt": 1, "next_attempt_at": at(9)}),
    ("dispatched", {"attempt": 2, "wa_message_id": "3EB0", "recipient": PHONE, "text": "t"}),
    ("sent", {"wa_message_id": "3EB0", "at": at(4)}),
    ("read", {"at": at(6), "source": "receipt"}),
]
DELIVERY = [
    ("queued", {"event": "Message"}),
    ("attempt_failed", {"attempt": 1, "http_status": 500, "error": "e", "next_at": at(60)}),
    ("delivered", {"attempt": 2, "http_status": 200}),
]


def message(steps) -> list:
    events = history(*steps, session_uuid="s", blast_id=None, blast_index=None, campaign_id=None)
    fold = folds.Message()
    for event in events:
        event.value["state_before"] = fold.state["state"]
        fold.apply(event)
    return events


def blast(steps) -> list:
    return history(*steps, id=1, blast_key="b", session_uuid="s")


def delivery(steps, source: int = 1, aggregate: str = "one") -> list:
    return history(*steps, session_uuid="s", source_event_id=f"source-{source}", aggregate=aggregate)


def sources(count: int) -> dict:
    events = history(*[("received", {})] * count, aggregate="source", session_uuid="s")
    return {event.value["event_id"]: event for event in events}


class Broken(unittest.TestCase):
    def each(self, check, make, good: list, broken: dict[str, list]) -> None:
        """`check` takes the good history and refuses each of the others, in the words that name it."""
        check(make(good))
        for words, steps in broken.items():
            with self.subTest(words), self.assertRaisesRegex(AssertionError, words):
                check(make(steps))

    def test_sessions(self):
        self.each(invariants.session, lambda steps: history(*steps), SESSION, {
            "logged_in .* in state CREATED": [CREATED, LOGGED_IN],
            "created .* in state CREATED": [CREATED, CREATED],
            "lives for": changed(SESSION, 3, expires_at=at(4)),
            "lives for 0:01:30": changed(SESSION, 3, expires_at=at(94)),
            "code 3 after 1": changed(SESSION, 4, ordinal=3),
            "'delay_ms': 30001": changed(SESSION, 8, delay_ms=30001),
            "single tries": SESSION[:8] + [LOST],
            "single tries .* 'outdated'": SESSION[:8] + [AGAIN, OUTDATED, OUTDATED],
            "qr_issued .* in state CONNECTED": SESSION[:7] + [QR],
            "linked True, jid ''": changed(SESSION, 5, jid=""),
            "logged_in .* in state LOGGED_OUT": SESSION + [LOGGED_IN],
            "reconnect_scheduled .* in state DISCONNECTED":
                SESSION[:7] + [("disconnect_requested", {"origin": "f4"}), AGAIN],
            "connection_lost .* in state DELETED": SESSION + [("deleted", {}), LOST],
            "is not known": SESSION[:7] + [("logged_out", {"reason": "mood"})],
            "disconnected .* in state CONNECTED": SESSION[:7] + [("disconnected", {"reason": "qr_timeout"})],
        })  # fmt: skip

    def test_time_goes_forward(self):
        events = history(*SESSION)
        events[3].value["occurred_at"] = at(2)
        with self.assertRaisesRegex(AssertionError, "before the event before it"):
            invariants.session(events)

    def test_phones(self):
        one, other = history(*SESSION), history(*SESSION, aggregate="other")
        for event in other:
            event.value["occurred_at"] += datetime.timedelta(seconds=60)
        invariants.phones({"one": one, "other": other})
        for spoilt in ({"one": one[:-1], "other": other}, {"one": one, "other": history(*SESSION, aggregate="other")}):
            with self.assertRaisesRegex(AssertionError, f"{PHONE} belonged to one"):
                invariants.phones(spoilt)

    def test_blasts(self):
        self.each(invariants.blast, blast, BLAST, {
            "begins with started": BLAST[1:],
            "created .* in state IDLE": [BLAST[0], *BLAST],
            "started .* in state RUNNING": BLAST[:2] + BLAST[1:],
            "is said to be": changed(BLAST, 1, at=at(60)),
            "current_index went back": changed(BLAST, 5, current_index=0),
            "after progressed": changed(BLAST, 2, current_index=4),
            "an estimate in state PAUSED": BLAST[:4] + [BLAST[2]],
            "after completed": changed(BLAST, 6, sent_count=1),
            r"\[1, 1, 0, 0, 0, 1\]": changed(BLAST, 2, read_count=1),
            "paused .* in state COMPLETED": BLAST + [BLAST[3]],
            "deleted .* in state RUNNING": BLAST[:3] + [("deleted", {})],
            "that is deleted": BLAST + [("deleted", {}), BLAST[5]],
        })  # fmt: skip

    def test_recipients(self):
        created = BLAST[0][1]
        people = [{"phone": str(number)} for number in range(3)]
        first, second = {"first_index": 0, "recipients": people[:2]}, {"first_index": 2, "recipients": people[2:]}
        self.assertEqual(invariants.recipients(created, [first, second, first]), people)
        for words, chunks in {
            "2 recipients of 3": [first],
            "recipient 1 changed": [first, second, {"first_index": 1, "recipients": people[:1]}],
            "4 recipients of 3": [first, second, {"first_index": 3, "recipients": people[:1]}],
        }.items():
            with self.subTest(words), self.assertRaisesRegex(AssertionError, words):
                invariants.recipients(created, chunks)

    def test_messages(self):
        third, fourth = (("dispatched", MESSAGE[1][1] | {"attempt": attempt}) for attempt in (3, 4))
        tried = MESSAGE[:4] + [MESSAGE[2], third]
        invariants.message(message(tried))
        self.each(invariants.message, message, MESSAGE, {
            "dispatched .*: 2": changed(MESSAGE, 1, attempt=2),
            "dispatched .*: 4": tried + [MESSAGE[2], fourth],
            "without an attempt": MESSAGE[:1] + MESSAGE[4:],
            "times of a message": changed(MESSAGE, 5, at=at(3)),
        })  # fmt: skip
        lying = message(MESSAGE)
        lying[4].value["state_before"] = "SENT"
        with self.assertRaisesRegex(AssertionError, "sent .* says SENT was before, not DISPATCHED"):
            invariants.message(lying)

    def test_a_message_that_expired_waits_again_once_it_is_handed_over_again(self):
        def fold(*kinds):
            return folds.Message.of(message([(kind, {"reason": "not_after"}) for kind in kinds]))

        self.assertEqual((fold("expired").row(1)["state"], fold("expired").row(1)["is_settled"]), ("EXPIRED", True))
        self.assertEqual((fold("expired").row(2)["state"], fold("expired").row(2)["is_settled"]), ("PENDING", False))
        self.assertEqual(fold("expired", "expired").row(2)["state"], "EXPIRED")
        self.assertEqual(fold("expired", "skipped").row(2)["state"], "SKIPPED")

    def test_deliveries(self):
        self.each(invariants.delivery, delivery, DELIVERY, {
            "attempt_failed .* in state NONE": DELIVERY[1:],
            "queued .* in state QUEUED": DELIVERY[:1] + DELIVERY,
            "attempt 3": changed(DELIVERY, 2, attempt=3),
            "'next_at'": changed(DELIVERY, 1, next_at=at(1)),
            "'http_status': 302": changed(DELIVERY, 2, http_status=302),
            "after its end": DELIVERY + DELIVERY[2:],
        })  # fmt: skip

    def test_lines(self):
        first, second = delivery(DELIVERY), delivery(DELIVERY, 2, "two")
        invariants.lines(first + second, sources(2))
        invariants.lines(first[:1] + second[:1] + first[1:] + second[1:], sources(2))
        for words, events in {
            "an earlier one of its session": first[:1] + second + first[1:],
            "a later one of its session went before": second + first,
            "its source source-2 is not in the log": second,
            "two deliveries of one event": first + delivery(DELIVERY, 1, "two"),
        }.items():
            with self.subTest(words), self.assertRaisesRegex(AssertionError, words):
                invariants.lines(events, sources(1 if "source-2" in words else 2))

    def test_arrivals(self):
        invariants.arrivals(["a", "a", "b", "d"], ["a", "b", "c", "d"])
        for ids in (["b", "a"], ["a", "b", "a"]):
            with self.subTest(ids), self.assertRaisesRegex(AssertionError, "out of order"):
                invariants.arrivals(ids, ["a", "b"])


if __name__ == "__main__":
    unittest.main()
