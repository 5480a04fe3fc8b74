"""Fail on calls that the house style bans, on tests that sleep, and on files that grew too long.

A test waits for a condition with a time limit; only tests/lib, where the waiting is written, may sleep.
"""

import re
import sys

import sources

BANNED = re.compile(r"\b(strcpy|strcat|sprintf|vsprintf|gets|atoi|atol|strtok|gmtime|localtime|rand|srand|system|popen)\s*\(")
C_SLEEP = re.compile(r"\b(sleep|usleep|nanosleep|uv_sleep)\s*\(")
PY_SLEEP = re.compile(r"\btime\.sleep\s*\(")
C_NOISE = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"', re.DOTALL)
LINES_MAX = 1200


def keep_newlines(match: re.Match[str]) -> str:
    return "\n" * match[0].count("\n")


def complaints(path):
    text = path.read_text()
    is_test = path.stem.endswith("_test") or "tests" in path.relative_to(sources.TOP).parts
    if path.suffix == ".py":
        patterns = [(PY_SLEEP, "a test sleeps")] if is_test and path.parent.name != "lib" else []
    else:
        text = C_NOISE.sub(keep_newlines, text)
        patterns = [(BANNED, "banned call")] + ([(C_SLEEP, "a test sleeps")] if is_test else [])
    for number, line in enumerate(text.splitlines(), 1):
        for pattern, what in patterns:
            if found := pattern.search(line):
                yield f"{number}: {what}: {found[0].rstrip('( ')}"
    if text.count("\n") > LINES_MAX:
        yield f"1: {text.count(chr(10))} lines, at most {LINES_MAX}: look for a seam"


def main() -> int:
    bad = [f"{path.relative_to(sources.TOP)}:{text}" for path in sources.ours(".c", ".h", ".py") for text in complaints(path)]
    print("\n".join(bad))
    return 1 if bad else 0


sys.exit(main())
