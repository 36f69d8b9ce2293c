"""Whether anything in the folder of a policy set has changed: polling, by what `stat` says of each file.

Polled rather than notified: it sees the folder by its path, as the loader does, whatever is behind it. An inotify watch stays with
the inode, so it misses a folder that is replaced by rename or behind a symbolic link, hears nothing of what others write on
NFS, SMB and most volumes of containers, and runs out of watches. It costs some ten microseconds a file and second.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

State = frozenset[tuple[object, ...]]
"""What was seen. An editor, a rename, a new link or a replaced mount makes another one: the change time of a file cannot be set back."""


def state(folder: Path) -> State:
    """The folder as it is now: every file that is no hidden one, through symbolic links, and what cannot be looked at."""
    seen: set[tuple[object, ...]] = set()
    folders = [("", str(folder))]
    while folders:
        prefix, path = folders.pop()
        try:
            with os.scandir(path) as entries:
                for entry in entries:
                    if entry.name.startswith("."):
                        continue
                    seen.add((prefix + entry.name, *_of(entry)))
                    if entry.is_dir(follow_symlinks=False):  # the loader does not follow a link to a folder either
                        folders.append((f"{prefix}{entry.name}/", entry.path))
        except OSError as error:
            seen.add((prefix, error.errno))
    return frozenset(seen)


def _of(entry: os.DirEntry[str]) -> tuple[object, ...]:
    try:
        found = entry.stat()
    except OSError as error:  # a link to nowhere, or gone in between
        return (error.errno,)
    if stat.S_ISDIR(found.st_mode):
        return ("folder",)  # its times also change with hidden files, such as an editor's
    return found.st_dev, found.st_ino, found.st_mode, found.st_size, found.st_mtime_ns, found.st_ctime_ns
