"""One training job in Local Mode, with the SageMaker Python SDK 2.x.

fit.py IMAGE FOLDER
"""

import pathlib
import sys
import tarfile

from sagemaker.estimator import Estimator
from sagemaker.local import LocalSession

import regression

image, folder = sys.argv[1], pathlib.Path(sys.argv[2])
(folder / "train").mkdir(parents=True)
(folder / "train/data.csv").write_text("1,2\n")
lab = regression.Lab(LocalSession, folder)
Estimator(
    image,
    "arn:aws:iam::123456789012:role/studio",
    instance_count=1,
    instance_type="local",
    output_path=f"file://{folder}",
    sagemaker_session=lab.session,
).fit({"train": f"file://{folder}/train"}, job_name="job")
(archive,) = folder.rglob("model.tar.gz")
with tarfile.open(archive) as model:
    assert model.extractfile("model").read() == b"trained\n"
