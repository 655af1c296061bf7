"""The pages of Prefect's V2 UI, as a person uses them: by what they can read there."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from selenium.common.exceptions import StaleElementReferenceException, WebDriverException
from selenium.webdriver import Chrome
from selenium.webdriver.common.actions.action_builder import ActionBuilder
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

from tests.server.prefect_server import until

Found = TypeVar("Found")
SECONDS = 60.0
PRESSED_SECONDS = 3.0
"""Until a press of Submit that does something has done it."""
ANSWERED_SECONDS = 60.0
TOO_BUSY = 500
"""This HTTP status and those above it."""
NOTE_WHAT_IS_SENT = """\
window.sent = 0
window.answers = []
const fetch = window.fetch
window.fetch = async (...given) => {
  const starts = (given[0].url || String(given[0])).includes("create_flow_run")
  if (starts) window.sent += 1
  const response = await fetch(...given)
  if (starts) window.answers.push(response.status)
  return response
}
"""


class Pages:
    """Of the server whose UI is at `url`."""

    def __init__(self, driver: Chrome, url: str) -> None:
        self.driver = driver
        self._url = url
        driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": NOTE_WHAT_IS_SENT})

    @property
    def text(self) -> str:
        return self.driver.find_element(By.TAG_NAME, "body").text

    def open(self, path: str, shows: str) -> None:
        """A page, once it shows this."""
        self.driver.get(f"{self._url}/v2/{path}")
        self.reads(shows)

    def reads(self, text: str, seconds: float = SECONDS) -> str:
        """The whole text of the page, once it holds this."""
        return self.soon(
            lambda: whole if text in (whole := self.text) else None, seconds, f"page shows {text!r}"
        )

    def soon(self, condition: Callable[[], Found | None], seconds: float, what: str) -> Found:
        """The page is drawn again and again: what is gone while one looks at it is looked for again."""

        def found() -> Found | None:
            try:
                return condition()
            except StaleElementReferenceException:
                return None

        try:
            return until(found, seconds, what)
        except AssertionError as error:
            raise AssertionError(f"{error}; the page reads:\n{self.text}") from None

    def click(self, xpath: str) -> None:
        """What is there, once it can be clicked."""

        def clicked() -> bool | None:
            try:
                target = self._find(xpath)
                self.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", target)
                target.click()
            except WebDriverException:
                # what pops up stays as long as the pointer is over it
                away = ActionBuilder(self.driver)
                away.pointer_action.move_to_location(1, 1)
                away.perform()
                return None
            return True

        self.soon(clicked, SECONDS, f"{xpath} can be clicked")

    def ends_as(self, state: str, seconds: float) -> str:
        """The whole text of a run's page, once its state has this name."""
        self.there(f"//main//*[text()='{state}']", seconds)
        return self.text

    def show(self, text: str) -> None:
        """Scrolls there."""
        found = self.driver.find_element(By.XPATH, f"//*[text()='{text}']")
        self.driver.execute_script("arguments[0].scrollIntoView()", found)

    def tab(self, name: str) -> None:
        self.click(f"//*[@role='tab' and .='{name}']")

    def fill_form(self, deployment: str) -> Form:
        """The form of a deployment, by its id."""
        self.open(f"deployments/deployment/{deployment}/run", shows="Enforce Parameter Schema")
        return Form(self)

    def there(self, xpath: str, seconds: float = SECONDS) -> None:
        self.soon(lambda: self.driver.find_elements(By.XPATH, xpath) or None, seconds, f"{xpath} is there")

    def _find(self, xpath: str) -> WebElement:
        return self.driver.find_element(By.XPATH, xpath)


class Form:
    """One run that is about to be started."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages

    def offers(self, field: str, look: Callable[[], None] = lambda: None) -> list[str]:
        """What the dropdown of a field has; `look` is called while it is open."""
        self._pages.click(_dropdown(field))

        def drawn() -> list[str] | None:
            options = self._options()
            return options if options and all(options) else None

        shown = self._pages.soon(drawn, SECONDS, f"the choices of {field}")
        look()
        self._pages.driver.switch_to.active_element.send_keys(Keys.ESCAPE)
        self._pages.soon(lambda: not self._options(), SECONDS, f"the choices of {field} are closed")
        return shown

    def choose(self, field: str, value: str) -> None:
        self._pages.click(_dropdown(field))
        self._pages.click(f"//*[@role='option' and .='{value}']")
        self._pages.there(f"{_dropdown(field)}[contains(., '{value}')]")

    def write(self, field: str, text: str, *, optional: bool = False) -> None:
        """Into a field for text, in place of what stands there."""
        label = f"{field} (Optional)" if optional else field
        within = f"//label[.='{label}']/ancestor::div[.//fieldset][1]"
        if optional:
            self._pages.click(f"{within}//button[@role='tab' and .='str']")
        self._pages.click(f"{within}//textarea")
        area = self._pages.driver.find_element(By.XPATH, f"{within}//textarea")
        area.clear()
        area.send_keys(text)

    def switch(self, label: str) -> None:
        self._pages.click(f"//label[starts-with(., '{label}')]/following::button[@role='switch'][1]")

    def submit(self) -> None:
        """Sends it, as often as the server is too busy. In Prefect 3.8.8 a press of Submit may do nothing: after a
        refusal, the first one never does.
        """
        while not self._taken():
            pass

    def _taken(self) -> bool:
        """Presses Submit; whether the server has answered, and not that it was too busy."""
        before = self._noted("window.sent")
        self._pages.click("//button[.='Submit']")
        with suppress(AssertionError):
            sent = until(
                lambda: after if (after := self._noted("window.sent")) > before else None,
                PRESSED_SECONDS,
                "it is sent",
            )
            until(lambda: self._noted("window.answers.length") >= sent, ANSWERED_SECONDS, "it is answered")
            return self._noted("window.answers.at(-1)") < TOO_BUSY
        return False

    def _noted(self, what: str) -> int:
        return self._pages.driver.execute_script(f"return {what}")

    def _options(self) -> list[str]:
        """Those of the dropdown that is open."""
        return [each.text for each in self._pages.driver.find_elements(By.XPATH, "//*[@role='option']")]


def _dropdown(field: str) -> str:
    return f"//button[@aria-label='Select {field}']"
