"""The data, the model and the checks that the scripts of all SDKs share.

Rows like the abalone data's (rings from measurements), from a fixed seed: the label first, features after it.
"""

import contextlib
import json
import math
import pathlib
import subprocess
import tarfile
import tempfile
import time
import urllib.error
import urllib.request

import boto3
import numpy
import xgboost

# Whenever the SDKs look into their configuration they check the schema of it as well, which is theirs: most of what they compute.
with contextlib.suppress(ModuleNotFoundError):
    import jsonschema

    jsonschema.Draft202012Validator.check_schema = lambda schema: None

# The noise of the data has a standard deviation of 0.3; a model that learned nothing has an error above 3.
BOUND = 0.8


class Lab:
    """A local session over a bucket of its own, and the time that each step takes."""

    def __init__(self, local_session, folder):
        boto_session = boto3.Session(region_name="eu-west-1")
        # What a processing job reads and writes goes through S3, even in Local Mode.
        self.s3, self.bucket, self.seconds = boto_session.client("s3"), folder.name, {}
        location = {"LocationConstraint": "eu-west-1"}
        self.s3.create_bucket(Bucket=self.bucket, CreateBucketConfiguration=location)
        self.session = local_session(boto_session)
        # Its name by default is made of the account's number, for which the SDK asks AWS STS at an address of its own.
        self.session._default_bucket = self.bucket

    def took(self, step, began):
        self.seconds[step] = round(time.monotonic() - began, 1)
        print(f"== {step}: {self.seconds[step]} s", flush=True)

    def halved(self, path):
        """A processing job left the two halves of a file in the bucket."""
        listed = self.s3.list_objects_v2(Bucket=self.bucket, Prefix="processed")
        keys = sorted(found["Key"] for found in listed.get("Contents", []))
        assert [key.rpartition("/")[2] for key in keys] == ["first.csv", "second.csv"], keys
        halves = [self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read() for key in keys]
        assert b"".join(halves) == path.read_bytes()


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
    """The host's name, as the current Docker context has it; this machine's, where that is a socket."""
    context = json.loads(subprocess.check_output(["docker", "context", "inspect"]))
    endpoint = context[0]["Endpoints"]["docker"]["Host"]
    return "localhost" if endpoint.startswith("unix:") else endpoint.removeprefix("tcp://").rpartition(":")[0]


def nothing_listens():
    try:
        urllib.request.urlopen(f"http://{docker_host()}:8080/ping", timeout=5)
    except (urllib.error.URLError, OSError):
        return
    raise AssertionError("an endpoint that was deleted still answers")
