"""One training, from the command line to the last epoch of its last stage."""

import contextlib
import os
import sys
import time
import traceback

from vae_keras import terminal
from vae_keras.training import devices, first_stage, second_stage
from vae_keras.training.arguments import parse
from vae_keras.training.interrupts import Interrupts
from vae_keras.training.output import LAST, lent

NO_MEMORY = "There is not enough memory to train so. A smaller --batch-size needs less."
CLOSED_SECONDS = 2  # after which a connection to a process that is gone is closed


def main(arguments=None):
    """Trains as the command line says.

    Args:
        arguments: List of strings. Defaults to those of the command line.

    Returns:
        Exit code, an integer: 0 where all went well.
    """
    given = parse(arguments)
    output = given.output
    try:
        with Interrupts() as interrupts:
            return _train(given, output, interrupts)
    except KeyboardInterrupt as interrupt:
        return _stop(f"Stopped{_how_to_go_on(output)}", terminal.exit_code(interrupt), given)
    except (OSError, ImportError) as error:
        if isinstance(error, BrokenPipeError) and terminal.reader_is_gone():
            return _stop(terminal.CLOSED_PIPE, 1, given)
        return _stop(terminal.sentence(error), 1, given)
    except (Refused, FloatingPointError) as error:  # the second is of a loss that is not finite
        return _stop(terminal.sentence(error), 1, given)
    except Exception as error:
        if given.coordinator is None:
            if terminal.is_lack_of_memory(error):
                return _stop(f"Error: {NO_MEMORY}", 1, given)
            raise
        # Most likely another process is gone: then its connection is closed by now, and the
        # thread that watches it says so and ends this process.
        time.sleep(CLOSED_SECONDS)
        return _stop(traceback.format_exc(), 1, given)


def _train(given, output, interrupts):
    with contextlib.ExitStack() as stack:
        with _refusing():
            found = devices.find(given.coordinator, given.num_processes, given.process_id)
            if found.is_writer:  # one of several processes
                stack.enter_context(lent(output, given.resume))
            first = first_stage.prepare(given, output, found)
            has_second = found.is_writer and first.progress.settings.second_stage
            if has_second:
                second_stage.check(output, first.progress)
        first.run(interrupts)
        if has_second:
            _train_second(first, found, interrupts)
        found.finish()
    return 0


def _train_second(first, found, interrupts):
    with found.local():  # it is small, and the other processes need not take part
        with _refusing():
            second = second_stage.prepare(first.output, first.images, first.progress)
        if second is not None:
            second.run(interrupts, first.verbose)


class Refused(Exception):
    """Of a setting, a file or a checkpoint that will not do, and its text says which."""


@contextlib.contextmanager
def _refusing():
    try:
        yield
    except ValueError as error:
        raise Refused(str(error)) from error


def _how_to_go_on(output):
    if (output / LAST).exists():
        return ". --resume goes on from the last whole epoch."
    return " before the training began."


def _stop(message, code, given):
    terminal.stop(message, code)
    if given.coordinator is not None:
        # Python's own exit would wait for the other processes, which may be gone.
        with contextlib.suppress(BrokenPipeError):
            sys.stdout.flush()
        os._exit(code)
    return code
