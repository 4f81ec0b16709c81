"""The comparison as one page of HTML with pictures, which needs nothing else.

What stands on it is reckoned here, and is part of it as JSON. It is drawn by the scripts of the study's page, by uPlot
and the style of a trace's page, and by the few lines of page/page.js.
"""

import bisect
import json
import math
import os
import re

import table
from compare import NEVER, differences

HERE = os.path.dirname(os.path.abspath(__file__))
TRACE, STUDY = "../../trace/src/report", "../../study/src/page/web"
# What stands in the frame as its name between two `@`.
PARTS = {
    "UPLOT_CSS": f"{TRACE}/vendor/uPlot.min.css",
    "UPLOT_JS": f"{TRACE}/vendor/uPlot.iife.min.js",
    "UPLOT_LICENSE": f"{TRACE}/vendor/LICENSE",
    "STYLE": f"{TRACE}/page/style.css",
    "LINES": f"{TRACE}/page/lines.js",
    "OWN_STYLE": f"{STUDY}/style.css",
    "DRAW": f"{STUDY}/draw.js",
    "MAKE": f"{STUDY}/make.js",
    "PAGE": "page/page.js",
}
POINTS = 160   # along the lower axis of a curve
LEAST = 0.001  # seconds: the axis is logarithmic

CHARTS = (("last", "Time to the last byte"), ("first", "Time to the first byte"))
ABOUT = ("Of so many hundredths of the downloads it was no longer than this. A curve is better the further left it is; "
         "what is missing to 100 % on the right failed.")


def html(runs, compared, base):
    """The page."""
    data = {
        "about": about(runs, base),
        "sentences": sentences(compared, base),
        "sections": [section(size, parts, base, index_of(compared)) for size, parts in compared.items()],
        "runs": as_table(table.of_runs(runs)),
        "complaints": as_table(table.of_complaints(runs)),
    }
    # It cannot end the script that it stands in, nor begin a comment there.
    text = json.dumps(data, allow_nan=False, ensure_ascii=False).replace("<", "\\u003c")
    return fill(read("page/frame.html"), {**{name: read(path) for name, path in PARTS.items()}, "DATA": text})


def read(path):
    """A file beside this one."""
    with open(os.path.join(HERE, path), encoding="utf-8") as file:
        return file.read()


def fill(frame, parts):
    """In one go: nothing that a part says is taken for a place in the frame."""
    return re.sub(r"@([A-Z_]+)@", lambda found: parts[found.group(1)], frame)


def as_table(columns_and_rows):
    """As scripts take it."""
    columns, rows = columns_and_rows
    return {"columns": columns, "rows": rows}


def index_of(compared):
    """Variant -> which one of all it is, for its colour."""
    names = dict.fromkeys(part.variant for parts in compared.values() for part in parts)
    return {name: index for index, name in enumerate(names)}


def about(runs, base):
    """What was done."""
    seeds = len({run.seed for run in runs})
    minutes = sorted({run.facts["minutes"] for run in runs})
    left_out = sum(run.facts["code"] != 0 for run in runs)
    text = (f"{sum(len(run.downloads) for run in runs):,} downloads in {len(runs)} runs, {seeds} "
            f"{'seed' if seeds == 1 else 'seeds'} of {' or '.join(f'{one:g}' for one in minutes)} simulated minutes. "
            f"Base: {base}.")
    text += f" {left_out} of the runs ended badly, and are in no comparison." if left_out else ""
    return text + (" " + table.differ_text(runs) if differences(runs) else "")


def sentences(compared, base):
    """The answer for each variant but the base."""
    names = index_of(compared)
    found = []
    for name, colour in names.items():
        parts = [part for of_size in compared.values() for part in of_size if part.variant == name]
        ratios = [(part, part.ratios.get(("last", 0.5))) for part in parts]
        told = [f"{table.show_ratio(ratio)} at {table.size_text(part.size)}" for part, ratio in ratios if ratio]
        failed, count = sum(part.failed for part in parts), sum(len(part.downloads) for part in parts)
        text = f": takes {', '.join(told)} times as long as {base}" if told else ": not to be compared"
        text = ", the base" if name == base else text
        found.append({"name": name, "colour": colour, "text": f"{text}; {failed} of {count:,} failed."})
    return found


def section(size, parts, base, colours):
    """All about one size."""
    charts = [chart(parts, what, title, colours) for what, title in CHARTS]
    return {"title": table.size_text(size), "downloads": sum(len(part.downloads) for part in parts),
            "table": as_table(table.of_size(parts, base)), "charts": [one for one in charts if one]}


def chart(parts, what, title, colours):
    """How many of a variant's downloads had come by a time; None where no download had."""
    finite = [time for part in parts for time in part.times(what) if time != NEVER]
    if not finite:
        return None
    low = max(min(finite), LEAST)
    high = max(*finite, low * 1.5)
    across = grid(low, high)

    def line(part):
        times = part.times(what)
        values = [round(100 * bisect.bisect_right(times, time) / len(times), 1) for time in across]
        return {"name": part.variant, "colour": colours[part.variant], "values": values}
    return {"title": title, "about": ABOUT, "across": "seconds", "up": "% of downloads", "log": True, "mark": None,
            "points": False, "x": across, "lines": [line(part) for part in parts],
            "table": as_table(table.of_times(parts, what))}


def grid(low, high):
    """Times, each longer than the one before by the same factor; both ends as they are."""
    step = math.log(high / low) / (POINTS - 1)
    inner = [float(f"{low * math.exp(step * point):.5g}") for point in range(1, POINTS - 1)]
    return sorted({low, *(time for time in inner if low < time < high), high})
