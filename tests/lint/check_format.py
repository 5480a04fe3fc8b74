"""Fail when a C file is not formatted as .clang-format says.   check_format.py [--fix]"""

import subprocess
import sys

import sources

FORMATTER = "clang-format-14"  # another version formats otherwise


def main() -> int:
    mode = ["-i"] if "--fix" in sys.argv[1:] else ["--dry-run", "-Werror"]
    files = [str(path.relative_to(sources.TOP)) for path in sources.ours(".c", ".h")]
    try:
        return subprocess.run([FORMATTER, *mode, *files], cwd=sources.TOP).returncode
    except FileNotFoundError:
        raise SystemExit(f"{FORMATTER} is not installed (deploy/install --tests)") from None


sys.exit(main())
