"""Checks that the sdist and the wheel in a folder hold what git tracks, and nothing else."""

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

# Of the repository, not of the package.
LEFT_OUT = (".ci/", ".github/", ".gitignore", "CITATION.cff", "CONTRIBUTING.md", "benchmarks/")
LEFT_OUT += ("data/", "docs/", "notebooks/", "requirements.txt")
MADE = ("PKG-INFO", "setup.cfg", "vae_keras.egg-info/")


def check(path, files, expected):
    for name in sorted(expected - files):
        print(f"{path.name} lacks {name}")
    for name in sorted(files - expected):
        print(f"{path.name} holds {name}, which does not belong there")
    print(f"{path.name}: {len(files)} files, {path.stat().st_size / 1000:.0f} kB")
    return files == expected


listed = subprocess.run(["git", "ls-files", "-z"], capture_output=True, text=True, check=True)
tracked = set(filter(None, listed.stdout.split("\0")))
(sdist,) = Path(sys.argv[1]).glob("*.tar.gz")
(wheel,) = Path(sys.argv[1]).glob("*.whl")
with tarfile.open(sdist) as archive:
    names = (member.name.split("/", 1)[1] for member in archive if member.isfile())
    in_sdist = {name for name in names if not name.startswith(MADE)}
with zipfile.ZipFile(wheel) as archive:
    in_wheel = {name for name in archive.namelist() if ".dist-info/" not in name}
results = (
    check(sdist, in_sdist, {name for name in tracked if not name.startswith(LEFT_OUT)}),
    check(wheel, in_wheel, {name for name in tracked if name.startswith("vae_keras/")}),
)
sys.exit(not all(results))
