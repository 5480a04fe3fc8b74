"""A TCP proxy on loopback that ends connections at a point of what goes through it.

    with Cut(stack.port("postgres")) as cut:
        ...                                  # a client of cut.port
        cut.before(b"some bytes")            # what holds them does not go through
        cut.after(b"some bytes", b"COMMIT")  # it does, but the answer that holds COMMIT does not
        cut.happened.wait(10)
        cut.heal()                           # connections are taken again
"""

import contextlib
import socket
import threading


class Cut:
    def __init__(self, to_port: int):
        self.to_port = to_port
        self.happened = threading.Event()
        self._before = self._after = self._answer = None
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> "Cut":
        return self

    def __exit__(self, *_) -> None:
        self.happened.set()
        self._listener.close()

    def before(self, sign: bytes) -> None:
        self._before = sign

    def after(self, sign: bytes, answer: bytes) -> None:
        self._after, self._answer = sign, answer

    def heal(self) -> None:
        self._before = self._after = self._answer = None
        self.happened.clear()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if self.happened.is_set():
                    client.close()
                    continue
                server = socket.create_connection(("127.0.0.1", self.to_port))
                pair = {"client": client, "server": server, "asked": False}
                threading.Thread(target=self._carry, args=(pair, "client", "server"), daemon=True).start()
                threading.Thread(target=self._carry, args=(pair, "server", "client"), daemon=True).start()

    def _is_the_end(self, pair: dict, source: str, seen: bytes) -> bool:
        if source == "client":
            pair["asked"] |= self._after is not None and self._after in seen
            return self._before is not None and self._before in seen
        return pair["asked"] and self._answer is not None and self._answer in seen

    def _carry(self, pair: dict, source: str, target: str) -> None:
        tail = b""
        with contextlib.suppress(OSError):
            while data := pair[source].recv(65536):
                seen = tail + data  # what is looked for may come in two parts
                if self._is_the_end(pair, source, seen):
                    self.happened.set()
                    break
                tail = seen[-256:]
                pair[target].sendall(data)
        for end in ("client", "server"):
            with contextlib.suppress(OSError):
                pair[end].shutdown(socket.SHUT_RDWR)
            pair[end].close()
