"""What stands on a page, by its structure."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

_VOID = {"input", "br", "link", "meta", "img", "hr"}


@dataclass
class Element:
    """One element: its name, attributes, and the text inside it."""

    name: str
    attributes: dict[str, str | None]
    children: list["Element"] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The text, with single spaces."""
        return " ".join(" ".join(self.texts).split())

    def all(self, name: str, /, **attributes: Any) -> list["Element"]:
        """Return the elements inside of this name that have these attributes (True: any value)."""
        return [one for one in self._walk() if one.name == name and one.has(attributes)]

    def only(self, name: str, /, **attributes: Any) -> "Element":
        """Return the one element inside of this name and these attributes."""
        found = self.all(name, **attributes)
        assert len(found) == 1, f"{len(found)} of {name} {attributes}"
        return found[0]

    def has(self, wanted: dict[str, Any]) -> bool:
        """Say whether it has these attributes."""
        own = {name.replace("-", "_"): value for name, value in self.attributes.items()}
        return all((name in own) if value is True else own.get(name) == value for name, value in wanted.items())

    def hidden(self) -> dict[str, str]:
        """Return what a form sends without anybody typing: its hidden fields."""
        return {str(one.attributes["name"]): str(one.attributes["value"]) for one in self.all("input", type="hidden")}

    def _walk(self) -> Iterator["Element"]:
        for child in self.children:
            yield child
            yield from child._walk()


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.root = Element("page", {})
        self._open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, dict(attrs))
        self._open[-1].children.append(element)
        if tag not in _VOID:
            self._open.append(element)

    def handle_endtag(self, tag: str) -> None:
        while len(self._open) > 1:
            if self._open.pop().name == tag:
                return

    def handle_data(self, data: str) -> None:
        for element in self._open:
            element.texts.append(data)


def page_read(html: str | bytes) -> Element:
    """Return the page as a tree."""
    reader = _Reader()
    reader.feed(html.decode() if isinstance(html, bytes) else html)
    return reader.root
