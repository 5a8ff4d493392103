"""A process of its own for each peer, so that thread pools, allocators and imports of one do not disturb
another.

A worker waits on a pipe and uses no processor time between its turns. Knows nothing about statistics.
"""

from __future__ import annotations

import multiprocessing
import os
import tempfile
import traceback
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from benchmarks import timing
from benchmarks.peers import PEERS
from benchmarks.workloads import Task


class WorkerError(RuntimeError):
    """What went wrong in a peer's process; the text is one line."""


@dataclass(frozen=True)
class FirstCalls:
    """What warming up gave: seconds to build, seconds of the first call, values of the first calls."""

    make_seconds: float
    first_seconds: float
    fingerprints: list[list[float]]


class Worker:
    """The parent's end of one peer's process."""

    def __init__(self, peer: str) -> None:
        context = multiprocessing.get_context("spawn")
        self.peer = peer
        self._pipe, child = context.Pipe()
        self._messages = tempfile.NamedTemporaryFile("r", errors="replace")
        self._process = context.Process(target=_serve, args=(peer, child, self._messages.name), daemon=True)
        self._process.start()
        child.close()

    def warm(self, task: Task) -> FirstCalls | None:
        """Prepares the task; None where it does not apply. Raises WorkerError."""
        return self._ask("warm", task)

    def sample(self, budget: float) -> list[float]:
        """Seconds per call of the task prepared last. Raises WorkerError."""
        return self._ask("sample", budget)

    def drop(self) -> None:
        """Lets go of the prepared task and its memory. Raises WorkerError."""
        self._ask("drop", None)

    @property
    def alive(self) -> bool:
        return self._process.is_alive()

    def close(self) -> None:
        """Ends the process."""
        self._pipe.close()
        self._process.join(timeout=10)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._messages.close()

    def _ask(self, command: str, argument: Any) -> Any:
        try:
            self._pipe.send((command, argument))
            succeeded, answer = self._pipe.recv()
        except (EOFError, OSError) as error:
            self._process.join(timeout=10)
            last = (self._messages.read().strip().splitlines() or ["no message"])[-1]
            raise WorkerError(f"its process ended with exit code {self._process.exitcode}: {last}") from error
        if not succeeded:
            raise WorkerError(answer)
        return answer


def _serve(peer: str, pipe: Connection, messages: str) -> None:
    """Answers commands until the parent closes the pipe; an answer is (succeeded, result or error text).

    What libraries write to standard error goes to the file `messages`: some of them greet at every start.
    """
    with open(messages, "w") as file:
        os.dup2(file.fileno(), 2)
    warmed: timing.Warmed | None = None
    module = None
    while True:
        try:
            command, argument = pipe.recv()
        except EOFError:
            return
        try:
            answer: Any = None
            if module is None:
                module = PEERS[peer].load()
            match command:
                case "warm":
                    warmed = timing.warm(module.make, argument)
                    if warmed:
                        answer = FirstCalls(warmed.make_seconds, warmed.first_seconds, warmed.fingerprints)
                case "sample":
                    if warmed is None:
                        raise RuntimeError("nothing is prepared: warm a task first")
                    answer = timing.sample(warmed, argument)
                case "drop":
                    warmed = None
            pipe.send((True, answer))
        except Exception as error:  # noqa: BLE001 - whatever a library raises is the answer
            place = traceback.extract_tb(error.__traceback__)[-1]
            pipe.send((False, f"{type(error).__name__}: {error} ({place.filename}:{place.lineno})"))
