use std::{
    num::NonZeroU32,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::future::join_all;

use super::*;
use crate::{CloudErrorKind, InstanceState, LaunchSpec, cloud::Cloud, fake::Account};

/// Instances that take their time to answer, and of which is written down how many each call named.
struct Slow {
    inner: Arc<dyn Instances>,
    calls: Mutex<Vec<(&'static str, usize)>>,
}

impl Slow {
    async fn call(&self, action: &'static str, count: usize) {
        self.calls.lock().expect("not poisoned").push((action, count));
        tokio::time::sleep(Duration::from_millis(40)).await;
    }

    fn taken(&self) -> Vec<(&'static str, usize)> {
        std::mem::take(&mut self.calls.lock().expect("not poisoned"))
    }
}

#[async_trait]
impl Instances for Slow {
    async fn run_several(&self, spec: &LaunchSpec, at_most: NonZeroU32) -> Result<Vec<Instance>, CloudError> {
        self.inner.run_several(spec, at_most).await
    }

    async fn describe(&self, id: &InstanceId) -> Result<Option<Instance>, CloudError> {
        self.call("describe", 1).await;
        self.inner.describe(id).await
    }

    async fn list(&self, filter: &InstanceFilter) -> Result<Vec<Instance>, CloudError> {
        self.call("list", filter.ids.len()).await;
        self.inner.list(filter).await
    }

    async fn terminate_all(&self, ids: &[InstanceId]) -> Result<(), CloudError> {
        self.call("terminate", ids.len()).await;
        self.inner.terminate_all(ids).await
    }

    async fn start(&self, id: &InstanceId) -> Result<(), CloudError> {
        self.inner.start(id).await
    }
}

/// So many instances of a sound account, asked about together.
async fn instances(count: u32) -> (Arc<Slow>, Arc<dyn Instances>, Vec<InstanceId>) {
    let account = Arc::new(Account::studio());
    let cloud = Cloud::of(account);
    let spec = crate::fake::tests::spec(&cloud).await;
    let launched = cloud.instances.run_several(&spec, NonZeroU32::new(count).expect("some")).await.expect("launched");
    let ids = launched.into_iter().map(|instance| instance.id).collect();
    let slow = Arc::new(Slow { inner: cloud.instances.clone(), calls: Mutex::default() });
    let together = Cloud { instances: slow.clone(), ..cloud }.together();
    (slow, together.instances, ids)
}

#[tokio::test(start_paused = true)]
async fn what_many_ask_at_the_same_time_is_one_call() {
    let (slow, together, ids) = instances(3).await;
    let found = join_all(ids.iter().map(|id| together.describe(id))).await;
    let found: Vec<InstanceId> = found.into_iter().map(|one| one.expect("answered").expect("there").id).collect();
    assert_eq!(found, ids, "each is told of its own");
    assert_eq!(slow.taken(), [("list", 3)]);
    together.describe(&ids[0]).await.expect("answered");
    assert_eq!(slow.taken(), [("list", 1)]);
    join_all(ids.iter().map(|id| together.terminate(id))).await.into_iter().for_each(|ended| ended.expect("ended"));
    assert_eq!(slow.taken(), [("terminate", 3)]);
}

#[tokio::test(start_paused = true)]
async fn a_call_names_no_more_than_a_filter_takes() {
    let (slow, together, ids) = instances(450).await;
    let found = join_all(ids.iter().map(|id| together.describe(id))).await;
    assert!(found.into_iter().all(|one| one.expect("answered").is_some()));
    assert_eq!(slow.taken(), [("list", 200), ("list", 200), ("list", 50)]);
}

/// One that is not there keeps no other one alive.
#[tokio::test(start_paused = true)]
async fn an_instance_that_never_was_is_told_by_itself() {
    let (slow, together, mut ids) = instances(7).await;
    ids.insert(3, "i-0".into());
    let ended = join_all(ids.iter().map(|id| together.terminate(id))).await;
    for (id, ended) in ids.iter().zip(ended) {
        match ended {
            Ok(()) => assert_ne!(id.as_str(), "i-0"),
            Err(error) => assert_eq!((id.as_str(), error.kind), ("i-0", CloudErrorKind::NotFound)),
        }
    }
    assert_eq!(slow.taken().len(), 7, "halves, and halves of halves");
    let states = together.list(&InstanceFilter { ids, ..InstanceFilter::default() }).await.expect("listed");
    assert!(states.iter().all(|instance| instance.state.is_ended() && instance.state != InstanceState::Running));
}

/// Who makes the call for others may be dropped: theirs is made again.
#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_is_made_again_for_the_others() {
    let (slow, together, ids) = instances(3).await;
    let first = tokio::time::timeout(Duration::from_millis(10), together.describe(&ids[0]));
    let others = join_all(ids[1..].iter().map(|id| together.describe(id)));
    let (first, others) = tokio::join!(first, others);
    assert!(first.is_err(), "it was dropped");
    assert!(others.into_iter().all(|one| one.expect("answered").is_some()));
    assert_eq!(slow.taken(), [("list", 3), ("list", 2)]);
}
