"""A private stack for one test: its own state directory, ports, servers and services.

    with Stack("takeover", build) as stack:
        stack.up("--instances", "connector=2", settings={"ACCOUNT_RATE_PER_MIN": "0"})
        stack.ctl("kill", "connector-1")

At the end everything is stopped, also when the test is ended by SIGTERM. The logs are kept in <build>/stack-logs/<name>, and what a sanitizer says in them is a
failure.
"""

import atexit
import contextlib
import fcntl
import json
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
PORTS_PER_STACK = 40

# an exit like any other, so that what was started is stopped
signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))

sys.path.append(str(TOP / "deploy" / "lib"))  # for client, which the demo shares with the tests


def wait_until(condition, seconds: float, what: str, every: float = 0.05):
    """The first true value of condition(); AssertionError naming `what` when the time is up."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds} s in vain for {what}")
        time.sleep(every)


def listening_ports() -> set[int]:
    ports = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(FileNotFoundError), open(table) as lines:
            next(lines)
            for line in lines:
                fields = line.split()
                if fields[3] == "0A":
                    ports.add(int(fields[1].rsplit(":", 1)[1], 16))
    return ports


def take_ports():
    """(first of 40 free ports, a file to keep open while they are ours): the same locks as tests/lib/ports.sh."""
    folder = pathlib.Path(f"/tmp/kentongan-ports-{os.getuid()}")
    folder.mkdir(exist_ok=True)
    used = listening_ports()
    for _ in range(100):
        base = 20000 + random.randrange(300) * PORTS_PER_STACK
        lock = open(folder / str(base), "w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            continue
        if used.isdisjoint(range(base, base + PORTS_PER_STACK)):
            return base, lock
        lock.close()
    raise AssertionError("no free range of ports between 20000 and 32000")


def sanitizer_reports(logs: pathlib.Path) -> list[str]:
    """First lines of what ASan, LeakSanitizer or UBSan wrote."""
    found = []
    for file in sorted(logs.glob("*.log*")):
        for line in file.read_text(errors="replace").splitlines():
            if re.search(r"ERROR: \w+Sanitizer|: runtime error: ", line):
                found.append(f"{file.name}: {line[:300]}")
    return found


class Stack:
    def __init__(self, name: str, build: str | os.PathLike = TOP / "build" / "asan"):
        self.name = name
        self.build = pathlib.Path(build).resolve()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix=f"kentongan-{name}."))
        self.folder.chmod(0o755)  # PostgreSQL runs as another user when we are root, and must get in
        self.state = self.folder / "state"
        self.port_base, self._lock = take_ports()
        self._spawning = threading.Lock()
        self._spawned: list[subprocess.Popen] | None = []  # None: the stack is being stopped
        keep = {k: v for k, v in os.environ.items() if not k.startswith("KENTONGAN_")}
        self.env = keep | {
            "KENTONGAN_STATE": str(self.state),
            "KENTONGAN_PORT_BASE": str(self.port_base),
            "KENTONGAN_BUILD": str(self.build),
        }

    def __enter__(self) -> "Stack":
        atexit.register(self.__exit__, SystemExit, None, None)  # unittest cleans up after no SystemExit
        return self

    def __exit__(self, kind, _error, _trace) -> None:
        atexit.unregister(self.__exit__)
        with self._spawning:
            spawned, self._spawned = self._spawned, None
        try:
            stopped = self.run("deploy/down", check=False)
            for process in spawned:
                process.kill()  # one that had just begun, and had no pid file when deploy/down looked
                process.wait()
            kept = self.build / "stack-logs" / self.name
            shutil.rmtree(kept, ignore_errors=True)
            with contextlib.suppress(FileNotFoundError):
                shutil.copytree(self.state / "log", kept)
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)
            self._lock.close()
        if kind is not None:
            print(f"logs of the stack: {kept}")
        elif stopped.returncode != 0:
            raise AssertionError(f"deploy/down failed: {stopped.stderr}")
        elif broken := sanitizer_reports(kept):
            raise AssertionError(f"a sanitizer complained: {broken}")

    def run(self, command: str, *arguments: str, check: bool = True, seconds: float = 300, env=None):
        """Run a program of the tree with this stack's environment; its output is in the result."""
        done = subprocess.run(
            [str(TOP / command), *arguments],
            env=self.env | (env or {}),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
        )
        if check and done.returncode != 0:
            raise AssertionError(f"{command} {' '.join(arguments)}: status {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def up(self, *arguments: str, settings: dict[str, str] | None = None):
        pairs = [word for name, value in (settings or {}).items() for word in ("--set", f"{name}={value}")]
        return self.run("deploy/up", "--build", str(self.build), *pairs, *arguments)

    def ctl(self, *arguments: str, check: bool = True):
        return self.run("deploy/lib/ctl", *arguments, check=check)

    def spawn(self, instance: str, **env: str) -> subprocess.Popen:
        """Start an instance as a child of ours, so that its exit status is heard; ctl stops and kills it as others."""
        pairs = [word for name, value in env.items() for word in ("--env", f"{name}={value}")]
        with self._spawning:
            if self._spawned is None:
                raise AssertionError(f"{instance} is not started: the stack is being stopped")
            with open(self.state / "log" / f"{instance}.log", "ab") as log:
                process = subprocess.Popen(
                    [TOP / "deploy/lib/ctl", "exec", *pairs, instance],
                    env=self.env,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                )
            self._spawned.append(process)
            return process

    def status(self) -> dict:
        return json.loads(self.run("deploy/status", "--json").stdout)

    def pid(self, part: str) -> int | None:
        """The pid of redis, kafka or an instance such as connector-1, by its pid file."""
        file = self.state / "run" / f"{part}.pid"
        return int(file.read_text().split()[0]) if file.exists() else None

    def is_running(self, part: str) -> bool:
        """Whether the process that the pid file of redis, kafka or an instance names is there, and no zombie."""
        with contextlib.suppress(OSError, ValueError):
            pid, started = (self.state / "run" / f"{part}.pid").read_text().split()
            fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            return fields[0] != "Z" and fields[19] == started
        return False

    def redis(self, *words: str) -> str:
        """Ask Redis; its answer as redis-cli prints it."""
        command = ["redis-cli", "-h", "127.0.0.1", "-p", str(self.port("redis")), *words]
        env = self.env | {"REDISCLI_AUTH": self.secret("redis_password")}
        return subprocess.run(command, env=env, check=True, capture_output=True, text=True, timeout=30).stdout.strip()

    def secret(self, name: str) -> str:
        return (self.state / "secrets" / name).read_text().strip()

    def sql(self, statement: str, database: str = "whatsapp_sessions") -> list[list[str]]:
        """Rows of text, asked as the superuser."""
        done = subprocess.run(
            ["psql", "-X", "-q", "-A", "-t", "-F", "\t", "-v", "ON_ERROR_STOP=1", "-d", self.conninfo(database)],
            input=statement,
            capture_output=True,
            text=True,
            timeout=60,
        )
        if done.returncode != 0:
            raise AssertionError(f"{statement}: {done.stderr}")
        return [line.split("\t") for line in done.stdout.splitlines()]

    @contextlib.contextmanager
    def locked(self, table: str, database: str = "whatsapp_sessions"):
        """Within it nobody can write that table: who tries waits."""
        command = ["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", self.conninfo(database)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as psql:
            psql.stdin.write(f"begin; lock table {table} in share row exclusive mode; select 'locked';\n")
            psql.stdin.flush()
            assert psql.stdout.readline() == "locked\n", f"{table} cannot be locked"
            try:
                yield
            finally:
                psql.stdin.close()  # its end is that of the transaction

    def dump(self, database: str = "whatsapp_sessions") -> bytes:
        """All rows of all tables, as pg_dump writes them: text as it is, bytes in hex."""
        command = ["pg_dump", "--data-only", "--no-comments", "-d", self.conninfo(database)]
        return subprocess.run(command, check=True, capture_output=True, timeout=120).stdout

    def rows_read(self) -> int:
        """Rows that PostgreSQL has read for all statements up to now, but for those of the last second."""
        counted = "coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0)"
        return int(self.sql(f"select sum({counted}) from pg_stat_user_tables")[0][0])

    def conninfo(self, database: str = "whatsapp_sessions", role: str = "postgres") -> str:
        password = self.secret("postgres_password" if role == "postgres" else f"db_{role}")
        return f"host=127.0.0.1 port={self.port('postgres')} user={role} dbname={database} password={password}"

    def port(self, name: str) -> int:
        """A port by its name in deploy/lib/ports, or that of an instance (connector-2)."""
        at = self.port_base
        for line in (TOP / "deploy/lib/ports").read_text().splitlines():
            if not line or line.startswith("#"):
                continue
            known, _, count = line.split()
            if name == known:
                return at
            if name.rpartition("-")[0] == known and name.rpartition("-")[2].isdigit():
                return at + int(name.rpartition("-")[2]) - 1
            at += int(count)
        raise KeyError(name)
