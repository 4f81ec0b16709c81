#!/usr/bin/env python3
"""Makes the patch series on tor from the adapter. No line of tor's is kept here: an edit names where it goes.

usage: series.py base SOURCE FOLDER        a git repository of tor's source, as tor's own has it
       series.py make FOLDER PATCHES       commits the series there, and writes it as files for `git am`

Each step below is one commit, and its docstring is the message.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ADAPTER = HERE.parent / "adapter"
NEW = HERE / "new"
FOLDER = "src/core/circflow"

# What the release archive has beyond tor's own repository: made by autotools, or a distribution's. Documents that are made
# by asciidoc may stay.
MADE = ["configure", "aclocal.m4", "Makefile.in", "orconfig.h.in", "ar-lib", "compile", "config.guess", "config.sub", "depcomp",
        "install-sh", "missing", "test-driver", "debian", ".pc", "autom4te.cache"]

# The same bytes each time that the same adapter and the same tor go in.
WHO = {"GIT_AUTHOR_NAME": "The circflow authors", "GIT_AUTHOR_EMAIL": "circflow@packages.invalid",
       "GIT_AUTHOR_DATE": "2026-01-01T00:00:00Z"}
WHO |= {key.replace("AUTHOR", "COMMITTER"): value for key, value in WHO.items()}
WHO |= {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}


def git(folder, *arguments):
    done = subprocess.run(["git", "-C", str(folder), *arguments], env={**os.environ, **WHO}, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode != 0:
        sys.exit(f"tor-patch: FAILED: git {arguments[0]}: {done.stdout[-2000:]}")
    return done.stdout


class Tree:
    """Tor's source, with edits that fail where tor has not what they look for."""

    def __init__(self, folder):
        self.folder = Path(folder)

    def edit(self, name, pattern, replacement, times=1):
        """Replaces what matches; `times` is how often it has to, and None is at least once."""
        path = self.folder / name
        text, count = re.subn(pattern, replacement, path.read_text(), flags=re.M)
        if count == 0 or (times and count != times):
            sys.exit(f"tor-patch: FAILED: {name} has {pattern!r} {count} times. The series is for another tor.")
        path.write_text(text)

    def after(self, name, line, text):
        """Puts text after the line that the pattern is found in."""
        self.edit(name, rf"^.*{line}.*\n", lambda found: found[0] + text)

    def before(self, name, line, text):
        self.edit(name, rf"^.*{line}.*\n", lambda found: text + found[0])

    def begins(self, name, function, text):
        """Puts text at the beginning of a C function."""
        self.edit(name, rf"^{function}\([^;{{]*\)\n\{{\n", lambda found: found[0] + text)

    def ends(self, name, function, text):
        """Puts text at the end of a C function."""
        self.edit(name, rf"^{function}\([^;{{]*\)\n\{{\n(?:(?!\}}).*\n)*", lambda found: found[0] + text)

    def write(self, name, text):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def bring(self, *names):
        """Files that only the patch has."""
        for name in names:
            self.write(name, (NEW / name).read_text())


def in_tors_manner(text, name):
    """A file of ours as tor has its own: names of headers from src/ on, lines of 79 columns."""
    text = text.replace('#include "circflow_build.h"\n', "")
    text = text.replace('#include "circflow.h"\n', "#include <circflow.h>\n")
    text = re.sub(r'#include "(circflow_\w+\.h)"', r'#include "core/circflow/\1"', text)
    text = re.sub(r'#include "(seam_\w+\.h)"', r'#include "test/\1"', text)
    done = subprocess.run(["clang-format", f"--style=file:{HERE}/style.yaml", f"--assume-filename={name}"], input=text,
                          text=True, stdout=subprocess.PIPE, check=True)
    return done.stdout


def adapter_files():
    return sorted(path for path in ADAPTER.iterdir()
                  if path.suffix in (".c", ".h") and path.name != "circflow_zero_edit.h")


# ---- The series ----


def configure(tree):
    """build: Look for circflow when configure is asked to.

    circflow is a library that does conflux and circuit padding behind a C
    interface. With --with-circflow, configure looks for it by pkg-config;
    with --with-circflow=PATH, where it was installed to. Everything that
    links libtor-app.a gets it. It is off by default, and nothing is looked
    for then.

    Nothing uses it yet.
    """
    tree.bring("m4/circflow.m4")
    tree.before("configure.ac", r"^AC_CONFIG_FILES\(\[$", "TOR_WITH_CIRCFLOW\n\n")
    tree.after("configure.ac", r"PPRINT_PROP_BOOL\(\[libzstd ", '\ntest "x$with_circflow" != "xno" && value=1 || value=0\n'
               "PPRINT_PROP_BOOL([circflow (--with-circflow)], $value)\n")
    for name in ("src/app/include.am", "src/test/include.am", "src/test/fuzz/include.am"):
        tree.edit(name, "@TOR_TRACE_LIBS@", "@TOR_TRACE_LIBS@ @CIRCFLOW_LIBS@", times=None)


def conflux(tree):
    """conflux: Build it on circflow when configured so.

    With --with-circflow, src/core/circflow takes the place of conflux.c,
    conflux_pool.c and conflux_cell.c of src/core/or, with the same headers.
    circflow decides: numbers, reordering, SWITCH, the leg to send on, the
    handshake, what happens when a leg is lost, and which queue goes when
    memory is short. It keeps messages that come early. Circuits, relays,
    streams and congestion control stay tor's, and its structs are written as
    before, so that nothing else has to know.

    Without the switch the same files as ever are built.

    Options of it are known in both builds. CircflowLegAlgorithm chooses the
    algorithm for legs, and the totals of circflow are in the heartbeat and in
    MetricsPort.
    """
    for path in adapter_files():
        tree.write(f"{FOLDER}/{path.name}", in_tors_manner(path.read_text(), path.name))
    ours = ["circflow_sys.h", "circflow_options_st.h", "circflow_options.inc", "circflow_heartbeat.h"]
    tree.bring(*(f"{FOLDER}/{name}" for name in [*ours, "circflow_sys.c", "circflow_stub.c", ".may_include"]))

    replaced = ["conflux.c", "conflux_cell.c", "conflux_pool.c"]
    for name in replaced:
        tree.edit("src/core/or/include.am", rf"^\tsrc/core/or/{name}\s*\\\n", "")
    sources = [path.name for path in adapter_files() if path.suffix == ".c"] + ["circflow_sys.c"]
    headers = [path.name for path in adapter_files() if path.suffix == ".h"] + ours

    def listed(variable, folder, names):
        return f"{variable} += \\\n" + " \\\n".join(f"\t{folder}/{name}" for name in names) + "\n"

    tree.write(f"{FOLDER}/include.am",
               "# Conflux by circflow, or tor's own.\n"
               "AM_CPPFLAGS += @CIRCFLOW_CFLAGS@\n\n"
               "if USE_CIRCFLOW\n" + listed("LIBTOR_APP_A_SOURCES", FOLDER, sorted(sources)) +
               "else\n" + listed("LIBTOR_APP_A_SOURCES", "src/core/or", replaced) +
               f"LIBTOR_APP_A_SOURCES += {FOLDER}/circflow_stub.c\n"
               "endif\n\n" + listed("noinst_HEADERS", FOLDER, sorted(headers)))
    tree.after("src/include.am", "^include src/core/or/include.am$", f"include {FOLDER}/include.am\n")
    tree.before("src/app/main/subsystem_list.c", '#include "core/mainloop/mainloop_sys.h"',
                '#include "core/circflow/circflow_sys.h"\n')
    tree.after("src/app/main/subsystem_list.c", "^  &sys_dos,$", "  &sys_circflow,\n")

    tree.after("src/core/or/status.c", '^#include "core/or/or.h"', '#include "core/circflow/circflow_heartbeat.h"\n')
    tree.after("src/core/or/status.c", r"^  log_onion_service_stats\(\);$", "\n  flow_figures_log();\n")

    tree.before("doc/man/tor.1.txt", r"^\[\[ConfluxEnabled\]\]", (HERE / "options.1.txt").read_text())
    tree.before("doc/man/tor.1.txt", r"^\[\[TestingClientConsensusDownloadInitialDelay\]\]",
                (HERE / "trace.1.txt").read_text())
    tree.bring("changes/circflow")


def padding(tree):
    """circpad: Let circflow's padding machines run beside ours.

    circuitpadding.c and circuitmux.c tell circflow's padding of what they
    hear, and offer it PADDING_NEGOTIATE and PADDING_NEGOTIATED first. Our
    own machines go on as before.

    A machine of circflow's may block a circuit. The package window is empty
    then, so that DATA stays in its streams, and other messages of streams
    wait before they are encrypted. Cells that only pass a relay go on.

    There is none of circflow's without the options CircflowPaddingClient or
    CircflowPaddingRelay, and each of the hooks is a comparison or two then;
    without --with-circflow they are nothing.
    """
    tree.bring(f"{FOLDER}/circflow_circpad.h")
    tree.before(f"{FOLDER}/include.am", "circflow_hooks.h", f"\t{FOLDER}/circflow_circpad.h \\\n")
    header = '#include "core/circflow/circflow_circpad.h"\n'
    circpad, circmux = "src/core/or/circuitpadding.c", "src/core/or/circuitmux.c"
    tree.after(circpad, '^#include "core/or/or.h"', header)
    tree.after(circmux, '^#include "core/or/or.h"', header)
    tree.begins(circpad, "circpad_deliver_recognized_relay_cell_events",
                "  flow_pad_note_recognized(circ, relay_command, layer_hint);\n")
    tree.begins(circpad, "circpad_deliver_unrecognized_cell_events", "  flow_pad_note_passed(circ, dir);\n")
    tree.begins(circpad, "circpad_deliver_sent_relay_cell_events", "  flow_pad_note_sent(circ, relay_command);\n")
    tree.begins(circpad, "circpad_check_received_cell", "  if (flow_pad_takes(msg, circ, layer_hint))\n    return 0;\n")
    tree.ends(circpad, "circpad_machine_event_circ_built", "  flow_pad_note_built(circ);\n")
    tree.begins(circpad, "circpad_circuit_free_all_machineinfos", "  flow_pad_forget(circ);\n")
    tree.begins(circpad, "circpad_free_all", "  flow_pad_end();\n")
    tree.begins(circmux, "circuitmux_notify_xmit_cells", "  flow_pad_note_written(cmux, circ, n_cells);\n")
    relay, window = "src/core/or/relay.c", "src/core/or/conflux_util.c"
    tree.after(relay, '^#include "core/or/or.h"', header)
    tree.after(window, '^#include "core/or/or.h"', header)
    tree.begins(relay, "relay_send_command_from_edge_,",
                "  if (flow_pad_holds(stream_id, orig_circ, relay_command, payload,\n"
                "                     payload_len, cpath_layer))\n"
                "    return orig_circ->marked_for_close ? -1 : 0;\n\n")
    tree.begins(window, "circuit_get_package_window", "  if (!flow_pad_may_package(circ))\n    return 0;\n\n")


def tests(tree):
    """test: Test conflux by circflow.

    They are in the test program of a tor that is built with circflow, beside
    those of conflux, which both builds have to pass.
    """
    names = {"seam_tests.c": "test_circflow.c", "seam_pool_tests.c": "test_circflow_pool.c"}
    for ours, theirs in names.items():
        text = (HERE.parent / ours).read_text()
        # Tor's own of that name stay.
        text, count = re.subn(r"^struct testcase_t conflux_(?:cell|pool)_tests\[\]",
                              f"struct testcase_t {theirs[5:-2]}_tests[]", text, flags=re.M)
        assert count == 1, ours
        tree.write(f"src/test/{theirs}", in_tors_manner(text, theirs))
    tree.bring("src/test/seam_options.h")
    tree.after("src/test/include.am", "^src_test_test_SOURCES =$",
               "\nif UNITTESTS_ENABLED\nif USE_CIRCFLOW\nsrc_test_test_SOURCES += \\\n"
               "\tsrc/test/test_circflow.c \\\n\tsrc/test/test_circflow_pool.c\nendif\nendif\n"
               "\nnoinst_HEADERS += src/test/seam_options.h\n")
    tree.after("src/test/test.h", r"^extern struct testcase_t conflux_pool_tests\[\];",
               "extern struct testcase_t circflow_tests[];\nextern struct testcase_t circflow_pool_tests[];\n")
    tree.after("src/test/test.c", "conflux_pool_tests }",
               '#ifdef USE_CIRCFLOW\n  { "circflow/cell/", circflow_tests },\n'
               '  { "circflow/pool/", circflow_pool_tests },\n#endif\n')


SERIES = [configure, conflux, padding, tests]


def base(source, folder):
    folder = Path(folder)
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(source, folder, symlinks=True, ignore=lambda where, names: MADE if where == source else [".git"])
    git(folder, "init", "--quiet", "--initial-branch", "main")
    git(folder, "config", "core.autocrlf", "false")
    # Also what tor's .gitignore names, where there is one.
    git(folder, "add", "--all", "--force")
    git(folder, "commit", "--quiet", "--message", "tor, as it was released")


def make(folder, patches):
    tree = Tree(folder)
    for step in SERIES:
        step(tree)
        title, _, rest = step.__doc__.partition("\n")
        body = re.sub(r"^    ", "", rest, flags=re.M).strip()
        git(folder, "add", "--all")
        git(folder, "commit", "--quiet", "--message", f"{title}\n\n{body}\n")
    patches = Path(patches).resolve()
    shutil.rmtree(patches, ignore_errors=True)
    git(folder, "format-patch", "--quiet", "--no-signature", "--output-directory", str(patches), f"-{len(SERIES)}")


def main():
    commands = {"base": base, "make": make}
    if len(sys.argv) != 4 or sys.argv[1] not in commands:
        sys.exit(__doc__)
    commands[sys.argv[1]](*sys.argv[2:])


main()
