"""The canonical layout of policy files, with every comment kept.

    text ─▶ tree ─▶ order ─▶ write ─▶ text
            │       │        └ two spaces a level, a blank line between rules, flow collections that are too long opened
            │       └ keys of policies, rules, tests, … in the order of their schemas; conditions stay as they were written
            └ libyaml's events, and the lines between them: comments and blank lines, each held by the entry it stands before

formatted does all of it; comments finds them.
INVARIANT: what the file says stays the same. The result is read again and compared before anybody gets it.
"""

from hirules.policy.layout.formatted import LayoutError, formatted

__all__ = ["LayoutError", "formatted"]
