"""Each named crash point of the tree is forced once, under a small blast, and costs nothing.

    crash_points_test.py BUILD [POINT...]

In a round one service or several are started with a point each; a blast goes out, with recipients who read, answer, and
ask for another encryption. Each process must end with status 137 at its point, is started again (with its next point,
then without any), and when all has settled everybody has read the message exactly once, the counters are right and
every answer has arrived. What else is needed to pass a point (a session that is linked meanwhile, a submission from
Kafka, a record that nobody can read) is in the table of crash_points.py. With POINTs only those, each in a round of its
own: for those that fail.
"""

import pathlib
import subprocess
import sys
import threading
import time
import traceback
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
import checks  # noqa: E402
from campaign import TEMPLATE, Campaign, check_all  # noqa: E402
from client import ApiError, Receiver  # noqa: E402
from crash_points import POINTS, Point, check_complete  # noqa: E402
from driver import BLASTS, SETTINGS, Account, Driver  # noqa: E402
from log import Log  # noqa: E402
from log_writer import Writer, encode  # noqa: E402
from stack import TOP, Stack, wait_until  # noqa: E402

SERVICES = dict.fromkeys(point.service for point in POINTS)
ROUNDS = 12
RECIPIENTS, REPLIES, FAIL, DELAY_MS, WAIT_MS = 40, 8, 3, 15, 40
FEW = 6  # recipients of the blasts beside the first
BLASTS_MAX = 4  # of a round, for points that a blast passes less often than their count
ROUND_SECONDS = 120
CRASHED = 137
SUBMIT, REJECTIONS, RECIPIENTS_TOPIC, DEAD = (
    "wa.blast.submit.v1", "wa.blast.rejections.v1", "wa.blast.recipients.v1", "wa.dlq.v1",
)  # fmt: skip


class Victim(threading.Thread):
    """One service: it lives once with each of its points, and then without."""

    def __init__(self, stack: Stack, service: str, lives: list[Point]):
        super().__init__(daemon=True)
        self.stack = stack
        self.instance = f"{service}-1"
        self.lives = lives
        self.now: Point | None = lives[0]  # the point that the process was started with
        self.process: subprocess.Popen | None = None
        self.error: str | None = None

    def run(self) -> None:
        try:
            for point in self.lives:
                self.process = self.stack.spawn(self.instance, KENTONGAN_CRASH_AT=point.setting)
                self.now = point
                status = self.process.wait()
                assert status == CRASHED, f"{self.instance} ended with {status}, not {CRASHED}, waiting for {point.setting}"
            self.process = self.stack.spawn(self.instance)
            self.now = None
        except Exception:
            self.error = traceback.format_exc()

    def is_done(self) -> bool:
        assert self.error is None, self.error
        return self.now is None


class Field:
    """What all rounds share."""

    def __init__(self, stack: Stack):
        self.stack = stack
        self.driver = Driver(stack)
        brokers = f"127.0.0.1:{stack.port('kafka')}"
        self.writer, self.log = Writer(brokers), Log(brokers)
        self.key = (stack.state / "secrets/api_key").read_text().strip()
        self.campaigns = [Campaign.open(self.driver)]
        self.accepted: list[str] = []  # requests
        self.rejected: dict[str, str] = {}  # request: code
        self.garbage: list[bytes] = []

    def check(self) -> None:
        """At the end: all of it, once more."""
        check_all(self.driver, self.campaigns, tuple(self.garbage))
        for request in self.accepted:
            made = self.stack.sql(f"select count(*) from proj.blasts where campaign_name = '{request}'")
            assert made == [["1"]], f"{request} made {made} blasts"
        for request, code in self.rejected.items():
            codes = {r.value["code"] for r in self.log.records(REJECTIONS) if r.value["request_id"] == request}
            assert codes == {code}, f"{request}: {codes}"
        for value in self.garbage:
            readers = {r.value["service"] for r in self.log.records(DEAD) if r.value["value"] == value}
            assert readers == {"scheduler", "tracker"}, f"{value}: a dead letter of {readers}"


class Round:
    def __init__(self, field: Field, lives: dict[str, list[Point]]):
        self.field = field
        self.driver = field.driver
        self.campaigns = [field.campaigns[0]]
        self.deeds_done: set[Point] = set()
        self.victims = [Victim(field.stack, service, own) for service, own in lives.items()]

    # ---- what happens in a round

    def blast(self, point: Point | None = None, campaign: Campaign | None = None) -> None:
        campaign = campaign or self.field.campaigns[0]
        if point is None:
            people = campaign.people(self.driver, RECIPIENTS, REPLIES, FAIL, WAIT_MS)
        else:
            people = campaign.people(self.driver, FEW, 1, 1, WAIT_MS)
        blast = campaign.add_blast(self.driver, people, DELAY_MS)
        wait_until(lambda: self.try_start(blast), 60, f"blast {blast} to be started")

    def try_start(self, blast: str) -> bool:
        """False: its account is not connected, as the connector has just ended at its point."""
        try:
            self.driver.start_blast(blast)
        except ApiError as e:
            if e.status != 409 or e.body["error"] != "WHATSAPP_SESSION_NOT_CONNECTED":
                raise
            return False
        return True

    def pair(self, point: Point) -> None:
        """Link a new session to a new phone, and send a blast over it."""
        receiver = Receiver()
        headers = {"Idempotency-Key": str(uuid.uuid4())}
        made = self.driver.patiently(
            self.driver.api.call, "POST", "/api/sessions", {"webhook_url": receiver.url}, headers=headers
        )
        receiver.secret = made["webhook_secret"]
        number = self.scan(made["id"], None)
        if point.leaves:
            self.wait_state(made["id"], point.leaves)
            self.scan(made["id"], number)
        self.wait_state(made["id"], "CONNECTED")
        codes = self.field.stack.redis("KEYS", "sess:*:qr")
        assert not codes, f"codes that nobody may scan: {codes}"
        phone = self.driver.session(made["id"])["phone"]
        assert phone == number, f"{made['id']} is linked to {phone}, not {number}"
        devices = self.driver.sandbox.call("GET", f"/admin/phones/{number}")["devices"]
        assert len(devices) == 1, f"{number} has {len(devices)} devices"
        campaign = Campaign(Account(made["id"], phone, made["webhook_secret"]), receiver)
        self.campaigns.append(campaign)
        self.field.campaigns.append(campaign)
        self.blast(point, campaign)

    def scan(self, session: str, number: str | None) -> str:
        """Connect, and let a phone scan the first code that can be had; its number."""
        self.driver.patiently(self.driver.api.call, "POST", f"/api/sessions/{session}/connect")
        return wait_until(lambda: self.try_scan(session, number), 60, f"a code of session {session}")

    def try_scan(self, session: str, number: str | None) -> str | None:
        try:
            websocket = self.driver.api.open_websocket(session)
            try:
                frame = websocket.receive_json()
                is_code = frame and frame["type"] == "qr"
                return self.driver.sandbox.scan(frame["data"]["qr"], number)["number"] if is_code else None
            finally:
                websocket.close()
        except (OSError, ApiError):
            return None  # ingress is away, or the code is of a connection that has ended

    def wait_online(self, session: str) -> None:
        """Connected by the connector that was started in this round: what the one before said is of the past."""
        select = f"select state, applied_seq > {self.said} from proj.sessions where session_key = '{session}'"
        wait_until(lambda: self.field.stack.sql(select) == [["CONNECTED", "t"]], 60, f"session {session} to be online")

    def wait_state(self, session: str, state: str) -> None:
        select = f"select state from proj.sessions where session_key = '{session}'"
        wait_until(lambda: self.field.stack.sql(select) == [[state]], 60, f"session {session} to be {state}")

    def submit(self, point: Point) -> None:
        """A submission that makes a blast, twice, and one of somebody unknown. The first asks to be started: when the
        connector comes to its own point just then, it is rightly refused, and the next one is tried."""
        campaign = self.field.campaigns[0]
        self.wait_online(campaign.account.id)
        people = campaign.people(self.driver, FEW, 1, 0, WAIT_MS)
        blast = wait_until(lambda: self.try_submit(people), 60, "a blast of a submission")
        campaign.sizes[blast] = len(people)
        unknown = f"unknown-{uuid.uuid4()}"
        self.send_submission(unknown, "of nobody", people)
        self.field.rejected[unknown] = "UNAUTHORIZED"

    def try_submit(self, people: dict[str, dict]) -> str | None:
        request = f"good-{uuid.uuid4()}"
        self.send_submission(request, self.field.key, people)
        self.send_submission(request, self.field.key, people)
        wait_until(lambda: self.blast_of(request) or self.is_refused(request), 60, f"the verdict on {request}")
        blast = self.blast_of(request)
        if blast is None:
            self.field.rejected[request] = "WHATSAPP_SESSION_NOT_CONNECTED"
        else:
            self.field.accepted.append(request)
        return blast

    def send_submission(self, request: str, key: str, people: dict[str, dict]) -> None:
        record = {
            "request_id": request,
            "whatsapp_session": self.field.campaigns[0].account.id,
            "campaign_name": request,
            "message_template": TEMPLATE,
            "recipients": [{"phone": number, "variables": one} for number, one in people.items()],
            "config": {"contact_delay": {"min": 0, "max": 0}, "message_delay": {"min": 0, "max": 0},
                       "business_hours": {"enabled": False}},
            "auto_start": True,
        }  # fmt: skip
        self.field.writer.raw(SUBMIT, request, encode(SUBMIT, record), headers=[("x-api-key", key.encode())])

    def is_refused(self, request: str) -> bool:
        select = f"select count(*) from ingress.submission_verdict where request_id = '{request}' and code <> ''"
        return self.field.stack.sql(select) == [["1"]]

    def blast_of(self, campaign_name: str) -> str | None:
        newest = self.driver.get(BLASTS, {"limit": 20})["data"]["sessions"]
        return next((blast["sessionId"] for blast in newest if blast["campaignName"] == campaign_name), None)

    def garbage(self, point: Point) -> None:
        """Recipients that make no sense to scheduler and tracker: a dead letter of each."""
        nobody = {"blast_id": f"no uuid, for {point.setting}", "upload_id": "", "session_uuid": "", "user_id": 1,
                  "first_index": 0, "recipients": []}  # fmt: skip
        self.field.garbage.append(encode(RECIPIENTS_TOPIC, nobody))
        self.field.writer.raw(RECIPIENTS_TOPIC, point.name, self.field.garbage[-1])

    # ---- its course

    def run(self) -> None:
        self.field.stack.ctl("stop", *(victim.instance for victim in self.victims))
        self.said = -1  # the last that the connector said of the account, when it begins anew
        if any(victim.instance == "connector-1" for victim in self.victims):
            key = self.campaigns[0].account.id
            select = "select max((c.snapshot->>'sequence')::bigint) from connector.session c join proj.sessions p on uuid = session_uuid"
            self.said = int(self.field.stack.sql(f"{select} where p.session_key = '{key}'")[0][0])
        for victim in self.victims:
            victim.start()
        self.do_deeds("ingress")  # whose points a blast would use up
        self.blast()
        blasts = 1
        while not self.is_done():
            wait_until(
                lambda: self.is_done() or self.deeds_due() or self.is_settled(),
                ROUND_SECONDS,
                f"{self.waiting()}, or for what was sent to be read",
            )
            if self.deeds_due():
                self.do_deeds()
            elif not self.is_done():
                assert blasts < BLASTS_MAX, f"never reached: {self.waiting()}"
                self.blast()
                blasts += 1
        self.check()

    def is_done(self) -> bool:
        return all([victim.is_done() for victim in self.victims])

    def waiting(self) -> str:
        return ", ".join(victim.now.setting for victim in self.victims if victim.now)

    def deeds_due(self, service: str = "") -> list[Point]:
        now = [victim.now for victim in self.victims if victim.now]
        return [point for point in now if point.deed and point not in self.deeds_done and point.service.startswith(service)]

    def do_deeds(self, service: str = "") -> None:
        for point in self.deeds_due(service):
            self.deeds_done.add(point)
            getattr(self, point.deed)(point)

    def is_settled(self) -> bool:
        return all(campaign.is_settled(self.driver) for campaign in self.campaigns)

    def check(self) -> None:
        for campaign in self.campaigns:
            campaign.wait(self.driver)
        checks.wait_until_quiet(self.field.stack)
        for campaign in self.campaigns:
            campaign.check(self.driver)
            campaign.sizes.clear()  # done with
        assert not self.driver.sandbox.violations(), self.driver.sandbox.violations()
        for service in SERVICES:
            assert self.field.stack.is_running(f"{service}-1"), f"{service}-1 ended though it had no point"


def plan(names: list[str]) -> list[dict[str, list[Point]]]:
    """What each round forces, by service: the table spread over the rounds, or each of `names` alone."""
    if names:
        return [{point.service: [point]} for point in POINTS if point.name in names]
    rounds: list[dict[str, list[Point]]] = [{} for _ in range(ROUNDS)]
    for service in SERVICES:
        for at, point in enumerate(point for point in POINTS if point.service == service):
            rounds[at % ROUNDS].setdefault(service, []).append(point)
    return rounds


def main(build: str, names: list[str]) -> None:
    check_complete()
    begun = time.monotonic()
    with Stack("crash_points", build) as stack:
        stack.up(settings=SETTINGS | {"KAFKA_SESSION_TIMEOUT_MS": "6000"})
        field = Field(stack)
        for number, lives in enumerate(plan(names)):
            text = " ".join(point.setting for own in lives.values() for point in own)
            print(f"{time.monotonic() - begun:5.1f} s: round {number}: {text}", flush=True)
            Round(field, lives).run()
        print(f"{time.monotonic() - begun:5.1f} s: the end", flush=True)
        field.check()
        print(f"{time.monotonic() - begun:5.1f} s: all is well")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else str(TOP / "build" / "asan"), sys.argv[2:])
