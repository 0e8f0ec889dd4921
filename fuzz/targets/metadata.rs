//! Studio's metadata file. What it says becomes arguments of API calls, tags and names of files.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sdocker_fuzz::{empty_folder, put};
use studio_discovery::{LocalFacts, LocalSources};

fuzz_target!(|input: &[u8]| {
    let root = empty_folder();
    put(&root.join("opt/ml/metadata/resource-metadata.json"), input);
    let sources = LocalSources {
        metadata_root: root.to_owned(),
        home: root.join("home"),
        region: None,
        aws_region: Some("eu-west-1".to_owned()),
        region_name: None,
    };
    match LocalFacts::read(&sources) {
        Ok(facts) => {
            let names = [facts.domain().as_str(), facts.account().as_str(), facts.region().as_str()];
            for name in names.into_iter().chain(facts.profile().map(|profile| profile.as_str())) {
                let harmless = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
                assert!(!name.is_empty() && name.bytes().all(harmless), "{name:?}");
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
