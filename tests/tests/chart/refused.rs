//! Values that the chart does not take, and what it says to them.

use serde_json::{Value, json};
use sumu_tests::helm::find;
use sumu_tests::{Result, ensure, ensure_eq};

use crate::render::{refusal, rendered};

#[test]
fn an_image_that_nobody_has_named_is_asked_for() -> Result<()> {
    let said = refusal(&json!({"image": {"repository": ""}}))?;
    ensure!(said.contains("image.repository must be set") && said.contains("Dockerfile"), "said: {said}");
    Ok(())
}

#[test]
fn an_image_may_be_wherever_images_are() -> Result<()> {
    for repository in [
        "sumu-operator",
        "localhost:5000/sumu-operator",
        "ghcr.io/owner/sumu_operator",
        "registry.example:5000/a/b--c/d__e",
        "123456789012.dkr.ecr.eu-west-1.amazonaws.com/sumu-operator",
    ] {
        rendered(&json!({"image": {"repository": repository}}))?;
    }
    Ok(())
}

/// The definition is one for the whole cluster, and the guard asks in the watched namespaces alone.
#[test]
fn a_release_for_chosen_namespaces_cannot_take_the_definition_of_all_along() -> Result<()> {
    let said = refusal(&json!({"crds": {"keep": false}, "watchNamespaces": ["apps"]}))?;
    ensure!(said.contains("would delete the stacks of all other namespaces"), "said: {said}");
    rendered(&json!({"crds": {"enabled": false, "keep": false}, "watchNamespaces": ["apps"]}))?;
    rendered(&json!({"crds": {"keep": false}}))?;
    Ok(())
}

/// What a pod takes beside a plain value.
#[test]
fn an_environment_and_a_spread_may_say_all_that_kubernetes_lets_them_say() -> Result<()> {
    let environment = json!([
        {"name": "A", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "id", "optional": true}}},
        {"name": "B", "valueFrom": {"configMapKeyRef": {"name": "keys", "key": "id"}}},
        {"name": "C", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "spec.nodeName"}}},
        {"name": "D", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Mi"}}},
    ]);
    let spread = json!([{
        "maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": {"a": "b"}}, "matchLabelKeys": ["pod-template-hash"],
        "nodeAffinityPolicy": "Honor", "nodeTaintsPolicy": "Ignore",
    }]);
    let objects = rendered(&json!({"extraEnv": environment, "topologySpreadConstraints": spread}))?;
    let spec = &find(&objects, "Deployment", "")?["spec"]["template"]["spec"];
    ensure_eq!(spec["containers"][0]["env"], environment, "the environment");
    ensure_eq!(spec["topologySpreadConstraints"], spread, "the spread");
    Ok(())
}

/// One in each section.
const MISSPELT: [&str; 20] = [
    "replica",
    "image.repo",
    "crds.install",
    "log.level",
    "leaderElection.enable",
    "serviceAccount.annotation",
    "rbac.enabled",
    "podDisruptionBudget.minAvailable",
    "metrics.enabled",
    "metrics.service.port",
    "metrics.serviceMonitor.intervall",
    "metrics.podMonitor.label",
    "metrics.prometheusRule.rules",
    "metrics.dashboard.folder",
    "networkPolicy.egressPort",
    "uninstallGuard.enable",
    "resources.request",
    "podSecurityContext.runAsNonroot",
    "securityContext.readOnlyRootFileSystem",
    "affinity.nodeafinity",
];

/// Values of a wrong form, each with a word that the refusal must have.
fn wrong() -> Vec<(Value, &'static str)> {
    vec![
        (json!({"replicas": 4}), "replicas"),
        (json!({"replicas": "2"}), "replicas"),
        (json!({"watchNamespaces": "apps"}), "watchNamespaces"),
        (json!({"watchNamespaces": ["Apps"]}), "watchNamespaces"),
        (json!({"region": "Ireland"}), "region"),
        (json!({"resyncSeconds": 0}), "resyncSeconds"),
        (json!({"concurrency": 101}), "concurrency"),
        (json!({"log": {"format": "xml"}}), "format"),
        (json!({"image": {"digest": "latest"}}), "digest"),
        (json!({"image": {"tag": 1.2}}), "tag"),
        (json!({"image": {"tag": "0.1.0@sha256:0"}}), "tag"),
        (json!({"image": {"repository": "ghcr.io/owner/sumu-operator:0.1.0"}}), "repository"),
        (json!({"image": {"repository": "ghcr.io/Owner/sumu-operator"}}), "repository"),
        (json!({"nameOverride": "My Operator"}), "nameOverride"),
        (json!({"commonLabels": {"app.kubernetes.io/name": "mine"}}), "app.kubernetes.io/name"),
        (json!({"commonLabels": {"app.kubernetes.io/component": "mine"}}), "app.kubernetes.io/component"),
        (json!({"commonLabels": {"rbac.authorization.k8s.io/aggregate-to-view": "true"}}), "aggregate-to-view"),
        (json!({"podLabels": {"owner": "the chat team"}}), "owner"),
        (json!({"extraArgs": ["aws-pacing=off"]}), "extraArgs"),
        (json!({"metrics": {"port": 80}}), "port"),
        (json!({"serviceAccount": {"annotations": {"a": 1}}}), "annotations"),
        (json!({"tolerations": [{"keys": "spot"}]}), "keys"),
        (json!({"extraEnvFrom": [{"secretRef": {"secretName": "keys"}}]}), "secretName"),
        (json!({"extraEnvFrom": [{"configMapRef": {}}]}), "configMapRef"),
        (json!({"extraEnv": [{"name": "A", "valueFrom": {"secretRef": {"name": "keys"}}}]}), "secretRef"),
        (json!({"extraEnv": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "keys"}}}]}), "key"),
        (
            json!({"topologySpreadConstraints": [
                {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule", "selector": {}}
            ]}),
            "selector",
        ),
    ]
}

#[test]
fn a_misspelt_or_wrong_value_is_refused_with_its_name() -> Result<()> {
    let misspelt = MISSPELT.iter().map(|path| {
        let value = path.rsplit('.').fold(json!("x"), |value, name| json!({name: value}));
        (value, path.rsplit('.').next().unwrap_or_default())
    });
    let mut unsaid = Vec::new();
    for (values, name) in misspelt.chain(wrong()) {
        let said = refusal(&values)?;
        if !said.contains("schema") || !said.contains(name) {
            unsaid.push(format!("{values}: {said}"));
        }
    }
    ensure!(unsaid.is_empty(), "{}", unsaid.join("\n"));
    Ok(())
}
