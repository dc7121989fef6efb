"""Clusters that are small enough to check by hand or by trying everything."""

import itertools

from peers.cluster import Cluster, Host, Limits, Objective, Rule, Vm, chords


def host(name, cores=10, memory_mib=10240, **more):
    """A host without memory of its own."""
    return Host(name, cores, memory_mib, migration_mib_per_second=1024.0, **more)


def vm(name, place, memory_mib=1024, vcpus=2, use_cores=1.0, **more):
    """A guest whose move costs a second."""
    return Vm(name, memory_mib, vcpus, use_cores, place, **({"move_cost_seconds": 1.0} | more))


def cluster(hosts, vms, rules=(), drain=(), goal="balance"):
    """A cluster with the usual limits and objective."""
    objective = Objective(chords(0.7))
    return Cluster("small", goal, hosts, vms, list(rules), list(drain), Limits(), objective)


def crowded():
    """Three hosts, one of them full of busy guests, with a rule to keep two of them apart."""
    vms = [vm(f"v{index}", "a", 1024 * (index + 1), 2, 1.5 + index / 2) for index in range(4)]
    vms.append(vm("v4", "b", 2048, 4, 3.0))
    hosts = [host("a"), host("b"), host("c", cores=4)]
    return cluster(hosts, vms, [Rule("anti-affinity", "apart", ["v0", "v4"])])


def placements(one):
    """Every placement there is of guests that run."""
    names = [each.name for each in one.vms]
    for places in itertools.product([each.name for each in one.hosts], repeat=len(names)):
        yield dict(zip(names, places, strict=True))
