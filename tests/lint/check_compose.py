"""Check docker-compose.yml: against the compose schema, and against the tree.   Needs tests/requirements.txt.

What the schema cannot see: every service of deploy/services.tsv is there, stages and volumes that are named exist,
nothing waits for what is not there, and secrets come from files; each service can read those that it uses, which
deploy/lib/make-secrets is run to see, and no others.
"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile

import ruamel.yaml
import sources

COMPOSE = sources.TOP / "docker-compose.yml"


KEEPERS = ("secrets", "migrate")  # make all of them, and give the roles of the database theirs; they end then
MOUNTED = "/run/kentongan"


def handed_out(names: list[str]) -> dict[str, set[str]]:
    """What deploy/lib/make-secrets puts into the volume of each."""
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "out"
        for name in names:
            (out / name).mkdir(parents=True)
        env = os.environ | {"KENTONGAN_STATE": f"{folder}/state", "KENTONGAN_SECRETS": str(out)}
        subprocess.run([sources.TOP / "deploy/lib/make-secrets"], env=env, check=True)
        files = [file for file in out.glob("*/*") if file.read_text().strip()]
        closed = [file for file in files if file.stat().st_mode & 0o077 == 0 or file.parent.name == "postgres"]
        return {name: {file.name for file in closed if file.parent.name == name} for name in names}


def secrets_complaints(services: dict):
    volumes = {name: [v.split(":")[:2] for v in service.get("volumes", [])] for name, service in services.items()}
    owners = [source.partition("-")[2] for source, _ in volumes["secrets"] if source.startswith("secrets-")]
    handed = handed_out(owners)
    image = (sources.TOP / "deploy/Dockerfile").read_text()
    for name in owners:
        if not re.search(rf"for name in .*\b{name}\b.*; do", image):
            yield f"deploy/Dockerfile: no mount point for the secrets of {name}"
        if [f"secrets-{name}", f"/var/lib/secrets/{name}"] not in volumes["secrets"]:
            yield f"secrets: the volume of {name} is not where make-secrets looks for it"
    for name in set(services) - set(KEEPERS):
        mounted = [source for source, _ in volumes[name] if source.startswith("secrets")]
        if mounted not in ([], [f"secrets-{name}"]):
            yield f"{name} mounts {mounted}: others' secrets"
        text = str(services[name])
        used = set(re.findall(rf"{MOUNTED}/(\w+)", text))
        if used != handed.get(name, set()) or bool(mounted) != bool(used):
            yield f"{name} uses the secrets {sorted(used)} and can read {sorted(handed.get(name, set()))}"


def complaints(compose: dict):
    services = compose["services"]
    table = (sources.TOP / "deploy/services.tsv").read_text().splitlines()
    for name in (line.split("\t")[0] for line in table if line and not line.startswith("#")):
        if name not in services:
            yield f"{name} of deploy/services.tsv is missing"
    stages = set(re.findall(r"^FROM .* AS (\S+)$", (sources.TOP / "deploy/Dockerfile").read_text(), re.MULTILINE))
    yield from secrets_complaints(services)
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
            is_file = variable.endswith("_FILE") and str(value).startswith(f"{MOUNTED}/")
            if not is_file and re.search(r"PASS|SECRET|API_KEY|_KEY$|^REDIS_URL$", variable):
                yield f"{name}: {variable} holds a secret in the open"


def main() -> int:
    checker = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(COMPOSE)]
    status = subprocess.run(checker).returncode
    bad = list(complaints(ruamel.yaml.YAML(typ="safe").load(COMPOSE)))
    print("\n".join(bad))
    return status or (1 if bad else 0)


sys.exit(main())
