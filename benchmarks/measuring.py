"""Contestants in processes of their own, measured in turn."""

import json
import os
import subprocess
import sys
import tempfile
from contextlib import suppress
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd

WORKER = Path(__file__).with_name("speed_worker.py")
# Of what a child printed, how much is shown where it fails.
TAIL = 3000
# The note of a contestant that raised an error.
FAILED = "failed"


def is_installed(module):
    """Whether a module can be imported."""
    return find_spec(module) is not None


class Host:
    """A child process in which contestants wait to be run.

    Processes are apart because the allocator cannot be set back, and because libraries have pools
    of threads of their own.

    Parameters
    ----------
    name : str
    allocator : {"default", "tuned"}
    threads : int
    """

    def __init__(self, name, allocator, threads):
        self.name = name
        self.log = tempfile.TemporaryFile("w+")  # noqa: SIM115 - open as long as the child
        environment = {
            **os.environ,
            # Waiting threads give way, to the contestants of other processes as well.
            "OMP_WAIT_POLICY": "PASSIVE",
            "OMP_NUM_THREADS": str(threads),
            "TF_CPP_MIN_LOG_LEVEL": "2",
        }
        self.process = subprocess.Popen(
            [sys.executable, str(WORKER), json.dumps({"allocator": allocator})],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            env=environment,
            text=True,
        )
        self.allocator = self._read().get("allocator", allocator)

    def ask(self, **order):
        """Have the child do something; its answer, with ``error`` where it died of it."""
        # Why a child has died is in what is read.
        with suppress(BrokenPipeError):
            print(json.dumps(order), file=self.process.stdin, flush=True)
        return self._read()

    def _read(self):
        line = self.process.stdout.readline()
        if line:
            return json.loads(line)
        self.log.seek(0)
        code = self.process.wait()
        killed = " (killed, as where memory is short)" if code == -9 else ""
        said = self.log.read()[-TAIL:]
        return {"error": f"the process of {self.name} ended with {code}{killed}:\n{said}"}

    def close(self):
        """End the child."""
        # What could not be written to a child that has died is tried once more here.
        with suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()
        self.log.close()


class Race:
    """The contestants of one section and network, each round each of them once.

    Parameters
    ----------
    section, network : str
    task : dict
        What the contestants are to do.
    facts : dict
        What every row of the results says besides.
    """

    def __init__(self, section, network, task, facts):
        self.section, self.network, self.task, self.facts = section, network, task, facts
        self.hosts = {}
        self.ready = {}
        self.rows = []

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        for host in self.hosts.values():
            host.close()

    def prepare(self, contestants, wanted=None):
        """Make contestants ready, those that are wanted by name or all."""
        for contestant in contestants:
            if wanted is None or contestant.name in wanted:
                self._prepare_one(contestant)

    def _prepare_one(self, contestant):
        """Start a contestant, or record why it does not take part."""
        missing = [module for module in contestant.needs if not is_installed(module)]
        if missing:
            self._absent(contestant, f"not installed: {', '.join(missing)}")
            return
        key = contestant.host, contestant.allocator
        if key not in self.hosts:
            self.hosts[key] = Host(" ".join(key), contestant.allocator, self.task["threads"])
        order = asdict(contestant)
        reply = self.hosts[key].ask(do="prepare", task=self.task, **order)
        if self._is_bad(contestant, reply):
            return
        versions = [f"{module} {number}" for module, number in reply["versions"].items()]
        self.ready[contestant.name] = contestant, self.hosts[key], "; ".join(versions)

    def run(self, rounds, warm_up=True):
        """Every contestant once to warm up, and then once a round, each time in another order.

        Parameters
        ----------
        rounds : int
        warm_up : bool, default=True

        Returns
        -------
        DataFrame
            A row for each measurement, and for each contestant that did not take part.
        """
        for number in range(0 if warm_up else 1, rounds + 1):
            # Drawn, so that none always follows the same other one; but the same in each run.
            for name in np.random.default_rng(number).permutation(list(self.ready)):
                self._run_one(number, *self.ready[name])
            print(f"{self.section}, {self.network}: round {number} of {rounds}", file=sys.stderr)
        return pd.DataFrame(self.rows)

    def _run_one(self, number, contestant, host, versions):
        reply = host.ask(do="run", name=contestant.name)
        # The first repetition compiles, fills caches and touches memory for the first time.
        if self._is_bad(contestant, reply) or number == 0:
            return
        for measure, seconds in reply["seconds"].items():
            self._add(
                contestant,
                measure=measure,
                round=number,
                seconds=seconds,
                scale=reply.get("scale", 1),
                precision=reply["precision"],
                allocator=host.allocator,
                version=versions,
                note=reply.get("note", ""),
            )

    def _is_bad(self, contestant, reply):
        if "absent" in reply:
            self._absent(contestant, reply["absent"])
        elif "error" in reply:
            self._absent(contestant, FAILED)
            print(reply["error"], file=sys.stderr)
        else:
            return False
        self.ready.pop(contestant.name, None)
        return True

    def _absent(self, contestant, reason):
        print(f"{self.section}, {self.network}: {contestant.name}: {reason}", flush=True)
        self._add(contestant, note=reason)

    def _add(self, contestant, **columns):
        row = {"section": self.section, "network": self.network, "contestant": contestant.name}
        blank = dict.fromkeys(("measure", "round", "seconds", "scale"))
        blank |= {"threads": self.task["threads"], "precision": None, "allocator": None}
        self.rows.append({**row, **blank, **columns, **self.facts})
