//! `sdocker recover`.

use sdocker::{Home, recovery::Unrecorded};
use sdocker_console::{Interrupt, Printer, Progress, Stopping, Work, shown};

/// Clean up after interrupted commands, and find hosts without a record.
///
/// If the host of an interrupted creation came up, the creation is completed; otherwise it is undone. An interrupted termination is
/// completed. Your hosts without a record are listed: `--adopt` takes them back into use, `--terminate` terminates them.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Terminate your hosts that have no record.
    #[arg(long, conflicts_with = "adopt")]
    terminate: bool,
    /// Take your hosts that have no record back into use, if their credentials are on shared storage. A stopped host stays stopped.
    #[arg(long)]
    adopt: bool,
    /// Drop the record of a host that can't be recovered, given by the host's name, its instance id, or the name of the record's file.
    /// Without --yes, only prints what may remain. Refused if the instance is seen running. Nothing in AWS is changed.
    #[arg(long, value_name = "RECORD", conflicts_with_all = ["terminate", "adopt"])]
    forget: Option<String>,
    /// Drop the record, now that you know what may remain.
    #[arg(long, requires = "forget")]
    yes: bool,
}

pub(crate) async fn run(args: &Args, home: &Home, printer: &Printer, interrupt: &Interrupt) -> anyhow::Result<()> {
    if let Some(record) = &args.forget {
        let forgotten = home.forget(record, args.yes, &Progress::new(printer)).await?;
        return printer.result(&forgotten, || shown::forgotten(&forgotten));
    }
    let wish = match (args.terminate, args.adopt) {
        (true, _) => Unrecorded::Terminate,
        (false, true) => Unrecorded::Adopt,
        (false, false) => Unrecorded::List,
    };
    let work = Work {
        stopping: "what is settled stays settled, the rest is left as it is".to_owned(),
        leaves: "what was not settled".to_owned(),
        hosts: Vec::new(),
    };
    let stopping = Stopping::new(interrupt, work);
    let recovered = home.recover(wish, &Progress::new(printer), &stopping).await;
    let report = recovered.map_err(|error| interrupt.ended().unwrap_or_else(|| error.into()))?;
    printer.result(&report, || shown::recovery(&report))?;
    if report.orphans.iter().any(|orphan| orphan.outcome == "listed") {
        printer.hint(
            "`sdocker recover --adopt` takes hosts without a record into use, `sdocker recover --terminate` ends them",
        );
    }
    for settled in report.settled.iter().filter(|settled| matches!(settled.outcome, "unknown" | "failed")) {
        let (host, record) = (&settled.host, &settled.record);
        printer.hint(format!(
            "if {host} can never be settled: `sdocker recover --forget {record}` says what may remain of it"
        ));
    }
    report.failure.map_or(Ok(()), |failure| Err(failure.into()))
}
