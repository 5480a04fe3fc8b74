"""Fail on a document or rule that is cited and not in the tree, and on a test that docs/rules.md names and nobody wrote."""

import re
import subprocess
import sys

import sources

RULES = "docs/rules.md"
DOCUMENT = re.compile(r"\b[\w-]+\.md\b")
RULE = re.compile(r"\b(?:[LSBO][1-9]|INV-[0-9]+)\b(?!-)")
NOT_OURS = ("tests/corpus/", "tests/vectors/", "tests/interop/")


def tracked() -> dict[str, str]:
    """The text of every file in git that we wrote; what is no UTF-8 is no text."""
    found = {}
    listing = ["git", "-c", "safe.directory=*", "ls-files"]  # the tree may be another user's
    for name in subprocess.check_output(listing, cwd=sources.TOP, text=True).splitlines():
        path = sources.TOP / name
        if path.is_file() and not name.startswith(NOT_OURS):
            try:
                found[name] = path.read_text()
            except UnicodeDecodeError:
                pass
    return found


def complaints(files: dict[str, str]):
    documents = {name.rpartition("/")[2] for name in files if name.endswith(".md")}
    rules = set(re.findall(r"^\| ([A-Z]+-?[0-9]+) \|", files[RULES], re.MULTILINE))
    for name, text in files.items():
        cites_rules = name.endswith((".c", ".h", ".sql"))
        for number, line in enumerate(text.splitlines(), 1):
            for cited in DOCUMENT.findall(line):
                if cited not in documents:
                    yield f"{name}:{number}: {cited} is not in the tree"
            for cited in RULE.findall(line) if cites_rules else ():
                if cited not in rules:
                    yield f"{name}:{number}: {cited} is not in {RULES}"
    tests = "\n".join(text for name, text in files.items() if name.endswith(("_test.c", "_test.py")))
    for shown in re.findall(r"^\| [LSBO][0-9] \|.*\|(.*)\|$", files[RULES], re.MULTILINE):
        for test in re.findall(r"`(.*?)`", shown):
            if test not in files and not re.search(rf"\b{test}\(", tests):
                yield f"{RULES}: there is no test {test}"


def main() -> int:
    bad = list(complaints(tracked()))
    print("\n".join(bad))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
