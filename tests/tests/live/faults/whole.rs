//! What scenarios have in common: how a fault gets in, and what holds at the end of each.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sumu_tests::gateway::call::Service;
use sumu_tests::gateway::fault::{Act, Calls, Fault, Injected, When};
use sumu_tests::{Context, Result, ensure};

use super::common::{self, ensure_says};
use crate::scene::{Scene, ensure_complete};

/// How many calls change something while a stack is made and nothing goes wrong.
const WRITES: usize = 64;

/// Longer lines than this in the operator's log hold something that is no word of its own.
const LINE_MAX: usize = 8 * 1024;

/// Injects a fault of this scene's operator.
pub fn inject(scene: &Scene, calls: Calls, when: When, act: Act) -> Injected {
    common::inject(scene, Fault::of(calls, act).when(when))
}

/// A fault of one operation.
pub fn inject_one(scene: &Scene, service: Service, operation: &'static str, when: When, act: Act) -> Injected {
    inject(scene, Calls::Operation(service, operation), when, act)
}

/// Fails unless each fault has hit something.
pub fn ensure_hit(injected: &[(&str, &Injected)]) -> Result<()> {
    for (what, injected) in injected {
        ensure!(injected.hits() > 0, "{what} was not hit");
    }
    Ok(())
}

/// How often the operator has called an operation.
pub fn count(scene: &Scene, service: Service, operation: &str) -> usize {
    let seen = scene.testbed.aws().gateway().seen(scene.key());
    seen.iter().filter(|seen| seen.service == service && seen.operation == operation).count()
}

/// How many of the operator's calls of a service came since then.
pub fn calls_since(scene: &Scene, service: Service, since: Instant) -> usize {
    let seen = scene.testbed.aws().gateway().seen(scene.key());
    seen.iter().filter(|seen| seen.service == service && seen.at >= since).count()
}

fn writes(scene: &Scene) -> usize {
    scene.testbed.aws().gateway().seen(scene.key()).iter().filter(|seen| !seen.is_read).count()
}

/// Waits until the stack is Ready, and holds it to what every scenario ends with: one of everything, no more calls that
/// change something than a stack takes and `extra`, none in the last pass, a client is served, a log of words only.
pub async fn becomes_whole(scene: &mut Scene, extra: usize) -> Result<()> {
    scene.ready().await?;
    ensure_complete(&scene.inventory().await?)?;
    let writes = writes(scene);
    println!("{} calls changed something, {} passes", writes, scene.passes("live")?.len());
    ensure!(writes <= WRITES + extra, "{writes} calls changed something");
    let passes = scene.passes("live")?;
    let last = passes.last().context("no pass")?;
    ensure!(last.settled && last.aws_writes == 0, "the last pass was {}", last.line);
    for line in scene.operator_log()?.lines() {
        ensure!(line.len() < LINE_MAX && !line.contains("panicked"), "the operator's log says {line}");
    }
    scene.connect("alice").await?.ping().await.map(|_| ())
}

/// Waits until a condition is not True for this reason and says all these words.
pub async fn told(scene: &Scene, kind: &str, reason: &str, words: &[&str]) -> Result<Value> {
    let what = format!("{kind} to say {reason}");
    scene.until(&what, |object| ensure_says(object, kind, reason, words)).await
}

/// Asks for a look at once, as a person does who does not want to wait.
pub async fn ask_for_a_look(scene: &Scene) -> Result<()> {
    let time = format!("{:?}", Instant::now());
    scene.stack.patch(&json!({"metadata": {"annotations": {"sumu.live/reconcile-requested-at": time}}})).await
}

/// How long after its last pass the operator wants to look again.
pub fn rests_for(scene: &Scene) -> Result<Duration> {
    let passes = scene.passes("live")?;
    let line = &passes.last().context("no pass")?.line;
    let next = line.get("next_ms").or_else(|| line.get("fields")?.get("next_ms")).and_then(Value::as_u64);
    Ok(Duration::from_millis(next.context("the line does not say")?))
}
