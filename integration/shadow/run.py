#!/usr/bin/env python3
"""Downloads through a private tor network in the Shadow simulator: which choice of legs is how fast?

    run.py run --shadow PATH --tor stock=PATH --tor circflow=PATH --gencert PATH --out FOLDER \\
        --variants stock,ontime --seeds 2
    run.py small ..        a small network twice: is all well, and the same?
    run.py report FOLDER   what all runs there say

README.md has more.
"""

import argparse
import dataclasses
import os
import shutil
import signal
import sys

import compare
import keys
import page
import places
import results
import running
import table
import variants
from failure import Failure
from plan import Plan
from simulation import Simulation

BASE = variants.STOCK
SMALL = {"sizes": (51200, 1048576, 5242880), "shares": (0.4, 0.4, 0.2), "minutes": 1, "warmup": 110, "clients": 4,
         "bulk": 0, "guards": 2, "watched": 1, "pause": 2, "timeout": 60}
SMALL_DOWNLOADS, SMALL_LINKED = 20, 0.8  # as many, and such a part of them over linked sets, at least


def say(text):
    """A line of progress."""
    print(f"shadow: {text}", flush=True)


def simulations_of(plan, chosen, seeds):
    """All seeds of a variant before the next seed, so that what is there early can be compared."""
    folder, tor = os.path.join(plan.out, "keys"), plan.tors[chosen[0].relays]
    made = keys.make(folder, tor, plan.gencert, places.RELAYS, places.addresses([]))
    return [Simulation(plan, variant, seed, made) for seed in seeds for variant in chosen]


def run(options):
    """Simulates what is not there yet, then reports."""
    plan, chosen = plan_of(options), variants.parse_all(options.variants)
    plan.check(chosen)
    simulations = simulations_of(plan, chosen, range(options.first, options.first + options.seeds))
    if options.only_write:
        for simulation in simulations:
            simulation.write()
        return 0
    bad = running.run_all(simulations, options.jobs, say)
    report(plan.out, options.base)
    if bad:
        raise Failure(f"Shadow failed in {len(bad)} of {len(simulations)} runs: {', '.join(bad)}")
    return 0


def report(out, base):
    """Writes table, CSV and page of all runs in a folder, and prints the table."""
    runs = results.read_all(out)
    runs.sort(key=lambda one: (compare.order_of(base)(one.variant), one.seed))
    compared = compare.compare(runs, base)
    text = table.page_of_text(runs, compared, base)
    for name, content in (("report.md", text), ("downloads.csv", table.downloads_csv(runs)),
                          ("report.html", page.html(runs, compared, base))):
        with open(os.path.join(out, name), "w", encoding="utf-8") as file:
            file.write(content)
    print(text)
    print(f"The same with pictures, for a browser: {os.path.join(out, 'report.html')}")
    return 0


def small(options):
    """A small network twice with one seed: every download right, nearly all over linked sets, no bug in tor's logs,
    and both times the same."""
    chosen = variants.parse(options.variant)
    plan = dataclasses.replace(plan_of(options), **SMALL)
    plan.check([chosen])
    digests, wrong = [], []
    for turn in ("first", "again"):
        simulation = simulations_of(plan, [chosen], [options.seed])[0]
        simulation.folder = os.path.join(plan.out, "small", turn)
        shutil.rmtree(simulation.folder, ignore_errors=True)
        if running.run_all([simulation], 1, say):
            raise Failure(f"Shadow failed in {simulation.folder}")
        found = results.read(simulation.folder)
        good = [one for one in found.downloads if not one.error]
        linked = sum(one.linked for one in good)
        say(f"{turn}: {len(good)} of {len(found.downloads)} downloads right, {linked} over linked sets, "
            f"{found.switches} SWITCHes, {found.bugs} bugs, {found.digest}")
        digests.append(found.digest)
        wrong += [text for text, is_so in (
            ("too few downloads", len(good) < SMALL_DOWNLOADS), ("a download failed", len(good) < len(found.downloads)),
            ("too few over linked sets", linked < SMALL_LINKED * len(good)), ("no SWITCH", not found.switches),
            ("a bug in tor's logs", found.bugs)) if is_so]
    wrong += ["two runs of the same seed differ"] if digests[0] != digests[1] else []
    if wrong:
        raise Failure("a small network: " + ", ".join(dict.fromkeys(wrong)))
    say("a small network: OK")
    return 0


def plan_of(options):
    """What the command line asks for."""
    fields = {field.name for field in dataclasses.fields(Plan)}
    asked = {name: value for name, value in vars(options).items() if name in fields and value is not None}
    tors = {}
    for entry in options.tor:
        name, equals, path = entry.partition("=")
        if not equals or not path:
            raise Failure(f"--tor {entry}: say NAME=PATH")
        tors[name] = os.path.abspath(path)
    asked.update(tors=tors, gencert=os.path.abspath(options.gencert), out=os.path.abspath(options.out),
                 shadow=os.path.abspath(options.shadow) if options.shadow else "",
                 changes=variants.Changes.parse(options.set or []))
    return Plan(**asked)


def at_least(kind, least):
    """A number of this kind that is not smaller."""
    def number(text):
        value = kind(text)
        if value < least:
            raise ValueError(text)
        return value
    number.__name__ = f"number of {least} or more"
    return number


def list_of(kind):
    """A list with commas or spaces."""
    def several(text):
        return tuple(kind(one) for one in text.replace(",", " ").split())
    several.__name__ = "list"
    return several


def add_programs(parser):
    """Options that say where things are."""
    parser.add_argument("--shadow", default="", help="the program")
    parser.add_argument("--tor", action="append", required=True, metavar="NAME=PATH", help="tor programs, by name")
    parser.add_argument("--gencert", required=True, help="tor-gencert")
    parser.add_argument("--out", required=True, help="folder for keys and runs")
    parser.add_argument("--set", action="append", metavar="KEY=VALUE",
                        help="for all variants: ux, params.NAME of the consensus, env.NAME of all tors")
    parser.add_argument("--threads", type=at_least(int, 1), help="of each Shadow")


def add_plan(parser):
    """Options that say what to simulate."""
    whole, positive = at_least(int, 0), at_least(float, 0)
    parser.add_argument("--seeds", type=at_least(int, 1), default=1, help="how many")
    parser.add_argument("--first", type=whole, default=1, help="the first of them")
    parser.add_argument("--variants", type=list_of(str), default=variants.DEFAULT,
                        help="with commas: stock, no-conflux, circflow, algorithms, all; with @clients or @relays "
                        "behind the name, only these run circflow")
    parser.add_argument("--jobs", type=at_least(int, 1), default=1, help="simulations at the same time")
    parser.add_argument("--minutes", type=positive, help="simulated minutes of downloads")
    parser.add_argument("--warmup", type=whole, help="simulated seconds before them")
    parser.add_argument("--clients", type=whole, help="clients whose downloads are timed")
    parser.add_argument("--bulk", type=whole, help="clients that download all the time, as load")
    parser.add_argument("--guards", type=whole, help="guards that a client is bound to, by the seed; 0: tor's choice")
    parser.add_argument("--watched", type=whole, help="clients whose SWITCHes and bytes by leg are counted")
    parser.add_argument("--sizes", type=list_of(int), help="bytes, with commas")
    parser.add_argument("--shares", type=list_of(float), help="how often each size is fetched")
    parser.add_argument("--pause", type=positive, help="mean seconds between downloads")
    parser.add_argument("--timeout", type=positive, help="seconds")
    parser.add_argument("--base", default=BASE, help="variant that others are compared with")
    parser.add_argument("--only-write", action="store_true", help="write the files and leave it at that")


def parse(arguments):
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    runner = commands.add_parser("run", help="simulate variants, and report")
    add_programs(runner)
    add_plan(runner)
    checker = commands.add_parser("small", help="a small network twice: is all well, and the same?")
    add_programs(checker)
    checker.add_argument("--seed", type=int, default=1)
    checker.add_argument("--variant", default=variants.CIRCFLOW)
    reporter = commands.add_parser("report", help="what all runs in a folder say")
    reporter.add_argument("out")
    reporter.add_argument("--base", default=BASE)
    return parser.parse_args(arguments)


def main():
    """Does what the command line says."""
    options = parse(sys.argv[1:])
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    try:
        if options.command == "report":
            return report(options.out, options.base)
        return run(options) if options.command == "run" else small(options)
    except Failure as failure:
        print(f"shadow: FAILED: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
