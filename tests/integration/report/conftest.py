"""Pages that must run clean: no error, no warning, no request."""

import pytest

from tests.integration.report.made_log import made, write_report


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("log")


@pytest.fixture(scope="session")
def log(folder):
    return made(folder)[0]


@pytest.fixture(scope="session")
def comparisons(folder):
    return made(folder)[2]


@pytest.fixture(scope="session")
def photos(tmp_path_factory):
    return tmp_path_factory.mktemp("photos")


@pytest.fixture(scope="session")
def report(folder, photos):
    return write_report(folder, photos)


@pytest.fixture
def open_page(browser):
    pages = []

    def open_page(path, **options):
        page = browser.new_page(**({"viewport": {"width": 1440, "height": 1000}} | options))
        page.problems = []
        page.on("console", lambda message: page.problems.append(message.text))
        page.on("pageerror", lambda error: page.problems.append(str(error)))
        page.on(
            "request",
            lambda request: (
                request.url != path.as_uri()
                and not request.url.startswith(("data:", "blob:"))
                and page.problems.append(request.url)
            ),
        )
        page.goto(path.as_uri())
        page.locator("html[data-checked]").wait_for(state="attached")
        pages.append(page)
        return page

    yield open_page
    for page in pages:
        assert page.problems == []
        page.close()


@pytest.fixture(scope="module")
def one_page(browser, report):
    """A page for questions to the script alone; each test sets the state it needs."""
    page = browser.new_page()
    page.goto(report.as_uri())
    page.locator("html[data-checked]").wait_for(state="attached")
    yield page
    page.close()
