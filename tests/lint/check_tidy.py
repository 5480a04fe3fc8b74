"""Run clang-tidy over our C files, in parallel; what was clean and has not changed since is not looked at again.

    check_tidy.py BUILD [FILE...]

BUILD is a build folder with compile_commands.json. What only tests run is not taken through the analyzer, which is
what takes long: the sanitizers see it run. A file counts as unchanged when its text, its headers of ours, its
compile command and .clang-tidy are as they were; that is remembered in build/tidy-cache.
"""

import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys

import sources

TIDY = ["clang-tidy-14", "--quiet", "--extra-arg=-Wno-unknown-warning-option"]
OF_TESTS = re.compile(r"_(test|tester|fuzz|bench)\.c$")
CACHE = sources.TOP / "build" / "tidy-cache"
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)


def reachable(path: pathlib.Path, seen: dict[pathlib.Path, bytes]) -> None:
    """The file and every header of ours that it includes, however far."""
    if path in seen:
        return
    seen[path] = path.read_bytes()
    for name in INCLUDE.findall(seen[path].decode(errors="replace")):
        for place in (path.parent, sources.TOP / "libs", sources.TOP / "services"):
            if (place / name).is_file():
                reachable((place / name).resolve(), seen)
                break


def tidy(path: pathlib.Path) -> list[str]:
    return TIDY + (["--checks=-clang-analyzer-*"] if OF_TESTS.search(path.name) else [])


def fingerprint(path: pathlib.Path, command: str) -> str:
    files: dict[pathlib.Path, bytes] = {}
    reachable(path, files)
    total = hashlib.sha256((" ".join(tidy(path)) + command + (sources.TOP / ".clang-tidy").read_text()).encode())
    for name in sorted(files):
        total.update(str(name).encode() + b"\0" + files[name])
    return total.hexdigest()


def look(build: str, path: pathlib.Path, command: str) -> str:
    """The complaints about one file; nothing when it is clean."""
    stamp = CACHE / fingerprint(path, command)
    if stamp.exists():
        stamp.touch()
        return ""
    ran = subprocess.run([*tidy(path), "-p", build, str(path)], capture_output=True, text=True)
    if ran.returncode == 0:
        stamp.touch()
        return ""
    return ran.stdout or ran.stderr


def main() -> int:
    build = sys.argv[1]
    only = {pathlib.Path(name).resolve() for name in sys.argv[2:]}
    ours = set(sources.ours(".c"))
    commands = {}
    for entry in json.loads((pathlib.Path(build) / "compile_commands.json").read_text()):
        path = pathlib.Path(entry["directory"], entry["file"]).resolve()
        if path in ours and (not only or path in only):
            commands[path] = entry["command"]
    CACHE.mkdir(parents=True, exist_ok=True)
    bad = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for text in pool.map(lambda item: look(build, *item), sorted(commands.items())):
            if text:
                bad += 1
                print(text, flush=True)
    print(f"{len(commands)} files, {bad} with complaints")
    return 1 if bad else 0


sys.exit(main())
