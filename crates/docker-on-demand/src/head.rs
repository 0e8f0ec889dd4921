//! Heads of HTTP/1.1 messages: read, looked at, changed where they must be, and written as they were.

use std::io;

use crate::body::Body;

/// How many headers a message may have.
const MOST_HEADERS: usize = 256;

/// A message that is none of HTTP/1.1.
pub(crate) fn malformed(why: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why.into())
}

/// The headers of a message, in their order and their own case.
#[derive(Clone, Debug, Default)]
pub(crate) struct Headers(Vec<(String, Vec<u8>)>);

impl Headers {
    fn of(parsed: &[httparse::Header<'_>]) -> Self {
        Self(parsed.iter().map(|header| (header.name.to_owned(), header.value.to_vec())).collect())
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        let named = self.0.iter().filter(move |(known, _)| known.eq_ignore_ascii_case(name));
        named.filter_map(|(_, value)| std::str::from_utf8(value).ok())
    }

    pub(crate) fn set(&mut self, name: &str, value: impl Into<String>) {
        self.remove(name);
        self.0.push((name.to_owned(), value.into().into_bytes()));
    }

    pub(crate) fn remove(&mut self, name: &str) {
        self.0.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
    }

    /// Whether a header that is a list holds this word.
    pub(crate) fn has(&self, name: &str, word: &str) -> bool {
        self.all(name).flat_map(|value| value.split(',')).any(|item| item.trim().eq_ignore_ascii_case(word))
    }

    /// How the body's end is found (RFC 9112, 6.3); `None` where nothing says.
    fn body(&self) -> io::Result<Option<Body>> {
        if self.get("transfer-encoding").is_some() {
            return if self.has("transfer-encoding", "chunked") {
                Ok(Some(Body::chunked()))
            } else {
                Err(malformed("an unknown transfer coding"))
            };
        }
        let mut lengths = self.all("content-length").map(|value| value.trim().parse::<u64>());
        let Some(first) = lengths.next() else { return Ok(None) };
        let first = first.map_err(|_| malformed("a length that is no number"))?;
        if lengths.any(|other| other != Ok(first)) {
            return Err(malformed("two lengths"));
        }
        Ok(Some(Body::sized(first)))
    }

    fn write(&self, to: &mut Vec<u8>) {
        for (name, value) in &self.0 {
            to.extend_from_slice(name.as_bytes());
            to.extend_from_slice(b": ");
            to.extend_from_slice(value);
            to.extend_from_slice(b"\r\n");
        }
        to.extend_from_slice(b"\r\n");
    }
}

/// A message's head.
pub(crate) trait Head: Sized {
    /// The head at the beginning of these bytes, and how long it is; `None` where it does not end there.
    fn parse(bytes: &[u8]) -> io::Result<Option<(Self, usize)>>;
}

/// The head of a request.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) target: String,
    minor: u8,
    pub(crate) headers: Headers,
}

impl Head for Request {
    fn parse(bytes: &[u8]) -> io::Result<Option<(Self, usize)>> {
        let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
        let mut parsed = httparse::Request::new(&mut headers);
        let httparse::Status::Complete(length) = parsed.parse(bytes).map_err(|error| malformed(error.to_string()))?
        else {
            return Ok(None);
        };
        let request = Self {
            method: parsed.method.unwrap_or_default().to_owned(),
            target: parsed.path.unwrap_or_default().to_owned(),
            minor: parsed.version.unwrap_or_default(),
            headers: Headers::of(parsed.headers),
        };
        Ok(Some((request, length)))
    }
}

impl Request {
    /// A request of our own.
    pub(crate) fn get(target: &str) -> Self {
        let mut headers = Headers::default();
        headers.set("Host", "docker");
        Self { method: "GET".to_owned(), target: target.to_owned(), minor: 1, headers }
    }

    pub(crate) fn body(&self) -> io::Result<Body> {
        Ok(self.headers.body()?.unwrap_or_else(|| Body::sized(0)))
    }

    /// Says that the body is of this length, and there.
    pub(crate) fn has_body(&mut self, length: usize) {
        self.headers.remove("Transfer-Encoding");
        self.headers.remove("Expect");
        self.headers.set("Content-Length", length.to_string());
    }

    /// Whether its sender has all the time that it takes. Docker's own clients set no limit: the CLI (docker/cli, `cli/command/cli.go`,
    /// `UserAgent`), Compose 2 (it calls itself `compose/2.40.3`) and BuildKit's, which asks for HTTP/2.
    pub(crate) fn is_patient(&self) -> bool {
        let agent = self.headers.get("user-agent").unwrap_or_default();
        agent.starts_with("Docker-Client/") || agent.starts_with("compose/") || self.headers.has("upgrade", "h2c")
    }

    /// Whether the connection is for one more request.
    pub(crate) fn keeps(&self) -> bool {
        match self.minor {
            0 => self.headers.has("connection", "keep-alive"),
            _ => !self.headers.has("connection", "close"),
        }
    }

    /// Whether its sender waits to be told to send the body.
    pub(crate) fn waits_to_send(&self) -> bool {
        self.headers.has("expect", "100-continue")
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = format!("{} {} HTTP/1.{}\r\n", self.method, self.target, self.minor).into_bytes();
        self.headers.write(&mut bytes);
        bytes
    }
}

/// The head of a response.
#[derive(Clone, Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    reason: String,
    minor: u8,
    pub(crate) headers: Headers,
}

impl Head for Response {
    fn parse(bytes: &[u8]) -> io::Result<Option<(Self, usize)>> {
        let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
        let mut parsed = httparse::Response::new(&mut headers);
        let httparse::Status::Complete(length) = parsed.parse(bytes).map_err(|error| malformed(error.to_string()))?
        else {
            return Ok(None);
        };
        let response = Self {
            status: parsed.code.unwrap_or_default(),
            reason: parsed.reason.unwrap_or_default().to_owned(),
            minor: parsed.version.unwrap_or_default(),
            headers: Headers::of(parsed.headers),
        };
        Ok(Some((response, length)))
    }
}

impl Response {
    /// A response of our own.
    pub(crate) fn new(status: u16) -> Self {
        let reason = match status {
            200 => "OK",
            400 => "Bad Request",
            404 => "Not Found",
            502 => "Bad Gateway",
            503 => "Service Unavailable",
            _ => "",
        };
        Self { status, reason: reason.to_owned(), minor: 1, headers: Headers::default() }
    }

    /// How its body ends; `None`: with the connection (RFC 9112, 6.3).
    pub(crate) fn body(&self, method: &str) -> io::Result<Option<Body>> {
        if method == "HEAD" || self.status < 200 || matches!(self.status, 204 | 304) {
            return Ok(Some(Body::sized(0)));
        }
        self.headers.body()
    }

    /// Whether the connection is for one more request.
    pub(crate) fn keeps(&self) -> bool {
        self.minor > 0 && !self.headers.has("connection", "close")
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = format!("HTTP/1.{} {} {}\r\n", self.minor, self.status, self.reason).into_bytes();
        self.headers.write(&mut bytes);
        bytes
    }
}
