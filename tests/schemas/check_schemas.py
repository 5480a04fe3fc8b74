#!/usr/bin/env python3
"""Refuse changes of the schemas that readers or writers of another version could not live with.

    tests/schemas/check_schemas.py             check schemas/; exit 1 and say what is wrong
    tests/schemas/check_schemas.py --release   also put what is new into schemas/released.json

Events are kept for ever and read again, so every version of a subject must be able to read what every other
version wrote, newer or older. What stands in released.json never changes: id, subject, version and text.
"""

import hashlib
import json
import pathlib
import sys

SCHEMAS = pathlib.Path(__file__).resolve().parents[2] / "schemas"
PRIMITIVE = {"null", "string", "bytes", "int", "long", "boolean"}


def fingerprint(schema) -> str:
    """The same for texts that differ in white space and order of keys only."""
    return hashlib.sha256(json.dumps(schema, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


class Schema:
    """One version, with its named records."""

    def __init__(self, tree: dict):
        self.tree = tree
        self.named: dict[str, dict] = {}
        self.collect(tree)

    def collect(self, node) -> None:
        if isinstance(node, list):
            for part in node:
                self.collect(part)
        elif isinstance(node, dict):
            if node.get("type") == "record":
                self.named[node["name"]] = node
            for key in ("fields", "type", "items", "values"):
                if not isinstance(node.get(key), str):
                    self.collect(node.get(key))

    def resolve(self, node):
        """A primitive's name, a list of branches, or the dict of a record, array or map."""
        if isinstance(node, str):
            return node if node in PRIMITIVE else self.named[node]
        if isinstance(node, dict) and (isinstance(node["type"], (dict, list)) or node["type"] in PRIMITIVE):
            return self.resolve(node["type"])
        return node


def branches(schema: Schema, node) -> list:
    node = schema.resolve(node)
    return [schema.resolve(part) for part in node] if isinstance(node, list) else [node]


def cannot_read(reader: Schema, r_node, writer: Schema, w_node, path: str) -> list[str]:
    """Why the reader's type cannot take everything that the writer's type can hold."""
    problems = []
    for written in branches(writer, w_node):
        tries = [(kind(wanted) != kind(written), match(reader, wanted, writer, written, path))
                 for wanted in branches(reader, r_node)]
        if all(found for _, found in tries):
            problems += min(tries)[1]  # of the branch that is meant
    return problems


def match(reader: Schema, wanted, writer: Schema, written, path: str) -> list[str]:
    if isinstance(wanted, str) or isinstance(written, str):
        if wanted == written or (wanted, written) == ("long", "int"):
            return []
        return [f"{path}: {kind(written)} cannot be read as {kind(wanted)}"]
    if kind(wanted) != kind(written):
        return [f"{path}: {kind(written)} cannot be read as {kind(wanted)}"]
    if wanted["type"] == "array":
        return cannot_read(reader, wanted["items"], writer, written["items"], path + "[]")
    if wanted["type"] == "map":
        return cannot_read(reader, wanted["values"], writer, written["values"], path + "{}")
    problems = []
    there = {field["name"]: field for field in written["fields"]}
    for field in wanted["fields"]:
        place = f"{path}.{field['name']}"
        if field["name"] in there:
            problems += cannot_read(reader, field["type"], writer, there[field["name"]]["type"], place)
        elif "default" not in field:
            problems.append(f"{place}: is not in the other version and has no default")
    return problems


def kind(node) -> str:
    return node if isinstance(node, str) else f"record {node['name']}" if node["type"] == "record" else node["type"]


def house_rules(schema: Schema, node, path: str) -> list[str]:
    """What our codec and the design ask of every schema."""
    node = schema.resolve(node)
    if isinstance(node, str):
        return []
    if isinstance(node, list):
        if len(node) != 2 or node[0] != "null":
            return [f"{path}: a union is null and one type, null first"]
        return house_rules(schema, node[1], path)
    if node["type"] == "array":
        return house_rules(schema, node["items"], path + "[]")
    if node["type"] == "map":
        return [] if schema.resolve(node["values"]) == "string" else [f"{path}: a map holds strings"]
    if node["type"] != "record":
        return [f"{path}: the type {node['type']} is not in use"]
    problems = [f"{path}: has aliases"] if "aliases" in node else []
    for field in node["fields"]:
        place = f"{path}.{field['name']}"
        if "aliases" in field:
            problems.append(f"{place}: has aliases")
        if isinstance(field["type"], list) and field.get("default", 0) is not None:
            problems.append(f"{place}: is nullable and its default is not null")
        problems += house_rules(schema, field["type"], place)
    return problems


def check_ids(ids: list[dict]) -> list[str]:
    problems = []
    if len({e["id"] for e in ids}) != len(ids):
        problems.append("ids.json: an id stands twice")
    for subject in sorted({e["subject"] for e in ids}):
        versions = [e["version"] for e in ids if e["subject"] == subject]
        if versions != list(range(1, len(versions) + 1)):
            problems.append(f"ids.json: the versions of {subject} are {versions}, not 1, 2, ...")
    return problems


def check_released(ids: list[dict], released: list[dict], texts: dict[int, dict]) -> list[str]:
    problems = []
    now = {(e["id"], e["subject"], e["version"]) for e in ids}
    for entry in released:
        name = f"{entry['subject']} version {entry['version']} (id {entry['id']})"
        if (entry["id"], entry["subject"], entry["version"]) not in now:
            problems.append(f"{name}: is released and not in ids.json any more")
        elif fingerprint(texts[entry["id"]]) != entry["sha256"]:
            problems.append(f"{name}: is released and was changed; add a version instead")
    return problems


def check_versions(ids: list[dict], texts: dict[int, dict]) -> list[str]:
    problems = []
    for entry in ids:
        name = f"{entry['subject']} version {entry['version']}"
        own = Schema(texts[entry["id"]])
        problems += house_rules(own, own.tree, name)
        for other in ids:
            if other["subject"] == entry["subject"] and other["id"] != entry["id"]:
                written = Schema(texts[other["id"]])
                problems += [f"{p} (written by version {other['version']})"
                             for p in cannot_read(own, own.tree, written, written.tree, name)]
    return problems


def check(folder: pathlib.Path) -> tuple[list[str], list[dict]]:
    """The problems, and what released.json would hold after a release."""
    ids = json.loads((folder / "ids.json").read_text())
    released = json.loads((folder / "released.json").read_text())
    texts = {e["id"]: json.loads((folder / e["file"]).read_text()) for e in ids}
    problems = check_ids(ids) + check_released(ids, released, texts) + check_versions(ids, texts)
    known = {e["id"] for e in released}
    fresh = [{"id": e["id"], "subject": e["subject"], "version": e["version"], "sha256": fingerprint(texts[e["id"]])}
             for e in ids if e["id"] not in known]
    return problems, released + fresh


def main() -> int:
    problems, after = check(SCHEMAS)
    for problem in problems:
        print(problem)
    if problems:
        return 1
    if "--release" in sys.argv[1:]:
        lines = ",\n".join("  " + json.dumps(entry) for entry in after)
        (SCHEMAS / "released.json").write_text(f"[\n{lines}\n]\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
