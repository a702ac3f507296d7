"""Real programs, started as a manifest starts them: with its settings and the files that it mounts, on loopback ports of their own, with
rows in SQLite files. So what a manifest says is read by who has to understand it."""
import contextlib
import http.server
import json
import pathlib
import re
import shutil
import signal
import ssl
import subprocess
import tempfile
import threading
import time

from programs import CALLS, ENDS_WITHIN, FOLDERS, PORTS, STARTS_WITHIN, free_port, get, probes


class Given:
    """What a manifest gives one program: its variables, and where each of its mounts comes from, by the path in the container."""

    def __init__(self, program, settings, mounts):
        self.program, self.settings, self.mounts = program, settings, mounts

    def real(self, text):
        """The text with the paths of the container as those of this machine."""
        for path in sorted(self.mounts, key=len, reverse=True):
            text = re.sub(rf"(?<![\w/]){re.escape(path)}(?![\w-])", str(self.mounts[path]), text)
        return text


def made(boxoffice, command, mounts):
    """Runs the step that makes the keys, as often as a container may be started. Yields what went wrong."""
    given = Given(None, {}, mounts)
    words = [str(boxoffice.path), *(given.real(word) for word in command[1:])]
    for _ in range(2):
        run = subprocess.run(words, env={}, capture_output=True, text=True, timeout=STARTS_WITHIN)
        if run.returncode != 0:
            yield f"{command} ends with {run.returncode}: {run.stderr[-2000:]}"


def secret(keys, program, folder):
    """A folder with what a Secret of cert-manager holds."""
    folder.mkdir()
    for name in ("tls.crt", "tls.key", "ca.crt"):
        shutil.copy(keys / FOLDERS[program] / name, folder / name)
    return folder


def names(certificate):
    """(kind, name) of everything that a certificate says its bearer is."""
    return set(ssl._ssl._test_decode_cert(str(certificate))["subjectAltName"])


def misnamed(given, is_named):
    """The edge calls each service under a name that stands in that one's certificate. Yields what does not."""
    for variable, callee in CALLS.items():
        for host in re.findall(r"https://([^:,]+):", given["edge"].settings[variable]):
            if not is_named(callee, host):
                yield f"edge: {variable} names {host}, which is no name in the certificate of {callee}"


@contextlib.contextmanager
def provider(jwks):
    """An OpenID provider on loopback, as far as programs ask one at their start. Hands out its URL."""
    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            here = f"http://127.0.0.1:{self.server.server_port}"
            discovery = json.dumps({"issuer": here, "jwks_uri": f"{here}/jwks"})
            self.send_response(200)
            self.end_headers()
            self.wfile.write((jwks if self.path == "/jwks" else discovery).encode())

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@contextlib.contextmanager
def mesh(given, known, folder, issuer=None):
    """Runs these programs together until they are ready; hands out the address of REST. Each must end with 0 when it is told to."""
    ports = {port: free_port() for name in given for port in PORTS[name].values()}
    runs = []
    try:
        for name, one in given.items():
            runs.append((name, *start(one, known[name], folder, ports, issuer)))
        for name, run, log in runs:
            ready(name, run, log, ports[probes(name)])
        yield f"127.0.0.1:{ports[PORTS['edge']['REST_ADDR']]}"
        for name, run, log in runs:
            run.send_signal(signal.SIGTERM)
            if run.wait(timeout=ENDS_WITHIN) != 0:
                raise RuntimeError(f"{name} ends with {run.returncode}: {log.read_text()[-2000:]}")
    finally:
        for _, run, _ in runs:
            run.kill()
            run.wait()


def start(one, program, folder, ports, issuer):
    settings = {}
    for variable, value in one.settings.items():
        value = re.sub(r"0\.0\.0\.0:(\d+)", lambda port: f"127.0.0.1:{ports[int(port[1])]}", one.real(value))
        # Of several replicas the first is there.
        value = re.sub(r"^(https?)://[^,]+:(\d+)(,.*)?$", lambda url: f"{url[1]}://127.0.0.1:{ports[int(url[2])]}", value)
        settings[variable] = issuer if variable == "AUTH_ISSUER" and issuer and value != "local" else value
    log = folder / f"{program.name}.log"
    with log.open("w") as output:
        return subprocess.Popen([program.path], env=settings, cwd=folder, stdout=output, stderr=output), log


def ready(name, run, log, port):
    until = time.monotonic() + STARTS_WITHIN
    while get(f"http://127.0.0.1:{port}/readyz") != 200:
        if run.poll() is not None or time.monotonic() > until:
            raise RuntimeError(f"{name} is not ready (exit code {run.returncode}): {log.read_text()[-2000:]}")
        time.sleep(0.05)


def sold(readme, address, how, given, bin_folder):
    """The guide's own sale: its `console` block, line for line. `how` is how a token is got, `given` where that runs. Yields what went
    wrong."""
    [block] = re.findall(r"```console\n(.*?)```", readme, re.S)
    lines = block.splitlines()
    commands = [line.removeprefix("$ ") for line in lines if line.startswith(("$ ", "  "))]
    shown = [line for line in lines if not line.startswith(("$ ", "  "))]
    asked = re.sub(r"token\(\) \{.*?\}", f'token() {{ {given.real(how)} "$@"; }}', "\n".join(commands))
    script = asked.replace("127.0.0.1:24000", address).replace("/usr/local/bin/", f"{bin_folder}/")
    told = subprocess.run(["bash", "-euc", script], capture_output=True, text=True, timeout=600)
    if told.stdout.splitlines() != shown:
        yield f"k8s/README.md shows\n{chr(10).join(shown)}\nbut real is\n{told.stdout}{told.stderr}"
    if get(f"http://{address}/metrics") != 404 or get(f"http://{address}/docs") != 404:
        yield "the public door shows metrics or the API's page"


@contextlib.contextmanager
def temporary():
    with tempfile.TemporaryDirectory() as folder:
        yield pathlib.Path(folder)
