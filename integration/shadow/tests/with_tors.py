"""Has real tors make the keys, and read every torrc that is written: part of `make check-tor`.

    python3 -m tests.with_tors STOCK CIRCFLOW GENCERT
"""

import json
import os
import subprocess
import sys
import tempfile

import run


def refused(folder):
    """Yields hosts whose tor does not take its torrc, with what it says."""
    with open(os.path.join(folder, "shadow.yaml"), encoding="utf-8") as file:
        hosts = json.load(file)["hosts"]
    for name, host in hosts.items():
        process = host["processes"][0]
        if not os.path.basename(process["path"]) == "tor":
            continue
        done = subprocess.run([process["path"], "--verify-config", *process["args"]], capture_output=True, text=True,
                              cwd=os.path.join(folder, "template", "hosts", name), check=False)
        if done.returncode or "Configuration was valid" not in done.stdout:
            yield f"{name}: {done.stdout[-300:]}{done.stderr[-300:]}"


def main():
    """With a variant that has both tors."""
    stock, circflow, gencert = sys.argv[1:]
    with tempfile.TemporaryDirectory(prefix="circflow-shadow-") as out:
        # Nothing is run: any program may stand in for Shadow.
        sys.argv[1:] = ["run", "--only-write", "--variants", "ontime@relays", "--shadow", gencert, "--gencert", gencert,
                        "--tor", f"stock={stock}", "--tor", f"circflow={circflow}", "--out", out]
        status = run.main()
        wrong = [] if status else list(refused(os.path.join(out, "ontime@relays-s1")))
    for text in wrong:
        print(text)
    if status or wrong:
        print("check-shadow-tors: FAILED")
        return 1
    print("check-shadow-tors: OK, tors made their keys, and take every torrc")
    return 0


if __name__ == "__main__":
    sys.exit(main())
