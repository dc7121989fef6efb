"""What is read from files and from what other programs print."""

import json
import pathlib
import tempfile
import unittest

from peers import cluster as plain
from peers import families, ganeti, hbal
from peers.tests import small

PRINTED = """Loaded 3 nodes, 5 instances
Initial score: 2.29743140
Trying to minimize the CV...
    1. v00043 n0001       => n0004         2.11213296 a=fa:n0004
    2. v00098 n0001:n0003 => n0002:n0003   1.99367663 a=f r:n0003
Cluster score improved from 2.29743140 to 1.99367663
Solution length=2
"""


class Hbal(unittest.TestCase):
    """hbal's output, whole and cut short."""

    def test_moves_and_scores(self):
        moves = hbal.moves(PRINTED)
        self.assertEqual(moves, [("v00043", "n0004", 2.11213296), ("v00098", "n0002", 1.99367663)])
        self.assertEqual(hbal.SCORE.search(PRINTED)[1], "2.29743140")
        self.assertEqual(hbal.IMPROVED.search(PRINTED)[2], "1.99367663")

    def test_a_line_that_was_cut_is_no_move(self):
        cut = PRINTED[: PRINTED.index(" a=f r")]
        self.assertEqual(len(hbal.moves(cut)), 1)


class Ganeti(unittest.TestCase):
    """The text form."""

    def test_rows_and_sections(self):
        cluster = small.crowded()
        sections = ganeti.text(cluster).split("\n\n")
        nodes = sections[1].splitlines()
        self.assertTrue(nodes[0].startswith("a|10240|0|0|2000000|2000000|10|M|"), nodes[0])
        self.assertTrue(nodes[1].startswith("b|10240|0|8192|2000000|2000000|10|N|"), nodes[1])
        instances = sections[2].splitlines()
        self.assertEqual(instances[0], "v0|1024|20480|2|running|Y|a||rbd|apart:0|1|1|N")
        self.assertEqual(sections[3].strip(), "htools:iextags:apart")

    def test_another_placement_moves_memory_with_the_guest(self):
        cluster = small.crowded()
        placement = cluster.placement() | {"v3": "c"}
        text = ganeti.text(cluster, placement)
        self.assertIn("a|10240|0|4096|", text)
        self.assertIn("c|10240|0|6144|", text)
        self.assertEqual(ganeti.placement_of(text), placement)

    def test_dynamic_use_is_parts_of_the_host(self):
        self.assertTrue(ganeti.use(small.crowded()).startswith("v0 0.15000 0.10000 0.00000 "))

    def test_hosts_to_be_emptied_are_offline_and_who_waits_is_left_out(self):
        cluster = small.crowded()
        cluster.drain, cluster.vms[4].host = ["b"], None
        sections = ganeti.text(cluster).split("\n\n")
        self.assertIn("|10|Y|", sections[1].splitlines()[1])
        self.assertEqual(len(sections[2].splitlines()), 4)


class Plain(unittest.TestCase):
    """The plain form refuses what does not hold together."""

    def refused(self, change):
        """The message about the smallest cluster after `change`."""
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "cluster.json"
            plain.write(families.skewed(2, 2, 1), path)
            parts = json.loads(path.read_text())
            change(parts)
            path.write_text(json.dumps(parts))
            with self.assertRaises(plain.FormatError) as caught:
                plain.read(path)
        return str(caught.exception)

    def test_names_and_numbers(self):
        def unknown_host(parts):
            parts["vms"][0]["host"] = "nowhere"

        def same_name(parts):
            parts["vms"][0]["name"] = parts["vms"][1]["name"]

        self.assertIn("unknown host nowhere", self.refused(unknown_host))
        self.assertIn("stands twice", self.refused(same_name))
        self.assertIn("goal", self.refused(lambda parts: parts.update(goal="win")))
        self.assertIn("drain", self.refused(lambda parts: parts.update(drain=["nowhere"])))

    def test_keys(self):
        self.assertIn("memory_mib", self.refused(lambda parts: parts["hosts"][0].pop("memory_mib")))
        self.assertIn("colour", self.refused(lambda parts: parts["hosts"][0].update(colour=1)))
        self.assertIn("unknown extra", self.refused(lambda parts: parts.update(extra=1)))
        nan = float("nan")
        self.assertIn("use", self.refused(lambda parts: parts["vms"][0].update(use_cores=nan)))
        rule = {"kind": "pin", "name": "p", "vms": ["nobody"], "hosts": []}
        self.assertIn("names nobody", self.refused(lambda parts: parts.update(rules=[rule])))

    def test_only_what_must_be_there_must_be_there(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "cluster.json"
            host = {"name": "a", "cores": 4, "memory_mib": 4096}
            vm = {"name": "v", "memory_mib": 1, "vcpus": 1, "use_cores": 0.5, "host": "a"}
            path.write_text(json.dumps({"name": "one", "hosts": [host], "vms": [vm]}))
            read = plain.read(path)
        self.assertEqual((read.goal, read.drain, read.rules), ("balance", [], []))
        self.assertEqual(read.objective.chords, plain.chords())


if __name__ == "__main__":
    unittest.main()
