"""A hook of mkdocs: the pages beside the folder docs/ belong to the site, and links to other files of the repository become text."""

import re
from pathlib import Path, PurePosixPath
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[2]
PAGES = {"README.md": "index.md", "SECURITY.md": "security.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
"""Pages at the top of the repository, and where they are in the site."""
_LINK = re.compile(r"\[([^\]]*)\]\(([^)#:]+)(#[^)]*)?\)|(src=\")([^\":]+)")


def on_files(files: Files, config: Any) -> Files:
    """Add the pages of the top folder."""
    for source, target in PAGES.items():
        files.append(File.generated(config, target, abs_src_path=str(ROOT / source)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Rewrite the links of a page, which are right in the repository, for the site."""
    source = next((name for name, target in PAGES.items() if target == page.file.src_uri), f"docs/{page.file.src_uri}")
    return _LINK.sub(lambda match: _rewritten(match, PurePosixPath(source).parent, page.file.src_uri), markdown)


def _rewritten(match: re.Match[str], folder: PurePosixPath, page: str) -> str:
    text, link, anchor, attribute, picture = match.groups()
    target = _in_site(folder, link or picture)
    if target is None:
        return f"{text}" if link else match[0]
    up = "../" * page.count("/")
    return f"[{text}]({up}{target}{anchor or ''})" if link else f"{attribute}{up}{target}"


def _in_site(folder: PurePosixPath, link: str) -> str | None:
    """Where the site has a file, from its top; None for a file that it has not."""
    parts: list[str] = []
    for part in (folder / link).parts:
        parts = parts[:-1] if part == ".." else [*parts, part]
    path = "/".join(parts)
    if path in PAGES:
        return PAGES[path]
    return path.removeprefix("docs/") if path.startswith("docs/") else None
