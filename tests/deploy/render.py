"""Renders a kustomization as `kubectl kustomize` does, for the features our overlays use and no others.

Those are: resources, namespace, images, patches by path (strategic merges, several a file) and configMapGenerator with literals and
`behavior: merge`. Anything else is refused, not ignored. check.py compares with the real program where there is one.
"""
import copy
import hashlib
import json
import pathlib

import yaml

KNOWN = {"apiVersion", "kind", "resources", "namespace", "images", "patches", "configMapGenerator"}
CLUSTER_WIDE = {"Namespace"}
# The lists that a strategic merge goes into, with the field that tells their elements apart. All others are replaced.
MERGED_BY = {"containers": "name", "env": "name", "volumes": "name", "volumeMounts": "mountPath"}


def documents(path):
    return [document for document in yaml.safe_load_all(pathlib.Path(path).read_text()) if document]


def overlay(folder):
    """Every object of a kustomization, as `kubectl apply -k` would send it."""
    resources, generated = collect(pathlib.Path(folder))
    maps = [config_map(name, entry) for name, entry in generated.items()]
    names = {name: made["metadata"]["name"] for name, made in zip(generated, maps)}
    for resource in resources:
        refer(resource, names)
    return resources + maps


def collect(folder):
    text = yaml.safe_load((folder / "kustomization.yaml").read_text())
    unknown = set(text) - KNOWN
    if unknown:
        raise ValueError(f"{folder}: render.py does not know {sorted(unknown)}")
    resources, generated = [], {}
    for entry in text.get("resources", []):
        path = folder / entry
        if path.is_dir():
            below, made = collect(path)
            resources += below
            generated.update(made)
        else:
            resources += documents(path)
    for entry in text.get("configMapGenerator", []):
        generate(entry, generated, folder)
    for entry in text.get("patches", []):
        for patch in documents(folder / only(entry, {"path"})["path"]):
            [index] = [i for i, resource in enumerate(resources) if identity(resource) == identity(patch)]
            resources[index] = merge(resources[index], patch)
    for entry in text.get("images", []):
        only(entry, {"name", "newName", "newTag"})
        for resource in resources:
            for container in every_container(resource):
                if container["image"] == entry["name"]:
                    container["image"] = f"{entry['newName']}:{entry['newTag']}"
    if namespace := text.get("namespace"):
        for resource in resources:
            if resource["kind"] not in CLUSTER_WIDE:
                resource["metadata"]["namespace"] = namespace
        for entry in generated.values():
            entry["namespace"] = namespace
    return resources, generated


def only(entry, keys):
    if set(entry) - keys:
        raise ValueError(f"render.py does not know {sorted(set(entry) - keys)}")
    return entry


def generate(entry, generated, folder):
    only(entry, {"name", "behavior", "literals"})
    data = dict(literal.split("=", 1) for literal in entry["literals"])
    if entry.get("behavior", "create") == "merge":
        generated[entry["name"]]["data"].update(data)
    elif entry["name"] in generated:
        raise ValueError(f"{folder}: {entry['name']} is made twice")
    else:
        generated[entry["name"]] = {"data": data}


def config_map(name, entry):
    """The name ends in a hash of the content, so that another content is another name and pods are replaced."""
    what = {"data": entry["data"], "kind": "ConfigMap", "name": ""}  # kustomize too leaves the name out
    encoded = json.dumps(what, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    for plain, escaped in (("&", "\\u0026"), ("<", "\\u003c"), (">", "\\u003e")):  # as Go writes JSON
        encoded = encoded.replace(plain, escaped)
    digest = hashlib.sha256(encoded.encode()).hexdigest()[:10].translate(str.maketrans("013ae", "ghkmt"))
    metadata = {"name": f"{name}-{digest}"}
    if "namespace" in entry:
        metadata["namespace"] = entry["namespace"]
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": entry["data"]}


def refer(resource, names):
    for container in containers(resource):
        for source in container.get("envFrom", []):
            reference = source.get("configMapRef", {})
            reference["name"] = names.get(reference.get("name"), reference.get("name"))


def identity(resource):
    return resource["apiVersion"], resource["kind"], resource["metadata"]["name"]


def pod(resource):
    """The pod that a workload makes, or nothing."""
    return resource.get("spec", {}).get("template", {}).get("spec") if resource["kind"] in ("Deployment", "Job") else None


def containers(resource):
    return (pod(resource) or {}).get("containers", [])


def every_container(resource):
    """Those that prepare a pod, too."""
    return (pod(resource) or {}).get("initContainers", []) + containers(resource)


def merge(base, patch):
    merged = copy.deepcopy(base)
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict) and isinstance(merged.get(key), dict):
            merged[key] = merge(merged[key], value)
        elif key in MERGED_BY and key in merged:
            merged[key] = merge_list(merged[key], value, MERGED_BY[key])
        else:
            merged[key] = copy.deepcopy(value)
    return merged


def merge_list(base, patch, by):
    """Those of the patch come first, in its order, as kustomize has them."""
    there = {element[by]: element for element in base}
    merged = {element[by]: merge(there.get(element[by], {}), element) for element in patch}
    return [*merged.values(), *(element for name, element in there.items() if name not in merged)]
