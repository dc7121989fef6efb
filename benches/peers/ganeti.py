"""Ganeti's text form of a cluster, and the file of dynamic use that `hbal -U` reads.

Shared storage (template rbd): memory, CPU and load decide, disks do not. Groups to keep apart
become exclusion tags, which hbal weighs in its score and does not enforce. Pins, exclusions and
affinity have no counterpart and are left out; guests that wait have no node and are left out too.
"""

import pathlib

GROUP = "peers-group"
DISK_MIB = 2_000_000
VM_DISK_MIB = 20_480
# What the file of dynamic use calls full, in MB/s: a storage network and a network of 10 Gb/s.
DISK_MB_PER_SECOND = 1000
NETWORK_MB_PER_SECOND = 1250
TAG = "apart"


def text(cluster, placement=None):
    """The cluster with guests where `placement` puts them (where they are, if it is `None`)."""
    placement = cluster.placement() if placement is None else placement
    used = dict.fromkeys((host.name for host in cluster.hosts), 0)
    for vm in cluster.vms:
        if vm.name in placement:
            used[placement[vm.name]] += vm.memory_mib
    nodes = []
    for index, host in enumerate(cluster.hosts):
        offline = host.state != "up" or host.name in cluster.drain
        flag = "Y" if offline else ("N" if index else "M")
        reserved = host.memory_mib - cluster.memory_room_mib(host)
        nodes.append(_node(host, flag, reserved, used[host.name]))
    tags = _tags(cluster)
    instances = [
        _instance(vm, placement[vm.name], tags.get(vm.name, []))
        for vm in cluster.vms
        if vm.name in placement
    ]
    cluster_tags = [f"htools:iextags:{TAG}"] if tags else []
    parts = [[f"{GROUP}|uuid-{GROUP}|preferred||"], nodes, instances, cluster_tags]
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


def use(cluster):
    """The file of dynamic use: CPU, memory, disk and network of each guest as parts of a host."""
    cores = {host.name: host.cores for host in cluster.hosts}
    memory = {host.name: host.memory_mib for host in cluster.hosts}
    lines = []
    for vm in cluster.vms:
        home = vm.host or cluster.hosts[0].name
        parts = (
            vm.use_cores / cores[home],
            vm.memory_mib / memory[home],
            vm.disk_mb_per_second / DISK_MB_PER_SECOND,
            vm.network_mb_per_second / NETWORK_MB_PER_SECOND,
        )
        lines.append(" ".join([vm.name, *(f"{part:.5f}" for part in parts)]))
    return "\n".join(lines) + "\n"


def write(cluster, path, placement=None):
    """Writes both files, the second with `.dynu` after its name; returns their paths."""
    path = pathlib.Path(path)
    use_path = path.with_name(path.name + ".dynu")
    path.write_text(text(cluster, placement), encoding="utf-8")
    use_path.write_text(use(cluster), encoding="utf-8")
    return path, use_path


def placement_of(saved):
    """The placement in a text that htools saved: guest to its primary node."""
    sections = saved.split("\n\n")
    rows = [line.split("|") for line in sections[2].splitlines() if line]
    return {row[0]: row[6] for row in rows}


def _node(host, flag, reserved_mib, used_mib):
    free_mib = host.memory_mib - reserved_mib - used_mib
    fields = [host.name, host.memory_mib, reserved_mib, free_mib, DISK_MIB, DISK_MIB, host.cores]
    fields += [flag, f"uuid-{GROUP}", 1, "", "N", 0, 1, "1.0"]
    return "|".join(str(field) for field in fields)


def _instance(vm, node, tags):
    fields = [vm.name, vm.memory_mib, VM_DISK_MIB, vm.vcpus, "running", "Y", node, "", "rbd"]
    fields += [",".join(tags), 1, 1, "N"]
    return "|".join(str(field) for field in fields)


def _tags(cluster):
    tags = {}
    for index, vms in enumerate(cluster.vms_of_rules("anti-affinity")):
        for vm in vms:
            tags.setdefault(vm, []).append(f"{TAG}:{index}")
    return tags
