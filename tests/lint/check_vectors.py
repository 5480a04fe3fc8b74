"""Fail on an example of the contract that no test names: what is kept to be compared is compared."""

import sys

import sources

EXAMPLES = sources.TOP / "tests/vectors/contract"


def main() -> int:
    tests = [path.read_text() for path in sources.ours(".c", ".py") if path.stem.endswith("_test")]
    forgotten = [path.name for path in sorted(EXAMPLES.iterdir()) if not any(path.name in text for text in tests)]
    for name in forgotten:
        print(f"tests/vectors/contract/{name}: no test names it")
    return 1 if forgotten else 0


if __name__ == "__main__":
    sys.exit(main())
