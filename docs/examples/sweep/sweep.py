#!/usr/bin/env python3
"""A parameter sweep of a regression with XGBoost: `sweep.py run NUMBER FOLDER` learns with one combination of parameters, and writes what came of it
into the folder; `sweep.py report FOLDER` prints a table of all, and draws them into FOLDER/sweep.svg. The report needs nothing but Python.
"""

import itertools
import json
import os
import pathlib
import sys

GRID = {"max_depth": [2, 4, 6], "eta": [0.05, 0.2], "rounds": [20, 60]}
COMBINATIONS = [dict(zip(GRID, values)) for values in itertools.product(*GRID.values())]


def run(number, folder):
    import numpy
    import xgboost

    random = numpy.random.default_rng(1)
    features = random.uniform(0, 1, (5000, 8))
    rings = 8 * features[:, 0] + 6 * numpy.sin(3 * features[:, 1]) + random.normal(0, 0.3, 5000)
    train = xgboost.DMatrix(features[:4000], label=rings[:4000])
    test = xgboost.DMatrix(features[4000:], label=rings[4000:])
    parameters = COMBINATIONS[number]
    settings = {"max_depth": parameters["max_depth"], "eta": parameters["eta"], "nthread": 1}
    learned = {}
    xgboost.train(settings, train, parameters["rounds"], evals=[(test, "test")], evals_result=learned, verbose_eval=False)
    result = {**parameters, "rmse": learned["test"]["rmse"][-1], "node": os.environ.get("NODE", "")}
    # Whole or not at all: a run whose node is lost is begun again.
    whole = pathlib.Path(folder) / f"{number}.json"
    part = whole.with_suffix(f".{os.getpid()}.part")
    part.write_text(json.dumps(result))
    part.replace(whole)


def report(folder):
    folder = pathlib.Path(folder)
    results = sorted((json.loads(file.read_text()) for file in folder.glob("*.json")), key=lambda one: one["rmse"])
    print(f"{'max_depth':>9} {'eta':>5} {'rounds':>6} {'rmse':>7}  node")
    for one in results:
        print(f"{one['max_depth']:>9} {one['eta']:>5} {one['rounds']:>6} {one['rmse']:>7.4f}  {one['node']}")
    print(f"{len(results)} of {len(COMBINATIONS)} runs")
    plot(results, folder / "sweep.svg")


def plot(results, file):
    """A bar for each combination, the best first."""
    most = max((one["rmse"] for one in results), default=1)
    bars = []
    for number, one in enumerate(results):
        top, width = 10 + 22 * number, 400 * one["rmse"] / most
        name = f"depth {one['max_depth']}, eta {one['eta']}, {one['rounds']} rounds"
        bars.append(f'<text x="190" y="{top + 13}" text-anchor="end">{name}</text>')
        bars.append(f'<rect x="200" y="{top}" width="{width:.1f}" height="17" fill="#4878a8"/>')
        bars.append(f'<text x="{205 + width:.1f}" y="{top + 13}">{one["rmse"]:.3f}</text>')
    size = f'width="680" height="{20 + 22 * len(results)}"'
    style = 'font-family="sans-serif" font-size="12"'
    file.write_text(f'<svg xmlns="http://www.w3.org/2000/svg" {size} {style}>\n' + "\n".join(bars) + "\n</svg>\n")


if __name__ == "__main__":
    if sys.argv[1] == "run":
        # Swarm leaves the number of the first run of a job empty where it is asked for as {{.Task.Slot}}.
        run(int(sys.argv[2]) if sys.argv[2].isdigit() else 0, sys.argv[3])
    else:
        report(sys.argv[2])
