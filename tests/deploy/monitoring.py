"""What watches the mesh: the rules and their tests by promtool, and that rules, boards and routes speak of what is there: metrics that the
programs have, headings of the manual, ports and services. Every check yields what is wrong, in a sentence."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

import yaml

# Metrics that are not the programs' own.
OTHERS = {"up", "ALERTS"}
FUNCTIONS = {"sum", "max", "min", "rate", "increase", "count", "time", "vector", "histogram_quantile", "label_values"}
WORDS = {"by", "on", "unless", "or", "and", "offset", "bool", "ignoring", "without"}


def all_of(root, overlays):
    folder = root / "k8s/monitoring"
    rules, tests = (yaml.safe_load((folder / name).read_text()) for name in ("rules.yaml", "rules_test.yaml"))
    yield from promtool(rules["spec"], tests)
    alerts = [rule for group in rules["spec"]["groups"] for rule in group["rules"] if "alert" in rule]
    yield from told(root, alerts, tests)
    known = measures(root) | {rule["record"] for group in rules["spec"]["groups"] for rule in group["rules"] if "record" in rule}
    texts = [("rules.yaml", rule["expr"]) for group in rules["spec"]["groups"] for rule in group["rules"]]
    board = json.loads((folder / "dashboard.json").read_text())
    texts += [("dashboard.json", target["expr"]) for panel in board["panels"] for target in panel.get("targets", [])]
    for where, text in texts:
        yield from (f"k8s/monitoring/{where}: no program has the metric {name}" for name in metrics(text) - known - OTHERS)
    shown = {name for where, text in texts if where == "dashboard.json" for name in metrics(text)}
    for alert in alerts:
        yield from (f"k8s/monitoring/dashboard.json does not show {name}, of which {alert['alert']} tells" for name in metrics(alert["expr"]) - shown - OTHERS)
    ids = [panel["id"] for panel in board["panels"]]
    if len(set(ids)) != len(ids):
        yield "k8s/monitoring/dashboard.json has two panels of one id"
    yield from ports(folder, overlays)
    yield from routes(root, overlays)
    yield from rendered(root)


def promtool(spec, tests):
    tool = os.environ.get("PROMTOOL") or shutil.which("promtool")
    if not tool or not pathlib.Path(tool).is_file():
        print("The rules of k8s/monitoring are not tested: there is no promtool here.", flush=True)
        if os.environ.get("CI"):
            yield "no promtool, with which the rules are tested"
        return
    with tempfile.TemporaryDirectory() as folder:
        rules, cases = pathlib.Path(folder, "rules.yml"), pathlib.Path(folder, "tests.yml")
        rules.write_text(yaml.safe_dump(spec))
        cases.write_text(yaml.safe_dump({**tests, "rule_files": [str(rules)]}))
        for command in (["check", "rules", rules], ["test", "rules", cases]):
            run = subprocess.run([tool, *command], capture_output=True, text=True)
            if run.returncode != 0:
                yield f"promtool {' '.join(command[:2])}: {run.stdout}{run.stderr}"


def told(root, alerts, tests):
    """Each alert has a heading in the manual, the manual speaks of no other, and a test in which it sounds."""
    manual = (root / "docs/on-sale.md").read_text()
    headings = re.findall(r"^### (\w+)$", manual, re.M)
    names = [rule["alert"] for rule in alerts]
    if sorted(headings) != sorted(names):
        yield f"docs/on-sale.md and k8s/monitoring/rules.yaml do not speak of the same alerts: {sorted(set(headings) ^ set(names))}"
    routes = yaml.safe_load_all((root / "k8s/gateway/routes.yaml").read_text())
    [shop] = [host for one in routes if one["kind"] == "HTTPRoute" for host in one["spec"]["hostnames"]]
    for rule in alerts:
        if rule["annotations"]["runbook_url"] != f"https://{shop}/manual#{rule['alert'].lower()}":
            yield f"{rule['alert']} does not say where the manual tells of it"
    sounds = {one["alertname"] for test in tests["tests"] for one in test.get("alert_rule_test", []) if one["exp_alerts"]}
    yield from (f"no test of k8s/monitoring/rules_test.yaml makes {name} sound" for name in set(names) - sounds)


def measures(root):
    """The names in the tables of metrics, with those that a histogram has, and those of the process."""
    names = set()
    for path in root.glob("**/src/**/measures.rs"):
        names |= set(re.findall(r'\(\s*"([a-z_]+)",', path.read_text()))
    names |= set(re.findall(r'"(process_[a-z_]+)"', (root / "crates/chassis/src/telemetry/process.rs").read_text()))
    return names | {name + end for name in names for end in ("_bucket", "_sum", "_count") if name.endswith(("_seconds", "_size"))}


def metrics(text):
    text = re.sub(r'"[^"]*"', "", text)
    text = re.sub(r"\{[^}]*\}", "", text)
    text = re.sub(r"\b(?:by|on|without|ignoring)\s*\([^)]*\)", "", text)
    text = re.sub(r"\[\w+\]|\boffset \w+", "", text)
    return {word for word in re.findall(r"[a-zA-Z_:][\w:]*", text)} - FUNCTIONS - WORDS


def ports(folder, overlays):
    monitor = yaml.safe_load((folder / "podmonitor.yaml").read_text())["spec"]
    [endpoint] = monitor["podMetricsEndpoints"]
    for overlay in overlays:
        for one in overlay.of("Deployment"):
            template = one["spec"]["template"]
            if not monitor["selector"]["matchLabels"].items() <= template["metadata"]["labels"].items():
                yield f"{overlay.name}: the PodMonitor does not see {one['metadata']['name']}"
            names = [port["name"] for container in template["spec"]["containers"] for port in container["ports"]]
            if endpoint["port"] not in names:
                yield f"{overlay.name}: {one['metadata']['name']} has no port {endpoint['port']}"


def routes(root, overlays):
    [prod] = [overlay for overlay in overlays if overlay.name == "prod"]
    services = {one["metadata"]["name"]: one["spec"]["ports"] for one in prod.of("Service")}
    for one in yaml.safe_load_all((root / "k8s/gateway/routes.yaml").read_text()):
        for rule in one["spec"].get("rules", []):
            for backend in rule["backendRefs"]:
                if backend["port"] not in [port["port"] for port in services.get(backend["name"], [])]:
                    yield f"k8s/gateway: {one['kind']} leads to {backend}, which is not there"
        for target in one["spec"].get("targetRefs", []):
            if target["sectionName"] not in [port["name"] for port in services.get(target["name"], [])]:
                yield f"k8s/gateway: {one['kind']} is for {target}, which is not there"


def rendered(root):
    for folder in ("monitoring", "gateway"):
        if not shutil.which("kubectl"):
            return
        run = subprocess.run(["kubectl", "kustomize", root / "k8s" / folder], capture_output=True, text=True)
        if run.returncode != 0:
            yield f"k8s/{folder} cannot be rendered: {run.stderr}"
