"""OpenNebula's OneDRS as an integer programme, written anew from its published model.

One binary for each guest and each host that it may be on. BALANCE keeps the worst load of each
metric low (min-max), PACK the number of hosts in use; a move costs next to nothing in both, and
the solver is given a time and no start. Requested CPU is vCPUs over the overcommit; memory is what
was requested. The storage, PCI and network parts of the model are left out: instances have none.
"""

import tempfile

import pulp

from peers.measure import Answer

WAITING_WEIGHT = 1.1
MOVE_WEIGHT = 0.01
# What the solver's own word means for a plan; any other word is that there is none.
ANSWERS = {pulp.LpSolutionOptimal: "optimal", pulp.LpSolutionIntegerFeasible: "feasible"}


def plan(cluster, policy="balance", solver="cbc", limit_seconds=60.0, metrics=None, moves_max=None):
    """Solves the whole cluster; `metrics` maps names to weights (CPU use alone)."""
    model = _Model(cluster)
    if policy == "pack":
        model.pack()
    else:
        model.balance(metrics or {"cpu_use": 1.0})
    if moves_max is not None:
        model.problem += pulp.lpSum(model.moves) <= moves_max
    with tempfile.TemporaryDirectory(prefix="peers-") as folder:
        model.problem.solve(_solver(solver, limit_seconds, folder))
    status = ANSWERS.get(model.problem.sol_status, "none")
    figures = {
        "status": status,
        "binaries": len(model.on) + len(model.used) + len(model.waits),
        "model_objective": None,
    }
    if status == "none":
        return Answer(None, figures)
    figures["model_objective"] = round(pulp.value(model.problem.objective), 6)
    return Answer(model.placement(), figures)


class _Model:
    """The constraints that both policies share."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.targets = cluster.targets()
        self.problem = pulp.LpProblem("onedrs", pulp.LpMinimize)
        self.used = {
            host.name: pulp.LpVariable(f"y_{host.name}", cat="Binary") for host in self.targets
        }
        self.on, self.waits, self.moves = {}, [], []
        allowed = cluster.allowed()
        for vm in cluster.vms:
            self._vm(vm, allowed.get(vm.name))
        self._room()
        self._groups()

    def _vm(self, vm, allowed):
        where = []
        for host in self.targets:
            if allowed is not None and host.name not in allowed:
                continue
            variable = pulp.LpVariable(f"x_{vm.name}_{host.name}", cat="Binary")
            self.on[vm.name, host.name] = variable
            self.problem += variable <= self.used[host.name]
            where.append(variable)
            if vm.host is not None and host.name != vm.host:
                self.moves.append(variable)
        if vm.host is None:
            waits = pulp.LpVariable(f"p_{vm.name}", cat="Binary")
            self.waits.append(waits)
            where.append(waits)
        self.problem += pulp.lpSum(where) == 1

    def _row(self, host, amount):
        parts = []
        for vm in self.cluster.vms:
            variable = self.on.get((vm.name, host.name))
            if variable is not None:
                parts.append((variable, amount(vm, host)))
        return pulp.LpAffineExpression(parts)

    def _room(self):
        overcommit = self.cluster.limits.cpu_overcommit
        for host in self.targets:
            used = self.used[host.name]
            memory = self.cluster.memory_room_mib(host)
            self.problem += self._row(host, lambda vm, _: vm.memory_mib) <= memory * used
            requested = self._row(host, lambda vm, _: vm.vcpus / overcommit)
            self.problem += requested <= host.cores * used

    def _groups(self):
        for vms in self.cluster.vms_of_rules("anti-affinity"):
            for index, one in enumerate(vms):
                for other in vms[index + 1 :]:
                    self._apart(one, other)
        for vms in self.cluster.vms_of_rules("affinity"):
            for other in vms[1:]:
                for host in self.targets:
                    pair = [self.on.get((vm, host.name), 0) for vm in (vms[0], other)]
                    self.problem += pulp.lpSum([pair[0], -pair[1]]) == 0

    def _apart(self, one, other):
        for host in self.targets:
            pair = [self.on.get((vm, host.name)) for vm in (one, other)]
            if None not in pair:
                self.problem += pair[0] + pair[1] <= 1

    def _cheap_moves(self, weight):
        pairs = 2 * len(self.moves) + 1
        return WAITING_WEIGHT * pulp.lpSum(self.waits) + weight / pairs * pulp.lpSum(self.moves)

    def balance(self, metrics):
        """Least worst load, metric by metric."""
        amounts = {
            "cpu_use": lambda vm, host: vm.use_cores / host.cores,
            "cpu": lambda vm, host: vm.vcpus / self.cluster.limits.cpu_overcommit / host.cores,
            "memory": lambda vm, host: vm.memory_mib / host.memory_mib,
        }
        goal, total = [], sum(metrics.values())
        for metric, weight in metrics.items():
            amount = amounts[metric]
            worst = pulp.LpVariable(f"worst_{metric}", lowBound=0)
            goal.append((worst, weight / total))
            for host in self.targets:
                self.problem += self._row(host, amount) <= worst
        self.problem.setObjective(pulp.LpAffineExpression(goal) + self._cheap_moves(MOVE_WEIGHT))

    def pack(self):
        """Fewest hosts in use."""
        hosts = pulp.lpSum(self.used.values())
        self.problem.setObjective(hosts + self._cheap_moves(1.0))

    def placement(self):
        """What the solver chose; guests that wait are left out."""
        return {vm: host for (vm, host), variable in self.on.items() if variable.value() > 0.5}


def _solver(name, limit_seconds, folder):
    if name == "highs":
        return pulp.HiGHS(msg=False, timeLimit=limit_seconds)
    if name == "cbc":
        solver = pulp.COIN_CMD(msg=False, timeLimit=limit_seconds)
        solver.tmpDir = folder
        return solver
    raise ValueError(f"no solver {name} (hint: cbc or highs)")
