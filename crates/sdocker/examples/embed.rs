//! A program that needs a Docker host for a while: it gets one, builds a folder there, runs the image, and ends the host.
//!
//! In a Studio app: `cargo run -p sdocker --example embed -- FOLDER`, with a `Dockerfile` in the folder. Elsewhere, as root,
//! `SDOCKER_CLOUD=sandbox` plays Studio on this machine.

use std::{env, io, io::Write as _};

use docker_remote::{BuildRequest, RunRequest};
use futures_util::TryStreamExt as _;
use sdocker::{Aws, CloudChoice, Error, Host, HostRequest, Notice, Studio, Surroundings};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = env::args_os().nth(1).ok_or("name a folder with a Dockerfile")?;

    // The program decides what is taken from its environment: the library takes nothing by itself.
    let mut surroundings = Surroundings::new(env::home_dir().ok_or("there is no home")?);
    surroundings.path = env::var_os("PATH").unwrap_or_default();
    surroundings.cloud =
        env::var("SDOCKER_CLOUD").is_ok_and(|cloud| cloud == "sandbox").then_some(CloudChoice::Sandbox);
    let aws = Aws::SdkChain;
    let observer = |notice: Notice| {
        // Whether it can be shown changes nothing.
        let _ = writeln!(io::stderr(), "{notice:?}");
    };

    let studio = Studio::discover(surroundings, aws).await?;
    let host = studio.create_host(HostRequest::new("c5.xlarge"), &observer).await?;
    let ran = build_and_run(&host, folder.into()).await;
    host.terminate().await?;

    io::stdout().write_all(&ran?)?;
    Ok(())
}

/// What the image of a folder prints.
async fn build_and_run(host: &Host, folder: std::path::PathBuf) -> Result<Vec<u8>, Error> {
    let tag = "embedded:example".to_owned();
    let build = BuildRequest { folder, tag: tag.clone(), ..BuildRequest::default() };
    host.docker().build(&build).try_for_each(async |_progress| Ok(())).await?;
    let outcome = host.docker().run_collected(&RunRequest { image: tag, ..RunRequest::default() }).await?;
    Ok(outcome.stdout)
}
