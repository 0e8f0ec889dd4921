use std::os::unix::fs::symlink;

use tempfile::TempDir;

use super::*;
use crate::undo;

fn home() -> (TempDir, Request) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let home = folder.path().join("home");
    fs::create_dir(&home).expect("made");
    let record = folder.path().join("state/configure.json");
    (folder, Request { home, shared: SharedFolder::Home, record })
}

fn configure(request: &Request) -> Vec<Action> {
    let plan = plan(request).expect("it can be planned");
    apply(&plan).expect("it can be done");
    plan.actions
}

#[test]
fn configuring_twice_does_nothing_more_and_undo_takes_it_all_away() {
    let (_folder, request) = home();
    assert_eq!(configure(&request).len(), 3);
    assert_eq!(configure(&request), []);
    let text = fs::read_to_string(request.home.join(".sagemaker/config.yaml")).expect("written");
    assert_eq!(text, format!("local:\n  container_root: \"{}\"\n", request.home.join("tmp").display()));
    undo(&request.record).expect("undone");
    assert!(!request.home.join("tmp").exists() && !request.home.join(".sagemaker/config.yaml").exists());
    assert!(!request.record.exists());
    assert_eq!(undo(&request.record).expect("nothing to undo"), crate::Undone::default());
}

#[test]
fn undo_restores_the_users_file_byte_for_byte() {
    let (_folder, request) = home();
    let config = request.home.join(".sagemaker/config.yaml");
    let theirs = "# mine\nlocal: \n    local_code:   true\n    container_root:  '/old'   # mine too\n";
    write(&config, theirs).expect("written");
    configure(&request);
    assert_ne!(fs::read_to_string(&config).expect("there"), theirs);
    undo(&request.record).expect("undone");
    assert_eq!(fs::read_to_string(&config).expect("there"), theirs);
}

#[test]
fn undo_respects_later_edits_and_files() {
    let (_folder, request) = home();
    let config = request.home.join(".sagemaker/config.yaml");
    configure(&request);
    let edited = fs::read_to_string(&config).expect("there") + "  local_code: true\n";
    fs::write(&config, &edited).expect("edited");
    fs::write(request.home.join("tmp/model.tar.gz"), "x").expect("written");
    let undone = undo(&request.record).expect("undone");
    assert_eq!(fs::read_to_string(&config).expect("there"), "local:\n  local_code: true\n");
    assert_eq!(undone.kept, [format!("{} holds files", request.home.join("tmp").display())]);
}

#[test]
fn in_a_space_the_folders_are_links_to_shared_storage() {
    let (folder, mut request) = home();
    let efs = folder.path().join("efs");
    fs::create_dir(&efs).expect("made");
    request.shared = SharedFolder::At(efs.clone());
    symlink("/elsewhere", request.home.join("temp")).expect("linked");
    configure(&request);
    assert_eq!(configure(&request), []);
    for name in FOLDERS {
        assert_eq!(fs::read_link(request.home.join(name)).expect("a link"), efs.join(name));
    }
    undo(&request.record).expect("undone");
    assert!(!request.home.join("tmp").exists());
    assert_eq!(fs::read_link(request.home.join("temp")).expect("theirs again"), PathBuf::from("/elsewhere"));
}

#[test]
fn a_folder_with_files_is_not_replaced() {
    let (folder, mut request) = home();
    request.shared = SharedFolder::At(folder.path().join("efs"));
    fs::create_dir(request.home.join("tmp")).expect("made");
    fs::write(request.home.join("tmp/data"), "x").expect("written");
    assert!(matches!(plan(&request), Err(Error::FolderInTheWay { .. })));
}
