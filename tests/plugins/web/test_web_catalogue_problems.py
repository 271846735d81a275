"""Problems of the catalogue on the pages."""

import pytest

from include.perf.catalogue.reading import read_catalogue
from tests.catalogues import SERVICES, catalogue_folder
from tests.plugins.web.conftest import Pages

BANNER = "The catalogue has 1 problem<"


def broken(pages: Pages, services: str) -> None:
    """Edit the catalogue of the pages, and let them read it as in Airflow."""
    folder = pages.site.catalogue().folder
    catalogue_folder(folder, services=services)
    pages.use(catalogue=lambda: read_catalogue(folder))


@pytest.mark.parametrize("path", ["/", "/problems", "/baselines"])
def test_every_page_shows_the_problems_of_wrong_entries(pages: Pages, path: str) -> None:
    """With file and entry; the other services are shown as usual."""
    assert BANNER not in pages.get(path).text
    broken(pages, SERVICES.replace("$price", "$prise"))
    answer = pages.get(path)
    assert answer.status_code == 200
    assert BANNER in answer.text
    assert "<li>services.yaml: orders-service.endpoints[0] (place): body: $prise is not a field" in answer.text


def test_who_may_not_see_every_scenario_sees_no_problems(pages: Pages) -> None:
    """The problems quote entries of all services."""
    broken(pages, SERVICES.replace("$price", "$prise"))
    assert BANNER in pages.get("/", user="viewer").text
    assert BANNER not in pages.get("/", user="half").text


def test_a_file_that_is_wrong_as_a_whole_is_an_error_page(pages: Pages) -> None:
    """It names the file."""
    broken(pages, "services: [")
    answer = pages.get("/")
    assert answer.status_code == 409
    assert "services.yaml: not valid YAML" in answer.text
