"""`python -m vae_keras.explore RUN`: makes a page of what `vae_keras.train` has trained."""

import argparse
from pathlib import Path

from vae_keras import terminal
from vae_keras.startup import use_onednn


def main(arguments=None):
    """Writes the page.

    Args:
        arguments: List of strings, `sys.argv[1:]` where `None`.

    Returns:
        Exit code, an integer: 0 where all went well.
    """
    parser = argparse.ArgumentParser(prog="python -m vae_keras.explore", description=__doc__)
    parser.add_argument("run", type=Path, help="folder of a training")
    parser.add_argument(
        "--output", type=Path, default=Path("explorer.html"), help="file to write (%(default)s)"
    )
    given = parser.parse_args(arguments)
    use_onednn()
    try:
        with terminal.quiet_libraries():
            from vae_keras.explorer.runs import page_of

            page = page_of(given.run)
        page.save(given.output)
    except (OSError, ValueError, ImportError) as error:
        terminal.stop(terminal.sentence(error), 1)
        return 1
    print(f"{given.output}: open it in a browser.")
    return 0


if __name__ == "__main__":
    terminal.run(main)
