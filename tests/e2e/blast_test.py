"""Blasts from start to end, over the public interfaces: control, CSV, counters, and what the phones read."""

import concurrent.futures
import contextlib
import http.client
import json
import pathlib
import re
import sys
import time
import unittest
import urllib.parse
import urllib.request
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
import checks  # noqa: E402
from client import ApiError  # noqa: E402
from driver import BLASTS, SETTINGS, Driver, config  # noqa: E402
from stack import TOP, Stack, wait_until  # noqa: E402

BUILD = sys.argv.pop() if len(sys.argv) > 1 else TOP / "build" / "asan"
TEMPLATE = "Hi {{name}}, your code is {{code}}"
BEHAVIOUR = {"delay_ms": 50, "read_delay_ms": 50}
DRAIN_S = 10  # DRAIN_TIMEOUT_MS, as it is by default


class Blasts(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stack = cls.enterClassContext(Stack("blasts", BUILD))
        cls.stack.up(settings=SETTINGS)
        cls.driver = Driver(cls.stack)

    def setUp(self):
        self.account = self.driver.account()

    def people(self, count: int) -> tuple[dict[str, dict], dict[str, str]]:
        """New phones with their variables, and what each must read."""
        numbers = self.driver.sandbox.make_phones(count, **BEHAVIOUR)
        people = {number: {"name": f"Name {at}", "code": f"{at:06}"} for at, number in enumerate(numbers)}
        return people, {number: f"Hi {one['name']}, your code is {one['code']}" for number, one in people.items()}

    def finish(self, blast: str, texts: dict[str, str]) -> dict:
        """Wait for the end of a blast in which nobody is left out, and check all that can be seen of it."""
        self.driver.wait_for_blast(blast, "COMPLETED")
        state = self.driver.wait_for_receipts(blast, len(texts))
        counted = [state[name] for name in ("sentCount", "failedCount", "skippedCount", "deliveredCount", "readCount")]
        self.assertEqual(counted, [len(texts), 0, 0, len(texts), len(texts)])
        checks.read_once(self.driver, self.account.phone, texts)
        checks.wait_until_quiet(self.stack)
        checks.counters_are_the_messages(self.stack, state)
        return state

    def still(self, blast: str) -> int | None:
        """How many were sent, when all that was handed over is settled and counted."""
        state = self.driver.blast_state(blast)
        uuid = checks.uuid_of(self.stack, state)
        settled = "select count(*) filter (where is_settled), count(*) from connector.message"
        rows = self.stack.sql(f"{settled} where blast_id = '{uuid}'")
        return state["sentCount"] if rows == [[str(state["sentCount"])] * 2] else None

    def wait_sent(self, blast: str, count: int) -> dict:
        return wait_until(
            lambda: (state := self.driver.blast_state(blast))["sentCount"] >= count and state,
            60,
            f"{count} messages of {blast} to be sent",
        )

    def test_a_thousand_recipients_are_paused_half_way_and_resumed(self):
        people, texts = self.people(1000)
        blast = self.driver.blast(self.account, people, TEMPLATE, 10)
        self.assertEqual(self.driver.blast_state(blast)["status"], "IDLE")
        self.assertEqual(self.driver.control(blast, "start")["status"], "RUNNING")
        self.wait_sent(blast, 500)
        self.assertEqual(self.driver.control(blast, "pause")["status"], "PAUSED")
        # what was handed over may still finish; then nothing moves while a message goes the whole way beside it
        stood = wait_until(lambda: self.still(blast), 30, "a paused blast to stand still")
        beside = self.driver.sandbox.make_phones(1)[0]
        self.driver.send(self.account, beside, "Beside the blast")
        checks.wait_until_quiet(self.stack)
        self.assertEqual(self.driver.blast_state(blast)["sentCount"], stood)
        self.assertLess(stood, 1000)
        self.assertEqual(self.driver.control(blast, "resume")["status"], "RUNNING")
        self.driver.wait_for_blast(blast, "COMPLETED")
        state = self.driver.wait_for_receipts(blast, 1000)
        self.assertEqual((state["sentCount"], state["failedCount"], state["skippedCount"]), (1000, 0, 0))
        checks.read_once(self.driver, self.account.phone, texts | {beside: "Beside the blast"})

    def test_rows_are_found_by_their_keys_however_many_there_are(self):
        people, _ = self.people(600)
        before = self.stack.rows_read()
        blast = self.driver.blast(self.account, people, TEMPLATE, autoStart=True)
        self.driver.wait_for_blast(blast, "COMPLETED")
        self.driver.wait_for_receipts(blast, len(people))
        # a message needs some 20 rows, on a busy machine 40; a statement that reads a whole table adds hundreds
        self.assertLess(self.stack.rows_read() - before, 80 * len(people))

    def commits(self) -> int:
        """Of the connector's turns: each is one wait for the disk."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.stack.port('connector')}/metrics", timeout=10) as answer:
            return int(re.search(r"^kentongan_ledger_turns_total (\d+)", answer.read().decode(), re.M)[1])

    def test_messages_share_commits_and_recipients_share_queries(self):
        people, texts = self.people(600)
        commits, asked = self.commits(), self.driver.sandbox.summary()
        blast = self.driver.blast(self.account, people, TEMPLATE, autoStart=True)
        self.finish(blast, texts)
        now = self.driver.sandbox.summary()
        # each message is told in four events (sent to WhatsApp, taken, delivered, read) after it was handed over
        self.assertLess(self.commits() - commits, len(people))
        self.assertLess(now["usyncs"] - asked["usyncs"], len(people) / 10)
        self.assertLess(now["bundles"] - asked["bundles"], len(people) / 10)
        print(f"{len(people)} messages: {self.commits() - commits} commits, {now['usyncs'] - asked['usyncs']} usync queries, "
              f"{now['bundles'] - asked['bundles']} of bundles")  # fmt: skip

    def test_a_csv_file_makes_the_same_blast(self):
        people, texts = self.people(50)
        rows = ["phone,name,code"] + [f"{number},{one['name']},{one['code']}" for number, one in people.items()]
        members = {
            "whatsappSessionId": self.account.id,
            "campaignName": "From a file",
            "messageTemplate": TEMPLATE,
            "config": json.dumps(config(0)),
            "autoStart": "true",
        }
        made = self.driver.api.call("POST", BLASTS, "\r\n".join(rows), members, {"Content-Type": "text/csv"})
        self.finish(made["data"]["session"]["sessionId"], texts)

    def ends_well(self, process) -> None:
        """After SIGTERM, within the time that draining may take."""
        began = time.monotonic()
        process.terminate()
        self.assertEqual(process.wait(60), 0)
        self.assertLess(time.monotonic() - began, DRAIN_S + 2)

    def spawned(self, instance: str):
        """In the place of the one that runs, which is started again at the end of the test."""
        self.stack.ctl("stop", instance)
        self.addCleanup(self.stack.ctl, "start", instance)
        process = self.stack.spawn(instance)
        wait_until(lambda: self.stack.ctl("check", instance, check=False).returncode == 0, 30, f"{instance} to answer")
        return process

    def test_the_scheduler_is_stopped_in_mid_blast(self):
        people, texts = self.people(300)
        scheduler = self.spawned("scheduler-1")
        blast = self.driver.blast(self.account, people, TEMPLATE, 10, autoStart=True)
        self.wait_sent(blast, 50)
        self.ends_well(scheduler)
        self.assertEqual(self.driver.blast_state(blast)["status"], "RUNNING")
        self.stack.ctl("start", "scheduler-1")
        self.finish(blast, texts)

    def upload(self, people: dict[str, dict], key: str, half_way=lambda: None):
        """Send a CSV file; half of it is there when half_way() is called, and the other half comes row by row until that
        ends. The answer's status and body; None twice when there is no answer."""
        rows = [f"{number},{one['name']},{one['code']},{'-' * 1000}\n".encode() for number, one in people.items()]
        members = {
            "whatsappSessionId": self.account.id,
            "campaignName": "From a slow client",
            "messageTemplate": TEMPLATE,
            "config": json.dumps(config(0)),
            "autoStart": "true",
        }
        headers = self.driver.api.headers | {"Content-Type": "text/csv", "Idempotency-Key": key}
        meanwhile = []

        def body(pool):
            yield b"phone,name,code,filler\n" + b"".join(rows[: len(rows) // 2])
            meanwhile.append(pool.submit(half_way))
            for row in rows[len(rows) // 2 :]:
                yield row  # a client that sends nothing for a while would be cut off
                concurrent.futures.wait(meanwhile, 0.1)

        base = self.driver.api.base
        path = f"{base.path.rstrip('/')}{BLASTS}?{urllib.parse.urlencode(members)}"
        found = None, None
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            connection = http.client.HTTPConnection(base.hostname, base.port, timeout=60)
            self.addCleanup(connection.close)
            with contextlib.suppress(OSError, http.client.HTTPException):
                connection.request("POST", path, body(pool), headers, encode_chunked=True)
                answer = connection.getresponse()
                found = answer.status, json.loads(answer.read())
        meanwhile[0].result()
        return found

    def wait_for_chunk(self, people: dict[str, dict]) -> None:
        """The scheduler has the first of them."""
        upload = f"select blast_id, upload_id from proj.blast_recipients where recipient = '{next(iter(people))}'"
        chunk = f"select 1 from scheduler.recipient_chunk where (blast_id, upload_id) in ({upload})"
        wait_until(lambda: self.stack.sql(chunk), 30, "the first chunk to be read")

    def test_the_scheduler_is_stopped_while_a_file_is_read(self):
        people, texts = self.people(900)
        scheduler, key = self.spawned("scheduler-1"), str(uuid.uuid4())

        def half_way():
            self.wait_for_chunk(people)
            self.ends_well(scheduler)

        status, answer = self.upload(people, key, half_way)
        self.assertEqual((status, answer["error"]), (504, "TIMEOUT"))
        self.stack.ctl("start", "scheduler-1")
        status, made = self.upload(people, key)
        self.assertEqual(status, 201, made)
        self.finish(made["data"]["session"]["sessionId"], texts)

    def test_ingress_is_stopped_while_a_file_is_read(self):
        """Who hears of no answer sends the file once more."""
        people, texts = self.people(900)
        ingress, key = self.spawned("ingress-1"), str(uuid.uuid4())

        def half_way():
            self.wait_for_chunk(people)
            self.ends_well(ingress)

        status, answer = self.upload(people, key, half_way)
        self.assertTrue(status is None or status >= 400, answer)
        self.stack.ctl("start", "ingress-1")
        status, made = self.upload(people, key)
        self.assertEqual(status, 201, made)
        self.finish(made["data"]["session"]["sessionId"], texts)

    def test_a_bad_row_is_named_and_skipped_only_when_asked_for(self):
        people, texts = self.people(3)
        rows = ["phone,name,code", "not a phone,X,1"] + [f"{n},{one['name']},{one['code']}" for n, one in people.items()]
        members = {
            "whatsappSessionId": self.account.id,
            "campaignName": "Bad rows",
            "messageTemplate": TEMPLATE,
            "config": json.dumps(config(0)),
            "autoStart": "true",
        }
        headers = {"Content-Type": "text/csv"}
        status, body = self.driver.api.request("POST", BLASTS, "\n".join(rows), members, headers)
        self.assertEqual((status, body["error"]), (400, "INVALID_REQUEST"))
        self.assertIn("line 2", body["message"])
        made = self.driver.api.call("POST", BLASTS, "\n".join(rows), members | {"onBadRow": "skip"}, headers)
        self.finish(made["data"]["session"]["sessionId"], texts)

    def test_a_stopped_blast_sends_no_more_and_can_be_deleted(self):
        people, texts = self.people(100)
        blast = self.driver.blast(self.account, people, TEMPLATE, 100, autoStart=True)
        self.wait_sent(blast, 5)
        self.assertEqual(self.driver.control(blast, "stop")["status"], "STOPPED")
        with self.assertRaises(ApiError) as caught:
            self.driver.control(blast, "resume")
        self.assertEqual((caught.exception.status, caught.exception.body["error"]), (409, "INVALID_STATE"))
        checks.wait_until_quiet(self.stack)
        messages = self.driver.messages(blast)
        self.assertEqual([message["messageIndex"] for message in messages], list(range(100)))
        cancelled = [message for message in messages if message["status"] == "cancelled"]
        self.assertGreater(len(cancelled), 0)
        sent = [message for message in messages if message["status"] in ("sent", "delivered", "read")]
        wait_until(lambda: len(self.driver.sandbox.received(self.account.phone)) == len(sent), 10, "the phones to agree")
        checks.read_once(self.driver, self.account.phone, {m["phone"].lstrip("+"): texts[m["phone"].lstrip("+")] for m in sent})
        self.driver.api.call("DELETE", f"{BLASTS}/{blast}")
        self.assertEqual(self.driver.api.request("GET", f"{BLASTS}/{blast}")[0], 404)

    def test_numbers_that_are_not_on_whatsapp_are_skipped(self):
        people, texts = self.people(5)
        people |= {f"62899000000{n}": {"name": "Nobody", "code": "0"} for n in range(3)}
        blast = self.driver.blast(self.account, people, TEMPLATE, autoStart=True)
        state = self.driver.wait_for_blast(blast, "COMPLETED")
        self.assertEqual((state["sentCount"], state["failedCount"] + state["skippedCount"]), (5, 3))
        checks.read_once(self.driver, self.account.phone, texts)

    def test_redis_flushed_in_mid_blast_loses_nothing(self):
        people, texts = self.people(300)
        blast = self.driver.blast(self.account, people, TEMPLATE, 10, autoStart=True)
        self.wait_sent(blast, 100)
        self.stack.redis("FLUSHALL")
        self.assertEqual(self.driver.control(blast, "pause")["status"], "PAUSED")
        self.stack.redis("FLUSHALL")
        self.driver.control(blast, "resume")
        self.finish(blast, texts)

    def test_a_blast_of_a_session_that_is_not_connected_is_refused(self):
        self.driver.api.call("POST", f"/api/sessions/{self.account.id}/disconnect")
        people, _ = self.people(1)
        blast = self.driver.blast(self.account, people, TEMPLATE)
        with self.assertRaises(ApiError) as caught:
            self.driver.control(blast, "start")
        self.assertEqual((caught.exception.status, caught.exception.body["error"]), (409, "WHATSAPP_SESSION_NOT_CONNECTED"))

    @classmethod
    def tearDownClass(cls):
        assert not cls.driver.sandbox.violations(), cls.driver.sandbox.violations()
        checks.wait_until_quiet(cls.stack)
        checks.nothing_was_given_up(cls.stack)
        checks.histories_hold(cls.stack)
        checks.projections_equal_a_rebuild(cls.stack)


if __name__ == "__main__":
    unittest.main()
