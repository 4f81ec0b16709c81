#!/usr/bin/env python3
"""Unequal legs on real sockets: a file over the better leg alone, and over two legs with each algorithm.

The demo does the transfers. Those of a round (alone, and each algorithm) follow each other at once, so that a machine
that gets slower or faster meets both; who goes first changes from round to round. What is told is alone / two legs of
the same round: 1 and more is what a sender should reach that does no harm.
"""

import argparse
import collections
import concurrent.futures
import csv
import math
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time

AIM = 0.98
ALONE = "alone"
LIMIT = 300  # seconds that a transfer may take

Row = collections.namedtuple("Row", "mib leg_a leg_b why")

# Leg A is the better one. The first five are those in which two legs were once seen to be slower than one; the study
# has them as static/row.
ROWS = [
    Row(1, "20 40", "1 400", ""),
    Row(4, "20 40", "1 400", ""),
    Row(2, "20 40", "2 800", ""),
    Row(8, "10 60", "0.5 300", ""),
    Row(1, "50 100", "1 20", "the shorter round trip is the slower leg"),
    Row(4, "20 60", "5 60", "only the rates differ, by 4"),
    Row(4, "10 40", "10 600", "only the round trips differ: a satellite"),
    Row(4, "20 60", "5 60 0.2 40", "B has a slow way back, and jitter"),
]
ASKED = 5

Transfer = collections.namedtuple("Transfer", "turn row algorithm seconds cells_a cells_b switches depth")


class Failure(Exception):
    """A transfer that did not end as it should."""


def interval(values):
    """The interval from one order statistic to another in which the median lies with 95 % at least, or None.

    >>> interval([9, 1, 2, 3, 4, 5, 6, 7, 8]), interval([1, 2, 3, 4, 5, 6]), interval([1, 2, 3, 4, 5])
    ((2, 8), (1, 6), None)
    """
    ordered, count = sorted(values), len(values)
    below, left_out = 0.0, 0  # the chance that the median is below the value with this many before it
    while below + math.comb(count, left_out) / 2 ** count <= 0.025:
        below += math.comb(count, left_out) / 2 ** count
        left_out += 1
    return (ordered[left_out - 1], ordered[count - left_out]) if left_out > 0 else None


def transfer(options, turn, number, algorithm):
    """Moves a file with the demo: over leg A alone, or over both."""
    row = ROWS[number - 1]
    with tempfile.TemporaryDirectory(prefix="circflow-unequal-") as folder:
        figures = os.path.join(folder, "figures.csv")
        command = [options.demo, "--size-mib", str(row.mib), "--leg-a", row.leg_a, "--leg-b", row.leg_b,
                   "--figures", figures]
        command += ["--one-only"] if algorithm == ALONE else ["--two-only", "--algorithm", algorithm]
        run = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=False)
        if run.returncode != 0:
            raise Failure(f"row {number}, {algorithm}: {run.stderr.strip() or run.stdout.strip().splitlines()[-1]}")
        with open(figures, encoding="utf-8") as file:
            found = next(csv.DictReader(file))
    # What has chosen, as the exit says it, and not what was asked for.
    chosen = ALONE if found["legs"] == "1" else found["algorithm"]
    return Transfer(turn, number, chosen, int(found["nanoseconds"]) / 1e9, int(found["cells_a"]),
                    int(found["cells_b"]), int(found["switches"]), int(found["depth"]))


class Progress:
    """A line on what runs and how long it will take: on a terminal always, else now and then."""

    def __init__(self, count):
        self.lock, self.begun, self.told = threading.Lock(), time.monotonic(), time.monotonic()
        self.done, self.count = 0, count
        self.terminal = sys.stderr.isatty()

    def tell(self, text):
        """The next transfer begins."""
        with self.lock:
            now = time.monotonic()
            line = f"{self.done} of {self.count} transfers done; {text}"
            if self.done:
                left = int((now - self.begun) / self.done * (self.count - self.done))
                line += f"; some {left // 60}:{left % 60:02} min left"
            if self.terminal:
                print(f"\r\033[K{line[:110]}", end="", file=sys.stderr, flush=True)
            elif now - self.told > 10 or not self.done:
                self.told = now
                print(line, file=sys.stderr, flush=True)

    def step(self):
        """A transfer has ended."""
        with self.lock:
            self.done += 1

    def end(self):
        """Clears the line."""
        if self.terminal:
            print("\r\033[K", end="", file=sys.stderr, flush=True)


def play(options, progress, turn, number):
    """A round: alone, and each algorithm, one after the other."""
    names = [ALONE] + options.algorithms
    done = []
    for name in names[turn % len(names):] + names[:turn % len(names)]:
        progress.tell(f"run {turn + 1} of {options.runs}, row {number}, {name}")
        done.append(transfer(options, turn + 1, number, name))
        progress.step()
    return done


def play_all(options):
    """All rounds. Rows take turns, so that each sees the machine early and late."""
    progress = Progress(options.runs * len(options.rows) * (1 + len(options.algorithms)))
    rounds = [(turn, number) for turn in range(options.runs) for number in options.rows]
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        running = [pool.submit(play, options, progress, *one) for one in rounds]
        try:
            return [done for future in running for done in future.result()]
        finally:
            pool.shutdown(cancel_futures=True)
            progress.end()


def summed_up(alone, two):
    """The figures of a row and an algorithm, from the transfers of each round."""
    ratios = [one.seconds / both.seconds for one, both in zip(alone, two)]
    cells = [both.cells_a + both.cells_b for both in two]
    return {
        "ratio": statistics.median(ratios),
        "interval": interval(ratios),
        "range": (min(ratios), max(ratios)),
        "seconds": (statistics.median(one.seconds for one in alone), statistics.median(both.seconds for both in two)),
        "depth": max(both.depth for both in two),
        "on_b": statistics.median(both.cells_b / all for both, all in zip(two, cells)),
        "switches": statistics.median(1000 * both.switches / all for both, all in zip(two, cells)),
    }


def judged(figures):
    """By the upper end of the interval; without one nothing is said."""
    if figures["interval"] is None:
        return "-"
    return "yes" if figures["interval"][1] >= AIM else "no"


def described(number):
    """A row in words."""
    row = ROWS[number - 1]
    legs = []
    for leg in (row.leg_a, row.leg_b):
        rate, trip, *more = leg.split()
        legs.append(f"{rate} Mbit/s {trip} ms" + (f" (up {more[0]}, jitter {more[1]} ms)" if more else ""))
    return f"{number}: {row.mib} MiB, " + " and ".join(legs)


def told(span):
    """An interval as text."""
    return "-" if span is None else f"{span[0]:.2f} to {span[1]:.2f}"


def table(options, transfers):
    """The table, as lines of Markdown."""
    lines = [
        f"| row | algorithm | alone ÷ two legs, median | interval | range | ≥ {AIM} | alone, s | two legs, s "
        "| deepest reorder queue | cells on B | SWITCHes in 1,000 cells |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for number in options.rows:
        alone = [one for one in transfers if (one.row, one.algorithm) == (number, ALONE)]
        for algorithm in options.algorithms:
            two = [one for one in transfers if (one.row, one.algorithm) == (number, algorithm)]
            found = summed_up(alone, two)
            cells = [described(number), algorithm, f"{found['ratio']:.2f}", told(found["interval"]),
                     told(found["range"]), judged(found), f"{found['seconds'][0]:.2f}", f"{found['seconds'][1]:.2f}",
                     f"{found['depth']:,}", f"{100 * found['on_b']:.1f} %", f"{found['switches']:.1f}"]
            lines.append("| " + " | ".join(cells) + " |")
    return lines


def aligned(lines):
    """The same table for a terminal."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if "--:" not in line]
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    for row in rows:
        yield "  ".join(cell.ljust(width) if at < 2 else cell.rjust(width)
                        for at, (cell, width) in enumerate(zip(row, widths)))


def spread(options, transfers):
    """How much the same transfer over one leg differed, at most: what the machine, and not the sender, does."""
    most = 0.0
    for number in options.rows:
        alone = [one.seconds for one in transfers if (one.row, one.algorithm) == (number, ALONE)]
        most = max(most, max(alone) / min(alone) - 1)
    return most


def notes(options, transfers):
    """What stands below the table."""
    runs = "1 run" if options.runs == 1 else f"{options.runs} paired runs"
    yield (f"{runs} of each row, {options.jobs} at a time. Interval: of the median, 95 % at least, from order "
           f"statistics (with six runs or more). ≥ {AIM}: by the upper end of the interval.")
    for number in options.rows:
        if ROWS[number - 1].why:
            yield f"Row {number}: {ROWS[number - 1].why}."
    if options.runs > 1:
        yield f"The same transfer over one leg took up to {100 * spread(options, transfers):.0f} % longer than at best."


def write_csv(path, transfers):
    """Each transfer, a line."""
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(Transfer._fields)
        writer.writerows([one._replace(seconds=f"{one.seconds:.6f}") for one in transfers])


def numbers(text):
    """Rows by number."""
    rows = [int(word) for word in text.replace(",", " ").split()]
    if not rows or any(number not in range(1, len(ROWS) + 1) for number in rows):
        raise argparse.ArgumentTypeError(f"rows are 1 to {len(ROWS)}")
    return rows


def words(text):
    """Names of algorithms."""
    return text.replace(",", " ").split()


def at_least_one(text):
    """A count."""
    if int(text) < 1:
        raise argparse.ArgumentTypeError("1 or more")
    return int(text)


def main():
    """Plays all rounds, prints the table, and writes it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--demo", required=True, help="the demo's program")
    parser.add_argument("--algorithms", type=words, default=["lowrtt", "ontime"], help="names, as the demo has them")
    parser.add_argument("--rows", type=numbers, default=list(range(1, len(ROWS) + 1)), help="numbers of rows")
    parser.add_argument("--runs", type=at_least_one, default=9, help="rounds of each row")
    parser.add_argument("--jobs", type=at_least_one, default=1, help="rounds at a time")
    parser.add_argument("--out", required=True, help="files without ending: OUT.csv and OUT.md are written")
    options = parser.parse_args()
    try:
        transfers = play_all(options)
    except (Failure, OSError, subprocess.TimeoutExpired) as failure:
        print(f"demo-unequal: FAILED: {failure}", file=sys.stderr)
        return 1
    lines, below = table(options, transfers), list(notes(options, transfers))
    write_csv(f"{options.out}.csv", transfers)
    with open(f"{options.out}.md", "w", encoding="utf-8") as file:
        file.write("\n".join(lines + [""] + [f"- {note}" for note in below]) + "\n")
    print("\n".join(list(aligned(lines)) + [""] + below))
    print(f"demo-unequal: OK; {options.out}.md, and each transfer in {options.out}.csv")
    return 0


if __name__ == "__main__":
    sys.exit(main())
