"""The house: imports point down, files are short, tests stand where their subjects do."""

import ast
import importlib
import inspect
import re
from pathlib import Path

from skorch import NeuralNetClassifier

from sklearn_open import OPeNClassifier

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "sklearn_open"
FILES = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts): path
    for path in PACKAGE.rglob("*.py")
}


def parsed(name):
    return ast.parse(FILES[name].read_text())


# --- the list of modules in docs/design.md ---


def listed():
    """Names and descriptions of the list, in its order; "package.__init__" for a package."""
    page = (ROOT / "docs" / "design.md").read_text()
    block = re.search(r"<!-- import list -->\n```text\n(.*?)```", page, re.DOTALL)[1]
    rows, package = [], None
    for line in block.splitlines():
        name, description = line.split(maxsplit=1)
        if line.startswith("  "):
            name = f"{package}.{name}"
        elif (PACKAGE / name).is_dir():
            package, name = name, f"{name}.__init__"
        rows.append((name, description))
    return rows


LIST = dict(listed())
# A package's public names are above its modules, but for one that looks them up.
ABOVE_THEIR_PACKAGE = {"backbones._names": {"backbones.__init__"}}


def imported(name):
    """Yield the package's own modules that a module imports, anywhere in its code."""
    for node in ast.walk(parsed(name)):
        found = []
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name} imports relatively"
            found = [(node.module or "", alias.name) for alias in node.names]
        elif isinstance(node, ast.Import):
            found = [(alias.name, "") for alias in node.names]
        for module, what in found:
            if module.split(".")[0] == "sklearn_open":
                inside = module.removeprefix("sklearn_open").removeprefix(".")
                known = (f"{inside}.{what}", what, inside, f"{inside}.__init__", "__init__")
                yield next(one for one in known if one in FILES)


def test_nothing_is_imported_by_its_name_as_text():
    """Such imports would go past the list."""
    for name in FILES:
        for node in ast.walk(parsed(name)):
            called = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
            assert called not in ("__import__", "exec", "eval"), name
            assert called.rpartition(".")[2] != "import_module", name
            if isinstance(node, ast.Subscript) and ast.unparse(node.value) == "sys.modules":
                raise AssertionError(f"{name} looks into sys.modules")


def test_the_list_names_every_module_once():
    assert sorted(name for name, _ in listed()) == sorted(FILES)


def test_the_list_says_what_the_modules_say():
    said = {name: ast.get_docstring(parsed(name)).partition("\n")[0] for name in LIST}
    assert {name: sentence.removesuffix(".") for name, sentence in said.items()} == LIST


def test_imports_point_down():
    order = {name: place for place, name in enumerate(LIST)}
    for name in FILES:
        upwards = {other for other in imported(name) if order[other] <= order[name]}
        assert not upwards - ABOVE_THEIR_PACKAGE.get(name, set()), name


# --- sizes ---


def lines_of(path):
    return path.read_text().count("\n")


def without_docstrings(name):
    lines = set(range(1, lines_of(FILES[name]) + 1))
    for node in ast.walk(parsed(name)):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(
            node
        ):
            lines -= set(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    return len(lines)


def test_few_modules_stand_outside_of_packages():
    assert len(list(PACKAGE.glob("*.py"))) <= 14


def test_modules_are_short():
    for name, path in FILES.items():
        assert lines_of(path) <= (600 if name == "classifier" else 450), name


def test_the_classifier_is_a_table_of_contents():
    assert without_docstrings("classifier") <= 250


def test_functions_are_short():
    for name in FILES:
        for node in ast.walk(parsed(name)):
            is_function = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
            if is_function and node.name != "__init__":
                body = node.body[1:] if ast.get_docstring(node) else node.body
                length = body[-1].end_lineno - body[0].lineno + 1 if body else 0
                assert length <= 50, f"{name}.{node.name} has {length} lines"


# --- doors ---

# What other libraries have no public name for.
OF_OTHERS = {
    *("_buffers", "_dynamo", "_fields", "_getframe", "_modules", "_non_persistent_buffers_set"),
    *("_is_avx512_bf16_supported", "_Loss", "_parameter_constraints"),
    *("_get_default_store", "_iterator", "_parameters", "_shutdown_workers"),
}


def test_nobody_reaches_into_another_s_privates():
    for name in FILES:
        for node in ast.walk(parsed(name)):
            if isinstance(node, ast.Attribute) and re.match(r"_[A-Za-z]", node.attr):
                owner = ast.unparse(node.value)
                own = owner in ("self", "cls") or owner.startswith("super(")
                assert own or node.attr in OF_OTHERS, f"{name}: {owner}.{node.attr}"


def test_only_the_door_asks_for_data_sets():
    for name in FILES:
        if name.partition(".")[0] != "_inputs":
            assert "_inputs.items" not in set(imported(name)), name
            assert "is_dataset" not in FILES[name].read_text(), name


def test_only_noise_asks_what_kind_of_a_family_it_is():
    for name in FILES:
        if name.partition(".")[0] != "noise":
            assert not re.search(r"isinstance\(.*Noise(Family)?\b", FILES[name].read_text()), name


def test_warnings_find_their_line_by_themselves():
    for name, path in FILES.items():
        assert "stacklevel" not in path.read_text(), name
        if name != "_warnings":
            assert not re.search(r"warnings\.warn\b|import warn\b", path.read_text()), name


# --- tests mirror the tree ---

TESTS = ROOT / "tests"
# Folders of tests for more than a module.
OF_THE_WHOLE = ("contracts", "docs", "examples")
# Modules whose tests are those of another: what they hold is reached through it only.
WITH_ANOTHER = {
    "__main__": "test_demo",
    "_checks": "contracts/test_parameters",
    "_version": "contracts/test_structure",
    "_locks": "_training/test_allocator",
    "_protocols": "contracts/test_structure",
    "exceptions": "classifier/test_fit",
    "_parameters.checks": "classifier/test_fit",
    "_parameters.settings": "classifier/test_fit",
    "_parameters.table": "contracts/test_parameters",
    "_persistence.facts": "_persistence/test_file",
    "_persistence.fingerprint": "_persistence/test_checkpoints",
    "_persistence.state": "_persistence/test_checkpoints",
    "_training.groups": "classifier/test_get_params_for_optimizer",
    "_training.building": "classifier/test_initialize_module",
    "_training.net": "contracts/test_meta_estimators",
    "_training.run": "classifier/test_fit_loop",
    "_training.training_set": "classifier/test_fit",
    "augment._draws": "augment/test_presets",
    "batching._dataset": "batching/test_batches",
    "decoupling._checks": "decoupling/test_decoupled",
    "datasets._describe": "datasets/test_long_tailed",
    "datasets._from_lists": "datasets/test_imagenet_lt",
    "inspection._base": "inspection/test_inspection",
    "nn._aux_groups": "_training/test_step",
    "nn._outputs": "classifier/test_initialize_module",
    "nn._unrouted": "nn/test_convert",
    "nn._routed": "contracts/test_norms",
    "over_sampling._base": "contracts/test_samplers",
}


def subjects(path):
    """Return what a test file may be about, by its place and name."""
    folder, name = path.parent.relative_to(TESTS).as_posix(), path.stem.removeprefix("test_")
    before = "" if folder == "." else f"{folder}."
    return {f"{before}{name}", f"{before}_{name}", f"{name}.__init__"} & FILES.keys()


def test_files_of_tests_have_a_subject():
    for path in TESTS.rglob("test_*.py"):
        folder = path.relative_to(TESTS).parts[0]
        if folder == "classifier":
            assert hasattr(OPeNClassifier, path.stem.removeprefix("test_")), path
        elif folder not in OF_THE_WHOLE:
            assert subjects(path), f"{path} is about no module of this place"


def test_modules_have_tests():
    found = set().union(*(subjects(path) for path in TESTS.rglob("test_*.py")))
    modules = {name for name in FILES if not name.endswith("__init__")} - {"classifier"}
    assert modules - found == WITH_ANOTHER.keys()
    for name, other in WITH_ANOTHER.items():
        assert name in FILES
        assert (TESTS / f"{other}.py").exists()


# --- what is overridden of skorch ---


def test_overrides_are_listed_with_reasons():
    page = (ROOT / "docs" / "design.md").read_text()
    table = page.partition("## What is overridden of skorch")[2].partition("## ")[0]
    listed = set(re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (`.*?) \|", table, re.MULTILINE))))
    of_python = {"__init__", "__module__", "__doc__", "__annotations__", "__abstractmethods__"}
    ours = [cls for cls in OPeNClassifier.__mro__ if cls.__module__.startswith("sklearn_open")]
    overridden = {name for cls in ours for name in vars(cls) if hasattr(NeuralNetClassifier, name)}
    made = {name for name in overridden if name.endswith("_request") or "_static_" in name}
    assert listed == overridden - of_python - made - {"__firstlineno__", "_abc_impl"}


# --- docs/extending.md ---


def test_files_that_say_where_new_things_go_are_there():
    page = (ROOT / "docs" / "extending.md").read_text()
    rows = [line for line in page.splitlines() if line.startswith("| ")][1:]
    assert len(rows) == 13
    for row in rows:
        new, where, _, known, tested = row.strip("| ").split(" | ")
        for file in re.findall(r"`([\w/]+\.py)`", f"{where} {known}"):
            assert (PACKAGE / file).exists(), f"{new}: {file}"
        folder = TESTS / "contracts"
        for file in re.findall(r"`([\w/]+\.py)`", tested):
            path = ROOT / file if "/" in file else folder / file
            assert path.exists(), f"{new}: {file}"
        for registry in re.findall(r"`([A-Z]+)`", known):
            files = re.findall(r"`([\w/]+\.py)`", f"{known} {where}")
            assert any(f"{registry}" in (PACKAGE / f).read_text() for f in files), registry


# --- public names ---


def test_public_names_are_found_in_their_packages():
    for name in FILES:
        if name.endswith(".__init__") and not name.startswith("_"):
            module = importlib.import_module(f"sklearn_open.{name.removesuffix('.__init__')}")
            for public in module.__all__:
                value = getattr(module, public)
                if inspect.isclass(value) or inspect.isfunction(value):
                    # Or in the private package of that name, for what the classifier needs of it.
                    home = value.__module__.replace("sklearn_open._", "sklearn_open.")
                    assert home.startswith(module.__name__), f"{public} is defined in {home}"
