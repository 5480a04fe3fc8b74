"""Fail when a source file includes a library that its layer may not see.

Layers, lowest first; a folder sees the layers below its own and, within PURE, what PURE_SEES names:
base < record, crypto < pure < loop < one outside thing each < ledger, svc < member < services.
"""

import pathlib
import re
import sys

BOTTOM = {"base"}
DATA = {"record", "crypto"}
PURE_SEES = {
    "domain": set(),
    "noise": set(),
    "wa": {"noise"},
}
PURE = set(PURE_SEES)
OUTSIDE = {"bus", "cache", "pg", "http", "ws", "sigstore"}
SHELL_SEES = {"ledger": {"bus", "pg"}, "svc": {"http"}, "member": {"ledger", "svc", "cache", "pg"}}
EVERY = BOTTOM | DATA | PURE | {"loop"} | OUTSIDE | set(SHELL_SEES)


def allowed(part: str, name: str) -> set[str]:
    if part == "services":
        return EVERY
    if name in BOTTOM or name == "testkit":
        return BOTTOM
    if name in DATA:
        return BOTTOM
    if name in PURE:
        return BOTTOM | DATA | PURE_SEES[name]
    if name == "loop":
        return BOTTOM
    if name in OUTSIDE:
        return BOTTOM | DATA | {"loop"} | ({"wa"} if name == "sigstore" else set())
    if name in SHELL_SEES:
        return BOTTOM | DATA | {"loop"} | SHELL_SEES[name]
    raise SystemExit(f"libs/{name} has no layer: add it to {__file__}")


def main() -> int:
    bad = 0
    for path in sorted(p for ext in "ch" for p in pathlib.Path(".").glob(f"*/*/**/*.{ext}")):
        part, name = path.parts[0], path.parts[1]
        if part not in ("libs", "services"):
            continue
        may = allowed(part, name) | {name}
        if path.stem.endswith(("_test", "_tester", "_fuzz")):
            may = may | {"testkit"}
        for number, line in enumerate(path.read_text().splitlines(), 1):
            found = re.match(r'#include "([a-z]+)/', line)
            if found and found[1] not in may:
                print(f"{path}:{number}: {name} may not include {found[1]}")
                bad += 1
    return 1 if bad else 0


sys.exit(main())
