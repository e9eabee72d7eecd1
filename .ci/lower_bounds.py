"""Prints what the tests need at its lower bound in pyproject.toml, with one of the backends."""

import re
import sys
import tomllib
from pathlib import Path

BACKENDS = {"tensorflow", "jax", "torch"}
UNUSED = {"jupyterlab", "kagglehub", "nbconvert", "nbval", "ruff"}  # by any test in tests/

project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
left_out = BACKENDS - {sys.argv[1]} | UNUSED
for requirements in project["dependencies"], *project["optional-dependencies"].values():
    for requirement in requirements:
        bound = re.fullmatch(r"([\w-]+)>=([\d.]+)", requirement)
        if bound is None and not requirement.startswith(f"{project['name']}["):
            sys.exit(f"{requirement}: expected `name>=version`, whose version CI tests")
        if bound is not None and bound[1] not in left_out:
            print(f"{bound[1]}=={bound[2]}")
