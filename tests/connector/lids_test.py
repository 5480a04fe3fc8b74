"""People have a number and a hidden id (LID): which of them an event shows, and under which their Signal records are kept."""

import kit
from kit import wait_until

READS = {"delay_ms": 0, "read": True, "read_delay_ms": 0}


class Lids(kit.Case):
    def senders(self, session) -> list[tuple[str, str]]:
        """(from, text) of what came in."""
        events = [e["received"] for e in self.kit.messages.poll() if e["received"] and e["session_uuid"] == session.uuid]
        return [(received["from"], received["text"]) for received in events]

    def pairs(self, session) -> list[list[str]]:
        return self.kit.stack.sql(f"select phone, lid from connector.lid where session_uuid = '{session.uuid}' order by phone")

    def peers(self, session, *users: str) -> list[str]:
        """Keys of the records of these users, numbers or LIDs."""
        rows = self.kit.stack.sql(f"select key from connector.signal_record where session_uuid = '{session.uuid}' and kind = 4")
        return sorted(row[0] for row in rows if row[0].partition(":")[0].removesuffix("_1") in users)

    def lid(self, number: str) -> str:
        return self.kit.sandbox.show(number)["lid"]

    def restart(self, session) -> None:
        self.kit.stack.ctl("kill", "connector-1")
        self.kit.start_connector(1)
        session.reach("CONNECTED")

    def asked(self) -> float:
        return self.kit.metric("kentongan_messages_undecryptable_total")

    def write(self, session, number: str, text: str, sender: str) -> None:
        """`number` writes; the event names `sender`. Nothing had to be asked for again."""
        before = self.asked()
        self.kit.sandbox.write(number, session.number, text)
        wait_until(lambda: (sender, text) in self.senders(session), 30, f"{text} from {sender}; {self.senders(session)}")
        session.quiet()
        self.assertEqual([told[1] for told in self.senders(session)].count(text), 1)
        self.assertEqual(self.asked(), before)

    def known_by_number(self, session, number: str) -> str:
        """A phone that the session writes to without learning its LID; gives it."""
        self.kit.sandbox.phone(number, **READS, hidden=True, form="pn")
        self.kit.message_reaches(session.send(number, "hello"), "Read")
        lid = self.lid(number)
        self.assertEqual(self.peers(session, number, lid), [f"{number}:0"])
        self.assertNotIn([number, lid], self.pairs(session))
        return lid

    def test_a_number_that_is_told_is_shown_and_kept(self):
        session = self.kit.session("tara").link("491540000001")
        friend = self.kit.sandbox.phone("491540000002", **READS, form="lid")
        lid = self.lid(friend)
        self.write(session, friend, "one", f"{friend}@s.whatsapp.net")
        self.assertIn([friend, lid], self.pairs(session))
        self.assertEqual(self.peers(session, friend, lid), [f"{lid}_1:0"])
        self.restart(session)
        self.kit.sandbox.behave(friend, hidden=True)  # not told again: the table knows
        self.write(session, friend, "two", f"{friend}@s.whatsapp.net")
        self.kit.message_reaches(session.send(friend, "back to the number, with the same session"), "Read")
        self.assertEqual(self.peers(session, friend, lid), [f"{lid}_1:0"])
        self.assertEqual(self.kit.sandbox.show(friend)["bundles"], 0)  # it began the session, and there is one

    def test_a_number_that_is_not_told_is_not_shown(self):
        session = self.kit.session("udo").link("491540000011")
        friend = self.kit.sandbox.phone("491540000012", **READS, form="lid", hidden=True)
        lid = self.lid(friend)
        self.write(session, friend, "who am I?", f"{lid}@lid")
        self.assertNotIn([friend, lid], self.pairs(session))
        self.restart(session)
        self.write(session, friend, "still me", f"{lid}@lid")
        self.kit.sandbox.behave(friend, hidden=False)
        self.write(session, friend, "here I am", f"{friend}@s.whatsapp.net")
        self.assertIn([friend, lid], self.pairs(session))
        self.kit.sandbox.behave(friend, hidden=True)
        self.write(session, friend, "hiding is of no use now", f"{friend}@s.whatsapp.net")

    def test_what_is_kept_under_the_number_moves_to_the_lid(self):
        session = self.kit.session("vera").link("491540000021")
        friend = "491540000022"
        lid = self.known_by_number(session, friend)
        self.kit.sandbox.behave(friend, hidden=False, form="lid")
        self.write(session, friend, "one", f"{friend}@s.whatsapp.net")  # decrypts at once: the session went along
        self.assertEqual(self.peers(session, friend, lid), [f"{lid}_1:0"])
        self.assertIn([friend, lid], self.pairs(session))
        self.restart(session)
        self.write(session, friend, "two", f"{friend}@s.whatsapp.net")
        self.kit.message_reaches(session.send(friend, "and on it goes"), "Read")
        self.assertEqual(self.kit.sandbox.show(friend)["bundles"], 1)
        self.assertEqual(self.peers(session, friend, lid), [f"{lid}_1:0"])

    def test_all_devices_move(self):
        session = self.kit.session("willi").link("491540000031")
        friend = "491540000032"
        other = self.kit.session("willi2").link(friend)
        self.kit.sandbox.behave(friend, hidden=True, form="pn", **READS)
        self.kit.message_reaches(session.send(friend, "hello both"), "Read")
        device = other.companion()["device"]
        lid = self.lid(friend)
        self.assertEqual(self.peers(session, friend, lid), [f"{friend}:0", f"{friend}:{device}"])
        self.kit.sandbox.behave(friend, hidden=False, form="lid")
        self.write(session, friend, "one", f"{friend}@s.whatsapp.net")
        self.assertEqual(self.peers(session, friend, lid), [f"{lid}_1:0", f"{lid}_1:{device}"])
        self.restart(session)
        self.kit.message_reaches(other.send(session.number, "from the other device"), "Sent")
        session.told("one", "from the other device")
        self.kit.message_reaches(session.send(friend, "hello again"), "Read")
        other.told("hello both", "hello again")

    def test_a_crash_while_they_move(self):
        session = self.kit.session("xenia").link("491540000041")
        friend = "491540000042"
        lid = self.known_by_number(session, friend)
        session.quiet()
        self.kit.sandbox.behave(friend, hidden=False, form="lid")
        with self.kit.locked("lid") as somebody_waits:
            self.kit.sandbox.write(friend, session.number, "one")
            wait_until(somebody_waits, 30, "the pair to be on its way into the table")
            self.kit.stack.ctl("kill", "connector-1")
        self.assertEqual(self.peers(session, friend, lid), [f"{friend}:0"])
        self.assertNotIn([friend, lid], self.pairs(session))
        self.kit.start_connector(1)
        session.told("one")
        self.assertEqual(self.peers(session, friend, lid), [f"{lid}_1:0"])
        self.assertIn([friend, lid], self.pairs(session))
        self.assertEqual(self.asked(), 0)
        self.assertEqual(self.senders(session), [(f"{friend}@s.whatsapp.net", "one")])

    def test_a_crash_when_they_have_moved(self):
        session = self.kit.session("yuri").link("491540000051")
        friend = "491540000052"
        lid = self.known_by_number(session, friend)
        session.quiet()
        self.kit.crash_at("before.ack")
        session.reach("CONNECTED")
        self.kit.sandbox.behave(friend, hidden=False, form="lid")
        self.kit.sandbox.write(friend, session.number, "one")
        self.kit.wait_for_crash()
        self.assertEqual(self.peers(session, friend, lid), [f"{lid}_1:0"])
        self.kit.sandbox.behave(friend, hidden=True)
        self.kit.start_connector(1)
        self.write(session, friend, "two", f"{friend}@s.whatsapp.net")
        session.told("one", "two")
        self.kit.message_reaches(session.send(friend, "and on it goes"), "Read")

    def test_lids_told_by_device_lists_and_history_are_kept(self):
        session = self.kit.session("zora").link("491540000061")
        own = [session.number, self.lid(session.number)]
        wait_until(lambda: own in self.pairs(session), 20, "the own pair, out of the history")
        friend = self.kit.sandbox.phone("491540000062", **READS)
        self.kit.message_reaches(session.send(friend, "hello"), "Read")
        self.assertIn([friend, self.lid(friend)], self.pairs(session))
        self.assertEqual(self.peers(session, friend, self.lid(friend)), [f"{self.lid(friend)}_1:0"])


if __name__ == "__main__":
    kit.main()
