"""The main job of Kentongan, as a user would do it with curl. Started by deploy/demo, which has started the stack."""

import argparse
import csv
import io
import json
import os
import random
import sys
import time
from datetime import datetime

from client import Receiver, Sandbox
from pair import addresses, draw, log_in, pair

TEMPLATE = "Hi {{name}}, your code is {{code}}"
CONTACT_DELAY_MS = 10  # more for a few recipients, so that
SHORTEST_MS = 8000  # there is time to pause half-way
STILL_S = 3  # counters move at least once a second while something is sent
REPLIES = 100  # of the recipients, who answer with a text
NAMES = ("Ayu", "Budi", "Citra", "Dewi", "Eko", "Fitri", "Gita", "Hadi", "Indah", "Joko", "Kartika", "Lestari")
BAR = 30
INTERACTIVE = sys.stderr.isatty()


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def wait_for(what: str, seconds: float, condition, every: float = 0.2):
    """The first true value of condition()."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > end:
            raise SystemExit(f"deploy/demo: waited {seconds:.0f} s in vain until {what}")
        time.sleep(every)
    return value


class Progress:
    """A bar that is drawn over itself on a terminal, and a line for each tenth elsewhere."""

    def __init__(self, total: int):
        self.total = total
        self.samples: list[tuple[float, int]] = []
        self.tenth = -1

    def show(self, done: int) -> None:
        now = time.monotonic()
        self.samples = [(at, n) for at, n in self.samples if now - at < 3] + [(now, done)]
        (first, before), span = self.samples[0], now - self.samples[0][0]
        rate = (done - before) / span if span > 0.5 else 0
        left = f"{(self.total - done) / rate:4.0f} s left" if rate else ""
        filled = BAR * done // max(self.total, 1)
        line = f"   [{'#' * filled}{'.' * (BAR - filled)}] {done}/{self.total} {rate:5.0f}/s {left}"
        if INTERACTIVE:
            sys.stderr.write(f"\r{line:<78}")
            sys.stderr.flush()
        elif done * 10 // max(self.total, 1) != self.tenth:
            self.tenth = done * 10 // max(self.total, 1)
            say(line)

    def end(self) -> None:
        self.samples.clear()
        if INTERACTIVE:
            sys.stderr.write("\n")


class Demo:
    def __init__(self, recipients: int):
        self.recipients = recipients
        self.where = addresses()
        self.sandbox = Sandbox(self.where["sandbox"]["admin"])
        self.receiver = Receiver(int(os.environ.get("KENTONGAN_PORT_DEMO_RECEIVER", 0)))
        self.texts: dict[str, str] = {}  # by the recipient's number
        self.started = time.monotonic()

    def run(self) -> dict:
        self.before = self.sandbox.summary()
        say("1. log in")
        self.api = log_in(self.where)
        self.create_session()
        say("3. connect it, and scan its QR code with a phone of the sandbox")
        self.phone = pair(self.api, self.session, self.scan)
        say(f"   connected as {self.phone}")
        self.make_recipients()
        self.create_blast()
        self.send()
        self.wait_for_receipts()
        return self.summary()

    def create_session(self) -> None:
        say("2. create a session, with a webhook")
        session = self.api.call("POST", "/api/sessions", {"name": "Demo", "webhook_url": self.receiver.url})
        self.session = session["id"]
        self.receiver.secret = session["webhook_secret"]

    def scan(self, qr: str) -> None:
        if INTERACTIVE:
            draw(qr, sys.stderr)
        say(f"   its text: {qr}")
        say(f"   scanned by the phone of {self.sandbox.scan(qr)['number']}")

    def make_recipients(self) -> None:
        say(f"4. a CSV file of {self.recipients} recipients, template: {TEMPLATE}")
        self.replies = min(REPLIES, self.recipients)
        behaviour = {"delay_ms": 200, "read_delay_ms": 300}
        numbers = self.sandbox.make_phones(self.replies, reply="text", reply_text="Thank you!", reply_delay_ms=200, **behaviour)
        numbers += self.sandbox.make_phones(self.recipients - self.replies, **behaviour)
        random.shuffle(numbers)
        table = io.StringIO()
        rows = csv.writer(table)
        rows.writerow(["phone", "name", "code"])
        for at, number in enumerate(numbers):
            name, code = f"{NAMES[at % len(NAMES)]} {at + 1}", f"{random.randrange(10**6):06}"
            rows.writerow([number, name, code])
            self.texts[number] = f"Hi {name}, your code is {code}"
        self.csv = table.getvalue()

    def create_blast(self) -> None:
        say("5. create the blast and start it")
        delay_ms = min(1000, max(CONTACT_DELAY_MS, SHORTEST_MS // self.recipients))
        config = {
            "messageDelay": {"min": 0, "max": 0},
            "contactDelay": {"min": delay_ms, "max": delay_ms},
            "businessHours": {"enabled": False},
        }
        members = {
            "whatsappSessionId": self.session,
            "campaignName": "Demo",
            "messageTemplate": TEMPLATE,
            "config": json.dumps(config),
        }
        headers = {"Content-Type": "text/csv"}
        made = self.api.call("POST", "/api/blast-control/sessions", self.csv, members, headers)
        self.blast = made["data"]["session"]["sessionId"]
        self.control("start")

    def control(self, verb: str) -> dict:
        return self.api.call("POST", f"/api/blast-control/sessions/{self.blast}/{verb}")["data"]["session"]

    def state(self) -> dict:
        return self.api.call("GET", f"/api/blast-control/sessions/{self.blast}")["data"]["session"]

    def send(self) -> None:
        bar = Progress(self.recipients)
        self.watch(bar, self.recipients // 2)
        bar.end()
        self.show_pause()
        self.control("resume")
        say("   resumed")
        self.watch(bar, self.recipients)
        bar.end()
        wait_for("the blast is completed", 60, lambda: self.state()["status"] == "COMPLETED")

    def watch(self, bar: Progress, until: int) -> None:
        """Draw the bar until so many are settled."""
        stalled = time.monotonic() + 60
        before = -1
        while True:
            now = self.state()
            done = now["sentCount"] + now["failedCount"] + now["skippedCount"]
            bar.show(done)
            if done >= until:
                return
            if now["status"] != "RUNNING":
                raise SystemExit(f"deploy/demo: the blast is {now['status']}: {now['errorMessage']}")
            if done > before:
                before, stalled = done, time.monotonic() + 60
            if time.monotonic() > stalled:
                raise SystemExit(f"deploy/demo: nothing was sent for 60 s; {done} of {self.recipients} are")
            time.sleep(0.2)

    def show_pause(self) -> None:
        """PAUSED at once; what was handed over already may finish, and then nothing moves."""
        paused = self.control("pause")
        if paused["status"] != "PAUSED":
            raise SystemExit(f"deploy/demo: paused, but the blast is {paused['status']}")
        seen, since = paused["sentCount"], time.monotonic()

        def stands_still() -> bool:
            nonlocal seen, since
            now = self.state()["sentCount"]
            if now != seen:
                seen, since = now, time.monotonic()
            return time.monotonic() - since >= STILL_S

        wait_for("the paused blast stands still", 30, stands_still)
        if self.state()["status"] != "PAUSED" or seen >= self.recipients:
            raise SystemExit(f"deploy/demo: the pause did not hold: {seen} of {self.recipients} were sent")
        say(f"6. paused half-way: it stands still, {seen} sent for {STILL_S} s")

    def wait_for_receipts(self) -> None:
        say("7. wait for receipts and answers")
        wait_for("every message is delivered and read", 120, lambda: self.state()["readCount"] >= self.recipients)
        wait_for("every answer came by webhook", 60, lambda: len(self.receiver.deliveries) >= self.replies)

    def summary(self) -> dict:
        last = self.state()
        messages = [m for m in self.sandbox.received(self.phone) if m["decrypted"]]
        self.wrong = [m["number"] for m in messages if self.texts.get(m["number"]) != m["text"]]
        answers = [d for d in self.receiver.deliveries.values() if d["session_id"] == self.session]
        now = self.sandbox.summary()
        return {
            "recipients": self.recipients,
            "sent": last["sentCount"],
            "delivered": last["deliveredCount"],
            "read": last["readCount"],
            "failed": last["failedCount"],
            "decrypted": len({m["id"] for m in messages}) - len(self.wrong),
            "duplicates": now["duplicates"] - self.before["duplicates"],
            "violations": now["violations"] - self.before["violations"],
            "webhooks": len(answers),
            "seconds": round(time.monotonic() - self.started, 1),
        }

    def rate(self) -> float:
        """Messages a second from the start to the end, without the pause."""
        last = self.state()
        at = {name: datetime.fromisoformat(last[f"{name}At"].replace("Z", "+00:00"))
              for name in ("started", "paused", "resumed", "completed")}  # fmt: skip
        ran = at["completed"] - at["started"] - (at["resumed"] - at["paused"])
        return last["sentCount"] / max(ran.total_seconds(), 0.001)

    def complaints(self, result: dict):
        for name in ("sent", "delivered", "read", "decrypted"):
            if result[name] != self.recipients:
                yield f"{name} is {result[name]}, not {self.recipients}"
        for name in ("failed", "duplicates", "violations"):
            if result[name]:
                yield f"{name} is {result[name]}, not 0"
        if result["webhooks"] != self.replies:
            yield f"webhooks is {result['webhooks']}, not {self.replies}"
        if self.receiver.refused:
            yield f"{len(self.receiver.refused)} webhooks were wrong: {self.receiver.refused[0]}"
        if self.wrong:
            yield f"{len(self.wrong)} phones read another text than the CSV file says"


def show_summary(result: dict, rate: float, where: dict) -> None:
    counts = ", ".join(f"{result[n]} {n}" for n in ("sent", "delivered", "read", "failed"))
    say(f"\nFrom the query endpoints: {counts}, {rate:.0f} messages a second while it ran")
    say(f"From the sandbox's phones: {result['decrypted']} messages decrypted with the text of the CSV file, "
        f"{result['duplicates']} duplicates, {result['violations']} violations of the protocol")
    say(f"By webhook: {result['webhooks']} answers, each signature checked. {result['seconds']} s in all.")
    say(f"""
The stack stays up: API {where['ingress']}, WhatsApp sandbox {where['sandbox']['admin']}. Try next:

  curl -s -H "Authorization: Bearer $(cat {where['api_key_file']})" {where['ingress']}/api/blast-control/sessions

deploy/status shows it, deploy/down stops it, deploy/down --purge removes its data as well.""")


def main() -> int:
    parser = argparse.ArgumentParser(prog="deploy/demo")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--recipients", type=int, default=1000)
    options = parser.parse_args()
    if not 1 <= options.recipients <= 100000:
        parser.error("--recipients: from 1 to 100000")
    demo = Demo(options.recipients)
    result = demo.run()
    show_summary(result, demo.rate(), demo.where)
    bad = list(demo.complaints(result))
    for text in bad:
        say(f"deploy/demo: error: {text}")
    if options.json:
        print(json.dumps(result), flush=True)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
