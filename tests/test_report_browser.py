"""The page in a real browser: Debian's Chromium, headless, through Selenium."""

import re
import shutil
from dataclasses import replace

import numpy as np
import pytest

from skall import compare, get_estimator
from skall.datasets import make_blood_cells

webdriver = pytest.importorskip("selenium.webdriver")
pytestmark = [
    pytest.mark.thorough,
    pytest.mark.skipif(
        not (shutil.which("chromium") and shutil.which("chromedriver")),
        reason="chromium and chromedriver are not installed",
    ),
]

from selenium.webdriver.chrome.service import Service  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.ui import WebDriverWait  # noqa: E402

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
    notes = ["Two folds lack a class, which was allowed."]
    comparison = replace(comparison, protocol_=comparison.protocol_ | {"notes": notes})
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


def show_all_columns(driver):
    driver.find_element(By.ID, "all").send_keys(Keys.SPACE)


def test_names_and_labels_are_shown(browser):
    assert {*NAMES, "dummy", "mean colour"} <= {*list_shown(browser)}
    browser.find_element(By.CSS_SELECTOR, "#data summary").click()
    assert LABEL in browser.find_element(By.ID, "data").text
    assert browser.find_elements(By.CSS_SELECTOR, "#main img, #data script") == []


def test_every_picture_is_drawn(browser):
    assert browser.execute_script(
        "return [...document.images].every(image => image.complete && image.naturalWidth > 16)"
    )
    assert len(browser.find_elements(By.CSS_SELECTOR, "figure > img")) >= 6
    assert len(browser.find_elements(By.CSS_SELECTOR, ".gallery img")) >= 1


def test_sorting_by_mouse_and_keyboard(browser):
    show_all_columns(browser)
    # It comes sorted, and says so.
    assert find_head(browser, "balanced accuracy").get_dom_attribute("aria-sort") == "descending"
    head = find_head(browser, "accuracy")
    button = head.find_element(By.TAG_NAME, "button")
    button.click()
    assert head.get_dom_attribute("aria-sort") == "descending"
    column = [h.text for h in browser.find_elements(By.CSS_SELECTOR, "#main thead th")]
    column = column.index(head.text)
    values = read_column(browser, column)
    assert values == sorted(values, reverse=True) and len(set(values)) > 1
    button.send_keys(Keys.ENTER)
    assert head.get_dom_attribute("aria-sort") == "ascending"
    assert read_column(browser, column) == sorted(values)
    names = find_head(browser, "estimator")
    names.find_element(By.TAG_NAME, "button").send_keys(Keys.SPACE)
    assert names.get_dom_attribute("aria-sort") == "ascending"
    assert head.get_dom_attribute("aria-sort") == "none"
    assert list_shown(browser)[-1] == "timm/test_resnet"


def test_what_has_no_value_goes_last(browser):
    show_all_columns(browser)
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
    assert reached.index("filter") < reached.index("baselines") < reached.index("all")
    assert reached.index("all") < reached.index("button") < reached.index("summary")
    first = browser.find_element(By.CSS_SELECTOR, "#details summary")
    first.send_keys(Keys.ENTER)
    assert browser.find_element(By.CSS_SELECTOR, "#details details img").is_displayed()


WIDTHS = [390, 1024, 1440]


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_wider_than_the_window(browser, width):
    resize(browser, width)
    measure = "return document.documentElement.scrollWidth"
    assert browser.execute_script(measure) <= width
    show_all_columns(browser)
    browser.execute_script("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert browser.execute_script(measure) <= width


def test_the_first_screen_answers(browser):
    """Title, cautions, answers and the table's main metrics, before anything is scrolled."""
    resize(browser, 1440)
    bottoms = {
        selector: browser.find_element(By.CSS_SELECTOR, selector).rect
        for selector in ("h1", ".flags", "#summary .answer", "#summary", "#main")
    }
    for selector, box in bottoms.items():
        assert box["y"] + box["height"] <= 900, selector
    assert bottoms["h1"]["y"] < bottoms[".flags"]["y"] < bottoms["#summary"]["y"]
    # The table stands beside the answers, not below.
    assert bottoms["#main"]["x"] > bottoms["#summary"]["x"] + bottoms["#summary"]["width"]
    shown = [h.text for h in browser.find_elements(By.CSS_SELECTOR, "#main thead th")]
    names = [name.rstrip(" ↑↓") for name in shown if name]
    assert names == ["estimator", "balanced accuracy", "ROC AUC", "MCC", "recall", "specificity"]


@pytest.mark.parametrize(("width", "n_columns"), [(390, 1), (1024, 2), (1440, 2)])
def test_figures_share_rows_where_there_is_room(browser, width, n_columns):
    resize(browser, width)
    boxes = browser.execute_script(
        "return [...document.querySelectorAll('#figures .figures > figure > img')]"
        ".map(image => image.getBoundingClientRect().toJSON())"
    )
    assert len({round(box["left"]) for box in boxes}) == n_columns
    # The images of a row begin at one height, however long their captions are.
    assert len({round(box["top"]) for box in boxes[:n_columns]}) == 1
    for box in boxes:
        assert min(340, width / n_columns * 0.8) < box["width"] <= width / n_columns


def test_details_are_folded_away(browser):
    resize(browser, 1440)
    assert browser.find_elements(By.CSS_SELECTOR, "details[open]") == []
    height = browser.execute_script("return document.documentElement.scrollHeight")
    assert height <= 5 * 900


def test_what_scrolls_says_so(browser):
    resize(browser, 390)
    box = browser.find_element(By.CSS_SELECTOR, "#table .scroll")
    hint = browser.find_element(By.CSS_SELECTOR, "#table .hint")
    name = browser.find_element(By.CSS_SELECTOR, "#main tbody th")
    cells = name.find_elements(By.XPATH, "following-sibling::td")
    wait = WebDriverWait(browser, 10)
    wait.until(lambda _: "more" in box.get_dom_attribute("class") and hint.is_displayed())
    # Names and two metrics at once, and names stay where they are.
    assert cells[1].rect["x"] + cells[1].rect["width"] <= 390
    before = name.rect["x"]
    browser.execute_script("arguments[0].scrollLeft = 1e6", box)
    wait.until(lambda _: "more" not in box.get_dom_attribute("class"))
    assert not hint.is_displayed() and name.rect["x"] == before
    # With room, nothing scrolls.
    for width in (1024, 1280, 1440):
        resize(browser, width)
        wait.until(lambda _: "more" not in box.get_dom_attribute("class"))
        assert box.get_property("scrollWidth") == box.get_property("clientWidth")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast_in_light_and_dark(browser, scheme):
    """WCAG's 4.5 to 1 for words."""
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    paper = read_colour(browser, "body", "backgroundColor")
    assert (relative_luminance(paper) > 0.5) == (scheme == "light")
    for selector in ("h1", "#summary p", "tr.baseline th", "nav a", "figcaption", ".about"):
        ink = relative_luminance(read_colour(browser, selector, "color"))
        bright, dim = sorted([ink, relative_luminance(paper)], reverse=True)
        assert (bright + 0.05) / (dim + 0.05) >= 4.5, selector
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def read_colour(driver, selector, kind):
    text = driver.execute_script(
        f"return getComputedStyle(document.querySelector(arguments[0])).{kind}", selector
    )
    return [int(number) / 255 for number in re.findall(r"\d+", text)[:3]]


def relative_luminance(rgb):
    """As WCAG 2 defines it."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in rgb]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_on_a_phone(browser):
    resize(browser, 390)
    heights = browser.execute_script(
        "return [...document.querySelectorAll('#main.brief th:not(.more) button, .controls input')]"
        ".map(e => e.getBoundingClientRect().height)"
    )
    assert min(heights) >= 18
