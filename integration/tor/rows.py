#!/usr/bin/env python3
"""The rows of c-tests/stream_rows.h: what the code of a stock tor client says to each, and what circflow says.

Both programs are asked for all rows. They must answer as the table says, and where a stock client takes a message as
valid, circflow must take it, but for what no honest exit sends. Each other difference has a reason, which README.md has
too.
"""

import argparse
import collections
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
TABLE = os.path.join(HERE, "../../c-tests/stream_rows.h")
ANSWERS = "vdx"  # taken, dropped, closed


class Failure(Exception):
    """What this can fail with."""


class Table:
    """What the header says."""

    def __init__(self, path=TABLE):
        with open(path, encoding="utf-8") as file:
            text = file.read()
        self.reasons = {letter: (dishonest == "1", why) for letter, dishonest, why in
                        re.findall(r"\{'(\w)', ([01]), \"([^\"]+)\"\}", text)}
        messages = re.findall(r'^    \{"([^"]+)", \d+, ROWS_BODY', text, re.M)
        self.cells, self.states = {}, {}
        for name, state, cells in re.findall(r'STATE\((\w+), "([^"]+)",\s*\\\s*"([^"]+)"\)', text):
            self.states[name] = state
            if len(cells.split()) != len(messages):
                raise Failure(f"the table has {len(cells.split())} cells for {len(messages)} messages: {state}")
            for message, cell in zip(messages, cells.split()):
                self.cells[f"{state} / {message}"] = (cell[0], cell[1], cell[2:])


def ask(command):
    """Row -> answer, of a program that prints them."""
    run = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    rows = dict(line.split("\t") for line in run.stdout.splitlines() if line.count("\t") == 1)
    if not rows:
        raise Failure(f"{command[0]} says nothing: {run.stdout[-500:]} {run.stderr[-500:]}")
    return rows


def compare(table, stock, circflow):
    """Yields what is wrong."""
    for name, said in (("stock", stock), ("circflow", circflow)):
        if set(said) != set(table.cells):
            yield f"{name} answers other rows than the table has: {sorted(set(said) ^ set(table.cells))[:3]}"
    for row, (of_stock, of_circflow, reason) in table.cells.items():
        theirs, ours = stock.get(row, "!"), circflow.get(row, "!!")
        if theirs not in ANSWERS or set(ours) - set(ANSWERS):
            yield f"{row}: no answer: stock {theirs}, circflow {ours}"
        if theirs != of_stock:
            yield f"{row}: a stock client says {theirs}, and not {of_stock}"
        if set(ours) != {of_circflow}:
            yield f"{row}: circflow says {ours[0]} alone and {ours[1]} in a set, and not {of_circflow}"
        dishonest = table.reasons.get(reason, (False, ""))[0]
        if theirs == "v" and set(ours) != {"v"} and not dishonest:
            yield f"{row}: a stock client takes it, circflow does not, and an honest exit may send it"
        if (of_stock != of_circflow) != (reason in table.reasons):
            yield f"{row}: the answers differ and have no reason, or the other way round"


def sees_strictness(table, stock, circflow):
    """Whether a circflow that closes for one more row than it may would be seen, whatever the table says."""
    row = f"{table.states['LEFT_CONNECTED']} / DATA"
    planted = Table()
    planted.cells[row] = ("v", "x", "u")
    return any("honest exit may" in wrong for wrong in compare(planted, stock, {**circflow, row: "xx"}))


def undocumented(table):
    """Yields reasons that README.md does not have, word by word."""
    with open(os.path.join(HERE, "README.md"), encoding="utf-8") as file:
        readme = set(re.findall(r"^\| `(\w)` \| (.+?) \|", file.read(), re.M))
    for letter, (_, why) in table.reasons.items():
        if (letter, why) not in readme:
            yield f"README.md does not say: | `{letter}` | {why} |"


def main():
    """Asks both, and says how they differ."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stock", required=True, help="tor's test program with rows_tests.c")
    parser.add_argument("--circflow", required=True, help="the program of c-tests/rows.c")
    options = parser.parse_args()
    try:
        table = Table()
        stock = ask([options.stock, "--no-fork", "--quiet", "relaycell/rows"])
        circflow = ask([options.circflow, "--print"])
        wrong = list(compare(table, stock, circflow)) + list(undocumented(table))
        if not sees_strictness(table, stock, circflow):
            wrong.append("a row for which circflow closes wrongly is not seen")
    except Failure as failure:
        wrong = [str(failure)]
    if wrong:
        print("\n".join(wrong[:40]))
        print(f"rows: FAILED: {len(wrong)} of what they should be are not")
        return 1
    kinds = collections.Counter((theirs + ours, reason) for theirs, ours, reason in table.cells.values())
    words = {"v": "take", "d": "drop", "x": "close"}
    for (answers, reason), count in sorted(kinds.items(), key=lambda kind: (kind[0][1], kind[0][0])):
        theirs, ours = (words[answer] for answer in answers)
        if not reason:
            print(f"{count:4} rows: both {theirs}")
        else:
            print(f"{count:4} rows: stock {theirs}s, circflow {ours}s: {reason}, {table.reasons[reason][1]}")
    print(f"rows: OK, {len(table.cells)} rows asked of a stock client and of circflow, alone and in a set")
    return 0


if __name__ == "__main__":
    sys.exit(main())
