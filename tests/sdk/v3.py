"""Local Mode with the SageMaker Python SDK 3.x: train with ModelTrainer; serve, predict, train while serving, process, transform.

    v3.py IMAGE FOLDER

AWS_ENDPOINT_URL serves S3. FOLDER is on storage that the Docker host sees. Prints one JSON document with what was measured; fails where
something is not as it should be. Data and model are in `regression.py`.
"""

import importlib.metadata
import json
import pathlib
import sys
import time
import urllib.request

from sagemaker.core.local.local_session import LocalSession
from sagemaker.core.processing import Processor
from sagemaker.core.shapes import ProcessingInput, ProcessingOutput, ProcessingS3Input, ProcessingS3Output
from sagemaker.train import ModelTrainer
from sagemaker.train.configs import Compute, InputData
from sagemaker.train.model_trainer import Mode

import regression

image, folder = sys.argv[1], pathlib.Path(sys.argv[2])
ROLE = "arn:aws:iam::123456789012:role/studio"
lab = regression.Lab(LocalSession, folder)
session = lab.session


def trained(name):
    began = time.monotonic()
    output = folder / name
    output.mkdir()
    trainer = ModelTrainer(
        training_mode=Mode.LOCAL_CONTAINER,
        training_image=image,
        role=ROLE,
        sagemaker_session=session,
        compute=Compute(instance_type="local_cpu", instance_count=1),
        hyperparameters={"rounds": 60},
        local_container_root=str(output),
    )
    trainer.train(input_data_config=[InputData(channel_name="train", data_source=str(folder / "train"))], wait=True)
    archives = list(output.rglob("model.tar.gz"))
    assert len(archives) == 1, archives
    lab.took(name, began)
    return archives[0]


def predict(features):
    body = "\n".join(",".join(str(cell) for cell in row) for row in features)
    answer = session.sagemaker_runtime_client.invoke_endpoint(body, "regression", "text/csv", "text/csv")
    return answer["Body"].read().split()


regression.write(folder)
archive = trained("first")
model = regression.load(archive)
error = regression.error(model, folder / "test.csv")
assert error < regression.BOUND, error

began = time.monotonic()
client = session.sagemaker_client
client.create_model("regression", {"Image": image, "ModelDataUrl": f"file://{archive}", "Environment": {}})
variant = {"VariantName": "all", "ModelName": "regression", "InitialInstanceCount": 1, "InstanceType": "local"}
client.create_endpoint_config("regression", [variant])
client.create_endpoint("regression", "regression")
lab.took("deploy", began)
_, features = regression.read(folder / "test.csv")
for rows in (features[:1], features[1:40]):
    regression.same(predict(rows), model, rows)
with urllib.request.urlopen(f"http://{regression.docker_host()}:8080/ping", timeout=10) as answer:
    assert answer.status == 200

# Training goes on beside an endpoint, which goes on beside training.
for name in ("second", "third"):
    trained(name)
    regression.same(predict(features[:3]), model, features[:3])
client.delete_endpoint("regression")
regression.nothing_listens()

began = time.monotonic()
processor = Processor(
    role=ROLE,
    image_uri=image,
    instance_count=1,
    instance_type="local",
    entrypoint=["program", "process"],
    sagemaker_session=session,
)
processor.run(
    inputs=[
        ProcessingInput(
            input_name="data",
            s3_input=ProcessingS3Input(
                s3_uri=f"{folder}/test",
                local_path="/opt/ml/processing/input",
                s3_data_type="S3Prefix",
                s3_input_mode="File",
            ),
        )
    ],
    outputs=[
        ProcessingOutput(
            output_name="halves",
            s3_output=ProcessingS3Output(
                s3_uri=f"s3://{lab.bucket}/processed", local_path="/opt/ml/processing/output", s3_upload_mode="EndOfJob"
            ),
        )
    ],
)
lab.halved(folder / "test/data.csv")
lab.took("process", began)

began = time.monotonic()
(folder / "transformed").mkdir()
client.create_transform_job(
    "transform",
    "regression",
    {
        "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"file://{folder}/features.csv"}},
        "ContentType": "text/csv",
        "SplitType": "Line",
    },
    {"S3OutputPath": f"file://{folder}/transformed", "AssembleWith": "Line"},
    {"InstanceType": "local", "InstanceCount": 1},
    BatchStrategy="MultiRecord",
)
lines = next((folder / "transformed").rglob("*.out")).read_text().split()
regression.same(lines, model, features)
regression.nothing_listens()
lab.took("transform", began)

result = {"sdk": importlib.metadata.version("sagemaker"), "rmse": round(error, 3), "seconds": lab.seconds}
print("RESULT " + json.dumps(result))
