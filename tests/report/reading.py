"""A page as a strict reader sees it: tags that close, ids that are unique, headings in order, drawings with titles."""

from __future__ import annotations

from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

Copy = Callable[[str], Path]
"""Copies a run, by its name, to where a test may write."""

VOID = {"meta", "input", "br", "link", "img", "wbr", "line", "circle", "rect", "path"}


class Reader(HTMLParser):
    """Walks a page and keeps what tests ask about; AssertionError where tags do not match."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.ids: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.headings: list[int] = []
        self.captions = 0
        self.untitled: list[int] = []
        self.text: list[str] = []
        self.raw: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        assert len(found) == len(attrs), f"an attribute of {tag} stands twice"
        self.tags.append((tag, found))
        if found.get("id"):
            self.ids.append(str(found["id"]))
        if tag in ("h1", "h2", "h3", "h4"):
            self.headings.append(int(tag[1]))
        if self.open and self.open[-1] == "svg" and self.untitled and self.untitled[-1]:
            assert tag == "title", "a drawing begins with its title"
            self.untitled[-1] = 0
        if tag == "svg":
            self.untitled.append(1)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if tag in VOID:
            return
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag, f"</{tag}> does not close what is open"

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("script", "style"):
            self.raw.setdefault(self.open[-1], data)
        else:
            self.text.append(data)

    @property
    def said(self) -> str:
        """The words of the page, blanks folded."""
        return " ".join("".join(self.text).split())


def read(page: Path) -> Reader:
    reader = Reader()
    reader.feed(page.read_text("utf-8"))
    reader.close()
    assert not reader.open
    return reader
