"""The rules of the send path at work: a connector against the sandbox, and what goes wrong between them."""

import uuid

import kit

IDS = uuid.UUID("6b3f0d52-9e14-4c7a-8d21-5fe0b746931c")  # namespace_id in libs/base/uuid.c


def blast_message(blast: str, index: int) -> str:
    return str(uuid.uuid5(IDS, f"message:{blast}:{index}"))


class Rules(kit.Case):
    settings = {"ACK_TIMEOUT_MS": "2000"}

    # ---- S4: every hand-over has an end ----

    def test_a_hand_over_that_is_refused_ends_for_its_blast(self):
        sandbox, blast = self.kit.sandbox, str(uuid.uuid4())
        other = self.kit.session("anna").link("491530000001")
        friend = sandbox.phone("491530000002")
        taken = other.send(friend, "mine")
        self.kit.message_reaches(taken, "Delivered")
        session = self.kit.session("arno").link("491530000003")
        session.send(friend, "no id", "no uuid", blast_id=blast, blast_index=0)
        foreign = str(uuid.uuid4())
        session.send(friend, "another's id", taken, foreign, blast_id=blast, blast_index=1)
        self.assertNotEqual(self.kit.verdict(foreign)["verdict"], "ok")
        session.send(friend, "blast unknown", blast_id="no uuid", blast_index=2)
        fine = session.send(friend, "fine", blast_message(blast, 3), blast_id=blast, blast_index=3)
        self.kit.message_reaches(fine, "Delivered")
        ends = [e for e in self.kit.messages_of(blast) if e["failed"]]
        self.assertEqual([e["blast_index"] for e in ends], [0, 1])
        for index, event in enumerate(ends):
            self.assertEqual(event["aggregate_id"], blast_message(blast, index))
            self.assertEqual((event["state_before"], event["failed"]["permanent"]), ("NONE", True))
            self.assertEqual(event["session_key"], session.key)
        self.assertEqual(self.kit.message_kinds(taken)[-1], "Delivered")


if __name__ == "__main__":
    kit.main()
