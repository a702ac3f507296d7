"""The programs as they are built: their settings, as `--help` tells them, and whether they start with those of a manifest."""
import contextlib
import pathlib
import re
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

# The ports of the contract. A program that listens elsewhere by default has broken it.
PORTS = {
    "queue-svc": {"ADDR": 24031, "HTTP_ADDR": 24032},
    "booking-svc": {"ADDR": 24071, "HTTP_ADDR": 24072},
    "wallet-svc": {"ADDR": 24081, "HTTP_ADDR": 24082},
    "edge": {"REST_ADDR": 24000, "GRPC_ADDR": 24051},
}
NAMES = (*PORTS, "boxoffice")
# Not a flag, but every `--help` names it, and every program reads it.
LOGGING = "RUST_LOG"
# Ten times what is usual: no check depends on how fast this machine is.
STARTS_WITHIN = 300
ENDS_WITHIN = 200


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

    @contextlib.contextmanager
    def running(self, settings=None):
        """Runs it with these settings, but on addresses of its own and with rows in a file; hands out where its HTTP side is. It must end
        with 0 when it is told to."""
        with tempfile.TemporaryDirectory() as folder:
            addresses = {variable: f"127.0.0.1:{free_port()}" for variable in self.defaults if variable.endswith("ADDR")}
            http = addresses.get("HTTP_ADDR") or addresses["REST_ADDR"]
            rows = {"DATA_DIR": folder} if self.name == "boxoffice" else {"DATABASE_URL": f"sqlite:{folder}/rows.db"}
            with open(f"{folder}/log", "w+") as log:
                run = subprocess.Popen([self.path], env={**(settings or {}), **addresses, **rows}, cwd=folder, stdout=log, stderr=log)
                try:
                    until = time.monotonic() + STARTS_WITHIN
                    while get(f"http://{http}/readyz") != 200 and run.poll() is None and time.monotonic() < until:
                        time.sleep(0.05)
                    yield http
                    run.send_signal(signal.SIGTERM)
                    run.wait(timeout=ENDS_WITHIN)
                except subprocess.TimeoutExpired:
                    pass
                finally:
                    run.kill()
                    run.wait()
                if run.returncode != 0:
                    log.seek(0)
                    raise RuntimeError(f"{self.name} ends with {run.returncode}, given {settings}: {log.read()[-2000:]}")

    def port(self, variable):
        return int(self.defaults[variable].rsplit(":", 1)[1])


def migrates(program):
    """Runs it as a migration Job does, twice, on a file of its own. Yields what went wrong."""
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(2):
            run = subprocess.run(
                [program.path, "--migrate-only"],
                env={"DATABASE_URL": f"sqlite:{folder}/rows.db"}, cwd=folder, capture_output=True, text=True, timeout=STARTS_WITHIN,
            )
            if run.returncode != 0:
                yield f"{program.name} --migrate-only ends with {run.returncode}: {run.stderr[-2000:]}"
        if not pathlib.Path(folder, "rows.db").exists():
            yield f"{program.name} --migrate-only migrates nothing"


def start_and_end(program, settings, paths):
    """Starts a program with these settings, asks for the paths of its HTTP side, ends it as Kubernetes does. Yields what went wrong."""
    wrong = []
    try:
        with program.running(settings) as address:
            answers = {path: get(f"http://{address}{path}") for path in sorted(paths)}
        wrong = [f"{program.name} answers {path} with {answer}" for path, answer in answers.items() if answer != 200]
    except RuntimeError as error:
        wrong = [str(error)]
    return wrong


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
