"""deploy/up, install and down when something is in the way: what is said, and that nothing is left running."""

import os
import pathlib
import socket
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from driver import SETTINGS  # noqa: E402
from stack import TOP, Stack, listening_ports  # noqa: E402

BUILD = sys.argv.pop() if len(sys.argv) > 1 else TOP / "build" / "asan"
# by name in deploy/lib/ports: the variable that the error must offer
PORTS = {
    "postgres": "POSTGRES", "redis": "REDIS", "kafka": "KAFKA", "kafka-controller": "KAFKA_CONTROLLER",
    "sandbox": "SANDBOX", "sandbox-ws": "SANDBOX_WS", "ingress": "INGRESS", "connector": "CONNECTOR",
    "connector-2": "CONNECTOR", "scheduler": "SCHEDULER", "tracker": "TRACKER", "webhooks": "WEBHOOKS",
}  # fmt: skip


class Up(unittest.TestCase):
    def setUp(self):
        self.stack = self.enterContext(Stack("up", BUILD))

    def fails(self, said: str, command: str, *arguments: str, env: dict[str, str] | None = None) -> None:
        done = self.stack.run(command, *arguments, check=False, env=env)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertRegex(done.stderr, said)

    def shadow(self, **programs: str) -> dict[str, str]:
        """An environment in which each named program is the given shell script."""
        folder = self.stack.folder / "shadow"
        folder.mkdir()
        for name, text in programs.items():
            file = folder / name.replace("_", "-")
            file.write_text(f"#!/bin/sh\n{text}\n")
            file.chmod(0o755)
        return {"PATH": f"{folder}:{os.environ['PATH']}"}

    def assert_nothing_runs(self):
        used = range(self.stack.port_base, self.stack.port_base + 40)
        self.assertTrue(listening_ports().isdisjoint(used))

    def test_each_taken_port_is_named_before_anything_starts(self):
        for name, setting in PORTS.items():
            port = self.stack.port(name)
            with self.subTest(name), socket.create_server(("127.0.0.1", port)):
                said = f"port {port} for .* is taken by .*pid {os.getpid()}.*KENTONGAN_PORT_{setting}=PORT"
                self.fails(said, "deploy/up", "--build", str(self.stack.build), "--instances", "connector=2")
            self.assert_nothing_runs()

    def test_a_full_disk(self):
        env = self.shadow(df="printf 'Filesystem 1024-blocks Used Available\\nx 9 9 4096\\n'")
        self.fails("the disk is full: .* has 4 MB free, [0-9]+ MB are needed", "deploy/up", "--build", str(BUILD), env=env)
        self.assert_nothing_runs()

    def test_a_state_directory_that_cannot_be(self):
        self.fails("cannot make the state directory /proc/state", "deploy/up", env={"KENTONGAN_STATE": "/proc/state"})

    def test_missing_packages(self):
        none = "exit 1"
        for said, apt in (
            ("a package is unknown here; this needs Debian 12", "echo 'E: Unable to locate package x' >&2; exit 100"),
            ("Debian's archive cannot be reached", "echo 'E: Failed to fetch x' >&2; exit 100"),
            ("another package manager is at work", "echo 'E: Could not get lock x' >&2; exit 100"),
        ):
            env = self.shadow(dpkg_query=none, apt_get=apt, sudo='exec "$@"')
            with self.subTest(said):
                self.fails("missing packages: .*libuv1-dev", "deploy/install", "--check", env=env)
                self.fails(said, "deploy/install", env=env)
            for file in (self.stack.folder / "shadow").iterdir():
                file.unlink()
            (self.stack.folder / "shadow").rmdir()

    def test_what_cannot_start_leaves_nothing_and_fewer_instances_are_stopped(self):
        wrong = ("--set", "BLAST_TIMEZONE=Nowhere/City")
        self.fails("scheduler-1 ended while starting", "deploy/up", "--build", str(BUILD), *wrong)
        self.assert_nothing_runs()
        self.stack.up("--instances", "connector=2", settings=SETTINGS | {"BLAST_TIMEZONE": "UTC"})
        self.assertTrue(self.stack.is_running("connector-2"))
        # what ran before stays, whatever else goes wrong
        self.fails("scheduler-1 ended while starting", "deploy/up", "--build", str(BUILD), *wrong)
        self.assertTrue(self.stack.is_running("kafka") and self.stack.is_running("connector-2"))
        self.stack.up("--instances", "connector=1", settings={"BLAST_TIMEZONE": "UTC"})
        self.assertFalse(self.stack.is_running("connector-2"))
        self.assertTrue(self.stack.is_running("connector-1"))
        self.assertNotIn("connector-2", self.stack.run("deploy/status").stdout)


if __name__ == "__main__":
    unittest.main()
