"""whatsmeow and Baileys, unmodified, against the sandbox: if one of them refuses something, the sandbox is wrong.

    interop_test.py BUILD-FOLDER [unittest arguments]
"""

import pathlib
import sys
import unittest

from peers import PATIENCE_S, Sandbox, baileys, wait_until, whatsmeow

BUILD = pathlib.Path(sys.argv.pop(1) if len(sys.argv) > 1 else "build").resolve()
ADA, BEN, CARL = "4915111111111", "4915122222222", "4915133333333"


class Cases:
    """What every client must be able to do."""

    make = None

    def setUp(self):
        self.sandbox = self.enterContext(Sandbox(BUILD))
        self.sandbox.phones([ADA], name="Ada")
        self.sandbox.phones([BEN], name="Ben", read=True, read_delay_ms=50, delay_ms=20)
        self.peer = self.enterContext(type(self).make(self.sandbox, BUILD, "peer"))

    def until(self, condition):
        try:
            return wait_until(condition, PATIENCE_S, "this")
        except AssertionError as error:
            raise AssertionError(f"{error}; violations: {self.sandbox.call('GET', '/admin/violations')}") from None

    def decrypted(self, message_id: str, number: str) -> dict:
        def find():
            found = self.sandbox.ledger(id=message_id, number=number, copies=1)
            return next((entry for entry in found if entry["decrypted"]), None)

        return self.until(find)

    def test_it_pairs_connects_and_learns_its_name(self):
        self.peer.pair(self.sandbox, ADA)
        self.peer.wait("push_name", name="Ada")
        self.sandbox.check()

    def test_a_text_to_a_phone_is_delivered_and_read(self):
        self.peer.pair(self.sandbox, ADA)
        sent = self.peer.send(BEN, "Hi Ben")
        self.assertEqual(self.decrypted(sent, BEN)["text"], "Hi Ben")
        self.assertEqual(self.decrypted(sent, ADA)["own_copy"], True)
        self.peer.wait_receipt("delivered", sent)
        self.peer.wait_receipt("read", sent)
        if type(self) is Baileys:
            self.peer.wait("status", id=sent)
        self.sandbox.check()

    def test_a_text_of_a_phone_arrives_and_is_read(self):
        self.peer.pair(self.sandbox, ADA)
        self.peer.wait("push_name") # until then it says inactive
        sent = self.sandbox.call("POST", f"/admin/phones/{BEN}/send", {"to": ADA, "text": "Hello Ada"})["id"]
        message = self.peer.wait("message", id=sent, text="Hello Ada", from_me=False, push_name="Ben")
        self.peer.say("read", ids=[sent], chat=message["chat"], sender=message["sender"])
        path = f"/admin/phones/{BEN}/messages/{sent}" # her phone and her companion have it; she read it on one
        self.until(lambda: (view := self.sandbox.call("GET", path))["delivered"] == 2 and view["read"] == 1)
        self.sandbox.check()

    def test_its_phone_writes_and_it_sees_a_copy(self):
        self.peer.pair(self.sandbox, ADA)
        sent = self.sandbox.call("POST", f"/admin/phones/{ADA}/send", {"to": BEN, "text": "from my phone"})["id"]
        self.peer.wait("message", id=sent, text="from my phone", from_me=True)
        self.sandbox.check()

    def test_it_logs_in_again_and_gets_what_came_meanwhile(self):
        self.peer.pair(self.sandbox, ADA)
        self.decrypted(self.peer.send(BEN, "before"), BEN)
        self.peer.restart()
        sent = self.sandbox.call("POST", f"/admin/phones/{BEN}/send", {"to": ADA, "text": "while away"})["id"]
        self.peer.say("connect")
        self.peer.wait("connected")
        self.peer.wait("message", id=sent, text="while away")
        self.decrypted(self.peer.send(BEN, "after"), BEN)
        self.assertEqual(len(self.peer.find("message", {"id": sent})), 1)
        self.sandbox.check()

    def test_a_hundred_texts_go_back_and_forth(self):
        self.sandbox.call("POST", f"/admin/phones/{BEN}/behaviour", {"reply": "echo"})
        self.peer.pair(self.sandbox, ADA)
        for i in range(100):
            self.decrypted(self.peer.send(BEN, f"text {i}"), BEN)
            self.peer.wait("message", text=f"text {i}", from_me=False)
        self.sandbox.check()

    def test_it_sends_again_what_a_phone_could_not_read(self):
        self.peer.pair(self.sandbox, ADA)
        self.decrypted(self.peer.send(BEN, "first"), BEN)
        self.sandbox.call("POST", f"/admin/phones/{BEN}/behaviour", {"fail": 2})
        sent = self.peer.send(BEN, "lost twice")
        entry = self.decrypted(sent, BEN)
        self.assertEqual((entry["text"], entry["failed"], entry["decrypted"]), ("lost twice", 2, 1))
        self.peer.wait_receipt("delivered", sent)
        self.sandbox.check()

    def test_its_keys_do_not_run_out(self):
        self.peer.pair(self.sandbox, ADA)
        prekeys = lambda: self.sandbox.call("GET", f"/admin/phones/{ADA}")["devices"][0]["prekeys"]
        numbers = [f"49152{i:08}" for i in range(820)]  # more than it uploaded at first
        self.sandbox.phones(numbers)
        left = prekeys()
        # whatsmeow counts from 1 again when its last key is gone before it has made others: it is given the time
        for some in (numbers[: left - 3], numbers[left - 3 :]):  # fewer than 5 are left: the device is told
            for number in some:
                self.sandbox.call("POST", f"/admin/phones/{number}/send", {"to": ADA, "text": "hi from " + number})
            for number in some:
                self.peer.wait("message", text="hi from " + number)
            self.until(lambda: prekeys() > 3)
        self.sandbox.check()

    def test_two_of_one_account_see_what_the_other_writes(self):
        with type(self).make(self.sandbox, BUILD, "second") as second:
            self.peer.pair(self.sandbox, ADA)
            self.decrypted(self.peer.send(BEN, "alone"), BEN)
            second.pair(self.sandbox, ADA)
            sent = self.peer.send(BEN, "from the first")
            second.wait("message", id=sent, text="from the first", from_me=True)
            sent = second.send(BEN, "from the second")
            self.peer.wait("message", id=sent, text="from the second", from_me=True)
            self.sandbox.check()

    def test_a_number_is_looked_up(self):
        self.peer.pair(self.sandbox, ADA)
        self.peer.say("lookup", number=BEN)
        self.peer.wait("found", number=BEN, exists=True)
        self.sandbox.check()

    def test_it_is_told_when_it_is_unlinked(self):
        self.peer.pair(self.sandbox, ADA)
        self.sandbox.call("DELETE", f"/admin/phones/{ADA}/devices/1")
        self.peer.wait("logged_out")
        self.sandbox.check()

    def test_it_unlinks_itself(self):
        self.peer.pair(self.sandbox, ADA)
        self.peer.wait("push_name") # it says that it is there before that
        self.peer.say("logout")
        self.peer.wait("logged_out")
        self.assertEqual(self.sandbox.call("GET", f"/admin/phones/{ADA}")["devices"], [])
        self.sandbox.check()


class Whatsmeow(Cases, unittest.TestCase):
    make = staticmethod(whatsmeow)


class Baileys(Cases, unittest.TestCase):
    make = staticmethod(baileys)


class Together(unittest.TestCase):
    def test_they_write_to_each_other(self):
        with Sandbox(BUILD) as sandbox, whatsmeow(sandbox, BUILD, "ada") as ada, baileys(sandbox, BUILD, "ben") as ben:
            sandbox.phones([ADA], name="Ada")
            sandbox.phones([BEN], name="Ben")
            ada.pair(sandbox, ADA)
            ben.pair(sandbox, BEN)
            ada.wait("push_name")
            ben.wait("push_name")
            for i in range(10):
                sent = ada.send(BEN, f"ada {i}")
                got = ben.wait("message", id=sent, text=f"ada {i}")
                ada.wait_receipt("delivered", sent)
                ben.say("read", ids=[sent], chat=got["chat"], sender=got["sender"])
                ada.wait_receipt("read", sent)
                sent = ben.send(ADA, f"ben {i}")
                got = ada.wait("message", id=sent, text=f"ben {i}")
                ben.wait_receipt("delivered", sent)
                ada.say("read", ids=[sent], chat=got["chat"], sender=got["sender"])
                ben.wait_receipt("read", sent)
            sandbox.check()


if __name__ == "__main__":
    unittest.main(verbosity=2)
