# Inclusive costs of the functions whose names match `prefix`, as called from others: so without what the caller does
# itself. Reads a file of callgrind with uncompressed names and positions. Prints a line for each caller: its name,
# instructions and, if caches were simulated, cache lines that the first cache missed, and those that the last one did.

/^events:/ { for (i = 2; i <= NF; i++) column[$i] = i }
/^fn=/ { fn = substr($0, 4) }
/^cfn=/ { callee = substr($0, 5) }
/^calls=/ {
    # The line after it: a position, then the costs. Zeros at the end are left out.
    getline
    if (callee ~ prefix && fn !~ prefix) {
        instructions[fn] += cost("Ir")
        first[fn] += cost("D1mr") + cost("D1mw")
        last[fn] += cost("DLmr") + cost("DLmw")
    }
}
END { for (fn in instructions) printf "%s %.0f %.0f %.0f\n", fn, instructions[fn], first[fn], last[fn] }

function cost(event) { return event in column ? $column[event] : 0 }
