"""The data, the model and the checks that the scripts of all SDKs share.

Rows like the abalone data's (rings from measurements), from a fixed seed: the label first, features after it.
"""

import json
import math
import pathlib
import subprocess
import tarfile
import tempfile
import urllib.error
import urllib.request

import numpy
import xgboost

# The noise of the data has a standard deviation of 0.3; a model that learned nothing has an error above 3.
BOUND = 0.8


def rows(count, seed):
    random = numpy.random.default_rng(seed)
    features = random.uniform(0, 1, (count, 8))
    rings = 8 * features[:, 0] + 6 * numpy.sin(3 * features[:, 1]) + 5 * features[:, 2] * features[:, 3]
    return numpy.column_stack([rings + random.normal(0, 0.3, count), features])


def write(folder):
    (folder / "train").mkdir()
    numpy.savetxt(folder / "train/data.csv", rows(4000, 1), "%.6f", ",")
    test = rows(400, 2)
    numpy.savetxt(folder / "test.csv", test, "%.6f", ",")
    numpy.savetxt(folder / "features.csv", test[:, 1:], "%.6f", ",")
    (folder / "test").mkdir()
    numpy.savetxt(folder / "test/data.csv", test, "%.6f", ",")


def read(path):
    data = numpy.loadtxt(path, delimiter=",")
    return data[:, 0], data[:, 1:]


def load(archive):
    """The model in a `model.tar.gz`."""
    with tempfile.TemporaryDirectory() as folder, tarfile.open(archive) as tar:
        tar.extractall(folder)
        return xgboost.Booster(model_file=next(pathlib.Path(folder).rglob("model.json")))


def error(model, path):
    """The root of the mean squared error."""
    labels, features = read(path)
    return math.sqrt(numpy.mean((model.predict(xgboost.DMatrix(features)) - labels) ** 2))


def same(answered, model, features):
    """What an endpoint answered is what the model says."""
    expected = model.predict(xgboost.DMatrix(features))
    numpy.testing.assert_allclose(numpy.array(answered, dtype=float), expected, atol=1e-3)


def docker_host():
    """The host's name, as the current Docker context has it."""
    context = json.loads(subprocess.check_output(["docker", "context", "inspect"]))
    return context[0]["Endpoints"]["docker"]["Host"].removeprefix("tcp://").rpartition(":")[0]


def nothing_listens():
    try:
        urllib.request.urlopen(f"http://{docker_host()}:8080/ping", timeout=5)
    except (urllib.error.URLError, OSError):
        return
    raise AssertionError("an endpoint that was deleted still answers")


def halved(s3, bucket, path):
    """A processing job left the two halves of a file in the bucket."""
    keys = [found["Key"] for found in s3.list_objects_v2(Bucket=bucket, Prefix="processed").get("Contents", [])]
    assert sorted(key.rpartition("/")[2] for key in keys) == ["first.csv", "second.csv"], keys
    halves = [s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key in sorted(keys)]
    assert b"".join(halves) == path.read_bytes()
