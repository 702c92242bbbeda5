import base64
import io
import itertools
import re
import struct

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex, to_rgb
from PIL import Image
from test_cards import Page

from modelsec_course.lab import charts, figures, gallery, style
from modelsec_course.lab.charts import tick_at
from modelsec_course.lab.style import label_ends


@pytest.fixture
def shown(monkeypatch):
    kept = []
    for module in (style, gallery):
        monkeypatch.setattr(module, "display", kept.append)
    return kept


def linear(colour):
    c = np.array(to_rgb(colour))
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def lab(rgb):
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ rgb
    f = np.cbrt(np.clip(xyz / [0.9505, 1, 1.089], 0, 1))
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


# Viénot, Brettel and Mollon, 1999: what protanopes and deuteranopes see, in linear RGB.
SEEN = {
    "all": np.eye(3),
    "protanopia": np.array([[0.11238, 0.88762, 0], [0.11238, 0.88762, 0], [0.00401, -0.00401, 1]]),
    "deuteranopia": np.array([[0.29275, 0.70725, 0], [0.29275, 0.70725, 0], [-0.02234, 0.02234, 1]]),
}


@pytest.mark.parametrize("eyes", SEEN)
def test_the_palette_is_told_apart_by_every_eye(eyes):
    for a, b in itertools.combinations(figures.PALETTE[:5], 2):
        gap = np.linalg.norm(lab(SEEN[eyes] @ linear(a)) - lab(SEEN[eyes] @ linear(b)))
        assert gap > 10, (a, b)


def test_lines_differ_without_colour():
    looks = list(zip(map(str, figures.DASHES), figures.MARKERS, strict=True))
    assert len(set(looks)) == len(figures.PALETTE) == len(looks)


def test_a_figure_is_an_image_with_words_and_is_closed(shown):
    before = plt.get_fignums()
    fig, _ = plt.subplots()
    assert figures.show(fig, "A `caption` <b>", alt='say "it"') is None
    assert plt.get_fignums() == before
    (figure,) = shown
    assert repr(figure) == "Figure: A caption <b>"
    html = figure._repr_html_()
    assert 'alt="say &quot;it&quot;"' in html
    assert "<figcaption" in html
    assert "<code>caption</code> &lt;b&gt;" in html
    assert "data:image/png;base64," in html
    width, height = struct.unpack(">II", figure.png[16:24])
    assert (figure.width, figure.height) == (round(width / 2), round(height / 2))


@pytest.mark.parametrize(
    "row", [torch.rand(3, 64), torch.rand(3, 8, 8), torch.rand(3, 1, 8, 8), torch.rand(3, 3, 8, 8), np.zeros((3, 8, 8)),
            torch.rand(3, 8, 8) - 0.5, torch.rand(3, 3, 8, 8) - 0.5]
)  # fmt: skip
def test_pictures_of_every_shape(shown, row):
    figures.pictures([row, row[:2]], titles=["a", "b", "c"], row_labels=["before", "after"], caption="Digits")
    assert "before, after" in shown[0].alt
    tags = [tag for tag, *_ in Page(shown[0].html()).tags]
    assert tags.count("img") == 5
    assert repr(shown[0]) == "Figure: Digits"


def test_pictures_that_are_none_are_refused(shown):
    with pytest.raises(ValueError, match="63 values make none"):
        figures.pictures([torch.rand(2, 63)])
    with pytest.raises(ValueError, match=r"must have shape \(n, c, h, w\)"):
        figures.pictures([torch.rand(3)])


def test_curves_say_where_they_begin_and_end(shown):
    x = torch.linspace(0, 0.3, 5)
    figures.curves(
        x, {"FGSM": 1 - x, "PGD": [1, 0.8, 0.5, 0.2, 0.1]}, "ε", "accuracy", "It falls.",
        bands={"PGD": (np.zeros(5), np.ones(5))}, marks={"ε = 0.1": 0.1}, percent=True, ylim=(0, 1),
    )  # fmt: skip
    assert "Line chart of accuracy against ε." in shown[0].alt
    assert "PGD: 100.0 % at 0, 10.0 % at 0.3." in shown[0].alt


def test_curves_on_logarithmic_axes_with_gaps(shown):
    figures.curves([1, 10, 100], {"a": [1, 0.1, float("nan")]}, "x", "y", "c", log="xy")
    assert len(shown) == 1


def test_few_values_on_a_logarithmic_axis_are_its_ticks_unless_they_would_touch():
    fig, axes = plt.subplots()
    axes.set_xscale("log")
    tick_at(axes, np.array([1.0, 3.0, 7.0, 7.5, 72.0]))
    assert [text.get_text() for text in axes.get_xticklabels()] == ["1", "3", "7", "72"]
    assert not len(axes.get_xticks(minor=True))
    plt.close(fig)


def test_labels_at_the_ends_keep_apart():
    fig, axes = plt.subplots()
    lines = {str(i): axes.plot([0, 1], [0, i / 1000])[0] for i in range(5)} | {"top": axes.plot([0, 1], [0, 1])[0]}
    label_ends(axes, lines)
    heights = sorted(text.xyann[1] for text in axes.texts)
    assert min(np.diff(heights)) > 0.08
    assert heights[0] >= 0
    plt.close(fig)


@pytest.mark.parametrize("horizontal", [False, True])
def test_bars_say_their_values(shown, horizontal):
    figures.bars({"clean": 0.978, "PGD": 0.156}, "accuracy", "c", errors={"PGD": (0.1, 0.2)}, horizontal=horizontal,
                 percent=True, highlight=["PGD"])  # fmt: skip
    assert "clean: 97.8 %, PGD: 15.6 %" in shown[0].alt


def test_points_are_differences_of_shares_with_their_signs(shown):
    figures.bars({"up": 0.21, "down": -0.224, "none": 0.001}, "points", "c", points=True, errors={"up": (0.1, 0.3)})
    assert "up: +21, down: \N{MINUS SIGN}22, none: 0" in shown[0].alt


def test_bars_below_zero_leave_room_for_their_values(monkeypatch):
    drawn = []
    monkeypatch.setattr(charts, "show", lambda fig, *_: drawn.append(fig))
    errors = {"cnn, pixels": (-0.33, -0.11), "linear, PCA": (0.28, 0.52)}
    figures.bars({"linear, PCA": 0.4, "cnn, pixels": -0.22}, "y", "c", errors=errors, points=True, horizontal=True)
    (axes,) = drawn[0].axes
    drawn[0].canvas.draw()
    inside = axes.get_window_extent()
    for text in axes.texts:
        box = text.get_window_extent()
        assert inside.x0 + 3 < box.x0, text.get_text()
        assert box.x1 < inside.x1, text.get_text()
    plt.close(drawn[0])


def test_frames_and_wrong_answers_are_told_in_words_too(shown):
    x, good = torch.rand(3, 1, 4, 4), torch.tensor([True, False])
    figures.pictures(
        [x, x[:2]], titles=[[], ["1", "7"]], row_labels=["truth", "found"], framed=[None, good], wrong=[None, ~good]
    )
    cells = [tag[1]["class"] for tag in Page(shown[0].html()).tags if tag[0] == "div" and "class" in tag[1]]
    assert cells == ["msec-grid", "name", "", "", "", "name", "framed", "wrong"]
    assert "Framed: found 1 of 2. Wrong answers: found 1 of 2." in shown[0].alt
    assert "<span>1</span>" in shown[0].html()
    assert "<span>✘ 7</span>" in shown[0].html()


def test_marks_for_another_number_of_rows_are_refused(shown):
    with pytest.raises(ValueError, match="row by row: 2 for 1 rows"):
        figures.pictures([torch.rand(2, 64)], wrong=[[True], [False]])


def decoded(shown):
    found = re.findall(r"data:image/png;base64,([^\"]+)\"", shown.html())
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(text)))) for text in found]


def test_small_pictures_are_enlarged_smoothly_unless_blocks_are_wanted(shown):
    step = torch.zeros(1, 8, 8)
    step[..., 4:] = 1
    figures.pictures([step])
    figures.pictures([step], smooth=False)
    (smooth,), (blocks,) = decoded(shown[0]), decoded(shown[1])
    assert smooth.shape == (48, 48)
    assert len(np.unique(smooth)) > 4
    assert blocks.shape == (8, 8)
    assert set(np.unique(blocks)) == {0, 255}
    assert "class=blocks" not in shown[0].html()


def test_a_change_is_red_where_it_adds_and_blue_where_it_takes(shown):
    change = torch.zeros(1, 48, 48)
    change[0, 0], change[0, -1] = 0.1, -0.1
    figures.pictures([change])
    ((most, *_, least),) = (picture[:, 0].astype(int) for picture in decoded(shown[0]))
    assert most[0] > most[2] + 50
    assert least[2] > least[0] + 50


def test_pictures_in_a_figure_keep_their_lightness_on_a_dark_page(shown):
    fig, (left, right) = plt.subplots(1, 2, figsize=(4, 2))
    left.imshow(np.ones((4, 4)), vmin=0, vmax=1, cmap="gray")
    right.plot([0, 1])
    figures.show(fig, "c")
    whole, cut = decoded(shown[0])
    assert whole.shape[2] == 4
    assert whole[0, 0, 3] == 0  # the page's own ground
    assert tuple(cut[2, 2, :3]) == (255, 255, 255)
    assert 0.2 < cut.shape[1] / whole.shape[1] < 0.5
    assert 'data-jp-theme-light="false"' in shown[0].html()


def test_long_names_at_the_ends_are_folded_and_keep_apart():
    fig, axes = plt.subplots()
    lines = {f"a name of many words, number {i}": axes.plot([0, 1], [0, i / 1000])[0] for i in range(3)}
    label_ends(axes, lines)
    heights = sorted(text.xyann[1] for text in axes.texts)
    assert all(max(map(len, text.get_text().split("\n"))) <= style.LABEL for text in axes.texts)
    assert min(np.diff(heights)) > 0.14
    plt.close(fig)


def test_drawing_leaves_the_settings_alone(shown):
    before = dict(plt.rcParams)
    figures.bars({"a": 1.0}, "y", "c")
    assert dict(plt.rcParams) == before


def test_a_role_has_one_colour_in_lines_and_bars(monkeypatch):
    drawn = []
    monkeypatch.setattr(charts, "show", lambda fig, *_: drawn.append(fig))
    roles = {"random signs": "control", "PGD": "attack", "more steps": "attack"}
    figures.curves([0, 1], {label: [1, 0] for label in [*roles, "other"]}, "x", "y", "c", roles=roles)
    figures.bars(dict.fromkeys([*roles, "other"], 0.5), "y", "c", roles=roles, highlight=["PGD", "random signs"])
    lines = [line.get_color() for line in drawn[0].axes[0].lines]
    bars = [to_hex(bar.get_facecolor()).upper() for bar in drawn[1].axes[0].patches]
    assert lines[:2] == [figures.CONTROL, figures.ATTACK] == bars[:2]
    assert len(set(lines)) == 4
    assert not set(lines[2:]) & set(figures.ROLES.values()), "a line without a role must not look as if it had one"
    assert bars[2] not in (figures.ATTACK, bars[3])
    for fig in drawn:
        plt.close(fig)


@pytest.mark.parametrize("roles", [{"PDG": "attack"}, {"PGD": "attacker"}])
def test_roles_that_name_nothing_are_refused(roles, shown):
    with pytest.raises(ValueError, match="one of control, attack, defence, proof, truth"):
        figures.curves([0, 1], {"PGD": [1, 0]}, "x", "y", "c", roles=roles)
    plt.close("all")
