"""Clients that are not ours, and the sandbox that they talk to: child processes with JSON lines on their pipes.

    with Sandbox(build) as sandbox, whatsmeow(sandbox, build, "ada") as ada:
        ada.pair(sandbox)
        ada.say("send", to="4915122222222", text="hi")
        ada.wait("sent")

Commands: connect; disconnect; send {to, text}; read {ids, chat, sender}; lookup {number}; logout; quit.
Events: ready; qr {text}; paired {jid, lid, number}; connected; push_name {name}; history {type}; online;
sent {id, to, text}; message {id, text, chat, sender, from_me, push_name}; receipt {type, ids, chat, sender};
status {status, id, chat} (Baileys); found {number, exists, jid}; undecryptable {id}; failed {command, text}; log {level, text}; disconnected; stopped;
replaced; logged_out {reason}.
"""

import contextlib
import fcntl
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parents[1]
sys.path.insert(0, str(TOP / "tests/lib"))

from stack import wait_until # noqa: E402

PATIENCE_S = float(os.environ.get("PEER_PATIENCE", "60"))


def toolchain(tool: str) -> str:
    """The folder of a new enough go or node."""
    found = subprocess.run([TOP / "tests/lib/toolchain", tool], check=True, capture_output=True, text=True)
    return found.stdout.strip()


class Sandbox:
    """A sandbox of one's own, on free ports; or the one of a stack, given by its status."""

    def __init__(self, build: pathlib.Path, status: dict | None = None):
        self.folder = None
        self.process = None
        if status:
            self.admin = status["sandbox"]["admin"]
            self.ca_file = status["sandbox"]["ca_file"]
            self.root_key = pathlib.Path(status["sandbox"]["root_key_file"]).read_text().strip()
            self.address = status["sandbox"]["ws"].split("/")[2]
            return
        self.folder = tempfile.mkdtemp(prefix="kentongan-sandbox.")
        self.program = build / "services/sandbox/sandbox"
        self.env = {"PATH": os.environ["PATH"], "SANDBOX_STATE_DIR": self.folder + "/state", "SANDBOX_WS_PORT": "0",
                    "SANDBOX_ADMIN_PORT": "0", "SANDBOX_ACK_GRACE_MS": str(int(4000 * PATIENCE_S))}
        self.env |= {name: value for name, value in os.environ.items() if name.endswith("SAN_OPTIONS")}
        self.start()

    def start(self):
        self.log = open(pathlib.Path(self.folder, "log"), "wb")
        self.process = subprocess.Popen([self.program], env=self.env, stderr=self.log)
        opened = self.wait_for_line("the sandbox is open")
        self.admin = f"http://127.0.0.1:{opened['admin_port']}"
        self.address = f"127.0.0.1:{opened['ws_port']}"
        self.ca_file = self.folder + "/state/ca.pem"
        self.root_key = pathlib.Path(self.folder, "state/root_key").read_text().strip()

    def stop(self):
        self.process.terminate()
        status = self.process.wait(PATIENCE_S)
        self.log.close()
        if status != 0:
            raise AssertionError(f"the sandbox ended with {status}:\n{pathlib.Path(self.folder, 'log').read_text()}")

    def wait_for_line(self, message: str) -> dict:
        log = pathlib.Path(self.folder, "log")

        def find():
            if self.process.poll() is not None:
                raise AssertionError("the sandbox did not start:\n" + log.read_text())
            lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
            return next((line for line in lines if line["message"] == message), None)

        return wait_until(find, PATIENCE_S, message)

    def call(self, method: str, path: str, body=None):
        data = body.encode() if isinstance(body, str) else None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.admin + path, data=data, method=method)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{method} {path}: {error.code} {error.read().decode()}") from error

    def phones(self, numbers: list[str], **behaviour) -> list[dict]:
        return self.call("POST", "/admin/phones", {"numbers": numbers, **behaviour})["phones"]

    def scan(self, qr: str, number: str) -> dict:
        return self.call("POST", f"/admin/mock-phone/scan-qr?number={number}", qr)

    def ledger(self, **query) -> list[dict]:
        text = "&".join(f"{name}={value}" for name, value in query.items())
        return self.call("GET", f"/admin/ledger?limit=10000&{text}")["entries"]

    def check(self):
        """Nobody broke a rule, and every stanza was acked."""
        summary = wait_until(lambda: (now := self.call("GET", "/admin/summary"))["queued"] == 0 and now, 2 * PATIENCE_S,
                             "the acks of what is queued")
        if summary["violations"] or summary["duplicates"]:
            raise AssertionError(json.dumps([summary, self.call("GET", "/admin/violations")], indent=1))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process is not None:
            try:
                self.stop()
            finally:
                shutil.rmtree(self.folder)


class Peer:
    """One client process."""

    def __init__(self, name: str, command: list, env: dict):
        self.name = name
        self.folder = tempfile.mkdtemp(prefix=f"kentongan-{name}.")
        self.command = [str(part).replace("@STATE@", self.folder) for part in command]
        self.env = env
        self.start()

    def start(self):
        """A new process with the credentials of the one before."""
        self.events = []
        self.changed = threading.Condition()
        self.ended = False
        self.process = subprocess.Popen(self.command, env=self.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True)
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()
        self.wait("ready")

    def read(self):
        for line in self.process.stdout:
            event = json.loads(line)
            if os.environ.get("PEER_TRACE"):
                print(self.name, line.strip(), file=sys.stderr)
            with self.changed:
                self.events.append(event)
                self.changed.notify_all()
        with self.changed:
            self.ended = True
            self.changed.notify_all()

    def say(self, cmd: str, **fields):
        self.process.stdin.write(json.dumps({"cmd": cmd, **fields}) + "\n")
        self.process.stdin.flush()

    def find(self, event: str, fields: dict) -> list[dict]:
        return [e for e in self.events if e["event"] == event and all(e.get(k) == v for k, v in fields.items())]

    def wait(self, event: str, seconds: float = PATIENCE_S, count: int = 1, **fields) -> dict:
        """The count-th event of that kind with those fields; it may have come before."""
        end = time.monotonic() + seconds
        with self.changed:
            while len(self.find(event, fields)) < count:
                left = end - time.monotonic()
                failed = [e for e in self.events if e["event"] == "failed"]
                if left <= 0 or self.ended or failed:
                    raise AssertionError(f"{self.name} has no {event} {fields}; it said:\n" +
                                         "\n".join(map(json.dumps, self.events[-40:])))
                self.changed.wait(left)
            return self.find(event, fields)[count - 1]

    def wait_receipt(self, kind: str, message_id: str, **fields) -> dict:
        def find():
            found = self.find("receipt", {"type": kind, **fields})
            return next((event for event in found if message_id in event["ids"]), None)

        return wait_until(find, PATIENCE_S, f"a {kind} receipt of {message_id} at {self.name}: {self.events[-20:]}")

    def pair(self, sandbox: Sandbox, number: str):
        """Link it to the phone with that number; connected afterwards, and done with what the phone sends at first:
        whatsmeow may use a counter of a session twice when it writes and reads with it at the same time."""
        self.say("connect")
        sandbox.scan(self.wait("qr")["text"], number)
        self.wait("paired", number=number)
        self.wait("connected")
        self.wait("history")

    def send(self, to: str, text: str) -> str:
        self.say("send", to=to, text=text)
        return self.wait("sent", to=to, text=text)["id"]

    def stop(self):
        if self.process.poll() is None:
            self.say("quit")
            self.process.wait(PATIENCE_S)
        self.reader.join()
        self.process.stdin.close()
        self.process.stdout.close()

    def restart(self):
        self.stop()
        self.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            self.stop()
        finally:
            if self.process.poll() is None:
                self.process.kill()
            shutil.rmtree(self.folder)


def clean_env(**more) -> dict:
    kept = ("PATH", "HOME", "LANG", "TMPDIR", "PEER_TRACE", "GOPROXY", "GOFLAGS", "GOSUMDB", "GOCACHE", "GOMODCACHE",
            "GOPATH", "SSL_CERT_FILE", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "https_proxy", "http_proxy", "no_proxy")
    return {name: os.environ[name] for name in kept if name in os.environ} | more


@contextlib.contextmanager
def one_at_a_time(build: pathlib.Path):
    """Several tests build the peers, and ctest runs tests side by side."""
    folder = build / "tests/interop"
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder


def build_whatsmeow(build: pathlib.Path) -> pathlib.Path:
    folder = toolchain("go")
    env = clean_env(PATH=folder + ":" + os.environ["PATH"], GOTOOLCHAIN="local", CGO_ENABLED="1")
    env.setdefault("GOFLAGS", "-mod=readonly")
    with one_at_a_time(build) as made:
        program = made / "whatsmeow-peer"
        subprocess.run([folder + "/go", "build", "-o", program, "."], cwd=HERE / "whatsmeow", env=env, check=True)
    return program


def build_baileys(build: pathlib.Path) -> pathlib.Path:
    wanted = (HERE / "baileys/package-lock.json").read_bytes()
    with one_at_a_time(build) as made:
        folder = made / "baileys"
        stamp = folder / "node_modules/.installed"
        folder.mkdir(exist_ok=True)
        if not stamp.exists() or stamp.read_bytes() != wanted:
            install_baileys(folder)
            stamp.write_bytes(wanted)
        shutil.copy(HERE / "baileys/peer.mjs", folder)
    return folder / "peer.mjs"


# what Debian's own programs trust; a Node from elsewhere brings a list of its own, which lacks what was added here
MACHINE_CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"


def install_baileys(folder: pathlib.Path):
    for name in ("package.json", "package-lock.json", ".npmrc"):
        shutil.copy(HERE / "baileys" / name, folder)
    node = toolchain("node")
    npm = shutil.which("npm", path=node) or shutil.which("npm")
    env = {"NODE_EXTRA_CA_CERTS": MACHINE_CERTIFICATES, **os.environ, "PATH": node + ":" + os.environ["PATH"]}
    subprocess.run([npm, "ci", "--omit=optional", "--no-audit", "--no-fund", "--loglevel=error"], cwd=folder, env=env,
                   check=True)


def whatsmeow(sandbox: Sandbox, build: pathlib.Path, name: str) -> Peer:
    return Peer(name, [build_whatsmeow(build), "-address", sandbox.address, "-ca", sandbox.ca_file, "-root-key",
                       sandbox.root_key, "-state", "@STATE@/store.db"], clean_env())


def baileys(sandbox: Sandbox, build: pathlib.Path, name: str) -> Peer:
    return Peer(name, [toolchain("node") + "/node", build_baileys(build), sandbox.address, sandbox.ca_file,
                       sandbox.root_key, "@STATE@"], clean_env())
