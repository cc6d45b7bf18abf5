//! One test's own namespace, operator and stack, and their end, which is the same for every test: nothing is left.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use aws_config::SdkConfig;
use serde_json::{Value, json};
use sumu_tests::aws::Inventory;
use sumu_tests::backend::Backend;
use sumu_tests::client::{Client, Credentials};
use sumu_tests::image::Image;
use sumu_tests::operator::{Operator, Pass, Settings};
use sumu_tests::stack::{self, SETTLED_WITHIN, Stack};
use sumu_tests::{Context, Result, Testbed, ensure, ensure_eq, eventually, story_of};

use crate::totals::{self, Measured};

/// How much there is of everything in a complete stack that was never changed.
const COMPLETE: [(&str, usize); 17] = [
    ("api", 1),
    ("authorizer", 1),
    ("deployment", 1),
    ("event source", 3),
    ("function", 4),
    ("integration", 1),
    ("log group", 4),
    ("permission", 3),
    ("queue", 7),
    ("role", 4),
    ("role policy", 4),
    ("route", 6),
    ("route response", 4),
    ("stage", 1),
    ("subscription", 1),
    ("table", 2),
    ("topic", 2),
];

/// What the pusher counts, by its name in the log.
pub mod counts {
    pub const BAD_REQUESTS: &str = "BadRequests";
    pub const DELIVERED: &str = "PostsDelivered";
    pub const EXPIRED: &str = "PostsExpired";
    pub const GONE: &str = "PostsGone";
    pub const RETRIED: &str = "PostsRetried";
}

/// What is to be set up.
#[derive(Clone, Debug)]
pub struct Setup {
    name: &'static str,
    resync_seconds: Option<u32>,
    spec: Value,
    length: Duration,
}

/// How long a story may take.
const LENGTH: Duration = Duration::from_mins(5);

/// A stack that is Ready, with its surroundings.
#[derive(Debug)]
pub struct Scene {
    pub testbed: &'static Testbed,
    pub namespace: String,
    pub operator: Operator,
    pub stack: Stack,
    /// As it was when the stack became Ready, or was last asked for with [`Scene::ready`].
    pub status: Value,
    settings: Settings,
    is_operated: bool,
    manifest: Value,
    measured: Option<Measured>,
}

/// Begins to set up a scene; the name is for namespaces and tables of measurements.
pub fn scene(name: &'static str) -> Setup {
    Setup { name, resync_seconds: None, spec: json!({}), length: LENGTH }
}

impl Setup {
    /// Lets the operator look again that often.
    pub fn resync_seconds(mut self, seconds: u32) -> Self {
        self.resync_seconds = Some(seconds);
        self
    }

    /// Lets the story take that long.
    pub fn lasting(mut self, length: Duration) -> Self {
        self.length = length;
        self
    }

    /// Changes the usual spec, by a JSON merge patch.
    pub fn spec(mut self, patch: Value) -> Self {
        self.spec = patch;
        self
    }

    /// Applies the stack, waits until it is Ready, tells the story, deletes the stack and looks that nothing is left.
    pub fn play(self, tell: impl AsyncFnOnce(&mut Scene) -> Result<()>) -> Result<()> {
        self.play_from_the_start(async |scene| {
            scene.apply().await?;
            scene.ready().await?;
            tell(scene).await
        })
    }

    /// The same, but the story begins before the stack is applied.
    pub fn play_from_the_start(self, tell: impl AsyncFnOnce(&mut Scene) -> Result<()>) -> Result<()> {
        story_of(self.length, async |testbed| {
            let mut scene = self.begin(testbed).await?;
            tell(&mut scene).await?;
            scene.end().await
        })
    }

    async fn begin(self, testbed: &'static Testbed) -> Result<Scene> {
        let namespace = testbed.kubernetes().namespace(self.name).await?;
        let settings = Settings {
            resync_seconds: self.resync_seconds,
            key: Some(namespace.clone()),
            ..Settings::namespace(&namespace)
        };
        let operator = Operator::start(testbed, &settings)?;
        let mut manifest = stack::manifest(testbed, &namespace, "live");
        merge(&mut manifest["spec"], &self.spec);
        let stack = Stack::existing(testbed, &namespace, "live").await?;
        let (status, is_operated, measured) = (Value::Null, true, None);
        Ok(Scene { testbed, namespace, operator, stack, status, settings, is_operated, manifest, measured })
    }
}

impl Scene {
    /// Changes the spec that will be applied, by a JSON merge patch.
    pub fn change(&mut self, spec: &Value) {
        merge(&mut self.manifest["spec"], spec);
    }

    /// The manifest that will be applied, or was.
    pub const fn manifest(&self) -> &Value {
        &self.manifest
    }

    /// Applies the stack's manifest.
    pub async fn apply(&mut self) -> Result<()> {
        self.measured = Some(Measured { applied: Instant::now(), ready: None });
        Stack::apply(self.testbed, &self.manifest).await?;
        Ok(())
    }

    /// Waits until the stack is Ready as its spec is now.
    pub async fn ready(&mut self) -> Result<&Value> {
        self.status = self.stack.ready().await?;
        if let Some(measured) = &mut self.measured {
            measured.ready.get_or_insert_with(Instant::now);
        }
        Ok(&self.status)
    }

    /// Changes the spec and waits until the stack is Ready with the change.
    pub async fn edit(&mut self, spec: Value) -> Result<()> {
        self.stack.patch(&json!({ "spec": spec })).await?;
        self.ready().await?;
        Ok(())
    }

    /// Waits until the object is as it should be, which `look` says.
    pub async fn until(&self, what: &str, look: impl Fn(&Value) -> Result<()>) -> Result<Value> {
        eventually(SETTLED_WITHIN, what, async || {
            let object = self.stack.object().await?;
            look(&object).with_context(|| format!("status {}", object["status"]))?;
            Ok(object)
        })
        .await
    }

    /// The passes over a stack of this namespace.
    pub fn passes(&self, stack: &str) -> Result<Vec<Pass>> {
        let name = format!("{}/{stack}", self.namespace);
        Ok(self.operator.passes()?.into_iter().filter(|pass| pass.stack == name).collect())
    }

    /// Waits until the operator has made `count` more passes over the stack, and returns these.
    pub async fn more_passes(&mut self, count: usize) -> Result<Vec<Pass>> {
        let before = self.passes("live")?.len();
        eventually(SETTLED_WITHIN, &format!("{count} more passes"), async || {
            self.operator.ensure_running()?;
            let passes = self.passes("live")?.split_off(before);
            ensure!(passes.len() >= count, "there were {}", passes.len());
            Ok(passes)
        })
        .await
    }

    /// Kills the operator as a crash would.
    pub fn kill_operator(&mut self) -> Result<()> {
        self.is_operated = false;
        self.operator.kill()
    }

    /// Stops the operator as a cluster does, which is no failure.
    pub fn stop_operator(&mut self) -> Result<()> {
        self.is_operated = false;
        let ended = self.operator.terminate()?;
        ensure!(ended.success(), "the operator ended with {ended}");
        Ok(())
    }

    /// Starts another operator in the place of one that is gone.
    pub fn start_operator(&mut self) -> Result<()> {
        self.operator = Operator::start(self.testbed, &self.settings)?;
        self.is_operated = true;
        Ok(())
    }

    /// Starts another operator with more arguments, which win over the usual ones.
    pub fn start_operator_with(&mut self, arguments: &[&str]) -> Result<()> {
        let arguments = arguments.iter().map(ToString::to_string).collect();
        self.operator = Operator::start(self.testbed, &Settings { arguments, ..self.settings.clone() })?;
        self.is_operated = true;
        Ok(())
    }

    /// Starts another operator in the place of this one, with another way to the API server; so are those to come.
    pub fn operate_with(&mut self, kubeconfig: PathBuf) -> Result<()> {
        self.kill_operator()?;
        self.settings.kubeconfig = Some(kubeconfig);
        self.start_operator()
    }

    /// Starts another operator in the place of this one, without access keys; so are those to come.
    pub fn operate_as(&mut self, identity: Vec<(String, String)>) -> Result<()> {
        self.kill_operator()?;
        self.settings.identity = Some(identity);
        self.start_operator()
    }

    /// Starts the image's operator in the place of this one, with the image's packages; so are those to come.
    pub async fn operate_from(&mut self, image: &Image) -> Result<()> {
        self.stop_operator()?;
        let kubernetes = self.testbed.kubernetes();
        self.settings.kubeconfig = Some(image.kubeconfig(kubernetes, &kubernetes.kubeconfig()).await?);
        self.settings.image = Some(image.clone());
        self.start_operator()
    }

    /// All that the operators of this namespace have written, not only what is JSON.
    pub fn operator_log(&self) -> Result<String> {
        let path = self.testbed.folder().logs().join(format!("operator-{}.log", self.namespace));
        std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    }

    /// The log lines of one function of this namespace that are JSON.
    pub async fn function_lines(&self, function: &str) -> Result<Vec<Value>> {
        let logs = self.testbed.aws().function_logs(&self.prefix()).await?;
        let group = format!("-{function} ");
        let of_function = logs.lines().filter_map(|line| line.split_once(&group));
        Ok(of_function.filter_map(|(_, line)| serde_json::from_str(line).ok()).collect())
    }

    /// How much the pusher has counted of something over all invocations.
    pub async fn counted(&self, what: &str) -> Result<u64> {
        let lines = self.function_lines("pusher").await?;
        ensure!(lines.iter().any(|line| line["function"] == "pusher"), "the pusher has told nothing: {lines:#?}");
        Ok(lines.iter().filter_map(|line| line[what].as_u64()).sum())
    }

    /// The access key with which this namespace's operator calls AWS.
    pub fn key(&self) -> &str {
        &self.namespace
    }

    /// What all names in AWS of this namespace's stacks begin with.
    pub fn prefix(&self) -> String {
        format!("sumu-{}-", self.namespace)
    }

    /// Everything that this namespace has in AWS.
    pub async fn inventory(&self) -> Result<Inventory> {
        self.testbed.aws().inventory(&self.prefix()).await
    }

    /// Settings for clients of the AWS SDK.
    pub async fn sdk(&self) -> SdkConfig {
        self.testbed.aws().sdk().await
    }

    /// A backend.
    pub fn backend(&self) -> Result<Backend> {
        self.testbed.backend()
    }

    /// A text of the status, by its JSON pointer.
    pub fn text(&self, pointer: &str) -> Result<&str> {
        text(&self.status, pointer)
    }

    /// Connects with a good token.
    pub async fn connect(&self, user: &str) -> Result<Client> {
        let token = self.testbed.issuer().token(user).sign()?;
        Client::connect(self.text("/endpoint")?, Credentials::Query(&token)).await
    }

    /// Asks for the stack's deletion, waits until it is gone and looks that nothing of it is left.
    pub async fn delete(&mut self) -> Result<()> {
        self.stack.delete().await?;
        self.stack.gone().await?;
        let left = self.inventory().await?;
        ensure!(left.is_empty(), "left in AWS:\n{left}");
        Ok(())
    }

    async fn end(mut self) -> Result<()> {
        let lacked = self.testbed.aws().gateway().lacked(&self.prefix());
        ensure!(lacked.is_empty(), "functions called what their roles do not allow: {lacked:#?}");
        if !self.is_operated {
            // A story that ends so has looked for itself that nothing is left.
            ensure!(!self.stack.exists().await?, "a stack is left without an operator");
            return Ok(());
        }
        self.operator.ensure_running()?;
        // Stories about deletion have done it themselves.
        if self.stack.exists().await? {
            if let Some(measured) = &self.measured {
                totals::record(&self.namespace, measured, &self.passes("live")?, self.operator.memory_kib()?);
            }
            self.delete().await?;
        }
        self.stop_operator()
    }
}

/// One edit that touches every kind of part.
pub fn change_of_every_part() -> Value {
    json!({
        "tags": {"team": "chat"},
        "connections": {"pointInTimeRecovery": true},
        "functions": {"memoryMiB": 384},
        "gateway": {"accessLogs": {"retentionDays": 1}, "throttling": {"rateLimit": 321, "burstLimit": 654}},
        "presence": {"source": "Both", "gracePeriodSeconds": 30},
    })
}

/// Fails unless there is exactly one of everything.
pub fn ensure_complete(inventory: &Inventory) -> Result<()> {
    ensure_complete_but(inventory, &[])
}

/// Fails unless there is exactly one of everything, with other numbers of some kinds: those of a changed stack.
pub fn ensure_complete_but(inventory: &Inventory, others: &[(&'static str, usize)]) -> Result<()> {
    let mut complete = BTreeMap::from(COMPLETE);
    complete.extend(others.iter().copied());
    ensure_eq!(inventory.counts(), complete, "how much there is of everything, in\n{inventory}");
    for kind in complete.into_keys() {
        let mut names = inventory.names(kind).to_vec();
        names.dedup();
        ensure_eq!(names.len(), inventory.count(kind), "each {kind} is there once, in\n{inventory}");
    }
    Ok(())
}

/// How many things a complete stack is.
pub fn complete_total() -> usize {
    COMPLETE.iter().map(|(_, count)| count).sum()
}

/// How many things there are.
pub fn total(inventory: &Inventory) -> usize {
    inventory.counts().values().sum()
}

/// What all names of the stack with this status begin with.
pub fn names_begin(status: &Value) -> Result<&str> {
    let table = text(status, "/connectionsTable/name")?;
    table.strip_suffix("-connections").with_context(|| format!("{table} is no connections table"))
}

/// A text of a status, by its JSON pointer.
pub fn text<'a>(status: &'a Value, pointer: &str) -> Result<&'a str> {
    status.pointer(pointer).and_then(Value::as_str).with_context(|| format!("there is no {pointer} in {status}"))
}

/// Applies a JSON merge patch (RFC 7396).
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else { return target.clone_from(patch) };
    if !target.is_object() {
        *target = json!({});
    }
    for (name, value) in patch {
        match value {
            Value::Null => drop(target.as_object_mut().and_then(|members| members.remove(name))),
            value => merge(&mut target[name.as_str()], value),
        }
    }
}
