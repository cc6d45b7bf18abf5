//! What the operator tells Prometheus and the kubelet.

use sumu_tests::{Context, Result, ensure, ensure_eq};

use crate::scene::{Scene, scene};

/// The value of a counter or gauge with these labels, added up over all others.
async fn value(scene: &Scene, metric: &str, labels: &str) -> Result<u64> {
    let (status, text) = scene.operator.ask("/metrics").await?;
    ensure_eq!(status, 200, "the answer");
    let of_metric = text.lines().filter(|line| line.split(['{', ' ']).next() == Some(metric));
    let values =
        of_metric.filter(|line| line.contains(labels)).filter_map(|line| line.rsplit(' ').next()?.parse().ok());
    let values: Vec<u64> = values.collect();
    ensure!(!values.is_empty(), "no {metric} with {labels} in:\n{text}");
    Ok(values.iter().sum())
}

#[test]
fn the_operator_tells_what_it_does_and_a_settled_pass_writes_nothing_to_kubernetes() -> Result<()> {
    scene("metrics").resync_seconds(1).play(async |scene| {
        for path in ["/healthz", "/readyz"] {
            ensure_eq!(scene.operator.ask(path).await?.0, 200, "{path}");
        }
        scene.more_passes(1).await?;
        ensure_eq!(value(scene, "sumu_stacks", r#"ready="True",reason="Settled""#).await?, 1, "stacks that are Ready");
        ensure!(
            value(scene, "sumu_aws_attempts_total", r#"operation="CreateTable",result="Ok""#).await? >= 2,
            "tables"
        );
        ensure!(value(scene, "sumu_steps_total", r#"resource="queue",verb="create""#).await? >= 7, "queues");
        ensure!(value(scene, "sumu_passes_total", r#"outcome="changed""#).await? >= 3, "passes that made something");
        ensure_eq!(value(scene, "sumu_leader", "").await?, 1, "an operator without election leads");

        let (writes, passes) = ("sumu_kubernetes_writes_total", r#"outcome="unchanged""#);
        let before = (value(scene, writes, "").await?, value(scene, "sumu_passes_total", passes).await?);
        scene.more_passes(3).await?;
        ensure_eq!(value(scene, writes, "").await?, before.0, "writes to Kubernetes");
        ensure!(value(scene, "sumu_passes_total", passes).await? >= before.1 + 2, "settled passes are counted");

        let (_, text) = scene.operator.ask("/metrics").await?;
        let uid = scene.stack.object().await?["metadata"]["uid"].as_str().context("no uid")?.to_owned();
        for name in [scene.namespace.as_str(), uid.as_str()] {
            ensure!(!text.contains(name), "{name} is in\n{text}");
        }
        scene.delete().await?;
        let (_, text) = scene.operator.ask("/metrics").await?;
        ensure!(!text.contains("sumu_stacks{"), "a stack that is gone is counted:\n{text}");
        Ok(())
    })
}
