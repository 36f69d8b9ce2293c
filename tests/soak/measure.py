"""What a process holds: memory, threads, files; and whether memory is flat."""

from __future__ import annotations

import os
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

_PAGE = os.sysconf("SC_PAGE_SIZE")
MIB = 1024 * 1024


@dataclass(frozen=True)
class Size:
    """Of one process at one time."""

    seconds: float
    """Since the beginning of the soak."""
    rss: int
    threads: int
    files: int


def size(pid: int, began: float) -> Size:
    """Of a running process."""
    process = Path("/proc") / str(pid)
    pages = int((process / "statm").read_text().split()[1])
    return Size(time.monotonic() - began, pages * _PAGE, len(os.listdir(process / "task")), len(os.listdir(process / "fd")))  # noqa: PTH208 - it may shrink meanwhile


@dataclass(frozen=True)
class Trend:
    """Of memory after the warm-up: the Theil-Sen slope, which single peaks do not move."""

    median: float
    """MiB."""
    per_hour: float
    """MiB."""
    grown: float
    """MiB over the time that was looked at, by that slope."""

    @property
    def flat(self) -> bool:
        """Less than 5 % of the median, or than 4 MiB."""
        return self.grown < max(4.0, 0.05 * self.median)


def trend(sizes: list[Size], warm_up: float) -> Trend:
    """After so many seconds."""
    looked_at = [each for each in sizes if each.seconds >= warm_up]
    step = max(1, len(looked_at) // 300)
    points = [(each.seconds, each.rss / MIB) for each in looked_at[::step]]
    slopes = [(later[1] - point[1]) / (later[0] - point[0]) for number, point in enumerate(points) for later in points[number + 1 :]]
    slope = statistics.median(slopes)
    return Trend(statistics.median(point[1] for point in points), slope * 3600, slope * (points[-1][0] - points[0][0]))
