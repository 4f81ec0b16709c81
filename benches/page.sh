#!/bin/sh
# page.sh DIR: measures all but scale, and renews the tables of docs/performance.md from this one run. FROM: a folder with
# tables that were measured before, as this script leaves them in DIR.
set -eu

dir=$1
page=docs/performance.md
for table in conflux padding queue run; do
    if [ -n "${FROM:-}" ]; then
        [ "$FROM" = "$dir" ] || cp "$FROM/$table.md" "$dir/$table.md"
    else
        case $table in conflux) script=run ;; run) script=circuits ;; *) script=$table ;; esac
        FORMAT=md "benches/$script.sh" "$dir" >"$dir/$table.md.new"
        mv "$dir/$table.md.new" "$dir/$table.md"
    fi
    awk -v table="$table" -v measured="$dir/$table.md" '
        $0 == "<!-- end of bench-" table " -->" { inside = 0; print "" }
        !inside
        $0 == "<!-- bench-" table " -->" {
            inside = 1
            print ""
            while ((getline line < measured) > 0) {
                # Rows stay whole.
                while (line !~ /^\|/ && length(line) > 120) {
                    at = 120
                    while (at > 1 && substr(line, at, 1) != " ") at--
                    print substr(line, 1, at - 1)
                    line = substr(line, at + 1)
                }
                print line
            }
        }
        ' $page >"$dir/page.md"
    cp "$dir/page.md" $page
done
