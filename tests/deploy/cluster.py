"""A rendered overlay against the programs, and its objects against each other. Every check yields what is wrong, in a sentence."""
import ipaddress
import re

from programs import CALLS, FOLDERS, PORTS, PUBLIC, probes
from render import containers, every_container, pod
from running import Given

POSTGRES, DNS, HTTPS = 5432, 53, 443
FRONT, MONITORING = "boxoffice/front=true", "kubernetes.io/metadata.name=monitoring"
MAKES_KEYS = "/usr/local/bin/boxoffice"
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
        """What its program finds in its environment."""
        found = {}
        for container in containers(workload):
            for source in container.get("envFrom", []):
                found |= (self.named("ConfigMap", source["configMapRef"]["name"]) or {}).get("data", {})
            for entry in container.get("env", []):
                found[entry["name"]] = entry["value"]
        return found

    def selected(self, selector):
        return [one for one in self.workloads() if selects(selector, one["spec"]["template"]["metadata"]["labels"])]

    def files(self, workload):
        """Where each mount of its program comes from: (kind, name, folder inside), by its path."""
        volumes = {volume["name"]: volume for volume in pod(workload).get("volumes", [])}
        found = {}
        for mount in (mount for container in containers(workload) for mount in container.get("volumeMounts", [])):
            volume = volumes[mount["name"]]
            if "secret" in volume:
                source = ("secret", volume["secret"]["secretName"])
            else:
                source = ("claim", volume["persistentVolumeClaim"]["claimName"])
            found[mount["mountPath"]] = (*source, mount.get("subPath", ""))
        return found

    def given(self, workload, place):
        """What its program is given; `place` says which folder of this machine is in the place of what is mounted."""
        name = name_of(workload)
        return Given(name, self.settings(workload), {path: place(name, *source) for path, source in self.files(workload).items()})


def selects(selector, labels):
    """Whether a selector means a pod with these labels; of expressions we use one."""
    for wanted in selector.get("matchExpressions", []):
        if wanted["operator"] != "NotIn":
            raise ValueError(f"cluster.py does not know {wanted}")
        if labels.get(wanted["key"]) in wanted["values"]:
            return False
    return selector.get("matchLabels", {}).items() <= labels.items()


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
            elif program.values.get(variable) and value not in program.values[variable]:
                yield f"{program.name}: {variable} cannot be {value}"
        if not {"DATABASE_URL", "DATABASE_URL_FILE"} & given.keys():
            yield f"{program.name} is not told its database"
        yield from secured(program.name, given)
        for variable, port in PORTS[program.name].items():
            if program.port(variable) not in (port, None):
                yield f"{program.name} listens on {program.port(variable)} by default, not on the contract's {port}"
            if given.get(variable) != f"0.0.0.0:{port}":
                yield f"{program.name}: {variable} is {given.get(variable)}, not every address with the contract's port {port}"
    for unused in {one["metadata"]["name"] for one in overlay.of("ConfigMap")} - {
        source["configMapRef"]["name"] for one in overlay.workloads() for container in containers(one) for source in container["envFrom"]
    }:
        yield f"nothing reads the ConfigMap {unused}"


# What makes a program ask who calls, with the path of each file that its certificate consists of.
TLS = {"TLS_CERT": "/keys/tls.crt", "TLS_KEY": "/keys/tls.key"}


def secured(name, given):
    """Callers are asked who they are, and the programs know each other. The edge's gRPC is for people: they need no certificate."""
    if "INSECURE_OPEN" in given or not given.get("AUTH_ISSUER"):
        yield f"{name} lets anybody in"
    if given.get("DOCS", "off") != "off":
        yield f"{name} shows the API to everybody"
    wanted = TLS | {"MESH_CA" if name == "edge" else "TLS_CLIENT_CA": "/keys/ca.crt"}
    of_tls = {variable: value for variable, value in given.items() if "TLS" in variable or variable == "MESH_CA"}
    if of_tls != wanted:
        yield f"{name} has {of_tls} for TLS, not {wanted}"


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
            http, web = probe.get("httpGet"), probes(name)
            # The kubelet's gRPC probes speak no TLS.
            if not http:
                yield f"{name} has no {kind} by HTTP"
            elif http["path"] not in paths or ports.get(http["port"], http["port"]) != web:
                yield f"{name}: {kind} asks for {http}"
        if container.get("readinessProbe", {}).get("httpGet", {}).get("path") != "/readyz":
            yield f"{name}: nobody asks whether it is ready"
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
            if port["appProtocol"] != ("https" if port["name"] == "grpc" else "http"):
                yield f"Service {name}: {port} speaks otherwise"
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
        wanted = f"https://{callee}:{PORTS[callee]['ADDR']}"
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
        whole, secrets = spec["securityContext"], [volume["secret"] for volume in spec.get("volumes", []) if "secret" in volume]
        fine = {
            "is root": whole.get("runAsNonRoot") is True and whole.get("runAsUser", 0) > 0,
            "has no seccomp profile": whole.get("seccompProfile") == {"type": "RuntimeDefault"},
            "has a token for the API server": spec.get("automountServiceAccountToken") is False,
            "gets variables that are not its own": spec.get("enableServiceLinks") is False,
            # 0440 for the group that the program is in.
            "has secrets that it may not read itself": whole.get("fsGroup") == whole["runAsGroup"] or not secrets,
            "has secrets that others may read": all(secret.get("defaultMode") == 0o440 for secret in secrets),
        }
        for container in every_container(workload):
            own, mounts = container["securityContext"], container.get("volumeMounts", [])
            fine |= {
                "can write to its image": own.get("readOnlyRootFilesystem") is True,
                "can gain rights": own.get("allowPrivilegeEscalation") is False,
                "has capabilities": own.get("capabilities") == {"drop": ["ALL"]},
                "has no bounds": all(container["resources"].get(of, {}).keys() >= {"cpu", "memory"} for of in ("requests", "limits")),
                "has a secret in its environment": all("valueFrom" not in entry for entry in container.get("env", [])),
                "can write to its keys": all(mount.get("readOnly") for mount in mounts if mount["mountPath"] != "/data"),
            }
            yield from (f"{name}: {container['name']} {what}" for what, holds in fine.items() if not holds)


def dev(overlay):
    for workload in overlay.workloads():
        name, [container] = name_of(workload), containers(workload)
        if workload["spec"].get("replicas") != 1:
            yield f"dev: {name} is not one replica"
        url = overlay.settings(workload).get("DATABASE_URL") or ""
        own = ("claim", "keys", f"mesh/{FOLDERS[name]}")
        others = [source for path, source in overlay.files(workload).items() if source[1] == "keys" and path != "/issuer"]
        [step] = pod(workload).get("initContainers", [None])
        if others != [own] or step["command"] != [MAKES_KEYS, "keys", "--out", "/data/mesh", "--keep"]:
            yield f"dev: {name} has the keys {others}, not {own}, or nobody makes them"
        claims = set()
        for volume in pod(workload).get("volumes", []):
            if overlay.named("PersistentVolumeClaim", volume.get("persistentVolumeClaim", {}).get("claimName")):
                claims.add(volume["name"])
        kept = [mount["mountPath"] for mount in container.get("volumeMounts", []) if mount["name"] in claims]
        if not any(url.startswith(f"sqlite:{path}/") for path in kept):
            yield f"dev: {name} keeps {url or 'its rows'} on no volume"
        if workload["spec"].get("strategy", {}).get("type") != "Recreate":
            yield f"dev: two replicas of {name} would share a SQLite file"
    yield from network(overlay, set(), set())
    yield from fronted(overlay)


def prod(overlay):
    for workload in overlay.workloads():
        name = name_of(workload)
        scale = scaler(overlay, workload)
        if not scale or scale["spec"]["minReplicas"] < 2 or scale["spec"]["scaleTargetRef"]["kind"] != workload["kind"]:
            yield f"prod: {name} is not kept at two replicas or more"
        if "replicas" in workload["spec"]:
            yield f"prod: {name} states its replicas and so fights its autoscaler"
        budgets = [one for one in overlay.of("PodDisruptionBudget") if workload in overlay.selected(one["spec"]["selector"])]
        if len(budgets) != 1 or budgets[0]["spec"].get("maxUnavailable") != 1:
            yield f"prod: {name} has no disruption budget of one"
        secrets = overlay.files(workload)
        if secrets != {"/keys": ("secret", f"{name}-tls", ""), "/database": ("secret", f"{name}-database", "")}:
            yield f"prod: {name} has {secrets}, not its own certificate and its own database"
        if overlay.settings(workload)["AUTH_ISSUER"] == "local":
            yield f"prod: {name} trusts an issuer that is none"
        if workload["spec"].get("minReadySeconds", 0) <= 30:
            yield f"prod: a rollout of {name} is faster than DNS forgets"
        if workload["spec"].get("strategy", {}).get("rollingUpdate", {}).get("maxUnavailable") != 0:
            yield f"prod: a rollout of {name} takes a replica before there is another"
    names = [name_of(one) for one in overlay.workloads()]
    into = {("edge", FRONT, "TCP", port) for port in PUBLIC} | {(name, MONITORING, "TCP", probes(name)) for name in names}
    yield from network(overlay, into, {(name, "TCP", port) for name in names for port in (POSTGRES, HTTPS)})
    yield from fronted(overlay)
    yield from certified(overlay)


def fronted(overlay):
    """Where something stands before the edge, the edge believes it, and not everybody, when it says whom it speaks for. Otherwise all its
    clients are one to the edge, and share one's limits."""
    told = overlay.settings(overlay.named("Deployment", "edge")).get("TRUSTED_PROXIES", "")
    networks = [ipaddress.ip_network(one) for one in told.split(",") if one]
    has_front = any(flow[:2] == ("edge", FRONT) for flow in flows(overlay, "ingress", "from"))
    if has_front != bool(networks):
        yield f"the edge trusts the proxies {networks}, and something stands before it: {has_front}"
    yield from (f"the edge believes everybody who names a client: {network}" for network in networks if network.prefixlen == 0)


def certified(overlay):
    """Each program's certificate is its own: under the names by which it is called, and with the identity that others know it by."""
    for workload in overlay.workloads():
        name = name_of(workload)
        [spec] = [one["spec"] for one in overlay.of("Certificate") if one["spec"]["secretName"] == f"{name}-tls"]
        if spec["uris"] != [f"spiffe://boxoffice/{FOLDERS[name]}"]:
            yield f"prod: {name} is {spec['uris']}"
        called = [one["metadata"]["name"] for one in overlay.of("Service") if workload in overlay.selected({"matchLabels": one["spec"]["selector"]})]
        space = workload["metadata"]["namespace"]
        wanted = {f"{service}{more}" for service in called for more in ("", f".{space}", f".{space}.svc", f".{space}.svc.cluster.local")}
        if set(spec["dnsNames"]) != wanted:
            yield f"prod: the certificate of {name} is for {spec['dnsNames']}, not for {sorted(wanted)}"


def network(overlay, more_into, outside):
    """Nobody but who must: the flows that the policies open are exactly those that the programs need; `more_into` are those besides the
    edge's calls, `outside` are (program, protocol, port) of what is called beyond the cluster."""
    policies = overlay.of("NetworkPolicy")
    for workload in overlay.workloads():
        if not any(
            not {"ingress", "egress"} & one["spec"].keys()
            and set(one["spec"]["policyTypes"]) == {"Ingress", "Egress"}
            and workload in overlay.selected(one["spec"]["podSelector"])
            for one in policies
        ):
            yield f"{name_of(workload)} is open to everybody"
    names = [name_of(one) for one in overlay.workloads()]
    services = {(callee, PORTS[callee]["ADDR"]) for callee in CALLS.values()}
    into = {(callee, "edge", "TCP", port) for callee, port in services} | more_into
    out = {("edge", callee, "TCP", port) for callee, port in services}
    out |= {(name, DNS_SERVERS, protocol, DNS) for name in names for protocol in ("UDP", "TCP")}
    opened = flows(overlay, "egress", "to")
    beyond = {flow for flow in opened if flow[3] in (POSTGRES, HTTPS)}
    for flow in beyond:
        if not re.fullmatch(r"[\d.]+/(?!0$)\d+", flow[1]):
            yield f"PostgreSQL or the issuer would be looked for at {flow[1]}"
    if {(name, protocol, port) for name, _, protocol, port in beyond} != outside:
        yield f"not each program reaches PostgreSQL and the issuer: {sorted(beyond)}"
    for what, expected, found in (("called", into, flows(overlay, "ingress", "from")), ("calling", out, opened - beyond)):
        yield from (f"no policy has {flow[0]} {what} on {flow[3]} ({flow[1]})" for flow in expected - found)
        yield from (f"a policy has {flow[0]} {what} on {flow[3]} ({flow[1]}), which nobody needs" for flow in found - expected)


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
        (name_of(workload), peer, port.get("protocol", "TCP"), ports_of(workload).get(port["port"], port["port"]))
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
        [address] = [one["value"] for one in container["env"] if one["name"] == "DATABASE_URL_FILE"]
        where = overlay.files(job)
        if where.items() - prod.files(workload).items() or address != prod.settings(workload)["DATABASE_URL_FILE"]:
            yield f"migrate: {name} is migrated somewhere else"
        elif not any(address.startswith(f"{path}/") for path in where):
            yield f"migrate: {name} looks for its database at {address}, where nothing is"
        if unknown := {one["name"] for one in container["env"]} - programs[name].settings:
            yield f"migrate: {name} has no setting {sorted(unknown)}"
        labels = job["spec"]["template"]["metadata"]["labels"]
        for one in prod.of("Service", "PodDisruptionBudget"):
            selector = one["spec"]["selector"]
            if selector.get("matchLabels", selector).items() <= labels.items():
                yield f"migrate: {one['kind']} {one['metadata']['name']} would take a Job for a replica"
        out = {entry["port"] for one in prod.of("NetworkPolicy") if selects(one["spec"]["podSelector"], labels)
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
