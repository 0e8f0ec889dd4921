//! A cloud that fails where it is told to: a decorator over any other, which also writes down what was called.

use std::{
    future::Future,
    sync::{Arc, Mutex, PoisonError},
};

use aws_answers::ForeignAnswer;

use crate::{Cloud, CloudError, CloudErrorKind, cloud::Around};

/// What happens to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It fails with an error of the service, and took no effect.
    Fail,
    /// The service throttles it.
    Throttle,
    /// The role may not make it.
    Deny,
    /// There is no capacity for it.
    NoCapacity,
    /// It takes effect, and its answer is lost.
    LoseAnswer,
    /// It never reaches the service, which the caller can't tell.
    LoseRequest,
    /// It never reaches the service: something on the way answers in its place.
    BlockRequest,
    /// It takes effect, and something on the way replaces its answer.
    ReplaceAnswer,
    /// It never reaches the service, and there is never an answer.
    SwallowRequest,
    /// It takes effect, and there is never an answer.
    SwallowAnswer,
    /// The process dies before it (a panic, which the test catches).
    DieBefore,
    /// The process dies after it took effect.
    DieAfter,
}

/// The panic of a process that dies.
pub const DEATH: &str = "the process dies here";

/// What is to happen, and what did.
#[derive(Debug, Default)]
pub struct Script {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// Faults by the number of the call, from 0.
    faults: Vec<(usize, Fault)>,
    /// From this call on no call is answered.
    silent_from: Option<usize>,
    /// What happens to every call of an action.
    always: Option<(&'static str, Fault)>,
    calls: Vec<&'static str>,
    /// The numbers of the calls that a fault hit.
    fired: Vec<usize>,
}

impl Script {
    /// This fault at each of these calls, counted from 0.
    pub fn new(faults: impl IntoIterator<Item = (usize, Fault)>) -> Arc<Self> {
        let inner = Inner { faults: faults.into_iter().collect(), ..Inner::default() };
        Arc::new(Self { inner: Mutex::new(inner) })
    }

    /// No call takes effect or is answered from this one on, counted from 0.
    pub fn silent_from(call: usize) -> Arc<Self> {
        let inner = Inner { silent_from: Some(call), ..Inner::default() };
        Arc::new(Self { inner: Mutex::new(inner) })
    }

    /// This fault at each call of an action.
    pub fn always(action: &'static str, fault: Fault) -> Arc<Self> {
        let inner = Inner { always: Some((action, fault)), ..Inner::default() };
        Arc::new(Self { inner: Mutex::new(inner) })
    }

    /// The numbers of the calls that a fault hit so far.
    pub fn fired(&self) -> Vec<usize> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).fired.clone()
    }

    /// The actions called so far.
    pub fn calls(&self) -> Vec<&'static str> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).calls.clone()
    }

    /// Makes a call of something that is no cloud, with the fault that is due.
    ///
    /// # Cancel safety
    /// Dropped on its way, the call is counted all the same, and so is its fault. Of the call itself, that is left which its own future
    /// leaves.
    ///
    /// # Errors
    /// The call's own, or the fault's.
    pub async fn call<T: Send>(
        self: &Arc<Self>,
        action: &'static str,
        effect: impl Future<Output = Result<T, CloudError>> + Send,
    ) -> Result<T, CloudError> {
        Following(self.clone()).call(action, effect).await
    }

    fn next(&self, action: &'static str) -> Option<Fault> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let number = inner.calls.len();
        inner.calls.push(action);
        let silent = inner.silent_from.filter(|first| number >= *first).map(|_| Fault::SwallowRequest);
        let always = inner.always.filter(|(known, _)| *known == action).map(|(_, fault)| fault);
        let fault =
            silent.or(always).or_else(|| inner.faults.iter().find(|(at, _)| *at == number).map(|(_, fault)| *fault));
        if fault.is_some() {
            inner.fired.push(number);
        }
        fault
    }
}

/// Clouds with faults.
#[derive(Debug)]
pub struct Faulty;

impl Faulty {
    /// This cloud, with the faults of a script.
    #[expect(clippy::new_ret_no_self, reason = "a cloud is what one wants of it")]
    pub fn new(cloud: Cloud, script: Arc<Script>) -> Cloud {
        cloud.with(Following(script))
    }
}

struct Following(Arc<Script>);

impl Around for Following {
    async fn call<T: Send>(
        &self,
        action: &'static str,
        effect: impl Future<Output = Result<T, CloudError>> + Send,
    ) -> Result<T, CloudError> {
        let lost = || CloudErrorKind::NoAnswer {
            endpoint: "https://example.invalid".to_owned(),
            region: "eu-west-1".to_owned(),
            never_sent: false,
        };
        let page = || {
            let page = b"<html><title>Access denied</title></html>";
            CloudErrorKind::ForeignAnswer(ForeignAnswer::new(403, Some("text/html"), page))
        };
        match self.0.next(action) {
            None => effect.await,
            Some(Fault::Fail) => {
                let error = CloudError::new(action, "", CloudErrorKind::Other);
                Err(error.with_message("InjectedFailure".to_owned(), "it was told to fail"))
            }
            Some(Fault::Throttle) => Err(CloudError::new(action, "", CloudErrorKind::Throttled)),
            Some(Fault::Deny) => {
                Err(CloudError::new(action, "", CloudErrorKind::AccessDenied { refused: Some(action.to_owned()) }))
            }
            Some(Fault::NoCapacity) => Err(CloudError::new(action, "", CloudErrorKind::NoCapacity)),
            Some(Fault::LoseRequest) => Err(CloudError::new(action, "", lost())),
            Some(Fault::LoseAnswer) => effect.await.and(Err(CloudError::new(action, "", lost()))),
            Some(Fault::BlockRequest) => Err(CloudError::new(action, "", page())),
            Some(Fault::ReplaceAnswer) => effect.await.and(Err(CloudError::new(action, "", page()))),
            Some(Fault::SwallowRequest) => std::future::pending().await,
            Some(Fault::SwallowAnswer) => {
                let _ = effect.await;
                std::future::pending().await
            }
            Some(Fault::DieBefore) => panic!("{DEATH}"),
            Some(Fault::DieAfter) => {
                let _ = effect.await;
                panic!("{DEATH}")
            }
        }
    }
}
