use std::fs::{self, File};

use studio_discovery::Region;

use super::*;
use crate::ClientToken;

/// A journal in files.
struct InFiles {
    _home: tempfile::TempDir,
    dir: PathBuf,
    journal: Journal,
}

impl std::ops::Deref for InFiles {
    type Target = Journal;

    fn deref(&self) -> &Journal {
        &self.journal
    }
}

impl InFiles {
    fn dir(&self) -> &Path {
        &self.dir
    }
}

fn journal() -> InFiles {
    let home = tempfile::tempdir().expect("a temporary folder");
    let dir = home.path().join("journal");
    InFiles { journal: Journal::new(&dir), dir, _home: home }
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

/// A record of version 1 as an earlier sdocker wrote it, of a host in use.
#[cfg(feature = "fake")]
pub(crate) fn old_record(instance: &str, launched: jiff::Timestamp) -> Record {
    let mut record = record("a", &launched.to_string());
    record.state = RecordState::Ready;
    record.expires = launched + jiff::SignedDuration::from_hours(12);
    for resource in &mut record.steps {
        resource.state = StepState::Created;
        if let Intent::Instance(LaunchIntent { id, asked, .. }) = &mut resource.intent {
            (*id, *asked) = (Some(instance.into()), launched);
        }
    }
    let (private_dns, private_address) = (None, None);
    record.instance =
        Some(RecordedInstance { id: instance.into(), endpoint: "10.0.0.1".to_owned(), private_dns, private_address });
    record
}

/// Where a record of an earlier sdocker is, by its VPC.
#[cfg(feature = "fake")]
pub(crate) fn place_of(vpc: &str) -> crate::Place {
    let text = RECORD.replace("HOST", "a").replace("CREATED", "2026-01-02T03:04:05Z").replace("vpc-1", vpc);
    serde_json::from_str::<Record>(&text).expect("a record").place
}

#[test]
fn a_record_is_durable_readable_and_private() {
    use std::os::unix::fs::PermissionsExt as _;
    let journal = journal();
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

/// What every store keeps, whatever it is made of.
async fn a_record_has_one_worker_at_a_time(journal: &Journal) {
    let open = journal.begin(record("a", "2026-01-02T03:04:05Z")).expect("begun");
    assert!(matches!(journal.open(&"a".into()).await.expect("readable"), Opened::Busy));
    assert!(matches!(journal.entries().expect("readable").as_slice(), [Entry::Busy(_)]));
    assert_eq!(journal.set_aside(&journal.store.path(&"a".into())).expect("asked"), None);
    drop(open);
    assert!(matches!(journal.entries().expect("readable").as_slice(), [Entry::Idle(_)]));
    let Opened::Open(mut open) = journal.open(&"a".into()).await.expect("readable") else { panic!("nobody has it") };
    open.update(|record| record.state = RecordState::Ready).expect("written");
    assert_eq!(journal.records().expect("readable")[0].state, RecordState::Ready);
    open.remove().expect("removed");
    assert!(matches!(journal.open(&"a".into()).await.expect("readable"), Opened::Missing));
    let again = journal.begin(record("b", "2026-01-02T03:04:05Z")).expect("begun");
    drop(again);
    assert!(journal.begin(record("b", "2026-01-02T03:04:05Z")).is_err(), "a record is never overwritten by another");
    let Opened::Open(open) = journal.open(&"b".into()).await.expect("readable") else { panic!("nobody has it") };
    open.set_aside().expect("given up");
    assert!(matches!(journal.open(&"b".into()).await.expect("readable"), Opened::Missing));
    assert!(journal.entries().expect("readable").is_empty());
}

async fn turns_are_taken_one_after_the_other(journal: &Journal) {
    let first = journal.turn().await.expect("a turn");
    let mut second = Box::pin(journal.turn());
    let waits = tokio::time::timeout(Duration::from_millis(50), &mut second).await;
    assert!(waits.is_err(), "two have their turn at once");
    drop(first);
    drop(second.await.expect("a turn"));
}

/// A record that would forget what it has begun is refused, and nothing of it is written.
fn no_step_is_forgotten(journal: &Journal) {
    type Change = fn(&mut Record);
    let mut open = journal.begin(record("a", "2026-01-02T03:04:05Z")).expect("begun");
    let before = journal.records().expect("readable");
    let changes: [(&str, Change); 6] = [
        ("the last step is forgotten", |record| drop(record.steps.pop())),
        ("all are", |record| record.steps.clear()),
        ("the first is, and the others move up", |record| drop(record.steps.remove(0))),
        ("two change places", |record| record.steps.swap(0, 1)),
        ("what was adopted is called our own", |record| record.steps[0].state = StepState::Created),
        ("one begins as made", |record| {
            let made = Step { state: StepState::Created, ..record.steps[1].clone() };
            record.steps.push(made);
        }),
    ];
    for (what, change) in changes {
        let refused = open.update(change);
        assert!(matches!(refused, Err(JournalError::Unlawful { .. })), "{what}: {refused:?}");
        assert_eq!(*open.record(), before[0], "{what}");
        assert_eq!(journal.records().expect("readable"), before, "{what}");
    }
    open.update(|record| record.steps.push(Step { state: StepState::Intended, ..record.steps[1].clone() }))
        .expect("lawful");
}

#[tokio::test]
async fn a_journal_in_files_is_one() {
    let in_files = journal();
    a_record_has_one_worker_at_a_time(&in_files).await;
    turns_are_taken_one_after_the_other(&in_files).await;
    no_step_is_forgotten(&in_files);
}

#[tokio::test]
async fn a_journal_in_memory_is_one() {
    let in_memory = Journal::kept_in(Arc::new(MemoryStore::default()));
    a_record_has_one_worker_at_a_time(&in_memory).await;
    turns_are_taken_one_after_the_other(&in_memory).await;
    no_step_is_forgotten(&in_memory);
}

#[tokio::test]
async fn neither_record_nor_lock_stays() {
    let journal = journal();
    journal.begin(record("a", "2026-01-02T03:04:05Z")).expect("begun").remove().expect("removed");
    assert!(matches!(journal.open(&"a".into()).await.expect("readable"), Opened::Missing));
    assert_eq!(fs::read_dir(journal.dir()).expect("there").count(), 0);
}

/// Whoever lists, or starts a program, holds a lock for a moment: nobody is turned away for that.
#[tokio::test]
async fn a_lock_that_is_held_for_a_moment_is_waited_for() {
    let journal = journal();
    drop(journal.begin(record("a", "2026-01-02T03:04:05Z")).expect("begun"));
    let lock = File::open(journal.dir().join("a.lock")).expect("there");
    lock.lock_shared().expect("locked");
    let host = HostId::from("a");
    let (opened, ()) = tokio::join!(journal.open(&host), async {
        // The other future has been turned away once by now.
        tokio::task::yield_now().await;
        drop(lock);
    });
    let Opened::Open(open) = opened.expect("readable") else { panic!("it is free") };
    // A listing beside a worker neither waits nor keeps it.
    assert!(matches!(journal.entries().expect("readable").as_slice(), [Entry::Busy(_)]));
    drop(open);
}

#[test]
fn records_come_oldest_first_and_unusable_ones_last() {
    let journal = journal();
    for (host, created) in [("a", "2026-01-03T00:00:00Z"), ("b", "2026-01-02T00:00:00Z")] {
        drop(journal.begin(record(host, created)).expect("begun"));
    }
    fs::write(journal.dir().join("0.json"), RECORD.replace("\"version\": 1", "\"version\": 2")).expect("written");
    let entries = journal.entries().expect("readable");
    let [Entry::Idle(first), Entry::Idle(second), Entry::Unusable(error)] = entries.as_slice() else {
        panic!("{entries:?}")
    };
    assert_eq!((first.host.as_str(), second.host.as_str()), ("b", "a"));
    assert!(matches!(error, JournalError::Newer { found: 2, .. }), "{error}");
}

#[tokio::test]
async fn a_newer_record_is_refused_and_never_rewritten() {
    let journal = journal();
    fs::create_dir(journal.dir()).expect("made");
    let path = journal.dir().join("a.json");
    // Of the future: another shape as well.
    fs::write(&path, r#"{"version": 7, "everything": "else"}"#).expect("written");
    let before = fs::read(&path).expect("readable");
    for _ in 0..2 {
        assert!(matches!(journal.entries().expect("readable").as_slice(), [Entry::Unusable(_)]));
        assert!(matches!(journal.open(&"a".into()).await, Err(JournalError::Newer { found: 7, .. })));
    }
    assert_eq!(fs::read(&path).expect("readable"), before);
}

#[tokio::test]
async fn a_torn_record_stays_and_is_reported_each_time() {
    let journal = journal();
    fs::create_dir(journal.dir()).expect("made");
    let whole = RECORD.replace("HOST", "a").replace("CREATED", "2026-01-02T03:04:05Z");
    let halves = &whole.as_bytes()[..whole.len() / 2];
    let astray = whole.replace("\"d-1\"", "\"../d-1\"");
    let others = whole.replace("\"host\": \"a\"", "\"host\": \"b\"");
    let torn: [&[u8]; 8] =
        [halves, b"", b"[]", b"\0\0", b"{\"version\": \"one\"}", b"{\n\xff", astray.as_bytes(), others.as_bytes()];
    for torn in torn {
        let path = journal.dir().join("a.json");
        fs::write(&path, torn).expect("written");
        for _ in 0..2 {
            let entries = journal.entries().expect("readable");
            let [Entry::Unusable(error)] = entries.as_slice() else { panic!("{torn:?}: {entries:?}") };
            assert!(error.to_string().starts_with(&format!("{}:", path.display())), "{error}");
            assert!(journal.open(&"a".into()).await.is_err(), "{torn:?}");
        }
        assert_eq!(fs::read(&path).expect("kept"), torn);
    }
    fs::write(journal.dir().join("..x.json"), whole.as_bytes()).expect("written");
    fs::write(journal.dir().join("a b.json"), whole.as_bytes()).expect("written");
    let unusable = journal.entries().expect("readable");
    assert_eq!(unusable.len(), 2, "a name that is none is said, a hidden file is not ours: {unusable:?}");
}

/// What is there and can't be read is never taken for a host that is gone. (Modes do not stop root, as which these tests may run.)
#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_is_not_missing() {
    type Make = fn(&Path);
    let ways: [(&str, Make); 5] = [
        ("a folder", |path| fs::create_dir(path).expect("made")),
        ("a link to itself", |path| std::os::unix::fs::symlink(path, path).expect("linked")),
        ("a link to nothing", |path| std::os::unix::fs::symlink("/nowhere", path).expect("linked")),
        ("a pipe that nobody writes to", |path| {
            let made = std::process::Command::new("mkfifo").arg(path).status().expect("coreutils");
            assert!(made.success());
        }),
        ("a file that never ends", |path| {
            File::create(path).and_then(|file| file.set_len(1 << 40)).expect("made");
        }),
    ];
    for (what, make) in ways {
        let journal = journal();
        fs::create_dir(journal.dir()).expect("made");
        make(&journal.dir().join("a.json"));
        let entries = journal.entries().expect("listed");
        assert!(matches!(entries.as_slice(), [Entry::Unusable(JournalError::Io { .. })]), "{what}: {entries:?}");
        let opened = journal.open(&"a".into()).await;
        assert!(matches!(opened, Err(JournalError::Io { .. })), "{what}: {opened:?}");
        assert!(journal.begin(record("a", "2026-01-02T03:04:05Z")).is_err(), "{what} is not overwritten");
    }
    // A home whose part is no folder (ENOTDIR, as ESTALE and EIO, is no ENOENT).
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("file"), "").expect("written");
    let journal = Journal::new(folder.path().join("file/journal"));
    assert!(journal.entries().is_err());
    assert!(journal.open(&"a".into()).await.is_err());
}

#[tokio::test]
async fn a_missing_folder_is_an_empty_journal() {
    let journal = journal();
    assert!(journal.entries().expect("readable").is_empty());
    assert!(matches!(journal.open(&"a".into()).await.expect("readable"), Opened::Missing));
}

#[test]
fn the_token_is_in_the_record_before_the_launch() {
    let record = record("a", "2026-01-02T03:04:05Z");
    let Intent::Instance(LaunchIntent { client_token, .. }) = &record.steps[1].intent else { panic!("an instance") };
    assert_eq!(*client_token, ClientToken::new("t-1"));
    assert_eq!(record.place.region, Region::new("eu-west-1"));
}

/// In words that name no type of a programming language, and the place once.
#[test]
fn what_is_wrong_with_a_record_is_said_in_plain_words() {
    let place = Path::new("a.json");
    let sound = super::text(&record("a", "2026-01-02T03:04:05Z")).expect("written");
    let wrong = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut value: serde_json::Value = serde_json::from_str(&sound).expect("JSON");
        change(&mut value);
        super::parsed(&value.to_string(), &"a".into(), place).expect_err("refused").to_string()
    };
    let cases = [
        (wrong(&|value| *value = serde_json::json!(7)), "invalid type: integer `7`, expected an object"),
        (wrong(&|value| value["daemon_port"] = serde_json::json!(70_000)), "expected a whole number"),
        (
            wrong(&|value| value["daemon_port"] = serde_json::json!("x")),
            "invalid type: string \"x\", expected a whole number",
        ),
        (wrong(&|value| value["resources"] = serde_json::json!(7)), "expected a list"),
        (wrong(&|value| value["instance"] = serde_json::json!(7)), "expected an object"),
    ];
    for (error, expected) in cases {
        assert!(error.contains("a.json:1:") && error.ends_with(expected), "{expected}: {error}");
        assert!(!error.contains(" at line ") && !error.contains("struct") && !error.contains("u16"), "{error}");
    }
}
