//! `sdocker config`: the settings of `sdocker.conf`.

use std::process::{Command, ExitCode};

use anyhow::Context as _;
use clap::Subcommand;
use clap_complete::engine::ArgValueCompleter;
use sdocker::{
    Error, Home,
    config::{ConfigFile, Key},
};
use sdocker_console::{Printer, shown};
use serde_json::json;

use crate::{completion, environment};

/// Show and change the settings of sdocker.conf.
///
/// `create-host` uses these settings for every option that you do not give. Unknown keys and the file's layout stay as they are.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Print every setting and where its value comes from.
    #[command(visible_alias = "ls")]
    List,
    /// Print a setting's value.
    Get {
        /// The setting, such as InstanceType.
        #[arg(value_name = "KEY", value_parser = Key::parse, add = ArgValueCompleter::new(completion::settings))]
        key: &'static Key,
    },
    /// Set a setting.
    Set {
        /// The setting, such as InstanceType.
        #[arg(value_name = "KEY", value_parser = Key::parse, add = ArgValueCompleter::new(completion::settings))]
        key: &'static Key,
        /// The value; several for a list, and KEY=VALUE for Tags.
        #[arg(value_name = "VALUE", required = true, allow_negative_numbers = true)]
        values: Vec<String>,
    },
    /// Remove a setting, so that its default applies again.
    Unset {
        /// The setting, such as InstanceType.
        #[arg(value_name = "KEY", value_parser = Key::parse, add = ArgValueCompleter::new(completion::settings))]
        key: &'static Key,
    },
    /// Open the file in $VISUAL or $EDITOR.
    Edit,
}

pub(crate) fn run(args: &Args, home: &Home, printer: &Printer) -> anyhow::Result<ExitCode> {
    let file = home.config_file()?;
    match &args.action {
        Action::List => list(&file, home, printer)?,
        Action::Get { key } => {
            let setting = file.settings()?.into_iter().find(|setting| setting.key == key.name);
            let setting = setting.context("there is no such setting")?;
            printer.result(&setting, || shown::value(&setting.value))?;
        }
        Action::Set { key, values } => {
            file.set(key, values)?;
            printer.info(format!("{} is set in {}", key.name, file.path().display()));
        }
        Action::Unset { key } => {
            file.set(key, &[])?;
            printer.info(format!("{} is not set in {}", key.name, file.path().display()));
        }
        Action::Edit => return edit(&file, home, printer),
    }
    Ok(ExitCode::SUCCESS)
}

fn list(file: &ConfigFile, home: &Home, printer: &Printer) -> anyhow::Result<()> {
    let settings = file.settings()?;
    for warning in home.settings()?.warnings {
        printer.warn(warning);
    }
    let path = file.exists().then(|| file.path().display().to_string());
    printer.result(&json!({"file": path, "settings": settings}), || shown::settings(&settings))?;
    match path {
        Some(path) => printer.info(format!("sdocker.conf is {path}; options of `create-host` take precedence")),
        None => printer.info(format!("there is no {} yet; `sdocker config set` creates it", file.path().display())),
    }
    Ok(())
}

fn edit(file: &ConfigFile, home: &Home, printer: &Printer) -> anyhow::Result<ExitCode> {
    let Some(editor) = environment::editor() else {
        let error = Error::new("neither VISUAL nor EDITOR names an editor");
        return Err(error.hint(format!("`export EDITOR=nano`, or edit {} otherwise", file.path().display())).into());
    };
    file.create()?;
    // It may have arguments, as in `code --wait`: every program that takes these variables gives them to a shell.
    let mut command = Command::new("sh");
    command.args(["-c", "exec $0 \"$1\"", &editor]).arg(file.path());
    let ended = command.status().with_context(|| format!("cannot start {editor}"))?;
    if !ended.success() {
        return Err(Error::new(format!("{editor} ended with {ended}")).into());
    }
    let edited = home.settings();
    let edited =
        edited.map_err(|error| error.hint("run `sdocker config edit` again; until then no host can be created"))?;
    for warning in edited.warnings {
        printer.warn(warning);
    }
    Ok(ExitCode::SUCCESS)
}
