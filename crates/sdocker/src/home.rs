//! The hosts of one home: what they are, which is the current one, how long they stay, and their end.

use std::{path::PathBuf, sync::Arc, time::Duration};

use docker_remote::{ClientCredentials, DockerHost, Endpoint, HostProcess, HostProgram};
use host_provisioner::{HostId, HostPlan, Opened};
use jiff::Timestamp;
use serde::{Serialize, Serializer, ser::SerializeStruct as _};
use tokio_util::sync::CancellationToken;

use crate::{
    Error, HostRequest, HostSelector, Observer, Result, Stop, Surroundings, account,
    build::{self, BuiltImage, ImageBuild},
    client_files::HostFiles,
    clients, compose,
    config::{self, Config, ConfigFile},
    copy::{self, Copied, CopyPath},
    creation::{self, Count, NewHost, NewHosts, Preview, Receiver},
    detours::{self, Blocked},
    disk,
    docker_cli::{self, Refused},
    doctor::{self, Diagnosis, Examination},
    forgetting::{self, Forgotten},
    keep,
    list::{self, HostList},
    local_mode::{self, Configured},
    logs::{self, HostLog, LogText},
    lookup::{KnownHost, Lookup},
    places::{Look, Places},
    readiness::{self, BootingHost},
    recovery::{self, Recovery, Unrecorded},
    starting,
    status::{self, Status},
    swarm::{self, Mended, Removed, SharedImage, Swarm, SwarmReport},
    termination::{self, InUse, Target, Terminations, Which},
};

/// The hosts that one home knows, with or without a Studio app around it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Home {
    surroundings: Arc<Surroundings>,
}

/// A host that was made the current one. Its JSON is what `use --output json` prints.
#[derive(Debug)]
#[non_exhaustive]
pub struct Used {
    /// The host.
    pub host: KnownHost,
    /// The host as it answered.
    pub answered: DockerHost,
    /// The Docker CLI here, where the host does not answer it.
    pub refused: Option<Refused>,
    /// The clients that do not get to it as the surroundings are.
    pub blocked: Vec<Blocked>,
}

impl Serialize for Used {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let mut document = serializer.serialize_struct("Used", 3)?;
        document.serialize_field("name", &self.host.name)?;
        document.serialize_field("endpoint", &self.answered.endpoint().to_string())?;
        document.serialize_field("docker_version", self.answered.version())?;
        document.end()
    }
}

impl Home {
    /// The hosts of this home. Nothing is read before it is asked for.
    pub fn new(surroundings: Surroundings) -> Self {
        Self { surroundings: Arc::new(surroundings) }
    }

    /// What it was made of.
    pub fn surroundings(&self) -> &Surroundings {
        &self.surroundings
    }

    fn lookup(&self) -> Lookup {
        Lookup::new(&self.surroundings)
    }

    /// The settings of `sdocker.conf`; the defaults, where there is none.
    ///
    /// # Errors
    /// A file that can't be read, or is not what it should be: with file, line and column.
    pub fn settings(&self) -> Result<Config> {
        config::read(&self.lookup().layout.configuration_files())
    }

    /// The file of these settings, to look at and to change.
    ///
    /// # Errors
    /// A file that can't be read.
    pub fn config_file(&self) -> Result<ConfigFile> {
        ConfigFile::find(&self.lookup().layout.configuration_files())
    }

    /// Every host that this home knows, the current one first. Nobody is asked.
    ///
    /// # Errors
    /// Records that can't be read.
    pub fn hosts(&self) -> Result<Vec<KnownHost>> {
        self.lookup().hosts()
    }

    /// The host that is meant; else the current one; else the first that is known, which is said.
    ///
    /// # Errors
    /// There is none, or records can't be read.
    pub fn host(&self, host: Option<&HostSelector>, observer: &dyn Observer) -> Result<KnownHost> {
        self.lookup().find(host, observer)
    }

    /// Every host that this home knows, as a list with what EC2 says of each and what it costs; with `offline`, nobody is asked.
    ///
    /// # Cancel safety
    /// It only reads, and can be dropped at any time.
    ///
    /// # Errors
    /// Records that can't be read. What EC2 does not tell is `unknown`, and the observer is told why.
    pub async fn list(&self, offline: bool, observer: &dyn Observer) -> Result<HostList> {
        list::list(offline, &self.surroundings, observer).await
    }

    /// How a host is: what EC2, its daemon and the host itself say.
    ///
    /// # Cancel safety
    /// It only reads, and can be dropped at any time.
    pub async fn status(&self, host: KnownHost, observer: &dyn Observer) -> Status {
        status::status(host, &self.surroundings, observer).await
    }

    /// The end of a host's log, at most a mebibyte; as it was last seen here, where the host does not answer, which the observer is told. Of a
    /// host that failed and was terminated, as it was kept: of the newest such, where there is no host at all.
    ///
    /// # Cancel safety
    /// It only reads, and can be dropped at any time.
    ///
    /// # Errors
    /// There is no such host or log here, or it can't be read.
    pub async fn log(&self, host: Option<&HostSelector>, log: HostLog, observer: &dyn Observer) -> Result<LogText> {
        logs::of(host, log, &self.lookup(), observer).await
    }

    /// Starts a program on a host, as its root, through its daemon. While it runs, the host is in use.
    ///
    /// # Cancel safety
    /// Dropped, the program is ended, in a task that goes on for as long as the runtime does.
    ///
    /// # Errors
    /// The host does not answer, or has no `nsenter` and `sh`.
    pub async fn start_on(&self, host: &KnownHost, program: &HostProgram) -> Result<HostProcess> {
        let client = HostFiles::new(&self.lookup()).client(&host.entry()).await?;
        Ok(client.start_on_host(program).await?)
    }

    /// Copies a file or a folder to a host, or from one, through its daemon: into a folder, if the other place is one, as `cp` does. On the
    /// host it is root's.
    ///
    /// # Cancel safety
    /// Not to be dropped, but stopped: dropped, a container that never runs may stay on the host. What was copied by then is there.
    ///
    /// # Errors
    /// Both places are here, or both on hosts; one that is not there, or can't be read or written; `stop`.
    pub async fn copy(
        &self,
        from: &CopyPath,
        to: &CopyPath,
        observer: &dyn Observer,
        stop: &CancellationToken,
    ) -> Result<Copied> {
        copy::copy(from, to, &self.lookup(), observer, stop).await
    }

    /// Makes a host the current one: what the Docker CLI talks to.
    ///
    /// # Cancel safety
    /// It can be dropped at any time, and repeated.
    ///
    /// # Errors
    /// No such host, or one that does not answer; files that can't be written.
    pub async fn use_host(&self, host: &HostSelector, observer: &dyn Observer) -> Result<Used> {
        let lookup = self.lookup();
        let host = lookup.find_aside(Some(host), observer).await?;
        let entry = host.entry();
        let files = HostFiles::new(&lookup);
        let answered = match files.probe(&entry).await {
            Ok(answered) => answered,
            Err(error) => {
                let refused = Error::new(format!("{} can't be used", host.name));
                let refused = match Places::new(&self.surroundings, observer).look_at(&host).await {
                    Look::Ended(_) => refused.hint("it has ended: `sdocker recover` cleans up what is left of it here"),
                    Look::Alive(instance) if instance.state.is_stopped() => {
                        refused.hint(format!("it is stopped: {}", disk::choices(&host.instance)))
                    }
                    _ => refused.hint(format!("`sdocker status --instance-id {}` says more", host.instance)),
                };
                return Err(refused.because(error));
            }
        };
        files.make_current(&entry, &answered).await?;
        clients::warn(&clients::obstacles(&self.surroundings, &host).await, observer);
        let refused = docker_cli::refused(&self.surroundings, &host.name, answered.api()).await;
        let blocked = detours::blocked(&self.surroundings, answered.endpoint(), answered.credentials()).await;
        Ok(Used { host, answered, refused, blocked })
    }

    /// Starts a host again that stopped when it was idle, and waits until it answers. Whether it was stopped; of any other host nothing is done.
    ///
    /// # Cancel safety
    /// It can be dropped at any time, and repeated. The instance may be starting then: it ends itself as before.
    ///
    /// # Errors
    /// No such host; one that can't be started, or does not answer in time; `stop`.
    pub async fn start_host(
        &self,
        host: &HostSelector,
        within: Duration,
        observer: &dyn Observer,
        stop: &CancellationToken,
    ) -> Result<bool> {
        let lookup = self.lookup();
        let host = lookup.find_aside(Some(host), observer).await?;
        if host.record.as_ref().is_none_or(|record| record.stops.is_none()) {
            return Ok(false);
        }
        let mut places = Places::new(&self.surroundings, observer);
        let is_stopped = matches!(places.look_at(&host).await, Look::Alive(instance) if instance.state.is_stopped());
        if is_stopped {
            let clouds = places.of(host.place().as_ref()).await?;
            starting::start(&host, &clouds, &lookup, within, observer, stop).await?;
        }
        Ok(is_stopped)
    }

    /// Waits until a host's daemon answers, as a creation does.
    ///
    /// # Cancel safety
    /// It only reads, and can be dropped at any time.
    ///
    /// # Errors
    /// No such host; one that has ended, or is not ready in time; `stop`.
    pub async fn wait_for(
        &self,
        host: &HostSelector,
        within: Duration,
        observer: &dyn Observer,
        stop: &CancellationToken,
    ) -> Result<()> {
        let lookup = self.lookup();
        let host = lookup.find_aside(Some(host), observer).await?;
        let clouds = Places::new(&self.surroundings, observer).of(host.place().as_ref()).await?;
        let credentials = ClientCredentials::load(&self.client_certs(&host))?;
        let booting = BootingHost {
            instance: &host.instance,
            folder: &lookup.layout.host(&host.name),
            endpoint: &host.entry().endpoint(),
            credentials: &credentials,
        };
        readiness::wait(&clouds.cloud, &booting, within, observer, stop).await?;
        Ok(())
    }

    /// Keeps a host running longer: neither idleness nor age end it before then. The host, which is told through the storage that it shares
    /// with this home or else through its daemon, takes note within a minute. Returns until when, which is later than asked for where it was kept for longer before.
    ///
    /// # Cancel safety
    /// It can be dropped at any time, and repeated.
    ///
    /// # Errors
    /// A host that can't be told, that has not been seen for minutes, or that can't be kept for so long. A Swarm whose managers can't be told: the host
    /// is kept, and given no more tasks from ten minutes before its former end.
    pub async fn keep(&self, host: &KnownHost, duration: Duration) -> Result<Timestamp> {
        let lookup = self.lookup();
        let (folder, now) = (lookup.layout.host(&host.name), Timestamp::now());
        let until = if account::is_shared(&folder) {
            keep::until(&folder, &host.name, now, duration)?
        } else {
            let client = HostFiles::new(&lookup).client(&host.entry()).await?;
            keep::through(&client, &folder, &host.name, now, duration).await?
        };
        if let Some(record) = &host.record
            && until > record.expires
            && let Opened::Open(mut open) = lookup.journal.open(&record.host).await?
        {
            open.update(|record| record.expires = until)?;
        }
        swarm::kept(&self.surroundings, host, until).await?;
        Ok(until)
    }

    /// The environment variables for clients that ignore Docker contexts, such as docker-py. The folder of `DOCKER_CERT_PATH` may hold no
    /// keys yet, where the host is not ready.
    pub fn variables(&self, host: &KnownHost) -> Vec<(&'static str, String)> {
        let mut variables = vec![
            ("DOCKER_HOST", format!("tcp://{}:{}", host.address, host.port)),
            ("DOCKER_TLS_VERIFY", "1".to_owned()),
            ("DOCKER_CERT_PATH", self.client_certs(host).display().to_string()),
            // The SDK gives containers no short-lived credentials where this app reaches a metadata service, because they would as well. On a
            // host they do not. Source: sagemaker `local/image.py`, `_aws_credentials`.
            ("USE_SHORT_LIVED_CREDENTIALS", "1".to_owned()),
        ];
        if compose::builds_past_hosts(&self.surroundings).is_some() {
            variables.push(("COMPOSE_BAKE", "false".to_owned()));
        }
        variables.extend(self.surroundings.proxies.excluding(&Endpoint::new(host.address.clone(), host.port)));
        variables
    }

    /// The variables that [`variables`](Self::variables) sets for any host, as they are without one; `None`: not set.
    ///
    /// # Errors
    /// Records that can't be read.
    pub fn variables_without_hosts(&self) -> Result<Vec<(&'static str, Option<String>)>> {
        let hosts = self.hosts()?;
        let names: Vec<&str> = hosts.iter().map(|host| host.address.as_str()).collect();
        let ours = ["DOCKER_HOST", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH", "USE_SHORT_LIVED_CREDENTIALS"];
        // Whoever has another value did not get it here.
        let bake = self.surroundings.compose_bake.as_deref().filter(|value| *value == "false").map(|_| "COMPOSE_BAKE");
        let unset = ours.into_iter().chain(bake).map(|name| (name, None));
        Ok(unset.chain(self.surroundings.proxies.including(&names)).collect())
    }

    /// The folder of the certificates by which clients reach a host.
    pub fn client_certs(&self, host: &KnownHost) -> PathBuf {
        self.lookup().layout.client_certs(&host.name)
    }

    /// Plans a host for the app that this home is in, and changes nothing.
    ///
    /// # Cancel safety
    /// It only reads, and can be dropped at any time.
    ///
    /// # Errors
    /// Everything for which no host could be created, as far as it is seen without changing anything.
    pub async fn plan(&self, request: &HostRequest, observer: &dyn Observer) -> Result<HostPlan> {
        Ok(creation::dry_run(request, None, &self.surroundings, observer).await?.0)
    }

    /// The same, of so many hosts, with what each would cost, where that is found out within two seconds, and where its settings come from:
    /// `options` are the keys of `sdocker.conf` whose values are the caller's own, as [`HostRequest::keys`] tells.
    ///
    /// # Cancel safety
    /// It only reads, and can be dropped at any time.
    ///
    /// # Errors
    /// As [`plan`](Self::plan).
    pub async fn preview(
        &self,
        request: &HostRequest,
        count: Option<Count>,
        options: Vec<&'static str>,
        observer: &dyn Observer,
    ) -> Result<Preview> {
        let (plan, hourly) = creation::dry_run(request, count, &self.surroundings, observer).await?;
        let settings = creation::Settings { given: self.settings()?.given, options };
        Ok(Preview::new(plan, count, hourly, settings))
    }

    /// Creates a host for the app that this home is in, as [`Studio::create_host`](crate::Studio::create_host) does for one that is known
    /// already.
    ///
    /// # Cancel safety
    /// Not to be dropped once [`Stop::take_on`] was asked: what was made then stays, on record, until a recovery undoes it.
    ///
    /// # Errors
    /// No host was created. [`remains`](crate::remains) lists what may remain nevertheless.
    pub async fn create_host(
        &self,
        request: &HostRequest,
        observer: &dyn Observer,
        stop: &dyn Stop,
    ) -> Result<NewHost> {
        creation::create(request, &self.surroundings, None, Receiver::User, observer, stop).await
    }

    /// Creates several hosts at once: all of them, or at least so many, or none. The first becomes the current one.
    ///
    /// # Cancel safety
    /// As [`create_host`](Self::create_host); it is [`Stop::take_on_several`] that is asked.
    ///
    /// # Errors
    /// Too few could be created, and none was. [`remains`](crate::remains) lists what may remain nevertheless.
    pub async fn create_hosts(
        &self,
        request: &HostRequest,
        count: Count,
        observer: &dyn Observer,
        stop: &dyn Stop,
    ) -> Result<NewHosts> {
        creation::create_several(request, count, &self.surroundings, None, observer, stop).await
    }

    /// What the Swarm of this home's hosts is, and does.
    ///
    /// # Cancel safety
    /// It only asks, and can be dropped at any time.
    ///
    /// # Errors
    /// No host is in a Swarm, or no manager answers.
    pub async fn swarm(&self, observer: &dyn Observer) -> Result<SwarmReport> {
        Swarm::find(&self.surroundings, observer).await?.report().await
    }

    /// Makes a host a node of the Swarm. Returns the host's name.
    ///
    /// # Cancel safety
    /// It can be dropped at any time; the host may be a node without labels then, and [`remove_from_swarm`](Self::remove_from_swarm) takes it out.
    ///
    /// # Errors
    /// A host whose daemon takes no part in a Swarm, or that the managers do not reach.
    pub async fn add_to_swarm(&self, host: &HostSelector, observer: &dyn Observer) -> Result<String> {
        Swarm::find(&self.surroundings, observer).await?.add(host).await
    }

    /// Takes a host out of the Swarm: its tasks move first, for so long at most. The host goes on.
    ///
    /// # Cancel safety
    /// It can be dropped at any time, and repeated.
    ///
    /// # Errors
    /// Tasks that do not end: then the node stays, and is given tasks again.
    pub async fn remove_from_swarm(
        &self,
        host: &HostSelector,
        within: Duration,
        observer: &dyn Observer,
    ) -> Result<Removed> {
        Swarm::find(&self.surroundings, observer).await?.remove(host, within).await
    }

    /// Gives images that a manager's daemon has to all nodes of the Swarm, through a registry that runs in it. `registry` is the registry's image.
    ///
    /// # Cancel safety
    /// It can be dropped at any time, and repeated; the registry may be there then.
    ///
    /// # Errors
    /// An image that is not there; a node that can't pull it.
    pub async fn share_images(
        &self,
        images: &[String],
        registry: &str,
        observer: &dyn Observer,
    ) -> Result<Vec<SharedImage>> {
        Swarm::find(&self.surroundings, observer).await?.share_images(images, registry).await
    }

    /// Builds an image on a host of each architecture, and joins them to one manifest list in a registry.
    ///
    /// # Cancel safety
    /// It can be dropped at any time, and repeated; what was built and pushed by then is there. `stop` does the same.
    ///
    /// # Errors
    /// No host for an architecture; no Docker CLI; a build, a push or a registry that fails.
    pub async fn build_image(
        &self,
        image: &ImageBuild,
        observer: &dyn Observer,
        stop: &CancellationToken,
    ) -> Result<BuiltImage> {
        build::build(image, &self.surroundings, observer, stop).await
    }

    /// Takes nodes off the Swarm's list whose hosts have ended, and makes workers managers where too few are left.
    ///
    /// # Cancel safety
    /// It can be dropped at any time, and repeated.
    ///
    /// # Errors
    /// No manager answers: then too many of them are lost.
    pub async fn mend_swarm(&self, observer: &dyn Observer) -> Result<Mended> {
        Swarm::find(&self.surroundings, observer).await?.mend().await
    }

    /// What there is to be ended.
    ///
    /// # Errors
    /// Records that can't be read; no current host, where it is asked for.
    pub fn targets(&self, which: &Which) -> Result<Vec<Target>> {
        termination::targets(which, &self.lookup())
    }

    /// Those of the targets on which containers run, as far as they say so soon.
    ///
    /// # Cancel safety
    /// It only asks, and can be dropped at any time.
    pub async fn in_use(&self, targets: &[Target]) -> Vec<InUse> {
        termination::in_use(targets, &self.lookup()).await
    }

    /// Ends hosts, one after the other. With `purge`, removes the security groups as well once no host is left to end.
    ///
    /// # Cancel safety
    /// Not to be dropped: what was begun then is finished by a recovery. Stopping is for `stop`.
    ///
    /// # Errors
    /// Only of the security groups; what went wrong with a host is in the answer.
    pub async fn terminate(
        &self,
        targets: Vec<Target>,
        purge: bool,
        observer: &dyn Observer,
        stop: &dyn Stop,
    ) -> Result<Terminations> {
        termination::terminate(targets, purge, &self.surroundings, &self.lookup(), observer, stop).await
    }

    /// Finishes or undoes what interrupted work left, and looks for hosts of this user that have no record.
    ///
    /// # Cancel safety
    /// Not to be dropped while it changes something. Stopping is for `stop`: what is settled stays settled, and another recovery goes on.
    ///
    /// # Errors
    /// A journal or settings that can't be read. What can't be settled is in [`Recovery::failure`].
    pub async fn recover(&self, wish: Unrecorded, observer: &dyn Observer, stop: &dyn Stop) -> Result<Recovery> {
        recovery::recover(wish, &self.surroundings, observer, stop).await
    }

    /// Finishes or undoes what a process that was ended left of hosts, the first of them last, and tries again for so long, while the cloud does not
    /// answer or another process works on a host. Nothing is done where nothing is left to do.
    ///
    /// # Cancel safety
    /// Not to be dropped. `stop` ends it; what is left then, another recovery does.
    ///
    /// # Errors
    /// One can't be settled in time. It keeps none of the others from it.
    pub async fn finish(
        &self,
        hosts: &[HostId],
        within: Duration,
        observer: &dyn Observer,
        stop: &CancellationToken,
    ) -> Result<()> {
        recovery::finish_all(hosts, within, &self.surroundings, observer, stop).await
    }

    /// Gives up a record that can't be settled: by the host's name, its instance, or the name of the record's file. Nothing in the cloud is
    /// changed.
    ///
    /// # Cancel safety
    /// Can be dropped at any time.
    ///
    /// # Errors
    /// An instance of it that is seen running; a record that [`Self::recover`] settles; without `sure`, what may remain.
    pub async fn forget(&self, which: &str, sure: bool, observer: &dyn Observer) -> Result<Forgotten> {
        forgetting::forget(which, sure, &self.surroundings, observer).await
    }

    /// Finds out whether a host could be created, as far as that can be found out without spending anything.
    ///
    /// # Cancel safety
    /// Without [`Examination::fix`] it only reads, and can be dropped at any time.
    pub async fn examine(&self, asked: &Examination, observer: &dyn Observer) -> Diagnosis {
        doctor::examine(asked, &self.surroundings, observer).await
    }

    /// Configures Local Mode, and warns of what else would stand in its way; with `dry_run`, only says how.
    ///
    /// # Cancel safety
    /// It can be dropped at any time, and repeated.
    ///
    /// # Errors
    /// No Studio app, or one of whose domain SageMaker does not tell; a file that can't be read or written.
    pub async fn configure(&self, dry_run: bool, observer: &dyn Observer) -> Result<Configured> {
        local_mode::configure(&self.surroundings, dry_run, observer).await
    }

    /// Warns of everything that stands in Local Mode's way after it was configured. `folders` hold data for containers.
    ///
    /// # Cancel safety
    /// It only reads, and can be dropped at any time.
    pub async fn warn_of_obstacles(&self, configured: &Configured, folders: &[PathBuf], observer: &dyn Observer) {
        local_mode::warn_of_obstacles(configured, folders, &self.surroundings, observer).await;
    }

    /// Puts back what was there before Local Mode was configured.
    ///
    /// # Errors
    /// A record or a file that can't be read or written.
    pub fn deconfigure(&self) -> Result<Configured> {
        local_mode::deconfigure(&self.surroundings)
    }
}
