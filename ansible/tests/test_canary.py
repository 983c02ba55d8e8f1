"""The canary's judge: what it must catch, what it must let pass, and when it must say that it cannot know."""

import random
import unittest

from tests import paths  # noqa: F401
from ansible.module_utils.corelane_canary import binomial_tail, judge, judge_clients, poisson_tail, poisson_upper, probes, with_criterion
from ansible.module_utils.corelane_exposition import parse, window
from ansible.module_utils.corelane_histogram import count, merged, quantile_bounds, quantile_edge, superiority

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


def drawn(rng, mean):
    """A number of a Poisson distribution: arrivals within one unit of time."""
    events, at = 0, rng.expovariate(mean)
    while at < 1:
        events, at = events + 1, at + rng.expovariate(mean)
    return events


def criterion(verdict, name):
    return next(found["verdict"] for found in verdict["criteria"] if found["name"] == name)


class Errors(unittest.TestCase):
    def test_table(self):
        for errors, requests, others, expected in [
            (0, 3000, (0, 6000), "pass"),
            # That it is less than one in a thousand takes three thousand.
            (0, 2900, (0, 5800), "not enough data"),
            (0, 10, (0, 2000), "not enough data"),
            (1, 3, (0, 6), "not enough data"),
            # One answer may be chance, whoever else has none.
            (1, 2000, (0, 4000), "not enough data"),
            (1, 5000, (0, 10000), "pass"),
            (9, 1000, (0, 2000), "fail"),
            (40, 2000, (0, 4000), "fail"),
            (40, 2000, (38, 2000), "pass"),
            # Four times as many, and more than one in a thousand.
            (40, 2000, (10, 2000), "fail"),
            # Half as many again: the ratio that is allowed, and known well.
            (1500, 100000, (1000, 100000), "pass"),
            # Twice as many, which is the limit: neither is sure.
            (40, 2000, (20, 2000), "not enough data"),
            (100, 2000, (10, 2000), "fail"),
            # All fail alike: the release is not what they fail at.
            (500, 2000, (500, 2000), "pass"),
            # Too few requests to pass, but hardly any is answered.
            (20, 20, (0, 4000), "fail"),
        ]:
            verdict = judge(watch(errors=errors, requests=requests), [watch("e2", errors=others[0], requests=others[1])])
            self.assertEqual(criterion(verdict, "errors"), expected, (errors, requests, others))

    def test_a_release_that_fails_hardly_ever_passes(self):
        # False passes: how often a canary that fails in this share of its requests, beside two good hosts, is found good.
        rng = random.Random(7)
        for share in (0.005, 0.01, 0.02, 0.05):
            for requests in (1, 50, 200, 1000, 3000, 10000):
                passed = 0
                for _ in range(200):
                    errors = drawn(rng, share * requests)
                    others = [watch(host, requests=requests) for host in ("e2", "e3")]
                    passed += criterion(judge(watch(requests=requests, errors=min(errors, requests)), others), "errors") == "pass"
                self.assertLessEqual(passed, 2, (share, requests))

    def test_few_requests_never_pass(self):
        others = [watch("e2", requests=5000)]
        for requests, expected in [(199, "not enough data"), (200, "pass")]:
            verdict = judge(watch(requests=requests), others, {"errors_share_max": 0.05})
            self.assertEqual(criterion(verdict, "errors"), expected)

    def test_without_others_the_share_is_judged(self):
        self.assertEqual(criterion(judge(watch(errors=1, requests=5000), []), "errors"), "pass")
        self.assertEqual(criterion(judge(watch(errors=1), []), "errors"), "not enough data")
        self.assertEqual(judge(watch(errors=30), [])["verdict"], "fail")

    def test_clients_of_nodes(self):
        good, bad = (lambda host: watch(host, requests=1500)), watch("e9", errors=30)
        for clients, expected in [
            # Each has too few requests, and all together have enough.
            ([good("e1"), good("e2")], "pass"),
            ([good("e1")], "not enough data"),
            ([good("e1"), good("e2"), good("e3"), bad], "fail"),
            # One of many, which all together hide.
            ([watch("e%d" % number, requests=10000) for number in range(40)] + [bad], "fail"),
            ([{"host": "e1", "failed": "gone"}], "not enough data"),
            ([{"host": "e1", "failed": "gone"}, watch("e2", requests=5000)], "pass"),
            ([], "not enough data"),
        ]:
            self.assertEqual(judge_clients(clients)["verdict"], expected, clients)

    def test_the_upper_bound_of_a_rate(self):
        # Exact: 2.996, 4.744, 16.96 (half of a quantile of chi-squared).
        for events, exact in [(0, 2.996), (1, 4.744), (10, 16.96)]:
            self.assertAlmostEqual(poisson_upper(events, 0.05) / exact, 1.0, delta=0.015)

    def test_tails(self):
        self.assertAlmostEqual(binomial_tail(3, 3, 0.5), 0.125)
        self.assertAlmostEqual(binomial_tail(1, 10, 0.1), 1 - 0.9 ** 10)
        self.assertEqual((binomial_tail(0, 5, 0.5), binomial_tail(6, 5, 0.5)), (1.0, 0.0))
        self.assertAlmostEqual(poisson_tail(1, 2.0), 1 - 2.718281828459045 ** -2)


    def test_tails_of_many_events(self):
        # Where one way of reckoning follows another, both say the same.
        for successes, trials, chance in [(50100, 100001, 0.5), (20100, 100001, 0.2), (10000, 2000000, 0.00495), (9999, 1000000, 0.0099)]:
            below, above = 1 - binomial_tail(trials - successes + 1, trials, 1 - chance), binomial_tail(successes, trials, chance)
            self.assertAlmostEqual(below, above, delta=0.002)
        exact, normal = binomial_tail(50200, 100000, 0.5), binomial_tail(50201, 100002, 0.5)
        self.assertAlmostEqual(exact, normal, delta=0.002)
        self.assertAlmostEqual(poisson_tail(100000, 99800.0), poisson_tail(100001, 99801.0), delta=0.002)
        # Every sum has a bound: of each event by itself these would take days.
        most = 2 ** 53
        self.assertEqual(binomial_tail(most // 2, most, 0.25), 0.0)
        self.assertEqual(binomial_tail(most // 4, most, 0.5), 1.0)
        self.assertEqual((poisson_tail(most, most / 2.0), poisson_tail(most // 2, float(most))), (0.0, 1.0))
        self.assertEqual(judge(watch(requests=most, errors=most // 2), [watch("e2", requests=most)])["verdict"], "fail")


class Cpu(unittest.TestCase):
    def test_counters_that_do_not_move_are_no_evidence(self):
        self.assertEqual(criterion(judge(watch(cpu=0.0, cpu_error_seconds=0.01), [watch("e2")]), "cpu"), "not enough data")
        self.assertEqual(criterion(judge(watch(cpu=3.0), [watch("e2", cpu=0.0, cpu_error_seconds=0.01)]), "cpu"), "not enough data")

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

    def test_an_other_that_is_known_badly_excuses_nothing(self):
        # 40 ms that the counters hide are 200 us for each of 200 requests.
        badly = watch("e3", requests=200, cpu=0.02)
        for cpu, expected in [(0.15, "pass"), (0.5, "not enough data")]:
            self.assertEqual(criterion(judge(watch(cpu=cpu), [watch("e2", cpu=0.2), badly]), "cpu"), expected)

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
        for size, passes in [(100, 95), (500, 99), (1000, 90), (2000, 99)]:
            found = [
                judge(watch(requests=5000, cpu=2.5, samples=[rng.lognormvariate(-8, 0.5) for _ in range(size)]), self.others(rng.random()))
                for _ in range(100)]
            self.assertNotIn("fail", [verdict["verdict"] for verdict in found])
            self.assertGreaterEqual([verdict["verdict"] for verdict in found].count("pass"), passes, (size, found[0]))

    def test_a_release_that_is_slower_hardly_ever_passes(self):
        # Beyond the limit of twice the median, at whatever number of requests.
        rng = random.Random(6)
        for size in (100, 200, 500, 2000):
            passed = 0
            for _ in range(50):
                samples = [2.9 * rng.lognormvariate(-8, 0.5) for _ in range(size)]
                passed += criterion(judge(watch(samples=samples), self.others(rng.random())), "latency of hit") == "pass"
            self.assertEqual(passed, 0, size)

    def test_a_tail_that_may_be_beyond_the_limit_is_not_passed(self):
        rng = random.Random(8)
        # So many of so many are slow: about 1 %, where chance would let the 99th percentile be on either side. Of fewer it is not asked for.
        for slow, size, expected in [(12, 1200, "not enough data"), (3, 1200, "pass"), (60, 1200, "fail"), (9, 900, "pass")]:
            samples = [rng.lognormvariate(-8, 0.5) * (100 if number < slow else 1) for number in range(size)]
            verdict = judge(watch(samples=samples), self.others())
            self.assertEqual(criterion(verdict, "latency of hit"), expected, verdict["sentence"])
            self.assertEqual("p99 may be above" in verdict["sentence"], expected == "not enough data")

    def test_a_shift_that_may_be_beyond_the_limit_is_not_passed(self):
        # 49 of 100 are one bucket above all of the others: a request is slower than one to the others in 74.5 %, 75 % are allowed.
        for above, expected in [(40, "pass"), (49, "not enough data"), (60, "fail")]:
            samples = [0.0015] * above + [0.001] * (100 - above)
            verdict = judge(watch(samples=samples), [watch("e2", samples=[0.001] * 4000)])
            self.assertEqual(criterion(verdict, "latency of hit"), expected, verdict["sentence"])

    def test_a_route_with_few_samples_is_not_judged(self):
        verdict = judge(watch(samples=[1.0] * 20), self.others())
        self.assertEqual([found["name"] for found in verdict["criteria"]], ["errors", "cpu", "latency"])
        self.assertEqual(criterion(verdict, "latency"), "not enough data")
        busy = dict(watch(), histograms={"hit": histogram([1.0] * 20), "write": histogram([0.001] * 200)})
        others = [dict(other, histograms={"hit": histogram([0.001] * 200), "write": histogram([0.001] * 200)}) for other in self.others()]
        self.assertEqual([found["name"] for found in judge(busy, others)["criteria"]], ["errors", "cpu", "latency of write"])

    def test_latency_can_be_left_out(self):
        verdict = judge(watch(samples=[1.0] * 200), self.others(), {"latency_samples_min": 0})
        self.assertEqual([found["name"] for found in verdict["criteria"]], ["errors", "cpu"])

    def test_quantiles_are_between_their_bounds(self):
        rng = random.Random(4)
        for size in (10, 100, 5000):
            samples = sorted(rng.expovariate(1000) for _ in range(size))
            for q in (0.5, 0.99):
                low, high = quantile_bounds(histogram(samples), q, 3.1)
                self.assertLessEqual(low, samples[min(size - 1, int(q * size))])
                self.assertGreaterEqual(high, samples[min(size - 1, int(q * size))])
                self.assertLess(low, quantile_edge(histogram(samples), q))
                self.assertGreaterEqual(high, quantile_edge(histogram(samples), q))
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
        gone = {"host": "e2", "failed": "no route"}
        self.assertEqual([found["name"] for found in judge(watch(), [gone, watch("e3")])["criteria"]], ["errors", "cpu", "latency"])

    def test_what_could_be_compared_with_nobody_does_not_pass(self):
        for others, says in [([], "no host"), ([{"host": "e2", "failed": "no route"}], "e2 (no route)")]:
            verdict = judge(watch(requests=5000, cpu=250.0), others)
            self.assertEqual((verdict["verdict"], criterion(verdict, "errors")), ("not enough data", "pass"))
            self.assertIn(says, verdict["sentence"])

    def test_wrong_content_fails_whatever_else_is_good(self):
        def asked(path, found, expected):
            return {"path": path, "found": found, "expected": expected, "compared_with": "e2"}

        verdict = judge(watch(requests=5000), [watch("e2", requests=5000)], {"latency_samples_min": 0})
        self.assertEqual(verdict["verdict"], "pass")
        wrong = probes("e1", [asked("/a", "200 x", "200 y"), asked("/b", "1", "1"), asked("/c", "1", None)])
        verdict = with_criterion(verdict, wrong)
        self.assertEqual(verdict["verdict"], "fail")
        self.assertIn("1 of 3 probes otherwise than e2: /a gave 200 x instead of 200 y", verdict["sentence"])
        self.assertEqual(probes("e1", [asked("/b", "1", "1")])["verdict"], "pass")
        self.assertEqual(probes("e1", [asked("/b", "1", "1"), asked("/c", "1", None)])["verdict"], "not enough data")

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

    def refused(self, change, before=None):
        """Why there is no window where a line of the second look (or of the first) is another."""
        first, second = SCRAPE % {"r": 10, "c": 0.5}, SCRAPE % {"r": 60, "c": 0.75}
        try:
            window(parse(before(first) if before else first), parse(change(second)), 5.0)
        except ValueError as error:
            return str(error)
        return None

    def test_numbers_that_cannot_be_right_give_no_window(self):
        for old, new, said in [
            ('total{core="1"} 60', 'total{core="1"} NaN', "the value nan of corelane_http_requests_total"),
            ('total{core="1"} 60', 'total{core="1"} +Inf', "the value inf"),
            ('total{core="1"} 60', 'total{core="1"} -5', "the value -5"),
            ('class="5xx"} 2', 'class="5xx"} 1e300', "the value 1e+300"),
            ('mode="user"} 0.75', 'mode="user"} NaN', "the value nan of corelane_process_cpu_seconds_total"),
            ('le="0.001"} 60', 'le="0.001"} NaN', "the value nan"),
            ('total{core="1"} 60', 'total{core="1"} 9', "corelane_http_requests_total fell from 10 to 9"),
            ('class="5xx"} 2', 'class="5xx"} 1', "fell"),
            ('le="0.001"} 60', 'le="0.001"} 9', "fell"),
            ('{route="hit",le="0.001"} 60', '{route="hit"} 60', "lost a series"),
            ("} 7", '} 7\ncorelane_http_request_duration_seconds_bucket{route="hit"} 9', "without le"),
            ("} 7", '} 7\ncorelane_http_request_duration_seconds_bucket{le="1"} 9', "without route"),
            ("} 7", '} 7\ncorelane_http_request_duration_seconds_bucket{route="hit",le="abc"} 9', "with le abc"),
            ("} 7", '} 7\ncorelane_http_request_duration_seconds_bucket{route="hit",le="nan"} 9', "with le nan"),
            ("} 7", '} 7\ncorelane_http_requests_total{core="2"} 9', "a new series"),
        ]:
            self.assertIn(said, self.refused(lambda text: text.replace(old, new)) or "a window", (old, new))

    def test_what_is_missing_is_not_taken_for_none(self):
        for part, said in [
            ("corelane_process_cpu", "has no corelane_process_cpu_seconds_total"),
            ("corelane_http_responses", 'of class "5xx"'),
            ('class="5xx"', 'of class "5xx"'),
            ("_requests_total", "neither corelane_http_requests_total nor corelane_node_requests_total"),
            ('route="hit",le="+Inf"', "no bucket +Inf of hit"),
        ]:
            def without(text):
                return "".join(line + "\n" for line in text.splitlines() if part not in line)

            self.assertIn(said, self.refused(without, without) or "a window", part)

    def test_a_node_has_no_http(self):
        text = 'corelane_process_start_time_seconds 1\ncorelane_node_requests_total{core="0",operation="get"} %d\n'
        text += 'corelane_process_cpu_seconds_total{thread="core-0",mode="user"} %d\n'
        found = window(parse(text % (1, 1)), parse(text % (5, 2)), 5.0)
        self.assertEqual((found["requests"], found["cpu_seconds"], found["responses"]["5xx"]), (4, 1.0, 0))

    def test_threads_may_end(self):
        self.assertIsNone(self.refused(lambda text: text.replace('{thread="log"', '{thread="other"')))
        self.assertIsNone(self.refused(lambda text: text.replace('mode="user"} 0.75', 'mode="user"} 0.25')))


if __name__ == "__main__":
    unittest.main()
