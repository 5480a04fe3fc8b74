"""A session that waits to be linked and that nobody looks at is closed; one that somebody looks at is not."""

import contextlib
import socket
import threading
import time

import kit
from kit import wait_until

IDLE = 2  # seconds
FIRST, NEXT = 60, 20  # that a code is shown: WA_CLIENT_QR_FIRST_MS, WA_CLIENT_QR_NEXT_MS


class Looker:
    """Looks at a session all the time, as ingress notes it, until it is told to stop."""

    def __init__(self, session):
        self.session = session
        self.last = 0.0
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self.look)
        self.thread.start()

    def look(self):
        while not self.stopped.wait(0.5):
            self.last = time.time()
            self.session.kit.redis("SET", f"sess:{self.session.uuid}:watch", "1", "PX", 600000)

    def stop(self) -> None:
        self.stopped.set()
        self.thread.join()


@contextlib.contextmanager
def deaf_server():
    """Takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


class Idle(kit.Case):
    settings = {"SESSION_IDLE_SECONDS": str(IDLE)}

    def at(self, session, kind: str) -> list[float]:
        return [event["occurred_at"].timestamp() for event in session.events() if event["event_type"] == f"Session{kind}"]

    def closed(self, session, seconds: float) -> float:
        wait_until(lambda: self.at(session, "Disconnected"), seconds, f"{session.key} to be closed")
        last = session.events()[-1]
        self.assertEqual((last["event_type"], last["disconnected"]["reason"]), ("SessionDisconnected", "idle"))
        session.reach("DISCONNECTED")
        return self.at(session, "Disconnected")[-1]

    def test_codes_that_nobody_looks_at(self):
        linked = self.kit.session("lea").link("491560000001")
        watched = self.kit.session("max").create().connect()
        looker = Looker(watched)
        self.addCleanup(looker.stop)
        alone = self.kit.session("nora").create().connect()
        shown = wait_until(lambda: self.at(alone, "QrIssued"), 30, "the first code")[0]
        closed = self.closed(alone, FIRST + 30)
        self.assertGreaterEqual(closed, shown + FIRST + IDLE - 0.5)  # not before the code that may have been seen has ended
        self.assertLess(closed, shown + FIRST + NEXT)  # and not as late as the next
        self.assertIsNone(self.kit.redis("GET", self.kit.qr_key(alone.uuid)))

        wait_until(lambda: len(self.at(watched, "QrIssued")) >= 3, 60, "its third code")
        self.assertEqual(watched.state(), "WAITING_FOR_SCAN")
        shown = self.at(watched, "QrIssued")[-1]
        wait_until(lambda: looker.last > shown + 0.5, 10, "a look at it")
        looker.stop()
        closed = self.closed(watched, NEXT + 30)
        self.assertGreaterEqual(closed, max(looker.last, shown + NEXT) + IDLE - 0.5)
        self.assertEqual(len(self.at(watched, "QrIssued")), 4)  # the fourth one was shown to nobody
        self.assertEqual(linked.state(), "CONNECTED")
        self.kit.message_reaches(linked.send(self.kit.sandbox.phone("491560000002"), "hello"), "Delivered")

        alone.connect()  # and a new one can be had
        self.kit.sandbox.scan(alone.qr(), "491560000003")
        alone.reach("CONNECTED")

    def test_a_connection_that_never_opens(self):
        with deaf_server() as port:
            self.kit.stack.ctl("stop", "connector-1")
            self.kit.start_connector(1, WHATSAPP_SERVER_API=f"wss://127.0.0.1:{port}/ws/chat")
            try:
                session = self.kit.session("otto").create().connect()
                self.closed(session, 15)
                self.assertEqual(self.at(session, "QrIssued"), [])
            finally:
                self.kit.stack.ctl("stop", "connector-1")
                self.kit.start_connector(1)

    def test_without_redis_nobody_is_closed(self):
        session = self.kit.session("petra").create().connect()
        session.qr()
        self.kit.stack.ctl("stop", "redis")
        try:
            wait_until(lambda: len(self.at(session, "QrIssued")) >= 3, FIRST + NEXT + 30, "the third code")
            self.assertEqual(self.at(session, "Disconnected"), [])
        finally:
            self.kit.stack.ctl("start", "redis")
        self.closed(session, 30)


if __name__ == "__main__":
    kit.main()
