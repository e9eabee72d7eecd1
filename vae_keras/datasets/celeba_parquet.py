"""CelebA as Hugging Face has it: parquet files that hold images and attributes."""

import functools
import importlib
import importlib.util
import threading

import numpy as np

from vae_keras.datasets.celeba_files import find_parquet, held_out
from vae_keras.datasets.storage import fingerprint

TEST = "test"
SPLITS = (TEST, "train", "valid", "validation")  # the first word of a file's name, or its folder's
EDGE = 65_536  # bytes at either end of a file that are looked at: its table of contents is there

_NAMES = """
5_o_Clock_Shadow Arched_Eyebrows Attractive Bags_Under_Eyes Bald Bangs Big_Lips Big_Nose Black_Hair
Blond_Hair Blurry Brown_Hair Bushy_Eyebrows Chubby Double_Chin Eyeglasses Goatee Gray_Hair
Heavy_Makeup High_Cheekbones Male Mouth_Slightly_Open Mustache Narrow_Eyes No_Beard Oval_Face
Pale_Skin Pointy_Nose Receding_Hairline Rosy_Cheeks Sideburns Smiling Straight_Hair Wavy_Hair
Wearing_Earrings Wearing_Hat Wearing_Lipstick Wearing_Necklace Wearing_Necktie Young
"""
ATTRIBUTE_NAMES = tuple(_NAMES.split())  # whatever else a file has is none


class ParquetImages:
    """The images and attributes of all parquet files in a folder and below.

    Args:
        root: `Path` of the folder.

    Attributes:
        names: What each image is called: the number of its row, from 0, and its file.
            In the order of the files and, within each, of the rows.
        fingerprint: Changes with the names, the sizes, the beginnings and the ends of
            the files.

    Raises:
        ImportError: If pyarrow is not installed.
        ValueError: If a file is damaged, or holds no images.
    """

    def __init__(self, root):
        if importlib.util.find_spec("pyarrow") is None:
            raise ImportError(
                f"Reading the parquet files in {root} requires pyarrow: `pip install pyarrow` "
                "(the extra `parquet` of this package)."
            )
        self.files = [_File(path, path.relative_to(root)) for path in find_parquet(root)]
        self._places = {
            f"{row} of {file.name}": (file, row) for file in self.files for row in range(file.count)
        }
        self.names = list(self._places)
        self.fingerprint = fingerprint(part for file in self.files for part in file.edges())
        # One reads at a time: threads that decode neighbours share what one of them has read.
        self._lock = threading.Lock()
        self._read_group = functools.lru_cache(maxsize=2)(_File.read_group)

    def read(self, name):
        """Returns the bytes of one image."""
        file, row = self._places[name]
        group = int(np.searchsorted(file.stops, row, side="right"))
        with self._lock:
            contents = self._read_group(file, group)
        content = contents[row - int(file.stops[group])].as_py()  # from the end of the group
        if content is None:
            raise ValueError(f"Image {name} is missing: its row in {file.path} has no bytes.")
        return content

    def read_attributes(self):
        """Reads the attributes.

        Returns:
            Bool array `(n, k)`, and the k names of the attributes, a tuple.

        Raises:
            ValueError: If a file has none, or others than the first, or if a value is
                neither a boolean nor one of 1, 0 and -1.
        """
        first = self.files[0]
        expected = first.attribute_names or ATTRIBUTE_NAMES
        for file in self.files:
            if file.attribute_names != expected:
                raise ValueError(
                    f"{file.path} has not all attributes: expected the columns "
                    f"{', '.join(expected)}. Received: {', '.join(file.columns)}"
                )
        return np.concatenate([file.read_attributes() for file in self.files]), expected

    def read_test_split(self):
        """Returns which images are held out, a bool array `(n,)`.

        Those of the test split; where no file is of it, a hash of the name decides.
        """
        is_test = [file.split == TEST for file in self.files]
        if not any(is_test):
            return held_out(self.names)
        return np.repeat(is_test, [file.count for file in self.files])


class _File:
    """One parquet file.

    Args:
        path: `Path`.
        name: `Path` within the folder of all.
    """

    def __init__(self, path, name):
        self.path, self.name = path, name.as_posix()
        words = (name.stem.split("-")[0], name.parent.name)
        self.split = next((word for word in words if word in SPLITS), None)
        parquet = self._call(_parquet().ParquetFile, path)
        groups = range(parquet.metadata.num_row_groups)
        self.stops = np.cumsum([parquet.metadata.row_group(group).num_rows for group in groups])
        self.count = parquet.metadata.num_rows
        self.columns = parquet.schema_arrow.names
        self.attribute_names = tuple(name for name in ATTRIBUTE_NAMES if name in self.columns)
        if "image.bytes" not in [column.path for column in parquet.schema]:
            raise ValueError(
                f"{path} holds no images: expected a column `image` of `bytes`. "
                f"Received: {', '.join(self.columns)}"
            )

    def read_group(self, group):
        """Returns the contents of a group of rows, a pyarrow array of binary values."""
        # Opened anew: a reader keeps what it has read.
        parquet = self._call(_parquet().ParquetFile, self.path)
        table = self._call(parquet.read_row_group, group, columns=["image.bytes"])
        return table["image"].combine_chunks().field("bytes")

    def read_attributes(self):
        """Returns the attributes of the images, a bool array `(count, k)`."""
        names = list(self.attribute_names)
        table = self._call(_parquet().read_table, self.path, columns=names, partitioning=None)
        return np.stack([self._flags(name, table[name]) for name in names], axis=1)

    def _flags(self, name, column):
        values = column.to_numpy()
        is_flag = np.isin(values, (-1, 0, 1))
        if not is_flag.all():
            row = int(np.argmin(is_flag))
            raise ValueError(
                f"{self.path}, row {row}, column {name}: expected true or false, or one of 1, 0 "
                f"and -1. Received: {values[row]}"
            )
        return values > 0

    def edges(self):
        """Yields what the fingerprint is made of."""
        size = self.path.stat().st_size
        yield f"{self.name} {size}".encode()
        with open(self.path, "rb") as file:
            yield file.read(EDGE)
            file.seek(max(0, size - EDGE))
            yield file.read()

    def _call(self, function, *arguments, **options):
        try:
            return function(*arguments, **options)
        except (OSError, ValueError) as error:  # pyarrow's, too, are of the one or the other
            if getattr(error, "errno", None) is not None:
                raise  # of the disk or of its permissions, not of what the file holds
            raise ValueError(
                f"{self.path} is truncated or corrupt ({error}). Delete it and download it again."
            ) from error


def _parquet():
    return importlib.import_module("pyarrow.parquet")
