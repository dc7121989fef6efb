"""OpenStack Watcher's consolidation strategy, run as python-watcher ships it.

Its own data model is filled from the cluster file; Nova, the database and the source of metrics
are stood in for by the smallest thing that answers. Hosts lend their vCPUs as the file's
overcommit says; a guest's measured CPU is its use, its measured memory all of its memory.
"""

import logging
import types
import uuid
import warnings

from peers.measure import Answer

# What the installed libraries say of each other is not this comparison's matter.
with warnings.catch_warnings(record=True):
    from watcher.decision_engine.model import element, model_root
    from watcher.decision_engine.strategy.strategies import vm_workload_consolidation as shipped

DISK_GB, GUEST_DISK_GB = 1_000_000, 20
NAMESPACE = uuid.UUID("8f6c5a54-2a0e-4c1c-9a0b-6a8a6f6f0b11")


def plan(cluster):
    """Consolidates: the strategy's migrations, replayed onto the placement."""
    logging.disable(logging.CRITICAL)
    model = model_root.ModelRoot()
    _fill(model, cluster)

    class Strategy(shipped.VMWorkloadConsolidation):
        """The shipped strategy with its inputs in place."""

        compute_model = model
        datasource_backend = _Metrics(cluster)

    strategy = Strategy(config=types.SimpleNamespace(datasources=None), osc=types.SimpleNamespace())
    strategy.do_execute()
    placement = cluster.placement()
    moves = 0
    for action in strategy.solution.actions:
        if action["action_type"] == shipped.VMWorkloadConsolidation.MIGRATION:
            parameters = action["input_parameters"]
            placement[parameters["resource_name"]] = parameters["destination_node"]
            moves += 1
    figures = {"status": "ended", "steps": moves, "released": strategy.number_of_released_nodes}
    return Answer(placement, figures)


class _Metrics:
    """Answers what the strategy asks of a source of metrics."""

    def __init__(self, cluster):
        self.busy_percent = {vm.name: 100.0 * vm.use_cores / vm.vcpus for vm in cluster.vms}

    def get_instance_cpu_usage(self, resource, **_):
        """Percent of the guest's vCPUs."""
        return self.busy_percent[resource.name]

    def get_instance_ram_usage(self, resource, **_):
        """MiB."""
        return resource.memory

    def get_instance_ram_allocated(self, resource, **_):
        """MiB."""
        return resource.memory

    def get_instance_root_disk_size(self, resource, **_):
        """GB."""
        return resource.disk

    def get_host_cpu_usage(self, *_):
        """Not measured: the strategy adds up the guests."""
        return None

    def get_host_ram_usage(self, *_):
        """Not measured: the strategy adds up the guests."""
        return None


def _fill(model, cluster):
    nodes = {}
    for host in cluster.targets():
        node = element.ComputeNode(
            uuid=_uuid(host.name),
            hostname=host.name,
            status="enabled",
            state="up",
            memory=host.memory_mib,
            memory_mb_reserved=host.memory_mib - cluster.memory_room_mib(host),
            memory_ratio=1.0,
            vcpus=int(host.cores),
            vcpu_reserved=0,
            vcpu_ratio=cluster.limits.cpu_overcommit,
            disk=DISK_GB,
            disk_gb_reserved=0,
            disk_ratio=1.0,
        )
        nodes[host.name] = node
        model.add_node(node)
    for vm in cluster.vms:
        if vm.host not in nodes:
            continue
        guest = element.Instance(
            uuid=_uuid(vm.name),
            name=vm.name,
            state="active",
            memory=vm.memory_mib,
            vcpus=vm.vcpus,
            disk=GUEST_DISK_GB,
            watcher_exclude=False,
            metadata={},
            project_id=str(NAMESPACE),
            locked=False,
        )
        model.add_instance(guest)
        model.map_instance(guest, nodes[vm.host])


def _uuid(name):
    return str(uuid.uuid5(NAMESPACE, name))
