//! What the functions' own calls suffer: throttles, silence, lost answers, expired credentials.
//!
//! Clients get a typed error or what they asked for, no message is lost, presence ends in the truth, and what could not
//! be delivered is in a dead-letter queue.

use std::collections::BTreeSet;
use std::time::Duration;

use aws_sdk_dynamodb::types::Select;
use aws_sdk_sqs::types::QueueAttributeName;
use serde_json::{Value, json};
use sumu_tests::backend::{Inbox, Received};
use sumu_tests::client::{Client, Credentials};
use sumu_tests::gateway::call::Service::{self, DynamoDb, Sns, Sqs};
use sumu_tests::gateway::fault::{Act, Calls, Fault, Injected, When};
use sumu_tests::poll::PATIENCE;
use sumu_tests::{Context, Result, ensure, ensure_eq, eventually};

use super::whole::ensure_hit;
use crate::push::queues_are_done;
use crate::scene::{Scene, names_begin, scene, text};

/// A request that is put off waits five seconds, and then ten.
const RETRIED_WITHIN: Duration = Duration::from_mins(1);

fn throttled() -> Act {
    let message = "The level of configured provisioned throughput for the table was exceeded.";
    Act::refuse(400, "ProvisionedThroughputExceededException", message)
}

/// A fault of calls about a table, a queue or a topic of this scene. Functions sign with one key, so the name tells whose
/// call it is.
fn hurt(scene: &Scene, service: Service, operation: &'static str, about: &str, when: When, act: Act) -> Injected {
    let fault = Fault::of(Calls::Operation(service, operation), act).about(about).when(when);
    scene.testbed.aws().gateway().inject(fault)
}

fn connections(scene: &Scene) -> Result<String> {
    Ok(scene.text("/connectionsTable/name")?.to_owned())
}

async fn was_hit(what: &str, injected: &Injected, times: u64) -> Result<()> {
    eventually(PATIENCE, what, async || {
        ensure!(injected.hits() >= times, "{} hits", injected.hits());
        Ok(())
    })
    .await
}

async fn refused(scene: &Scene, user: &str) -> Result<u16> {
    let token = scene.testbed.issuer().token(user).sign()?;
    Client::refused(scene.text("/endpoint")?, Credentials::Query(&token)).await
}

async fn rows(scene: &Scene) -> Result<i32> {
    let client = aws_sdk_dynamodb::Client::new(&scene.sdk().await);
    let call = client.scan().table_name(connections(scene)?).select(Select::Count).consistent_read(true);
    Ok(call.send().await?.count())
}

async fn presence(inbox: &mut Inbox, user: &str, status: &str) -> Result<Received> {
    inbox
        .take(&format!("{status} of {user}"), |event| {
            let body = event.json().unwrap_or_default();
            body["message"]["user_id"] == user && body["message"]["status"] == status
        })
        .await
}

#[test]
#[ignore = "slow: make test-faults"]
fn a_client_that_connects_while_the_table_fails_is_refused_with_500_or_served() -> Result<()> {
    scene("connects").play(async |scene| {
        let table = connections(scene)?;
        let put = |when, act| hurt(scene, DynamoDb, "PutItem", &table, when, act);
        let short = put(When::Calls(1, 2), throttled());
        scene.connect("short").await?.ping().await?;
        ensure_eq!(short.hits(), 2, "throttles that nobody noticed");

        let expired = "The security token included in the request is expired";
        let expired = Act::refuse(400, "ExpiredTokenException", expired);
        for (what, act) in [("throttled", throttled()), ("hung", Act::Hang), ("expired", expired)] {
            let fault = put(When::Always, act);
            ensure_eq!(refused(scene, what).await?, 500, "the status when the table {what}");
            fault.end();
            ensure_hit(&[(what, &fault)])?;
        }
        let lines = scene.function_lines("routes").await?;
        ensure!(lines.iter().any(|line| line.to_string().contains("ExpiredTokenException")), "nobody is told why");
        let mut alice = scene.connect("alice").await?;
        alice.ping().await?;
        let mut inbox = scene.backend()?.inbox(scene.text("/messages/queueUrl")?);
        presence(&mut inbox, "alice", "ONLINE").await?;
        let others: Vec<_> = inbox.waiting().iter().map(Received::json).collect::<Result<_>>()?;
        let refused = ["throttled", "hung", "expired"];
        let is_refused = |event: &&Value| refused.iter().any(|user| event["message"]["user_id"] == *user);
        ensure!(!others.iter().any(|event| is_refused(&event)), "somebody who was refused is online: {others:?}");
        Ok(())
    })
}

/// Sends a frame and says what became of it: the request's id when it was taken, or nothing.
async fn forwarded(client: &mut Client, action: &str, message: &str) -> Result<Option<String>> {
    let reply = client.ask(&json!({"action": action, "message": message})).await?;
    if reply["type"] == "accepted" {
        return Ok(Some(text(&reply, "/requestId")?.to_owned()));
    }
    ensure_eq!(reply["code"], "Unavailable", "the code of {reply}");
    ensure_eq!(reply["retryable"], true, "whether to try again, in {reply}");
    Ok(None)
}

#[test]
fn what_a_client_sends_while_sqs_and_sns_fail_arrives_or_is_refused() -> Result<()> {
    scene("sends").play(async |scene| {
        let backend = scene.backend()?;
        let (topic, queue) = (scene.text("/messages/topicArn")?, scene.text("/messages/queueUrl")?);
        let subscribed = backend.subscribe(topic, &format!("{}-backend", scene.namespace)).await?;
        let mut alice = scene.connect("alice").await?;
        // The watchdog sends to the same queue, and is not the one to be throttled.
        presence(&mut backend.inbox(queue), "alice", "ONLINE").await?;
        let name = format!("{}-messages", names_begin(&scene.status)?);
        let mut taken = BTreeSet::new();
        for (service, operation, action, code) in
            [(Sqs, "SendMessage", "send", "RequestThrottled"), (Sns, "Publish", "publish", "Throttled")]
        {
            let refuse = Act::refuse(if service == Sqs { 403 } else { 429 }, code, "Rate exceeded");
            for (what, when, act, is_taken) in [
                ("throttled once", When::Calls(1, 1), refuse.clone(), true),
                ("throttled twice", When::Calls(1, 2), refuse, false),
                ("unanswered", When::Calls(1, 1), Act::LoseAnswer, true),
                ("hung", When::Calls(1, 1), Act::Hang, true),
                ("broken", When::Calls(1, 1), Act::Drop, true),
            ] {
                let fault = hurt(scene, service, operation, &name, when, act);
                let id = forwarded(&mut alice, action, what).await.with_context(|| format!("{action} {what}"))?;
                ensure_eq!(id.is_some(), is_taken, "whether {action} {what} was taken");
                taken.extend(id);
                fault.end();
                ensure_hit(&[(what, &fault)])?;
            }
        }
        let mut arrived = Vec::new();
        for url in [queue, &subscribed] {
            // Four were taken, and the unanswered one is there twice.
            arrived.extend(backend.receive(url, 5, PATIENCE).await?.into_iter().filter(|it| it.body.contains('"')));
        }
        let from_client = |it: &&Received| it.attribute("request_id").is_some();
        let ids: BTreeSet<String> =
            arrived.iter().filter(from_client).filter_map(|it| it.attribute("request_id")).map(str::to_owned).collect();
        ensure_eq!(ids, taken, "the requests that arrived, and those that were taken");
        backend.unsubscribe(topic, &subscribed).await
    })
}

#[test]
#[ignore = "slow: make test-faults"]
fn a_departure_that_could_not_be_noted_is_found_out_by_the_next_push() -> Result<()> {
    scene("departs").play(async |scene| {
        let mut inbox = scene.backend()?.inbox(scene.text("/messages/queueUrl")?);
        let alice = scene.connect("alice").await?;
        presence(&mut inbox, "alice", "ONLINE").await?;
        let fault = hurt(scene, DynamoDb, "DeleteItem", &connections(scene)?, When::Always, throttled());
        alice.close().await?;
        was_hit("the departure to be refused three times", &fault, 3).await?;
        ensure_eq!(rows(scene).await?, 1, "rows of connections");
        fault.end();
        let request = json!({"users": ["alice"], "data": "are you there?"}).to_string();
        scene.backend()?.send(scene.text("/notifications/queueUrl")?, &request).await?;
        presence(&mut inbox, "alice", "OFFLINE").await?;
        ensure_eq!(rows(scene).await?, 0, "rows of connections");
        ensure!(inbox.waiting().is_empty(), "more was told: {:?}", inbox.waiting());
        Ok(())
    })
}

#[test]
#[ignore = "slow: make test-faults"]
fn presence_is_told_once_though_tables_and_queues_are_throttled() -> Result<()> {
    scene("comes").play(async |scene| {
        let (table, presence_table) = (connections(scene)?, scene.text("/presenceTable/name")?.to_owned());
        let queue = format!("{}-messages", names_begin(&scene.status)?);
        let mut inbox = scene.backend()?.inbox(scene.text("/messages/queueUrl")?);
        let slow_down = Act::refuse(403, "RequestThrottled", "Request is throttled.");
        // Fewer than the watchdog's attempts: what it gives up is the stream's to bring again.
        let begin = || {
            [
                hurt(scene, DynamoDb, "GetItem", &presence_table, When::Calls(1, 4), throttled()),
                hurt(scene, DynamoDb, "PutItem", &presence_table, When::Calls(1, 4), throttled()),
                hurt(scene, DynamoDb, "Query", &table, When::Calls(1, 4), throttled()),
                hurt(scene, Sqs, "SendMessage", &queue, When::Calls(1, 1), slow_down.clone()),
            ]
        };
        let coming = begin();
        let alice = scene.connect("alice").await?;
        presence(&mut inbox, "alice", "ONLINE").await?;
        coming.iter().try_for_each(|fault| ensure_hit(&[("her coming", fault)]))?;
        let going = begin();
        alice.close().await?;
        presence(&mut inbox, "alice", "OFFLINE").await?;
        going.iter().try_for_each(|fault| ensure_hit(&[("her going", fault)]))?;
        ensure!(inbox.waiting().is_empty(), "more was told: {:?}", inbox.waiting());
        Ok(())
    })
}

#[test]
fn a_push_whose_audience_cannot_be_read_arrives_when_it_can() -> Result<()> {
    scene("unread").play(async |scene| {
        let (backend, table) = (scene.backend()?, connections(scene)?);
        let mut alice = scene.connect("alice").await?;
        let mut inbox = backend.inbox(scene.text("/messages/queueUrl")?);
        presence(&mut inbox, "alice", "ONLINE").await?;
        let fault = hurt(scene, DynamoDb, "Query", &table, When::Always, throttled());
        let request = |data: &str| json!({"users": ["alice"], "data": data}).to_string();
        backend.send(scene.text("/notifications/queueUrl")?, &request("by queue")).await?;
        backend.publish(scene.text("/notifications/topicArn")?, &request("by topic")).await?;
        was_hit("both to be tried", &fault, 6).await?;
        fault.end();
        let mut got = [alice.next_text().await?, alice.next_text().await?];
        got.sort_unstable();
        ensure_eq!(got, ["by queue", "by topic"].map(|data| json!(data).to_string()), "what came");
        queues_are_done(scene, RETRIED_WITHIN).await?;
        alice.ensure_silent().await
    })
}

#[test]
#[ignore = "slow: make test-faults"]
fn a_push_that_was_tried_often_enough_is_in_the_dead_letter_queue() -> Result<()> {
    scene("exhausted").spec(json!({"pusher": {"maxAttempts": 2}})).play(async |scene| {
        let backend = scene.backend()?;
        let expired = "The security token included in the request is expired";
        let expired = Act::refuse(400, "ExpiredTokenException", expired);
        let fault = hurt(scene, DynamoDb, "Query", &connections(scene)?, When::Always, expired);
        let request = json!({"users": ["alice"], "data": "too late"}).to_string();
        backend.send(scene.text("/notifications/queueUrl")?, &request).await?;
        let letters = backend.receive(scene.text("/notifications/deadLetterQueueUrl")?, 1, RETRIED_WITHIN).await?;
        let letter = letters.first().context("no dead letter")?;
        ensure_eq!(letter.json()?["target"], json!({"users": ["alice"]}), "whom it was for");
        ensure_eq!(letter.json()?["data"], "too late", "what it said");
        ensure!(letter.attribute("reason").is_some_and(|reason| !reason.is_empty()), "no reason in {letter:?}");
        fault.end();
        queues_are_done(scene, RETRIED_WITHIN).await
    })
}

/// A third of the visibility timeout that a queue of a pusher has otherwise.
const HANDED_OUT_AGAIN_AFTER: &str = "5";

#[test]
#[ignore = "slow: make test-faults"]
fn a_request_that_sqs_and_sns_hand_over_twice_is_pushed_twice_and_harms_nobody() -> Result<()> {
    scene("repeated").play(async |scene| {
        let backend = scene.backend()?;
        let (topic, queue) = (scene.text("/notifications/topicArn")?, scene.text("/notifications/queueUrl")?);
        let sqs = aws_sdk_sqs::Client::new(&scene.sdk().await);
        let visible = (QueueAttributeName::VisibilityTimeout, HANDED_OUT_AGAIN_AFTER);
        sqs.set_queue_attributes().queue_url(queue).attributes(visible.0, visible.1).send().await?;
        let pusher = format!("{}-pusher", names_begin(&scene.status)?);
        let mut alice = scene.connect("alice").await?;
        let request = |data: &str| json!({"users": ["alice"], "data": data}).to_string();
        // What was being waited for when the timeout was changed comes with the old one.
        backend.send(queue, &request("first")).await?;
        ensure_eq!(alice.next_text().await?, json!("first").to_string(), "what came first");
        // The function has done its work, and whoever has invoked it does not hear of it.
        let lost = || hurt(scene, Service::Lambda, "Invoke", &pusher, When::Calls(1, 1), Act::LoseAnswer);
        for (way, sent) in [("queue", true), ("topic", false)] {
            let fault = lost();
            if sent {
                backend.send(queue, &request(way)).await?;
            } else {
                backend.publish(topic, &request(way)).await?;
            }
            let twice = [alice.next_text().await?, alice.next_text().await?];
            ensure_eq!(twice, [json!(way).to_string(), json!(way).to_string()], "what came by the {way}");
            ensure_hit(&[(way, &fault)])?;
            fault.end();
        }
        queues_are_done(scene, RETRIED_WITHIN).await?;
        alice.ensure_silent().await
    })
}

#[test]
fn records_of_the_stream_that_come_twice_and_late_tell_nobody_anything() -> Result<()> {
    scene("twice").play(async |scene| {
        let mut inbox = scene.backend()?.inbox(scene.text("/messages/queueUrl")?);
        let mut alice = scene.connect("alice").await?;
        let connection = text(&alice.ping().await?, "/connectionId")?.to_owned();
        let online = presence(&mut inbox, "alice", "ONLINE").await?;
        let lambda = aws_sdk_lambda::Client::new(&scene.sdk().await);
        let name = format!("{}-watchdog", names_begin(&scene.status)?);
        // Her coming once more, and the going of a device that has come back long since.
        for kind in ["INSERT", "INSERT", "REMOVE"] {
            let keys = json!({"user_id": {"S": "alice"}, "connection_id": {"S": connection}});
            let change = json!({"Keys": keys, "SequenceNumber": "111", "StreamViewType": "NEW_AND_OLD_IMAGES"});
            let record = json!({"eventID": "1", "eventName": kind, "eventSource": "aws:dynamodb", "dynamodb": change});
            let payload = aws_sdk_lambda::primitives::Blob::new(json!({"Records": [record]}).to_string());
            let answer = lambda.invoke().function_name(&name).payload(payload).send().await?;
            ensure!(answer.function_error().is_none(), "{kind} failed: {:?}", answer.function_error());
            let body: Value = serde_json::from_slice(answer.payload().context("no answer")?.as_ref())?;
            ensure_eq!(body, json!({"batchItemFailures": []}), "the answer to {kind}");
        }
        ensure!(inbox.waiting().is_empty(), "more was told: {:?}", inbox.waiting());
        alice.close().await?;
        let offline = presence(&mut inbox, "alice", "OFFLINE").await?;
        ensure!(online.attribute("id") != offline.attribute("id"), "two events have one id");
        ensure!(inbox.waiting().is_empty(), "more was told: {:?}", inbox.waiting());
        Ok(())
    })
}
