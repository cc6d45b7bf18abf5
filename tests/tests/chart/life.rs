//! A release from its installation to its end, with the test in the place of kubelet and controllers.

use serde_json::{Value, json};
use sumu_tests::helm::arguments;
use sumu_tests::kubernetes::Answer;
use sumu_tests::poll::PATIENCE;
use sumu_tests::{Context, Result, ensure, ensure_eq, eventually, workspace};

use crate::cluster::{Cluster, NAMESPACE, RELEASE, run};

const SMALLEST: &str = r#"{
    "apiVersion": "sumu.live/v1alpha1", "kind": "SumuStack", "metadata": {"name": "live", "namespace": "apps"},
    "spec": {"authorizer": {"issuers": [{"jwksUri": "https://issuer.example/keys"}]}}
}"#;

/// An object, once it is there.
async fn object(cluster: &Cluster, kind: &str, name: &str) -> Result<Value> {
    eventually(PATIENCE, &format!("{kind} {name}"), async || {
        let found = ["get", kind, name, "--namespace", NAMESPACE, "--output=json"];
        Ok(serde_json::from_str(&cluster.kubernetes.kubectl_ok(&found, "").await?)?)
    })
    .await
}

async fn set_status(cluster: &Cluster, kind: &str, name: &str, status: &Value) -> Result<()> {
    let patch = json!({"status": status}).to_string();
    let arguments = ["patch", kind, name, "--namespace", NAMESPACE, "--subresource=status", "--type=merge"];
    cluster.kubernetes.kubectl_ok(&[&arguments[..], &["--patch", &patch]].concat(), "").await?;
    Ok(())
}

/// Uninstalls the release, and runs the guard as its Job would. Returns what Helm and what the guard have said.
async fn uninstall(cluster: &Cluster) -> Result<(Answer, Answer)> {
    let arguments = ["uninstall", RELEASE, "--namespace", NAMESPACE, "--timeout=90s"];
    tokio::try_join!(cluster.helm.run(&arguments), guard(cluster))
}

/// Runs the guard's Job, of which there may be one of an earlier attempt.
async fn guard(cluster: &Cluster) -> Result<Answer> {
    let name = format!("{RELEASE}-guard");
    let job = eventually(PATIENCE, "a new Job", async || {
        let job = object(cluster, "job", &name).await?;
        ensure!(job["status"]["conditions"].is_null(), "this one has ended: {}", job["status"]);
        Ok(job)
    })
    .await?;
    let pod = &job["spec"]["template"];
    let account = pod["spec"]["serviceAccountName"].as_str().context("no account")?;
    let answer = cluster.run_as(NAMESPACE, account, &arguments(pod)?).await?;
    let now = now();
    let condition = |kind: &str, reason: &str| json!({"type": kind, "status": "True", "reason": reason, "lastProbeTime": now, "lastTransitionTime": now});
    let status = if answer.success {
        let reason = "CompletionsReached";
        json!({
            "startTime": now, "completionTime": now, "succeeded": 1,
            "conditions": [condition("SuccessCriteriaMet", reason), condition("Complete", reason)],
        })
    } else {
        let reason = "BackoffLimitExceeded";
        json!({
            "startTime": now, "failed": 1,
            "conditions": [condition("FailureTarget", reason), condition("Failed", reason)],
        })
    };
    set_status(cluster, "job", &name, &status).await?;
    Ok(answer)
}

fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Runs the chart's test as its pod would, but for the address, which only a cluster's DNS knows.
async fn test_pod(cluster: &Cluster, address: &str) -> Result<Answer> {
    let name = format!("{RELEASE}-test");
    let pod = object(cluster, "pod", &name).await?;
    let mut asked = arguments(&pod)?;
    let place = asked.iter_mut().find(|argument| argument.starts_with("--address=")).context("no address")?;
    ensure_eq!(place.as_str(), "--address=sumu-operator-metrics.sumu-system.svc:8080", "whom it asks");
    *place = format!("--address={address}");
    asked.push("--within-seconds=2".to_owned());
    let answer = cluster.run_as(NAMESPACE, RELEASE, &asked).await?;
    let phase = if answer.success { "Succeeded" } else { "Failed" };
    set_status(cluster, "pod", &name, &json!({"phase": phase})).await?;
    Ok(answer)
}

/// Fails unless what the release has made is there, or gone.
async fn ensure_there(cluster: &Cluster, expected: bool) -> Result<()> {
    for (kind, name) in
        [("deployment", RELEASE), ("serviceaccount", RELEASE), ("clusterrole", "sumu-system:sumu-operator")]
    {
        let found = ["get", kind, name, "--namespace", NAMESPACE, "--ignore-not-found", "--output=name"];
        let found = cluster.kubernetes.kubectl_ok(&found, "").await?;
        ensure_eq!(!found.is_empty(), expected, "whether the {kind} is there");
    }
    Ok(())
}

/// The definition's UID. One that is being deleted is still there for a while.
async fn definition(cluster: &Cluster) -> Result<Value> {
    let found = object(cluster, "crd", "sumustacks.sumu.live").await?;
    ensure!(found["metadata"]["deletionTimestamp"].is_null(), "the definition is being deleted");
    Ok(found["metadata"]["uid"].clone())
}

async fn test(cluster: &Cluster) -> Result<()> {
    let operator = cluster.operate(RELEASE, NAMESPACE, &[]).await?;
    let address = operator.ready().await?;
    let test = ["test", RELEASE, "--namespace", NAMESPACE, "--timeout=90s"];
    let (told, asked) = tokio::try_join!(cluster.helm.run(&test), test_pod(cluster, &address))?;
    ensure!(asked.success && asked.stdout.contains("is ready"), "the test's pod said {}", asked.stderr);
    ensure!(told.success, "helm test said {}{}", told.stdout, told.stderr);
    drop(operator);
    let (told, asked) = tokio::try_join!(cluster.helm.run(&test), test_pod(cluster, &address))?;
    ensure!(asked.stderr.contains("was not ready within 2s"), "the test's pod said {}", asked.stderr);
    ensure!(!told.success, "without an operator the test succeeds");
    Ok(())
}

async fn upgrade(cluster: &Cluster) -> Result<String> {
    cluster.apply("upgrade", &workspace::chart(), RELEASE, NAMESPACE, &json!({})).await
}

/// Does what the refusal asks for, without which nothing can be upgraded any more.
async fn take_back(cluster: &Cluster, refusal: &str, revision: u32) -> Result<()> {
    let stuck = upgrade(cluster).await;
    let said = stuck.err().context("it can be upgraded as it is")?.to_string();
    ensure!(said.contains("has no deployed releases"), "helm upgrade said {said}");
    let command = format!("helm rollback {RELEASE} {revision} --namespace {NAMESPACE}");
    ensure!(refusal.contains(&format!("`{command}`")), "the guard said {refusal}");
    let words: Vec<&str> = command.split(' ').skip(1).collect();
    cluster.helm.ok(&words).await?;
    upgrade(cluster).await?;
    Ok(())
}

#[test]
fn a_release_is_tested_and_goes_only_when_no_stack_is_left_and_the_definition_stays() -> Result<()> {
    run(async {
        let cluster = Cluster::start().await?;
        cluster.restricted_namespace(NAMESPACE).await?;
        cluster.kubernetes.kubectl_ok(&["create", "namespace", "apps"], "").await?;
        let notes = cluster.install(RELEASE, NAMESPACE, &json!({})).await?;
        ensure!(notes.contains("kubectl rollout status --namespace sumu-system deployment/sumu-operator"), "{notes}");
        let kept = definition(&cluster).await?;
        test(&cluster).await?;

        cluster.kubernetes.kubectl_ok(&["create", "--filename=-"], SMALLEST).await?;
        let (told, guard) = uninstall(&cluster).await?;
        ensure!(!told.success, "it was uninstalled: {}", told.stdout);
        for words in ["a SumuStack is left: apps/live.", "kubectl delete sumu", "helm uninstall --no-hooks"] {
            ensure!(guard.stderr.contains(words), "the guard said {}", guard.stderr);
        }
        ensure_there(&cluster, true).await?;
        take_back(&cluster, &guard.stderr, 1).await?;

        // The next revision's guard knows its own number.
        let (told, guard) = uninstall(&cluster).await?;
        ensure!(!told.success, "it was uninstalled: {}", told.stdout);
        take_back(&cluster, &guard.stderr, 3).await?;

        let delete = ["delete", "sumustack", "live", "--namespace=apps"];
        cluster.kubernetes.kubectl_ok(&delete, "").await?;
        let (told, guard) = uninstall(&cluster).await?;
        ensure!(guard.stdout.contains("no SumuStack is left"), "the guard said {}", guard.stderr);
        ensure!(told.success, "helm uninstall said {}", told.stderr);
        ensure_there(&cluster, false).await?;
        // The next release takes the definition over.
        cluster.install(RELEASE, NAMESPACE, &json!({})).await?;
        ensure_there(&cluster, true).await?;
        ensure_eq!(definition(&cluster).await?, kept, "the definition, by its UID");
        Ok(())
    })
}

#[test]
fn the_guard_says_no_when_it_cannot_know() -> Result<()> {
    let cluster = Cluster::shared()?;
    run(async {
        cluster.kubernetes.kubectl_ok(&["create", "namespace", "strangers"], "").await?;
        cluster.kubernetes.kubectl_ok(&["create", "serviceaccount", "stranger", "--namespace=strangers"], "").await?;
        let answer = cluster.run_as("strangers", "stranger", &["guard-uninstall".to_owned()]).await?;
        ensure!(!answer.success, "it said yes");
        let words = ["not known whether stacks are left", "forbidden"];
        ensure!(words.iter().all(|words| answer.stderr.contains(words)), "it said {}", answer.stderr);
        Ok(())
    })
}

#[test]
fn a_definition_that_is_not_there_leaves_no_stack() -> Result<()> {
    run(async {
        let cluster = Cluster::start().await?;
        cluster.restricted_namespace(NAMESPACE).await?;
        cluster.install(RELEASE, NAMESPACE, &json!({"crds": {"enabled": false}})).await?;
        let answer = cluster.run_as(NAMESPACE, RELEASE, &["guard-uninstall".to_owned()]).await?;
        ensure!(answer.success, "it said {}", answer.stderr);
        Ok(())
    })
}
