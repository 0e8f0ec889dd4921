//! The Docker CLI's `config.json`: one field is ours, and all else stays.
#![no_main]

use std::{collections::BTreeMap, fs, path::Path};

use docker_remote::ContextStore;
use libfuzzer_sys::fuzz_target;
use sdocker_fuzz::{empty_folder, put};
use serde_json::Value;

const META: &[u8] =
    br#"{"Name":"ours","Metadata":{},"Endpoints":{"docker":{"Host":"tcp://h:1","SkipTLSVerify":false}}}"#;
const CURRENT: &str = "currentContext";
/// SHA-256 of `ours`.
const ID: &str = "ae0bec9e9d33c56354bd612c8a6010840324fc5b9786ce0a18b696b304b09397";

/// What Docker makes of the file, which takes names in any case of their letters, and of several with one name the last.
fn object(path: &Path) -> Option<BTreeMap<String, Value>> {
    let object: serde_json::Map<String, Value> = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
    let is_ours = |name: &str| name.eq_ignore_ascii_case("currentContext");
    Some(
        object
            .into_iter()
            .map(|(name, value)| (if is_ours(&name) { CURRENT.to_owned() } else { name }, value))
            .collect(),
    )
}

fuzz_target!(|input: &[u8]| {
    let folder = empty_folder();
    let config = folder.join("config.json");
    put(&config, input);
    put(&folder.join("contexts/meta").join(ID).join("meta.json"), META);
    let before = object(&config);
    let store = ContextStore::new(folder);
    let current = store.current();
    match store.use_context(Some("ours")) {
        Err(docker_remote::Error::NoContext { .. }) => panic!("ID is not the context's"),
        Err(_) => assert_eq!(fs::read(&config).expect("there"), input, "what is not understood stays as it is"),
        Ok(()) => {
            assert_eq!(store.current().expect("readable"), Some("ours".to_owned()));
            let mut after = object(&config).expect("Docker reads what we write");
            assert_eq!(after.remove(CURRENT), Some("ours".into()), "as Docker reads it");
            if let Some(mut before) = before {
                before.remove(CURRENT);
                assert_eq!(before, after, "everything else stays");
            }
            store.use_context(None).expect("editable again");
            assert_eq!(store.current().expect("readable"), None);
            assert!(current.is_ok(), "what can be edited can be read");
        }
    }
});
