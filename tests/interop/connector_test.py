"""The connector and clients that are not ours write to each other through the sandbox, over a whole stack.

    connector_test.py BUILD-FOLDER [unittest arguments]
"""

import pathlib
import sys
import unittest

from peers import PATIENCE_S, Sandbox, baileys, wait_until, whatsmeow

import checks
from driver import SETTINGS, Driver
from stack import Stack

BUILD = pathlib.Path(sys.argv.pop(1) if len(sys.argv) > 1 else "build").resolve()
ADA, BEN = "4915111111111", "4915122222222"


class Connector(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stack = cls.enterClassContext(Stack("interop", BUILD))
        cls.stack.up(settings=SETTINGS)
        cls.driver = Driver(cls.stack)
        cls.sandbox = Sandbox(BUILD, cls.stack.status())
        cls.sandbox.phones([ADA], name="Ada")
        cls.sandbox.phones([BEN], name="Ben")
        cls.ada = cls.enterClassContext(whatsmeow(cls.sandbox, BUILD, "ada"))
        cls.ben = cls.enterClassContext(baileys(cls.sandbox, BUILD, "ben"))
        for peer, number in ((cls.ada, ADA), (cls.ben, BEN)):
            peer.pair(cls.sandbox, number)
            peer.wait("push_name")
        cls.account = cls.driver.account()

    @classmethod
    def tearDownClass(cls):
        cls.sandbox.check()
        checks.wait_until_quiet(cls.stack)
        checks.nothing_was_given_up(cls.stack)
        checks.histories_hold(cls.stack)

    def state_of(self, message_id: str) -> str | None:
        rows = self.stack.sql(f"select status from proj.messages where wa_message_id = '{message_id}'")
        return rows[0][0] if rows else None

    def to_peer(self, peer, number: str, text: str):
        """The connector writes, the peer reads; both receipts come back."""
        sent = self.driver.send(self.account, number, text)["message_id"]
        got = peer.wait("message", id=sent, text=text, from_me=False)
        wait_until(lambda: self.state_of(sent) in ("DELIVERED", "READ"), PATIENCE_S, f"{sent} to be delivered")
        peer.say("read", ids=[sent], chat=got["chat"], sender=got["sender"])
        wait_until(lambda: self.state_of(sent) == "READ", PATIENCE_S, f"{sent} to be read")

    def from_peer(self, peer, text: str):
        """The peer writes, the connector keeps it and says so."""
        sent = peer.send(self.account.phone, text)

        def received():
            events = checks.log_of(self.stack).events("wa.message.events.v1")
            return [event for event in events if event.kind == "received" and event.value["received"]["wa_message_id"] == sent]

        kept = wait_until(received, PATIENCE_S, f"{sent} to be received", every=0.5)
        self.assertEqual(len(kept), 1)
        self.assertEqual(kept[0].value["received"]["text"], text)
        peer.wait_receipt("delivered", sent, sender=f"{self.account.phone}:1@s.whatsapp.net")

    def test_the_connector_writes_to_whatsmeow_and_is_read(self):
        self.to_peer(self.ada, ADA, "Hello whatsmeow")

    def test_the_connector_writes_to_baileys_and_is_read(self):
        self.to_peer(self.ben, BEN, "Hello Baileys")

    def test_whatsmeow_writes_to_the_connector(self):
        self.from_peer(self.ada, "Hello from whatsmeow")

    def test_baileys_writes_to_the_connector(self):
        self.from_peer(self.ben, "Hello from Baileys")

    def test_a_conversation_survives_the_death_of_the_connector(self):
        for i in range(3):
            for peer, number, name in ((self.ada, ADA, "ada"), (self.ben, BEN, "ben")):
                self.to_peer(peer, number, f"to {name} {i}")
                self.from_peer(peer, f"from {name} {i}")
            self.stack.ctl("kill", "connector-1")
            sent = self.ada.send(self.account.phone, f"while away {i}") # comes with the next login
            self.stack.up()
            self.driver.wait_connected(self.account.id)
            self.ada.wait_receipt("delivered", sent, sender=f"{self.account.phone}:1@s.whatsapp.net")

    def test_a_new_client_of_the_recipient_is_written_to_as_well(self):
        with whatsmeow(self.sandbox, BUILD, "ada-2") as second:
            second.pair(self.sandbox, ADA)
            text = "to both of you"
            sent = self.driver.send(self.account, ADA, text)["message_id"]
            self.ada.wait("message", id=sent, text=text)
            second.wait("message", id=sent, text=text)
            second.wait("push_name")
            second.say("logout")
            second.wait("logged_out")


if __name__ == "__main__":
    unittest.main(verbosity=2)
