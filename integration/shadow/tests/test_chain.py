"""From the command line to the report, with programs that stand in for Shadow and tor."""

import csv
import json
import os
import statistics
import time
import unittest

import compare
import running
from tests.common import call, fakes

RUN = ("--seeds", "2", "--variants", "stock,ontime,no-conflux")


def write(path, text):
    """A file."""
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def read(path):
    """Its text."""
    with open(path, encoding="utf-8") as file:
        return file.read()


class Chain(unittest.TestCase):
    """All steps."""

    def setUp(self):
        for module, name, value in ((running, "EVERY", 0.1), (compare, "RESAMPLES", 100)):
            self.addCleanup(setattr, module, name, getattr(module, name))
            setattr(module, name, value)
        context = fakes(has_keys=True)
        self.fakes = context.__enter__()
        self.addCleanup(context.__exit__, None, None, None)

    def out(self, *parts):
        """A file of the runs."""
        return os.path.join(self.fakes.out, *parts)

    def test_run_and_report(self):
        status, said, errors = call(*self.fakes.arguments("run", *RUN, "--jobs", "2", "--watched", "2"))
        self.assertEqual((status, errors), (0, ""))
        self.assertIn("shadow: 6 of 6: ", said)
        rows = list(csv.DictReader(read(self.out("downloads.csv")).splitlines()))
        self.check_medians(rows, read(self.out("report.md")))
        self.assertEqual({row["linked"] for row in rows if row["variant"] == "no-conflux"}, {"false"})
        data = json.loads(read(self.out("report.html")).split('id="data">')[1].split("</script>")[0])
        self.assertEqual([section["title"] for section in data["sections"]], ["50 KiB", "1 MiB", "5 MiB"])
        self.assertEqual([one["name"] for one in data["sentences"]], ["stock", "no-conflux", "ontime"])
        self.assertEqual(len(data["runs"]["rows"]), 6)
        self.assertFalse(os.path.exists(self.out("stock-s1", "template")))
        self.check_resumes()

    def check_medians(self, rows, text):
        """The table has the medians of the file."""
        table = text.split("## 1 MiB")[1].split("##")[0]
        last = {}
        for row in rows:
            if row["size"] == "1048576":
                last.setdefault(row["variant"], []).append(float(row["last"]) if row["last"] else float("inf"))
        for name, times in last.items():
            self.assertIn(f"| {name} | {len(times)} |", table)
            self.assertIn(f"| {statistics.median(times):.2f} |", table)
        ratio = statistics.median(last["ontime"]) / statistics.median(last["stock"])
        self.assertIn(f"| {ratio:.2f} [", table)
        self.assertTrue(0.6 < ratio < 0.95, ratio)

    def check_resumes(self):
        """What is there is not done again, unless it would be another run."""
        before = os.stat(self.out("stock-s1", "facts.json")).st_mtime_ns
        status, said, _ = call(*self.fakes.arguments("run", *RUN, "--watched", "2"))
        self.assertEqual(status, 0)
        self.assertIn("6 of 6 runs are there already", said)
        self.assertEqual(os.stat(self.out("stock-s1", "facts.json")).st_mtime_ns, before)
        path = os.path.realpath(self.fakes.programs["circflow/tor"])
        os.remove(self.fakes.programs["circflow/tor"])
        write(self.fakes.programs["circflow/tor"], read(path) + "\n# built anew\n")
        os.chmod(self.fakes.programs["circflow/tor"], 0o755)
        said = call(*self.fakes.arguments("run", *RUN, "--watched", "2"))[1]
        self.assertIn("4 of 6 runs are there already", said)
        said = call(*self.fakes.arguments("run", *RUN, "--watched", "2", "--minutes", "3"))[1]
        self.assertNotIn("already", said)
        self.assertNotIn("They differ in", said)
        said = call(*self.fakes.arguments("run", "--variants", "ecf"))[1]
        self.assertIn("They differ in: minutes.\n", said)

    def test_report_again_with_another_base(self):
        call(*self.fakes.arguments("run", "--variants", "ontime,no-conflux"))
        status, said, _ = call("report", self.fakes.out, "--base", "ontime")
        self.assertEqual(status, 0)
        self.assertIn("÷ ontime: median", said)
        rows = [line.split(" | ")[0] for line in said.split("## 50 KiB")[1].splitlines() if line.startswith("| ")]
        self.assertEqual(rows[2:4], ["| ontime", "| no-conflux"])

    def test_the_same_seed_gives_the_same(self):
        digests = []
        for _ in range(2):
            call(*self.fakes.arguments("run", "--variants", "stock"))
            digests.append(read(self.out("downloads.csv")))
            os.remove(self.out("stock-s1", "facts.json"))
        self.assertEqual(digests[0], digests[1])

    def test_a_small_network(self):
        status, said, errors = call(*self.fakes.arguments("small"))
        self.assertEqual(status, 1)  # some of the made-up downloads fail
        self.assertEqual(errors, "shadow: FAILED: a small network: a download failed\n")
        self.assertEqual(said.count("SWITCHes, 0 bugs"), 2)
        self.assertIn("no run has ended there", call("report", self.fakes.out)[2], "it is in no comparison")

    def test_shadow_fails(self):
        write(self.out("fail"), "")
        status, said, errors = call(*self.fakes.arguments("run", "--variants", "stock"))
        self.assertEqual(status, 1)
        self.assertIn("Shadow ended with 1, see ", said)
        self.assertEqual(errors, "shadow: FAILED: Shadow failed in 1 of 1 runs: stock-s1\n")
        self.assertIn("asked to fail", read(self.out("stock-s1", "shadow.log")))
        os.remove(self.out("fail"))
        self.assertEqual(call(*self.fakes.arguments("run", "--variants", "stock"))[0], 0)

    def test_shadow_does_not_start(self):
        os.remove(self.fakes.programs["shadow"])
        write(self.fakes.programs["shadow"], "no program of any kind")
        os.chmod(self.fakes.programs["shadow"], 0o755)
        status, _, errors = call(*self.fakes.arguments("run", "--variants", "stock"))
        self.assertEqual(status, 1)
        self.assertIn("shadow: FAILED: Shadow does not start: ", errors)

    def test_what_it_starts_ends_with_it(self):
        path = self.fakes.programs["shadow"]
        os.remove(path)
        write(path, "#!/bin/sh\nsleep 1000 & echo $! >../child; wait\n")
        os.chmod(path, 0o755)

        def stop(_):
            if os.path.exists(self.out("child")) and read(self.out("child")):
                raise KeyboardInterrupt
        running.memory_kib, before = lambda session: stop(session) or 0, running.memory_kib
        self.addCleanup(setattr, running, "memory_kib", before)
        self.assertEqual(call(*self.fakes.arguments("run", "--variants", "stock"))[0], 130)
        self.wait_for_end(read(self.out("child")).strip())

    def wait_for_end(self, pid):
        """It was killed, and may take a moment. Where nobody takes it away, it stays as a zombie."""
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                if ") Z " in read(f"/proc/{pid}/stat"):
                    return
            except OSError:
                return
            time.sleep(0.05)
        self.fail(f"{pid} still runs")


class Refused(unittest.TestCase):
    """What is missing is said, with what to do, before anything is written."""

    def refused(self, fakes_, *arguments, lost=None, word=""):
        """The complaint."""
        if lost:
            os.remove(fakes_.programs[lost])
        status, _, errors = call(*fakes_.arguments("run", *arguments))
        self.assertEqual(status, 1)
        self.assertEqual(errors.count("\n"), 1, errors)
        self.assertIn(word, errors)
        self.assertFalse(os.path.exists(fakes_.out))

    def test_no_shadow_was_named(self):
        with fakes() as found:
            found.programs["shadow"] = ""
            self.refused(found, word="make shadow SHADOW=path/to/shadow")

    def test_programs_that_are_not_there(self):
        for name, word in (("shadow", "README.md says where to get it"), ("stock/tor", "make tor"),
                           ("circflow/tor", "make tor"), ("tor-gencert", "make tor")):
            with fakes() as found:
                self.refused(found, lost=name, word=word)

    def test_a_shadow_that_is_no_program(self):
        with fakes() as found:
            os.remove(found.programs["shadow"])
            write(found.programs["shadow"], "")
            self.refused(found, word="may not be executed")
            found.programs["shadow"] = found.folder
            self.refused(found, word="there is no file")

    def test_options_that_make_no_sense(self):
        with fakes() as found:
            for arguments, word in ((("--variants", "stock,fastest"), "no variant fastest"),
                                    (("--minutes", "0"), "--minutes"),
                                    (("--sizes", "1,2"), "--sizes and --shares"),
                                    (("--sizes", "1", "--shares", "0"), "--sizes and --shares"),
                                    (("--set", "ux=fast"), "--set ux=fast"),
                                    (("--tor", "other"), "say NAME=PATH")):
                self.refused(found, *arguments, word=word)
            for arguments in (("--jobs", "0"), ("--seeds", "one"), ("--first", "-1"), ("--sizes", "big")):
                self.assertEqual(call(*found.arguments("run", *arguments))[0], 2)

    def test_a_stock_run_needs_no_circflow(self):
        with fakes(has_keys=True) as found:
            os.remove(found.programs["circflow/tor"])
            self.assertEqual(call(*found.arguments("run", "--only-write", "--variants", "stock"))[0], 0)

    def test_tor_makes_no_keys(self):
        with fakes() as found:
            os.remove(found.programs["tor-gencert"])
            write(found.programs["tor-gencert"], "#!/bin/sh\necho out of luck >&2; exit 3\n")
            os.chmod(found.programs["tor-gencert"], 0o755)
            status, _, errors = call(*found.arguments("run"))
            self.assertEqual((status, errors), (1, "shadow: FAILED: tor-gencert made no keys: out of luck\n"))

    def test_nothing_to_report(self):
        with fakes() as found:
            self.assertEqual(call("report", found.out)[2], f"shadow: FAILED: {found.out}: no run has ended there\n")
