"""How a failure is told in logs and records: what kind and where, never its text, which may quote a value of a patient."""

from __future__ import annotations

import traceback
from pathlib import Path


def told(error: BaseException) -> str:
    """``ValueError at calendar.py:12``."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{type(error).__name__} at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else type(error).__name__
