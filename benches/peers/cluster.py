"""The plain JSON form of a cluster: what is read, written and refused.

`README.md` beside this file documents every key for those who read the file elsewhere.
"""

import dataclasses
import itertools
import json
import math
import pathlib

GOALS = ("balance", "drain", "defragment", "powersave", "place", "rescue")
STATES = ("up", "maintenance", "unreachable")
RULES_OF_VMS = ("anti-affinity", "affinity")
RULES_OF_HOSTS = ("pin", "exclude")


class FormatError(ValueError):
    """The file is not what `README.md` documents; the message names the place."""


@dataclasses.dataclass
class Host:
    """A hypervisor node."""

    name: str
    cores: float
    memory_mib: int
    system_memory_mib: int = 0
    migration_mib_per_second: float = 1111.0
    state: str = "up"

    @property
    def guest_memory_mib(self):
        """What guests may use, before the reserve of `Limits`."""
        return self.memory_mib - self.system_memory_mib


@dataclasses.dataclass
class Vm:
    """A guest; one without a host waits for a place."""

    name: str
    memory_mib: int
    vcpus: int
    use_cores: float
    host: str | None
    move_cost_seconds: float = 0.0
    disk_mb_per_second: float = 0.0
    network_mb_per_second: float = 0.0
    dirty_mib_per_second: float = 0.0
    priority: int = 0


@dataclasses.dataclass
class Rule:
    """Who may be where; `hosts` is empty for rules about guests only."""

    kind: str
    name: str
    vms: list
    hosts: list = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Limits:
    """What every placement must keep."""

    cpu_overcommit: float = 4.0
    memory_reserve: float = 0.0


@dataclasses.dataclass
class Objective:
    """Contention as the largest of some chords: `slope * demand_cores + intercept * cores`."""

    chords: list
    horizon_seconds: float = 3600.0

    def excess_cores(self, demand_cores, cores):
        """Cores' worth of waiting on a host, 0 or more."""
        return max(0.0, *(slope * demand_cores + cut * cores for slope, cut in self.chords))


@dataclasses.dataclass
class Cluster:
    """One instance: what stands where, what must hold, what is asked."""

    name: str
    goal: str
    hosts: list
    vms: list
    rules: list
    drain: list
    limits: Limits
    objective: Objective

    def placement(self):
        """Where every guest is now, by name; those that wait are left out."""
        return {vm.name: vm.host for vm in self.vms if vm.host is not None}

    def targets(self):
        """Hosts that may take guests."""
        leaving = set(self.drain)
        return [host for host in self.hosts if host.state == "up" and host.name not in leaving]

    def memory_room_mib(self, host):
        """Memory for guests on `host` after the reserve."""
        return int(host.guest_memory_mib * (1.0 - self.limits.memory_reserve))

    def vcpu_room(self, host):
        """Virtual CPUs that `host` may be given."""
        return int(host.cores * self.limits.cpu_overcommit)

    def allowed(self):
        """For each guest that a pin or an exclusion names, the hosts that rules leave it."""
        names = {host.name for host in self.hosts}
        left = {}
        for rule in self.rules:
            if rule.kind in RULES_OF_HOSTS:
                keep = set(rule.hosts) if rule.kind == "pin" else names - set(rule.hosts)
                for vm in rule.vms:
                    left[vm] = left.get(vm, names) & keep
        return left

    def vms_of_rules(self, kind):
        """The lists of guests that rules of `kind` name."""
        return [rule.vms for rule in self.rules if rule.kind == kind]


def chords(overload_above=0.7):
    """Chords of waiting over utilisation u: u^2 / 20000 + max(0, u - T)^2 / (2 (1 - T)).

    Exact at 0, T/2, T and some points above, a little too high between; per core of the host.
    """
    ramp = max(1.0 - overload_above, 0.05)

    def waiting(used):
        return 5e-5 * used**2 + max(used - overload_above, 0.0) ** 2 / (2.0 * ramp)

    steps = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 4.0)
    points = sorted({0.0, overload_above / 2.0, *(overload_above + step * ramp for step in steps)})
    lines = []
    for left, right in itertools.pairwise(points):
        slope = (waiting(right) - waiting(left)) / (right - left)
        lines.append([round(slope, 12), round(waiting(left) - slope * left, 12)])
    return lines


def write(cluster, path):
    """Writes `cluster`: one host, guest or rule a line, so that two files can be compared."""
    parts = dataclasses.asdict(cluster)
    for rule in parts["rules"]:
        if rule["kind"] in RULES_OF_VMS:
            del rule["hosts"]
    lines = []
    for key, value in parts.items():
        if key in ("hosts", "vms", "rules") and value:
            rows = ",\n".join("  " + json.dumps(row) for row in value)
            lines.append(f'"{key}": [\n{rows}\n]')
        else:
            lines.append(f'"{key}": {json.dumps(value)}')
    pathlib.Path(path).write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def read(path):
    """Reads a cluster and refuses what does not hold together."""
    try:
        parts = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
        unknown = set(parts) - {field.name for field in dataclasses.fields(Cluster)}
        if unknown:
            raise KeyError(f"unknown {', '.join(sorted(unknown))}")
        cluster = Cluster(
            name=parts["name"],
            goal=parts.get("goal", "balance"),
            hosts=[Host(**host) for host in parts["hosts"]],
            vms=[Vm(**vm) for vm in parts["vms"]],
            rules=[Rule(**rule) for rule in parts.get("rules", [])],
            drain=parts.get("drain", []),
            limits=Limits(**parts.get("limits", {})),
            objective=Objective(**parts.get("objective", {"chords": chords()})),
        )
    except (KeyError, TypeError, ValueError) as error:
        hint = "(hint: benches/peers/README.md has the keys)"
        raise FormatError(f"{path}: {error!r} {hint}") from error
    check(cluster, path)
    return cluster


def check(cluster, place):
    """Raises `FormatError` where names or numbers do not hold together."""
    hosts = _unique([host.name for host in cluster.hosts], f"{place}: hosts")
    vms = _unique([vm.name for vm in cluster.vms], f"{place}: vms")
    problems = [f"goal {cluster.goal}"] if cluster.goal not in GOALS else []
    for host in cluster.hosts:
        if host.state not in STATES or host.cores <= 0 or host.guest_memory_mib < 0:
            problems.append(f"host {host.name}: state, cores or memory")
        if host.migration_mib_per_second <= 0:
            problems.append(f"host {host.name}: migration_mib_per_second")
    for vm in cluster.vms:
        if vm.host is not None and vm.host not in hosts:
            problems.append(f"vm {vm.name}: unknown host {vm.host}")
        sound = all(0 <= each < math.inf for each in (vm.use_cores, vm.move_cost_seconds))
        if vm.memory_mib <= 0 or vm.vcpus <= 0 or not sound:
            problems.append(f"vm {vm.name}: memory, vcpus, use or cost")
    for rule in cluster.rules:
        if rule.kind not in RULES_OF_VMS + RULES_OF_HOSTS:
            problems.append(f"rule {rule.name}: kind {rule.kind}")
        if not set(rule.vms) <= vms or not set(rule.hosts) <= hosts:
            problems.append(f"rule {rule.name}: names nobody")
    if not set(cluster.drain) <= hosts:
        problems.append("drain: unknown host")
    if problems:
        raise FormatError(f"{place}: {'; '.join(problems[:5])} ({len(problems)} in all)")


def _unique(names, place):
    found = set(names)
    if len(found) != len(names):
        raise FormatError(f"{place}: a name stands twice")
    return found
