"""Two connectors share the sessions. One is killed, and the other takes its sessions over; then one is stopped for
longer than its session with Kafka lasts and goes on when its sessions belong to the other. Nothing is lost, nothing is
sent twice."""

import os
import pathlib
import signal
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from campaign import Campaign, check_all  # noqa: E402
from driver import SETTINGS, Driver  # noqa: E402
from stack import TOP, Stack, wait_until  # noqa: E402

ACCOUNTS = 6
RECIPIENTS = 120
REPLIES = 20
DELAY_MS = 150


def owners(stack: Stack) -> dict[str, int]:
    """How many partitions each connector owns by the fence that its commits must pass."""
    rows = stack.sql("select owner, count(*) from connector.partition_owner group by 1")
    return {owner: int(count) for owner, count in rows}


def begin(driver: Driver, campaigns: list[Campaign]) -> list[str]:
    blasts = [c.add_blast(driver, c.people(driver, RECIPIENTS, REPLIES), DELAY_MS) for c in campaigns]
    for blast in blasts:
        driver.control(blast, "start")
    for blast in blasts:
        wait_until(lambda b=blast: driver.blast_state(b)["sentCount"] >= 10, 60, f"blast {blast} to be under way")
    return blasts


def main(build: str) -> None:
    with Stack("takeover", build) as stack:
        stack.up("--instances", "connector=2", settings=SETTINGS | {"KAFKA_SESSION_TIMEOUT_MS": "4000"})
        driver = Driver(stack)
        campaigns = [Campaign.open(driver) for _ in range(ACCOUNTS)]
        wait_until(lambda: owners(stack) == {"connector-1": 3, "connector-2": 3}, 30, "the partitions to be shared")

        begin(driver, campaigns)
        stack.ctl("kill", "connector-1")
        wait_until(lambda: owners(stack) == {"connector-2": 6}, 60, "connector-2 to own all")
        for campaign in campaigns:
            driver.wait_connected(campaign.account.id)
        check_all(driver, campaigns)
        print("connector-1 was killed: nothing lost, nothing twice")

        stack.ctl("start", "connector-1")
        wait_until(lambda: owners(stack) == {"connector-1": 3, "connector-2": 3}, 60, "the partitions to be shared again")
        begin(driver, campaigns)
        zombie = stack.pid("connector-2")
        os.kill(zombie, signal.SIGSTOP)
        try:
            wait_until(lambda: owners(stack) == {"connector-1": 6}, 60, "connector-1 to own all")
        finally:
            os.kill(zombie, signal.SIGCONT)
        check_all(driver, campaigns)
        assert stack.is_running("connector-2"), "the connector that was stopped did not come back to work"
        print("connector-2 was stopped and went on: nothing lost, nothing twice")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else str(TOP / "build" / "asan"))
