//! What scenarios of faults have in common: injecting for one scene, and what must hold in the end.

use std::net::{Ipv4Addr, SocketAddr};

use serde_json::{Value, json};
use sumu_tests::gateway::call::Service;
use sumu_tests::gateway::fault::{Calls, Fault, Injected};
use sumu_tests::gateway::{Gateway, Pace, Seen, Settings};
use sumu_tests::stack::condition;
use sumu_tests::{Context, Result, ensure, ensure_eq};

use crate::scene::{Scene, ensure_complete};

/// How the base64 of a package begins, as it would be seen in a log.
const PACKAGE: &str = "UEsDB";

/// Injects a fault of the scene's calls alone.
pub fn inject(scene: &Scene, fault: Fault) -> Injected {
    scene.testbed.aws().gateway().inject(fault.by(scene.key()))
}

/// The calls of an operation.
pub const fn calls(service: Service, operation: &'static str) -> Calls {
    Calls::Operation(service, operation)
}

/// The scene's calls of an operation that a gateway has seen.
pub fn seen(gateway: &Gateway, scene: &Scene, operation: &str) -> Vec<Seen> {
    gateway.seen(scene.key()).into_iter().filter(|seen| seen.operation == operation).collect()
}

/// How many calls of an operation the scene's operator has made.
pub fn count(scene: &Scene, operation: &str) -> usize {
    seen(scene.testbed.aws().gateway(), scene, operation).len()
}

/// Puts the scene's operator behind a gateway of its own, with a pace of its own. Its story must delete the stack,
/// because the gateway ends with the story.
pub async fn behind(scene: &mut Scene, pace: Pace, arguments: &[&str]) -> Result<Gateway> {
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    // The front serves what was deployed through either.
    let deployments = Some(scene.testbed.aws().gateway().deployments());
    let settings = Settings { pace, deployments, ..Settings::default() };
    let gateway = Gateway::start(listen, scene.testbed.aws().emulator(), settings).await?;
    // It may not have begun to listen for a polite request.
    scene.kill_operator()?;
    let url = format!("http://{}", gateway.address());
    scene.start_operator_with(&[&["--aws-endpoint-url", &url], arguments].concat())?;
    Ok(gateway)
}

/// Waits until the stack is not Ready and a part says why, with AWS's own words.
pub async fn says(scene: &Scene, part: &str, reason: &str, words: &[&str]) -> Result<Value> {
    scene
        .until(&format!("{part} to say {reason}"), |object| {
            let ready = condition(object, "Ready").context("no condition Ready")?;
            ensure_eq!(ready["status"], "False", "Ready");
            ensure_says(object, part, reason, words)
        })
        .await
}

/// Fails unless a condition is not True for this reason and says all these words.
pub fn ensure_says(object: &Value, kind: &str, reason: &str, words: &[&str]) -> Result<()> {
    let found = condition(object, kind).with_context(|| format!("no condition {kind}"))?;
    ensure!(found["status"] != "True", "{kind} is True");
    ensure_eq!(found["reason"].as_str(), Some(reason), "reason of {found}");
    let message = found["message"].as_str().unwrap_or_default();
    let missing: Vec<&&str> = words.iter().filter(|word| !message.contains(**word)).collect();
    ensure!(missing.is_empty(), "{missing:?} is not in {message}");
    Ok(())
}

/// Fails unless there is one of everything, it works, another look finds nothing to do, and no log has a package.
pub async fn is_whole(scene: &Scene) -> Result<()> {
    ensure_complete(&scene.inventory().await?)?;
    scene.connect("alice").await?.ping().await?;
    settled(scene).await?;
    ensure!(!scene.operator_log()?.contains(PACKAGE), "the operator's log has a package");
    Ok(())
}

/// Asks for one more look, and fails unless it finds nothing to do.
pub async fn settled(scene: &Scene) -> Result<()> {
    let request = scene.passes("live")?.len().to_string();
    let annotation = json!({"metadata": {"annotations": {"sumu.live/reconcile-requested-at": request}}});
    scene.stack.patch(&annotation).await?;
    scene
        .until("the look that was asked for", |object| {
            ensure_eq!(object["status"]["lastHandledReconcileAt"], json!(request), "the last look");
            Ok(())
        })
        .await?;
    let last = scene.passes("live")?.pop().context("there was no pass")?;
    ensure!(last.settled && last.aws_writes == 0, "it finds something to do: {}", last.line);
    Ok(())
}
