"""A rendered overlay against the programs, and its objects against each other. Every check yields what is wrong, in a sentence."""
import re

from programs import PORTS
from render import containers, pod

CALLS = {"QUEUE_URL": "queue-svc", "BOOKING_URL": "booking-svc", "WALLET_URL": "wallet-svc"}
POSTGRES, DNS = 5432, 53
FRONT, MONITORING = "boxoffice/front=true", "kubernetes.io/metadata.name=monitoring"
DNS_SERVERS = "kubernetes.io/metadata.name=kube-system k8s-app=kube-dns"


class Overlay:
    def __init__(self, name, objects):
        self.name, self.objects = name, objects

    def of(self, *kinds):
        return [one for one in self.objects if one["kind"] in kinds]

    def named(self, kind, name):
        return next((one for one in self.of(kind) if one["metadata"]["name"] == name), None)

    def workloads(self):
        return self.of("Deployment")

    def settings(self, workload):
        """What its program finds in its environment; a value from a Secret is None."""
        found = {}
        for container in containers(workload):
            for source in container.get("envFrom", []):
                found |= (self.named("ConfigMap", source["configMapRef"]["name"]) or {}).get("data", {})
            for entry in container.get("env", []):
                found[entry["name"]] = entry.get("value")
        return found

    def selected(self, selector):
        wanted = selector.get("matchLabels", {}).items()
        return [one for one in self.workloads() if wanted <= one["spec"]["template"]["metadata"]["labels"].items()]


def name_of(workload):
    return workload["metadata"]["name"]


def ports_of(workload):
    return {port["name"]: port["containerPort"] for container in containers(workload) for port in container["ports"]}


def settings(overlay, programs):
    for workload in overlay.workloads():
        program = programs[name_of(workload)]
        given = overlay.settings(workload)
        for variable, value in given.items():
            if variable not in program.settings:
                yield f"{program.name} has no setting {variable}"
            elif value is not None and program.values.get(variable) and value not in program.values[variable]:
                yield f"{program.name}: {variable} cannot be {value}"
        if "DATABASE_URL" not in given:
            yield f"{program.name} is not told its database"
        for variable, port in PORTS[program.name].items():
            if program.port(variable) != port:
                yield f"{program.name} listens on {program.port(variable)} by default, not on the contract's {port}"
            if given.get(variable) != f"0.0.0.0:{port}":
                yield f"{program.name}: {variable} is {given.get(variable)}, not every address with the contract's port {port}"
    for unused in {one["metadata"]["name"] for one in overlay.of("ConfigMap")} - {
        source["configMapRef"]["name"] for one in overlay.workloads() for container in containers(one) for source in container["envFrom"]
    }:
        yield f"nothing reads the ConfigMap {unused}"


def ports_and_probes(overlay, paths, drain):
    for workload in overlay.workloads():
        name, ports = name_of(workload), ports_of(workload)
        if sorted(ports.values()) != sorted(PORTS[name].values()):
            yield f"{name} opens {ports}, the program {PORTS[name]}"
        [container] = containers(workload)
        if container["command"] != [f"/usr/local/bin/{name}"]:
            yield f"{name} runs {container['command']}"
        for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
            probe = container.get(kind, {})
            http, grpc = probe.get("httpGet"), probe.get("grpc")
            web = PORTS[name].get("HTTP_ADDR", PORTS[name].get("REST_ADDR"))
            if http and (http["path"] not in paths or ports.get(http["port"], http["port"]) != web):
                yield f"{name}: {kind} asks for {http}"
            elif grpc and grpc != {"port": PORTS[name].get("ADDR", PORTS[name].get("GRPC_ADDR"))}:
                yield f"{name}: {kind} asks for {grpc}, not for the server as a whole"
            elif not http and not grpc:
                yield f"{name} has no {kind}"
        if "grpc" not in container.get("readinessProbe", {}):
            yield f"{name}: whether it is ready is not asked of grpc.health.v1"
        if container.get("livenessProbe", {}).get("httpGet", {}).get("path") == "/readyz":
            yield f"{name} would be restarted for a database that is away"
        sleep = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
        grace = pod(workload)["terminationGracePeriodSeconds"]
        if not sleep or grace <= sleep + drain + 1:
            yield f"{name} is killed after {grace} s, but sleeps {sleep} s and drains for {drain} s"
        annotations = workload["spec"]["template"]["metadata"]["annotations"]
        if annotations["prometheus.io/path"] not in paths or int(annotations["prometheus.io/port"]) != web:
            yield f"{name} would be scraped at {annotations}"


def services(overlay):
    for service in overlay.of("Service"):
        name, spec = service["metadata"]["name"], service["spec"]
        behind = overlay.selected({"matchLabels": spec["selector"]})
        if [name_of(one) for one in behind] != [name.removesuffix("-grpc")]:
            yield f"Service {name} selects {[name_of(one) for one in behind]}"
            continue
        if name.endswith("-grpc") and not headless(service):
            yield f"Service {name} is one address: a gRPC client would stay with one replica"
        for port in spec["ports"]:
            if ports_of(behind[0]).get(port["targetPort"]) != port["port"]:
                yield f"Service {name}: {port} leads nowhere"
    for workload in overlay.workloads():
        name, selector = name_of(workload), workload["spec"]["selector"]
        if [name_of(one) for one in overlay.selected(selector)] != [name]:
            yield f"{name} does not select its own pods"
        for spread in pod(workload)["topologySpreadConstraints"]:
            if [name_of(one) for one in overlay.selected(spread["labelSelector"])] != [name]:
                yield f"{name} spreads over others' pods"
        if not overlay.named("ServiceAccount", pod(workload)["serviceAccountName"]):
            yield f"{name} has no ServiceAccount"


def headless(service):
    """Its name leads to the pods themselves, and only to those that are ready."""
    return service["spec"].get("clusterIP") == "None" and not service["spec"].get("publishNotReadyAddresses")


def addresses(overlay):
    """The edge is told the name of each service, and the name leads to all of its replicas."""
    told = overlay.settings(overlay.named("Deployment", "edge"))
    for variable, callee in CALLS.items():
        wanted = f"http://{callee}:{PORTS[callee]['ADDR']}"
        if told.get(variable) != wanted:
            yield f"edge: {variable} is {told.get(variable)}, not {wanted}"
        service = overlay.named("Service", callee)
        if not headless(service) or PORTS[callee]["ADDR"] not in [port["port"] for port in service["spec"]["ports"]]:
            yield f"edge: {wanted} does not lead to every replica of {callee}"


def scaler(overlay, workload):
    return next((one for one in overlay.of("HorizontalPodAutoscaler") if one["spec"]["scaleTargetRef"]["name"] == name_of(workload)), None)


def locked_down(overlay):
    for workload in overlay.of("Deployment", "Job"):
        name, spec = name_of(workload), pod(workload)
        [container] = containers(workload)
        whole, own = spec["securityContext"], container["securityContext"]
        fine = {
            "is root": whole.get("runAsNonRoot") is True and whole.get("runAsUser", 0) > 0,
            "has no seccomp profile": whole.get("seccompProfile") == {"type": "RuntimeDefault"},
            "can write to its image": own.get("readOnlyRootFilesystem") is True,
            "can gain rights": own.get("allowPrivilegeEscalation") is False,
            "has capabilities": own.get("capabilities") == {"drop": ["ALL"]},
            "has a token for the API server": spec.get("automountServiceAccountToken") is False,
            "gets variables that are not its own": spec.get("enableServiceLinks") is False,
            "has no bounds": all(container["resources"].get(of, {}).keys() >= {"cpu", "memory"} for of in ("requests", "limits")),
        }
        yield from (f"{name} {what}" for what, holds in fine.items() if not holds)


def dev(overlay):
    for workload in overlay.workloads():
        name, [container] = name_of(workload), containers(workload)
        if workload["spec"].get("replicas") != 1:
            yield f"dev: {name} is not one replica"
        url = overlay.settings(workload).get("DATABASE_URL") or ""
        claims = set()
        for volume in pod(workload).get("volumes", []):
            if overlay.named("PersistentVolumeClaim", volume.get("persistentVolumeClaim", {}).get("claimName")):
                claims.add(volume["name"])
        kept = [mount["mountPath"] for mount in container.get("volumeMounts", []) if mount["name"] in claims]
        if not any(url.startswith(f"sqlite:{path}/") for path in kept):
            yield f"dev: {name} keeps {url or 'its rows'} on no volume"
        if workload["spec"].get("strategy", {}).get("type") != "Recreate":
            yield f"dev: two replicas of {name} would share a SQLite file"


def prod(overlay):
    for workload in overlay.workloads():
        name, [container] = name_of(workload), containers(workload)
        scale = scaler(overlay, workload)
        if not scale or scale["spec"]["minReplicas"] < 2 or scale["spec"]["scaleTargetRef"]["kind"] != workload["kind"]:
            yield f"prod: {name} is not kept at two replicas or more"
        if "replicas" in workload["spec"]:
            yield f"prod: {name} states its replicas and so fights its autoscaler"
        budgets = [one for one in overlay.of("PodDisruptionBudget") if workload in overlay.selected(one["spec"]["selector"])]
        if len(budgets) != 1 or budgets[0]["spec"].get("maxUnavailable") != 1:
            yield f"prod: {name} has no disruption budget of one"
        secret = [one["valueFrom"]["secretKeyRef"] for one in container.get("env", []) if one["name"] == "DATABASE_URL"]
        if secret != [{"name": f"{name}-database", "key": "DATABASE_URL"}]:
            yield f"prod: {name} does not read its database from its Secret"
        if workload["spec"].get("minReadySeconds", 0) <= 30:
            yield f"prod: a rollout of {name} is faster than DNS forgets"
        if workload["spec"].get("strategy", {}).get("rollingUpdate", {}).get("maxUnavailable") != 0:
            yield f"prod: a rollout of {name} takes a replica before there is another"
    yield from network(overlay)


def network(overlay):
    """Nobody but who must: the flows that the policies open are exactly those that the programs need."""
    policies = overlay.of("NetworkPolicy")
    for workload in overlay.workloads():
        if not any(
            not {"ingress", "egress"} & one["spec"].keys()
            and set(one["spec"]["policyTypes"]) == {"Ingress", "Egress"}
            and workload in overlay.selected(one["spec"]["podSelector"])
            for one in policies
        ):
            yield f"prod: {name_of(workload)} is open to everybody"
    names = [name_of(one) for one in overlay.workloads()]
    web = {name: ports.get("HTTP_ADDR", ports.get("REST_ADDR")) for name, ports in PORTS.items()}
    services = {(callee, PORTS[callee]["ADDR"]) for callee in CALLS.values()}
    into = {(callee, "edge", "TCP", port) for callee, port in services}
    into |= {("edge", FRONT, "TCP", port) for port in PORTS["edge"].values()}
    into |= {(name, MONITORING, "TCP", web[name]) for name in names}
    out = {("edge", callee, "TCP", port) for callee, port in services}
    out |= {(name, DNS_SERVERS, protocol, DNS) for name in names for protocol in ("UDP", "TCP")}
    opened = flows(overlay, "egress", "to")
    databases = {flow for flow in opened if flow[3] == POSTGRES}
    for flow in databases:
        if not re.fullmatch(r"[\d.]+/(?!0$)\d+", flow[1]):
            yield f"prod: PostgreSQL would be looked for at {flow[1]}"
    if {(name, protocol) for name, _, protocol, _ in databases} != {(name, "TCP") for name in names}:
        yield f"prod: not each program reaches PostgreSQL: {sorted(databases)}"
    for what, expected, found in (("called", into, flows(overlay, "ingress", "from")), ("calling", out, opened - databases)):
        yield from (f"prod: no policy has {flow[0]} {what} on {flow[3]} ({flow[1]})" for flow in expected - found)
        yield from (f"prod: a policy has {flow[0]} {what} on {flow[3]} ({flow[1]}), which nobody needs" for flow in found - expected)


def flows(overlay, way, whom):
    """(program, the other side, protocol, port) of everything that some policy opens."""
    def other(peer):
        if "ipBlock" in peer:
            return peer["ipBlock"]["cidr"]
        if "namespaceSelector" not in peer:
            return " ".join(name_of(one) for one in overlay.selected(peer["podSelector"]))
        labels = peer["namespaceSelector"].get("matchLabels", {}) | peer.get("podSelector", {}).get("matchLabels", {})
        return " ".join(f"{key}={value}" for key, value in labels.items()) or "everybody"

    return {
        (name_of(workload), peer, port.get("protocol", "TCP"), port["port"])
        for policy in overlay.of("NetworkPolicy")
        for workload in overlay.selected(policy["spec"]["podSelector"])
        for rule in policy["spec"].get(way, [])
        for peer in ([other(peer) for peer in rule.get(whom, [])] or ["everybody"])
        for port in rule.get("ports", [{"port": "every port"}])
    }


def migrate(overlay, prod, programs):
    """A Job for each program that has a database in prod, of the same image, with the same Secret, under the same policies."""
    jobs = {name_of(one): one for one in overlay.of("Job")}
    if jobs.keys() != {f"migrate-{name_of(one)}" for one in prod.workloads()}:
        yield f"migrate: the Jobs are {sorted(jobs)}"
        return
    for workload in prod.workloads():
        name, job = name_of(workload), jobs[f"migrate-{name_of(workload)}"]
        [container], [served] = containers(job), containers(workload)
        if container["image"] != served["image"]:
            yield f"migrate: {name} would be migrated by {container['image']}, and served by {served['image']}"
        if container["command"] != [f"/usr/local/bin/{name}", "--migrate-only"] or "MIGRATE_ONLY" not in programs[name].settings:
            yield f"migrate: {name} runs {container['command']}"
        [address] = [one for one in container["env"] if one["name"] == "DATABASE_URL"]
        if address not in served.get("env", []):
            yield f"migrate: {name} is migrated somewhere else"
        if unknown := {one["name"] for one in container["env"]} - programs[name].settings:
            yield f"migrate: {name} has no setting {sorted(unknown)}"
        labels = job["spec"]["template"]["metadata"]["labels"].items()
        for one in prod.of("Service", "PodDisruptionBudget"):
            selector = one["spec"]["selector"]
            if selector.get("matchLabels", selector).items() <= labels:
                yield f"migrate: {one['kind']} {one['metadata']['name']} would take a Job for a replica"
        out = {entry["port"] for one in prod.of("NetworkPolicy") if one["spec"]["podSelector"].get("matchLabels", {}).items() <= labels
               for rule in one["spec"].get("egress", []) for entry in rule["ports"]}
        if out != {DNS, POSTGRES}:
            yield f"migrate: {name} may call ports {sorted(out)}"
        if not overlay.named("ServiceAccount", pod(job)["serviceAccountName"]):
            yield f"migrate: {name} has no ServiceAccount"
        if pod(job)["restartPolicy"] != "Never":
            yield f"migrate: {name} loses the log of a try that failed"


def all_of(overlay, overlays, programs, paths, drain):
    checks = {
        "dev": lambda: dev(overlay),
        "prod": lambda: prod(overlay),
        "prod/migrate": lambda: migrate(overlay, overlays["prod"], programs),
    }
    for check in (
        lambda: settings(overlay, programs),
        lambda: ports_and_probes(overlay, paths, drain),
        lambda: services(overlay),
        lambda: addresses(overlay) if overlay.workloads() else (),
        lambda: locked_down(overlay),
        checks[overlay.name],
    ):
        try:
            yield from (f"{overlay.name}: {wrong}" for wrong in check())
        except (KeyError, TypeError, ValueError, StopIteration, AttributeError) as error:
            yield f"{overlay.name}: something is missing: {error!r}"
