"""A session's life against the sandbox: pairing, texts both ways, logout and deletion."""

import kit
from kit import wait_until

READS = {"delay_ms": 0, "read": True, "read_delay_ms": 50}


class Life(kit.Case):
    def rows(self, table: str, session) -> int:
        return int(self.kit.stack.sql(f"select count(*) from connector.{table} where session_uuid = '{session.uuid}'")[0][0])

    def assert_erased(self, session):
        for table in ("credentials", "signal_record", "lid", "phone_in_use", "retry"):
            self.assertEqual(self.rows(table, session), 0, table)

    def test_pairing_texts_out_and_in(self):
        session = self.kit.session("alice").link("491510000001")
        kinds = session.kinds()
        self.assertEqual(kinds[:4], ["SessionCreated", "SessionConnectRequested", "SessionSocketOpened", "SessionQrIssued"])
        self.assertLess(kinds.index("SessionPaired"), kinds.index("SessionLoggedIn"))

        friend = self.kit.sandbox.phone("491510000002", **READS)
        sent = session.send(friend, "hello")
        self.assertEqual(self.kit.message_reaches(sent, "Read"), ["Queued", "Dispatched", "Sent", "Delivered", "Read"])
        seen = self.kit.sandbox.ledger(number=friend)
        self.assertEqual([(entry["text"], entry["decrypted"]) for entry in seen], [("hello", 1)])
        own = [entry for entry in self.kit.sandbox.ledger(number=session.number, copies=1) if entry["own_copy"]]
        self.assertEqual([entry["text"] for entry in own], ["hello"])

        written = self.kit.sandbox.write(friend, session.number, "and back")
        told = wait_until(
            lambda: [e for e in self.kit.messages.poll() if e["received"] and e["session_uuid"] == session.uuid], 20, "a message in"
        )
        self.assertEqual(len(told), 1)
        self.assertEqual(told[0]["received"]["text"], "and back")
        self.assertEqual(told[0]["received"]["from"], "491510000002@s.whatsapp.net")
        wait_until(
            lambda: self.kit.sandbox.call("GET", f"/admin/phones/{friend}/messages/{written}")["delivered"] >= 1, 10, "its receipt"
        )
        again = session.send(friend, "third")
        self.kit.message_reaches(again, "Read")
        wait_until(lambda: session.companion()["queued"] == 0, 10, "every stanza to be acked")

    def test_disconnect_and_connect_again(self):
        session = self.kit.session("bert").link("491510000011")
        friend = self.kit.sandbox.phone("491510000012", **READS)
        self.kit.accepted(session.command("disconnect", origin="f1"))
        session.reach("DISCONNECTED")
        wait_until(lambda: session.kinds()[-1] == "SessionDisconnected", 10, "the confirmation")
        wait_until(lambda: not session.companion()["connected"], 10, "the socket to go")
        self.kit.sandbox.write(friend, session.number, "while you were away")
        session.connect().reach("CONNECTED")
        wait_until(
            lambda: [e for e in self.kit.messages.poll() if e["session_uuid"] == session.uuid and e["received"]], 20, "what was queued"
        )

    def test_logout_erases_and_fails_what_waits(self):
        session = self.kit.session("carl").link("491510000021")
        friend = self.kit.sandbox.phone("491510000022")
        self.kit.message_reaches(session.send(friend, "one"), "Delivered")
        self.kit.accepted(session.command("disconnect", origin="f1"))
        session.reach("DISCONNECTED")
        waiting = [
            session.send(friend, f"waits {i}", blast_id="0190a000-0000-7000-8000-000000000001", blast_index=i) for i in range(700)
        ]
        self.kit.producer.flush(20)
        wait_until(lambda: self.rows("message", session) == 701, 30, "the messages to be accepted")
        session.connect().reach("CONNECTED")
        self.kit.accepted(session.command("logout"))
        session.reach("LOGGED_OUT")
        self.assert_erased(session)
        self.assertEqual(self.kit.sandbox.show(session.number)["devices"], [])
        for message in waiting:
            kinds = self.kit.message_reaches(message, "Failed") if "Sent" not in self.kit.message_kinds(message) else ["Sent"]
            self.assertIn(kinds[-1], ("Failed", "Sent", "Delivered"))
        left = self.kit.stack.sql(
            f"select count(*) from connector.message where session_uuid = '{session.uuid}' and not is_settled"
        )
        self.assertEqual(left, [["0"]])
        late = session.send(friend, "too late", blast_id="0190a000-0000-7000-8000-000000000001", blast_index=999)
        self.assertEqual(self.kit.message_reaches(late, "Failed"), ["Failed"])
        session.connect()
        self.kit.sandbox.scan(session.qr(), session.number)
        session.reach("CONNECTED")
        self.kit.message_reaches(session.send(friend, "linked again"), "Delivered")

    def test_removing_a_session_that_is_offline_unlinks_its_device(self):
        session = self.kit.session("dora").link("491510000031")
        self.kit.accepted(session.command("disconnect", origin="f1"))
        session.reach("DISCONNECTED")
        wait_until(lambda: not session.companion()["connected"], 10, "the socket to go")
        self.kit.accepted(session.command("remove"))
        session.reach("LOGGED_OUT")
        self.assert_erased(session)
        wait_until(lambda: self.kit.sandbox.show(session.number)["devices"] == [], 30, "the device to be unlinked")
        session.connect()  # while or after that: a new code
        self.kit.sandbox.scan(session.qr(), session.number)
        session.reach("CONNECTED")

    def test_deletion_erases_everything(self):
        session = self.kit.session("emil").link("491510000041")
        friend = self.kit.sandbox.phone("491510000042")
        self.kit.message_reaches(session.send(friend, "one"), "Delivered")
        self.kit.accepted(session.command("remove_session"))
        session.reach("DELETED")
        self.assert_erased(session)
        wait_until(lambda: self.kit.sandbox.show(session.number)["devices"] == [], 30, "the device to be unlinked")
        wait_until(lambda: not self.kit.redis("EXISTS", f"sess:{session.uuid}:rt"), 5, "its runtime key to go")
        other = self.kit.session("emil2")
        other.link("491510000041")  # the phone is free again

    def test_a_device_is_unlinked_when_whatsapp_is_back(self):
        """Removed while WhatsApp does not answer; the connector is killed before it does."""
        kit = self.kit
        session = kit.session("ella").link("491510000071")
        other = kit.session("ella2").link("491510000072")
        with kit.frozen("sandbox-1"):
            kit.accepted(session.command("remove_session"))
            session.reach("DELETED")
            kit.accepted(other.command("remove"))
            other.reach("LOGGED_OUT")
            for gone in (session, other):
                self.assert_erased(gone)
                self.assertEqual(self.rows("to_unlink", gone), 1)
            kit.stack.ctl("kill", "connector-1")
        self.assertEqual([len(kit.sandbox.show(s.number)["devices"]) for s in (session, other)], [1, 1])
        kit.start_connector(1)
        for gone in (session, other):
            wait_until(lambda: kit.sandbox.show(gone.number)["devices"] == [], 60, "the device to be unlinked")
            wait_until(lambda: self.rows("to_unlink", gone) == 0, 10, "its credentials to go")
        other.connect()
        kit.sandbox.scan(other.qr(), other.number)
        other.reach("CONNECTED")

    def test_a_device_is_unlinked_after_tries_that_failed(self):
        kit = self.kit
        session = kit.session("enno").link("491510000081")
        with kit.frozen("sandbox-1"):
            kit.accepted(session.command("remove_session"))
            session.reach("DELETED")
            wait_until(
                lambda: [line for line in kit.log().splitlines() if "not unlinked yet" in line and session.uuid in line], 60, "a try to fail"
            )
            self.assertEqual(self.rows("to_unlink", session), 1)
        wait_until(lambda: kit.sandbox.show(session.number)["devices"] == [], 60, "the device to be unlinked")
        wait_until(lambda: self.rows("to_unlink", session) == 0, 10, "its credentials to go")

    def test_a_phone_belongs_to_one_session(self):
        self.kit.session("fred").link("491510000051")
        other = self.kit.session("gina").create().connect()
        self.kit.sandbox.scan(other.qr(), "491510000051")
        other.reach("LOGGED_OUT")
        self.assertIn("SessionPairRejected", other.kinds())
        self.assertEqual(len(self.kit.sandbox.show("491510000051")["devices"]), 1)

    def refusals(self, session) -> list[tuple[str, int | None]]:
        """(reason, code) of each connection that was lost since the last login."""
        found = []
        for event in session.events():
            lost = event["connection_lost"]
            found = [] if event["logged_in"] else found + ([(lost["reason"], lost["code"])] if lost else [])
        return found

    def refused_tries(self, session) -> int:
        return len([line for line in self.kit.log().splitlines() if "connection ended" in line and session.uuid in line and '"code":4' in line])

    def test_a_login_that_is_refused_is_told_once_and_tried_again(self):
        """The version is too old, then the login is not liked, then all is well."""
        session = self.kit.session("inge").link("491510000091")
        self.kit.sandbox.behave(session.number, refuse_logins=405)
        self.kit.stack.ctl("kill", "connector-1")
        self.kit.start_connector(1)
        wait_until(lambda: self.refused_tries(session) >= 3, 60, "three tries")
        self.assertEqual(self.refusals(session), [("restart", None), ("outdated", 405)])
        self.assertEqual(session.state(), "RECONNECTING")
        self.kit.sandbox.behave(session.number, refuse_logins=409)
        wait_until(lambda: len(self.refusals(session)) == 3, 60, "the other reason")
        self.assertEqual(self.refusals(session)[-1], ("refused", 409))
        self.kit.sandbox.behave(session.number, refuse_logins=0)
        session.reach("CONNECTED", 60)

    def test_unlinked_by_the_phone(self):
        session = self.kit.session("hugo").link("491510000061")
        device = session.companion()["device"]
        self.kit.sandbox.call("DELETE", f"/admin/phones/{session.number}/devices/{device}")
        session.reach("LOGGED_OUT")
        self.assert_erased(session)
        self.assertEqual(session.events()[-1]["logged_out"]["reason"], "remote")


if __name__ == "__main__":
    kit.main()
