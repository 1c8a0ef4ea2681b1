"""Fresh processes: what an import and the first training take from the start of Python to its end."""

import subprocess
import sys

from benchmarks.server import Prepared

_JOB = """
from benchmarks.peers import {peer}
from benchmarks.workloads import Budget, digits
{peer}.digits(digits(), Budget(1, 1, 32))(0)
"""


def prepare(function, *, members=1, **arguments):
    code = function(**arguments)

    def play(calls):
        for _ in range(calls):
            subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
        return 0.0

    return Prepared(play, {})


def imports(*, modules):
    return f"import {modules}"


def first_job(*, peer):
    return _JOB.format(peer=peer)
