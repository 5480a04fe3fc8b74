"""Every endpoint against sections 2 and 6 of the contract: status codes, members with their types, error words."""

import itertools
import json
import uuid

from case import F0, F4, Case, run_all

PHONE = "6281381393739"
TS0 = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$"
NOBODY = {
    F4: {"error": "Unauthorized", "message": "Invalid or missing authentication token"},
    F0: {"success": False, "message": "Invalid or missing authentication token", "error": "UNAUTHORIZED"},
}
SEND = {"recipient": PHONE, "message": "x"}
NOT_FOUND = {"error": "Not Found", "message": "Session not found"}
CANNOT_SEND = {"error": "Not Found", "message": "Session not found or not logged in"}
NO_BLAST = {"success": False, "message": "Blast session not found", "error": "BLAST_SESSION_NOT_FOUND"}
# method, path, body, what an unknown id gets (None: the path has no id)
ENDPOINTS = (
    ("GET", F4, None, None),
    ("POST", F4, {}, None),
    ("GET", F4 + "/{id}", None, NOT_FOUND),
    ("DELETE", F4 + "/{id}", None, NOT_FOUND),
    ("PUT", F4 + "/{id}/name", {"name": "x"}, NOT_FOUND),
    ("PUT", F4 + "/{id}/webhook", {"webhook_url": ""}, NOT_FOUND),
    ("POST", F4 + "/{id}/connect", None, NOT_FOUND),
    ("POST", F4 + "/{id}/disconnect", None, NOT_FOUND),
    ("POST", F4 + "/{id}/send", SEND, CANNOT_SEND),
    ("POST", "/api/send", {"phone": "6289999999999"} | SEND, CANNOT_SEND),
    ("GET", F0, None, None),
    ("POST", F0, {}, None),
    ("GET", F0 + "/{id}", None, NO_BLAST),
    ("DELETE", F0 + "/{id}", None, NO_BLAST),
    ("POST", F0 + "/{id}/start", None, NO_BLAST),
    ("POST", F0 + "/{id}/pause", None, NO_BLAST),
    ("POST", F0 + "/{id}/resume", None, NO_BLAST),
    ("POST", F0 + "/{id}/stop", None, NO_BLAST),
    ("GET", F0 + "/{id}/messages", None, NO_BLAST),
)
SESSION = {"id": str, "connected": bool, "logged_in": bool, "phone": str, "name": str, "webhook_url": str,
           "actual_phone": str, "position": int}  # fmt: skip
MAYBE_TIME = (str, type(None))
BLAST = {
    "id": int, "sessionId": str, "userId": int, "whatsappSessionId": str, "status": str, "campaignName": str,
    "messageTemplate": str, "totalMessages": int, "currentIndex": int, "sentCount": int, "failedCount": int,
    "skippedCount": int, "progressPercentage": str, "estimatedCompletion": MAYBE_TIME, "startedAt": MAYBE_TIME,
    "pausedAt": MAYBE_TIME, "resumedAt": MAYBE_TIME, "completedAt": MAYBE_TIME, "stoppedAt": MAYBE_TIME,
    "errorMessage": MAYBE_TIME, "config": dict, "createdAt": str, "updatedAt": str, "whatsappAccount": dict,
}  # fmt: skip
ACCOUNT = {"sessionId": str, "phoneNumber": MAYBE_TIME, "displayName": str, "status": str, "profilePicture": MAYBE_TIME,
           "lastSeen": MAYBE_TIME, "connectionQuality": str, "operatorInfo": (dict, type(None))}  # fmt: skip
MESSAGE = {"id": str, "messageIndex": int, "phone": str, "contactName": MAYBE_TIME, "message": str, "status": str,
           "attemptCount": int, "lastError": MAYBE_TIME, "sentAt": MAYBE_TIME, "deliveredAt": MAYBE_TIME,
           "readAt": MAYBE_TIME}  # fmt: skip
PAGE = {"total": int, "limit": int, "offset": int, "hasMore": bool}


class Contract(Case):
    def setUp(self):
        super().setUp()
        self.auth = dict(self.admin.headers)

    def has(self, members: dict, value: dict):
        """All of these, of these types; more are allowed (0.4, rule 5)."""
        for name, kind in members.items():
            self.assertIn(name, value)
            self.assertIsInstance(value[name], kind, name)
            if kind is int:
                self.assertNotIsInstance(value[name], bool, name)
        for name in value:
            if name.endswith("At") and value[name] is not None:
                self.assertRegex(value[name], TS0)

    def session(self, **members) -> dict:
        return self.admin.call("POST", F4, members)

    def blast(self, **members) -> dict:
        body = {"whatsappSessionId": f"wa_{uuid.uuid4().hex[:8]}", "campaignName": "a", "messageTemplate": "b {{n}}",
                "messageList": [{"phone": PHONE, "variables": {"n": 1}}]}  # fmt: skip
        return self.admin.call("POST", F0, body | members)["data"]["session"]


class Refusals(Contract):
    def test_without_a_credential(self):
        for method, path, body, _ in ENDPOINTS:
            with self.subTest(method=method, path=path):
                answer = self.ask(method, path.format(id=1), body)
                self.assertEqual((answer.status, answer.body), (401, NOBODY[F0 if path.startswith(F0) else F4]))
                self.assertEqual(answer.headers["WWW-Authenticate"], "Bearer")
                self.assertEqual(answer.headers["Content-Type"], "application/json; charset=utf-8")

    def test_what_is_not_there_and_what_is_anothers(self):
        other = self.other_user(f"other-{uuid.uuid4()}")
        own = {F4: self.session()["id"], F0: self.blast()["sessionId"]}
        for method, path, body, want in ENDPOINTS:
            family = F0 if path.startswith(F0) else F4
            names = ("9999999999", "no-such", "999999999", str(uuid.uuid4()), uuid.uuid4().hex, "a" * 2000)
            asked = [(name, self.auth) for name in names] + [(own[family], other.headers)]
            for name, headers in asked if want else ():
                with self.subTest(method=method, path=path, name=name[:40]):
                    answer = self.ask(method, path.format(id=name), body, headers)
                    self.assertEqual((answer.status, answer.body), (404, want))

    def test_methods_that_an_endpoint_has_not(self):
        known = {path: {method for method, other, *_ in ENDPOINTS if other == path} for _, path, *_ in ENDPOINTS}
        known["/api/login"] = {"POST"}
        for path, method in itertools.product(known, ("GET", "POST", "PUT", "DELETE", "PATCH")):
            if method in known[path]:
                continue
            with self.subTest(method=method, path=path):
                answer = self.ask(method, path.format(id=1), None, self.auth)
                self.assertEqual(answer.status, 405)
                self.assertEqual(set(answer.headers["Allow"].split(", ")), known[path] | {"OPTIONS"})
                want = "METHOD_NOT_ALLOWED" if path.startswith(F0) else "Method Not Allowed"
                self.assertEqual(answer.body["error"], want)

    def test_what_deciders_refuse(self):
        session, blast = self.session()["id"], self.blast()["sessionId"]
        text = "Cannot start session in RUNNING state"
        create = {"whatsappSessionId": session, "campaignName": "a", "messageTemplate": "b", "messageList": [{"phone": PHONE}],
                  "autoStart": True}  # fmt: skip
        start = f"{F0}/{blast}/start"
        for method, path, body, code, status, error in (
            ("POST", start, None, "INVALID_STATE", 409, "INVALID_STATE"),
            ("POST", start, None, "WHATSAPP_SESSION_NOT_FOUND", 409, "WHATSAPP_SESSION_NOT_FOUND"),
            ("POST", start, None, "WHATSAPP_SESSION_NOT_CONNECTED", 409, "WHATSAPP_SESSION_NOT_CONNECTED"),
            ("POST", start, None, "NOT_FOUND", 404, "BLAST_SESSION_NOT_FOUND"),
            ("POST", start, None, "LIMIT", 429, "RATE_LIMITED"),
            ("POST", start, None, "INVALID_REQUEST", 400, "INVALID_REQUEST"),
            ("DELETE", f"{F0}/{blast}", None, "INVALID_STATE", 409, "INVALID_STATE"),
            ("POST", F0, create, "WHATSAPP_SESSION_NOT_CONNECTED", 409, "WHATSAPP_SESSION_NOT_CONNECTED"),
            ("POST", F0, create, "WHATSAPP_SESSION_NOT_FOUND", 404, "WHATSAPP_SESSION_NOT_FOUND"),
            ("POST", F0, create, "INVALID_REQUEST", 400, "INVALID_REQUEST"),
            ("POST", F4, {"id": "taken"}, "EXISTS", 409, "Conflict"),
            ("POST", f"{F4}/{session}/connect", None, "NOT_FOUND", 404, "Not Found"),
            ("DELETE", f"{F4}/{session}", None, "NOT_FOUND", 404, "Not Found"),
            ("POST", f"{F4}/{session}/send", SEND, "NOT_LOGGED_IN", 404, "Not Found"),
            ("POST", f"{F4}/{session}/send", SEND, "NOT_FOUND", 404, "Not Found"),
            ("POST", f"{F4}/{session}/send", SEND, "LIMIT", 429, "Too Many Requests"),
        ):
            with self.subTest(path=path, code=code):
                self.deciders.on_command = lambda command, code=code: self.deciders.refuse(command, code, text) or True
                answer = self.ask(method, path, body, self.auth)
                self.assertEqual((answer.status, answer.body["error"]), (status, error), answer.body)
                self.assertTrue(answer.body["message"])
                if status == 429:
                    self.assertEqual(answer.headers["Retry-After"], "1")
                if code == "INVALID_STATE":
                    self.assertEqual(answer.body["message"], text)
        self.deciders.on_command = None

    def test_a_message_that_failed(self):
        session = self.session()["id"]

        def fail(command):
            self.deciders.carry_out(command)
            own = command["aggregate_id"]
            self.stack.sql(f"UPDATE proj.message_states SET state = 'FAILED', last_error = 'x' WHERE message_id = '{own}'")
            self.deciders.reply(command)
            return True

        self.deciders.on_command = fail
        answer = self.ask("POST", f"{F4}/{session}/send", SEND, self.auth)
        want = {"error": "Internal Server Error", "message": "Failed to send message"}
        self.assertEqual((answer.status, answer.body), (500, want))

    def test_recipients(self):
        session = self.session()["id"]
        good = ("12345678", "+12345678", "123456789012345", "+1234567890", PHONE, f"{PHONE}@s.whatsapp.net")
        bad = ("1234567", "1234567890123456", "0812345678", "+0812345678", "++6281381393739", "62 813 8139", "62-813-8139",
               f"{PHONE}:1@s.whatsapp.net", f"{PHONE}@lid", f"+{PHONE}@s.whatsapp.net", "abc", "@g.us", "1-@g.us", "",
               "120363302171476233@g.us", f"{PHONE}-1624931511@g.us")  # fmt: skip
        for recipient, status in [(one, 200) for one in good] + [(one, 400) for one in bad]:
            with self.subTest(recipient=recipient):
                answer = self.ask("POST", f"{F4}/{session}/send", {"recipient": recipient, "message": "x"}, self.auth)
                self.assertEqual(answer.status, status, answer.body)


class Shapes(Contract):
    def test_sessions(self):
        made = self.session(name="Shape")
        path = f"{F4}/{made['id']}"
        for value in (made, self.admin.call("GET", path), self.admin.call("GET", F4)[-1]):
            self.has(SESSION, value)
        self.assertEqual(self.ask("POST", F4, {}, self.auth).status, 201)
        for method, tail, body, text in (
            ("PUT", "/name", {"name": "y"}, "Session name updated successfully"),
            ("PUT", "/webhook", {"webhook_url": ""}, "Webhook URL updated successfully"),
            ("POST", "/connect", None, "Connection started"),
            ("POST", "/disconnect", None, "Session disconnected successfully"),
            ("POST", "/disconnect", None, "Session disconnected successfully"),
            ("DELETE", "", None, "Session deleted successfully"),
        ):
            answer = self.ask(method, path + tail, body, self.auth)
            self.assertEqual((answer.status, answer.body["success"], answer.body["message"]), (200, True, text))

    def test_every_id_of_a_session_names_it(self):
        """Its key, its uuid with dashes, the same without, its number; hex digits in any case."""
        made = self.session()
        rows = self.stack.sql(f"SELECT uuid, id FROM proj.sessions WHERE session_key = '{made['id']}'")
        own, number = rows[0]
        for name in (made["id"], own, own.upper(), own.replace("-", ""), own.replace("-", "").upper(), number):
            with self.subTest(name=name):
                self.assertEqual(self.admin.call("GET", f"{F4}/{name}")["id"], made["id"])
        for name in (own[:-1], own + "0", own.replace("-", "_"), own.replace("-", "")[:-1], own.replace("-", "") + "0"):
            with self.subTest(name=name):
                self.refused(404, "GET", f"{F4}/{name}")

    def test_blasts(self):
        made = self.blast(config={"businessHours": {"enabled": True, "startHour": 9, "endHour": 17}})
        listed = self.admin.call("GET", F0, query={"limit": 1})["data"]
        self.has(PAGE, listed["pagination"])
        path = f"{F0}/{made['sessionId']}"
        for value in (made, listed["sessions"][0], self.admin.call("GET", path)["data"]["session"]):
            self.has(BLAST, value)
            self.has(ACCOUNT, value["whatsappAccount"])
            self.assertEqual(set(value["whatsappAccount"]), set(ACCOUNT))
            self.assertRegex(value["progressPercentage"], r"^\d{1,3}\.\d0$")
            self.assertEqual(value["config"]["businessHours"], {"enabled": True, "startHour": 9, "endHour": 17})
        for verb, text in (("start", "started"), ("pause", "paused"), ("resume", "resumed"), ("stop", "stopped")):
            answer = self.ask("POST", f"{path}/{verb}", None, self.auth)
            self.assertEqual((answer.status, answer.body["message"]), (200, f"Session {text} successfully"))
            self.has(BLAST, answer.body["data"]["session"])
        deleted = self.ask("DELETE", path, None, self.auth)
        self.assertEqual((deleted.status, deleted.body), (200, {"success": True, "message": "Blast session deleted successfully"}))

    def test_messages(self):
        made = self.blast()
        command = next(c for c in self.deciders.commands if c.get("create") and c["create"].get("blast_key") == made["sessionId"])
        self.stack.sql(
            "INSERT INTO proj.blast_recipients (blast_id, upload_id, message_index, message_id, recipient, variables)"
            f" VALUES ('{command['aggregate_id']}', '{command['create']['upload_id']}', 0, gen_random_uuid(), '{PHONE}',"
            f" '{json.dumps({'n': '1'})}')"
        )
        data = self.admin.call("GET", f"{F0}/{made['id']}/messages")["data"]
        self.has(PAGE, data["pagination"])
        self.has(MESSAGE, data["messages"][0])
        self.assertEqual((data["messages"][0]["phone"], data["messages"][0]["message"]), (f"+{PHONE}", "b 1"))

    def test_pages_of_other_ports_may_ask_first(self):
        for method, path, *_ in ENDPOINTS:
            answer = self.ask("OPTIONS", path.format(id=1), None, {"Origin": "http://127.0.0.1:5173",
                                                                   "Access-Control-Request-Method": method})  # fmt: skip
            self.assertEqual(answer.status, 204)
            self.assertEqual(answer.headers["Access-Control-Allow-Origin"], "*")
            self.assertIn(method, answer.headers["Access-Control-Allow-Methods"].split(", "))


if __name__ == "__main__":
    run_all("ingress-contract")
