"""Time ``import sklearn_open`` against importing what it is built on, in fresh processes.

    python examples/benchmarks/import_time.py --out results/benchmarks/import_time.json

Libraries that only some users need must not be loaded; those that are, are listed.
"""

from __future__ import annotations

import json
import subprocess
import sys

from _common import make_parser, parse, print_race, report, summarize

STATEMENTS = {
    "sklearn_open": "import sklearn_open",
    "its requirements": "import skorch, torchvision, imblearn",
}
OPTIONAL = ("matplotlib", "kornia", "pandas", "timm", "lightning", "datasets")
PROGRAM = """
import json, sys, time
start = time.perf_counter()
{statement}
seconds = time.perf_counter() - start
print(json.dumps([seconds, [name for name in {optional} if name in sys.modules]]))
"""


def timed(statement: str) -> tuple[float, list[str]]:
    """Return the seconds of an import, and which optional libraries it loaded."""
    program = PROGRAM.format(statement=statement, optional=OPTIONAL)
    done = subprocess.run(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, check=True
    )
    seconds, loaded = json.loads(done.stdout)
    return seconds, loaded


def main() -> None:
    """Race in turns; the first turn fills the disk's cache and does not count."""
    args = parse(make_parser(__doc__))
    seconds: dict[str, list[float]] = {name: [] for name in STATEMENTS}
    loaded: dict[str, list[str]] = {}
    for _ in range(args.turns + (not args.quick)):
        for name, statement in STATEMENTS.items():
            time, loaded[name] = timed(statement)
            seconds[name].append(time)
    seconds = {name: times[-args.turns :] for name, times in seconds.items()}
    result = summarize(seconds, dict.fromkeys(seconds, 1), [("sklearn_open", "its requirements")])
    report(args, __file__, [{**result, "optional_libraries_loaded": loaded}])
    print_race("import in a fresh process", result, "imports")
    for name, found in loaded.items():
        print(f"optional libraries that {name} loads: {', '.join(found) or 'none'}")


if __name__ == "__main__":
    main()
