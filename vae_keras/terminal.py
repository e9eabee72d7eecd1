"""What the programs share: one plain sentence whatever happens, and no line but their own.

Nothing here imports Keras.
"""

import codecs
import contextlib
import importlib
import importlib.util
import logging
import os
import re
import signal
import subprocess
import sys
import warnings

from vae_keras import library_lines
from vae_keras.startup import redirected

SIGNALS = (signal.SIGINT, signal.SIGTERM)  # Ctrl-C, and what `kill` and a scheduler send
CLOSED_PIPE = "Stopped: nobody reads what is printed here (a closed pipe)."


def run(main):
    """Runs a program's `main`, and ends the process with the exit code that it returns."""
    for number in SIGNALS:
        signal.signal(number, lambda number, _: end_at_once(number))
    codecs.register_error("plain", _plain)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by who started this
            setattr(sys, name, os.fdopen(_nowhere(), "w"))
        getattr(sys, name).reconfigure(errors="plain")
    code = 0
    try:
        try:
            code = main()
        except SystemExit as error:  # of `--help`, say
            code = error.code
        sys.stdout.flush()
    except BrokenPipeError:
        if not reader_is_gone():
            raise
        os.dup2(_nowhere(), sys.stdout.fileno())  # or Python would fail once more as it ends
        code = code or stop(CLOSED_PIPE, 1)
    for number in SIGNALS:  # without a traceback while Python ends
        signal.signal(number, signal.SIG_DFL)
    sys.exit(code)


def stop(message, code):
    """Says why the program stops, and returns its exit code."""
    with contextlib.suppress(BrokenPipeError):
        print(f"\n{message}", file=sys.stderr, flush=True)
    return code


def sentence(error):
    """Returns what an error says to who runs a program: without the system's number for it."""
    return "Error: " + re.sub(r"^\[(Errno|WinError) \d+\] ", "", str(error))


def is_lack_of_memory(error):
    """Whether an error says that there is no memory left; every backend has words of its own."""
    words = "out of memory|not enough memory|allocate memory|RESOURCE_EXHAUSTED|OOM when"
    return isinstance(error, MemoryError) or re.search(words, str(error)) is not None


def raise_interrupt(number, _):
    """Handles one of `SIGNALS` by an exception, at which what is half done is put away."""
    raise KeyboardInterrupt(number)


def exit_code(number):
    """Returns what a shell reports of a program that a signal, or its exception, has stopped."""
    if isinstance(number, KeyboardInterrupt):
        number = number.args[0] if number.args else signal.SIGINT
    return 128 + number


def end_at_once(number, message="Stopped."):
    """Ends the process with the exit code of that signal, whatever else goes on in it."""
    with contextlib.suppress(OSError):
        os.write(2, f"\n{message}\n".encode())
    os._exit(exit_code(number))


def reader_is_gone():
    """Whether what is printed goes to a pipe that nobody reads any more, such as that of `head`.

    It prints an empty line: what failed before is not tried again.
    """
    try:
        print(flush=True)
    except BrokenPipeError:
        return True
    return False


@contextlib.contextmanager
def quiet_libraries():
    """Within the block Keras may be imported; neither there nor later do libraries chatter.

    Their errors are shown, there and later. So is all else where
    `TF_CPP_MIN_LOG_LEVEL` is set.
    """
    if "TF_CPP_MIN_LOG_LEVEL" in os.environ or "keras" in sys.modules:
        yield
        return
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"  # errors, of all that is logged after the start
    warnings.filterwarnings("ignore", category=FutureWarning)  # for those who write libraries
    with _without_noise():
        yield
        if importlib.util.find_spec("tensorflow"):
            # Keras imports it in any case, on JAX and PyTorch as `fit` begins. It looks for a
            # driver then, and says so if there is none.
            with contextlib.suppress(ImportError):
                importlib.import_module("tensorflow").config.list_physical_devices()
    # It warns of functions that are traced more than once.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)


def _nowhere():
    return os.open(os.devnull, os.O_WRONLY)


@contextlib.contextmanager
def _without_noise():
    command = [sys.executable, "-I", "-S", library_lines.__file__]
    # Not in the group of processes that a terminal's Ctrl-C reaches.
    reader = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=2, start_new_session=True)
    try:
        with redirected(reader.stdin.fileno()):
            reader.stdin.close()  # or the reader would wait for what is written here
            yield
    finally:
        # What a library has started meanwhile may keep the pipe open.
        with contextlib.suppress(subprocess.TimeoutExpired):
            reader.wait(timeout=2)


def _plain(error):
    """Writes what an encoding lacks as Python would: a terminal may know only ASCII."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    bar = {"━": "="}  # as Keras itself does
    return "".join(bar.get(c, c.encode("ascii", "backslashreplace").decode()) for c in lacking), (
        error.end
    )
