use std::{fs, os::unix::fs::symlink};

use proptest::prelude::*;

use super::*;

const ARN: &str = "arn:aws:sagemaker:eu-west-1:123456789012:app/d-1/ann/KernelGateway/gpu";

struct Root(tempfile::TempDir);

impl Root {
    fn new(metadata: impl AsRef<[u8]>) -> Self {
        let root = Self(tempfile::tempdir().expect("a temporary folder"));
        root.put(METADATA, metadata);
        root
    }

    fn put(&self, path: &str, text: impl AsRef<[u8]>) {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().expect("it has one")).expect("made");
        fs::write(path, text).expect("written");
    }

    fn sources(&self) -> LocalSources {
        let home = self.0.path().join("home/sagemaker-user");
        LocalSources {
            metadata_root: self.0.path().to_owned(),
            home,
            region: None,
            aws_region: None,
            region_name: None,
        }
    }

    fn read(&self) -> Result<LocalFacts, DiscoveryError> {
        LocalFacts::read(&self.sources())
    }

    /// The message, with the root as Studio has it.
    fn error(&self) -> String {
        let error = self.read().expect_err("it is refused").to_string();
        error.replace(self.0.path().to_str().expect("UTF-8"), "")
    }
}

/// What each kind of app's file holds (`studio-facts`: the files as Studio writes them, unknown keys and all).
#[test]
fn every_kind_of_app_is_told_by_its_file() {
    let space = r#""DomainId":"d-1","SpaceName":"lab","ExecutionRoleArn":"arn:aws:iam::123456789012:role/r","ResourceName":"default",
        "AppImageVersion":"3.1","ResourceArnCaseSensitive":"x","IpAddressType":"ipv4""#;
    let cases = [
        (
            "kernel gateway",
            format!(r#"{{"AppType":"KernelGateway","DomainId":"d-1","UserProfileName":"ann","ResourceArn":"{ARN}","ResourceName":"gpu","AppImageVersion":""}}"#),
            (AppKind::KernelGateway, Some("ann"), None),
        ),
        (
            "kernel gateway in a shared space",
            format!(r#"{{"AppType":"KernelGateway","DomainId":"d-1","SpaceName":"team","ResourceArn":"{ARN}","ExecutionRoleArn":"arn:aws:iam::1:role/r"}}"#),
            (AppKind::KernelGateway, None, Some("team")),
        ),
        (
            "Jupyter server",
            r#"{"DomainId":"d-1","UserProfileName":"ann","ResourceArn":"arn:aws:sagemaker:eu-west-1:123456789012:app/d-1/ann/JupyterServer/default"}"#.to_owned(),
            (AppKind::JupyterServer, Some("ann"), None),
        ),
        (
            "JupyterLab",
            format!(r#"{{"AppType":"JupyterLab",{space},"ResourceArn":"arn:aws:sagemaker:eu-west-1:123456789012:app/d-1/lab/JupyterLab/default"}}"#),
            (AppKind::JupyterLab, None, Some("lab")),
        ),
        (
            "Code Editor",
            format!(r#"{{"AppType":"CodeEditor",{space},"ResourceArn":"arn:aws:sagemaker:eu-west-1:123456789012:app/d-1/lab/CodeEditor/default"}}"#),
            (AppKind::CodeEditor, None, Some("lab")),
        ),
        (
            "Unified Studio",
            format!(r#"{{"AppType":"JupyterLab",{space},"ResourceArn":"{ARN}","AdditionalMetadata":{{"DataZoneScopeName":"p","DataZoneDomainId":"dzd"}}}}"#),
            (AppKind::JupyterLab, None, Some("lab")),
        ),
    ];
    for (what, text, (kind, profile, space)) in cases {
        let facts = Root::new(&text).read().unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(facts.app.kind, kind, "{what}");
        assert_eq!(facts.profile, profile.map(Into::into), "{what}");
        assert_eq!(facts.space, space.map(Into::into), "{what}");
        assert_eq!((facts.region.as_str(), facts.account.as_str()), ("eu-west-1", "123456789012"), "{what}");
    }
}

#[test]
fn what_is_refused_says_where_and_why() {
    let root = tempfile::tempdir().expect("a temporary folder");
    let sources = LocalSources { metadata_root: root.path().to_owned(), ..Root::new("").sources() };
    assert!(matches!(LocalFacts::read(&sources), Err(DiscoveryError::NotStudio { .. })));

    let of_app = |fields: &str| Root::new(format!(r#"{{"AppType":"JupyterLab",{fields}}}"#)).error();
    insta::assert_snapshot!(
        [
            Root::new(r#"{"ResourceArn":"arn:aws:sagemaker:eu-west-1:1:notebook-instance/n","ResourceName":"n"}"#)
                .error(),
            Root::new(r#"{"AppType":"RStudioServerPro","DomainId":"d-1"}"#).error(),
            Root::new("{\n  \"AppType\": 7\n}").error(),
            Root::new("{\n").error(),
            Root::new("").error(),
            Root::new([b"{\n", &[0xff, 0xfe][..]].concat()).error(),
            of_app(r#""SpaceName":"s""#),
            of_app(r#""DomainId":"d-1","SpaceName":"s""#),
            of_app(&format!(r#""DomainId":"d-1","ResourceArn":"{ARN}""#)),
            of_app(r#""DomainId":"d-1","SpaceName":"s","ResourceArn":"arn:aws:sagemaker""#),
            of_app(r#""DomainId":"d-1","SpaceName":"s","ResourceArn":"arn:aws:sagemaker:eu-west-1""#),
        ]
        .join("\n")
    );
}

#[test]
fn the_region_is_what_was_asked_for_or_the_apps_own_and_others_are_named() {
    let root = Root::new(format!(
        r#"{{"AppType":"KernelGateway","DomainId":"d-1","UserProfileName":"ann","ResourceArn":"{ARN}"}}"#
    ));
    let region = |asked: Option<&str>, aws_region: Option<&str>, region_name: Option<&str>| {
        let text = |text: Option<&str>| text.map(str::to_owned);
        let sources = LocalSources {
            region: text(asked),
            aws_region: text(aws_region),
            region_name: text(region_name),
            ..root.sources()
        };
        let facts = LocalFacts::read(&sources).expect("read");
        let conflicts: Vec<String> = facts.region_conflicts().iter().map(ToString::to_string).collect();
        format!("{}: {}", facts.region(), conflicts.join("; "))
    };
    assert_eq!(region(None, None, None), "eu-west-1: ");
    assert_eq!(region(None, Some("eu-west-1"), Some("")), "eu-west-1: ");
    insta::assert_snapshot!(
        [
            region(None, Some("us-east-1"), Some("us-east-2")),
            region(Some("us-east-1"), Some("us-east-1"), None),
            region(Some("us-east-1"), None, Some("eu-west-1")),
        ]
        .join("\n"),
        @r"
    eu-west-1: AWS_REGION says Region us-east-1, but the app's ARN says eu-west-1, which is used; REGION_NAME says Region us-east-2, but the app's ARN says eu-west-1, which is used
    us-east-1: the app's ARN says Region eu-west-1, but --region says us-east-1, which is used
    us-east-1: the app's ARN says Region eu-west-1, but --region says us-east-1, which is used; REGION_NAME says Region eu-west-1, but --region says us-east-1, which is used
    "
    );
}

#[test]
fn the_shared_folder_is_the_users_own_part_of_the_domains_efs() {
    let root =
        Root::new(format!(r#"{{"AppType":"JupyterLab","DomainId":"d-1","SpaceName":"lab","ResourceArn":"{ARN}"}}"#));
    assert_eq!(root.read().expect("read").shared_folder(), None);

    let home = root.sources().home;
    let real = |name: &str| root.0.path().join("mnt").join(name);
    for (name, link) in
        [("fs-1_fsap-1", "custom-file-systems"), ("fs-2_fsap-2", "user-default-efs"), ("fs-2_fsap-2/tmp", "tmp")]
    {
        fs::create_dir_all(real(name)).expect("made");
        fs::create_dir_all(&home).expect("made");
        symlink(real(name), home.join(link)).expect("linked");
    }
    let line = |name: &str| format!("7 6 0:9 / {} rw - nfs4 127.0.0.1:/ rw\n", real(name).display());
    root.put(MOUNTS, [line("fs-1_fsap-1"), line("fs-2_fsap-2")].concat());
    let facts = root.read().expect("read");
    assert_eq!(facts.shared_folder(), Some(real("fs-2_fsap-2").as_path()), "not a link that sorts before it");
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(metadata in any::<Vec<u8>>(), mounts in any::<Vec<u8>>()) {
        let root = Root::new(metadata);
        root.put(MOUNTS, mounts);
        let _ = root.read();
    }

    #[test]
    fn no_fields_make_it_panic(fields in proptest::collection::hash_map("AppType|DomainId|ResourceArn|SpaceName", "[a-z:/]{0,30}", 0..5), line in "([a-z0-9 :/\\\\-]{0,60}\n){0,4}") {
        let root = Root::new(serde_json::to_vec(&fields).expect("JSON"));
        root.put(MOUNTS, line);
        let _ = root.read();
    }
}
