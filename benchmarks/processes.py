"""Runs a benchmark in a process of its own, on a Keras backend of its own."""

import json
import os
import subprocess
import sys

BACKENDS = ("tensorflow", "jax", "torch")


def environment(backend):
    """Returns the variables of a process on that backend."""
    # As `import vae_keras` does where it comes before Keras, but for every contender.
    return {**os.environ, "KERAS_BACKEND": backend, "TF_ENABLE_ONEDNN_OPTS": "1"}


def measure(script, backend, *arguments):
    """Runs `script`, and reads the JSON of its last line.

    Returns:
        `(value, None)`, or `(None, reason)` where it could not be measured.
    """
    command = [sys.executable, script, *arguments]
    quietly = {**environment(backend), "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, env=quietly, capture_output=True, text=True)
    if done.returncode:
        return None, done.stderr.strip().splitlines()[-1]
    return json.loads(done.stdout.splitlines()[-1]), None
