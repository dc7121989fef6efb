"""Ganeti's htools as they are installed: hbal plans, hbal scores, hspace counts what still fits.

hbal is given the file of dynamic use, so that its score has CPU and memory loads in it. Its moves
are read from what it prints while it goes, on a terminal of its own (into a pipe it would print
only at the end): a run that is stopped at its limit still says what it had decided.
"""

import os
import pty
import re
import subprocess
import tempfile
import time

from peers import ganeti
from peers.measure import Answer

MOVE = re.compile(r"^\s*\d+\. (\S+)\s+(\S+)\s+=>\s+(\S+)\s+(-?[0-9.]+) a=")
SCORE = re.compile(r"^Initial (?:score|coefficients: overall):? ([0-9.]+)", re.MULTILINE)
IMPROVED = re.compile(r"^Cluster score improved from ([0-9.]+) to ([0-9.]+)", re.MULTILINE)
# A score below this is good enough at once: hbal prints what it read and tries nothing.
ANY_SCORE = "1e9"
STOP_SECONDS = 5


class HbalError(RuntimeError):
    """A tool is not installed or did not understand the cluster."""


def moves(printed):
    """The moves in hbal's output, in order: guest, target, score afterwards."""
    found = []
    for line in printed.splitlines():
        match = MOVE.match(line)
        if match:
            target = match[3].split(":")[0]
            found.append((match[1], target, float(match[4])))
    return found


def plan(cluster, limit_seconds=300.0, moves_max=None, options=()):
    """Balances (or, where hosts must be emptied, evacuates) until hbal ends or its time is over."""
    with tempfile.TemporaryDirectory(prefix="peers-") as folder:
        text, use = ganeti.write(cluster, os.path.join(folder, "cluster.txt"))
        command = ["hbal", "-t", str(text), "-U", str(use), *options]
        command += ["-E"] if cluster.drain else []
        command += ["-l", str(moves_max)] if moves_max is not None else []
        printed, ended = _run_on_terminal(command, limit_seconds)
    first, steps = SCORE.search(printed), moves(printed)
    if first is None:
        raise HbalError(f"hbal read no cluster: {printed.strip()[-300:]}")
    placement = cluster.placement()
    for vm, target, _ in steps:
        placement[vm] = target
    improved = IMPROVED.search(printed)
    last = steps[-1][2] if steps else float(first[1])
    figures = {
        "status": "ended" if ended else "stopped",
        "steps": len(steps),
        "score_before": float(first[1]),
        "score_after": float(improved[2]) if improved else last,
    }
    return Answer(placement, figures)


def score(cluster, placement):
    """hbal's own score of any placement; 0 is perfect balance."""
    with tempfile.TemporaryDirectory(prefix="peers-") as folder:
        text, use = ganeti.write(cluster, os.path.join(folder, "cluster.txt"), placement)
        command = ["hbal", "-t", str(text), "-U", str(use), "-l", "0", "-e", ANY_SCORE]
        printed = _output(command, None)
    found = SCORE.search(printed)
    if found is None:
        raise HbalError(f"hbal gave no score: {printed.strip()[-300:]}")
    return float(found[1])


def how_many_more(cluster, memory_mib, vcpus, limit_seconds=150.0):
    """How many further guests of one size hspace places, each host's loss survivable.

    At most 32 GiB and 8 vCPUs each: Ganeti's policy, where a cluster has none of its own.
    """
    spec = f"{ganeti.VM_DISK_MIB},{memory_mib},{vcpus}"
    with tempfile.TemporaryDirectory(prefix="peers-") as folder:
        text, _ = ganeti.write(cluster, os.path.join(folder, "cluster.txt"))
        command = ["hspace", "-t", str(text), "--machine-readable", "--disk-template", "rbd"]
        try:
            printed = _output([*command, "--standard-alloc", spec], limit_seconds)
        except subprocess.TimeoutExpired:
            return Answer(None, {"status": "stopped", "more": None})
    found = re.search(r"^HTS_ALLOC_INSTANCES='?(\d+)", printed, re.MULTILINE)
    if found is None:
        raise HbalError(f"hspace gave no count: {printed.strip()[-300:]}")
    return Answer(None, {"status": "ended", "more": int(found[1])})


def _output(command, limit_seconds):
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=limit_seconds, check=False
        )
    except FileNotFoundError:
        raise HbalError(f"{command[0]} is not installed (hint: benches/peers/setup.sh)") from None
    return done.stdout + done.stderr


def _run_on_terminal(command, limit_seconds):
    """What `command` printed, and whether it ended by itself before the limit."""
    ours, theirs = pty.openpty()
    try:
        child = subprocess.Popen(command, stdout=theirs, stderr=theirs, stdin=subprocess.DEVNULL)
    except FileNotFoundError:
        raise HbalError(f"{command[0]} is not installed (hint: benches/peers/setup.sh)") from None
    finally:
        os.close(theirs)
    os.set_blocking(ours, False)
    end, parts, ended = time.monotonic() + limit_seconds, [], True
    while True:
        part = _read(ours)
        if part is None:
            break
        parts.append(part)
        if time.monotonic() > end:
            ended = False
            child.terminate()
            break
        if not part:
            time.sleep(0.02)
    try:
        child.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    os.close(ours)
    return b"".join(parts).decode(errors="replace").replace("\r\n", "\n"), ended


def _read(terminal):
    """What is there; nothing yet is empty, the end is `None`."""
    try:
        return os.read(terminal, 1 << 16) or None
    except BlockingIOError:
        return b""
    except OSError:
        return None
