"""Containerfile, .containerignore and compose.yaml, read: there need be no engine to know that their paths, ports and programs exist."""
import fnmatch
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import tempfile
import tomllib

import yaml

import running
from cluster import secured
from programs import CALLS, FOLDERS, NAMES, PORTS, PUBLIC, probes


def instructions(text):
    """(instruction, rest) with continued lines joined. What an ARG before the first FROM stands for is put where a FROM uses it."""
    joined = re.sub(r"\\\n\s*", "", "\n".join(line for line in text.splitlines() if not line.startswith("#")))
    steps = [line.split(None, 1) for line in joined.splitlines() if line]
    first = next(i for i, (word, _) in enumerate(steps) if word == "FROM")
    defaults = dict(rest.split("=", 1) for _, rest in steps[:first])
    for word, rest in steps[first:]:
        yield word, re.sub(r"\$\{(\w+)\}", lambda use: defaults[use[1]], rest) if word == "FROM" else rest


def image(root):
    """Checks the image; returns what is wrong, and the programs that are in it by their path."""
    wrong = []
    steps = list(instructions((root / "Containerfile").read_text()))
    start = max(i for i, (word, _) in enumerate(steps) if word == "FROM")
    build, final = steps[:start], dict(steps[start:])

    toolchain = tomllib.loads((root / "rust-toolchain.toml").read_text())["toolchain"]["channel"]
    if f"rust:{toolchain}-bookworm AS build" not in build[0][1] or "debian12" not in final["FROM"]:
        wrong.append(f"Containerfile: not built with Rust {toolchain} on the Debian that it runs on")
    copied = {name for word, rest in build if word == "COPY" for name in rest.split()[:-1]}
    members = {member.split("/")[0] for member in tomllib.loads((root / "Cargo.toml").read_text())["workspace"]["members"]}
    # The edge serves the manual, which is in the documents.
    if copied != members | {"Cargo.toml", "Cargo.lock", "docs"}:
        wrong.append(f"Containerfile copies {sorted(copied)}, the workspace is {sorted(members)}")
    ignored = [line for line in (root / ".containerignore").read_text().splitlines() if line and not line.startswith("#")]
    wrong += [f".containerignore keeps out {name}" for name in copied if any(fnmatch.fnmatch(name, pattern) for pattern in ignored)]
    [run] = [rest for word, rest in build if word == "RUN"]
    built = set(re.findall(r" -p ([\w-]+)", run))
    taken = set(re.findall(r"target/release/([\w-]+)", run))
    if not built == taken == set(NAMES):
        wrong.append(f"Containerfile builds {sorted(built)} and takes {sorted(taken)}, the programs are {sorted(NAMES)}")
    wrong += builds_from(root, copied)
    if ("ARG", "BOXOFFICE_COMMIT=") not in build or build.index(("ARG", "BOXOFFICE_COMMIT=")) > build.index(("RUN", run)):
        wrong.append("Containerfile: --version cannot be told the commit")
    wrong += [f"Containerfile: {rest} may be another image tomorrow" for word, rest in steps if word == "FROM" and not pinned(rest.split()[0])]
    if "--locked" not in run:
        wrong.append("Containerfile does not build what Cargo.lock says")

    into = [rest.split() for word, rest in steps[start:] if word == "COPY"]
    folder = next((parts[-1] for parts in into if "/out/bin/" in parts), "")
    uid = final.get("USER", "0").split(":")[0]
    if not uid.isdigit() or int(uid) == 0:
        wrong.append("Containerfile: Kubernetes cannot see that USER is not root")
    if not any(f"--chown={final['USER']}" in parts and parts[-1] == final["WORKDIR"] for parts in into):
        wrong.append("Containerfile: the launcher cannot write its files")
    if "RUN" in final or not final["CMD"].startswith("["):
        wrong.append("Containerfile: the image that runs has no shell")
    # Who reaches a service's own port is trusted by it.
    if set(map(int, final["EXPOSE"].split())) != PUBLIC:
        wrong.append(f"Containerfile exposes {final['EXPOSE']}")
    opened = set(map(int, re.findall(r"0\.0\.0\.0:(\d+)", final["CMD"])))
    if opened != PUBLIC:
        wrong.append(f"Containerfile: the launcher listens everywhere at {sorted(opened)}")
    paths = {f"{folder}{name}": name for name in taken}
    command = shlex.split(final["CMD"].strip("[]").replace(",", " "))
    if command[0] not in paths:
        wrong.append(f"Containerfile: {command[0]} is not in the image")
    return wrong, paths, int(uid) if uid.isdigit() else 0, command


def launcher(command, programs):
    """Every flag of the image's own command is one of the launcher's."""
    flags = {word[2:].upper().replace("-", "_") for word in command if word.startswith("--")}
    return [f"Containerfile: boxoffice has no setting {flag}" for flag in flags - programs["boxoffice"].settings]


def pinned(name):
    """Does the name of an image say which one: by a version, a line of them (whose fixes a build takes along), or a digest?"""
    _, colon, tag = name.rpartition("/")[2].partition(":")
    return bool(colon and tag) and tag != "latest"


def builds_from(root, copied):
    """What the image copies is enough: cargo finds every package of the workspace, and its lock fits."""
    with tempfile.TemporaryDirectory() as folder:
        for name in copied:
            whole = root / name
            copy = shutil.copytree if whole.is_dir() else shutil.copy
            copy(whole, pathlib.Path(folder, name))
        told = subprocess.run(
            ["cargo", "metadata", "--locked", "--offline", "--format-version", "1", "--filter-platform", "x86_64-unknown-linux-gnu"],
            cwd=folder, capture_output=True, text=True, timeout=1_200, env={**os.environ, "CARGO_TARGET_DIR": f"{folder}/target"},
        )
    if told.returncode != 0:
        yield f"Containerfile: {told.stderr}"
        return
    targets = {target["name"] for package in json.loads(told.stdout)["packages"] for target in package["targets"] if "bin" in target["kind"]}
    yield from (f"Containerfile: {name} cannot be built from what is copied" for name in set(NAMES) - targets)


def seconds(text):
    return int(re.fullmatch(r"(\d+)s", text)[1])


def compose(root, programs, paths, probed, drain):
    text = yaml.safe_load((root / "compose.yaml").read_text())
    services, replicas = text["services"], {}
    yield from whole(root, text)
    for name, service in services.items():
        lost = [other for other in service.get("depends_on", {}) if other not in services]
        yield from (f"compose: {name} waits for {other}, which is not there" for other in lost)
        if service["image"] != "boxoffice:dev":
            continue
        program = programs.get(paths.get(service["command"][0]))
        if not program:
            yield f"compose: {name} runs {service['command']}, which is not in the image"
            continue
        if not (service["read_only"] and service["cap_drop"] == ["ALL"] and service["security_opt"] == ["no-new-privileges:true"]):
            yield f"compose: {name} is not locked down"
        recipe = root / service["build"]["dockerfile"]
        if not recipe.is_file():
            yield f"compose: {recipe.name} is not there"
        elif lost := set(service["build"].get("args", [])) - set(re.findall(r"^ARG (\w+)", recipe.read_text(), re.M)):
            yield f"compose: {recipe.name} takes no {sorted(lost)}"
        if program.name in PORTS:
            replicas.setdefault(program.name, []).append(name)
            yield from replica(name, service, program, drain)
    if {name: len(names) for name, names in replicas.items()} != {name: 2 for name in PORTS}:
        yield f"compose: not two replicas of each: {replicas}"
        return
    yield from told(services, replicas, probed)
    yield from databases(root, text, services, replicas)
    yield from sells(root, text, replicas, programs)


def replica(name, service, program, drain):
    settings = service["environment"]
    yield from (f"compose: {program.name} has no setting {variable}" for variable in settings.keys() - program.settings)
    yield from (f"compose: {wrong}" for wrong in secured(program.name, settings))
    for variable, port in PORTS[program.name].items():
        if settings.get(variable) != f"0.0.0.0:{port}":
            yield f"compose: {name} listens on {settings.get(variable)}"
    if seconds(service["stop_grace_period"]) <= drain + 1:
        yield f"compose: {name} is killed after {service['stop_grace_period']}, but drains for {drain} s"
    for published in service.get("ports", []):
        if not published.startswith("127.0.0.1:") or int(published.rsplit(":", 1)[1]) not in PUBLIC & set(PORTS[program.name].values()):
            yield f"compose: {name} publishes {published}"
    if service["depends_on"].get("keys") != {"condition": "service_completed_successfully"}:
        yield f"compose: {name} does not wait for its keys"
    # Without `nocopy` a container that is made before the keys are would write into their volume.
    own = {"subpath": f"mesh/{FOLDERS[program.name]}", "nocopy": True}
    if [one for one in service["volumes"] if not (one["source"] == "keys" and one["read_only"] and one["volume"] == own)]:
        yield f"compose: {name} has the keys {service['volumes']}, not its own"


def sells(root, text, replicas, programs):
    """The first replica of each, with the settings and files of this file, sells the ticket of the guide with a token of the documented
    command."""
    services = text["services"]
    with running.temporary() as folder:
        volume = folder / "keys"
        volume.mkdir()
        step, [(_, path)] = services["keys"], [entry.split(":") for entry in services["keys"]["volumes"]]
        yield from running.made(programs["boxoffice"], step["command"], {path: volume})
        given = {}
        for name, (first, _) in replicas.items():
            service, secrets = services[first], folder / f"{name}.secrets"
            secrets.mkdir()
            for secret in service["secrets"]:
                (secrets / secret["target"]).write_text(f"sqlite:{folder}/{name}.db")
            mounts = {one["target"]: volume / one["volume"]["subpath"] for one in service["volumes"]}
            given[name] = running.Given(name, service["environment"], mounts | {"/run/secrets": secrets})
        held = {name: running.names(given[name].mounts["/keys"] / "tls.crt") for name in given}
        yield from (f"compose: {wrong}" for wrong in running.misnamed(given, lambda callee, host: ("DNS", host) in held[callee]))
        keys = running.Given("keys", step["environment"], {path: volume})
        [command] = re.findall(r"^#   docker compose run --rm -T keys (\S+ token) ", (root / "compose.yaml").read_text(), re.M)
        how = " ".join([*(f"{variable}={value}" for variable, value in step["environment"].items()), command])
        try:
            with running.mesh(given, programs, folder) as address:
                guide = (root / "k8s/README.md").read_text()
                yield from running.sold(guide, address, how, keys, programs["edge"].path.parent)
        except RuntimeError as error:
            yield f"compose: {error}"


# Every word of the Compose specification that we use.
WORDS = {
    "build", "cap_drop", "command", "configs", "depends_on", "environment", "healthcheck", "image", "init", "network_mode", "networks", "ports",
    "read_only", "restart", "secrets", "security_opt", "stop_grace_period", "volumes",
}


def whole(root, text):
    """No word that means nothing, and nothing that is referred to and not there."""
    for name, service in text["services"].items():
        yield from (f"compose: {name}: {word} is no word of Compose that we know" for word in service.keys() - WORDS)
        if not pinned(service["image"]):
            yield f"compose: {name} runs {service['image']}, which may be another image tomorrow"
        # Compose writes into the container what is not a file, which it cannot where nothing can be written.
        read_only = [entry for kind in ("configs", "secrets") for entry in service.get(kind, []) if service.get("read_only")]
        yield from (f"compose: {name} cannot be given {entry}" for entry in read_only if "file" not in text["secrets"].get(entry["source"], {}))
        for kind in ("configs", "networks", "secrets", "volumes"):
            for entry in service.get(kind, []):
                source = entry["source"] if isinstance(entry, dict) else entry.split(":")[0]
                if source not in text[kind]:
                    yield f"compose: {name} refers to {source}, which {kind} does not have"
        if any("PASSWORD" in variable and not variable.endswith("_FILE") for variable in service.get("environment", {})):
            yield f"compose: {name} has a secret in its environment"
        for other, wait in service.get("depends_on", {}).items():
            if wait["condition"] == "service_healthy" and "healthcheck" not in text["services"][other]:
                yield f"compose: {name} waits for the health of {other}, which nobody checks"


def told(services, replicas, probed):
    """The edges know every replica, and so does the health check."""
    for name in replicas["edge"]:
        settings = services[name]["environment"]
        for variable, callee in CALLS.items():
            wanted = {f"https://{replica}:{PORTS[callee]['ADDR']}" for replica in replicas[callee]}
            if set(settings[variable].split(",")) != wanted:
                yield f"compose: {name}: {variable} is {settings[variable]}"
        if not services[name].get("ports"):
            yield f"compose: {name} is not published"
    asked = {word for word in services["health"]["healthcheck"]["test"] if word.startswith("http")}
    wanted = set()
    for program, names in replicas.items():
        wanted |= {f"http://{name}:{probes(program)}/readyz" for name in names}
    if asked != wanted or "/readyz" not in probed:
        yield f"compose: the health check asks {sorted(asked)}, not {sorted(wanted)}"
    if "--fail-early" not in services["health"]["healthcheck"]["test"]:
        yield "compose: curl would report the last replica alone"


def databases(root, text, services, replicas):
    """One database and one role a service, both made by the script that PostgreSQL runs first."""
    [script] = [one["content"] for one in text["configs"].values()]
    made = dict(re.findall(r"CREATE DATABASE (\w+) OWNER (\w+);", script))
    roles = dict(re.findall(r"CREATE ROLE (\w+) LOGIN PASSWORD '(\w+)';", script))
    for program, names in replicas.items():
        urls = set()
        for name in names:
            [secret] = services[name]["secrets"]
            if services[name]["environment"]["DATABASE_URL_FILE"] != f"/run/secrets/{secret['target']}":
                yield f"compose: {name} looks for its database where it is not"
            urls.add((root / text["secrets"][secret["source"]]["file"]).read_text().strip())
        role, password, host, database = re.fullmatch(r"postgres://(\w+):(\w+)@(\w+)/(\w+)", urls.pop()).groups()
        if urls or host not in services or made.pop(database, None) != role or roles.get(role) != password:
            yield f"compose: {program} has no database of its own"
    if made:
        yield f"compose: nobody uses {sorted(made)}"


def all_of(root, programs, probed, drain, overlays):
    wrong, paths, uid, command = image(pathlib.Path(root))
    wrong += launcher(command, programs)
    wrong += list(compose(pathlib.Path(root), programs, paths, probed, drain))
    for overlay in overlays:
        for workload in overlay.of("Deployment", "Job"):
            spec = workload["spec"]["template"]["spec"]
            [container] = spec["containers"]
            for one in [container, *spec.get("initContainers", [])]:
                if one["command"][0] not in paths or one["image"] != container["image"]:
                    wrong.append(f"{overlay.name}: {one['command'][0]} is not in the image")
            if spec["securityContext"]["runAsUser"] != uid:
                wrong.append(f"{overlay.name}: runs as another user than the image's {uid}")
            if not re.search(r"(^|/)boxoffice:", container["image"]) or not pinned(container["image"]):
                wrong.append(f"{overlay.name}: {container['image']} names no version of the image")
    return wrong
