"""OR-Tools' CP-SAT on the objective of the cluster file: contention, moves and waiting.

A host's contention is the largest chord at its demand; everything is in whole millionths of a
guest-second. The present placement is given as a hint. What comes back has a bound, so its gap is
a proof and not an opinion.
"""

from ortools.sat.python import cp_model

from peers.measure import Answer

# Demand is in thousandths of a core, excess and the terms of the objective in millionths, and the
# chords are finer still: their smallest slopes are below a ten-thousandth.
MILLI = 1_000
MICRO = 1_000_000
CHORD = 100_000_000


def plan(cluster, limit_seconds=60.0, workers=2, seed=1):
    """Solves the whole cluster within a time limit."""
    model = _Model(cluster)
    solver = cp_model.CpSolver()
    solver.parameters.max_time_in_seconds = limit_seconds
    solver.parameters.num_workers = workers
    solver.parameters.random_seed = seed
    status = solver.solve(model.model)
    figures = {"status": solver.status_name(status), "binaries": len(model.on)}
    if status not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        return Answer(None, figures | {"model_objective": None, "bound": None, "gap": None})
    value = solver.objective_value / MICRO
    bound = solver.best_objective_bound / MICRO
    figures |= {
        "model_objective": round(value, 3),
        "bound": round(bound, 3),
        "gap": round((value - bound) / value, 6) if value > 0 else 0.0,
    }
    chosen = {vm: host for (vm, host), literal in model.on.items() if solver.value(literal)}
    return Answer(chosen, figures)


class _Model:
    def __init__(self, cluster):
        self.cluster = cluster
        self.model = cp_model.CpModel()
        self.targets = cluster.targets()
        self.on, self.costs = {}, []
        allowed = cluster.allowed()
        for vm in cluster.vms:
            self._vm(vm, allowed.get(vm.name))
        for host in self.targets:
            self._host(host)
        self._groups()
        self.model.minimize(sum(self.costs))

    def _vm(self, vm, allowed):
        where = []
        for host in self.targets:
            if allowed is not None and host.name not in allowed:
                continue
            literal = self.model.new_bool_var("")
            self.on[vm.name, host.name] = literal
            where.append(literal)
            self.model.add_hint(literal, host.name == vm.host)
            if vm.host is not None and host.name != vm.host:
                self.costs.append(round(vm.move_cost_seconds * MICRO) * literal)
        if vm.host is None:
            waits = self.model.new_bool_var("")
            where.append(waits)
            self.model.add_hint(waits, True)
            horizon = self.cluster.objective.horizon_seconds
            self.costs.append(round(horizon * max(vm.use_cores, 1.0) * MICRO) * waits)
        self.model.add_exactly_one(where)

    def _host(self, host):
        here = [
            (vm, self.on[vm.name, host.name])
            for vm in self.cluster.vms
            if (vm.name, host.name) in self.on
        ]
        literals = [literal for _, literal in here]
        total = cp_model.LinearExpr.weighted_sum
        memory = total(literals, [vm.memory_mib for vm, _ in here])
        self.model.add(memory <= self.cluster.memory_room_mib(host))
        vcpus = total(literals, [vm.vcpus for vm, _ in here])
        self.model.add(vcpus <= self.cluster.vcpu_room(host))
        demand = total(literals, [round(vm.use_cores * MILLI) for vm, _ in here])
        self._contention(host, demand, sum(vm.use_cores for vm, _ in here))

    def _contention(self, host, demand, most_cores):
        """Millionths of a core that wait, at least every chord and at least nothing."""
        objective = self.cluster.objective
        most = objective.excess_cores(most_cores, host.cores)
        excess = self.model.new_int_var(0, round(most * MICRO) + MICRO, "")
        for slope, cut in objective.chords:
            line = round(slope * CHORD) * demand + round(cut * host.cores * CHORD * MILLI)
            self.model.add(CHORD * MILLI // MICRO * excess >= line)
        self.costs.append(round(objective.horizon_seconds) * excess)
        self.model.add_hint(excess, round(self._now(host) * MICRO) + 1)

    def _now(self, host):
        demand = sum(vm.use_cores for vm in self.cluster.vms if vm.host == host.name)
        return self.cluster.objective.excess_cores(demand, host.cores)

    def _groups(self):
        for vms in self.cluster.vms_of_rules("anti-affinity"):
            for host in self.targets:
                here = [self.on[vm, host.name] for vm in vms if (vm, host.name) in self.on]
                self.model.add_at_most_one(here)
        for vms in self.cluster.vms_of_rules("affinity"):
            for host in self.targets:
                here = [self.on.get((vm, host.name), 0) for vm in vms]
                for other in here[1:]:
                    self.model.add(here[0] == other)
