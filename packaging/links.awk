# A page as it is installed: links to files that are not installed become plain words.
#
# usage: awk -v folder=docs -f links.awk LIST_OF_INSTALLED_FILES PAGE     folder: of the page, "" for the top

NR == FNR { there[$0]; next }
{ page = page $0 "\n" }

# is_there TARGET: as seen from the page.
function is_there(target, path) {
    sub(/#.*/, "", target)
    path = (folder == "" ? "" : folder "/") target
    while (sub(/[^\/]+\/\.\.\//, "", path)) { }
    return target == "" || target ~ /^https?:/ || path in there
}

END {
    while (match(page, /\]\([^()]*\)/)) {
        words = substr(page, 1, RSTART - 1)
        link = substr(page, RSTART, RLENGTH)
        page = substr(page, RSTART + RLENGTH)
        begin = 0
        while (next_begin = index(substr(words, begin + 1), "["))
            begin += next_begin
        if (!begin || is_there(substr(link, 3, length(link) - 3)))
            printf "%s%s", words, link
        else
            printf "%s%s", substr(words, 1, begin - 1), substr(words, begin + 1)
    }
    printf "%s", page
}
