"""Training in Local Mode with the SageMaker Python SDK 3.x, on the current Docker host.

    sdocker create-host --instance-type c5.xlarge
    eval "$(sdocker env)"
    docker build -t regression container
    python model_trainer.py
"""

import pathlib
import tempfile

import numpy
from sagemaker.train import ModelTrainer
from sagemaker.train.configs import Compute, InputData
from sagemaker.train.model_trainer import Mode

# ~/tmp is on storage that the host shares: `sdocker create-host` saw to it.
folder = pathlib.Path(tempfile.mkdtemp(dir=pathlib.Path.home() / "tmp"))
(folder / "train").mkdir()
random = numpy.random.default_rng(1)
features = random.uniform(0, 1, (4000, 8))
rings = 8 * features[:, 0] + 6 * numpy.sin(3 * features[:, 1]) + random.normal(0, 0.3, 4000)
numpy.savetxt(folder / "train/data.csv", numpy.column_stack([rings, features]), "%.6f", ",")

trainer = ModelTrainer(
    training_mode=Mode.LOCAL_CONTAINER,
    training_image="regression",
    role="arn:aws:iam::123456789012:role/any",  # not used in Local Mode
    compute=Compute(instance_type="local_cpu", instance_count=1),
    hyperparameters={"rounds": 60},
    local_container_root=str(folder),
)
trainer.train(input_data_config=[InputData(channel_name="train", data_source=str(folder / "train"))])
print(next(folder.rglob("model.tar.gz")))
