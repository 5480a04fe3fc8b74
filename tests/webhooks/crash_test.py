"""The service ends at each of its crash points in turn, or because it is told to; nothing is lost, nothing overtakes, repeats
have the same id."""

import signal
import subprocess
import threading
import unittest

from kit import Case, Session, wait_until

CRASH_STATUS = 137  # libs/base/crash.h
# Each point, and the time at which it is passed: at the first messages, in the middle, at the last result. Six partitions
# are taken; three messages make at least four commits, six records and three posts.
POINTS = (
    ("before.take", (1, 6)),
    ("after.take", (1, 6)),
    ("before.commit", (1, 2, 4)),
    ("after.commit", (1, 2, 4)),
    ("before.publish", (1, 4, 6)),
    ("after.publish", (1, 4, 6)),
    ("before.delete", (1,)),
    ("after.delete", (1,)),
    ("before.post", (1, 2, 3)),
    ("after.post", (1, 2, 3)),
)


class Crash(Case):
    def check(self, session: Session, texts: list[str]):
        """All arrived, as often as they like, but in order and each under one id; and the log knows it."""
        ends = session.ends(len(texts))
        self.assertEqual(ends, [["WebhookQueued", "WebhookDelivered"]] * len(texts))
        posts = session.posts(len(texts))
        seen = session.texts(posts)
        self.assertEqual(list(dict.fromkeys(seen)), texts)
        self.assertEqual(seen, sorted(seen), "an earlier one came again after a later one")
        ids = [{p["headers"]["webhook-id"] for p in posts if session.texts([p]) == [text]} for text in texts]
        self.assertTrue(all(len(one) == 1 for one in ids), ids)
        self.assertEqual(set().union(*ids), set(session.deliveries()))
        self.assertEqual({p["headers"]["X-Webhook-Attempt"] for p in posts}, {"1"})
        self.assertEqual(session.left(), [])
        return posts

    def run_into(self, point: str, count: int):
        session = Session(self, f"/{point}-{count}")
        texts = [f"{session.path}-{n}" for n in range(3)]
        child = self.begin(f"KENTONGAN_CRASH_AT=webhooks.{point}@{count}")
        for text in texts:
            session.received(text)
        try:
            self.assertEqual(child.wait(60), CRASH_STATUS)
        except subprocess.TimeoutExpired:
            self.fail("it never passed there")
        before = len(self.subscriber.at(session.path))
        child = self.begin()
        posts = self.check(session, texts)
        if point == "after.post":  # it arrived, and nobody knew
            self.assertEqual(session.texts(posts)[before - 1], session.texts(posts)[before])
        child.kill()
        child.wait()

    def test_every_point_is_survived(self):
        for point, counts in POINTS:
            for count in counts:
                with self.subTest(point=point, count=count):
                    self.run_into(point, count)

    def test_what_does_not_fit_is_told_once_at_every_point(self):
        for point, count in (("before.commit", 1), ("before.commit", 2), ("after.commit", 1), ("after.commit", 2),
                             ("before.publish", 3), ("after.publish", 3)):
            with self.subTest(point=point, count=count):
                session = Session(self, f"/full-{point}-{count}")
                self.subscriber.script[session.path] = [500] * 9  # the first keeps its place
                child = self.begin(f"KENTONGAN_CRASH_AT=webhooks.{point}@{count}", "WEBHOOK_QUEUE_MAX=1")
                for text in ("a", "b", "c"):
                    session.received(text)
                self.assertEqual(child.wait(60), CRASH_STATUS)
                child = self.begin("WEBHOOK_QUEUE_MAX=1")
                self.assertEqual(session.dropped(2), {"too many wait"})
                session.failures(1)
                self.assertEqual(set(session.texts(session.posts(1))), {"a"})
                self.assertEqual(len(session.deliveries()), 3)
                child.kill()
                child.wait()
                self.stack.sql("delete from webhooks.delivery")

    def test_a_kill_while_the_subscriber_thinks_is_survived(self):
        session = Session(self, "/thinks")
        self.subscriber.script["/thinks"] = [0]
        child = self.begin()
        for text in ("a", "b"):
            session.received(text)
        session.posts(1)
        child.kill()
        child.wait()
        self.begin()
        posts = self.check(session, ["a", "b"])
        self.assertEqual(session.texts(posts), ["a", "a", "b"])

    def test_what_a_removed_url_cancelled_goes_to_no_later_one(self):
        session = Session(self, "/first")
        self.subscriber.script["/first"] = [(503, {"Retry-After": "600"})]
        child = self.begin()
        for n in range(25):  # more than are in memory
            session.received(str(n))
        session.failures(1)
        wait_until(lambda: len(session.left()) == 25, 20, "all to stand in line")
        child.kill()
        child.wait()
        later = session.url + "/later"
        for url in ("", later):
            session.told("webhook_set", {"webhook_url": url, "secret_enc": None})
        seen = f"select url from webhooks.endpoint where session_uuid = '{session.uuid}'"
        is_read = False
        while not is_read:  # then one more commit, by which those in memory are cancelled
            is_read = self.stack.sql(seen) == [[later]]
            self.assertEqual(self.begin("KENTONGAN_CRASH_AT=webhooks.after.commit").wait(60), CRASH_STATUS)
        self.assertTrue(session.left(), "nothing was left for the one that comes now")
        session.received("new")
        self.begin()
        self.assertEqual(session.ends(26).count(["WebhookQueued", "WebhookAttemptFailed", "WebhookDead"]), 1)
        self.assertEqual({e["dead"]["reason"] for es in session.deliveries().values() for e in es if e["dead"]}, {"cancelled"})
        self.assertEqual(session.texts(self.subscriber.at("/first/later")), ["new"])
        self.assertEqual(session.left(), [])

    def test_at_the_end_what_is_under_way_is_waited_for_and_the_rest_waits(self):
        sessions = [Session(self, f"/ends{n}") for n in range(3)]
        texts = [f"{n:02}" for n in range(20)]  # more than are in memory
        answers = threading.Event()
        self.addCleanup(answers.set)
        child = self.begin("WEBHOOK_TIMEOUT_MS=60000", "DRAIN_TIMEOUT_MS=60000")
        for session in sessions:
            self.subscriber.held[session.path] = answers
            for text in texts:
                session.received(text)
        for session in sessions:
            session.posts(1)
            wait_until(lambda s=session: len(s.left()) == len(texts), 20, "all to stand in line")
        child.send_signal(signal.SIGTERM)
        wait_until(lambda: "signal: draining" in self.log_of_last_start(), 20, "it to hear the signal")
        answers.set()
        self.assertEqual(child.wait(60), 0)
        for session in sessions:
            self.assertEqual(session.texts(session.posts(1)), texts[:1])
            self.assertEqual(len(session.left()), len(texts) - 1)  # its answer was heard, and nothing new begun
        self.begin()
        for session in sessions:
            self.check(session, texts)
            self.assertEqual(session.texts(session.posts(1)), texts)  # none twice

    def test_an_end_does_not_wait_for_ever(self):
        session = Session(self, "/never")
        self.subscriber.script["/never"] = [0]
        child = self.begin("WEBHOOK_TIMEOUT_MS=60000", "DRAIN_TIMEOUT_MS=6000")
        for text in ("a", "b"):
            session.received(text)
        session.posts(1)
        child.send_signal(signal.SIGTERM)
        self.assertEqual(child.wait(30), 0)
        self.begin()
        self.assertEqual(session.texts(self.check(session, ["a", "b"])), ["a", "a", "b"])

    def log_of_last_start(self) -> str:
        return (self.stack.state / "log" / "webhooks-1.log").read_text()[self.log_began :]


if __name__ == "__main__":
    unittest.main()
