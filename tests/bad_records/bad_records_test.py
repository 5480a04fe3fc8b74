"""Records that no service can use, on every topic that one reads: each becomes one dead letter that says who gave it up
and why, is counted once, and what stands behind it is handled."""

import collections
import copy
import hashlib
import json
import pathlib
import re
import sys
import unittest
import urllib.request
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
import checks  # noqa: E402
from client import Receiver  # noqa: E402
from driver import SETTINGS, Driver  # noqa: E402
from log import SCHEMAS, Log  # noqa: E402
from log_writer import Writer, encode, partition_of  # noqa: E402
from stack import TOP, Stack, wait_until  # noqa: E402

BUILD = sys.argv.pop() if len(sys.argv) > 1 else TOP / "build" / "asan"
TOPICS = {t["name"]: t for t in json.loads((SCHEMAS / "topics.json").read_text())}
SERVICES = ("ingress", "connector", "scheduler", "tracker", "webhooks")
READERS = {name: [s for s in t["read_by"] if s in SERVICES] for name, t in TOPICS.items()}
SESSIONS, MESSAGES, BLASTS, WEBHOOKS = (f"wa.{n}.events.v1" for n in ("session", "message", "blast", "webhook"))
SESSION_CMD, MESSAGE_CMD, BLAST_CMD = (f"wa.{n}.cmd.v1" for n in ("session", "message", "blast"))
RECIPIENTS, SUBMIT = "wa.blast.recipients.v1", "wa.blast.submit.v1"
REJECTIONS, DEAD = "wa.blast.rejections.v1", "wa.dlq.v1"
LONG = "x" * 1100  # more than what names something may have
MUCH = "x" * 999_000  # a record takes it, but not an event that says the same
TOO_MUCH = "a command of .* bytes, at most 327680"
IN_TIME = 4102444800000  # milliseconds: the year 2100
RECORD_MAX = 1_000_000  # bytes on the wire


def uuid_in(partition: int) -> str:
    return next(one for one in (str(uuid.uuid4()) for _ in range(10000)) if partition_of(one) == partition)


def command(session: str, kind: str, event_type: str, payload: dict, aggregate: str | None = None) -> dict:
    return {
        "command_id": str(uuid.uuid4()), "command_type": event_type, "schema_version": 1,
        "aggregate_id": aggregate or session, "session_uuid": session, "user_id": 1, "correlation_id": "c", "reply_to": None,
        "issued_at": 1, "deadline": IN_TIME, "actor_kind": "user", "actor_id": None, "session_sequence": None, kind: payload,
    }  # fmt: skip


def send(session: str, **members) -> dict:
    payload = {"recipient": "6281234567890", "kind": "text", "text": "t", "contact_name": None, "not_after": None,
               "blast_id": None, "blast_index": None, "campaign_id": None}  # fmt: skip
    return command(session, "send", "SendMessage", payload | members, str(uuid.uuid4()))


def creation(**members) -> dict:
    payload = {"id": 1, "session_key": "k", "name": "n", "position": 1, "phone": None, "webhook_url": "",
               "webhook_secret_enc": None, "token_enc": b"x", "subscribe": []}  # fmt: skip
    return {"command_type": "CreateSession", "connect": None, "create": payload | members}


def renaming(name: str) -> dict:
    return {"command_type": "RenameSession", "connect": None, "rename_to": {"name": name}}


def event(topic: str, session: str, event_type: str, kind: str, payload: dict, **envelope) -> dict:
    own = {"session_key": "key", "user_id": 1}
    if topic != SESSIONS:
        own["session_uuid"] = session
    return {
        "event_id": str(uuid.uuid4()), "event_type": event_type, "schema_version": 1, "aggregate_type": topic.split(".")[1],
        "aggregate_id": session if topic == SESSIONS else str(uuid.uuid4()), "sequence": 1, "occurred_at": 1,
        "correlation_id": None, "causation_id": None, "actor_kind": "system", "actor_id": None, "position": 1, "epoch": 1,
        kind: payload, **own, **envelope,
    }  # fmt: skip


def chunk(session: str, **members) -> dict:
    person = {"phone": "6281234567890", "contact_name": None, "variables": {}, "message_template": None}
    return {"blast_id": str(uuid.uuid4()), "upload_id": "u", "session_uuid": session, "user_id": 1, "first_index": 0,
            "recipients": [person]} | members  # fmt: skip


def create(session: str, chunks: list[dict], **members) -> dict:
    """A command for a blast of the recipients in `chunks`."""
    payload = {
        "id": 1, "blast_key": "b", "session_key": "key", "campaign_id": None, "campaign_name": "c", "message_template": "t",
        "total_messages": sum(len(c["recipients"]) for c in chunks), "upload_id": "u", "chunk_count": len(chunks),
        "recipients_sha256": hashlib.sha256(b"".join(encode(RECIPIENTS, c)[5:] for c in chunks)).hexdigest(),
        "last_chunk_offset": 0, "config": "", "auto_start": False,
    }  # fmt: skip
    aggregate = chunks[0]["blast_id"] if chunks else str(uuid.uuid4())
    return command(session, "create", "CreateBlast", payload | members, aggregate)


def filled(topic: str, record: dict, *path) -> dict:
    """The record with so long a text at `path` that it is as large as one may be."""
    made = copy.deepcopy(record)
    inner = made
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = ""
    inner[path[-1]] = "x" * (RECORD_MAX - len(encode(topic, made)) - 2)  # its length takes three bytes, not one
    assert len(encode(topic, made)) == RECORD_MAX
    return made


def sample(topic: str, session: str) -> dict:
    """A record as the topic's writer might send it."""
    made = {
        SESSION_CMD: lambda: command(session, "connect", "ConnectSession", {"subscribe": [], "immediate": False}),
        MESSAGE_CMD: lambda: send(session),
        BLAST_CMD: lambda: command(session, "start", "StartBlast", {}, str(uuid.uuid4())),
        RECIPIENTS: lambda: chunk(session),
        SUBMIT: lambda: {"request_id": "r", "whatsapp_session": "s", "campaign_name": "c", "message_template": "t",
                         "recipients": [], "config": None, "auto_start": False, "campaign_id": None},
        SESSIONS: lambda: event(SESSIONS, session, "SessionRenamed", "renamed", {"name": "n"}),
        MESSAGES: lambda: event(MESSAGES, session, "MessageSent", "sent", {"wa_message_id": "w", "at": 1}, state_before="NONE",
                                blast_id=str(uuid.uuid4()), blast_index=0, campaign_id=None),
        BLASTS: lambda: event(BLASTS, session, "BlastStarted", "started", {"at": 1}, id=1, blast_key="b"),
        WEBHOOKS: lambda: event(WEBHOOKS, session, "WebhookQueued", "queued", {"event": "Message"}, source_event_id="e"),
    }  # fmt: skip
    return made[topic]()


# what cannot be read, by the words of the reason: the record's bytes out of good ones
UNREADABLE = {
    "does not begin with 0x00 and a schema id": lambda _: b"not avro at all",
    "does not begin with 0x00": lambda _: None,  # a record without a value
    "schema id 2147483647 is not known here": lambda good: b"\0\x7f\xff\xff\xff" + good[5:],
    "of wa.blast.rejections.v1-value": lambda good: encode(REJECTIONS, {"request_id": "r", "code": "c", "message": "m",
                                                                        "rejected_at": 1}),
    r": .*(ends|announces|bytes)": lambda good: good[:-3],
    "bytes too many at the end": lambda good: good + b"x",
    "record of 1030000 bytes, at most": lambda good: good + b"\0" * (1030000 - len(good)),
}  # fmt: skip

TIMES = {SESSION_CMD: "deadline", MESSAGE_CMD: "issued_at", BLAST_CMD: "deadline", SESSIONS: "occurred_at",
         MESSAGES: "occurred_at", BLASTS: "occurred_at", WEBHOOKS: "occurred_at"}  # fmt: skip
NOWHERE = "the session is not a uuid, or not of this partition"
STRANGE = "ids that are not, or not of this partition"


def senseless(topic: str, session: str) -> list[tuple[dict, dict[str, str]]]:
    """Records that can be read and mean nothing: with the reason of each service that gives them up. Others pass over."""
    elsewhere = uuid_in((partition_of(session) + 1) % 6)
    good = sample(topic, session)
    made = {
        SESSION_CMD: [
            ({"session_uuid": "nobody", "aggregate_id": "nobody"}, {"connector": "session_uuid is not a uuid"}),
            ({"session_uuid": elsewhere, "aggregate_id": elsewhere}, {"connector": "the partition is not that of session_uuid"}),
            ({"aggregate_id": elsewhere}, {"connector": "aggregate_id is not session_uuid"}),
            ({"command_id": LONG}, {"connector": "command_id is too long"}),
            ({"actor_id": MUCH}, {"connector": TOO_MUCH}),
            (creation(name=LONG), {"connector": "name is over 1024 bytes"}),
            (creation(session_key=LONG), {"connector": "session_key is over 1024 bytes"}),
            (creation(name=MUCH), {"connector": TOO_MUCH}),
            (creation(webhook_url=MUCH), {"connector": TOO_MUCH}),
            (creation(token_enc=MUCH.encode()), {"connector": TOO_MUCH}),
            (renaming(LONG), {"connector": "name is over 1024 bytes"}),
            (renaming(MUCH), {"connector": TOO_MUCH}),
        ],
        MESSAGE_CMD: [
            ({"aggregate_id": "nothing"}, {"connector": "aggregate_id is not a uuid"}),
            ({"send": good.get("send", {}) | {"blast_id": "none"}}, {"connector": "blast_id is not a uuid"}),
            ({"send": good.get("send", {}) | {"text": MUCH}}, {"connector": TOO_MUCH}),
            ({"send": good.get("send", {}) | {"text": "x" * 262145}}, {"connector": "text is over 262144 bytes"}),
            ({"send": good.get("send", {}) | {"recipient": LONG}}, {"connector": "recipient is over 1024 bytes"}),
            ({"send": good.get("send", {}) | {"campaign_id": LONG}}, {"connector": "campaign_id is over 1024 bytes"}),
            ({"send": good.get("send", {}) | {"not_after": -1}}, {"connector": "not_after is -1, no time of 1970 to 9999"}),
            ({"correlation_id": LONG}, {"connector": "correlation_id is over 1024 bytes"}),
            ({"correlation_id": MUCH}, {"connector": TOO_MUCH}),
        ],
        BLAST_CMD: [
            ({"session_uuid": "nobody"}, {"scheduler": STRANGE}),
            ({"aggregate_id": "nothing"}, {"scheduler": STRANGE}),
        ],
        RECIPIENTS: [
            ({"blast_id": "none"}, {"scheduler": STRANGE, "tracker": "blast_id is not a uuid"}),
            ({"first_index": -1}, {"scheduler": "recipients out of bounds", "tracker": "first_index is -1"}),
            ({"recipients": good.get("recipients", []) * 501}, {"scheduler": "recipients out of bounds"}),
        ],
        SESSIONS: [
            ({"position": 0}, dict.fromkeys(READERS[SESSIONS], "an event without a position")),
            ({"aggregate_id": "nobody"}, {"scheduler": STRANGE, "tracker": "aggregate_id is not a uuid", "webhooks": NOWHERE}),
            ({"sequence": 0}, {"tracker": "sequence is 0"}),
        ],
        MESSAGES: [
            ({"session_uuid": "nobody"}, {"scheduler": STRANGE, "tracker": "session_uuid is not a uuid", "webhooks": NOWHERE}),
            ({"aggregate_id": "none"}, {"tracker": "aggregate_id is not a uuid", "webhooks": "aggregate_id is not a uuid"}),
            ({"blast_id": "none"}, {"scheduler": STRANGE, "tracker": "blast_id is not a uuid"}),
        ],
        BLASTS: [({"session_uuid": "nobody"}, {"tracker": "session_uuid is not a uuid"})],
        WEBHOOKS: [({"aggregate_id": "none"}, {"tracker": "aggregate_id is not a uuid"})],
        SUBMIT: [],  # what makes no sense there is rejected: tests/e2e/submission_test.py
    }  # fmt: skip
    found = [(good | members, reasons) for members, reasons in made[topic]]
    if topic in (SESSIONS, MESSAGES, BLASTS, WEBHOOKS):  # what no column takes; others do not look at it
        columns = [one for one in ("tracker", "webhooks") if one in READERS[topic]]
        for members, words in (({"event_id": "none"}, "event_id is not a uuid"), ({"user_id": -2**63}, "user_id is -9223372036854775808"),
                               ({"occurred_at": -1}, "occurred_at is -1, no time"),
                               ({"occurred_at": -2 * 10**17}, "occurred_at is -2.*, no time")):
            found.append((good | members, dict.fromkeys(columns, words)))
    if topic in (SESSIONS, MESSAGES):  # so long that events of webhooks would be too large
        found.append((good | {"session_key": "k" * 999_000}, dict.fromkeys(
            ("tracker", "webhooks") if topic == SESSIONS else ("webhooks",), "session_key has 999000 bytes")))
    if topic in TIMES:
        found.append((good | {TIMES[topic]: 2**62}, dict.fromkeys(READERS[topic], f"{TIMES[topic]}: .* is no time")))
    return found


class BadRecords(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stack = cls.enterClassContext(Stack("bad-records", BUILD))
        cls.stack.up(settings=SETTINGS)
        cls.driver = Driver(cls.stack)
        cls.brokers = f"127.0.0.1:{cls.stack.port('kafka')}"
        cls.writer, cls.log = Writer(cls.brokers), Log(cls.brokers)
        cls.pids = {service: cls.stack.pid(f"{service}-1") for service in SERVICES}
        cls.receiver = Receiver()
        cls.addClassCleanup(cls.receiver.close)
        cls.account = cls.driver.account(webhook_url=cls.receiver.url)
        cls.receiver.secret = cls.account.webhook_secret
        uuids = cls.stack.sql("select session_uuid from connector.session")
        cls.session = uuids[0][0]
        # there the writers of events have written nothing, so that this program may
        cls.empty = (partition_of(cls.session) + 1) % 6
        cls.expected: dict[tuple, str] = {}  # by service, topic, partition, offset: the reason

    def put(self, topic: str, partition: int, value: bytes | None, reasons: dict[str, str], key: bytes = b"key") -> None:
        """Write a record, of which each service is to say the reason that is named here."""
        offset = self.log.ends()[topic, partition]
        self.writer.raw(topic, key, value, partition=partition)
        for service, words in reasons.items():
            self.expected[service, topic, partition, offset] = words

    def letters(self) -> dict[tuple, dict]:
        found = collections.defaultdict(list)
        for record in self.log.records(DEAD):
            letter = record.value
            place = (letter["service"], letter["source_topic"], letter["source_partition"], letter["source_offset"])
            found[place].append(letter)
        twice = {place: letters for place, letters in found.items() if len(letters) > 1}
        self.assertFalse(twice)
        return {place: letters[0] for place, letters in found.items()}

    def counted(self, service: str) -> int:
        url = f"http://127.0.0.1:{self.stack.port(service)}/metrics"
        with urllib.request.urlopen(url, timeout=10) as answer:
            text = answer.read().decode()
        return int(re.search(r"^kentongan_ledger_dead_letters_total (\d+)$", text, re.M)[1])

    def outbox_rows(self) -> int:
        union = " union all ".join(f"select 1 from {s}.outbox" for s in ("ingress", "connector", "scheduler", "proj", "webhooks"))
        return int(self.stack.sql(f"select count(*) from ({union}) as rows")[0][0])

    def all_read(self) -> bool:
        """Every service is at the end of everything that it reads."""
        ends = self.log.ends()
        union = " union all ".join(f"select topic, partition, next_offset from {schema}.input_offset"
                                   for schema in ("ingress", "connector", "scheduler", "proj", "webhooks"))  # fmt: skip
        return all(max(int(n), 0) == ends[topic, int(partition)] for topic, partition, n in self.stack.sql(union))

    def check(self):
        wait_until(self.all_read, 60, "everything to be read")
        wait_until(lambda: not self.outbox_rows(), 30, "the dead letters to be published")
        letters = self.letters()
        strange = {place: letters[place]["reason"] for place in letters.keys() - self.expected.keys()}
        self.assertFalse(strange)
        self.assertFalse(self.expected.keys() - letters.keys())
        for place, words in self.expected.items():
            self.assertRegex(letters[place]["reason"], words, place)
        by_service = collections.Counter(service for service, *_ in self.expected)
        for service in SERVICES:
            wait_until(lambda s=service: self.counted(s) >= by_service[s], 10, f"{by_service[service]} of {service} to be counted")
            self.assertEqual(self.counted(service), by_service[service], service)
            self.assertEqual(self.stack.pid(f"{service}-1"), self.pids[service])
            self.assertTrue(self.stack.is_running(f"{service}-1"), f"{service} ended")

    def test_1_what_cannot_be_read(self):
        """On the partition of a session that goes on working: a message, a blast and a webhook pass behind it."""
        partition = partition_of(self.session)
        for topic, readers in READERS.items():
            if not readers:
                continue
            good = encode(topic, sample(topic, self.session))
            for words, spoil in UNREADABLE.items():
                self.put(topic, partition, spoil(good), dict.fromkeys(readers, words))
            self.put(topic, partition, b"\xff", dict.fromkeys(readers, "does not begin"), key=b"\xff\xfe no text")
        self.work()
        self.check()
        letter = self.letters()["tracker", SESSIONS, partition, max(o for s, t, p, o in self.expected if t == SESSIONS)]
        self.assertEqual((letter["source_key"], letter["value"]), (b"\xff\xfe no text", b"\xff"))

    def work(self):
        """Something of everything: each topic gets records of its own writer on that partition."""
        numbers = self.driver.sandbox.make_phones(3, delay_ms=20, read_delay_ms=20, reply="text", reply_text="x")
        self.driver.api.call("PUT", f"/api/sessions/{self.account.id}/name", {"name": "Renamed"})
        self.driver.send(self.account, numbers[0], "Direct")
        blast = self.driver.blast(self.account, {number: {} for number in numbers[1:]}, "Hi", autoStart=True)
        self.driver.wait_for_blast(blast, "COMPLETED")
        self.driver.wait_for_receipts(blast, 2)
        wait_until(lambda: len(self.receiver.deliveries) >= 3, 30, "the webhooks of three answers")
        request = next(r for r in (f"good-{uuid.uuid4()}" for _ in range(1000)) if partition_of(r) == partition_of(self.session))
        record = sample(SUBMIT, self.session) | {"request_id": request, "whatsapp_session": self.account.id,
                                                 "recipients": [{"phone": numbers[0], "variables": {}}]}  # fmt: skip
        key = (self.stack.state / "secrets/api_key").read_text().strip()
        self.writer.raw(SUBMIT, request, encode(SUBMIT, record), headers=[("x-api-key", key.encode())])
        wait_until(lambda: self.stack.sql("select 1 from proj.blasts where campaign_name = 'c'"), 30, "the submitted blast")

    def test_2_what_makes_no_sense(self):
        """On a partition whose events this program alone writes, with the positions that their readers want."""
        session = uuid_in(self.empty)
        for topic, readers in READERS.items():
            position = 0
            for record, reasons in senseless(topic, session) if readers else []:
                record = copy.deepcopy(record)
                if topic in (SESSIONS, MESSAGES, BLASTS, WEBHOOKS) and record["position"]:
                    # what a reader cannot read has no position for it
                    position += not any("is no time" in words for words in reasons.values())
                    record["position"] = position or 1
                self.put(topic, self.empty, encode(topic, record), reasons)
            if topic in (SESSIONS, MESSAGES, BLASTS, WEBHOOKS):
                good = sample(topic, session) | {"position": position + 1}
                self.put(topic, self.empty, encode(topic, good), {})
                self.good_is_applied(topic, good)
        self.commands_are_answered(session)
        self.check()

    def good_is_applied(self, topic: str, good: dict):
        """The event behind the senseless ones is in each of its readers' tables."""
        copied = f"select 1 from proj.events where event_id = '{good['event_id']}'"
        wait_until(lambda: self.stack.sql(copied), 30, f"the tracker to apply {topic}")
        if topic == SESSIONS:
            seen = f"select 1 from scheduler.session where session_uuid = '{good['aggregate_id']}' and sequence = 1"
            wait_until(lambda: self.stack.sql(seen), 30, "the scheduler to apply it")

    def commands_are_answered(self, session: str):
        for topic, schema in ((SESSION_CMD, "connector"), (MESSAGE_CMD, "connector"), (BLAST_CMD, "scheduler")):
            good = sample(topic, session)
            self.put(topic, self.empty, encode(topic, good), {})
            answered = f"select 1 from {schema}.command_verdict where command_id = '{good['command_id']}'"
            wait_until(lambda sql=answered: self.stack.sql(sql), 30, f"{schema} to answer a command of {topic}")

    def test_3_what_is_as_large_as_a_record_may_be(self):
        """What the scheduler makes of it must fit into a record too."""
        made, partition = create(self.session, []), partition_of(self.session)
        for path in (
            ("correlation_id",), ("reply_to",), ("actor_kind",), ("actor_id",), ("create", "blast_key"), ("create", "session_key"),
            ("create", "campaign_id"), ("create", "campaign_name"), ("create", "message_template"), ("create", "upload_id"),
        ):  # fmt: skip
            words = re.escape(".".join(path)) + r": 999\d\d\d bytes, at most"
            self.put(BLAST_CMD, partition, encode(BLAST_CMD, filled(BLAST_CMD, made, *path)), {"scheduler": words})
        answered = "select verdict from scheduler.command_verdict where command_id = '%s'"
        self.put(BLAST_CMD, partition, encode(BLAST_CMD, filled(BLAST_CMD, made, "create", "config")), {})
        found = wait_until(lambda: self.stack.sql(answered % made["command_id"]), 30, "a create with a large config to be answered")
        self.assertEqual(json.loads(found[0][0])["code"], "INVALID_REQUEST")
        for topic, kind, name in ((SESSIONS, "renamed", "name"), (MESSAGES, "sent", "wa_message_id")):
            sql = f"select last_position + 1 from scheduler.input_offset where topic = '{topic}' and partition = {self.empty}"
            position = int((self.stack.sql(sql)[0][0]) or 1)
            event = sample(topic, uuid_in(self.empty)) | {"position": position}
            self.put(topic, self.empty, encode(topic, filled(topic, event, kind, name)), {})
        self.blast_with_a_large_recipient()
        self.check()

    def blast_with_a_large_recipient(self):
        """The one whose name is too long is left out, the other gets the message."""
        number = self.driver.sandbox.make_phones(1, delay_ms=20, read_delay_ms=20)[0]
        chunks = [filled(RECIPIENTS, chunk(self.session), "recipients", 0, "contact_name")]
        chunks.append(chunk(self.session, blast_id=chunks[0]["blast_id"], first_index=1))
        chunks[1]["recipients"][0]["phone"] = number
        partition = partition_of(self.session)
        for one in chunks:
            self.put(RECIPIENTS, partition, encode(RECIPIENTS, one), {})
        made = create(self.session, chunks, auto_start=True, last_chunk_offset=self.log.ends()[RECIPIENTS, partition] - 1,
                      config=json.dumps({"messageDelay": {"min": 0, "max": 0}, "contactDelay": {"min": 0, "max": 0}}))  # fmt: skip
        self.put(BLAST_CMD, partition, encode(BLAST_CMD, made), {})
        state = f"select status, sent_count, skipped_count from proj.blasts where uuid = '{chunks[0]['blast_id']}'"
        wait_until(lambda: self.stack.sql(state) == [["COMPLETED", "1", "1"]], 60, "the other recipient to get its message")

    @classmethod
    def tearDownClass(cls):
        assert not cls.driver.sandbox.violations(), cls.driver.sandbox.violations()
        checks.projections_equal_a_rebuild(cls.stack)


if __name__ == "__main__":
    unittest.main()
