"""An interrupt is never lost, and the second one does not wait."""

import contextlib
import os
import signal
import subprocess
import sys

import pytest

from vae_keras.training.interrupts import Interrupts

pytestmark = pytest.mark.any_backend

# No Python code runs for minutes in the main thread, as while a step is compiled.
BUSY = """
import hashlib
from vae_keras.training.interrupts import Interrupts
with Interrupts() as interrupts, interrupts.between_steps():
    print("busy", flush=True)
    hashlib.pbkdf2_hmac("sha256", b"", b"", 2**31 - 1)
"""
STOPPING = "Stopping after this step; Ctrl-C again stops at once.\n"


def interrupt():
    os.kill(os.getpid(), signal.SIGINT)


class Hook:
    """Is interrupted as Python frees it, where nobody hears of an exception."""

    def __del__(self):
        interrupt()


def test_before_and_after_the_steps_it_is_raised_at_once():
    with Interrupts(), pytest.raises(KeyboardInterrupt):
        interrupt()


def test_between_steps_it_is_raised_where_it_is_checked():
    with Interrupts() as interrupts, interrupts.between_steps():
        interrupts.check()
        interrupt()
        with pytest.raises(KeyboardInterrupt):
            interrupts.check()
        interrupts._received = False  # or the end of the block raises it


def test_in_the_last_step_it_is_raised_at_the_end():
    with (
        Interrupts() as interrupts,
        pytest.raises(KeyboardInterrupt),
        interrupts.between_steps(),
    ):
        interrupt()


def test_what_a_hook_swallows_is_raised_later_and_not_printed(capfd):
    with Interrupts() as interrupts:
        Hook()
        with pytest.raises(KeyboardInterrupt), interrupts.between_steps():
            pass
    assert capfd.readouterr().err == ""


def test_afterwards_all_is_as_before():
    before = signal.getsignal(signal.SIGINT), sys.unraisablehook
    with contextlib.suppress(KeyboardInterrupt), Interrupts():
        interrupt()
    assert (signal.getsignal(signal.SIGINT), sys.unraisablehook) == before
    assert signal.set_wakeup_fd(-1) == -1


def test_the_second_ends_the_process_whatever_it_does():
    process = subprocess.Popen(
        [sys.executable, "-c", BUSY], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout.readline() == "busy\n"
        process.send_signal(signal.SIGINT)
        # After what TensorFlow may have said as it was imported.
        assert any(line == STOPPING for line in process.stderr)
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=30)[1]
    finally:
        process.kill()
    assert said == "\nStopped at once. --resume goes on from the last whole epoch.\n"
    assert process.returncode == 130
