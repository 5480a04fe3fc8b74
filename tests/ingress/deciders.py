"""Stand-ins for the services behind ingress: they read its commands, answer over Redis and write projections.

Records are read with a stock client through ingress's own registry paths.
"""

import json
import socket
import threading

from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext

TOPICS = ["wa.session.cmd.v1", "wa.message.cmd.v1", "wa.blast.cmd.v1", "wa.blast.recipients.v1"]


class Redis:
    """As much of a client as the tests need."""

    def __init__(self, stack):
        self._socket = socket.create_connection(("127.0.0.1", stack.port("redis")), 10)
        self._stream = self._socket.makefile("rb")
        self._lock = threading.Lock()
        self("AUTH", stack.secret("redis_password"))

    def __call__(self, *parts):
        encoded = [part.encode() if isinstance(part, str) else str(part).encode() for part in parts]
        with self._lock:
            self._socket.sendall(
                b"*%d\r\n" % len(encoded) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in encoded)
            )
            return self._reply()

    def _reply(self):
        kind, rest = self._stream.read(1), self._stream.readline()[:-2]
        if kind == b"-":
            raise RuntimeError(rest.decode())
        if kind == b"$":
            size = int(rest)
            return None if size < 0 else self._stream.read(size + 2)[:-2].decode()
        if kind == b"*":
            return [self._reply() for _ in range(int(rest))]
        return int(rest) if kind == b":" else rest.decode()

    def close(self):
        self._stream.close()
        self._socket.close()


def quoted(value) -> str:
    """A value as SQL text."""
    if value is None:
        return "null"
    return "'" + str(value).replace("'", "''") + "'"


class Deciders:
    """Takes every command and does what it asks, unless `on_command` (returns True) has dealt with it."""

    def __init__(self, stack, ingress_url: str):
        self.stack = stack
        self.redis = Redis(stack)
        self.commands: list[dict] = []
        self.chunks: list[dict] = []
        self.errors: list[Exception] = []
        self.on_command = None
        self.tell_channels = True
        self._sequences: dict[str, int] = {}
        self._done: dict[str, dict] = {}
        self._stop = threading.Event()
        registry = SchemaRegistryClient({"url": ingress_url})
        self._decode = AvroDeserializer(registry)
        self._consumer = Consumer(
            {"bootstrap.servers": f"127.0.0.1:{stack.port('kafka')}", "group.id": "deciders", "enable.auto.commit": False}
        )
        self._consumer.assign([TopicPartition(topic, p, 0) for topic in TOPICS for p in range(6)])
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self):
        self._stop.set()
        self._thread.join(20)
        self._consumer.close()
        self.redis.close()

    def _run(self):
        while not self._stop.is_set():
            message = self._consumer.poll(0.05)
            if message is None or message.error():
                continue
            try:
                self._take(message)
            except Exception as error:  # a test looks at these at its end
                self.errors.append(error)

    def _take(self, message):
        record = self._decode(message.value(), SerializationContext(message.topic(), MessageField.VALUE))
        record["_topic"], record["_key"] = message.topic(), message.key().decode()
        record["_partition"], record["_offset"] = message.partition(), message.offset()
        if message.topic() == "wa.blast.recipients.v1":
            self.chunks.append(record)
            return
        self.commands.append(record)
        if not (self.on_command and self.on_command(record)):
            self.obey(record)

    # ---- what a decider and the tracker would do ----

    def obey(self, command: dict, **told):
        if command["command_id"] in self._done:
            self.reply(command, **self._done[command["command_id"]], **told)
            return
        self.carry_out(command)
        self.reply(command, **told)

    def carry_out(self, command: dict):
        """Do what it asks, and say nothing."""
        kind = next(name for name in KINDS if command.get(name) is not None)
        KINDS[kind](self, command, command[kind])

    def sequence(self, aggregate: str) -> int:
        return self._sequences.get(aggregate, 0)

    def bump(self, aggregate: str) -> int:
        self._sequences[aggregate] = self.sequence(aggregate) + 1
        return self._sequences[aggregate]

    def reply(self, command: dict, verdict="ok", code="OK", message="", publish=True, applied=True):
        aggregate = command["aggregate_id"]
        kind = {"wa.session.cmd.v1": "session", "wa.message.cmd.v1": "message"}.get(command["_topic"], "blast")
        self._done.setdefault(command["command_id"], {"verdict": verdict, "code": code, "message": message})
        text = json.dumps(
            {
                "command_id": command["command_id"],
                "verdict": verdict,
                "code": code,
                "message": message,
                "aggregate_type": kind,
                "aggregate_id": aggregate,
                "sequence": self.sequence(aggregate),
            }
        )
        self.redis("SET", f"reply:{command['command_id']}", text, "PX", 60000)
        if publish and self.tell_channels:
            self.redis("PUBLISH", f"replies:{command['reply_to']}", text)
        if applied:
            self.redis("SET", f"applied:{aggregate}", self.sequence(aggregate), "PX", 60000)
            if self.tell_channels:
                self.redis("PUBLISH", "applied", f"{aggregate} {self.sequence(aggregate)}")

    def project_event(self, command: dict):
        """The tracker's copy of the log has one event of it."""
        aggregate = command["aggregate_id"]
        self.stack.sql(
            "INSERT INTO proj.events (aggregate_id, sequence, aggregate_type, event_id, event_type, occurred_at, causation_id,"
            f" actor_kind, user_id, epoch, position, payload) VALUES ('{aggregate}', {self.sequence(aggregate)}, 'session',"
            f" gen_random_uuid(), 'SessionCreated', now(), '{command['command_id']}', 'user', {command['user_id']}, 1, 1, '{{}}')"
        )

    def refuse(self, command: dict, code: str, message: str = ""):
        self.reply(command, verdict="refused", code=code, message=message)

    def _create_session(self, command, create):
        uuid = command["aggregate_id"]
        phone = quoted(create["phone"])
        self.stack.sql(
            "INSERT INTO proj.sessions (uuid, id, session_key, user_id, name, position, declared_phone, webhook_url,"
            " webhook_secret_enc, state, created_at, updated_at, applied_seq) VALUES"
            f" ('{uuid}', {create['id']}, {quoted(create['session_key'])}, {command['user_id']},"
            f" {quoted(create['name'])}, {create['position']}, {phone}, {quoted(create['webhook_url'])},"
            f" {'null' if create['webhook_secret_enc'] is None else chr(39) + 'x' + chr(39)},"
            f" 'CREATED', now(), now(), {self.bump(uuid)})"
        )

    def set_session(self, uuid: str, change: str):
        self.stack.sql(f"UPDATE proj.sessions SET {change}, applied_seq = {self.bump(uuid)} WHERE uuid = '{uuid}'")

    def _connect(self, command, _):
        self.set_session(command["aggregate_id"], "state = 'CONNECTING'")

    def _disconnect(self, command, _):
        self.set_session(command["aggregate_id"], "state = 'DISCONNECTED'")

    def _delete(self, command, _):
        self.set_session(command["aggregate_id"], "state = 'DELETED', deleted_at = now()")

    def _rename(self, command, rename):
        self.set_session(command["aggregate_id"], f"name = {quoted(rename['name'])}")

    def _webhook(self, command, webhook):
        self.set_session(command["aggregate_id"], f"webhook_url = {quoted(webhook['webhook_url'])}")

    def _send(self, command, send):
        uuid = command["aggregate_id"]
        self.stack.sql(
            "INSERT INTO proj.message_states (message_id, session_uuid, user_id, recipient, text, state, wa_message_id,"
            f" created_at, updated_at, applied_seq) VALUES ('{uuid}', '{command['session_uuid']}', {command['user_id']},"
            f" {quoted(send['recipient'])}, {quoted(send['text'])}, 'SENT', '3EB0' || upper(left(md5('{uuid}'), 18)),"
            " now(), now(), 3)"
        )

    def _create_blast(self, command, create):
        uuid = command["aggregate_id"]
        self.stack.sql(
            "INSERT INTO proj.blasts (uuid, id, blast_key, user_id, session_uuid, session_key, campaign_id, campaign_name,"
            " message_template, config, upload_id, status, total_messages, created_at, updated_at, applied_seq) VALUES"
            f" ('{uuid}', {create['id']}, {quoted(create['blast_key'])}, {command['user_id']},"
            f" '{command['session_uuid']}', {quoted(create['session_key'])}, {quoted(create['campaign_id'])},"
            f" {quoted(create['campaign_name'])}, {quoted(create['message_template'])}, {quoted(create['config'])},"
            f" {quoted(create['upload_id'])}, 'IDLE', {create['total_messages']}, now(), now(), {self.bump(uuid)})"
        )

    def _set_blast(self, status):
        def act(self, command, _):
            uuid = command["aggregate_id"]
            self.stack.sql(
                f"UPDATE proj.blasts SET status = '{status}', applied_seq = {self.bump(uuid)} WHERE uuid = '{uuid}'"
            )

        return act

    def _remove_blast(self, command, _):
        uuid = command["aggregate_id"]
        self.stack.sql(f"UPDATE proj.blasts SET deleted_at = now(), applied_seq = {self.bump(uuid)} WHERE uuid = '{uuid}'")

    # ---- for tests ----

    def of(self, aggregate: str) -> list[dict]:
        return [command for command in self.commands if command["aggregate_id"] == aggregate]


KINDS = {
    "create": lambda self, command, body: (
        self._create_blast if command["_topic"] == "wa.blast.cmd.v1" else self._create_session
    )(command, body),
    "connect": Deciders._connect,
    "disconnect": Deciders._disconnect,
    "remove_session": Deciders._delete,
    "rename_to": Deciders._rename,
    "set_webhook": Deciders._webhook,
    "send": Deciders._send,
    "start": Deciders._set_blast(None, "RUNNING"),
    "pause": Deciders._set_blast(None, "PAUSED"),
    "resume": Deciders._set_blast(None, "RUNNING"),
    "stop": Deciders._set_blast(None, "STOPPED"),
    "remove": Deciders._remove_blast,
}
