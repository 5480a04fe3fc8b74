"""What operators go by: metrics as Prometheus reads them, health, one-line JSON logs, and how services end."""

import collections
import json
import pathlib
import re
import signal
import sys
import threading
import unittest
import urllib.error
import urllib.request

from prometheus_client.parser import text_string_to_metric_families

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
import checks  # noqa: E402
from client import Receiver  # noqa: E402
from driver import SETTINGS, Driver  # noqa: E402
from stack import TOP, Stack, wait_until  # noqa: E402

BUILD = sys.argv.pop() if len(sys.argv) > 1 else TOP / "build" / "asan"
SERVICES = ("ingress", "connector", "scheduler", "tracker", "webhooks")
READ, LEFT, ANSWERS = 40, 29, 10
SENT = READ + 1

# By service and metric, of one without labels or added up over them: its kind, and what it must be when READ messages
# of a blast have been read, ANSWERS of them answered with a text that was posted, and another blast is paused after
# its first message, before LEFT others.
ALL = {
    "kentongan_ready": ("gauge", 1),
    "process_resident_memory_bytes": ("gauge", range(2**20, 2**31)),
    "kentongan_cpu_milliseconds": ("counter", range(1, 10**6)),
    "kentongan_consumer_lag": ("gauge", 0),
    "kentongan_ledger_partitions": ("gauge", range(1, 100)),
    "kentongan_ledger_outbox_rows": ("gauge", 0),
    "kentongan_ledger_waiting_ms": ("gauge", 0),
    "kentongan_ledger_dead_letters": ("counter", 0),
}
OWN = {
    "ingress": {
        "kentongan_http_answers": ("counter", range(10, 10**6)),
        "kentongan_http_request_seconds_count": ("histogram", range(10, 10**6)),
        "kentongan_command_seconds_count": ("histogram", range(5, 1000)),
        "kentongan_credentials_wrong": ("counter", 0),
    },
    "connector": {
        "kentongan_messages_accepted": ("counter", SENT),
        "kentongan_messages_written": ("counter", SENT),
        "kentongan_messages_acked": ("counter", SENT),
        "kentongan_messages_refused": ("counter", 0),
        "kentongan_messages_received": ("counter", ANSWERS),
        "kentongan_messages_queued": ("gauge", 0),
        "kentongan_messages_unacked": ("gauge", 0),
        "kentongan_sessions_held": ("gauge", 1),
        "kentongan_sessions_ready": ("gauge", 1),
        "kentongan_ack_seconds_count": ("histogram", SENT),
    },
    "scheduler": {
        "kentongan_scheduler_handed_over": ("counter", SENT),
        "kentongan_scheduler_unsettled_messages": ("gauge", 0),
        "kentongan_scheduler_recipients_left": ("gauge", LEFT),
        "kentongan_scheduler_parked_commands": ("gauge", 0),
    },
    "tracker": {
        "kentongan_projection_records": ("counter", range(SENT * 5, 10**6)),
        "kentongan_projection_refused": ("counter", 0),
        "kentongan_projection_gaps": ("counter", 0),
        "kentongan_projection_delay_seconds_count": ("histogram", range(1, 10**6)),
        "kentongan_ledger_turn_seconds_count": ("histogram", range(1, 10**6)),
    },
    "webhooks": {
        "kentongan_webhooks_attempts": ("counter", ANSWERS),
        "kentongan_webhooks_dead": ("counter", 0),
        "kentongan_webhooks_waiting": ("gauge", 0),
        "kentongan_webhooks_running": ("gauge", 0),
        "kentongan_webhooks_attempt_seconds_count": ("histogram", ANSWERS),
    },
}


class Operating(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stack = cls.enterClassContext(Stack("operating", BUILD))
        cls.stack.up(settings=SETTINGS)
        cls.driver = Driver(cls.stack)
        cls.receiver = Receiver()
        cls.addClassCleanup(cls.receiver.close)
        cls.account = cls.driver.account(webhook_url=cls.receiver.url)
        cls.receiver.secret = cls.account.webhook_secret
        reading = {"delay_ms": 50, "read_delay_ms": 50}
        numbers = cls.driver.sandbox.make_phones(ANSWERS, reply="text", reply_text="Noted", reply_delay_ms=10, **reading)
        numbers += cls.driver.sandbox.make_phones(READ - ANSWERS, **reading)
        cls.blast = cls.driver.blast(cls.account, {number: {} for number in numbers}, "Hello", autoStart=True)
        cls.driver.wait_for_receipts(cls.blast, READ)
        wait_until(lambda: len(cls.receiver.deliveries) == ANSWERS, 30, "the webhooks")
        late = cls.driver.blast(cls.account, {n: {} for n in cls.driver.sandbox.make_phones(1 + LEFT)}, "Later", 600_000)
        cls.driver.start_blast(late)
        wait_until(lambda: cls.driver.blast_state(late)["sentCount"] == 1, 30, "its first message")
        cls.driver.control(late, "pause")
        checks.wait_until_quiet(cls.stack)

    def get(self, service: str, path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.stack.port(service)}{path}", timeout=10) as answer:
            return answer.read().decode()

    def metrics(self, service: str) -> dict[str, tuple[str, float]]:
        """By name: kind, and the sum over its labels."""
        sums, kinds = collections.Counter(), {}
        for family in text_string_to_metric_families(self.get(service, "/metrics")):
            self.assertTrue(family.documentation, family.name)
            for sample in family.samples:
                name = sample.name.removesuffix("_total")
                kinds[name] = family.type
                sums[name] += sample.value
        return {name: (kind, sums[name]) for name, kind in kinds.items()}

    def wrong(self, service: str) -> dict[str, tuple]:
        """What is not as the tables above say."""
        found = self.metrics(service)
        wanted = ALL | OWN[service]
        return {name: found.get(name) for name, (kind, value) in wanted.items()
                if name not in found or found[name][0] != kind
                or found[name][1] not in (value if isinstance(value, range) else (value,))}  # fmt: skip

    def test_metrics(self):
        for service in SERVICES:
            with self.subTest(service):
                try:
                    wait_until(lambda s=service: not self.wrong(s), 10, "gauges to be set anew")
                except AssertionError:
                    self.assertEqual(self.wrong(service), {})

    def test_lag_is_told_by_topic_and_shown_by_status(self):
        for family in text_string_to_metric_families(self.get("tracker", "/metrics")):
            if family.name == "kentongan_consumer_lag":
                topics = {sample.labels["topic"] for sample in family.samples}
                self.assertTrue(all({"topic", "partition"} <= set(sample.labels) for sample in family.samples))
        self.assertIn("wa.message.events.v1", topics)
        self.assertRegex(self.stack.run("deploy/status").stdout, r"tracker +wa\.message\.events\.v1 +0\n")

    def test_health_names_what_is_away(self):
        for service in SERVICES:
            self.get(service, "/healthz")
            self.get(service, "/readyz")
        self.stack.ctl("stop", "postgres")
        self.addCleanup(self.stack.ctl, "start", "postgres")
        for service in SERVICES:
            with self.subTest(service):
                for path in ("/readyz", "/healthz"):
                    said = wait_until(lambda s=service, p=path: self.refusal(s, p), 30, f"{path} of {service} to say so")
                    self.assertRegex(said, "(?i)ledger|postgres")
        self.stack.ctl("start", "postgres")
        for service in SERVICES:
            wait_until(lambda s=service: not self.refusal(s, "/readyz"), 60, f"{service} to be ready again")
            self.get(service, "/healthz")

    def refusal(self, service: str, path: str) -> str | None:
        try:
            self.get(service, path)
        except urllib.error.HTTPError as e:
            self.assertEqual(e.code, 503)
            return e.read().decode()

    def log_lines(self, service: str) -> list[dict]:
        lines = (self.stack.state / "log" / f"{service}-1.log").read_text().splitlines()
        return [json.loads(line) for line in lines]

    def test_logs_are_lines_of_json_and_follow_a_command(self):
        for service in SERVICES:
            lines = self.log_lines(service)
            self.assertTrue(all({"time", "level", "service", "message"} <= set(line) for line in lines), service)
            self.assertEqual({line["service"] for line in lines}, {service})
        session = self.driver.create_session(name="Followed")
        request = [line for line in self.log_lines("ingress") if line.get("topic") == "wa.session.cmd.v1"][-1]
        decided = [line for line in self.log_lines("connector") if line.get("command_id") == request["command_id"]]
        self.assertEqual([(line["kind"], line["verdict"], line["session"]) for line in decided],
                         [("CreateSession", "OK", request["aggregate"])])  # fmt: skip
        told = [e for e in checks.log_of(self.stack).events("wa.session.events.v1") if e.value["aggregate_id"] == request["aggregate"]]
        self.assertEqual({e.value["correlation_id"] for e in told}, {decided[0]["correlation_id"]})
        self.assertEqual(self.driver.session(session["id"])["name"], "Followed")

    def lag(self) -> int:
        return self.metrics("tracker").get("kentongan_consumer_lag", ("", 0))[1]

    def test_of_lag_there_is_as_much_as_there_is(self):
        """Behind test_metrics by its name, which counts messages."""
        number, = self.driver.sandbox.make_phones(1)
        sending = threading.Thread(target=self.driver.send, args=(self.account, number, "Late"))  # waits for the tracker
        told = re.compile(r"tracker +wa\.message\.events\.v1 +[1-9]\d*\n")
        with self.stack.locked("proj.message_states"):
            sending.start()
            wait_until(lambda: self.lag() > 0, 30, "the tracker to be behind")
            wait_until(lambda: told.search(self.stack.run("deploy/status", check=False).stdout), 30, "the status to say so")
        sending.join()
        checks.wait_until_quiet(self.stack)
        wait_until(lambda: self.lag() == 0, 30, "the tracker to be there again")

    def test_the_end(self):
        """Last by its name, as it stops everything: each ends with 0 after SIGTERM, with nothing left to do."""
        for service in (*SERVICES, "sandbox"):
            instance = f"{service}-1"
            with self.subTest(service):
                self.stack.ctl("stop", instance)
                process = self.stack.spawn(instance)
                wait_until(lambda i=instance: self.stack.ctl("check", i, check=False).returncode == 0, 60, f"{instance} to be ready")
                process.send_signal(signal.SIGTERM)
                self.assertEqual(process.wait(40), 0)
                last = (self.stack.state / "log" / f"{instance}.log").read_text().splitlines()[-1]
                self.assertTrue(re.search(r'"level":"info"', last), last)


if __name__ == "__main__":
    unittest.main()
