"""The documentation does what it says: its code runs, its figures and its lists are those of the
code.

Every ```python block of README.md, docs/*.md and docs/datasets/*.md is executed as printed. A page
begins with nothing: what a block uses, it or one before it has made. A ```text block that follows
one is what it prints. `<!-- test: skip -->` on the line before a block takes it out. Only the
default of `max_epochs` is lowered, from 200 to 1; a slow test leaves it as it is.
"""

import ast
import builtins
import dataclasses
import importlib
import importlib.util
import inspect
import json
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from sklearn_open import OPeNClassifier, backbones, losses
from sklearn_open.recipes import get_recipe, list_methods, list_recipes

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "docs" / "datasets").glob("*.md")),
]
BLOCK = re.compile(
    r"(?P<skip><!-- test: skip -->\n)?^```python\n(?P<code>.*?)^```\n"
    r"(?:\n```text\n(?P<output>.*?)^```\n)?",
    re.MULTILINE | re.DOTALL,
)


def page_id(page):
    return page.relative_to(ROOT).as_posix()


def run_blocks(page):
    """Yield every block that is to be run and the lines before it, which its own keep free."""
    text = page.read_text()
    for block in BLOCK.finditer(text):
        if not block["skip"]:
            yield block, "\n" * text[: block.start("code")].count("\n")


WITH_CODE = [page for page in PAGES if any(run_blocks(page))]


@pytest.mark.parametrize("page", WITH_CODE, ids=page_id)
def test_code_blocks_run_and_print_what_they_say(page, monkeypatch, capsys):
    monkeypatch.setitem(OPeNClassifier.__init__.__kwdefaults__, "max_epochs", 1)
    names = {}
    for block, before in run_blocks(page):
        exec(compile(before + block["code"], str(page), "exec"), names)
        printed = capsys.readouterr().out
        if block["output"] is not None:
            assert printed == block["output"]


@pytest.mark.slow
@pytest.mark.parametrize("page", WITH_CODE, ids=page_id)
def test_pages_can_be_pasted_into_a_new_interpreter(page, tmp_path):
    blocks = [block for block, _ in run_blocks(page)]
    printed = assert_runs(["-c", "\n".join(block["code"] for block in blocks)], tmp_path)
    for block in blocks:
        assert (block["output"] or "") in printed


def assert_runs(arguments, folder):
    """Run Python in a folder, with warnings as errors, and return what it prints."""
    env = {
        **os.environ,
        "MPLBACKEND": "agg",
        "MPLCONFIGDIR": str(folder),
        "OMP_NUM_THREADS": "1",  # so small a network gains nothing from more
        "PYTHONPATH": str(ROOT),
    }
    command = [sys.executable, "-W", "error", *arguments]
    done = subprocess.run(
        command, cwd=folder, env=env, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def names_in(code):
    """Return the names that some code reads, and those that it makes or imports, at any depth."""
    read, made = set(), set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Name):
            (read if isinstance(node.ctx, ast.Load) else made).add(node.id)
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.ExceptHandler)):
            made.add(node.name)
        elif isinstance(node, ast.arg):
            made.add(node.arg)
        elif isinstance(node, ast.alias):
            made.add((node.asname or node.name).split(".")[0])
    return read, made


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_blocks_that_are_not_run_name_what_they_use(page):
    known = set(vars(builtins))
    for block in BLOCK.finditer(page.read_text()):
        read, made = names_in(block["code"])
        known |= made
        assert read <= known, f"{page_id(page)}: {read - known}"


def test_few_blocks_are_not_run():
    not_run = [
        page_id(page)
        for page in PAGES
        for block in BLOCK.finditer(page.read_text())
        if block["skip"]
    ]
    # Downloads, other people's lists, optional packages and several processes (with tests of their
    # own), and a switch of the whole process.
    assert not_run == [
        *["docs/augmentation.md"] * 2,
        *["docs/coming_from_a_pytorch_loop.md"] * 5,
        "docs/reproducibility.md",
        *["docs/searches.md"] * 3,
        *["docs/several_ranks.md"] * 3,
        *["docs/tabular_to_image.md"] * 3,
        *(
            f"docs/datasets/{name}.md"
            for name in ("celeba5", "cifar100_lt", "cifar10_lt", "imagenet_lt", "places_lt")
        ),
    ]


def test_every_python_block_is_found():
    for page in PAGES:
        assert len(BLOCK.findall(page.read_text())) == page.read_text().count("```python")


def test_what_is_said_to_install_is_there():
    # No index has this package: its extras are for checkouts, as in pip install ".[plot]".
    files = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / ".ci" / "run"]
    for folder in ("sklearn_open", "docs", "examples"):
        files += [f for f in (ROOT / folder).rglob("*") if f.suffix in (".py", ".md", ".rst")]
    for file in files:
        assert not re.search(r"sklearn[-_]open\[|pip install sklearn", file.read_text()), file


# --- figures ---


def load_example(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "examples" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_gradient_figures_come_from_the_result_file():
    record = json.loads((ROOT / "results" / "noise_gradients.json").read_text())
    table = load_example("noise_gradients").table(record)
    page = (ROOT / "docs" / "what_noise_trains.md").read_text()
    assert f"<!-- results/noise_gradients.json -->\n```text\n{table}\n```\n" in page
    assert set(re.findall(r"\d+\.\d{4}", page)) <= set(re.findall(r"\d+\.\d{4}", table))
    arguments = record["arguments"]
    assert f"{arguments['natural']} natural and {arguments['noise']} noise rows" in " ".join(
        page.split()
    )
    assert f"WRN-{arguments['depth']}-{arguments['widen_factor']}" in page


def test_gradient_script_on_a_small_network(tmp_path, capsys):
    path = tmp_path / "new" / "record.json"
    script = load_example("noise_gradients")
    sizes = ["--depth", "10", "--widen-factor", "1", "--natural", "6", "--noise", "3"]
    script.main([*sizes, "--json", str(path)])

    record = json.loads(path.read_text())
    assert capsys.readouterr().out == script.table(record) + "\n"
    for name, norms in record["gradient_norm"].items():
        assert norms["natural rows"] > 0
        assert (norms["noise, head"] > 0) == (name == "linear head")
        assert (norms["noise, all"] > 0) == (name == "linear head" or "conv" in name)


@pytest.mark.slow  # CI runs the script for the gallery
def test_quick_start_runs_from_any_directory(tmp_path):
    printed = assert_runs([str(ROOT / "examples" / "plot_quickstart.py")], tmp_path)
    plain, noisy = re.findall(r"smallest first: \[\s*([\d.]+)", printed)
    assert float(noisy) > float(plain)


def test_the_first_code_of_the_readme_runs_as_it_stands(tmp_path):
    first = BLOCK.search((ROOT / "README.md").read_text())
    out = assert_runs(["-c", first["code"]], tmp_path)
    (printed,) = re.findall(r"^balanced accuracy: ([\d.]+)$", out, re.MULTILINE)
    assert float(printed) > 0.8
    assert os.listdir(tmp_path) == []


# --- lists ---


API_PAGES = runpy.run_path(str(ROOT / "docs" / "api_pages.py"))


@pytest.mark.parametrize("name", API_PAGES["public_modules"]())
def test_public_names_have_docstrings_and_are_on_the_page_of_their_package(name):
    module = importlib.import_module(name)
    page = API_PAGES["page"](name)
    assert module.__doc__
    for public in set(module.__all__) - {"__version__"}:
        value = getattr(module, public)
        if inspect.isclass(value) or inspect.isroutine(value):
            assert inspect.getdoc(value), f"{name}.{public} has no docstring"
        assert re.search(rf":: {name}.{public}$", page, re.MULTILINE)


def test_titles_are_unique():
    titles = [page.read_text().partition("\n")[0] for page in PAGES[1:]]
    assert all(re.match("# [^ ]", title) for title in titles)
    titles += [API_PAGES["page"](name).partition("\n")[0] for name in API_PAGES["public_modules"]()]
    for file in [ROOT / "examples" / "GALLERY_HEADER.rst", *ROOT.glob("examples/plot_*.py")]:
        titles.append("# " + re.search(r"^(\w.*)\n===", file.read_text(), re.MULTILINE)[1])
    titles = [title.lower() for title in titles]
    assert sorted({*titles}) == sorted(titles)


def test_every_page_is_in_the_index_once():
    index = (ROOT / "docs" / "index.md").read_text()
    trees = re.findall(r"```{toctree}\n.*?\n\n(.*?)```", index, re.DOTALL)
    assert len(trees) == 4
    pages = [page for tree in trees for page in tree.split()]
    names = {p.relative_to(ROOT / "docs").with_suffix("").as_posix() for p in PAGES[1:]}
    assert sorted(pages) == sorted({*names, "auto_examples/index"} - {"index"})
    assert set(pages) <= set(re.findall(r"\((\S+?)\.(?:md|rst)\)", index))


def test_the_cifar10_lt_table_is_that_of_the_result_file():
    record = json.loads((ROOT / "results" / "cifar10_lt_wrn16_2.json").read_text())
    page = (ROOT / "docs" / "cifar10_lt.md").read_text()
    assert [result["method"] for result in record["results"]] == ["erm", "drs", "open"]
    for result in record["results"]:
        cells = [result["accuracy"], *result["group_accuracy"]]
        row = f"| {result['method']} | " + " | ".join(f"{100 * cell:.1f}" for cell in cells) + " |"
        assert row in page


def test_performance_figures_are_those_of_the_result_files():
    path = ROOT / "examples" / "benchmarks" / "tables.py"
    tables = runpy.run_path(str(path))["tables"]()
    page = (ROOT / "docs" / "performance.md").read_text()
    shown = [line for line in page.splitlines() if line.startswith("|")]
    assert shown == [line for lines in tables.values() for line in lines]
    for file in path.parents[2].glob("results/benchmarks/*.json"):
        assert f"`results/benchmarks/{file.name}`" in page


def test_figures_of_the_budget_are_those_of_the_result_files():
    path = ROOT / "examples" / "benchmarks" / "budget_tables.py"
    made = runpy.run_path(str(path))["tables"](ROOT / "results" / "budget")
    page = (ROOT / "docs" / "budget.md").read_text()
    shown = [line for line in page.splitlines() if line.startswith("|")]
    assert shown == [line for lines in made.values() for line in lines]


def test_figures_of_scaling_are_made_of_the_result_files():
    path = ROOT / "examples" / "benchmarks" / "scaling_tables.py"
    names = runpy.run_path(str(path))
    page = (ROOT / "docs" / "scaling.md").read_text()
    shown = [line for line in page.splitlines() if line.startswith("|")]
    assert shown == [line for lines in names["tables"]().values() for line in lines]
    for file in ("scaling/traffic", "benchmarks/search"):
        assert f"`results/{file}.json`" in page
    for rate in (*names["PUBLISHED"].values(), *names["LINKS"].values()):
        assert f"{rate:,}" in page


@pytest.fixture
def one_ground(script):
    """Test runs of all methods on one ground, and their validation runs."""
    settings, grounds = script("runs").load(ROOT / "results" / "table_1"), script("grounds")
    narrow = dataclasses.replace(grounds.GROUNDS[grounds.FIRST], scale="fast_narrow")
    setting = grounds.setting_of(narrow, settings)
    return setting, script("overview").twin_of(setting, settings)


def test_the_methods_of_the_readme_are_those_of_the_result_files(script, one_ground):
    """Those that adjust predictions are the networks of others, at the strength of their name."""
    setting, runs = one_ground[0], script("runs")
    adjusted = {"logit_adjusted": ("erm", 1.0), "open_adjusted": ("open", 0.5)}
    rows = re.findall(
        r"^\| `(\w+)` \| .* \| ([\d.± ]+) \| ([\d.± ]+) \|$",
        (ROOT / "README.md").read_text(),
        re.MULTILINE,
    )
    assert len(rows) >= 10
    for name, *shown in rows:
        method, tau = adjusted.get(name, (name.replace("_", "-"), None))
        kind = runs.Kind(method)
        found = setting.runs(kind) if tau is None else setting.adjusted_runs(kind, tau)
        columns = (runs.OVERALL, runs.SMALLEST)
        assert shown == [runs.mean_and_error(found, column) for column in columns], name
    corrected = setting.adjusted_runs(runs.Kind("drs"), 0.25)
    overall, smallest = (runs.mean_and_error(corrected, column) for column in columns)
    text = " ".join((ROOT / "README.md").read_text().split())
    assert f"`drs` by a weak correction has {overall} and {smallest}" in text


def test_what_the_readme_says_of_a_comparison_is_in_its_results():
    results = json.loads((ROOT / "results" / "comparisons" / "cifar10_2000.json").read_text())
    readme = (ROOT / "README.md").read_text()
    for sentence in results["sentences"][:5]:
        assert f"{sentence}\n" in readme


def test_every_method_and_loss_is_on_the_page_of_methods():
    page = (ROOT / "docs" / "methods.md").read_text()
    for name in list_methods():
        assert f"| `{name}` |" in page
    for name in losses.__all__:
        assert name in page or name in ("EpochFacts", "ShiftedLogitsLoss")


def test_tables_of_the_reproduction_are_those_of_the_result_files(monkeypatch):
    folder = ROOT / "examples" / "reproduction"
    monkeypatch.syspath_prepend(str(folder))
    tables = runpy.run_path(str(folder / "table.py"))["tables"]
    page = (ROOT / "docs" / "reproduction.md").read_text()
    settings = sys.modules["runs"].load(ROOT / "results" / "reproduction")
    for name in ("runs", "published", "experiments"):
        monkeypatch.delitem(sys.modules, name)
    results = page.partition("## Table 1")[2]
    shown = [line for line in results.splitlines() if line.startswith("|")]
    made = [lines for setting in settings for lines in tables(setting).values()]
    assert made
    assert sorted(shown) == sorted(line for lines in made for line in lines)
    for lines in made:
        assert "\n".join(lines) in page
    pictures = {path.name for path in (ROOT / "docs" / "reproduction").glob("*.png")}
    assert pictures == set(re.findall(r"\(reproduction/(\S+\.png)\)", page))


@pytest.mark.parametrize(
    ("page", "folder", "scale"),
    [
        ("noise_against_losses.md", "fast", "fast"),
        ("methods_compared.md", "table_1", "fast_narrow"),
    ],
)
def test_tables_of_the_field_are_those_of_the_result_files(script, page, folder, scale):
    """All methods, other grounds, what networks learn; and other sets, on the first page."""
    text = (ROOT / "docs" / page).read_text()
    settings, grounds = script("runs").load(ROOT / "results" / folder), script("grounds")
    first = dataclasses.replace(grounds.GROUNDS[grounds.FIRST], scale=scale)
    setting = grounds.setting_of(first, settings)
    validation = script("overview").twin_of(setting, settings)
    made = [script("table").tables(setting, validation)["The field"]]
    made.append(grounds.grounds(ROOT / "results" / folder, scale))
    study = script("study_tables")
    results = study.load(ROOT / "results" / "study")
    made += study.tables(results[f"{scale}_cifar10_lt_ir100"]).values()
    others = {one.data: one for one in settings if one.scale == scale and not one.validation}
    if "cifar10_lt_ir50" in others:
        made.append(script("table").tables(others["cifar10_lt_ir50"])["Methods"])
    if scale == "fast":
        sets = script("other_sets").tables(ROOT / "results" / "other_sets", None)
        blocks = [block.splitlines() for block in "\n".join(sets).split("\n\n")]
        made += [lines for lines in blocks if lines[0].startswith("|")]
    for lines in made:
        assert "\n".join(lines) in text
    shown = [line for line in text.splitlines() if line.startswith("|")]
    assert len(shown) == sum(map(len, made))


def test_the_first_table_of_the_reproduction_is_that_of_the_result_files(script, one_ground):
    """And so is that of the paper's methods on one ground; the other pages say the same."""
    page = (ROOT / "docs" / "reproduction.md").read_text()
    grounds, tables = script("grounds"), script("table").tables
    settings = script("runs").load(ROOT / "results" / "fast")
    assert "\n".join(tables(one_ground[0])["Table 1"]) in page
    lines = script("summary").summary()
    assert "\n".join(lines) in page
    fast = (ROOT / "docs" / "fast_recipe.md").read_text()
    longer = grounds.setting_of(grounds.GROUNDS["62 epochs"], settings)
    twin = script("overview").twin_of(longer, settings)
    assert "\n".join(tables(longer, twin)["The field"]) in fast
    readme = " ".join((ROOT / "README.md").read_text().split())
    cells = {line.split(" | ")[0].strip("| "): line.split(" | ")[2:] for line in lines}
    for name in ("OPeN, fast recipe", "the same, part of the prior divided out (tau 0.5)"):
        overall, smallest = (cell.strip(" |") for cell in cells[name])
        assert f"| {overall} | {smallest} |" in fast
        assert overall in readme
        assert smallest in readme


def test_the_table_of_trials_is_that_of_the_result_files(script):
    page = (ROOT / "docs" / "fast_recipe.md").read_text()
    assert "\n".join(script("trials").table(ROOT / "results" / "trials")) in page


def test_the_table_of_recipes_is_that_of_the_code():
    shown = ["cifar10_lt_ir100", "celeba5", "imagenet_lt", "places_lt"]
    found = [get_recipe(name) for name in shown]
    for name in ("cifar10_lt_ir50", "cifar100_lt_ir100", "cifar100_lt_ir50"):
        assert get_recipe(name).parameters == found[0].parameters
    lines = []
    for parameter in dict.fromkeys(name for recipe in found for name in recipe.parameters):
        cells = [r.shown(parameter) if parameter in r.parameters else "" for r in found]
        lines.append("| " + " | ".join([f"`{parameter}`", *cells]) + " |")
    page = (ROOT / "docs" / "recipes.md").read_text()
    assert page.partition("<!-- recipes -->\n")[2].split("\n\n")[0].splitlines()[2:] == lines
    for name in list_recipes():
        assert name.removesuffix("_aa") in page


def test_sizes_of_backbones_are_those_of_the_code():
    page = (ROOT / "docs" / "backbones.md").read_text()
    rows = re.findall(r"^\| `(\w+)`, (\d+) classes \| ([\d,]+) \|", page, re.MULTILINE)
    assert len(rows) == 4
    for name, n_classes, size in rows:
        with torch.device("meta"):
            network = getattr(backbones, name)(num_classes=int(n_classes))
        assert f"{sum(p.numel() for p in network.parameters()):,}" == size
