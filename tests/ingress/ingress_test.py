"""The API of ingress over its public interfaces, with stand-ins for the services behind it."""

import base64
import hashlib
import hmac
import json
import threading
import time
import uuid

from case import F0, F4, Case, example, run_all, shape
from client import Api, ApiError, WebSocket
from stack import wait_until


class Access(Case):
    def test_the_logins_of_the_examples(self):
        want = example("004-multi-login.response.json")
        for name, content_type in (
            ("004-multi-login.request.json", "application/json"),
            ("004-multi-login-user1-no-content-type.request.json", "application/x-www-form-urlencoded"), # curl's, if none
        ):
            body = json.dumps(example(name) | {"password": self.password})
            have = self.admin.call("POST", "/api/login", body, headers={"Content-Type": content_type})
            self.assertEqual(shape(have), shape(want))
            self.assertEqual(have["user"], want["user"])
            self.assertTrue(have["success"])
            self.assertTrue(have["token"].startswith("eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9."))
        nobody = json.dumps(example("004-multi-login-user2-no-content-type.request.json"))
        self.refused(401, "POST", "/api/login", nobody, headers={"Content-Type": "application/x-www-form-urlencoded"})

    def test_a_preset_key_that_was_changed_is_none_any_more(self):
        old = (self.stack.state / "secrets/api_key").read_text().strip()
        asked = lambda key: self.ask("GET", F4, headers={"Authorization": f"Bearer {key}"}).status  # noqa: E731
        self.assertEqual(asked(old), 200)
        with self.ingress("API_KEY=another-key-of-enough-length"):
            self.deciders.redis("FLUSHALL")  # which knows keys for a minute
            self.assertEqual((asked("another-key-of-enough-length"), asked(old)), (200, 401))

    def test_nobody_becomes_admin_by_writing_to_redis(self):
        name = f"key:{hashlib.sha256(b'made-up').hexdigest()}"
        text = json.dumps({"user_id": 1, "username": "admin", "role": "admin", "key_id": 1})
        self.deciders.redis("SET", name, text, "PX", 60000)
        self.assertEqual(self.ask("GET", F4, headers={"Authorization": "Bearer made-up"}).status, 401)

    def test_logins_are_refused_without_saying_why(self):
        for username, password in (("admin", "wrong"), ("nobody", "wrong"), ("nobody", "x" * 256)):
            body = self.refused(401, "POST", "/api/login", {"username": username, "password": password})
            self.assertEqual(body, {"error": "Unauthorized", "message": "Invalid username or password"})
        self.assertEqual(self.refused(400, "POST", "/api/login", {"username": "admin"})["message"], "password is required")
        self.assertIn("not JSON", self.refused(400, "POST", "/api/login", "{")["message"])

    def test_credentials_are_wanted_in_the_familys_words(self):
        nobody = Api(self.url)
        for header in (None, "Bearer", "Bearer wrong", "Basic YTpi", f"Bearer {self.admin.token}x"):
            nobody.headers = {} if header is None else {"Authorization": header}
            self.assertEqual(set(self.refused(401, "GET", F4, api=nobody)), {"error", "message"})
            body = self.refused(401, "GET", F0, api=nobody)
            self.assertEqual((body["success"], body["error"]), (False, "UNAUTHORIZED"))

    def test_the_preset_key_is_the_first_users(self):
        keyed = Api(self.url)
        keyed.headers["Authorization"] = "Bearer " + (self.stack.state / "secrets/api_key").read_text().strip()
        session = self.admin.call("POST", F4, {})
        self.assertIn(session["id"], [one["id"] for one in keyed.call("GET", F4)])

    def test_unknown_paths_and_methods(self):
        self.assertEqual(self.refused(404, "GET", "/api/nothing")["error"], "Not Found")
        self.assertEqual(self.refused(404, "GET", "/api/blast-control/nothing")["error"], "NOT_FOUND")
        self.assertEqual(self.refused(405, "PATCH", F4)["error"], "Method Not Allowed")
        self.assertEqual(self.refused(405, "PUT", F0)["error"], "METHOD_NOT_ALLOWED")

    def test_no_secret_is_logged(self):
        log = (self.stack.state / "log/ingress-1.log").read_text()
        self.assertIn('"message":"request"', log)
        for secret in (self.password, self.admin.token, "token="):
            self.assertNotIn(secret, log)


class Sessions(Case):
    def test_create_list_get(self):
        made = self.admin.call("POST", F4, example("004-multi-sessions-create-user1-no-content-type.request.json"))
        self.assertRegex(made["id"], "^[1-9][0-9]{9}$")
        self.assertEqual(made["name"], "User 1 Session")
        self.assertEqual(
            {name: type(value) for name, value in made.items()},
            {"id": str, "connected": bool, "logged_in": bool, "phone": str, "name": str, "webhook_url": str,
             "actual_phone": str, "position": int},
        )  # fmt: skip
        self.assertIn(made, self.admin.call("GET", F4))
        (command,) = self.session_of(made)
        create = command["create"]
        self.assertEqual((create["session_key"], create["position"], create["subscribe"]), (made["id"], made["position"], ["All"]))
        self.assertEqual((command["actor_kind"], command["actor_id"], command["user_id"]), ("user", "1", 1))
        self.assertEqual(command["_key"], command["aggregate_id"])
        self.assertEqual(command["correlation_id"], command["command_id"])
        self.assertEqual((command["deadline"] - command["issued_at"]).total_seconds(), 5)
        for name in (made["id"], command["aggregate_id"], command["aggregate_id"].replace("-", ""), create["id"]):
            self.assertEqual(self.admin.call("GET", f"{F4}/{name}"), made)

    def test_a_chosen_id_is_taken_once(self):
        made = self.admin.call("POST", F4, {"id": "session_sales", "phone": "+6281381393739"})
        self.assertEqual((made["id"], made["name"]), ("session_sales", "Session session_sales"))
        self.deciders.on_command = lambda command: self.deciders.refuse(command, "EXISTS") or True
        body = self.refused(409, "POST", F4, {"id": "session_sales"})
        self.assertEqual(body, {"error": "Conflict", "message": "Session id already exists"})
        self.deciders.on_command = None
        self.refused(409, "POST", F4, {"id": "session_sales"}, api=self.other_user("squatter"))

    def test_bad_creations_say_what_is_wrong(self):
        for body, text in (
            ({"id": "a b"}, "id must be"),
            ({"id": "123"}, "id must be"),
            ({"name": 7}, "name must be a string"),
            ({"webhook_url": "myapp.com"}, "webhook_url must be an absolute"),
            ({"phone": "0812"}, "phone must be"),
            ({"webhook_url": "https://a.b/", "webhook_secret": "short"}, "webhook_secret must be"),
        ):
            self.assertIn(text, self.refused(400, "POST", F4, body)["message"])

    def test_the_sessions_of_the_examples(self):
        for name in ("004-multi-sessions-create-personal.request.json",
                     "004-multi-sessions-create-user2-no-content-type.request.json"):
            wanted = example(name)
            made = self.admin.call("POST", F4, wanted)
            self.assertEqual(made["name"], wanted["name"])
            self.assertEqual(made["webhook_url"], wanted.get("webhook_url", ""))

    def test_webhook_secrets_are_made_sealed_and_shown_once(self):
        made = self.admin.call("POST", F4, example("004-multi-sessions-create-business.request.json"))
        self.assertTrue(made["webhook_secret"].startswith("whsec_"))
        (command,) = self.session_of(made)
        sealed = command["create"]["webhook_secret_enc"]
        self.assertNotIn(made["webhook_secret"].encode(), sealed)
        self.assertNotIn("webhook_secret", self.admin.call("GET", f"{F4}/{made['id']}"))
        again = self.admin.call("PUT", f"{F4}/{made['id']}/webhook", example("004-multi-webhook-update.request.json"))
        self.assertEqual(again, {"success": True, "message": "Webhook URL updated successfully"})

    def test_a_repeated_create_shows_the_secret_that_the_first_one_stored(self):
        key = {"Idempotency-Key": "secret-1"}
        body = {"webhook_url": "https://a.b/"}
        first = self.admin.call("POST", F4, body, headers=key)
        self.deciders.redis("FLUSHALL")
        self.assertEqual(self.admin.call("POST", F4, body, headers=key)["webhook_secret"], first["webhook_secret"])
        self.assertNotEqual(self.admin.call("POST", F4, body)["webhook_secret"], first["webhook_secret"])

    def test_life(self):
        made = self.admin.call("POST", F4, {"name": "Life"})
        path = f"{F4}/{made['id']}"
        answer = self.admin.call("POST", f"{path}/connect")
        self.assertEqual(answer["message"], "Connection started")
        self.assertEqual(answer["websocket_url"], f"ws://127.0.0.1:{self.stack.port('ingress')}/api/ws/{made['id']}")
        self.admin.call("PUT", f"{path}/name", {"name": "Renamed"})
        self.assertEqual(self.admin.call("GET", path)["name"], "Renamed")
        self.assertEqual(self.admin.call("POST", f"{path}/disconnect")["message"], "Session disconnected successfully")
        self.assertEqual(self.admin.call("DELETE", path)["message"], "Session deleted successfully")
        self.assertEqual(self.refused(404, "GET", path), {"error": "Not Found", "message": "Session not found"})

    def test_users_do_not_see_each_other(self):
        made = self.admin.call("POST", F4, {})
        other = self.other_user("tenant")
        self.assertEqual(other.call("GET", F4), [])
        self.refused(404, "GET", f"{F4}/{made['id']}", api=other)
        self.refused(404, "DELETE", f"{F4}/{made['id']}", api=other)
        own = other.call("POST", F4, {})
        self.assertEqual(own["position"], 1)

    def test_the_same_key_gives_the_first_answer(self):
        key = {"Idempotency-Key": "create-1"}
        first = self.admin.call("POST", F4, {"name": "Once"}, headers=key)
        self.assertEqual(self.admin.call("POST", F4, {"name": "Once"}, headers=key), first)
        self.assertEqual(len(self.session_of(first)), 1)
        self.refused(409, "POST", F4, {"name": "Twice"}, headers=key)
        self.deciders.redis("FLUSHALL")
        self.assertEqual(self.admin.call("POST", F4, {"name": "Once"}, headers=key)["id"], first["id"])
        ids = {command["command_id"] for command in self.session_of(first)}
        self.assertEqual(len(ids), 1)


class Outcomes(Case):
    def test_a_word_that_the_channels_lost_is_found_by_the_keys(self):
        self.deciders.tell_channels = False
        self.assertEqual(self.admin.call("POST", F4, {"name": "Quiet"})["name"], "Quiet")

    def test_the_projection_stands_in_for_redis(self):
        def only_reply(command):
            self.deciders.obey(command, applied=False)
            return True

        self.deciders.tell_channels = False
        self.deciders.on_command = only_reply
        self.assertEqual(self.admin.call("POST", F4, {"name": "Rows"})["name"], "Rows")

    def test_an_old_key_does_not_hide_the_row(self):
        """The tracker's word is lost and its key was not set: what stands there is of the command before."""
        session = self.admin.call("POST", F4, {"name": "Before"})
        uuid_ = self.session_of(session)[0]["aggregate_id"]
        old = self.deciders.sequence(uuid_)

        def forget_to_announce(command):
            self.deciders.obey(command, applied=False)
            self.deciders.redis("SET", f"applied:{uuid_}", old, "PX", 60000)
            return True

        self.deciders.on_command = forget_to_announce
        began = time.monotonic()
        self.admin.call("PUT", f"{F4}/{session['id']}/name", {"name": "After"})
        self.assertLess(time.monotonic() - began, 3)
        self.assertEqual(self.admin.call("GET", f"{F4}/{session['id']}")["name"], "After")

    def test_events_stand_in_for_a_verdict_that_nobody_told(self):
        """As with a Redis that is away from first to last."""
        told = []

        def only_project(command):
            if not told:
                self.deciders.carry_out(command)
                self.deciders.project_event(command)
            told.append(command["command_id"])
            return True

        self.deciders.on_command = only_project
        self.assertEqual(self.admin.call("POST", F4, {"name": "Told by nobody"})["name"], "Told by nobody")
        self.assertEqual(len(set(told)), 1)

    def test_a_flushed_redis_costs_one_repetition(self):
        seen = []

        def forget_the_first(command):
            seen.append(command["command_id"])
            if len(seen) == 1:
                self.deciders.tell_channels = False
                self.deciders.obey(command)
                self.deciders.redis("FLUSHALL")
                self.deciders.tell_channels = True
                return True
            return False

        self.deciders.on_command = forget_the_first
        self.assertEqual(self.admin.call("POST", F4, {"name": "Again"})["name"], "Again")
        self.assertEqual(len(set(seen)), 1)
        self.assertGreaterEqual(len(seen), 2)

    def test_silence_is_a_504_that_names_the_command(self):
        seen = []
        self.deciders.on_command = lambda command: seen.append(command["command_id"]) or True
        began = time.monotonic()
        body = self.refused(504, "POST", F4, {"name": "Silent"})
        self.assertLess(time.monotonic() - began, 8)
        self.assertEqual(len(set(seen)), 1)
        self.assertGreaterEqual(len(seen), 2)
        self.assertIn(seen[0], body["message"])

    def test_what_is_not_projected_is_not_answered(self):
        def slow_tracker(command):
            self.deciders.bump(command["aggregate_id"])  # decided, and never projected
            self.deciders.reply(command, applied=False)
            return True

        self.deciders.tell_channels = False
        self.deciders.on_command = slow_tracker
        body = self.refused(504, "POST", F4, {"name": "Unseen"})
        self.assertIn("was carried out, but what it changed cannot be read yet", body["message"])

    def test_a_request_under_way_outlives_sigterm(self):
        answers = []
        began = threading.Event()

        log = self.stack.state / "log/ingress-1.log"
        drains = log.read_text().count("draining")

        def late(command):
            began.set()
            wait_until(lambda: log.read_text().count("draining") > drains, 10, "the signal")
            self.deciders.obey(command)
            return True

        self.deciders.on_command = late
        thread = threading.Thread(target=lambda: answers.append(self.admin.call("POST", F4, {"name": "Drain"})))
        thread.start()
        self.assertTrue(began.wait(5))
        self.stack.ctl("stop", "ingress-1")
        thread.join(10)
        self.start_ingress()
        self.assertEqual(answers[0]["name"], "Drain")


class Sending(Case):
    def test_a_message_is_sent(self):
        session = self.admin.call("POST", F4, {"name": "Sender"})
        answer = self.admin.call("POST", f"{F4}/{session['id']}/send", example("004-multi-session-send.request.json"))
        self.assertEqual((answer["success"], answer["message"]), (True, "Message sent successfully"))
        self.assertRegex(answer["message_id"], "^3EB0[0-9A-F]{18}$")
        self.assertEqual(answer["session_id"], session["id"])
        send = self.deciders.commands[-1]
        self.assertEqual(send["send"]["recipient"], "6281381393739")
        self.assertEqual(send["send"]["text"], "Hello from specific session!")

    def test_a_phone_picks_the_session(self):
        request = example("004-multi-send-by-phone.request.json")
        self.refused(404, "POST", "/api/send", request)
        session = self.admin.call("POST", F4, {"name": "By phone"})
        self.stack.sql(f"UPDATE proj.sessions SET phone = '{request['phone']}', linked = true WHERE session_key = '{session['id']}'")
        self.assertEqual(self.admin.call("POST", "/api/send", request)["session_id"], session["id"])

    def test_a_session_that_cannot_send_is_a_404(self):
        session = self.admin.call("POST", F4, {})
        self.deciders.on_command = lambda command: self.deciders.refuse(command, "NOT_LOGGED_IN") or True
        body = self.refused(404, "POST", f"{F4}/{session['id']}/send", {"recipient": "6281381393739", "message": "x"})
        self.assertEqual(body["message"], "Session not found or not logged in")

    def test_bad_requests(self):
        session = self.admin.call("POST", F4, {})
        path = f"{F4}/{session['id']}/send"
        self.assertEqual(self.refused(400, "POST", path, {"message": "x"})["message"], "recipient is required")
        self.assertIn("recipient must be", self.refused(400, "POST", path, {"recipient": "0812", "message": "x"})["message"])
        self.assertIn("message must be", self.refused(400, "POST", path, {"recipient": "6281381393739", "message": ""})["message"])

    def test_a_group_is_refused_before_anything_is_written(self):
        session = self.admin.call("POST", F4, {})
        self.stack.sql(f"UPDATE proj.sessions SET phone = '4915112345678' WHERE session_key = '{session['id']}'")
        told = []
        self.deciders.on_command = lambda command: told.append(command)
        for group in ("120363302171476233@g.us", "6281381393739-1624931511@g.us"):
            body = {"recipient": group, "message": "x"}
            for path, phone in ((f"{F4}/{session['id']}/send", {}), ("/api/send", {"phone": "4915112345678"})):
                self.assertEqual(
                    self.refused(400, "POST", path, body | phone),
                    {"error": "Bad Request", "message": "recipient is a group: sending to groups is not supported"},
                )
        self.admin.call("POST", f"{F4}/{session['id']}/send", {"recipient": "6281381393739", "message": "y"})
        self.assertEqual([command["send"]["text"] for command in told], ["y"])  # commands of a session keep their order

    def test_a_try_that_failed_is_no_failure_while_another_comes(self):
        def fail_once(command):
            self.deciders._send(command, command["send"])
            self.stack.sql(
                f"UPDATE proj.message_states SET state = 'FAILED', next_attempt_at = now() + interval '5 seconds'"
                f" WHERE message_id = '{command['aggregate_id']}'"
            )
            self.deciders.reply(command)
            return True

        session = self.admin.call("POST", F4, {})
        with self.ingress("SEND_TIMEOUT_MS=1000"):
            self.deciders.on_command = fail_once
            answer = self.admin.call(
                "POST", f"{F4}/{session['id']}/send", {"recipient": "6281381393739", "message": "again"}
            )
        self.assertEqual((answer["success"], answer["message"]), (True, "Message queued"))

    def test_the_same_key_sends_once(self):
        session = self.admin.call("POST", F4, {})
        body = {"recipient": "6281381393739", "message": "once"}
        key = {"Idempotency-Key": "send-1"}
        first = self.admin.call("POST", f"{F4}/{session['id']}/send", body, headers=key)
        again = self.admin.call("POST", f"{F4}/{session['id']}/send", body, headers=key)
        self.assertEqual(first, again)
        sends = [c for c in self.deciders.commands if c.get("send") and c["send"]["text"] == "once"]
        self.assertEqual(len(sends), 1)


    def test_an_answer_with_a_secret_is_kept_sealed(self):
        body, key = {"name": "Hooked", "webhook_url": "https://example.com/hook"}, {"Idempotency-Key": "hooked-1"}
        first = self.admin.call("POST", F4, body, headers=key)
        self.assertTrue(first["webhook_secret"].startswith("whsec_"))
        kept = {name: self.deciders.redis("GET", name) for name in self.deciders.redis("KEYS", "idem:*:hooked-1")}
        self.assertEqual(len(kept), 1)
        self.assertNotIn("whsec_", str(kept))
        self.assertEqual(self.admin.call("POST", F4, body, headers=key), first)
        made = len(self.admin.call("GET", F4))
        for name, text in kept.items():  # what does not open is as if it were lost: asked again, made once
            for spoilt in (json.dumps({"fingerprint": "0" * 64, "status": 201, "body": {}}), text[:-8], ""):
                self.deciders.redis("SET", name, spoilt, "PX", 60000)
                self.assertEqual(self.admin.call("POST", F4, body, headers=key)["id"], first["id"])
        self.assertEqual(len(self.admin.call("GET", F4)), made)


class Sockets(Case):
    def open(self, session: dict) -> WebSocket:
        socket = self.admin.open_websocket(session["id"])
        self.addCleanup(socket.close)
        return socket

    def show_qr(self, uuid_: str, text: str):
        code = json.dumps({"text": text, "ordinal": 1, "expires_at": int((time.time() + 60) * 1000)})
        self.deciders.redis("SET", f"sess:{uuid_}:qr", code, "PX", 60000)
        self.deciders.redis("PUBLISH", f"sess:{uuid_}", "qr")

    def test_codes_then_success(self):
        session = self.admin.call("POST", F4, {"name": "Scan"})
        uuid_ = self.session_of(session)[0]["aggregate_id"]
        first, second = self.open(session), self.open(session)
        self.admin.call("POST", f"{F4}/{session['id']}/connect")
        self.show_qr(uuid_, "2@one")
        for socket in (first, second):
            shown = socket.receive_json()
            self.assertEqual(shown, {"type": "qr", "data": {"qr": "2@one"}})
            self.assertEqual(shape(shown), shape(example("004-multi-ws-qr.response.json")))
        self.show_qr(uuid_, "2@two")
        self.assertEqual(first.receive_json()["data"]["qr"], "2@two")
        late = self.open(session)
        self.assertEqual(late.receive_json()["data"]["qr"], "2@two")
        self.deciders.set_session(
            uuid_, "state = 'CONNECTED', linked = true, phone = '6283876013551', jid = '6283876013551:12@s.whatsapp.net'"
        )
        self.deciders.redis("PUBLISH", f"sess:{uuid_}", "state")
        success = first.receive_json()
        self.assertEqual(success["type"], example("004-multi-ws-success.response.json")["type"])
        self.assertEqual(
            success["data"],
            {"session_id": session["id"], "jid": "6283876013551:12@s.whatsapp.net", "phone": "6283876013551"},
        )
        self.assertIsNone(first.receive())
        self.assertEqual(self.open(session).receive_json()["type"], "success")

    def test_who_looks_at_a_session_that_waits_is_noted(self):
        session = self.admin.call("POST", F4, {"name": "Looked at"})
        uuid_ = self.session_of(session)[0]["aggregate_id"]
        key, full = f"sess:{uuid_}:watch", 600000

        def noted(look) -> bool:
            self.deciders.redis("DEL", key)
            look()
            return full - 60000 < int(self.deciders.redis("PTTL", key)) <= full

        def get():
            self.admin.call("GET", f"{F4}/{session['id']}")

        self.assertFalse(noted(get))  # it waits for nobody
        self.assertTrue(noted(lambda: self.admin.call("POST", f"{F4}/{session['id']}/connect")))
        for state in ("CONNECTING", "WAITING_FOR_SCAN"):
            self.deciders.set_session(uuid_, f"state = '{state}'")
            self.assertTrue(noted(get))
            self.assertTrue(noted(lambda: self.admin.call("GET", F4)))
        self.deciders.redis("DEL", key)
        socket = self.open(session)
        for _ in range(2):  # again and again
            wait_until(lambda: int(self.deciders.redis("PTTL", key)) > 0, 10, "the socket's look")
            self.deciders.redis("DEL", key)
        socket.close()
        self.deciders.set_session(uuid_, "state = 'CONNECTED'")
        self.assertFalse(noted(get))

    def test_an_end_without_login_is_an_error(self):
        session = self.admin.call("POST", F4, {"name": "Timeout"})
        uuid_ = self.session_of(session)[0]["aggregate_id"]
        self.admin.call("POST", f"{F4}/{session['id']}/connect")
        socket = self.open(session)
        self.show_qr(uuid_, "2@gone")
        self.assertEqual(socket.receive_json()["type"], "qr")
        self.deciders.set_session(uuid_, "state = 'DISCONNECTED', disconnect_reason = 'qr_timeout'")
        self.deciders.redis("PUBLISH", f"sess:{uuid_}", "state")
        told = socket.receive_json()
        self.assertEqual(told, {"type": "error", "data": {"error": "QR code expired"}})
        self.assertEqual(shape(told), shape(example("004-multi-ws-error.response.json")))
        self.assertIsNone(socket.receive())

    def test_what_opened_a_socket_must_hold_on(self):
        session = self.admin.call("POST", F4, {})
        keyed = self.other_user("revoked")
        keyed.token = keyed.headers["Authorization"].split()[1]
        theirs = keyed.call("POST", F4, {})
        brief = Api(self.url)
        brief.token = self.token_until(int(time.time()) + 4)
        sockets = [(brief, session), (keyed, theirs), (self.admin, session)]
        sockets = [api.open_websocket(one["id"]) for api, one in sockets]
        for socket in sockets:
            self.addCleanup(socket.close)
        digest = hashlib.sha256(keyed.token.encode()).hexdigest()
        self.stack.sql(f"UPDATE ingress.api_keys SET revoked_at = now() WHERE sha256 = '{digest}'")
        self.deciders.redis("DEL", f"key:{digest}")
        for socket in sockets[:2]:
            told = socket.receive_json()
            self.assertEqual((told["type"], told["data"]["error"]), ("error", "Invalid or missing authentication token"))
            self.assertIsNone(socket.receive())
        self.deciders.set_session(self.session_of(session)[0]["aggregate_id"], "state = 'CONNECTED', linked = true")
        self.assertEqual(sockets[2].receive_json()["type"], "success")

    def token_until(self, expires: int) -> str:
        """The admin's token with another end."""
        part = lambda data: base64.urlsafe_b64encode(data).rstrip(b"=")  # noqa: E731
        head, claims, _ = self.admin.token.encode().split(b".")
        claims = json.loads(base64.urlsafe_b64decode(claims + b"=" * (-len(claims) % 4))) | {"exp": expires}
        signed = head + b"." + part(json.dumps(claims).encode())
        secret = (self.stack.state / "secrets/jwt_secret").read_text().strip()
        return (signed + b"." + part(hmac.digest(secret.encode(), signed, "sha256"))).decode()

    def test_upgrades_need_a_credential_and_a_session(self):
        session = self.admin.call("POST", F4, {})
        port = self.stack.port("ingress")
        for path, status in (
            (f"/api/ws/{session['id']}", 401),
            (f"/api/ws/{session['id']}?token=wrong", 401),
            (f"/api/ws/9999999999?token={self.admin.token}", 404),
        ):
            with self.assertRaises(ApiError) as caught:
                WebSocket("127.0.0.1", port, path)
            self.assertEqual(caught.exception.status, status)
            self.assertIn("message", json.loads(caught.exception.body))


class Blasts(Case):
    def setUp(self):
        super().setUp()
        self.session = self.admin.call("POST", F4, {"name": "Blaster"})

    def create(self, **more):
        body = {
            "whatsappSessionId": self.session["id"],
            "campaignName": "Promo",
            "messageTemplate": "Hi {{name}}, your code is {{code}}",
            "messageList": [{"phone": "+6281381393739", "contactName": "Ani", "variables": {"code": "A1"}}],
        } | more
        return self.admin.call("POST", F0, body)

    def create_csv(self, text: str | bytes, expect=(201,), **query):
        query = {
            "whatsappSessionId": self.session["id"],
            "campaignName": "From a file",
            "messageTemplate": "Hi {{name}}, your code is {{code}}",
        } | query
        return self.admin.call("POST", F0, text, query=query, headers={"Content-Type": "text/csv"}, expect=expect)

    def upload_of(self, blast: dict) -> tuple[dict, list[dict]]:
        """The create command and its chunks, in order."""
        command = next(
            c for c in self.deciders.commands if c.get("create") and c["create"].get("blast_key") == blast["sessionId"]
        )
        chunks = [c for c in self.deciders.chunks if c["upload_id"] == command["create"]["upload_id"]]
        return command, sorted(chunks, key=lambda chunk: chunk["first_index"])

    def test_one_key_is_not_for_two_files(self):
        def create(text: str, expect, **query):
            headers = {"Content-Type": "text/csv", "Idempotency-Key": "file-1"}
            query = {"whatsappSessionId": self.session["id"], "campaignName": "One", "messageTemplate": "Hi"} | query
            return self.admin.call("POST", F0, text, query=query, headers=headers, expect=expect)

        first = create("phone\n6281381393739\n", (201,))
        self.assertEqual(create("phone\n6281381393739\n", (201,)), first)
        create("phone\n6281381393739\n", (409,), campaignName="Two")
        create("phone\n6281381393739\n6281381393740\n", (409,))

    def test_json(self):
        answer = self.create(config={"contactDelay": {"min": 10, "max": 10}})
        self.assertEqual((answer["success"], answer["message"]), (True, "Blast session created successfully"))
        blast = answer["data"]["session"]
        want = example("000-blast-control-sessions-list.response.json")["data"]["sessions"][2]
        self.assertEqual(set(blast) - set(want), {"deliveredCount", "readCount"})
        self.assertEqual(set(want) - set(blast), set())
        self.assertRegex(blast["sessionId"], r"^blast_\d{8}_\d{3,}$")
        self.assertEqual((blast["status"], blast["totalMessages"], blast["progressPercentage"]), ("IDLE", 1, "0.00"))
        self.assertEqual(
            blast["config"],
            {"messageDelay": {"min": 1000, "max": 3000}, "contactDelay": {"min": 10, "max": 10},
             "businessHours": {"enabled": False}},
        )  # fmt: skip
        self.assertEqual(blast["whatsappAccount"]["displayName"], "Blaster")
        command, chunks = self.upload_of(blast)
        self.assertEqual(
            [(r["phone"], r["contact_name"], r["variables"]) for c in chunks for r in c["recipients"]],
            [("6281381393739", "Ani", {"code": "A1"})],
        )
        self.assertEqual(command["create"]["total_messages"], 1)
        self.assertGreaterEqual(command["session_sequence"], 1)
        for name in (blast["sessionId"], blast["id"]):
            self.assertEqual(self.admin.call("GET", f"{F0}/{name}")["data"]["session"]["id"], blast["id"])
        listed = self.admin.call("GET", F0, query={"status": "idle", "limit": 1})["data"]
        self.assertEqual(listed["sessions"][0]["id"], blast["id"])
        self.assertEqual(listed["pagination"]["limit"], 1)

    def test_csv_in_chunks(self):
        rows = "".join(f'62813813{i:05d},"Name ""{i}"", x",C{i}\r\n' for i in range(1203))
        answer = self.create_csv("\ufeffphone,name,code\r\n" + rows)
        blast = answer["data"]["session"]
        self.assertEqual(answer["data"]["import"], {"accepted": 1203, "skipped": 0, "errors": []})
        wait_until(lambda: len(self.upload_of(blast)[1]) == 3, 10, "three chunks")
        command, chunks = self.upload_of(blast)
        self.assertEqual([(c["first_index"], len(c["recipients"])) for c in chunks], [(0, 500), (500, 500), (1000, 203)])
        self.assertEqual(chunks[2]["recipients"][202]["contact_name"], 'Name "1202", x')
        self.assertEqual(command["create"]["chunk_count"], 3)
        self.assertEqual(command["create"]["last_chunk_offset"], chunks[2]["_offset"])
        self.assertTrue(all(c["_partition"] == command["_partition"] for c in chunks))
        self.assertEqual(len(command["create"]["recipients_sha256"]), 64)

    def test_bad_rows(self):
        text = "phone,name\n6281381393739,Ani\n0812,Budi\n6281381393740,Cici,odd\n6281381393741,Dedi\n"
        body = self.create_csv(text, expect=(400,))
        self.assertEqual(body["error"], "INVALID_REQUEST")
        self.assertIn("line 3: phone must be", body["message"])
        answer = self.create_csv(text, onBadRow="skip")
        report = answer["data"]["import"]
        self.assertEqual((report["accepted"], report["skipped"]), (2, 2))
        self.assertEqual([error["line"] for error in report["errors"]], [3, 4])
        self.assertIn("3 cells", report["errors"][1]["message"])
        group = "phone\n6281381393739\n120363302171476233@g.us\n"
        told = "phone is a group: sending to groups is not supported"
        self.assertEqual(self.create_csv(group, expect=(400,))["message"], f"line 3: {told}")
        report = self.create_csv(group, onBadRow="skip")["data"]["import"]
        self.assertEqual(report, {"accepted": 1, "skipped": 1, "errors": [{"line": 3, "message": told}]})
        self.assertIn("no column", self.create_csv("name\nAni\n", expect=(400,))["message"])
        self.assertIn("not closed", self.create_csv('phone\n"62', expect=(400,))["message"])
        self.assertIn("no recipients", self.create_csv("phone\n", expect=(400,))["message"])
        self.assertIn("onBadRow", self.create_csv(text, onBadRow="x", expect=(400,))["message"])

    def test_bad_requests(self):
        for more, text in (
            ({"campaignName": None}, "campaignName is required"),
            ({"messageTemplate": ""}, "messageTemplate must be"),
            ({"messageList": []}, "messageList must be"),
            ({"messageList": [{"phone": "+6281381393739"}, {"phone": "0812"}]}, "messageList[1]: phone must be"),
            ({"messageList": [{"phone": "+6281381393739"}, {"phone": "12-34@g.us"}]}, "messageList[1]: phone is a group"),
            ({"config": {"contactDelay": {"min": 5, "max": 1}}}, "config: "),
            ({"config": {"businessHours": {"enabled": True, "startHour": 9, "endHour": 9}}}, "config: "),
        ):
            with self.assertRaises(ApiError) as caught:
                self.create(**more)
            self.assertEqual((caught.exception.status, caught.exception.body["error"]), (400, "INVALID_REQUEST"))
            self.assertIn(text, caught.exception.body["message"])
        for query, code in (({"limit": "0"}, "INVALID_PAGINATION"), ({"offset": "-1"}, "INVALID_PAGINATION"),
                            ({"status": "odd"}, "INVALID_STATUS")):  # fmt: skip
            self.assertEqual(self.refused(400, "GET", F0, query=query)["error"], code)

    def test_sessions_that_are_not_there(self):
        blast = self.create(whatsappSessionId="wa_missing_session")["data"]["session"]
        self.assertEqual(
            blast["whatsappAccount"],
            example("000-blast-control-sessions-list.response.json")["data"]["sessions"][2]["whatsappAccount"],
        )
        for more in ({"whatsappSessionId": str(uuid.uuid4())}, {"whatsappSessionId": "nobodys", "autoStart": True}):
            with self.assertRaises(ApiError) as caught:
                self.create(**more)
            self.assertEqual((caught.exception.status, caught.exception.body["error"]), (404, "WHATSAPP_SESSION_NOT_FOUND"))

    def test_a_failing_look_up_of_sessions_leaves_the_blasts(self):
        blast = self.create()["data"]["session"]
        self.stack.sql("REVOKE SELECT ON proj.sessions FROM ingress")
        try:
            shown = self.admin.call("GET", F0, query={"limit": 1})["data"]["sessions"][0]
        finally:
            self.stack.sql("GRANT SELECT ON proj.sessions TO ingress")
        self.assertEqual(shown["id"], blast["id"])
        self.assertEqual(shown["whatsappAccount"]["displayName"], "Account Information Unavailable")
        self.assertEqual(shown["whatsappAccount"]["sessionId"], self.session["id"])

    def test_control(self):
        blast = self.create()["data"]["session"]
        path = f"{F0}/{blast['sessionId']}"
        for verb, status in (("start", "RUNNING"), ("pause", "PAUSED"), ("resume", "RUNNING"), ("stop", "STOPPED")):
            answer = self.admin.call("POST", f"{path}/{verb}")
            done = {"stop": "stopped"}.get(verb, verb.rstrip("e") + "ed")
            self.assertEqual(answer["message"], f"Session {done} successfully")
            self.assertEqual(answer["data"]["session"]["status"], status)
        text = "Cannot pause session in STOPPED state"
        self.deciders.on_command = lambda command: self.deciders.refuse(command, "INVALID_STATE", text) or True
        body = self.refused(409, "POST", f"{path}/pause")
        self.assertEqual(body, {"success": False, "message": text, "error": "INVALID_STATE"})
        self.deciders.on_command = None
        self.assertEqual(self.admin.call("DELETE", path), {"success": True, "message": "Blast session deleted successfully"})
        body = self.refused(404, "GET", path)
        self.assertEqual(body, {"success": False, "message": "Blast session not found", "error": "BLAST_SESSION_NOT_FOUND"})

    def test_messages(self):
        blast = self.create()["data"]["session"]
        command, _ = self.upload_of(blast)
        uuid_, upload = command["aggregate_id"], command["create"]["upload_id"]
        self.stack.sql(
            "INSERT INTO proj.blast_recipients (blast_id, upload_id, message_index, message_id, recipient, contact_name,"
            f" variables) VALUES ('{uuid_}', '{upload}', 0, gen_random_uuid(), '6281381393739', 'Ani', '{{\"code\":\"A1\"}}')"
        )
        data = self.admin.call("GET", f"{F0}/{blast['id']}/messages")["data"]
        (message,) = data["messages"]
        self.assertEqual(message["message"], "Hi Ani, your code is A1")
        self.assertEqual((message["status"], message["phone"], message["attemptCount"]), ("pending", "+6281381393739", 0))
        self.assertEqual(data["pagination"], {"total": 1, "limit": 50, "offset": 0, "hasMore": False})
        sent = self.admin.call("GET", f"{F0}/{blast['id']}/messages", query={"status": "sent"})["data"]
        self.assertEqual((sent["messages"], sent["pagination"]["total"]), ([], 0))
        self.assertEqual(self.refused(400, "GET", f"{F0}/{blast['id']}/messages", query={"status": "odd"})["error"], "INVALID_STATUS")

    def test_users_do_not_see_each_others(self):
        blast = self.create()["data"]["session"]
        other = self.other_user("neighbour")
        self.refused(404, "GET", f"{F0}/{blast['id']}", api=other)
        self.refused(404, "POST", f"{F0}/{blast['sessionId']}/start", api=other)
        self.assertEqual(other.call("GET", F0)["data"]["pagination"]["total"], 0)


class Registry(Case):
    def ask(self, method: str, path: str, body=None, expect=(200,)):
        answer = Api(self.url).call(method, path, body, expect=expect + (404, 409, 422))
        return json.loads(answer) if isinstance(answer, str) else answer

    def test_paths_of_a_schema_registry(self):
        subjects = self.ask("GET", "/subjects")
        self.assertIn("wa.session.events.v1-value", subjects)
        latest = self.ask("GET", "/subjects/wa.session.events.v1-value/versions/latest")
        self.assertEqual(self.ask("GET", f"/schemas/ids/{latest['id']}")["schema"], latest["schema"])
        self.assertIn(latest["version"], self.ask("GET", "/subjects/wa.session.events.v1-value/versions"))
        self.assertEqual(self.ask("GET", f"/schemas/ids/{latest['id']}/versions")[0]["subject"], latest["subject"])
        same = json.dumps(json.loads(latest["schema"]), indent=2)
        self.assertEqual(self.ask("POST", "/subjects/wa.session.events.v1-value", {"schema": same})["id"], latest["id"])
        path = "/subjects/wa.session.events.v1-value/versions"
        self.assertEqual(self.ask("POST", path, {"schema": same}), {"id": latest["id"]})
        self.assertEqual(self.ask("POST", path, {"schema": '"string"'})["error_code"], 409)
        self.assertEqual(self.ask("POST", path, {"schema": "{"})["error_code"], 42201)
        self.assertEqual(self.ask("GET", "/subjects/none/versions")["error_code"], 40401)
        self.assertEqual(self.ask("GET", f"{path}/77")["error_code"], 40402)
        self.assertEqual(self.ask("GET", "/schemas/ids/9999")["error_code"], 40403)


class Operating(Case):
    def test_health_and_metrics(self):
        self.assertEqual(self.admin.call("GET", "/healthz"), {"status": "ok"})
        self.assertEqual(self.admin.call("GET", "/readyz"), {"status": "ok"})
        metrics = self.admin.call("GET", "/metrics")
        self.assertIn('kentongan_http_answers_total{method="GET",route="/healthz",class="2xx"}', metrics)

    def test_a_lost_redis_is_named_and_costs_nothing_but_presence(self):
        self.stack.ctl("stop", "redis")
        try:
            wait_until(lambda: self.admin.request("GET", "/healthz")[0] == 503, 10, "a health that fails")
            self.assertIn("redis", self.admin.request("GET", "/healthz")[1]["failing"])
            self.assertIsInstance(self.admin.call("GET", F4), list)
        finally:
            self.stack.ctl("start", "redis")
        wait_until(lambda: self.admin.request("GET", "/healthz")[0] == 200, 20, "a health that is good again")
        self.deciders.redis.close()
        self.deciders.redis.__init__(self.stack)
        self.assertEqual(self.admin.call("POST", F4, {"name": "After"})["name"], "After")


if __name__ == "__main__":
    run_all("ingress-api")
