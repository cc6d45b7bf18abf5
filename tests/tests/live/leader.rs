//! Two operators for the same stacks: one works, and the other takes over.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use sumu_tests::gateway::Seen;
use sumu_tests::gateway::fault::{Act, Calls, Fault};
use sumu_tests::operator::{Operator, Settings};
use sumu_tests::poll::patient;
use sumu_tests::stack::SETTLED_WITHIN;
use sumu_tests::{Context, Result, ensure, ensure_eq, eventually};

use crate::scene::{Scene, change_of_every_part, scene};

/// How soon after a kill another operator works.
const AFTER_A_KILL: Duration = Duration::from_secs(15);
/// How soon after a stop another operator works, on a machine that does other things too, beside the call under way.
const HANDED_OVER_WITHIN: Duration = Duration::from_secs(2);
/// How long each call that changes something takes: long enough that one is under way whenever the operator is stopped.
const SLOW_CALL: Duration = Duration::from_millis(400);
/// How long a signal may take to arrive.
const SIGNAL: Duration = Duration::from_millis(200);
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
        ensure!(stopped.elapsed() < patient(AFTER_A_STOP), "it took {:?}", stopped.elapsed());

        // Lines of the first one are in the same log.
        let waited = scene.operator.said("waiting for the lease")?;
        scene.start_operator_with(&election)?;
        said(&scene.operator, "waiting for the lease", waited + 1).await?;
        let passes = scene.passes("live")?.len();
        standby.kill()?;
        let killed = Instant::now();
        said(&scene.operator, "leading", 2).await?;
        ensure!(killed.elapsed() < patient(AFTER_A_KILL), "it took {:?}", killed.elapsed());
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

/// When an operator has said something last.
fn said_at(operator: &Operator, message: &str) -> Result<Timestamp> {
    let log = operator.log()?;
    let says = |line: &&serde_json::Value| line["fields"]["message"] == message || line["message"] == message;
    let line = log.iter().rfind(says).with_context(|| format!("it has not said {message:?}"))?;
    Ok(line["timestamp"].as_str().context("no timestamp")?.parse()?)
}

/// The calls of one operator that changed something.
fn writes(scene: &Scene, key: &str) -> Vec<Seen> {
    scene.testbed.aws().gateway().seen(key).into_iter().filter(|seen| !seen.is_read).collect()
}

async fn until_writes(scene: &Scene, key: &str, count: usize) -> Result<()> {
    eventually(SETTLED_WITHIN, &format!("{count} writes of {key}"), async || {
        let made = writes(scene, key).len();
        ensure!(made >= count, "there were {made}");
        Ok(())
    })
    .await
}

#[test]
fn an_operator_that_is_stopped_at_work_ends_between_two_calls_and_the_next_one_never_works_beside_it() -> Result<()> {
    scene("handover").play_from_the_start(async |scene| {
        let (namespace, first) = (scene.namespace.clone(), scene.key().to_owned());
        let second = format!("{first}-b");
        let election = ["--leader-election", "on", "--lease-namespace", namespace.as_str()];
        scene.kill_operator()?;
        scene.start_operator_with(&election)?;
        said(&scene.operator, "leading", 1).await?;
        let settings = Settings {
            log: Some(second.clone()),
            key: Some(second.clone()),
            arguments: election.iter().map(ToString::to_string).collect(),
            ..Settings::namespace(&namespace)
        };
        let mut standby = Operator::start(scene.testbed, &settings)?;
        said(&standby, "waiting for the lease", 1).await?;
        let gateway = scene.testbed.aws().gateway();
        let slow = gateway.inject(Fault::of(Calls::Writes, Act::Delay(SLOW_CALL)).by(&first));
        scene.apply().await?;
        until_writes(scene, &first, 12).await?;

        let told = Instant::now();
        scene.stop_operator()?;
        let ended = Instant::now();
        let late = writes(scene, &first).into_iter().filter(|seen| seen.at > told + patient(SIGNAL)).count();
        ensure_eq!(late, 0, "calls of the first operator after it was told to stop");
        ensure!(ended - told < patient(SLOW_CALL * 2 + SIGNAL), "it has taken {:?} to end", ended - told);
        said(&standby, "leading", 1).await?;
        let stopped = said_at(&scene.operator, "told to stop; what is under way in AWS is finished first")?;
        let handed_over = said_at(&standby, "leading")?.duration_since(stopped).unsigned_abs();
        ensure!(handed_over < patient(HANDED_OVER_WITHIN) + SLOW_CALL, "the second one leads after {handed_over:?}");
        scene.ready().await?;
        let begins = scene.testbed.aws().gateway().seen(&second).into_iter().map(|seen| seen.at).min();
        let begins = begins.context("the second operator has made no call")?;
        ensure!(begins > ended, "the second one has begun {:?} before the first had ended", ended - begins);
        slow.end();

        // Killed at work, it gives nothing back.
        scene.start_operator_with(&election)?;
        said(&scene.operator, "waiting for the lease", 2).await?;
        let made = writes(scene, &second).len();
        let slow = scene.testbed.aws().gateway().inject(Fault::of(Calls::Writes, Act::Delay(SLOW_CALL)).by(&second));
        scene.stack.patch(&serde_json::json!({ "spec": change_of_every_part() })).await?;
        until_writes(scene, &second, made + 3).await?;
        let calls = scene.testbed.aws().gateway().seen(&first).len();
        standby.kill()?;
        let killed = Instant::now();
        slow.end();
        said(&scene.operator, "leading", 2).await?;
        ensure!(killed.elapsed() < patient(AFTER_A_KILL), "it took {:?}", killed.elapsed());
        scene.ready().await?;
        let after = scene.testbed.aws().gateway().seen(&first).split_off(calls);
        ensure!(after.iter().all(|seen| seen.at > killed), "it has begun before the other one was killed");
        Ok(())
    })
}
