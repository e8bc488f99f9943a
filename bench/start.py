"""--start: how long a command takes that has next to nothing to do, beside what the network and the disk take of it."""
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import tempfile
import time

import clients
from clients import BUCKET, HERE, PYTHON
from cost import Machine
from server import Server
from work import sums, uploaded

VERSION_MS = 10
UPLOAD_MS, UPLOAD_SYNCS = 10, 3


def run(asked):
    rounds = asked.n or 21
    machine, server = Machine(), Server(asked.tls)
    place = pathlib.Path(tempfile.mkdtemp(prefix="towline-bench-", dir=asked.state))
    try:
        syncs, puts = synced(place), bare_puts(server)
        rows = take_turns(asked, rounds, server, place)
    finally:
        server.stop()
        shutil.rmtree(place, ignore_errors=True)
    sync, put = statistics.median(syncs), statistics.median(puts)
    upload_bar = put + UPLOAD_MS + UPLOAD_SYNCS * sync
    print(f"\nMilliseconds from the start of a process to its end, medians of {rounds}, spread in brackets"
          f"{', over TLS' if asked.tls else ''}.\n\n| what | ms | bar |\n|---|---|---|")
    tell("4 KiB written and synced (fdatasync), 100 of them", syncs)
    tell("a PUT of 1 byte on an open connection, 100 of them", puts)
    tell("a process that does nothing", rows.pop("nothing"))
    for (client, what), took in rows.items():
        bar = VERSION_MS if what == "--version" else upload_bar
        tell(f"{client}: {what}", took, bar if client == "towline" else None)
    print(f"\n{machine.told()}")


def tell(what, took, bar=None):
    median = statistics.median(took)
    verdict = "" if bar is None else f"{bar:.2f}: " + ("kept" if median <= bar else f"MISSED by {median - bar:.2f}")
    print(f"| {what} | {median:.2f} ({min(took):.2f} to {max(took):.2f}) | {verdict} |")


def take_turns(asked, rounds, server, place):
    byte, known, rows = place / "byte", place / "known", {}
    byte.write_bytes(b"x")
    uploads = 0

    def upload(client, home, what):
        nonlocal uploads
        command = clients.command(client, "up", True, str(byte), f"s3://{BUCKET}/start/{uploads:05}")
        rows.setdefault((client, what), []).append(timed(command, clients.environment(server, home)))
        uploads += 1

    for turn in range(rounds):
        rows.setdefault("nothing", []).append(timed(["/bin/true"], {}))
        first = turn % len(asked.clients)
        for client in asked.clients[first:] + asked.clients[:first]:
            what, command = clients.idle_command(client)
            rows.setdefault((client, what), []).append(timed(command, clients.environment(server, place)))
            home = place / "home"
            home.mkdir()
            upload(client, home, "1 byte up, a new home")
            shutil.rmtree(home)
            if client == "towline":
                if turn == 0:
                    known.mkdir()
                    timed(clients.command(client, "up", True, str(byte), f"s3://{BUCKET}/first"),
                          clients.environment(server, known))
                upload(client, known, "1 byte up, a home that it knows")
    if uploaded(server, "start", False) != sums(byte) * uploads:
        raise SystemExit("what arrived is not what it was")
    return rows


def timed(command, env):
    """Milliseconds, without anything that looks on meanwhile."""
    command = [str(word) for word in command]
    quiet = [(os.POSIX_SPAWN_OPEN, to, "/dev/null", os.O_WRONLY, 0) for to in (1, 2)]
    begun = time.perf_counter()
    _, status = os.waitpid(os.posix_spawn(command[0], command, env, file_actions=quiet), 0)
    took = time.perf_counter() - begun
    if status != 0:
        raise SystemExit(f"{' '.join(command)} ended with {os.waitstatus_to_exitcode(status)}")
    return took * 1000


def synced(place):
    """Milliseconds of 100 writes of 4 KiB at the end of a file, each with fdatasync."""
    took, block = [], os.urandom(4096)
    with open(place / "synced", "wb", buffering=0) as file:
        for _ in range(100):
            begun = time.perf_counter()
            file.write(block)
            os.fdatasync(file.fileno())
            took.append((time.perf_counter() - begun) * 1000)
    return took


def bare_puts(server):
    told = subprocess.run([PYTHON, HERE / "bare_put.py", BUCKET, "bare"],
                          env=clients.environment(server, "/nonexistent"), check=True, stdout=subprocess.PIPE)
    return [seconds * 1000 for seconds in json.loads(told.stdout)]
