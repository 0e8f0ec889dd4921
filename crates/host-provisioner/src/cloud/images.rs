//! Machine images.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{CloudError, ImageId};

/// Reads of machine images.
///
/// # Cancel safety
/// Every method of it only reads, and can be dropped at any time.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait Images: Send + Sync {
    /// Every available image that the filter matches, in no particular order (`ec2:DescribeImages`).
    async fn list(&self, filter: &ImageFilter) -> Result<Vec<Image>, CloudError>;

    /// One image by id; `None` where there is none of that id, or it is not shared with this account.
    async fn describe(&self, id: &ImageId) -> Result<Option<Image>, CloudError>;
}

/// Which images to list: owned by Amazon, available, for HVM, and of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImageFilter {
    /// Name patterns as EC2 takes them: `*` is any run of characters, `?` any one. An image that matches one of them is listed.
    pub names: Vec<String>,
}

/// A machine image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Image {
    /// Its id.
    pub id: ImageId,
    /// Its name.
    pub name: String,
    /// `CreationDate`: ISO 8601 in UTC, so that later ones sort after earlier ones.
    pub created: String,
    /// What processors it is for.
    pub architecture: Architecture,
    /// `RootDeviceName`, such as `/dev/xvda`.
    pub root_device: String,
    /// The size of the root device's snapshot in GiB: no volume made of the image can be smaller. `None` where unknown.
    pub root_size_gib: Option<u32>,
    /// The device names of its further EBS volumes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub other_volumes: Vec<String>,
}

/// A processor architecture, by EC2's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Architecture {
    /// Intel and AMD, 64 bit.
    X86_64,
    /// Arm, 64 bit (AWS Graviton).
    Arm64,
}

impl Architecture {
    /// EC2's name of it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Arm64 => "arm64",
        }
    }

    /// Go's name of it, and so Docker's.
    pub fn go_name(self) -> &'static str {
        match self {
            Self::X86_64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }
}
