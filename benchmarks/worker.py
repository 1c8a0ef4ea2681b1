"""The worker process of contenders: `python -m benchmarks.worker`.

It reads one JSON object a line and answers each with one: `prepare` a contender's work, `play` some
calls of it, `forget` it, `quit`. Whatever a library prints goes to standard error.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

from benchmarks.calls import Call
from benchmarks.jobs import load_peer, make_job_call


def main() -> None:
    """Serve requests until one says quit."""
    reply = take_output()
    calls: dict[str, Call] = {}
    for line in sys.stdin:
        request = json.loads(line)
        if request["do"] == "quit":
            break
        try:
            reply(answer(calls, request))
        except Exception as error:  # what one contender cannot do must not end the others
            lines = str(error).strip().splitlines() or [""]
            reply({"error": f"{type(error).__name__}: {lines[0][:200]}"})


def answer(calls: dict[str, Call], request: dict[str, Any]) -> dict[str, Any]:
    """Return the answer to one request, with the seconds that it took."""
    key = request["key"]
    if request["do"] == "forget":
        calls.pop(key, None)
        return {}
    started = time.perf_counter()
    if request["do"] == "prepare":
        calls[key] = prepare(request)
        return {"seconds": time.perf_counter() - started, "stages": calls[key].stages}
    scores = calls[key].play(request["calls"])
    return {"seconds": time.perf_counter() - started, "scores": scores}


def prepare(request: dict[str, Any]) -> Call:
    """Return the contender's work, ready to be timed."""
    peer = request["peer"]
    members = request["members"]
    if request["job"]:
        return make_job_call(peer, members, request["processes"], **request["job"])
    return load_peer(peer)(members=members, **request["arguments"])


def take_output() -> Callable[[dict[str, Any]], None]:
    """Keep the pipe to the parent for answers and point standard output at standard error."""
    pipe = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    return lambda message: print(json.dumps(message), file=pipe)


if __name__ == "__main__":
    main()
