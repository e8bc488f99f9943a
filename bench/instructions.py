#!/usr/bin/env python3
"""Counts the instructions of what is hot, and compares them with those on record in bench/instructions.txt.

    bench/instructions.py                       all; fails where one is off by more than 10 %
    bench/instructions.py put-4-kib sign-a-url  some
    bench/instructions.py --record WHY [NAME…]  puts what is off (or NAME) on record, with the reason

What is counted is in crates/towline-bench. Each runs twice under Valgrind, with more repetitions the
second time, and the difference is theirs alone: start-up, preparation and a first time that fills caches fall
out. All threads count, the kernel does not. Why so: docs/decisions/0016-instruction-counts.md.
"""
import argparse
import concurrent.futures
import json
import os
import pathlib
import platform
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
RECORD = HERE / "instructions.txt"
LIMIT = 0.10
# Repetitions of the first run, and instructions that the further ones of the second make up, so that what
# differs between two starts is nothing to them.
FIRST = 2
ENOUGH = 40_000_000


def build():
    """The benchmarks, with the features that the tests were built with, so that little is built anew."""
    command = ["cargo", "build", "--release", "--workspace", "--bench", "micro", "--message-format=json"]
    built = subprocess.run(command, cwd=HERE.parent, stdout=subprocess.PIPE, text=True, check=True)
    messages = map(json.loads, built.stdout.splitlines())
    binary = next(m["executable"] for m in messages if m.get("target", {}).get("name") == "micro")
    return pathlib.Path(binary)


def instructions(binary, name, times, out):
    """How many a whole run takes."""
    command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", binary, "count", name, str(times)]
    ran = subprocess.run(command, capture_output=True, text=True)
    found = re.search(r"Collected : (\d+)", ran.stderr)
    if ran.returncode or not found:
        sys.exit(f"{name} does not run under Valgrind:\n{ran.stderr}")
    return int(found[1])


def count(binary, name, recorded, out):
    """How many one repetition takes."""
    first = instructions(binary, name, FIRST, out)
    about = recorded or max(1, (instructions(binary, name, FIRST + 4, out) - first) // 4)
    more = max(4, ENOUGH // about)
    return (instructions(binary, name, FIRST + more, out) - first) // more


def tools():
    said = [subprocess.check_output([tool, "--version"], text=True).split("(")[0].strip() for tool in ("rustc", "valgrind")]
    return ", ".join([*said, platform.machine()])


def read():
    """What is on record: counts and reasons by name, and with which tools they were counted."""
    lines = RECORD.read_text().splitlines() if RECORD.exists() else []
    with_tools = next((line.removeprefix("# With ") for line in lines if line.startswith("# With ")), "")
    entries = (line.split(maxsplit=2) for line in lines if line and not line.startswith("#"))
    return {name: (int(number), why) for name, number, why in entries}, with_tools


def write(entries):
    header = "# Instructions of one repetition, and why they are what they are. Written by bench/instructions.py --record.\n"
    lines = (f"{name:26}{number:>12}  {why}\n" for name, (number, why) in entries.items())
    RECORD.write_text(header + f"# With {tools()}\n" + "".join(lines))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--record", metavar="WHY")
    asked = parser.parse_args()

    binary = build()
    names = subprocess.check_output([binary, "names"], text=True).split()
    unknown = set(asked.names) - set(names)
    if unknown:
        sys.exit(f"not measured: {', '.join(unknown)}; there are {', '.join(names)}")
    recorded, with_tools = read()
    outs = binary.parents[2] / "instructions"
    outs.mkdir(exist_ok=True)

    def one(name):
        return count(binary, name, recorded.get(name, (0, ""))[0], outs / name)

    wanted = asked.names or names
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        counts = dict(zip(wanted, pool.map(one, wanted)))

    off = {}
    for name, now in counts.items():
        was = recorded.get(name, (0, ""))[0]
        change = (now - was) / was if was else None
        told = f"{was:>12,}{change:>+8.1%}" if was else "  none on record"
        print(f"{name:26}{now:>12,}{told}")
        if change is None or abs(change) > LIMIT:
            off[name] = change

    if asked.record:
        taken = asked.names or off
        recorded |= {name: (counts[name], asked.record) for name in taken}
        write({name: recorded[name] for name in names if name in recorded})
        print(f"on record now, because {asked.record}: {', '.join(taken) or 'nothing, all are as they were'}")
        return
    for name, change in off.items():
        tell(name, recorded, counts[name], change, outs)
    if off:
        if tools() != with_tools:
            print(f"\nCounted here with {tools()}; those on record with {with_tools}.")
        print("\nWhat grew without need is to be mended. What has a reason goes on record with it, and into the commit:")
        print("    bench/instructions.py --record 'why it is so'")
        sys.exit(1)


def tell(name, recorded, now, change, outs):
    if change is None:
        return print(f"\n{name} has no count on record; it takes {now:,} instructions.")
    was, why = recorded[name]
    print(f"\n{name} takes {abs(change):.1%} {'more' if change > 0 else 'fewer'} instructions: {now:,}, on record {was:,} ({why}).")
    if change > 0:
        print(f"Where they go: callgrind_annotate {outs / name} | head -50")
    else:
        print("Put it on record, so that it is not lost again unseen.")


if __name__ == "__main__":
    main()
