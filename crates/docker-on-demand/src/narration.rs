//! A stream in which a launch is told, before the response that the client waits for.

use std::io;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{
    Engine,
    answer::streaming,
    body::{LAST_CHUNK, chunk},
    head::{Request, Response},
    launches::{Watched, news},
    route::Story,
    wire::{Reader, Wire, Writer, send},
};

/// The longest error of a daemon that is passed on.
const MOST_ERROR: usize = 1 << 20;

/// A response that has begun.
pub(crate) struct Narration {
    story: Story,
}

impl Narration {
    /// Begins the response at once.
    pub(crate) async fn begin(client: &mut Wire, story: Story, engine: &Engine, waits: bool) -> io::Result<Self> {
        if waits {
            // The response begins before the request is whole: whoever waits for a word before sending would never send.
            send(&mut client.writer, &Response::new(100).bytes()).await?;
        }
        send(&mut client.writer, &streaming(engine).bytes()).await?;
        Ok(Self { story })
    }

    /// Tells a launch until it has come to its end, or until a time; what came of it. An error where the client has gone.
    pub(crate) async fn tell(
        &self,
        client: &mut Wire,
        mut launch: Watched,
        until: Option<Instant>,
    ) -> io::Result<Result<(), String>> {
        let mut told = 0;
        loop {
            let (lines, outcome) = {
                let launch = launch.borrow_and_update();
                (launch.lines[told..].to_vec(), launch.outcome.clone())
            };
            told += lines.len();
            for line in lines {
                self.line(&mut client.writer, &line).await?;
            }
            if let Some(outcome) = outcome {
                return Ok(outcome);
            }
            if let Err(why) = news(&mut launch, until).await {
                return Ok(Err(why));
            }
        }
    }

    async fn line(&self, to: &mut Writer, line: &str) -> io::Result<()> {
        match self.story {
            Story::Status => value(to, &json!({"status": line})).await,
            Story::Stream => value(to, &json!({"stream": format!("{line}\n")})).await,
            Story::Silent => Ok(()),
        }
    }

    /// Ends the response with an error (docs.docker.com/reference/api/engine, "ErrorDetail").
    pub(crate) async fn fail(&self, client: &mut Wire, why: &str) -> io::Result<()> {
        value(&mut client.writer, &json!({"errorDetail": {"message": why}, "error": why})).await?;
        send(&mut client.writer, LAST_CHUNK).await
    }

    /// Passes the request on, and what the daemon has to say in the response that has begun.
    pub(crate) async fn go_on(&self, client: &mut Wire, daemon: &mut Wire, request: &Request) -> io::Result<()> {
        let mut request = request.clone();
        // It was told to send.
        request.headers.remove("Expect");
        let mut body = request.body()?;
        send(&mut daemon.writer, &request.bytes()).await?;
        let sending = async {
            while let Some(length) = more(&mut client.reader, &mut body).await? {
                if send(&mut daemon.writer, &client.reader.buffered()[..length]).await.is_err() {
                    // It may have answered already.
                    std::future::pending::<()>().await;
                }
                client.reader.use_up(length);
            }
            client.reader.ended().await;
            io::Result::Err(io::ErrorKind::ConnectionAborted.into())
        };
        let answering = self.pass_back(&mut daemon.reader, &mut client.writer, &request.method);
        tokio::select! {
            biased;
            answered = answering => answered,
            gone = sending => gone,
        }
    }

    async fn pass_back(&self, from: &mut Reader, to: &mut Writer, method: &str) -> io::Result<()> {
        let response = loop {
            let response: Response = from.head().await?.ok_or(io::ErrorKind::UnexpectedEof)?;
            if response.status >= 200 {
                break response;
            }
        };
        let ends_with_connection = || io::Error::other("the daemon's answer has no end");
        let mut body = response.body(method)?.ok_or_else(ends_with_connection)?;
        if response.status >= 300 {
            let said = from.whole(&mut body, MOST_ERROR).await?;
            let said: Value = serde_json::from_slice(&said).unwrap_or_default();
            let why = said["message"].as_str().unwrap_or("the daemon refuses").to_owned();
            value(to, &json!({"errorDetail": {"code": response.status, "message": why}, "error": why})).await?;
        } else {
            while let Some(content) = from.content(&mut body).await? {
                send(to, &chunk(&content)).await?;
            }
        }
        send(to, LAST_CHUNK).await
    }
}

/// How much of a body is there to be passed on; `None` at its end.
async fn more(from: &mut Reader, body: &mut crate::body::Body) -> io::Result<Option<usize>> {
    loop {
        if body.is_done() {
            return Ok(None);
        }
        match body.skip(from.buffered())? {
            0 if !from.fill().await? => return Err(io::ErrorKind::UnexpectedEof.into()),
            0 => {}
            length => return Ok(Some(length)),
        }
    }
}

async fn value(to: &mut Writer, value: &Value) -> io::Result<()> {
    send(to, &chunk(format!("{value}\r\n").as_bytes())).await
}
