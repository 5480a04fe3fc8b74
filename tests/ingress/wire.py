"""Requests byte for byte, as nobody's library would send them, and what comes back."""

import json
import socket
import time


class Reply:
    """All that the server said until it closed."""

    def __init__(self, raw: bytes, seconds: float):
        self.raw = raw
        self.seconds = seconds
        head, _, self.text = raw.decode(errors="replace").partition("\r\n\r\n")
        lines = head.split("\r\n")
        words = lines[0].split(" ")
        self.status = int(words[1]) if len(words) > 1 and words[0].startswith("HTTP/") else 0
        self.headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}

    @property
    def body(self):
        return json.loads(self.text)

    @property
    def message(self) -> str:
        return self.body["message"]


class Wire:
    """Connections to one port."""

    def __init__(self, port: int, token: str):
        self.port = port
        self.auth = f"Authorization: Bearer {token}\r\n"

    def dial(self, timeout: float = 30) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout)

    def say(self, data: bytes | str, timeout: float = 30) -> Reply:
        """Send it and hear the server out."""
        with self.dial(timeout) as connection:
            connection.sendall(data if isinstance(data, bytes) else data.encode("latin-1"))
            return self.hear(connection)

    def hear(self, connection: socket.socket) -> Reply:
        began, parts = time.monotonic(), []
        while part := connection.recv(65536):
            parts.append(part)
        return Reply(b"".join(parts), time.monotonic() - began)

    def drip(self, first: str, byte: bytes, every: float) -> Reply:
        """Send `first`, then one byte after the other, until the server has closed."""
        began, parts = time.monotonic(), []
        with self.dial(every) as connection:
            connection.sendall(first.encode("latin-1"))
            while True:
                try:
                    part = connection.recv(65536)
                    if not part:
                        break
                    parts.append(part)
                except TimeoutError:
                    try:
                        connection.sendall(byte)
                    except OSError:
                        break
        return Reply(b"".join(parts), time.monotonic() - began)

    def head(self, method: str, path: str, *headers: str, auth: bool = True) -> str:
        lines = "".join(f"{header}\r\n" for header in headers)
        return f"{method} {path} HTTP/1.1\r\nHost: h\r\n{self.auth if auth else ''}{lines}\r\n"

    def get(self, path: str, *headers: str) -> Reply:
        return self.say(self.head("GET", path, *headers))

    def post(self, path: str, body: bytes | str, *headers: str, auth: bool = True) -> Reply:
        data = body if isinstance(body, bytes) else body.encode()
        head = self.head("POST", path, f"Content-Length: {len(data)}", *headers, auth=auth)
        return self.say(head.encode("latin-1") + data)
