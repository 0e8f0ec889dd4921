//! The AWS endpoint of the wire suite.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Mutex,
};

use serde_json::{Value, json};

use crate::Home;

/// A running endpoint; it ends with this value.
#[derive(Debug)]
pub struct Front {
    address: String,
    _connection: UnixStream,
}

/// A fault of the endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndpointFault {
    /// A refusal for good, with one of the service's own codes.
    Error,
    /// It throttles once.
    Throttle,
    /// It throttles from now on.
    ThrottleOn,
    /// The service fails by itself (HTTP 500, with an AWS code), once.
    Failure(Effect),
    /// The connection breaks before the call takes effect, once.
    DropBefore,
    /// The connection breaks after the call took effect, once.
    DropAfter,
    /// The call is held before it takes effect, for the caller to be killed.
    HoldBefore,
    /// The call is held after it took effect, for the caller to be killed.
    HoldAfter,
    /// An answer that is not AWS's, once.
    Foreign(Foreign, Effect),
    /// No answer, from now on, until the caller leaves or [`Front::release`].
    Silent(Effect),
}

/// Whether a call takes effect although it fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It does not.
    NotDone,
    /// It does.
    Done,
}

/// An answer that is not AWS's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Foreign {
    /// A proxy's HTML page, with this status.
    Page(u16),
    /// Status 200 and nothing else.
    Empty,
    /// An answer of AWS's of which the beginning arrives, before the connection breaks.
    Cut,
}

impl Foreign {
    /// One of each kind that proxies and broken networks give.
    pub const ALL: [Self; 7] =
        [Self::Page(200), Self::Page(403), Self::Page(407), Self::Page(451), Self::Page(502), Self::Empty, Self::Cut];
}

impl EndpointFault {
    /// This fault at the n-th call of an action, counted from 0, and so often from there on.
    fn at(self, action: &str, nth: usize, times: usize) -> Value {
        let (kind, effect) = match self {
            Self::Error => ("error", Effect::NotDone),
            Self::Throttle | Self::ThrottleOn => ("throttle", Effect::NotDone),
            Self::Failure(effect) => ("failure", effect),
            Self::DropBefore => ("drop", Effect::NotDone),
            Self::DropAfter => ("drop", Effect::Done),
            Self::HoldBefore => ("hold", Effect::NotDone),
            Self::HoldAfter => ("hold", Effect::Done),
            Self::Foreign(Foreign::Page(_), effect) => ("page", effect),
            Self::Foreign(Foreign::Empty, effect) => ("empty", effect),
            Self::Foreign(Foreign::Cut, effect) => ("cut", effect),
            Self::Silent(effect) => ("silent", effect),
        };
        let mut fault =
            json!({"kind": kind, "action": action, "nth": nth, "times": times, "done": effect == Effect::Done});
        if let Self::Foreign(Foreign::Page(status), _) = self {
            fault["status"] = json!(status);
        }
        fault
    }

    /// How often it happens unless a test says otherwise.
    fn usual_times(self) -> usize {
        if matches!(self, Self::Error | Self::ThrottleOn | Self::Silent(_)) { FROM_NOW_ON } else { 1 }
    }
}

/// As often as any test can call.
const FROM_NOW_ON: usize = 1_000_000;

/// An account in a Region of the endpoint: two domains in one VPC, and another VPC.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    front: &'a Front,
    account: &'a str,
    region: &'a str,
}

impl Front {
    /// Starts the endpoint; `None` where Python or PyPI is missing, which is said.
    ///
    /// # Panics
    /// It says nothing of use.
    pub fn start() -> Option<Self> {
        let Some(fronts) = fronts() else {
            crate::skip("the AWS endpoint did not start: it needs python3 with venv, and PyPI");
            return None;
        };
        let connection = UnixStream::connect(fronts).expect("it makes fronts");
        let mut line = String::new();
        BufReader::new(&connection).read_line(&mut line).expect("readable");
        let address = line.trim().strip_prefix("READY http://").expect("it starts").to_owned();
        Some(Self { address, _connection: connection })
    }

    /// Runs the endpoint's own tests: IAM's rules, the services' models, the documented limits.
    ///
    /// # Panics
    /// One fails.
    pub fn test_itself() {
        let serve = Path::new(env!("CARGO_MANIFEST_DIR")).join("wire/serve");
        let status = Command::new(serve).arg("test").status().expect("bash runs");
        match status.code() {
            Some(69) => crate::skip("the AWS endpoint's tests need python3 with venv, and PyPI"),
            code => assert_eq!(code, Some(0), "the endpoint's own tests pass"),
        }
    }

    /// An account in a Region. Each has domains, networks and hosts of its own.
    pub fn place<'a>(&'a self, account: &'a str, region: &'a str) -> Place<'a> {
        Place { front: self, account, region }
    }

    /// Where the suites are unless they say otherwise.
    fn here(&self) -> Place<'_> {
        self.place("123456789012", "eu-west-1")
    }

    /// `host:port` of the endpoint.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// A home in a Studio app of the endpoint's domain. Hosts that are launched boot into it.
    pub fn home(&self) -> Home {
        self.here().home()
    }

    /// From now on hosts boot into this home.
    pub fn boot_into(&self, home: &Home) {
        self.boot_into_any(&[home]);
    }

    /// From now on hosts boot into that of these homes which has their identity.
    pub fn boot_into_any(&self, homes: &[&Home]) {
        let folders: Vec<_> = homes.iter().map(|home| home.join(".sdocker/hosts")).collect();
        self.post("hosts", &json!(folders));
    }

    /// From now on hosts are machines with real daemons, in this folder, which see nothing of what this machine has in the others.
    pub fn boot_machines(&self, folder: &Path, hidden: &[&str]) {
        self.post("machines", &json!({"folder": folder, "hidden": hidden}));
    }

    /// What the account was seeded with.
    pub fn seed(&self) -> Value {
        self.here().seed()
    }

    /// The actions called since the last change of faults.
    ///
    /// # Panics
    /// The endpoint does not answer as it should.
    pub fn log(&self) -> Vec<String> {
        let calls = self.calls();
        calls.iter().map(|call| call["action"].as_str().expect("an action").to_owned()).collect()
    }

    /// The calls since the last change of faults: `action`, `account` and `region` of each.
    ///
    /// # Panics
    /// The endpoint does not answer as it should.
    pub fn calls(&self) -> Vec<Value> {
        serde_json::from_value(self.get("calls")).expect("a list of calls")
    }

    /// The ids of the instances that live.
    pub fn live(&self) -> Vec<String> {
        self.here().live()
    }

    /// The instances that live: `id`, `token` (null where somebody else launched it) and `tags` of each.
    pub fn instances(&self) -> Vec<Value> {
        self.here().instances()
    }

    /// From now on: this fault at the n-th call of an action, counted from 0. `*` in the action stands for anything. Clears the log.
    pub fn fault(&self, action: &str, nth: usize, fault: EndpointFault) {
        self.fault_times(action, nth, fault.usual_times(), fault);
    }

    /// From now on: this fault at the n-th call of an action and those that follow, so many in all. Clears the log.
    pub fn fault_times(&self, action: &str, nth: usize, times: usize, fault: EndpointFault) {
        self.faults(&[(action, nth, times, fault)]);
    }

    /// From now on these faults: action, first call, number of calls, fault. The first that fits a call strikes. Clears the log.
    pub fn faults(&self, faults: &[(&str, usize, usize, EndpointFault)]) {
        let faults = faults.iter().map(|(action, nth, times, fault)| fault.at(action, *nth, *times));
        self.post("faults", &faults.collect());
    }

    /// From now on these faults: account, action, fault, at every call of it that this account makes. Clears the log.
    pub fn faults_of_accounts(&self, faults: &[(&str, &str, EndpointFault)]) {
        let faults = faults.iter().map(|(account, action, fault)| {
            let mut value = fault.at(action, 0, FROM_NOW_ON);
            value["account"] = json!(account);
            value
        });
        self.post("faults", &faults.collect());
    }

    /// From now on: this error at the n-th call of an action, counted from 0, once. Clears the log.
    pub fn error_once(&self, action: &str, nth: usize, code: &str) {
        self.post("faults", &json!([{"action": action, "nth": nth, "kind": "error", "code": code}]));
    }

    /// From now on: this error at each call of an action, in the service's shape. Clears the log.
    pub fn error_always(&self, action: &str, status: u16, code: &str, message: &str) {
        self.error_from(action, 0, status, code, message);
    }

    /// The same from the n-th call on, counted from 0.
    pub fn error_from(&self, action: &str, nth: usize, status: u16, code: &str, message: &str) {
        let fault = EndpointFault::Error.at(action, nth, FROM_NOW_ON);
        let error = json!({"code": code, "message": message, "status": status});
        let both = [fault, error].into_iter().flat_map(|part| part.as_object().cloned().unwrap_or_default());
        self.post("faults", &json!([both.collect::<serde_json::Map<_, _>>()]));
    }

    /// How often each of the faults struck since they were set, in their order. A test of a fault has to see that it did.
    ///
    /// # Panics
    /// The endpoint does not answer as it should.
    pub fn fired(&self) -> Vec<usize> {
        serde_json::from_value(self.get("fired")).expect("a list of numbers")
    }

    /// From now on no faults. Clears the log.
    pub fn reset(&self) {
        self.post("faults", &Value::Null);
    }

    /// The actions that were authorized since the last change of faults: those of the calls, and those of what the calls do further.
    ///
    /// # Panics
    /// The endpoint does not answer as it should.
    pub fn used(&self) -> BTreeSet<String> {
        serde_json::from_value(self.get("used")).expect("a list of actions")
    }

    /// The actions that were refused since the last change of faults.
    ///
    /// # Panics
    /// The endpoint does not answer as it should.
    pub fn refused(&self) -> BTreeSet<String> {
        serde_json::from_value(self.get("refused")).expect("a list of actions")
    }

    /// What hosts share: the VPC's security groups, ids by names, and the groups of each mount target.
    pub fn shared(&self) -> Value {
        self.here().shared()
    }

    /// From now on this policy is enforced; with `null`, none. Takes the place of what is denied.
    pub fn enforce(&self, policy: &Value) {
        self.post("policy", policy);
    }

    /// From now on the role has all actions but these, without an explicit deny. Takes the place of a policy.
    pub fn deny(&self, actions: &[&str]) {
        self.post("deny", &json!(actions));
    }

    /// From now on this service control policy of the account's organization applies as well; with `null`, none.
    pub fn enforce_organization(&self, policy: &Value) {
        self.post("organization", policy);
    }

    /// From now on EC2's refusals say nothing but that they are encoded, or name what they refuse again.
    pub fn encode_refusals(&self, encoded: bool) {
        self.post("encoded", &json!(encoded));
    }

    /// From now on the domain's description has these fields; another domain's, where `DomainId` is among them.
    pub fn change_domain(&self, fields: &Value) {
        self.post("domain", fields);
    }

    /// From now on the user profile has these tags.
    pub fn change_profile_tags(&self, tags: &Value) {
        self.post("profile", tags);
    }

    /// From now on these are EC2's quotas, by their codes.
    pub fn quotas(&self, values: &Value) {
        self.post("quotas", values);
    }

    /// From now on volumes that name no key are encrypted with this one.
    pub fn volume_key(&self, key: &str) {
        self.post("volume_key", &json!(key));
    }

    /// An instance with these tags that somebody else launches.
    ///
    /// # Panics
    /// The endpoint does not answer as it should.
    pub fn launch(&self, tags: &Value) -> String {
        self.post("launch", &json!({"tags": tags})).as_str().expect("an id").to_owned()
    }

    /// An instance shuts itself down: it is stopped or terminated, as its launch said.
    pub fn shut_down(&self, instance: &str) {
        self.post("shut_down", &json!(instance));
    }

    /// A call of EC2 that the binary does not make: the answer's error code and message, both empty where it succeeds.
    ///
    /// # Panics
    /// The endpoint does not answer.
    pub fn ec2(&self, action: &str, parameters: &[(&str, &str)]) -> (String, String) {
        self.here().ec2(action, parameters)
    }

    /// From now on the Price List and EC2's Spot prices answer so: `null` as AWS, `silent`, or `page` as a proxy. Forgets what it was asked.
    pub fn answer_prices(&self, how: &Value) {
        self.post("prices", how);
    }

    /// What came of each call of the Price List since then: `priced`, `no product`, `denied`, `silent`, `page`, or the code of its refusal; of one
    /// for Spot prices the same after `spot`, or `spot no price`.
    ///
    /// # Panics
    /// The endpoint does not answer as it should.
    pub fn priced(&self) -> Vec<String> {
        serde_json::from_value(self.get("priced")).expect("a list of outcomes")
    }

    /// From now on instances have this DNS name, in place of none.
    pub fn name_instances(&self, name: &str) {
        self.post("names", &json!(name));
    }

    /// How often from now on AWS knows a thing later than it answered, once each unless said: `groups` (calls that do not find a new group,
    /// of the actions that `of` fits), `instances` (reads and terminations that do not find a new instance: none unless said), `pending` (reads that find it
    /// pending, without its name), `releases` (deletions of a group
    /// that are refused after an instance of it ended); and `fates`, pairs of code and message with which the next launches end after they
    /// were accepted.
    pub fn late(&self, settings: &Value) {
        self.post("late", settings);
    }

    /// How many calls were refused because they came too early, since the last change of how often that happens.
    ///
    /// # Panics
    /// The endpoint does not answer as it should.
    pub fn too_early(&self) -> u64 {
        self.get("early").as_u64().expect("a number")
    }

    /// From now on AWS knows everything at once: for matrices, which would wait a second longer at each case.
    pub fn know_at_once(&self) {
        self.late(&json!({"groups": 0, "instances": 0, "pending": 0, "releases": 0}));
    }

    /// EC2 lists instances that ended no more: it does for about an hour (EC2 user guide, "Instance lifecycle").
    pub fn forget_ended(&self) {
        self.post("forget", &Value::Null);
    }

    /// From now on the domain's VPC has these DNS attributes, such as `EnableDnsHostnames`.
    pub fn change_dns(&self, attributes: &Value) {
        self.post("dns", attributes);
    }

    /// From now on each mount target has this many security groups.
    pub fn crowd_mount_targets(&self, count: usize) {
        self.post("crowd", &json!(count));
    }

    /// Waits until a call is held; `false` where the caller ended before.
    pub fn wait_until_held(&self, caller: &mut Child) -> bool {
        loop {
            if self.get("held").as_array().is_some_and(|held| !held.is_empty()) {
                return true;
            }
            if matches!(caller.try_wait(), Ok(Some(_))) {
                return false;
            }
            std::thread::yield_now();
        }
    }

    /// Whether a call is held.
    pub fn holds(&self) -> bool {
        self.get("held").as_array().is_some_and(|held| !held.is_empty())
    }

    /// Lets go of the calls that are held.
    pub fn release(&self) {
        self.post("release", &Value::Null);
    }

    /// A home in an app of this domain, which is of the suites' own account and Region.
    pub fn home_in_domain(&self, domain: &str) -> Home {
        self.here().home_in_domain(domain)
    }

    fn get(&self, name: &str) -> Value {
        self.ask(&format!("GET /__control/{name} HTTP/1.0\r\n\r\n"))
    }

    fn post(&self, name: &str, value: &Value) -> Value {
        let body = value.to_string();
        self.ask(&format!("POST /__control/{name} HTTP/1.0\r\nContent-Length: {}\r\n\r\n{body}", body.len()))
    }

    fn ask(&self, request: &str) -> Value {
        let answer = self.talk(request);
        let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
        serde_json::from_str(body).expect("JSON")
    }

    fn talk(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).expect("the endpoint is there");
        stream.write_all(request.as_bytes()).expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        answer
    }
}

impl Place<'_> {
    /// The account's id.
    pub fn account(&self) -> &str {
        self.account
    }

    /// The Region.
    pub fn region(&self) -> &str {
        self.region
    }

    /// What the account has in this Region: `domain`, `neighbour` (a second domain in the same VPC), `vpc`, `subnets`, ...
    pub fn seed(&self) -> Value {
        self.front.get(&self.control("seed"))
    }

    /// A home in a Studio app of the first domain, with this account's credentials. Hosts that are launched boot into it.
    pub fn home(&self) -> Home {
        let seed = self.seed();
        self.home_in_domain(seed["domain"].as_str().unwrap_or_default())
    }

    /// A home in a Studio app of this domain, with this account's credentials. Hosts that are launched boot into it.
    pub fn home_in_domain(&self, domain: &str) -> Home {
        let mut home = Home::new();
        home.be_studio_in(self.region, self.account, domain, "ana");
        home.set("AWS_ENDPOINT_URL", format!("http://{}", self.front.address));
        home.set("AWS_ACCESS_KEY_ID", self.access_key());
        home.set("AWS_SECRET_ACCESS_KEY", "test");
        // `doctor` tries the registry of the image: no test leaves this machine.
        std::fs::create_dir_all(home.join(".sdocker")).expect("a folder");
        let settings = json!({"DockerImageURI": "127.0.0.1:9/docker:29-dind"});
        std::fs::write(home.join(".sdocker/sdocker.conf"), settings.to_string()).expect("a file");
        self.front.boot_into(&home);
        home
    }

    /// The access key by which the endpoint knows the account.
    pub fn access_key(&self) -> String {
        format!("test-{}", self.account)
    }

    /// The ids of the instances that live.
    ///
    /// # Panics
    /// The endpoint does not answer as it should.
    pub fn live(&self) -> Vec<String> {
        self.instances().iter().map(|instance| instance["id"].as_str().expect("an id").to_owned()).collect()
    }

    /// The instances that live: `id`, `token` (null where somebody else launched it) and `tags` of each.
    ///
    /// # Panics
    /// The endpoint does not answer as it should.
    pub fn instances(&self) -> Vec<Value> {
        serde_json::from_value(self.front.get(&self.control("instances"))).expect("a list")
    }

    /// What hosts share: the VPC's security groups, ids by names, and the groups of each mount target.
    pub fn shared(&self) -> Value {
        self.front.get(&self.control("shared"))
    }

    /// A call of EC2 that the binary does not make: the answer's error code and message, both empty where it succeeds.
    ///
    /// # Panics
    /// The endpoint does not answer.
    pub fn ec2(&self, action: &str, parameters: &[(&str, &str)]) -> (String, String) {
        let parameters = parameters.iter().map(|(name, value)| format!("&{name}={value}"));
        let body = format!("Action={action}&Version=2016-11-15{}", parameters.collect::<String>());
        let (key, region) = (self.access_key(), self.region);
        let scope = format!(
            "Authorization: AWS4-HMAC-SHA256 Credential={key}/20260101/{region}/ec2/aws4_request, Signature=none"
        );
        let kind = "Content-Type: application/x-www-form-urlencoded";
        let length = body.len();
        let request = format!("POST / HTTP/1.0\r\n{scope}\r\n{kind}\r\nContent-Length: {length}\r\n\r\n{body}");
        let answer = self.front.talk(&request);
        let within = |tag: &str| {
            let (_, after) = answer.split_once(&format!("<{tag}>"))?;
            Some(after.split_once("</")?.0.to_owned())
        };
        (within("Code").unwrap_or_default(), within("Message").unwrap_or_default())
    }

    fn control(&self, name: &str) -> String {
        format!("{name}?account={}&region={}", self.account, self.region)
    }
}

/// The socket of what makes this process's endpoints in this thread's network; `None` where there is no Python or no PyPI. It ends with this
/// process.
fn fronts() -> Option<PathBuf> {
    static FRONTS: Mutex<BTreeMap<PathBuf, Option<PathBuf>>> = Mutex::new(BTreeMap::new());
    let network = fs::read_link("/proc/thread-self/ns/net").expect("proc(5)");
    let mut fronts = FRONTS.lock().expect("no test failed to start one");
    fronts.entry(network).or_insert_with(start_fronts).clone()
}

fn start_fronts() -> Option<PathBuf> {
    let serve = Path::new(env!("CARGO_MANIFEST_DIR")).join("wire/serve");
    let mut command = Command::new(serve);
    let mut child = command.arg("--many").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("bash runs");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("readable");
    let Some(socket) = line.trim().strip_prefix("FRONTS ") else {
        let ended = child.wait().expect("it ended");
        assert_eq!(ended.code(), Some(69), "the endpoint starts wherever its Python environment can be made");
        return None;
    };
    // Until the end of this process.
    std::mem::forget(child.stdin.take());
    Some(PathBuf::from(socket))
}
