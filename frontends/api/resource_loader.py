"""`tf.resource_loader`: files beside the program that asks for them."""

import os
import sys


def _folder(depth: int) -> str:
    return os.path.dirname(os.path.abspath(sys._getframe(depth + 1).f_code.co_filename))


def get_data_files_path() -> str:
    """The folder of the file that calls this."""
    return _folder(1)


def get_root_dir_with_all_resources() -> str:
    """The folder of the file that calls this: programs are not packed into archives here."""
    return _folder(1)


def get_path_to_datafile(path: str) -> str:
    """The path of a file beside the one that calls this."""
    return os.path.join(_folder(1), path)


def readahead_file_path(path: str, readahead: str = "128M") -> str:
    """The path itself: files are read as they are asked for."""
    return path


def load_resource(path: str) -> bytes:
    """The bytes of a file beside the one that calls this; OSError if it cannot be read."""
    with open(os.path.join(_folder(1), path), "rb") as file:
        return file.read()
