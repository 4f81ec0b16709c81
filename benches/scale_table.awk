# The tables of bench-scale, as text or Markdown.

END {
    table("instructions", "instructions, and the peer's")
    table("lines", "cache lines missed by 32 KiB, and the peer's")
    table("lines-far", "cache lines missed by 8 MiB, and the peer's")
    table("ns", "time, divided by the peer's in the same run")
    table("bytes", "bytes, and the peer's")
    if (format != "md") print "The last column: the figure among most of them, divided by that among 100."
}

function table(measure, head,   i, j, line, last) {
    last = counts[count_of_counts]
    line = pad(head, 62, 0)
    for (j = 1; j <= count_of_counts; j++) line = line cell(with_commas(counts[j]))
    row(line (measure == "ns" ? "" : cell("grows")))
    if (format == "md") {
        line = "---"
        for (j = measure == "ns"; j <= count_of_counts; j++) line = line "|--:"
        print "|" line "|"
    }
    for (i = 1; i <= count_of_names; i++) {
        if (!has(names[i], measure)) continue
        line = pad(titles[names[i]], 62, 0)
        for (j = 1; j <= count_of_counts; j++) line = line cell(figure(names[i], counts[j], measure))
        row(line (measure == "ns" ? "" : cell(growth(names[i], last, measure))))
    }
    print ""
}

function has(name, measure,   j) {
    for (j = 1; j <= count_of_counts; j++) if ((name, counts[j], measure) in own) return 1
    return 0
}

function figure(name, count, measure,   a, b) {
    if (!((name, count, measure) in own)) return "–"
    a = own[name, count, measure]; b = peer[name, count, measure]
    if (measure == "ns") return b > 0.5 && a > 0.5 ? sprintf("%.2f", a / b) : "–"
    return short(a) (b == "" ? "" : " (" short(b) ")")
}

function growth(name, last, measure,   first) {
    if (last <= 100 || !((name, 100, measure) in own) || !((name, last, measure) in own)) return "–"
    first = own[name, 100, measure]
    return first < 0.5 ? "–" : sprintf("%.2f", own[name, last, measure] / first)
}

function cell(text) { return format == "md" ? " | " text : "  " pad(text, 15, 1) }
function row(line) { print format == "md" ? "| " line " |" : line }

# One sign is not ASCII, and every awk counts it in its own way.
function pad(text, columns, right,   plain, space) {
    if (format == "md") return text
    plain = text
    gsub(/–/, "-", plain)
    space = columns > length(plain) ? sprintf("%" (columns - length(plain)) "s", "") : ""
    return right ? space text : text space
}
