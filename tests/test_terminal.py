"""In a terminal the programs speak plainly, whatever it knows, and stop when they are told to."""

import os
import subprocess
import sys
import textwrap

import pytest

from vae_keras import terminal

pytestmark = pytest.mark.any_backend

RUN = """
import os, signal, sys, time
from vae_keras import terminal
def main():
{body}
terminal.run(main)
"""
# As of TensorFlow 2.21, 2.18 and others.
CHATTER = """\
WARNING: All log messages before absl::InitializeLog() is called are written to STDERR
I0000 00:00:1795674270.731083    3455 cudart_stub.cc:31] Could not find cuda drivers here.
W0000 00:00:1795674270.731083    3455 generator.cc:1] A warning.
2026-11-26 06:27:05.463370: I tensorflow/core/util/port.cc:153] oneDNN custom operations are on.
To enable the following instructions: AVX2 FMA, in other operations, rebuild TensorFlow with them.
E0000 00:00:1795674278.5    3455 cuda_platform.cc:52] failed call to cuInit: UNKNOWN ERROR (303)
E0000 00:00:1795674278.5    3455 cuda_fft.cc:477] Unable to register cuFFT factory: it is there.
"""
ERRORS = """\
E0000 00:00:1795674278.5    3455 cuda_platform.cc:52] failed call to cuInit: OUT_OF_MEMORY (2)
2026-11-26 06:27:05.463370: F tensorflow/core/platform/cpu.cc:33] Needs instructions: AVX.
Traceback (most recent call last):
ImportError: Idle threads, and I am not a line of a log.
"""


def start(body, *arguments, **kwargs):
    """Starts a program of a few lines."""
    return subprocess.Popen(
        [sys.executable, "-c", RUN.format(body=textwrap.indent(body, "    ")), *arguments],
        stdout=kwargs.pop("stdout", subprocess.PIPE),
        stderr=subprocess.PIPE,
        **kwargs,
    )


def test_what_is_printed_fits_an_encoding_that_lacks_it():
    program = start(
        "print('Zoë ━━ 日')\nprint('Zoë', file=sys.stderr)\nreturn 3",
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )
    said = [stream.decode().splitlines() for stream in program.communicate()]
    assert said == [["Zo\\xeb == \\u65e5"], ["Zo\\xeb"]]
    assert program.returncode == 3


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_is_gone_ends_a_program_in_a_sentence(unbuffered):
    reader, writer = os.pipe()
    os.close(reader)
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    program = start("print('much')\nreturn 0", stdout=writer, env=environment)
    os.close(writer)
    assert program.communicate()[1].decode().strip() == terminal.CLOSED_PIPE
    assert program.returncode == 1


@pytest.mark.parametrize("number", terminal.SIGNALS)
def test_an_interrupt_before_a_program_has_begun_ends_it_at_once(number):
    program = start("print('begun', flush=True)\ntime.sleep(600)")
    assert program.stdout.readline() == b"begun\n"
    program.send_signal(number)
    assert program.communicate(timeout=60)[1] == b"\nStopped.\n"
    assert program.returncode == 128 + number


def test_what_libraries_chatter_is_left_out_and_their_errors_are_not():
    lines = (CHATTER + ERRORS).splitlines(keepends=True)
    mixed = "".join(lines[::2] + lines[1::2])
    done = subprocess.run(
        [sys.executable, terminal.library_lines.__file__],
        input=mixed + "not a whole line",
        capture_output=True,
        text=True,
    )
    left = done.stdout.splitlines(keepends=True)
    assert left[-1] == "not a whole line"
    assert sorted(left[:-1]) == sorted(ERRORS.splitlines(keepends=True))


@pytest.mark.parametrize("end", ["os.abort()", "raise ImportError('broken')", "return 0"])
def test_the_last_words_of_a_library_reach_the_reader(end):
    body = "with terminal._without_noise():\n    os.write(2, sys.argv[1].encode())\n    " + end
    program = start(body, CHATTER + ERRORS, text=True)
    said = program.communicate(timeout=60)[1]
    assert said.startswith(ERRORS)
    assert ("broken" in said) == ("broken" in end)
    assert (program.returncode == 0) == (end == "return 0")


def test_help_into_a_closed_pipe_ends_without_a_word():
    script = "import sys; from vae_keras import terminal\n"
    script += "terminal.run(lambda: (print('long ' * 9999), sys.exit(0)))"
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([sys.executable, "-c", script], stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    assert done.returncode == 1
    assert done.stderr.decode().strip() == terminal.CLOSED_PIPE


def test_what_libraries_warn_each_other_of_is_not_shown():
    program = start(
        "with terminal.quiet_libraries():\n"
        "    import warnings\n"
        "    warnings.warn('In the future', FutureWarning)\n"
        "warnings.warn('of this', UserWarning)\n"
        "return 0",
        env={name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"},
    )
    said = program.communicate()[1].decode()
    assert program.returncode == 0
    assert "In the future" not in said
    assert "of this" in said


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OSError(28, "The disk is full."), "Error: The disk is full."),
        (FileNotFoundError(2, "No such file", "a.zip"), "Error: No such file: 'a.zip'"),
        (ValueError("[Errno] is not a number"), "Error: [Errno] is not a number"),
    ],
)
def test_an_error_is_told_without_the_number_of_the_system(error, expected):
    assert terminal.sentence(error) == expected
