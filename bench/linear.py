"""--linear and --sparse: what a byte and an object cost where there are many, and the memory that a long file takes.

Long files are sparse, with their own place written at the begin of each GiB. They lie in memory, where a hole takes
no page however often it is read: one of 16 GiB on a disk would fill as much memory, and on a machine that gives freed
memory back to its host, to fill a page for the first time costs more than to send it. What comes down lies on the
disk. The server has one piece of zeros for all zeros, and checks every checksum that it is sent.
"""
import hashlib
import json
import pathlib
import shutil
import statistics
import subprocess
import tempfile

import clients
from clients import BUCKET, HERE, PYTHON
from cost import Machine, Void, measured
from server import Server
from work import sums, without_checksum

GIB = 1 << 30
SPARSE_MIB = 64
# Of a small object. Where there is a million of them, the server has them all.
SMALL = 256


def run(asked):
    place = pathlib.Path(tempfile.mkdtemp(prefix="towline-bench-", dir=asked.state))
    rounds, rows, machine = asked.n or 3, {}, Machine()

    def keep(client, unit, case, units, cost):
        rows.setdefault((client, unit), {}).setdefault(case, []).append((units, cost))

    try:
        for client in asked.clients * rounds:
            for size in map(int, asked.sizes.split(",")):
                for way, cost in long_file(asked, place, client, size).items():
                    keep(client, f"{way}, a GiB", f"{size} GiB", size, cost)
            for count in map(int, asked.counts.split(",")):
                keep(client, "up, 1,000 objects", f"{count:,} objects", count / 1000, many(asked, place, client, count))
    except Void as void:
        raise SystemExit(f"void: {void}")
    finally:
        shutil.rmtree(place, ignore_errors=True)
    print(f"\nMedians of {rounds}{', over TLS' if asked.tls else ''}.\n")
    print("| client | of what | in | CPU s each | times the first | wall s | peak MiB |\n|---|---|---|---|---|---|---|")
    for (client, unit), cases in rows.items():
        first = None
        for case, costs in cases.items():
            each = statistics.median(cpu / units for units, (_, cpu, _) in costs)
            first = first or each
            wall, peak = (statistics.median(cost[at] for _, cost in costs) for at in (0, 2))
            print(f"| {client} | {unit} | {case} | {each:.3f} | {each / first:.2f} | {wall:.2f} | {peak:.0f} |")
    print(f"\n{machine.told()}")


def run_sparse(asked):
    place, machine = pathlib.Path(tempfile.mkdtemp(prefix="towline-bench-", dir=asked.state)), Machine()
    try:
        for client in asked.clients:
            _, _, peak = long_file(asked, place, client, asked.sparse, ways=["up"])["up"]
            verdict = "kept" if peak <= SPARSE_MIB else f"MISSED by {peak - SPARSE_MIB:.0f}"
            bar = f" ({SPARSE_MIB} MiB: {verdict})" if client == "towline" else ""
            print(f"{client}: {asked.sparse} GiB up, {peak:.1f} MiB at the peak{bar}")
    except Void as void:
        raise SystemExit(f"void: {void}")
    finally:
        shutil.rmtree(place, ignore_errors=True)
    print(machine.told())


def long_file(asked, place, client, size, ways=("up", "down")):
    """The cost of each way of one file of so many GiB."""
    memory = pathlib.Path(tempfile.mkdtemp(prefix="towline-bench-", dir="/dev/shm"))
    source, target, url = memory / "long", place / "target", f"s3://{BUCKET}/long"
    with open(source, "wb") as file:
        file.truncate(size * GIB)
        for at in range(size):
            file.seek(at * GIB)
            file.write(mark(at))
    server, costs = Server(asked.tls), {}
    try:
        for way in ways:
            command = clients.command(client, way, True, str(source if way == "up" else target), url)
            costs[way] = in_new_home(asked, place, client, server, command)
            tell(client, f"{size} GiB {way}", costs[way])
        told = asked_of(server, "long", "marks")
        if told != [size * GIB, *(mark(at).hex() for at in range(size))]:
            raise Void(f"{client}: what arrived is not what it was")
        if bare := without_checksum(server.history()):
            print(f"{client}: {bare} requests without a checksum")
        if "down" in ways and sums(source) != sums(target):
            raise Void(f"{client}: what came down is not what it was")
        return costs
    finally:
        server.stop()
        target.unlink(missing_ok=True)
        shutil.rmtree(memory)


def many(asked, place, client, count):
    """The cost of so many small objects. They are a hundred files by many names, so that they take no room."""
    contents, source = place / "contents", place / "many"
    contents.mkdir()
    source.mkdir()
    for n in range(count):
        content = contents / str(n % 100)
        if n < 100:
            content.write_bytes(hashlib.sha256(str(n).encode()).digest() * (SMALL // 32))
        (source / f"{n:07}").hardlink_to(content)
    tags = [hashlib.md5((contents / str(n)).read_bytes()).hexdigest() for n in range(min(count, 100))]
    right = {f"{n:07}": tags[n % 100] for n in range(count)}
    server = Server(asked.tls)
    try:
        command = clients.command(client, "up", False, str(source), f"s3://{BUCKET}/many")
        cost = in_new_home(asked, place, client, server, command)
        tell(client, f"{count:,} objects up", cost)
        if asked_of(server, "many", "tags") != right:
            raise Void(f"{client}: what arrived is not what it was")
        return cost
    finally:
        server.stop()
        shutil.rmtree(source)
        shutil.rmtree(contents)


def in_new_home(asked, place, client, server, command):
    home = place / "home"
    home.mkdir()
    try:
        return measured(command, clients.environment(server, home), asked.memory)
    except Void as void:
        raise Void(f"{client} {void}")
    finally:
        shutil.rmtree(home)


def tell(client, what, cost):
    wall, cpu, peak = cost
    print(f"{client:8} {what}: {wall:.2f} s wall, {cpu:.2f} s CPU, {peak:.0f} MiB", flush=True)


def asked_of(server, key, what):
    told = subprocess.run([PYTHON, HERE / "objects.py", BUCKET, key, what],
                          env=clients.environment(server, "/nonexistent"), check=True, stdout=subprocess.PIPE)
    return json.loads(told.stdout)


def mark(at):
    return f"{at:08}".encode()
