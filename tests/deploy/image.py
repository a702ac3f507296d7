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

from cluster import CALLS
from programs import NAMES, PORTS


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
    if copied != members | {"Cargo.toml", "Cargo.lock"}:
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
    if set(map(int, final["EXPOSE"].split())) != set(PORTS["edge"].values()):
        wrong.append(f"Containerfile exposes {final['EXPOSE']}")
    opened = set(map(int, re.findall(r"0\.0\.0\.0:(\d+)", final["CMD"])))
    if opened != set(PORTS["edge"].values()):
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


def compose(root, programs, paths, probes, drain):
    text = yaml.safe_load((root / "compose.yaml").read_text())
    services, replicas = text["services"], {}
    yield from whole(text)
    for name, service in services.items():
        lost = [other for other in service.get("depends_on", {}) if other not in services]
        yield from (f"compose: {name} waits for {other}, which is not there" for other in lost)
        if service["image"] != "boxoffice:dev":
            continue
        program = programs.get(paths.get(service["command"][0]))
        if not program:
            yield f"compose: {name} runs {service['command']}, which is not in the image"
            continue
        replicas.setdefault(program.name, []).append(name)
        settings = service["environment"]
        yield from (f"compose: {program.name} has no setting {variable}" for variable in settings.keys() - program.settings)
        for variable, port in PORTS[program.name].items():
            if settings.get(variable) != f"0.0.0.0:{port}":
                yield f"compose: {name} listens on {settings.get(variable)}"
        if seconds(service["stop_grace_period"]) <= drain + 1:
            yield f"compose: {name} is killed after {service['stop_grace_period']}, but drains for {drain} s"
        if not (service["read_only"] and service["cap_drop"] == ["ALL"]):
            yield f"compose: {name} is not locked down"
        recipe = root / service["build"]["dockerfile"]
        if not recipe.is_file():
            yield f"compose: {recipe.name} is not there"
        elif lost := set(service["build"].get("args", [])) - set(re.findall(r"^ARG (\w+)", recipe.read_text(), re.M)):
            yield f"compose: {recipe.name} takes no {sorted(lost)}"
        for published in service.get("ports", []):
            if not published.startswith("127.0.0.1:") or int(published.rsplit(":", 1)[1]) not in PORTS[program.name].values():
                yield f"compose: {name} publishes {published}"
    if {name: len(names) for name, names in replicas.items()} != {name: 2 for name in PORTS}:
        yield f"compose: not two replicas of each: {replicas}"
        return
    yield from told(services, replicas, probes)
    yield from databases(text, services, replicas)


# Every word of the Compose specification that we use.
WORDS = {
    "build", "cap_drop", "command", "configs", "depends_on", "environment", "healthcheck", "image", "init", "networks", "ports", "read_only",
    "restart", "security_opt", "stop_grace_period", "volumes",
}


def whole(text):
    """No word that means nothing, and nothing that is referred to and not there."""
    for name, service in text["services"].items():
        yield from (f"compose: {name}: {word} is no word of Compose that we know" for word in service.keys() - WORDS)
        if not pinned(service["image"]):
            yield f"compose: {name} runs {service['image']}, which may be another image tomorrow"
        for kind in ("configs", "networks", "volumes"):
            for entry in service.get(kind, []):
                source = entry["source"] if isinstance(entry, dict) else entry.split(":")[0]
                if source not in text[kind]:
                    yield f"compose: {name} refers to {source}, which {kind} does not have"
        for other, wait in service.get("depends_on", {}).items():
            if wait["condition"] == "service_healthy" and "healthcheck" not in text["services"][other]:
                yield f"compose: {name} waits for the health of {other}, which nobody checks"


def told(services, replicas, probes):
    """The edges know every replica, and so does the health check."""
    for name in replicas["edge"]:
        settings = services[name]["environment"]
        for variable, callee in CALLS.items():
            wanted = {f"http://{replica}:{PORTS[callee]['ADDR']}" for replica in replicas[callee]}
            if set(settings[variable].split(",")) != wanted:
                yield f"compose: {name}: {variable} is {settings[variable]}"
        if not services[name].get("ports"):
            yield f"compose: {name} is not published"
    asked = {word for word in services["health"]["healthcheck"]["test"] if word.startswith("http")}
    wanted = set()
    for program, names in replicas.items():
        port = PORTS[program].get("HTTP_ADDR", PORTS[program].get("REST_ADDR"))
        wanted |= {f"http://{name}:{port}/readyz" for name in names}
    if asked != wanted or "/readyz" not in probes:
        yield f"compose: the health check asks {sorted(asked)}, not {sorted(wanted)}"
    if "--fail-early" not in services["health"]["healthcheck"]["test"]:
        yield "compose: curl would report the last replica alone"


def databases(text, services, replicas):
    """One database and one role a service, both made by the script that PostgreSQL runs first."""
    [script] = [one["content"] for one in text["configs"].values()]
    made = dict(re.findall(r"CREATE DATABASE (\w+) OWNER (\w+);", script))
    roles = dict(re.findall(r"CREATE ROLE (\w+) LOGIN PASSWORD '(\w+)';", script))
    for program, names in replicas.items():
        urls = {services[name]["environment"]["DATABASE_URL"] for name in names}
        role, password, host, database = re.fullmatch(r"postgres://(\w+):(\w+)@(\w+)/(\w+)", urls.pop()).groups()
        if urls or host not in services or made.pop(database, None) != role or roles.get(role) != password:
            yield f"compose: {program} has no database of its own"
    if made:
        yield f"compose: nobody uses {sorted(made)}"


def all_of(root, programs, probes, drain, overlays):
    wrong, paths, uid, command = image(pathlib.Path(root))
    wrong += launcher(command, programs)
    wrong += list(compose(pathlib.Path(root), programs, paths, probes, drain))
    for overlay in overlays:
        for workload in overlay.of("Deployment", "Job"):
            spec = workload["spec"]["template"]["spec"]
            [container] = spec["containers"]
            if container["command"][0] not in paths:
                wrong.append(f"{overlay.name}: {container['command'][0]} is not in the image")
            if spec["securityContext"]["runAsUser"] != uid:
                wrong.append(f"{overlay.name}: runs as another user than the image's {uid}")
            if not re.search(r"(^|/)boxoffice:", container["image"]) or not pinned(container["image"]):
                wrong.append(f"{overlay.name}: {container['image']} names no version of the image")
    return wrong
