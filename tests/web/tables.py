"""The tables of a page by their structure: which cell stands under which heading."""

from dataclasses import dataclass, field
from html.parser import HTMLParser


@dataclass
class Row:
    """The cells of one row, left to right; a cell that spans columns stands once in each of them."""

    cells: list[str] = field(default_factory=list)


@dataclass
class Table:
    """A table with its head and its body. `name` is its id or class, to find it by in a failure."""

    name: str
    head: list[Row] = field(default_factory=list)
    body: list[Row] = field(default_factory=list)

    @property
    def headings(self) -> list[str]:
        """The last row of the head: the one that names the columns."""
        return self.head[-1].cells if self.head else []

    def column(self, heading: str) -> list[str]:
        """Return what stands under a heading, row by row."""
        (place,) = [number for number, text in enumerate(self.headings) if text == heading]
        return [row.cells[place] for row in self.body]

    def records(self) -> list[dict[str, str]]:
        """Return each row as what stands under each heading."""
        return [dict(zip(self.headings, row.cells, strict=True)) for row in self.body]


class _Reader(HTMLParser):
    """Reads tables only, so that whatever else a page does with its tags does not matter. Tables are not nested."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tables: list[Table] = []
        self._table: Table | None = None
        self._in_head = False
        self._span = 0
        self._text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "table":
            assert self._table is None, "a table in a table"
            self._table = Table(name=given.get("id") or given.get("class") or "table")
            self.tables.append(self._table)
        if self._table is None:
            return
        if tag == "thead":
            self._in_head = True
        elif tag == "tr":
            self._end_cell()
            self._rows.append(Row())
        elif tag in ("td", "th"):
            self._end_cell()
            assert "rowspan" not in given, "a cell that spans rows needs a reader that knows how"
            self._span = int(given.get("colspan") or 1)

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th", "tr", "table"):
            self._end_cell()
        if tag == "thead":
            self._in_head = False
        if tag == "table":
            self._table = None

    def handle_data(self, data: str) -> None:
        if self._span:
            self._text.append(data)

    @property
    def _rows(self) -> list[Row]:
        assert self._table is not None
        return self._table.head if self._in_head else self._table.body

    def _end_cell(self) -> None:
        if self._span:
            self._rows[-1].cells.extend([" ".join("".join(self._text).split())] * self._span)
        self._span, self._text = 0, []


def tables_of(html: str) -> list[Table]:
    """Return the tables of a page, in their order."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return reader.tables
