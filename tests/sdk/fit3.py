"""One training job in Local Mode, with the SageMaker Python SDK 3.x.

fit3.py IMAGE FOLDER
"""

import pathlib
import sys
import tarfile

from sagemaker.core.local.local_session import LocalSession
from sagemaker.train import ModelTrainer
from sagemaker.train.configs import Compute, InputData
from sagemaker.train.model_trainer import Mode

import regression

image, folder = sys.argv[1], pathlib.Path(sys.argv[2])
(folder / "train").mkdir(parents=True)
(folder / "train/data.csv").write_text("1,2\n")
lab = regression.Lab(LocalSession, folder)
ModelTrainer(
    training_mode=Mode.LOCAL_CONTAINER,
    training_image=image,
    role="arn:aws:iam::123456789012:role/studio",
    sagemaker_session=lab.session,
    compute=Compute(instance_type="local_cpu", instance_count=1),
    local_container_root=str(folder),
).train(input_data_config=[InputData(channel_name="train", data_source=str(folder / "train"))], wait=True)
(archive,) = folder.rglob("model.tar.gz")
with tarfile.open(archive) as model:
    assert model.extractfile("model").read() == b"trained\n"
