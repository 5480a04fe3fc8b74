"""deploy/demo from nothing, once more while the stack is up, and again after deploy/down; then nothing is left."""

import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from stack import TOP, Stack, listening_ports  # noqa: E402

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
    for said in ("stands still", "[##############################]", "signature checked", "curl -s", "deploy/down"):
        assert said in done.stderr, f"{said} is missing in:\n{done.stderr}"
    print(f"the demo took {result['seconds']} s")


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
    assert "wa.message.events.v1" in shown and "behind" in shown, shown


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
