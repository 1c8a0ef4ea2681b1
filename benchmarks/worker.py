"""A contender's own process for a job: `python -m benchmarks.worker PEER WORKLOAD MEMBERS EPOCHS BATCH_SIZE`.

One JSON object a line. The parent writes `{"do": "round", "seeds": [...]}` or `{"do": "quit"}` to our input; we answer
on our output, first once when prepared, then once a round. Whatever a library prints goes to standard error instead.
"""

import importlib
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

from benchmarks.workloads import WORKLOADS, Budget


def main(peer: str, workload: str, budget: Budget) -> None:
    """Prepares the job, then plays rounds until told to quit."""
    reply = take_output()
    started = time.perf_counter()
    module = importlib.import_module(f"benchmarks.peers.{peer}")
    job = getattr(module, workload)(WORKLOADS[workload](), budget)
    reply({"prepare_seconds": time.perf_counter() - started})
    for line in sys.stdin:
        request = json.loads(line)
        if request["do"] == "quit":
            break
        reply(play(job, request["seeds"]))


def play(job: Callable[[int], list[float]], seeds: list[int]) -> dict[str, Any]:
    """Runs the job once for each first seed; the clock covers all of them."""
    started = time.perf_counter()
    scores = [score for seed in seeds for score in job(seed)]
    return {"seconds": time.perf_counter() - started, "scores": scores}


def take_output() -> Callable[[dict[str, Any]], None]:
    """Keeps the pipe to the parent for us and points standard output at standard error."""
    pipe = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    return lambda message: print(json.dumps(message), file=pipe)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Budget(*map(int, sys.argv[3:])))
