"""A contender and the handle on its process."""

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.kernel import Round
from benchmarks.workloads import Budget

_ROOT = Path(__file__).parents[1]
_LEAKS = ("JAX_NUM_CPU_DEVICES", "JAX_COMPILATION_CACHE_DIR", "OMP_NUM_THREADS")
_COMMON = {
    "XLA_FLAGS": "",
    "JAX_PLATFORMS": "cpu",
    "JAX_ENABLE_COMPILATION_CACHE": "false",
    "JAX_DEFAULT_MATMUL_PRECISION": "float32",
}


@dataclass(frozen=True)
class Contender:
    """Who runs a case and how.

    Attributes:
        name: As the table prints it.
        peer: File in `benchmarks/peers`.
        members: Trained by one call of the job; a peer that trains one after the other may train fewer.
        calls: Of the job in one steady round, so that short jobs are timed over a longer stretch.
        environment: Added to the process's environment.
        needs: Module that the peer imports; without it the contender is left out.
    """

    name: str
    peer: str
    members: int = 32
    calls: int = 1
    environment: Mapping[str, str] = field(default_factory=dict)
    needs: str = "jax"

    def is_installed(self) -> bool:
        """Whether the module that it needs can be found."""
        return importlib.util.find_spec(self.needs) is not None


def threads(n: int) -> dict[str, str]:
    """Environment that gives PyTorch and BLAS `n` threads."""
    return dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(n))


def settings(contender: Contender) -> dict[str, str]:
    """What we set in the contender's environment: what all share, then its own."""
    return {**_COMMON, **contender.environment}


def environment(contender: Contender) -> dict[str, str]:
    """The contender's environment: ours without what would leak into it, then its settings."""
    ours = {name: value for name, value in os.environ.items() if name not in _LEAKS}
    return {**ours, **settings(contender)}


class Worker:
    """A contender's running process. Use it in a `with` block: it ends the process."""

    def __init__(self, contender: Contender, workload: str, budget: Budget, steps: int):
        """Starts the process and waits until it is prepared. `steps` are those of one member."""
        self.contender, self.steps, self.next_seed = contender, steps, 0
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115  open as long as the process
        arguments = [contender.peer, workload, budget.members, budget.epochs, budget.batch_size]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker", *map(str, arguments)],
            cwd=_ROOT, env=environment(contender), text=True, bufsize=1,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors,
        )  # fmt: skip
        self.prepare_seconds: float = self._answer()["prepare_seconds"]

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *exception: object) -> None:
        self.quit()

    def play(self, calls: int | None = None) -> Round:
        """Runs one round on seeds that no round of this worker has seen; `calls` defaults to the contender's."""
        calls = self.contender.calls if calls is None else calls
        members = self.contender.members
        seeds = [self.next_seed + i * members for i in range(calls)]
        self.next_seed += calls * members
        self._send({"do": "round", "seeds": seeds})
        answer = self._answer()
        return Round(answer["seconds"], calls * members * self.steps, tuple(answer["scores"]))

    def quit(self) -> None:
        """Ends the process; a second call does nothing."""
        if self._process.poll() is None:
            self._send({"do": "quit"})
            self._process.wait(timeout=30)
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            if stream is not None:
                stream.close()

    def _send(self, message: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(message) + "\n")

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._process.wait()
            self._errors.seek(0)
            last_words = self._errors.read()[-2000:]
            self.quit()
            raise RuntimeError(f"the process of {self.contender.name!r} ended: {last_words}")
        return json.loads(line)
