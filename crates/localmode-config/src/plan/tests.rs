use std::{
    collections::BTreeMap,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink},
};

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
    let applied = apply(&plan).expect("it can be done");
    assert_eq!(applied, Applied { done: plan.actions.clone(), left: plan.left });
    plan.actions
}

fn space() -> (TempDir, Request) {
    let (folder, mut request) = home();
    let efs = folder.path().join("efs");
    fs::create_dir(&efs).expect("made");
    request.shared = SharedFolder::At(efs);
    (folder, request)
}

/// Everything below a folder: inode, mode, times, and the contents of files and links.
fn tree(root: &Path) -> BTreeMap<PathBuf, (u64, u32, i64, Vec<u8>)> {
    let mut tree = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("readable").flatten() {
            let (path, found) = (entry.path(), entry.metadata().expect("there"));
            let contents = if found.is_dir() {
                folders.push(path.clone());
                Vec::new()
            } else if found.is_symlink() {
                fs::read_link(&path).expect("a link").into_os_string().into_encoded_bytes()
            } else {
                fs::read(&path).expect("readable")
            };
            let relative = path.strip_prefix(root).expect("below").to_owned();
            // A link to our own folders changes the times of the folder that it is in, and no others.
            tree.insert(relative, (found.ino(), found.mode(), found.mtime_nsec(), contents));
        }
    }
    tree
}

/// What it is, and how to make it.
type Obstacle = (&'static str, fn(&Path));

/// What may be at `~/tmp` and `~/temp` before.
const OBSTACLES: [Obstacle; 7] = [
    ("a file", |path| {
        fs::write(path, "theirs").expect("written");
        fs::set_permissions(path, fs::Permissions::from_mode(0o640)).expect("changed");
    }),
    ("an empty file", |path| fs::write(path, "").expect("written")),
    ("a folder with files", |path| {
        fs::create_dir_all(path.join("deep")).expect("made");
        fs::write(path.join("deep/model.bin"), [0, 159, 255]).expect("written");
        symlink("../gone", path.join("link")).expect("linked");
        fs::set_permissions(path, fs::Permissions::from_mode(0o1750)).expect("changed");
    }),
    ("an empty folder", |path| fs::create_dir(path).expect("made")),
    ("a link", |path| symlink("/elsewhere/tmp", path).expect("linked")),
    ("a link to a folder", |path| symlink("/usr", path).expect("linked")),
    ("a link to itself", |path| symlink(path, path).expect("linked")),
];

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
    let (folder, request) = space();
    configure(&request);
    assert_eq!(configure(&request), []);
    for name in [NEEDED, CONVENTIONAL] {
        assert_eq!(fs::read_link(request.home.join(name)).expect("a link"), folder.path().join("efs").join(name));
    }
    undo(&request.record).expect("undone");
    assert_eq!((tree(&request.home).len(), tree(&folder.path().join("efs")).len()), (0, 0));
}

#[test]
fn what_is_in_the_way_is_moved_aside_and_given_back_as_it_was() {
    for shares in [false, true] {
        for (what, make) in OBSTACLES {
            let (_folder, request) = if shares { space() } else { home() };
            let (needed, conventional) = (request.home.join(NEEDED), request.home.join(CONVENTIONAL));
            make(&needed);
            make(&conventional);
            let before = tree(&request.home);
            let actions = configure(&request);
            assert_eq!(configure(&request), [], "{what}");
            assert!(needed.is_dir(), "{what}");
            if let SharedFolder::At(efs) = &request.shared {
                assert_eq!(fs::read_link(&needed).expect(what), efs.join(NEEDED));
                let moves: Vec<_> = actions.iter().filter_map(Action::moves).collect();
                let aside = request.home.join("tmp.before-sdocker/tmp");
                assert_eq!(moves, [(needed.as_path(), aside.as_path())], "{what}");
                assert_eq!(plan(&request).expect("it can be planned").left.len(), 1, "{what}: temp is left");
            }
            // Nothing needs the other one.
            let others = |tree: &BTreeMap<PathBuf, _>| -> Vec<_> {
                tree.keys().filter(|path| path.starts_with(CONVENTIONAL)).cloned().collect()
            };
            assert_eq!(others(&tree(&request.home)), others(&before), "{what}");
            let undone = undo(&request.record).expect(what);
            assert_eq!((tree(&request.home), undone.kept), (before, Vec::<String>::new()), "{what}, shared: {shares}");
            assert!(!request.record.exists());
        }
    }
}

#[test]
fn nothing_is_lost_wherever_configuring_or_undoing_dies() {
    let (_folder, request) = space();
    let (path, aside) = (request.home.join(NEEDED), request.home.join("tmp.before-sdocker/tmp"));
    fs::create_dir(&path).expect("made");
    fs::write(path.join("data"), "theirs").expect("written");
    let before = tree(&request.home);
    let plan = plan(&request).expect("it can be planned");
    let remembers = |count: usize| {
        let mut before = Before::default();
        for action in &plan.actions[..count] {
            before.remember(action).expect("remembered");
            before.save(&request.record).expect("saved");
        }
    };
    let position = plan.actions.iter().position(|action| action.moves().is_some()).expect("it is in the way");
    let back = |when: &str| {
        undo(&request.record).expect(when);
        assert_eq!(tree(&request.home), before, "{when}");
    };
    // Remembered, and nothing done.
    remembers(position + 1);
    back("before the move");
    // The new place is made.
    remembers(position + 1);
    fs::create_dir(aside.parent().expect("a folder")).expect("made");
    back("with a place");
    // Moved, and no link made yet: a second run goes on from there.
    remembers(position + 1);
    aside::move_to(&path, &aside).expect("moved");
    back("after the move");
    remembers(position + 1);
    aside::move_to(&path, &aside).expect("moved");
    configure(&request);
    assert!(path.is_symlink());
    back("after a second run");
    // An undo that died after it took the link away.
    configure(&request);
    fs::remove_file(&path).expect("removed");
    back("in the middle of an undo");
}

#[test]
fn undo_overwrites_nothing_and_can_be_repeated() {
    for (what, make) in OBSTACLES {
        let (_folder, request) = space();
        let (path, aside) = (request.home.join(NEEDED), request.home.join("tmp.before-sdocker/tmp"));
        make(&path);
        let before = tree(&request.home);
        configure(&request);
        // The user puts something else there.
        fs::remove_file(&path).expect("our link");
        fs::write(&path, "new").expect("written");
        let undone = undo(&request.record).expect("undone");
        assert_eq!(undone.kept, [format!("{} stays where it is: {} is there again", aside.display(), path.display())]);
        assert_eq!(fs::read(&path).expect("readable"), b"new");
        fs::remove_file(&path).expect("removed");
        undo(&request.record).expect("undone");
        assert_eq!(tree(&request.home), before, "{what}");
        assert!(!request.record.exists());
    }
}

#[test]
fn what_cannot_be_moved_stays_and_the_rest_is_done() {
    let (_folder, request) = space();
    fs::write(request.home.join(NEEDED), "theirs").expect("written");
    let plan = plan(&request).expect("it can be planned");
    // Its place is taken in the meantime.
    fs::create_dir(request.home.join("tmp.before-sdocker")).expect("made");
    let applied = apply(&plan).expect("the rest is done");
    assert!(applied.left[0].what.contains("cannot be moved to"), "{:?}", applied.left);
    assert_eq!(fs::read(request.home.join(NEEDED)).expect("readable"), b"theirs");
    assert!(request.home.join(".sagemaker/config.yaml").exists());
    // The next try takes another place.
    configure(&request);
    assert!(request.home.join("tmp.before-sdocker-2/tmp").is_file());
}

#[test]
fn a_link_of_ours_follows_the_storage() {
    let (folder, mut request) = space();
    configure(&request);
    let other = folder.path().join("other");
    fs::create_dir(&other).expect("made");
    request.shared = SharedFolder::At(other.clone());
    assert!(configure(&request).iter().all(|action| action.moves().is_none()));
    assert_eq!(fs::read_link(request.home.join(NEEDED)).expect("a link"), other.join(NEEDED));
    undo(&request.record).expect("undone");
    assert_eq!(tree(&request.home).len(), 0);
}

#[test]
fn a_configuration_that_is_not_understood_is_left_with_the_lines_to_add() {
    let texts: [&[u8]; 6] = [
        b"local: &mine\n  local_code: true\nother: *mine\n",
        b"--- # one\nlocal:\n--- # two\nlocal:\n",
        b"local: !!map\n",
        b"local:\n  container_root: !!str /old\n",
        b"{local: {local_code: [}",
        b"# \xff\nlocal:\n",
    ];
    for text in texts {
        let (_folder, request) = home();
        let config = request.home.join(".sagemaker/config.yaml");
        fs::create_dir(config.parent().expect("a folder")).expect("made");
        fs::write(&config, text).expect("written");
        let what = String::from_utf8_lossy(text).into_owned();
        let plan = plan(&request).expect(&what);
        assert_eq!(plan.left.len(), 1, "{what}: {:?}", plan.actions);
        let root = format!("    container_root: \"{}\"", request.home.join(NEEDED).display());
        assert_eq!(plan.left[0].advice[1..], ["  local:".to_owned(), root], "{what}");
        apply(&plan).expect(&what);
        assert_eq!(fs::read(&config).expect("readable"), text, "{what}");
        undo(&request.record).expect(&what);
        assert_eq!(fs::read(&config).expect("readable"), text, "{what}");
    }
}

#[test]
fn the_configuration_keeps_links_and_modes() {
    for theirs in [Some("local:\n  local_code: true\n"), None] {
        let (folder, request) = home();
        let (config, dotfile) = (request.home.join(".sagemaker/config.yaml"), folder.path().join("dotfiles/sagemaker"));
        fs::create_dir_all(config.parent().expect("a folder")).expect("made");
        symlink("../../dotfiles/sagemaker", &config).expect("linked");
        fs::create_dir(folder.path().join("dotfiles")).expect("made");
        if let Some(theirs) = theirs {
            fs::write(&dotfile, theirs).expect("written");
            fs::set_permissions(&dotfile, fs::Permissions::from_mode(0o640)).expect("changed");
        }
        configure(&request);
        let mode = dotfile.metadata().expect("there").mode() & 0o777;
        assert_eq!(mode, if theirs.is_some() { 0o640 } else { 0o600 });
        assert!(config.is_symlink());
        undo(&request.record).expect("undone");
        assert!(config.is_symlink());
        assert_eq!(fs::read_to_string(&dotfile).ok().as_deref(), theirs);
    }
}

#[test]
fn a_record_of_a_newer_version_is_not_misread() {
    let (_folder, request) = home();
    fs::create_dir_all(request.record.parent().expect("a folder")).expect("made");
    let newer = "{\"version\": 3, \"folders\": []}";
    fs::write(&request.record, newer).expect("written");
    let error = undo(&request.record).expect_err("it is newer").to_string();
    assert!(error.contains("a newer sdocker"), "{error}");
    assert_eq!(fs::read_to_string(&request.record).expect("readable"), newer);
    // One of the version before, which replaced links.
    let link = request.home.join(NEEDED);
    symlink("/efs/tmp", &link).expect("linked");
    let older = serde_json::json!({
        "version": 1, "folders": [], "config": null,
        "links": [{"link": link, "target": "/efs/tmp", "before": "/elsewhere"}],
    });
    fs::write(&request.record, older.to_string()).expect("written");
    undo(&request.record).expect("undone");
    assert_eq!(fs::read_link(&link).expect("theirs again"), PathBuf::from("/elsewhere"));
}
