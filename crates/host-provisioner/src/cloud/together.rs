//! Questions and terminations that many hosts have at the same time, as few calls: DescribeInstances and TerminateInstances take many ids.
//!
//! One call of a kind is under way at a time; what is asked for meanwhile goes with the next one. So nobody waits for others who might come, and a
//! host by itself waits for nothing.

use std::{
    collections::BTreeSet,
    num::NonZeroU32,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use async_trait::async_trait;
use futures_util::{FutureExt as _, future::BoxFuture};

use super::{CloudError, Instance, InstanceFilter, Instances, LaunchSpec};
use crate::{Cloud, InstanceId};

/// How many instances a call names. A filter takes 200 values (EC2 user guide, "List and filter your resources").
const AT_ONCE: usize = 200;

impl Cloud {
    /// This cloud, which is asked about many instances with few calls.
    pub(crate) fn together(self) -> Self {
        let instances = Together { instances: self.instances, looks: Calls::default(), ends: Calls::default() };
        Self { instances: Arc::new(instances), ..self }
    }
}

struct Together {
    instances: Arc<dyn Instances>,
    looks: Calls<Vec<Instance>>,
    ends: Calls<()>,
}

/// Calls of one kind.
struct Calls<T> {
    /// Whoever makes a call.
    turn: tokio::sync::Mutex<()>,
    waiting: Mutex<Vec<Weak<Asked<T>>>>,
}

impl<T> Default for Calls<T> {
    fn default() -> Self {
        Self { turn: tokio::sync::Mutex::default(), waiting: Mutex::default() }
    }
}

/// What somebody asks for.
struct Asked<T> {
    ids: Vec<InstanceId>,
    answer: Mutex<Option<Result<T, CloudError>>>,
}

impl<T> Asked<T> {
    fn answer(&self, answer: Result<T, CloudError>) {
        *self.answer.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer);
    }

    fn lacks_answer(&self) -> bool {
        self.answer.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    fn taken(&self) -> Option<Result<T, CloudError>> {
        self.answer.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl<T> Calls<T> {
    /// The answer of a call that names these ids, with those of others. Whoever is dropped asks for nothing any more; a call that it made for others
    /// is made again.
    async fn ask<'c>(
        &self,
        ids: &[InstanceId],
        call: impl Fn(Vec<Arc<Asked<T>>>) -> BoxFuture<'c, ()>,
    ) -> Result<T, CloudError> {
        let asked = Arc::new(Asked { ids: ids.to_vec(), answer: Mutex::default() });
        self.queue().push(Arc::downgrade(&asked));
        let _turn = self.turn.lock().await;
        loop {
            if let Some(answer) = asked.taken() {
                return answer;
            }
            // Those that come in the same moment come along.
            tokio::task::yield_now().await;
            call(self.next()).await;
        }
    }

    fn queue(&self) -> std::sync::MutexGuard<'_, Vec<Weak<Asked<T>>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// As many as a call takes of those that have no answer yet, the first first. They wait on until they have one: the call may be dropped.
    fn next(&self) -> Vec<Arc<Asked<T>>> {
        let mut queue = self.queue();
        queue.retain(|waiting| waiting.upgrade().is_some_and(|asked| asked.lacks_answer()));
        let mut count = 0;
        let fits = |asked: &Arc<Asked<T>>| {
            count += asked.ids.len();
            count <= AT_ONCE.max(asked.ids.len())
        };
        queue.iter().filter_map(Weak::upgrade).take_while(fits).collect()
    }
}

fn ids_of<T>(all: &[Arc<Asked<T>>]) -> Vec<InstanceId> {
    let ids: BTreeSet<&InstanceId> = all.iter().flat_map(|asked| &asked.ids).collect();
    ids.into_iter().cloned().collect()
}

impl Together {
    async fn look(&self, all: Vec<Arc<Asked<Vec<Instance>>>>) {
        let found = self.instances.list(&InstanceFilter { ids: ids_of(&all), ..InstanceFilter::default() }).await;
        for asked in all {
            let of_it = |found: &Vec<Instance>| {
                found.iter().filter(|instance| asked.ids.contains(&instance.id)).cloned().collect()
            };
            asked.answer(found.as_ref().map(of_it).map_err(Clone::clone));
        }
    }

    /// "If you specify multiple instances and the request fails (for example, because of a single incorrect instance ID), none of the instances are
    /// terminated" (EC2 API reference, `TerminateInstances`): then each half is asked for by itself, and so on.
    fn end(&self, mut all: Vec<Arc<Asked<()>>>) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            match self.instances.terminate_all(&ids_of(&all)).await {
                Err(error) if !error.is_transient() && all.len() > 1 => {
                    let others = all.split_off(all.len() / 2);
                    self.end(all).await;
                    self.end(others).await;
                }
                answer => all.into_iter().for_each(|asked| asked.answer(answer.clone())),
            }
        })
    }
}

#[async_trait]
impl Instances for Together {
    async fn run_several(&self, spec: &LaunchSpec, at_most: NonZeroU32) -> Result<Vec<Instance>, CloudError> {
        self.instances.run_several(spec, at_most).await
    }

    async fn describe(&self, id: &InstanceId) -> Result<Option<Instance>, CloudError> {
        let ids = std::slice::from_ref(id);
        Ok(self.looks.ask(ids, |all| self.look(all).boxed()).await?.pop())
    }

    async fn list(&self, filter: &InstanceFilter) -> Result<Vec<Instance>, CloudError> {
        let by_ids = InstanceFilter { ids: filter.ids.clone(), ..InstanceFilter::default() };
        if filter.ids.is_empty() || *filter != by_ids {
            return self.instances.list(filter).await;
        }
        self.looks.ask(&filter.ids, |all| self.look(all).boxed()).await
    }

    async fn terminate_all(&self, ids: &[InstanceId]) -> Result<(), CloudError> {
        self.ends.ask(ids, |all| self.end(all)).await
    }

    async fn start(&self, id: &InstanceId) -> Result<(), CloudError> {
        self.instances.start(id).await
    }
}

#[cfg(all(test, feature = "fake"))]
mod tests;
