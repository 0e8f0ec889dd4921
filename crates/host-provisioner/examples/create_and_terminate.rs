//! A whole life of a host in the fake account: survey, plan, examine, create, terminate. With `aws::cloud` in place of the fake it is a
//! real one.

use std::{io::Write as _, sync::Arc, time::Duration};

use async_trait::async_trait;
use host_provisioner::{
    Adoption, ClientFiles, ClientFilesError, Cloud, EngineChoice, Hooks, HostConfig, HostId, HostPlan, HostRequest,
    Identity, Journal, MarketChoice, OnIdle, Provisioner, ProxySettings, Record, Survey, Unobserved,
    fake::{Account, environment},
    preflight,
};
use tokio_util::sync::CancellationToken;

/// The files of a client that keeps none.
struct NoFiles;

#[async_trait]
impl ClientFiles for NoFiles {
    async fn adopt(&self, _record: &Record) -> Result<Adoption, ClientFilesError> {
        Ok(Adoption::Never { why: "nothing is kept of a host here".to_owned() })
    }

    async fn adopt_stopped(&self, record: &Record) -> Result<Adoption, ClientFilesError> {
        self.adopt(record).await
    }

    async fn forget(&self, _record: &Record) -> Result<(), ClientFilesError> {
        Ok(())
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let cloud = Cloud::of(Arc::new(Account::studio()));
    let environment = environment();
    let request = HostRequest {
        host: HostId::new("example"),
        now: "2026-01-02T03:04:05Z".parse()?,
        instance_type: "c5.xlarge".into(),
        subnet: None,
        engine: EngineChoice::Auto,
        swarm: false,
        market: MarketChoice::OnDemand,
        max_lifetime: Duration::from_secs(12 * 3600),
        idle_timeout: Some(Duration::from_secs(3600)),
        on_idle: OnIdle::default(),
        shared_home: Some("/home/sagemaker-user/.sdocker".into()),
        shares_files: false,
        hooks: Hooks::default(),
        identity: Identity::Shared,
        proxy: ProxySettings::default(),
        config: HostConfig::default(),
    };
    let survey = Survey::take(&cloud, &environment, &request).await?;
    let plan = HostPlan::new(&environment, &request, &survey)?;

    let mut out = std::io::stdout().lock();
    for finding in preflight::examine(&cloud, &environment, &plan, &survey.instance_type).await {
        writeln!(out, "{:?}: {finding}", finding.severity())?;
    }

    let journal = std::env::temp_dir().join(format!("sdocker-example-{}", std::process::id()));
    let stop = CancellationToken::new();
    let provisioner = Provisioner::new(cloud, Journal::new(&journal), Arc::new(NoFiles), Arc::new(Unobserved), stop);
    let mut creation = provisioner.create(&plan, None).await?;
    writeln!(out, "{} runs", creation.instance().id)?;
    creation.hand_over()?;
    drop(creation);
    let terminated = provisioner.terminate(&request.host).await?;
    writeln!(out, "{terminated:?}")?;
    std::fs::remove_dir_all(journal)?;
    Ok(())
}
