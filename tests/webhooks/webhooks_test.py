"""What a subscriber gets, when, how often, and in which order."""

import base64
import email.utils
import hashlib
import hmac
import json
import time
import unittest
import uuid

from kit import SECRET, Case, Session, Subscriber, wait_until


class Webhooks(Case):
    def test_a_message_arrives_signed_and_as_the_contract_says(self):
        self.start()
        session = Session(self, "/hello")
        event = session.received("Hello!")
        post = session.posts(1)[0]
        self.assertEqual(json.loads(post["body"]), {"session_id": "key-hello", "message": {
            "id": "3EB0Hello!", "from": "6281@s.whatsapp.net", "to": "6282@s.whatsapp.net", "message": "Hello!",
            "timestamp": 1643723400}})
        headers = {name.lower(): value for name, value in post["headers"].items()}
        self.assertEqual(headers["content-type"], "application/json")
        self.assertEqual(headers["x-webhook-attempt"], "1")
        self.assertEqual(headers["x-webhook-id"], headers["webhook-id"])
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + post["body"]
        mac = hmac.new(base64.b64decode(SECRET[6:]), signed, hashlib.sha256).digest()
        self.assertEqual(headers["webhook-signature"], "v1," + base64.b64encode(mac).decode())
        self.assertEqual(headers["x-webhook-signature"],
                         "sha256=" + hmac.new(SECRET.encode(), post["body"], hashlib.sha256).hexdigest())
        self.assertLess(abs(time.time() - int(headers["webhook-timestamp"])), 30)
        self.assertEqual(session.ends(1), [["WebhookQueued", "WebhookDelivered"]])
        (delivery, events), = session.deliveries().items()
        self.assertEqual(delivery, headers["webhook-id"])
        self.assertEqual(events[0]["source_event_id"], event["event_id"])
        self.assertEqual(events[0]["queued"], {"event": "Message"})
        self.assertEqual(events[1]["delivered"], {"attempt": 1, "http_status": 200})
        self.assertEqual(session.left(), [])

    def test_a_session_s_messages_arrive_in_order_also_after_failures(self):
        self.start()
        session = Session(self, "/order")
        self.subscriber.script["/order"] = [500, 302]
        for n in range(40):
            session.received(str(n))
        posts = session.posts(42, 40)
        self.assertEqual([p["status"] for p in posts[:3]], [500, 302, 200])
        self.assertEqual([p["headers"]["X-Webhook-Attempt"] for p in posts[:4]], ["1", "2", "3", "1"])
        self.assertEqual(len({p["headers"]["webhook-id"] for p in posts[:3]}), 1)
        self.assertGreater(posts[1]["at"] - posts[0]["at"], 0.9)
        self.assertGreater(posts[2]["at"] - posts[1]["at"], 4.5)
        self.assertEqual(session.texts(posts[2:]), [str(n) for n in range(40)])
        ends = session.ends(40)
        self.assertEqual(ends[0], ["WebhookQueued", "WebhookAttemptFailed", "WebhookAttemptFailed",
                                   "WebhookDelivered"])
        self.assertEqual(len(session.posts(42)), 42)

    def test_slow_subscribers_hold_up_nobody_else_at_their_host_or_another(self):
        self.start("WEBHOOK_TIMEOUT_MS=60000")  # so that no time-out of theirs helps
        crowd = Subscriber()
        self.addCleanup(crowd.close)
        slow = [Session(self, f"/slow{n}", subscriber=crowd) for n in range(20)]
        quick = [Session(self, f"/quick{n}", subscriber=crowd) for n in range(3)] + [Session(self, "/elsewhere")]
        for session in slow:
            crowd.script[session.path] = [0] * 9
            session.received("a")
        wait_until(lambda: len(crowd.posts) == len(slow), 20, "a post to each of the slow ones")
        for n in range(10):
            for session in quick:
                session.received(str(n))
        for session in quick:
            self.assertEqual(session.texts(session.posts(10)), [str(n) for n in range(10)])
            session.ends(10)
        self.assertEqual([len(crowd.at(session.path)) for session in slow], [1] * len(slow))
        self.assertEqual({k for s in slow for es in s.deliveries().values() for k in [es[-1]["event_type"]]},
                         {"WebhookQueued"})

    def test_a_session_that_waits_for_a_retry_holds_up_no_other_of_its_subscriber(self):
        self.start()
        waiting, going = Session(self, "/waiting"), Session(self, "/going")
        self.subscriber.script["/waiting"] = [(503, {"Retry-After": "600"})]
        for text in ("a", "b"):
            waiting.received(text)
        waiting.failures(1)
        for n in range(5):
            going.received(str(n))
        self.assertEqual(going.texts(going.posts(5)), [str(n) for n in range(5)])
        going.ends(5)
        self.assertEqual(waiting.texts(waiting.posts(1)), ["a"])  # and b stands behind it

    def test_no_answer_in_time_is_a_failed_attempt(self):
        self.start()
        session = Session(self, "/mute")
        self.subscriber.script["/mute"] = [0]
        session.received("a")
        failed, = session.failures(1)
        self.assertEqual(failed["error"], "no answer in time")
        self.assertIsNone(failed["http_status"])
        self.assertEqual(session.texts(session.posts(2)), ["a", "a"])
        self.assertEqual(session.ends(1), [["WebhookQueued", "WebhookAttemptFailed", "WebhookDelivered"]])

    def test_a_subscriber_that_asks_for_time_gets_it(self):
        self.start()
        session = Session(self, "/busy")
        date = email.utils.formatdate(time.time() + 20, usegmt=True)
        self.subscriber.script["/busy"] = [(429, {"Retry-After": "4"}), (503, {"Retry-After": date})]
        session.received("a")
        posts = session.posts(3, 40)
        self.assertEqual([p["status"] for p in posts], [429, 503, 200])
        self.assertGreaterEqual(posts[1]["at"] - posts[0]["at"], 4)  # not 1
        self.assertGreaterEqual(time.time() - (time.monotonic() - posts[2]["at"]),
                                email.utils.parsedate_to_datetime(date).timestamp() - 1)
        self.assertEqual(session.ends(1)[0][-1], "WebhookDelivered")

    def test_a_wait_that_is_asked_for_has_an_end(self):
        self.start()
        session = Session(self, "/for-ever")
        self.subscriber.script["/for-ever"] = [(429, {"Retry-After": "99999999"})]
        session.received("a")
        session.failures(1)
        (_, events), = session.deliveries().items()
        failed = events[-1]["attempt_failed"]
        self.assertEqual(failed["http_status"], 429)
        wait = (failed["next_at"] - events[-1]["occurred_at"]).total_seconds()
        self.assertTrue(599.9 < wait < 661, wait)

    def test_a_removed_url_cancels_what_waits(self):
        self.start()
        session = Session(self, "/removed")
        self.subscriber.script["/removed"] = [500] * 9
        for n in range(25):
            session.received(str(n))
        session.posts(1)
        wait_until(lambda: len(session.left()) == 25, 20, "all to stand in line")  # they come on another topic
        session.told("webhook_set", {"webhook_url": "", "secret_enc": None})
        ends = session.ends(25)
        self.assertTrue(all(kinds[-1] == "WebhookDead" for kinds in ends))
        reasons = {events[-1]["dead"]["reason"] for events in session.deliveries().values()}
        self.assertEqual(reasons, {"cancelled"})
        session.received("nobody wants this")
        session.told("webhook_set", {"webhook_url": session.url, "secret_enc": None})
        self.subscriber.script["/removed"] = []
        wait_until(lambda: session.left() == [], 10, "an empty line")
        before = len(self.subscriber.at("/removed"))
        session.received("again")
        wait_until(lambda: session.texts(self.subscriber.at("/removed")[before:]) == ["again"], 20, "the new url")

    def test_what_does_not_fit_into_a_line_ends_at_once_for_all_to_see(self):
        self.start("WEBHOOK_QUEUE_MAX=3", "WEBHOOK_TIMEOUT_MS=60000")
        session, other = Session(self, "/full"), Session(self, "/empty")
        self.subscriber.script["/full"] = [0]  # holds the first
        for n in range(8):
            session.received(str(n))
        other.received("x")
        self.assertEqual(session.dropped(5), {"too many wait"})
        self.assertEqual(session.left(), [["QUEUED", "Message"]] * 3)
        self.metric_becomes('dead_total{reason="dropped"}', 5)
        self.assertEqual(other.ends(1), [["WebhookQueued", "WebhookDelivered"]])
        log = (self.stack.state / "log" / "webhooks-1.log").read_text().splitlines()
        self.assertEqual(len([line for line in log if "more are dropped" in line and session.uuid in line]), 1)
        self.stack.ctl("kill", "webhooks-1")
        self.start()
        self.assertEqual(session.texts(session.posts(4))[1:], ["0", "1", "2"])
        wait_until(lambda: session.left() == [], 20, "an empty line")
        session.received("fits")
        self.assertEqual(session.texts(session.posts(5))[4:], ["fits"])

    def test_dashboards_see_what_did_not_fit(self):
        self.start("WEBHOOK_QUEUE_MAX=1", "WEBHOOK_TIMEOUT_MS=60000")
        session = Session(self, "/seen")
        self.subscriber.script["/seen"] = [0]
        for n in range(4):
            session.received(str(n))
        session.dropped(3)
        self.stack.ctl("start", "tracker-1")
        self.addCleanup(self.stack.ctl, "stop", "tracker-1")
        seen = ("select status, event, attempt, coalesce(last_error, ''), count(*) from proj.webhook_deliveries "
                f"where session_uuid = '{session.uuid}' group by 1, 2, 3, 4 order by 1")
        wait_until(lambda: self.stack.sql(seen) == [["DEAD", "Message", "0", "too many wait", "3"],
                                                    ["QUEUED", "Message", "0", "", "1"]], 30, "rows of all four")

    def test_what_waits_for_its_session_and_does_not_fit_ends_too(self):
        self.start("WEBHOOK_QUEUE_MAX=3")
        session = Session(self, "/crowded", create=False)
        for n in range(5):
            session.received(str(n))
        self.assertEqual(session.dropped(2), {"too many wait; whether it is wanted was not known yet"})
        self.assertEqual(session.left(), [["EARLY", "Message"]] * 3)
        session.create()
        self.assertEqual(session.texts(session.posts(3)), ["0", "1", "2"])
        self.assertEqual(len(session.ends(5)), 5)

    def test_the_gauge_counts_what_waits_also_after_a_restart_and_a_take_over(self):
        self.start()
        sessions = [Session(self, f"/waits{n}") for n in range(4)]
        for session in sessions:
            self.subscriber.script[session.path] = [(503, {"Retry-After": "600"})]
        for session, n in zip(sessions, (1, 3, 3, 30)):  # of the last line not all is in memory
            for text in range(n):
                session.received(str(text))
        for session in sessions:
            session.failures(1)
        self.metric_becomes("waiting", 37)
        self.stop()
        self.start()
        self.metric_becomes("waiting", 37)
        self.start(instance="webhooks-2")
        self.metric_becomes("waiting", 37, "webhooks-1", "webhooks-2")
        self.stack.ctl("kill", "webhooks-1")
        self.metric_becomes("waiting", 37, "webhooks-2")
        sessions[3].told("deleted", {})
        self.metric_becomes("waiting", 7, "webhooks-2")
        self.stack.sql("update webhooks.delivery set next_at = now()")
        self.stop()
        self.start()
        for session in sessions[:3]:
            session.posts(2)
        self.metric_becomes("waiting", 0)

    def test_messages_that_are_read_before_their_session_wait_for_it(self):
        self.start()
        session = Session(self, "/early", create=False)
        session.received("first")
        wait_until(lambda: session.left() == [["EARLY", "Message"]], 20, "an early one")
        session.create()
        session.received("second")
        self.assertEqual(session.texts(session.posts(2)), ["first", "second"])

    def test_an_event_that_comes_again_while_it_waits_is_passed_over(self):
        self.start()
        session = Session(self, "/again")
        self.subscriber.script["/again"] = [(503, {"Retry-After": "600"})]
        first = session.received("a")
        session.failures(1)
        second = session.received("b")
        session.again(second)  # most likely in the same turn
        session.again(first)
        session.received("c")
        wait_until(lambda: len(session.left()) == 3, 30, "all to stand in line")
        numbers = f"select number from webhooks.delivery where session_uuid = '{session.uuid}' order by 1"
        self.assertEqual(self.stack.sql(numbers), [["1"], ["2"], ["3"]])
        self.metric_becomes("waiting", 3)
        self.stop()
        self.stack.sql("update webhooks.delivery set next_at = now()")
        self.start()
        self.assertEqual(session.texts(session.posts(4)), ["a", "a", "b", "c"])
        self.assertEqual([kinds[-1] for kinds in session.ends(3)], ["WebhookDelivered"] * 3)
        self.metric_becomes("waiting", 0)

    def test_private_addresses_are_refused(self):
        self.start("WEBHOOK_ALLOW_NETS=")
        session = Session(self, "/private")
        session.received("x")
        self.assertEqual(session.failures(1)[0]["error"], "its address is private or reserved")
        self.assertEqual(self.subscriber.at("/private"), [])
        session.told("deleted", {})
        self.assertEqual(session.ends(1)[0][-1], "WebhookDead")

    def test_after_the_last_attempt_a_delivery_is_parked_and_the_next_goes(self):
        session = Session(self, "/dead")
        answers = [500, 404, 302, 410, 429, 503]
        self.subscriber.script["/dead"] = list(answers)
        event = session.received("never")
        session.received("next")
        for attempt in range(1, 7):  # each after a restart that finds its time come
            self.start()
            session.posts(attempt)
            self.stop()
            self.stack.sql(f"update webhooks.delivery set next_at = now() where session_uuid = '{session.uuid}'")
        self.start()
        posts = session.posts(7)
        self.assertEqual(session.texts(posts), ["never"] * 6 + ["next"])
        self.assertEqual([p["headers"]["X-Webhook-Attempt"] for p in posts], ["1", "2", "3", "4", "5", "6", "1"])
        self.assertEqual(len({p["headers"]["webhook-id"] for p in posts}), 2)
        self.assertEqual(session.ends(2), [["WebhookQueued"] + ["WebhookAttemptFailed"] * 5 + ["WebhookDead"],
                                           ["WebhookQueued", "WebhookDelivered"]])
        never = session.deliveries()[posts[0]["headers"]["webhook-id"]]
        self.assertEqual([e["attempt_failed"]["http_status"] for e in never[1:-1]], answers[:-1])
        self.assertEqual(never[-1]["dead"]["attempt"], 6)
        parked = "select state, attempts, last_error, body <> '' from webhooks.delivery where session_uuid = '%s'"
        self.assertEqual(self.stack.sql(parked % session.uuid), [["DEAD", "6", "the answer is not 2xx", "t"]])
        self.stop()
        self.start()  # nor does a restart bring it back
        session.again(event)
        session.received("last")
        self.assertEqual(session.texts(session.posts(8))[7:], ["last"])
        self.assertEqual(session.ends(3)[0][-1], "WebhookDead")

    def test_other_events_come_by_name_only(self):
        self.start()
        named = Session(self, "/named", ("Connected", "ReadReceipt"))
        everything = Session(self, "/everything")
        for session in (named, everything):
            session.told("logged_in", {"jid": "6282:3@s.whatsapp.net", "lid": None, "push_name": None, "at": 1})
        named.posts(1)
        message = str(uuid.uuid4())
        named.message("dispatched", {"attempt": 1, "wa_message_id": "3EB0AA", "recipient": "6281@s.whatsapp.net",
                                     "text": "t"}, message)
        named.message("sent", {"wa_message_id": "3EB0AA", "at": 1643723400000}, message)
        named.message("delivered", {"at": 1643723401000, "source": "s"}, message)
        named.message("read", {"at": 1643723402000, "source": "s"}, message)
        named.received("not subscribed")
        everything.received("only this")
        posts = [json.loads(post["body"]) for post in named.posts(3)]
        self.assertEqual(posts[0] | {"timestamp": 0}, {
            "session_id": "key-named", "event": "Connected", "jid": "6282:3@s.whatsapp.net", "timestamp": 0})
        self.assertEqual(posts[1], {"session_id": "key-named", "event": "ReadReceipt", "receipt": {
            "ids": ["3EB0AA"], "from": "6281@s.whatsapp.net", "to": "6282@s.whatsapp.net", "type": "delivered",
            "timestamp": 1643723401}})
        self.assertEqual(posts[2]["receipt"]["type"], "read")
        self.assertEqual(everything.texts(everything.posts(1)), ["only this"])
        named.ends(3)
        self.assertEqual(len(named.posts(3)), 3)

    def test_two_instances_share_and_take_over(self):
        self.start()
        self.start(instance="webhooks-2")
        sessions = [Session(self, f"/shared{n}") for n in range(12)]
        for session in sessions:
            session.received("one")
        for session in sessions:
            session.posts(1, 30)
        self.stack.ctl("kill", "webhooks-1")
        for session in sessions:
            session.received("two")
        for session in sessions:
            session.ends(2)
            self.assertEqual(sorted(set(session.texts(session.posts(2)))), ["one", "two"])


if __name__ == "__main__":
    unittest.main()
