"""An interrupt is never lost, and the second one does not wait."""

import contextlib
import os
import signal
import subprocess
import sys

import pytest

from vae_keras import terminal
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
STOPPING = "Stopping after this step; asked again, it stops at once.\n"


def interrupt(number=signal.SIGINT):
    os.kill(os.getpid(), number)


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
    before = *map(signal.getsignal, terminal.SIGNALS), sys.unraisablehook
    with contextlib.suppress(KeyboardInterrupt), Interrupts():
        interrupt()
    assert (*map(signal.getsignal, terminal.SIGNALS), sys.unraisablehook) == before
    assert signal.set_wakeup_fd(-1) == -1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_exception_says_which_signal_it_was(number):
    with (
        pytest.raises(KeyboardInterrupt) as caught,
        Interrupts() as interrupts,
        interrupts.between_steps(),
    ):
        interrupt(number)
    assert terminal.exit_code(caught.value) == 128 + number


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_second_ends_the_process_whatever_it_does(number):
    process = subprocess.Popen(
        [sys.executable, "-c", BUSY], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout.readline() == "busy\n"
        process.send_signal(number)
        # After what TensorFlow may have said as it was imported.
        assert any(line == STOPPING for line in process.stderr)
        process.send_signal(number)
        said = process.communicate(timeout=30)[1]
    finally:
        process.kill()
    assert said == "\nStopped at once. --resume goes on from the last whole epoch.\n"
    assert process.returncode == 128 + number
