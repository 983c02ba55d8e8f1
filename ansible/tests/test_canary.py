"""The canary's judge: what it must catch, what it must let pass, and when it must say that it cannot know."""

import random
import unittest

from tests import paths  # noqa: F401
from ansible.module_utils.corelane_canary import binomial_tail, judge, poisson_tail, probes, with_criterion
from ansible.module_utils.corelane_exposition import parse, window
from ansible.module_utils.corelane_histogram import count, merged, quantile_bounds, superiority

# Two bounds to a power of two, as the binaries have.
BOUNDS = sorted([1e-6 * 2 ** power for power in range(27)] + [1.5e-6 * 2 ** power for power in range(26)])


def histogram(samples):
    counts = [[bound, 0.0] for bound in BOUNDS]
    for sample in samples:
        next(entry for entry in counts if sample <= entry[0])[1] += 1
    return counts


def watch(host="e1", requests=2000, errors=0, cpu=1.0, samples=(), **more):
    base = {
        "host": host, "seconds": 60, "requests": requests, "responses": {"2xx": requests - errors, "5xx": errors},
        "cpu_seconds": cpu, "cpu_error_seconds": 0.04, "histograms": {"hit": histogram(samples)} if samples else {},
    }
    return dict(base, **more)


def criterion(verdict, name):
    return next(found["verdict"] for found in verdict["criteria"] if found["name"] == name)


class Errors(unittest.TestCase):
    def test_table(self):
        for errors, requests, others, expected in [
            (0, 2000, (0, 2000), "pass"),
            (0, 10, (0, 2000), "not enough data"),
            # One answer may be chance, whoever else has none.
            (1, 2000, (0, 4000), "pass"),
            (40, 2000, (0, 4000), "fail"),
            (40, 2000, (38, 2000), "pass"),
            (40, 2000, (10, 2000), "pass"),
            (100, 2000, (10, 2000), "fail"),
            # All fail alike: the release is not what they fail at.
            (500, 2000, (500, 2000), "pass"),
            # Too few requests, but hardly any is answered.
            (20, 20, (0, 4000), "fail"),
        ]:
            verdict = judge(watch(errors=errors, requests=requests), [watch("e2", errors=others[0], requests=others[1])])
            self.assertEqual(criterion(verdict, "errors"), expected, (errors, requests, others))

    def test_without_others_the_share_is_judged(self):
        self.assertEqual(judge(watch(errors=1), [])["verdict"], "pass")
        self.assertEqual(judge(watch(errors=30), [])["verdict"], "fail")

    def test_tails(self):
        self.assertAlmostEqual(binomial_tail(3, 3, 0.5), 0.125)
        self.assertAlmostEqual(binomial_tail(1, 10, 0.1), 1 - 0.9 ** 10)
        self.assertEqual((binomial_tail(0, 5, 0.5), binomial_tail(6, 5, 0.5)), (1.0, 0.0))
        self.assertAlmostEqual(poisson_tail(1, 2.0), 1 - 2.718281828459045 ** -2)


class Cpu(unittest.TestCase):
    def test_table(self):
        for cpu, requests, expected in [
            (1.0, 2000, "pass"),
            (1.2, 2000, "pass"),
            (3.0, 2000, "fail"),
            (3.0, 6000, "pass"),
            (3.0, 100, "not enough data"),
        ]:
            verdict = judge(watch(cpu=cpu, requests=requests), [watch("e2"), watch("e3", cpu=1.1)])
            self.assertEqual(criterion(verdict, "cpu"), expected, (cpu, requests))

    def test_steps_of_the_counter_are_no_evidence(self):
        verdict = judge(watch(cpu=0.03), [watch("e2", cpu=0.01)])
        self.assertEqual(criterion(verdict, "cpu"), "not enough data")

    def test_others_that_differ_as_much_excuse_it(self):
        verdict = judge(watch(cpu=3.0), [watch("e2"), watch("e3"), watch("e4"), watch("e5", cpu=3.0)])
        self.assertEqual(criterion(verdict, "cpu"), "pass")


class Latency(unittest.TestCase):
    def others(self, seed=1):
        rng = random.Random(seed)
        return [watch(host, samples=[rng.lognormvariate(-8, 0.5) for _ in range(2000)]) for host in ("e2", "e3")]

    def test_slower_hosts_are_found(self):
        rng = random.Random(2)
        for factor, tail, expected in [(1, 1, "pass"), (1.3, 1, "pass"), (3, 1, "fail"), (8, 1, "fail"), (1, 40, "fail")]:
            samples = [rng.lognormvariate(-8, 0.5) * (tail if rng.random() < 0.05 else factor) for _ in range(2000)]
            verdict = judge(watch(samples=samples), self.others())
            self.assertEqual(criterion(verdict, "latency of hit"), expected, (factor, tail, verdict["sentence"]))

    def test_a_host_among_the_others_that_is_as_slow_excuses_it(self):
        rng = random.Random(5)
        slow = [rng.lognormvariate(-6, 0.5) for _ in range(2000)]
        others = self.others() + [watch("e4", samples=slow)]
        self.assertEqual(criterion(judge(watch(samples=slow), others), "latency of hit"), "pass")
        self.assertEqual(criterion(judge(watch(samples=slow), self.others()), "latency of hit"), "fail")

    def test_alike_is_not_refused(self):
        rng = random.Random(3)
        for _ in range(100):
            samples = [rng.lognormvariate(-8, 0.5) for _ in range(500)]
            self.assertEqual(judge(watch(samples=samples), self.others(rng.random()))["verdict"], "pass")

    def test_a_route_with_few_samples_is_not_judged(self):
        verdict = judge(watch(samples=[1.0] * 20), self.others())
        self.assertEqual([found["name"] for found in verdict["criteria"]], ["errors", "cpu"])

    def test_quantiles_are_between_their_bounds(self):
        rng = random.Random(4)
        for size in (10, 100, 5000):
            samples = sorted(rng.expovariate(1000) for _ in range(size))
            for q in (0.5, 0.99):
                low, high = quantile_bounds(histogram(samples), q, 3.1)
                self.assertLessEqual(low, samples[min(size - 1, int(q * size))])
                self.assertGreaterEqual(high, samples[min(size - 1, int(q * size))])
        self.assertEqual(quantile_bounds([], 0.5, 3)[0], 0.0)

    def test_superiority_against_counting_pairs(self):
        ours, theirs = [[1.0, 3.0], [2.0, 1.0]], [[1.0, 1.0], [2.0, 4.0]]
        pairs = [(a, b) for a, n in ours for _ in range(int(n)) for b, m in theirs for _ in range(int(m))]
        expected = sum(1.0 if a > b else 0.5 if a == b else 0.0 for a, b in pairs) / len(pairs)
        self.assertAlmostEqual(superiority(ours, theirs)[0], expected)
        self.assertEqual(superiority(ours, ours)[0], 0.5)
        self.assertEqual(count(merged([ours, theirs])), 9.0)


class Whole(unittest.TestCase):
    def test_a_host_that_could_not_be_watched_fails(self):
        verdict = judge({"host": "e1", "failed": "connection refused"}, [watch("e2")])
        self.assertEqual(verdict["verdict"], "fail")
        self.assertIn("e1 could not be watched: connection refused", verdict["sentence"])

    def test_others_that_could_not_be_watched_are_left_out(self):
        self.assertEqual(judge(watch(), [{"host": "e2", "failed": "gone"}])["verdict"], "pass")

    def test_wrong_content_fails_whatever_else_is_good(self):
        verdict = judge(watch(), [watch("e2")])
        self.assertEqual(verdict["verdict"], "pass")
        wrong = probes("e1", [{"path": "/a", "found": "200 x", "expected": "200 y"}, {"path": "/b", "found": "1", "expected": "1"}], "e2")
        verdict = with_criterion(verdict, wrong)
        self.assertEqual(verdict["verdict"], "fail")
        self.assertIn("1 of 2 probes otherwise than e2: /a gave 200 x instead of 200 y", verdict["sentence"])

    def test_a_sentence_names_host_figures_and_limit(self):
        verdict = judge(watch(cpu=3.0), [watch("e2")])
        self.assertEqual(verdict["sentence"], "CPU per request: e1 1500 us, the others 500 us: more than 1.5 times as much")


SCRAPE = """
# HELP corelane_process_start_time_seconds Start
corelane_process_start_time_seconds 1700000000
corelane_process_build_info{program="corelane",version="0.1.0",commit="abc",digest=""} 1
corelane_http_requests_total{core="0"} %(r)d
corelane_http_requests_total{core="1"} %(r)d
corelane_http_responses_total{core="0",class="2xx"} %(r)d
corelane_http_responses_total{core="1",class="5xx"} 2
corelane_process_cpu_seconds_total{thread="core-0",mode="user"} %(c)s
corelane_process_cpu_seconds_total{thread="log",mode="user"} 0
corelane_http_request_duration_seconds_bucket{route="hit",le="0.001"} %(r)d
corelane_http_request_duration_seconds_bucket{route="hit",le="+Inf"} %(r)d
corelane_http_request_duration_seconds_bucket{route="read",le="+Inf"} 0
corelane_cache_items{core="0"} 7
"""


class Exposition(unittest.TestCase):
    def scrape(self, requests, cpu):
        return parse(SCRAPE % {"r": requests, "c": cpu})

    def test_a_window_is_a_difference(self):
        found = window(self.scrape(10, 0.5), self.scrape(60, 0.75), 5.0)
        self.assertEqual(found["requests"], 100)
        self.assertEqual(found["responses"], {"2xx": 50, "3xx": 0, "4xx": 0, "5xx": 0})
        self.assertEqual((found["cpu_seconds"], found["cpu_error_seconds"]), (0.25, 0.01))
        self.assertEqual(found["histograms"], {"hit": [[0.001, 50.0], [1e9, 0.0]]})
        self.assertEqual((found["items"], found["version"]), (7, "0.1.0 abc"))

    def test_a_restart_between_is_said(self):
        after = parse((SCRAPE % {"r": 1, "c": 0}).replace("1700000000", "1700000009"))
        with self.assertRaisesRegex(ValueError, "restarted"):
            window(self.scrape(10, 0), after, 5.0)
        with self.assertRaisesRegex(ValueError, "not that of"):
            window(parse("nonsense"), parse("a 1"), 5.0)


if __name__ == "__main__":
    unittest.main()
