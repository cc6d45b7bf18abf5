//! The chart's rights are what the operator needs, all of it and nothing else, with everything that it does to a stack.
//!
//! Pods never run here. The operator is a process with the arguments of the chart's Deployment and the token of the chart's
//! service account, behind a proxy that notes which right each of its requests needs.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use sumu_tests::gateway::Seen;
use sumu_tests::helm::{Helm, IMAGE, arguments, find};
use sumu_tests::kubernetes::Kubernetes;
use sumu_tests::kubernetes::proxy::Proxy;
use sumu_tests::kubernetes::right::Right;
use sumu_tests::operator::{Operator, Settings};
use sumu_tests::poll::{PATIENCE, patient, within};
use sumu_tests::stack::{self, SETTLED_WITHIN, Stack};
use sumu_tests::{Context, Result, Testbed, ensure, ensure_eq, eventually, story, workspace};

const LIFE_WITHIN: Duration = Duration::from_mins(6);
const RELEASE: &str = "sumu-operator";
const SYSTEM: &str = "sumu-system";
const APPS: &str = "apps";
const KEY: &str = "chart";

/// What a rule of a role grants: one verb on one resource.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Grant {
    /// None for all namespaces.
    namespace: Option<String>,
    group: String,
    resource: String,
    verb: String,
    /// None for all names.
    name: Option<String>,
}

impl Grant {
    fn covers(&self, right: &Right) -> bool {
        self.group == right.group
            && self.resource == right.resource
            && self.verb == right.verb
            && (self.namespace.is_none() || self.namespace == right.namespace)
            && (self.name.is_none() || self.name == right.name)
    }
}

/// Everything that the chart grants to its service account.
fn grants(objects: &[Value]) -> Result<BTreeSet<Grant>> {
    let texts = |value: &Value| -> Vec<String> { each(value).map(ToOwned::to_owned).collect() };
    let mut grants = BTreeSet::new();
    for binding in objects.iter().filter(|object| object["roleRef"].is_object()) {
        let (kind, name) = (binding["roleRef"]["kind"].as_str(), binding["roleRef"]["name"].as_str());
        let namespace = binding["metadata"]["namespace"].as_str();
        let role = objects.iter().find(|object| {
            object["kind"].as_str() == kind
                && object["metadata"]["name"].as_str() == name
                && object["metadata"]["namespace"].as_str() == namespace
        });
        let rules = role.and_then(|role| role["rules"].as_array()).with_context(|| format!("no role {name:?}"))?;
        for rule in rules {
            let mut names: Vec<Option<String>> = texts(&rule["resourceNames"]).into_iter().map(Some).collect();
            if names.is_empty() {
                names.push(None);
            }
            for (group, resource) in texts(&rule["apiGroups"])
                .iter()
                .flat_map(|group| texts(&rule["resources"]).into_iter().map(move |resource| (group.clone(), resource)))
            {
                for (verb, name) in
                    texts(&rule["verbs"]).iter().flat_map(|verb| names.iter().map(move |name| (verb, name)))
                {
                    grants.insert(Grant {
                        namespace: namespace.map(ToOwned::to_owned),
                        group: group.clone(),
                        resource: resource.clone(),
                        verb: verb.clone(),
                        name: name.clone(),
                    });
                }
            }
        }
    }
    Ok(grants)
}

/// Fails unless the rights that were needed are those that are granted.
fn ensure_least(grants: &BTreeSet<Grant>, needed: &BTreeSet<Right>) -> Result<()> {
    let missing: Vec<String> = needed
        .iter()
        .filter(|right| !grants.iter().any(|grant| grant.covers(right)))
        .map(ToString::to_string)
        .collect();
    ensure!(missing.is_empty(), "the chart does not grant:\n  {}", missing.join("\n  "));
    let idle: Vec<&Grant> = grants.iter().filter(|grant| !needed.iter().any(|right| grant.covers(right))).collect();
    ensure!(idle.is_empty(), "the chart grants what nothing has needed: {idle:#?}");
    Ok(())
}

/// Fails unless each rule of each role is missed, by its own name, when it is taken away.
fn ensure_each_is_missed(objects: &[Value], needed: &BTreeSet<Right>) -> Result<()> {
    let mut taken = 0;
    for (at, role) in objects.iter().enumerate().filter(|(_, object)| bound(objects, object)) {
        for (number, rule) in role["rules"].as_array().context("a role without rules")?.iter().enumerate() {
            let mut fewer = objects.to_vec();
            fewer[at]["rules"].as_array_mut().context("no rules")?.remove(number);
            let missing = ensure_least(&grants(&fewer)?, needed).err().with_context(|| format!("unmissed: {rule}"))?;
            let missing = missing.to_string();
            for (resource, verb) in
                each(&rule["resources"]).flat_map(|one| each(&rule["verbs"]).map(move |verb| (one, verb)))
            {
                ensure!(missing.contains(&format!("  {verb} {resource} of ")), "without {rule}: {missing}");
            }
            taken += 1;
        }
    }
    ensure!(taken >= 6, "only {taken} rules were found");
    Ok(())
}

fn each(texts: &Value) -> impl Iterator<Item = &str> {
    texts.as_array().into_iter().flatten().filter_map(Value::as_str)
}

/// Whether this is a role that the operator has. Those for users it has not.
fn bound(objects: &[Value], role: &Value) -> bool {
    let name = |object: &Value| (object["kind"].clone(), object["metadata"]["name"].clone());
    let roles = objects.iter().map(|object| (object["roleRef"]["kind"].clone(), object["roleRef"]["name"].clone()));
    role["rules"].is_array() && roles.into_iter().any(|bound| bound == name(role))
}

/// A release of the chart, and how its operator is started.
struct Release<'a> {
    testbed: &'a Testbed,
    helm: Helm,
    objects: Vec<Value>,
}

impl<'a> Release<'a> {
    async fn install(testbed: &'a Testbed, chart: &Path, namespace: &str, values: &[&str]) -> Result<Self> {
        let helm = Helm::of(testbed.kubernetes())?;
        let region = format!("region={}", testbed.aws().region());
        let chart = chart.to_str().context("a path that is no text")?;
        let image = format!("image.repository={IMAGE}");
        let mut words = vec!["upgrade", "--install", RELEASE, chart, "--namespace", namespace];
        words.extend(["--set", &region, "--set", &image]);
        words.extend(values.iter().flat_map(|value| ["--set", value]));
        helm.ok(&words).await?;
        let objects = helm.objects(RELEASE, namespace).await?;
        Ok(Self { testbed, helm, objects })
    }

    /// Starts the operator as the Deployment would, but for where AWS, the packages and the port are.
    fn operate(&self, kubeconfig: &Path, log: &str) -> Result<Operator> {
        let deployment = find(&self.objects, "Deployment", "")?;
        let mut given = arguments(&deployment["spec"]["template"])?;
        ensure_eq!(given.remove(0), "run", "the subcommand");
        given.retain(|argument| !argument.starts_with("--metrics-address="));
        let settings = Settings {
            arguments: given,
            log: Some(log.to_owned()),
            kubeconfig: Some(kubeconfig.to_owned()),
            key: Some(KEY.to_owned()),
            ..Settings::default()
        };
        Operator::start(self.testbed, &settings)
    }
}

async fn until_said(operator: &Operator, message: &str, times: usize) -> Result<()> {
    eventually(SETTLED_WITHIN, &format!("{message:?}, {times} times"), async || {
        let count = operator.said(message)?;
        ensure!(count >= times, "it was said {count} times");
        Ok(())
    })
    .await
}

async fn until_exported(kubernetes: &Kubernetes, name: &str, endpoint: &Value) -> Result<()> {
    eventually(PATIENCE, &format!("ConfigMap {name}"), async || {
        let found = ["get", "configmap", name, "--namespace", APPS, "--output=json"];
        let found: Value = serde_json::from_str(&kubernetes.kubectl_ok(&found, "").await?)?;
        ensure_eq!(&found["data"]["SUMU_ENDPOINT"], endpoint, "the address");
        Ok(())
    })
    .await
}

/// Everything that an operator ever asks of the API server about a stack and its ConfigMap.
async fn everything(kubernetes: &Kubernetes, stack: &Stack) -> Result<()> {
    let endpoint = stack.ready().await?["endpoint"].clone();
    until_exported(kubernetes, "addresses", &endpoint).await?;
    let edit = ["patch", "configmap", "addresses", "--namespace", APPS, "--type=merge"];
    let edit = [&edit[..], &["--patch", r#"{"data": {"SUMU_ENDPOINT": "wrong"}}"#]].concat();
    kubernetes.kubectl_ok(&edit, "").await?;
    until_exported(kubernetes, "addresses", &endpoint).await?;
    // Another name, so that the old one is deleted; and a second event that says the same, which is counted.
    stack.patch(&json!({"spec": {"export": {"configMapName": "renamed"}, "pusher": {"maxConcurrency": 3}}})).await?;
    stack.ready().await?;
    until_exported(kubernetes, "renamed", &endpoint).await
}

/// The calls of the operator that changed something in AWS.
fn writes(testbed: &Testbed) -> Vec<Seen> {
    testbed.aws().gateway().seen(KEY).into_iter().filter(|seen| !seen.is_read).collect()
}

async fn life(testbed: &Testbed) -> Result<()> {
    let kubernetes = testbed.kubernetes();
    for namespace in [SYSTEM, APPS] {
        kubernetes.kubectl_ok(&["create", "namespace", namespace], "").await?;
    }
    let quick = ["resyncSeconds=1"];
    let release = Release::install(testbed, &workspace::chart(), SYSTEM, &quick).await?;
    let identity = kubernetes.kubeconfig_of(SYSTEM, RELEASE).await?;
    let proxy = Proxy::start_as(kubernetes, "chart", &identity).await?;
    let mut operator = release.operate(&proxy.kubeconfig(), "chart")?;
    let mut manifest = stack::manifest(testbed, APPS, "live");
    manifest["spec"]["export"] = json!({"configMapName": "addresses"});
    until_said(&operator, "leading", 1).await?;
    let stack = Stack::apply(testbed, &manifest).await?;
    everything(kubernetes, &stack).await?;

    // A newer chart with a newer operator. The old one is killed, so that the new one has to wait for the Lease.
    let made = writes(testbed).len();
    let newer = newer_chart()?;
    let release = Release::install(testbed, newer.path(), SYSTEM, &quick).await?;
    let passes = operator.passes()?.len();
    operator.kill()?;
    operator = release.operate(&proxy.kubeconfig(), "chart")?;
    until_said(&operator, "leading", 2).await?;
    eventually(SETTLED_WITHIN, "three passes of the new operator", async || {
        let count = operator.passes()?.len();
        ensure!(count >= passes + 3, "there were {}", count.saturating_sub(passes));
        Ok(())
    })
    .await?;
    let after = writes(testbed).split_off(made);
    ensure!(after.is_empty(), "the upgrade has changed something in AWS: {after:?}");

    stack.delete().await?;
    stack.gone().await?;
    let left = testbed.aws().inventory(&format!("sumu-{APPS}-")).await?;
    ensure!(left.is_empty(), "left in AWS:\n{left}");
    let told = ["get", "events.events.k8s.io", "--namespace", APPS, "--output=jsonpath={.items[*].reason}"];
    eventually(PATIENCE, "the last event", async || {
        let told = kubernetes.kubectl_ok(&told, "").await?;
        ensure!(["Creating", "Ready", "Deleted"].iter().all(|reason| told.contains(reason)), "told were {told}");
        Ok(())
    })
    .await?;
    ensure!(operator.terminate()?.success(), "the operator did not end well");
    ensure_eq!(operator.said("event not written")?, 0, "events that were refused");
    ensure_least(&grants(&release.objects)?, &proxy.rights())?;
    // Each of these requests was answered by the API server's own authorization, so one without its rule is refused.
    ensure_each_is_missed(&release.objects, &proxy.rights())?;
    release.helm.ok(&["uninstall", RELEASE, "--namespace", SYSTEM, "--no-hooks"]).await?;
    Ok(())
}

/// A copy of the chart of another version.
fn newer_chart() -> Result<tempfile::TempDir> {
    let folder = tempfile::tempdir()?;
    let copied =
        std::process::Command::new("cp").arg("-r").arg(workspace::chart().join(".")).arg(folder.path()).status()?;
    ensure!(copied.success(), "the chart was not copied");
    let path = folder.path().join("Chart.yaml");
    let text = std::fs::read_to_string(&path)?.replace(env!("CARGO_PKG_VERSION"), "99.0.0");
    std::fs::write(&path, text)?;
    Ok(folder)
}

/// On a testbed of its own, because this operator looks after all namespaces.
#[test]
fn an_operator_with_the_charts_rights_alone_lives_a_whole_life_and_needs_each_of_them() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(async {
        let testbed = Testbed::start().await?;
        let lived = within(patient(LIFE_WITHIN), "the life", life(&testbed)).await;
        if lived.is_err() {
            testbed.keep_logs().await;
        }
        lived
    })
}

#[test]
fn an_operator_with_rights_in_one_namespace_works_there() -> Result<()> {
    story(async |testbed| {
        let kubernetes = testbed.kubernetes();
        let (system, apps) = (kubernetes.namespace("charted").await?, kubernetes.namespace("charted").await?);
        // The testbed has installed the definition for all.
        let chosen = format!("watchNamespaces={{{apps}}}");
        let values = [chosen.as_str(), "crds.enabled=false", "rbac.userRoles=false"];
        let release = Release::install(testbed, &workspace::chart(), &system, &values).await?;
        let kinds: BTreeSet<&str> = release.objects.iter().filter_map(|object| object["kind"].as_str()).collect();
        ensure!(kinds.iter().all(|kind| !kind.starts_with("Cluster")), "something is cluster-wide: {kinds:?}");
        let identity = kubernetes.kubeconfig_of(&system, RELEASE).await?;
        let mut operator = release.operate(&identity, &system)?;
        until_said(&operator, "leading", 1).await?;
        let stack = Stack::apply(testbed, &stack::manifest(testbed, &apps, "live")).await?;
        stack.ready().await?;
        stack.delete().await?;
        stack.gone().await?;
        let left = testbed.aws().inventory(&format!("sumu-{apps}-")).await?;
        ensure!(left.is_empty(), "left in AWS:\n{left}");
        ensure!(operator.terminate()?.success(), "the operator did not end well");
        Ok(())
    })
}
