# What the figures of bench-scale are called, and how they are read: common to the table and the picture.

BEGIN {
    FS = ","
    title("circuit-open", "open a circuit, where another one was")
    title("circuit-close", "close a circuit")
    title("set-open", "open a set of two legs, where another one was")
    title("set-close", "close a set and its legs")
    title("cell-in", "a cell in order, on a random set")
    title("cell-out", "a cell is sent, on a random set")
    title("tick-idle", "tick, nothing is due")
    title("tick-due", "tick, 1 % is due: for each timer that ends")
    title("circuit-grow", "open a circuit, in a new engine that grows")
    title("set-grow", "open a set of two legs, in a new engine")
    title("circuit-trim", "trim after all have closed: for each circuit")
    title("set-trim", "the same: for each set of two legs")
    title("circuit-bytes", "memory of a circuit")
    title("set-bytes", "memory of a set and its two circuits")
    title("timer-bytes", "memory of a circuit with a timer (circflow: a padding machine)")
    title("circuit-left", "what is left of a circuit after close and trim")
    title("set-left", "what is left of a set and its two circuits")
}

FNR > 1 {
    own[$1, $2, $3] = $4
    peer[$1, $2, $3] = $5
    if (!($2 in known)) { known[$2]; counts[++count_of_counts] = $2 }
}

function title(name, text) { names[++count_of_names] = name; titles[name] = text }

# 1000000 as 1,000,000.
function with_commas(number,   text) {
    text = sprintf("%.0f", number)
    while (match(text, /^[0-9][0-9][0-9][0-9]+/)) {
        text = substr(text, 1, RLENGTH - 3) "," substr(text, RLENGTH - 2)
    }
    return text
}

# Three digits, or a whole number.
function short(number) {
    if (number >= 99.5) return with_commas(number)
    if (number >= 9.95) return sprintf("%.0f", number)
    return number < 0.05 ? "0" : sprintf("%.1f", number)
}
