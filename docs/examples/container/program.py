#!/usr/bin/env python3
"""A SageMaker container that learns a regression with XGBoost: by the names `train` and `serve` (SageMaker developer guide, "Use your own
training algorithms" and "Use your own inference code"), and as `program process`, which splits the rows of a file in two.
"""

import http.server
import json
import pathlib
import signal
import sys

import numpy
import xgboost

ML = pathlib.Path("/opt/ml")
MODEL = ML / "model" / "model.json"


def rows(text):
    return numpy.array([[float(cell) for cell in line.split(",")] for line in text.splitlines() if line.strip()], ndmin=2)


def train():
    parameters = json.loads((ML / "input/config/hyperparameters.json").read_text())
    rounds = int(parameters.get("rounds", 60))
    data = numpy.concatenate([rows(file.read_text()) for file in sorted((ML / "input/data/train").glob("*.csv"))])
    matrix = xgboost.DMatrix(data[:, 1:], label=data[:, 0])
    settings = {"max_depth": 5, "eta": 0.2, "objective": "reg:squarederror", "nthread": 2}
    learned = {}
    booster = xgboost.train(settings, matrix, rounds, [(matrix, "train")], evals_result=learned, verbose_eval=20)
    MODEL.parent.mkdir(parents=True, exist_ok=True)
    booster.save_model(MODEL)
    print(f"train-rmse: {learned['train']['rmse'][-1]:.4f}", flush=True)


class Endpoint(http.server.BaseHTTPRequestHandler):
    booster = None

    def do_GET(self):
        self.answer(200 if self.path == "/ping" else 404, b"")

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        predictions = self.booster.predict(xgboost.DMatrix(rows(body)))
        self.answer(200, "".join(f"{value:.6f}\n" for value in predictions).encode())

    def answer(self, code, body):
        self.send_response(code)
        self.send_header("Content-Type", "text/csv")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def serve():
    Endpoint.booster = xgboost.Booster(model_file=MODEL)
    http.server.ThreadingHTTPServer(("0.0.0.0", 8080), Endpoint).serve_forever()


def process():
    lines = (ML / "processing/input/data.csv").read_text().splitlines()
    half = len(lines) // 2
    for name, part in [("first.csv", lines[:half]), ("second.csv", lines[half:])]:
        (ML / "processing/output" / name).write_text("\n".join(part) + "\n")


if __name__ == "__main__":
    # The first process of a container ends at a signal only if it says so.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    name = pathlib.Path(sys.argv[0]).name
    {"train": train, "serve": serve, "process": process}[sys.argv[1] if name == "program" else name]()
