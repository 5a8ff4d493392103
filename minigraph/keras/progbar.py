"""Keras's progress bar: a line that is rewritten on a terminal (verbose=1), or one line at the end
(verbose=2).

It prints what it is told and knows nothing of training.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable

import numpy as np

from minigraph.errors import InvalidArgumentError

_BOLD, _GREEN, _WHITE, _END = "\x1b[1m", "\x1b[32m", "\x1b[37m", "\x1b[0m"
_BAR = "━"


class Progbar:
    """Progress of a loop of `target` steps (Keras's `keras.utils.Progbar`).

    Args:
        target: number of steps, or None while it is unknown.
        width: of the bar, in characters.
        verbose: 0 silent, 1 a bar, 2 one line at the end.
        interval: least number of seconds between two redraws.
        stateful_metrics: names of values shown as they are; the others are averaged over the steps.
        stateless_metrics: names of the values that are averaged; then all others are shown as they are.
        unit_name: what a step is called.
    """

    def __init__(
        self,
        target: int | None,
        width: int = 20,
        verbose: int = 1,
        interval: float = 0.05,
        stateful_metrics: Iterable[str] | None = None,
        stateless_metrics: Iterable[str] | None = None,
        unit_name: str = "step",
    ):
        if stateful_metrics is not None and stateless_metrics is not None:
            raise InvalidArgumentError(
                "Progbar takes stateful_metrics or stateless_metrics, not both",
                where="keras.utils.Progbar",
                got="both",
                wanted="one of them",
                fix="leave one out: every name not listed has the other kind",
            )
        self.target, self.width, self.verbose = target, width, verbose
        self.interval, self.unit_name = interval, unit_name
        self._stateful = set(stateful_metrics or ())
        self._stateless = None if stateless_metrics is None else set(stateless_metrics)
        #: name -> [sum, number of steps summed]
        self._values: dict[str, list] = {}
        self._seen = 0
        self._start = time.time()
        self._last_drawn = 0.0
        self._first_step_done: float | None = None
        self._previous_width = 0

    @property
    def redraws(self) -> bool:
        """Whether a line can be rewritten where output goes (a terminal or notebook); otherwise each has its
        own line.
        """
        return (
            sys.stdout.isatty()
            or "ipykernel" in sys.modules
            or "PYCHARM_HOSTED" in os.environ
            or ("posix" in sys.modules)
        )

    def update(
        self, current: int, values: Iterable[tuple[str, float]] | None = None, finalize: bool | None = None
    ) -> None:
        """Show that `current` steps are done, with these values.

        Args:
            finalize: whether this is the last call; by default when `current` reaches the target.
        """
        if finalize is None:
            finalize = self.target is not None and current >= self.target
        steps = max(current - self._seen, 1)
        for name, value in values or ():
            if not self._is_averaged(name) or finalize:
                self._values[name] = [value, 1]
            else:
                total = self._values.setdefault(name, [0, 0])
                total[0] += value * steps
                total[1] += steps
        self._seen = current
        now = time.time()
        per_step = self._seconds_per_step(current, now)
        if self.verbose == 1:
            if now - self._last_drawn < self.interval and not finalize:
                return
            self._print(self._bar_line(current, now, per_step, finalize))
        elif self.verbose == 2 and finalize and self.target:
            self._print(self._one_line(current, now, per_step))
        self._last_drawn = now

    def add(self, n: int, values: Iterable[tuple[str, float]] | None = None) -> None:
        """Show that `n` more steps are done."""
        self.update(self._seen + n, values)

    def _is_averaged(self, name: str) -> bool:
        return name in self._stateless if self._stateless is not None else name not in self._stateful

    def _bar_line(self, current: int, now: float, per_step: float, finalize: bool) -> str:
        # The invisible colour codes are kept apart: the width of the line counts what is seen.
        if self.target:
            done = int(self.width * (current / self.target))
            seen = f"{self._count(current)} {_BAR * self.width}"
            shown = (
                f"{_BOLD}{self._count(current)}{_END} "
                + (f"{_GREEN}{_BAR * done}{_END}" if done > 0 else "")
                + f"{_WHITE}{_BAR * (self.width - done)}{_END}"
            )
        else:
            seen = shown = f"{current:7d}/Unknown"
        passed = (
            f"{now - self._start:.0f}s"
            if finalize or not self.target
            else _clock(per_step * (self.target - current))
        )
        rest = self._speed(per_step) + self._texts(small=lambda value: abs(value) <= 0.001)
        width = len(seen) + 1 + len(passed) + len(rest)
        line = f"{shown} {_BOLD}{passed}{_END}{rest}{' ' * max(self._previous_width - width, 0)}"
        lead = "\b" * self._previous_width + "\r" if self.redraws else "\n"
        self._previous_width = width
        return lead + line + ("\n" if finalize else "")

    def _one_line(self, current: int, now: float, per_step: float) -> str:
        texts = self._texts(small=lambda value: not value > 0.001)
        return f"{self._count(current)} - {now - self._start:.0f}s -{self._speed(per_step)}{texts}\n"

    def _count(self, current: int) -> str:
        digits = len(str(self.target))
        return f"{current:{digits}d}/{self.target}"

    def _texts(self, small) -> str:
        """- name: value for every value; `small` ones in scientific notation."""
        texts = []
        for name, (total, count) in self._values.items():
            mean = float(np.mean(total)) / max(1, count)
            texts.append(f" - {name}: {mean:.4e}" if small(mean) else f" - {name}: {mean:.4f}")
        return "".join(texts)

    def _speed(self, per_step: float) -> str:
        if per_step >= 1 or per_step == 0:
            return f" {per_step:.0f}s/{self.unit_name}"
        if per_step >= 1e-3:
            return f" {per_step * 1e3:.0f}ms/{self.unit_name}"
        return f" {per_step * 1e6:.0f}us/{self.unit_name}"

    def _seconds_per_step(self, current: int, now: float) -> float:
        """Without the first step, which includes the compilation, as soon as there is another."""
        if not current:
            return 0.0
        if self._first_step_done is not None and current > 1:
            seconds = (now - self._first_step_done) / (current - 1)
        else:
            seconds = (now - self._start) / current
        if current == 1:
            self._first_step_done = now
        return seconds

    def _print(self, text: str) -> None:
        try:
            sys.stdout.write(text)
        except UnicodeEncodeError:
            sys.stdout.write(text.replace(_BAR, "-"))
        sys.stdout.flush()


def _clock(seconds: float) -> str:
    """
    >>> _clock(5), _clock(65), _clock(3725)
    ('5s', '1:05', '1:02:05')
    """
    if seconds > 3600:
        return f"{int(seconds // 3600)}:{int(seconds % 3600 // 60):02d}:{int(seconds % 60):02d}"
    if seconds > 60:
        return f"{int(seconds // 60)}:{int(seconds % 60):02d}"
    return f"{int(seconds)}s"
