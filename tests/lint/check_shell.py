"""Run shellcheck over every shell script of the tree."""

import subprocess
import sys

import sources


def scripts():
    for part in ("deploy", "tests", ".ci"):
        for path in sorted((sources.TOP / part).rglob("*")):
            if not path.is_file() or "node_modules" in path.parts or "corpus" in path.parts:
                continue
            if path.suffix == ".sh" or path.read_bytes()[:20].startswith((b"#!/usr/bin/env bash", b"#!/bin/sh")):
                yield str(path.relative_to(sources.TOP))


def main() -> int:
    # SC2317 takes functions that only a trap or a variable calls for unreachable
    command = ["shellcheck", "-x", "-e", "SC2317", *scripts()]
    try:
        return subprocess.run(command, cwd=sources.TOP).returncode
    except FileNotFoundError:
        raise SystemExit("shellcheck is not installed (deploy/install --tests)") from None


sys.exit(main())
