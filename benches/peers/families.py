"""Families of instances, drawn from seeds: equal arguments give equal bytes.

`skewed`, `evacuation` and `packing` share one draw, so that figures of one tool for balancing,
emptying and consolidating speak of the same guests. Feasible at the start except where a family
says otherwise.
"""

import itertools
import random

from peers.cluster import Cluster, Host, Limits, Objective, Rule, Vm, chords

CORES = 64
MEMORY_MIB = 512 * 1024
SYSTEM_MEMORY_MIB = 8 * 1024
OVERCOMMIT = 4.0
# Payload of 10 Gb/s: nine bits a byte with all headers.
MIGRATION_MIB_PER_SECOND = 1111.0
# A second of downtime is charged as twenty of slow-down; a migration is taken to end in 0.1 s.
DOWNTIME_COST_SECONDS = 20 * 0.1
# Memory in MiB and vCPUs, and how often of 100.
SIZES = [(2048, 1), (4096, 2), (8192, 4), (16384, 4), (32768, 8), (65536, 16)]
SIZE_WEIGHTS = [20, 30, 25, 15, 8, 2]
HOT_SHARE = 0.25
TRIES = 50


def host_names(count):
    """n0000, n0001, ..."""
    return [f"n{index:04d}" for index in range(count)]


def plain_hosts(count):
    """Hosts that are all alike."""
    return [
        Host(name, CORES, MEMORY_MIB, SYSTEM_MEMORY_MIB, MIGRATION_MIB_PER_SECOND)
        for name in host_names(count)
    ]


class Drawing:
    """Guests being drawn onto hosts, within memory and vCPUs of each."""

    def __init__(self, hosts, seed):
        self.random = random.Random(seed)
        self.hosts = hosts
        self.names = [host.name for host in hosts]
        self.memory = {host.name: host.guest_memory_mib for host in hosts}
        self.vcpus = {host.name: host.cores * OVERCOMMIT for host in hosts}
        self.vms = []

    def size(self):
        """Memory and vCPUs of one guest."""
        return self.random.choices(SIZES, SIZE_WEIGHTS)[0]

    def fits(self, host, size):
        """Whether `host` has room."""
        return self.memory[host] >= size[0] and self.vcpus[host] >= size[1]

    def settle(self, size, pick):
        """A host with room among those that `pick` draws; `None` after too many tries."""
        for _ in range(TRIES):
            host = pick()
            if self.fits(host, size):
                return host
        return None

    def add(self, index, size, host, dirty=False):
        """Puts a guest on `host` (or lets it wait) and draws its load."""
        if host is not None:
            self.memory[host] -= size[0]
            self.vcpus[host] -= size[1]
        use = size[1] * self.random.betavariate(1.3, 4)
        network = self.random.expovariate(1 / 50)
        disk = self.random.expovariate(1 / 20)
        dirty_rate = self.random.expovariate(1 / 30) if dirty else 0.0
        vm = Vm(f"v{index:05d}", size[0], size[1], round(use, 3), host)
        vm.network_mb_per_second = round(network, 2)
        vm.disk_mb_per_second = round(disk, 2)
        vm.dirty_mib_per_second = round(dirty_rate, 2)
        self.vms.append(vm)
        return vm


def price(vm, mib_per_second):
    """Seconds of slow-down that moving `vm` costs: its busy cores for the time of the migration."""
    speed = max(mib_per_second - vm.dirty_mib_per_second, mib_per_second / 10)
    seconds = vm.memory_mib / speed + DOWNTIME_COST_SECONDS
    return round(max(vm.use_cores, 1.0) * seconds, 3)


def instance(name, goal, drawing, rules=(), drain=()):
    """Completes a drawing: prices and objective."""
    speeds = {host.name: host.migration_mib_per_second for host in drawing.hosts}
    for vm in drawing.vms:
        vm.move_cost_seconds = price(vm, speeds.get(vm.host, MIGRATION_MIB_PER_SECOND))
    limits, objective = Limits(OVERCOMMIT), Objective(chords())
    hosts, vms = drawing.hosts, drawing.vms
    return Cluster(name, goal, hosts, vms, list(rules), list(drain), limits, objective)


def draw_skewed(hosts, vms_per_host, seed):
    """Guests of six sizes; the first quarter of the hosts gets two fifths of them on top."""
    drawing = Drawing(hosts, seed)
    hot = drawing.names[: max(1, int(len(hosts) * HOT_SHARE))]

    def pick():
        crowded = drawing.random.random() < 0.40
        return drawing.random.choice(hot if crowded else drawing.names)

    for index in range(len(hosts) * vms_per_host):
        size = drawing.size()
        host = drawing.settle(size, pick)
        if host is not None:
            drawing.add(index, size, host)
    return drawing


def skewed(hosts, vms_per_host, seed):
    """A quarter of the hosts is crowded."""
    drawing = draw_skewed(plain_hosts(hosts), vms_per_host, seed)
    return instance(_name("skewed", hosts, vms_per_host, seed), "balance", drawing)


def packing(hosts, vms_per_host, seed):
    """The skewed guests, to be brought together so that hosts can be switched off."""
    drawing = draw_skewed(plain_hosts(hosts), vms_per_host, seed)
    return instance(_name("packing", hosts, vms_per_host, seed), "powersave", drawing)


def evacuation(hosts, vms_per_host, seed):
    """The skewed guests; the first tenth of the hosts, crowded ones, must be emptied."""
    drawing = draw_skewed(plain_hosts(hosts), vms_per_host, seed)
    drain = drawing.names[: max(1, hosts // 10)]
    return instance(_name("evacuation", hosts, vms_per_host, seed), "drain", drawing, drain=drain)


def fragmented(hosts, vms_per_host, seed):
    """Every host is nearly full, with a hole below 64 GiB; guests of that size wait for room."""
    drawing = Drawing(plain_hosts(hosts), f"fragmented/{seed}")
    draw = drawing.random.uniform
    for place, host in enumerate(drawing.names):
        filled_gib = drawing.memory[host] / 1024 - draw(24, 60)
        parts = [draw(0.2, 1.8) for _ in range(vms_per_host)]
        sums = [0.0, *itertools.accumulate(parts)]
        edges = [int(filled_gib * each / sums[-1]) for each in sums]
        for number, (start, end) in enumerate(itertools.pairwise(edges)):
            if end > start:
                size = ((end - start) * 1024, 1 + (end - start) // 4)
                drawing.add(place * vms_per_host + number, size, host, dirty=True)
    for number in range(max(1, hosts // 5)):
        drawing.add(hosts * vms_per_host + number, SIZES[-1], None)
    return instance(_name("fragmented", hosts, vms_per_host, seed), "defragment", drawing)


def failure(hosts, vms_per_host, seed):
    """Evenly spread guests; a tenth of the hosts is gone and their guests wait for a restart."""
    drawing, gone = _spread(hosts, vms_per_host, f"failure/{seed}"), max(1, hosts // 10)
    lost = set(drawing.names[-gone:])
    for vm in drawing.vms:
        vm.priority = drawing.random.choice([0, 1, 2])
        if vm.host in lost:
            vm.host = None
    for host in drawing.hosts[-gone:]:
        host.state = "unreachable"
    return instance(_name("failure", hosts, vms_per_host, seed), "rescue", drawing)


def returned(hosts, vms_per_host, seed):
    """A tenth of the hosts failed and is back, empty; its guests were restarted elsewhere."""
    drawing, gone = _spread(hosts, vms_per_host, f"returned/{seed}"), max(1, hosts // 10)
    lost, left = set(drawing.names[-gone:]), drawing.names[:-gone]
    for vm in [vm for vm in drawing.vms if vm.host in lost]:
        size = (vm.memory_mib, vm.vcpus)
        host = next((name for name in left if drawing.fits(name, size)), None)
        if host is not None:
            drawing.memory[host] -= size[0]
            drawing.vcpus[host] -= size[1]
        vm.host = host
    return instance(_name("returned", hosts, vms_per_host, seed), "balance", drawing)


def rules(hosts, vms_per_host, seed):
    """The skewed shape with groups to keep apart (broken at some places), pairs and pins."""
    drawing = draw_skewed(plain_hosts(hosts), vms_per_host, f"rules/{seed}")
    names = [vm.name for vm in drawing.vms]
    drawing.random.shuffle(names)
    found, apart = [], min(5, hosts)
    for index in range(len(names) // 20):
        members = [names.pop() for _ in range(drawing.random.randint(2, max(2, apart)))]
        found.append(Rule("anti-affinity", f"apart-{index}", sorted(members)))
    for index in range(len(names) // 60):
        found.append(Rule("affinity", f"together-{index}", sorted([names.pop(), names.pop()])))
    homes = {vm.name: vm.host for vm in drawing.vms}
    for index in range(len(names) // 15):
        vm, others = names.pop(), drawing.random.sample(drawing.names, max(1, hosts // 2))
        found.append(Rule("pin", f"pin-{index}", [vm], sorted({homes[vm], *others})))
    return instance(_name("rules", hosts, vms_per_host, seed), "balance", drawing, found)


def heterogeneous(hosts, vms_per_host, seed):
    """Three generations of hosts; the old ones are crowded, the newest have the faster network."""
    kinds = [(32, 256, 1111.0), (64, 512, 1111.0), (128, 1024, 2777.0)]
    every = []
    for index, name in enumerate(host_names(hosts)):
        cores, memory_gib, speed = kinds[min(2, index * 3 // hosts)]
        every.append(Host(name, cores, memory_gib * 1024, SYSTEM_MEMORY_MIB, speed))
    drawing = Drawing(every, f"heterogeneous/{seed}")

    def pick():
        return drawing.names[min(drawing.random.randrange(hosts) for _ in range(2))]

    for index in range(hosts * vms_per_host):
        size = drawing.size()
        host = drawing.settle(size, pick)
        if host is not None:
            drawing.add(index, size, host, dirty=True)
    return instance(_name("heterogeneous", hosts, vms_per_host, seed), "balance", drawing)


FAMILIES = {
    family.__name__: family
    for family in (
        skewed,
        packing,
        evacuation,
        fragmented,
        failure,
        returned,
        rules,
        heterogeneous,
    )
}


def _name(family, hosts, vms_per_host, seed):
    return f"{family}-{hosts}x{vms_per_host}-{seed}"


def _spread(hosts, vms_per_host, seed):
    drawing = Drawing(plain_hosts(hosts), seed)
    for index in range(hosts * vms_per_host):
        size = drawing.size()
        host = drawing.settle(size, lambda: drawing.random.choice(drawing.names))
        if host is not None:
            drawing.add(index, size, host, dirty=True)
    return drawing
