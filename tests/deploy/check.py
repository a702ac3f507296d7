"""Reads k8s/, Containerfile and compose.yaml against the programs. Run by tests/manifests; says everything that is wrong at once."""
import copy
import pathlib
import re
import shutil
import subprocess
import sys

import kubernetes_validate
import yaml

import cluster
import image
import monitoring
import programs
import render
import rules
import running

ROOT = pathlib.Path(__file__).resolve().parents[2]
# The oldest version that runs these files as they are (preStop.sleep on by default, v1 of everything) and one of today.
VERSIONS = ("1.32.0", "1.37.0")


def constants():
    """What the sources say: how long a program drains, and what its HTTP side answers."""
    chassis = ROOT / "crates/chassis/src"
    drain = re.search(r"pub const DRAIN: Duration = Duration::from_secs\((\d+)\);", (chassis / "lifecycle.rs").read_text())
    paths = set(re.findall(r'\.route\("(/\w+)", get\(', (chassis / "probes.rs").read_text()))
    if not drain or not paths >= {"/healthz", "/readyz", "/metrics"}:
        sys.exit("lifecycle::DRAIN or the routes of probes.rs are not where they were: tell tests/deploy/check.py")
    return int(drain[1]), paths


def rendered():
    command = kustomize()
    for name in ("dev", "prod", "prod/migrate"):
        folder = ROOT / "k8s/overlays" / name
        overlay = cluster.Overlay(name, render.overlay(folder))
        yield overlay, list(same_as_kustomize(command, folder, overlay)) if command else []


def kustomize():
    """The command of a kustomize that knows these files, if there is one; says in a line by what the overlays are rendered."""
    for command, version in ((["kubectl", "kustomize"], ["kubectl", "version", "--client"]), (["kustomize", "build"], ["kustomize", "version"])):
        if not shutil.which(command[0]):
            continue
        told = subprocess.run(version, capture_output=True, text=True).stdout
        if found := re.search(r"\bv5\.[\d.]+", told):
            print(f"The overlays are rendered by tests/deploy/render.py and by `{' '.join(command)}` ({found[0]}, {shutil.which(command[0])}).", flush=True)
            return command
    print("The overlays are rendered by tests/deploy/render.py alone: there is no kustomize 5 here.", flush=True)
    return None


def same_as_kustomize(command, folder, overlay):
    told = subprocess.run([*command, folder], capture_output=True, text=True)
    if told.returncode != 0:
        yield f"{overlay.name}: {' '.join(command)}: {told.stderr}"
        return
    theirs = {render.identity(one): one for one in yaml.safe_load_all(told.stdout)}
    ours = {render.identity(one): one for one in overlay.objects}
    differ = [key for key in theirs.keys() | ours.keys() if theirs.get(key) != ours.get(key)]
    yield from (f"{overlay.name}: {' '.join(command)} renders {key} otherwise" for key in differ)


def valid(overlay):
    for one in overlay.objects:
        # Their schemas are in no package that we have; rules.py knows what we use of them.
        if one["apiVersion"].startswith("cert-manager.io/"):
            continue
        for version in VERSIONS:
            try:
                kubernetes_validate.validate(one, version, strict=True)
            except kubernetes_validate.ValidationError as error:
                yield f"{overlay.name}: {render.identity(one)} in Kubernetes {version}: {error.message}"


def readme(overlays):
    """The guide's commands are about what the overlays make: every path, namespace, object, port, label and Secret."""
    text = (ROOT / "k8s/README.md").read_text()
    objects = [one for overlay in overlays for one in overlay.objects]
    there = {(one["kind"], one["metadata"]["name"]) for one in objects}
    secrets = {volume["secret"]["secretName"] for one in objects for volume in (render.pod(one) or {}).get("volumes", []) if "secret" in volume}
    secrets -= {one["spec"]["secretName"] for one in objects if one["kind"] == "Certificate"}
    made = set(re.findall(r"^secret (\S+) +'postgres://", text, re.M))
    if made != secrets or "--from-literal=DATABASE_URL=" not in text:
        yield f"k8s/README.md makes the Secrets {sorted(made)}, the pods read {sorted(secrets)}"
    named = set(re.findall(r"\bk8s/(?:base|overlays)/[\w./-]*\w", text))
    yield from (f"k8s/README.md: {name} is not there" for name in named if not (ROOT / name).exists())
    spaces = {name for kind, name in there if kind == "Namespace"}
    yield from (f"k8s/README.md: there is no namespace {name}" for name in set(re.findall(r"kubectl -n (\S+)", text)) - spaces)
    for kind, name in re.findall(r"\b(deployment|service|job)/([\w-]+)", text):
        if (kind.capitalize(), name) not in there:
            yield f"k8s/README.md: there is no {kind} {name}"
    for name, ports in re.findall(r"port-forward service/([\w-]+)((?: \d+)+)", text):
        for service in (one for one in objects if one["kind"] == "Service" and one["metadata"]["name"] == name):
            if not set(map(int, ports.split())) <= {port["port"] for port in service["spec"]["ports"]}:
                yield f"k8s/README.md forwards{ports} of {name}, which has {service['spec']['ports']}"
    for loop in re.findall(r"for one in ([^;]+);", text):
        if sorted(loop.split()) != sorted({name for kind, name in there if kind == "Deployment"}):
            yield f"k8s/README.md waits for {loop}"
    for key, value in re.findall(r" -l (\S+?)=(\S+)", text):
        if {one["kind"] for one in objects if one["metadata"].get("labels", {}).get(key) == value} < {"Job"}:
            yield f"k8s/README.md: nothing is labelled {key}={value}"
    [front] = re.findall(r"kubectl label namespace \S+ (\S+)", text)
    if front != cluster.FRONT:
        yield f"k8s/README.md labels the front {front}"
    [(pods, connections)] = re.findall(r"all (\d+) that the autoscalers allow (\d+)", text)
    most = sum(one["spec"]["maxReplicas"] for one in objects if one["kind"] == "HorizontalPodAutoscaler")
    each = re.search(r"const CONNECTIONS: u32 = (\d+);", (ROOT / "crates/chassis/src/db/postgres/mod.rs").read_text())[1]
    if (int(pods), int(connections)) != (most, most * int(each)):
        yield f"k8s/README.md: {most} processes of {each} connections, not {pods} and {connections}"


def started(overlay, known):
    """Every program with the settings and files of this overlay, all of them together; in dev they also sell the guide's ticket."""
    for job in overlay.of("Job"):
        yield from programs.migrates(known[job["metadata"]["name"].removeprefix("migrate-")], overlay.settings(job))
    if not overlay.workloads():
        return
    with running.temporary() as folder:
        keys = folder / "claims/keys"
        keys.mkdir(parents=True)
        yield from running.made(known["boxoffice"], ["boxoffice", "keys", "--out", "/data/mesh", "--keep"], {"/data": keys})

        def place(program, kind, name, inside):
            if kind == "claim":
                made = folder / "claims" / name / inside
                made.mkdir(parents=True, exist_ok=True)
                return made
            if name.endswith("-tls"):
                return running.secret(keys / "mesh", program, folder / name)
            made = folder / name
            made.mkdir()
            (made / "DATABASE_URL").write_text(f"sqlite:{folder}/{program}.db")
            return made

        given = {one["metadata"]["name"]: overlay.given(one, place) for one in overlay.workloads()}
        if overlay.name == "dev":
            names = {name: running.names(keys / "mesh" / inside / "tls.crt") for name, inside in programs.FOLDERS.items()}
            yield from running.misnamed(given, lambda callee, host: ("DNS", host) in names[callee])
        with running.provider((keys / "mesh/edge/jwks.json").read_text()) as issuer:
            try:
                with running.mesh(given, known, folder, issuer) as address:
                    if overlay.name == "dev":
                        yield from sold_in_dev(address, given["edge"], known)
            except RuntimeError as error:
                yield f"{overlay.name}: {error}"


def sold_in_dev(address, edge, known):
    guide = (ROOT / "k8s/README.md").read_text()
    [how] = re.findall(r"token\(\) \{ kubectl -n boxoffice-dev exec deployment/edge -- (.*?) \"\$@\"; \}", guide)
    yield from running.sold(guide, address, how, edge, known["edge"].path.parent)


# Each is one slip of the kind these checks are for. A check that does not see it is no check.
SLIPS = [
    ("dev", "ConfigMap", "queue-svc-", lambda one: one["data"].update(MAX_ACTIV="1")),
    ("prod", "ConfigMap", "queue-svc-", lambda one: one["data"].update(ON_EXPIRY="keep")),
    ("prod", "ConfigMap", "edge-", lambda one: one["data"].update(QUEUE_URL="https://queue-svc-0.queue-svc:24031")),
    ("dev", "ConfigMap", "wallet-svc-", lambda one: one["data"].update(ADDR="127.0.0.1:24081")),
    ("dev", "ConfigMap", "edge-", lambda one: one["data"].update(DATABASE_URL="sqlite:data/edge.db")),
    ("prod", "Deployment", "queue-svc", lambda one: render.pod(one).update(terminationGracePeriodSeconds=20)),
    ("prod", "Deployment", "queue-svc", lambda one: one["spec"].update(minReadySeconds=0)),
    ("prod", "Deployment", "booking-svc", lambda one: render.containers(one)[0]["readinessProbe"]["httpGet"].update(port="grpc")),
    ("prod", "Deployment", "booking-svc", lambda one: render.containers(one)[0]["livenessProbe"]["httpGet"].update(path="/health")),
    ("prod", "Deployment", "wallet-svc", lambda one: render.pod(one)["volumes"].pop()),
    ("prod", "Deployment", "wallet-svc", lambda one: render.pod(one)["volumes"][0]["secret"].update(secretName="edge-database")),
    ("prod", "Deployment", "wallet-svc", lambda one: render.pod(one)["volumes"][0]["secret"].update(defaultMode=0o444)),
    ("prod", "Deployment", "wallet-svc", lambda one: render.pod(one)["securityContext"].pop("fsGroup")),
    ("prod", "Deployment", "wallet-svc", lambda one: render.containers(one)[0]["volumeMounts"][0].pop("readOnly")),
    ("prod", "ConfigMap", "mesh-", lambda one: one["data"].update(AUTH_ISSUER="local")),
    ("prod", "ConfigMap", "mesh-", lambda one: one["data"].pop("AUTH_ISSUER")),
    ("prod", "ConfigMap", "mesh-", lambda one: one["data"].update(DOCS="on")),
    ("prod", "ConfigMap", "mesh-", lambda one: one["data"].pop("TLS_KEY")),
    ("dev", "ConfigMap", "mesh-", lambda one: one["data"].update(INSECURE_OPEN="true")),
    ("prod", "ConfigMap", "queue-svc-", lambda one: one["data"].pop("TLS_CLIENT_CA")),
    ("prod", "ConfigMap", "edge-", lambda one: one["data"].pop("MESH_CA")),
    ("prod", "Deployment", "edge", lambda one: render.containers(one)[0].pop("env")),
    ("prod", "Deployment", "edge", lambda one: render.containers(one)[0]["env"][0].update(value="10.0.0.7,0.0.0.0/0")),
    ("dev", "ConfigMap", "edge-", lambda one: one["data"].update(TRUSTED_PROXIES="10.0.0.0/8")),
    ("prod", "ConfigMap", "edge-", lambda one: one["data"].update(WALLET_URL="http://wallet-svc:24081")),
    ("prod", "Certificate", "queue-svc", lambda one: one["spec"].update(uris=["spiffe://boxoffice/edge"])),
    ("prod", "Certificate", "queue-svc", lambda one: one["spec"]["dnsNames"].pop()),
    ("prod", "Certificate", "queue-svc", lambda one: one["spec"]["privateKey"].pop("rotationPolicy")),
    ("prod", "Certificate", "queue-svc", lambda one: one["spec"]["usages"].pop()),
    ("prod", "Certificate", "queue-svc", lambda one: one["spec"].update(secretName="queue-tls")),
    ("prod", "Certificate", "queue-svc", lambda one: one["spec"]["issuerRef"].update(name="mesh-ca")),
    ("prod", "Issuer", "mesh", lambda one: one["spec"]["ca"].update(secretName="mesh-ca")),
    ("dev", "Deployment", "queue-svc", lambda one: render.containers(one)[0]["volumeMounts"][-1].update(subPath="mesh/edge")),
    ("dev", "Deployment", "queue-svc", lambda one: render.pod(one)["initContainers"][0]["command"].pop()),
    ("dev", "Deployment", "queue-svc", lambda one: render.pod(one)["initContainers"][0]["securityContext"].pop("capabilities")),
    ("dev", "NetworkPolicy", "edge-to-queue-svc", lambda one: one["spec"]["ingress"][0].pop("from")),
    ("prod", "NetworkPolicy", "all-to-issuer", lambda one: one["spec"]["egress"][0].pop("to")),
    ("prod", "Service", "queue-svc", lambda one: one["spec"]["ports"][0].update(appProtocol="kubernetes.io/h2c")),
    ("prod", "Deployment", "wallet-svc", lambda one: render.containers(one)[0]["securityContext"].pop("readOnlyRootFilesystem")),
    ("prod", "Deployment", "edge", lambda one: render.containers(one)[0].pop("resources")),
    ("prod", "Deployment", "edge", lambda one: one["spec"]["template"]["metadata"]["labels"].update({"app.kubernetes.io/name": "edges"})),
    ("dev", "Deployment", "edge", lambda one: one["spec"].pop("strategy")),
    ("dev", "Deployment", "wallet-svc", lambda one: render.pod(one).pop("volumes")),
    ("prod", "Deployment", "wallet-svc", lambda one: one["spec"]["strategy"]["rollingUpdate"].update(maxUnavailable=1)),
    ("prod", "Service", "queue-svc", lambda one: one["spec"].update(publishNotReadyAddresses=True)),
    ("prod", "Service", "edge-grpc", lambda one: one["spec"].pop("clusterIP")),
    ("prod/migrate", "Job", "migrate-edge", lambda one: render.containers(one)[0].update(image="registry.example.com/boxoffice:0.0.9")),
    ("prod/migrate", "Job", "migrate-edge", lambda one: render.containers(one)[0]["command"].pop()),
    ("prod/migrate", "Job", "migrate-queue-svc", lambda one: render.containers(one)[0]["env"].pop()),
    ("prod/migrate", "Job", "migrate-queue-svc", lambda one: render.containers(one)[0]["securityContext"].pop("capabilities")),
    ("prod/migrate", "Job", "migrate-wallet-svc", lambda one: one["spec"]["template"]["metadata"]["labels"].update({"app.kubernetes.io/name": "wallet-svc"})),
    ("prod", "Service", "booking-svc", lambda one: one["spec"].pop("clusterIP")),
    ("prod", "Service", "edge", lambda one: one["spec"]["ports"][0].update(targetPort="web")),
    ("prod", "HorizontalPodAutoscaler", "queue-svc", lambda one: one["spec"].update(minReplicas=1)),
    ("prod", "HorizontalPodAutoscaler", "queue-svc", lambda one: one["spec"]["scaleTargetRef"].update(kind="StatefulSet")),
    ("prod", "PodDisruptionBudget", "edge", lambda one: one["spec"]["selector"]["matchLabels"].update({"app.kubernetes.io/name": "edges"})),
    ("prod", "NetworkPolicy", "edge-to-wallet-svc", lambda one: one["spec"]["ingress"][0]["ports"][0].update(port=24071)),
    ("prod", "NetworkPolicy", "edge-to-services", lambda one: one["spec"]["egress"].pop()),
    ("prod", "NetworkPolicy", "nobody-else", lambda one: one["spec"].update(policyTypes=["Ingress"])),
    ("prod", "NetworkPolicy", "all-to-dns", lambda one: one["spec"].update(egress=[])),
    ("prod", "NetworkPolicy", "all-to-dns", lambda one: one["spec"]["egress"][0]["ports"].pop(0)),
    ("prod", "NetworkPolicy", "all-to-dns", lambda one: one["spec"]["egress"][0]["to"][0].pop("podSelector")),
    ("prod", "NetworkPolicy", "all-to-postgres", lambda one: one["spec"]["egress"][0].pop("to")),
    ("prod", "NetworkPolicy", "all-to-postgres", lambda one: one["spec"]["egress"][0]["to"][0]["ipBlock"].update(cidr="0.0.0.0/0")),
    ("prod", "NetworkPolicy", "monitoring-to-all", lambda one: one["spec"]["ingress"][0]["from"][0]["namespaceSelector"].pop("matchLabels")),
    ("prod", "NetworkPolicy", "edge-to-queue-svc", lambda one: one["spec"]["ingress"][0]["from"][0]["podSelector"].pop("matchLabels")),
    ("prod", "NetworkPolicy", "front-to-edge", lambda one: one["spec"]["ingress"][0].pop("from")),
    ("prod", "NetworkPolicy", "edge-to-services", lambda one: one["spec"].update(policyTypes=["Ingress"])),
    ("prod", "Deployment", "edge", lambda one: render.containers(one)[0].update(readinessProbe={"httpGet": {"path": "/readyz", "port": "rest"}})),
    ("prod", "Deployment", "edge", lambda one: render.containers(one)[0].update(readinessProbe={"grpc": {"port": 24051}})),
    ("prod", "Deployment", "edge", lambda one: render.containers(one)[0]["lifecycle"].update(preStop={"exec": {"command": ["sleep", "5"]}})),
    ("prod", "Deployment", "edge", lambda one: render.containers(one)[0]["resources"]["requests"].update(memory="2Gi")),
    ("prod", "Deployment", "edge", lambda one: render.containers(one)[0]["ports"][0].update(name="rest-and-websocket")),
    ("prod", "Deployment", "edge", lambda one: render.pod(one).update(hostNetwork=True)),
    ("prod", "Deployment", "edge", lambda one: one["spec"].update(progressDeadlineSeconds=30)),
    ("prod", "Deployment", "edge", lambda one: one["metadata"].update(namespace="default")),
    ("dev", "Deployment", "edge", lambda one: one["spec"]["strategy"].update(rollingUpdate={"maxSurge": 1})),
    ("dev", "Deployment", "edge", lambda one: render.pod(one).update(volumes=[{"name": "data", "hostPath": {"path": "/data"}}])),
    ("prod", "HorizontalPodAutoscaler", "edge", lambda one: one["spec"].update(maxReplicas=1)),
    ("prod", "PodDisruptionBudget", "edge", lambda one: one["spec"].update(minAvailable=1)),
]


def blind(overlays, check):
    for number, (where, kind, name, slip) in enumerate(SLIPS):
        other = cluster.Overlay(where, copy.deepcopy(overlays[where].objects))
        slip(next(one for one in other.of(kind) if one["metadata"]["name"].startswith(name)))
        if not list(check(other)):
            yield f"slip {number} ({where}, {kind} {name}) is not seen"


def main(folder):
    drain, paths = constants()
    known = {name: programs.Program(folder, name) for name in programs.NAMES}
    overlays, wrong = {}, []
    for overlay, differences in rendered():
        overlays[overlay.name] = overlay
        wrong += differences

    def check(overlay):
        yield from (f"{overlay.name}: {wrong}" for wrong in rules.all_of(overlay))
        yield from cluster.all_of(overlay, overlays, known, paths, drain)

    for overlay in overlays.values():
        wrong += [*check(overlay), *valid(overlay), *started(overlay, known)]
    wrong += [*image.all_of(ROOT, known, paths, drain, overlays.values()), *readme(overlays.values()), *monitoring.all_of(ROOT, list(overlays.values()))]
    if not wrong:
        wrong += blind(overlays, check)
    sys.exit("\n".join(wrong) or 0)


if __name__ == "__main__":
    main(sys.argv[1])
