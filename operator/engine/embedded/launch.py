"""The first thing a child runs: give up root if told to, promise to end with the parent, become the command.

Started as a file by a bare interpreter (`python -I -S`, 15 ms): a function between fork and exec would do the same but
is not safe in a process with threads. Arguments: parent's pid, signal, uid and gid (or -1), then the command.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # Linux; elsewhere the clean-up at the next start does it


def main() -> None:
    parent, last_words, uid, gid = (int(word) for word in sys.argv[1:5])
    command = sys.argv[5:]
    os.umask(0o077)
    if uid >= 0:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    if sys.platform == "linux":  # after the change of user, which would clear it
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, last_words, 0, 0, 0)
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)
    try:
        os.execv(command[0], command)  # noqa: S606 - a list, without a shell
    except OSError as error:
        sys.exit(f"cannot run {command[0]}: {error.strerror}")


if __name__ == "__main__":
    main()
