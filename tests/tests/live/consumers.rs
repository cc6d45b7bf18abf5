//! Functions of the users' own that the messages queue feeds: what clients send reaches them, whoever's they are stays,
//! and what a person has to do is told.

use aws_sdk_lambda::types::EventSourceMappingConfiguration;
use serde_json::{Value, json};
use sumu_operator::permissions::Needs;
use sumu_tests::aws::{ACCOUNT, REGION};
use sumu_tests::backend::{Backend, Inbox};
use sumu_tests::poll::PATIENCE;
use sumu_tests::stack::condition;
use sumu_tests::{Context, Result, ensure, ensure_eq, eventually};

use crate::permissions::limit_with;
use crate::scene::{Scene, scene, text};

const NOTE: &str = "sumu.live/consumers";

/// What a team has beside the stack: a function, and the queue in which it tells what it was given.
pub struct Team {
    pub backend: Backend,
    pub name: String,
    pub arn: String,
    outbox: String,
    sqs: aws_sdk_sqs::Client,
}

impl Team {
    pub async fn of(scene: &Scene, word: &str, timeout_seconds: u32) -> Result<Self> {
        let sqs = aws_sdk_sqs::Client::new(&scene.sdk().await);
        // Not of the stack's prefix: nobody may take it for the stack's.
        let name = format!("{word}-{}", scene.namespace);
        let made = sqs.create_queue().queue_name(&name).send().await?;
        let outbox = made.queue_url.context("the queue has no URL")?;
        let backend = scene.backend()?;
        let arn = backend.function(&name, &outbox, timeout_seconds).await?;
        Ok(Self { backend, name, arn, outbox, sqs })
    }

    /// The ARN of its queue.
    pub fn outbox_arn(&self) -> String {
        format!("arn:aws:sqs:{REGION}:{ACCOUNT}:{}", self.name)
    }

    /// How much feeds its function.
    pub async fn fed(&self, scene: &Scene) -> Result<usize> {
        let lambda = aws_sdk_lambda::Client::new(&scene.sdk().await);
        let listed = lambda.list_event_source_mappings().function_name(&self.name).send().await?;
        Ok(listed.event_source_mappings().len())
    }

    fn inbox(&self) -> Inbox {
        self.backend.inbox(&self.outbox)
    }

    pub async fn leave(self) -> Result<()> {
        self.sqs.delete_queue().queue_url(&self.outbox).send().await?;
        self.backend.remove_function(&self.name).await
    }
}

/// Everything that the stack's messages queue feeds, in the order of the functions.
async fn mappings(scene: &Scene, queue_arn: &str) -> Result<Vec<EventSourceMappingConfiguration>> {
    let lambda = aws_sdk_lambda::Client::new(&scene.sdk().await);
    let listed = lambda.list_event_source_mappings().event_source_arn(queue_arn).send().await?;
    let mut found = listed.event_source_mappings.unwrap_or_default();
    found.sort_by(|a, b| a.function_arn.cmp(&b.function_arn));
    Ok(found)
}

/// The one thing that the messages queue feeds.
async fn mapping(scene: &Scene) -> Result<EventSourceMappingConfiguration> {
    let mut found = mappings(scene, scene.text("/messages/queueArn")?).await?;
    ensure_eq!(found.len(), 1, "what the messages queue feeds: {found:?}");
    found.pop().context("nothing")
}

/// Somebody who is no stack lets the messages queue feed a function.
async fn feed(scene: &Scene, queue_arn: &str, function_arn: &str) -> Result<String> {
    let lambda = aws_sdk_lambda::Client::new(&scene.sdk().await);
    let made = lambda.create_event_source_mapping().event_source_arn(queue_arn).function_name(function_arn);
    made.batch_size(1).send().await?.uuid.context("it has no id")
}

/// Takes that away again, and waits until it is gone.
async fn starve(scene: &Scene, queue_arn: &str, uuid: &str) -> Result<()> {
    let lambda = aws_sdk_lambda::Client::new(&scene.sdk().await);
    eventually(PATIENCE, "the event source to be deletable", async || {
        Ok(lambda.delete_event_source_mapping().uuid(uuid).send().await?)
    })
    .await?;
    eventually(PATIENCE, "the event source to be gone", async || {
        let left = mappings(scene, queue_arn).await?;
        ensure!(left.iter().all(|found| found.uuid() != Some(uuid)), "{left:?}");
        Ok(())
    })
    .await
}

/// Waits until the condition of consumers has a reason and parts of its sentence.
async fn told(scene: &Scene, reason: &str, sentences: &[&str]) -> Result<Value> {
    scene
        .until(&format!("the condition Consumers to say {reason}"), |object| {
            let consumers = condition(object, "Consumers").context("no condition Consumers")?;
            ensure_eq!(consumers["reason"], json!(reason), "{consumers}");
            let message = text(consumers, "/message")?;
            ensure!(sentences.iter().all(|sentence| message.contains(sentence)), "{consumers} without {sentences:?}");
            Ok(())
        })
        .await
}

async fn look_again(scene: &Scene, when: &str) -> Result<()> {
    scene.stack.patch(&json!({"metadata": {"annotations": {"sumu.live/reconcile-requested-at": when}}})).await
}

/// A client sends a message, and the function tells of it.
async fn sends(scene: &Scene, inbox: &mut Inbox, message: &str) -> Result<Value> {
    let mut alice = scene.connect("alice").await?;
    alice.ask(&json!({"action": "send", "message": message})).await?;
    let body = json!(message).to_string();
    let told = inbox.take(message, |told| told.json().is_ok_and(|told| told["body"] == body)).await?.json()?;
    ensure_eq!(told["attributes"]["user_id"], "alice", "the user: {told}");
    ensure_eq!(told["attributes"]["source"], "apigw.route.send", "the source: {told}");
    alice.close().await?;
    Ok(told)
}

async fn has_note(scene: &Scene) -> Result<bool> {
    let sqs = aws_sdk_sqs::Client::new(&scene.sdk().await);
    let found = sqs.list_queue_tags().queue_url(scene.text("/messages/queueUrl")?).send().await?;
    Ok(found.tags.unwrap_or_default().contains_key(NOTE))
}

#[test]
fn what_clients_send_reaches_a_function_once_its_role_may_receive_and_until_the_spec_lets_go_of_it() -> Result<()> {
    scene("fed").resync_seconds(2).play_from_the_start(async |scene| {
        let team = Team::of(scene, "chat", 30).await?;
        let consumer = |more: Value| {
            let mut consumer = json!({"functionArn": team.arn});
            consumer
                .as_object_mut()
                .into_iter()
                .for_each(|it| it.extend(more.as_object().cloned().unwrap_or_default()));
            json!({"messages": {"consumers": [consumer]}})
        };
        scene.change(&consumer(json!({})));
        scene.apply().await?;
        let words = ["does not have permissions to call ReceiveMessage on SQS", "status.messages.consumerPolicy"];
        told(scene, "Propagating", &words).await?;
        let what = "everything else to be in place";
        let object = scene
            .until(what, |object| {
                for part in ["Connections", "Notifications", "Messages", "Functions", "Gateway"] {
                    ensure_eq!(condition(object, part).context("no condition")?["status"], "True", "{part}");
                }
                Ok(())
            })
            .await?;
        let policy = text(&object, "/status/messages/consumerPolicy")?;
        team.backend.allow(&team.name, policy).await?;
        scene.ready().await?;
        ensure!(has_note(scene).await?, "the messages queue notes no consumer");

        let mut inbox = team.inbox();
        sends(scene, &mut inbox, "to the function").await?;
        for pass in scene.more_passes(3).await? {
            ensure!(pass.settled && pass.aws_writes == 0, "not quiet: {}", pass.line);
            ensure!(pass.aws_reads <= crate::totals::READS_MAX + 2, "{} reads in {}", pass.aws_reads, pass.line);
        }

        let first = mapping(scene).await?;
        scene
            .edit(consumer(json!({"batchSize": 20, "maximumBatchingWindowSeconds": 1, "maximumConcurrency": 3})))
            .await?;
        let changed = mapping(scene).await?;
        ensure_eq!(changed.uuid, first.uuid, "the event source, which is changed in place");
        let has = (changed.batch_size, changed.maximum_batching_window_in_seconds);
        ensure_eq!(has, (Some(20), Some(1)), "batch and window");
        let limit = |found: EventSourceMappingConfiguration| found.scaling_config.and_then(|it| it.maximum_concurrency);
        ensure_eq!(limit(changed), Some(3), "the limit");
        scene.edit(consumer(json!({}))).await?;
        let changed = mapping(scene).await?;
        ensure_eq!((changed.uuid.clone(), changed.batch_size), (first.uuid, Some(10)), "the event source");
        ensure_eq!(limit(changed), None, "the limit");
        sends(scene, &mut inbox, "after a change").await?;

        scene.edit(json!({"messages": {"consumers": null}})).await?;
        let left = mappings(scene, scene.text("/messages/queueArn")?).await?;
        ensure!(left.is_empty(), "the queue still feeds {left:?}");
        ensure!(!has_note(scene).await?, "the messages queue still notes a consumer");
        ensure!(scene.status["messages"]["consumerPolicy"].is_null(), "{}", scene.status["messages"]);
        ensure!(condition(&scene.stack.object().await?, "Consumers").is_none(), "the condition is still there");
        let mut queue = scene.backend()?.inbox(scene.text("/messages/queueUrl")?);
        let mut alice = scene.connect("alice").await?;
        alice.ask(&json!({"action": "send", "message": "to the queue"})).await?;
        queue.take("what nobody is fed", |found| found.body == r#""to the queue""#).await?;
        alice.close().await?;
        team.leave().await
    })
}

#[test]
fn what_stands_in_the_way_of_consumers_is_told_and_what_others_feed_outlives_the_stack() -> Result<()> {
    scene("hungry").play(async |scene| {
        let own = format!("slow-{}", scene.namespace);
        limit_with(scene, &Needs { consumers: vec![own], ..Needs::default() })?;
        let queue_arn = scene.text("/messages/queueArn")?.to_owned();
        let missing = queue_arn.replace(":sqs:", ":lambda:");
        let (place, _) = missing.rsplit_once(':').context("no ARN")?;
        let missing = format!("{place}:function:slow-{}", scene.namespace);
        scene.stack.patch(&json!({"spec": {"messages": {"consumers": [{"functionArn": missing}]}}})).await?;
        told(scene, "Rejected", &["Function does not exist", "make the function"]).await?;

        let slow = Team::of(scene, "slow", 200).await?;
        ensure_eq!(slow.arn, missing, "the function that was named before it was there");
        let policy =
            scene.until("the policy for its role", |object| text(object, "/status/messages/consumerPolicy").map(drop));
        slow.backend.allow(&slow.name, text(&policy.await?, "/status/messages/consumerPolicy")?).await?;
        look_again(scene, "now that it is there").await?;
        let words = ["Queue visibility timeout: 180 seconds is less than", "spec.messages.visibilityTimeoutSeconds"];
        told(scene, "Rejected", &words).await?;
        scene.edit(json!({"messages": {"visibilityTimeoutSeconds": 240}})).await?;
        sends(scene, &mut slow.inbox(), "to the slow one").await?;
        let ours = mapping(scene).await?;

        // An alias is a function of its own to Lambda, and here somebody feeds it already.
        let alias = slow.backend.alias(&slow.name, "live").await?;
        let theirs = feed(scene, &queue_arn, &alias).await?;
        let both = json!([{"functionArn": slow.arn}, {"functionArn": alias}]);
        scene.stack.patch(&json!({"spec": {"messages": {"consumers": both}}})).await?;
        told(scene, "OwnershipConflict", &[&theirs, "take the function out of spec.messages.consumers"]).await?;
        starve(scene, &queue_arn, &theirs).await?;
        look_again(scene, "now that it is free").await?;
        scene.ready().await?;
        let fed = mappings(scene, &queue_arn).await?;
        ensure_eq!(fed.len(), 2, "what the queue feeds: {fed:?}");
        ensure_eq!(fed[0].uuid, ours.uuid, "the first event source");
        ensure_eq!(fed[1].function_arn(), Some(&*alias), "the second");

        let other = Team::of(scene, "other", 30).await?;
        other.backend.allow(&other.name, scene.text("/messages/consumerPolicy")?).await?;
        let theirs =
            eventually(PATIENCE, "its role to have spread", async || feed(scene, &queue_arn, &other.arn).await).await?;
        scene.stack.delete().await?;
        scene.stack.gone().await?;
        let left = mappings(scene, &queue_arn).await?;
        ensure!(left.len() == 1 && left[0].uuid() == Some(&*theirs), "not only theirs is left: {left:?}");
        starve(scene, &queue_arn, &theirs).await?;
        let left = scene.inventory().await?;
        ensure!(left.is_empty(), "left in AWS:\n{left}");
        slow.leave().await?;
        other.leave().await
    })
}
