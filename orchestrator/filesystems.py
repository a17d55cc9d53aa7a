"""What kind of file system a folder stands on, as far as locking depends on it.

Reads the kernel's list of mounts and nothing else; it never tries anything out on the folder.
"""

from __future__ import annotations

import re
from pathlib import Path

MOUNTS = Path("/proc/self/mounts")

_SHARED = frozenset(
    {
        "9p", "afs", "beegfs", "ceph", "cifs", "drvfs", "efs", "gfs2", "glusterfs", "gpfs",
        "lustre", "ncpfs", "nfs", "nfs4", "ocfs2", "orangefs", "panfs", "prl_fs", "smb3", "smbfs",
        "vboxsf", "virtiofs", "wekafs",
    }
)  # fmt: skip
_LOCAL_FUSE = frozenset({"fuseblk", "fuse.fuse-overlayfs", "fuse.mergerfs", "fuse.ntfs-3g"})


def file_system(folder: Path, mounts: Path = MOUNTS) -> str:
    """Return the type of the file system that a folder stands on, "" where the kernel says none.

    Args:
        folder: need not exist: then it is the one that its nearest parent stands on.
        mounts: a file in the form of /proc/mounts.
    """
    try:
        lines = mounts.read_text("utf-8", "replace").splitlines()
    except OSError:
        return ""  # not Linux
    place = folder.resolve()
    best, found = -1, ""
    for line in lines:
        fields = line.split(" ")
        if len(fields) < 3:
            continue
        point = Path(_unescaped(fields[1]))
        if (point == place or point in place.parents) and len(point.parts) >= best:
            best, found = len(point.parts), fields[2]  # a later mount lies over an earlier one
    return found


def is_shared(folder: Path, mounts: Path = MOUNTS) -> bool:
    """Whether other machines may write to the folder too.

    A type that is not known counts as local, but for FUSE: behind it stands mostly a network.
    """
    kind = file_system(folder, mounts)
    return kind in _SHARED or (kind.startswith("fuse") and kind not in _LOCAL_FUSE)


def _unescaped(text: str) -> str:
    """Return a path of /proc/mounts, which writes blanks and the like as \\040."""
    return re.sub(r"\\([0-7]{3})", lambda m: chr(int(m[1], 8)), text)
