"""Runs simulations, some at the same time, and writes down what each has taken."""

import json
import os
import re
import shutil
import signal
import subprocess
import time

from failure import Failure

EVERY = 1  # seconds between looks


class Running:
    """A Shadow that was started. It and all that it starts are a session of their own."""

    def __init__(self, simulation):
        self.simulation, self.begun, self.peak_kib = simulation, time.monotonic(), 0
        simulation.write()
        self.told = simulation.told()
        with open(os.path.join(simulation.folder, "shadow.log"), "wb") as log:
            try:
                self.process = subprocess.Popen([simulation.plan.shadow, "shadow.yaml"], cwd=simulation.folder,
                                                stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                                                start_new_session=True)
            except OSError as error:
                raise Failure(f"Shadow does not start: {error}") from error

    def look(self):
        """None while it runs, then the facts."""
        ended, status, usage = os.wait4(self.process.pid, os.WNOHANG)
        if not ended:
            self.peak_kib = max(self.peak_kib, memory_kib(self.process.pid))
            return None
        self.process.returncode = os.waitstatus_to_exitcode(status)
        facts = {"code": self.process.returncode, "wall": round(time.monotonic() - self.begun, 1),
                 "cpu": round(usage.ru_utime + usage.ru_stime, 1), "peak_mib": round(self.peak_kib / 1024)}
        keep(self.simulation, {**self.told, **facts})
        return facts

    def kill(self):
        """Ends its session, and nothing else."""
        if self.process.returncode is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def keep(simulation, facts):
    """Writes down the facts, and takes away what the run does not need any more."""
    with open(os.path.join(simulation.folder, "facts.json"), "w", encoding="utf-8") as file:
        json.dump(facts, file, indent=1)
    shutil.rmtree(os.path.join(simulation.folder, "template"))


def is_done(simulation):
    """Whether its folder has a run that ended well, of the same files and programs."""
    try:
        with open(os.path.join(simulation.folder, "facts.json"), encoding="utf-8") as file:
            facts = json.load(file)
    except (OSError, ValueError):
        return False
    return facts.get("code") == 0 and facts.get("digest") == simulation.digest()


def run_all(simulations, jobs, say):
    """Runs those that are not done yet, `jobs` at a time. The names of those that ended badly."""
    waiting = [simulation for simulation in simulations if not is_done(simulation)]
    if len(waiting) < len(simulations):
        say(f"{len(simulations) - len(waiting)} of {len(simulations)} runs are there already")
    count, bad, running = len(waiting), [], []
    if waiting:
        say(f"{count} to do, {min(count, jobs)} at a time, {waiting[0].plan.seconds / 60:.1f} simulated minutes each")
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                running.append(Running(waiting.pop(0)))
            time.sleep(EVERY)
            for one in list(running):
                facts = one.look()
                if facts:
                    running.remove(one)
                    done = count - len(waiting) - len(running)
                    say(f"{done} of {count}: {in_short(one.simulation, facts)}")
                    bad += [one.simulation.name] if facts["code"] else []
    finally:
        for one in running:
            one.kill()
    return bad


def in_short(simulation, facts):
    """A line about a run that has ended."""
    minutes = simulation.plan.seconds / 60
    text = (f"{simulation.name}: {facts['wall']:.0f} s, {facts['cpu']:.0f} s of processors, {facts['peak_mib']} MiB "
            f"for {minutes:.1f} simulated minutes")
    if facts["code"]:
        text += f"; Shadow ended with {facts['code']}, see {os.path.join(simulation.folder, 'shadow.log')}"
    return text


def memory_kib(session):
    """Of all processes of a session; pages that they share are counted once."""
    total = 0
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
                if int(file.read().rsplit(")", 1)[1].split()[3]) != session:
                    continue
            with open(f"/proc/{pid}/smaps_rollup", encoding="utf-8") as file:
                total += int(re.search(r"^Pss:\s+(\d+)", file.read(), re.M).group(1))
        except (OSError, AttributeError):
            continue
    return total
