"""Looking up recipients: whom WhatsApp does not tell of is asked for again, alone where need be, and in the end given up."""

import time

import kit
from kit import wait_until

READS = {"delay_ms": 0, "read": True, "read_delay_ms": 0}
EVICTS = 300  # over SIGSTORE_CACHE_DEFAULT


class Recipients(kit.Case):
    def all_reach(self, messages: list[str], kind: str) -> None:
        for message in messages:
            self.kit.message_reaches(message, kind, 60)

    def test_one_that_is_not_told_holds_up_nobody_and_is_given_up(self):
        session = self.kit.session("adam").link("491550000001")
        odd = self.kit.sandbox.phone("491550000002", unlisted=1000000)
        friends = [self.kit.sandbox.phone(f"4915500001{i:02}", **READS) for i in range(10)]
        lost = session.send(odd, "never")
        self.all_reach([session.send(friend, "hello") for friend in friends], "Read")
        self.assertEqual(self.kit.message_kinds(lost), ["Queued"])
        self.all_reach([session.send(friend, "while it is tried again") for friend in friends], "Read")
        self.assertEqual(self.kit.message_reaches(lost, "Skipped", 150), ["Queued", "Skipped"])
        self.assertEqual(self.kit.messages.of(lost)[-1]["skipped"]["reason"], "WhatsApp does not tell its devices")
        self.assertEqual(1000000 - self.kit.sandbox.show(odd)["behaviour"]["unlisted"], 5)

    def test_one_that_is_told_in_the_end_gets_it(self):
        session = self.kit.session("berta").link("491550000011")
        odd = self.kit.sandbox.phone("491550000012", **READS, unlisted=2)
        message = session.send(odd, "third time lucky")
        self.assertEqual(
            self.kit.message_reaches(message, "Read", 60), ["Queued", "Dispatched", "Sent", "Delivered", "Read"]
        )
        self.assertEqual(self.kit.sandbox.show(odd)["behaviour"]["unlisted"], 0)

    def test_not_after_ends_the_wait(self):
        session = self.kit.session("cesar").link("491550000021")
        odd = self.kit.sandbox.phone("491550000022", unlisted=1000000)
        message = session.send(odd, "soon or never", not_after=int(time.time() * 1000) + 2000)
        self.assertEqual(self.kit.message_reaches(message, "Failed", 30), ["Queued", "Failed"])
        self.assertEqual(self.kit.messages.of(message)[-1]["failed"]["error"], "expired")

    def test_one_for_whom_all_are_refused_goes_alone(self):
        session = self.kit.session("dora").link("491550000031")
        odd = self.kit.sandbox.phone("491550000032", unlisted=1000000, unlisted_all=True)
        friends = [self.kit.sandbox.phone(f"4915500003{i}", **READS) for i in range(40, 50)]
        with self.kit.frozen():  # so that all are asked for together
            lost = session.send(odd, "never")
            messages = [session.send(friend, "hello") for friend in friends]
            self.kit.producer.flush(10)
        self.all_reach(messages, "Read")
        self.assertEqual(self.kit.message_kinds(lost), ["Queued"])
        self.assertEqual(self.kit.message_reaches(lost, "Skipped", 150), ["Queued", "Skipped"])

    def test_without_the_own_devices_messages_still_go_out(self):
        session = self.kit.session("emil").link("491550000051")
        friend = self.kit.sandbox.phone("491550000052", **READS)
        self.kit.sandbox.behave(session.number, unlisted=1000000)
        messages = [session.send(friend, f"{i}") for i in range(3)]
        self.kit.message_reaches(messages[0], "Read", 150)
        self.all_reach(messages, "Read")
        self.assertEqual([e for e in self.kit.sandbox.ledger(number=session.number, copies=1) if e["own_copy"]], [])
        self.kit.sandbox.behave(session.number, unlisted=0)

    def test_a_device_whose_session_leaves_the_cache_meanwhile_is_not_left_out(self):
        session = self.kit.session("flora").link("491550000061")
        friend = self.kit.sandbox.phone("491550000062", **READS)
        self.kit.message_reaches(session.send(friend, "hello"), "Read")
        other = self.kit.session("flora2").link(friend)  # now there is a device without a session
        self.kit.sandbox.behave(friend, hold_bundles=True)
        message = session.send(friend, "hello both")
        wait_until(lambda: self.kit.sandbox.show(friend)["held"] == 1, 30, "its bundle to be asked for")
        phones = self.kit.sandbox.phones(EVICTS)
        for phone in phones:
            self.kit.sandbox.write(phone, session.number, phone)
        session.told(*phones, seconds=60)
        self.kit.sandbox.behave(friend, hold_bundles=False)
        self.kit.message_reaches(message, "Read")
        other.told("hello both")  # and the phone has read it; a device left out would be a violation
        self.assertEqual(self.kit.sandbox.show(friend)["bundles"], 1)


if __name__ == "__main__":
    kit.main()
