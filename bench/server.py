"""The S3 server of the tests and the link before it, each in a process of its own."""
import json
import os
import pathlib
import shutil
import ssl
import subprocess
import tempfile
import urllib.request

from clients import BUCKET, HERE, PYTHON, TARGET


class Server:
    """It checks every signature and every checksum that it is sent, and keeps what it has in memory."""

    def __init__(self, tls=False):
        self.certificates, self.authority, told = None, None, []
        if tls:
            self.certificates = pathlib.Path(tempfile.mkdtemp(prefix="towline-bench-tls-"))
            subprocess.run([PYTHON, HERE / "certificate.py", self.certificates], check=True)
            self.authority, told = self.certificates / "ca.pem", ["--tls", self.certificates]
        self.process = spawn("towline-testserver", "--bucket", BUCKET, *told)
        self.endpoint = listening(self.process)

    def history(self):
        """Every request so far."""
        trust = ssl.create_default_context(cafile=self.authority) if self.authority else None
        with urllib.request.urlopen(self.endpoint + "/_towline/history", context=trust) as answer:
            return json.load(answer)

    def stop(self):
        stop(self.process)
        if self.certificates:
            shutil.rmtree(self.certificates)


class Link:
    """A way to the server: its delay in ms both ways together, and its rate in Mbit/s each way, 0 for no limit."""

    def __init__(self, server, round_trip, mbit):
        scheme, address = server.endpoint.split("://")
        self.process = spawn("towline-link", "--to", address, "--round-trip", round_trip, "--up", mbit, "--down", mbit)
        self.endpoint, self.authority = f"{scheme}://{listening(self.process)}", server.authority

    def stop(self):
        stop(self.process)


def spawn(name, *told):
    return subprocess.Popen([TARGET / "release" / name, *map(str, told)], stdout=subprocess.PIPE, text=True)


def listening(process):
    line = process.stdout.readline()
    if not line:
        raise SystemExit(f"{process.args[0]} did not start")
    return line.strip().removeprefix("listening on ")


def stop(process):
    process.terminate()
    process.wait()
    process.stdout.close()


def cpu_seconds(process):
    """What a running process has used so far."""
    fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
