"""The log as the services write and read it: Avro in Confluent's wire format, positions, murmur2 partitions.

Import venv before this: it needs packages of tests/requirements.txt.
"""

import io
import json
import pathlib
import struct
import time
import uuid

import confluent_kafka
import fastavro

SCHEMAS = pathlib.Path(__file__).resolve().parents[2] / "schemas"


def murmur2(data: bytes) -> int:
    m, mask = 0x5BD1E995, 0xFFFFFFFF
    h = (0x9747B28C ^ len(data)) & mask
    for i in range(0, len(data) - 3, 4):
        k = int.from_bytes(data[i:i + 4], "little") * m & mask
        h = (h * m ^ (k ^ k >> 24) * m) & mask
    rest = data[len(data) & ~3:]
    if rest:
        h = (h ^ int.from_bytes(rest, "little")) * m & mask
    h = (h ^ h >> 13) * m & mask
    return h ^ h >> 15


def partition_of(key: str, partitions: int = 6) -> int:
    return (murmur2(key.encode()) & 0x7FFFFFFF) % partitions


class Schemas:
    def __init__(self):
        self.by_id, self.newest, self.subjects = {}, {}, {}
        for entry in json.loads((SCHEMAS / "ids.json").read_text()):
            text = json.loads((SCHEMAS / entry["file"]).read_text())
            self.by_id[entry["id"]] = fastavro.parse_schema(text)
            if entry["version"] >= self.newest.get(entry["subject"], (0,))[0]:
                self.newest[entry["subject"]] = (entry["version"], entry["id"], text)
        for topic in json.loads((SCHEMAS / "topics.json").read_text()):
            self.subjects[topic["name"]] = topic["subject"]

    def encode(self, topic: str, record: dict) -> bytes:
        _, number, _ = self.newest[self.subjects[topic]]
        out = io.BytesIO()
        fastavro.schemaless_writer(out, self.by_id[number], record)
        return b"\0" + struct.pack(">I", number) + out.getvalue()

    def decode(self, data: bytes) -> dict:
        magic, number = struct.unpack(">bI", data[:5])
        assert magic == 0, data[:5]
        return fastavro.schemaless_reader(io.BytesIO(data[5:]), self.by_id[number], None)

    def type_name(self, topic: str, member: str) -> str:
        """Name of the record that a nullable member of the topic's schema holds."""
        _, _, text = self.newest[self.subjects[topic]]
        return next(f["type"][1]["name"] for f in text["fields"] if f["name"] == member)


class Writer:
    """Writes events as the service that decides them would: with positions and sequences of their own."""

    def __init__(self, brokers: str):
        self.schemas = Schemas()
        self.producer = confluent_kafka.Producer({"bootstrap.servers": brokers, "linger.ms": 0})
        self.positions: dict[tuple[str, int], int] = {}
        self.sequences: dict[str, int] = {}

    def raw(self, topic: str, key: str, value: bytes, headers=None, partition: int | None = None) -> None:
        failures = []
        self.producer.produce(topic, value, key, partition_of(key) if partition is None else partition,
                              on_delivery=lambda err, _: failures.append(err) if err else None, headers=headers)
        self.producer.flush(30)
        assert not failures, failures

    def event(self, topic: str, key: str, aggregate: str, member: str, payload: dict, **envelope) -> dict:
        place = (topic, partition_of(key))
        self.positions[place] = self.positions.get(place, 0) + 1
        self.sequences[aggregate] = self.sequences.get(aggregate, 0) + 1
        record = {
            "event_id": str(uuid.uuid4()), "event_type": self.schemas.type_name(topic, member), "schema_version": 1,
            "aggregate_type": topic.split(".")[1], "aggregate_id": aggregate, "sequence": self.sequences[aggregate],
            "occurred_at": time.time_ns() // 1000, "actor_kind": "system", "position": self.positions[place],
            "epoch": 1, member: payload, **envelope}
        self.raw(topic, key, self.schemas.encode(topic, record))
        return record


def read_all(brokers: str, topic: str, schemas: Schemas | None = None) -> list[dict]:
    """Every record that is in the topic now, with its Kafka coordinates under "@"."""
    schemas = schemas or Schemas()
    consumer = confluent_kafka.Consumer({"bootstrap.servers": brokers, "group.id": f"read-{uuid.uuid4()}",
                                         "enable.auto.commit": False, "enable.partition.eof": True})
    partitions = list(consumer.list_topics(topic, 30).topics[topic].partitions)
    consumer.assign([confluent_kafka.TopicPartition(topic, p, confluent_kafka.OFFSET_BEGINNING) for p in partitions])
    found, ended = [], set()
    while len(ended) < len(partitions):
        message = consumer.poll(30)
        assert message is not None, f"{topic}: no answer"
        if message.error():
            assert message.error().code() == confluent_kafka.KafkaError._PARTITION_EOF, message.error()
            ended.add(message.partition())
        else:
            found.append(schemas.decode(message.value()) | {
                "@": {"key": message.key(), "partition": message.partition(), "offset": message.offset(),
                      "headers": dict(message.headers() or [])}})
    consumer.close()
    return found
