//! A cloud that never answers: nothing waits for it longer than the documents say, and everything that is waited for is told.

use tokio::time::Instant;

use super::*;
use crate::Wait;

/// The longest that each piece of work may take, by its name: docs/crash-safety.md says the same.
const LONGEST: [(&str, u64); 5] = [("create", 120), ("undo", 60), ("terminate", 60), ("recover", 120), ("purge", 60)];

/// Keeps what was waited for, and when it was told.
#[derive(Default)]
struct Told(std::sync::Mutex<Vec<(Instant, Wait)>>);

impl Observer for Told {
    fn notice(&self, event: &Event) {
        if let Event::Waiting { wait, .. } = event {
            self.0.lock().expect("not poisoned").push((Instant::now(), wait.clone()));
        }
    }
}

impl Setting {
    fn told(&self, script: &Arc<Script>, told: &Arc<Told>) -> Provisioner {
        let journal = Journal::new(self.home.path().join("journal"));
        let cloud = Faulty::new(Cloud::of(self.account.clone()), script.clone());
        let files = Arc::new(Files { answers: true, script: Script::new([]) });
        Provisioner::new(cloud, journal, files, told.clone(), CancellationToken::new())
    }
}

/// The longest that a piece of work takes when the cloud falls silent at any of its calls, in whole seconds.
async fn longest(work: &'static str) -> u64 {
    let mut longest = Duration::ZERO;
    for call in 0.. {
        let setting = Setting::new();
        let begun = match work {
            "create" => None,
            _ => {
                let plan = plan(&setting.account, &request("h")).await;
                Some(setting.sound(true).create(&plan, None).await.expect("created"))
            }
        };
        let script = Script::silent_from(call);
        let told = Arc::new(Told::default());
        let provisioner = setting.told(&script, &told);
        let plan = plan(&setting.account, &request("h")).await;
        let host = HostId::new("h");
        let began = Instant::now();
        match (work, begun) {
            ("create", None) => {
                let outcome = provisioner.create(&plan, None).await;
                if let Err(error) = &outcome {
                    setting.assert_told(error, &format!("{work} silent from {call}"));
                }
            }
            ("undo", Some(creation)) => {
                let error = provisioner.undo(creation.into_record(), ProvisionError::Interrupted).await;
                setting.assert_told(&error, &format!("{work} silent from {call}"));
            }
            ("terminate", Some(mut creation)) => {
                creation.hand_over().expect("written");
                drop(creation);
                let _ = provisioner.terminate(&host).await;
            }
            ("recover", Some(creation)) => {
                drop(creation);
                let owner = ("d-studio".into(), "ana".into());
                let _ = provisioner.recover(Some((&owner.0, &owner.1))).await;
            }
            (_, Some(mut creation)) => {
                creation.hand_over().expect("written");
                drop(creation);
                setting.sound(true).terminate(&host).await.expect("terminated");
                let began = Instant::now();
                let _ = provisioner.purge(&crate::fake::environment()).await;
                longest = longest.max(began.elapsed());
            }
            _ => unreachable!("a create begins with nothing"),
        }
        setting.assert_accounted(work);
        if script.fired().is_empty() {
            // It came to its end without that call.
            return longest.as_secs();
        }
        if work != "purge" {
            longest = longest.max(began.elapsed());
        }
        // The first wait is told within two seconds of the first call that is not answered.
        let told = told.0.lock().expect("not poisoned").clone();
        let first = told.first().unwrap_or_else(|| panic!("{work} silent from {call}: nothing was told"));
        assert!(first.0 - began <= Duration::from_secs(2), "{work} silent from {call}: {told:?}");
        assert!(matches!(first.1, Wait::Answer { .. }), "{told:?}");
    }
    unreachable!("every piece of work has an end")
}

#[tokio::test(start_paused = true)]
async fn no_wait_is_longer_than_documented() {
    let document = std::fs::read_to_string("../../docs/crash-safety.md").expect("the document");
    let mut all = Vec::new();
    for (work, expected) in LONGEST {
        let found = longest(work).await;
        println!("{work}: at most {found} s against a cloud that never answers");
        all.push((work, expected, found));
    }
    for (work, expected, found) in all {
        assert_eq!(found, expected, "{work}");
        assert!(
            document.contains(&format!("| {work} | {expected} s |")),
            "docs/crash-safety.md says otherwise of {work}"
        );
    }
}

/// A cloud that throttles for ever is no cloud that answers: the same bounds hold, whatever the calls themselves take.
#[tokio::test(start_paused = true)]
async fn a_launch_is_asked_for_over_a_time() {
    let patience = Patience::default();

    for fault in [Fault::Throttle, Fault::ReplaceAnswer, Fault::LoseRequest, Fault::SwallowAnswer] {
        let setting = Setting::new();
        let script = Script::always("ec2:RunInstances", fault);
        let began = Instant::now();
        let outcome = create(&setting, setting.provisioner(&script, Fuse::default(), false), "h").await;
        let error = outcome.expect("it lives").expect_err("never launched");
        // One that is never answered takes the time of a whole call, after which there is none for a second.
        let least =
            if fault == Fault::SwallowAnswer { patience.call } else { patience.launch - Duration::from_secs(4) };
        assert!(began.elapsed() >= least, "{fault:?}: {:?}", began.elapsed());
        assert!(began.elapsed() <= patience.creation + patience.undo, "{fault:?}: {:?}", began.elapsed());
        setting.assert_accounted("a launch that is never answered");
        assert_eq!((error.remains(), setting.world()), (vec![], setting.began.clone()), "{fault:?}: {error:?}");
        assert!(setting.instances().len() <= 1, "the token is the same each time");
    }
}
