//! What an instance type's name says of it, for roles that may not call `ec2:DescribeInstanceTypes` (the first `sdocker`
//! did not ask for it), and for asking for the image and the type at the same time.
//!
//! The naming rule: family letters, generation digits, attribute letters, a dot, a size. Attribute `g` is AWS Graviton, `a`
//! AMD; families `g` and `p` have GPUs, NVIDIA's unless the attribute is `a` (g4ad).
//! Source: EC2 user guide, "Amazon EC2 instance type naming conventions".

use crate::{Architecture, InstanceType, InstanceTypeInfo};

impl InstanceType {
    /// The architecture that the type's name tells; `None` where it does not follow EC2's rule.
    pub fn architecture(&self) -> Option<Architecture> {
        Some(guess(self)?.architecture)
    }
}

/// What the name says; `None` where it does not follow the rule.
pub(crate) fn guess(instance_type: &InstanceType) -> Option<InstanceTypeInfo> {
    let (class, size) = instance_type.as_str().split_once('.')?;
    if size.is_empty() {
        return None;
    }
    let family_end = class.find(|c: char| c.is_ascii_digit())?;
    let (family, rest) = class.split_at(family_end);
    let attributes = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    if family.is_empty() || !class.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
        return None;
    }
    let arm = attributes.contains('g') || class == "a1";
    let nvidia = matches!(family, "g" | "gr" | "p") && !attributes.contains('a');
    Some(InstanceTypeInfo {
        instance_type: instance_type.clone(),
        architecture: if arm { Architecture::Arm64 } else { Architecture::X86_64 },
        nvidia_gpus: u32::from(nvidia),
        memory_mib: None,
        vcpus: None,
    })
}

/// Whether the type's GPUs are older than NVIDIA's open driver, the only one in AWS's images of Amazon Linux 2023: it is for Turing and later (Deep
/// Learning AMI developer guide, "AWS Deep Learning Base AMI", supported instances; NVIDIA, open-gpu-kernel-modules, README).
pub(crate) fn has_old_gpus(instance_type: &InstanceType) -> bool {
    let class = instance_type.as_str().split_once('.').map(|(class, _)| class);
    class.is_some_and(|class| matches!(class, "g2" | "g3" | "g3s" | "p2" | "p3" | "p3dn"))
}

/// Types that people launch, for suggestions; what exists is always asked of EC2.
const WELL_KNOWN: &[(&str, &[&str])] = &[
    ("t3", &["medium", "large", "xlarge", "2xlarge"]),
    ("t3a", &["medium", "large", "xlarge", "2xlarge"]),
    ("t4g", &["medium", "large", "xlarge", "2xlarge"]),
    ("m5", SIZES),
    ("m6i", SIZES),
    ("m6g", SIZES),
    ("m7i", SIZES),
    ("m7g", SIZES),
    ("c5", &["large", "xlarge", "2xlarge", "4xlarge", "9xlarge", "12xlarge", "18xlarge", "24xlarge"]),
    ("c6i", SIZES),
    ("c6g", SIZES),
    ("c7i", SIZES),
    ("c7g", SIZES),
    ("r5", SIZES),
    ("r6i", SIZES),
    ("r7i", SIZES),
    ("g4dn", &["xlarge", "2xlarge", "4xlarge", "8xlarge", "12xlarge", "16xlarge"]),
    ("g5", &["xlarge", "2xlarge", "4xlarge", "8xlarge", "12xlarge", "16xlarge", "24xlarge", "48xlarge"]),
    ("g6", &["xlarge", "2xlarge", "4xlarge", "8xlarge", "12xlarge", "16xlarge", "24xlarge", "48xlarge"]),
    ("p4d", &["24xlarge"]),
    ("p5", &["48xlarge"]),
];

const SIZES: &[&str] = &["large", "xlarge", "2xlarge", "4xlarge", "8xlarge", "12xlarge", "16xlarge", "24xlarge"];

/// Types that people launch, by their names: for suggestions and completion.
pub fn well_known_types() -> impl Iterator<Item = String> {
    WELL_KNOWN.iter().flat_map(|(class, sizes)| sizes.iter().map(move |size| format!("{class}.{size}")))
}

/// At most three types whose names are near this one, nearest first.
pub(crate) fn suggestions(mistyped: &InstanceType) -> Vec<InstanceType> {
    // SageMaker's own names of instance types have this prefix; EC2's do not.
    let wanted = mistyped.as_str().trim().to_lowercase();
    let wanted = wanted.strip_prefix("ml.").unwrap_or(&wanted);
    let mut near: Vec<(f64, String)> = well_known_types()
        .map(|name| (strsim::jaro_winkler(wanted, &name), name))
        .filter(|(score, _)| *score > 0.8)
        .collect();
    near.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    near.into_iter().take(3).map(|(_, name)| InstanceType::new(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_processors_and_gpus() {
        let cases = [
            ("c5.xlarge", Architecture::X86_64, 0),
            ("m7g.large", Architecture::Arm64, 0),
            ("m7gd.large", Architecture::Arm64, 0),
            ("t3a.medium", Architecture::X86_64, 0),
            ("t4g.medium", Architecture::Arm64, 0),
            ("a1.large", Architecture::Arm64, 0),
            ("im4gn.large", Architecture::Arm64, 0),
            ("g4dn.xlarge", Architecture::X86_64, 1),
            ("g4ad.xlarge", Architecture::X86_64, 0),
            ("g5.xlarge", Architecture::X86_64, 1),
            ("g5g.xlarge", Architecture::Arm64, 1),
            ("gr6.4xlarge", Architecture::X86_64, 1),
            ("p4d.24xlarge", Architecture::X86_64, 1),
            ("u-6tb1.metal", Architecture::X86_64, 0),
        ];
        for (name, architecture, gpus) in cases {
            let info = guess(&InstanceType::new(name));
            let info = info.unwrap_or_else(|| panic!("{name} follows the rule"));
            assert_eq!((info.architecture, info.nvidia_gpus), (architecture, gpus), "{name}");
        }
    }

    #[test]
    fn what_is_no_type_is_not_guessed() {
        for name in ["", "c5", "c5.", ".large", "5.large", "c5 .large", "$(reboot)1.large"] {
            assert_eq!(guess(&InstanceType::new(name)), None, "{name}");
        }
    }

    #[test]
    fn near_types_are_suggested() {
        let first = |name: &str| suggestions(&InstanceType::new(name)).first().map(ToString::to_string);
        assert_eq!(first("c5.xlrage").as_deref(), Some("c5.xlarge"));
        assert_eq!(first("ml.c5.xlarge").as_deref(), Some("c5.xlarge"));
        assert_eq!(first("zzz"), None);
    }
}
