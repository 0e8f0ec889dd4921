//! The Studio app around a home, and the host that it gets.

use docker_remote::{Client, DockerHost, Endpoint};
use host_provisioner::{HostPlan, InstanceId, Record};
use studio_discovery::StudioEnvironment;
use tokio_util::sync::CancellationToken;

use crate::{
    Aws, Error, HostRequest, Observer, Result, Stop, Surroundings, Unobserved,
    creation::{self, NewHost, Receiver},
    home::Home,
    session::Session,
    termination::Which,
};

/// A Studio app whose domain, network and owner are known. Cheap to clone.
#[derive(Clone)]
pub struct Studio {
    home: Home,
    session: Session,
    environment: StudioEnvironment,
}

impl std::fmt::Debug for Studio {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Studio").field("environment", &self.environment).finish_non_exhaustive()
    }
}

impl Studio {
    /// Finds out what app this is, and asks SageMaker about its domain.
    ///
    /// # Cancel safety
    /// It only reads, and can be dropped at any time.
    ///
    /// # Errors
    /// Not a Studio app; settings that can't be used; an answer that SageMaker does not give.
    pub async fn discover(surroundings: Surroundings, aws: Aws) -> Result<Self> {
        Self::discover_observed(surroundings, aws, &Unobserved).await
    }

    /// The same, with an observer that is told what is found strange.
    ///
    /// # Cancel safety
    /// As [`discover`](Self::discover).
    ///
    /// # Errors
    /// As [`discover`](Self::discover).
    pub async fn discover_observed(mut surroundings: Surroundings, aws: Aws, observer: &dyn Observer) -> Result<Self> {
        surroundings.aws = aws;
        let session = Session::open(&surroundings, observer).await?;
        let environment = session.discover(observer).await?.environment;
        Ok(Self { home: Home::new(surroundings), session, environment })
    }

    /// What was found.
    pub fn environment(&self) -> &StudioEnvironment {
        &self.environment
    }

    /// The hosts of this app's home.
    pub fn home(&self) -> &Home {
        &self.home
    }

    /// Plans a host, and changes nothing.
    ///
    /// # Cancel safety
    /// It only reads, and can be dropped at any time.
    ///
    /// # Errors
    /// Everything for which no host could be created, as far as it is seen without changing anything.
    pub async fn plan(&self, request: &HostRequest, observer: &dyn Observer) -> Result<HostPlan> {
        Ok(creation::dry_run(request, None, self.home.surroundings(), observer).await?.0)
    }

    /// Creates a host, waits until its Docker daemon answers, makes it the current host and configures Local Mode. Whatever fails, what was
    /// made is undone before this returns.
    ///
    /// # Cancel safety
    /// Not to be dropped: what was made then stays, on record, until [`Home::recover`] undoes it. To stop it, use
    /// [`create_host_until`](Self::create_host_until).
    ///
    /// # Errors
    /// No host was created. [`remains`](crate::remains) lists what may remain nevertheless.
    pub async fn create_host(&self, request: HostRequest, observer: &dyn Observer) -> Result<Host> {
        self.create_host_until(request, observer, &CancellationToken::new()).await
    }

    /// The same, until it is asked to stop: then what was made is undone, and the error says so.
    ///
    /// # Cancel safety
    /// As [`create_host`](Self::create_host).
    ///
    /// # Errors
    /// As [`create_host`](Self::create_host).
    pub async fn create_host_until(
        &self,
        mut request: HostRequest,
        observer: &dyn Observer,
        stop: &dyn Stop,
    ) -> Result<Host> {
        request.wait = true;
        let session = Some(self.session.clone());
        let made =
            creation::create(&request, self.home.surroundings(), session, Receiver::User, observer, stop).await?;
        let NewHost { record, endpoint, answered, notes, warnings, .. } = made;
        let answered = answered.ok_or_else(|| Error::new("the host was not waited for"))?;
        let instance = record.instance.as_ref().map(|instance| instance.id.clone());
        let instance = instance.ok_or_else(|| Error::new("the host has no instance"))?;
        Ok(Host { home: self.home.clone(), record, instance, endpoint, answered, notes, warnings })
    }
}

/// A host that answers.
#[derive(Debug)]
#[must_use = "it goes on running, and is paid for, until it is terminated or ends itself"]
pub struct Host {
    home: Home,
    record: Record,
    instance: InstanceId,
    endpoint: Endpoint,
    answered: DockerHost,
    notes: Vec<String>,
    warnings: Vec<String>,
}

impl Host {
    /// A Docker client that is connected to it.
    pub fn docker(&self) -> &Client {
        self.answered.client()
    }

    /// Its instance.
    pub fn instance(&self) -> &InstanceId {
        &self.instance
    }

    /// Its name, which is that of its Docker context as well.
    pub fn name(&self) -> String {
        self.record.name().unwrap_or_default()
    }

    /// Where its daemon listens.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Its record as it was when the host came up.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// What was done beside the host, such as for Local Mode.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// What is not as it should be, and did not keep the host from coming up.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Ends it: the instance is seen to go, then its context, keys and record go.
    ///
    /// # Cancel safety
    /// Not to be dropped: what was begun then is finished by [`Home::recover`].
    ///
    /// # Errors
    /// It could not be ended, or was not seen to end; it may remain then.
    pub async fn terminate(self) -> Result<()> {
        let targets = self.home.targets(&Which::Host(self.instance.into()))?;
        let ended = self.home.terminate(targets, false, &Unobserved, &CancellationToken::new()).await?;
        ended.error().map_or(Ok(()), Err)
    }
}
