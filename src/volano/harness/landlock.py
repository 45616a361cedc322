"""Takes from a process every file but those it may read, for as long as it lives (Linux 5.13 on).

Files that are open stay open. From Linux 6.7 on no TCP connection can be made either, and from 6.12
on no process outside can be signalled. Sockets that have a path, and UDP, stay reachable.
"""

import ctypes
import os
import struct
import sys
from collections.abc import Iterable
from pathlib import Path

# These numbers are the same on every architecture; struct landlock_ruleset_attr and
# landlock_path_beneath_attr are in linux/landlock.h.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_TELL_VERSION, _PATH_BENEATH = 1, 1
_NO_NEW_PRIVILEGES = 38

_READ = 1 << 2 | 1 << 3
"""Read files, and list folders."""
_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15}
"""How many kinds of access each version knows; 16 since the fifth."""
_EVERYTHING = 0b11
"""Of what versions 4 (TCP) and 6 (signals, abstract sockets) added."""


def read_only(folders: Iterable[Path]) -> bool:
    """Let this process read what lies below these folders and open nothing else from now on.

    Return False where the kernel cannot do that; nothing has changed then.
    """
    version = _call(_CREATE_RULESET, None, 0, _TELL_VERSION) if sys.platform == "linux" else -1
    if version < 1:
        return False
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    files = (1 << _FILE_RIGHTS.get(version, 16)) - 1
    ruleset = _call(_CREATE_RULESET, struct.pack("QQQ", files, _EVERYTHING, _EVERYTHING), size, 0)
    if ruleset < 0:
        return False
    for folder in folders:
        if folder.is_dir():
            opened = os.open(folder, os.O_PATH | os.O_CLOEXEC)
            _call(_ADD_RULE, ruleset, _PATH_BENEATH, struct.pack("=Qi", _READ, opened), 0)
            os.close(opened)
    ctypes.CDLL(None).prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    restricted = _call(_RESTRICT_SELF, ruleset, 0)
    os.close(ruleset)
    return restricted == 0


def _call(number: int, *arguments: int | bytes | None) -> int:
    """Make a system call that the C library has no name for; -1 where it fails."""
    given = [ctypes.c_long(one) if isinstance(one, int) else one for one in arguments]
    return int(ctypes.CDLL(None).syscall(ctypes.c_long(number), *given))
