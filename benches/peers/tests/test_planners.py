"""The planners: the reference against its figures, the models against trying everything."""

import importlib.util
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

from peers import cluster as plain
from peers import families, greedy, hbal, judge
from peers.tests import small

BENCHES = pathlib.Path(__file__).resolve().parents[2]
HAS_HBAL = shutil.which("hbal") is not None


def has(*modules):
    """Whether what `setup.sh` installs is there."""
    return all(importlib.util.find_spec(module) for module in modules)


def solved(cluster, tool, *options):
    """Line and placement of a run of its own: HiGHS and OR-Tools do not load side by side."""
    with tempfile.TemporaryDirectory() as folder:
        given, chosen = pathlib.Path(folder) / "cluster.json", pathlib.Path(folder) / "chosen.json"
        plain.write(cluster, given)
        command = [sys.executable, "-m", "peers", "run", tool, given, "--limit-seconds", "10"]
        command += ["--placement", chosen, *options]
        done = subprocess.run(command, cwd=BENCHES, capture_output=True, text=True, check=True)
        return json.loads(done.stdout), json.loads(chosen.read_text())["placement"]


def best(cluster, value):
    """The least value over all placements that may be."""
    allowed = (each for each in small.placements(cluster) if not judge.violations(cluster, each))
    return min(value(each) for each in allowed)


class Greedy(unittest.TestCase):
    """The plain reference."""

    def test_a_hundred_hosts_as_published_within_a_few_percent(self):
        cluster = families.skewed(100, 25, 1)
        figures = judge.judge(cluster, greedy.plan(cluster).placement, with_losses=False)
        self.assertTrue(figures["feasible"])
        self.assertEqual((figures["cpu_max"], figures["memory_max"]), (0.367, 0.531))
        self.assertLess(abs(figures["moves"] / 1036 - 1), 0.03)
        self.assertLess(abs(figures["gib_moved"] / 5704 - 1), 0.03)

    def test_what_is_balanced_stays(self):
        vms = [small.vm(f"v{name}", name) for name in "abc"]
        cluster = small.cluster([small.host(name) for name in "abc"], vms)
        self.assertEqual(greedy.plan(cluster).placement, cluster.placement())


@unittest.skipUnless(HAS_HBAL, "ganeti-htools is not installed")
class Hbal(unittest.TestCase):
    """hbal as installed."""

    def test_scoring_its_placement_gives_the_score_that_it_said(self):
        cluster = families.skewed(4, 10, 1)
        answer = hbal.plan(cluster, 60.0)
        self.assertEqual(answer.figures["status"], "ended")
        self.assertGreater(answer.figures["steps"], 0)
        score = hbal.score(cluster, answer.placement)
        self.assertAlmostEqual(score, answer.figures["score_after"], places=6)

    def test_at_its_limit_it_says_what_it_had(self):
        answer = hbal.plan(families.skewed(30, 25, 1), 3.0)
        self.assertEqual(answer.figures["status"], "stopped")
        self.assertGreater(answer.figures["steps"], 0)


@unittest.skipUnless(has("ortools"), "ortools is not installed")
class CpSat(unittest.TestCase):
    """The objective of the file."""

    def test_proves_what_trying_everything_finds(self):
        cluster = small.crowded()
        line, placement = solved(cluster, "cpsat")
        least = best(cluster, lambda each: judge.objective(cluster, each)["objective_seconds"])
        self.assertEqual((line["status"], line["gap"], line["feasible"]), ("OPTIMAL", 0.0, True))
        self.assertAlmostEqual(line["objective_seconds"], least, places=2)
        self.assertAlmostEqual(line["model_objective"], least, places=2)
        self.assertEqual(judge.violations(cluster, placement), [])

    def test_places_who_waits_and_keeps_rules(self):
        for family in (families.rules, families.failure, families.evacuation):
            line, placement = solved(family(4, 6, 2), "cpsat")
            self.assertEqual((line["feasible"], line["waiting"]), (True, 0))
            self.assertEqual(len(placement), 24)


@unittest.skipUnless(has("pulp", "highspy") and shutil.which("cbc"), "pulp's solvers are missing")
class OneDrs(unittest.TestCase):
    """Both policies by both solvers."""

    SOLVERS = ("cbc", "highs")

    def test_the_worst_load_is_the_least_there_is(self):
        cluster = small.crowded()
        least = best(cluster, lambda each: max(judge.loads(cluster, each)[0]))
        for solver in self.SOLVERS:
            line, placement = solved(cluster, "onedrs", "--solver", solver)
            self.assertAlmostEqual(max(judge.loads(cluster, placement)[0]), least, places=5)
            self.assertEqual((line["status"], line["feasible"]), ("optimal", True))

    def test_packs_on_as_few_hosts_as_can_be(self):
        cluster = small.crowded()
        least = best(cluster, lambda each: len(set(each.values())))
        for solver in self.SOLVERS:
            line, placement = solved(cluster, "onedrs", "--solver", solver, "--policy", "pack")
            self.assertEqual(len(set(placement.values())), least)
            self.assertTrue(line["feasible"])

    def test_no_more_moves_than_allowed(self):
        for solver in self.SOLVERS:
            line, _ = solved(small.crowded(), "onedrs", "--solver", solver, "--moves-max", "1")
            self.assertEqual(line["moves"], 1)


@unittest.skipUnless(has("watcher"), "python-watcher is not installed")
class Watcher(unittest.TestCase):
    """The strategy as shipped."""

    def test_empties_as_many_hosts_as_published(self):
        from peers import watcher

        cluster = families.packing(20, 25, 1)
        answer = watcher.plan(cluster)
        figures = judge.judge(cluster, answer.placement, with_losses=False)
        self.assertEqual((figures["hosts_empty"], figures["moves"]), (9, 132))
        self.assertEqual(figures["gib_moved"], 1346.0)


if __name__ == "__main__":
    unittest.main()
