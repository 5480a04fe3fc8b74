"""Check docker-compose.yml: against the compose schema, and against the tree.   Needs tests/requirements.txt.

What the schema cannot see: every service of deploy/services.tsv is there, stages and volumes that are named exist,
nothing waits for what is not there, and secrets come from files that deploy/lib/state.sh makes.
"""

import re
import subprocess
import sys

import ruamel.yaml
import sources

COMPOSE = sources.TOP / "docker-compose.yml"


def complaints(compose: dict):
    services = compose["services"]
    table = (sources.TOP / "deploy/services.tsv").read_text().splitlines()
    for name in (line.split("\t")[0] for line in table if line and not line.startswith("#")):
        if name not in services:
            yield f"{name} of deploy/services.tsv is missing"
    stages = set(re.findall(r"^FROM .* AS (\S+)$", (sources.TOP / "deploy/Dockerfile").read_text(), re.MULTILINE))
    secrets = set(re.findall(r"\[(\w+)\]=\d+", (sources.TOP / "deploy/lib/state.sh").read_text()))
    for name, service in services.items():
        stage = service.get("build", {}).get("target")
        if stage and stage not in stages:
            yield f"{name}: deploy/Dockerfile has no stage {stage}"
        for needed, how in service.get("depends_on", {}).items():
            if needed not in services:
                yield f"{name} waits for {needed}, which is not there"
            elif how["condition"] == "service_healthy" and "healthcheck" not in services[needed]:
                yield f"{name} waits for {needed} to be healthy, but nothing checks its health"
        for volume in service.get("volumes", []):
            if volume.split(":")[0] not in compose["volumes"]:
                yield f"{name}: no volume {volume}"
        for variable, value in service.get("environment", {}).items():
            if variable.endswith("_FILE") and str(value).startswith("/run/kentongan/secrets/"):
                if value.rpartition("/")[2] not in secrets:
                    yield f"{name}: {variable} names a secret that nobody makes"
            elif re.search(r"PASS|SECRET|API_KEY|_KEY$", variable):
                yield f"{name}: {variable} holds a secret in the open"


def main() -> int:
    checker = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(COMPOSE)]
    status = subprocess.run(checker).returncode
    bad = list(complaints(ruamel.yaml.YAML(typ="safe").load(COMPOSE)))
    print("\n".join(bad))
    return status or (1 if bad else 0)


sys.exit(main())
