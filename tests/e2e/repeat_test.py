"""Ingress ends at a named point under a request, and the client says it again with the same Idempotency-Key: what was
asked for is there once, and the answer is the first one, however often it is asked for."""

import http.client
import pathlib
import sys
import unittest
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
import checks  # noqa: E402
from client import Api, Receiver  # noqa: E402
from driver import BLASTS, SETTINGS, Driver, config  # noqa: E402
from stack import TOP, Stack, wait_until  # noqa: E402

BUILD = sys.argv.pop() if len(sys.argv) > 1 else TOP / "build" / "asan"
CRASHED = 137
KEEP_SECONDS = 15  # of recipients that no create names
RESERVE, COMMAND, ANSWER = ([f"{when}.{what}" for when in ("before", "after")] for what in ("reserve", "command", "answer"))
CSV_ROWS = 1203  # three chunks
# a session that a blast names before it is there lies in the partition where it will be
LATER = f"later-{uuid.uuid4().hex[:8]}"


class Repeats(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stack = cls.enterClassContext(Stack("repeats", BUILD))
        cls.stack.up(settings=SETTINGS | {"KAFKA_SESSION_TIMEOUT_MS": "6000", "BLAST_UPLOAD_KEEP_S": str(KEEP_SECONDS)})
        cls.driver = Driver(cls.stack)
        cls.api = cls.driver.api
        cls.receiver = Receiver()
        cls.addClassCleanup(cls.receiver.close)
        cls.account = cls.driver.account()
        cls.process = None

    @classmethod
    def tearDownClass(cls):
        checks.wait_until_quiet(cls.stack)
        checks.nothing_was_given_up(cls.stack)
        cls.stack.ctl("stop", "ingress-1")  # a child of ours, if it is one
        if cls.process:
            cls.process.wait(20)
        super().tearDownClass()

    def start(self, **env: str):
        """Ingress anew: with a point to end at, or without."""
        self.stack.ctl("kill", "ingress-1", check=False)
        if self.process:
            self.process.wait(20)
        type(self).process = self.stack.spawn("ingress-1", **env)
        wait_until(self.is_serving, 30, "ingress to listen")

    def is_serving(self) -> bool:
        assert self.process.poll() is None, f"ingress ended with {self.process.returncode}"
        probe = Api(self.api.base.geturl(), 5)
        try:
            probe.request("GET", "/healthz")
        except OSError:
            return False
        finally:
            probe.close()
        return True

    def try_once(self, method: str, path: str, key: str, **request):
        """The answer; None when there was none."""
        headers = {"Idempotency-Key": key, **request.pop("headers", {})}
        try:
            return self.api.call(method, path, headers=headers, **request)
        except (OSError, http.client.HTTPException):
            return None
        finally:
            self.api.close()

    def crash(self, point: str, method: str, path: str, key: str, **request):
        """What the client hears while ingress ends at `point`."""
        self.start(KENTONGAN_CRASH_AT=f"ingress.{point}")
        heard = self.try_once(method, path, key, **request)
        self.assertEqual(self.process.wait(30), CRASHED)
        if not point.startswith("after.answer"):
            self.assertIsNone(heard)
        self.start()
        return heard

    def repeat(self, point: str, method: str, path: str, **request):
        """The one answer that a client gets who goes on asking."""
        key = str(uuid.uuid4())
        heard = self.crash(point, method, path, key, **dict(request))
        request["headers"] = {"Idempotency-Key": key} | request.get("headers", {})
        answers = [self.driver.patiently(self.api.call, method, path, **request) for _ in range(2)]
        self.assertEqual(answers[0], answers[1])
        if heard is not None:
            self.assertEqual(answers[0], heard)
        return answers[0]

    # ---- what is asked for

    def test_a_session_is_made_once(self):
        for point in RESERVE + COMMAND + ANSWER:
            with self.subTest(point=point):
                name = f"Session {point}"
                body = {"name": name, "webhook_url": self.receiver.url}
                made = self.repeat(point, "POST", "/api/sessions", body=body)
                listed = [session for session in self.driver.get("/api/sessions") if session["name"] == name]
                self.assertEqual([session["id"] for session in listed], [made["id"]])
                self.assertTrue(made["webhook_secret"].startswith("whsec_"))
        positions = [session["position"] for session in self.driver.get("/api/sessions")]
        self.assertEqual(positions, sorted(set(positions)))

    def blast(self, name: str, session: str, count: int = 3) -> dict:
        people = [{"phone": f"62812{n:08d}", "variables": {"n": n}} for n in range(count)]
        return {"whatsappSessionId": session, "campaignName": name, "messageTemplate": "Hi {{n}}", "messageList": people,
                "config": config(0)}  # fmt: skip

    def check_blast(self, made: dict, count: int):
        """It is the only one of its name, and has its recipients once."""
        name = made["campaignName"]
        listed = [blast for blast in self.driver.get(BLASTS, {"limit": 1000})["data"]["sessions"] if blast["campaignName"] == name]
        self.assertEqual([blast["sessionId"] for blast in listed], [made["sessionId"]])
        self.assertEqual(listed[0]["totalMessages"], count)
        messages = self.driver.messages(made["sessionId"])
        self.assertEqual([message["phone"] for message in messages], [f"+62812{n:08d}" for n in range(count)])
        self.assertEqual([message["messageIndex"] for message in messages], list(range(count)))

    def test_a_blast_is_made_once(self):
        for n, point in enumerate(("before.chunk", "after.chunk", "after.reserve", *COMMAND, "before.answer")):
            with self.subTest(point=point):
                body = self.blast(f"Blast {point}", (self.account.id, LATER)[n % 2])
                made = self.repeat(point, "POST", BLASTS, body=body)["data"]["session"]
                self.check_blast(made, 3)
        self.no_orphans_are_left()

    def test_a_blast_from_a_file_is_made_once(self):
        rows = "".join(f"62812{n:08d},{n}\n" for n in range(CSV_ROWS))
        for point in ("before.chunk@2", "after.chunk@3"):
            with self.subTest(point=point):
                query = {"whatsappSessionId": LATER, "campaignName": f"File {point}", "messageTemplate": "Hi {{n}}"}
                answer = self.repeat(point, "POST", BLASTS, body=f"phone,n\n{rows}", query=query, headers={"Content-Type": "text/csv"})
                self.assertEqual(answer["data"]["import"], {"accepted": CSV_ROWS, "skipped": 0, "errors": []})
                self.check_blast(answer["data"]["session"], CSV_ROWS)
        self.no_orphans_are_left()

    def test_recipients_that_no_create_names_are_dropped(self):
        name, key = f"Orphan {uuid.uuid4()}", str(uuid.uuid4())
        body = self.blast(name, LATER)
        self.crash("before.command", "POST", BLASTS, key, body=body)
        self.no_orphans_are_left()
        self.assertEqual([blast for blast in self.driver.get(BLASTS)["data"]["sessions"] if blast["campaignName"] == name], [])
        made = self.driver.patiently(self.api.call, "POST", BLASTS, body, headers={"Idempotency-Key": key})
        self.check_blast(made["data"]["session"], 3)  # who comes late brings them again

    def no_orphans_are_left(self):
        orphans = """SELECT count(*) FROM scheduler.recipient_chunk c LEFT JOIN scheduler.blast b USING (blast_id)
                     WHERE b.upload_id IS DISTINCT FROM c.upload_id"""
        wait_until(lambda: self.stack.sql(orphans) == [["0"]], KEEP_SECONDS + 60, "the sweep of recipients", every=0.5)

    def test_a_message_is_sent_once(self):
        (number,) = self.driver.sandbox.make_phones(1, delay_ms=10)
        points = [*COMMAND, "before.answer"]
        for point in points:
            with self.subTest(point=point):
                body = {"recipient": number, "message": f"Message {point}"}
                answer = self.repeat(point, "POST", f"/api/sessions/{self.account.id}/send", body=body)
                self.assertRegex(answer["message_id"], "^3EB0[0-9A-F]{18}$")
                wait_until(lambda: self.received(body["message"]), 30, "the message at the phone")
        checks.wait_until_quiet(self.stack)
        for point in points:
            self.assertEqual([entry["decrypted"] for entry in self.received(f"Message {point}")], [1])
        self.assertEqual(self.driver.sandbox.violations(), [])

    def received(self, text: str) -> list[dict]:
        return [entry for entry in self.driver.sandbox.received(self.account.phone) if entry["text"] == text]

    def test_control_of_a_blast_happens_once(self):
        """Without a key: a repeat finds what the first did."""
        for point in COMMAND:
            with self.subTest(point=point):
                body = self.blast(f"Control {point}", self.account.id) | {"config": config(60_000)}
                made = self.driver.patiently(self.api.call, "POST", BLASTS, body)["data"]["session"]["sessionId"]
                self.start(KENTONGAN_CRASH_AT=f"ingress.{point}")
                self.assertIsNone(self.try_once("POST", f"{BLASTS}/{made}/start", "start"))
                self.assertEqual(self.process.wait(30), CRASHED)
                self.start()
                self.driver.start_blast(made)
                events = self.stack.sql(f"SELECT event_type FROM proj.events WHERE event_type = 'BlastStarted'"
                                        f" AND aggregate_id = (SELECT uuid FROM proj.blasts WHERE blast_key = '{made}')")  # fmt: skip
                self.assertEqual(events, [["BlastStarted"]])
                self.driver.control(made, "stop")


if __name__ == "__main__":
    unittest.main()
