//! Records of the journal, in a home that others may write to.
#![no_main]

use host_provisioner::{Entry, HostId, Journal};
use libfuzzer_sys::fuzz_target;
use sdocker_fuzz::{empty_folder, put};

const HOST: &str = "0123456789abcdef";

fuzz_target!(|input: &[u8]| {
    let folder = empty_folder();
    put(&folder.join(HOST).with_extension("json"), input);
    let entries = Journal::new(folder).entries().expect("one bad record does not hide the others");
    assert_eq!(entries.len(), 1);
    match &entries[0] {
        Entry::Idle(record) | Entry::Busy(record) => {
            assert_eq!(record.host, HOST.parse::<HostId>().expect("a host's name"));
            let again = serde_json::to_vec(record).expect("a record can be written");
            assert_eq!(serde_json::from_slice::<host_provisioner::Record>(&again).expect("and read"), *record);
        }
        Entry::Unusable(error) => assert!(!error.to_string().is_empty()),
    }
});
