"""A blast under fire: an account, its recipients who read and partly answer, and what must be true of it at the end."""

import dataclasses
import pathlib
import random
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
import checks  # noqa: E402
from client import Receiver  # noqa: E402
from driver import Account, Driver  # noqa: E402
from stack import wait_until  # noqa: E402

TEMPLATE = "Hi {{name}}, your code is {{code}}"
SETTLE = 180  # seconds for what is left after the last fault
COUNTERS = ("sentCount", "failedCount", "skippedCount", "deliveredCount", "readCount")


@dataclasses.dataclass
class Campaign:
    """Blasts of one account, one after another; each recipient belongs to one of them."""

    account: Account
    receiver: Receiver
    texts: dict[str, str] = dataclasses.field(default_factory=dict)  # what each recipient must read
    sizes: dict[str, int] = dataclasses.field(default_factory=dict)  # by blast
    answers: int = 0

    @classmethod
    def open(cls, driver: Driver) -> "Campaign":
        receiver = Receiver()
        account = driver.account(webhook_url=receiver.url)
        receiver.secret = account.webhook_secret
        return cls(account, receiver)

    def people(self, driver: Driver, size: int, replies: int, fail: int = 0, wait_ms: int = 300) -> dict[str, dict]:
        """New phones by number, each with the variables of its message, which it must read: `replies` of them answer
        with a text, `fail` others cannot decrypt the first copy. Each does its next step after `wait_ms`."""
        behaviour = {"delay_ms": wait_ms, "read_delay_ms": wait_ms}
        numbers = driver.sandbox.make_phones(replies, reply="text", reply_text="Noted", reply_delay_ms=wait_ms, **behaviour)
        numbers += driver.sandbox.make_phones(fail, fail=1, **behaviour)
        numbers += driver.sandbox.make_phones(size - replies - fail, **behaviour)
        random.Random(size).shuffle(numbers)
        people = {number: {"name": f"Name {at}", "code": f"{at:06}"} for at, number in enumerate(numbers)}
        self.texts |= {number: f"Hi {one['name']}, your code is {one['code']}" for number, one in people.items()}
        self.answers += replies
        return people

    def add_blast(self, driver: Driver, people: dict[str, dict], delay_ms: int) -> str:
        """A blast to `people`; not started."""
        blast = driver.blast(self.account, people, TEMPLATE, delay_ms)
        self.sizes[blast] = len(people)
        return blast

    def is_settled(self, driver: Driver) -> bool:
        """Whether every blast is completed and read, and every answer has arrived."""
        for blast, size in self.sizes.items():
            state = driver.blast_state(blast)
            if state["status"] != "COMPLETED" or state["readCount"] < size:
                return False
        return self.has_answers()

    def has_answers(self) -> bool:
        assert not self.receiver.refused, self.receiver.refused[0]
        return len(self.receiver.deliveries) >= self.answers

    def wait(self, driver: Driver) -> None:
        for blast, size in self.sizes.items():
            driver.wait_for_blast(blast, "COMPLETED", SETTLE)
            driver.wait_for_receipts(blast, size, "readCount", SETTLE)
        wait_until(self.has_answers, SETTLE, f"the webhooks of {self.answers} answers")

    def check(self, driver: Driver) -> None:
        for blast, size in self.sizes.items():
            state = driver.blast_state(blast)
            counted = [state[name] for name in COUNTERS]
            assert counted == [size, 0, 0, size, size], f"{blast}: {dict(zip(COUNTERS, counted))}"
            checks.counters_are_the_messages(driver.stack, state)
        checks.read_once(driver, self.account.phone, self.texts)
        checks.webhooks_are_the_answers(self.receiver, self.account.id, self.answers)


def check_all(driver: Driver, campaigns: list[Campaign], garbage: tuple[bytes, ...] = ()) -> None:
    """Wait for the end of everything, and look at all of it. `garbage` are the records that may be dead letters."""
    for campaign in campaigns:
        campaign.wait(driver)
    checks.wait_until_quiet(driver.stack)
    for campaign in campaigns:
        campaign.check(driver)
    assert not driver.sandbox.violations(), driver.sandbox.violations()
    checks.nothing_was_given_up(driver.stack, garbage)
    checks.phones_belong_to_one_session(driver.stack)
    checks.messages_are_in_order(driver.stack)
    log = checks.histories_hold(driver.stack, [campaign.receiver for campaign in campaigns])
    print(f"records that readers dropped as repeats: {dict(log.repeats)}")
    checks.projections_equal_a_rebuild(driver.stack)
