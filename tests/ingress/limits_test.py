"""How often one may ask, and be wrong: limits of ingress, with Redis and while it is away."""

import base64
import concurrent.futures
import itertools
import uuid

from case import F0, F4, Case, run_all
from stack import wait_until

LOGINS, CREDENTIALS = 5, 20
UNAUTHORIZED = "Invalid or missing authentication token"


def address() -> str:
    """One that no test had before, as a proxy names it."""
    number = uuid.uuid4().int
    return f"198.{number % 99 + 1}.{number // 99 % 250}.{number // 99**2 % 250}"


class Requests(Case):
    def test_of_one_user_and_recipients_of_one_blast(self):
        with self.ingress("API_RATE_PER_MIN=5", "BLAST_RECIPIENTS_MAX=3"):
            many = self.other_user("eager")
            for _ in range(5):
                many.call("GET", F4)
            for path, body in (
                (F4, {"error": "Too Many Requests", "message": "Rate limit exceeded"}),
                (F0, {"success": False, "error": "RATE_LIMITED", "message": "Too many requests"}),
            ):
                answer = self.ask("GET", path, headers=many.headers)
                self.assertEqual((answer.status, answer.body), (429, body))
                self.assertIn(int(answer.headers["Retry-After"]), range(1, 13))
            query = {"whatsappSessionId": "wa_x", "campaignName": "a", "messageTemplate": "b"}
            text = "phone\n" + "6281381393739\n" * 4
            body = self.refused(400, "POST", F0, text, query=query, headers={"Content-Type": "text/csv"},
                                api=self.other_user("greedy"))  # fmt: skip
            self.assertIn("at most 3 recipients", body["message"])


class Guarded(Case):
    """With limits that a test can reach."""

    @classmethod
    def setUpClass(cls):
        settings = f"LOGIN_RATE_PER_MIN={LOGINS}", f"CREDENTIAL_RATE_PER_MIN={CREDENTIALS}", "LOGIN_HASHES=1"
        cls.enterClassContext(cls.ingress(*settings))

    def log_in(self, client: str, username: str = "admin", password: str | None = None):
        body = {"username": username, "password": password or f"not-{self.password}"}
        return self.ask("POST", "/api/login", body, {"X-Forwarded-For": client})

    def show(self, client: str, credential: str, path: str = F4):
        return self.ask("GET", path, headers={"X-Forwarded-For": client, "Authorization": f"Bearer {credential}"})

    def limited(self, answer, per_min: int, path: str = F4):
        self.assertEqual(answer.status, 429, answer.body)
        self.assertIn(int(answer.headers["Retry-After"]), range(1, 60 // per_min + 1))
        if path == F4:
            self.assertEqual(answer.body, {"error": "Too Many Requests", "message": "Rate limit exceeded"})
        else:
            self.assertEqual(answer.body, {"success": False, "error": "RATE_LIMITED", "message": "Too many requests"})

    def user(self) -> str:
        """A new one, with the admin's password."""
        name = f"user-{uuid.uuid4()}"
        self.stack.sql(
            "INSERT INTO ingress.users (username, password_hash, role)"
            f" SELECT '{name}', password_hash, 'user' FROM ingress.users WHERE username = 'admin'"
        )
        return name

    def use_up(self, per_min: int, be_wrong):
        """Be wrong until the limit says so: after a minute's worth, and what came meanwhile."""
        answers = [be_wrong() for _ in range(per_min)]
        self.assertEqual({answer.status for answer in answers}, {401})
        self.until_limited(per_min, be_wrong)

    def until_limited(self, per_min: int, be_wrong):
        for _ in range(per_min):
            if (last := be_wrong()).status == 429:
                return self.limited(last, per_min)
        self.fail(f"no limit after {per_min}")

    def use_up_logins(self, client: str, username: str):
        self.use_up(LOGINS, lambda: self.log_in(client, username))

    def use_up_user(self, username: str):
        self.use_up(LOGINS, lambda: self.log_in(address(), username))

    def use_up_address(self, client: str):
        self.use_up(LOGINS, lambda: self.log_in(client, f"nobody-{uuid.uuid4()}"))

    def use_up_credentials(self, client: str):
        wrong = itertools.cycle(("wrong-key", "a.b.c"))
        self.use_up(CREDENTIALS, lambda: self.show(client, next(wrong)))


class Logins(Guarded):
    def test_wrong_ones_of_an_address(self):
        here = address()
        self.use_up_address(here)
        self.limited(self.log_in(here, self.user(), self.password), LOGINS)  # not looked at, right or wrong
        self.assertEqual(self.log_in(address(), self.user(), self.password).status, 200)

    def test_wrong_ones_for_a_user_from_many_addresses(self):
        name = self.user()
        self.use_up_user(name)
        self.limited(self.log_in(address(), name, self.password), LOGINS)

    def test_right_ones_are_not_counted(self):
        name, here = self.user(), address()
        for _ in range(3 * LOGINS):
            self.assertEqual(self.log_in(here, name, self.password).status, 200)

    def test_who_logged_in_before_is_not_locked_out(self):
        name, home = self.user(), address()
        self.assertEqual(self.log_in(home, name, self.password).status, 200)
        self.use_up_user(name)
        self.use_up_address(home)
        self.assertEqual(self.log_in(home, name, self.password).status, 200)
        self.restart()  # nor by a process that never saw him
        self.until_limited(LOGINS, lambda: self.log_in(address(), name))
        self.assertEqual(self.log_in(home, name, self.password).status, 200)

    def test_the_wait_that_is_named_is_enough(self):
        name, here = self.user(), address()
        self.use_up_logins(here, name)
        wait_until(lambda: self.log_in(here, name, self.password).status == 200, 60 / LOGINS + 5, "a login", every=0.5)

    def test_what_a_client_claims_to_have_been_forwarded_does_not_help(self):
        here = address()
        self.use_up(LOGINS, lambda: self.log_in(f"{address()}, {here}", f"nobody-{uuid.uuid4()}"))

    def test_a_flood_leaves_room_for_others(self):
        """Many clients at once, each within its limit: hashing takes one processor, and others get their answers."""
        name, home = self.user(), address()
        self.assertEqual(self.log_in(home, name, self.password).status, 200)
        with concurrent.futures.ThreadPoolExecutor(60) as pool:
            flood = [pool.submit(self.log_in, address(), f"nobody-{uuid.uuid4()}") for _ in range(180)]
            wait_until(lambda: any(one.done() for one in flood), 20, "the flood", every=0.01)
            self.assertIsInstance(self.admin.call("GET", F4), list)
            self.assertEqual(self.log_in(home, name, self.password).status, 200)
            self.assertFalse(all(one.done() for one in flood), "the flood was over too soon to tell")
            answers = [one.result() for one in flood]
        self.assertEqual({answer.status for answer in answers}, {401, 503})
        for answer in answers:
            if answer.status == 503:
                self.assertEqual(answer.headers["Retry-After"], "1")
                self.assertEqual(answer.body, {"error": "Service Unavailable", "message": "Too many logins at once"})


class Credentials(Guarded):
    def test_wrong_ones_of_an_address_in_the_familys_words(self):
        here = address()
        self.use_up_credentials(here)
        self.limited(self.show(here, "wrong-key", F0), CREDENTIALS, F0)
        self.limited(self.show(here, "a.b.c", F0), CREDENTIALS, F0)
        expired = ("eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxIiwiZXhwIjoxfQ."
                   "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")  # fmt: skip
        self.limited(self.show(here, expired), CREDENTIALS)
        self.limited(self.socket(here, "wrong"), CREDENTIALS)
        self.assertEqual(self.show(address(), "wrong-key").status, 401)

    def socket(self, client: str, token: str):
        """The answer to the upgrade to a WebSocket."""
        key = base64.b64encode(b"0123456789abcdef").decode()
        upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Key": key, "Sec-WebSocket-Version": "13"}
        return self.ask("GET", f"/api/ws/123?token={token}", headers=upgrade | {"X-Forwarded-For": client})

    def test_tokens_of_websockets_count_too(self):
        here = address()
        self.use_up(CREDENTIALS, lambda: self.socket(here, "wrong"))
        self.limited(self.show(here, "wrong-key"), CREDENTIALS)

    def test_none_at_all_is_not_counted(self):
        here = address()
        for _ in range(2 * CREDENTIALS):
            self.assertEqual(self.ask("GET", F4, headers={"X-Forwarded-For": here}).status, 401)

    def test_right_ones_pass_from_the_same_address(self):
        here = address()
        key = self.other_user(f"known-{uuid.uuid4()}").headers["Authorization"].split()[1]
        self.assertEqual(self.show(here, key).status, 200)
        self.deciders.redis("FLUSHALL")  # so that the key has to be looked up again
        self.use_up_credentials(here)
        self.assertEqual(self.show(here, key).status, 200)
        self.assertEqual(self.show(here, self.admin.token).status, 200)
        new = self.other_user(f"new-{uuid.uuid4()}").headers["Authorization"].split()[1]
        self.limited(self.show(here, new), CREDENTIALS)
        wait_until(lambda: self.show(here, new).status == 200, 60 / CREDENTIALS + 5, "the new key", every=0.5)

    def test_they_are_counted(self):
        here = address()
        self.use_up_credentials(here)
        lines = self.admin.call("GET", "/metrics").splitlines()
        values = {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if line[0] != "#")}
        self.assertGreaterEqual(values["kentongan_credentials_wrong_total"], CREDENTIALS)
        self.assertGreaterEqual(values["kentongan_credentials_limited_total"], 1)


class WithoutRedis(Guarded):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.stack.ctl("stop", "redis")
        cls.addClassCleanup(cls.redis_again)

    @classmethod
    def redis_again(cls):
        cls.stack.ctl("start", "redis")
        cls.deciders.redis.close()
        cls.deciders.redis.__init__(cls.stack)

    def test_limits_hold_and_what_is_right_passes(self):
        name, here, home = self.user(), address(), address()
        key = (self.stack.state / "secrets/api_key").read_text().strip()
        self.assertEqual(self.log_in(home, name, self.password).status, 200)
        self.assertEqual(self.show(here, key).status, 200)
        self.use_up_credentials(here)
        self.use_up_logins(here, self.user())
        self.use_up_user(name)
        self.limited(self.log_in(address(), name, self.password), LOGINS)
        self.assertEqual(self.log_in(home, name, self.password).status, 200)
        self.assertEqual(self.show(here, key).status, 200)
        self.assertEqual(self.show(here, self.admin.token).status, 200)


if __name__ == "__main__":
    run_all("ingress-limits")
