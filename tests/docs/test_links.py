"""No link in the docs leads nowhere: each relative one names a file, and a heading in it where it says so."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted(page for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
_FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`[^`\n]*`")
_LINK = re.compile(r"\[[^\]\n]*\]\(\s*<?([^)\s>]+)>?[^)]*\)|^\[[^\]\n]+\]:\s*<?([^\s>]+)>?", re.MULTILINE)
_HEADING = re.compile(r"^#+ +(.+?)\s*$", re.MULTILINE)


def links(text: str) -> list[str]:
    """Return the targets of a page's links and images that stay inside the repository."""
    prose = _CODE.sub("", _FENCE.sub("", text))
    targets = [inline or defined for inline, defined in _LINK.findall(prose)]
    return [target for target in targets if not re.match(r"[a-z][a-z0-9+.-]*:|//", target, flags=re.IGNORECASE)]


def anchors(text: str) -> set[str]:
    """Return the names by which a page's headings are linked to, as GitHub makes them."""
    headings = _HEADING.findall(_FENCE.sub("", text))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken(page: Path) -> list[str]:
    """Return the page's links that lead nowhere."""
    return [link for link in links(page.read_text(encoding="utf-8")) if not leads_somewhere(link, page=page)]


def leads_somewhere(link: str, *, page: Path) -> bool:
    """Say whether the link names something inside the repository that is there."""
    name, _, anchor = link.partition("#")
    target = (page.parent / name) if name else page
    if not target.exists() or not target.resolve().is_relative_to(page_root(page)):
        return False
    return not anchor or target.suffix != ".md" or anchor in anchors(target.read_text(encoding="utf-8"))


def page_root(page: Path) -> Path:
    """Return the folder that links of a page may not leave."""
    return ROOT if page.is_relative_to(ROOT) else page.parent


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_leads_to_a_file(page: Path) -> None:
    assert broken(page) == []


def test_there_are_pages_to_look_at() -> None:
    assert ROOT / "docs" / "architecture.md" in PAGES


def test_links_that_lead_nowhere_are_found(tmp_path: Path) -> None:
    # Given a page with good and bad links of every kind
    (tmp_path / "there.md").write_text("# A heading: it's here\n")
    page = tmp_path / "page.md"
    page.write_text(
        "# Top\n[ok](there.md) [ok](there.md#a-heading-its-here) [ok](#top) [ok](https://example.com/x)\n"
        "![bad](gone.png) [bad](gone.md) [bad](there.md#elsewhere) [bad](#bottom) [bad](/etc/passwd)\n"
        "[bad]: missing.md\n`[code](code.md)`\n```\n[code](code.md)\n```\n"
    )
    # Then the bad ones are told, and nothing else
    assert broken(page) == ["gone.png", "gone.md", "there.md#elsewhere", "#bottom", "/etc/passwd", "missing.md"]
