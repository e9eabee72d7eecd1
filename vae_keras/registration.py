"""Lets Keras find the package's classes in a file, whichever of the two is imported first."""

import importlib
import importlib.abc
import importlib.util
import sys

REGISTERED = ("models", "optimizers", "flow_matching")  # these import all that is registered


def register_with_keras():
    """Registers the package's classes with Keras: now, or as soon as Keras is imported.

    `keras.saving.load_model` finds a class once its module is imported, and
    importing that here would start Keras before a program could set it up.
    """
    if "keras" in sys.modules:
        _register()
    else:
        sys.meta_path.insert(0, _AfterKeras())


def _register():
    for name in REGISTERED:
        importlib.import_module(f"vae_keras.{name}")


class _AfterKeras(importlib.abc.MetaPathFinder):
    """Finds Keras as Python does, and registers when it is there; then steps aside.

    Where a module of this package has imported Keras, it waits until that module is whole: what
    is registered may import it.
    """

    def __init__(self):
        self.unfinished = 0  # modules of this package that are being imported

    def find_spec(self, fullname, path=None, target=None):
        if fullname != "keras" and not fullname.startswith("vae_keras."):
            return None
        sys.meta_path.remove(self)  # while the others look
        spec = importlib.util.find_spec(fullname)
        sys.meta_path.insert(0, self)
        if spec is not None:
            execute = spec.loader.exec_module

            def exec_module(module):
                self.unfinished += fullname != "keras"
                try:
                    execute(module)
                finally:
                    self.unfinished -= fullname != "keras"
                self.register()

            spec.loader.exec_module = exec_module
        return spec

    def register(self):
        if "keras" in sys.modules and self.unfinished == 0 and self in sys.meta_path:
            sys.meta_path.remove(self)
            _register()
