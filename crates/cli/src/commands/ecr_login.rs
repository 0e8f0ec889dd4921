//! `sdocker ecr-login`: log the Docker CLI in to the account's Amazon ECR.
//!
//! The password never lies on a command line: the AWS CLI hands it over, and the Docker CLI keeps it where it is told to, in a
//! credential store where there is one. It expires after twelve hours (ECR user guide, "Private registry authentication").

use std::{path::Path, process::Stdio};

use anyhow::Context as _;
use serde::Serialize;
use tokio::{io::AsyncWriteExt as _, process::Command};

use sdocker::{
    Error, Surroundings,
    permission::{self, Caller},
    session,
};

use crate::printer::Printer;

/// Log the Docker CLI in to the account's Amazon ECR. The login holds for twelve hours; run it again to renew it.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The account, instead of the app's own: such as 763104351884, which holds AWS's Deep Learning Containers.
    #[arg(long, value_name = "ID", value_parser = account)]
    account: Option<String>,
}

fn account(text: &str) -> Result<String, String> {
    if text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit()) {
        Ok(text.to_owned())
    } else {
        Err(format!("`{text}` is no AWS account id: twelve digits"))
    }
}

#[derive(Debug, Serialize)]
struct LoggedIn {
    registry: String,
}

pub(crate) async fn run(args: &Args, surroundings: &Surroundings, printer: &Printer) -> anyhow::Result<()> {
    let facts = session::local_facts(surroundings)?;
    let region = facts.region().as_str();
    let account = args.account.as_deref().unwrap_or_else(|| facts.account().as_str());
    let registry = format!("{account}.dkr.ecr.{region}.{}", suffix(region));
    let docker = program(surroundings, "docker")?;

    // The credential helper, where the user has one, stores nothing at all.
    if uses_helper(surroundings, &registry) {
        let logged_in = LoggedIn { registry };
        return printer.result(&logged_in, || format!("a credential helper is configured for {}", logged_in.registry));
    }
    let aws = program(surroundings, "aws")?;
    let output = Command::new(&aws)
        .args(["ecr", "get-login-password", "--region", region])
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .output()
        .await
        .with_context(|| format!("cannot run {}", aws.display()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let error = Error::new(format!("ECR gave no password: {}", said.trim()));
        let error = if said.contains("AccessDenied") || said.contains("not authorized") {
            let hints = permission::hints("ecr:GetAuthorizationToken", &said, &Caller::of(surroundings));
            hints.into_iter().fold(error, Error::hint)
        } else {
            error
        };
        return Err(error.into());
    }
    login(&docker, &registry, &output.stdout).await?;
    let logged_in = LoggedIn { registry };
    printer.result(&logged_in, || format!("logged in to {} for twelve hours", logged_in.registry))?;
    printer.hint("the Docker CLI keeps the login in config.json; amazon-ecr-credential-helper keeps none");
    Ok(())
}

/// The DNS suffix of the Region's partition (AWS general reference).
fn suffix(region: &str) -> &'static str {
    if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" }
}

fn program(surroundings: &Surroundings, name: &str) -> anyhow::Result<std::path::PathBuf> {
    let found = surroundings.which(name);
    found.ok_or_else(|| {
        Error::new(format!("there is no `{name}` on PATH")).hint("`sdocker setup` says what is missing").into()
    })
}

fn uses_helper(surroundings: &Surroundings, registry: &str) -> bool {
    let Ok(text) = std::fs::read_to_string(surroundings.docker_config.join("config.json")) else { return false };
    let Ok(config) = serde_json::from_str::<serde_json::Value>(&text) else { return false };
    config["credHelpers"].get(registry).is_some() || config["credsStore"].as_str() == Some("ecr-login")
}

async fn login(docker: &Path, registry: &str, password: &[u8]) -> anyhow::Result<()> {
    let failed = || format!("cannot run {}", docker.display());
    let mut child = Command::new(docker)
        .args(["login", "--username", "AWS", "--password-stdin", registry])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(failed)?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(password).await.with_context(failed)?;
    }
    let output = child.wait_with_output().await.with_context(failed)?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Error::new(format!("docker login to {registry} failed: {}", said.trim())).into())
}
