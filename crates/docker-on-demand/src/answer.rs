//! Responses of our own.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::{Engine, head::Response};

/// A response with a body that is there.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    head: Response,
    body: Bytes,
}

impl Answer {
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        let mut head = Response::new(status);
        head.headers.set("Content-Type", "application/json");
        Self { head, body: body.to_string().into() }
    }

    pub(crate) fn text(body: &'static str) -> Self {
        let mut head = Response::new(200);
        head.headers.set("Content-Type", "text/plain; charset=utf-8");
        Self { head, body: Bytes::from_static(body.as_bytes()) }
    }

    /// What Docker's clients show of an error (docs.docker.com/reference/api/engine, "ErrorResponse").
    pub(crate) fn error(status: u16, message: impl Into<String>) -> Self {
        Self::json(status, &json!({"message": message.into()}))
    }

    /// A daemon's response with another body.
    pub(crate) fn instead(mut head: Response, body: impl Into<Bytes>) -> Self {
        head.headers.remove("Transfer-Encoding");
        Self { head, body: body.into() }
    }

    pub(crate) fn with(mut self, header: &str, value: &str) -> Self {
        self.head.headers.set(header, value);
        self
    }

    /// The bytes of the response to a request of this method.
    pub(crate) fn bytes(mut self, method: &str, engine: &Engine, keeps: bool) -> Vec<u8> {
        describe(&mut self.head, engine);
        self.head.headers.set("Content-Length", self.body.len().to_string());
        if !keeps {
            self.head.headers.set("Connection", "close");
        }
        let mut bytes = self.head.bytes();
        if method != "HEAD" {
            bytes.extend_from_slice(&self.body);
        }
        bytes
    }
}

/// The head of a response whose content comes bit by bit, and whose connection is for no other request: a client that is not told so sends the next
/// one there, and loses it.
pub(crate) fn streaming(engine: &Engine) -> Response {
    let mut head = Response::new(200);
    describe(&mut head, engine);
    head.headers.set("Content-Type", "application/json");
    head.headers.set("Transfer-Encoding", "chunked");
    head.headers.set("Connection", "close");
    head
}

/// What every response says of its daemon.
fn describe(head: &mut Response, engine: &Engine) {
    head.headers.set("Api-Version", engine.newest.to_string());
    head.headers.set("Ostype", "linux");
    head.headers.set("Docker-Experimental", "false");
}
