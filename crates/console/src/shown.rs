//! What people read of a result of the library: text of its types, and nothing else. No function here prints, asks or decides anything.

mod copied;
mod cost;
mod diagnosis;
mod forwarding;
mod hosts;
mod image;
mod local_mode;
mod login;
mod new_host;
mod plan;
mod recovery;
mod settings;
mod socket;
mod status;
mod swarm;
mod termination;
mod variables;

pub use copied::copied;
pub use diagnosis::diagnosis;
pub use forwarding::forwarding;
pub use hosts::{hosts, stopped_host, used};
pub use image::built_image;
pub use local_mode::{configured, deconfigured, set_up};
pub use login::login;
pub use new_host::{new_host, new_hosts};
pub use plan::plan;
pub use recovery::{forgotten, recovery};
pub use settings::{settings, value};
pub use socket::{no_host, up};
pub use status::status;
pub use swarm::{mended, shared_images, swarm};
pub use termination::terminations;
pub use variables::{Syntax, variables};
