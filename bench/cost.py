"""What a command costs, and how quiet the machine is meanwhile."""
import os
import pathlib
import resource
import select
import subprocess
import tempfile
import time

MIB = 1 << 20


class Void(Exception):
    """A run that counts for nothing, and why."""


def measured(command, env, memory=0):
    """Wall and CPU seconds and the largest memory in MiB of a command; `memory` MiB are all that it may have."""
    group = memory_group(memory) if memory else None
    join = (lambda: (group / "cgroup.procs").write_text(str(os.getpid()))) if group else None
    with tempfile.TemporaryFile() as said:
        begun = time.monotonic()
        process = subprocess.Popen([str(word) for word in command], env=env, preexec_fn=join,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=said)
        ends, peak = os.pidfd_open(process.pid), 0
        while not select.select([ends], [], [], 0.01)[0]:
            peak = max(peak, high_water(process.pid))
        wall = time.monotonic() - begun
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        os.close(ends)
        if group:
            group.rmdir()
        if process.returncode != 0:
            said.seek(0)
            raise Void(f"ended with {process.returncode}: {said.read().decode(errors='replace')[-500:].strip()}")
    return wall, used.ru_utime + used.ru_stime, peak / 1024


def high_water(pid):
    """In KiB. What rusage calls the largest is that of this process too, before the command was in its place."""
    try:
        lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    except ProcessLookupError:
        return 0
    return max((int(line.split()[1]) for line in lines if line.startswith("VmHWM")), default=0)


def memory_group(memory):
    group = pathlib.Path(f"/sys/fs/cgroup/memory/towline-bench-{os.getpid()}")
    unified = not group.parent.exists()
    if unified:
        group = pathlib.Path(f"/sys/fs/cgroup/towline-bench-{os.getpid()}")
    group.mkdir()
    (group / ("memory.max" if unified else "memory.limit_in_bytes")).write_text(str(memory * MIB))
    return group


class Machine:
    """How busy the machine was with other things since this was made. After the first work, the load is ours too."""

    def __init__(self, first=True):
        self.first = first
        self.load, self.busy, self.own, self.since = os.getloadavg()[0], all_cpu(), own_cpu(), time.monotonic()

    def told(self):
        others = all_cpu() - self.busy - (own_cpu() - self.own)
        others = max(others, 0) / (time.monotonic() - self.since)
        quiet = others <= 0.1 and (self.load <= 0.5 or not self.first)
        return (f"load {self.load:.2f} at the begin, {os.getloadavg()[0]:.2f} at the end, others took {others:.2f} of "
                f"{os.cpu_count()} CPUs" + ("" if quiet else ": THE MACHINE WAS NOT QUIET"))


def all_cpu():
    # Without interrupts, which are nobody's: those of the loopback are ours.
    user, nice, system, *_ = map(int, pathlib.Path("/proc/stat").read_text().splitlines()[0].split()[1:])
    return (user + nice + system) / os.sysconf("SC_CLK_TCK")


def own_cpu():
    """Of this process and of all that it has waited for."""
    return sum(used.ru_utime + used.ru_stime
               for used in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)))
