"""Judges any placement, whoever made it, by the cluster file alone.

Shares nothing with any planner. Loads are parts of a host: busy cores over cores, guests' memory
over the memory in the machine.
"""

import statistics

SHOWN_MAX = 10


class Places:
    """Memory and vCPUs left on each host under a placement, to try restarts on."""

    def __init__(self, cluster, placement):
        self.memory = {host.name: cluster.memory_room_mib(host) for host in cluster.hosts}
        self.vcpus = {host.name: cluster.vcpu_room(host) for host in cluster.hosts}
        self.guests = {host.name: [] for host in cluster.hosts}
        for vm in cluster.vms:
            if vm.name in placement:
                self.put(vm, placement[vm.name])

    def put(self, vm, host):
        """Takes room for `vm` on `host`."""
        self.memory[host] -= vm.memory_mib
        self.vcpus[host] -= vm.vcpus
        self.guests[host].append(vm)

    def take(self, vm, host):
        """Gives the room back."""
        self.memory[host] += vm.memory_mib
        self.vcpus[host] += vm.vcpus
        self.guests[host].remove(vm)

    def fits(self, vm, host):
        """Whether `vm` has room on `host`."""
        return self.memory[host] >= vm.memory_mib and self.vcpus[host] >= vm.vcpus


def violations(cluster, placement):
    """Every way in which the placement may not be, in words."""
    found, hosts = [], {host.name: host for host in cluster.hosts}
    known = {vm.name for vm in cluster.vms}
    found += [f"unknown guest {name}" for name in placement if name not in known]
    found += [f"{name} on unknown {host}" for name, host in placement.items() if host not in hosts]
    if found:
        return found
    places = Places(cluster, placement)
    for host in cluster.hosts:
        if places.memory[host.name] < 0:
            found.append(f"{host.name}: memory short by {-places.memory[host.name]} MiB")
        if places.vcpus[host.name] < 0:
            found.append(f"{host.name}: {-places.vcpus[host.name]} vCPUs above the limit")
    for vm in cluster.vms:
        target = placement.get(vm.name)
        if target is None and vm.host is not None:
            found.append(f"{vm.name}: ran on {vm.host}, has no place")
        elif target is not None and target != vm.host and hosts[target].state != "up":
            found.append(f"{vm.name}: moved to {target}, which takes nobody")
    found += [f"{name} not emptied" for name in cluster.drain if places.guests[name]]
    return found + broken_rules(cluster, placement)


def broken_rules(cluster, placement):
    """The rules that the placement breaks, by name; those that wait break none."""
    found, every = [], {host.name for host in cluster.hosts}
    for rule in cluster.rules:
        used = [placement[vm] for vm in rule.vms if vm in placement]
        holds = {
            "anti-affinity": len(set(used)) == len(used),
            "affinity": len(set(used)) <= 1,
            "pin": set(used) <= set(rule.hosts),
            "exclude": set(used) <= every - set(rule.hosts),
        }[rule.kind]
        if not holds:
            found.append(f"rule {rule.name}")
    return found


def losses(cluster, placement, powered_only):
    """Losing each host in turn: hosts whose guests cannot all restart, and how many guests cannot.

    Guests are really placed, largest memory first, on the first host with room that their rules
    allow. A better packing than first-fit may exist, so a loss reported here is one that a plain
    restart would meet. With `powered_only`, hosts that run nothing count as switched off.
    """
    places, targets = Places(cluster, placement), cluster.targets()
    on = [host.name for host in targets if places.guests[host.name] or not powered_only]
    allowed, apart = cluster.allowed(), {}
    for vms in cluster.vms_of_rules("anti-affinity"):
        for vm in vms:
            apart.setdefault(vm, set()).update(other for other in vms if other != vm)
    hosts_lost = guests_lost = 0
    for lost in cluster.hosts:
        guests = sorted(places.guests[lost.name], key=lambda vm: (-vm.memory_mib, vm.name))
        restarted = []
        for vm in guests:
            target = next(
                (
                    name
                    for name in on
                    if name != lost.name
                    and places.fits(vm, name)
                    and name in allowed.get(vm.name, (name,))
                    and not _meets(apart.get(vm.name), places.guests[name])
                ),
                None,
            )
            if target is not None:
                places.put(vm, target)
                restarted.append((vm, target))
        for vm, target in restarted:
            places.take(vm, target)
        guests_lost += len(guests) - len(restarted)
        hosts_lost += len(restarted) < len(guests)
    return hosts_lost, guests_lost


def objective(cluster, placement):
    """The three terms of the objective in guest-seconds, and their sum."""
    demand = dict.fromkeys((host.name for host in cluster.hosts), 0.0)
    moving = waiting = 0.0
    for vm in cluster.vms:
        target = placement.get(vm.name)
        if target is None:
            waiting += cluster.objective.horizon_seconds * max(vm.use_cores, 1.0)
            continue
        demand[target] += vm.use_cores
        if vm.host is not None and target != vm.host:
            moving += vm.move_cost_seconds
    excess = sum(
        cluster.objective.excess_cores(demand[host.name], host.cores) for host in cluster.hosts
    )
    contention = cluster.objective.horizon_seconds * excess
    return {
        "objective_seconds": round(contention + moving + waiting, 3),
        "contention_seconds": round(contention, 3),
        "moving_seconds": round(moving, 3),
        "waiting_seconds": round(waiting, 3),
    }


def traffic_bound_seconds(cluster, placement):
    """No schedule is faster: the busiest network in one direction, all moves at full speed."""
    seconds = {}
    speed = {host.name: host.migration_mib_per_second for host in cluster.hosts}
    for vm in cluster.vms:
        target = placement.get(vm.name)
        if vm.host is None or target in (None, vm.host):
            continue
        for end in (("out", vm.host), ("in", target)):
            seconds[end] = seconds.get(end, 0.0) + vm.memory_mib / speed[end[1]]
    return max(seconds.values(), default=0.0)


def judge(cluster, placement, with_losses=True):
    """Every figure of one placement."""
    wrong = violations(cluster, placement)
    figures = {"feasible": not wrong, "violations": len(wrong), "first": wrong[:SHOWN_MAX]}
    if any(word.startswith("unknown") or " on unknown " in word for word in wrong):
        return figures
    moved = [vm for vm in cluster.vms if vm.host and placement.get(vm.name, vm.host) != vm.host]
    cpu, memory = loads(cluster, placement)
    places = Places(cluster, placement)
    figures |= {
        "moves": len(moved),
        "gib_moved": round(sum(vm.memory_mib for vm in moved) / 1024, 1),
        "waiting": sum(vm.name not in placement for vm in cluster.vms),
        "cpu_max": round(max(cpu), 3),
        "cpu_deviation": round(statistics.pstdev(cpu), 3),
        "memory_max": round(max(memory), 3),
        "memory_deviation": round(statistics.pstdev(memory), 3),
        "hosts_empty": sum(not guests for guests in places.guests.values()),
        "traffic_bound_seconds": round(traffic_bound_seconds(cluster, placement), 1),
    }
    figures |= objective(cluster, placement)
    if with_losses:
        for name, powered_only in (("", False), ("_powered", True)):
            hosts, guests = losses(cluster, placement, powered_only)
            figures |= {f"unsafe_hosts{name}": hosts, f"guests_lost{name}": guests}
    return figures


def loads(cluster, placement):
    """CPU and memory of every host that is reachable, as parts of it."""
    cpu = {host.name: 0.0 for host in cluster.hosts if host.state != "unreachable"}
    memory = dict(cpu)
    hosts = {host.name: host for host in cluster.hosts}
    for vm in cluster.vms:
        host = hosts.get(placement.get(vm.name))
        if host is not None and host.name in cpu:
            cpu[host.name] += vm.use_cores / host.cores
            memory[host.name] += vm.memory_mib / host.memory_mib
    return list(cpu.values()), list(memory.values())


def _meets(foes, guests):
    return bool(foes) and any(guest.name in foes for guest in guests)
