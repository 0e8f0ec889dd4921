//! The list of hosts, which other tools write as well: it names hosts that a user may use and end.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sdocker::{Home, Surroundings, lookup::Lookup};
use sdocker_fuzz::{empty_folder, put};

fuzz_target!(|input: &[u8]| {
    let home = empty_folder();
    put(&home.join(".sdocker/sdocker-hosts.conf"), input);
    let surroundings = Surroundings::new(home);
    let hosts = Home::new(surroundings.clone()).hosts().expect("a list that is none hides no record");
    for host in &hosts {
        assert_eq!(host.name, format!("{}_{}", host.instance_type, host.instance));
        assert!(!host.name.contains(['/', '\0']) && host.name != "..", "{}", host.name);
    }
    // Mended, it names the same hosts, and needs no mending again.
    let lookup = Lookup::new(&surroundings);
    let _ = lookup.mend_hosts_conf();
    assert_eq!(lookup.mend_hosts_conf(), None);
    let names = |hosts: &[sdocker::lookup::KnownHost]| hosts.iter().map(|host| host.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&lookup.hosts().expect("a list")), names(&hosts));
});
