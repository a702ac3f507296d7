"""The programs as they are built: their settings, as `--help` tells them."""
import pathlib
import re
import socket
import subprocess
import tempfile
import urllib.error
import urllib.request

# The ports of the contract. A program that listens elsewhere by default has broken it.
PORTS = {
    "queue-svc": {"ADDR": 24031, "HTTP_ADDR": 24032},
    "booking-svc": {"ADDR": 24071, "HTTP_ADDR": 24072},
    "wallet-svc": {"ADDR": 24081, "HTTP_ADDR": 24082},
    # Probes and metrics have a port of their own where callers are asked who they are.
    "edge": {"REST_ADDR": 24000, "GRPC_ADDR": 24051, "METRICS_ADDR": 24052},
}
# Those of the edge that are for people.
PUBLIC = {24000, 24051}
# Whom the edge calls, by the variable that says where it is.
CALLS = {"QUEUE_URL": "queue-svc", "BOOKING_URL": "booking-svc", "WALLET_URL": "wallet-svc"}
# Each program with the folder that `boxoffice keys` makes for it.
FOLDERS = {"queue-svc": "queue", "booking-svc": "booking", "wallet-svc": "wallet", "edge": "edge"}
NAMES = (*PORTS, "boxoffice")
# Not a flag, but every `--help` names it, and every program reads it.
LOGGING = "RUST_LOG"
# Ten times what is usual: no check depends on how fast this machine is.
STARTS_WITHIN = 300
ENDS_WITHIN = 200


def probes(name):
    """The port of a program where its probes and metrics are, by plain HTTP."""
    return PORTS[name].get("HTTP_ADDR") or PORTS[name]["METRICS_ADDR"]


class Program:
    def __init__(self, folder, name):
        self.name = name
        self.path = pathlib.Path(folder).resolve() / name
        text = subprocess.run([self.path, "--help"], env={}, check=True, capture_output=True, text=True, timeout=STARTS_WITHIN).stdout
        # One block a flag, with its variable, its default and its possible values below it.
        self.defaults, self.values = {}, {}
        for block in re.split(r"\n(?=\s+(?:-\w, )?--)", text):
            if variable := re.search(r"\[env: (\w+)", block):
                default = re.search(r"\[default: (.*)\]", block)
                self.defaults[variable[1]] = default[1] if default else None
                self.values[variable[1]] = re.findall(r"^\s+- ([\w-]+):", block, re.M)
        self.settings = set(self.defaults) | ({LOGGING} if LOGGING in text else set())

    def port(self, variable):
        """The port that it listens on by default, if it does."""
        return int(self.defaults[variable].rsplit(":", 1)[1]) if self.defaults[variable] else None


def migrates(program, given):
    """Runs it as a migration Job does, twice, on a file of its own. Yields what went wrong."""
    with tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder, "url").write_text(f"sqlite:{folder}/rows.db\n")
        settings = {variable: f"{folder}/url" if variable == "DATABASE_URL_FILE" else value for variable, value in given.items()}
        for _ in range(2):
            run = subprocess.run(
                [program.path, "--migrate-only"], env=settings, cwd=folder, capture_output=True, text=True, timeout=STARTS_WITHIN,
            )
            if run.returncode != 0:
                yield f"{program.name} --migrate-only ends with {run.returncode}: {run.stderr[-2000:]}"
        if not pathlib.Path(folder, "rows.db").exists():
            yield f"{program.name} --migrate-only migrates nothing"


def get(url):
    try:
        with urllib.request.urlopen(url, timeout=50) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError as error:
        return error


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]
