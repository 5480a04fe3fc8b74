"""Connectors and a sandbox on a private stack: commands go in through Kafka, events come out of it.

    class Life(Case):
        def test_a_session_connects(self):
            session = self.kit.session("alice")
            session.link("491510000001")
            session.send("491510000002", "hi")

The stack is made once for a module. Programs that use this are run with the Python of tests/lib/python; python3 will
do, they see to that themselves.
"""

import contextlib
import json
import os
import pathlib
import signal
import socket
import struct
import subprocess
import sys
import time
import unittest
import urllib.error
import urllib.parse
import urllib.request
import uuid

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests/lib"))

try:
    import fastavro
    from confluent_kafka import Consumer, Producer, TopicPartition
except ImportError:
    if os.environ.get("KENTONGAN_KIT_TRIED"):
        raise
    python = subprocess.run([TOP / "tests/lib/python"], stdout=subprocess.PIPE, check=True, text=True).stdout.strip()
    os.execve(python, [python, *sys.argv], os.environ | {"KENTONGAN_KIT_TRIED": "1"})

import checks  # noqa: E402
from stack import Stack, wait_until  # noqa: E402

PARTITIONS = 6
SPACE = uuid.UUID("6ba7b811-9dad-11d1-80b4-00c04fd430c8")
COMMANDS = {
    "create": "CreateSession",
    "connect": "ConnectSession",
    "disconnect": "DisconnectSession",
    "logout": "LogoutSession",
    "remove": "RemoveAccount",
    "remove_session": "DeleteSession",
    "send": "SendMessage",
}


class Redis:
    """As much of a client as is needed here."""

    def __init__(self, stack: Stack):
        self.port, self.password = stack.port("redis"), stack.secret("redis_password")

    def __call__(self, *words: str):
        with socket.create_connection(("127.0.0.1", self.port), 5) as connection:
            connection.sendall(self._encoded("AUTH", self.password) + self._encoded(*words))
            stream = connection.makefile("rb")
            self._read(stream)
            return self._read(stream)

    @staticmethod
    def _encoded(*words: str) -> bytes:
        parts = [str(word).encode() for word in words]
        return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)

    def _read(self, stream):
        line = stream.readline().rstrip(b"\r\n")
        kind, rest = line[:1], line[1:]
        if kind == b"$":
            return None if rest == b"-1" else stream.read(int(rest) + 2)[:-2].decode()
        if kind == b"*":
            return [self._read(stream) for _ in range(int(rest))]
        if kind == b":":
            return int(rest)
        if kind == b"-":
            raise AssertionError(rest.decode())
        return rest.decode()


class Topics:
    """Encodes and decodes records as the wire has them."""

    def __init__(self):
        self.ids = {}
        self.names = {}
        for entry in json.loads((TOP / "schemas/ids.json").read_text()):
            schema = fastavro.parse_schema(json.loads((TOP / "schemas" / entry["file"]).read_text()))
            self.ids[entry["id"]] = schema
            self.names[entry["subject"].removesuffix("-value")] = (entry["id"], schema)

    def encode(self, topic: str, record: dict) -> bytes:
        import io

        number, schema = self.names[topic]
        out = io.BytesIO()
        out.write(b"\0" + struct.pack(">i", number))
        fastavro.schemaless_writer(out, schema, {f["name"]: record.get(f["name"]) for f in schema["fields"]})
        return out.getvalue()

    def decode(self, wire: bytes) -> dict:
        import io

        number = struct.unpack(">i", wire[1:5])[0]
        return fastavro.schemaless_reader(io.BytesIO(wire[5:]), self.ids[number])


class Log:
    """All events of a topic, each once, in order, as a reader of the ledger applies them (rule L4)."""

    def __init__(self, brokers: str, topics: Topics, topic: str):
        self.topics = topics
        self.topic = topic
        self.events = []
        self.last = [0] * PARTITIONS
        self.repeats = 0
        self.consumer = Consumer(
            {"bootstrap.servers": brokers, "group.id": "kit", "enable.auto.commit": False, "isolation.level": "read_committed", "log_level": 0}
        )
        self.consumer.assign([TopicPartition(topic, p, 0) for p in range(PARTITIONS)])

    def poll(self) -> list[dict]:
        while True:
            records = self.consumer.consume(1000, 0.05)
            for record in records:
                if record.error():
                    continue
                event = self.topics.decode(record.value())
                p = record.partition()
                if event["position"] == self.last[p] + 1:
                    self.last[p] += 1
                    self.events.append(event)
                elif event["position"] <= self.last[p]:
                    self.repeats += 1
            if not records:
                return self.events

    def of(self, aggregate: str) -> list[dict]:
        return [event for event in self.poll() if event["aggregate_id"] == aggregate]


class Sandbox:
    """The admin interface."""

    def __init__(self, port: int):
        self.base = f"http://127.0.0.1:{port}"

    def call(self, method: str, path: str, body=None):
        data = body if isinstance(body, bytes) else json.dumps(body or {}).encode()
        request = urllib.request.Request(self.base + path, data=None if method == "GET" else data, method=method)
        request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.loads(answer.read() or b"{}")
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{method} {path}: {error.code} {error.read().decode()}") from error

    def phones(self, count: int, **behaviour) -> list[str]:
        return [phone["number"] for phone in self.call("POST", "/admin/phones", {"count": count} | behaviour)["phones"]]

    def phone(self, number: str, **behaviour) -> str:
        self.call("POST", "/admin/phones", {"numbers": [number]} | behaviour)
        return number

    def scan(self, text: str, number: str):
        return self.call("POST", f"/admin/mock-phone/scan-qr?number={number}", text.encode())

    def write(self, number: str, to: str, text: str) -> str:
        return self.call("POST", f"/admin/phones/{number}/send", {"to": to, "text": text})["id"]

    def behave(self, number: str, **behaviour) -> None:
        self.call("POST", f"/admin/phones/{number}/behaviour", behaviour)

    def ask(self, number: str, message: str, count: int) -> None:
        """Its phone sends retry receipt `count` for a message of a companion."""
        self.call("POST", f"/admin/phones/{number}/messages/{message}/ask", {"count": count})

    def lose_keys(self, session: "Session") -> None:
        """The server has no one-time key of the session's device left, and tells it."""
        self.call("DELETE", f"/admin/phones/{session.number}/devices/{session.companion()['device']}/prekeys")

    def show(self, number: str) -> dict:
        return self.call("GET", f"/admin/phones/{number}")

    def hold_acks(self, number: str, held: bool = True) -> int:
        """Messages to that phone are not acked, or are again; how many acks wait."""
        return self.call("POST", f"/admin/phones/{number}/acks", {"held": held})["waiting"]

    def summary(self) -> dict:
        return self.call("GET", "/admin/summary")

    def ledger(self, **query) -> list[dict]:
        return self.call("GET", "/admin/ledger?" + urllib.parse.urlencode({"limit": 10000} | query))["entries"]

    def violations(self) -> list[dict]:
        return self.call("GET", "/admin/violations?limit=100")["violations"]


class Session:
    def __init__(self, kit: "Kit", key: str):
        self.kit = kit
        self.key = key
        self.uuid = str(uuid.uuid5(SPACE, f"session:1:{key}"))
        self.number = None

    def command(self, kind: str, **payload) -> str:
        return self.kit.command("wa.session.cmd.v1", self.uuid, self.uuid, kind, payload)

    def events(self) -> list[dict]:
        return self.kit.sessions.of(self.uuid)

    def kinds(self) -> list[str]:
        return [event["event_type"] for event in self.events()]

    def state(self) -> str:
        rows = self.kit.stack.sql(f"select snapshot->>'phase' from connector.session where session_uuid = '{self.uuid}'")
        return rows[0][0] if rows else "NONE"

    def reach(self, state: str, seconds: float = 30) -> "Session":
        wait_until(lambda: self.state() == state, seconds, f"{self.key} to be {state} (is {self.state()})")
        return self

    def create(self) -> "Session":
        self.kit.accepted(
            self.command(
                "create", id=abs(hash(self.uuid)) % 10**9, session_key=self.key, name=self.key, position=1, phone=None,
                webhook_url="", webhook_secret_enc=None, token_enc=b"x", subscribe=[],
            )
        )
        return self

    def connect(self) -> "Session":
        self.command("connect", immediate=True, subscribe=[])
        return self

    def qr(self) -> str:
        def text():
            value = self.kit.redis("GET", self.kit.qr_key(self.uuid))
            return value and json.loads(value)["text"]

        return wait_until(text, 30, f"a QR code of {self.key}")

    def link(self, number: str) -> "Session":
        """Create, connect, scan: CONNECTED."""
        self.create().connect()
        self.kit.sandbox.scan(self.qr(), number)
        self.number = number
        return self.reach("CONNECTED", 60)

    def send(self, to: str, text: str, message_id: str | None = None, command_id: str | None = None, **more) -> str:
        message_id = message_id or str(uuid.uuid4())
        payload = {"recipient": to, "kind": "text", "text": text, "contact_name": None, "not_after": None,
                   "blast_id": None, "blast_index": None, "campaign_id": None} | more  # fmt: skip
        self.kit.command("wa.message.cmd.v1", self.uuid, message_id, "send", payload, command_id)
        return message_id

    def received(self) -> list[str]:
        """Texts that came in, as events tell them."""
        return [e["received"]["text"] for e in self.kit.messages.poll() if e["received"] and e["session_uuid"] == self.uuid]

    def quiet(self, seconds: float = 20) -> None:
        """The server has nothing left for it."""
        wait_until(lambda: self.companion()["queued"] == 0, seconds, f"every stanza for {self.key} to be acked")

    def told(self, *texts: str, seconds: float = 30) -> None:
        """These have come in, each once, and nothing else has."""
        wait_until(lambda: set(texts) <= set(self.received()), seconds, f"{texts[:5]} to come in")
        self.quiet(seconds)
        assert sorted(self.received()) == sorted(texts), self.received()

    def companion(self) -> dict:
        """What the sandbox knows of the connected device."""
        return self.kit.sandbox.show(self.number)["devices"][0]


class Kit:
    def __init__(self, name: str, build: str, settings: dict[str, str] | None = None):
        self.stack = Stack(name, build)
        self.settings = {"KAFKA_SESSION_TIMEOUT_MS": "6000", "LOG_LEVEL": "info"} | (settings or {})
        self.topics = Topics()
        self.connectors = []

    def start(self, connectors: int = 1) -> "Kit":
        stack = self.stack
        stack.ctl("start")
        stack.run("deploy/lib/migrate")
        self.brokers = f"127.0.0.1:{stack.port('kafka')}"
        stack.run(str(stack.build / "libs/bus/kentongan-topics"), env={"KAFKA_BROKERS": self.brokers})
        stack.ctl("start", "sandbox-1")
        self.producer = Producer({"bootstrap.servers": self.brokers, "partitioner": "murmur2_random", "linger.ms": 1, "log_level": 0})
        self.sandbox = Sandbox(stack.port("sandbox"))
        self.redis = Redis(stack)
        self.sessions = Log(self.brokers, self.topics, "wa.session.events.v1")
        self.messages = Log(self.brokers, self.topics, "wa.message.events.v1")
        for number in range(1, connectors + 1):
            self.start_connector(number)
        return self

    def start_connector(self, number: int = 1, **settings: str) -> None:
        pairs = [word for pair in (self.settings | settings).items() for word in ("--env", f"{pair[0]}={pair[1]}")]
        self.stack.ctl("start", *pairs, f"connector-{number}")

    def crash_at(self, point: str, number: int = 1) -> None:
        """A connector in its place that ends the next time that it comes to `point`."""
        self.stack.ctl("stop", f"connector-{number}")
        self.start_connector(number, KENTONGAN_CRASH_AT=f"connector.{point}")

    def wait_for_crash(self, number: int = 1) -> None:
        wait_until(lambda: not self.is_running(number), 60, "the connector to crash")

    @contextlib.contextmanager
    def locked(self, table: str):
        """Nobody can write to a table of the connector; the value says whether somebody waits to."""
        command = ["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", self.stack.conninfo()]
        waiting = f"select count(*) from pg_locks where relation = 'connector.{table}'::regclass and not granted"
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as psql:
            psql.stdin.write(f"begin; lock table connector.{table} in share mode; select 'locked';\n")
            psql.stdin.flush()
            assert psql.stdout.readline() == "locked\n"
            try:
                yield lambda: self.stack.sql(waiting) != [["0"]]
            finally:
                psql.communicate("rollback;\n", timeout=30)

    def stop(self) -> None:
        """Connectors end in peace, and nothing in their logs is for developers."""
        self.producer.flush(5)
        for log in (self.sessions, self.messages):
            log.consumer.close()
        running = [number for number in range(1, 5) if self.pid(number) and self.is_running(number)]
        for number in running:
            self.stack.ctl("stop", f"connector-{number}")
        for file in (self.stack.state / "log").glob("*.log"):
            text = file.read_text(errors="replace")
            for sign in ("Sanitizer", "runtime error:", "Assertion", "Aborted"):
                assert sign not in text, f"{file.name}: {text[max(0, text.index(sign) - 500) :][:4000]}"

    def log(self, number: int = 1) -> str:
        return (self.stack.state / "log" / f"connector-{number}.log").read_text(errors="replace")

    @contextlib.contextmanager
    def frozen(self, part: str = "connector-1"):
        """A process that stands still: what comes meanwhile it finds all at once."""
        pid = self.stack.pid(part)
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    def pid(self, number: int = 1) -> int:
        return self.stack.pid(f"connector-{number}")

    def is_running(self, number: int = 1) -> bool:
        try:
            stat = pathlib.Path(f"/proc/{self.pid(number)}/stat").read_text()
        except (FileNotFoundError, TypeError):
            return False
        return stat.rpartition(")")[2].split()[0] != "Z"

    def qr_key(self, session: str) -> str:
        return f"sess:{session}:qr"

    def session(self, key: str) -> Session:
        return Session(self, key)

    def command(self, topic: str, session: str, aggregate: str, kind: str, payload: dict, command_id=None) -> str:
        now = int(time.time() * 1000)
        record = {
            "command_id": command_id or str(uuid.uuid4()), "command_type": COMMANDS[kind], "schema_version": 1,
            "aggregate_id": aggregate, "session_uuid": session, "user_id": 1, "correlation_id": str(uuid.uuid4()),
            "reply_to": "kit", "issued_at": now, "deadline": now + 30000, "actor_kind": "user", "actor_id": "1",
            "session_sequence": None, kind: payload,
        }  # fmt: skip
        self.producer.produce(topic, key=session, value=self.topics.encode(topic, record), on_delivery=lambda *_: None)
        self.producer.poll(0)
        return record["command_id"]

    def verdict(self, command: str, seconds: float = 30) -> dict:
        self.producer.flush(10)
        return json.loads(wait_until(lambda: self.redis("GET", f"reply:{command}"), seconds, f"a reply to {command}"))

    def accepted(self, command: str) -> dict:
        verdict = self.verdict(command)
        assert verdict["verdict"] == "ok", verdict
        return verdict

    def messages_of(self, blast: str) -> list[dict]:
        return [event for event in self.messages.poll() if event["blast_id"] == blast]

    def message_kinds(self, message_id: str) -> list[str]:
        return [event["event_type"].removeprefix("Message") for event in self.messages.of(message_id)]

    def message_reaches(self, message_id: str, kind: str, seconds: float = 30) -> list[str]:
        wait_until(lambda: kind in self.message_kinds(message_id), seconds, f"{message_id} to be {kind}")
        return self.message_kinds(message_id)

    def metric(self, name: str, number: int = 1) -> float:
        url = f"http://127.0.0.1:{self.stack.port(f'connector-{number}')}/metrics"
        with urllib.request.urlopen(url, timeout=5) as answer:
            for line in answer.read().decode().splitlines():
                if line.startswith(name + " ") or line.startswith(name + "{"):
                    return float(line.rpartition(" ")[2])
        raise KeyError(name)

    def check_sequences(self) -> None:
        """Every aggregate's events are numbered from 1 without gaps, and none comes twice."""
        for log in (self.sessions, self.messages):
            last = {}
            for event in log.poll():
                expected = last.get(event["aggregate_id"], 0) + 1
                assert event["sequence"] == expected, (event["aggregate_id"], event["event_type"], event["sequence"], expected)
                last[event["aggregate_id"]] = expected


class Case(unittest.TestCase):
    """Tests that share one kit; `settings` and `connectors` are the class's to set."""

    settings: dict[str, str] = {}
    connectors = 1
    violations_allowed: set[str] = set()

    @classmethod
    def setUpClass(cls):
        name = cls.__name__.lower()
        cls.kit = Kit(name, BUILD, cls.settings)
        cls.enterClassContext(cls.kit.stack)
        cls.kit.start(cls.connectors)
        cls.addClassCleanup(cls.kit.stop)

    @classmethod
    def tearDownClass(cls):
        checks.connector_holds(cls.kit.stack)

    def tearDown(self):
        kit = self.kit
        kit.check_sequences()
        bad = [v for v in kit.sandbox.violations() if v["reason"] not in self.violations_allowed]
        self.assertEqual(bad, [])
        self.assertEqual(kit.sandbox.summary()["duplicates"], 0)


BUILD = TOP / "build" / "asan"


def main():
    global BUILD
    if len(sys.argv) > 1 and (pathlib.Path(sys.argv[1]) / "CMakeCache.txt").exists():
        BUILD = sys.argv.pop(1)
    unittest.main(module="__main__", verbosity=2)
