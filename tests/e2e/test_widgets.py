"""Widget callbacks run on the kernel's main thread: on a second one pyplot would draw into another cell's figure."""

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = sync_api.expect
expect.set_options(timeout=60_000)

WATCH = """
import threading
import ipywidgets
import matplotlib.pyplot as plt
from modelsec_course.lab import explore

heard, drawn = [], []

def here():
    return threading.current_thread() is threading.main_thread()

def draw(size):
    drawn.append(here())
    fig, axes = plt.subplots(figsize=(3, 2))
    axes.plot([0, size])
    return fig, f"The size is {size}."

plain = ipywidgets.IntSlider(description="plain")
plain.observe(lambda change: heard.append(here()), "value")
display(plain)
explore(draw, size=(0, 10, 1, 1))
"""
REPORT = 'print(f"heard {len(heard)} drawn {len(drawn)} elsewhere {heard.count(False) + drawn.count(False)}")'


@pytest.fixture(scope="module")
def scratch(server, new_page):
    cells = [new_code_cell(WATCH.strip()), new_code_cell(REPORT)]
    kernel = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
    nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": kernel}), server.work / "scratch.ipynb")
    return new_page("scratch.ipynb")


def test_callbacks_run_on_the_main_thread(scratch):
    watch, report = scratch.cells.all()
    scratch.run(watch)
    plain, size = watch.get_by_role("slider").all()
    for step in range(1, 5):  # one by one: the first message may still go another way than the later ones
        plain.press("ArrowRight")
        expect(watch.locator(".widget-readout").first).to_have_text(str(step))
        scratch.idle()
        size.press("ArrowRight")
        expect(watch.get_by_role("status")).to_have_text(f"The size is {step + 1}.")
    scratch.run(report)
    expect(report.locator(".jp-OutputArea-output")).to_have_text("heard 4 drawn 5 elsewhere 0")
