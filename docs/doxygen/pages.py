#!/usr/bin/env python3
"""Writes what Doxygen reads beside the header: the Markdown pages and the examples, with links that lead somewhere.

pages.py OUT: pages go to OUT as Markdown, OUT/documents.dox lists them, and OUT/examples.dox names the examples.
Doxygen 1.9.4 does not make the anchors that GitHub makes of headings, and knows no links to files; both are written
out here.
"""

import pathlib
import re
import sys

# README is the first page; those of docs follow in the order of its table, then the others.
FIRST = "README.md"
FOLDERS = ["docs", "examples", "integration", "sim", "study", "trace", "fuzz"]
LAST = ["ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"]

LINK = re.compile(r"(!?)\[((?:[^\]\[]|\[[^\]]*\])*)\]\(([^)\s]+)\)")
NAME = re.compile(r"`((?:circflow|CIRCFLOW)_\w+)((?:\(\))?)`")


def pages():
    """Paths of all pages, in order."""
    front = pathlib.Path(FIRST).read_text()
    listed = [path for path in re.findall(r"\]\(([\w./-]+\.md)", front) if path.startswith("docs/")]
    found = [str(path) for folder in FOLDERS for path in sorted(pathlib.Path(folder).rglob("*.md"))]
    of_others = [path for path in found if "/vendor/" in path]
    return list(dict.fromkeys([path for path in [FIRST, *listed, *found, *LAST] if path not in of_others]))


def label(path):
    return "mainpage" if path == FIRST else "page_" + re.sub(r"\W", "_", path.removesuffix(".md"))


def slug(title):
    """The anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", title.replace("`", "").strip().lower()).replace(" ", "-")


def headings(text):
    """The headings outside of code: (whole line, marks, title)."""
    outside = re.sub(r"^```.*?^```", lambda code: "\n" * code.group().count("\n"), text, flags=re.S | re.M)
    return [found.groups() for found in re.finditer(r"^((#+) +(.*))$", outside, re.M)]


class Pages:
    def __init__(self, header):
        self.known = set(re.findall(r"\b(?:circflow|CIRCFLOW)_\w*[^\W_]\b", header.split("#ifndef CIRCFLOW_H")[1]))
        self.paths = pages()
        self.examples = sorted(str(path) for path in pathlib.Path("examples").rglob("*.c"))
        self.anchors = {path: self.anchors_of(path) for path in self.paths}

    def anchors_of(self, path):
        """The label of each heading of a page, by GitHub's anchor."""
        anchors = {}
        for _, _, title in headings(pathlib.Path(path).read_text())[1:]:
            anchor, count = slug(title), 0
            while anchor in anchors:
                count += 1
                anchor = f"{slug(title)}-{count}"
            anchors[anchor] = f"{label(path)}_{len(anchors)}"
        return anchors

    def link(self, page, found):
        """A link of Markdown, as Doxygen follows it. A file that is not in the reference is named only."""
        is_image, text, target = found.groups()
        if "://" in target or target.startswith("mailto:"):
            return found.group()
        if is_image:
            return f'<img src="{pathlib.Path(target).name}" alt="{text}"/>'
        path, _, anchor = target.partition("#")
        path = pathlib.Path(page).parent / path if path else pathlib.Path(page)
        path = str(path.resolve().relative_to(pathlib.Path.cwd()))
        path = f"{path}/README.md" if f"{path}/README.md" in self.paths else path
        if path in self.paths:
            if anchor and anchor not in self.anchors[path]:
                sys.exit(f"{page}: {path} has no heading for #{anchor}")
            text = text.replace("`", "")
            return f"[{text}](@ref {self.anchors[path][anchor] if anchor else label(path)})"
        if path in self.examples:
            return f'<a href="{example_page(path)}">{text}</a>'
        return f"[{text}](@ref conventions)" if path == "include/circflow.h" else text

    def name(self, found):
        """A name of the header between backticks leads to it."""
        name, call = found.groups()
        return f"[{name}{call}](@ref {name})" if name in self.known else found.group()

    def page(self, path):
        text = pathlib.Path(path).read_text()
        first, *others = headings(text)
        text = text.replace(first[0], f"{first[0]} {{#{label(path)}}}", 1)
        at = 0
        for (line, _, _), anchor in zip(others, self.anchors[path].values()):
            at = text.index(f"\n{line}\n", at) + 1
            text = text[:at] + f"{line} {{#{anchor}}}" + text[at + len(line):]
        # A link's text may have code in it, so links come before the rest is cut at code.
        fences = re.split(r"(^```.*?^```)", text, flags=re.S | re.M)
        out = []
        for index, part in enumerate(fences):
            if index % 2 == 1:
                out.append(part)
                continue
            part = LINK.sub(lambda found: self.link(path, found), part)
            pieces = re.split(r"(`[^`]+`)", part)
            out.extend(self.plain(piece) if at % 2 == 0 else self.code(piece) for at, piece in enumerate(pieces))
        return "".join(out)

    @staticmethod
    def plain(text):
        return re.sub(r"@(?!ref )", r"\\@", text)

    def code(self, text):
        return NAME.sub(self.name, text)


def example_page(path):
    """The name that Doxygen gives the page of an example."""
    name = str(pathlib.Path(path).relative_to("examples"))
    return name.replace(".", "_8").replace("/", "_2") + "-example.html"


def about(path):
    """The first sentence of the comment at the head of a source."""
    comment = re.match(r"\s*/\*(.*?)\*/", pathlib.Path(path).read_text(), re.S)
    words = re.sub(r"\s*\n\s*\*?\s*", " ", comment.group(1)).strip() if comment else path
    return re.sub(r"([@\\#<>])", r"\\\1", words.split(". ")[0].rstrip("."))


def main():
    out = pathlib.Path(sys.argv[1])
    every = Pages(pathlib.Path("include/circflow.h").read_text())
    for index, path in enumerate(every.paths):
        name = f"{index:02}_{label(path)}.md"
        (out / name).write_text(every.page(path))
    examples = "".join(f"/** @example {path.removeprefix('examples/')}\n * @details {about(path)}.\n */\n"
                       for path in every.examples)
    # So that the tree of contents has one entry for them, before the modules.
    listed = "".join(f" * - @subpage {label(path)}\n" for path in every.paths[1:])
    (out / "documents.dox").write_text(f"/** @page documents Documents\n *\n{listed} */\n")
    (out / "examples.dox").write_text(examples)


main()
