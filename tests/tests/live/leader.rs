//! Two operators for the same stacks: one works, and the other takes over.

use std::time::{Duration, Instant};

use sumu_tests::operator::{Operator, Settings};
use sumu_tests::stack::SETTLED_WITHIN;
use sumu_tests::{Result, ensure, ensure_eq, eventually};

use crate::scene::scene;

/// How soon after a kill another operator works.
const AFTER_A_KILL: Duration = Duration::from_secs(15);
/// Less than a lease lasts, so that nothing but its return can have been that fast.
const AFTER_A_STOP: Duration = Duration::from_secs(5);

async fn said(operator: &Operator, message: &str, times: usize) -> Result<()> {
    eventually(SETTLED_WITHIN, &format!("{message:?}, {times} times"), async || {
        let count = operator.said(message)?;
        ensure!(count >= times, "it was said {count} times");
        Ok(())
    })
    .await
}

#[test]
fn of_two_operators_one_works_and_the_other_takes_over_when_it_is_stopped_or_killed() -> Result<()> {
    scene("leader").resync_seconds(1).play(async |scene| {
        let namespace = scene.namespace.clone();
        let election = ["--leader-election", "on", "--lease-namespace", namespace.as_str()];
        scene.stop_operator()?;
        scene.start_operator_with(&election)?;
        said(&scene.operator, "leading", 1).await?;
        let settings = Settings {
            log: Some(format!("{namespace}-standby")),
            arguments: election.iter().map(ToString::to_string).collect(),
            ..Settings::namespace(&namespace).resync_seconds(1)
        };
        let mut standby = Operator::start(scene.testbed, &settings)?;
        said(&standby, "waiting for the lease", 1).await?;
        scene.more_passes(3).await?;
        ensure_eq!(standby.passes()?.len(), 0, "passes of the operator that stands by");
        ensure_eq!(standby.ask("/readyz").await?.0, 200, "it is ready all the same");

        scene.stop_operator()?;
        let stopped = Instant::now();
        said(&standby, "leading", 1).await?;
        ensure!(stopped.elapsed() < AFTER_A_STOP, "it took {:?}", stopped.elapsed());

        // Lines of the first one are in the same log.
        let waited = scene.operator.said("waiting for the lease")?;
        scene.start_operator_with(&election)?;
        said(&scene.operator, "waiting for the lease", waited + 1).await?;
        let passes = scene.passes("live")?.len();
        standby.kill()?;
        let killed = Instant::now();
        said(&scene.operator, "leading", 2).await?;
        ensure!(killed.elapsed() < AFTER_A_KILL, "it took {:?}", killed.elapsed());
        scene.more_passes(1).await?;
        ensure!(scene.passes("live")?.len() > passes, "the new one works");
        Ok(())
    })
}

#[test]
fn an_operator_that_has_lost_the_lease_ends() -> Result<()> {
    scene("usurped").resync_seconds(1).play(async |scene| {
        let namespace = scene.namespace.clone();
        let election = ["--leader-election", "on", "--lease-namespace", namespace.as_str()];
        scene.stop_operator()?;
        scene.start_operator_with(&election)?;
        said(&scene.operator, "leading", 1).await?;
        let lease = format!("lease/sumu-operator.{namespace}");
        let usurp = r#"{"spec": {"holderIdentity": "somebody-else"}}"#;
        let arguments = ["patch", &lease, "--namespace", &namespace, "--type=merge", "--patch", usurp];
        scene.testbed.kubernetes().kubectl_ok(&arguments, "").await?;
        eventually(SETTLED_WITHIN, "the operator to end", async || {
            let running = scene.operator.ensure_running();
            ensure!(running.is_err(), "it runs");
            Ok(())
        })
        .await?;
        ensure!(scene.operator_log()?.contains("is lost"), "it says why");
        scene.start_operator()?;
        Ok(())
    })
}
