"""The whole of Local Mode with the SageMaker Python SDK 2.x: train, serve, predict, train while serving, process, transform.

    v2.py IMAGE FOLDER [local_code]

AWS_ENDPOINT_URL serves S3. FOLDER is on storage that the Docker host sees. Prints one JSON document with what was measured; fails where something is not as it
should be. Data and model are in `regression.py`.
"""

import json
import pathlib
import sys
import time
import urllib.request

import sagemaker
from sagemaker.deserializers import CSVDeserializer
from sagemaker.estimator import Estimator
from sagemaker.local import LocalSession
from sagemaker.processing import ProcessingInput, ProcessingOutput, Processor
from sagemaker.serializers import CSVSerializer

import regression

image, folder = sys.argv[1], pathlib.Path(sys.argv[2])
ROLE = "arn:aws:iam::123456789012:role/studio"
lab = regression.Lab(LocalSession, folder)
session = lab.session


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
    lab.took(name, began)
    return estimator, regression.load(archives[0])


regression.write(folder)
estimator, model = trained("first")
error = regression.error(model, folder / "test.csv")
assert error < regression.BOUND, error

began = time.monotonic()
# It serves when this returns. The SDK would look whether it does, after half a minute.
predictor = estimator.deploy(
    initial_instance_count=1,
    instance_type="local",
    endpoint_name="regression",
    serializer=CSVSerializer(),
    deserializer=CSVDeserializer(),
    wait=False,
)
lab.took("deploy", began)
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
            source="/opt/ml/processing/output", destination=f"s3://{lab.bucket}/processed", output_name="halves"
        )
    ],
)
lab.halved(folder / "test/data.csv")
lab.took("process", began)

began = time.monotonic()
(folder / "transformed").mkdir()
transformer = estimator.transformer(
    1, "local", output_path=f"file://{folder}/transformed", strategy="MultiRecord", assemble_with="Line"
)
transformer.transform(f"file://{folder}/features.csv", content_type="text/csv", split_type="Line", job_name="transform")
lines = next((folder / "transformed").rglob("*.out")).read_text().split()
regression.same(lines, model, features)
regression.nothing_listens()
lab.took("transform", began)

if "local_code" in sys.argv[3:]:
    # The container has the code itself, and not a copy of it.
    began = time.monotonic()
    session.config = {"local": {**(session.config or {}).get("local", {}), "local_code": True}}
    code = folder / "code"
    code.mkdir()
    (code / "mine.py").write_text(
        "import pathlib\npathlib.Path('/opt/ml/code/seen').write_text('by the container')\npathlib.Path('/opt/ml/model/mine').touch()\n"
    )
    (folder / "coded").mkdir()
    Estimator(
        image,
        ROLE,
        instance_count=1,
        instance_type="local",
        entry_point="mine.py",
        source_dir=str(code),
        container_entry_point=["python3", "/opt/ml/code/mine.py"],
        output_path=f"file://{folder}/coded",
        sagemaker_session=session,
    ).fit({"train": f"file://{folder}/train"}, job_name="job-code")
    assert (code / "seen").read_text() == "by the container"
    assert len(list((folder / "coded").rglob("model.tar.gz"))) == 1
    lab.took("local_code", began)

print("RESULT " + json.dumps({"sdk": sagemaker.__version__, "rmse": round(error, 3), "seconds": lab.seconds}))
