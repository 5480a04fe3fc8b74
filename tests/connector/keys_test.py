"""One-time keys: more are made before the server runs out, none is lost or used twice in a crash, and old ones go."""

import kit
from kit import wait_until

LOW = 5  # WA_CLIENT_PREKEYS_LOW
FIRST = 812  # WA_CLIENT_PREKEYS_FIRST
KEPT = 2000  # RECORDS_PREKEYS_MAX
SLACK = 64  # RECORDS_PREKEYS_SLACK


class Keys(kit.Case):
    def at_server(self, session) -> int:
        return session.companion()["prekeys"]

    def ids(self, session) -> list[int]:
        """Of the one-time keys whose private halves are kept."""
        rows = self.kit.stack.sql(f"select key from connector.signal_record where session_uuid = '{session.uuid}' and kind = 3")
        return sorted(int(row[0]) for row in rows)

    def readable(self, session, phone: str, text: str) -> None:
        """Somebody new begins a session with what the server gives out now."""
        asked = self.kit.metric("kentongan_messages_undecryptable_total")
        before = session.received()
        self.kit.sandbox.write(self.kit.sandbox.phone(phone), session.number, text)
        session.told(*before, text)
        self.assertEqual(self.kit.metric("kentongan_messages_undecryptable_total"), asked)

    def test_new_people_use_them_up_and_more_are_made(self):
        session = self.kit.session("olga").link("491530000001")
        session.quiet()
        asked = self.kit.metric("kentongan_messages_undecryptable_total")
        phones = self.kit.sandbox.phones(self.at_server(session) - LOW + 1)
        for phone in phones:
            self.kit.sandbox.write(phone, session.number, phone)
        wait_until(lambda: self.at_server(session) >= 50, 60, "the top-up")
        session.told(*phones, seconds=60)
        self.assertEqual(self.kit.metric("kentongan_messages_undecryptable_total"), asked)
        for phone in self.kit.sandbox.phones(10):
            self.kit.sandbox.write(phone, session.number, phone)
            phones.append(phone)
        session.told(*phones, seconds=60)

    def test_a_crash_between_keeping_and_uploading_them(self):
        session = self.kit.session("paul").link("491530000011")
        session.quiet()
        last = max(self.ids(session))
        self.kit.crash_at("before.upload")
        session.reach("CONNECTED")
        self.kit.sandbox.lose_keys(session)
        self.kit.wait_for_crash()
        self.assertEqual(max(self.ids(session)), last + FIRST)
        self.assertEqual(self.at_server(session), 0)
        self.kit.start_connector(1)
        wait_until(lambda: self.at_server(session) == FIRST, 60, "the upload")
        self.assertEqual(max(self.ids(session)), last + 2 * FIRST)
        self.readable(session, "491530000012", "hello")

    def test_a_crash_before_they_are_kept(self):
        session = self.kit.session("rosa").link("491530000021")
        session.quiet()
        last = max(self.ids(session))
        with self.kit.locked("signal_record") as somebody_waits:
            self.kit.sandbox.lose_keys(session)
            wait_until(somebody_waits, 30, "the keys to be on their way into the table")
            self.kit.stack.ctl("kill", "connector-1")
        self.assertEqual(max(self.ids(session)), last)
        self.assertEqual(self.at_server(session), 0)
        self.kit.start_connector(1)
        wait_until(lambda: self.at_server(session) == FIRST, 60, "the upload")
        self.assertEqual(max(self.ids(session)), last + FIRST)
        self.readable(session, "491530000022", "hello")

    def test_an_upload_that_is_refused_is_tried_again(self):
        session = self.kit.session("tilo").link("491530000041")
        session.quiet()
        last = max(self.ids(session))
        connection = session.companion()["connection"]
        self.kit.sandbox.behave(session.number, refuse_keys=2)
        self.kit.sandbox.lose_keys(session)
        wait_until(lambda: self.at_server(session) == FIRST, 60, "the third try")
        self.assertEqual(session.companion()["connection"], connection)  # without another login
        self.assertEqual(max(self.ids(session)), last + FIRST)  # the same keys each time
        self.readable(session, "491530000042", "hello")

    def test_old_ones_go(self):
        session = self.kit.session("sven").link("491530000031")
        session.quiet()
        first = min(self.ids(session))
        for _ in range(3):
            self.kit.sandbox.lose_keys(session)
            wait_until(lambda: self.at_server(session) == FIRST, 60, "the upload")
        ids = self.ids(session)
        self.assertEqual(len(ids), KEPT)
        self.assertEqual(ids, list(range(ids[-1] - KEPT + 1, ids[-1] + 1)))
        self.assertGreater(ids[0], first)
        self.readable(session, "491530000032", "hello")

        # those that go out with retry receipts count, too: four with each message that never gets through
        stubborn = self.kit.sandbox.phone("491530000033")
        for _ in range(SLACK // 4 + 4):
            self.kit.sandbox.behave(stubborn, damage=6)
            self.kit.sandbox.write(stubborn, session.number, "unreadable")
            wait_until(lambda: self.kit.sandbox.show(stubborn)["behaviour"]["damage"] == 0, 30, "the last try")
        session.quiet()
        self.assertGreater(max(self.ids(session)), ids[-1] + SLACK)
        self.assertLessEqual(len(self.ids(session)), KEPT + SLACK)


if __name__ == "__main__":
    kit.main()
