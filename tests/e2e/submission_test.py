"""Blasts from Kafka: what an outside producer puts on wa.blast.submit.v1, and what becomes of it."""

import hashlib
import pathlib
import sys
import unittest
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
import checks  # noqa: E402
from driver import BLASTS, SETTINGS, Driver  # noqa: E402
from log import Log  # noqa: E402
from log_writer import Writer, encode, partition_of  # noqa: E402
from stack import TOP, Stack, wait_until  # noqa: E402

BUILD = sys.argv.pop() if len(sys.argv) > 1 else TOP / "build" / "asan"
SUBMIT, REJECTIONS, DEAD = "wa.blast.submit.v1", "wa.blast.rejections.v1", "wa.dlq.v1"
RECIPIENTS, EVENTS = "wa.blast.recipients.v1", "wa.blast.events.v1"
AT_ONCE = {
    "message_delay": {"min": 0, "max": 0},
    "contact_delay": {"min": 0, "max": 0},
    "business_hours": {"enabled": False},
}


class Submissions(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stack = cls.enterClassContext(Stack("submissions", BUILD))
        cls.stack.up(settings=SETTINGS | {"LOG_LEVEL": "debug"})  # where most would leak
        cls.driver = Driver(cls.stack)
        cls.key = (cls.stack.state / "secrets/api_key").read_text().strip()
        brokers = f"127.0.0.1:{cls.stack.port('kafka')}"
        cls.writer, cls.log = Writer(brokers), Log(brokers)
        cls.account = cls.driver.account()

    def submit(self, request: str, numbers: list[str], key: str | None = None, **members) -> bytes:
        record = {
            "request_id": request,
            "whatsapp_session": self.account.id,
            "campaign_name": f"Campaign {request}",
            "message_template": "Halo {{name}}",
            "recipients": [{"phone": number, "variables": {"name": f"N{n}"}} for n, number in enumerate(numbers)],
            "config": AT_ONCE,
            "auto_start": False,
            **members,
        }
        value = encode(SUBMIT, record)
        self.put(request, value, self.key if key is None else key)
        return value

    def put(self, request: str, value: bytes, key: str):
        self.writer.raw(SUBMIT, request, value, headers=[("x-api-key", key.encode())] if key else None)

    def blasts(self, request: str) -> list[dict]:
        listed = self.driver.get(BLASTS, {"limit": 100})["data"]["sessions"]
        return [blast for blast in listed if blast["campaignName"] == f"Campaign {request}"]

    def one_blast(self, request: str) -> dict:
        found = wait_until(lambda: self.blasts(request), 30, f"the blast of {request}")
        self.assertEqual(len(found), 1)
        return found[0]

    def rejections(self, request: str) -> list:
        return [r for r in self.log.records(REJECTIONS) if r.value["request_id"] == request]

    def rejection(self, request: str, count: int = 1) -> dict:
        found = wait_until(lambda: len(got := self.rejections(request)) >= count and got, 30, f"{count} rejections")
        self.assertEqual({(r.key, r.partition) for r in found}, {(request, partition_of(request))})
        return found[-1].value

    def settled(self, request: str):
        """Everything submitted before is decided when one more is, in the same partition."""
        place = partition_of(request)
        last = next(name for name in (f"last-{uuid.uuid4()}" for _ in range(1000)) if partition_of(name) == place)
        self.submit(last, [], key="nobody's")
        self.rejection(last)

    def test_a_hundred_recipients_get_their_message_once(self):
        request = f"hundred-{uuid.uuid4()}"
        numbers = self.driver.sandbox.make_phones(100, delay_ms=20, read_delay_ms=20)
        value = self.submit(request, numbers, auto_start=True)
        blast = self.one_blast(request)["sessionId"]
        self.put(request, value, self.key)  # a producer that heard of no acknowledgement
        state = self.driver.wait_for_blast(blast, "COMPLETED")
        self.assertEqual((state["totalMessages"], state["sentCount"], state["failedCount"]), (100, 100, 0))
        checks.read_once(self.driver, self.account.phone, {number: f"Halo N{n}" for n, number in enumerate(numbers)})
        self.settled(request)
        self.assertEqual(len(self.blasts(request)), 1)
        self.assertEqual(self.rejections(request), [])

    def test_nobody_unknown_makes_a_blast(self):
        for key in ("", "not a key of anybody"):
            request = f"stranger-{uuid.uuid4()}"
            self.submit(request, ["6281234567890"], key=key)
            self.assertEqual(self.rejection(request)["code"], "UNAUTHORIZED")
            self.assertEqual(self.blasts(request), [])

    def test_what_cannot_be_is_rejected_with_the_reason(self):
        for members, code, words in (
            ({"recipients": [{"phone": "6281234567890", "variables": {}}, {"phone": "x", "variables": {}}]},
             "INVALID_REQUEST", "recipients[1]"),
            ({"recipients": [{"phone": "120363302171476233@g.us", "variables": {}}]},
             "INVALID_REQUEST", "recipients[0]: phone is a group"),
            # the reason quotes the name, as much as fits of it
            ({"recipients": [{"phone": "6281234567890", "variables": {"\u540d" * 40: "x"}}]},
             "INVALID_REQUEST", "is no name of a variable"),
            ({"recipients": []}, "INVALID_REQUEST", "recipients"),
            ({"message_template": ""}, "INVALID_REQUEST", ""),
        ):  # fmt: skip
            request = f"wrong-{uuid.uuid4()}"
            self.submit(request, ["6281234567890"], **members)
            rejection = self.rejection(request)
            self.assertEqual(rejection["code"], code, rejection)
            self.assertIn(words, rejection["message"])
            self.assertEqual(self.blasts(request), [])

    def test_the_session_may_come_later(self):
        request = f"later-{uuid.uuid4()}"
        self.submit(request, ["6281234567890"], whatsapp_session=f"later-{request[-12:]}")
        blast = self.one_blast(request)
        self.assertEqual((blast["status"], blast["whatsappAccount"]["status"]), ("IDLE", "unknown"))

    def test_the_first_verdict_on_a_request_stays(self):
        request = f"first-{uuid.uuid4()}"
        self.submit(request, [])
        first = self.rejection(request)
        self.submit(request, ["6281234567890"])  # mended, but under the same id
        again = self.rejection(request, 2)
        self.assertEqual((again["code"], again["message"]), (first["code"], first["message"]))
        self.assertEqual(self.blasts(request), [])

    def letter(self, request: str) -> dict:
        """The one dead letter of a record that was put under this key."""
        found = wait_until(
            lambda: [r.value for r in self.log.records(DEAD) if r.value["source_key"] == request.encode()], 60, f"{request} to die"
        )
        self.assertEqual(len(found), 1)
        self.assertEqual((found[0]["service"], found[0]["source_topic"]), ("ingress", SUBMIT))
        return found[0]

    def test_what_is_no_submission_becomes_a_dead_letter(self):
        good = encode(SUBMIT, {"request_id": "r", "whatsapp_session": "s", "campaign_name": "c", "message_template": "t",
                               "recipients": [], "auto_start": False})  # fmt: skip
        for words, value in {
            "does not begin with 0x00 and a schema id": b"not avro at all",
            "announces more bytes than are left|ends": good[:-3],
            "1 bytes too many at the end": good + b"x",
            "of wa.blast.rejections.v1": encode(REJECTIONS, {"request_id": "r", "code": "c", "message": "m", "rejected_at": 1}),
            "schema id 2147483647 is not known here": b"\0\x7f\xff\xff\xff" + good[5:],
        }.items():
            with self.subTest(words):
                request = f"dead-{uuid.uuid4()}"
                self.put(request, value, self.key)
                letter = self.letter(request)
                self.assertRegex(letter["reason"], words)
                self.assertEqual(letter["value"], value)

    def test_what_is_too_large_is_refused_by_its_limit(self):
        """Well-formed, and more than one record may hold: in bytes, and in recipients."""
        request = f"large-{uuid.uuid4()}"
        value = self.submit(request, ["6281234567890"] * 20, message_template="x" * 1_010_000)
        letter = self.letter(request)
        self.assertIn(f"record of {len(value)} bytes, at most 1000000 (value cut, it had {len(value)} bytes)", letter["reason"])
        self.assertEqual(letter["value"], value[: len(letter["value"])])
        self.assertGreater(len(letter["value"]), 900_000)
        request = f"many-{uuid.uuid4()}"
        self.submit(request, [], recipients=[{"phone": "1", "variables": {}}] * 100_001)
        self.assertIn("recipients: 100001 items make more than the 50000 of a record", self.letter(request)["reason"])
        self.assertEqual(self.blasts(request), [])

    def test_as_many_recipients_as_a_record_may_hold(self):
        request = f"full-{uuid.uuid4()}"
        self.submit(request, [], recipients=[{"phone": f"628{n:09}", "variables": {}} for n in range(50_000)])
        self.assertEqual(self.one_blast(request)["totalMessages"], 50_000)

    def test_no_key_leaks_wherever_its_owner_put_it(self):
        """A key stands in a header; here also in the record's key and in what cannot be read, and one is nobody's."""
        strange = f"nobody-{uuid.uuid4().hex}"
        spoilt = self.key.encode() + b" is no Avro; x-api-key: " + self.key.encode()
        name = f"leak-{uuid.uuid4()}"
        headers = [("x-api-key", self.key.encode()), ("Authorization", b"Bearer " + self.key.encode())]
        self.writer.raw(SUBMIT, f"{name}-{self.key}", spoilt, headers=headers, partition=partition_of(name))
        letter = self.letter(f"{name}-{'*' * len(self.key)}")
        self.assertEqual(letter["value"], spoilt.replace(self.key.encode(), b"*" * len(self.key)))
        for key, members in ((strange, {}), (self.key, {"recipients": []}), (self.key, {"message_template": ""})):
            request = f"leak-{uuid.uuid4()}"
            self.submit(request, ["6281234567890"], key=key, **members)
            self.rejection(request)
        self.settled(name)
        for secret in (self.key.encode(), strange.encode()):
            for topic in {name for name, _ in self.log.ends()} - {SUBMIT}:
                kept = [(r.key() or b"") + (r.value() or b"") + repr(r.headers()).encode() for r in self.log.raw(topic)]
                self.assertFalse([record for record in kept if secret in record], topic)
            for file in (self.stack.state / "log").rglob("*"):
                self.assertFalse(file.is_file() and secret in file.read_bytes(), file)
            dump = self.stack.dump()
            self.assertNotIn(secret, dump)
        self.assertIn(request.encode(), dump)  # so that the search is known to find what is there

    def test_each_is_decided_once_though_ingress_ends_under_it(self):
        """At each point on the way of a submission, until it is accepted, or refused."""
        for point, is_good in (
            ("before.commit", True),  # nothing is known of it
            ("after.commit", True),  # taken, and not decided
            ("after.promise", True),
            ("after.chunk", True),
            ("before.command", True),
            ("after.command", True),
            ("before.commit@2", True),  # the verdict
            ("after.commit@2", False),
            ("before.publish", False),  # the rejection
            ("after.publish", False),
        ):
            with self.subTest(point=point, is_good=is_good):
                request = f"{point.replace('@', '-')}-{uuid.uuid4()}"
                self.stack.ctl("kill", "ingress-1")
                victim = self.stack.spawn("ingress-1", KENTONGAN_CRASH_AT=f"ingress.{point}")
                value = self.submit(request, ["6281234567890"] * 3 if is_good else [])
                self.assertEqual(victim.wait(60), 137)
                self.stack.ctl("start", "ingress-1")
                if is_good:
                    self.assertEqual(self.one_blast(request)["totalMessages"], 3)
                else:
                    self.assertEqual(self.rejection(request)["code"], "INVALID_REQUEST")
                self.settled(request)
                self.assertEqual(len(self.blasts(request)), int(is_good))
                # the relay may write one twice, but then it is the same
                self.assertEqual(len({str(r.value) for r in self.rejections(request)}), int(not is_good))
                self.put(request, value, self.key)  # and the first verdict stays
                self.settled(request)
                self.assertEqual(len(self.blasts(request)), int(is_good))

    def made(self, request: str) -> list[dict]:
        """What the log says of blasts of that request, also of those that can be found no more."""
        name = f"Campaign {request}"
        return [e.value for e in self.log.records(EVENTS) if e.kind == "created" and e.body["campaign_name"] == name]

    def decided(self, request: str) -> str:
        """The code of its verdict, once there is one; "" for none."""
        sql = f"select coalesce(code, '') from ingress.submission_verdict where request_id = '{request}' and is_done"
        return wait_until(lambda: self.stack.sql(sql), 60, f"a verdict on {request}")[0][0]

    def test_what_was_promised_is_not_rejected(self):
        """Ingress ends in the midst of a submission, and when it is back what it needed to begin is gone."""
        for point, gone in (
            ("after.promise", "update ingress.api_keys set revoked_at = now() where sha256 = '{key}'"),
            ("after.command", "update ingress.api_keys set revoked_at = now() where sha256 = '{key}'"),
            ("after.promise", "update proj.sessions set deleted_at = now() where uuid = '{session}'"),
            ("after.command", "update proj.sessions set deleted_at = now() where uuid = '{session}'"),
            ("after.command", "update proj.blasts set deleted_at = now() where uuid = '{blast}'"),
            # the scheduler remembers its verdict for a day, and nothing is known here
            ("after.command", "delete from scheduler.command_verdict; delete from proj.events where aggregate_id = '{blast}'; "
                              "delete from proj.blasts where uuid = '{blast}'"),
        ):  # fmt: skip
            with self.subTest(point=point, gone=gone):
                request, key = f"promised-{uuid.uuid4()}", f"key-{uuid.uuid4()}"
                sha256 = hashlib.sha256(key.encode()).hexdigest()
                self.stack.sql(
                    "insert into ingress.api_keys (user_id, name, prefix, sha256) "
                    f"select id, 'test', 'key', '{sha256}' from ingress.users order by id limit 1"
                )
                made = self.driver.create_session()["id"]
                session = self.stack.sql(f"select uuid from proj.sessions where session_key = '{made}'")[0][0]
                self.stack.ctl("kill", "ingress-1")
                victim = self.stack.spawn("ingress-1", KENTONGAN_CRASH_AT=f"ingress.{point}")
                self.submit(request, ["6281234567890"] * 3, key=key, whatsapp_session=session)
                self.assertEqual(victim.wait(60), 137)
                blast = None
                if point == "after.command":
                    blast = wait_until(lambda r=request: self.made(r), 30, "the blast to be made")[0]["aggregate_id"]
                    checks.wait_until_quiet(self.stack)
                self.stack.sql(gone.format(key=sha256, session=session, blast=blast))
                self.stack.redis("FLUSHALL")  # a key is known there for a minute
                self.stack.ctl("start", "ingress-1")
                self.assertEqual(self.decided(request), "")
                self.settled(request)
                self.assertEqual((len(self.made(request)), self.rejections(request)), (1, []))

    def test_a_key_that_was_revoked_begins_nothing(self):
        request, key = f"revoked-{uuid.uuid4()}", f"key-{uuid.uuid4()}"
        self.stack.sql(
            "insert into ingress.api_keys (user_id, name, prefix, sha256, revoked_at) select id, 'test', 'key', "
            f"'{hashlib.sha256(key.encode()).hexdigest()}', now() from ingress.users order by id limit 1"
        )
        self.submit(request, ["6281234567890"], key=key)
        self.assertEqual(self.rejection(request)["code"], "UNAUTHORIZED")
        self.submit(request, ["6281234567890"])  # nothing is kept of that, so that the request stays its owner's
        self.one_blast(request)

    def tries(self, request: str) -> int:
        """How often it could not be decided yet."""
        log = (self.stack.state / "log/ingress-1.log").read_text()
        return sum("submission waits" in line and request in line for line in log.splitlines())

    def chunks(self, request: str) -> list[tuple[str, int]]:
        """What the log has of the recipients that bear the name of the request."""
        found = [r.value for r in self.log.records(RECIPIENTS)]
        return [(c["upload_id"], c["first_index"]) for c in found if c["recipients"][0]["contact_name"] == request]

    def test_one_that_waits_writes_its_recipients_once(self):
        """The scheduler is away for some tries; a new process may write them once more, and they are the same."""
        request = f"waits-{uuid.uuid4()}"
        people = [{"phone": f"628{n:09}", "contact_name": request, "variables": {}} for n in range(1200)]  # three chunks
        self.stack.ctl("stop", "scheduler-1")
        self.addCleanup(self.stack.ctl, "start", "scheduler-1")
        self.stack.ctl("restart", "--env", "COMMAND_TIMEOUT_MS=500", "ingress-1")
        self.submit(request, [], recipients=people)
        wait_until(lambda: self.tries(request) >= 3, 60, "three tries")
        chunks = self.chunks(request)
        self.assertEqual([first for _, first in chunks], [0, 500, 1000])
        self.stack.ctl("restart", "ingress-1")
        before = self.tries(request)
        wait_until(lambda: self.tries(request) > before + 1, 60, "two tries of another process")
        self.stack.ctl("start", "scheduler-1")
        self.assertEqual(self.one_blast(request)["totalMessages"], 1200)
        self.assertEqual(self.chunks(request), chunks * 2)

    def test_more_recipients_than_the_scheduler_takes_are_rejected(self):
        self.stack.ctl("restart", "--env", "BLAST_RECIPIENTS_MAX=2", "scheduler-1")
        self.addCleanup(self.stack.ctl, "restart", "scheduler-1")
        request = f"over-{uuid.uuid4()}"
        self.submit(request, ["6281234567890"] * 3)
        rejection = self.rejection(request)
        self.assertEqual(rejection["code"], "INVALID_REQUEST")
        self.assertIn("at most 2 recipients (BLAST_RECIPIENTS_MAX", rejection["message"])

    def test_each_makes_one_blast_though_ingress_is_killed(self):
        requests = [f"killed-{n}-{uuid.uuid4()}" for n in range(12)]
        for n, request in enumerate(requests):
            self.submit(request, ["6281234567890"] * 3)
            if n in (3, 7):
                self.stack.ctl("kill", "ingress-1")
                self.stack.ctl("start", "ingress-1")
        for request in requests:
            self.assertEqual(self.one_blast(request)["totalMessages"], 3)
        for request in requests:
            self.settled(request)
            self.assertEqual(len(self.blasts(request)), 1)
            self.assertEqual(self.rejections(request), [])


if __name__ == "__main__":
    unittest.main()
