"""Every topic read and written with a stock client through the registry paths of ingress.

The records are our codec's own (bus-samples). What the client decoded is encoded again by another implementation of Avro,
and must give the same bytes: then no value was lost or changed.
"""

import io
import json
import pathlib
import subprocess
import sys
import unittest
import urllib.error
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
import fastavro  # noqa: E402
from confluent_kafka import Consumer, Producer, TopicPartition  # noqa: E402
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient  # noqa: E402
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer  # noqa: E402
from confluent_kafka.serialization import MessageField, SerializationContext  # noqa: E402
from log import SCHEMAS, decode  # noqa: E402
from stack import TOP, Stack  # noqa: E402

BUILD = pathlib.Path(sys.argv.pop() if len(sys.argv) > 1 else TOP / "build" / "asan")
IDS = json.loads((SCHEMAS / "ids.json").read_text())
TOPICS = json.loads((SCHEMAS / "topics.json").read_text())


def value_of(topic: str) -> SerializationContext:
    return SerializationContext(topic, MessageField.VALUE)


class Registry(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stack = cls.enterClassContext(Stack("registry", BUILD))
        cls.stack.ctl("start")
        cls.stack.run("deploy/lib/migrate")
        cls.brokers = f"127.0.0.1:{cls.stack.port('kafka')}"
        topics = BUILD / "libs/bus/kentongan-topics"
        subprocess.run([topics, "--brokers", cls.brokers], check=True, capture_output=True)
        cls.stack.ctl("start", "ingress-1")
        cls.url = f"http://127.0.0.1:{cls.stack.port('ingress')}"
        cls.registry = SchemaRegistryClient({"url": cls.url})

    def samples(self) -> list[tuple[str, bytes]]:
        printed = subprocess.run([BUILD / "libs/bus/bus-samples"], check=True, capture_output=True, text=True).stdout
        return [(topic, bytes.fromhex(text)) for topic, text in (line.split() for line in printed.splitlines())]

    def test_a_stock_consumer_reads_every_topic_and_kind(self):
        samples = self.samples()
        self.assertEqual({topic for topic, _ in samples}, {topic["name"] for topic in TOPICS})
        producer = Producer({"bootstrap.servers": self.brokers})
        for topic, record in samples:
            producer.produce(topic, record, partition=0)
        self.assertEqual(producer.flush(30), 0)
        read = AvroDeserializer(self.registry)
        consumer = Consumer({"bootstrap.servers": self.brokers, "group.id": "stock", "enable.auto.commit": False})
        consumer.assign([TopicPartition(topic["name"], 0, 0) for topic in TOPICS])
        found, missing = {}, set(samples)
        while missing:
            message = consumer.poll(30)
            self.assertIsNone(message.error())
            # ingress is up, and answers some of the samples with records of its own
            if (message.topic(), message.value()) in missing:
                missing.remove((message.topic(), message.value()))
                found.setdefault(message.topic(), []).append((message.value(), read(message.value(), value_of(message.topic()))))
        consumer.close()
        for topic in TOPICS:
            self.assertEqual([raw for raw, _ in found[topic["name"]]], [r for t, r in samples if t == topic["name"]])
            for raw, record in found[topic["name"]]:
                self.check_same_bytes(raw, record)

    def check_same_bytes(self, raw: bytes, record: dict):
        entry = next(e for e in IDS if e["id"] == int.from_bytes(raw[1:5], "big"))
        out = io.BytesIO()
        fastavro.schemaless_writer(out, json.loads((SCHEMAS / entry["file"]).read_text()), record)
        self.assertEqual(out.getvalue(), raw[5:], entry)

    def test_a_stock_serialiser_finds_the_schemas_it_has(self):
        """Both ways to use one: with the newest of the registry, and registering what is there already."""
        for topic, record in self.samples()[::7]:
            subject = next(t["subject"] for t in TOPICS if t["name"] == topic)
            text = self.registry.get_latest_version(subject).schema.schema_str
            for settings in ({"auto.register.schemas": False, "use.latest.version": True}, {"auto.register.schemas": True}):
                write = AvroSerializer(self.registry, text, conf=settings)
                self.assertEqual(write(decode(record), value_of(topic)), record)

    def test_subjects_and_versions_are_listed(self):
        self.assertEqual(set(self.registry.get_subjects()), {e["subject"] for e in IDS})
        for entry in IDS:
            self.assertIn(entry["version"], self.registry.get_versions(entry["subject"]))
            version = self.registry.get_version(entry["subject"], entry["version"])
            self.assertEqual((version.schema_id, version.version), (entry["id"], entry["version"]))
            text = json.loads((SCHEMAS / entry["file"]).read_text())
            self.assertEqual(json.loads(self.registry.get_schema(entry["id"]).schema_str), text)
            found = self.registry.lookup_schema(entry["subject"], Schema(json.dumps(text), "AVRO"))
            self.assertEqual(found.schema_id, entry["id"])

    def test_other_schemas_are_refused(self):
        other = json.dumps({"type": "record", "name": "Other", "fields": []})
        body = json.dumps({"schema": other}).encode()
        for path in ("/subjects/wa.dlq.v1-value/versions", "/subjects/mine-value/versions"):
            request = urllib.request.Request(self.url + path, body, {"Content-Type": "application/json"})
            with self.assertRaises(urllib.error.HTTPError) as caught:
                urllib.request.urlopen(request, timeout=10)
            self.assertIn(caught.exception.code, (404, 409, 422))
            caught.exception.close()
        self.assertEqual(set(self.registry.get_subjects()), {e["subject"] for e in IDS})


if __name__ == "__main__":
    unittest.main()
