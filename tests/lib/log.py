"""The log as a stranger reads it: topics read to their ends with a stock client, decoded by the schemas of the tree.

    events = Log(brokers).events("wa.blast.events.v1")     # each once, in order; AssertionError when one is missing

Needs tests/requirements.txt.
"""

import collections
import contextlib
import dataclasses
import functools
import io
import json
import pathlib

import confluent_kafka
import fastavro

SCHEMAS = pathlib.Path(__file__).resolve().parents[2] / "schemas"
READ_SECONDS = 60
ENVELOPE = {
    "event_id", "event_type", "schema_version", "aggregate_type", "aggregate_id", "sequence", "occurred_at",
    "correlation_id", "causation_id", "actor_kind", "actor_id", "position", "epoch",
}  # fmt: skip


@functools.cache
def schema_of(schema_id: int):
    for entry in json.loads((SCHEMAS / "ids.json").read_text()):
        if entry["id"] == schema_id:
            return fastavro.parse_schema(json.loads((SCHEMAS / entry["file"]).read_text()))
    raise AssertionError(f"schema id {schema_id} is not in schemas/ids.json")


def decode(value: bytes) -> dict:
    """A record in the Confluent wire format: a zero, the id of the schema in four bytes, the Avro body."""
    assert value[:1] == b"\0", f"a record that begins with {value[:1]!r}"
    body = io.BytesIO(value[5:])
    record = fastavro.schemaless_reader(body, schema_of(int.from_bytes(value[1:5], "big")))
    assert not body.read(1), "bytes behind a record"
    return record


@dataclasses.dataclass
class Record:
    topic: str
    partition: int
    offset: int
    key: str | None
    value: dict

    @property
    def kind(self) -> str:
        """The member that an event carries beside its envelope, such as "progressed"."""
        return next(n for n, v in self.value.items() if isinstance(v, dict) and n not in ENVELOPE)

    @property
    def body(self) -> dict:
        return self.value[self.kind]


def watermarks(consumer, topic: str) -> dict[int, tuple[int, int]]:
    """By partition: its first offset, and the one behind its last."""
    partitions = consumer.list_topics(topic, READ_SECONDS).topics[topic].partitions
    place = confluent_kafka.TopicPartition
    return {number: consumer.get_watermark_offsets(place(topic, number), READ_SECONDS) for number in partitions}


class Log:
    def __init__(self, brokers: str):
        self.brokers = brokers
        self.repeats = collections.Counter()  # records that readers drop, by topic

    @contextlib.contextmanager
    def _consumer(self):
        consumer = confluent_kafka.Consumer(
            {"bootstrap.servers": self.brokers, "group.id": "tests", "enable.auto.commit": False, "fetch.wait.max.ms": 50}
        )
        try:
            yield consumer
        finally:
            consumer.close()

    def records(self, topic: str) -> list[Record]:
        """Everything that stands in a topic at this moment, by partition and offset."""
        found = []
        for raw in self.raw(topic):
            key = raw.key().decode() if raw.key() is not None else None
            found.append(Record(topic, raw.partition(), raw.offset(), key, decode(raw.value())))
        return sorted(found, key=lambda record: (record.partition, record.offset))

    def raw(self, topic: str) -> list[confluent_kafka.Message]:
        """The same as it is kept: key(), value() and headers() in bytes."""
        with self._consumer() as consumer:
            ends = {number: high for number, (low, high) in watermarks(consumer, topic).items() if high > low}
            return self._read(consumer, topic, ends) if ends else []

    def ends(self) -> dict[tuple[str, int], int]:
        """The offset behind the last record of every topic and partition."""
        names = [t["name"] for t in json.loads((SCHEMAS / "topics.json").read_text())]
        with self._consumer() as consumer:
            return {(name, n): high for name in names for n, (_, high) in watermarks(consumer, name).items()}

    def _read(self, consumer, topic: str, ends: dict[int, int]) -> list[confluent_kafka.Message]:
        consumer.assign([confluent_kafka.TopicPartition(topic, number, 0) for number in ends])
        found = []
        while ends:
            message = consumer.poll(READ_SECONDS)
            assert message is not None, f"{topic}: no record for {READ_SECONDS} s"
            assert message.error() is None, f"{topic}: {message.error()}"
            found.append(message)
            if message.offset() + 1 >= ends.get(message.partition(), 0):
                ends.pop(message.partition(), None)
        return found

    def events(self, topic: str) -> list[Record]:
        """The events of a topic as a reader applies them: only the position after the last one, all others dropped."""
        last = collections.Counter()
        applied, missing = [], {}
        for record in self.records(topic):
            position = record.value["position"]
            if position == last[record.partition] + 1:
                last[record.partition] = position
                applied.append(record)
                if missing.get(record.partition, 0) <= position:
                    missing.pop(record.partition, None)
            else:
                self.repeats[topic] += 1
                if position > last[record.partition]:
                    missing[record.partition] = max(position, missing.get(record.partition, 0))
        assert not missing, f"{topic}: partitions {sorted(missing)} lack what comes after position {dict(last)}"
        return applied


def by_aggregate(events: list[Record]) -> dict[str, list[Record]]:
    """Each aggregate's events; AssertionError unless their sequence runs from 1 without a gap (INV-22)."""
    found = collections.defaultdict(list)
    for event in events:
        found[event.value["aggregate_id"]].append(event)
    for aggregate, own in found.items():
        sequences = [event.value["sequence"] for event in own]
        assert sequences == list(range(1, len(own) + 1)), f"{aggregate}: sequences {sequences}"
    ids = [event.value["event_id"] for event in events]
    assert len(ids) == len(set(ids)), "an event id was used twice"
    return dict(found)
