//! Local Mode for real: the SageMaker Python SDKs that people have, on hosts of the sandbox, as in Studio and outside it.
#![expect(clippy::print_stdout, reason = "docs/local-mode.md quotes what was measured")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{BufRead as _, BufReader},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use localmode_config::{ComposeVerdict, Sdk, Version, compose_accepted};
use sdocker_tests::{Docker, Home, Run, Space, eventually, import_registry, skip};
use serde_json::Value;

/// How most of them get their host.
const CREATE: [&str; 3] = ["create-host", "--instance-type", "c5.xlarge"];

/// How others do.
const UP: [&str; 2] = ["up", "c5.xlarge"];

/// An app with a current host, on which the training image is built, and S3 beside it.
struct Lab {
    app: App,
    cache: PathBuf,
    s3: Child,
    /// Where it is.
    aws: String,
}

enum App {
    /// Wherever its scripts say that they are.
    Any(Home),
    /// In a space of today's Studio.
    Space(Box<Space>),
}

impl App {
    fn home(&self) -> &Home {
        match self {
            Self::Any(home) => home,
            Self::Space(space) => &space.home,
        }
    }

    fn home_mut(&mut self) -> &mut Home {
        match self {
            Self::Any(home) => home,
            Self::Space(space) => &mut space.home,
        }
    }

    /// Gives what was put into the home to whom it belongs.
    fn give(&self) {
        if let Self::Space(space) = self {
            space.home.give();
        }
    }
}

/// What tests/sdk/prepare made; `None` where it did not run, which is said.
fn cache() -> Option<PathBuf> {
    let Some(cache) = std::env::var_os("SDOCKER_SDK").map(PathBuf::from) else {
        skip("SDOCKER_SDK names what tests/sdk/prepare made: use scripts/test sdk");
        return None;
    };
    Some(cache)
}

/// Gives the current host the image that others are built on. OpenMP's threads do not spin while they wait: tests share their processors.
fn import_base(home: &Home, cache: &Path) {
    let base = cache.join("python-xgboost.tar").display().to_string();
    home.run("docker", &["import", "--change", "ENV OMP_WAIT_POLICY=passive", &base, "python:xgboost"]).expect(0);
}

impl Lab {
    fn open() -> Option<Self> {
        Self::open_with(Docker::Old)
    }

    fn open_with(docker: Docker) -> Option<Self> {
        let cache = cache()?;
        Some(Self::of(App::Any(Home::in_sandbox_with(docker)?), cache, &CREATE)?.with_image())
    }

    /// One without a host, which its socket launches.
    fn on_demand() -> Option<Self> {
        let cache = cache()?;
        Some(Self::of(App::Any(Home::in_sandbox()?), cache, &UP)?.with_image())
    }

    fn open_in_space() -> Option<Self> {
        let cache = cache()?;
        // A virtual environment has its interpreter elsewhere.
        let settings = fs::read_to_string(cache.join("sdk-2/pyvenv.cfg")).expect("prepared");
        let home = settings.lines().find_map(|line| line.strip_prefix("home = ")).expect("its Python");
        let python = Path::new(home).parent().expect("a prefix");
        let suite = repository().join("tests/sdk");
        let seen = [&cache, &suite, python];
        // What everybody sees anyway needs no mount of its own.
        let seen: Vec<&Path> = seen.into_iter().filter(|folder| *folder != Path::new("/usr")).collect();
        let space = Space::open_with(Docker::Old, &seen)?;
        Some(Self::of(App::Space(Box::new(space)), cache, &CREATE)?.with_image())
    }

    fn of(mut app: App, cache: PathBuf, begin: &[&str]) -> Option<Self> {
        let home = app.home();
        home.sdocker(begin).expect(0);
        // The SDK would otherwise report to AWS each call that it is given, and wait for an answer.
        let opt_out = "SchemaVersion: '1.0'\nSageMaker: {PythonSDK: {Modules: {TelemetryOptOut: true}}}\n";
        fs::create_dir_all(home.join(".config/sagemaker")).expect("made");
        fs::write(home.join(".config/sagemaker/config.yaml"), opt_out).expect("written");

        let s3_log = home.join("s3.log");
        let mut s3 = Command::new(cache.join("s3/bin/moto_server"));
        s3.args(["-H", "127.0.0.1", "-p", "0"])
            .env_remove("PYTHONDONTWRITEBYTECODE")
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        s3.stderr(fs::File::create(&s3_log).expect("made"));
        let s3 = s3.spawn().expect("it starts");
        let aws = eventually(Duration::from_secs(30), "S3", || {
            let log = BufReader::new(fs::File::open(&s3_log).ok()?);
            log.lines().map_while(Result::ok).find_map(|line| Some(line.split_once("Running on ")?.1.trim().to_owned()))
        });
        let home = app.home_mut();
        for (name, value) in [
            ("AWS_DEFAULT_REGION", "eu-west-1"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
            ("SAGEMAKER_SUPPRESS_V2_WARNING", "1"),
            ("TESTCONTAINERS_RYUK_DISABLED", "true"),
        ] {
            home.set(name, value);
        }
        // In a space this is where its hosts are, too.
        if let App::Any(home) = &mut app {
            for (name, value) in
                [("AWS_ENDPOINT_URL", aws.as_str()), ("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test")]
            {
                home.set(name, value);
            }
        }
        // docker-compose 1.29 and docker-py ignore contexts.
        let environment = app.home().sdocker(&["env", "--shell", "json"]).expect(0).json();
        for (name, value) in environment.as_object().expect("an object") {
            // One without a value is not to be set.
            if let Some(value) = value.as_str() {
                app.home_mut().set(name, value);
            }
        }
        Some(Self { app, cache, s3, aws })
    }

    /// The same, with the example's image.
    fn with_image(self) -> Self {
        self.build_image();
        self
    }

    fn home(&self) -> &Home {
        self.app.home()
    }

    fn home_mut(&mut self) -> &mut Home {
        self.app.home_mut()
    }

    /// Builds the example's image on the host.
    fn build_image(&self) {
        let context = self.home().join("context");
        fs::create_dir(&context).expect("made");
        fs::copy(repository().join("docs/examples/container/program.py"), context.join("program.py")).expect("copied");
        fs::copy(repository().join("tests/sdk/Dockerfile"), context.join("Dockerfile")).expect("copied");
        self.app.give();
        import_base(self.home(), &self.cache);
        let mut build = self.home().command("docker");
        build.env("DOCKER_BUILDKIT", "0").args(["build", "-q", "-t", "regression", "context"]);
        let built = build.output().expect("it runs");
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    }

    /// Runs a script of the suite with an SDK, in Studio (an app of this type) or outside it; what it measured.
    fn runs(&self, environment: &str, script: &str, app: Option<&str>) -> Value {
        let place = app.unwrap_or("not Studio");
        // Its name is that of a bucket, too.
        let work = format!("{script}-{environment}-{}", app.unwrap_or("none").to_lowercase());
        fs::create_dir(self.home().join(&work)).expect("made");
        self.app.give();
        let (sdk, python) = (repository().join("tests/sdk"), self.python(environment));
        let mut command = match (app, &self.app) {
            // It is one.
            (_, App::Space(_)) | (None, _) => self.home().command(python),
            (Some(app), _) => {
                let mut command = self.home().command(sdk.join("as-studio"));
                command.arg(app).arg(python);
                command
            }
        };
        command.arg(sdk.join(format!("{script}.py"))).arg("regression").arg(self.home().inside(&work));
        if matches!(self.app, App::Space(_)) {
            command.arg("local_code").env("AWS_ENDPOINT_URL", &self.aws);
        }
        let output = command.output().expect("it runs");
        let said = String::from_utf8_lossy(&output.stdout);
        let result = said.lines().find_map(|line| line.strip_prefix("RESULT "));
        let result = result.unwrap_or_else(|| {
            panic!("{environment} as {place}: {said}\n{}", String::from_utf8_lossy(&output.stderr));
        });
        println!("{script}.py, {environment}, {place}: {result}");
        // But for the agents that serve ports.
        let names = "{{if not (.Label \"sdocker.agent\")}}{{.Names}}{{end}}";
        let running = self.home().run("docker", &["ps", "--format", names]).expect(0);
        assert_eq!(running.stdout.trim(), "", "containers that still run");
        serde_json::from_str(result).expect("JSON")
    }

    /// From now on Docker Compose is version 2, and nothing but the current context leads to the host. This Compose's plugin says
    /// its version in a way that no SDK accepts: `setup` writes the program that they take.
    fn use_compose_2(&mut self) {
        let plugins = self.home().join(".docker/cli-plugins");
        fs::create_dir_all(&plugins).expect("made");
        if !plugins.join("docker-compose").exists() {
            let plugin =
                PathBuf::from(std::env::var_os("SDOCKER_DOCKER").expect("set")).join("today/plugins/docker-compose");
            std::os::unix::fs::symlink(plugin, plugins.join("docker-compose")).expect("linked");
        }
        for name in ["DOCKER_HOST", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"] {
            self.home_mut().unset(name);
        }
        // Where docker-compose 1.29 is not on PATH.
        let tools = self.home().join("tools");
        fs::create_dir(&tools).expect("made");
        for name in ["docker", "sh"] {
            let found = self.home().run("which", &[name]).expect(0).stdout;
            std::os::unix::fs::symlink(found.trim(), tools.join(name)).expect("linked");
        }
        let local = self.home().join("local").display().to_string();
        let python = self.python("sdk-2").display().to_string();
        let mut setup = self.home().sdocker_command(&["setup", "--prefix", &local, "--python", &python]);
        let output = setup.env("PATH", &tools).output().expect("it runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        self.home_mut().set("PATH", format!("{local}/bin:{}", std::env::var("PATH").expect("set")));
        let version = self.home().run("docker-compose", &["version", "--short"]).expect(0).stdout;
        assert!(version.starts_with('2'), "{version}");
    }

    /// What tests with testcontainers leave behind when they are killed, ryuk removes: it is told of their end over the port that is brought here,
    /// and reaches its own daemon by what is at the client's socket here.
    fn is_reaped(&self) {
        let python = self.python("sdk-2").display().to_string();
        let name = "from testcontainers.core.config import testcontainers_config as c; print(c.ryuk_image)";
        let ryuk = self.home().run(&python, &["-c", name]).expect(0).stdout.trim().to_owned();
        let context = self.home().join("ryuk");
        fs::create_dir(&context).expect("made");
        fs::copy(repository().join("tests/sdk/ryuk.py"), context.join("ryuk.py")).expect("copied");
        let dockerfile = "FROM python:xgboost\nCOPY ryuk.py /ryuk.py\nENTRYPOINT [\"python3\", \"/ryuk.py\"]\n";
        fs::write(context.join("Dockerfile"), dockerfile).expect("written");
        let mut build = self.home().command("docker");
        build.env("DOCKER_BUILDKIT", "0").args(["build", "-q", "-t", &ryuk, "ryuk"]);
        Run::new(build.output().expect("it runs")).expect(0);

        let mut tests = self.home().command(&python);
        tests.env_remove("TESTCONTAINERS_RYUK_DISABLED").env("RYUK_RECONNECTION_TIMEOUT", "1s");
        tests.arg(repository().join("tests/sdk/leaves.py")).arg("regression").stdout(Stdio::piped());
        let mut tests = tests.spawn().expect("it runs");
        let mut said = BufReader::new(tests.stdout.take().expect("piped")).lines().map_while(Result::ok);
        let label = said.find_map(|line| line.strip_prefix("LABEL ").map(str::to_owned)).expect("it leaves something");
        let filter = format!("label={label}");
        let left = || {
            let lists: [&[&str]; 4] = [&["ps", "-a"], &["network", "ls"], &["volume", "ls"], &["images"]];
            let count = |list: &[&str]| {
                let listed = self.home().run("docker", &[list, &["-q", "--filter", &filter]].concat());
                listed.expect(0).stdout.lines().count()
            };
            lists.map(count)
        };
        assert_eq!(left(), [1, 1, 1, 1]);
        let reaper = format!("ancestor={ryuk}");
        let reaper = self.home().run("docker", &["ps", "-q", "--filter", &reaper]).expect(0).stdout.trim().to_owned();
        assert!(!reaper.is_empty(), "ryuk runs");

        tests.kill().and_then(|()| tests.wait()).expect("ended");
        eventually(Duration::from_secs(60), "what was left is removed", || (left() == [0; 4]).then_some(()));
        eventually(Duration::from_secs(60), "ryuk goes as well", || {
            (self.home().run("docker", &["inspect", &reaper]).code == Some(1)).then_some(())
        });
    }

    fn python(&self, environment: &str) -> PathBuf {
        self.cache.join(environment).join("bin/python")
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        drop(self.s3.kill());
        drop(self.s3.wait());
        drop(self.home().sdocker(&["down"]));
        drop(self.home().sdocker(&["terminate-host", "--all"]));
    }
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a folder")
}

/// The types of app that the SDKs know as Studio, and none. JupyterLab is where its users are: [`a_space_without_efs`].
const APPS: [Option<&str>; 3] = [None, Some("KernelGateway"), Some("CodeEditor")];

#[test]
fn the_oldest_sdk() {
    let Some(lab) = Lab::open() else { return };
    for app in APPS {
        assert_eq!(lab.runs("sdk-oldest", "v2", app)["sdk"], "2.80.0");
    }
}

#[test]
fn the_newest_sdk_2() {
    let Some(lab) = Lab::open() else { return };
    for app in APPS {
        lab.runs("sdk-2", "v2", app);
    }
}

#[test]
fn the_newest_sdk_3() {
    let Some(lab) = Lab::open() else { return };
    for app in APPS {
        lab.runs("sdk-3", "v3", app);
    }
    let mut example = lab.home().command(lab.python("sdk-3"));
    let output = example.arg(repository().join("docs/examples/model_trainer.py")).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout);
    let model = said.lines().last().unwrap_or_default();
    assert!(Path::new(model).is_file(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
}

/// The user that Studio gives a space, a home on a volume that no host has, and a domain without EFS.
#[test]
fn a_space_without_efs() {
    let Some(mut lab) = Lab::open_in_space() else { return };
    lab.runs("sdk-2", "v2", Some("JupyterLab"));
    lab.runs("sdk-3", "v3", Some("JupyterLab"));
    // Its ports are at localhost, and nowhere else that this app may go.
    for (name, value) in
        [("TESTCONTAINERS_HOST_OVERRIDE", "localhost"), ("TESTCONTAINERS_CONNECTION_MODE", "docker_host")]
    {
        lab.home_mut().set(name, value);
    }
    lab.runs("sdk-2", "clients", Some("JupyterLab"));
}

#[test]
fn docker_compose_2_through_the_context() {
    let Some(mut lab) = Lab::open() else { return };
    lab.use_compose_2();
    lab.runs("sdk-oldest", "v2", None);
    lab.runs("sdk-2", "v2", Some("CodeEditor"));
    lab.runs("sdk-3", "v3", Some("JupyterLab"));
}

/// Docker as it is today, on both sides: the CLI, Compose and the daemon.
#[test]
fn todays_docker() {
    let Some(mut lab) = Lab::open_with(Docker::Todays) else { return };
    lab.use_compose_2();
    lab.runs("sdk-2", "v2", None);
    lab.runs("sdk-3", "v3", Some("JupyterLab"));
}

/// By the socket, which takes the place of a host in whatever these look at.
#[test]
fn a_host_on_demand() {
    let Some(mut lab) = Lab::on_demand() else { return };
    // Where testcontainers takes itself for a container's program, it looks for ports at the gateway of Docker's network, unless it is told.
    for (name, value) in
        [("TESTCONTAINERS_HOST_OVERRIDE", "localhost"), ("TESTCONTAINERS_CONNECTION_MODE", "docker_host")]
    {
        lab.home_mut().set(name, value);
    }
    lab.runs("sdk-2", "clients", None);
    lab.is_reaped();
    lab.runs("sdk-oldest", "v2", None);
    lab.runs("sdk-3", "v3", Some("JupyterLab"));
}

/// How long a machine boots, where [`SLOW`] is in the home.
const BOOTS_FOR: Duration = Duration::from_secs(150);

/// What makes machines slow.
const SLOW: &str = "slow";

/// What docker-compose 1.29 says of a network that another one made meanwhile.
const MADE_TWICE: &str = "network with name sagemaker-local already exists";

/// A machine that boots for long: its address is known to be taken, and refuses connections. And its daemon, beside a registry, which it trusts on its own
/// loopback address.
const IP: &str =
    "#!/bin/bash\nPROGRAM \"$@\" || exit\n[[ $* != *' route add default '* || ! -e $HOME/slow ]] || sleep SECONDS\n";
const DOCKERD: &str = "#!/bin/bash
setpriv --pdeathsig TERM docker-registry serve \"$HOME/registry.yml\" >\"$HOME/registry.log\" 2>&1 &
exec PROGRAM \"$@\"
";

/// The image of all clients, which the registry has.
const BOX: &str = "127.0.0.1:5000/box:1";

/// What is done by one client that waits for a host, and what it can be told by.
struct Waiting {
    /// What it is called in the docs.
    name: &'static str,
    /// `ATTEMPT` in it is another number each time.
    command: Vec<String>,
    folder: &'static str,
    variables: &'static [(&'static str, &'static str)],
}

/// What became of it.
struct Waited {
    /// How its attempts ended, and after what time each.
    attempts: Vec<(Run, Duration)>,
    /// When the last one did.
    ended: Instant,
}

impl Waiting {
    /// Does it until it succeeds, as its user would who is told to try again, and is told nothing else.
    fn until_done(&self, home: &Home) -> Waited {
        let (mut attempts, mut runs) = (Vec::new(), 0);
        loop {
            let words: Vec<_> = self.command.iter().map(|word| word.replace("ATTEMPT", &runs.to_string())).collect();
            runs += 1;
            let mut command = home.command(&words[0]);
            command.args(&words[1..]).current_dir(home.join(self.folder)).envs(self.variables.iter().copied());
            let began = Instant::now();
            let run = Run::new(command.output().expect("it runs"));
            let (code, took) = (run.code, began.elapsed());
            // docker-compose 1.29 looks for the network of all jobs first and makes it then; two of them that waited for the same host get in
            // each other's way, on any machine.
            if run.stderr.contains(MADE_TWICE) || run.stdout.contains(MADE_TWICE) {
                assert!(runs < 8, "{}: {run:?}", self.name);
                continue;
            }
            attempts.push((run, took));
            if code == Some(0) {
                return Waited { attempts, ended: Instant::now() };
            }
            let (run, _) = &attempts[attempts.len() - 1];
            let said = format!("{}{}", run.stdout, run.stderr);
            // One that gave up by itself, such as docker-py after 60 s, would say something else.
            assert!(said.contains("the host is starting, about "), "{}, after {took:?}: {run:?}", self.name);
            assert!(said.contains(" s; try again"), "{}: {run:?}", self.name);
            assert!(attempts.len() < 8, "{}: {run:?}", self.name);
        }
    }
}

impl Waited {
    /// What its user sees: the row of the docs.
    fn shows(&self) -> &'static str {
        let (first, _) = &self.attempts[0];
        match first.code {
            Some(0) if format!("{}{}", first.stdout, first.stderr).contains("sdocker: launching") => {
                "the progress of the launch | wait"
            }
            Some(0) => "nothing | wait",
            _ => "after 45 s: the host is starting | repeat it",
        }
    }
}

impl Lab {
    /// Has hosts whose machines boot for long where [`SLOW`] is, with a registry.
    fn with_slow_machines(cache: PathBuf) -> Option<Self> {
        let mut home = Home::in_sandbox_with(Docker::Todays)?;
        let programs = home.join("programs");
        fs::create_dir(&programs).expect("made");
        for (name, script) in [("ip", IP), ("dockerd", DOCKERD)] {
            let program = home.run("which", &[name]).expect(0).stdout;
            let script = script.replace("PROGRAM", program.trim());
            fs::write(programs.join(name), script.replace("SECONDS", &BOOTS_FOR.as_secs().to_string()))
                .expect("written");
            fs::set_permissions(programs.join(name), fs::Permissions::from_mode(0o755)).expect("set");
        }
        home.put_on_path(&programs);
        let settings = format!(
            "version: 0.1\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: '127.0.0.1:5000'}}\n",
            home.join("registry").display()
        );
        fs::write(home.join("registry.yml"), settings).expect("written");
        Self::of(App::Any(home), cache, &UP)
    }

    /// Gives the registry the image: busybox, with a program that trains a model.
    fn push_box(&self) {
        let root = self.home().join("image");
        fs::create_dir_all(root.join("bin")).expect("made");
        fs::copy("/bin/busybox", root.join("bin/busybox")).expect("copied");
        for applet in ["sh", "cat", "echo", "sleep"] {
            std::os::unix::fs::symlink("busybox", root.join("bin").join(applet)).expect("linked");
        }
        fs::write(root.join("bin/train"), "#!/bin/sh\necho trained >/opt/ml/model/model\n").expect("written");
        fs::set_permissions(root.join("bin/train"), fs::Permissions::from_mode(0o755)).expect("set");
        let push = format!(
            "tar -C image -c . | docker import -c 'ENV PATH=/bin' -c 'CMD train' - {BOX} && until docker push {BOX}; do sleep 0.2; done"
        );
        self.home().run("timeout", &["60", "sh", "-c", &push]).expect(0);
    }

    /// The clients, each with something of its own to do.
    fn waiting(&self) -> Vec<Waiting> {
        let packages = PathBuf::from(std::env::var_os("SDOCKER_SDK_PACKAGES").expect("set"));
        let old = PathBuf::from(std::env::var_os("SDOCKER_DOCKER").expect("set")).join("old/client/docker");
        let old = old.display().to_string();
        let sdk = |script: &str| repository().join("tests/sdk").join(script).display().to_string();
        let python = |docker: &str, testcontainers: &str| {
            let environment = format!("docker-{docker}-testcontainers-{testcontainers}");
            packages.join(environment).join("bin/python").display().to_string()
        };
        let mut clients = Vec::new();
        let mut client = |name: &'static str, folder, variables, command: &[&str]| {
            let command = command.iter().map(|word| (*word).to_owned()).collect();
            clients.push(Waiting { name, command, folder, variables });
        };
        let classic: &[(&str, &str)] = &[("DOCKER_BUILDKIT", "0")];
        client("Docker CLI 20.10, `docker pull`", "", &[], &[&old, "pull", BOX]);
        client("Docker CLI 20.10, `docker build`", "project", classic, &[&old, "build", "-t", "cli-20", "."]);
        client("Docker CLI 28, `docker run`", "", &[], &["docker", "run", "--name", "cli-28", BOX, "echo", "done"]);
        client("Docker CLI 28, `docker volume create`", "", &[], &["docker", "volume", "create", "cli-28"]);
        client("docker-compose 1.29, `up`", "project", &[], &["docker-compose", "-p", "one", "up", "-d"]);
        client("Docker Compose 2.40, `up`", "project", &[], &["docker", "compose", "-p", "two", "up", "-d"]);
        client("buildx 0.19, `build`", "project", &[], &["docker", "buildx", "build", "--load", "-t", "buildx", "."]);
        let script = sdk("waits.py");
        let [py_71, py_72] = ["7.1.0", "7.2.0"].map(|docker| python(docker, "4.15.0"));
        let testcontainers_43 = python("7.2.0", "4.3.0");
        client("docker-py 7.1, `volumes.create`", "", &[], &[&py_71, &script, "volume", "py-71", BOX]);
        client("docker-py 7.2, `volumes.create`", "", &[], &[&py_72, &script, "volume", "py-72", BOX]);
        client("docker-py 7.1, `containers.run`", "", &[], &[&py_71, &script, "run", "py-71", BOX]);
        client("docker-py 7.2, `images.build`", "", &[], &[&py_72, &script, "build", "py-72", BOX]);
        client("docker-py 7.2, `images.load`", "", &[], &[&py_72, &script, "load", "py-72", BOX]);
        client("testcontainers 4.3", "", &[], &[&testcontainers_43, &script, "testcontainers", "tc-43", BOX]);
        client("testcontainers 4.15", "", &[], &[&py_71, &script, "testcontainers", "tc-415", BOX]);
        for (name, environment, script) in [
            ("SageMaker SDK 2.80 with docker-compose 1.29, `fit`", "sdk-oldest", "fit.py"),
            ("SageMaker SDK 2 with docker-compose 1.29, `fit`", "sdk-2", "fit.py"),
            ("SageMaker SDK 3 with Docker Compose 2.40, `train`", "sdk-3", "fit3.py"),
        ] {
            let folder = self.home().inside(format!("{environment}-ATTEMPT")).display().to_string();
            client(name, "", &[], &[&self.python(environment).display().to_string(), &sdk(script), BOX, &folder]);
        }
        clients
    }
}

/// Every kind of client at once, none of which knows of hosts, before a machine that boots for 150 s: the table of the docs.
#[test]
fn clients_wait_for_a_host_that_takes_long() {
    let Some(cache) = cache() else { return };
    if std::env::var_os("SDOCKER_SDK_PACKAGES").is_none() || std::env::var_os("SDOCKER_DOCKER").is_none() {
        return skip("SDOCKER_SDK_PACKAGES and SDOCKER_DOCKER name what was prepared: use scripts/test sdk");
    }
    let Some(lab) = Lab::with_slow_machines(cache) else { return };
    let home = lab.home();
    lab.push_box();
    home.run("docker", &["save", "-o", "box.tar", BOX]).expect(0);
    home.sdocker(&["terminate-current-host"]).expect(0);
    let project = home.join("project");
    fs::create_dir(&project).expect("made");
    fs::write(project.join("Dockerfile"), format!("FROM {BOX}\nLABEL built=here\n")).expect("written");
    let services = format!("version: '3.2'\nservices: {{web: {{image: '{BOX}', command: sleep 1000}}}}\n");
    fs::write(project.join("docker-compose.yml"), services).expect("written");
    let launches = || {
        let launches = fs::read_to_string(home.join(".sdocker/launches.json")).expect("there");
        let launches: Value = serde_json::from_str(&launches).expect("JSON");
        launches["begun"].as_array().expect("a list").len()
    };
    assert_eq!((launches(), home.records()), (1, Vec::new()));

    fs::write(home.join(SLOW), "").expect("written");
    let began = Instant::now();
    let clients = lab.waiting();
    let waited: Vec<Waited> = std::thread::scope(|scope| {
        let waiting: Vec<_> = clients.iter().map(|client| scope.spawn(|| client.until_done(home))).collect();
        waiting.into_iter().map(|client| client.join().expect("no panic")).collect()
    });
    assert_eq!((launches(), home.records().len()), (2, 1), "one launch for all of them");
    let docs = fs::read_to_string(repository().join("docs/on-demand.md")).expect("read");
    let mut lacks = Vec::new();
    for (client, waited) in clients.iter().zip(&waited) {
        let took = waited.ended - began;
        let times: Vec<_> = waited.attempts.iter().map(|(_, took)| took.as_secs()).collect();
        println!("{}: attempts of {times:?} s", client.name);
        let (_, refused) = waited.attempts.split_last().expect("one at least");
        assert!(took >= BOOTS_FOR, "{}: nothing is done before the machine has booted: {took:?}", client.name);
        for (run, took) in refused {
            assert!(*took >= Duration::from_secs(45), "{}: {took:?}: {run:?}", client.name);
        }
        let row = format!("| {} | {} |", client.name, waited.shows());
        println!("{row}");
        if !docs.contains(&row) {
            lacks.push(row);
        }
    }

    // What each of them made is there.
    let listed = |arguments: &[&str]| {
        let listed = home.run("docker", arguments).expect(0).stdout;
        listed.lines().map(str::to_owned).collect::<BTreeSet<_>>()
    };
    let volumes = listed(&["volume", "ls", "-q"]);
    for volume in ["cli-28", "py-71", "py-72"] {
        assert!(volumes.contains(volume), "{volume}: {volumes:?}");
    }
    let images = listed(&["images", "--format", "{{.Repository}}"]);
    for image in ["cli-20", "buildx", "py-72", "127.0.0.1:5000/box"] {
        assert!(images.contains(image), "{image}: {images:?}");
    }
    let projects = listed(&["ps", "--format", "{{.Label \"com.docker.compose.project\"}}"]);
    assert_eq!(projects, ["one", "two"].map(str::to_owned).into(), "the services run");
    assert_eq!(home.run("docker", &["logs", "cli-28"]).expect(0).stdout, "done\n");
    assert!(lacks.is_empty(), "docs/on-demand.md lacks:\n{}", lacks.join("\n"));
}

#[test]
fn docker_py_and_testcontainers() {
    let Some(lab) = Lab::open() else { return };
    lab.runs("sdk-2", "clients", None);
}

/// The programs themselves, by Docker's context alone and with what `sdocker env` prints: the table of the docs.
#[test]
fn which_clients_find_the_host() {
    let (Some(packages), Some(docker)) = (std::env::var_os("SDOCKER_SDK_PACKAGES"), std::env::var_os("SDOCKER_DOCKER"))
    else {
        return skip("SDOCKER_SDK_PACKAGES and SDOCKER_DOCKER name what was prepared: use scripts/test sdk");
    };
    let Some(mut home) = Home::in_sandbox_with(Docker::Todays) else { return };
    home.set("TESTCONTAINERS_RYUK_DISABLED", "true");
    home.sdocker(&["create-host", "--instance-type", "c5.xlarge"]).expect(0);
    let project = home.join("project");
    fs::create_dir(&project).expect("made");
    fs::write(project.join("Dockerfile"), "FROM scratch\nLABEL built=here\n").expect("written");
    let services = "version: '3.2'\nservices: {web: {build: ., image: 'project:1'}}\n";
    fs::write(project.join("docker-compose.yml"), services).expect("written");

    // This machine may have a daemon of its own.
    let daemon = home.run("docker", &["info", "--format", "{{.ID}}"]).expect(0).stdout.trim().to_owned();
    let old = PathBuf::from(docker).join("old/client/docker").display().to_string();
    let mut clients: Vec<(String, Vec<String>)> = Vec::new();
    let mut client = |name: &str, command: &[&str]| {
        clients.push((name.to_owned(), command.iter().map(|word| (*word).to_owned()).collect()));
    };
    client("Docker CLI 20.10", &[&old, "info", "--format", "{{.ServerVersion}}"]);
    client("Docker CLI 28", &["docker", "info", "--format", "{{.ServerVersion}}"]);
    client("docker-compose 1.29", &["docker-compose", "ps"]);
    client("Docker Compose 2.40", &["docker", "compose", "ps"]);
    client("Docker Compose 2.40, building with bake", &["env", "COMPOSE_BAKE=true", "docker", "compose", "build"]);
    client("buildx 0.19", &["docker", "buildx", "build", "--load", "-t", "project:2", "."]);
    for docker_py in ["7.1.0", "7.2.0"] {
        for (program, testcontainers) in
            [("docker-py", "4.15.0"), ("testcontainers", "4.3.0"), ("testcontainers", "4.15.0")]
        {
            let environment = format!("docker-{docker_py}-testcontainers-{testcontainers}");
            let python = Path::new(&packages).join(environment).join("bin/python").display().to_string();
            let name = match program {
                "docker-py" => format!("docker-py {docker_py}"),
                _ => format!("testcontainers {testcontainers} with docker-py {docker_py}"),
            };
            let script = repository().join("tests/sdk/finds.py").display().to_string();
            client(&name, &[&python, &script, program, &daemon]);
        }
    }
    let variables = home.sdocker(&["env", "--shell", "json"]).expect(0).json();
    let docs = fs::read_to_string(repository().join("docs/local-mode.md")).expect("read");
    for (name, command) in clients {
        let found = [false, true].map(|with_env| {
            let mut run = home.command(&command[0]);
            run.args(&command[1..]).current_dir(&project);
            for (variable, value) in variables.as_object().expect("an object").iter().filter(|_| with_env) {
                run.env(variable, value.as_str().expect("text"));
            }
            let output = run.output().expect("it runs");
            println!("{name}: {}", String::from_utf8_lossy(&output.stderr).lines().last().unwrap_or_default());
            if output.status.success() { "yes" } else { "no" }
        });
        let row = format!("| {name} | {} | {} |", found[0], found[1]);
        println!("{row}");
        assert!(docs.contains(&row), "docs/local-mode.md lacks: {row}");
    }
    home.sdocker(&["terminate-host", "--all"]).expect(0);
}

/// Each SDK's own code says which Compose it takes: what `configure`, `doctor` and `setup` say, and the table of the docs.
#[test]
fn each_sdk_takes_the_compose_that_it_is_said_to_take() {
    let Some(packages) = std::env::var_os("SDOCKER_SDK_PACKAGES") else {
        return skip("SDOCKER_SDK_PACKAGES names what tests/sdk/packages made: use scripts/test sdk");
    };
    let mut ask = Command::new("python3");
    ask.arg(repository().join("tests/sdk/compose.py")).arg(Path::new(&packages).join("packages"));
    let answers = Run::new(ask.output().expect("it runs")).expect(0).json();
    let mut table: BTreeMap<Version, BTreeMap<usize, &str>> = BTreeMap::new();
    for answer in answers.as_array().expect("a list") {
        let text = |field: &str| answer[field].as_str().expect(field);
        let mut numbers = text("version").split('.').map(|number| number.parse().expect("a number"));
        let (major, minor) = (numbers.next().expect("a major"), numbers.next().expect("a minor"));
        // Parts of version 3 are as old as the SDK of the same minor version.
        let sdk = match text("package") {
            "sagemaker" => Sdk::new((major, minor)),
            "sagemaker_core" => Sdk { core: Some((major, minor)), ..Sdk::new((3, minor)) },
            _ => Sdk { train: Some((major, minor)), ..Sdk::new((3, minor)) },
        };
        let expected = match compose_accepted(sdk, answer["said"].as_str(), answer["program"] == true) {
            ComposeVerdict::Plugin => "plugin",
            ComposeVerdict::Program => "program",
            ComposeVerdict::Refused(_) => "nothing",
        };
        assert_eq!(text("takes"), expected, "{answer}");
        let shown = ["v2.29.1", "2.40.3-3", "v5.0.0"];
        let said = answer["said"].as_str().unwrap_or_default();
        if let (Some(column), true) =
            (shown.iter().position(|shown| said.ends_with(&format!(" {shown}"))), answer["program"] == true)
        {
            let takes = if expected == "plugin" { "the plugin" } else { "`docker-compose`" };
            table.entry(sdk.sagemaker).or_default().insert(column, takes);
        }
    }
    let rows: Vec<_> = table.iter().collect();
    let groups: Vec<_> = rows.chunk_by(|one, next| one.1 == next.1).collect();
    let docs = fs::read_to_string(repository().join("docs/local-mode.md")).expect("read");
    for group in &groups {
        let ((first, takes), (last, _)) = (group[0], group[group.len() - 1]);
        let versions = match group == groups.last().expect("some") {
            true => format!("{}.{} and later", first.0, first.1),
            false => format!("{}.{} to {}.{}", first.0, first.1, last.0, last.1),
        };
        let row = format!("| {versions} | {} |", takes.values().copied().collect::<Vec<_>>().join(" | "));
        println!("{row}");
        assert!(docs.contains(&row), "docs/local-mode.md lacks: {row}");
    }
}

/// The example notebook, from its first cell to its last, with a host of its own.
#[test]
fn the_notebook() {
    let Some(mut lab) = Lab::open() else { return };
    let examples = lab.home().join("examples");
    fs::create_dir_all(examples.join("container")).expect("made");
    fs::copy(repository().join("docs/examples/local-mode.ipynb"), examples.join("local-mode.ipynb")).expect("copied");
    // The notebook's `sdocker`, Python and kernel.
    let bin = lab.home().join("bin");
    fs::create_dir(&bin).expect("made");
    let binary = std::env::var_os("SDOCKER_BIN").expect("set");
    std::os::unix::fs::symlink(binary, bin.join("sdocker")).expect("linked");
    let mut path = bin.into_os_string();
    for folder in [lab.cache.join("sdk-2/bin").into_os_string(), std::env::var_os("PATH").expect("set")] {
        path.push(":");
        path.push(folder);
    }
    lab.home_mut().set("PATH", path);
    // It creates a host of its own; the image is there, because hosts of the sandbox can pull none.
    let archive = lab.home().join("regression.tar").display().to_string();
    lab.home().run("docker", &["save", "-o", &archive, "regression"]).expect(0);
    lab.home_mut().set("EXAMPLE_IMAGE", &archive);
    for name in ["DOCKER_HOST", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"] {
        lab.home_mut().unset(name);
    }
    let notebook = fs::read_to_string(examples.join("local-mode.ipynb")).expect("read");
    let notebook = notebook.replace("docker build -q -t regression container", "docker load -q -i $EXAMPLE_IMAGE");
    fs::write(examples.join("local-mode.ipynb"), notebook).expect("written");
    let execute = ["nbconvert", "--to", "notebook", "--execute", "--output", "done.ipynb"];
    let jupyter = lab.cache.join("sdk-2/bin/jupyter").display().to_string();
    let run: Run = lab.home().run(&jupyter, &[&execute[..], &["examples/local-mode.ipynb"]].concat());
    assert_eq!(run.code, Some(0), "{}", run.stderr);

    let done: Value = serde_json::from_slice(&fs::read(examples.join("done.ipynb")).expect("made")).expect("JSON");
    let text = |pointer: &Value| match pointer {
        Value::Array(lines) => lines.iter().filter_map(Value::as_str).collect::<String>(),
        other => other.as_str().unwrap_or_default().to_owned(),
    };
    let printed = |source: &str| -> String {
        let cells = done["cells"].as_array().expect("cells").iter();
        let mut cell = cells.filter(|cell| cell["cell_type"] == "code" && text(&cell["source"]).contains(source));
        let outputs = cell.next().expect(source)["outputs"].as_array().expect("outputs").iter();
        // The notebook's terminal ends each line so.
        outputs.map(|output| text(&output["text"])).collect::<String>().replace("\r\n", "\n")
    };
    for source in ["sdocker create-host", "sdocker terminate-current-host"] {
        let printed = printed(source);
        println!("{printed}");
        assert!(!printed.contains(['\x1b', '\r', '\x08']), "control codes: {printed:?}");
    }
    assert!(printed("sdocker create-host").contains("is ready: Docker"));
    assert!(printed("/ping").lines().any(|line| line == "200"));
    assert!(printed("rings predicted").contains("counted"));
}

/// The example of a sweep, as its script has it: learned on two nodes, from an image that only one of them had, into files that both share.
#[test]
fn a_sweep_over_a_swarm_ends_in_a_table_and_a_plot() {
    let Some(cache) = cache() else { return };
    let Some(mut home) = Home::in_sandbox() else { return };
    let arguments = ["create-host", "c5.xlarge", "--count", "2", "--swarm", "--output", "json"];
    let created = home.sdocker(&arguments).expect(0).json();
    let hosts = created["hosts"].as_array().expect("hosts").iter();
    let hosts: Vec<String> = hosts.map(|host| host["name"].as_str().expect("a name").to_owned()).collect();
    import_registry(&home, &hosts, "localhost:1/registry");

    let example = home.join("example");
    fs::create_dir(&example).expect("made");
    for file in ["sweep.py", "sweep.sh"] {
        fs::copy(repository().join("docs/examples/sweep").join(file), example.join(file)).expect("copied");
    }
    // As the example's own, from what is here.
    fs::write(example.join("Dockerfile"), "FROM python:xgboost\nCOPY sweep.py /sweep.py\n").expect("written");
    import_base(&home, &cache);
    let binary = std::env::var_os("SDOCKER_BIN").map(PathBuf::from).expect("the binary under test");
    let programs = home.join("programs");
    fs::create_dir(&programs).expect("made");
    std::os::unix::fs::symlink(binary, programs.join("sdocker")).expect("linked");
    home.put_on_path(&programs);
    home.set("DOCKER_BUILDKIT", "0");
    let swept = home.run("bash", &["example/sweep.sh", "--registry-image", "localhost:1/registry"]).expect(0).stdout;
    assert!(swept.contains("job sweep: 12 of 12 done") && swept.contains("12 of 12 runs"), "{swept}");
    let errors = || {
        let rows = swept.lines().skip_while(|line| !line.contains("max_depth")).skip(1);
        rows.filter_map(|row| row.split_whitespace().nth(3)?.parse::<f64>().ok())
    };
    let (best, worst) = (errors().fold(f64::MAX, f64::min), errors().fold(0.0, f64::max));
    assert_eq!(errors().count(), 12, "{swept}");
    assert!(best < 0.5 && worst > 1.0, "the parameters make a difference: {swept}");
    let plot = fs::read_to_string(home.join("sweep/sweep.svg")).expect("a plot");
    assert_eq!(plot.matches("<rect").count(), 12);
    home.sdocker(&["terminate-host", "--all"]).expect(0);
}
