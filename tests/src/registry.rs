//! Registries of images: the door of one, as far as it is asked whether it is one, and real ones.

use std::{
    collections::HashMap,
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use crate::{Home, import_image};

/// What it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Says {
    /// That one has to log in, as registries do.
    LogIn,
    /// This status.
    Status(u16),
    /// A page that no registry has.
    Page,
    /// Nothing: it ends the connection.
    Nothing,
}

/// A server for registries of any name, over plain HTTP. It serves until the process ends.
#[derive(Clone, Debug)]
pub struct Registry {
    address: String,
    says: Arc<Mutex<HashMap<String, Says>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Registry {
    /// One that everybody can log in to.
    ///
    /// # Panics
    /// There is no port for it.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let registry = Self { address, says: Arc::default(), asked: Arc::default() };
        let serving = registry.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // A connection that breaks is over.
                let _ = serving.serve(client);
            }
        });
        registry
    }

    /// `host:port` of it.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// From now on the registry of this name says so.
    pub fn say(&self, name: &str, says: Says) {
        self.says.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), says);
    }

    /// The names and paths that it was asked for since the last time.
    pub fn take_asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn serve(&self, mut client: TcpStream) -> std::io::Result<()> {
        let mut lines = BufReader::new(client.try_clone()?).lines();
        let first = lines.next().transpose()?.unwrap_or_default();
        let mut name = String::new();
        for line in lines {
            let line = line?;
            if line.is_empty() {
                break;
            }
            if let Some((header, value)) = line.split_once(':')
                && header.eq_ignore_ascii_case("host")
            {
                value.trim().clone_into(&mut name);
            }
        }
        let path = first.split(' ').nth(1).unwrap_or_default();
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{name}{path}"));
        let says = self.says.lock().unwrap_or_else(PoisonError::into_inner).get(&name).copied();
        let (status, header) = match says.unwrap_or(Says::LogIn) {
            // Docker Hub's own words.
            Says::LogIn => (401, "Www-Authenticate: Bearer realm=\"https://auth.docker.io/token\"\r\n"),
            Says::Status(status) => (status, "Docker-Distribution-Api-Version: registry/2.0\r\n"),
            Says::Page => (200, "Content-Type: text/html\r\n"),
            Says::Nothing => return Ok(()),
        };
        write!(client, "HTTP/1.1 {status} Status\r\n{header}Content-Length: 0\r\nConnection: close\r\n\r\n")
    }
}

/// Gives hosts an image of Debian's registry, with what its program is linked to, by a name of which the registry refuses at once: the nodes of a Swarm
/// take what they have.
///
/// # Panics
/// It is not there, or a host does not take it.
pub fn import_registry(home: &Home, hosts: &[String], name: &str) {
    let root = home.join("registry");
    let program = Path::new("/usr/bin/docker-registry");
    let linked = Command::new("ldd").arg(program).output().expect("ldd runs");
    let linked = String::from_utf8_lossy(&linked.stdout).into_owned();
    let libraries = linked.split_whitespace().filter(|word| word.starts_with('/')).map(Path::new);
    for file in libraries.chain([program]) {
        let copy = root.join(file.strip_prefix("/").expect("absolute"));
        fs::create_dir_all(copy.parent().expect("a folder")).expect("made");
        fs::copy(file, copy).expect("copied");
    }
    let config = "version: 0.1\nstorage: {filesystem: {rootdirectory: /var/lib/registry}}\nhttp: {addr: ':5000'}\n";
    fs::write(root.join("config.yml"), config).expect("written");
    let entrypoint = "ENTRYPOINT [\"/usr/bin/docker-registry\", \"serve\", \"/config.yml\"]";
    import_image(home, hosts, &root, &[entrypoint], name);
}

/// Debian's registry on this machine, over TLS, for those who log in.
#[derive(Debug)]
pub struct PrivateRegistry {
    address: String,
    process: Child,
}

/// Who may use it: `ana`, with the password `gradient`. The hash is crypt(3)'s, with bcrypt, which is all that the registry takes.
const USERS: &str = "ana:$2y$05$abcdefghijklmnopqrstuudRMPKGv5HBPZtHG2qjrCi6qFpGj2Y66\n";

impl PrivateRegistry {
    /// Makes a CA which this home's programs believe from now on, daemons of its hosts included: theirs is Go's variable for it (`crypto/x509`).
    ///
    /// # Panics
    /// It can't be made.
    pub fn be_believed(home: &mut Home) {
        let folder = home.join("private-registry");
        fs::create_dir(&folder).expect("made");
        let script =
            "openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 2 -subj /CN=registries 2>&1";
        home.run("sh", &["-c", &format!("cd private-registry && {script}")]).expect(0);
        home.set("SSL_CERT_FILE", folder.join("ca.pem"));
    }

    /// Starts it at an address of this machine.
    ///
    /// # Panics
    /// It does not start.
    pub fn start(home: &Home, address: &str) -> Self {
        let folder = home.join("private-registry");
        let port = TcpListener::bind((address, 0)).and_then(|free| free.local_addr()).expect("a port").port();
        let script = format!(
            "cd private-registry && echo subjectAltName=IP:{address} >names && \
             openssl req -newkey rsa:2048 -nodes -keyout key.pem -subj /CN=registry 2>/dev/null | \
             openssl x509 -req -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out cert.pem 2>/dev/null"
        );
        home.run("sh", &["-c", &script]).expect(0);
        fs::write(folder.join("users"), USERS).expect("written");
        let inside = |name: &str| folder.join(name).display().to_string();
        let config = format!(
            "version: 0.1\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nauth: {{htpasswd: {{realm: tests, path: {}}}}}\n\
             http: {{addr: '{address}:{port}', tls: {{certificate: {}, key: {}}}}}\n",
            inside("data"),
            inside("users"),
            inside("cert.pem"),
            inside("key.pem")
        );
        fs::write(folder.join("config.yml"), config).expect("written");
        let log = fs::File::create(folder.join("log")).expect("made");
        let mut command = home.command("docker-registry");
        command.args(["serve", "private-registry/config.yml"]).stdout(log.try_clone().expect("a file")).stderr(log);
        let registry = Self { address: format!("{address}:{port}"), process: command.spawn().expect("it runs") };
        crate::eventually(std::time::Duration::from_secs(30), "the registry to listen", || {
            TcpStream::connect(registry.address()).ok()
        });
        registry
    }

    /// `host:port` of it.
    pub fn address(&self) -> &str {
        &self.address
    }
}

impl Drop for PrivateRegistry {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
