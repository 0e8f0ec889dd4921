//! A host that sends whatever it likes to a share of folders: it gets and changes nothing outside, and the server neither panics nor hangs.
#![no_main]

use std::{fs, os::unix::fs::symlink, sync::Arc, time::Duration};

use file_share::{Hello, Server, ShareSettings};
use libfuzzer_sys::fuzz_target;
use sdocker_fuzz::{empty_folder, put};

const SECRET: &[u8] = b"not shared, and never sent";

/// Requests of FUSE that a host can make (linux/fuse.h).
const OPCODES: [u32; 32] = [
    1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 20, 26, 27, 28, 29, 30, 34, 35, 36, 38, 42, 43, 44, 45,
    46,
];
/// `struct fuse_in_header`.
const HEADER: usize = 40;

fn message(opcode: u32, unique: u64, node: u64, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(HEADER + body.len()).expect("short");
    let mut message = Vec::with_capacity(HEADER + body.len());
    message.extend_from_slice(&length.to_ne_bytes());
    message.extend_from_slice(&opcode.to_ne_bytes());
    message.extend_from_slice(&unique.to_ne_bytes());
    message.extend_from_slice(&node.to_ne_bytes());
    message.resize(HEADER, 0);
    message.extend_from_slice(body);
    message
}

/// Requests of the input: an operation, a node, a length, and so many bytes; then the rest as it is.
fn stream(mut input: &[u8]) -> Vec<u8> {
    let mut stream = Hello { session: [7; 16] }.to_bytes().to_vec();
    // struct fuse_init_in of 7.45, with all flags.
    let init: Vec<u8> = [7u32, 45, 128 << 10, u32::MAX].iter().flat_map(|word| word.to_ne_bytes()).collect();
    stream.extend(message(26, 2, 0, &init));
    let mut unique = 2;
    while let [operation, node, length, rest @ ..] = input {
        if *operation == 0xff {
            stream.extend_from_slice(rest);
            break;
        }
        let length = usize::from(*length).min(rest.len());
        unique += 2;
        stream.extend(message(
            OPCODES[usize::from(*operation) % OPCODES.len()],
            unique,
            u64::from(*node),
            &rest[..length],
        ));
        input = &rest[length..];
    }
    stream
}

fuzz_target!(|input: &[u8]| {
    let folder = empty_folder();
    let (share, outside) = (folder.join("share"), folder.join("outside"));
    put(&outside.join("secret"), SECRET);
    put(&share.join("d/file"), b"shared");
    symlink(outside.join("secret"), share.join("link")).expect("linked");
    symlink(&outside, share.join("out")).expect("linked");
    let server = Arc::new(Server::new(ShareSettings::new(&share)).expect("shared"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let answers = runtime.block_on(async {
        let (ours, theirs) = tokio::io::duplex(64 << 20);
        tokio::time::timeout(Duration::from_secs(20), server.serve(stream(input).as_slice(), theirs))
            .await
            .expect("the server comes to an end");
        let mut ours = ours;
        let mut answers = Vec::new();
        let _ = tokio::io::AsyncReadExt::read_to_end(&mut ours, &mut answers).await;
        answers
    });
    drop(runtime);
    assert!(!answers.windows(SECRET.len()).any(|window| window == SECRET), "the secret was sent");
    let names: Vec<_> = fs::read_dir(&outside).expect("there").map(|entry| entry.expect("read").file_name()).collect();
    assert_eq!(names, ["secret"]);
    assert_eq!(fs::read(outside.join("secret")).expect("there"), SECRET);
});
