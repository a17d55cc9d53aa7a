"""This package as a wheel, made from the files that run here.

Builds nothing else and sends nothing. Written by hand for three reasons: pip is not needed here and
no source tree; the wheel names no dependencies, because Ray would otherwise install torch anew on
each node, beside the one that is there; and its file name carries a sum of its content, because
Ray knows a wheel by its file name alone and would go on using an older one of the same version.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.metadata
import importlib.util
import zipfile
from pathlib import Path

from sweeps import __version__

DISTRIBUTION = "sweep-orchestrator"
PACKAGES = ("search_spaces", "orchestrator", "sweeps")

_SUFFIXES = frozenset(
    {".py", ".typed", ".json", ".jsonl", ".csv", ".yaml", ".txt", ".html", ".css", ".js"}
)
"""What a release holds: in a working copy other things may lie beside it."""


def write_wheel(folder: Path) -> Path:
    """Write the wheel into a folder and return its path."""
    contents = package_files()
    digest = hashlib.sha256()
    for name, content in contents.items():
        digest.update(f"{name}\0{len(content)}\0".encode())
        digest.update(content)
    build = f"1{digest.hexdigest()[:16]}"  # a build tag begins with a digit
    stem = f"{DISTRIBUTION.replace('-', '_')}-{__version__}"
    info = f"{stem}.dist-info"
    contents[f"{info}/METADATA"] = (
        f"Metadata-Version: 2.1\nName: {DISTRIBUTION}\nVersion: {__version__}\n".encode()
    )
    contents[f"{info}/WHEEL"] = (
        "Wheel-Version: 1.0\nGenerator: sweep\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        f"Build: {build}\n"
    ).encode()
    lines = [f"{name},sha256={_sum(content)},{len(content)}" for name, content in contents.items()]
    contents[f"{info}/RECORD"] = "\n".join([*lines, f"{info}/RECORD,,", ""]).encode()
    path = folder / f"{stem}-{build}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents.items():
            entry = zipfile.ZipInfo(name)  # of 1980: the same files give the same wheel
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content, zipfile.ZIP_DEFLATED)
    return path


def package_files() -> dict[str, bytes]:
    """The files of this package, by their names in the wheel, sorted."""
    found: dict[str, bytes] = {}
    for package in PACKAGES:
        spec = importlib.util.find_spec(package)
        for place in (spec.submodule_search_locations if spec else None) or ():
            root = Path(place)
            for path in root.rglob("*"):
                inside = path.relative_to(root)
                hidden = any(part.startswith((".", "__pycache__")) for part in inside.parts)
                if path.suffix in _SUFFIXES and not hidden and path.is_file():
                    found[f"{package}/{inside.as_posix()}"] = path.read_bytes()
    return dict(sorted(found.items()))


def requirements() -> tuple[str, ...]:
    """What this package needs, as its installation says; empty when it runs from its sources."""
    try:
        listed = importlib.metadata.requires(DISTRIBUTION) or []
    except importlib.metadata.PackageNotFoundError:
        return ()
    return tuple(text for text in listed if "extra ==" not in text)


def _sum(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
