"""The rules of the send path at work: a connector against the sandbox, and what goes wrong between them."""

import os
import signal
import uuid

import kit
from kit import wait_until

IDS = uuid.UUID("6b3f0d52-9e14-4c7a-8d21-5fe0b746931c")  # namespace_id in libs/base/uuid.c


def blast_message(blast: str, index: int) -> str:
    return str(uuid.uuid5(IDS, f"message:{blast}:{index}"))


class Rules(kit.Case):
    settings = {"ACK_TIMEOUT_MS": "2000"}

    def restart(self, **settings: str):
        """The connector with other settings, until the test is over."""
        if settings:
            self.addCleanup(self.restart)
        self.kit.stack.ctl("stop", "connector-1")
        self.kit.start_connector(1, **settings)

    def stopped(self):
        """The connector is stopped: what comes meanwhile waits in its socket."""
        pid = self.kit.pid()
        os.kill(pid, signal.SIGSTOP)
        self.addCleanup(os.kill, pid, signal.SIGCONT)
        return lambda: os.kill(pid, signal.SIGCONT)

    def reach(self, messages: list[str], kind: str, seconds: float = 60):
        def left():
            there = {e["aggregate_id"] for e in self.kit.messages.poll() if e["event_type"] == f"Message{kind}"}
            return [m for m in messages if m not in there]

        wait_until(lambda: not left(), seconds, f"{len(messages)} messages to be {kind}")

    # ---- S4: every hand-over has an end ----

    def test_a_hand_over_that_is_refused_ends_for_its_blast(self):
        sandbox, blast = self.kit.sandbox, str(uuid.uuid4())
        other = self.kit.session("anna").link("491530000001")
        friend = sandbox.phone("491530000002")
        taken = other.send(friend, "mine")
        self.kit.message_reaches(taken, "Delivered")
        session = self.kit.session("arno").link("491530000003")
        session.send(friend, "no id", "no uuid", blast_id=blast, blast_index=0)
        foreign = str(uuid.uuid4())
        session.send(friend, "another's id", taken, foreign, blast_id=blast, blast_index=1)
        self.assertNotEqual(self.kit.verdict(foreign)["verdict"], "ok")
        session.send(friend, "blast unknown", blast_id="no uuid", blast_index=2)
        fine = session.send(friend, "fine", blast_message(blast, 3), blast_id=blast, blast_index=3)
        self.kit.message_reaches(fine, "Delivered")
        ends = [e for e in self.kit.messages_of(blast) if e["failed"]]
        self.assertEqual([e["blast_index"] for e in ends], [0, 1])
        for index, event in enumerate(ends):
            self.assertEqual(event["aggregate_id"], blast_message(blast, index))
            self.assertEqual((event["state_before"], event["failed"]["permanent"]), ("NONE", True))
            self.assertEqual(event["session_key"], session.key)
        self.assertEqual(self.kit.message_kinds(taken)[-1], "Delivered")

    # ---- S3: a try counts when there was no ack on a connection that was read ----

    def test_an_ack_that_waits_in_the_socket_of_a_stopped_connector_counts(self):
        sandbox = self.kit.sandbox
        session = self.kit.session("cora").link("491530000021")
        friend = sandbox.phone("491530000022", delay_ms=3500)
        self.kit.message_reaches(session.send(friend, "to begin with"), "Delivered")
        sandbox.hold_acks(friend)
        message = session.send(friend, "hello")
        wait_until(lambda: sandbox.hold_acks(friend) == 1, 20, "it to be written")
        go_on = self.stopped()
        before = sandbox.summary()["receipts"]
        sandbox.hold_acks(friend, False)
        wait_until(lambda: sandbox.summary()["receipts"] == before + 1, 20, "the time for the ack to pass")
        go_on()
        self.assertEqual(self.kit.message_reaches(message, "Delivered"), ["Queued", "Dispatched", "Sent", "Delivered"])

    # ---- receipts ----

    def test_receipts_in_a_burst_all_count(self):
        sandbox = self.kit.sandbox
        session = self.kit.session("bela").link("491530000011")
        self.restart(SEND_WINDOW="1000", ACK_TIMEOUT_MS="600000")
        session.reach("CONNECTED")
        friend = sandbox.phone("491530000012", delay_ms=0, read=True, read_delay_ms=0)
        sandbox.call("POST", f"/admin/phones/{friend}/offline")
        messages = [session.send(friend, f"text {i}") for i in range(256)]  # as many as stay in memory
        self.reach(messages, "Sent")
        other = sandbox.phone("491530000013")
        sandbox.call("POST", f"/admin/phones/{other}/offline")
        sandbox.hold_acks(other)
        others = [session.send(other, f"text {i}") for i in range(300)]
        wait_until(lambda: sandbox.hold_acks(other) == 300, 60, "the others to be written")
        before = sandbox.summary()["receipts"]
        go_on = self.stopped()
        sandbox.hold_acks(other, False)
        sandbox.call("POST", f"/admin/phones/{friend}/online")
        wait_until(lambda: sandbox.summary()["receipts"] == before + 512, 30, "the receipts to be on their way")
        go_on()
        self.reach(others, "Sent")
        self.reach(messages, "Read")


if __name__ == "__main__":
    kit.main()
