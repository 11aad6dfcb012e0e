"""Tables as images: both examples search delta in one pipeline; the page has their figures."""

import importlib.util
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "tabular_to_image.md"
NAMES = {"deepinsight": "pyDeepInsight", "tinto": "TINTOlib"}
SIZES = {"deepinsight": (8, 8), "tinto": (16, 16)}


sys.path.append(str(ROOT / "examples"))  # where a script finds the module that both share
import tabular_comparison as comparison  # noqa: E402


def load_example(name):
    pytest.importorskip(
        NAMES[name],
        reason=f"needs {NAMES[name]}: pip install '.[tabular]'",
        exc_type=ImportError,
    )
    path = ROOT / "examples" / f"tabular_to_image_{name}.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(params=NAMES)
def name(request):
    return request.param


@pytest.fixture
def example(name):
    return load_example(name)


def test_images_hold_the_table(example, name):
    X, y = comparison.load()
    pipeline = example.make_pipeline()
    images = pipeline[:-1].fit_transform(X[:100], y[:100])
    assert images.shape == (100, *SIZES[name])
    assert images.min() >= 0
    assert images.max() <= 1
    assert np.any(images[0] != images[1])
    # a row's image does not depend on the rows beside it
    np.testing.assert_array_equal(pipeline[:-1].transform(X[7:9]), images[7:9])
    assert clone(pipeline).get_params()["image__pixels"] == SIZES[name][0]


def test_deepinsight_gives_every_column_a_pixel():
    example = load_example("deepinsight")
    X, _ = comparison.load()
    image = example.DeepInsight()
    table = example.make_pipeline()[0].fit_transform(X)
    images = image.fit_transform(table)
    np.testing.assert_array_equal(image.transformer_.inverse_transform(images), table)


def test_tinto_leaves_no_files(tmp_path, monkeypatch):
    example = load_example("tinto")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    X, _ = comparison.load()
    assert example.TintoImages().fit(X[:9]).transform(X[:3]).shape == (3, 16, 16)
    assert not list(tmp_path.iterdir())


def test_search_over_delta(example):
    X, y = comparison.load()
    folds = comparison.imbalanced_folds(X, y)
    assert sorted(np.concatenate([test for _, test in folds])) == list(range(len(X)))
    train, test = folds[0]
    assert np.count_nonzero(y[train] == "malignant") == comparison.N_MALIGNANT
    assert not np.intersect1d(train, test).size

    few, many = (train[y[train] == label] for label in ("malignant", "benign"))
    train = np.concatenate([many[: 4 * len(few)], few])  # drawing takes time
    deltas = (0, 1 / 2)
    search = comparison.make_search(example.make_pipeline(epochs=4), deltas).fit(X[train], y[train])
    assert search.cv_results_["param_clf__delta"].tolist() == list(deltas)
    y_pred = search.predict(X[test])
    assert y_pred.shape == test.shape
    assert set(y_pred) <= {"benign", "malignant"}
    assert search.predict_proba(X[test]).shape == (len(test), 2)

    noisy = clone(search.estimator).set_params(clf__delta=1 / 2).fit(X[train], y[train])
    clf = noisy["clf"]
    assert not clf.epoch_plan(1).is_noise.any()
    plan = clf.epoch_plan(3)
    assert set(y[train][plan.index[plan.is_noise]]) == {"malignant"}
    # Eq. 1: rho is 1/4, delta 1/2, and one class of two gets noise
    assert plan.noise_share == pytest.approx((1 - 1 / 4) / 2 / 2, abs=0.05)
    without = clone(noisy).set_params(clf__delta=0).fit(X[train], y[train])
    assert np.any(without.predict_proba(X[test]) != noisy.predict_proba(X[test]))


@pytest.mark.slow
def test_script_writes_what_it_prints(example, tmp_path, capsys):
    path = tmp_path / "new" / "record.json"
    example.main(["--epochs", "2", "--folds", "2", "--json", str(path)])
    record = json.loads(path.read_text())
    assert capsys.readouterr().out == comparison.table(record) + "\n"
    assert record["deltas"] == list(comparison.DELTAS)
    assert np.shape(record["inner_balanced_accuracy"]) == (2, len(comparison.DELTAS))


def test_page_has_the_figures_of_the_result_file(name):
    path = f"results/tabular_{name}.json"
    record = json.loads((ROOT / path).read_text())
    assert f"<!-- {path} -->\n```text\n{comparison.table(record)}\n```\n" in PAGE.read_text()
    inner = np.mean(record["inner_balanced_accuracy"], axis=0)
    row = f"| {NAMES[name]} | " + " | ".join(f"{100 * score:.1f}" for score in inner) + " |"
    assert row in PAGE.read_text()


def test_code_of_the_page_runs_and_prints_what_it_says(capsys):
    # tests/docs/test_docs.py leaves these blocks out, because the packages are optional.
    for name in NAMES:
        load_example(name)
    block = r"^```python\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?"
    names = {}
    for code, output in re.findall(block, PAGE.read_text(), re.MULTILINE | re.DOTALL):
        exec(compile(code, str(PAGE), "exec"), names)
        printed = capsys.readouterr().out
        if output:
            assert printed == output
