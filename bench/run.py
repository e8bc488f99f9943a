#!/usr/bin/env python3
"""Measures Towline beside other S3 clients: whole processes, taking turns, in one run.

    bench/run.py                                   everything, 5 rounds
    bench/run.py --work small-up,one-down -n 3     some of it
    bench/run.py --tls                             over TLS
    bench/run.py --disk                            and a second row of each with the files on the disk
    bench/run.py --work quarter-up,quarter-down --round-trip 40 --mbit 200    over a long way
    bench/run.py --memory 64                       each client in a cgroup of 64 MiB
    bench/run.py --clients towline,s5cmd
    bench/run.py --start                           how long a command takes that has next to nothing to do
    bench/run.py --linear                          what a byte and an object cost where there are many
    bench/run.py --sparse 100                      the memory that a file of 100 GiB takes

It builds Towline and its S3 test server, and installs the others from PyPI beside the build output. The
server checks every signature and every checksum that it is sent; it runs on the same machine, so the CPU
time of the clients decides, and wall time is what is left of the machine. Each upload is compared with
what the server has, each download with what it was made of; a wrong byte voids all that its client did.
"""
import argparse
import pathlib
import resource
import signal
import statistics
import sys

import clients
import linear
import start
from cost import Machine, Void
from work import ALL, WORK, Files, measure


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", default=",".join(ALL), help=f"of {', '.join(WORK)}, each -up or -down")
    parser.add_argument("--clients", default=",".join(clients.CLIENTS))
    parser.add_argument("-n", type=int, help="rounds [default: 5; 21 of --start, 3 of --linear]")
    parser.add_argument("--tls", action="store_true")
    parser.add_argument("--disk", action="store_true")
    parser.add_argument("--round-trip", type=int, default=0, metavar="MS")
    parser.add_argument("--mbit", type=int, default=0, help="of the way, each direction")
    parser.add_argument("--memory", type=int, default=0, metavar="MIB")
    parser.add_argument("--state", default=None, metavar="DIR", help="home of the clients [default: the disk of the cache]")
    parser.add_argument("--start", action="store_true")
    parser.add_argument("--linear", action="store_true")
    parser.add_argument("--sizes", default="1,16", help="GiB of a file for --linear, the first one is compared with")
    parser.add_argument("--counts", default="10000,1000000", help="objects for --linear, the first one is compared with")
    parser.add_argument("--sparse", type=int, metavar="GIB")
    asked = parser.parse_args()
    known = {f"{work}-{way}" for work in WORK for way in ("up", "down")}
    for what, names, there_are in (("work", asked.work, known), ("client", asked.clients, clients.CLIENTS)):
        for name in names.split(","):
            if name not in there_are:
                parser.error(f"there is no {what} {name!r}: {', '.join(sorted(there_are))}")
    asked.clients, asked.state = asked.clients.split(","), pathlib.Path(asked.state or clients.CACHE)
    clients.set_up()
    if asked.start:
        start.run(asked)
    elif asked.linear:
        linear.run(asked)
    elif asked.sparse:
        linear.run_sparse(asked)
    else:
        return run(asked)


def run(asked):
    """Whether every byte was right."""
    asked.n = asked.n or 5
    # What is written to a file system in memory counts as memory of who writes it.
    places = [] if asked.memory else [Files("/dev/shm", False)]
    if asked.disk or asked.memory:
        places.append(Files(asked.state, True))
    results, voids, notes = {}, {}, []
    try:
        for name in asked.work.split(","):
            for files in places:
                work, way = name.rsplit("-", 1)
                row = name + (", disk" if files.on_disk else "")
                files.source(work)
                machine = Machine(first=not notes)
                take_turns(asked, files, row, work, way, results, voids)
                notes.append(f"{row}: {machine.told()}")
                print(notes[-1], flush=True)
    finally:
        for files in places:
            files.remove()
    print_table(asked, results, voids)
    print("\n" + "\n".join(notes))
    return not voids


def take_turns(asked, files, row, work, way, results, voids):
    for turn in range(asked.n):
        # In another order each time, so that what disturbs disturbs all.
        first = turn % len(asked.clients)
        for client in asked.clients[first:] + asked.clients[:first]:
            if (row, client) in voids:
                continue
            try:
                result = measure(asked, files, asked.state, client, work, way)
            except Void as void:
                results.setdefault((row, client), [])
                voids[row, client] = void
                print(f"{row:18} {client:8} VOID: {void}", flush=True)
                continue
            results.setdefault((row, client), []).append(result)
            link = f", link {result.link:.2f} CPUs" if result.link else ""
            print(f"{row:18} {client:8} {result.wall:7.2f} s wall {result.cpu:7.2f} s CPU {result.peak:6.0f} MiB "
                  f"{result.requests:6} requests, {result.bare} without a checksum{link}", flush=True)


def print_table(asked, results, voids):
    print(f"\nMedians of {asked.n}, spread in brackets" + (", over TLS" if asked.tls else "") + ".\n")
    limited = asked.mbit > 0
    columns = "| work | client | CPU s | wall s | peak MiB | requests | without a checksum |"
    print(columns + (" wall of the limit |" if limited else ""))
    print("|---|---|---|---|---|---|---|" + ("---|" if limited else ""))
    for (row, client), rows in results.items():
        if (row, client) in voids:
            print(f"| {row} | {client} | void: {str(voids[row, client]).splitlines()[0]} |")
            continue
        spread = lambda of: f"{statistics.median(of):.2f} ({min(of):.2f} to {max(of):.2f})"
        median = lambda of: f"{statistics.median(of):.0f}"
        cells = [row, client, spread([it.cpu for it in rows]), spread([it.wall for it in rows]),
                 median([it.peak for it in rows]), median([it.requests for it in rows]), str(max(it.bare for it in rows))]
        if limited:
            count, size = WORK[row.split("-")[0]]
            least = count * size / (asked.mbit * 125_000)
            cells.append(f"{statistics.median(it.wall for it in rows) / least:.3f} of {least:.2f} s")
        print("| " + " | ".join(cells) + " |")


if __name__ == "__main__":
    # No core of a client that aborts.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # What was made is removed then too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    sys.exit(main() is False)
