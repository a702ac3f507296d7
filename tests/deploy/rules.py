"""What an API server refuses although its schema lets it pass, and what the Pod Security Standard `restricted`, which our namespaces enforce,
does not admit. Every check yields what is wrong, in a sentence."""
import ipaddress
import re

from render import CLUSTER_WIDE, containers, pod

LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
SUBDOMAIN = re.compile(r"(?=.{1,253}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
LABEL_KEY = re.compile(r"([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?[A-Za-z0-9]([-\w.]{0,61}[A-Za-z0-9])?")
LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-\w.]{0,61}[A-Za-z0-9])?)?")
VARIABLE = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*")
UNITS = {"": 1, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}
PROGRESS_DEADLINE = 600
RESTRICTED_VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}


def quantity(text):
    number, unit = re.fullmatch(r"(\d+(?:\.\d+)?)([a-zA-Z]*)", str(text)).groups()
    return float(number) * UNITS[unit]


def names(overlay):
    seen = set()
    spaces = {one["metadata"].get("namespace") for one in overlay.objects if one["kind"] not in CLUSTER_WIDE}
    if len(spaces) != 1 or None in spaces:
        yield f"objects of several namespaces, or of none: {spaces}"
    for one in overlay.objects:
        kind, name = one["kind"], one["metadata"]["name"]
        if (kind, name) in seen:
            yield f"{kind} {name} is there twice"
        seen.add((kind, name))
        fits = LABEL.fullmatch(name) and name[0].isalpha() if kind == "Service" else SUBDOMAIN.fullmatch(name)
        if not fits:
            yield f"{kind} {name} is no name"
        template = one.get("spec", {}).get("template", {}).get("metadata", {})
        for labels in (one["metadata"].get("labels", {}), template.get("labels", {})):
            yield from (f"{kind} {name}: {key}={value} is no label" for key, value in labels.items()
                        if not (LABEL_KEY.fullmatch(key) and LABEL_VALUE.fullmatch(value)))
        if kind == "ConfigMap":
            yield from (f"{kind} {name}: {key} is no variable" for key in one["data"] if not VARIABLE.fullmatch(key))


def pods(overlay):
    for one in overlay.objects:
        spec = pod(one)
        if not spec:
            continue
        name, grace = one["metadata"]["name"], spec.get("terminationGracePeriodSeconds", 30)
        volumes = [volume["name"] for volume in spec.get("volumes", [])]
        for container in containers(one):
            ports = [port["name"] for port in container.get("ports", [])]
            yield from (f"{name}: {port} is no port's name" for port in ports
                        if not re.fullmatch(r"(?=.*[a-z])(?!.*--)[a-z0-9]([a-z0-9-]{0,13}[a-z0-9])?", port) or ports.count(port) > 1)
            for kind in ("cpu", "memory"):
                if quantity(container["resources"]["requests"][kind]) > quantity(container["resources"]["limits"][kind]):
                    yield f"{name} requests more {kind} than its limit"
            sleep = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds")
            if sleep is not None and not 0 < sleep <= grace:
                yield f"{name} sleeps {sleep} s of {grace}"
            for probe in ("startupProbe", "livenessProbe"):
                if container.get(probe, {}).get("successThreshold", 1) != 1:
                    yield f"{name}: the {probe}'s successThreshold must be 1"
            mounts = container.get("volumeMounts", [])
            yield from (f"{name} mounts {mount['name']}, which is no volume" for mount in mounts if mount["name"] not in volumes)
            if len({mount["mountPath"] for mount in mounts}) != len(mounts):
                yield f"{name} mounts two volumes in one place"
        for spread in spec.get("topologySpreadConstraints", []):
            if set(spread.get("matchLabelKeys", [])) & spread["labelSelector"].get("matchLabels", {}).keys():
                yield f"{name} spreads by a label twice"
            if spread["whenUnsatisfiable"] not in ("DoNotSchedule", "ScheduleAnyway") or spread["maxSkew"] < 1:
                yield f"{name} spreads in a way that there is not"
        if one["kind"] == "Job" and spec["restartPolicy"] not in ("Never", "OnFailure"):
            yield f"{name}: a Job's pod cannot restart {spec['restartPolicy']}"
        yield from restricted(name, spec)


def restricted(name, spec):
    """https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted, for Linux."""
    whole = spec.get("securityContext", {})
    if any(spec.get(host) for host in ("hostNetwork", "hostPID", "hostIPC")) or whole.get("sysctls"):
        yield f"{name}: the namespace admits no part of the host"
    yield from (f"{name}: the namespace admits no volume {volume}" for volume in spec.get("volumes", []) if not RESTRICTED_VOLUMES & volume.keys())
    for container in spec["containers"] + spec.get("initContainers", []):
        own = container.get("securityContext", {})
        admitted = (
            own.get("runAsNonRoot", whole.get("runAsNonRoot")) is True
            and own.get("runAsUser", whole.get("runAsUser")) != 0
            and own.get("seccompProfile", whole.get("seccompProfile", {})).get("type") in ("RuntimeDefault", "Localhost")
            and own.get("allowPrivilegeEscalation") is False
            and not own.get("privileged")
            and own.get("capabilities", {}).get("drop") == ["ALL"]
            and set(own.get("capabilities", {}).get("add", [])) <= {"NET_BIND_SERVICE"}
            and not any("hostPort" in port for port in container.get("ports", []))
        )
        if not admitted:
            yield f"{name}: the namespace, which enforces `restricted`, would not admit {container['name']}"


def workloads(overlay):
    for one in overlay.of("Deployment"):
        name, spec, strategy = one["metadata"]["name"], one["spec"], one["spec"].get("strategy", {})
        if not spec["selector"]["matchLabels"].items() <= spec["template"]["metadata"]["labels"].items():
            yield f"{name} selects pods that it does not make"
        if strategy.get("type") == "Recreate" and "rollingUpdate" in strategy:
            yield f"{name} is recreated and rolled over at once"
        rolling = strategy.get("rollingUpdate", {})
        if rolling and rolling.get("maxSurge", 1) == 0 == rolling.get("maxUnavailable", 1):
            yield f"{name} could never roll over"
        if spec.get("minReadySeconds", 0) >= spec.get("progressDeadlineSeconds", PROGRESS_DEADLINE):
            yield f"{name} is given up before it can be available"
    for one in overlay.of("HorizontalPodAutoscaler"):
        spec, target = one["spec"], one["spec"]["scaleTargetRef"]
        aim = overlay.named(target["kind"], target["name"])
        if not 1 <= spec["minReplicas"] <= spec["maxReplicas"]:
            yield f"{one['metadata']['name']} scales from {spec['minReplicas']} to {spec['maxReplicas']}"
        if not aim or aim["apiVersion"] != target["apiVersion"]:
            yield f"{one['metadata']['name']} scales {target}, which is not there"
        elif any(metric["resource"]["name"] not in container["resources"]["requests"] for metric in spec["metrics"] for container in containers(aim)):
            yield f"{one['metadata']['name']} measures what is not requested"
    for one in overlay.of("PodDisruptionBudget"):
        if len({"minAvailable", "maxUnavailable"} & one["spec"].keys()) != 1:
            yield f"{one['metadata']['name']} must say one of minAvailable and maxUnavailable"


def network(overlay):
    for one in overlay.of("Service", "NetworkPolicy"):
        name, spec = one["metadata"]["name"], one["spec"]
        if one["kind"] == "Service":
            ports = [port.get("name") for port in spec["ports"]]
            if len(set(ports)) != len(ports) or not all(port and LABEL.fullmatch(port) for port in ports):
                yield f"Service {name}: {ports} are no names"
            continue
        for way, whom in (("ingress", "from"), ("egress", "to")):
            if way in spec and way.capitalize() not in spec["policyTypes"]:
                yield f"NetworkPolicy {name}: its {way} counts for nothing"
            for peer in (peer for rule in spec.get(way, []) for peer in rule.get(whom, [])):
                if "ipBlock" in peer:
                    if len(peer) > 1:
                        yield f"NetworkPolicy {name}: an ipBlock stands alone"
                    ipaddress.ip_network(peer["ipBlock"]["cidr"])


# What a definition of cert-manager's (v1) knows, as far as we use it; its schemas are in no package that we have.
CERTIFICATE = {
    "commonName", "dnsNames", "duration", "isCA", "issuerRef", "privateKey", "renewBefore", "secretName", "uris", "usages",
}
USAGES = {"digital signature", "server auth", "client auth"}


def certificates(overlay):
    issuers = {one["metadata"]["name"]: one["spec"] for one in overlay.of("Issuer")}
    made = {one["spec"]["secretName"] for one in overlay.of("Certificate")}
    for name, spec in issuers.items():
        if spec != {"selfSigned": {}} and not (set(spec) == {"ca"} and spec["ca"]["secretName"] in made):
            yield f"Issuer {name} has no authority: {spec}"
    for one in overlay.of("Issuer", "Certificate"):
        if one["apiVersion"] != "cert-manager.io/v1":
            yield f"{one['kind']} {one['metadata']['name']} is of {one['apiVersion']}"
    for one in overlay.of("Certificate"):
        name, spec, key = one["metadata"]["name"], one["spec"], one["spec"]["privateKey"]
        if unknown := spec.keys() - CERTIFICATE:
            yield f"Certificate {name}: cert-manager knows no {sorted(unknown)}"
        if spec["issuerRef"]["name"] not in issuers:
            yield f"Certificate {name}: there is no Issuer {spec['issuerRef']['name']}"
        if (key["algorithm"], key["size"]) != ("ECDSA", 256) or key.keys() - {"algorithm", "size", "encoding", "rotationPolicy"}:
            yield f"Certificate {name}: no key is made like {key}"
        if spec.get("isCA"):
            continue
        if key.get("rotationPolicy") != "Always":
            yield f"Certificate {name} keeps its key for ever"
        if set(spec["usages"]) != USAGES:
            yield f"Certificate {name} is for {spec['usages']}"
        lasts, renewed = (int(spec[of].removesuffix("h")) for of in ("duration", "renewBefore"))
        if not 0 < renewed < lasts <= 24 * 90:
            yield f"Certificate {name} lasts {lasts} h and is renewed {renewed} h before"


def all_of(overlay):
    for check in (names, pods, workloads, network, certificates):
        try:
            yield from check(overlay)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            yield f"{check.__name__}: something is missing or makes no sense: {error!r}"
