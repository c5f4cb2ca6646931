"""`jobd` on a disk of which a sync fails: python -m tests.integration.faults.failing_disk FILE ...

FILE holds a directory's name, once there is such a fault: the next sync of a file in it fails.
"""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

from actors.backends import disk
from jobd.__main__ import main

__all__ = ["FailingFile"]


class FailingFile(disk.DiskFile):
    """A file as it is, but for its sync."""

    trigger = Path()

    def sync(self) -> None:
        """Sync, or fail where the trigger says so."""
        if self.trigger.exists():
            name = Path(f"/proc/self/fd/{self._fd}").readlink().parent.name
            if name == self.trigger.read_text():
                self.trigger.unlink()
                raise OSError(errno.EIO, os.strerror(errno.EIO))
        super().sync()


if __name__ == "__main__":
    FailingFile.trigger = Path(sys.argv.pop(1))
    disk.DiskFile = FailingFile  # type: ignore[misc]
    main()
