"""What README.md says under "Using it" and "Running it", done as it stands against a private stack."""

import os
import pathlib
import re
import subprocess
import sys
import time
import unittest

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests" / "lib"))
from stack import Stack  # noqa: E402
from client import webhook_signature  # noqa: E402

BUILD = sys.argv.pop() if len(sys.argv) > 1 else TOP / "build" / "asan"
README = (TOP / "README.md").read_text()


def blocks(heading: str, *languages: str) -> list[tuple[str, str]]:
    """(language, text) of the fenced blocks below a heading of the second level."""
    found = re.search(rf"^## {heading}\n(.*?)(?=^## |\Z)", README, re.M | re.S)
    assert found, f"README.md has no heading {heading}"
    fenced = re.findall(r"^```(\w+)\n(.*?)^```$", found.group(1), re.M | re.S)
    return [(language, text) for language, text in fenced if language in languages]


def script(parts: list[tuple[str, str]]) -> str:
    """One bash program, as if a reader had pasted block after block into one terminal; Python goes to Python."""
    lines = ["set -euo pipefail"]
    for number, (language, text) in enumerate(parts, 1):
        lines.append(f"echo '-- block {number}' >&2")
        lines.append(text if language == "bash" else f'"$PYTHON" - <<\'END_OF_PYTHON\'\n{text}END_OF_PYTHON')
    return "\n".join(lines)


class Readme(unittest.TestCase):
    def test_the_commands_work_as_they_stand(self):
        parts = blocks("Using it", "bash", "python") + blocks("Running it", "bash")
        self.assertGreater(len(parts), 10)
        with Stack("readme", BUILD) as stack:
            stack.up()
            env = stack.env | {"PYTHON": sys.executable}
            done = subprocess.run(
                ["bash", "-c", script(parts)], env=env, cwd=TOP, capture_output=True, text=True, timeout=240
            )
            self.assertEqual(done.returncode, 0, f"{done.stdout}\n{done.stderr}")
            for promised in (
                '"accepted":2,"skipped":1',
                "Hi Budi, your code is B2",
                "wa.blast.events.v1-value",
                "submitted ",
                "From a file\tCOMPLETED\t2",
            ):
                self.assertIn(promised, done.stdout)

    def test_the_check_of_a_webhook_holds(self):
        names: dict = {}
        (text,) = [text for language, text in blocks("Using it", "python") if "is_genuine" in text]
        exec(text, names)  # what a reader would copy
        secret, body, now = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=", b'{"event":"message"}', str(int(time.time()))
        headers = {
            "webhook-id": "msg_1",
            "webhook-timestamp": now,
            "webhook-signature": webhook_signature(secret, "msg_1", now, body),
        }
        self.assertTrue(names["is_genuine"](secret, headers, body))
        self.assertFalse(names["is_genuine"](secret, headers, body + b" "))
        self.assertFalse(names["is_genuine"](secret, headers | {"webhook-timestamp": "1"}, body))

    def test_links_lead_somewhere(self):
        anchors = {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in re.findall(r"^#+ (.*)$", README, re.M)}
        for target in re.findall(r"\]\(#([^)]*)\)", README):
            self.assertIn(target, anchors)

    def test_exit_statuses_are_those_of_the_program(self):
        listed = re.findall(r'X\(\w+, (\d+),\s*"(.*?)"\)', (TOP / "libs/svc/svc_exit.h").read_text())
        self.assertGreater(len(listed), 5)
        for status, meaning in listed:
            self.assertIn(f"| {status} | {meaning} |", README)

    def test_files_named_exist(self):
        for page in ("README.md", "CONTRIBUTING.md", "docs/rules.md"):
            for name in re.findall(r"`((?:docs|deploy|tests|libs|services|schemas|migrations)/[\w./]+)`", (TOP / page).read_text()):
                placeholder = re.search(r"/[A-Z]+(/|$)", name)  # tests/corpus/X/
                self.assertTrue(placeholder or (TOP / name).exists(), f"{page}: {name}")


if __name__ == "__main__":
    os.chdir(TOP)
    unittest.main()
