"""Batches: the arithmetic for fleets of 1 to 500 hosts."""

import unittest
from collections import Counter

from tests import paths  # noqa: F401
from ansible.module_utils.corelane_batches import BatchError, admit, minimum_in_service, plan

STEPS = [1, "5%", "25%", "100%"]


def hosts(count):
    return ["h%03d" % number for number in range(count)]


class Arithmetic(unittest.TestCase):
    def test_sizes(self):
        for count, steps, minimum, sizes in [
            (1, STEPS, 0, [1]),
            (2, STEPS, 1, [1, 1]),
            (3, STEPS, 2, [1, 1, 1]),
            (3, STEPS, "50%", [1, 1, 1]),
            (4, STEPS, "50%", [1, 1, 1, 1]),
            (10, STEPS, "50%", [1, 1, 2, 5, 1]),
            (100, STEPS, "75%", [1, 5, 25, 25, 25, 19]),
            (100, STEPS, 0, [1, 5, 25, 69]),
            (500, STEPS, "75%", [1, 25, 125, 125, 125, 99]),
            (500, STEPS, "90%", [1, 25, 50, 50, 50, 50, 50, 50, 50, 50, 50, 24]),
            (500, ["100%"], 499, [1] * 500),
            (7, ["33%"], 0, [2, 2, 2, 1]),
        ]:
            found = [len(batch) for batch in plan(hosts(count), steps, minimum)]
            self.assertEqual(found, sizes, (count, steps, minimum))

    def test_all_fleets_to_500_hosts(self):
        for count in range(1, 501):
            fleet = hosts(count)
            zones = dict((host, "z%d" % (index % 3)) for index, host in enumerate(fleet))
            for minimum in (0, "50%", "75%", count - 1):
                needed = minimum_in_service(minimum, count)
                batches = plan(fleet, STEPS, minimum, zones)
                self.assertEqual(sorted(host for batch in batches for host in batch), fleet)
                self.assertEqual(len(batches[0]), 1)
                sizes = Counter(zones.values())
                for batch in batches:
                    self.assertTrue(batch)
                    self.assertGreaterEqual(count - len(batch), needed)
                    for zone, taken in Counter(zones[host] for host in batch).items():
                        self.assertLessEqual(taken, max(1, sizes[zone] * (count - needed) // count))

    def test_a_batch_weakens_all_zones_alike(self):
        fleet = hosts(8)
        zones = dict((host, "a" if index < 4 else "b") for index, host in enumerate(fleet))
        self.assertEqual(plan(fleet, [2], 4, zones)[0], ["h000", "h004"])

    def test_a_zone_of_one_host_can_be_updated(self):
        self.assertEqual(plan(["a1", "a2", "b1"], [1], 2, {"a1": "a", "a2": "a", "b1": "b"}), [["a1"], ["b1"], ["a2"]])

    def test_hosts_that_are_done_or_out_are_in_no_batch(self):
        self.assertEqual(plan(hosts(4), ["100%"], 2, done=["h000"], out=["h001"]), [["h002"], ["h003"]])
        self.assertEqual(plan(hosts(2), [1], 0, done=hosts(2)), [])

    def test_hosts_that_no_batch_takes_are_not_forgotten(self):
        self.assertEqual(len(plan(hosts(1000), [1], 1)), 1000)
        with self.assertRaisesRegex(BatchError, "corelane_rollout_batches: 1 hosts are left after 1000 batches"):
            plan(hosts(1001), [1], 1)

    def test_what_makes_no_sense_is_refused(self):
        for steps, minimum, out in [
            ([1], 3, ()), ([1], "100%", ()), ([1], 2, ["h000"]), ([0], 0, ()), ([], 0, ()),
            (["x"], 0, ()), ([1], "-1%", ()), ([1], "101%", ()), ([-1], 0, ()),
        ]:
            with self.assertRaises(BatchError, msg=(steps, minimum, out)):
                plan(hosts(3), steps, minimum, out=out)
        with self.assertRaises(BatchError):
            plan(["a", "a"], [1], 0)

    def test_percentages_are_rounded_to_the_safe_side(self):
        for value, total, needed in [("75%", 3, 2), ("75%", 1, 0), ("100%", 3, 3), ("100%", 1, 1), ("75%", 5, 4), ("50%", 3, 2), ("10%", 500, 50), ("0%", 5, 0), (2, 3, 2), ("2", 3, 2)]:
            self.assertEqual(minimum_in_service(value, total), needed, (value, total))


class Gate(unittest.TestCase):
    def test_admission(self):
        for batch, in_service, needed, go, held in [
            ("ab", "abc", 1, "ab", ""),
            ("ab", "abc", 2, "a", "b"),
            ("ab", "abc", 3, "", "ab"),
            # One that does not serve is no loss.
            ("ab", "bc", 2, "a", "b"),
            ("ab", "c", 1, "ab", ""),
            ("ab", "c", 5, "ab", ""),
        ]:
            self.assertEqual(admit(list(batch), list(in_service), needed), (list(go), list(held)), (batch, in_service, needed))


if __name__ == "__main__":
    unittest.main()
