//! `sdocker ecr-login`: log the Docker CLI in to the account's Amazon ECR.

use sdocker::{
    Surroundings,
    ecr::{Login, login_to_ecr},
};
use sdocker_console::{Printer, shown};

/// Log the Docker CLI in to the account's Amazon ECR.
///
/// The login is valid for twelve hours; run this again to renew it.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The account, instead of the app's own, such as 763104351884 for AWS's Deep Learning Containers.
    #[arg(long, value_name = "ID", value_parser = account)]
    account: Option<String>,
}

fn account(text: &str) -> Result<String, String> {
    if text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit()) {
        Ok(text.to_owned())
    } else {
        Err(format!("`{text}` is not an AWS account id: expected twelve digits"))
    }
}

pub(crate) async fn run(args: &Args, surroundings: &Surroundings, printer: &Printer) -> anyhow::Result<()> {
    let login = login_to_ecr(args.account.as_deref(), surroundings).await?;
    printer.result(&login, || shown::login(&login))?;
    if matches!(login, Login::LoggedIn { .. }) {
        printer.hint("the Docker CLI keeps the login in config.json; amazon-ecr-credential-helper keeps none");
    }
    Ok(())
}
