"""The rules of the send path at work: a connector against the sandbox, and what goes wrong between them."""

import json
import os
import signal
import time
import uuid

import kit
from cut import Cut
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

    def one(self, query: str) -> str:
        return self.kit.stack.sql(query)[0][0]

    def decrypted(self, message: str, number: str) -> list[tuple[int, int, int]]:
        """(device, decrypted, failed) of each device of `number`."""
        wire = self.one(f"select wa_message_id from connector.message where message_id = '{message}'")
        return [(e["device"], e["decrypted"], e["failed"]) for e in self.kit.sandbox.ledger(number=number, id=wire)]

    # ---- S1: what was not committed was never sent; the ratchets follow the table ----

    def check_cut(self, session, friend: str, text: str, cut: Cut, kept: int):
        sandbox, blast = self.kit.sandbox, str(uuid.uuid4())
        before, failures = sandbox.summary(), self.kit.log().count("turn failed")
        message = session.send(friend, text, blast_message(blast, 0), blast_id=blast, blast_index=0)  # it waits for the session
        self.kit.producer.flush(10)
        self.assertTrue(cut.happened.wait(60), "the turn of the message was not seen")
        wait_until(lambda: self.kit.log().count("turn failed") > failures, 30, "the turn to fail")
        self.assertEqual(sandbox.summary()["messages"], before["messages"])
        self.assertEqual(int(self.one(f"select count(stanza) from connector.message where message_id = '{message}'")), kept)
        cut.heal()
        kinds = self.kit.message_reaches(message, "Delivered", 120)
        self.assertEqual(kinds, ["Dispatched", "Sent", "Delivered"])
        self.kit.message_reaches(session.send(friend, "and on it goes"), "Delivered")
        after = sandbox.summary()
        self.assertEqual(self.decrypted(message, friend), [(0, 1, 0)])
        self.assertEqual((after["messages"], after["retries"]), (before["messages"] + 2, before["retries"]))

    def test_a_commit_that_postgresql_does_not_answer_is_read_again(self):
        session = self.kit.session("dana").link("491530000031")
        friend = self.kit.sandbox.phone("491530000032")
        with Cut(self.kit.stack.port("postgres")) as cut:
            self.restart(DB_PORT=str(cut.port))
            session.reach("CONNECTED")
            self.kit.message_reaches(session.send(friend, "to begin with"), "Delivered")
            cut.before(b"never committed")
            self.check_cut(session, friend, "never committed", cut, 0)
            cut.after(b"committed unheard", b"COMMIT\0")
            self.check_cut(session, friend, "committed unheard", cut, 1)
            self.doCleanups()  # away from the proxy before it ends
            session.reach("CONNECTED")

    # ---- S2: an answer for one device is a row of its own ----

    def test_answers_for_two_devices_outlive_a_crash(self):
        sandbox = self.kit.sandbox
        session = self.kit.session("elsa").link("491530000041")
        friend = sandbox.phone("491530000042")
        other = self.kit.session("elsa2").link(friend)  # the friend's companion
        self.kit.message_reaches(session.send(friend, "one"), "Delivered")
        wait_until(lambda: other.received() == ["one"], 20, "the companion to get it")
        self.kit.stack.ctl("stop", "connector-1")
        self.kit.stack.sql(f"delete from connector.signal_record where kind = 4 and session_uuid = '{other.uuid}'")
        sandbox.behave(friend, fail=1)
        self.kit.start_connector(1, KENTONGAN_CRASH_AT="connector.before.resend@2")  # one is on its way, the other is not
        for one in (session, other):
            one.reach("CONNECTED")
        message = session.send(friend, "two")
        self.kit.producer.flush(10)
        self.kit.wait_for_crash()
        self.kit.start_connector(1)
        wait_until(lambda: other.received() == ["one", "two"], 60, "the companion to get it")
        retries = f"from connector.retry where message_id = '{message}'"
        wait_until(lambda: self.one(f"select count(*) {retries} and not is_settled") == "0", 60, "all answers to be acked")
        self.assertEqual(self.one(f"select count(distinct device) {retries}"), "2")
        self.assertEqual(self.decrypted(message, friend), [(0, 1, 1)])

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
        for index, (text, campaign) in enumerate([("x" * 262145, None), ("x" * 990_000, None), ("long", "x" * 990_000)], 4):
            session.send(friend, text, blast_message(blast, index), blast_id=blast, blast_index=index, campaign_id=campaign)
        fine = session.send(friend, "fine", blast_message(blast, 3), blast_id=blast, blast_index=3)
        self.kit.message_reaches(fine, "Delivered")
        ends = [e for e in self.kit.messages_of(blast) if e["failed"]]
        self.assertEqual([e["blast_index"] for e in ends], [0, 1, 4, 5, 6])
        for event in ends:
            self.assertEqual(event["aggregate_id"], blast_message(blast, event["blast_index"]))
            self.assertEqual((event["state_before"], event["failed"]["permanent"]), ("NONE", True))
            self.assertEqual(event["session_key"], session.key)
        self.assertEqual(self.kit.message_kinds(taken)[-1], "Delivered")

    def test_deletion_fails_what_is_open(self):
        sandbox, blast = self.kit.sandbox, str(uuid.uuid4())
        self.restart(ACK_TIMEOUT_MS="600000")
        session = self.kit.session("faye").link("491530000051")
        friend = sandbox.phone("491530000052")
        sandbox.call("POST", f"/admin/phones/{friend}/offline")
        sandbox.hold_acks(friend)
        messages = [
            session.send(friend, f"text {i}", blast_message(blast, i), blast_id=blast, blast_index=i) for i in range(600)
        ]  # more than one turn can end
        wait_until(lambda: sandbox.hold_acks(friend) == 64, 60, "the window to be written")
        wait_until(
            lambda: self.one(f"select count(*) from connector.message where session_uuid = '{session.uuid}'") == "600", 60, "all to be taken"
        )
        self.kit.accepted(session.command("remove_session"))
        session.reach("DELETED")
        self.reach(messages, "Failed")
        ends = [e for e in self.kit.messages_of(blast) if e["failed"]]
        self.assertEqual({(e["failed"]["error"], e["failed"]["permanent"]) for e in ends}, {("logged_out", True)})
        self.assertEqual(len(ends), 600)
        open_rows = f"select count(*) from connector.message where session_uuid = '{session.uuid}' and not is_settled"
        self.assertEqual(self.one(open_rows), "0")
        late = session.send(friend, "too late", blast_message(blast, 600), blast_id=blast, blast_index=600)
        self.assertEqual(self.kit.message_reaches(late, "Failed"), ["Failed"])
        sandbox.hold_acks(friend, False)

    # ---- S5: not after closing time ----

    def test_what_is_not_prepared_in_time_goes_back_to_its_blast(self):
        blast, soon = str(uuid.uuid4()), int(time.time() * 1000) + 1500
        session = self.kit.session("gesa").link("491530000061")
        friend = self.kit.sandbox.phone("491530000062")
        self.kit.accepted(session.command("disconnect", origin="f1"))
        session.reach("DISCONNECTED")
        message = session.send(friend, "by five", blast_message(blast, 0), blast_id=blast, blast_index=0, not_after=soon)
        self.assertEqual(self.kit.message_reaches(message, "Expired"), ["Expired"])
        self.assertGreater(time.time() * 1000, soon)
        session.connect().reach("CONNECTED")
        session.quiet()
        self.assertEqual(self.kit.message_kinds(message), ["Expired"])
        self.age(message)
        later = int(time.time() * 1000) + 3600000
        session.send(friend, "by five", message, blast_id=blast, blast_index=0, not_after=later)
        self.assertEqual(self.kit.message_reaches(message, "Delivered"), ["Expired", "Dispatched", "Sent", "Delivered"])
        direct = session.send(friend, "by now", not_after=int(time.time() * 1000) - 1)
        self.assertEqual(self.kit.message_reaches(direct, "Failed"), ["Queued", "Failed"])

    def age(self, expired: str) -> None:
        """A month passes: rows of settled messages go, that of an expired one does not."""
        old, of_expired = str(uuid.uuid4()), f"from connector.message m where message_id = '{expired}'"
        changes = {"message_id": old, "wa_message_id": "OLD", "state": "FAILED", "place": 0}
        row = f"jsonb_populate_record(null::connector.message, to_jsonb(m) || '{json.dumps(changes)}')"
        self.kit.stack.sql(f"insert into connector.message overriding system value select ({row}).* {of_expired}")
        aged = f"where message_id in ('{old}', '{expired}')"
        self.kit.stack.sql(f"update connector.message set settled_at = now() - interval '31 days' {aged}")
        wait_until(lambda: self.kit.stack.sql(f"select message_id from connector.message {aged}") == [[expired]], 90, "the old row to go")

    def test_what_is_late_is_not_written_again(self):
        sandbox = self.kit.sandbox
        session = self.kit.session("hans").link("491530000071")
        friend = sandbox.phone("491530000072")
        self.restart(ACK_TIMEOUT_MS="600000")
        session.reach("CONNECTED")
        self.kit.message_reaches(session.send(friend, "to begin with"), "Delivered")
        sandbox.call("POST", f"/admin/phones/{friend}/offline")
        sandbox.hold_acks(friend)
        message = session.send(friend, "by five", not_after=int(time.time() * 1000) + 4000)
        wait_until(lambda: sandbox.hold_acks(friend) == 1, 4, "it to be written")
        repeats = sandbox.summary()["repeats"]
        with self.kit.frozen("sandbox-1"):
            self.kit.stack.ctl("kill", "connector-1")
            self.kit.start_connector(1)
            self.assertEqual(self.kit.message_reaches(message, "Failed", 60), ["Queued", "Dispatched", "Failed"])
        session.reach("CONNECTED", 60)
        self.kit.message_reaches(session.send(sandbox.phone("491530000073"), "another"), "Delivered")
        self.assertEqual(sandbox.summary()["repeats"], repeats)
        sandbox.hold_acks(friend, False)
        sandbox.call("POST", f"/admin/phones/{friend}/online")
        self.assertEqual(self.kit.message_reaches(message, "Delivered")[-2:], ["Failed", "Delivered"])

    def test_a_device_that_asks_after_closing_time_is_answered(self):
        sandbox = self.kit.sandbox
        session = self.kit.session("inga").link("491530000081")
        friend = sandbox.phone("491530000082", fail=1)
        sandbox.call("POST", f"/admin/phones/{friend}/offline")
        until = int(time.time() * 1000) + 4000
        message = session.send(friend, "by five", not_after=until)
        self.kit.message_reaches(message, "Sent")
        wait_until(lambda: time.time() * 1000 > until, 10, "closing time")
        sandbox.call("POST", f"/admin/phones/{friend}/online")
        self.kit.message_reaches(message, "Delivered")
        self.assertEqual(self.decrypted(message, friend), [(0, 1, 1)])

    # ---- S7: another login of the same device ----

    def test_the_first_replacement_connects_again_and_the_second_gives_way(self):
        session = self.kit.session("jana").link("491530000091")
        replace = f"/admin/phones/{session.number}/devices/{session.companion()['device']}/replace"

        def losses():
            return [e["connection_lost"]["reason"] for e in session.events() if e["connection_lost"]]

        self.kit.sandbox.call("POST", replace)
        wait_until(lambda: "replaced" in losses(), 20, "it to be noticed")
        session.reach("CONNECTED")
        self.kit.sandbox.call("POST", replace)
        session.reach("DISCONNECTED")
        self.assertEqual(session.events()[-1]["disconnected"]["reason"], "replaced")
        self.assertEqual(losses().count("replaced"), 1)
        wait_until(lambda: not session.companion()["connected"], 10, "the socket to go")
        session.connect().reach("CONNECTED")  # somebody wants it

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

    def test_tries_count_by_time_outs_and_not_by_crashes(self):
        sandbox = self.kit.sandbox
        session = self.kit.session("kurt").link("491530000101")
        friend = sandbox.phone("491530000102")
        self.restart(ACK_TIMEOUT_MS="600000")
        session.reach("CONNECTED")
        self.kit.message_reaches(session.send(friend, "to begin with"), "Delivered")
        sandbox.call("POST", f"/admin/phones/{friend}/offline")
        sandbox.hold_acks(friend)
        message = session.send(friend, "unheard")
        for n in range(1, 4):  # written, then a crash: as often as there are tries
            wait_until(lambda n=n: sandbox.hold_acks(friend) == n, 60, "it to be written")
            self.kit.stack.ctl("kill", "connector-1")
            self.assertEqual(self.kit.message_kinds(message), ["Queued", "Dispatched"])
            self.kit.start_connector(1, **({"ACK_TIMEOUT_MS": "600000"} if n < 3 else {}))
        kinds = wait_until(lambda: self.kit.message_kinds(message).count("Failed") == 3 and self.kit.message_kinds(message), 120, "three tries")
        self.assertEqual(kinds, ["Queued"] + 3 * ["Dispatched", "Failed"])
        tries = [e["failed"] for e in self.kit.messages.of(message) if e["failed"]]
        self.assertEqual([(t["error"], t["attempt"], t["permanent"]) for t in tries], [("no_ack", i, i == 3) for i in (1, 2, 3)])
        sandbox.hold_acks(friend, False)
        session.reach("CONNECTED")
        sandbox.call("POST", f"/admin/phones/{friend}/online")
        self.assertEqual(self.kit.message_reaches(message, "Delivered")[-2:], ["Failed", "Delivered"])
        self.assertEqual(self.decrypted(message, friend), [(0, 1, 0)])

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
