"""Hosts for a load: the arithmetic, its limits, and what is refused."""

import unittest

import tests.paths  # noqa: F401

from ansible.module_utils import corelane_capacity as capacity
from ansible.module_utils import corelane_capacity_report as report


def counted(*rates):
    return [capacity.Measurement(rate, rate) for rate in rates]


class CapacityOfAHost(unittest.TestCase):
    def test_the_interval_is_students(self):
        # Mean 100, standard deviation 10, of four: 3.182 * 10 / 2.
        host = capacity.capacity(counted(90, 95, 105, 110))
        deviation = (sum((rate - 100) ** 2 for rate in (90, 95, 105, 110)) / 3) ** 0.5
        self.assertAlmostEqual(host.mean, 100)
        self.assertAlmostEqual(host.high, 100 + 3.182 * deviation / 2)
        self.assertAlmostEqual(host.low, 100 - 3.182 * deviation / 2)

    def test_one_measurement_has_its_own_range(self):
        host = capacity.capacity([capacity.Measurement(980, 1020)])
        self.assertEqual((host.low, host.mean, host.high), (980, 1000, 1020))

    def test_two_that_differ_much_leave_a_host_that_carries_something(self):
        host = capacity.capacity(counted(100, 300))
        self.assertEqual(host.low, 50)
        self.assertLess(host.low, host.mean)

    def test_more_measurements_narrow_it(self):
        widths = []
        for count in (2, 3, 5, 10, 30, 40):
            host = capacity.capacity(counted(*[95, 105] * count))
            widths.append(host.high - host.low)
        self.assertEqual(widths, sorted(widths, reverse=True))

    def test_files_of_coreperf(self):
        search = {"schema": 1, "objective": "p99=1ms", "met": 980.0, "missed": 1000.0, "runs": []}
        closed = {"valid": True, "rate_answered": 700.0, "scenario": {"rate": None}}
        self.assertEqual(capacity.measurement_of(search).middle, 990)
        self.assertEqual(capacity.measurement_of(closed).met, 700)
        for wrong, words in (
            (dict(search, met=0.0), "no rate met"),
            (dict(search, missed=None), "from a higher rate"),
            (dict(closed, valid=False, invalid_reasons=["late"]), "not valid: late"),
            (dict(closed, scenario={"rate": 100}), "open loop"),
            ({"merged": []}, "neither"),
        ):
            with self.assertRaisesRegex(capacity.CapacityError, words):
                capacity.measurement_of(wrong, "f.json")


class Hosts(unittest.TestCase):
    def test_examples(self):
        for rate, utilisation, spare, zones, hosts in (
            (0, 1.0, 0, 1, 1),
            (1000, 1.0, 0, 1, 1),
            (1001, 1.0, 0, 1, 2),
            (1000, 0.5, 0, 1, 2),
            (1000, 0.5, 1, 1, 3),
            # Four serve; with two zones eight are needed, so that either zone carries it alone.
            (4000, 1.0, 1, 2, 8),
            # With three zones a third may be gone.
            (4000, 1.0, 1, 3, 6),
            (4000, 1.0, 1, 100, 5),
            # Not three, though 0.1 + 0.2 is a little above 0.3.
            (0.1 + 0.2, 0.3, 0, 1, 1),
        ):
            host_rate = 1 if rate < 1 and rate else 1000
            safety = capacity.Safety(utilisation, spare, zones)
            self.assertEqual(capacity.hosts_for(rate, host_rate, safety), hosts, (rate, utilisation, spare, zones))

    def test_what_is_left_carries_the_load(self):
        for zones in (1, 2, 3, 5):
            for spare in (0, 1, 3):
                safety = capacity.Safety(0.6, spare, zones)
                previous = 0
                for rate in range(0, 100_000, 777):
                    total = capacity.hosts_for(rate, 1000, safety)
                    left = total - max(spare, capacity.lost_with_a_zone(total, safety))
                    self.assertGreaterEqual(left * 600 + 1e-6, rate)
                    self.assertGreaterEqual(total, previous)
                    self.assertGreaterEqual(capacity.carried(total, 1000, safety) + 1e-6, rate)
                    previous = total

    def test_a_plan_is_ordered_and_recommends_the_cautious_end(self):
        host = capacity.capacity(counted(90, 100, 110))
        one = capacity.plan(10_000, host, capacity.Safety())
        self.assertLessEqual(one.fewest, one.likely)
        self.assertLess(one.likely, one.most)
        self.assertEqual(one.recommended, capacity.hosts_for(10_000, host.low, capacity.Safety()))

    def test_nonsense_is_refused(self):
        for wrong in (lambda: capacity.Safety(0), lambda: capacity.Safety(1.1), lambda: capacity.Safety(0.5, -1),
                      lambda: capacity.Measurement(0, 1), lambda: capacity.Measurement(2, 1), lambda: capacity.capacity([])):
            with self.assertRaises(capacity.CapacityError):
                wrong()


class Report(unittest.TestCase):
    def test_table_and_picture(self):
        import xml.etree.ElementTree as tree

        host = capacity.capacity(counted(190_000, 200_000, 210_000))
        safety = capacity.Safety(0.5, 1, 2)
        text = report.table(capacity.plans(1e6, host, safety), host, safety)
        self.assertIn("| 1 M |", text)
        self.assertIn("3 measurements", text)
        self.assertIn("one of 2 zones", text)
        picture = report.picture(1e6, host, safety)
        root = tree.fromstring(picture)
        self.assertTrue(root.tag.endswith("svg"))
        needed = capacity.plan(1e6, host, safety).recommended
        self.assertIn("1 M requests/s need %d hosts" % needed, picture)

    def test_ticks_are_few_and_whole(self):
        for hosts in (1, 2, 7, 8, 9, 40, 500, 12345):
            found = report.ticks(hosts)
            self.assertLessEqual(len(found), 9)
            self.assertEqual(found[0], 0)


if __name__ == "__main__":
    unittest.main()
