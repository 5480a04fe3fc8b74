"""deploy/lib/ctl, migrate and deploy/down, tried on servers of their own."""

import contextlib
import os
import pathlib
import socket
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from stack import TOP, Stack, listening_ports, wait_until  # noqa: E402

BUILD = sys.argv.pop() if len(sys.argv) > 1 else TOP / "build" / "asan"


def processes_of(folder: pathlib.Path) -> list[str]:
    """Command lines that name the folder: what a stop has left behind."""
    found = []
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if str(folder) in line and int(entry.name) != os.getpid():
                found.append(line)
    return found


class Servers(unittest.TestCase):
    def setUp(self):
        self.stack = self.enterContext(Stack("servers", BUILD))

    def test_a_killed_server_comes_back_with_its_data(self):
        self.stack.ctl("start")
        self.stack.run("deploy/lib/migrate")
        self.stack.sql("create table public.kept (n int); insert into public.kept values (7)")
        self.stack.ctl("kill")
        self.assertNotEqual(self.stack.ctl("check", check=False).returncode, 0)
        self.stack.ctl("start")
        self.stack.ctl("check")
        self.assertEqual(self.stack.sql("select n from public.kept"), [["7"]])

    def test_servers_are_set_up_as_the_services_need_them(self):
        self.stack.ctl("start", "postgres", "redis")
        self.assertEqual(self.stack.sql("show synchronous_commit", "postgres"), [["on"]])
        with socket.create_connection(("127.0.0.1", self.stack.port("redis")), 5) as redis:
            redis.sendall(f"AUTH {self.stack.secret('redis_password')}\r\n".encode())
            redis.sendall(b"CONFIG GET maxmemory-policy\r\nCONFIG GET save\r\nPING\r\n")
            answer = b""
            while b"PONG" not in answer:
                answer += redis.recv(4096)
        self.assertIn(b"noeviction", answer)
        self.assertIn(b"$4\r\nsave\r\n$0\r\n", answer)

    def test_a_password_is_asked_for_and_secrets_are_closed(self):
        self.stack.ctl("start", "postgres")
        right = self.stack.conninfo("postgres")
        with self.assertRaisesRegex(AssertionError, "password authentication failed"):
            self.stack.conninfo = lambda _database: right.rpartition("=")[0] + "=wrong"
            self.stack.sql("select 1")
        secrets = self.stack.state / "secrets"
        self.assertEqual(secrets.stat().st_mode & 0o777, 0o700)
        self.assertTrue(all(file.stat().st_mode & 0o077 == 0 for file in secrets.iterdir()))

    def test_redis_asks_for_a_password_that_no_command_line_shows(self):
        self.stack.ctl("start", "redis")
        with socket.create_connection(("127.0.0.1", self.stack.port("redis")), 5) as redis:
            redis.sendall(b"PING\r\n")
            self.assertIn(b"NOAUTH", redis.recv(4096))
        password = self.stack.secret("redis_password")
        self.assertEqual(self.stack.redis("PING"), "PONG")
        self.assertNotIn(password, (pathlib.Path("/proc") / str(self.stack.pid("redis")) / "cmdline").read_text())
        self.assertEqual((self.stack.state / "redis/redis.conf").stat().st_mode & 0o777, 0o600)
        self.assertNotIn(password, (self.stack.state / "log/redis.log").read_text())
        told = self.stack.status()["redis"]
        self.assertEqual(told, f"redis://default:{password}@127.0.0.1:{self.stack.port('redis')}")
        asked = subprocess.run(["redis-cli", "-u", told, "ping"], capture_output=True, text=True, timeout=10)
        self.assertEqual(asked.stdout.strip(), "PONG")

    def test_a_redis_of_older_settings_is_restarted(self):
        self.stack.ctl("start", "redis")
        before = self.stack.pid("redis")
        self.stack.ctl("start", "redis")
        self.assertEqual(self.stack.pid("redis"), before)
        (self.stack.state / "secrets/redis_password").write_text("another\n")
        self.stack.ctl("start", "redis")
        self.assertEqual(self.stack.redis("PING"), "PONG")

    def test_a_taken_port_is_named_with_its_holder(self):
        for part, setting in (("postgres", "POSTGRES"), ("redis", "REDIS"), ("kafka", "KAFKA")):
            with self.subTest(part), socket.create_server(("127.0.0.1", self.stack.port(part))):
                done = self.stack.ctl("start", part, check=False)
                self.assertEqual(done.returncode, 1)
                self.assertRegex(done.stderr, f"port {self.stack.port(part)} .* is taken by .*pid {os.getpid()}")
                self.assertIn(f"KENTONGAN_PORT_{setting}=PORT", done.stderr)

    def test_a_foreign_folder_is_refused_and_left_alone(self):
        self.stack.state.mkdir()
        (self.stack.state / "letters").write_text("mine")
        self.assertIn("not a state directory", self.stack.ctl("start", "redis", check=False).stderr)
        self.stack.run("deploy/down", "--purge")
        self.assertTrue((self.stack.state / "letters").exists())

    def test_down_leaves_nothing_running_and_purge_nothing_on_disk(self):
        self.stack.ctl("start")
        self.assertTrue(processes_of(self.stack.state))
        self.stack.run("deploy/down", "--purge")
        wait_until(lambda: not processes_of(self.stack.state), 5, "the processes to be gone")
        used = range(self.stack.port_base, self.stack.port_base + 40)
        self.assertTrue(listening_ports().isdisjoint(used))
        self.assertFalse(self.stack.state.exists())

    def test_migrations_run_twice_and_give_roles_their_passwords(self):
        self.stack.ctl("start", "postgres")
        self.stack.run("deploy/lib/migrate")
        self.stack.run("deploy/lib/migrate")
        superuser = self.stack.conninfo
        self.stack.conninfo = lambda database: superuser(database, role="dashboard")
        self.assertEqual(self.stack.sql("select current_user"), [["dashboard"]])


if __name__ == "__main__":
    unittest.main()
