"""What a box shows of the file system, as far as it is the same for every kind of sandbox."""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from branchline.errors import BadInput
from branchline.ports import Box

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
TAG = "BRANCHLINE_STEP"
_APP_DIR_NAMES = ("BRANCHLINE_APP_DIR", "MAGENTO_CLOUD_APP_DIR", "PLATFORM_APP_DIR")
_BLOCK = 512  # the unit of `ulimit -f` in a POSIX shell


def environment(box: Box, *, app: str, home: str, tmp: str) -> dict[str, str]:
    """The whole environment of a command in a box: nothing of ours is inherited. Raises BadInput (402)."""
    base = {"PATH": PATH, "LANG": "C.UTF-8"}
    ours = {"HOME": home, "TMPDIR": tmp, TAG: box.tag} | dict.fromkeys(_APP_DIR_NAMES, app)
    everything = base | dict(box.environment) | ours
    for name, value in everything.items():
        if not name or "=" in name or "\0" in name or "\0" in value:
            raise BadInput(402, f"The variable {name!r} cannot be set: it contains = or NUL.", "rename it")
    return everything


def shell(command: str, file_limit: int) -> list[str]:
    """The command line that runs a shell command, ending it on the first failing command, without core dumps."""
    if "\0" in command:
        raise BadInput(402, "A command contains a NUL character.", "remove it")
    limits = f"ulimit -c 0; ulimit -f {file_limit // _BLOCK} 2>/dev/null || :"
    return ["/bin/sh", "-c", f'{limits}; exec /bin/sh -e -c "$1"', "sh", command]


def mount_points(box: Box) -> Mapping[PurePosixPath, Path]:
    """The mounts by their place in the tree, each checked. Raises BadInput (402) for a place that is no path inside
    the tree, is inside another mount, or has no directory to mount on (403).
    """
    if not box.tree.is_dir():
        raise BadInput(403, f"The tree of the application is missing: {box.tree}.", "deploy again")
    points: dict[PurePosixPath, Path] = {}
    for name, source in sorted(box.mounts.items()):
        place = PurePosixPath(name)
        if place.is_absolute() or ".." in place.parts or not place.parts or "\0" in name:
            raise BadInput(
                402, f"The mount {name!r} is not a path inside the application.", "correct app.yaml"
            )
        if any(place == other or other in place.parents for other in points):
            raise BadInput(402, f"The mount {name!r} is inside another mount.", "correct app.yaml")
        _require_directories(box.tree, place)
        if not source.is_dir():
            raise BadInput(403, f"The directory of the mount {name!r} is missing: {source}.", "create it")
        points[place] = source.resolve()
    return points


def scratch_name(tag: str) -> str:
    """What the names of a tag's private directories begin with."""
    return f"branchline-box-{hashlib.sha256(tag.encode()).hexdigest()[:16]}"


def _require_directories(tree: Path, place: PurePosixPath) -> None:
    here = tree
    for part in place.parts:
        here /= part
        try:
            mode = here.lstat().st_mode
        except FileNotFoundError:
            mode = 0
        if not stat.S_ISDIR(mode):
            raise BadInput(
                403,
                f"The tree has no directory {place} to put the mount on.",
                "make it in the build, or build the artifact again: the builder makes a directory for each mount",
            )
