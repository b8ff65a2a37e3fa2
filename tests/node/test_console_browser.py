"""The console of a whole node in a real browser, as a person with eyes has it."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import sync_playwright
from processes import Running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from playwright.sync_api import Browser, Page

PASSWORD, NEW = "mauve-otter-quilt", "three blue lanterns"
SHOTS = os.environ.get("RPS_SCREENSHOTS", "")
"""A folder to keep pictures of the pages in."""

OVERFLOW = "document.documentElement.scrollWidth - window.innerWidth"


def chromium() -> str:
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    pytest.fail("these tests need Chromium: on Debian, apt-get install chromium")


@pytest.fixture
def browser() -> Iterator[Browser]:
    # Root is not let into the sandbox; whoever runs tests as root trusts the pages.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=chromium(), args=arguments, timeout=120_000
        )
        yield started
        started.close()


@pytest.fixture
def node(
    new_database: Callable[[], AbstractContextManager[str]], tmp_path: Path
) -> Iterator[Running]:
    """With nothing but its API and the account ada, an operator."""
    with new_database() as database:
        made = Running(database, tmp_path)
        try:
            made.account("ada", "operator")
            made.rps("account", "password", "ada", stdin=f"{PASSWORD}\n")
            made.serve()
            yield made
        finally:
            made.close()


@contextmanager
def tab(browser: Browser, *, dark: bool = False, phone: bool = False) -> Iterator[Page]:
    """A browser of somebody's own; fails where its console has something to say."""
    context = browser.new_context(
        color_scheme="dark" if dark else "light",
        viewport={"width": 390, "height": 844}
        if phone
        else {"width": 1280, "height": 800},
    )
    context.set_default_timeout(60_000)
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda told: said.append(told.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("requestfailed", lambda request: said.append(request.url))
    yield page
    context.close()
    assert [each for each in said if "[DOM]" not in each] == []


def sign_in(page: Page, url: str, password: str) -> None:
    page.goto(url)
    page.get_by_label("Account").fill("ada")
    page.get_by_label("Password").fill(password)
    page.keyboard.press("Enter")


def shot(page: Page, name: str) -> None:
    assert page.evaluate(OVERFLOW) <= 0, "the page is wider than its window"
    if SHOTS:
        page.screenshot(path=f"{SHOTS}/{name}.png", full_page=True)


def test_a_person_signs_in_changes_the_password_and_is_out_elsewhere(
    node: Running, browser: Browser
) -> None:
    url = f"http://localhost:{node.port}/"
    with (
        tab(browser) as desk,
        tab(browser, dark=True, phone=True) as phone,
    ):
        for page, name in ((desk, "desk-light"), (phone, "phone-dark")):
            page.goto(url)
            shot(page, f"{name}-sign-in")
            sign_in(page, url, PASSWORD)
            page.get_by_role("heading", name="You are ada").wait_for()
            assert page.get_by_role("cell", name="operator").is_visible()
            shot(page, f"{name}-overview")
        desk.get_by_role("link", name="Account").click()
        assert desk.get_by_role("button", name="End").count() == 1
        shot(desk, "desk-light-account")

        desk.get_by_label("New password").fill(NEW)
        desk.get_by_label("Once more").fill(NEW)
        desk.get_by_role("button", name="Set the password").click()

        assert "The password is set" in desk.get_by_role("status").inner_text()
        phone.get_by_role("link", name="Account").click()
        phone.get_by_role("heading", name="Sign in").wait_for()
        [cookie] = desk.context.cookies()
        assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Lax")
        desk.get_by_role("button", name="Sign out", exact=True).click()
        assert "signed out" in desk.get_by_role("status").inner_text()


def test_what_is_not_the_consoles_own_does_not_run(
    node: Running, browser: Browser
) -> None:
    """The policy is in force: an inline script, and a page in a frame, are stopped."""
    context = browser.new_context()
    context.set_default_timeout(60_000)
    page = context.new_page()
    page.goto(f"http://localhost:{node.port}/sign-in")
    page.evaluate(
        """() => {
            const inline = document.createElement("script");
            inline.textContent = "window.ran = true";
            document.body.append(inline);
            document.body.setAttribute("style", "display: none");
        }"""
    )
    assert page.evaluate("window.ran") is None
    assert page.get_by_label("Account").is_visible()
    other = context.new_page()
    other.set_content(f'<iframe src="http://localhost:{node.port}/sign-in"></iframe>')
    [frame] = [each for each in other.frames if each.parent_frame is not None]
    frame.wait_for_load_state()
    assert frame.get_by_label("Account").count() == 0
    context.close()
