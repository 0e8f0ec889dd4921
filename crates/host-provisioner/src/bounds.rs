//! Waiting for what one call can't settle, and never for ever.

use std::{future::Future, sync::Arc, time::Duration};

use backon::{BackoffBuilder as _, ExponentialBuilder};
use jiff::Timestamp;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::{Cloud, CloudError, CloudErrorKind, Event, Observer, Patience, Wait, cloud::Around};

/// How long waits may take from now on, and who hears of them.
#[derive(Clone)]
pub(crate) struct Bounds {
    pub(crate) patience: Patience,
    /// The end of the whole piece of work.
    deadline: Option<Instant>,
    observer: Arc<dyn Observer>,
    /// Cancelled when the user asks to stop: then nothing is waited for again.
    stop: CancellationToken,
}

impl Bounds {
    pub(crate) fn new(patience: Patience, observer: Arc<dyn Observer>, stop: CancellationToken) -> Self {
        Self { patience, deadline: None, observer, stop }
    }

    /// The same, with all of it within this time from now.
    pub(crate) fn within(&self, at_most: Duration) -> Self {
        Self { deadline: Some(Instant::now() + at_most), ..self.clone() }
    }

    /// The same, for what is done even though the user asked to stop.
    pub(crate) fn to_the_end(&self) -> Self {
        Self { stop: CancellationToken::new(), ..self.clone() }
    }

    /// A cloud of which every call is answered in time, or fails as one whose outcome is unknown.
    pub(crate) fn around(&self, cloud: Cloud) -> Cloud {
        cloud.with(self.clone())
    }

    /// The end of a wait that begins now.
    pub(crate) fn end(&self, at_most: Duration) -> Instant {
        let end = Instant::now() + at_most;
        self.deadline.map_or(end, |deadline| end.min(deadline))
    }

    /// Tells the observer of a wait that is as old as this.
    fn tell(&self, wait: Wait, began: Instant, end: Instant) {
        let since = Timestamp::now().checked_sub(began.elapsed()).unwrap_or_else(|_| Timestamp::now());
        self.observer.notice(&Event::Waiting { wait, since, at_most: end.duration_since(began) });
    }

    /// Pauses before another try, unless there is no time for one, or the user asked to stop.
    async fn pauses(&self, pause: Duration, end: Instant) -> bool {
        if Instant::now() + pause >= end {
            return false;
        }
        tokio::select! {
            biased;
            () = self.stop.cancelled() => false,
            () = sleep(pause) => true,
        }
    }

    /// Repeats a call while its error says that another try may fare better.
    pub(crate) async fn repeat<T, E, F, R>(
        &self,
        wait: Wait,
        at_most: Duration,
        again: impl Fn(&E) -> bool,
        mut call: F,
    ) -> Result<T, E>
    where
        F: FnMut() -> R,
        R: Future<Output = Result<T, E>>,
    {
        let mut tries = self.tries(wait, at_most);
        loop {
            match call().await {
                Err(error) if again(&error) && tries.another().await => {}
                outcome => return outcome,
            }
        }
    }

    /// Tries over some time, with growing pauses in between.
    pub(crate) fn tries(&self, wait: Wait, at_most: Duration) -> Tries<'_> {
        let pauses = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(200))
            .with_max_delay(Duration::from_secs(3))
            .with_factor(1.6)
            .with_jitter()
            .without_max_times();
        Tries {
            bounds: self,
            wait: Some(wait),
            began: Instant::now(),
            try_began: Instant::now(),
            end: self.end(at_most),
            pauses: Box::new(pauses.build()),
        }
    }

    /// Repeats a call while it says "not found" of something that was made a moment ago.
    pub(crate) async fn once_it_appears<T, F, R>(&self, group: &str, call: F) -> Result<T, CloudError>
    where
        F: FnMut() -> R,
        R: Future<Output = Result<T, CloudError>>,
    {
        let wait = Wait::Group { group: group.to_owned() };
        self.repeat(wait, self.patience.appears, CloudError::is_not_found, call).await
    }

    /// Repeats an idempotent call that cleans up while another try may fare better.
    pub(crate) async fn persistently<T, F, R>(&self, doing: &'static str, call: F) -> Result<T, CloudError>
    where
        F: FnMut() -> R,
        R: Future<Output = Result<T, CloudError>>,
    {
        self.repeat(Wait::Success { doing }, self.patience.cleans_up, CloudError::is_transient, call).await
    }

    /// How much of the time is left in which something may appear that was asked for at that time.
    pub(crate) fn may_still_appear_for(&self, asked: Timestamp) -> Duration {
        let age = Timestamp::now().duration_since(asked);
        // A clock that went backwards makes the age negative: then wait the whole bound.
        self.patience.appears.saturating_sub(Duration::try_from(age).unwrap_or_default())
    }

    /// Waits for something of this process, such as a lock; `None` where it does not come in time.
    pub(crate) async fn wait<T>(&self, wait: Wait, at_most: Duration, work: impl Future<Output = T>) -> Option<T> {
        let (began, end) = (Instant::now(), self.end(at_most));
        tokio::pin!(work);
        if let Ok(done) = timeout_at(end.min(began + self.patience.silence), &mut work).await {
            return Some(done);
        }
        self.tell(wait, began, end);
        timeout_at(end, work).await.ok()
    }
}

impl Cloud {
    /// This cloud, of which every call is answered in time, or fails as one whose outcome is unknown. A [`Provisioner`](crate::Provisioner)
    /// does so by itself; this is for a [`Survey`](crate::Survey) and an examination of a plan.
    #[must_use]
    pub fn answering_within(self, patience: Patience, observer: Arc<dyn Observer>) -> Self {
        Bounds::new(patience, observer, CancellationToken::new()).around(self)
    }
}

/// Tries of one thing, over some time.
pub(crate) struct Tries<'a> {
    bounds: &'a Bounds,
    /// Until the observer was told.
    wait: Option<Wait>,
    began: Instant,
    try_began: Instant,
    end: Instant,
    pauses: Box<dyn Iterator<Item = Duration> + Send>,
}

impl Tries<'_> {
    /// Pauses, and says whether there is time for another try: one that takes as long as the last.
    pub(crate) async fn another(&mut self) -> bool {
        let Some(pause) = self.pauses.next() else { return false };
        if Instant::now() + pause + self.try_began.elapsed() > self.end {
            return false;
        }
        if self.began.elapsed() + pause > self.bounds.patience.silence
            && let Some(wait) = self.wait.take()
        {
            self.bounds.tell(wait, self.began, self.end);
        }
        let paused = self.bounds.pauses(pause, self.end).await;
        self.try_began = Instant::now();
        paused
    }
}

impl Around for Bounds {
    async fn call<T: Send>(
        &self,
        action: &'static str,
        call: impl Future<Output = Result<T, CloudError>> + Send,
    ) -> Result<T, CloudError> {
        let late = |waited| CloudError::new(action, "", CloudErrorKind::NotInTime { waited });
        if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Err(late(None));
        }
        let began = Instant::now();
        let answer = self.wait(Wait::Answer { action }, self.patience.call, call).await;
        answer.unwrap_or_else(|| Err(late(Some(began.elapsed()))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Unobserved;

    /// However many calls a piece of work makes, and however slowly each is answered, its own end is not passed.
    #[tokio::test(start_paused = true)]
    async fn a_piece_of_work_has_an_end_of_its_own() {
        let bounds = Bounds::new(Patience::default(), Arc::new(Unobserved), CancellationToken::new());
        let work = bounds.within(Duration::from_secs(10));
        let began = Instant::now();
        let silent =
            work.call::<()>("ec2:DescribeInstances", std::future::pending()).await.expect_err("never answered");
        assert_eq!(began.elapsed(), Duration::from_secs(10), "and not the minute that one call may take");
        assert_eq!(silent.kind, CloudErrorKind::NotInTime { waited: Some(Duration::from_secs(10)) });
        // Not even one that would be answered at once is made any more.
        let late = work.call("ec2:DescribeInstances", std::future::ready(Ok(()))).await.expect_err("too late");
        assert_eq!(late.kind, CloudErrorKind::NotInTime { waited: None });
        let others =
            bounds.call::<()>("ec2:DescribeInstances", std::future::pending()).await.expect_err("never answered");
        assert_eq!(others.kind, CloudErrorKind::NotInTime { waited: Some(bounds.patience.call) });
    }
}
