"""What tests of ingress share: one stack of servers, ingress itself, and stand-ins for the services behind it."""

import contextlib
import dataclasses
import hashlib
import http.client
import json
import pathlib
import subprocess
import sys
import unittest
import uuid

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parents[1]
sys.path[:0] = [str(HERE), str(TOP / "tests/lib"), str(TOP / "deploy/lib")]
from client import Api, ApiError  # noqa: E402
from deciders import Deciders  # noqa: E402
from stack import Stack  # noqa: E402

BUILD = sys.argv.pop() if len(sys.argv) > 1 else str(TOP / "build" / "asan")
EXAMPLES = TOP / "tests/vectors/contract"
F0 = "/api/blast-control/sessions"
F4 = "/api/sessions"


def example(name: str):
    return json.loads((EXAMPLES / name).read_text())


def shape(value):
    """The members of an example and their types, without the values."""
    return {name: shape(member) for name, member in value.items()} if isinstance(value, dict) else type(value)


@dataclasses.dataclass
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: dict


class Case(unittest.TestCase):
    """All share one stack: see run_all."""

    @classmethod
    def set_up(cls, stack: Stack):
        cls.stack = stack
        stack.ctl("start")
        stack.run("deploy/lib/migrate")
        topics = pathlib.Path(BUILD) / "libs/bus/kentongan-topics"
        subprocess.run([topics, "--brokers", f"127.0.0.1:{stack.port('kafka')}"], check=True, capture_output=True)
        cls.start_ingress()
        cls.url = f"http://127.0.0.1:{stack.port('ingress')}"
        cls.deciders = Deciders(stack, cls.url)
        cls.password = (stack.state / "secrets/admin_password").read_text().strip()
        cls.admin = Api(cls.url)
        cls.admin.login("admin", cls.password)

    settings: tuple[str, ...] = ()  # of the ingress that runs, NAME=VALUE

    @classmethod
    def start_ingress(cls):
        pairs = [word for setting in cls.settings for word in ("--env", setting)]
        cls.stack.ctl("start", *pairs, "ingress-1")

    @classmethod
    def restart(cls):
        cls.stack.ctl("stop", "ingress-1")
        cls.start_ingress()

    @classmethod
    @contextlib.contextmanager
    def ingress(cls, *settings: str):
        """Ingress with other settings."""
        before, Case.settings = Case.settings, settings
        try:
            cls.restart()
            yield
        finally:
            Case.settings = before
            cls.restart()

    def ask(self, method: str, path: str, body=None, headers: dict | None = None) -> Answer:
        """An answer with its headers. Without the admin's credential."""
        connection = http.client.HTTPConnection("127.0.0.1", self.stack.port("ingress"), timeout=30)
        try:
            connection.request(method, path, json.dumps(body) if isinstance(body, dict) else body, headers or {})
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, json.loads(answer.read() or b"null"))
        finally:
            connection.close()

    def setUp(self):
        self.deciders.on_command = None
        self.deciders.tell_channels = True
        self.deciders.errors.clear()

    def tearDown(self):
        self.assertEqual(self.deciders.errors, [])

    def refused(self, status: int, method: str, path: str, *arguments, api: Api | None = None, **named) -> dict:
        with self.assertRaises(ApiError) as caught:
            (api or self.admin).call(method, path, *arguments, **named)
        self.assertEqual(caught.exception.status, status, caught.exception)
        return caught.exception.body

    def other_user(self, name: str) -> Api:
        """Somebody else, by an API key that is put into the table."""
        key = f"key-of-{name}-{uuid.uuid4().hex}"
        self.stack.sql(
            f"INSERT INTO ingress.users (username, password_hash, role) VALUES ('{name}', '-', 'user');"
            f" INSERT INTO ingress.api_keys (user_id, name, prefix, sha256) SELECT id, 'test', 'key', "
            f"'{hashlib.sha256(key.encode()).hexdigest()}' FROM ingress.users WHERE username = '{name}'"
        )
        api = Api(self.url)
        api.headers["Authorization"] = f"bearer {key}"
        return api

    def session_of(self, session: dict) -> list[dict]:
        row = self.stack.sql(f"SELECT uuid FROM proj.sessions WHERE session_key = '{session['id']}'")
        return self.deciders.of(row[0][0])


def run_all(name: str):
    """All tests of the calling program, in one stack."""
    with Stack(name, BUILD) as stack:
        Case.set_up(stack)
        outcome = unittest.main(exit=False).result
        Case.deciders.close()
        if not outcome.wasSuccessful():
            sys.exit(1)  # inside, so that the stack keeps its logs
