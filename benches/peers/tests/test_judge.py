"""The judge: figures that can be worked out by hand."""

import unittest

from peers import judge
from peers.cluster import Rule, chords
from peers.tests import small


class Figures(unittest.TestCase):
    """One crowded host of three: 10, 10 and 4 cores, 10 GiB each."""

    def setUp(self):
        self.cluster = small.crowded()
        self.now = self.cluster.placement()

    def test_the_present_placement_moves_nothing(self):
        figures = judge.judge(self.cluster, self.now)
        self.assertTrue(figures["feasible"])
        self.assertEqual((figures["moves"], figures["gib_moved"], figures["waiting"]), (0, 0.0, 0))
        # 1.5 + 2 + 2.5 + 3 busy cores of 10, all of 10 GiB.
        self.assertEqual((figures["cpu_max"], figures["memory_max"]), (0.9, 1.0))
        self.assertEqual(figures["hosts_empty"], 1)

    def test_a_move_is_counted_in_guests_bytes_seconds_and_traffic(self):
        figures = judge.judge(self.cluster, self.now | {"v3": "c", "v2": "b"})
        self.assertEqual((figures["moves"], figures["gib_moved"]), (2, 7.0))
        self.assertEqual(figures["moving_seconds"], 2.0)
        # 7 GiB leave one host at 1 GiB a second.
        self.assertEqual(figures["traffic_bound_seconds"], 7.0)
        self.assertEqual(figures["hosts_empty"], 0)

    def test_contention_is_the_curve_at_its_points(self):
        # Host a at 0.85 is on a point of the chords, halfway up the ramp from 0.7 to 1.
        vms = [small.vm("v", "a", use_cores=8.5, vcpus=9)]
        figures = judge.objective(small.cluster([small.host("a")], vms), {"v": "a"})
        expected = 3600 * 10 * (5e-5 * 0.85**2 + 0.15**2 / 0.6)
        self.assertAlmostEqual(figures["contention_seconds"], expected, places=2)

    def test_who_waits_costs_the_horizon_and_breaks_nothing(self):
        vms = [small.vm("v", None, use_cores=2.0)]
        figures = judge.judge(small.cluster([small.host("a")], vms), {})
        self.assertTrue(figures["feasible"])
        self.assertEqual((figures["waiting"], figures["waiting_seconds"]), (1, 7200.0))

    def test_chords_are_convex_and_above_nothing(self):
        slopes = [slope for slope, _ in chords(0.7)]
        self.assertEqual(slopes, sorted(slopes))
        self.assertGreater(min(slopes), 0)


class Violations(unittest.TestCase):
    """Each way of being wrong is named."""

    def words(self, changes, **more):
        """What is wrong after `changes` to the crowded cluster."""
        cluster = small.crowded()
        for name, value in more.items():
            setattr(cluster, name, value)
        return judge.violations(cluster, cluster.placement() | changes)

    def test_memory_and_vcpus(self):
        self.assertEqual(self.words({"v4": "a"})[0], "a: memory short by 2048 MiB")
        # Four cores lend sixteen vCPUs; two guests of ten are too many.
        vms = [small.vm(name, "c", vcpus=10) for name in ("x", "y")]
        tight = small.cluster([small.host("c", cores=4)], vms)
        self.assertEqual(judge.violations(tight, tight.placement()), ["c: 4 vCPUs above the limit"])

    def test_rules(self):
        self.assertEqual(self.words({"v0": "b"}), ["rule apart"])
        pin = Rule("pin", "pin", ["v1"], ["b"])
        ban = Rule("exclude", "ban", ["v1"], ["c"])
        pair = Rule("affinity", "pair", ["v1", "v2"])
        self.assertEqual(self.words({}, rules=[pin, ban, pair]), ["rule pin"])
        self.assertEqual(self.words({"v1": "b"}, rules=[pin, ban, pair]), ["rule pair"])
        self.assertEqual(self.words({"v1": "c", "v2": "c"}, rules=[ban, pair]), ["rule ban"])

    def test_drains_lost_guests_and_strangers(self):
        self.assertEqual(self.words({}, drain=["b"]), ["b not emptied"])
        cluster = small.crowded()
        placement = cluster.placement()
        del placement["v4"]
        self.assertEqual(judge.violations(cluster, placement), ["v4: ran on b, has no place"])
        self.assertEqual(self.words({"nobody": "a"}), ["unknown guest nobody"])
        self.assertEqual(self.words({"v4": "z"}), ["v4 on unknown z"])
        self.assertFalse(judge.judge(cluster, {"v4": "z"})["feasible"])

    def test_hosts_that_take_nobody(self):
        cluster = small.crowded()
        cluster.hosts[2].state = "maintenance"
        wrong = judge.violations(cluster, cluster.placement() | {"v0": "c"})
        self.assertEqual(wrong, ["v0: moved to c, which takes nobody"])


class Losses(unittest.TestCase):
    """Every host is lost in turn and its guests are really placed."""

    def test_room_is_taken_and_given_back(self):
        vms = [small.vm("v0", "a", 6144), small.vm("v1", "b", 4096), small.vm("v2", "c", 6144)]
        hosts = [small.host(name) for name in "abc"]
        cluster = small.cluster(hosts, vms)
        self.assertEqual(judge.losses(cluster, cluster.placement(), True), (0, 0))

    def test_free_memory_in_small_holes_saves_nobody(self):
        vms = [small.vm(f"v{name}", name, 6144) for name in "abc"]
        cluster = small.cluster([small.host(name) for name in "abc"], vms)
        # 12 GiB are free, but 6 nowhere in one piece.
        self.assertEqual(judge.losses(cluster, cluster.placement(), False), (3, 3))

    def test_hosts_that_run_nothing_help_only_while_they_are_on(self):
        vms = [small.vm("v0", "a", 6144), small.vm("v1", "b", 6144)]
        cluster = small.cluster([small.host(name) for name in "abc"], vms)
        self.assertEqual(judge.losses(cluster, cluster.placement(), False), (0, 0))
        self.assertEqual(judge.losses(cluster, cluster.placement(), True), (2, 2))

    def test_rules_hold_for_restarts(self):
        vms = [small.vm("v0", "a"), small.vm("v1", "b")]
        apart = Rule("anti-affinity", "apart", ["v0", "v1"])
        cluster = small.cluster([small.host(name) for name in "ab"], vms, [apart])
        self.assertEqual(judge.losses(cluster, cluster.placement(), True), (2, 2))


if __name__ == "__main__":
    unittest.main()
