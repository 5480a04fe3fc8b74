"""Much that waits at the server for a device that was away: it comes all at once, and is taken bit by bit."""

import concurrent.futures

import kit
from kit import wait_until

WRITERS, EACH = 20, 250
FULL = 1000  # MAILBOX_INBOX_FULL


class Backlog(kit.Case):
    def leave(self, session):
        self.kit.accepted(session.command("disconnect", origin="f1"))
        session.reach("DISCONNECTED")
        wait_until(lambda: not session.companion()["connected"], 10, "the socket to go")

    def write(self, session, writers: list[str], each: int) -> list[str]:
        """What they have written, when all of it waits for the device."""
        texts = [(writer, f"{writer} {i}") for i in range(each) for writer in writers]
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda one: self.kit.sandbox.write(one[0], session.number, one[1]), texts))
        wait_until(lambda: session.companion()["queued"] >= len(texts), 120, "all of it to wait at the server")
        return [text for _, text in texts]

    def on_one_connection(self, session, texts: list[str]) -> None:
        before = session.kinds()
        session.connect().reach("CONNECTED")
        session.told(*texts, seconds=300)
        self.assertNotIn("SessionConnectionLost", session.kinds()[len(before) :])

    def test_five_thousand_messages_come_in_on_one_connection(self):
        session = self.kit.session("olga").link("491570000001")
        self.leave(session)
        texts = self.write(session, self.kit.sandbox.phones(WRITERS), EACH)
        self.assertGreater(len(texts), 4 * FULL)
        self.on_one_connection(session, texts)

    def test_keys_that_are_asked_for_do_not_wait_for_room(self):
        """First in line is a device that asks for a message again: its keys have to be fetched, and the answer to that stands behind
        more messages than are read at once."""
        session = self.kit.session("otto").link("491570000002")
        friend = self.kit.sandbox.phone("491570000003", delay_ms=0, read=True, read_delay_ms=0, retry_keys=False)
        message = session.send(friend, "hello")
        self.kit.message_reaches(message, "Read")
        self.leave(session)
        wire_id = self.kit.stack.sql(f"select wa_message_id from connector.message where message_id = '{message}'")[0][0]
        self.kit.sandbox.behave(friend, fail=1000)  # for it has read the message
        self.kit.sandbox.ask(friend, wire_id, 2)
        texts = self.write(session, self.kit.sandbox.phones(4), FULL // 2)
        self.on_one_connection(session, texts)
        answered = f"select 1 from connector.retry where message_id = '{message}' and count = 2 and is_settled"
        wait_until(lambda: self.kit.stack.sql(answered), 30, "the device to be answered")
        self.assertGreaterEqual(self.kit.sandbox.show(friend)["bundles"], 2)


if __name__ == "__main__":
    kit.main()
