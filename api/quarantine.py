"""Jobs that were running when their worker died are run one after the other, and alone at first.

Any of them may have killed it. Alone, the culprit kills itself only; without that its neighbours would be given up with
it. No job waits for ever: a suspect that outlives the time alone gets company, and one that cannot be alone because of
a long solution goes beside it.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# Most killers run out of memory or crash while they are set up.
ALONE_S = 30.0
_LOOK_S = 0.5


class Quarantine:
    """Lets the jobs of one worker in.

    Args:
        alone_s: how long a suspect waits for the others to end, and then how long they wait for it, s.
        clock: seconds that only ever grow.
    """

    def __init__(self, alone_s: float = ALONE_S, clock: Callable[[], float] = time.monotonic) -> None:
        self._alone_s, self._clock = alone_s, clock
        self._changed = threading.Condition()
        self._running = 0
        self._suspect: object | None = None
        self._closed_until = 0.0

    @contextmanager
    def room(self, suspect: bool) -> Iterator[None]:
        """Waits for a job's turn and holds its place while the block runs."""
        mine = object()
        with self._changed:
            if suspect:
                self._close_for(mine)
            else:
                self._wait_until(lambda: not self._is_closed())
            self._running += 1
        try:
            yield
        finally:
            with self._changed:
                self._running -= 1
                if self._suspect is mine:
                    self._suspect = None
                self._changed.notify_all()

    def _close_for(self, mine: object) -> None:
        self._wait_until(lambda: not self._is_closed())
        self._suspect = mine
        self._closed_until = patience_ends = self._clock() + self._alone_s
        # It lets nobody in while it waits, so that its turn comes.
        self._wait_until(lambda: self._running == 0 or self._clock() >= patience_ends)
        self._closed_until = self._clock() + self._alone_s

    def _is_closed(self) -> bool:
        return self._suspect is not None and self._clock() < self._closed_until

    def _wait_until(self, met: Callable[[], bool]) -> None:
        while not met():
            # Also looked at without a change: time passes.
            self._changed.wait(_LOOK_S)
