"""A rendered overlay against the programs, and its objects against each other. Every check yields what is wrong, in a sentence."""
from programs import PORTS
from render import containers, pod

CALLS = {"QUEUE_URL": "queue-svc", "BOOKING_URL": "booking-svc", "WALLET_URL": "wallet-svc"}
POSTGRES, DNS = 5432, 53


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
            elif grpc and grpc["port"] != PORTS[name].get("ADDR", PORTS[name].get("GRPC_ADDR")):
                yield f"{name}: {kind} asks for {grpc}"
            elif not http and not grpc:
                yield f"{name} has no {kind}"
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
    """What must be open is, and what is open has somebody who listens or calls."""
    policies = overlay.of("NetworkPolicy")
    for workload in overlay.workloads():
        if not any(
            not {"ingress", "egress"} & one["spec"].keys()
            and set(one["spec"]["policyTypes"]) == {"Ingress", "Egress"}
            and workload in overlay.selected(one["spec"]["podSelector"])
            for one in policies
        ):
            yield f"prod: {name_of(workload)} is open to everybody"
        out = {port for one in policies if workload in overlay.selected(one["spec"]["podSelector"])
               for rule in one["spec"].get("egress", []) for port in (entry["port"] for entry in rule["ports"])}
        calls = {PORTS[callee]["ADDR"] for callee in CALLS.values()} if name_of(workload) == "edge" else set()
        if out != {DNS, POSTGRES} | calls:
            yield f"prod: {name_of(workload)} may call ports {sorted(out)}, but calls {sorted({DNS, POSTGRES} | calls)}"
        into = {port for one in policies if workload in overlay.selected(one["spec"]["podSelector"])
                for rule in one["spec"].get("ingress", []) for port in (entry["port"] for entry in rule["ports"])}
        if into != set(ports_of(workload).values()):
            yield f"prod: {name_of(workload)} may be called on {sorted(into)}, but listens on {sorted(ports_of(workload).values())}"
    edge = overlay.named("Deployment", "edge")
    for callee in CALLS.values():
        target, port = overlay.named("Deployment", callee), PORTS[callee]["ADDR"]
        if not passes(overlay, policies, edge, target, "egress", "to", port):
            yield f"prod: no policy lets the edge out to {callee}:{port}"
        if not passes(overlay, policies, target, edge, "ingress", "from", port):
            yield f"prod: no policy lets the edge in at {callee}:{port}"


def passes(overlay, policies, here, there, way, whom, port):
    def is_there(peer):
        return "podSelector" in peer and "namespaceSelector" not in peer and there in overlay.selected(peer["podSelector"])

    return any(
        here in overlay.selected(one["spec"]["podSelector"])
        and any(is_there(peer) for peer in rule[whom])
        and any(entry["port"] == port for entry in rule["ports"])
        for one in policies
        for rule in one["spec"].get(way, [])
    )


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
