"""deploy/lib/client.py against small servers in this process."""

import base64
import hashlib
import http.client
import http.server
import json
import pathlib
import socket
import sys
import threading
import time
import unittest

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TOP / "deploy/lib"), str(TOP / "tests/lib")]
import client  # noqa: E402
from stack import wait_until  # noqa: E402


class WebSocketServer(threading.Thread):
    """Accepts one client, checks its upgrade, writes the given bytes and keeps what comes back."""

    def __init__(self, answer: bytes, refuse: bytes | None = None):
        super().__init__(daemon=True)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.answer, self.refuse = answer, refuse
        self.got = b""
        self.start()

    def run(self):
        conn, _ = self.listener.accept()
        with conn, conn.makefile("rb") as stream:
            self.request = stream.readline().decode()
            key = http.client.parse_headers(stream)["Sec-WebSocket-Key"]
            accept = hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
            conn.sendall(
                self.refuse
                or b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Accept: " + base64.b64encode(accept) + b"\r\n\r\n"
            )
            conn.sendall(self.answer)
            while chunk := conn.recv(4096):
                self.got += chunk

    def connect(self) -> client.WebSocket:
        return client.WebSocket("127.0.0.1", self.listener.getsockname()[1], "/api/ws/1?token=t", 5)


def frame(opcode: int, data: bytes, last: bool = True) -> bytes:
    head = bytes([(0x80 if last else 0) | opcode])
    if len(data) < 126:
        return head + bytes([len(data)]) + data
    return head + bytes([126]) + len(data).to_bytes(2, "big") + data


class WebSocketTest(unittest.TestCase):
    def test_texts_whole_in_parts_and_long(self):
        server = WebSocketServer(frame(1, b"one") + frame(1, b"t", False) + frame(9, b"hi") + frame(0, b"wo") + frame(1, b"x" * 300))
        websocket = server.connect()
        self.addCleanup(websocket.close)
        self.assertEqual([websocket.receive() for _ in range(3)], ["one", "two", "x" * 300])
        self.assertEqual(server.request, "GET /api/ws/1?token=t HTTP/1.1\r\n")
        # the ping is answered by a masked pong with its text
        wait_until(lambda: len(server.got) >= 8, 5, "the pong")
        self.assertEqual(server.got[:2], b"\x8a\x82")
        self.assertEqual(bytes(a ^ b for a, b in zip(server.got[6:8], server.got[2:4])), b"hi")

    def test_a_close_ends_the_texts(self):
        websocket = WebSocketServer(frame(8, b"\x03\xe8")).connect()
        self.addCleanup(websocket.close)
        self.assertIsNone(websocket.receive())

    def test_a_refused_upgrade_gives_status_and_body(self):
        refuse = b'HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\n{}'
        with self.assertRaises(client.ApiError) as caught:
            WebSocketServer(b"", refuse).connect()
        self.assertEqual((caught.exception.status, caught.exception.body), (401, "{}"))


class ReceiverTest(unittest.TestCase):
    # the example of the Standard Webhooks specification
    SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

    def setUp(self):
        self.receiver = client.Receiver()
        self.receiver.secret = self.SECRET
        self.addCleanup(self.receiver.close)

    def post(self, body: bytes, signature: str | None = None, timestamp: str | None = None) -> int:
        timestamp = timestamp or str(int(time.time()))
        signature = signature or client.webhook_signature(self.SECRET, "msg_1", timestamp, body)
        headers = {"webhook-id": "msg_1", "webhook-timestamp": timestamp, "webhook-signature": signature}
        http_client = client.Http(self.receiver.url)
        self.addCleanup(http_client.close)
        return http_client.request("POST", "", body, headers=headers)[0]

    def test_the_specification_s_example(self):
        got = client.webhook_signature(self.SECRET, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", b'{"test": 2432232314}')
        self.assertEqual(got, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")

    def test_a_good_delivery_is_kept_and_its_repeat_counted(self):
        self.assertEqual([self.post(b'{"a": 1}'), self.post(b'{"a": 1}')], [200, 200])
        self.assertEqual((self.receiver.deliveries, self.receiver.repeats), ({"msg_1": {"a": 1}}, 1))

    def test_forged_and_stale_deliveries_are_refused(self):
        forged = client.webhook_signature(self.SECRET, "msg_1", "1", b"{}")
        self.assertEqual(self.post(b'{"a": 2}', signature=forged), 401)
        self.assertEqual(self.post(b"{}", signature=forged, timestamp="1"), 401)
        self.assertEqual(self.receiver.deliveries, {})
        self.assertEqual(len(self.receiver.refused), 2)


class HttpTest(unittest.TestCase):
    def test_json_both_ways_and_an_idle_connection_that_was_closed(self):
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                body = json.dumps({"path": self.path}).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
                self.close_connection = True  # without saying so

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        http_client = client.Http(f"http://127.0.0.1:{server.server_address[1]}")
        self.addCleanup(http_client.close)
        for _ in range(2):
            self.assertEqual(http_client.call("GET", "/a", query={"b": "c d"}), {"path": "/a?b=c+d"})
        with self.assertRaises(client.ApiError):
            http_client.call("GET", "/a", expect=(204,))


if __name__ == "__main__":
    unittest.main()
