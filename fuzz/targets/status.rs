//! The status file, which a host writes and any container of it can.
#![no_main]

use docker_remote::read_stages;
use libfuzzer_sys::fuzz_target;
use sdocker_fuzz::{empty_folder, put};

fuzz_target!(|input: &[u8]| {
    let path = empty_folder().join("status");
    put(&path, input);
    let stages = read_stages(&path).expect("lines that can't be read are left out");
    assert!(stages.len() <= input.iter().filter(|byte| **byte == b'\n').count());
    for stage in stages {
        assert!(![stage.time, stage.stage, stage.detail].iter().any(|word| word.contains('\n')));
    }
});
