"""How long to wait for an answer before asking again. All times in seconds."""

from __future__ import annotations

from typing import Optional

FIRST = 0.5  # before anything was measured; RFC 6298 has 1, but people wait here
LEAST = 0.1  # a busy server or a busy machine here must not look like a loss
MOST = 2.0  # a server that has been restarted is noticed that late at most
GRANULARITY = 0.001  # of the clock, as RFC 6298 wants it

# what no answer can mean, besides what the question was about
SILENCE_MEANS = "the server may be down, or one of its limits is reached (it does not say which)"


class RoundTrip:
    """The retransmission time-out of RFC 6298: from the smoothed round trip and its variation."""

    def __init__(self) -> None:
        self.smoothed: Optional[float] = None
        self.variation = 0.0
        self.timeout = FIRST

    def copy(self) -> "RoundTrip":
        other = type(self)()
        other.smoothed, other.variation, other.timeout = self.smoothed, self.variation, self.timeout
        return other

    def measured(self, seconds: float) -> None:
        """An answer to something that was sent once took that long."""
        if self.smoothed is None:
            self.smoothed, self.variation = seconds, seconds / 2
        else:
            self.variation += (abs(self.smoothed - seconds) - self.variation) / 4
            self.smoothed += (seconds - self.smoothed) / 8
        timeout = self.smoothed + max(GRANULARITY, 4 * self.variation)
        self.timeout = min(max(timeout, LEAST), MOST)

    def ambiguous(self, waited: float) -> None:
        """An answer to something sent more than once, the last time with that time-out.

        Nobody knows which it answers, so it measures nothing, and the longer time-out stays until something
        else does (Karn's rule): else a path that became slow would never be measured again.
        """
        self.timeout = max(self.timeout, waited)

    def longer(self, waited: float) -> float:
        """The time-out after one of that length has passed."""
        return min(2 * waited, MOST)


class FixedWaits(RoundTrip):
    """The old clients' way: 0.125, 0.25, 0.5, 1 and 2 s, whatever the path is like, then no more."""

    SHORTEST = 0.125
    TOTAL = 3.875

    def __init__(self) -> None:
        super().__init__()
        self.timeout = self.SHORTEST

    def measured(self, seconds: float) -> None:
        pass

    def ambiguous(self, waited: float) -> None:
        pass

    def longer(self, waited: float) -> float:
        return 2 * waited
