# The curves of bench-scale, as a picture that needs nothing else: a column for each operation, a row for each measure.

END {
    columns = 4; width = 880; left = 58; gap = 46; top = 100; high = 72; below = 26
    wide = (width - left - 12) / columns - gap
    lowest = log10(counts[1]); highest = log10(counts[count_of_counts])
    if (highest == lowest) highest = lowest + 1
    y = top
    group("circuit-open circuit-close set-open set-close",
          "open a circuit|close it|open a set of two legs|close it, with its legs")
    group("cell-in cell-out tick-idle tick-due",
          "a cell in order, random set|a cell is sent, random set|tick, nothing due|tick, 1 % due: each timer")
    memory("circuit-bytes set-bytes timer-bytes set-left",
           "a circuit|a set and its circuits|a circuit with a timer|left of a set after trim")
    height = y - 8
    words = "What operations cost among 1 to " with_commas(counts[count_of_counts]) " circuits or sets"
    printf "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"%s\">\n", \
        width, height, words ", circflow and a plain program in C"
    print "<style>text{font:11px system-ui,-apple-system,'Segoe UI',Helvetica,Arial,sans-serif;fill:#24292f}" \
        ".b{fill:#fff}.t{font-size:15px;font-weight:600}.o{font-weight:600}.e{text-anchor:end}.m{text-anchor:middle}" \
        ".n{font-size:9.5px}" \
        ".q{fill:#57606a}.g{stroke:#d8dee4}.l{fill:none;stroke-width:2}.c{stroke:#2f6fb7}.p{stroke:#c4661f}" \
        ".d{stroke-dasharray:5 3}.fc{fill:#2f6fb7}.fp{fill:#c4661f}@media(prefers-color-scheme:dark){" \
        "text{fill:#e6edf3}.b{fill:#0d1117}.q{fill:#9198a1}.g{stroke:#30363d}.c{stroke:#5b9ee6}.p{stroke:#f0a35e}" \
        ".fc{fill:#5b9ee6}.fp{fill:#f0a35e}}</style>"
    printf "<rect class=\"b\" width=\"%d\" height=\"%d\" rx=\"6\"/>\n", width, height
    text("t", 12, 24, words)
    line("l c", 12, 44, 36, 44); text("fc", 42, 48, "circflow")
    line("l p d", 106, 44, 130, 44)
    text("fp", 136, 48, "peer: a struct for each in C, found by a hash of its id; libevent's timers")
    text("q", 12, 66, "lines missed: cache lines that a cache of 32 KiB did not hold. " \
        "Across: how many circuits or sets there are.")
    printf "%s</svg>\n", body
}

function group(operations, heads) {
    panels(operations, heads, "instructions", "instructions")
    panels(operations, "", "lines", "lines missed")
    panels(operations, "", "ratio", "time : peer")
    numbers()
}

function memory(operations, heads) {
    panels(operations, heads, "bytes", "bytes")
    numbers()
}

# A row of panels, with heads above it if there are some.
function panels(operations, heads, measure, what,   name, head, i, n) {
    n = split(operations, name, " ")
    split(heads, head, "|")
    if (heads != "") {
        for (i = 1; i <= n; i++) text("o", x_of(i), y - 8, head[i])
    }
    body = body sprintf("<text class=\"q m\" transform=\"translate(14 %.0f) rotate(-90)\">%s</text>\n", \
        y + high / 2, what)
    for (i = 1; i <= n; i++) panel(x_of(i), name[i], measure)
    y += high + 14
}

function x_of(column) { return left + (column - 1) * (wide + gap) }

function panel(x, name, measure,   j, most, a) {
    most = measure == "ratio" || measure == "lines" ? 1 : 0
    for (j = 1; j <= count_of_counts; j++) {
        a = value(name, counts[j], measure, 0); if (a > most) most = a
        a = value(name, counts[j], measure, 1); if (a > most) most = a
    }
    most = round_up(most)
    line("g", x, y, x + wide, y); line("g", x, y + high, x + wide, y + high)
    text("q e", x - 4, y + 8, most < 10 ? most : with_commas(most))
    curve("l p d", x, name, measure, 1, most)
    curve("l c", x, name, measure, 0, most)
}

# The figure of circflow, or of the peer; below 0 when there is none.
function value(name, count, measure, of_peer,   a, b) {
    if (measure == "ratio") {
        if (of_peer) return 1
        a = own[name, count, "ns"]; b = peer[name, count, "ns"]
        return a > 0 && b > 0 ? a / b : -1
    }
    if (!((name, count, measure) in own)) return -1
    return (of_peer ? peer[name, count, measure] : own[name, count, measure]) + 0
}

function curve(class, x, name, measure, of_peer, most,   j, a, at, path, px, py) {
    for (j = 1; j <= count_of_counts; j++) {
        a = value(name, counts[j], measure, of_peer)
        if (a < 0) continue
        px = x + (log10(counts[j]) - lowest) / (highest - lowest) * wide
        py = y + high - a / most * high
        path = path sprintf("%s%.1f %.1f", path == "" ? "M" : "L", px, py)
        if (of_peer && measure == "ratio") continue
        body = body sprintf("<circle class=\"%s\" cx=\"%.1f\" cy=\"%.1f\" r=\"2.5\"/>\n", of_peer ? "fp" : "fc", px, py)
    }
    if (path != "") body = body "<path class=\"" class "\" d=\"" path "\"/>\n"
}

# The numbers of circuits or sets, below a column of panels.
function numbers(   i, j, count) {
    for (i = 1; i <= columns; i++) {
        for (j = 1; j <= count_of_counts; j++) {
            count = counts[j]
            text("q m n", x_of(i) + (log10(count) - lowest) / (highest - lowest) * wide, y + 2,
                 count >= 1000000 ? count / 1000000 "M" : count >= 1000 ? count / 1000 "k" : count)
        }
    }
    y += below + 14
}

# 1, 1.5, 2, 3, 4, 5, 6, 8 or 10 times a power of ten, so that the top of a panel is easy to read.
function round_up(number,   power, i, step) {
    if (number <= 0) return 1
    power = 1
    while (power * 10 < number) power *= 10
    while (power >= number) power /= 10
    split("1 1.5 2 3 4 5 6 8 10", step, " ")
    for (i = 1; step[i] * power < number - power / 1000; i++) continue
    return step[i] * power
}

function log10(number) { return log(number) / log(10) }

function text(class, x, y, what) {
    body = body sprintf("<text class=\"%s\" x=\"%.1f\" y=\"%.1f\">%s</text>\n", class, x, y, what)
}

function line(class, x1, y1, x2, y2) {
    body = body sprintf("<path class=\"%s\" d=\"M%.1f %.1fL%.1f %.1f\"/>\n", class, x1, y1, x2, y2)
}
