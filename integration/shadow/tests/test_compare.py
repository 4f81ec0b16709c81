"""Medians, ratios and intervals, against a second way to reckon them."""

import math
import random
import statistics
import unittest

import compare
import page
import table
from results import Download, Run


def run_of(variant, seed, rows, code=0):
    """A run with rows of host, size, first, last."""
    downloads = [Download(host, 0, "client", size, first=first, last=last, error="" if last else "timeout")
                 for host, size, first, last in rows]
    return Run(variant, seed, {"code": code, "minutes": 2, "wall": 1, "cpu": 1, "peak_mib": 1,
                              "settings": {"clients": 10}}, downloads)


def made(variant, factor, seeds=(1, 2), clients=5, count=8):
    """Runs with times that follow from seed and client, but for the factor and some noise."""
    runs = []
    for seed in seeds:
        chance, rows = random.Random(f"{seed}"), []
        noise = random.Random(f"{variant} {seed}")
        for client in range(clients):
            line = chance.lognormvariate(0, 0.8)
            rows += [(f"client{client}", 1 << 20, 0.1 * line, line * factor * noise.lognormvariate(0, 0.2))
                     for _ in range(count)]
        runs.append(run_of(variant, seed, rows))
    return runs


def naive_interval(ours, base, rounds, seed):
    """Of the ratio of medians by the statistics module, with draws of its own."""
    chance, found, keys = random.Random(seed), [], list(ours)
    for _ in range(rounds):
        drawn = [keys[int(chance.random() * len(keys))] for _ in keys]
        found.append(statistics.median(sum((ours[key] for key in drawn), []))
                     / statistics.median(sum((base[key] for key in drawn), [])))
    cuts = statistics.quantiles(found, n=40, method="inclusive")
    return cuts[0], cuts[-1]


class Quantiles(unittest.TestCase):
    """Of sorted values."""

    def test_as_the_library_has_them(self):
        chance = random.Random(5)
        for count in (2, 3, 10, 101):
            values = sorted(chance.random() for _ in range(count))
            cuts = statistics.quantiles(values, n=20, method="inclusive")
            self.assertAlmostEqual(compare.quantile(values, 0.5), statistics.median(values))
            self.assertAlmostEqual(compare.quantile(values, 0.95), cuts[18])
            self.assertAlmostEqual(compare.quantile(values, 0.25), cuts[4])
            self.assertEqual((compare.quantile(values, 0), compare.quantile(values, 1)), (values[0], values[-1]))
        self.assertEqual(compare.quantile([7], 0.95), 7)
        self.assertIsNone(compare.quantile([], 0.5))

    def test_what_never_came(self):
        never = compare.NEVER
        self.assertEqual(compare.quantile([1, 2, never], 0.5), 2)
        self.assertEqual(compare.quantile([1, 2, never, never], 0.5), never)
        self.assertEqual(compare.quantile([never, never], 0.3), never)
        self.assertIsNone(compare.ratio_of(1, never))
        self.assertIsNone(compare.ratio_of(never, never))
        self.assertEqual(compare.ratio_of(never, 1), never)


class Ratios(unittest.TestCase):
    """Of two variants."""

    def test_medians_and_intervals(self):
        self.addCleanup(setattr, compare, "RESAMPLES", compare.RESAMPLES)
        compare.RESAMPLES = 4000
        runs = made("stock", 1) + made("ontime", 0.7)
        parts = compare.compare(runs, "stock")[1 << 20]
        stock, ours = parts
        self.assertEqual([part.variant for part in parts], ["stock", "ontime"])
        ratio = ours.ratios["last", 0.5]
        last = {part.variant: [one.last for _, one in part.downloads] for part in parts}
        self.assertAlmostEqual(ratio.value, statistics.median(last["ontime"]) / statistics.median(last["stock"]))
        low, high = naive_interval(ours.groups("last"), stock.groups("last"), 4000, 99)
        self.assertAlmostEqual(ratio.low, low, delta=(high - low) / 20)
        self.assertAlmostEqual(ratio.high, high, delta=(high - low) / 20)
        self.assertTrue(ratio.low < ratio.value < ratio.high)
        self.assertEqual(stock.ratios, {})
        # First bytes are the same for both: in pairs there is nothing left to be unsure of.
        first = ours.ratios["first", 0.5]
        self.assertEqual((first.value, first.low, first.high), (1, 1, 1))

    def test_pairs_matter(self):
        runs = made("stock", 1) + made("ontime", 0.7)
        stock, ours = compare.compare(runs, "stock")[1 << 20]
        paired = ours.ratios["last", 0.5]
        one, other, chance, found = ours.groups("last"), stock.groups("last"), random.Random(1), []
        for _ in range(1000):
            median = [statistics.median(sum((groups[key] for key in chance.choices(list(groups), k=len(groups))), []))
                      for groups in (one, other)]
            found.append(median[0] / median[1])
        cuts = statistics.quantiles(found, n=40)
        self.assertLess(paired.high - paired.low, 0.7 * (cuts[-1] - cuts[0]))

    def test_only_clients_that_both_have_are_compared(self):
        rows = [("client1", 1024, 1, 2), ("client2", 1024, 1, 8)]
        runs = [run_of("stock", 1, rows), run_of("ecf", 1, rows[:1]), run_of("ecf", 2, [("client1", 1024, 1, 50)])]
        ratio = compare.compare(runs, "stock")[1024][1].ratios["last", 0.5]
        self.assertEqual((ratio.value, ratio.low, ratio.high), (1, 1, 1))

    def test_downloads_that_failed_count_as_never(self):
        rows = [("client1", 1024, 1, 2), ("client1", 1024, 1, 2), ("client1", 1024, 1, None)]
        runs = [run_of("stock", 1, rows[:1] * 3), run_of("ecf", 1, rows), run_of("blest", 1, rows[2:])]
        stock, ecf, blest = compare.compare(runs, "stock")[1024]
        self.assertEqual((stock.failed, ecf.failed, blest.failed), (0, 1, 1))
        self.assertEqual(ecf.ratios["last", 0.5].value, 1)
        self.assertEqual(ecf.ratios["last", 0.95].value, math.inf)
        self.assertEqual(blest.ratios["last", 0.5].value, math.inf)
        self.assertEqual(blest.ratios["first", 0.5].value, 1)
        self.assertEqual(table.of_size([stock, ecf, blest], "stock")[1][1][-2:], ["1.00 [1.00, 1.00]",
                                                                                 "never [never, never]"])

    def test_wrong_content_is_no_download(self):
        run = run_of("stock", 1, [("client1", 1024, 1, 2)])
        run.downloads[0].error = "wrong content"
        part = compare.compare([run], "stock")[1024][0]
        self.assertEqual((part.times("first"), part.times("last")), ([1], [math.inf]))

    def test_without_the_base_nothing_is_compared(self):
        parts = compare.compare([run_of("ecf", 1, [("client1", 1024, 1, 2)])], "stock")[1024]
        self.assertEqual(parts[0].ratios, {})
        self.assertIn(": not to be compared; 0 of 1 failed.", page.sentences({1024: parts}, "stock")[0]["text"])

    def test_runs_that_failed_are_left_out(self):
        rows = [("client1", 1024, 1, 2)]
        runs = [run_of("stock", 1, rows), run_of("stock", 2, rows, code=1), run_of("ecf", 2, rows, code=-9)]
        parts = compare.compare(runs, "stock")[1024]
        self.assertEqual([(part.variant, len(part.downloads)) for part in parts], [("stock", 1)])
        self.assertIn("2 of the runs ended badly", page.about(runs, "stock"))

    def test_runs_of_different_settings_are_named(self):
        rows = [("client1", 1024, 1, 2)]
        runs = [run_of("stock", 1, rows), run_of("ecf", 1, rows)]
        self.assertNotIn("differ in", page.about(runs, "stock"))
        runs[1].facts["settings"] = {"clients": 9, "tor circflow": "1"}
        self.assertIn("They differ in: clients.", page.about(runs, "stock"))
        self.assertIn("They differ in: clients.", table.page_of_text(runs, compare.compare(runs, "stock"), "stock"))

    def test_order(self):
        names = ["random", "ecf@relays", "ecf", "stock", "lowrtt", "no-conflux", "circflow"]
        self.assertEqual(sorted(names, key=compare.order_of("lowrtt")),
                         ["lowrtt", "stock", "no-conflux", "circflow", "ecf", "ecf@relays", "random"])


class Curves(unittest.TestCase):
    """Of the page."""

    def test_a_curve_says_how_many_had_come(self):
        rows = [("client1", 1024, 1, last) for last in (2, 3, 4, None)]
        part = compare.compare([run_of("stock", 1, rows)], "stock")[1024][0]
        chart = page.chart([part], "last", "", {"stock": 0})
        self.assertEqual((chart["x"][0], chart["x"][-1]), (2, 4))
        self.assertEqual(chart["x"], sorted(set(chart["x"])))
        for time, percent in zip(chart["x"], chart["lines"][0]["values"]):
            self.assertEqual(percent, 25 * sum(last <= time for last in (2, 3, 4)))
        self.assertEqual(chart["table"]["rows"], [["stock", "4", "2.15", "2.75", "3.50", "never", "never", "never"]])

    def test_where_nothing_came_there_is_no_picture(self):
        part = compare.compare([run_of("stock", 1, [("client1", 1024, None, None)])], "stock")[1024][0]
        self.assertIsNone(page.chart([part], "last", "", {"stock": 0}))

    def test_one_time_makes_a_curve_too(self):
        part = compare.compare([run_of("stock", 1, [("client1", 1024, 0.0001, 2)])], "stock")[1024][0]
        for what in ("first", "last"):
            chart = page.chart([part], what, "", {"stock": 0})
            self.assertEqual(chart["lines"][0]["values"][0], 100)
            self.assertGreater(len(chart["x"]), 100)

    def test_text_cannot_become_markup_or_a_place_in_the_frame(self):
        run = run_of("stock", 1, [("client1", 1024, 1, None)])
        run.downloads[0].error = "</script><!-- @PAGE@"
        text = page.html([run], compare.compare([run], "stock"), "stock")
        self.assertIn("\\u003c/script>\\u003c!-- @PAGE@", text)
        self.assertEqual(text.count("<!--"), 0)

    def test_every_part_has_its_place_and_none_ends_its_element(self):
        frame = page.read("page/frame.html")
        for name, path in page.PARTS.items():
            self.assertEqual(frame.count(f"@{name}@"), 1, name)
            for end in ("</script", "</style", "<!--"):
                self.assertNotIn(end, page.read(path), path)
        self.assertEqual(frame.count("@"), 2 * (len(page.PARTS) + 1))


class Words(unittest.TestCase):
    """Numbers as texts."""

    def test_numbers(self):
        self.assertEqual([table.show(value) for value in (None, math.inf, 0.123, 99.9, 123.4)],
                         ["-", "never", "0.12", "99.90", "123"])
        self.assertEqual([table.size_text(size) for size in (51200, 1 << 20, 5 << 20, 1000)],
                         ["50 KiB", "1 MiB", "5 MiB", "1000 bytes"])
        self.assertEqual([table.percent(value) for value in (None, 0, 0.256)], ["-", "0.0 %", "25.6 %"])
        self.assertEqual([table.share_text(share) for share in table.PARTS],
                         ["5 %", "25 %", "median", "75 %", "95 %", "most"])

    def test_a_bar_does_not_end_a_cell(self):
        self.assertEqual(table.markdown(["a", "b"], [["x|y", "1"]]), "| a | b |\n| --- | --: |\n| x\\|y | 1 |\n")
