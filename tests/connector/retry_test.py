"""Messages that do not decrypt, in both directions: asked for again, answered, and in the end read exactly once."""

import kit
from kit import wait_until

READS = {"delay_ms": 0, "read": True, "read_delay_ms": 0}


class Retry(kit.Case):
    def retries(self, message: str) -> list[tuple[str, str]]:
        """(count, settled) of each answer to a retry receipt."""
        rows = self.kit.stack.sql(f"select count, is_settled from connector.retry where message_id = '{message}' order by count")
        return [tuple(row) for row in rows]

    def settled(self, message: str, n: int) -> None:
        want = [(str(i), "t") for i in range(1, n + 1)]
        wait_until(lambda: self.retries(message) == want, 20, f"{n} answers of {message} to be settled")

    def wire_id(self, message: str) -> str:
        return self.kit.stack.sql(f"select wa_message_id from connector.message where message_id = '{message}'")[0][0]

    def seen(self, message: str, number: str) -> list[tuple[int, int, int]]:
        """(device, decrypted, failed) of each device of `number`."""
        entries = self.kit.sandbox.ledger(number=number, id=self.wire_id(message))
        return [(entry["device"], entry["decrypted"], entry["failed"]) for entry in entries]

    # ---- they ask us ----

    def test_a_device_that_cannot_read_gets_it_again_and_no_other_does(self):
        session = self.kit.session("anna").link("491520000001")
        friend = self.kit.sandbox.phone("491520000002", **READS)
        other = self.kit.session("anna2").link(friend)  # the friend's companion
        before = self.kit.metric("kentongan_messages_resent_total")
        self.kit.sandbox.behave(friend, fail=2)
        message = session.send(friend, "third time lucky")
        self.assertEqual(self.kit.message_reaches(message, "Read"), ["Queued", "Dispatched", "Sent", "Delivered", "Read"])
        self.settled(message, 2)
        self.assertEqual(self.seen(message, friend), [(0, 1, 2)])
        self.assertEqual(self.kit.metric("kentongan_messages_resent_total"), before + 2)
        wait_until(lambda: other.received(), 20, "the companion's copy")
        session.quiet()
        other.quiet()
        self.assertEqual(other.received(), ["third time lucky"])
        self.kit.message_reaches(session.send(friend, "and on it goes"), "Read")
        self.assertEqual(self.kit.sandbox.show(friend)["bundles"], 1)  # keys came along the second time

    def test_without_keys_in_the_receipt_they_are_fetched(self):
        session = self.kit.session("bela").link("491520000011")
        friend = self.kit.sandbox.phone("491520000012", **READS, fail=2, retry_keys=False)
        message = session.send(friend, "with keys of the server")
        self.kit.message_reaches(message, "Read")
        self.settled(message, 2)
        self.assertEqual(self.seen(message, friend), [(0, 1, 2)])
        self.assertEqual(self.kit.sandbox.show(friend)["bundles"], 2)
        self.kit.message_reaches(session.send(friend, "and on it goes"), "Read")

    def test_five_times_and_no_more(self):
        session = self.kit.session("cleo").link("491520000021")
        friend = self.kit.sandbox.phone("491520000022", fail=1000)
        message = session.send(friend, "unreadable")
        self.settled(message, 5)
        wait_until(lambda: self.seen(message, friend) == [(0, 0, 6)], 20, "the fifth answer to fail, too")
        before = self.kit.metric("kentongan_messages_resent_total")
        for count in (6, 7, 3):
            self.kit.sandbox.ask(friend, self.wire_id(message), count)
        session.quiet()
        self.assertEqual(self.kit.metric("kentongan_messages_resent_total"), before)
        self.settled(message, 5)
        self.assertEqual(self.kit.message_reaches(message, "Sent"), ["Queued", "Dispatched", "Sent"])

    def test_by_whichever_address_it_asks_it_is_one_device(self):
        session = self.kit.session("omar").link("491520000161")
        friend = self.kit.sandbox.phone("491520000162", fail=1000, form="pn")
        message = session.send(friend, "unreadable")
        self.settled(message, 5)
        self.kit.sandbox.behave(friend, form="lid")
        for is_loaded in (False, True):
            if is_loaded:  # what was answered stands in the table alone
                self.kit.stack.ctl("kill", "connector-1")
                self.kit.start_connector(1)
                session.reach("CONNECTED")
            for count in (1, 2, 3, 4, 5):
                self.kit.sandbox.ask(friend, self.wire_id(message), count)
            session.quiet()
            self.settled(message, 5)

    def test_asking_for_it_again_says_that_the_server_has_it(self):
        session = self.kit.session("pola").link("491520000171")
        friend = self.kit.sandbox.phone("491520000172", fail=1000)
        self.kit.sandbox.hold_acks(friend)
        message = session.send(friend, "unreadable, but there")
        self.kit.message_reaches(message, "Sent")
        wait_until(lambda: self.kit.sandbox.hold_acks(friend) == 6, 20, "five answers to be written")
        self.kit.sandbox.hold_acks(friend, False)
        self.settled(message, 5)
        self.assertEqual(self.kit.message_kinds(message), ["Queued", "Dispatched", "Sent"])

    def test_the_same_receipt_many_times_is_answered_once(self):
        session = self.kit.session("dino").link("491520000031")
        friend = self.kit.sandbox.phone("491520000032", **READS, fail=1)
        message = session.send(friend, "once more")
        self.kit.message_reaches(message, "Read")
        self.settled(message, 1)
        wire_id = self.wire_id(message)
        with self.kit.frozen():
            for _ in range(20):
                self.kit.sandbox.ask(friend, wire_id, 1)
        session.quiet()
        self.settled(message, 1)
        self.assertEqual(self.seen(message, friend), [(0, 1, 1)])
        self.kit.message_reaches(session.send(friend, "no harm done"), "Read")
        self.assertNotIn("turn failed", self.kit.log())

    def test_somebody_else_gets_nothing(self):
        session = self.kit.session("emma").link("491520000041")
        friend = self.kit.sandbox.phone("491520000042", **READS)
        stranger = self.kit.sandbox.phone("491520000043", **READS)
        message = session.send(friend, "not for you")
        self.kit.message_reaches(message, "Read")
        self.kit.sandbox.ask(stranger, self.wire_id(message), 1)
        session.quiet()
        self.assertEqual(self.retries(message), [])
        self.assertEqual(self.seen(message, stranger), [])

    def test_what_is_long_settled_is_read_again_for_it(self):
        session = self.kit.session("finn").link("491520000051")
        friend = self.kit.sandbox.phone("491520000052", **READS)
        self.kit.sandbox.call("POST", f"/admin/phones/{friend}/offline")
        message = session.send(friend, "for later")
        self.kit.message_reaches(message, "Sent")
        self.kit.sandbox.behave(friend, fail=1)
        self.kit.stack.ctl("kill", "connector-1")
        self.kit.start_connector(1)
        session.reach("CONNECTED")
        self.kit.sandbox.call("POST", f"/admin/phones/{friend}/online")
        self.kit.message_reaches(message, "Read")
        self.settled(message, 1)
        self.assertEqual(self.seen(message, friend), [(0, 1, 1)])
        session.command("disconnect", origin="f1")
        session.reach("DISCONNECTED")
        session.connect().reach("CONNECTED")  # nothing is written again: the sandbox would call that unasked
        self.kit.message_reaches(session.send(friend, "next"), "Read")

    def read_once(self, session, message: str, friend: str) -> None:
        self.kit.message_reaches(message, "Read", 60)
        self.settled(message, 1)
        self.assertEqual(self.seen(message, friend), [(0, 1, 1)])
        self.kit.message_reaches(session.send(friend, "and on it goes"), "Read")
        session.command("disconnect", origin="f1")
        session.reach("DISCONNECTED")
        session.connect().reach("CONNECTED")  # nothing is written again: the sandbox would call that unasked
        session.quiet()
        self.assertEqual(self.seen(message, friend), [(0, 1, 1)])

    def test_a_crash_before_the_answer_is_kept_loses_nothing(self):
        session = self.kit.session("gina").link("491520000061")
        friend = self.kit.sandbox.phone("491520000062", **READS)
        self.kit.message_reaches(session.send(friend, "hello"), "Read")
        self.kit.sandbox.behave(friend, fail=1)
        with self.kit.locked("retry") as somebody_waits:
            message = session.send(friend, "in spite of all")
            wait_until(somebody_waits, 30, "the answer to be on its way into the table")
            self.kit.stack.ctl("kill", "connector-1")
        self.assertEqual(self.retries(message), [])
        self.kit.start_connector(1)
        self.read_once(session, message, friend)

    def test_a_crash_before_the_answer_is_written_loses_nothing(self):
        session = self.kit.session("hans").link("491520000071")
        friend = self.kit.sandbox.phone("491520000072", **READS)
        self.kit.message_reaches(session.send(friend, "hello"), "Read")
        session.quiet()
        self.kit.crash_at("before.ack")
        session.reach("CONNECTED")
        self.kit.sandbox.behave(friend, fail=1)
        message = session.send(friend, "in spite of all")
        self.kit.wait_for_crash()
        self.assertEqual(self.retries(message), [("1", "f")])
        self.kit.start_connector(1)
        self.read_once(session, message, friend)

    def test_an_answer_written_before_a_crash_is_settled_after_it(self):
        session = self.kit.session("ida").link("491520000081")
        friend = self.kit.sandbox.phone("491520000082", delay_ms=3600000)  # no receipt brings the message back into memory
        self.kit.sandbox.call("POST", f"/admin/phones/{friend}/offline")
        message = session.send(friend, "for later")
        self.kit.message_reaches(message, "Sent")
        session.quiet()
        self.kit.crash_at("after.resend")
        session.reach("CONNECTED")
        self.kit.sandbox.behave(friend, fail=1)
        self.kit.sandbox.call("POST", f"/admin/phones/{friend}/online")
        self.kit.wait_for_crash()
        self.assertEqual(self.retries(message), [("1", "f")])
        self.kit.start_connector(1)
        self.settled(message, 1)  # the server has it already, and says so again
        self.assertEqual(self.seen(message, friend), [(0, 1, 1)])

    # ---- we ask them ----

    def undecryptable(self) -> float:
        return self.kit.metric("kentongan_messages_undecryptable_total")

    def without(self, session, kind: int, keys: str) -> None:
        """The connector loses Signal records of a session."""
        self.kit.stack.ctl("kill", "connector-1")
        self.kit.stack.sql(
            f"delete from connector.signal_record where session_uuid = '{session.uuid}' and kind = {kind} and key like '{keys}'"
        )
        self.kit.start_connector(1)
        session.reach("CONNECTED")

    def test_what_came_damaged_is_asked_for_and_told_once(self):
        session = self.kit.session("ines").link("491520000101")
        friend = self.kit.sandbox.phone("491520000102", **READS)
        texts = []
        for asked, damage in enumerate((1, 1, 2), start=1):  # begins a session; in it; twice: with keys of ours
            before = self.undecryptable()
            self.kit.sandbox.behave(friend, damage=damage)
            texts.append(f"damaged at first, {asked}")
            written = self.kit.sandbox.write(friend, session.number, texts[-1])
            session.told(*texts)
            self.assertEqual(self.undecryptable(), before + damage)
            self.assertEqual(self.kit.sandbox.call("GET", f"/admin/phones/{friend}/messages/{written}")["delivered"], 2)
            self.kit.message_reaches(session.send(friend, "I hear you"), "Read")

    def test_what_never_comes_whole_is_given_up_and_the_next_is_read(self):
        session = self.kit.session("jana").link("491520000111")
        friend = self.kit.sandbox.phone("491520000112", **READS, damage=100)
        before = self.undecryptable()
        self.kit.sandbox.write(friend, session.number, "never readable")
        wait_until(lambda: self.undecryptable() == before + 5, 30, "five requests")
        wait_until(lambda: self.kit.sandbox.show(friend)["behaviour"]["damage"] == 100 - 6, 30, "the last answer")
        session.quiet()
        self.kit.sandbox.behave(friend, damage=0)
        self.kit.sandbox.write(friend, session.number, "readable")
        session.told("readable")
        self.assertEqual(self.undecryptable(), before + 5)

    def test_a_session_that_we_lost_is_begun_anew(self):
        session = self.kit.session("karl").link("491520000121")
        friend = self.kit.sandbox.phone("491520000122", **READS)
        self.kit.message_reaches(session.send(friend, "hello"), "Read")
        self.kit.sandbox.write(friend, session.number, "one")
        session.told("one")
        self.without(session, 4, self.kit.sandbox.show(friend)["lid"] + "%")
        bundles = session.companion()["prekeys"]
        before = self.undecryptable()
        self.kit.sandbox.write(friend, session.number, "two")
        session.told("one", "two")
        self.assertEqual(self.undecryptable(), before + 1)
        self.assertEqual(session.companion()["prekeys"], bundles)  # the keys came with the receipt
        self.kit.message_reaches(session.send(friend, "and on it goes"), "Read")

    def test_keys_that_we_lost_are_replaced(self):
        session = self.kit.session("lena").link("491520000131")
        friend = self.kit.sandbox.phone("491520000132", **READS)
        self.without(session, 3, "%")  # all one-time keys: whatever the server hands out is of no use
        before = self.undecryptable()
        self.kit.sandbox.write(friend, session.number, "one")
        session.told("one")
        self.assertEqual(self.undecryptable(), before + 2)
        self.kit.message_reaches(session.send(friend, "and on it goes"), "Read")

    def test_a_crash_while_asking_loses_nothing(self):
        session = self.kit.session("mona").link("491520000141")
        friend = self.kit.sandbox.phone("491520000142", **READS)
        session.quiet()
        self.kit.crash_at("before.ack")  # decided, not said
        session.reach("CONNECTED")
        self.kit.sandbox.behave(friend, damage=1)
        self.kit.sandbox.write(friend, session.number, "one")
        self.kit.wait_for_crash()
        self.assertEqual(session.received(), [])
        self.kit.start_connector(1)
        session.told("one")

    def test_a_crash_while_making_keys_for_it_loses_nothing(self):
        session = self.kit.session("nina").link("491520000151")
        friend = self.kit.sandbox.phone("491520000152", **READS)
        self.kit.message_reaches(session.send(friend, "hello"), "Read")
        self.kit.sandbox.write(friend, session.number, "one")
        session.told("one")
        self.without(session, 4, self.kit.sandbox.show(friend)["lid"] + "%")
        session.quiet()
        with self.kit.locked("signal_record") as somebody_waits:
            self.kit.sandbox.write(friend, session.number, "two")
            wait_until(somebody_waits, 30, "the new key to be on its way into the table")
            self.kit.stack.ctl("kill", "connector-1")
        self.kit.start_connector(1)
        session.told("one", "two")
        self.kit.message_reaches(session.send(friend, "and on it goes"), "Read")


if __name__ == "__main__":
    kit.main()
