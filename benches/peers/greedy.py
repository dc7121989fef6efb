"""The plain reference: the move with the most gain for each GiB, again and again.

The hottest host (the farthest above the mean, in CPU or memory) gives the guest that lowers the
sum of squared excesses over the mean plus `BAND` most for each GiB of its memory, to the host that
is farthest below. It ends when every host is within the band, or no move gains. It knows no cost
but bytes, no forecast, and no rule but room.
"""

from peers.measure import Answer

BAND = 0.05


class _Loads:
    def __init__(self, cluster):
        self.hosts = cluster.targets()
        self.cpu = {host.name: 0.0 for host in self.hosts}
        self.memory = dict(self.cpu)
        self.free_mib = {host.name: cluster.memory_room_mib(host) for host in self.hosts}
        self.vcpus = {host.name: cluster.vcpu_room(host) for host in self.hosts}
        self.size = {host.name: (host.cores, host.memory_mib) for host in self.hosts}
        self.guests = {host.name: {} for host in self.hosts}
        for vm in cluster.vms:
            if vm.host in self.guests:
                self.add(vm, vm.host)
        self.means = [sum(part.values()) / len(self.hosts) for part in (self.cpu, self.memory)]

    def add(self, vm, host, sign=1):
        cores, memory_mib = self.size[host]
        self.cpu[host] += sign * vm.use_cores / cores
        self.memory[host] += sign * vm.memory_mib / memory_mib
        self.free_mib[host] -= sign * vm.memory_mib
        self.vcpus[host] -= sign * vm.vcpus
        if sign > 0:
            self.guests[host][vm.name] = vm
        else:
            del self.guests[host][vm.name]

    def above(self, host):
        """How far a host is above the means: the worse of CPU and memory."""
        return max(self.cpu[host] - self.means[0], self.memory[host] - self.means[1])

    def gain(self, vm, source, target, band):
        """By how much the move lowers the sum of squared excesses over the means plus `band`."""

        def excess(load, mean):
            return max(0.0, load - mean - band) ** 2

        total = 0.0
        for index, part in enumerate((self.cpu, self.memory)):
            amount = (vm.use_cores, vm.memory_mib)[index]
            out = amount / self.size[source][index]
            into = amount / self.size[target][index]
            high, low, mean = part[source], part[target], self.means[index]
            total += excess(high, mean) - excess(high - out, mean)
            total += excess(low, mean) - excess(low + into, mean)
        return total


def plan(cluster, band=BAND):
    """Balances until every host is within `band` above the means, or nothing gains."""
    loads, stuck = _Loads(cluster), set()
    placement = cluster.placement()
    while True:
        hot = [host for host in loads.cpu if host not in stuck and loads.above(host) > band]
        if not hot:
            return Answer(placement)
        source = max(hot, key=lambda host: (loads.above(host), host))
        target = min(loads.cpu, key=lambda host: (loads.above(host), host))
        vm = _best(loads, source, target, band)
        if vm is None:
            stuck.add(source)
            continue
        loads.add(vm, source, -1)
        loads.add(vm, target)
        placement[vm.name] = target


def _best(loads, source, target, band):
    if source == target:
        return None
    best, most = None, 0.0
    for vm in loads.guests[source].values():
        if loads.free_mib[target] < vm.memory_mib or loads.vcpus[target] < vm.vcpus:
            continue
        gain = loads.gain(vm, source, target, band) * 1024 / vm.memory_mib
        if gain > most:
            best, most = vm, gain
    return best
