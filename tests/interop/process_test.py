"""The sandbox as a process: its admin interface, its files, and how it starts and ends. No client is needed.

    process_test.py BUILD-FOLDER [unittest arguments]
"""

import concurrent.futures
import json
import pathlib
import socket
import ssl
import subprocess
import sys
import unittest
import urllib.error
import urllib.request

from peers import PATIENCE_S, Sandbox, wait_until

BUILD = pathlib.Path(sys.argv.pop(1) if len(sys.argv) > 1 else "build").resolve()
ADA, BEN = "4915111111111", "4915122222222"


class Process(unittest.TestCase):
    def setUp(self):
        self.sandbox = self.enterContext(Sandbox(BUILD))

    def request(self, method: str, path: str, body: str | None = None) -> tuple[int, dict]:
        data = None if body is None else body.encode()
        request = urllib.request.Request(self.sandbox.admin + path, data=data, method=method)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read())

    def test_phones_are_made_by_number_and_by_the_thousand(self):
        made = self.sandbox.phones([ADA, BEN], name="Twin", read=True, delay_ms=7, reply="text", reply_text="later")
        self.assertEqual([phone["number"] for phone in made], [ADA, BEN])
        self.assertNotEqual(made[0]["lid"], made[1]["lid"])
        phone = self.sandbox.call("GET", f"/admin/phones/{BEN}")
        self.assertEqual((phone["name"], phone["devices"]), ("Twin", []))
        asked = {"delay_ms": 7, "read": True, "read_delay_ms": 0, "reply": "text",
                 "reply_delay_ms": 0, "reply_text": "later", "fail": 0}  # fmt: skip
        self.assertEqual(phone["behaviour"] | asked, phone["behaviour"])
        many = self.sandbox.call("POST", "/admin/phones", {"count": 5000})["phones"]
        self.assertEqual(len({phone["number"] for phone in many} | {phone["lid"] for phone in many}), 10000)
        page = self.sandbox.call("GET", "/admin/phones?offset=5000&limit=10000")["phones"]
        self.assertEqual(len(page), 2)
        self.assertEqual(self.sandbox.phones([ADA])[0]["name"], "Twin") # kept as it was

    def test_what_is_wrong_is_said(self):
        self.sandbox.phones([ADA])
        for method, path, body, status, word in [
            ("GET", "/admin/phones/1234567", None, 404, "1234567"),
            ("GET", "/admin/nothing", None, 404, ""),
            ("PUT", "/admin/phones", "{}", 405, ""),
            ("POST", "/admin/phones", "{", 400, "line 1"),
            ("POST", "/admin/phones", "[]", 400, ""),
            ("POST", "/admin/phones", "{}", 400, "count"),
            ("POST", "/admin/phones", '{"count": 1, "numbers": []}', 400, "either"),
            ("POST", "/admin/phones", '{"count": 200001}', 400, "200000"),
            ("POST", "/admin/phones", '{"numbers": [5]}', 400, "numbers[0]"),
            ("POST", "/admin/phones", '{"numbers": ["12"]}', 400, "digits"),
            ("POST", "/admin/phones", '{"count": 1, "read": "yes"}', 400, "read"),
            ("POST", "/admin/phones", '{"count": 1, "delay_ms": -1}', 400, "delay_ms"),
            ("POST", "/admin/phones", '{"count": 1, "reply": "never"}', 400, "reply"),
            ("POST", f"/admin/phones/{ADA}/behaviour", json.dumps({"reply_text": "x" * 2000}), 400, "reply_text"),
            ("POST", f"/admin/phones/{ADA}/send", '{"to": "%s"}' % BEN, 400, "text"),
            ("POST", f"/admin/phones/{ADA}/send", '{"to": "%s", "text": "hi"}' % BEN, 404, BEN),
            ("POST", f"/admin/phones/{ADA}/send", '{"to": "%s", "text": ""}' % ADA, 400, "text"),
            ("GET", f"/admin/phones/{ADA}/messages/ABC", None, 404, "ABC"),
            ("DELETE", f"/admin/phones/{ADA}/devices/1", None, 404, "1"),
            ("DELETE", f"/admin/phones/{ADA}/devices/x", None, 400, "255"),
            ("GET", "/admin/ledger?limit=-1", None, 400, "limit"),
            ("POST", "/admin/mock-phone/scan-qr", "hello", 400, "pairing"),
            ("POST", "/admin/mock-phone/scan-qr", "x" * 5000, 413, ""),
        ]:
            with self.subTest(f"{method} {path} {body}"):
                got, answer = self.request(method, path, body)
                self.assertEqual(got, status, answer)
                self.assertIn(word, answer["error"]["message"])

    def test_phones_write_to_each_other_and_the_ledger_knows(self):
        self.sandbox.phones([ADA, BEN], read=True)
        sent = self.sandbox.call("POST", f"/admin/phones/{ADA}/send", {"to": BEN, "text": "grüezi ☺"})["id"]
        entry = self.sandbox.ledger(id=sent, number=BEN)[0]
        self.assertEqual((entry["text"], entry["from"], entry["decrypted"]), ("grüezi ☺", ADA, 1))
        path = f"/admin/phones/{ADA}/messages/{sent}"
        wait_until(lambda: self.sandbox.call("GET", path)["read"] == 1, PATIENCE_S, "the read receipt")
        self.sandbox.call("POST", f"/admin/phones/{BEN}/offline")
        sent = self.sandbox.call("POST", f"/admin/phones/{ADA}/send", {"to": BEN, "text": "later"})["id"]
        self.assertEqual(self.sandbox.ledger(id=sent), [])
        self.sandbox.call("POST", f"/admin/phones/{BEN}/online")
        self.assertEqual(self.sandbox.ledger(id=sent)[0]["text"], "later")
        self.sandbox.check()
        self.sandbox.call("DELETE", "/admin/ledger")
        self.assertEqual(self.sandbox.ledger(), [])

    def test_many_ask_at_once(self):
        def make(_) -> int:
            self.sandbox.call("GET", "/admin/summary")
            return len(self.sandbox.call("POST", "/admin/phones", {"count": 10})["phones"])

        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            self.assertEqual(sum(pool.map(make, range(200))), 2000)
        self.assertEqual(self.sandbox.call("GET", "/admin/summary")["phones"], 2000)

    def test_it_is_well_and_counts(self):
        self.assertEqual(self.sandbox.call("GET", "/readyz"), {"status": "ok"})
        with urllib.request.urlopen(self.sandbox.admin + "/metrics", timeout=PATIENCE_S) as answer:
            self.assertIn("kentongan_sandbox_violations 0", answer.read().decode())

    def test_the_keys_stay_from_one_start_to_the_next(self):
        root, ca = self.sandbox.root_key, pathlib.Path(self.sandbox.ca_file).read_text()
        self.assertRegex(root, "^[0-9a-f]{64}$")
        self.sandbox.phones([ADA])
        before = self.sandbox.call("GET", f"/admin/phones/{ADA}")["lid"]
        self.sandbox.stop()
        self.sandbox.start()
        self.assertEqual((self.sandbox.root_key, pathlib.Path(self.sandbox.ca_file).read_text()), (root, ca))
        self.assertEqual(self.sandbox.phones([ADA])[0]["lid"], before)
        self.handshake("localhost")

    def test_further_names_are_in_the_certificate(self):
        self.sandbox.stop()
        self.sandbox.env["SANDBOX_HOSTS"] = "sandbox,other.example"
        self.sandbox.start()
        self.handshake("other.example")

    def handshake(self, name: str):
        context = ssl.create_default_context(cafile=self.sandbox.ca_file)
        host, port = self.sandbox.address.split(":")
        with socket.create_connection((host, int(port)), PATIENCE_S) as plain, \
                context.wrap_socket(plain, server_hostname=name) as tls:
            tls.sendall(b"GET /elsewhere HTTP/1.1\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
                        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
            self.assertTrue(tls.recv(100).startswith(b"HTTP/1.1 404"))

    def test_it_ends_while_somebody_is_connected(self):
        host, port = self.sandbox.address.split(":")
        self.enterContext(socket.create_connection((host, int(port)), PATIENCE_S))
        admin = self.sandbox.admin.rsplit(":", 1)[1]
        self.enterContext(socket.create_connection((host, int(admin)), PATIENCE_S)).sendall(b"GET /admin/summary HTTP/1.1\r\n")
        self.sandbox.stop()
        self.sandbox.start()

    def start_with(self, **env) -> tuple[int, str]:
        done = subprocess.run([self.sandbox.program], env=self.sandbox.env | env, capture_output=True, text=True,
                              timeout=PATIENCE_S)
        return done.returncode, done.stderr

    def test_a_start_that_cannot_be_says_why(self):
        port = self.sandbox.address.split(":")[1]
        status, said = self.start_with(SANDBOX_WS_PORT=port, SANDBOX_STATE_DIR=self.sandbox.folder + "/other")
        self.assertEqual(status, 71)
        self.assertIn("it is taken", said)
        status, said = self.start_with(SANDBOX_WS_PORT="http")
        self.assertEqual(status, 78)
        self.assertIn("SANDBOX_WS_PORT", said)
        status, said = self.start_with(SANDBOX_STATE_DIR="/proc/nowhere")
        self.assertNotEqual(status, 0)
        self.assertIn("/proc/nowhere", said)


if __name__ == "__main__":
    unittest.main(verbosity=2)
