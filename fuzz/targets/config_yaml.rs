//! The SageMaker SDK's `config.yaml`, which its owner writes: edited where it is understood for sure, else left, and the edit undone byte for
//! byte.
#![no_main]

use std::fs;

use libfuzzer_sys::fuzz_target;
use localmode_config::{Action, Request, SharedFolder, apply, plan, undo};
use sdocker_fuzz::{empty_folder, put};

fuzz_target!(|input: &[u8]| {
    let home = empty_folder();
    // The file is a link, as people keep their dotfiles elsewhere.
    let (link, file) = (home.join(".sagemaker/config.yaml"), home.join("dotfiles/config.yaml"));
    put(&file, input);
    fs::create_dir(home.join(".sagemaker")).expect("made");
    std::os::unix::fs::symlink(&file, &link).expect("linked");
    let request = Request { home: home.to_owned(), shared: SharedFolder::Home, record: home.join("record.json") };
    let planned = plan(&request).expect("a bad file is left, and no error");
    let edits = planned.actions.iter().any(|action| matches!(action, Action::SetContainerRoot { .. }));
    let applied = apply(&planned).expect("applied");
    let after = fs::read(&file).expect("still there");
    assert_eq!(edits, after != input, "changed exactly where that was planned");
    if edits {
        assert!(plan(&request).expect("planned").actions.is_empty(), "a second time there is nothing to do");
    }
    for left in &applied.left {
        assert!(left.advice.iter().any(|line| line.contains("container_root")), "the lines to add are said: {left:?}");
    }
    undo(&request.record).expect("undone");
    assert!(fs::symlink_metadata(&link).expect("there").is_symlink(), "a link stays a link");
    assert_eq!(fs::read(&file).expect("still there"), input, "undone byte for byte");
});
