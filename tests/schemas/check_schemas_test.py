"""What check_schemas.py lets pass and what it refuses."""

import copy
import json
import pathlib
import tempfile
import unittest

import check_schemas

FIRST = {
    "type": "record", "name": "Thing", "namespace": "kentongan", "fields": [
        {"name": "id", "type": "string"},
        {"name": "count", "type": "int", "default": 0},
        {"name": "made", "default": None, "type": ["null", {
            "type": "record", "name": "ThingMade", "fields": [{"name": "by", "type": "string"}]}]},
    ]}


def nullable(name: str, kind) -> dict:
    return {"name": name, "type": ["null", kind], "default": None}


class Check(unittest.TestCase):
    def problems(self, *versions: dict, released=()) -> list[str]:
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            ids = []
            for number, tree in enumerate(versions, 1):
                (folder / f"{number}.avsc").write_text(json.dumps(tree))
                ids.append({"id": number, "subject": "s", "version": number, "file": f"{number}.avsc"})
            (folder / "ids.json").write_text(json.dumps(ids))
            (folder / "released.json").write_text(json.dumps(list(released)))
            return check_schemas.check(folder)[0]

    def changed(self, change) -> dict:
        tree = copy.deepcopy(FIRST)
        change(tree["fields"])
        return tree

    def test_one_version_is_fine(self):
        self.assertEqual(self.problems(FIRST), [])

    def test_a_new_event_type_and_a_removed_member_with_default_are_fine(self):
        more = {"type": "record", "name": "ThingLost", "fields": []}
        self.assertEqual(self.problems(FIRST, self.changed(lambda f: f.append(nullable("lost", more)))), [])
        self.assertEqual(self.problems(FIRST, self.changed(lambda f: f.pop(1))), [])

    def test_a_new_member_without_default_is_refused(self):
        found = self.problems(FIRST, self.changed(lambda f: f.append({"name": "new", "type": "string"})))
        self.assertIn("s version 2.new: is not in the other version and has no default "
                      "(written by version 1)", found)

    def test_a_removed_member_that_old_readers_need_is_refused(self):
        self.assertIn("s version 1.id: is not in the other version", self.problems(FIRST, self.changed(
            lambda f: f.pop(0)))[0])

    def test_a_wider_number_is_refused_because_old_readers_cannot_take_it(self):
        found = self.problems(FIRST, self.changed(lambda f: f[1].update(type="long")))
        self.assertEqual(found, ["s version 1.count: long cannot be read as int (written by version 2)"])

    def test_a_member_that_becomes_nullable_is_refused(self):
        found = self.problems(FIRST, self.changed(lambda f: f.__setitem__(0, nullable("id", "string"))))
        self.assertEqual(found, ["s version 1.id: null cannot be read as string (written by version 2)"])

    def test_the_same_holds_inside_of_records_and_lists(self):
        def change(fields):
            fields[2]["type"][1]["fields"].append({"name": "at", "type": "long"})
        self.assertIn("s version 2.made.at", self.problems(FIRST, self.changed(change))[0])
        lists = [self.changed(lambda f: f.append(
            {"name": "all", "type": {"type": "array", "items": kind}, "default": []})) for kind in ("string", "long")]
        self.assertIn("s version 1.all[]: long cannot be read as string (written by version 2)",
                      self.problems(*lists))

    def test_every_pair_is_compared(self):
        # the second is fine with both, the first and the third are not with each other
        second = self.changed(lambda f: f.append(nullable("extra", "string")))
        third = self.changed(lambda f: f.append(nullable("extra", "long")))
        self.assertEqual(self.problems(FIRST, second), [])
        self.assertTrue(self.problems(FIRST, second, third))

    def test_house_rules(self):
        for member, why in (
                ({"name": "e", "type": {"type": "enum", "name": "E", "symbols": ["A"]}}, "the type enum is not in use"),
                ({"name": "u", "type": ["string", "null"], "default": ""}, "null first"),
                ({"name": "u", "type": ["null", "string"]}, "its default is not null"),
                ({"name": "m", "type": {"type": "map", "values": "long"}}, "a map holds strings"),
                ({"name": "a", "type": "string", "aliases": ["b"]}, "has aliases")):
            found = self.problems(self.changed(lambda f, m=member: f.append(m)))
            self.assertTrue(any(why in problem for problem in found), (member, found))

    def test_what_is_released_does_not_change(self):
        entry = {"id": 1, "subject": "s", "version": 1, "sha256": check_schemas.fingerprint(FIRST)}
        self.assertEqual(self.problems(FIRST, released=[entry]), [])
        self.assertIn("was changed", self.problems(self.changed(lambda f: f.pop(1)), released=[entry])[0])
        self.assertIn("not in ids.json any more", self.problems(FIRST, released=[{**entry, "id": 7}])[0])

    def test_ids_and_versions_have_no_holes(self):
        self.assertEqual(check_schemas.check_ids([{"id": 1, "subject": "s", "version": 1},
                                                  {"id": 1, "subject": "t", "version": 2}]),
                         ["ids.json: an id stands twice", "ids.json: the versions of t are [2], not 1, 2, ..."])


if __name__ == "__main__":
    unittest.main()
