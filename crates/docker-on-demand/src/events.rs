//! `/events`, which goes on from one host to the next.

use std::{
    io,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::BytesMut;
use serde_json::Value;

use crate::{
    Found, Proxy,
    answer::{Answer, streaming},
    body::{Body, LAST_CHUNK, chunk},
    head::{Request, Response},
    route::Target,
    wire::{Wire, Writer, send},
};

/// How often it is looked whether there is a host by now.
const LOOKS_EVERY: Duration = Duration::from_millis(250);

/// The longest event.
const MOST: usize = 1 << 20;

/// Where the stream is.
struct Position {
    /// What was asked for, without a time to begin.
    rest: String,
    /// From when on, as the daemon takes it.
    since: Option<String>,
}

impl Position {
    fn of(target: &Target<'_>) -> Self {
        let rest: Vec<&str> = target.query.split('&').filter(|pair| !pair.starts_with("since=")).collect();
        let version = target.version.map(|version| format!("/v{version}")).unwrap_or_default();
        let rest = format!("{version}{}?{}", target.path, rest.join("&"));
        Self { rest, since: target.parameter("since").map(str::to_owned) }
    }

    fn request(&self) -> Request {
        match &self.since {
            Some(since) => Request::get(&format!("{}&since={since}", self.rest)),
            None => Request::get(&self.rest),
        }
    }

    /// What happens from now on is yet to be told.
    fn is_now(&mut self) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.since = Some(format!("{}.{:09}", now.as_secs(), now.subsec_nanos()));
    }

    /// This was told.
    fn has_told(&mut self, event: &Value) {
        if let Some(nanoseconds) = event["timeNano"].as_u64() {
            let next = nanoseconds + 1;
            self.since = Some(format!("{}.{:09}", next / 1_000_000_000, next % 1_000_000_000));
        }
    }
}

impl Proxy {
    /// Tells events until the client goes, or the time that it asked for comes. The connection is of no further use.
    pub(crate) async fn tell_events(&self, client: &mut Wire, request: &Request) -> io::Result<()> {
        let target = Target::of(&request.target);
        let mut position = Position::of(&target);
        let until = target.parameter("until").and_then(|until| until.parse::<f64>().ok());
        let mut daemon = match self.connect_events(&position).await {
            Some(Ok(daemon)) => Some(daemon),
            // It is the daemon's to say what is wrong with the request.
            Some(Err(refusal)) => {
                return send(&mut client.writer, &refusal.bytes("GET", &self.engine(), false)).await;
            }
            None => {
                position.is_now();
                None
            }
        };
        send(&mut client.writer, &streaming(&self.engine()).bytes()).await?;
        let Wire { reader, writer } = client;
        let telling = async {
            loop {
                if let Some((mut wire, mut body)) = daemon.take() {
                    self.pass_events(&mut wire, &mut body, writer, &mut position).await?;
                }
                if until.is_some_and(has_come) {
                    return send(writer, LAST_CHUNK).await;
                }
                tokio::time::sleep(LOOKS_EVERY).await;
                daemon = self.connect_events(&position).await.and_then(Result::ok);
            }
        };
        tokio::select! {
            told = telling => told,
            () = reader.ended() => Ok(()),
        }
    }

    /// The daemon's events; `None` where there is no daemon now.
    async fn connect_events(&self, position: &Position) -> Option<Result<(Wire, Body), Answer>> {
        let Found::Host(host) = self.hosts().find().await else { return None };
        let mut wire = Wire::new(self.hosts().connect(&host).await.ok()?);
        send(&mut wire.writer, &position.request().bytes()).await.ok()?;
        let response: Response = wire.reader.head().await.ok()??;
        let mut body = response.body("GET").ok()??;
        if response.status == 200 {
            return Some(Ok((wire, body)));
        }
        let said = wire.reader.whole(&mut body, MOST).await.ok()?;
        Some(Err(Answer::instead(response, said)))
    }

    /// Passes events on until the daemon has no more. An error where the client has gone.
    async fn pass_events(
        &self,
        daemon: &mut Wire,
        body: &mut Body,
        to: &mut Writer,
        position: &mut Position,
    ) -> io::Result<()> {
        let mut pending = BytesMut::new();
        while let Ok(Some(content)) = daemon.reader.content(body).await {
            pending.extend_from_slice(&content);
            while let Some(end) = pending.iter().position(|byte| *byte == b'\n') {
                let line = pending.split_to(end + 1);
                let event: Value = serde_json::from_slice(&line).unwrap_or_default();
                position.has_told(&event);
                if !self.hidden().hides_event(&event) {
                    send(to, &chunk(&line)).await?;
                }
            }
            if pending.len() > MOST {
                return Err(io::Error::other("an event without an end"));
            }
        }
        Ok(())
    }
}

fn has_come(time: f64) -> bool {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.as_secs_f64() >= time
}
