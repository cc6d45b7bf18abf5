//! What backends push: who gets it, who does not, and what becomes of requests that cannot be served.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use aws_sdk_dynamodb::types::{AttributeValue, PutRequest, WriteRequest};
use aws_sdk_sqs::types::QueueAttributeName;
use serde_json::{Value, json};
use sumu_tests::backend::{Backend, Received};
use sumu_tests::client::Client;
use sumu_tests::poll::PATIENCE;
use sumu_tests::{Context, Result, ensure, ensure_eq, eventually};

use crate::scene::{Scene, counts, scene, text};

/// A request's `data` as a backend may write it, and what every connection must get: the same without spaces.
const DATA: &str =
    r#"{"type": "note", "message": "hi 👋🏽 مرحبا", "z": [1.50, 12345678901234567890 , null], "a": "\u0041 \" "}"#;
const FRAME: &str = r#"{"type":"note","message":"hi 👋🏽 مرحبا","z":[1.50,12345678901234567890,null],"a":"\u0041 \" "}"#;

const LETTERS_WITHIN: Duration = Duration::from_mins(1);

/// Two users, one of them with two devices, and a backend.
struct Audience<'a> {
    scene: &'a Scene,
    backend: Backend,
    topic: &'a str,
    queue: &'a str,
    phone: Client,
    laptop: Client,
    bob: Client,
}

impl<'a> Audience<'a> {
    async fn connect(scene: &'a Scene) -> Result<Self> {
        Ok(Self {
            scene,
            backend: scene.backend()?,
            topic: scene.text("/notifications/topicArn")?,
            queue: scene.text("/notifications/queueUrl")?,
            phone: scene.connect("alice").await?,
            laptop: scene.connect("alice").await?,
            bob: scene.connect("bob").await?,
        })
    }

    /// Takes the next frame of those who should have it, and looks that nobody has another one.
    async fn expect(&mut self, frame: &str, [phone, laptop, bob]: [bool; 3]) -> Result<()> {
        let everybody = [
            ("alice's phone", &mut self.phone, phone),
            ("alice's laptop", &mut self.laptop, laptop),
            ("bob", &mut self.bob, bob),
        ];
        for (who, client, gets) in everybody {
            if gets {
                let got = client.next_text().await.with_context(|| format!("nothing came to {who}"))?;
                ensure_eq!(got, frame, "what came to {who}");
            }
        }
        queue_is_done(self.scene).await?;
        for (who, client) in [("phone", &mut self.phone), ("laptop", &mut self.laptop), ("bob", &mut self.bob)] {
            client.ensure_silent().await.with_context(|| who.to_owned())?;
        }
        Ok(())
    }

    async fn connection_id(client: &mut Client) -> Result<String> {
        Ok(text(&client.ping().await?, "/connectionId")?.to_owned())
    }
}

/// Waits until the pusher has done with all that was sent to the queue: then every post has been made.
pub async fn queue_is_done(scene: &Scene) -> Result<()> {
    is_empty(scene, scene.text("/notifications/queueUrl")?, PATIENCE).await
}

/// The same with the pusher's own queue: then nothing waits to be tried again either.
pub async fn queues_are_done(scene: &Scene, patience: Duration) -> Result<()> {
    queue_is_done(scene).await?;
    is_empty(scene, &pushes(scene)?, patience).await
}

/// The pusher's own queue, which the status does not tell.
fn pushes(scene: &Scene) -> Result<String> {
    let queue = scene.text("/notifications/queueUrl")?;
    let pushes = queue.replace("-notifications", "-pushes");
    ensure!(pushes != queue, "the name of the queue has changed: {pushes}");
    Ok(pushes)
}

/// Waits until a queue has nothing any more, neither to be received nor being worked off.
async fn is_empty(scene: &Scene, queue: &str, patience: Duration) -> Result<()> {
    let client = aws_sdk_sqs::Client::new(&scene.sdk().await);
    eventually(patience, &format!("{queue} to be empty"), async || {
        let names = [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
            QueueAttributeName::ApproximateNumberOfMessagesDelayed,
        ];
        let request = client.get_queue_attributes().queue_url(queue).set_attribute_names(Some(names.to_vec()));
        let answer = request.send().await?;
        let counts = answer.attributes().context("no attributes")?;
        ensure!(counts.values().all(|count| count == "0"), "{counts:?}");
        Ok(())
    })
    .await
}

#[test]
fn pushes_in_the_form_of_the_original_reach_whom_they_name_and_nobody_else() -> Result<()> {
    scene("push").play(async |scene| {
        let mut all = Audience::connect(scene).await?;
        let request = format!(r#"{{"users": ["alice", "nobody"], "data": {DATA}}}"#);
        all.backend.publish(all.topic, &request).await?;
        all.expect(FRAME, [true, true, false]).await.context("SNS, users")?;

        let request = format!(r#"{{"users": ["bob", "bob", "alice"], "exclude_users": ["alice"], "data": {DATA}}}"#);
        all.backend.send(all.queue, &request).await?;
        all.expect(FRAME, [false, false, true]).await.context("SQS, a user named twice and one excluded")?;

        all.backend.send(all.queue, &format!(r#"{{"data": {DATA}}}"#)).await?;
        all.expect(FRAME, [true, true, true]).await.context("SQS, everyone")?;

        all.backend.publish(all.topic, r#"{"users": [], "data": "short"}"#).await?;
        all.expect(r#""short""#, [true, true, true]).await.context("SNS, everyone")?;

        all.backend.send(all.queue, &format!(r#"{{"exclude_users": ["bob"], "data": {DATA}}}"#)).await?;
        all.expect(FRAME, [true, true, false]).await.context("SQS, everyone but one")?;

        // What a queue gets from a topic that it is subscribed to.
        let message = format!(r#"{{"users": ["bob"], "data": {DATA}}}"#);
        let envelope = json!({"Type": "Notification", "TopicArn": "arn:aws:sns:::t", "Message": message});
        all.backend.send(all.queue, &envelope.to_string()).await?;
        all.expect(FRAME, [false, false, true]).await.context("SQS, in SNS's envelope")
    })
}

#[test]
fn the_explicit_form_addresses_connections_and_users_and_drops_what_has_expired() -> Result<()> {
    scene("explicit").play(async |scene| {
        let mut all = Audience::connect(scene).await?;
        let laptop = Audience::connection_id(&mut all.laptop).await?;
        let bob = Audience::connection_id(&mut all.bob).await?;
        let push = |target: Value, exclude: Value| {
            let (target, exclude) = (target.to_string(), exclude.to_string());
            format!(r#"{{"target":{target},"exclude":{exclude},"data": {DATA},"id":"n"}}"#)
        };
        let cases = [
            (json!({"connections": [laptop, bob]}), json!({}), [false, true, true]),
            (json!({"users": ["alice"]}), json!({"connections": [laptop]}), [true, false, false]),
            (json!({"broadcast": true}), json!({"users": ["alice"]}), [false, false, true]),
            (json!({"broadcast": true}), json!({"connections": [laptop]}), [true, false, true]),
        ];
        for (target, exclude, who) in cases {
            let request = push(target, exclude);
            all.backend.send(all.queue, &request).await?;
            all.expect(FRAME, who).await.with_context(|| request.clone())?;
        }

        let expired = r#"{"target":{"broadcast":true},"data":"old","expiresAt":1700000000}"#;
        let still_good = r#"{"target":{"broadcast":true},"data":"good","expiresAt":4000000000}"#;
        all.backend.send_all(all.queue, &[expired, still_good]).await?;
        all.expect(r#""good""#, [true, true, true]).await?;
        ensure_eq!(scene.counted(counts::EXPIRED).await?, 1, "requests that came too late");
        let letters = all.backend.drain(scene.text("/notifications/deadLetterQueueUrl")?).await?;
        ensure!(letters.is_empty(), "expired is no mistake: {letters:?}");

        // An empty target is never everyone, in this form.
        let empty = r#"{"target":{"users":[]},"data":"nobody"}"#;
        all.backend.send(all.queue, empty).await?;
        letters_arrive(&all, &[(empty, "target names nobody")]).await?;
        all.expect("nothing", [false, false, false]).await
    })
}

#[test]
fn bad_requests_become_dead_letters_with_their_reason_and_their_neighbours_are_delivered() -> Result<()> {
    scene("letters").play(async |scene| {
        let mut all = Audience::connect(scene).await?;
        let too_large = json!({"users": ["alice"], "data": "x".repeat(128 * 1024)}).to_string();
        let enveloped = |message: &str| {
            json!({"Type": "Notification", "TopicArn": "arn:aws:sns:::t", "Message": message}).to_string()
        };
        let bad_inside = enveloped(r#"{"users":["alice"],"data":1,"id":7}"#);
        let bad = [
            ("not JSON at all, مرحبا", "not JSON"),
            ("[1]", "not a JSON object"),
            (r#" {"users" : ["alice"]}"#, "data is missing"),
            (too_large.as_str(), "data has more than"),
            (r#"{"users":"alice","data":1}"#, "users is not a list"),
            (r#"{"target":{"everybody":true},"data":1}"#, "target is not one of"),
            (r#"{"users":["alice"],"target":{"broadcast":true},"data":1}"#, "are mixed"),
            (bad_inside.as_str(), "id is not a text"),
        ];
        let good = |n: u8| format!(r#"{{"users":["bob"],"data":{n}}}"#);
        let (plain, inside) = (good(1), enveloped(&good(2)));
        let mut batch: Vec<&str> = bad.iter().map(|(body, _)| *body).collect();
        batch.insert(4, &plain);
        batch.insert(0, &inside);
        let bad_published = ("not JSON either", "not JSON");
        let published = async {
            all.backend.publish(all.topic, bad_published.0).await?;
            all.backend.publish(all.topic, &good(3)).await
        };
        tokio::try_join!(all.backend.send_all(all.queue, &batch), published)?;
        letters_arrive(&all, &[&bad[..], &[bad_published]].concat()).await?;
        let mut came = Vec::new();
        for _ in 0..3 {
            came.push(all.bob.next_text().await?);
        }
        came.sort_unstable();
        ensure_eq!(came, ["1", "2", "3"], "the neighbours' data");
        all.expect("nothing", [false, false, false]).await?;
        ensure_eq!(scene.counted(counts::BAD_REQUESTS).await?, 9, "bad requests that were counted");
        Ok(())
    })
}

/// Takes these and no other letters from the dead-letter queue, each as it was sent and with its reason.
async fn letters_arrive(all: &Audience<'_>, expected: &[(&str, &str)]) -> Result<()> {
    let queue = all.scene.text("/notifications/deadLetterQueueUrl")?;
    let letters = all.backend.receive(queue, expected.len(), LETTERS_WITHIN).await?;
    for (body, reason) in expected {
        let found: Vec<&Received> = letters.iter().filter(|letter| letter.body == *body).collect();
        let beginning: String = body.chars().take(60).collect();
        let [letter] = found[..] else {
            return Err(sumu_tests::Error::new(format!("{} letters {beginning:?}", found.len())));
        };
        let why = letter.attribute("reason").with_context(|| format!("no reason with {beginning:?}"))?;
        ensure!(why.contains(reason), "the reason with {beginning:?} is {why:?}, not {reason:?}");
    }
    ensure_eq!(letters.len(), expected.len(), "letters");
    Ok(())
}

#[test]
fn a_stack_that_rejects_empty_lists_of_users_broadcasts_only_when_told_so() -> Result<()> {
    scene("reject").spec(json!({"pusher": {"emptyUsers": "Reject"}})).play(async |scene| {
        let mut all = Audience::connect(scene).await?;
        let (empty, missing) = (r#"{"users":[],"data":"all?"}"#, r#"{"data":"all?"}"#);
        all.backend.send_all(all.queue, &[empty, missing]).await?;
        letters_arrive(&all, &[(empty, "users is empty"), (missing, "users is empty")]).await?;
        all.expect("nothing", [false, false, false]).await?;
        all.backend.send(all.queue, r#"{"target":{"broadcast":true},"data":"all"}"#).await?;
        all.expect(r#""all""#, [true, true, true]).await
    })
}

/// Rows that are read and, because their users are excluded, not posted to. Those of the first user are more than a
/// page, all in one segment; each of the others has a user of its own.
const CROWD: usize = 1_200;
const CROWD_OF_THE_FIRST: usize = 1_050;

/// What `DynamoDB` takes in one batch.
const BATCH: usize = 25;

fn crowd_user(n: usize) -> String {
    if n < CROWD_OF_THE_FIRST { "crowd".to_owned() } else { format!("crowd{n}") }
}

#[test]
fn a_broadcast_over_several_pages_reaches_everybody_once() -> Result<()> {
    scene("pages").play(async |scene| {
        fill_table(scene).await?;
        let mut all = Audience::connect(scene).await?;
        // One whose network is gone without a word, and one who does not read for now.
        scene.connect("dead").await?.abort();
        let mut slow = scene.connect("slow").await?;
        let mut others = Vec::new();
        for n in 0..6 {
            others.push(scene.connect(&format!("other{n}")).await?);
        }
        // More than the hundred values that a filter of DynamoDB takes.
        let crowd: BTreeSet<String> = (0..CROWD).map(crowd_user).collect();
        let request = |data: &str, more: &[&str]| {
            let excluded: Vec<&str> = crowd.iter().map(String::as_str).chain(more.iter().copied()).collect();
            format!(r#"{{"exclude_users": {}, "data": {data}}}"#, json!(excluded))
        };

        all.backend.publish(all.topic, &request(DATA, &[])).await?;
        for client in [&mut all.phone, &mut all.laptop, &mut all.bob].into_iter().chain(&mut others) {
            ensure_eq!(client.next_text().await?, FRAME, "what came first");
        }
        queues_are_done(scene, PATIENCE).await?;
        ensure_eq!(slow.next_text().await?, FRAME, "what came to the slow one");

        all.backend.send(all.queue, &request(r#""second""#, &["bob"])).await?;
        for client in [&mut all.phone, &mut all.laptop, &mut slow].into_iter().chain(&mut others) {
            ensure_eq!(client.next_text().await?, r#""second""#, "what came then");
        }
        queues_are_done(scene, PATIENCE).await?;
        for client in [&mut all.phone, &mut all.laptop, &mut all.bob, &mut slow].into_iter().chain(&mut others) {
            client.ensure_silent().await?;
        }
        // 10 connections the first time, 9 without bob's the second, and nobody of the crowd, whose rows would be gone.
        ensure_eq!(scene.counted(counts::DELIVERED).await?, 19, "posts");
        ensure_eq!(crowd_rows(scene).await?, CROWD, "rows of the crowd");
        let logs = scene.testbed.aws().function_logs(&scene.prefix()).await?;
        ensure_eq!(logs.matches("broadcast divided").count(), 2, "broadcasts that were divided");
        ensure!(logs.contains(r#""BroadcastItems":1,"#), "no segment had a second page");
        // Rows that say whose turn it is are no connections.
        let events = all.backend.drain(scene.text("/messages/queueUrl")?).await?;
        ensure!(!events.iter().any(|event| event.body.contains("broadcast")), "presence of nobody: {events:?}");
        Ok(())
    })
}

/// Puts the connections of the crowd into the table.
async fn fill_table(scene: &Scene) -> Result<()> {
    let client = aws_sdk_dynamodb::Client::new(&scene.sdk().await);
    let table = scene.text("/connectionsTable/name")?;
    for start in (0..CROWD).step_by(BATCH) {
        let mut rows = Vec::new();
        for n in start..start + BATCH {
            let row = PutRequest::builder()
                .item("user_id", AttributeValue::S(crowd_user(n)))
                .item("connection_id", AttributeValue::S(format!("crowd{n}=")))
                .item("connected_at", AttributeValue::N("1700000000000".to_owned()))
                .build()?;
            rows.push(WriteRequest::builder().put_request(row).build());
        }
        let answer = client.batch_write_item().request_items(table, rows).send().await?;
        ensure!(answer.unprocessed_items().is_none_or(HashMap::is_empty), "rows were not put");
    }
    Ok(())
}

async fn crowd_rows(scene: &Scene) -> Result<usize> {
    let client = aws_sdk_dynamodb::Client::new(&scene.sdk().await);
    let mut pages = client.scan().table_name(scene.text("/connectionsTable/name")?).into_paginator().items().send();
    let mut count = 0;
    while let Some(row) = pages.try_next().await? {
        let user = row.get("user_id").and_then(|user| user.as_s().ok());
        count += usize::from(user.is_some_and(|user| user.starts_with("crowd")));
    }
    Ok(count)
}
