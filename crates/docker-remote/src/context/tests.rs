use std::{
    collections::BTreeMap, os::unix::fs::PermissionsExt as _, process::Command, time::Duration, time::SystemTime,
};

use super::*;
use crate::{Endpoint, HostCredentials, HostNames};

fn host() -> DockerHost {
    let names = HostNames::default();
    let credentials =
        HostCredentials::generate(&names, SystemTime::now(), Duration::from_secs(3600)).expect("made").client().clone();
    DockerHost::for_test(&Endpoint::new("ip-10-0-0-1.ec2.internal", 1111), &credentials)
}

/// Every file below a folder, with its mode and contents.
fn tree(root: &Path) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
    let mut files = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("readable").flatten() {
            let path = entry.path();
            let mode = entry.metadata().expect("there").permissions().mode() & 0o777;
            let relative = path.strip_prefix(root).expect("below").to_owned();
            if path.is_dir() {
                files.insert(relative, (mode, Vec::new()));
                folders.push(path);
            } else {
                files.insert(relative, (mode, fs::read(&path).expect("readable")));
            }
        }
    }
    files
}

#[test]
fn byte_for_byte_what_the_docker_cli_writes() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (ours, theirs) = (folder.path().join("ours"), folder.path().join("theirs"));
    let host = host();
    let certs = folder.path().join("certs");
    fs::create_dir(&certs).expect("made");
    let credentials = host.credentials();
    for (name, pem) in [("ca", &credentials.ca), ("cert", &credentials.certificate), ("key", &credentials.key)] {
        fs::write(certs.join(format!("{name}.pem")), pem).expect("written");
    }
    let endpoint = format!(
        "host={},ca={certs}/ca.pem,cert={certs}/cert.pem,key={certs}/key.pem",
        host.endpoint(),
        certs = certs.display()
    );
    let docker = |arguments: &[&str]| {
        let run = Command::new("docker")
            .env("DOCKER_CONFIG", &theirs)
            .env_remove("DOCKER_CONTEXT")
            .env_remove("DOCKER_HOST")
            .args(arguments)
            .output();
        run.is_ok_and(|output| output.status.success())
    };
    let created = docker(&["context", "create", "c5.xlarge_i-1", "--description", "a host", "--docker", &endpoint]);
    assert!(created, "the docker CLI is needed (Debian package docker.io)");
    assert!(docker(&["context", "use", "c5.xlarge_i-1"]));

    let store = ContextStore::new(&ours);
    store.create(&ContextSpec::for_host(&host, "c5.xlarge_i-1", "a host")).expect("created");
    store.use_context(Some("c5.xlarge_i-1")).expect("used");
    fs::remove_file(ours.join(".config.json.sdocker-lock")).expect("ours alone");
    let (made, model) = (tree(&ours.join("contexts")), tree(&theirs.join("contexts")));
    let contents = |tree: &BTreeMap<PathBuf, (u32, Vec<u8>)>| -> BTreeMap<PathBuf, Vec<u8>> {
        tree.iter().map(|(path, (_, bytes))| (path.clone(), bytes.clone())).collect()
    };
    assert_eq!(contents(&made), contents(&model));
    let all = tree(&ours);
    assert!(all.values().all(|(mode, _)| mode & 0o077 == 0), "nothing is for others: {all:?}");
    let config = |folder: &Path| fs::read_to_string(folder.join("config.json")).expect("written");
    let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).expect("JSON");
    assert_eq!(value(&config(&ours))["currentContext"], value(&config(&theirs))["currentContext"]);

    // What the CLI wrote is read here as well.
    let theirs_read = ContextStore::new(&theirs);
    assert_eq!(contexts(&theirs_read), contexts(&store));
    assert_eq!(theirs_read.current().expect("readable").as_deref(), Some("c5.xlarge_i-1"));
}

fn contexts(store: &ContextStore) -> Vec<Context> {
    store.list().expect("readable").into_iter().map(|context| context.expect("well-formed")).collect()
}

/// Another program's context, which the CLI could not read either, says nothing of ours.
#[test]
fn one_broken_context_hides_no_other() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store = ContextStore::new(folder.path());
    store.create(&ContextSpec::for_host(&host(), "ours", "")).expect("created");
    let broken = folder.path().join("contexts/meta/0000");
    fs::create_dir(&broken).expect("made");
    fs::write(broken.join("meta.json"), "{").expect("written");
    let listed = store.list().expect("readable");
    assert!(matches!(&listed[..], [Ok(ours), Err(Error::Malformed { .. })] if ours.name == "ours"), "{listed:?}");
}

#[test]
fn the_current_context_falls_back() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store = ContextStore::new(folder.path());
    let host = host();
    for name in ["first", "second", "third"] {
        store.create(&ContextSpec::for_host(&host, name, "")).expect("created");
        store.use_context(Some(name)).expect("used");
    }
    store.remove("third", Some("second")).expect("removed");
    assert_eq!(store.current().expect("readable").as_deref(), Some("second"));
    store.remove("first", Some("third")).expect("removed");
    assert_eq!(store.current().expect("readable").as_deref(), Some("second"), "another's end changes nothing");
    store.remove("second", Some("third")).expect("removed");
    assert_eq!(store.current().expect("readable"), None, "the fallback is gone");
    store.remove("second", None).expect("gone already");
    assert_eq!(contexts(&store), []);
    assert!(matches!(store.use_context(Some("second")), Err(Error::NoContext { .. })));
}

#[test]
fn config_json_keeps_every_other_byte() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("elsewhere/config.json");
    fs::create_dir(path.parent().expect("a folder")).expect("made");
    std::os::unix::fs::symlink(&path, folder.path().join("config.json")).expect("linked");
    let mode = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("changed");
    let theirs = "{\n   \"auths\" : { \"x\":{}},\r\n\t\"credsStore\": \"ecr-login\",  \"z\": 1.50\n}\n";
    fs::write(&path, theirs).expect("written");
    mode(0o640);
    let store = ContextStore::new(folder.path());
    let host = host();
    store.create(&ContextSpec::for_host(&host, "one", "")).expect("created");
    store.use_context(Some("one")).expect("used");
    assert_eq!(path.metadata().expect("there").permissions().mode() & 0o777, 0o640);
    let with = fs::read_to_string(&path).expect("still a link's target");
    assert!(
        with.starts_with("{\n   \"auths\" : { \"x\":{}},\r\n\t\"credsStore\": \"ecr-login\",  \"z\": 1.50"),
        "{with}"
    );
    store.use_context(None).expect("used");
    assert_eq!(fs::read_to_string(&path).expect("readable"), theirs);
    assert!(fs::symlink_metadata(folder.path().join("config.json")).expect("there").is_symlink());
}

#[test]
fn a_link_that_leads_nowhere_yet_stays_a_link() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (docker, dotfiles) = (folder.path().join("docker"), folder.path().join("dotfiles"));
    for made in [&docker, &dotfiles] {
        fs::create_dir(made).expect("made");
    }
    std::os::unix::fs::symlink("../dotfiles/docker.json", docker.join("config.json")).expect("linked");
    let store = ContextStore::new(&docker);
    store.create(&ContextSpec::for_host(&host(), "one", "")).expect("created");
    store.use_context(Some("one")).expect("used");
    assert!(docker.join("config.json").is_symlink());
    let made = dotfiles.join("docker.json").metadata().expect("the link's target");
    assert_eq!(made.permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_malformed_config_json_is_reported_and_left() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("config.json");
    let store = ContextStore::new(folder.path());
    store.create(&ContextSpec::for_host(&host(), "one", "")).expect("created");
    // The last was found by the fuzz target `config_json`.
    for broken in ["{\"auths\": ", "[]", "{'a': 1}", "{\"a\": 1,}", "{\"a\u{10}\": 1}"] {
        fs::write(&path, broken).expect("written");
        let error = store.use_context(Some("one")).expect_err(broken);
        assert!(matches!(&error, Error::Malformed { line: 1, .. }), "{broken}: {error}");
        assert_eq!(fs::read_to_string(&path).expect("readable"), broken);
    }
}

#[test]
fn names_are_checked_as_the_cli_does() {
    let store = ContextStore::new("/nonexistent");
    let host = host();
    for name in ["", "a", "default", "../x", "a b", ".hidden", "ü1"] {
        let error = store.create(&ContextSpec::for_host(&host, name, ""));
        assert!(matches!(error, Err(Error::ContextName { .. })), "{name}");
    }
}

/// Found by the fuzz target `config_json`.
#[test]
fn of_several_current_contexts_the_last_counts_as_for_the_cli() {
    let folder = tempfile::tempdir().expect("made");
    let store = ContextStore::new(folder.path());
    let config = folder.path().join("config.json");
    fs::write(&config, r#"{"currentContext":"a","x":[1,2.5e3,null],"CURRENTcontext":"b"}"#).expect("written");
    assert_eq!(store.current().expect("readable"), Some("b".to_owned()));
    store.config().set_current(Some("ours")).expect("edited");
    assert_eq!(
        fs::read_to_string(&config).expect("there"),
        r#"{"currentContext":"a","x":[1,2.5e3,null],"CURRENTcontext":"ours"}"#
    );
    store.use_context(None).expect("edited");
    assert_eq!(store.current().expect("readable"), None);
    assert_eq!(fs::read_to_string(&config).expect("there"), r#"{"x":[1,2.5e3,null]}"#);
}

/// In words that name no type of a programming language, and the place once.
#[test]
fn what_is_wrong_with_a_context_is_said_in_plain_words() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("meta.json");
    for (text, expected) in [
        ("7", "invalid type: integer `7`, expected an object"),
        (r#"{"Name": "a", "Metadata": 7}"#, "invalid type: integer `7`, expected an object"),
        (r#"{"Name": "a", "Endpoints": {"docker": 7}}"#, "invalid type: integer `7`, expected an object"),
        (r#"{"Name": 7}"#, "invalid type: integer `7`, expected a string"),
        ("{", "EOF while parsing an object"),
    ] {
        std::fs::write(&path, text).expect("written");
        let error = read(&path).expect_err(text).to_string();
        assert!(error.starts_with(&format!("{}:1:", path.display())) && error.ends_with(expected), "{text}: {error}");
    }
}
