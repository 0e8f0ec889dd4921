use studio_discovery::Region;

use super::*;
use crate::ClientToken;

fn journal() -> (tempfile::TempDir, Journal) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let journal = Journal::new(folder.path().join("journal"));
    (folder, journal)
}

fn record(host: &str, created: &str) -> Record {
    let text = RECORD.replace("HOST", host).replace("CREATED", created);
    serde_json::from_str(&text).expect("a record")
}

/// A record as version 1 writes it: this text must stay readable for as long as there is a version 1.
const RECORD: &str = r#"{
  "version": 1,
  "host": "HOST",
  "state": "creating",
  "created": "CREATED",
  "expires": "2026-01-02T15:04:05Z",
  "region": "eu-west-1",
  "domain": "d-1",
  "owner": "ana",
  "vpc": "vpc-1",
  "instance_type": "c5.xlarge",
  "daemon_port": 1111,
  "previous_context": null,
  "failure": null,
  "instance": null,
  "resources": [
    {"state": "adopted", "kind": "security_group", "vpc": "vpc-1", "name": "DockerHost", "id": "sg-1"},
    {"state": "intended", "kind": "instance", "client_token": "t-1", "subnet": "subnet-1", "market": "on_demand", "asked": "2026-01-02T03:04:05Z", "id": null}
  ]
}"#;

#[test]
fn a_record_is_durable_readable_and_private() {
    use std::os::unix::fs::PermissionsExt as _;
    let (_folder, journal) = journal();
    let mut open = journal.begin(record("a", "2026-01-02T03:04:05Z")).expect("begun");
    open.update(|record| record.state = RecordState::Ready).expect("written");
    drop(open);
    let path = journal.dir().join("a.json");
    insta::assert_snapshot!(fs::read_to_string(&path).expect("readable"));
    assert_eq!(fs::metadata(journal.dir()).expect("there").permissions().mode() & 0o777, 0o700);
    assert_eq!(journal.records().expect("readable")[0].state, RecordState::Ready);
    assert!(!fs::read_dir(journal.dir()).expect("there").flatten().any(|file| {
        let name = file.file_name().into_string().expect("UTF-8");
        name != "a.json" && name != "a.lock"
    }));
}

#[test]
fn a_record_has_one_worker_at_a_time() {
    let (_folder, journal) = journal();
    let open = journal.begin(record("a", "2026-01-02T03:04:05Z")).expect("begun");
    assert!(matches!(journal.open(&"a".into()).expect("readable"), Opened::Busy));
    assert!(matches!(journal.entries().expect("readable").as_slice(), [Entry::Busy(_)]));
    drop(open);
    assert!(matches!(journal.entries().expect("readable").as_slice(), [Entry::Idle(_)]));
    let Opened::Open(open) = journal.open(&"a".into()).expect("readable") else { panic!("nobody has it") };
    open.remove().expect("removed");
    assert!(matches!(journal.open(&"a".into()).expect("readable"), Opened::Missing));
    assert_eq!(fs::read_dir(journal.dir()).expect("there").count(), 0, "neither record nor lock stays");
    let again = journal.begin(record("b", "2026-01-02T03:04:05Z")).expect("begun");
    drop(again);
    assert!(journal.begin(record("b", "2026-01-02T03:04:05Z")).is_err(), "a record is never overwritten by another");
}

#[test]
fn records_come_oldest_first_and_unusable_ones_last() {
    let (_folder, journal) = journal();
    for (host, created) in [("a", "2026-01-03T00:00:00Z"), ("b", "2026-01-02T00:00:00Z")] {
        journal.begin(record(host, created)).expect("begun");
    }
    fs::write(journal.dir().join("0.json"), RECORD.replace("\"version\": 1", "\"version\": 2")).expect("written");
    let entries = journal.entries().expect("readable");
    let [Entry::Idle(first), Entry::Idle(second), Entry::Unusable(error)] = entries.as_slice() else {
        panic!("{entries:?}")
    };
    assert_eq!((first.host.as_str(), second.host.as_str()), ("b", "a"));
    assert!(matches!(error, JournalError::Newer { found: 2, .. }), "{error}");
}

#[test]
fn a_newer_record_is_refused_and_never_rewritten() {
    let (_folder, journal) = journal();
    fs::create_dir(journal.dir()).expect("made");
    let path = journal.dir().join("a.json");
    // Of the future: another shape as well.
    fs::write(&path, r#"{"version": 7, "everything": "else"}"#).expect("written");
    let before = fs::read(&path).expect("readable");
    for _ in 0..2 {
        assert!(matches!(journal.entries().expect("readable").as_slice(), [Entry::Unusable(_)]));
        assert!(matches!(journal.open(&"a".into()), Err(JournalError::Newer { found: 7, .. })));
    }
    assert_eq!(fs::read(&path).expect("readable"), before);
}

#[test]
fn a_torn_record_is_set_aside_and_reported_once() {
    let (_folder, journal) = journal();
    fs::create_dir(journal.dir()).expect("made");
    let whole = RECORD.replace("HOST", "a").replace("CREATED", "2026-01-02T03:04:05Z");
    let halves = &whole.as_bytes()[..whole.len() / 2];
    let torn: [&[u8]; 6] = [halves, b"", b"[]", b"\0\0", b"{\"version\": \"one\"}", b"{\n\xff"];
    for torn in torn {
        let path = journal.dir().join("a.json");
        fs::write(&path, torn).expect("written");
        let entries = journal.entries().expect("readable");
        let [Entry::SetAside { error, moved_to }] = entries.as_slice() else { panic!("{torn:?}: {entries:?}") };
        assert!(error.to_string().starts_with(&format!("{}:", path.display())), "{error}");
        assert_eq!(fs::read(moved_to).expect("kept"), torn);
        assert!(!path.exists());
        assert!(journal.entries().expect("readable").is_empty());
    }
    let kept = fs::read_dir(journal.dir()).expect("there").flatten().filter(|file| file.path().is_file()).count();
    assert_eq!(kept, 6, "none overwrites another");
}

#[test]
fn a_missing_folder_is_an_empty_journal() {
    let (_folder, journal) = journal();
    assert!(journal.entries().expect("readable").is_empty());
    assert!(matches!(journal.open(&"a".into()).expect("readable"), Opened::Missing));
}

#[test]
fn the_token_is_in_the_record_before_the_launch() {
    let record = record("a", "2026-01-02T03:04:05Z");
    let ResourceKind::Instance { client_token, .. } = &record.resources[1].kind else { panic!("an instance") };
    assert_eq!(*client_token, ClientToken::new("t-1"));
    assert_eq!(record.region, Region::new("eu-west-1"));
}
