"""A session from log-in to texts in both directions, over the public interfaces."""

import json
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
import checks  # noqa: E402
from client import Api, ApiError, Receiver  # noqa: E402
from driver import SETTINGS, Driver  # noqa: E402
from stack import TOP, Stack, wait_until  # noqa: E402

BUILD = sys.argv.pop() if len(sys.argv) > 1 else TOP / "build" / "asan"


class Sessions(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stack = cls.enterClassContext(Stack("sessions", BUILD))
        cls.stack.up(settings=SETTINGS | {"LOG_LEVEL": "debug"})
        cls.driver = Driver(cls.stack)
        cls.receivers = []

    def test_a_wrong_password_and_a_missing_token_are_refused(self):
        stranger = Api(self.driver.where["ingress"])
        with self.assertRaises(ApiError) as caught:
            stranger.login("admin", "wrong")
        self.assertEqual(caught.exception.status, 401)
        status, body = stranger.request("GET", "/api/sessions")
        self.assertEqual((status, body["error"]), (401, "Unauthorized"))

    def test_a_session_is_created_and_listed(self):
        made = self.driver.create_session(name="Sales", webhook_url="http://127.0.0.1:9/hook")
        self.assertEqual((made["name"], made["connected"], made["logged_in"]), ("Sales", False, False))
        listed = {session["id"]: session for session in self.driver.get("/api/sessions")}
        self.assertEqual(listed[made["id"]]["webhook_url"], "http://127.0.0.1:9/hook")
        self.assertEqual(self.driver.session(made["id"]), listed[made["id"]])

    def test_one_command_can_be_followed_through_every_log(self):
        made = self.driver.create_session(name="Followed", webhook_url="http://127.0.0.1:9/hook")
        uuid = self.stack.sql(f"select uuid from proj.sessions where session_key = '{made['id']}'")[0][0]
        asked = [
            line for line in self.log("ingress-1") if line["message"] == "command" and line["aggregate"] == uuid
        ]
        self.assertEqual([line["outcome"] for line in asked], ["ok"])
        command = asked[0]["command_id"]
        decided = [line for line in self.log("connector-1") if line.get("command_id") == command]
        self.assertIn(("command decided", "OK"), [(line["message"], line.get("verdict")) for line in decided])
        for service in ("connector", "tracker", "scheduler", "webhooks"):
            wait_until(
                lambda name=f"{service}-1": [line for line in self.log(name) if line.get("correlation_id") == command],
                30,
                f"command {command} in the log of {service}",
            )

    def log(self, instance: str) -> list[dict]:
        lines = (self.stack.state / "log" / f"{instance}.log").read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]

    def test_two_sessions_of_one_key_are_refused(self):
        self.driver.create_session(id="only-once")
        status, body = self.driver.api.request("POST", "/api/sessions", {"id": "only-once"})
        self.assertEqual((status, body["error"]), (409, "Conflict"))

    def test_a_deleted_session_is_gone(self):
        made = self.driver.create_session()
        self.driver.api.call("DELETE", f"/api/sessions/{made['id']}")
        status, _ = self.driver.api.request("GET", f"/api/sessions/{made['id']}")
        self.assertEqual(status, 404)
        self.assertNotIn(made["id"], [session["id"] for session in self.driver.get("/api/sessions")])

    def test_a_phone_scans_the_code_and_the_session_is_connected(self):
        made = self.driver.create_session(name="Paired")
        phone = self.driver.connect(made["id"])
        session = self.driver.session(made["id"])
        self.assertEqual((session["phone"], session["connected"], session["logged_in"]), (phone, True, True))
        self.assertTrue(session["actual_phone"].startswith(phone))

    def test_a_late_websocket_hears_success_at_once(self):
        account = self.driver.account()
        websocket = self.driver.api.open_websocket(account.id)
        self.addCleanup(websocket.close)
        frame = websocket.receive_json()
        self.assertEqual((frame["type"], frame["data"]["phone"]), ("success", account.phone))

    def test_disconnected_sessions_connect_again_without_a_code(self):
        account = self.driver.account()
        self.driver.api.call("POST", f"/api/sessions/{account.id}/disconnect")
        session = self.driver.session(account.id)
        self.assertEqual((session["connected"], session["logged_in"]), (False, True))
        self.driver.api.call("POST", f"/api/sessions/{account.id}/connect")
        self.assertEqual(self.driver.wait_connected(account.id)["phone"], account.phone)

    def test_why_a_session_does_not_come_back_is_shown(self):
        account = self.driver.account()
        phone = f"/admin/phones/{account.phone}"
        device = self.driver.sandbox.call("GET", phone)["devices"][0]["device"]
        self.driver.sandbox.call("POST", f"{phone}/behaviour", {"refuse_logins": 405})
        self.driver.sandbox.call("POST", f"{phone}/devices/{device}/replace")
        self.shows(account, "RECONNECTING", "outdated")
        self.assertFalse(self.driver.session(account.id)["connected"])
        self.driver.sandbox.call("POST", f"{phone}/behaviour", {"refuse_logins": 0})
        self.driver.wait_connected(account.id)
        self.shows(account, "CONNECTED", "")

    def shows(self, account, state: str, reason: str) -> None:
        """The dashboards' table, once it has come to that."""
        query = f"select state, coalesce(disconnect_reason, '') from proj.sessions where session_key = '{account.id}'"
        wait_until(lambda: self.stack.sql(query) == [[state, reason]], 60, f"{state} because of {reason}: {self.stack.sql(query)}")

    def test_a_text_goes_out_and_its_receipts_come_back(self):
        account = self.driver.account()
        number = self.driver.sandbox.make_phones(1, delay_ms=20, read_delay_ms=20)[0]
        answer = self.driver.send(account, number, "Hello from a session")
        self.assertEqual(answer["message"], "Message sent successfully")
        self.assertRegex(answer["message_id"], r"^3EB0[0-9A-F]{18}$")
        checks.read_once(self.driver, account.phone, {number: "Hello from a session"})
        wait_until(lambda: self.state_of(answer["message_id"]) == "READ", 30, "the read receipt")

    def test_a_repeated_send_with_its_key_sends_once(self):
        account = self.driver.account()
        number = self.driver.sandbox.make_phones(1)[0]
        headers = {"Idempotency-Key": "one-and-the-same"}
        first = self.driver.send(account, number, "Once", **headers)
        self.assertEqual(self.driver.send(account, number, "Once", **headers)["message_id"], first["message_id"])
        checks.read_once(self.driver, account.phone, {number: "Once"})

    def test_sending_from_a_session_that_is_not_logged_in_is_refused(self):
        made = self.driver.create_session()
        body = {"recipient": "6281234567890", "message": "Hello"}
        status, answer = self.driver.api.request("POST", f"/api/sessions/{made['id']}/send", body)
        self.assertEqual((status, answer["message"]), (404, "Session not found or not logged in"))

    def test_an_answer_comes_as_a_signed_webhook(self):
        receiver = Receiver()
        self.receivers.append(receiver)
        self.addCleanup(receiver.close)
        account = self.driver.account(webhook_url=receiver.url)
        receiver.secret = account.webhook_secret
        number = self.driver.sandbox.make_phones(1, reply="text", reply_text="Thank you!", reply_delay_ms=20)[0]
        self.driver.send(account, number, "Hello")
        wait_until(lambda: receiver.deliveries or receiver.refused, 30, "the webhook")
        checks.webhooks_are_the_answers(receiver, account.id, 1)
        message = next(iter(receiver.deliveries.values()))["message"]
        self.assertEqual((message["message"], message["from"]), ("Thank you!", f"{number}@s.whatsapp.net"))
        self.assertEqual(message["to"], f"{account.phone}@s.whatsapp.net")

    @classmethod
    def tearDownClass(cls):
        assert not cls.driver.sandbox.violations(), cls.driver.sandbox.violations()
        checks.wait_until_quiet(cls.stack)
        checks.nothing_was_given_up(cls.stack)
        checks.histories_hold(cls.stack, cls.receivers)
        checks.projections_equal_a_rebuild(cls.stack)

    def state_of(self, wa_message_id: str) -> str | None:
        rows = self.stack.sql(f"select status from proj.messages where wa_message_id = '{wa_message_id}'")
        return rows[0][0] if rows else None


if __name__ == "__main__":
    unittest.main()
