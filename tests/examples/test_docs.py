"""The pages of the documentation run: their Python, their excerpts and their links."""

import doctest
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted(ROOT.glob("docs/*.md"))
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#]+)[^)]*\)")


def blocks(page):
    """The Python blocks of a page with the lines that they start at."""
    text = page.read_text()
    return [(text[: found.start()].count("\n") + 2, found[1]) for found in BLOCK.finditer(text)]


def excerpt(code):
    """The file that a block quotes, named by its first line, and the quotation; or None."""
    first, _, rest = code.partition("\n")
    file = ROOT / first.removeprefix("# ")
    return (file, rest) if first.startswith("# ") and file.suffix == ".py" and file.exists() else None


def run(page, line, code, names):
    if ">>>" in code:
        test = doctest.DocTestParser().get_doctest(code, names, page.name, str(page), line - 1)
        names.update(test.globs)
        runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
        runner.run(test, clear_globs=False)
        assert runner.failures == 0, f"{page.name}, line {line}"
        names.update(test.globs)
    else:
        exec(compile("\n" * (line - 1) + code, str(page), "exec"), names)


@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p)], ids=lambda p: p.stem)
def test_the_python_of_a_page_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {"__name__": page.stem}
    for line, code in blocks(page):
        if excerpt(code) is None:
            run(page, line, code, names)


@pytest.mark.parametrize("page", [p for p in PAGES if any(excerpt(code) for _, code in blocks(p))], ids=lambda p: p.stem)
def test_excerpts_stand_in_the_files_that_they_name(page):
    for line, code in blocks(page):
        if found := excerpt(code):
            file, text = found
            assert text in file.read_text(), f"{page.name}, line {line}: {file.name} has changed"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_links_lead_to_files(page):
    for link in LINK.findall(BLOCK.sub("", page.read_text())):
        assert "://" in link or (page.parent / link).exists(), f"{page.name} links to {link}, which is not there"


def test_every_page_is_listed_and_every_example_explained():
    index = (ROOT / "docs/README.md").read_text()
    assert all(f"({page.name})" in index for page in PAGES if page.name != "README.md")
    lecture = (ROOT / "docs/lecture.md").read_text()
    assert all(f"(../examples/{path.name})" in lecture for path in ROOT.glob("examples/[!_]*.py"))
