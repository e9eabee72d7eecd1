"""Downloads that give up: a network that swallows packets must not hang a notebook."""

import threading
import time

GIVE_UP_SECONDS = 10  # without a first byte
STALL_SECONDS = 60  # without another
SAY_SO_SECONDS = 5


def fetch(url, path):
    """Downloads a file; looking up the host's name counts as waiting for a byte.

    Args:
        url: String.
        path: `Path` to write to, in a folder that exists and is meant for half a file.

    Raises:
        OSError: Where the download fails, does not begin, or stops midway.
    """
    import keras  # here alone: most of the package's data needs nothing of it

    failures = []

    def work():
        # Per thread in Keras: keeps its progress bar out of the notebook.
        keras.config.disable_interactive_logging()
        try:
            keras.utils.get_file(path.name, origin=url, cache_dir=path.parent, cache_subdir="")
        except Exception as error:
            failures.append(error)

    # A daemon: a name look-up that never returns must not keep the interpreter alive.
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    _wait(thread, url, path)
    if failures:
        raise OSError(str(failures[0])) from failures[0]


def _wait(thread, url, path):
    """Waits for `thread` while the file at `path` grows."""
    started = heard = time.monotonic()
    size, said = 0, False
    while thread.is_alive():
        thread.join(0.05)
        now = time.monotonic()
        if _size(path) != size:
            size, heard = _size(path), now
        patience = STALL_SECONDS if size else GIVE_UP_SECONDS
        if thread.is_alive() and now - heard > patience:
            raise OSError(f"no data from {url} in {patience} seconds")
        if size and not said and now - started > SAY_SO_SECONDS:
            print(f"Downloading {path.name} ...", flush=True)
            said = True


def _size(path):
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
