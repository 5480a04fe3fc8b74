"""deploy/demo from nothing, once more while the stack is up, and again after deploy/down; then nothing is left."""

import json
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from driver import Driver  # noqa: E402
from stack import TOP, Stack, listening_ports, wait_until  # noqa: E402

RECIPIENTS = 300
MEMBERS = "recipients sent delivered read failed decrypted duplicates violations webhooks seconds".split()


def demo(stack: Stack) -> None:
    done = stack.run("deploy/demo", "--json", "--recipients", str(RECIPIENTS), check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads(done.stdout)
    assert list(result) == MEMBERS, result
    for name in ("recipients", "sent", "delivered", "read", "decrypted"):
        assert result[name] == RECIPIENTS, result
    assert result["failed"] == result["duplicates"] == result["violations"] == 0 and result["webhooks"] == 100, result
    for said in ("[##############################]", "signature checked", "curl -s", "deploy/down"):
        assert said in done.stderr, f"{said} is missing in:\n{done.stderr}"
    check_course(done.stderr)
    print(f"the demo took {result['seconds']} s")


def check_course(said: str) -> None:
    """Half-way it stood still, and went on from there; the bar tells rate and time left."""
    still = re.search(r"it stands still, (\d+) sent for", said)
    assert still and RECIPIENTS // 2 <= int(still[1]) < RECIPIENTS, said
    bars = [(int(done), int(rate)) for done, rate in re.findall(rf"\] (\d+)/{RECIPIENTS} +(\d+)/s", said)]
    assert [done for done, _ in bars] == sorted(done for done, _ in bars), said
    assert any(rate > 0 for _, rate in bars) and " s left" in said, said
    rate = re.search(r"(\d+) messages a second while it ran", said)
    assert rate and int(rate[1]) > 0, said


def check_status(stack: Stack) -> None:
    where = stack.status()
    assert set(where) == {
        "ingress", "registry", "kafka", "postgres", "redis", "admin_user", "admin_password_file", "api_key_file", "sandbox",
    }, where  # fmt: skip
    assert set(where["sandbox"]) == {"ws", "admin", "root_key_file", "ca_file"}, where
    assert len(bytes.fromhex(pathlib.Path(where["sandbox"]["root_key_file"]).read_text().strip())) == 32
    shown = stack.run("deploy/status").stdout
    for part in ("postgres", "redis", "kafka", "sandbox-1", "ingress-1", "connector-1", "scheduler-1", "tracker-1", "webhooks-1"):
        assert any(line.startswith(part) and " ok " in line for line in shown.splitlines()), shown
    behind = lags(shown)
    assert {consumer for consumer, _ in behind} == {"ingress", "connector", "scheduler", "tracker", "webhooks"}, shown
    check_lag_of_a_dead_one(stack)


def lags(shown: str) -> dict[tuple[str, str], int]:
    return {(consumer, topic): int(n) for consumer, topic, n in re.findall(r"^(\w+) +(wa\.\S+) +(\d+)$", shown, re.M)}


def check_lag_of_a_dead_one(stack: Stack) -> None:
    def behind() -> int:
        return lags(stack.run("deploy/status", check=False).stdout)["webhooks", "wa.session.events.v1"]

    wait_until(lambda: behind() == 0, 30, "webhooks to have read all")
    stack.ctl("kill", "webhooks-1")
    Driver(stack).create_session(name="While webhooks is away")
    assert stack.run("deploy/status", check=False).returncode == 1
    wait_until(lambda: behind() > 0, 30, "deploy/status to say that webhooks is behind")
    stack.ctl("start", "webhooks-1")
    wait_until(lambda: behind() == 0, 60, "webhooks to have read all again")


def main(build: str) -> None:
    with Stack("demo", build) as stack:
        demo(stack)
        check_status(stack)
        demo(stack)
        stack.run("deploy/down")
        used = range(stack.port_base, stack.port_base + 40)
        assert listening_ports().isdisjoint(used), "deploy/down left something that listens"
        demo(stack)
        stack.run("deploy/down", "--purge")
        assert not stack.state.exists()


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else str(TOP / "build" / "asan"))
