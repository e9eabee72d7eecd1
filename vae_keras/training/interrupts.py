"""Ctrl-C and SIGTERM: heard between two steps, and the second time at once.

Raised wherever a training happens to be, as Python does it, an interrupt is lost
where that is a library's hook, whose exceptions nobody sees.
"""

import contextlib
import signal
import socket
import sys
import threading

import keras

from vae_keras.terminal import SIGNALS, end_at_once


class Interrupts:
    """What they do within the block: raise `KeyboardInterrupt`, in `between_steps` later.

    The second one ends the process, even in the middle of a compilation of minutes.
    """

    def __init__(self):
        self._received, self._deferred, self._has_trained = None, False, False

    def __enter__(self):
        self._before = {number: signal.signal(number, self._receive) for number in SIGNALS}
        self._reader, self._writer = socket.socketpair()
        self._writer.setblocking(False)
        # Python calls `_receive` when its own code goes on; this is told at once.
        self._woken_before = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        self._hook_before, sys.unraisablehook = sys.unraisablehook, self._ignore
        return self

    def __exit__(self, *_):
        sys.unraisablehook = self._hook_before
        signal.set_wakeup_fd(self._woken_before)
        self._writer.close()
        self._thread.join()
        self._reader.close()
        for number, before in self._before.items():
            signal.signal(number, before)

    @contextlib.contextmanager
    def between_steps(self):
        """Within the block `check` alone raises `KeyboardInterrupt`, and so does its end."""
        self.check()
        self._deferred = self._has_trained = True
        try:
            yield
        finally:
            self._deferred = False
        self.check()

    def check(self):
        """Raises `KeyboardInterrupt` if there was one."""
        if self._received:
            raise KeyboardInterrupt(self._received)

    def _receive(self, number, _):
        self._received = number
        if not self._deferred:
            raise KeyboardInterrupt(number)

    def _ignore(self, unraisable):
        # An interrupt that is lost is not forgotten: `check` raises it.
        if unraisable.exc_type is not KeyboardInterrupt:
            self._hook_before(unraisable)

    def _watch(self):
        count = 0
        while number := self._reader.recv(1):
            count += number[0] in SIGNALS
            if count == 2:
                how = " --resume goes on from the last whole epoch." if self._has_trained else ""
                end_at_once(number[0], f"Stopped at once.{how}")
            elif self._deferred:
                message = "\nStopping after this step; asked again, it stops at once."
                with contextlib.suppress(OSError, ValueError):
                    print(message, file=sys.stderr, flush=True)


class BetweenSteps(keras.callbacks.Callback):
    """Checks for an interrupt before each step, of which Keras waits for none on its account."""

    def __init__(self, interrupts):
        super().__init__()
        self.interrupts = interrupts

    def on_train_batch_begin(self, batch, logs=None):
        self.interrupts.check()

    def on_test_batch_begin(self, batch, logs=None):
        self.interrupts.check()
