"""Passes on what libraries print, but for what tells a reader nothing. Run by its path.

A process of its own, so that the last words of a program that crashes come through.
"""

import os
import re
import signal

# TensorFlow and JAX write these before any level applies: information and warnings; that there is
# no NVIDIA driver at all (303), on a machine that needs none; plugins that were there already.
NOISE = re.compile(
    rb"WARNING: All log messages before absl::InitializeLog"
    rb"|To enable the following instructions: .* rebuild TensorFlow"
    rb"|(\d{4}-\d\d-\d\d [\d:.]+: )?[IW](\d{4} [\d:.]+| \S+:\d+\])"
    rb"|.*failed call to cuInit: .*\(303\)"
    rb"|.*Unable to register cu\w+ factory"
)


def main():
    """Copies lines from standard input to standard output as they come."""
    for number in (signal.SIGINT, signal.SIGTERM):  # they are for the program
        signal.signal(number, signal.SIG_IGN)
    rest = b""
    while chunk := os.read(0, 2**16):
        *lines, rest = (rest + chunk).split(b"\n")
        os.write(1, b"".join(line + b"\n" for line in lines if not NOISE.match(line)))
    os.write(1, rest)


if __name__ == "__main__":
    main()
