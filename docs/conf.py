"""How Sphinx builds the site: `python -m sphinx -W --keep-going -b html docs site`."""

import inspect
import os
import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parent
sys.path[:0] = [str(DOCS), str(DOCS.parent)]
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import assemble  # noqa: E402  it lies beside this file

import vae_keras  # noqa: E402

assemble.main()

project = "vae_keras"
version = release = vae_keras.__version__
copyright = "the vae_keras authors"
language = "en"
extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.mathjax",
]
exclude_patterns = ["_made", "notebooks/.ipynb_checkpoints"]
nitpicky = True  # a link to a name that is nowhere is a warning, and so an error
nitpick_ignore = [("py:class", "numpy.ndarray")]

# Notebooks: as they were saved, by the command that the README names.
nb_execution_mode = "off"
nb_merge_streams = True
nb_render_markdown_format = "myst"
myst_enable_extensions = ["dollarmath", "amsmath", "colon_fence"]
myst_heading_anchors = 3

# Reference: docstrings as Keras writes them, with Markdown's backticks for code.
default_role = "code"
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False
napoleon_custom_sections = [("Call arguments", "params_style")]
autodoc_member_order = "bysource"
autodoc_typehints = "none"
toc_object_entries_show_parents = "hide"

# Pages: every file that they load comes with them.
html_theme = "furo"
pygments_dark_style = "github-dark"  # underlines nothing, as Furo's own does the names of modules
html_title = "vae_keras"
html_static_path = ["_static", "_made/static"]
html_extra_path = ["_made/extra"]
html_css_files = ["site.css"]
html_js_files = ["site.js"]
html_copy_source = False
html_show_sphinx = False
# A summary would be fetched, which a browser forbids a page that was opened from disk.
html_show_search_summary = False
mathjax_path = "mathjax/tex-svg.js"  # its letters are drawn: there is no font to load
mathjax3_config = {"options": {"enableMenu": False}}
html_theme_options = {"navigation_with_keys": True}


def show_own_signature(app, what, name, obj, options, signature, return_annotation):
    """Shows the arguments of a class's own `__init__`: Keras's `__new__` takes any."""
    if what != "class":
        return signature, return_annotation
    parameters = list(inspect.signature(obj.__init__).parameters.values())[1:]
    return str(inspect.Signature(parameters)), None


def setup(app):
    app.connect("autodoc-process-signature", show_own_signature)
