"""Starts Keras for a notebook or a program: on every processor's fast path, and quietly.

Importing the package changes no setting of the process; calling these does.
They have to come before Keras is imported, and so before anything of the
package is used.
"""

import contextlib
import logging
import os
import platform
import sys


def start_keras():
    """Imports Keras with oneDNN, and in a Jupyter kernel without TensorFlow's start-up lines."""
    use_onednn()
    with quiet_start():
        import keras  # noqa: F401


def use_onednn():
    """Lets TensorFlow use oneDNN on every x86 processor, where nothing else is set.

    By itself it does so on Intel's alone. On one AMD processor the faces' VAE,
    fed by `ImageBatches`, took half the time with it; fed by an array, a
    tenth or so less. Without effect where TensorFlow is imported already.
    """
    if platform.machine().lower() in ("x86_64", "amd64"):
        os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")


@contextlib.contextmanager
def redirected(target):
    """Sends what is written to file descriptor 2 within the block to another descriptor."""
    sys.stderr.flush()
    before = os.dup(2)
    os.dup2(target, 2)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(before, 2)
        os.close(before)


@contextlib.contextmanager
def quiet_start():
    """Silences file descriptor 2 within the block, and warnings after it, in a Jupyter kernel only.

    TensorFlow's C++ code writes some lines there (about oneDNN, about drivers
    that it did not find) before any log level applies, and Jupyter shows them
    as a reader's first output. A Python exception is still raised and shown.
    """
    if "ipykernel" not in sys.modules:
        yield
        return
    # What it logs later, such as that a machine without a GPU has no driver for one.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with open(os.devnull, "w") as nowhere, redirected(nowhere.fileno()):
        yield
    # It warns of retracing after a few `predict` calls on arrays of different lengths.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
