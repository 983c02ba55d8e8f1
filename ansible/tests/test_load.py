"""Runs of the load generator: commands, places of results, lines."""

import unittest

import tests.paths  # noqa: F401

from ansible.module_utils import corelane_load as load

SCENARIO = 'title = "url = nothing"\nurl = "http://127.0.0.1:8080/v1/kv/default/{key}"\nrate = 10\n'


class Commands(unittest.TestCase):
    def test_the_load_goes_to_another_host_by_the_same_path(self):
        self.assertEqual(load.url_at(SCENARIO, "[2001:db8::1]:80"), "http://[2001:db8::1]:80/v1/kv/default/{key}")
        self.assertEqual(load.url_at('url="redis://h:1/k"', "b:2"), "redis://b:2/k")
        self.assertEqual(load.url_at('url = "http://h:1"', "b:2"), "http://b:2")
        with self.assertRaisesRegex(load.LoadError, "no url"):
            load.url_at("rate = 10\n# url = \"http://h/\"\n", "b:2")

    def test_a_run_and_a_search(self):
        command = load.run_command("cp", "d/web.toml", "http://b:2/k", ["a:1", "b:1"], ["--duration 30s", "--closed"], "out")
        self.assertEqual(
            command,
            ["cp", "run", "d/web.toml", "--url", "http://b:2/k", "--out", "out", "--agents", "a:1,b:1", "--duration", "30s", "--closed"],
        )
        self.assertNotIn("--agents", load.run_command("cp", "w", "u", [], [], "out"))
        self.assertEqual(
            load.search_command("cp", "w.toml", "u", "p99=1ms", "f"), ["cp", "search", "w.toml", "--url", "u", "--slo", "p99=1ms", "--out", "f"])

    def test_places(self):
        self.assertEqual(load.result_folder("out", "/d/web-pipelined.toml", 2), "out/web-pipelined/corelane/2")
        self.assertEqual(load.search_file("out", "/d/web.toml", 1), "out/search-web-1.json")


class Lines(unittest.TestCase):
    def test_a_run_that_was_not_valid_has_no_percentiles(self):
        result = {"rate_answered": 999.6, "valid": False, "invalid_reasons": ["late", "busy"], "latency": None, "errors": {"total": 1}}
        self.assertEqual(load.run_line("web.toml", 1, result), "web, round 1: 1000 requests/s, not valid: late; busy")
        result.update(valid=True, latency={"p50_us": 11.2, "p99_us": 99.8})
        self.assertEqual(load.run_line("web.toml", 1, result), "web, round 1: 1000 requests/s, p50 11 us, p99 100 us, 1 errors")

    def test_a_search(self):
        result = {"objective": "p99=1ms", "met": 900.0, "missed": 918.0}
        self.assertEqual(load.search_line("w.toml", 3, result), "w, search 3: 900 requests/s met p99=1ms, 918 is too many")
        self.assertIn("no rate was too many", load.search_line("w.toml", 3, dict(result, missed=None)))
        self.assertIn("no rate met p99=1ms", load.search_line("w.toml", 3, dict(result, met=0.0)))


if __name__ == "__main__":
    unittest.main()
