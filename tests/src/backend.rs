//! Backends: plain boto3, as a team would write them, that know nothing of us.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::poll::{eventually, within};
use crate::{Context, Error, Result, ensure, workspace};

/// Beyond what a script waits for by itself: Python and boto3 need seconds to start on a busy machine.
const MARGIN: Duration = Duration::from_mins(1);

/// What the script gives Lambda for a role that spreads and a function that starts.
const FUNCTION_MADE_WITHIN: Duration = Duration::from_mins(1);
const TAKEN_WITHIN: Duration = Duration::from_mins(1);
const ONE_LOOK: Duration = Duration::from_secs(5);

/// A backend.
#[derive(Clone, Debug)]
pub struct Backend {
    variables: BTreeMap<String, String>,
    python: PathBuf,
    script: PathBuf,
}

/// A message that a backend received.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Received {
    /// SQS's id of the message.
    pub id: String,
    /// The body, as it came.
    pub body: String,
    /// The message attributes, each with its `type` and `value`.
    pub attributes: Map<String, Value>,
}

impl Received {
    /// The body, as JSON.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.body).with_context(|| format!("not JSON: {}", self.body))
    }

    /// The value of an attribute, which is text whatever its type.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.get(name)?.get("value")?.as_str()
    }

    /// The type of an attribute.
    #[must_use]
    pub fn attribute_type(&self, name: &str) -> Option<&str> {
        self.attributes.get(name)?.get("type")?.as_str()
    }
}

impl Backend {
    /// A backend that finds AWS as its environment says.
    pub fn new(variables: BTreeMap<String, String>) -> Result<Self> {
        let script = workspace::root().join("tests/testbed/backend.py");
        Ok(Self { variables, python: workspace::python()?, script })
    }

    /// Publishes to a topic and returns SNS's id of the message.
    pub async fn publish(&self, topic_arn: &str, message: &str) -> Result<String> {
        self.run(&json!({"do": "publish", "topic": topic_arn, "message": message}), Duration::ZERO).await
    }

    /// Sends to a queue and returns SQS's id of the message.
    pub async fn send(&self, queue_url: &str, message: &str) -> Result<String> {
        let ids = self.send_all(queue_url, &[message]).await?;
        ids.into_iter().next().context("SQS gave no id")
    }

    /// Sends up to ten messages to a queue in one batch, so that one receiver probably gets them together.
    pub async fn send_all(&self, queue_url: &str, messages: &[&str]) -> Result<Vec<String>> {
        self.run(&json!({"do": "send", "queue": queue_url, "messages": messages}), Duration::ZERO).await
    }

    /// Receives and deletes messages until there are `count`, or longer than `patience` has passed.
    ///
    /// A dead-letter queue is read with this as well.
    pub async fn receive(&self, queue_url: &str, count: usize, patience: Duration) -> Result<Vec<Received>> {
        let order = json!({"do": "receive", "queue": queue_url, "count": count, "seconds": patience.as_secs()});
        let received: Vec<Received> = self.run(&order, patience).await?;
        ensure!(received.len() >= count, "{queue_url} had {} messages, not {count}: {received:#?}", received.len());
        Ok(received)
    }

    /// Receives and deletes what is there now, which may be nothing.
    pub async fn drain(&self, queue_url: &str) -> Result<Vec<Received>> {
        self.run(&json!({"do": "drain", "queue": queue_url}), Duration::ZERO).await
    }

    /// Makes a queue that gets everything a topic does, as it was published, and returns its URL.
    pub async fn subscribe(&self, topic_arn: &str, queue_name: &str) -> Result<String> {
        self.run(&json!({"do": "subscribe", "topic": topic_arn, "queue": queue_name}), Duration::ZERO).await
    }

    /// Deletes a queue that [`Self::subscribe`] made, and its subscription.
    pub async fn unsubscribe(&self, topic_arn: &str, queue_url: &str) -> Result<()> {
        self.run(&json!({"do": "unsubscribe", "topic": topic_arn, "queue": queue_url}), Duration::ZERO).await
    }

    /// DynamoDB's word for the point-in-time recovery of a table: `ENABLED` or `DISABLED`.
    pub async fn recovery(&self, table: &str) -> Result<String> {
        self.run(&json!({"do": "recovery", "table": table}), Duration::ZERO).await
    }

    /// Makes a function that logs each event that it gets as one line, and returns its ARN.
    pub async fn logging_function(&self, name: &str) -> Result<String> {
        self.run(&json!({"do": "logging_function", "name": name}), FUNCTION_MADE_WITHIN).await
    }

    /// Makes a function of a backend's own. It tells a queue of each record that it is given, which is all that its role,
    /// of the same name, may do. Returns its ARN.
    pub async fn function(&self, name: &str, outbox_url: &str, timeout_seconds: u32) -> Result<String> {
        let order = json!({"do": "function", "name": name, "outbox": outbox_url, "timeout": timeout_seconds});
        // A new role cannot be assumed for a while.
        eventually(TAKEN_WITHIN, &format!("function {name} to be made"), async || {
            self.run(&order, Duration::ZERO).await
        })
        .await
    }

    /// Publishes a version of a function and gives it an alias, whose ARN it returns.
    pub async fn alias(&self, function: &str, name: &str) -> Result<String> {
        let order = json!({"do": "alias", "function": function, "name": name});
        eventually(TAKEN_WITHIN, &format!("alias {name} of {function}"), async || {
            self.run(&order, Duration::ZERO).await
        })
        .await
    }

    /// Gives a role the rights of a policy.
    pub async fn allow(&self, role: &str, policy: &str) -> Result<()> {
        self.run(&json!({"do": "allow", "role": role, "policy": policy}), Duration::ZERO).await
    }

    /// Deletes a function that [`Self::function`] made, and its role.
    pub async fn remove_function(&self, name: &str) -> Result<()> {
        self.run(&json!({"do": "remove_function", "name": name}), Duration::ZERO).await
    }

    /// Follows a queue whose messages are about different things.
    #[must_use]
    pub fn inbox(&self, queue_url: &str) -> Inbox {
        Inbox { backend: self.clone(), queue_url: queue_url.to_owned(), waiting: Vec::new() }
    }

    async fn run<T: serde::de::DeserializeOwned>(&self, order: &Value, patience: Duration) -> Result<T> {
        within(patience + MARGIN, &format!("the backend's {}", order["do"]), async {
            let mut child = Command::new(&self.python)
                .arg(&self.script)
                .env_clear()
                .envs(&self.variables)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .kill_on_drop(true)
                .spawn()?;
            let mut stdin = child.stdin.take().context("the backend has no input")?;
            stdin.write_all(order.to_string().as_bytes()).await?;
            drop(stdin);
            let output = child.wait_with_output().await?;
            ensure!(output.status.success(), "the backend failed: {}", String::from_utf8_lossy(&output.stderr));
            Ok(serde_json::from_slice(&output.stdout)?)
        })
        .await
    }
}

/// What came from one queue and has not been asked for yet.
#[derive(Clone, Debug)]
pub struct Inbox {
    backend: Backend,
    queue_url: String,
    waiting: Vec<Received>,
}

impl Inbox {
    /// Takes the first message that is wanted, and receives until there is one.
    pub async fn take(&mut self, what: &str, wanted: impl Fn(&Received) -> bool) -> Result<Received> {
        eventually(TAKEN_WITHIN, &format!("{what} in {}", self.queue_url), async || {
            if let Some(found) = self.waiting.iter().position(&wanted) {
                return Ok(self.waiting.remove(found));
            }
            self.waiting.extend(self.backend.receive(&self.queue_url, 1, ONE_LOOK).await?);
            Err(Error::new(format!("other messages: {:#?}", self.waiting)))
        })
        .await
    }

    /// What has come and nobody took.
    #[must_use]
    pub fn waiting(&self) -> &[Received] {
        &self.waiting
    }
}
