"""Blasts of 2,000 recipients over three accounts, while every process is killed again and again.

    chaos_test.py BUILD [SEED]

At least 20 times one of connector, scheduler, tracker, ingress and webhooks gets kill -9 at a random moment and is
started again; Redis is flushed once, Kafka and PostgreSQL are restarted once. At the end: every recipient's phone
decrypted its message exactly once, counters equal what the phones say, projections equal a rebuild from the log, every
webhook arrived, and the invariants hold over all histories. The seed is printed; it fixes the order of the faults and
the waits between them, not what the machine makes of them.
"""

import pathlib
import random
import sys
import threading
import time
import traceback

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from campaign import Campaign, check_all  # noqa: E402
from driver import SETTINGS, Driver  # noqa: E402
from stack import TOP, Stack  # noqa: E402

RECIPIENTS = (667, 667, 666)
REPLIES = 100  # of each account's recipients, who answer with a text
CONTACT_DELAY_MS = 240  # 160 s for each account
VICTIMS = ("connector-1", "scheduler-1", "tracker-1", "ingress-1", "webhooks-1")
KILLS_EACH = 5
FAULTS_LAST = 90  # seconds over which the faults are spread, by the waits between them alone


class Nemesis(threading.Thread):
    """Does its faults one after another; an error is kept for the main thread."""

    def __init__(self, driver: Driver, seed: int):
        super().__init__(daemon=True)
        self.driver, self.stack = driver, driver.stack
        self.random = random.Random(seed)
        self.faults = [("kill", name) for name in VICTIMS * KILLS_EACH]
        self.faults += [("flush", "redis"), ("restart", "kafka"), ("restart", "postgres")]
        self.random.shuffle(self.faults)
        self.started = time.monotonic()
        self.kills = 0  # while there were messages to come
        self.error: str | None = None
        self._wait = threading.Event().wait

    def run(self) -> None:
        try:
            for what, part in self.faults:
                begun = time.monotonic()
                pause, down = self.random.uniform(0, 2 * FAULTS_LAST / len(self.faults)), self.random.uniform(0, 2)
                print(f"  {begun - self.started:5.1f} s: {what} {part}", flush=True)
                self.strike(what, part, down)
                self._wait(max(0.0, begun + pause - time.monotonic()))
        except Exception:
            self.error = traceback.format_exc()

    def strike(self, what: str, part: str, down: float) -> None:
        if what == "kill":
            assert self.stack.is_running(part), f"{part} ended by itself"
            self.kills += self.driver.sandbox.summary()["distinct"] < sum(RECIPIENTS)
            self.stack.ctl("kill", part)
            self._wait(down)
            self.stack.ctl("start", part)
        elif what == "restart":
            self.stack.ctl("restart", part)
        else:
            self.stack.redis("FLUSHALL")


def main(build: str, seed: int) -> None:
    print(f"seed {seed}", flush=True)
    with Stack("chaos", build) as stack:
        stack.up(settings=SETTINGS | {"KAFKA_SESSION_TIMEOUT_MS": "6000"})
        driver = Driver(stack)
        campaigns = [Campaign.open(driver) for _ in RECIPIENTS]
        blasts = [
            c.add_blast(driver, c.people(driver, size, REPLIES), CONTACT_DELAY_MS) for c, size in zip(campaigns, RECIPIENTS)
        ]
        for blast in blasts:
            driver.control(blast, "start")
        nemesis = Nemesis(driver, seed)
        nemesis.start()
        while nemesis.is_alive():
            for blast in blasts:
                driver.blast_state(blast)  # which checks what must hold at every moment
            nemesis.join(1)
        assert nemesis.error is None, nemesis.error
        print(f"{nemesis.kills} kills during the blasts, in {time.monotonic() - nemesis.started:.0f} s", flush=True)
        assert nemesis.kills >= 20, "too many came when all was sent: a slow machine"
        check_all(driver, campaigns)
        assert driver.sandbox.summary()["duplicates"] == 0, "a device decrypted a message twice"
        print(f"all is well after {time.monotonic() - nemesis.started:.0f} s")


if __name__ == "__main__":
    folder = sys.argv[1] if len(sys.argv) > 1 else str(TOP / "build" / "asan")
    main(folder, int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(10**6))
