"""Lists the pages of figures on the benchmarks' index: a new one is there by being there."""

from typing import Any, Final

INDEX: Final = "benchmarks/index.md"
MARKER: Final = "<!-- benchmark-pages -->"


def on_page_markdown(markdown: str, page: Any, files: Any, **_: Any) -> str:
    """Put the list where the index has the marker; mkdocs calls this for every page."""
    if page.file.src_uri != INDEX:
        return markdown
    beside = [
        each for each in files.documentation_pages() if each.src_uri.startswith("benchmarks/")
    ]
    found = sorted(each.src_uri for each in beside if each.src_uri != INDEX)
    return markdown.replace(MARKER, listing(found))


def listing(pages: list[str]) -> str:
    """Return the pages as links, or say that there are none.

    >>> listing(["benchmarks/operator.md"])
    '- [operator](operator.md)'
    """
    names = [page.removeprefix("benchmarks/") for page in pages]
    links = [f"- [{name.removesuffix('.md')}]({name})" for name in names]
    return "\n".join(links) or "None has been committed yet."
