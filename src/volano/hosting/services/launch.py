"""The step between us and a server: `python -I -S launch.py USER GROUP SIGNAL PARENT ARGV…`.

It switches to the account, asks the kernel for a signal at our death, and becomes the server. Doing
so in `preexec_fn` would run Python between fork and exec of a process that has threads.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1


def main(user: int, group: int, at_our_death: int, parent: int, argv: list[str]) -> None:
    """Become the program of `argv`; its path is absolute."""
    if user != os.geteuid():
        os.setgroups([])
        os.setgid(group)
        os.setuid(user)  # clears what prctl has set, so it comes before
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, at_our_death)
        if os.getppid() != parent:  # we died before the call above
            sys.exit(1)
    os.execv(argv[0], argv)  # noqa: S606 - no shell is what we want


if __name__ == "__main__":
    user, group, at_our_death, parent = map(int, sys.argv[1:5])
    main(user, group, at_our_death, parent, sys.argv[5:])
