//! The AWS endpoint of the wire suite.

use std::{
    collections::BTreeSet,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
};

use serde_json::{Value, json};

use crate::Home;

/// A running endpoint; it ends with this value.
#[derive(Debug)]
pub struct Front {
    child: Child,
    _stdin: ChildStdin,
    address: String,
}

/// A fault of the endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// An error that stays one.
    Error,
    /// It throttles once.
    Throttle,
    /// The connection breaks before the call takes effect, once.
    DropBefore,
    /// The connection breaks after the call took effect, once.
    DropAfter,
    /// The call is held before it takes effect, for the caller to be killed.
    HoldBefore,
    /// The call is held after it took effect, for the caller to be killed.
    HoldAfter,
}

impl Fault {
    fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Throttle => "throttle",
            Self::DropBefore => "drop-before",
            Self::DropAfter => "drop-after",
            Self::HoldBefore => "hold-before",
            Self::HoldAfter => "hold-after",
        }
    }
}

impl Front {
    /// Starts the endpoint; `None` where Python or PyPI is missing, which is said.
    ///
    /// # Panics
    /// It says nothing of use.
    pub fn start() -> Option<Self> {
        let serve = Path::new(env!("CARGO_MANIFEST_DIR")).join("wire/serve");
        let mut child = Command::new(serve).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("bash runs");
        let stdin = child.stdin.take().expect("piped");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("piped");
        BufReader::new(stdout).read_line(&mut line).expect("readable");
        let Some(url) = line.trim().strip_prefix("READY http://") else {
            child.wait().expect("it ended");
            crate::skip("the AWS endpoint did not start: it needs python3 with venv, and PyPI");
            return None;
        };
        Some(Self { address: url.to_owned(), child, _stdin: stdin })
    }

    /// A home in a Studio app of the endpoint's domain. Hosts that are launched boot into it.
    pub fn home(&self) -> Home {
        let mut home = Home::new();
        home.be_studio("d-wire", "ana");
        home.set("AWS_ENDPOINT_URL", format!("http://{}", self.address));
        home.set("AWS_ACCESS_KEY_ID", "test");
        home.set("AWS_SECRET_ACCESS_KEY", "test");
        self.boot_into(&home);
        home
    }

    /// From now on hosts boot into this home.
    pub fn boot_into(&self, home: &Home) {
        self.post("hosts", &json!(home.join(".sdocker/hosts")));
    }

    /// What the account was seeded with.
    pub fn seed(&self) -> Value {
        self.get("seed")
    }

    /// The actions called since the last change of faults.
    ///
    /// # Panics
    /// The endpoint does not answer as it should.
    pub fn log(&self) -> Vec<String> {
        serde_json::from_value(self.get("log")).expect("a list of actions")
    }

    /// The ids of the instances that live.
    ///
    /// # Panics
    /// The endpoint does not answer as it should.
    pub fn live(&self) -> Vec<String> {
        let instances = self.get("instances");
        let ids = instances.as_array().expect("a list").iter();
        ids.map(|instance| instance["id"].as_str().expect("an id").to_owned()).collect()
    }

    /// From now on: this fault at the n-th call of an action, counted from 0. Clears the log.
    pub fn fault(&self, action: &str, nth: usize, fault: Fault) {
        let times = if fault == Fault::Error { 100 } else { 1 };
        self.post("faults", &json!([{"action": action, "nth": nth, "kind": fault.name(), "times": times}]));
    }

    /// From now on: this error at the n-th call of an action, counted from 0, once. Clears the log.
    pub fn error_once(&self, action: &str, nth: usize, code: &str) {
        self.post("faults", &json!([{"action": action, "nth": nth, "kind": "error", "code": code}]));
    }

    /// From now on no faults. Clears the log.
    pub fn reset(&self) {
        self.post("reset", &Value::Null);
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
        self.get("shared")
    }

    /// From now on this policy is enforced; with `null`, none. Takes the place of what is denied.
    pub fn enforce(&self, policy: &Value) {
        self.post("policy", policy);
    }

    /// From now on these actions are denied, and all others allowed. Takes the place of a policy.
    pub fn deny(&self, actions: &[&str]) {
        self.post("deny", &json!(actions));
    }

    /// From now on the domain's description has these fields.
    pub fn change_domain(&self, fields: &Value) {
        self.post("domain", fields);
    }

    /// From now on these are EC2's quotas, by their codes.
    pub fn quotas(&self, values: &Value) {
        self.post("quotas", values);
    }

    /// An instance with these tags that somebody else launches.
    ///
    /// # Panics
    /// The endpoint does not answer as it should.
    pub fn launch(&self, tags: &Value) -> String {
        self.post("launch", &json!({"tags": tags})).as_str().expect("an id").to_owned()
    }

    /// A call of EC2 that the binary does not make: the answer's error code and message, both empty where it succeeds.
    ///
    /// # Panics
    /// The endpoint does not answer.
    pub fn ec2(&self, action: &str, parameters: &[(&str, &str)]) -> (String, String) {
        let parameters = parameters.iter().map(|(name, value)| format!("&{name}={value}"));
        let body = format!("Action={action}&Version=2016-11-15{}", parameters.collect::<String>());
        let scope =
            "Authorization: AWS4-HMAC-SHA256 Credential=test/20260101/eu-west-1/ec2/aws4_request, Signature=none";
        let kind = "Content-Type: application/x-www-form-urlencoded";
        let length = body.len();
        let answer =
            self.talk(&format!("POST / HTTP/1.0\r\n{scope}\r\n{kind}\r\nContent-Length: {length}\r\n\r\n{body}"));
        let within = |tag: &str| {
            let (_, after) = answer.split_once(&format!("<{tag}>"))?;
            Some(after.split_once("</")?.0.to_owned())
        };
        (within("Code").unwrap_or_default(), within("Message").unwrap_or_default())
    }

    /// From now on instances have DNS names that nobody resolves, in place of none.
    pub fn give_unknown_names(&self) {
        self.post("names", &json!(true));
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

    /// Lets go of the calls that are held.
    pub fn release(&self) {
        self.post("release", &Value::Null);
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

impl Drop for Front {
    fn drop(&mut self) {
        // It ends with its standard input as well; this is quicker.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
