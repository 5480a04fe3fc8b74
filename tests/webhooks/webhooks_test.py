"""The service webhooks alone, against real servers: this program writes the events and is the subscriber."""

import base64
import contextlib
import hashlib
import hmac
import http.server
import json
import os
import pathlib
import sys
import threading
import time
import unittest
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from cryptography.hazmat.primitives import hashes  # noqa: E402
from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: E402
from cryptography.hazmat.primitives.kdf.hkdf import HKDF  # noqa: E402
from log import Log, by_aggregate  # noqa: E402
from log_writer import Writer, partition_of  # noqa: E402
from stack import TOP, Stack, wait_until  # noqa: E402

BUILD = sys.argv.pop() if len(sys.argv) > 1 else TOP / "build" / "asan"
SESSIONS, MESSAGES, WEBHOOKS = "wa.session.events.v1", "wa.message.events.v1", "wa.webhook.events.v1"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def seal(key: bytes, owner: str, label: str, plain: bytes) -> bytes:
    """As libs/crypto/crypto_seal.h."""
    derived = HKDF(hashes.SHA256(), 32, b"\0" * 32, owner.encode()).derive(key)
    nonce = os.urandom(12)
    return b"\1" + hashlib.sha256(key).digest()[:4] + nonce + AESGCM(derived).encrypt(nonce, plain, label.encode())


class Subscriber:
    """Keeps every POST; answers as `script` says for the path, then 200. 0 stands for: never answer."""

    def __init__(self):
        self.posts: list[dict] = []
        self.script: dict[str, list[int]] = {}
        self.lock = threading.Lock()
        self.ended = threading.Event()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with outer.lock:
                    answers = outer.script.get(self.path, [])
                    status = answers.pop(0) if answers else 200
                    outer.posts.append({"path": self.path, "headers": dict(self.headers), "body": body,
                                        "status": status, "at": time.monotonic()})
                if status == 0:
                    outer.ended.wait(60)
                    self.close_connection = True
                    return
                self.send_response(status)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"OK")

            def handle(self):
                with contextlib.suppress(ConnectionError):  # cut by a crash
                    super().handle()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def at(self, path: str) -> list[dict]:
        with self.lock:
            return [post for post in self.posts if post["path"] == path]

    def close(self):
        self.ended.set()
        self.server.shutdown()
        self.server.server_close()


class Session:
    """One session: its events are written here."""

    def __init__(self, test: "Webhooks", path: str, subscribe=("All",), create=True):
        self.test, self.path = test, path
        self.uuid, self.key = str(uuid.uuid4()), f"key-{path.strip('/')}"
        self.subscribe = list(subscribe)
        if create:
            self.create()

    @property
    def envelope(self) -> dict:
        return {"session_key": self.key, "user_id": 7}

    def create(self):
        self.told("created", {
            "id": 1, "name": "n", "position": 1, "phone": None, "webhook_url": self.url, "token_enc": b"t",
            "webhook_secret_enc": seal(self.test.webhook_key, self.uuid, "webhook_secret", SECRET.encode()),
            "subscribe": self.subscribe})

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.test.subscriber.port}{self.path}"

    def told(self, member: str, payload: dict) -> dict:
        return self.test.writer.event(SESSIONS, self.uuid, self.uuid, member, payload, **self.envelope)

    def message(self, member: str, payload: dict, message: str | None = None) -> dict:
        return self.test.writer.event(MESSAGES, self.uuid, message or str(uuid.uuid4()), member, payload,
                                      session_uuid=self.uuid, state_before="", **self.envelope)

    def received(self, text: str) -> dict:
        return self.message("received", {
            "wa_message_id": "3EB0" + text, "from": "6281@s.whatsapp.net", "to": "6282@s.whatsapp.net",
            "kind": "text", "text": text, "timestamp": 1643723400})

    def posts(self, n: int, seconds: float = 20) -> list[dict]:
        return wait_until(lambda: (got := self.test.subscriber.at(self.path)) and len(got) >= n and got, seconds,
                          f"{n} posts to {self.path}, got {len(self.test.subscriber.at(self.path))}")

    def texts(self, posts: list[dict]) -> list[str]:
        return [json.loads(post["body"])["message"]["message"] for post in posts]

    def deliveries(self) -> dict[str, list[dict]]:
        """The events of its deliveries, by delivery id, in the order of the log."""
        own = [e for e in Log(self.test.brokers).events(WEBHOOKS) if e.value["session_uuid"] == self.uuid]
        self.test.assertTrue(all(e.partition == partition_of(self.uuid) for e in own))
        return {delivery: [e.value for e in events] for delivery, events in by_aggregate(own).items()}

    def left(self) -> list[list[str]]:
        """Its deliveries that are not done."""
        return self.test.stack.sql("select state, event from webhooks.delivery where state <> 'DEAD' "
                                   f"and session_uuid = '{self.uuid}'")

    def ends(self, n: int) -> list[list[str]]:
        """Waits until n deliveries have ended; their event types."""
        def ended():
            kinds = [[e["event_type"] for e in events] for events in self.deliveries().values()]
            return len([k for k in kinds if k[-1] in ("WebhookDelivered", "WebhookDead")]) >= n and kinds
        return wait_until(ended, 30, f"{n} ends of deliveries to {self.path}: {self.deliveries()}", every=0.3)


class Webhooks(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stack = cls.enterClassContext(Stack("webhooks", BUILD))
        cls.stack.ctl("start")
        cls.stack.run("deploy/lib/migrate")
        cls.brokers = f"127.0.0.1:{cls.stack.port('kafka')}"
        cls.stack.run(str((cls.stack.build / "libs/bus/kentongan-topics").relative_to(TOP))
                      if cls.stack.build.is_relative_to(TOP) else str(cls.stack.build / "libs/bus/kentongan-topics"),
                      env={"KAFKA_BROKERS": cls.brokers})
        cls.webhook_key = bytes.fromhex((cls.stack.state / "secrets" / "webhook_key").read_text().strip())
        cls.writer = Writer(cls.brokers)
        cls.subscriber = Subscriber()
        cls.addClassCleanup(cls.subscriber.close)

    def start(self, *settings: str, instance: str = "webhooks-1", allow: str = "127.0.0.0/8", check=True):
        extra = [word for pair in (f"WEBHOOK_ALLOW_NETS={allow}", "KAFKA_SESSION_TIMEOUT_MS=3000",
                                   "WEBHOOK_TIMEOUT_MS=1500", *settings) for word in ("--env", pair)]
        self.stack.ctl("start", *extra, instance, check=check)

    def stop(self):
        self.stack.ctl("stop", "webhooks-1", "webhooks-2")

    def setUp(self):
        self.addCleanup(self.forget)

    def forget(self):
        """The next test begins without retries of this one."""
        self.stop()
        self.stack.sql("delete from webhooks.delivery")

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

    def test_a_slow_subscriber_holds_up_nobody_else(self):
        self.start()
        slow, quick = Session(self, "/slow"), Session(self, "/quick")
        self.subscriber.script["/slow"] = [0, 0, 0]
        slow.received("a")
        slow.posts(1)
        for n in range(10):
            quick.received(str(n))
        posts = quick.posts(10, 10)
        self.assertEqual(quick.texts(posts), [str(n) for n in range(10)])
        self.assertEqual(len(self.subscriber.at("/slow")), 1)
        failed = wait_until(lambda: [e for es in slow.deliveries().values() for e in es if e["attempt_failed"]], 20,
                            "the time-out")
        self.assertEqual(failed[0]["attempt_failed"]["error"], "no answer in time")
        self.assertIsNone(failed[0]["attempt_failed"]["http_status"])

    def test_what_was_posted_and_not_kept_is_posted_again_under_the_same_id(self):
        self.start("KENTONGAN_CRASH_AT=webhooks.after.post")
        session = Session(self, "/again")
        session.received("x")
        session.posts(1)
        wait_until(lambda: self.stack.ctl("check", "webhooks-1", check=False).returncode != 0, 20, "the crash")
        self.start()
        first, second = session.posts(2, 30)[:2]
        self.assertEqual(first["headers"]["webhook-id"], second["headers"]["webhook-id"])
        self.assertEqual(second["headers"]["X-Webhook-Attempt"], "1")
        self.assertEqual(session.ends(1), [["WebhookQueued", "WebhookDelivered"]])

    def test_nothing_is_lost_whatever_the_point_of_a_crash(self):
        session = Session(self, "/crash")
        sent = 0
        for point in ("before.commit", "after.commit@2", "before.publish", "after.publish", "after.delete",
                      "before.post"):
            self.start(f"KENTONGAN_CRASH_AT=webhooks.{point}", check=False)  # it may crash before it is ready
            for _ in range(3):
                session.received(str(sent))
                sent += 1
            wait_until(lambda: self.stack.ctl("check", "webhooks-1", check=False).returncode != 0, 30,
                       f"the crash at {point}")
        self.start()
        ends = session.ends(sent)
        self.assertEqual(len(ends), sent)
        self.assertTrue(all(k[0] == "WebhookQueued" and k[-1] == "WebhookDelivered" for k in ends), ends)
        seen = []  # repeats are allowed, another order is not
        for text in session.texts(session.posts(sent)):
            if text not in seen:
                seen.append(text)
        self.assertEqual(seen, [str(n) for n in range(sent)])

    def test_a_removed_url_cancels_what_waits(self):
        self.start()
        session = Session(self, "/removed")
        self.subscriber.script["/removed"] = [500] * 9
        for n in range(25):
            session.received(str(n))
        session.posts(1)
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

    def test_messages_that_are_read_before_their_session_wait_for_it(self):
        self.start()
        session = Session(self, "/early", create=False)
        session.received("first")
        wait_until(lambda: session.left() == [["EARLY", "Message"]], 20, "an early one")
        session.create()
        session.received("second")
        self.assertEqual(session.texts(session.posts(2)), ["first", "second"])

    def test_private_addresses_are_refused(self):
        self.start(allow="")
        session = Session(self, "/private")
        session.received("x")
        failed = wait_until(lambda: [e for es in session.deliveries().values() for e in es if e["attempt_failed"]],
                            20, "a refusal", every=0.3)
        self.assertEqual(failed[0]["attempt_failed"]["error"], "its address is private or reserved")
        self.assertEqual(self.subscriber.at("/private"), [])
        session.told("deleted", {})
        self.assertEqual(session.ends(1)[0][-1], "WebhookDead")

    def test_after_the_last_attempt_a_delivery_is_parked_and_the_next_goes(self):
        self.start()
        session = Session(self, "/dead")
        self.subscriber.script["/dead"] = [500, 503]
        session.received("never")
        session.posts(1)
        wait_until(lambda: session.left() == [["RETRYING", "Message"]], 20, "a retry")
        self.stop()
        self.stack.sql("update webhooks.delivery set attempts = 5, next_at = now() "
                       f"where session_uuid = '{session.uuid}'")
        session.received("next")
        self.start()
        posts = session.posts(3, 30)
        self.assertEqual([p["headers"]["X-Webhook-Attempt"] for p in posts], ["1", "6", "1"])
        self.assertEqual(session.ends(2), [["WebhookQueued", "WebhookAttemptFailed", "WebhookDead"],
                                           ["WebhookQueued", "WebhookDelivered"]])
        self.assertEqual(self.stack.sql("select state, last_error, body <> '' from webhooks.delivery "
                                        f"where session_uuid = '{session.uuid}'"), [["DEAD", "the answer is not 2xx", "t"]])

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
