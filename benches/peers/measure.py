"""What a run costs, and the line of JSON that says what it did."""

import dataclasses
import json
import resource
import time


@dataclasses.dataclass
class Answer:
    """What a planner gave: a placement (`None` where it gave none) and its own figures."""

    placement: dict | None
    figures: dict = dataclasses.field(default_factory=dict)


def _cpu_seconds():
    own, children = (
        resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def _peak_memory_mib():
    who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return max(resource.getrusage(one).ru_maxrss for one in who) / 1024


def run(planner):
    """Calls `planner`; returns its answer and what it cost, threads and children included."""
    wall, cpu = time.monotonic(), _cpu_seconds()
    answer = planner()
    costs = {
        "wall_seconds": round(time.monotonic() - wall, 3),
        "cpu_seconds": round(_cpu_seconds() - cpu, 3),
        "peak_memory_mib": round(_peak_memory_mib()),
    }
    return answer, costs


def line(cluster, tool, options, parts):
    """One line of JSON: who solved what, what it cost, what it gave."""
    head = {"instance": cluster.name, "tool": tool, "options": options}
    for part in parts:
        head.update(part)
    return json.dumps(head)
