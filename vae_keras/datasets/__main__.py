"""`python -m vae_keras.datasets`: what data is here, and how to get more."""

import argparse
import signal
import sys
from pathlib import Path

from vae_keras import terminal
from vae_keras.datasets import celeba, celeba_files, fashion_mnist, storage

KAGGLE_HANDLE = "jessicali9530/celeba-dataset"
KAGGLE_ENTRIES = ("img_align_celeba", "list_attr_celeba.csv", "list_eval_partition.csv")
BY_HAND = """By hand: from the official page, https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html,
download img_align_celeba.zip, list_attr_celeba.txt and list_eval_partition.txt,
and put them, as they are, into {root}"""


def main(arguments=None):
    """Runs one command.

    Args:
        arguments: List of strings. Defaults to those of the command line.

    Returns:
        Exit code, an integer: 0 where all went well.
    """
    parser = argparse.ArgumentParser(prog="python -m vae_keras.datasets", description=__doc__)
    commands = parser.add_subparsers(dest="command")
    commands.add_parser("celeba", help="fetch CelebA through kagglehub")
    commands.add_parser("synthetic", help="draw the synthetic data ahead of time")
    command = parser.parse_args(arguments).command
    for number in terminal.SIGNALS:
        signal.signal(number, terminal.raise_interrupt)
    try:
        {"celeba": _fetch_celeba, "synthetic": _draw, None: _print_status}[command]()
    except KeyboardInterrupt as interrupt:
        message = "Stopped. Run this again: it goes on from there."
        return terminal.stop(message, terminal.exit_code(interrupt))
    except (OSError, ValueError, RuntimeError) as error:
        if isinstance(error, BrokenPipeError) and terminal.reader_is_gone():
            return terminal.stop(terminal.CLOSED_PIPE, 1)
        print(terminal.sentence(error), file=sys.stderr)
        return 1
    return 0


def _print_status():
    folder = fashion_mnist.data_files_folder()
    missing = fashion_mnist.missing_files(folder)
    print(f"Fashion-MNIST  {_present(not missing)}  {folder}")
    root = storage.data_folder() / "celeba"
    print(f"CelebA         {_present(celeba_files.has_any(root))}  {root}")
    for cache in dict.fromkeys([storage.data_folder() / "cache", storage.cache_folder()]):
        print(f"Cache          {_present(cache.is_dir())}  {cache}")
        for path in sorted(cache.glob("*.np[yz]")):
            print(f"               {path.stat().st_size / 1e6:6.0f} MB  {path.name}")


def _present(is_present):
    return "present" if is_present else "absent "


def _draw():
    celeba.draw_ahead()  # first, as a full disk refuses a part of them at once
    fashion_mnist.draw_ahead()
    print(f"The synthetic garments and faces are in {storage.cache_folder()}")


def _fetch_celeba():
    root = storage.data_folder() / "celeba"
    if celeba_files.has_any(root):
        print(f"CelebA is already in {root}")
        return
    by_hand = BY_HAND.format(root=root)
    try:
        import kagglehub
    except ImportError as error:
        raise RuntimeError(
            "fetching CelebA requires kagglehub: `pip install kagglehub` "
            f"(the extra `celeba` of this package).\n{by_hand}"
        ) from error
    try:
        fetched = Path(kagglehub.dataset_download(KAGGLE_HANDLE))
    except Exception as error:  # kagglehub's errors share no base class
        raise RuntimeError(f"kagglehub could not fetch CelebA ({error}).\n{by_hand}") from error
    celeba_files.find_images(fetched)  # an error where Kaggle has changed the layout
    _link(fetched, root)
    print(f"CelebA is in {root}")
    print("It is for non-commercial research only, and may not be passed on.")


def _link(fetched, root):
    """Links the entries of the folder `fetched` into `root`."""
    try:
        root.mkdir(parents=True, exist_ok=True)
        for name in KAGGLE_ENTRIES:
            (root / name).symlink_to(fetched / name)
    except OSError as error:
        raise RuntimeError(
            f"CelebA is in {fetched} but could not be linked into {root} ({error}). "
            "Move it there, or pass its folder to load_celeba as `root`."
        ) from error


if __name__ == "__main__":
    terminal.run(main)
