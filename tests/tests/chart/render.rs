//! What the chart renders to, by its values.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sumu_operator::leader::lease_name;
use sumu_tests::helm::{Helm, IMAGE, arguments, find, manifests, with_image};
use sumu_tests::kubernetes::Answer;
use sumu_tests::{Context, Result, ensure, ensure_eq, workspace};

use crate::cluster::{NAMESPACE, RELEASE, run, text};

/// Renders the chart, or is refused. Values that name no image get one.
pub fn template(values: &Value) -> Result<Answer> {
    let home = tempfile::tempdir()?;
    let file = home.path().join("values.json");
    std::fs::write(&file, with_image(values).to_string())?;
    let chart = workspace::chart();
    let arguments = ["template", RELEASE, text(&chart)?, "--namespace", NAMESPACE, "--values", text(&file)?];
    run(async { Helm::offline(home.path())?.run(&arguments).await })
}

pub fn rendered(values: &Value) -> Result<Vec<Value>> {
    let answer = template(values)?;
    ensure!(answer.success, "{values} was refused: {}", answer.stderr);
    manifests(&answer.stdout).with_context(|| format!("of {values}"))
}

/// Why values are refused.
pub fn refusal(values: &Value) -> Result<String> {
    let answer = template(values)?;
    ensure!(!answer.success, "{values} was rendered");
    Ok(answer.stderr)
}

fn kinds(objects: &[Value]) -> BTreeMap<&str, usize> {
    let mut kinds = BTreeMap::new();
    for object in objects {
        *kinds.entry(object["kind"].as_str().unwrap_or_default()).or_insert(0) += 1;
    }
    kinds
}

/// The operator's pod.
fn pod(objects: &[Value]) -> Result<&Value> {
    Ok(&find(objects, "Deployment", "")?["spec"]["template"])
}

#[test]
fn helm_finds_nothing_wrong_with_the_chart() -> Result<()> {
    let home = tempfile::tempdir()?;
    let chart = workspace::chart();
    run(async { Helm::offline(home.path())?.ok(&["lint", "--strict", text(&chart)?]).await })?;
    Ok(())
}

#[test]
fn the_chart_without_values_is_one_operator_for_all_namespaces() -> Result<()> {
    let objects = rendered(&json!({}))?;
    let expected = BTreeMap::from([
        ("ClusterRole", 3),
        ("ClusterRoleBinding", 1),
        ("CustomResourceDefinition", 1),
        ("Deployment", 1),
        ("Job", 1),
        ("Pod", 1),
        ("Role", 1),
        ("RoleBinding", 1),
        ("Service", 1),
        ("ServiceAccount", 1),
    ]);
    ensure_eq!(kinds(&objects), expected, "what there is");
    let expected = [
        "run",
        "--resync-seconds=600",
        "--concurrency=8",
        "--metrics-address=0.0.0.0:8080",
        "--leader-election=on",
        "--log-format=json",
        "--log=info",
    ];
    ensure_eq!(arguments(pod(&objects)?)?, expected, "the operator's arguments");
    let version = env!("CARGO_PKG_VERSION");
    let image = &pod(&objects)?["spec"]["containers"][0]["image"];
    ensure_eq!(image, &json!(format!("{IMAGE}:{version}")), "the image");
    for object in objects.iter().filter(|object| object["kind"] != "CustomResourceDefinition") {
        ensure_eq!(object["metadata"]["labels"]["app.kubernetes.io/instance"], json!(RELEASE), "the label of {object}");
    }
    Ok(())
}

#[test]
fn the_definition_is_the_generated_one_and_stays_when_the_release_goes() -> Result<()> {
    let generated = std::fs::read_to_string(workspace::root().join("crds/sumustacks.yaml"))?;
    let generated: Value = serde_saphyr::from_str(&generated)?;
    for (crds, policy) in [(json!({}), json!("keep")), (json!({"keep": false}), Value::Null)] {
        let objects = rendered(&json!({"crds": crds}))?;
        let mut definition = find(&objects, "CustomResourceDefinition", "")?.clone();
        ensure_eq!(definition["metadata"]["annotations"]["helm.sh/resource-policy"], policy, "with {crds}");
        let metadata = definition["metadata"].as_object_mut().context("no metadata")?;
        metadata.retain(|name, _| name == "name");
        ensure!(definition == generated, "the definition is another one");
    }
    let objects = rendered(&json!({"crds": {"enabled": false}}))?;
    ensure!(!kinds(&objects).contains_key("CustomResourceDefinition"), "it is there");
    Ok(())
}

#[test]
fn several_operators_are_spread_and_keep_one_when_nodes_are_drained() -> Result<()> {
    let one = rendered(&json!({}))?;
    ensure!(!kinds(&one).contains_key("PodDisruptionBudget"), "one operator would keep every node from being drained");
    ensure!(pod(&one)?["spec"]["affinity"].is_null(), "one operator needs no spreading");
    let two = rendered(&json!({"replicas": 2}))?;
    let deployment = find(&two, "Deployment", "")?;
    let labels = &deployment["spec"]["template"]["metadata"]["labels"];
    let selector = &deployment["spec"]["selector"]["matchLabels"];
    let spec = &pod(&two)?["spec"];
    let preferred = &spec["affinity"]["podAntiAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"][0];
    let budget = &find(&two, "PodDisruptionBudget", "")?["spec"];
    ensure_eq!(budget["maxUnavailable"], json!(1), "how many may be missing");
    for (what, selects) in [
        ("the Deployment", selector),
        ("the affinity", &preferred["podAffinityTerm"]["labelSelector"]["matchLabels"]),
        ("the spread", &spec["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"]),
        ("the budget", &budget["selector"]["matchLabels"]),
        ("the Service", &find(&two, "Service", "")?["spec"]["selector"]),
    ] {
        let wanted = selects.as_object().with_context(|| format!("{what} selects nothing"))?;
        ensure!(!wanted.is_empty() && wanted.iter().all(|(name, value)| labels[name] == *value), "{what}: {selects}");
        // The guard's pods and the test's are no operators.
        for other in [&find(&two, "Job", "")?["spec"]["template"], find(&two, "Pod", "")?] {
            let labels = &other["metadata"]["labels"];
            ensure!(wanted.iter().any(|(name, value)| labels[name] != *value), "{what} selects {labels} too");
        }
    }
    let mine =
        rendered(&json!({"replicas": 2, "affinity": {"nodeAffinity": {}}, "podDisruptionBudget": {"enabled": false}}))?;
    ensure_eq!(pod(&mine)?["spec"]["affinity"], json!({"nodeAffinity": {}}), "an affinity of one's own");
    ensure!(!kinds(&mine).contains_key("PodDisruptionBudget"), "it is there");
    Ok(())
}

#[test]
fn chosen_namespaces_need_no_right_in_others_and_have_a_lease_of_their_own() -> Result<()> {
    let objects = rendered(&json!({"watchNamespaces": ["chat", "apps", "chat"]}))?;
    ensure!(!kinds(&objects).contains_key("ClusterRoleBinding"), "somebody has rights in all namespaces");
    let bound = |namespace: &str| {
        let there = |kind: &str| {
            let mut found = objects.iter().filter(|object| object["kind"] == kind);
            found.any(|object| object["metadata"]["namespace"] == namespace && object["metadata"]["name"] == RELEASE)
        };
        there("Role") && there("RoleBinding")
    };
    ensure!(bound("apps") && bound("chat"), "a Role is missing");
    for pod in [pod(&objects)?, &find(&objects, "Job", "-guard")?["spec"]["template"]] {
        ensure!(arguments(pod)?.contains(&"--namespaces=apps,chat".to_owned()), "{:?}", arguments(pod)?);
    }
    Ok(())
}

#[test]
fn the_right_to_the_lease_is_for_the_lease_that_the_operator_takes() -> Result<()> {
    let many: Vec<String> = (10..60).map(|number| format!("team-{number}")).collect();
    for namespaces in [vec![], vec!["apps".to_owned()], vec!["chat".to_owned(), "apps".to_owned()], many] {
        let objects = rendered(&json!({"watchNamespaces": namespaces}))?;
        let mut sorted: Vec<&str> = namespaces.iter().map(String::as_str).collect();
        sorted.sort_unstable();
        let role = find(&objects, "Role", "-lease")?;
        ensure_eq!(role["metadata"]["namespace"], json!(NAMESPACE), "where the lease is");
        ensure_eq!(role["rules"][1]["resourceNames"], json!([lease_name(&sorted)]), "the lease for {namespaces:?}");
    }
    Ok(())
}

#[test]
fn without_a_lease_the_old_operator_stops_first_and_there_is_only_one() -> Result<()> {
    let alone = json!({"leaderElection": {"enabled": false}});
    let objects = rendered(&alone)?;
    ensure!(arguments(pod(&objects)?)?.contains(&"--leader-election=off".to_owned()), "it waits for a lease");
    ensure_eq!(find(&objects, "Deployment", "")?["spec"]["strategy"], json!({"type": "Recreate"}), "the strategy");
    ensure!(!kinds(&objects).contains_key("Role"), "it has a right to leases");
    let said = refusal(&json!({"leaderElection": {"enabled": false}, "replicas": 2}))?;
    ensure!(said.contains("replicas above 1 need leaderElection.enabled"), "said: {said}");
    Ok(())
}

#[test]
fn rights_and_the_service_account_can_be_somebody_elses() -> Result<()> {
    let objects = rendered(&json!({
        "rbac": {"create": false, "userRoles": false},
        "serviceAccount": {"create": false, "name": "theirs"},
    }))?;
    let kinds = kinds(&objects);
    for kind in ["ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding", "ServiceAccount"] {
        ensure!(!kinds.contains_key(kind), "there is a {kind}");
    }
    for pod in [pod(&objects)?, &find(&objects, "Job", "-guard")?["spec"]["template"]] {
        ensure_eq!(pod["spec"]["serviceAccountName"], json!("theirs"), "the account");
    }
    let said = refusal(&json!({"serviceAccount": {"create": false}}))?;
    ensure!(said.contains("serviceAccount.name must be set"), "said: {said}");

    let role = json!({"eks.amazonaws.com/role-arn": "arn:aws:iam::123456789012:role/sumu-operator"});
    let objects = rendered(&json!({"serviceAccount": {"annotations": role}}))?;
    ensure_eq!(find(&objects, "ServiceAccount", "")?["metadata"]["annotations"], role, "the role in AWS");
    Ok(())
}

/// What is said of pods and images reaches the operator's, the guard's and the test's.
#[test]
fn every_pod_has_the_image_and_the_place_that_are_asked_for() -> Result<()> {
    let digest = format!("sha256:{}", "a".repeat(64));
    let objects = rendered(&json!({
        "image": {"repository": "images.example/sumu", "tag": "old", "digest": digest, "pullSecrets": [{"name": "pull"}]},
        "nodeSelector": {"disk": "ssd"},
        "tolerations": [{"key": "spot", "operator": "Exists"}],
        "priorityClassName": "high",
    }))?;
    for pod in [pod(&objects)?, &find(&objects, "Job", "-guard")?["spec"]["template"], find(&objects, "Pod", "-test")?]
    {
        let spec = &pod["spec"];
        ensure_eq!(spec["containers"][0]["image"], json!(format!("images.example/sumu@{digest}")), "the image");
        ensure_eq!(spec["imagePullSecrets"], json!([{"name": "pull"}]), "who pulls it");
        ensure_eq!(spec["nodeSelector"], json!({"disk": "ssd", "kubernetes.io/os": "linux"}), "the nodes");
        ensure_eq!(spec["tolerations"], json!([{"key": "spot", "operator": "Exists"}]), "the tolerations");
        ensure_eq!(spec["priorityClassName"], json!("high"), "the priority");
    }
    Ok(())
}

#[test]
fn what_is_said_of_the_operators_pod_is_in_it() -> Result<()> {
    let objects = rendered(&json!({
        "region": "eu-west-1",
        "extraArgs": ["--aws-pacing=off"],
        "extraEnv": [{"name": "HTTPS_PROXY", "value": "http://proxy.example:3128"}],
        "extraEnvFrom": [{"secretRef": {"name": "keys"}}],
        "extraVolumes": [{"name": "profile", "secret": {"secretName": "profile"}}],
        "extraVolumeMounts": [{"name": "profile", "mountPath": "/aws"}],
        "podLabels": {"team": "chat"},
        "podAnnotations": {"note": "yes"},
        "commonLabels": {"owner": "platform"},
        "metrics": {"port": 9090},
        "terminationGracePeriodSeconds": 90,
        "resources": {"limits": {"memory": "512Mi"}},
    }))?;
    let pod = pod(&objects)?;
    let arguments = arguments(pod)?;
    ensure!(arguments.contains(&"--region=eu-west-1".to_owned()), "the region: {arguments:?}");
    ensure!(arguments.contains(&"--metrics-address=0.0.0.0:9090".to_owned()), "the port: {arguments:?}");
    ensure_eq!(arguments.last().map(String::as_str), Some("--aws-pacing=off"), "the last argument, which wins");
    let container = &pod["spec"]["containers"][0];
    ensure_eq!(container["env"][0]["name"], json!("HTTPS_PROXY"), "the environment");
    ensure_eq!(container["envFrom"], json!([{"secretRef": {"name": "keys"}}]), "more environment");
    ensure_eq!(container["volumeMounts"][0]["mountPath"], json!("/aws"), "the mount");
    ensure_eq!(container["resources"]["limits"]["memory"], json!("512Mi"), "the memory");
    ensure_eq!(container["ports"][0]["containerPort"], json!(9090), "the port");
    ensure_eq!(pod["spec"]["volumes"][0]["name"], json!("profile"), "the volume");
    ensure_eq!(pod["spec"]["terminationGracePeriodSeconds"], json!(90), "the time to end");
    ensure_eq!(pod["metadata"]["annotations"]["note"], json!("yes"), "the annotation");
    let labels = &pod["metadata"]["labels"];
    ensure_eq!((&labels["team"], &labels["owner"]), (&json!("chat"), &json!("platform")), "the labels");
    Ok(())
}

#[test]
fn the_guard_the_service_and_the_test_can_be_left_out() -> Result<()> {
    let objects = rendered(&json!({"uninstallGuard": {"enabled": false}, "metrics": {"service": {"enabled": false}}}))?;
    let kinds = kinds(&objects);
    // The test asks through the Service.
    for kind in ["Job", "Service", "Pod"] {
        ensure!(!kinds.contains_key(kind), "there is a {kind}");
    }
    Ok(())
}

/// Otherwise one reads only that a Job or a pod has failed.
#[test]
fn helm_prints_what_the_guard_and_the_test_have_said_when_they_fail() -> Result<()> {
    let objects = rendered(&json!({}))?;
    for (kind, end) in [("Job", "-guard"), ("Pod", "-test")] {
        let annotations = &find(&objects, kind, end)?["metadata"]["annotations"];
        ensure_eq!(annotations["helm.sh/hook-output-log-policy"], json!("hook-failed"), "of the {kind}");
    }
    Ok(())
}

#[test]
fn a_network_policy_lets_in_who_is_named_and_out_what_the_operator_needs() -> Result<()> {
    let from = json!([{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]);
    let objects =
        rendered(&json!({"networkPolicy": {"enabled": true, "metricsFrom": from, "egressPorts": [443, 16443]}}))?;
    let spec = &find(&objects, "NetworkPolicy", "")?["spec"];
    ensure_eq!(spec["policyTypes"], json!(["Ingress", "Egress"]), "what it is about");
    ensure_eq!(spec["ingress"][0]["from"][1], from[0], "who may ask for metrics");
    let out = spec["egress"].as_array().context("nothing goes out")?;
    let ports: Vec<u64> = out
        .iter()
        .flat_map(|rule| rule["ports"].as_array().into_iter().flatten())
        .filter_map(|port| port["port"].as_u64())
        .collect();
    ensure_eq!(ports, [53, 53, 443, 16443, 8080, 80], "where it may go");
    let agent = out.last().context("nothing goes out")?;
    let addresses: Vec<&Value> =
        agent["to"].as_array().into_iter().flatten().map(|to| &to["ipBlock"]["cidr"]).collect();
    ensure_eq!(addresses, ["169.254.170.23/32", "fd00:ec2::23/128"], "where the agent of EKS Pod Identity is");
    Ok(())
}

#[test]
fn prometheus_asks_through_a_service_or_the_pods_and_never_both() -> Result<()> {
    let on = json!({"enabled": true, "interval": "15s", "labels": {"release": "prometheus"}});
    for (value, kind, list) in
        [("serviceMonitor", "ServiceMonitor", "endpoints"), ("podMonitor", "PodMonitor", "podMetricsEndpoints")]
    {
        let objects = rendered(&json!({"metrics": {value: on}}))?;
        let monitor = find(&objects, kind, "")?;
        let expected = json!([{"port": "metrics", "path": "/metrics", "interval": "15s"}]);
        ensure_eq!(monitor["spec"][list], expected, "where it asks");
        ensure_eq!(monitor["metadata"]["labels"]["release"], json!("prometheus"), "by what it is found");
        let found_by = monitor["spec"]["selector"]["matchLabels"].as_object().context("it selects nothing")?;
        let labels = match kind {
            "ServiceMonitor" => &find(&objects, "Service", "")?["metadata"]["labels"],
            _ => &pod(&objects)?["metadata"]["labels"],
        };
        ensure!(found_by.iter().all(|(name, value)| labels[name] == *value), "{kind} does not select {labels}");
    }
    let said = refusal(&json!({"metrics": {"serviceMonitor": on, "podMonitor": on}}))?;
    ensure!(said.contains("would count everything twice"), "said: {said}");
    let said = refusal(&json!({"metrics": {"serviceMonitor": on, "service": {"enabled": false}}}))?;
    ensure!(said.contains("needs metrics.service.enabled"), "said: {said}");
    Ok(())
}

/// Everywhere the same label or annotation: a key that is rendered twice is no YAML.
#[test]
fn what_is_said_twice_counts_where_it_is_said_more_closely() -> Result<()> {
    let labels = json!({"team": "chat"});
    let on = json!({"enabled": true, "labels": labels});
    let mut metrics = json!({"prometheusRule": on, "dashboard": on, "serviceMonitor": on});
    let mut kinds = vec!["PrometheusRule", "ConfigMap", "ServiceMonitor"];
    for _ in 0..2 {
        let objects = rendered(&json!({
            "commonLabels": {"team": "platform"}, "podLabels": labels, "metrics": metrics,
            "podAnnotations": {"kubectl.kubernetes.io/default-container": "proxy"},
        }))?;
        for kind in &kinds {
            ensure_eq!(find(&objects, kind, "")?["metadata"]["labels"]["team"], json!("chat"), "of the {kind}");
        }
        let metadata = &pod(&objects)?["metadata"];
        ensure_eq!(metadata["labels"]["team"], json!("chat"), "of the pod");
        let container = &metadata["annotations"]["kubectl.kubernetes.io/default-container"];
        ensure_eq!(container, &json!("proxy"), "the container that kubectl takes");
        metrics = json!({"podMonitor": on});
        kinds = vec!["PodMonitor"];
    }
    Ok(())
}

#[test]
fn a_long_name_stays_a_name_and_a_label() -> Result<()> {
    let objects = rendered(&json!({"nameOverride": "n".repeat(63)}))?;
    for object in objects.iter().filter(|object| object["kind"] != "ClusterRole") {
        let name = object["metadata"]["name"].as_str().context("no name")?;
        ensure!(name.len() <= 63 || name.contains(':'), "{name} is too long");
    }
    let home = tempfile::tempdir()?;
    let (chart, image) = (workspace::chart(), format!("image.repository={IMAGE}"));
    let dotted = ["template", "chat.prod", text(&chart)?, "--set", &image];
    let objects = manifests(&run(async { Helm::offline(home.path())?.ok(&dotted).await })?)?;
    let service = &find(&objects, "Service", "")?["metadata"]["name"];
    ensure_eq!(service, &json!("chat-prod-sumu-operator-metrics"), "the Service, which takes no dots");
    Ok(())
}

#[test]
fn a_chart_that_has_this_one_as_a_part_may_share_values_with_it() -> Result<()> {
    let objects = rendered(&json!({"enabled": true, "global": {"team": "chat"}}))?;
    ensure!(kinds(&objects).contains_key("Deployment"), "nothing was rendered");
    Ok(())
}
