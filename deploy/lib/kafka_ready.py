"""Exit 0 when a Kafka broker answers a metadata request and names a broker and a controller.

    kafka_ready.py HOST PORT
"""

import socket
import struct
import sys

METADATA = 3  # API key; version 1 with an empty topic array asks for the brokers alone


def ready(host: str, port: int) -> bool:
    body = struct.pack(">hhih", METADATA, 1, 1, -1) + struct.pack(">i", 0)
    with socket.create_connection((host, port), timeout=2) as conn:
        conn.sendall(struct.pack(">i", len(body)) + body)
        with conn.makefile("rb") as answer:
            size = struct.unpack(">i", answer.read(4))[0]
            data = answer.read(min(size, 65536))
    brokers = struct.unpack_from(">i", data, 4)[0]
    at = 8
    for _ in range(brokers):
        at += 4
        at += 2 + struct.unpack_from(">h", data, at)[0]  # host
        at += 4
        at += 2 + max(struct.unpack_from(">h", data, at)[0], 0)  # rack, may be null
    controller = struct.unpack_from(">i", data, at)[0]
    return brokers > 0 and controller >= 0


try:
    sys.exit(0 if ready(sys.argv[1], int(sys.argv[2])) else 1)
except (OSError, struct.error) as e:
    sys.exit(f"no broker at {sys.argv[1]}:{sys.argv[2]}: {e}")
