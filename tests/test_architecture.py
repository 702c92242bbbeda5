"""The house: which room may import which. Read from the source, so that a lazy import counts too."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import modelsec_course

PACKAGE = Path(modelsec_course.__file__).parent
FLOORS = (  # from the top: a room may import from the floors below its own
    {"__main__"},
    {"app"},
    {"build", "labs"},
    {"lab", "zoo"},
    {
        *("encryption", "evasion", "extraction", "federated", "inversion", "membership"),
        *("poisoning", "privacy", "robustness", "serving"),
    },
    {"ensembles", "training"},
    {"data", "models"},
    {"files", "runtime", "statistics"},
    {"validation"},
)
TOPICS = FLOORS[4]
ENGINE_MAY = {"files", "runtime", "statistics", "validation"}  # it knows no topic, no lab and no data
FLOOR = {room: number for number, floor in enumerate(FLOORS) for room in floor}


def room_of(path):
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def modules(path):
    """The modules of the course that a file imports, by their full name, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: an import with dots hides where it goes"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imports(path):
    """The rooms that a file imports, other than its own."""
    found = {name.split(".")[1] for name in modules(path) if name.startswith("modelsec_course.")}
    return found - {room_of(path), "__version__"}


SOURCES = [path for path in sorted(PACKAGE.rglob("*.py")) if path != PACKAGE / "__init__.py"]


def test_arrows_run_down():
    upward = []
    for path in SOURCES:
        may = TOPICS if room_of(path) in TOPICS else set()
        may = may | ({"app"} if path.name == "notebook.py" else set())  # run by a person: it may call the doctor
        for other in imports(path) - may:
            if FLOOR[other] <= FLOOR[room_of(path)]:
                upward.append(f"{path.relative_to(PACKAGE)} imports {other}")
    assert upward == []


def test_topics_import_each_other_in_one_direction_only():
    graph = {room: set() for room in TOPICS}
    for path in SOURCES:
        if room_of(path) in TOPICS:
            graph[room_of(path)] |= imports(path) & TOPICS
    list(TopologicalSorter(graph).static_order())  # raises CycleError


def test_the_engine_knows_no_topic_and_no_lab():
    for path in (PACKAGE / "lab").rglob("*.py"):
        assert imports(path) <= ENGINE_MAY, path


def test_a_lab_imports_no_other_lab():
    for path in (PACKAGE / "labs").glob("lab_*/**/*.py"):
        room = path.relative_to(PACKAGE).parts[1]
        others = {name.split(".")[2] for name in modules(path) if name.startswith("modelsec_course.labs.")}
        assert others <= {room, "common"}, path


def test_no_name_hides_a_module():
    hidden = []
    for init in PACKAGE.rglob("__init__.py"):
        package = ".".join(init.relative_to(PACKAGE.parent).parts[:-1])
        parts = {path.stem for path in init.parent.glob("*.py")} | {
            path.parent.name for path in init.parent.glob("*/*.py")
        }
        for node in ast.walk(ast.parse(init.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module != package:  # from the package itself come modules
                hidden += [f"{package}.{name}" for alias in node.names if (name := alias.asname or alias.name) in parts]
    assert hidden == []


def test_no_folder_holds_more_than_a_third_of_the_package():
    lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in PACKAGE.rglob("*.py")}
    rooms = {}
    for path, count in lines.items():
        parts = path.relative_to(PACKAGE).parts[:-1]
        room = parts[:2] if parts[:1] == ("labs",) else parts[:1]  # labs/ is a corridor: its rooms count
        rooms[room] = rooms.get(room, 0) + count
    assert max(rooms.values()) <= sum(lines.values()) / 3, rooms


def test_files_are_short_enough_to_read():
    lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in SOURCES}
    assert [path for path, count in lines.items() if count > 250 and path.name != "notebook.py"] == []


def private(name):
    return name.startswith("_") and not name.startswith("__")


def test_private_names_stay_in_their_module():
    crossing = []
    for path in SOURCES:
        nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
        known = {}  # what is imported from the course, by the name it has here
        for node in nodes:
            if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] == PACKAGE.name:
                known |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
        used = [node for node in nodes if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)]
        names = [name for name in known.values() if private(name.split(".")[-1])]
        names += [f"{known[use.value.id]}.{use.attr}" for use in used if use.value.id in known and private(use.attr)]
        crossing += [f"{path.relative_to(PACKAGE)} uses {name}" for name in names]
    assert crossing == []
