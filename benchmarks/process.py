"""A worker process that answers every line of JSON with one line of JSON."""

import contextlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]


class Process:
    """A running `python -m MODULE`. Leaving its `with` block ends it."""

    def __init__(self, name: str, module: str, environment: Mapping[str, str]):
        """Start the process.

        Args:
            name: Name of the contender, for messages.
            module: Module that the process runs.
            environment: The whole environment of the process.
        """
        self.name = name
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115  open as long as the process
        self._process = subprocess.Popen(
            [sys.executable, "-m", module],
            cwd=ROOT,
            env=dict(environment),
            text=True,
            bufsize=1,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
        )

    def __enter__(self) -> "Process":
        return self

    def __exit__(self, *exception: object) -> None:
        self.quit()

    def ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Send a request and return its answer.

        Raises:
            RuntimeError: If the request fails, or the process has ended; with its last words.
        """
        assert self._process.stdout is not None
        self._send(request)
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"The process of {self.name!r} ended: {self._last_words()}")
        answer = json.loads(line)
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer

    def is_alive(self) -> bool:
        """Return whether the process still runs."""
        return self._process.poll() is None

    def quit(self) -> None:
        """End the process. A second call does nothing."""
        if self.is_alive():
            self._send({"do": "quit"})
            self._process.wait(timeout=30)
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()

    def _send(self, request: Mapping[str, Any]) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # `ask` notices that the process has ended
            self._process.stdin.write(json.dumps(request) + "\n")

    def _last_words(self) -> str:
        self._process.wait()
        self._errors.seek(0)
        words = self._errors.read()[-2000:]
        self.quit()
        return words
