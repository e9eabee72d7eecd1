"""Runs the README's example with the package that is installed, on noise in place of images."""

import contextlib
import io
import re
import sys
from pathlib import Path

import numpy as np

example, *_ = re.findall(r"^```python\n(.*?)^```", Path(sys.argv[1]).read_text(), re.M | re.S)
codes = np.zeros((4, 2), "float32")
images = np.random.default_rng(0).random((256, 28, 28, 1), "float32")
names = {"z_mean": codes, "z_log_var": codes, "x_train": images, "x_test": images[:64]}
with contextlib.redirect_stdout(io.StringIO()):
    exec(compile(example, "README.md", "exec"), names)

keras, vae_keras = sys.modules["keras"], sys.modules["vae_keras"]
assert "site-packages" in vae_keras.__file__, vae_keras.__file__
assert names["z"].shape == codes.shape
assert names["kl"].shape == (len(codes),)
assert names["images"].shape == (16, 28, 28, 1)
loaded = keras.saving.load_model("vae.keras")
np.testing.assert_allclose(loaded.encode(images), names["vae"].encode(images), rtol=1e-6)
print(f"vae_keras {vae_keras.__version__}: the README's example runs on {keras.backend.backend()}")
