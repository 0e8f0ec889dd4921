"""The whole of Local Mode with the SageMaker Python SDK 2.x: train, serve, predict, train while serving, process, transform.

    v2.py IMAGE FOLDER

AWS_ENDPOINT_URL serves S3. FOLDER is on storage that the Docker host sees. Prints one JSON document with what was measured; fails where something is not as it
should be. Data and model are in `regression.py`.
"""

import json
import pathlib
import sys
import time
import urllib.request

import boto3
import sagemaker
from sagemaker.deserializers import CSVDeserializer
from sagemaker.estimator import Estimator
from sagemaker.local import LocalSession
from sagemaker.processing import ProcessingInput, ProcessingOutput, Processor
from sagemaker.serializers import CSVSerializer

import regression

image, folder = sys.argv[1], pathlib.Path(sys.argv[2])
ROLE = "arn:aws:iam::123456789012:role/studio"
boto_session = boto3.Session(region_name="eu-west-1")
# What a processing job reads and writes goes through S3, even in Local Mode.
s3 = boto_session.client("s3")
bucket = folder.name
s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
session = LocalSession(boto_session)
# Its name by default is made of the account's number, for which the SDK asks AWS STS at an address of its own.
session._default_bucket = bucket
steps = {}


def step(name, began):
    steps[name] = round(time.monotonic() - began, 1)
    print(f"== {name}: {steps[name]} s", flush=True)


def trained(name):
    began = time.monotonic()
    output = folder / name
    output.mkdir()
    estimator = Estimator(
        image,
        ROLE,
        instance_count=1,
        instance_type="local",
        output_path=f"file://{output}",
        hyperparameters={"rounds": 60},
        sagemaker_session=session,
    )
    estimator.fit({"train": f"file://{folder}/train"}, job_name=f"job-{name}")
    archives = list(output.rglob("model.tar.gz"))
    assert len(archives) == 1, archives
    step(name, began)
    return estimator, regression.load(archives[0])


regression.write(folder)
estimator, model = trained("first")
error = regression.error(model, folder / "test.csv")
assert error < regression.BOUND, error

began = time.monotonic()
predictor = estimator.deploy(
    initial_instance_count=1,
    instance_type="local",
    endpoint_name="regression",
    serializer=CSVSerializer(),
    deserializer=CSVDeserializer(),
)
step("deploy", began)
_, features = regression.read(folder / "test.csv")
for rows in (features[:1], features[1:40]):
    regression.same([row[0] for row in predictor.predict(rows.tolist())], model, rows)
with urllib.request.urlopen(f"http://{regression.docker_host()}:8080/ping", timeout=10) as answer:
    assert answer.status == 200

# Training goes on beside an endpoint, which goes on beside training.
for name in ("second", "third"):
    trained(name)
    regression.same([row[0] for row in predictor.predict(features[:3].tolist())], model, features[:3])
predictor.delete_endpoint()
regression.nothing_listens()

began = time.monotonic()
processor = Processor(ROLE, image, 1, "local", entrypoint=["program", "process"], sagemaker_session=session)
processor.run(
    inputs=[ProcessingInput(source=f"{folder}/test", destination="/opt/ml/processing/input", input_name="data")],
    outputs=[
        ProcessingOutput(
            source="/opt/ml/processing/output", destination=f"s3://{bucket}/processed", output_name="halves"
        )
    ],
)
regression.halved(s3, bucket, folder / "test/data.csv")
step("process", began)

began = time.monotonic()
(folder / "transformed").mkdir()
transformer = estimator.transformer(
    1, "local", output_path=f"file://{folder}/transformed", strategy="MultiRecord", assemble_with="Line"
)
transformer.transform(f"file://{folder}/features.csv", content_type="text/csv", split_type="Line", job_name="transform")
transformer.wait()
lines = next((folder / "transformed").rglob("*.out")).read_text().split()
regression.same(lines, model, features)
regression.nothing_listens()
step("transform", began)

print("RESULT " + json.dumps({"sdk": sagemaker.__version__, "rmse": round(error, 3), "seconds": steps}))
