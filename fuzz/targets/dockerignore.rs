//! A `.dockerignore`, which comes with whatever repository is built: no pattern takes more than linear time.
#![no_main]

use std::{
    path::Path,
    time::{Duration, Instant},
};

use libfuzzer_sys::fuzz_target;
use sdocker_fuzz::in_two;

fuzz_target!(|input: &[u8]| {
    let (rules, path) = in_two(input);
    let (Ok(rules), Ok(path)) = (std::str::from_utf8(rules), std::str::from_utf8(path)) else { return };
    let path = path.trim_matches('/');
    if path.is_empty() || path.split('/').any(|name| matches!(name, "" | "." | "..")) {
        return;
    }
    let began = Instant::now();
    let ignored = docker_remote::fuzzing::ignores(rules, Path::new(path));
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    if ignored == Some(true) {
        assert_ne!(path, "Dockerfile");
        // What is below a folder that is left out is left out, too, where nothing makes an exception.
        if !rules.contains('!') {
            assert_eq!(docker_remote::fuzzing::ignores(rules, &Path::new(path).join("below")), Some(true));
        }
    }
});
