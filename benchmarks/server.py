"""A process of contenders for the tasks of a suite: `python -m benchmarks.server`.

One JSON object a line. The parent asks to `prepare` a task, to `play` so many calls of it, to `forget` it, to `quit`;
we answer each once. A peer's file has one function for each task that it can do, and `prepare(function, members=...,
**arguments) -> Prepared`, which turns that function into calls.
"""

import importlib
import json
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from benchmarks.worker import take_output


class Prepared(NamedTuple):
    """A task ready to be timed.

    Attributes:
        play: Runs so many calls, waits for their results and gives the score that the last one reached.
        stages: Seconds that preparing took, by stage: trace, lower, compile.
    """

    play: Callable[[int], float]
    stages: dict[str, float]


def main() -> None:
    """Serves until told to quit."""
    reply = take_output()
    prepared: dict[str, Prepared] = {}
    for line in sys.stdin:
        request = json.loads(line)
        if request["do"] == "quit":
            break
        try:
            reply(serve(prepared, request))
        except (
            Exception
        ) as error:  # a task that one peer cannot do must not end the suite: the parent tells of it
            reply(
                {
                    "error": f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0][:200]}"
                }
            )


def serve(prepared: dict[str, Prepared], request: dict[str, Any]) -> dict[str, Any]:
    """Answers one request."""
    key = request["key"]
    if request["do"] == "forget":
        prepared.pop(key, None)
        return {}
    started = time.perf_counter()
    if request["do"] == "prepare":
        module = importlib.import_module(f"benchmarks.peers.{request['peer']}")
        function = getattr(module, request["function"])
        prepared[key] = module.prepare(function, members=request["members"], **request["arguments"])
        return {"seconds": time.perf_counter() - started, "stages": prepared[key].stages}
    score = prepared[key].play(request["calls"])
    return {"seconds": time.perf_counter() - started, "score": score}


if __name__ == "__main__":
    main()
