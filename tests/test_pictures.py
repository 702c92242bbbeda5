"""Headline pictures: each lab opens with one, drawn by the code that the lab holds today."""

import base64
import io
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from PIL import Image, ImageColor

from modelsec_course.app import grids, pictures
from modelsec_course.build import build, headline
from modelsec_course.build.headline import ALT, CAPTION
from modelsec_course.lab.style import ATTACK, PROOF

ROOT = Path(__file__).resolve().parent.parent
LABS = list(pictures.labs(ROOT))


def test_every_labs_picture_is_there_and_drawn_by_todays_code():
    assert LABS
    assert pictures.stale(ROOT) == {}, "draw them anew with `modelsec pictures`, look at them, then `modelsec build`"


@pytest.mark.parametrize("number", LABS)
def test_a_picture_is_small_readable_and_said_in_words(number):
    path = headline.picture(ROOT, number)
    assert path.stat().st_size <= pictures.LIMIT
    with Image.open(path) as image:
        assert 720 <= image.width <= 960
    said = headline.words(path)
    assert len(said[ALT]) > 40
    assert said[CAPTION]


@pytest.mark.parametrize("number", LABS)
def test_both_editions_open_with_the_picture_before_anything_is_run(number):
    for folder in ("notebooks", "solutions"):
        (path,) = (ROOT / folder).glob(f"{number}_*.ipynb")
        first = nbformat.read(path, as_version=4).cells[0]
        title, blank, picture = first.source.split("\n")[:3]
        assert title.startswith(f"# Lab {number}")
        assert not blank
        assert picture.startswith("![")
        assert picture.endswith("](attachment:headline.png)")
        data = base64.b64decode(first["attachments"]["headline.png"]["image/png"])
        assert data == headline.picture(ROOT, number).read_bytes()


FIGURE = """\
import matplotlib.pyplot as plt
from modelsec_course.lab import figures
fig, axes = plt.subplots()
axes.plot(range(width))
figures.show(fig, "A line & its **end**.", alt="It rises <from> 0 to 9.")
"""


@pytest.fixture
def course(tmp_path):
    """A course of one lab, whose third cell is its headline and whose fourth would fail."""
    (tmp_path / "solutions").mkdir()
    (tmp_path / "modelsec_course" / "labs" / "lab_77_lines").mkdir(parents=True)
    write(tmp_path, FIGURE)
    return tmp_path


def write(root, figure, tags=("headline",)):
    cells = [new_markdown_cell("# Lab 77"), new_code_cell("width = 10"), new_code_cell(figure), new_code_cell("1 / 0")]
    cells[2].metadata["tags"] = list(tags)
    nbformat.write(new_notebook(cells=cells), root / "solutions" / "77_lines.ipynb")


def test_a_picture_is_what_the_tagged_cell_draws_and_grows_stale_with_it(course):
    assert "has no headline.png" in pictures.stale(course)["77"]
    path = pictures.draw(course, "77")
    assert pictures.stale(course) == {}
    said = headline.words(path)
    assert (said[ALT], said[CAPTION]) == ("It rises <from> 0 to 9.", "A line & its end.")
    with Image.open(path) as image:
        assert image.convert("L").getextrema()[0] < 128  # a line was drawn
    write(course, FIGURE.replace("range(width))", "range(  width, ))  # wide"))
    assert pictures.stale(course) == {}  # layout and comments draw nothing
    write(course, FIGURE.replace("range(width)", "range(7)"))
    assert "has changed since" in pictures.stale(course)["77"]


@pytest.mark.parametrize("tags", [(), ("other",)])
def test_a_lab_without_a_headline_cell_is_named(course, tags):
    write(course, FIGURE, tags)
    assert "has 0 cells tagged 'headline'" in pictures.stale(course)["77"]


GRID = """\
import torch
from modelsec_course.lab import figures
figures.pictures(
    [torch.zeros(3, 1, 8, 8), torch.ones(2, 1, 8, 8)], titles=["a", "b", "c"], row_labels=["dark", "light"],
    framed=[[False, True, False], None], wrong=[[True, False, False], None], caption="Five & **pictures**.",
)
"""


def test_a_grid_of_pictures_is_drawn_whole_with_its_words_and_frames(course):
    write(course, GRID)
    path = pictures.draw(course, "77")
    said = headline.words(path)
    assert said[CAPTION] == "Five & pictures."
    assert said[ALT].startswith("2 row(s) of pictures: dark, light.")
    with Image.open(path) as image:
        colours = {colour: count for count, colour in image.convert("RGB").getcolors(1 << 20)}
    side = (960 - 100) // 3
    assert colours[0, 0, 0] > 3 * 0.8 * side**2  # three dark pictures, not one
    assert ImageColor.getrgb(PROOF) in colours
    assert ImageColor.getrgb(ATTACK) in colours


def test_a_page_without_a_grid_has_none():
    assert (
        grids.read('<figure class="msec-figure"><div><img alt="x" src="data:image/png;base64,AA"></div></figure>')
        is None
    )


def test_a_headline_cell_that_shows_no_figure_is_refused(course):
    write(course, "print(width)")
    with pytest.raises(ValueError, match="shows no figure"):
        pictures.draw(course, "77")


def test_a_change_of_the_scene_that_a_headline_uses_makes_it_stale():
    assert headline.digest("scene.ladder(x)", "a") != headline.digest("scene.ladder(x)", "b")
    assert headline.digest('f("#BBBBBB")') != headline.digest('f("#CCCCCC")')
    assert headline.digest('f("a, b")') != headline.digest('f("a; b")')


def noise(grain):
    """A picture, 1920 by 640, whose every square of grain² pixels has a grey of its own."""
    buffer = io.BytesIO()
    coarse = Image.effect_noise((1920 // grain, 640 // grain), 90).convert("RGB")
    coarse.resize((1920, 640), Image.Resampling.BICUBIC).save(buffer, "PNG")
    return buffer.getvalue()


def test_a_large_noisy_picture_is_made_small_and_a_transparent_ground_white():
    assert len(pictures.small(noise(80), {ALT: "Noise → words"})) <= pictures.LIMIT < len(noise(80))
    with pytest.raises(ValueError, match="show less in it"):
        pictures.small(noise(1), {})
    clear = io.BytesIO()
    Image.new("RGBA", (40, 20), (0, 0, 0, 0)).save(clear, "PNG")
    with Image.open(io.BytesIO(pictures.small(clear.getvalue(), {}))) as image:
        assert image.convert("RGB").getpixel((5, 5)) == (255, 255, 255)


def test_a_lab_without_a_picture_is_built_as_it_is(tmp_path):
    room = tmp_path / "modelsec_course" / "labs" / "lab_77_lines"
    room.mkdir(parents=True)
    (room / "notebook.py").write_text("# %% [markdown]\n# # Lab 77\n\n# %%\n1\n", encoding="utf-8")
    build(tmp_path)
    first = nbformat.read(tmp_path / "notebooks" / "77_lines.ipynb", as_version=4).cells[0]
    assert first.source == "# Lab 77"
    assert "attachments" not in first
