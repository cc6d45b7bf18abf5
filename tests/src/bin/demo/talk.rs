//! Two clients and a backend: everything that goes through a stack, once.

use serde_json::{Value, json};
use sumu_tests::backend::{Backend, Inbox};
use sumu_tests::client::{Client, Credentials};
use sumu_tests::{Context, Result, Testbed, ensure};

const TEXT: &str = "hello 👋 مرحبا";

/// The conversation, and what of it did not happen.
struct Talk {
    backend: Backend,
    alice: Client,
    bob: Client,
    /// What clients send, and who comes and goes.
    queue: Inbox,
    /// What clients publish.
    topic: Inbox,
    notifications_topic: String,
    notifications_queue: String,
    missing: Vec<String>,
}

/// Lets everybody talk, prints the transcript and returns what did not arrive.
pub async fn talk(testbed: &Testbed, status: &Value) -> Result<Vec<String>> {
    let word = |value: &Value, what: &str| {
        value.as_str().map(ToOwned::to_owned).with_context(|| format!("the status has no {what}"))
    };
    let endpoint = word(&status["endpoint"], "endpoint")?;
    let messages_topic = word(&status["messages"]["topicArn"], "messages topic")?;
    let messages_queue = word(&status["messages"]["queueUrl"], "messages queue")?;
    let backend = testbed.backend()?;
    let subscribed = backend.subscribe(&messages_topic, "demo-backend").await?;

    let (alice, bob) = (testbed.issuer().token("alice").sign()?, testbed.issuer().token("bob").es256().sign()?);
    println!("alice    connects to {endpoint} with an RS256 token in a header");
    let alice = Client::connect(&endpoint, Credentials::Header(&alice)).await?;
    println!("bob      connects with an ES256 token in the query");
    let bob = Client::connect(&endpoint, Credentials::Query(&bob)).await?;

    let mut talk = Talk {
        queue: backend.inbox(&messages_queue),
        topic: backend.inbox(&subscribed),
        notifications_topic: word(&status["notifications"]["topicArn"], "notifications topic")?,
        notifications_queue: word(&status["notifications"]["queueUrl"], "notifications queue")?,
        missing: Vec::new(),
        backend: backend.clone(),
        alice,
        bob,
    };
    talk.everything().await;
    let Talk { bob, mut queue, mut missing, .. } = talk;
    bob.close().await?;
    println!("bob      leaves");
    note(&mut missing, "OFFLINE of bob", presence(&mut queue, "bob", "OFFLINE").await);
    backend.unsubscribe(&messages_topic, &subscribed).await?;
    Ok(missing)
}

impl Talk {
    async fn everything(&mut self) {
        for user in ["alice", "bob"] {
            let seen = presence(&mut self.queue, user, "ONLINE").await;
            note(&mut self.missing, &format!("ONLINE of {user}"), seen);
        }
        let done = self.ping().await;
        note(&mut self.missing, "the pong", done);
        let done = self.send().await;
        note(&mut self.missing, "what alice sent", done);
        let done = self.publish().await;
        note(&mut self.missing, "what bob published", done);
        let done = self.targeted().await;
        note(&mut self.missing, "the push to bob alone", done);
        let done = self.broadcast().await;
        note(&mut self.missing, "the broadcast", done);
    }

    async fn ping(&mut self) -> Result<()> {
        println!(r#"alice    > {{"action":"ping"}}"#);
        println!("alice    < {}", self.alice.ping().await?);
        Ok(())
    }

    async fn send(&mut self) -> Result<()> {
        let frame = json!({"action": "send", "message": {"text": TEXT}, "id": 1});
        println!("alice    > {frame}");
        let answer = self.alice.ask(&frame).await?;
        println!("alice    < {answer}");
        ensure!(answer["type"] == "accepted", "not accepted: {answer}");
        arrived(&mut self.queue, "alice", "apigw.route.send", "SQS").await
    }

    async fn publish(&mut self) -> Result<()> {
        let frame = json!({"action": "publish", "message": {"text": TEXT}, "id": 2});
        println!("bob      > {frame}");
        let answer = self.bob.ask(&frame).await?;
        println!("bob      < {answer}");
        ensure!(answer["type"] == "accepted", "not accepted: {answer}");
        arrived(&mut self.topic, "bob", "apigw.route.publish", "SNS").await
    }

    async fn targeted(&mut self) -> Result<()> {
        let data = json!({"type": "greeting", "message": TEXT});
        let request = json!({"users": ["bob"], "data": data}).to_string();
        println!("backend  > SNS {request}");
        self.backend.publish(&self.notifications_topic, &request).await?;
        let got = self.bob.next().await?;
        println!("bob      < {got}");
        ensure!(got == data, "bob got {got}");
        self.alice.ensure_silent().await.context("alice was not meant")
    }

    async fn broadcast(&mut self) -> Result<()> {
        let data = json!({"type": "news", "message": "to everyone"});
        let request = json!({"data": data}).to_string();
        println!("backend  > SQS {request}");
        self.backend.send(&self.notifications_queue, &request).await?;
        for (name, client) in [("alice", &mut self.alice), ("bob", &mut self.bob)] {
            let got = client.next().await.with_context(|| format!("nothing came to {name}"))?;
            println!("{name:<8} < {got}");
            ensure!(got == data, "{name} got {got}");
        }
        Ok(())
    }
}

/// Waits for a client's message at the backend and checks its text to the byte.
async fn arrived(inbox: &mut Inbox, user: &str, source: &str, by: &str) -> Result<()> {
    let wanted = inbox.take("the message", |message| message.attribute("source") == Some(source)).await?;
    println!("backend  < {by} {} from {}", wanted.body, wanted.attribute("user_id").unwrap_or("nobody"));
    ensure!(wanted.attribute("user_id") == Some(user), "not from {user}: {wanted:?}");
    ensure!(wanted.body.contains(TEXT), "the text has changed: {}", wanted.body);
    Ok(())
}

/// Waits for the news that somebody came or went.
async fn presence(queue: &mut Inbox, user: &str, state: &str) -> Result<()> {
    let event = queue
        .take(&format!("{state} of {user}"), |message| {
            let body = message.json().unwrap_or_default();
            message.attribute("source") == Some("lambda.presence.watchdog")
                && body["message"]["user_id"] == user
                && body["message"]["status"] == state
        })
        .await?;
    println!("backend  < SQS {}", event.body);
    Ok(())
}

fn note(missing: &mut Vec<String>, what: &str, done: Result<()>) {
    if let Err(error) = done {
        println!("         ! {what} is missing");
        missing.push(format!("{what}: {error}"));
    }
}
