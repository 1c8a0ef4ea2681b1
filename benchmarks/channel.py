"""A process of ours that answers every line of JSON with one line of JSON."""

import contextlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).parents[1]


class Channel:
    """A running `python -m MODULE ARGUMENTS`. Use it in a `with` block: it ends the process."""

    def __init__(
        self, name: str, module: str, arguments: Sequence[Any], environment: Mapping[str, str]
    ):
        self.name = name
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115  open as long as the process
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *map(str, arguments)],
            cwd=_ROOT, env=dict(environment), text=True, bufsize=1,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors,
        )  # fmt: skip

    def __enter__(self) -> "Channel":
        return self

    def __exit__(self, *exception: object) -> None:
        self.quit()

    def ask(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """Sends a request and waits for its answer."""
        self.send(message)
        return self.answer()

    def send(self, message: Mapping[str, Any]) -> None:
        """Sends a request; a process that is no more is found out by `answer`."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(message) + "\n")

    def answer(self) -> dict[str, Any]:
        """The next answer.

        Raises:
            RuntimeError: If the process has ended; with its last words.
        """
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._process.wait()
            self._errors.seek(0)
            last_words = self._errors.read()[-2000:]
            self.quit()
            raise RuntimeError(f"the process of {self.name!r} ended: {last_words}")
        return json.loads(line)

    def is_alive(self) -> bool:
        """Whether the process still runs."""
        return self._process.poll() is None

    def quit(self) -> None:
        """Ends the process; a second call does nothing."""
        if self._process.poll() is None:
            self.send({"do": "quit"})
            self._process.wait(timeout=30)
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()
