"""The comparison as a table in Markdown, and all downloads as CSV."""

import csv
import io
import re

from compare import NEVER, differences, quantile

WORDS = """\
Times of downloads through real tors in the Shadow simulator. ÷ {base}: the quotient of the medians, or of the values
that 95 % do not exceed; [..]: 95 % confidence, from clients of seeds drawn anew in pairs, as both variants have the
same guards, sizes and pauses. A download that failed is one that never came. linked: over a set of two legs. 2nd leg:
what came over the smaller one, median. SWITCH: those that came to a watched client.
"""
HEAD = ["variant", "seed", "host", "size", "start", "connected", "first", "last", "linked", "leg1", "leg2", "error"]
PARTS = (0.05, 0.25, 0.5, 0.75, 0.95, 1)


def size_text(size):
    """In the unit that suits it."""
    for unit, name in ((1 << 20, "MiB"), (1 << 10, "KiB")):
        if size % unit == 0:
            return f"{size // unit} {name}"
    return f"{size} bytes"


def show(value):
    """Seconds or a quotient."""
    if value is None:
        return "-"
    if value == NEVER:
        return "never"
    return f"{value:.0f}" if value >= 100 else f"{value:.2f}"


def percent(value):
    """A part of 1."""
    return "-" if value is None else f"{100 * value:.1f} %"


def show_ratio(ratio):
    """With its interval."""
    return "-" if ratio is None else f"{show(ratio.value)} [{show(ratio.low)}, {show(ratio.high)}]"


def share_text(share):
    """What a quantile is called."""
    return {0.5: "median", 1: "most"}.get(share, f"{share:.0%}".replace("%", " %"))


def of_size(parts, base):
    """Columns, and a row for each variant."""
    columns = ["variant", "downloads", "failed", "linked", "2nd leg", "first byte s: median", f"÷ {base}",
               "last byte s: median", "95 %", f"÷ {base}: median", "95 %"]
    rows = []
    for part in parts:
        first, last = part.times("first"), part.times("last")
        ratios = [show_ratio(part.ratios.get(key)) for key in (("first", 0.5), ("last", 0.5), ("last", 0.95))]
        rows.append([part.variant, str(len(part.downloads)), str(part.failed), percent(part.linked),
                     percent(part.second_leg), show(quantile(first, 0.5)), ratios[0], show(quantile(last, 0.5)),
                     show(quantile(last, 0.95)), *ratios[1:]])
    return columns, rows


def of_times(parts, what):
    """Quantiles of a time."""
    return (["variant", "downloads", *map(share_text, PARTS)],
            [[part.variant, str(len(part.downloads)), *(show(quantile(part.times(what), share)) for share in PARTS)]
             for part in parts])


def of_runs(runs):
    """What each simulation took, and whether all was well."""
    columns = ["variant", "seed", "Shadow", "s", "processor s", "MiB", "downloads", "failed", "load", "failed there",
               "Bug: lines", "warnings", "SWITCH / MiB", "digest"]
    rows = []
    for run in runs:
        failed = sum(bool(one.error) for one in run.downloads)
        facts = run.facts
        ended = "well" if facts["code"] == 0 else f"failed: {facts['code']}"
        rows.append([run.variant, str(run.seed), ended, f"{facts['wall']:.0f}", f"{facts['cpu']:.0f}",
                     str(facts["peak_mib"]), str(len(run.downloads)), str(failed), str(run.bulk), str(run.bulk_failed),
                     str(run.bugs), str(sum(run.warnings.values())), show(run.switches_per_mib), run.digest])
    return columns, rows


def of_complaints(runs):
    """How often each variant's tors warned, and its downloads failed, with what words."""
    counts = {}
    for run in runs:
        for text, count in run.warnings.items():
            key = (run.variant, "warning", text)
            counts[key] = counts.get(key, 0) + count
        for one in run.downloads:
            if one.error:
                key = (run.variant, f"failed, {size_text(one.size)}", re.sub(r"\d{3,}", "#", one.error))
                counts[key] = counts.get(key, 0) + 1
    return ["variant", "what", "text", "times"], [[*key, str(count)] for key, count in sorted(counts.items())]


def differ_text(runs):
    """A warning."""
    return f"These runs can't be compared well. They differ in: {', '.join(differences(runs))}."


def markdown(columns, rows):
    """A table."""
    marks = ["---"] + ["--:"] * (len(columns) - 1)
    lines = [columns, marks, *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def page_of_text(runs, compared, base):
    """All of it."""
    text = WORDS.format(base=base)
    if differences(runs):
        text += "\n" + differ_text(runs) + "\n"
    for size, parts in compared.items():
        text += f"\n## {size_text(size)}\n\n" + markdown(*of_size(parts, base))
    text += "\n## Runs\n\n" + markdown(*of_runs(runs))
    columns, rows = of_complaints(runs)
    return text + ("\n## Warnings and failures\n\n" + markdown(columns, rows) if rows else "")


def downloads_csv(runs):
    """A line for each download that was timed, in order of runs, clients and time."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(HEAD)
    for run in runs:
        for one in run.downloads:
            legs = [*one.legs[:2], "", ""][:2]
            times = ["" if time is None else f"{time:.6f}" for time in (one.connected, one.first, one.last)]
            writer.writerow([run.variant, run.seed, one.host, one.size, f"{one.start:.6f}", *times,
                             str(one.linked).lower(), *legs, one.error])
    return out.getvalue()
