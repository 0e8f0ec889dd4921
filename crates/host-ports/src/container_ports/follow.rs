//! What the daemon tells of its containers.

use std::{collections::HashMap, future::Future, time::Duration};

use bollard::models::EventMessage;
use futures_util::StreamExt as _;
use jiff::Timestamp;
use tokio::time::sleep;

use super::{ContainerPorts, PortEvent};
use crate::Error;

/// How soon the daemon is asked again, at first and at last.
const AGAIN: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));

impl ContainerPorts {
    /// Keeps the ports until `stop`; all are closed then.
    ///
    /// # Cancel safety
    /// It can be dropped at any time: all ports are closed then, as after `stop`.
    pub async fn follow(mut self, stop: impl Future<Output = ()>, mut events: impl FnMut(PortEvent)) {
        tokio::pin!(stop);
        let mut pause = AGAIN.0;
        loop {
            let lost = tokio::select! {
                () = &mut stop => return,
                error = self.follow_once(&mut events, &mut pause) => error,
            };
            let mut why = lost.to_string();
            let mut cause = std::error::Error::source(&lost);
            while let Some(error) = cause {
                why = format!("{why}: {error}");
                cause = error.source();
            }
            events(PortEvent::Lost(why));
            tokio::select! {
                () = &mut stop => return,
                () = sleep(pause) => {}
            }
            pause = (pause * 2).min(AGAIN.1);
        }
    }

    /// Ends with an error.
    async fn follow_once(&mut self, events: &mut impl FnMut(PortEvent), pause: &mut Duration) -> Error {
        // From before the containers are looked at, so that none is missed in between.
        let since = match self.daemons_time().await {
            Ok(since) => since,
            Err(error) => return error,
        };
        if let Err(error) = self.look_at_all().await {
            return error;
        }
        *pause = AGAIN.0;
        events(PortEvent::Following);
        let mut stream = self.stream(since);
        let mut told = None;
        loop {
            let lines = self.lines();
            if told.as_ref() != Some(&lines) {
                events(PortEvent::Ports(lines.clone()));
                told = Some(lines);
            }
            match stream.next().await {
                Some(Ok(event)) => {
                    if let Err(error) = self.heard(&event).await {
                        return error;
                    }
                }
                Some(Err(error)) => return error.into(),
                None => return Error::Ended,
            }
        }
    }

    /// The time by the daemon's clock, which is that of its events.
    async fn daemons_time(&self) -> Result<Timestamp, Error> {
        let info = self.client.info().await?;
        info.system_time.and_then(|time| time.parse().ok()).ok_or(Error::NoTime)
    }

    fn stream(&self, since: Timestamp) -> docker_remote::Stream<EventMessage> {
        let filters = HashMap::from([
            ("type", vec!["container", "network"]),
            ("event", vec!["create", "start", "rename", "update", "die", "destroy", "connect", "disconnect"]),
        ]);
        let since = format!("{}.{:09}", since.as_second(), since.subsec_nanosecond());
        self.client.events_since(&since, &filters)
    }
}
