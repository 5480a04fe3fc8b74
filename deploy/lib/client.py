"""What a user of Kentongan needs, with Python's standard library alone: REST, the WebSocket, a webhook receiver.

deploy/demo and the tests use it; it knows the public interfaces only.
"""

import base64
import hashlib
import hmac
import http.client
import http.server
import json
import os
import socket
import struct
import threading
import time
import urllib.parse

BODY_MAX = 64 << 20  # of an answer or a frame; a peer that sends more is at fault


class ApiError(Exception):
    """An answer that was not the expected one."""

    def __init__(self, what: str, status: int, body):
        super().__init__(f"{what}: {status} {json.dumps(body) if not isinstance(body, str) else body[:300]}")
        self.status = status
        self.body = body


class Http:
    """One kept-alive connection to a base URL; not for several threads at once."""

    def __init__(self, base: str, timeout: float = 30):
        self.base = urllib.parse.urlsplit(base)
        self.timeout = timeout
        self.headers: dict[str, str] = {}
        self._connection: http.client.HTTPConnection | None = None

    def request(self, method: str, path: str, body=None, query: dict | None = None, headers: dict | None = None):
        """(status, decoded body): JSON decoded, other text as it is. A body that is not bytes or text goes as JSON."""
        if query:
            path += "?" + urllib.parse.urlencode(query)
        sent = dict(self.headers)
        if body is not None and not isinstance(body, (bytes, str)):
            body = json.dumps(body)
            sent["Content-Type"] = "application/json"
        sent.update(headers or {})
        if isinstance(body, str):
            body = body.encode()
        status, kind, raw = self._exchange(method, self.base.path.rstrip("/") + path, body, sent)
        text = raw.decode()
        return status, json.loads(text) if "json" in kind and text else text

    def call(self, method: str, path: str, body=None, query: dict | None = None, headers: dict | None = None, expect=(200, 201)):
        """The decoded body; ApiError for a status that is not expected."""
        status, decoded = self.request(method, path, body, query, headers)
        if status not in expect:
            raise ApiError(f"{method} {path}", status, decoded)
        return decoded

    def close(self) -> None:
        if self._connection:
            self._connection.close()
            self._connection = None

    def _exchange(self, method: str, path: str, body: bytes | None, headers: dict[str, str]):
        reused = self._connection is not None
        if not self._connection:
            self._connection = http.client.HTTPConnection(self.base.hostname, self.base.port, timeout=self.timeout)
        try:
            self._connection.request(method, path, body, headers)
            answer = self._connection.getresponse()
            data = answer.read(BODY_MAX)
        except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
            # an idle connection may be closed at any time: once more on a new one, where asking again is harmless
            self.close()
            if not reused or method != "GET":
                raise
            return self._exchange(method, path, body, headers)
        except OSError:
            self.close()
            raise
        return answer.status, answer.getheader("Content-Type", ""), data


class Api(Http):
    """The public REST API, logged in."""

    def login(self, username: str, password: str) -> None:
        answer = self.call("POST", "/api/login", {"username": username, "password": password})
        self.token = answer["token"]
        self.headers["Authorization"] = f"Bearer {self.token}"

    def open_websocket(self, session_id: str) -> "WebSocket":
        query = urllib.parse.urlencode({"token": self.token})
        return WebSocket(self.base.hostname, self.base.port, f"/api/ws/{session_id}?{query}", self.timeout)


class Sandbox(Http):
    """The admin side of the sandbox, a WhatsApp server on this machine with virtual phones (its README has it all)."""

    PAGE = 5000

    def scan(self, qr: str, number: str | None = None) -> dict:
        """A phone scans a QR code: the one with this number, or a new one. Gives it."""
        query = {"number": number} if number else None
        return self.call("POST", "/admin/mock-phone/scan-qr", qr, query, {"Content-Type": "text/plain"})

    def make_phones(self, count: int, **behaviour) -> list[str]:
        """Numbers of new phones with a behaviour: delay_ms, read_delay_ms, reply, reply_text, reply_delay_ms, fail."""
        made = self.call("POST", "/admin/phones", {"count": count, **behaviour})["phones"] if count else []
        return [phone["number"] for phone in made]

    def received(self, sender: str) -> list[dict]:
        """What phones got of one sender: number, id, text, and how often it was decrypted."""
        found = []
        while True:
            query = {"from": sender, "offset": len(found), "limit": self.PAGE}
            page = self.call("GET", "/admin/ledger", query=query)
            found += page["entries"]
            if len(found) >= page["total"] or not page["entries"]:
                return found

    def summary(self) -> dict:
        """Counts of all, such as phones, duplicates, violations."""
        return self.call("GET", "/admin/summary")

    def violations(self) -> list[str]:
        """What a real server or phone would have refused: reason and detail of the newest ones."""
        newest = self.call("GET", "/admin/violations")["violations"]
        return [f"{one['reason']}: {one['detail']} ({one['number']}:{one['device']})" for one in newest]


class WebSocket:
    """A client's side of RFC 6455 for text messages."""

    TEXT, CLOSE, PING, PONG = 1, 8, 9, 10

    def __init__(self, host: str, port: int, path: str, timeout: float = 30):
        self._socket = socket.create_connection((host, port), timeout)
        self._stream = self._socket.makefile("rb")
        key = base64.b64encode(os.urandom(16)).decode()
        self._socket.sendall(
            f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        status = self._stream.readline(8192).decode(errors="replace").split(" ", 2)
        headers = http.client.parse_headers(self._stream)
        if len(status) < 2 or status[1] != "101":
            body = self._stream.read(min(int(headers.get("Content-Length", 0)), BODY_MAX)).decode(errors="replace")
            self.close()
            raise ApiError("websocket", int(status[1]) if len(status) > 1 else 0, body)
        wanted = base64.b64encode(hashlib.sha1(f"{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()).digest()).decode()
        if headers.get("Sec-WebSocket-Accept") != wanted:
            self.close()
            raise ApiError("websocket", 101, "wrong Sec-WebSocket-Accept")

    def receive(self) -> str | None:
        """The next text message; None when the server closed. TimeoutError after the timeout."""
        parts = []
        while True:
            last, opcode, data = self._frame()
            if opcode == self.PING:
                self._send(self.PONG, data)
            elif opcode == self.CLOSE:
                self._send(self.CLOSE, data[:2])
                return None
            elif opcode != self.PONG:
                parts.append(data)
                if last:
                    return b"".join(parts).decode()

    def receive_json(self):
        text = self.receive()
        return None if text is None else json.loads(text)

    def close(self) -> None:
        self._stream.close()
        self._socket.close()

    def _frame(self) -> tuple[bool, int, bytes]:
        first, second = self._read(2)
        size = second & 0x7F
        if size == 126:
            (size,) = struct.unpack(">H", self._read(2))
        elif size == 127:
            (size,) = struct.unpack(">Q", self._read(8))
        if second & 0x80 or size > BODY_MAX:
            raise ConnectionError("the server sent a masked frame, or one that is too large")
        return bool(first & 0x80), first & 0x0F, self._read(size)

    def _read(self, size: int) -> bytes:
        data = self._stream.read(size)
        if len(data) < size:
            raise ConnectionError("the server closed the websocket without a close frame")
        return data

    def _send(self, opcode: int, data: bytes) -> None:
        mask = os.urandom(4)
        masked = bytes(byte ^ mask[i % 4] for i, byte in enumerate(data))
        self._socket.sendall(bytes([0x80 | opcode, 0x80 | len(data)]) + mask + masked)


def webhook_signature(secret: str, message_id: str, timestamp: str, body: bytes) -> str:
    """The value of webhook-signature by Standard Webhooks, for a secret of the form whsec_<base64>."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    mac = hmac.new(key, f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256)
    return "v1," + base64.b64encode(mac.digest()).decode()


class Receiver:
    """A small webhook subscriber on 127.0.0.1 that answers 200 and keeps what it got, by webhook-id."""

    AGE_MAX = 300  # seconds between the signed time and ours

    def __init__(self, port: int = 0):
        self.secret: str | None = None
        self.deliveries: dict[str, dict] = {}
        self.repeats = 0
        self._order: list[str] = []  # ids as they came, repeats too
        self.refused: list[str] = []
        self._lock = threading.Lock()
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(min(int(self.headers.get("Content-Length", 0)), BODY_MAX))
                why = receiver._take(self.headers, body)
                self.send_response(401 if why else 200)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"no" if why else b"OK")

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/webhook"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def arrivals(self) -> dict[str, list[str]]:
        """By session: the ids of what it sent, in the order of arrival, repeats too."""
        found: dict[str, list[str]] = {}
        with self._lock:
            for message_id in self._order:
                found.setdefault(self.deliveries[message_id]["session_id"], []).append(message_id)
        return found

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _take(self, headers, body: bytes) -> str | None:
        """Why a delivery is refused; None when it is good and kept."""
        message_id, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
        why = self._complaint(message_id, timestamp, headers.get("webhook-signature", ""), body)
        with self._lock:
            content = None if why else json.loads(body)
            if not why and self.deliveries.get(message_id, content) != content:
                why = "another body under the same webhook-id"
            if why:
                self.refused.append(why)
                return why
            self._order.append(message_id)
            self.repeats += message_id in self.deliveries
            self.deliveries[message_id] = content
        return None

    def _complaint(self, message_id: str, timestamp: str, signatures: str, body: bytes) -> str | None:
        if not message_id or not timestamp.isdigit():
            return "webhook-id or webhook-timestamp is missing"
        if abs(time.time() - int(timestamp)) > self.AGE_MAX:
            return "webhook-timestamp is too old or in the future"
        if self.secret is None:
            return "no secret is known yet"
        wanted = webhook_signature(self.secret, message_id, timestamp, body)
        if not any(hmac.compare_digest(wanted, one) for one in signatures.split()):
            return "webhook-signature does not match"
        return None
