"""Writes to the log what a service of the tree would: Avro in the wire format, positions, murmur2 partitions.

Needs tests/requirements.txt.
"""

import functools
import io
import json
import time
import uuid

import confluent_kafka
import fastavro
from log import SCHEMAS, schema_of


def murmur2(data: bytes) -> int:
    m, mask = 0x5BD1E995, 0xFFFFFFFF
    h = (0x9747B28C ^ len(data)) & mask
    for i in range(0, len(data) - 3, 4):
        k = int.from_bytes(data[i : i + 4], "little") * m & mask
        h = (h * m ^ (k ^ k >> 24) * m) & mask
    rest = data[len(data) & ~3 :]
    if rest:
        h = (h ^ int.from_bytes(rest, "little")) * m & mask
    h = (h ^ h >> 13) * m & mask
    return h ^ h >> 15


def partition_of(key: str, partitions: int = 6) -> int:
    return (murmur2(key.encode()) & 0x7FFFFFFF) % partitions


@functools.cache
def newest_schema(topic: str) -> tuple[int, dict]:
    """Id and text of the newest schema of a topic."""
    subject = next(t["subject"] for t in json.loads((SCHEMAS / "topics.json").read_text()) if t["name"] == topic)
    versions = [e for e in json.loads((SCHEMAS / "ids.json").read_text()) if e["subject"] == subject]
    entry = max(versions, key=lambda e: e["version"])
    return entry["id"], json.loads((SCHEMAS / entry["file"]).read_text())


def encode(topic: str, record: dict) -> bytes:
    number, _ = newest_schema(topic)
    out = io.BytesIO()
    fastavro.schemaless_writer(out, schema_of(number), record)
    return b"\0" + number.to_bytes(4, "big") + out.getvalue()


class Writer:
    """One for a whole test: it keeps count of positions and sequences."""

    def __init__(self, brokers: str):
        self.producer = confluent_kafka.Producer(
            {"bootstrap.servers": brokers, "linger.ms": 0, "message.max.bytes": 1048000, "log_level": 0}
        )
        self.positions: dict[tuple[str, int], int] = {}
        self.sequences: dict[str, int] = {}

    def raw(self, topic: str, key: str | None, value: bytes, headers=None, partition: int | None = None) -> None:
        if partition is None:
            partition = partition_of(key)
        failures = []
        self.producer.produce(
            topic, value, key, partition, on_delivery=lambda err, _: failures.append(err) if err else None, headers=headers
        )
        assert self.producer.flush(30) == 0, f"{topic}: not acknowledged within 30 s"
        assert not failures, failures

    def event(self, topic: str, key: str, aggregate: str, member: str, payload: dict, **envelope) -> dict:
        """Write and return an event whose nullable member `member` is set to `payload`."""
        place = (topic, partition_of(key))
        self.positions[place] = self.positions.get(place, 0) + 1
        self.sequences[aggregate] = self.sequences.get(aggregate, 0) + 1
        _, schema = newest_schema(topic)
        record = {
            "event_id": str(uuid.uuid4()),
            "event_type": next(f["type"][1]["name"] for f in schema["fields"] if f["name"] == member),
            "schema_version": 1,
            "aggregate_type": topic.split(".")[1],
            "aggregate_id": aggregate,
            "sequence": self.sequences[aggregate],
            "occurred_at": time.time_ns() // 1000,
            "actor_kind": "system",
            "position": self.positions[place],
            "epoch": 1,
            member: payload,
            **envelope,
        }
        self.raw(topic, key, encode(topic, record))
        return record
