"""Every named crash point of the tree (libs/base/crash.h), and how crash_points_test.py forces it.

    python3 tests/chaos/crash_points.py      # fails when the source has a point that stands not here, or the reverse
"""

import dataclasses
import pathlib
import re
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]
CALL = re.compile(r"crash_point\(([^;]*)\);")
OWN = re.compile(r'"([a-z]+)",\s*"([a-z.]+)"')  # of one service
SHARED = re.compile(r'[a-z>-]*->service,\s*"([a-z.]+)"')  # of every service with a ledger
LEDGER = re.compile(r'\.service = "([a-z]+)"')


@dataclasses.dataclass(frozen=True)
class Point:
    name: str
    count: int = 1  # the process ends the count-th time that it passes
    deed: str | None = None  # what has to happen beside blasts, by crash_points_test.Round's methods
    leaves: str | None = None  # the state in which a session that is being linked is left; None: it goes on by itself

    @property
    def service(self) -> str:
        return self.name.partition(".")[0]

    @property
    def setting(self) -> str:
        return f"{self.name}@{self.count}"


def points(service: str, rows: tuple[tuple, ...]) -> list[Point]:
    return [Point(f"{service}.{what}", *rest) for what, *rest in rows]


# Counts hit in the middle of the work: a round has 40 messages to new recipients (a commit for several of them at a
# time), 3 of which ask for another encryption, 80 receipts, 8 answers and as many webhooks. There are 6 partitions.
POINTS = (
    points("connector", (
        ("before.commit", 7),
        ("after.commit", 9),
        ("after.encrypt", 17),
        ("before.write", 12),
        ("after.write", 3),
        ("before.settle", 15),
        ("after.decrypt", 3),
        ("before.ack", 4),
        ("after.ack", 4),
        ("before.resend", 2),
        ("after.resend", 1),
        ("before.publish", 50),
        ("after.publish", 60),
        ("before.delete", 2),
        ("after.delete", 2),
        ("before.reply", 11),
        ("after.reply", 11),
        ("before.take", 3),
        ("after.take", 5),
        ("before.paired", 1, "pair", "DISCONNECTED"),
        ("before.confirm", 1, "pair", "LOGGED_OUT"),
        ("after.confirm", 1, "pair"),
        ("after.restart", 1, "pair"),
        ("before.prekeys", 1, "pair"),
        ("before.upload", 1, "pair"),
        ("after.upload", 1, "pair"),
    ))
    + points("scheduler", (
        ("before.commit", 4),
        ("after.commit", 5),
        ("before.publish", 20),
        ("after.publish", 25),
        ("before.delete", 2),
        ("after.delete", 2),
        ("before.reply", 2, "blast"),
        ("after.reply", 1, "blast"),
        ("before.take", 4),
        ("after.take", 2),
    ))
    + points("tracker", (
        ("before.commit", 5),
        ("after.commit", 6),
        ("before.announce", 3),
        ("after.announce", 3),
        ("before.publish", 1, "garbage"),
        ("after.publish", 1, "garbage"),
        ("before.delete", 1, "garbage"),
        ("after.delete", 1, "garbage"),
        ("before.take", 2),
        ("after.take", 6),
    ))
    + points("webhooks", (
        ("before.commit", 3),
        ("after.commit", 4),
        ("before.post", 4),
        ("after.post", 5),
        ("before.publish", 5),
        ("after.publish", 7),
        ("before.delete", 1),
        ("after.delete", 2),
        ("before.take", 6),
        ("after.take", 4),
    ))
    + points("ingress", (
        ("before.chunk", 1, "blast"),
        ("after.chunk", 1, "blast"),
        ("before.reserve", 1, "blast"),
        ("after.reserve", 1, "pair"),
        ("before.command", 2, "blast"),
        ("after.command", 1, "pair"),
        ("before.answer", 1, "pair"),
        ("after.answer", 1, "blast"),
        ("before.promise", 1, "submit"),
        ("after.promise", 1, "submit"),
        ("before.commit", 1, "submit"),
        ("after.commit", 2, "submit"),
        ("before.publish", 1, "submit"),
        ("after.publish", 1, "submit"),
        ("before.delete", 1, "submit"),
        ("after.delete", 1, "submit"),
        ("before.take", 3),
        ("after.take", 3),
    ))
)  # fmt: skip


# Forced by a test of their own, because no service that goes on passes them.
ELSEWHERE = {
    "tracker.before.swap": "services/tracker/tracker_server_test.c",
    "tracker.after.swap": "services/tracker/tracker_server_test.c",
}


def in_source() -> set[str]:
    """The names of all points that the services can pass."""
    found, shared, ledgers = set(), set(), set()
    for path in sorted([*TOP.glob("libs/**/*.c"), *TOP.glob("services/**/*.c")]):
        if path.name == "crash.c" or path.name.endswith(("_test.c", "_tester.c")):
            continue
        text = path.read_text()
        for call in CALL.findall(text):
            if own := OWN.fullmatch(call):
                found.add(".".join(own.groups()))
            elif every := SHARED.fullmatch(call):
                shared.add(every[1])
            else:
                raise AssertionError(f"{path.relative_to(TOP)}: whose point is crash_point({call})?")
        if path.is_relative_to(TOP / "services"):
            ledgers.update(LEDGER.findall(text))
    assert shared and ledgers, "no points of the ledger were found"
    return found | {f"{service}.{what}" for service in ledgers for what in shared}


def check_complete() -> None:
    """AssertionError unless the table has every point of the source, once, and no other."""
    here = [point.name for point in POINTS] + list(ELSEWHERE)
    assert len(here) == len(set(here)), f"twice: {sorted(name for name in set(here) if here.count(name) > 1)}"
    there = in_source()
    assert not there - set(here), f"nobody forces {sorted(there - set(here))}: they need a line in {__file__}"
    unforced = [name for name, test in ELSEWHERE.items() if f'"{name}"' not in (TOP / test).read_text()]
    assert not unforced, f"{unforced} are not in the tests that should force them"
    assert not set(here) - there, f"the source has no point {sorted(set(here) - there)}"


if __name__ == "__main__":
    try:
        check_complete()
    except AssertionError as e:
        sys.exit(str(e))
