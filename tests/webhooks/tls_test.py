"""Subscribers over https: whose certificate is good gets deliveries, another nothing, and the reason is in the log."""

import json
import pathlib
import ssl
import tempfile
import unittest

from certificates import Authority
from kit import Case, Session, Subscriber, wait_until

REFUSED = "its certificate is refused: "


class Https(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        folder = pathlib.Path(cls.enterClassContext(tempfile.TemporaryDirectory(prefix="kentongan-tls.")))
        cls.authority = Authority(folder)
        cls.stranger = Authority(folder, "stranger")

    def subscribe(self, tls: ssl.SSLContext) -> Subscriber:
        subscriber = Subscriber(tls)
        self.addCleanup(subscriber.close)
        return subscriber

    def start(self, *settings: str, **more):
        super().start(f"WEBHOOK_CA_FILE={self.authority.ca_file}", *settings, **more)

    def refused(self, path: str, tls: ssl.SSLContext, reason: str, host: str = "127.0.0.1") -> Session:
        """A session whose subscriber shows a certificate that will not do: tried, and not a byte of HTTP sent."""
        subscriber = self.subscribe(tls)
        session = Session(self, path, subscriber=subscriber, url=f"https://{host}:{subscriber.port}{path}")
        session.received("x")
        for failed in session.failures(2):
            self.assertRegex(failed["error"], "^" + REFUSED + reason)
            self.assertIsNone(failed["http_status"])
        self.assertEqual(subscriber.posts, [])
        return session

    def test_a_certificate_of_the_authority_is_trusted(self):
        self.start()
        subscriber = self.subscribe(self.authority.tls("127.0.0.1", "localhost"))
        for host in ("127.0.0.1", "localhost"):
            session = Session(self, f"/{host}", subscriber=subscriber, url=f"https://{host}:{subscriber.port}/{host}")
            session.received("Hello")
            post = session.posts(1)[0]
            self.assertEqual(json.loads(post["body"])["message"]["message"], "Hello")
            self.assertEqual(session.ends(1), [["WebhookQueued", "WebhookDelivered"]])

    def test_a_certificate_for_another_host_is_refused_until_there_is_a_right_one(self):
        self.start()
        session = self.refused("/other", self.authority.tls("other.example", "127.0.0.2"), ".*127.0.0.1")
        session.subscriber.tls = self.authority.tls("127.0.0.1")
        self.assertEqual(session.texts(session.posts(1, 40)), ["x"])
        self.assertEqual(session.ends(1)[0][-1], "WebhookDelivered")
        self.refused("/name", self.authority.tls("127.0.0.1"), ".*localhost", host="localhost")

    def test_a_certificate_that_nobody_trusted_signed_is_refused(self):
        self.start()
        self.refused("/self", self.authority.tls("127.0.0.1", self_signed=True), ".*self-signed")
        self.refused("/stranger", self.stranger.tls("127.0.0.1"), ".*issuer")
        self.refused("/old", self.authority.tls("127.0.0.1", expired=True), ".*expired")

    def test_without_the_file_its_authority_is_unknown(self):
        self.start("WEBHOOK_CA_FILE=")
        self.refused("/unknown", self.authority.tls("127.0.0.1"), ".*issuer")

    def test_what_is_refused_to_the_end_is_parked_with_the_reason(self):
        self.start()
        session = self.refused("/parked", self.authority.tls("127.0.0.1", self_signed=True), ".*self-signed")
        wait_until(lambda: session.left() == [["RETRYING", "Message"]], 20, "a retry")
        self.stop()
        self.stack.sql(f"update webhooks.delivery set attempts = 5, next_at = now() where session_uuid = '{session.uuid}'")
        self.start()
        session.ends(1)
        (_, events), = session.deliveries().items()
        self.assertEqual(events[-1]["event_type"], "WebhookDead")
        self.assertRegex(events[-1]["dead"]["reason"], f"^{REFUSED}.*self-signed")
        self.assertEqual(session.subscriber.posts, [])

    def test_who_speaks_no_tls_is_told_apart(self):
        self.start()
        plain = Subscriber()
        self.addCleanup(plain.close)
        session = Session(self, "/plain", subscriber=plain, url=f"https://127.0.0.1:{plain.port}/plain")
        session.received("x")
        self.assertRegex(session.failures(1)[0]["error"], "^TLS failed: ")
        self.assertEqual(plain.posts, [])

    def test_a_file_without_certificates_is_a_mistake_of_configuration(self):
        done = self.stack.ctl("start", "--env", "WEBHOOK_CA_FILE=/dev/null", "webhooks-1", check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("WEBHOOK_CA_FILE: no certificates to trust", done.stderr + done.stdout)


if __name__ == "__main__":
    unittest.main()
