"""How fast fits go, and how long the rest takes: by student, since a net takes as long as a thousand linear models."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence

from leaven.terminal import in_words


class Pace:
    """Told of each fit as it ends, in the order in which they were asked for."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self.now = now
        self.spent: defaultdict[int, float] = defaultdict(float)
        self.fits: Counter[int] = Counter()
        self.todo: Counter[int] = Counter()
        self.done, self.of = 0, 0
        self.began = self.last = now()

    def begin(self, students: Sequence[int]) -> None:
        """Fits of these students, one each, come next."""
        self.todo, self.done, self.of = Counter(students), 0, len(students)
        self.began = self.last = self.now()

    def ended(self, student: int) -> None:
        """One of them is there; with several processes a fit takes as long as since the one before."""
        at = self.now()
        self.spent[student] += at - self.last
        self.fits[student] += 1
        self.todo[student] -= 1
        self.done, self.last = self.done + 1, at

    def left(self) -> float | None:
        """Seconds that the rest takes; None where a student has not been fitted yet."""
        rest = {student: n for student, n in self.todo.items() if n}
        if not all(self.fits[student] for student in rest):
            return None
        return sum(n * self.spent[student] / self.fits[student] for student, n in rest.items())

    def said(self) -> str:
        """How far it is, the rate, the time left."""
        rate = self.done / max(1e-3, self.last - self.began)
        speed = f"{rate:,.0f}/s" if rate >= 10 else f"{rate:.1f}/s" if rate >= 1 else f"{1 / rate:.0f} s each"
        left = self.left()
        rest = f"   {in_words(left)} left" if left is not None and self.done < self.of else ""
        return f"{self.done:,} of {self.of:,}   {speed}{rest}"
