//! Stacks beside each other: each works, and none touches another.

use serde_json::{Value, json};
use sumu_tests::client::{Client, Credentials};
use sumu_tests::stack::{self, Stack};
use sumu_tests::{Result, ensure, ensure_eq};

use crate::scene::{Scene, ensure_complete, names_begin, scene, text};
use crate::snapshot;

/// One of several stacks, as its clients and backends see it.
struct Neighbour {
    status: Value,
    alice: Client,
}

impl Neighbour {
    async fn meet(scene: &Scene, status: Value) -> Result<Self> {
        let token = scene.testbed.issuer().token("alice").sign()?;
        let alice = Client::connect(text(&status, "/endpoint")?, Credentials::Query(&token)).await?;
        Ok(Self { status, alice })
    }

    /// What all its names begin with.
    fn names_begin(&self) -> Result<&str> {
        names_begin(&self.status)
    }

    /// Pushes to alice, who is connected to every stack, and takes what comes.
    async fn push(&mut self, scene: &Scene, data: &str) -> Result<()> {
        let request = json!({"users": ["alice"], "data": data}).to_string();
        scene.backend()?.publish(text(&self.status, "/notifications/topicArn")?, &request).await?;
        ensure_eq!(self.alice.next().await?, json!(data), "the push");
        Ok(())
    }

    /// Sends a message and finds it in the stack's own queue, first of all that clients have sent there.
    async fn send(&mut self, scene: &Scene, message: &str) -> Result<()> {
        self.alice.ask(&json!({"action": "send", "message": message})).await?;
        let mut inbox = scene.backend()?.inbox(text(&self.status, "/messages/queueUrl")?);
        let found = inbox.take(message, |found| found.attribute("source") == Some("apigw.route.send")).await?;
        ensure_eq!(found.json()?, json!(message), "the message");
        Ok(())
    }
}

#[test]
fn two_stacks_work_beside_each_other_and_deleting_one_leaves_the_other_untouched() -> Result<()> {
    scene("two").resync_seconds(1).play(async |scene| {
        // Its name begins like the other's, so that a prefix alone would mistake one for the other.
        let manifest = stack::manifest(scene.testbed, &scene.namespace, "live-2");
        let second = Stack::apply(scene.testbed, &manifest).await?;
        let status = second.ready().await?;
        let mut one = Neighbour::meet(scene, scene.status.clone()).await?;
        let mut other = Neighbour::meet(scene, status).await?;
        let aws = scene.testbed.aws();
        for neighbour in [&one, &other] {
            ensure_complete(&aws.inventory(neighbour.names_begin()?).await?)?;
        }

        one.push(scene, "to the first").await?;
        other.push(scene, "to the second").await?;
        one.alice.ensure_silent().await?;
        other.alice.ensure_silent().await?;
        one.send(scene, "from the first").await?;
        other.send(scene, "from the second").await?;

        let sdk = scene.sdk().await;
        let before = snapshot::take(&sdk, other.names_begin()?).await?;
        let written = writes(scene, "live-2")?;
        scene.stack.delete().await?;
        scene.stack.gone().await?;
        let left = aws.inventory(one.names_begin()?).await?;
        ensure!(left.is_empty(), "left of the first:\n{left}");
        ensure_complete(&aws.inventory(other.names_begin()?).await?)?;
        let after = snapshot::take(&sdk, other.names_begin()?).await?;
        ensure_eq!(snapshot::differences(&before, &after), Vec::<String>::new(), "changes of the second");
        ensure_eq!(writes(scene, "live-2")?, written, "writes for the second");

        other.push(scene, "still to the second").await?;
        other.send(scene, "still from the second").await?;
        second.delete().await?;
        second.gone().await?;
        let left = scene.inventory().await?;
        ensure!(left.is_empty(), "left in AWS:\n{left}");
        Ok(())
    })
}

fn writes(scene: &Scene, stack: &str) -> Result<u64> {
    Ok(scene.passes(stack)?.iter().map(|pass| pass.aws_writes).sum())
}
