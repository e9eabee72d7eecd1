"""Keeps TensorFlow's start-up lines out of a notebook."""

import contextlib
import logging
import os
import sys


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
    saved = os.dup(2)
    try:
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
    # It warns of retracing after a few `predict` calls on arrays of different lengths.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
