"""The service webhooks alone, against real servers: the test writes the events and is the subscriber.

    class Webhooks(Case):
        def test_a_message_arrives(self):
            self.start()
            session = Session(self, "/hello")
            session.received("Hello!")
            post = session.posts(1)[0]
"""

import contextlib
import hashlib
import http.server
import json
import os
import pathlib
import ssl
import subprocess
import sys
import threading
import time
import unittest
import urllib.request
import uuid

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests" / "lib"))
from cryptography.hazmat.primitives import hashes  # noqa: E402
from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: E402
from cryptography.hazmat.primitives.kdf.hkdf import HKDF  # noqa: E402
import invariants  # noqa: E402
from log import Log, by_aggregate  # noqa: E402
from log_writer import Writer, encode, partition_of  # noqa: E402
from stack import Stack, wait_until  # noqa: E402

BUILD = sys.argv.pop() if len(sys.argv) > 1 else TOP / "build" / "asan"
SESSIONS, MESSAGES, WEBHOOKS = "wa.session.events.v1", "wa.message.events.v1", "wa.webhook.events.v1"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SETTINGS = {
    "WEBHOOK_ALLOW_NETS": "127.0.0.0/8", "KAFKA_SESSION_TIMEOUT_MS": "3000", "WEBHOOK_TIMEOUT_MS": "1500",
}  # fmt: skip


def seal(key: bytes, owner: str, label: str, plain: bytes) -> bytes:
    """As libs/crypto/crypto_seal.h."""
    derived = HKDF(hashes.SHA256(), 32, b"\0" * 32, owner.encode()).derive(key)
    nonce = os.urandom(12)
    return b"\1" + hashlib.sha256(key).digest()[:4] + nonce + AESGCM(derived).encrypt(nonce, plain, label.encode())


class Subscriber:
    """Keeps every POST; answers as `script` says for the path, then 200.

    An answer is a status, or a status and headers; 0 stands for: never answer. Of a path that is in `held`, answers wait
    until that is set. With `tls` it speaks https, which may be set anew: the next connection gets the new one.
    """

    def __init__(self, tls: ssl.SSLContext | None = None):
        self.posts: list[dict] = []
        self.script: dict[str, list[int | tuple[int, dict[str, str]]]] = {}
        self.held: dict[str, threading.Event] = {}
        self.tls = tls
        self.lock = threading.Lock()
        self.ended = threading.Event()
        outer = self

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128  # else a burst of connections takes a second

            def get_request(self):
                connection, peer = super().get_request()
                if outer.tls is not None:  # the handshake is made by the thread of the connection
                    connection = outer.tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
                return connection, peer

            def shutdown_request(self, request):
                with contextlib.suppress(OSError):
                    super().shutdown_request(request)

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with outer.lock:
                    answers = outer.script.get(self.path, [])
                    answer = answers.pop(0) if answers else 200
                    status, headers = answer if isinstance(answer, tuple) else (answer, {})
                    outer.posts.append({"path": self.path, "headers": dict(self.headers), "body": body,
                                        "status": status, "at": time.monotonic()})
                if self.path in outer.held:
                    outer.held[self.path].wait(60)
                if status == 0:
                    outer.ended.wait(60)
                    self.close_connection = True
                    return
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"OK")

            def handle(self):
                with contextlib.suppress(ConnectionError, ssl.SSLError):  # cut by a crash, or refused by the peer
                    super().handle()

            def log_message(self, *_):
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
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

    def __init__(self, test: "Case", path: str, subscribe=("All",), create=True, url: str | None = None,
                 subscriber: Subscriber | None = None):
        self.test, self.path = test, path
        self.subscriber = subscriber or test.subscriber
        scheme = "http" if self.subscriber.tls is None else "https"
        self.url = url or f"{scheme}://127.0.0.1:{self.subscriber.port}{path}"
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

    def told(self, member: str, payload: dict) -> dict:
        return self.test.writer.event(SESSIONS, self.uuid, self.uuid, member, payload, **self.envelope)

    def message(self, member: str, payload: dict, message: str | None = None) -> dict:
        return self.test.writer.event(MESSAGES, self.uuid, message or str(uuid.uuid4()), member, payload,
                                      session_uuid=self.uuid, state_before="", **self.envelope)

    def received(self, text: str) -> dict:
        return self.message("received", {
            "wa_message_id": "3EB0" + text, "from": "6281@s.whatsapp.net", "to": "6282@s.whatsapp.net",
            "kind": "text", "text": text, "timestamp": 1643723400})

    def again(self, event: dict):
        """A message event that was written before, at another place in the log, as no writer of ours would."""
        place = (MESSAGES, partition_of(self.uuid))
        self.test.writer.positions[place] += 1
        record = event | {"position": self.test.writer.positions[place]}
        self.test.writer.raw(MESSAGES, self.uuid, encode(MESSAGES, record))

    def posts(self, n: int, seconds: float = 20) -> list[dict]:
        return wait_until(lambda: (got := self.subscriber.at(self.path)) and len(got) >= n and got, seconds,
                          f"{n} posts to {self.path}, got {len(self.subscriber.at(self.path))}")

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

    def failures(self, n: int = 1) -> list[dict]:
        """Waits until n attempts have failed; what their events say."""
        def failed():
            found = [e["attempt_failed"] for es in self.deliveries().values() for e in es if e["attempt_failed"]]
            return len(found) >= n and found
        return wait_until(failed, 30, f"{n} failed attempts for {self.path}", every=0.3)

    def dropped(self, n: int) -> set[str]:
        """Waits until n deliveries have ended untried; the reasons given."""
        def ended():
            found = [events[-1]["dead"]["reason"] for events in self.deliveries().values()
                     if [e["event_type"] for e in events] == ["WebhookQueued", "WebhookDead"]]
            return len(found) == n and found
        return set(wait_until(ended, 30, f"{n} dropped deliveries to {self.path}: {self.deliveries()}", every=0.3))

    def ends(self, n: int) -> list[list[str]]:
        """Waits until n deliveries have ended; their event types."""
        def ended():
            kinds = [[e["event_type"] for e in events] for events in self.deliveries().values()]
            return len([k for k in kinds if k[-1] in ("WebhookDelivered", "WebhookDead")]) >= n and kinds
        return wait_until(ended, 30, f"{n} ends of deliveries to {self.path}: {self.deliveries()}", every=0.3)


class Case(unittest.TestCase):
    """Servers of its own for all tests of a class, and one subscriber."""

    @classmethod
    def setUpClass(cls):
        cls.stack = cls.enterClassContext(Stack(cls.__name__.lower(), BUILD))
        cls.stack.ctl("start")
        cls.stack.run("deploy/lib/migrate")
        cls.brokers = f"127.0.0.1:{cls.stack.port('kafka')}"
        cls.stack.run(str(cls.stack.build / "libs/bus/kentongan-topics"), env={"KAFKA_BROKERS": cls.brokers})
        cls.webhook_key = bytes.fromhex((cls.stack.state / "secrets" / "webhook_key").read_text().strip())
        cls.writer = Writer(cls.brokers)
        cls.subscriber = Subscriber()
        cls.addClassCleanup(cls.subscriber.close)

    @classmethod
    def tearDownClass(cls):
        """INV-27 over everything that was delivered here, whatever went wrong meanwhile."""
        log = Log(cls.brokers)
        sources = {}  # by id; of one that came again, where it stood first
        for event in log.events(SESSIONS) + log.events(MESSAGES):
            sources.setdefault(event.value["event_id"], event)
        invariants.lines(log.events(WEBHOOKS), sources)

    def start(self, *settings: str, instance: str = "webhooks-1"):
        pairs = [f"{name}={value}" for name, value in SETTINGS.items()] + list(settings)
        self.stack.ctl("start", *[word for pair in pairs for word in ("--env", pair)], instance)

    def stop(self):
        self.stack.ctl("stop", "webhooks-1", "webhooks-2")

    def metric(self, name: str, instance: str = "webhooks-1") -> int | None:
        """What it says now; None: nothing yet."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.stack.port(instance)}/metrics", timeout=5) as answer:
            for line in answer.read().decode().splitlines():
                if line.startswith(f"kentongan_webhooks_{name} "):
                    return int(line.rpartition(" ")[2])

    def metric_becomes(self, name: str, value: int, *instances: str):
        """Waits until it is that, in all of the instances together."""
        def values():
            return [self.metric(name, instance) for instance in instances or ["webhooks-1"]]
        wait_until(lambda: None not in (got := values()) and sum(got) == value, 20, f"{name} of {value}")

    def begin(self, *settings: str) -> subprocess.Popen:
        """webhooks-1 as a child of the test, which sees how it ends."""
        self.stack.run("deploy/lib/ctl", "run", "webhooks", "--check-config")  # writes its file of settings
        lines = (self.stack.state / "env" / "webhooks.env").read_text().splitlines()
        keep = {name: value for name, value in os.environ.items() if name == "PATH" or name.endswith("SAN_OPTIONS")}
        of_stack, own = (dict(line.split("=", 1) for line in pairs) for pairs in (lines, settings))
        log = self.stack.state / "log" / "webhooks-1.log"
        self.log_began = log.stat().st_size if log.exists() else 0
        with open(log, "ab") as out:
            child = subprocess.Popen([self.stack.build / "services/webhooks/webhooks"], stdin=subprocess.DEVNULL,
                                     stdout=out, stderr=out, cwd=TOP,
                                     env=keep | of_stack | SETTINGS | own | {"INSTANCE_ID": "webhooks-1"})
        self.addCleanup(child.wait)
        self.addCleanup(child.kill)
        return child

    def setUp(self):
        self.addCleanup(self.forget)

    def forget(self):
        """The next test begins without retries of this one."""
        self.stop()
        self.stack.sql("delete from webhooks.delivery")
