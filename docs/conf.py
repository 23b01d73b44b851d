"""The site of README and docs/: `make docs` builds it into build/site. Neither the build nor a reader's browser fetches anything.

Its source is the top of the repository, so that one link is right in the repository and on the site.
"""

import shutil

from sphinx.application import Sphinx

import drawwell

project = author = html_title = "drawwell"
version = release = drawwell.__version__
html_theme = "furo"
html_show_copyright = html_copy_source = smartquotes = False

root_doc = "README"
include_patterns = ["*.md", "docs/**.md"]
exclude_patterns = [".*", "build", "runs", "docs/scripts"]
_CONTENTS = {
    "Guides": ["train", "play", "serve", "page", "draw", "augment", "operate"],
    "Reference": ["python", "cli", "http", "settings", "addresses", "file-format", "versions"],
    "Reports": ["quality", "precision", "promises", "speed"],
    "Project": ["SECURITY", "CONTRIBUTING", "CHANGELOG"],
}

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_enable_extensions = ["html_image"]
myst_heading_anchors = 4
autodoc_class_signature = "separated"
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
suppress_warnings = ["myst.header"]  # a report may begin a part below its own level


def setup(app: Sphinx) -> None:
    """Give README the table of contents, docstrings their meaning, and the site an index."""
    app.connect("source-read", _add_contents)
    app.connect("autodoc-process-docstring", _keep_colons, priority=400)  # before napoleon, at 500
    app.connect("build-finished", _add_index)


def _add_contents(_: Sphinx, page: str, source: list[str]) -> None:
    if page == root_doc:
        source[0] += "".join(_part(caption, names) for caption, names in _CONTENTS.items())


def _part(caption: str, names: list[str]) -> str:
    folder = "" if caption == "Project" else f"docs/{caption.lower()}/"
    pages = "\n".join(f"{folder}{name}" for name in names)
    return f"\n```{{toctree}}\n:hidden:\n:caption: {caption}\n\n{pages}\n```\n"


def _keep_colons(_: Sphinx, kind: str, *others: object) -> None:
    """Napoleon takes the words before a colon for a type, in the first line of a property and of Returns."""
    lines = others[-1]
    assert isinstance(lines, list)
    for place, before in enumerate(["Returns:" if kind == "property" else "", *lines[:-1]]):
        if before.strip() == "Returns:":
            lines[place] = lines[place].replace(": ", " \u2013 ", 1)


def _add_index(app: Sphinx, error: Exception | None) -> None:
    if error is None:
        shutil.copyfile(app.outdir / f"{root_doc}.html", app.outdir / "index.html")
