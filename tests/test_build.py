"""From the labs' sources to the two editions, and the faults that are refused."""

import re
from pathlib import Path

import nbformat
import pytest
from ipykernel.ipkernel import IPythonKernel

from modelsec_course.app import cli
from modelsec_course.build import BuildError, build, checks
from modelsec_course.build.links import link_labs

ROOT = Path(__file__).resolve().parent.parent
LAB = '''\
# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # A lab
# One idea.

# %%
def double(x):
    """Twice x."""
    ### BEGIN SOLUTION
    answer = 2 * x
    return answer
    ### END SOLUTION


double = check("01.double", double)

# %% tags=["student-only"]
print("for you")

# %% tags=["solution-only"]
print("for the instructor")

# %% tags=["raises-exception"]
1 / 0
'''


@pytest.fixture
def root(tmp_path):
    (tmp_path / "modelsec_course" / "labs").mkdir(parents=True)
    return tmp_path


def write(root, text, name="lab_01_lab"):
    room = root / "modelsec_course" / "labs" / name
    room.mkdir(exist_ok=True)
    (room / "notebook.py").write_text(text)


def notebook(root, folder, name="01_lab"):
    return nbformat.read(root / folder / f"{name}.ipynb", as_version=4)


def sources(root, folder):
    return [cell.source for cell in notebook(root, folder).cells]


def test_the_learner_gets_a_stub_at_the_markers_indentation(root):
    write(root, LAB)
    build(root)
    assert sources(root, "notebooks")[1].split("\n")[:5] == [
        "def double(x):",
        '    """Twice x."""',
        "    # YOUR CODE HERE",
        '    raise NotImplementedError("not attempted yet")',
        "",
    ]
    with pytest.raises(NotImplementedError, match="not attempted yet"):
        exec(sources(root, "notebooks")[1], {"check": lambda name, f: f(1)})


def test_the_instructor_gets_the_solution_without_markers(root):
    write(root, LAB)
    build(root)
    results = []
    exec(sources(root, "solutions")[1], {"check": lambda name, f: results.append(f(21))})
    assert results == [42]
    assert "SOLUTION" not in "".join(sources(root, "solutions"))


def test_tags_choose_the_edition_and_other_tags_stay(root):
    write(root, LAB)
    build(root)
    assert 'print("for you")' in sources(root, "notebooks")
    assert 'print("for you")' not in sources(root, "solutions")
    assert 'print("for the instructor")' in sources(root, "solutions")
    assert 'print("for the instructor")' not in sources(root, "notebooks")
    tags = [cell.metadata.get("tags") for cell in notebook(root, "notebooks").cells]
    assert tags == [None, None, None, ["raises-exception"]]


def test_two_builds_are_the_same_to_the_byte_and_the_second_writes_nothing(root):
    write(root, LAB)
    written = build(root)
    assert [path.relative_to(root).as_posix() for path in written] == [
        "notebooks/01_lab.ipynb",
        "solutions/01_lab.ipynb",
        "notebooks/start.ipynb",
    ]
    before = [(path.read_bytes(), path.stat().st_mtime_ns) for path in written]
    assert build(root) == []
    assert [(path.read_bytes(), path.stat().st_mtime_ns) for path in written] == before


def test_an_inserted_cell_renames_no_other_and_ids_are_valid_and_unique(root):
    write(root, LAB + "\n# %%\nsame()\n\n# %%\nsame()\n")
    build(root)
    before = [cell.id for cell in notebook(root, "solutions").cells]
    write(root, LAB.replace("# %%\ndef", "# %%\nnew()\n\n# %%\ndef") + "\n# %%\nsame()\n\n# %%\nsame()\n")
    build(root)
    after = [cell.id for cell in notebook(root, "solutions").cells]
    assert [name for name in after if name in before] == before
    assert len(set(after)) == len(after) == len(before) + 1
    assert all(re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", name) for name in after)


def test_a_cell_has_the_same_id_in_both_editions(root):
    write(root, LAB)
    build(root)
    assert notebook(root, "notebooks").cells[1].id == notebook(root, "solutions").cells[1].id


def test_what_only_tools_read_is_not_in_an_edition(root):
    code = 'x = [1,\n     2]  # fmt: skip\n# fmt: off\nimport os  # noqa: E402, I001\nprint("# fmt: skip")'
    write(root, LAB + f"\n# %%\n{code}\n")
    build(root)
    for folder in ("notebooks", "solutions"):
        assert sources(root, folder)[-1] == 'x = [1,\n     2]\nimport os\nprint("# fmt: skip")'


@pytest.mark.parametrize(
    ("code", "folded"),
    [('start("01")', True), ('claim("a", True)\nclaims(("b", True))', True), ('threat.card("01")', True),
     ('guess = predict("01.a", "How many?")', True), ('x = claim("a", True)', False), ('import a\nstart("01")', False),
     ('double(claim("a", True))', False), ("# nothing", False), ("%matplotlib inline", False), ('f = quiz', False)],
)  # fmt: skip
def test_cells_that_only_show_a_card_are_folded(root, code, folded):
    write(root, LAB + f"\n# %%\n{code}\n")
    build(root)
    for folder in ("notebooks", "solutions"):
        made = notebook(root, folder)
        nbformat.validate(made)
        assert made.cells[-1].metadata.get("jupyter", {}).get("source_hidden", False) is folded
        assert "jupyter" not in made.cells[1].metadata


def test_opening_an_edition_does_not_change_it(root):
    write(root, LAB)
    build(root)
    kernel = {name: value for name, value in IPythonKernel.language_info.items() if name != "version"}
    assert notebook(root, "notebooks").metadata["language_info"] == kernel | {
        "codemirror_mode": {"name": "ipython", "version": 3}
    }


def test_a_line_too_long_for_the_page_is_refused(root):
    line = "x = 1  # " + "x" * checks.WIDTH
    write(root, LAB + f"\n# %%\n{line}\n")
    with pytest.raises(BuildError, match=rf"a line of {len(line)} characters wraps on the page"):
        build(root)
    short = "y = " + "1" * (checks.WIDTH - 4) + "  # fmt: skip"
    write(root, LAB + f"\n# %%\n{short}\n")
    build(root)


def test_notebooks_carry_no_outputs_and_name_the_python3_kernel(root):
    write(root, LAB)
    build(root)
    for folder in ("notebooks", "solutions"):
        made = notebook(root, folder)
        nbformat.validate(made)
        assert made.metadata.kernelspec.name == "python3"
        assert all(not cell.outputs and cell.execution_count is None for cell in made.cells if cell.cell_type == "code")


def test_check_names_what_is_stale_and_changes_nothing(root):
    write(root, LAB)
    build(root)
    edited, orphan = root / "notebooks" / "01_lab.ipynb", root / "solutions" / "09_gone.ipynb"
    edited.write_text("edited by hand")
    orphan.write_text("{}")
    assert build(root, check=True) == [edited, orphan]
    assert edited.read_text() == "edited by hand"
    assert build(root) == [edited, orphan]
    assert not orphan.exists()
    assert build(root, check=True) == []


def test_a_notebook_that_no_build_made_is_left_alone(root):
    write(root, LAB)
    build(root)
    (root / "notebooks" / "Untitled.ipynb").write_text("{}")
    build(root)
    assert (root / "notebooks" / "Untitled.ipynb").exists()


def test_line_ends_that_git_changed_are_not_stale(root):
    write(root, LAB)
    for path in build(root):
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert build(root, check=True) == []


SOLVED = "def f(x):\n    ### BEGIN SOLUTION\n    first_step = x + 1\n    return first_step * 2\n    ### END SOLUTION\n"
FAULTS = {
    "begin without end": ("# %%\ndef f():\n    ### BEGIN SOLUTION\n    pass\n", 3, "without an END"),
    "end without begin": ("# %%\ndef f():\n    pass\n    ### END SOLUTION\n", 4, "without a BEGIN"),
    "a solution across cells": ("# %%\nif x:\n    ### BEGIN SOLUTION\n    y\n# %%\n    ### END SOLUTION\n", 3, "END"),
    "nested": ("# %%\nif x:\n    ### BEGIN SOLUTION\n    y\n    ### BEGIN SOLUTION\n", 5, "begun in line 3"),
    "in text": ("# %%\n1\n# %% [markdown]\n# Text\n# ### BEGIN SOLUTION\n", 5, "text cell"),
    "misspelt": ("# %%\ndef f():\n    ### Begin solution\n    pass\n", 3, "not quite a marker"),
    "not alone": ("# %%\ndef f():\n    ### BEGIN SOLUTION of f\n    pass\n", 3, "not quite a marker"),
    "empty": ("# %%\ndef f():\n    ### BEGIN SOLUTION\n\n    ### END SOLUTION\n", 3, "empty solution"),
    "outside a function": ("# %%\n### BEGIN SOLUTION\ny = 1\n### END SOLUTION\n", 2, "outside a function"),
    "indentation": ("# %%\ndef f():\n  ### BEGIN SOLUTION\n    y = 1\n  ### END SOLUTION\n", 3, "indentation"),
    "an id of another lab": ('# %%\n\nf = check("02.f", f)\n', 3, "should be 01.name"),
    "an id without a lab": ('# %%\nf = check("fgsm", f)\n', 2, "should be 01.name"),
    "an id twice": ('# %%\ncheck("01.f", f)\n# %%\n\ncheck(\n    "01.f", f)\n', 6, "taken by lab_01_lab:2"),
    "a leaked solution": (f"# %%\n{SOLVED}# %%\nx = 3\nfirst_step = x + 1\n\nreturn first_step * 2\n", 9, "line 4"),
    "a leak in the same cell": (
        f"# %%\n{SOLVED}first_step = x + 1\nreturn first_step * 2\n",
        7,
        "repeats the solution",
    ),
    "a leak in text": (
        f"# %%\n{SOLVED}# %% [markdown]\n# ```python\n# first_step = x + 1\n# return first_step * 2\n# ```\n",
        9,
        "repeats the solution",
    ),
    "text before the first cell": ("import os\n# %%\n1\n", 1, "every cell starts"),
}


@pytest.mark.parametrize(("text", "line", "what"), FAULTS.values(), ids=FAULTS)
def test_a_fault_is_refused_with_file_and_line(root, text, line, what):
    write(root, text)
    with pytest.raises(BuildError) as caught:
        build(root)
    assert str(caught.value).startswith(f"lab_01_lab/notebook.py:{line}: ")
    assert what in str(caught.value)
    assert not (root / "notebooks").exists(), "a refused build must write nothing"


def test_lines_are_counted_from_the_files_first_line_header_included(root):
    write(root, LAB.replace("    ### END SOLUTION\n", ""))
    number = LAB.split("\n").index("    ### BEGIN SOLUTION") + 1
    with pytest.raises(BuildError, match=f"^lab_01_lab/notebook.py:{number}: "):
        build(root)


def test_an_exercise_id_may_not_appear_in_two_labs(root):
    write(root, LAB)
    write(root, LAB, "lab_02_other")
    with pytest.raises(BuildError, match=r"lab_02_other/notebook.py:\d+: exercise id '01.double' should be 02.name"):
        build(root)


def test_each_edition_may_have_its_own_cell_for_an_exercise(root):
    write(root, '# %% tags=["student-only"]\ncheck("01.f")\n# %% tags=["solution-only"]\ncheck("01.f", f)\n')
    build(root)
    assert sources(root, "solutions") == ['check("01.f", f)']


def test_a_check_in_a_comment_is_no_exercise(root):
    write(root, '# %%\n# write check("fgsm", f) yourself\ny = 1\n')
    assert len(build(root)) == 3  # the start page too


def test_two_solutions_may_share_lines_and_the_instructors_cells_may_repeat_them(root):
    other = SOLVED.replace("def f", "def g")
    write(root, f'# %%\n{SOLVED}# %%\n{other}# %% tags=["solution-only"]\nfirst_step = x + 1\nreturn first_step * 2\n')
    assert len(build(root)) == 3  # the start page too


def test_one_common_line_is_no_leak(root):
    write(root, f"# %%\n{SOLVED}# %%\nfirst_step = x + 1\nprint(first_step)\n")
    assert len(build(root)) == 3  # the start page too


@pytest.mark.parametrize("name", ["lab_lab", "lab_1_lab", "lab_01_Lab", "lab_01-lab"])
def test_a_lab_has_a_number_and_a_lower_case_name(root, name):
    write(root, LAB, name)
    with pytest.raises(BuildError, match="NN_name"):
        build(root)


def test_a_lab_number_is_taken_once(root):
    write(root, LAB)
    write(root, LAB.replace("01.double", "01.triple"), "lab_01_other")
    with pytest.raises(BuildError, match=r"lab_01_other/notebook.py:1: lab number 01 is taken by lab_01_lab"):
        build(root)


def test_the_command_exits_1_naming_stale_files_and_0_when_all_is_fresh(root, monkeypatch, capsys):
    monkeypatch.setattr(cli, "ROOT", root)
    write(root, LAB)
    assert cli.main(["build", "--check"]) == 1
    assert "stale notebooks/01_lab.ipynb" in capsys.readouterr().out
    assert cli.main(["build"]) == 0
    assert "wrote solutions/01_lab.ipynb" in capsys.readouterr().out
    assert cli.main(["build", "--check"]) == 0
    (root / "modelsec_course" / "labs" / "lab_01_lab" / "notebook.py").unlink()
    assert cli.main(["build"]) == 0
    assert "removed notebooks/01_lab.ipynb" in capsys.readouterr().out


def test_the_command_says_a_fault_in_one_line(root, monkeypatch):
    monkeypatch.setattr(cli, "ROOT", root)
    write(root, FAULTS["nested"][0])
    with pytest.raises(SystemExit, match=r"^lab_01_lab/notebook.py:5: [^\n]*$"):
        cli.main(["build"])


NOTEBOOKS = {"01": "01_one.ipynb", "03": "03_three.ipynb"}
ONE, THREE = "(01_one.ipynb)", "(03_three.ipynb)"
LINKED = {
    "In lab 03 you": f"In [lab 03]{THREE} you",
    "Lab 03's attack": f"[Lab 03]{THREE}'s attack",
    "(lab 01)": f"([lab 01]{ONE})",
    "labs 01 and 03.": f"[labs 01]{ONE} and [03]{THREE}.",
    "labs 01, 02, 03": f"[labs 01]{ONE}, 02, [03]{THREE}",
    "**lab 01**": f"**[lab 01]{ONE}**",
    "see lab\n03": f"see [lab\n03]{THREE}",
    "$x$, lab 01, $y$": f"$x$, [lab 01]{ONE}, $y$",
    "a < b in lab 01 > c": f"a < b in [lab 01]{ONE} > c",
}
BARE = [
    "lab 02 is this one", "lab 16 is planned", "a collab 03", "lab 031", "lab 3", "in 03 cases", "`lab 03`",
    "``a ` lab 03``", "```\nlab 03\n```", "~~~python\nlab 03\n~~~\n", "[as lab 03 says](x.ipynb)", "![lab 03](x.png)",
    "[lab 03](03_three.ipynb)", "# After lab 03", "### 2 · lab 03's figure", '<a title="lab 03">',
    "https://x.org/lab%2003",
    "$\\text{lab 03}$",
]  # fmt: skip


@pytest.mark.parametrize(("text", "linked"), LINKED.items())
def test_a_lab_named_in_the_prose_is_a_link(text, linked):
    assert link_labs(text, NOTEBOOKS, "02") == linked


@pytest.mark.parametrize("text", BARE)
def test_code_formulas_headings_links_and_labs_that_are_not_there_stay_as_they_are(text):
    assert link_labs(text, NOTEBOOKS | {"02": "02_two.ipynb"}, "02") == text


def test_the_build_links_text_cells_and_no_code(root):
    write(root, "# %% [markdown]\n# See lab 02, after lab 01.\n\n# %%\nx = 1  # as in lab 02\n")
    write(root, "# %% [markdown]\n# # Two\n", "lab_02_two")
    build(root)
    assert sources(root, "notebooks") == ["See [lab 02](02_two.ipynb), after lab 01.", "x = 1  # as in lab 02"]


def test_the_start_page_lists_every_lab_before_it_is_run(root):
    write(root, LAB)
    write(root, "# %% [markdown]\n# # Lab 02 · Two\n", "lab_02_two")
    build(root)
    text = "\n".join(cell.source for cell in notebook(root, "notebooks", "start").cells)
    assert "[A lab](01_lab.ipynb)" in text
    assert "[Lab 02 · Two](02_two.ipynb)" in text
    assert "[labs 00]" not in text, "a lab that does not exist has no link"
    assert not (root / "solutions" / "start.ipynb").exists()


def test_the_notebooks_of_this_course_are_fresh():
    assert build(ROOT, check=True) == [], "run `modelsec build` and commit the result"
