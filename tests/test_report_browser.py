"""The page in a real browser: Debian's Chromium, headless, through Selenium."""

import shutil

import numpy as np
import pytest

from skall import compare, get_estimator
from skall.datasets import make_blood_cells

webdriver = pytest.importorskip("selenium.webdriver")
pytestmark = [
    pytest.mark.thorough,
    pytest.mark.report,
    pytest.mark.skipif(
        not (shutil.which("chromium") and shutil.which("chromedriver")),
        reason="chromium and chromedriver are not installed",
    ),
]

from selenium.webdriver.chrome.service import Service  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402

NAMES = ["timm/test_resnet", "<img src=x onerror='window.hacked=1'>"]
LABEL = "<script>window.hacked=1</script>"


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    cells = make_blood_cells(24, n_patients=8, image_size=32, random_state=0)
    tiny = {"weights": None, "image_size": 32, "max_epochs": 1, "random_state": 0}
    estimators = {name: get_estimator("timm/test_resnet", **tiny) for name in NAMES}
    labels = np.where(cells.target == "ALL", LABEL, "healthy")
    options = {"groups": cells.groups, "pos_label": LABEL, "cv": 2, "random_state": 0}
    comparison = compare(estimators, cells.data, labels, verbose=0, **options)
    return comparison.report(tmp_path_factory.mktemp("page") / "report.html")


@pytest.fixture(scope="module")
def driver():
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for argument in (
        *("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run"),
        *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    yield driver
    driver.quit()


@pytest.fixture
def browser(driver, page):
    """The page, newly opened; its console must stay empty."""
    resize(driver, 1200)
    driver.get(page.as_uri())
    yield driver
    assert driver.get_log("browser") == []
    assert driver.execute_script("return window.hacked") is None


def resize(driver, width):
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def list_shown(driver):
    rows = driver.find_elements(By.CSS_SELECTOR, "#main tbody tr")
    return [
        row.find_element(By.TAG_NAME, "th").get_dom_attribute("data-sort")
        for row in rows
        if row.is_displayed()
    ]


def read_column(driver, column):
    cells = driver.find_elements(By.CSS_SELECTOR, f"#main tbody td:nth-of-type({column})")
    return [float(cell.get_dom_attribute("data-sort")) for cell in cells]


def find_head(driver, text):
    heads = driver.find_elements(By.CSS_SELECTOR, "#main thead th")
    return next(head for head in heads if head.text.rstrip(" ↑↓") == text)


def test_names_and_labels_are_shown(browser):
    assert {*NAMES, "dummy", "mean colour"} <= {*list_shown(browser)}
    assert LABEL in browser.find_element(By.ID, "data").text
    assert browser.find_elements(By.CSS_SELECTOR, "#main img, #data script") == []


def test_every_picture_is_drawn(browser):
    assert browser.execute_script(
        "return [...document.images].every(image => image.complete && image.naturalWidth > 100)"
    )
    assert len(browser.find_elements(By.TAG_NAME, "img")) >= 10


def test_sorting_by_mouse_and_keyboard(browser):
    # It comes sorted, and says so.
    assert find_head(browser, "balanced accuracy").get_dom_attribute("aria-sort") == "descending"
    head = find_head(browser, "accuracy")
    button = head.find_element(By.TAG_NAME, "button")
    button.click()
    assert head.get_dom_attribute("aria-sort") == "descending"
    values = read_column(browser, 1)
    assert values == sorted(values, reverse=True) and len(set(values)) > 1
    button.send_keys(Keys.ENTER)
    assert head.get_dom_attribute("aria-sort") == "ascending"
    assert read_column(browser, 1) == sorted(values)
    names = find_head(browser, "estimator")
    names.find_element(By.TAG_NAME, "button").send_keys(Keys.SPACE)
    assert names.get_dom_attribute("aria-sort") == "ascending"
    assert head.get_dom_attribute("aria-sort") == "none"
    assert list_shown(browser)[-1] == "timm/test_resnet"


def test_what_has_no_value_goes_last(browser):
    button = find_head(browser, "parameters trained").find_element(By.TAG_NAME, "button")
    for _ in range(2):
        button.click()
        assert {*list_shown(browser)[:2]} == {*NAMES}


def test_filtering(browser):
    count = browser.find_element(By.ID, "count")
    assert count.text == f"{len(list_shown(browser))} of {len(list_shown(browser))} estimators"
    search = browser.find_element(By.ID, "filter")
    search.send_keys("RESNET")
    assert list_shown(browser) == ["timm/test_resnet"] and count.text.startswith("1 of ")
    search.send_keys(Keys.CONTROL, "a", Keys.NULL, Keys.DELETE)
    browser.find_element(By.ID, "baselines").send_keys(Keys.SPACE)
    assert {*list_shown(browser)} == {*NAMES}


def test_keyboard_reaches_everything(browser):
    """Links, controls, heads, scrolling boxes and details, in the order of the page."""
    reached = []
    for _ in range(60):
        browser.switch_to.active_element.send_keys(Keys.TAB)
        active = browser.switch_to.active_element
        reached.append(active.get_dom_attribute("id") or active.tag_name)
    assert reached.index("filter") < reached.index("baselines") < reached.index("button")
    assert "summary" in reached
    first = browser.find_element(By.CSS_SELECTOR, "#table summary")
    first.send_keys(Keys.ENTER)
    assert browser.find_element(By.CSS_SELECTOR, "#table details table").is_displayed()


def test_on_a_phone(browser):
    resize(browser, 390)
    browser.execute_script("document.querySelectorAll('details').forEach(d => d.open = true)")
    widest = browser.execute_script("return document.documentElement.scrollWidth")
    assert widest <= 390
    heights = browser.execute_script(
        "return [...document.querySelectorAll('#main button, .controls input')]"
        ".map(e => e.getBoundingClientRect().height)"
    )
    assert min(heights) >= 18
