#!/usr/bin/env python3
"""links.py FOLDER: each link between FOLDER's HTML pages leads to a file and an anchor. Others are listed."""

import html.parser
import pathlib
import sys
import urllib.parse


class Page(html.parser.HTMLParser):
    def __init__(self, path):
        super().__init__()
        self.anchors, self.links = set(), set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.anchors |= {attributes[name] for name in ("id", "name") if attributes.get(name)}
        self.links |= {attributes[name] for name in ("href", "src") if attributes.get(name)}


def main():
    folder = pathlib.Path(sys.argv[1])
    pages = {path: Page(path) for path in sorted(folder.rglob("*.html"))}
    dead, outside, count = [], set(), 0
    for path, page in pages.items():
        for link in sorted(page.links):
            parts = urllib.parse.urlsplit(link)
            if parts.scheme == "javascript":
                continue
            if parts.scheme or parts.netloc:
                outside.add(link)
                continue
            count += 1
            target = path.parent / urllib.parse.unquote(parts.path) if parts.path else path
            anchor = urllib.parse.unquote(parts.fragment)
            if not target.is_file():
                dead.append(f"{path}: no file {link}")
            elif anchor and target in pages and anchor not in pages[target].anchors:
                dead.append(f"{path}: no anchor {link}")
    print(*sorted(outside), sep="\n")
    print(f"links: {len(pages)} pages, {count} links inside, {len(outside)} to elsewhere (not tried), {len(dead)} dead")
    # A folder without pages is no good sign.
    if dead or len(pages) < 2:
        sys.exit("\n".join(dead) or f"{folder} has no pages")


main()
