"""What tests of a whole stack do again and again, over the public interfaces and the sandbox's admin side.

    driver = Driver(stack)
    account = driver.account()                 # a session, paired with a new phone of the sandbox and connected
    numbers = driver.sandbox.make_phones(100, delay_ms=50, read_delay_ms=50)
    blast = driver.blast(account, {number: {"name": "Ayu"} for number in numbers}, "Hi {{name}}")
    driver.wait_for_blast(blast, "COMPLETED")
"""

import dataclasses
import http.client
import pathlib
import re
import time
import uuid

from stack import Stack, wait_until  # isort: skip  (before client: it says where that is)
from client import Api, ApiError, Sandbox

BLASTS = "/api/blast-control/sessions"
# what tests of this machine alone need: no pacing by account, no limit for the one who polls, webhooks to loopback
SETTINGS = {"ACCOUNT_RATE_PER_MIN": "0", "API_RATE_PER_MIN": "0", "WEBHOOK_ALLOW_NETS": "127.0.0.0/8"}


@dataclasses.dataclass
class Account:
    id: str
    phone: str
    webhook_secret: str | None


def config(contact_delay_ms: int) -> dict:
    return {
        "messageDelay": {"min": 0, "max": 0},
        "contactDelay": {"min": contact_delay_ms, "max": contact_delay_ms},
        "businessHours": {"enabled": False},
    }


class Driver:
    def __init__(self, stack: Stack, timeout: float = 30):
        self.stack = stack
        where = stack.status()
        self.where = where
        self.api = Api(where["ingress"], timeout)
        self.sandbox = Sandbox(where["sandbox"]["admin"])
        password = pathlib.Path(where["admin_password_file"]).read_text().strip()
        self.patiently(self.api.login, where["admin_user"], password)

    def patiently(self, call, *arguments, seconds: float = 60, **named):
        """call(...), again while nobody answers or the answer is 5xx: for stacks whose services are being killed."""
        end = time.monotonic() + seconds
        while True:
            try:
                return call(*arguments, **named)
            except (OSError, http.client.HTTPException, ApiError) as e:
                if (isinstance(e, ApiError) and e.status < 500) or time.monotonic() > end:
                    raise
            time.sleep(0.1)

    def get(self, path: str, query: dict | None = None):
        return self.patiently(self.api.call, "GET", path, query=query)

    # ---- sessions

    def create_session(self, **members) -> dict:
        return self.api.call("POST", "/api/sessions", members)

    def session(self, session_id: str) -> dict:
        return self.get(f"/api/sessions/{session_id}")

    def connect(self, session_id: str, number: str | None = None) -> str:
        """Connect by QR code, which a phone of the sandbox scans; the account's number."""
        self.api.call("POST", f"/api/sessions/{session_id}/connect")
        websocket = self.api.open_websocket(session_id)
        scanned = None
        try:
            while (frame := websocket.receive_json()) and frame["type"] != "success":
                assert frame["type"] == "qr", frame
                scanned = scanned or self.sandbox.scan(frame["data"]["qr"], number)
        finally:
            websocket.close()
        assert frame and scanned, f"the websocket ended with {frame}"
        return self.wait_connected(session_id)["phone"]

    def wait_connected(self, session_id: str, seconds: float = 60) -> dict:
        def connected():
            session = self.session(session_id)
            return session["connected"] and session["logged_in"] and session

        return wait_until(connected, seconds, f"session {session_id} to be connected")

    def account(self, number: str | None = None, **members) -> Account:
        made = self.create_session(**members)
        phone = self.connect(made["id"], number)
        return Account(made["id"], phone, made.get("webhook_secret"))

    def send(self, account: Account, recipient: str, message: str, **headers) -> dict:
        body = {"recipient": recipient, "message": message}
        return self.api.call("POST", f"/api/sessions/{account.id}/send", body, headers=headers)

    # ---- blasts

    def blast(self, account: Account, people: dict[str, dict], template: str, delay_ms: int = 0, **members) -> str:
        """Make a blast to the numbers of `people`, whose values are their variables; autoStart=True starts it too."""
        rows = [
            {"phone": number, "contactName": variables.get("name"), "variables": variables}
            for number, variables in people.items()
        ]
        body = {
            "whatsappSessionId": account.id,
            "campaignName": "Test",
            "messageTemplate": template,
            "messageList": rows,
            "config": config(delay_ms),
            **members,
        }
        headers = {"Idempotency-Key": str(uuid.uuid4())}  # so that a lost answer makes no second blast
        made = self.patiently(self.api.call, "POST", BLASTS, body, headers=headers)
        return made["data"]["session"]["sessionId"]

    def control(self, blast: str, verb: str) -> dict:
        return self.api.call("POST", f"{BLASTS}/{blast}/{verb}")["data"]["session"]

    def start_blast(self, blast: str) -> None:
        """Start it, also when the answer to a first try was lost."""
        try:
            self.patiently(self.control, blast, "start")
        except ApiError as e:
            if e.status != 409 or self.blast_state(blast)["status"] not in ("RUNNING", "COMPLETED"):
                raise

    def blast_state(self, blast: str) -> dict:
        state = self.get(f"{BLASTS}/{blast}")["data"]["session"]
        check_shown(state)
        return state

    def wait_for_blast(self, blast: str, status: str, seconds: float = 120) -> dict:
        def reached():
            state = self.blast_state(blast)
            assert state["status"] in ("IDLE", "RUNNING", "PAUSED", status), f"{state['status']}: {state['errorMessage']}"
            return state["status"] == status and state

        return wait_until(reached, seconds, f"blast {blast} to be {status}", every=0.2)

    def wait_for_receipts(self, blast: str, count: int, what: str = "readCount", seconds: float = 120) -> dict:
        def reached():
            state = self.blast_state(blast)
            return state[what] >= count and state

        return wait_until(reached, seconds, f"{what} of blast {blast} to be {count}", every=0.2)

    def messages(self, blast: str) -> list[dict]:
        """All messages of a blast, page by page."""
        found = []
        while True:
            page = self.get(f"{BLASTS}/{blast}/messages", {"limit": 1000, "offset": len(found)})["data"]
            found += page["messages"]
            if not page["pagination"]["hasMore"]:
                return found


def check_shown(blast: dict) -> None:
    """What holds for a blast whenever it is looked at (INV-1 to INV-8 as the API shows them)."""
    index, total = blast["currentIndex"], blast["totalMessages"]
    sent, failed, skipped = blast["sentCount"], blast["failedCount"], blast["skippedCount"]
    assert 0 <= index <= total, blast
    assert sent + skipped <= index <= sent + failed + skipped <= total, blast
    assert re.fullmatch(r"\d{1,3}\.\d0", blast["progressPercentage"]), blast
    assert index or blast["progressPercentage"] == "0.00", blast
    assert blast["estimatedCompletion"] is None or blast["status"] == "RUNNING", blast
    needed = {"IDLE": (), "RUNNING": ("startedAt",), "PAUSED": ("pausedAt",), "COMPLETED": ("completedAt",),
              "STOPPED": ("stoppedAt",), "FAILED": ("errorMessage",)}  # fmt: skip
    assert all(blast[name] for name in needed[blast["status"]]), blast
    assert not (blast["completedAt"] and blast["stoppedAt"]), blast
    assert blast["status"] != "IDLE" or blast["startedAt"] is None, blast
    assert blast["createdAt"] <= blast["updatedAt"], blast
    assert blast["whatsappAccount"]["sessionId"] == blast["whatsappSessionId"], blast
    if blast["status"] == "COMPLETED":
        assert index == total == sent + failed + skipped and blast["progressPercentage"] == "100.00", blast
