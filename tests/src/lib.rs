//! What the suites share: the binary under test, a home for it to work in, the AWS endpoint of the wire suite,
//! a proxy on the way there, and a registry of images.

mod docker;
mod front;
mod home;
mod machine;
pub mod network;
mod proxy;
mod registry;
mod space;
mod studio_user;
mod terminal;

pub use docker::{Docker, import_buildkit, import_image};
pub use front::{Effect, EndpointFault, Foreign, Front, Place};
pub use home::{Home, Run};
pub use machine::{Machine, Subnet, eventually};
pub use proxy::{Proxy, tls_before};
pub use registry::{PrivateRegistry, Registry, Says, import_registry};
pub use space::Space;
pub use studio_user::StudioUser;
pub use terminal::Terminal;

/// Says why a suite can't run here; where nothing may be skipped, fails.
///
/// # Panics
/// With `SDOCKER_REQUIRE_ALL` set.
#[expect(clippy::print_stderr, reason = "the test script counts these lines")]
pub fn skip(why: &str) {
    assert!(std::env::var_os("SDOCKER_REQUIRE_ALL").is_none(), "{why}");
    eprintln!("SKIP: {why}");
}
