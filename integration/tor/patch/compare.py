#!/usr/bin/env python3
"""Compares what two builds of tor's test program say, test by test: those of tor's own have to end alike, and those
that only the second has have to pass.

usage: compare.py LOG_WITHOUT_CIRCFLOW LOG_WITH_CIRCFLOW
"""

import re
import sys
from collections import Counter
from pathlib import Path

OURS = "circflow/"
# Tor 0.4.9 has some 1,500.
AT_LEAST = 1000


def results(path):
    """How each test ended. What a test prints may stand between its name and that."""
    found, name = {}, None
    lines = Path(path).read_text(errors="replace").splitlines()
    if not re.search(r"tests ok\.|TESTS FAILED\.", "".join(lines[-1:])):
        sys.exit(f"tor's tests: FAILED: {path} has no end")
    for line in lines:
        if start := re.match(r"([\w+-]+/[\w+/.-]+): ", line):
            name = start[1]
            found[name] = "did not end"
        if end := re.search(r"(?:^|\s|\])(OK|SKIPPED|DISABLED)$", line):
            if name and found[name] == "did not end":
                found[name] = end[1]
        elif end := re.search(r"\[([\w+/.-]+) FAILED\]", line):
            found[end[1]] = "FAILED"
    return found


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    off, on = map(results, sys.argv[1:])
    own = {name: result for name, result in on.items() if not name.startswith(OURS)}
    ours = {name: result for name, result in on.items() if name.startswith(OURS)}
    missing = "is not there"
    differ = [f"{name}: {off.get(name, missing)} without circflow, {own.get(name, missing)} with it"
              for name in sorted(off.keys() | own.keys()) if off.get(name) != own.get(name)]
    differ += [f"{name}: {result} with circflow" for name, result in ours.items() if result not in ("OK", "SKIPPED")]
    words = ("OK", "FAILED", "SKIPPED", "DISABLED")
    for title, rows in (("without circflow", off), ("with circflow", own), ("tests of the series", ours)):
        counts = Counter(rows.values())
        print(f"{title:<22}" + "".join(f"{counts[word]:>6} {word.lower()}" for word in words))
    for name in sorted(name for name, result in off.items() if result == "FAILED" == on.get(name)):
        print(f"fails in both: {name}")
    for line in differ:
        print(f"differs: {line}")
    if len(off) < AT_LEAST or not ours:
        differ.append("too few tests")
        print(f"tor-patch: {len(off)} tests are too few")
    print("tor's tests: FAILED" if differ else "tor's tests: the same in both")
    sys.exit(bool(differ))


main()
