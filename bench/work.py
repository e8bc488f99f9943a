"""The works: what is moved, one client once, and whether the right bytes came."""
import dataclasses
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import tempfile

import clients
from clients import BUCKET, HERE, PYTHON
from cost import MIB, Void, measured
from server import Link, Server, cpu_seconds

# How many files of how many bytes each.
WORK = {"one": (1, 1024 * MIB), "middle": (200, 8 * MIB), "small": (10_000, 4096), "quarter": (1, 256 * MIB)}
ALL = [f"{work}-{way}" for work in ("one", "middle", "small") for way in ("up", "down")]


@dataclasses.dataclass
class Result:
    wall: float
    cpu: float
    peak: float
    requests: int
    # Requests that stored bytes and named no checksum of them.
    bare: int
    # What the link took of a CPU meanwhile.
    link: float


def make(work, directory):
    """What is uploaded: bytes that do not compress, the same in each run."""
    count, size = WORK[work]
    block = b"".join(hashlib.sha256(n.to_bytes(8, "big")).digest() for n in range(32_768 + 7))
    path = directory / work
    path.mkdir()
    for n in range(count):
        start = n * 97 % len(block)
        with open(path / f"{n:05}", "wb") as file:
            left, piece = size, block[start:] + block[:start]
            while left > 0:
                file.write(piece[:left])
                left -= len(piece)


def sums(path):
    files = [path] if path.is_file() else sorted(path.iterdir())
    result = []
    for name in files:
        with open(name, "rb") as file:
            result.append(hashlib.file_digest(file, "sha256").hexdigest())
    return result


def uploaded(server, prefix, one):
    """The same of what the server has, asked by somebody else."""
    told = subprocess.run(
        [PYTHON, HERE / "objects.py", BUCKET, prefix, "one" if one else "many"],
        env=clients.environment(server, "/nonexistent"), check=True, capture_output=True)
    return list(json.loads(told.stdout).values())


def without_checksum(requests):
    stored = [it for it in requests if it["operation"] in ("PutObject", "UploadPart") and it["status"] == 200]
    named = lambda name: name == "content-md5" or name.startswith("x-amz-checksum-") or name == "x-amz-trailer"
    return sum(1 for it in stored if not any(named(name) for name in it["headers"]))


class Files:
    """Where sources and targets are, made when they are first wanted."""

    def __init__(self, parent, on_disk):
        self.path, self.on_disk = pathlib.Path(tempfile.mkdtemp(prefix="towline-bench-", dir=parent)), on_disk
        self.right = {}

    def source(self, work):
        if work not in self.right:
            make(work, self.path)
            self.right[work] = sums(self.path / work)
        return self.path / work / "00000" if WORK[work][0] == 1 else self.path / work

    def remove(self):
        shutil.rmtree(self.path, ignore_errors=True)


def measure(asked, files, state, client, work, way):
    """One client once, with a server, a link and a home of its own."""
    one, source, target = WORK[work][0] == 1, files.source(work), files.path / "target"
    url = f"s3://{BUCKET}/{work}"
    server, link, home = Server(asked.tls), None, tempfile.mkdtemp(prefix="towline-bench-home-", dir=state)
    try:
        if way == "down":
            fill = clients.command("towline", "up", one, str(source), url)
            measured(fill, clients.environment(server, home))
            shutil.rmtree(home)
            os.mkdir(home)
            if not one:
                target.mkdir()
        before = len(server.history())
        if asked.round_trip or asked.mbit:
            link = Link(server, asked.round_trip, asked.mbit)
        if files.on_disk:
            # What came before is not to be written meanwhile.
            os.sync()
        command = clients.command(client, way, one, str(source if way == "up" else target), url)
        wall, cpu, peak = measured(command, clients.environment(link or server, home), asked.memory)
        requests = server.history()[before:]
        found = uploaded(server, work, one) if way == "up" else sums(target)
        if found != files.right[work]:
            raise Void("what arrived is not what it was")
        share = cpu_seconds(link.process) / wall if link else 0
        return Result(wall, cpu, peak, len(requests), without_checksum(requests), share)
    finally:
        if link:
            link.stop()
        server.stop()
        shutil.rmtree(home, ignore_errors=True)
        if target.is_dir():
            shutil.rmtree(target)
        else:
            target.unlink(missing_ok=True)
