//! What clients send: where it goes, with which attributes, and what the client is answered.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use sumu_tests::backend::{Inbox, Received};
use sumu_tests::client::Client;
use sumu_tests::{Context, Result, ensure, ensure_eq};

use crate::scene::{Scene, scene, text};

/// JSON that survives only as text: its order, spaces, escapes, numbers and letters of every width.
const MESSAGE: &str =
    r#"{"z" : 1.50, "text":"hello 👋🏽 مرحبا بالعالم","a":[12345678901234567890, null , "\u0041"],"z2":{ } }"#;

/// The attributes of every message, with their types.
const ATTRIBUTES: [(&str, &str); 5] = [
    ("connection_id", "String"),
    ("request_id", "String"),
    ("source", "String"),
    ("timestamp", "Number"),
    ("user_id", "String"),
];

#[test]
fn what_clients_send_and_publish_arrives_to_the_byte_with_attributes_that_nobody_can_forge() -> Result<()> {
    scene("messages").play(async |scene| {
        let backend = scene.backend()?;
        let topic = scene.text("/messages/topicArn")?;
        // The messages queue is for `send` alone, so a backend that follows `publish` subscribes one of its own.
        let subscribed = backend.subscribe(topic, &format!("{}-backend", scene.namespace)).await?;
        let mut sent = backend.inbox(scene.text("/messages/queueUrl")?);
        let mut published = backend.inbox(&subscribed);
        let mut alice = scene.connect("alice").await?;
        let pong = alice.ask(&json!({"action": "ping", "id": "first"})).await?;
        let connection = text(&pong, "/connectionId")?.to_owned();
        let expected = json!({"type": "pong", "statusCode": 200, "connectionId": connection, "id": "first"});
        ensure_eq!(pong, expected, "the pong");

        for (action, inbox) in [("send", &mut sent), ("publish", &mut published)] {
            arrives(&mut alice, inbox, action, &connection).await.with_context(|| action.to_owned())?;
        }
        other_json_arrives(&mut alice, &mut sent).await?;
        ensure!(published.waiting().is_empty(), "more was published: {:?}", published.waiting());
        let strays: Vec<_> = sent.waiting().iter().filter(|message| is_from_a_client(message)).collect();
        ensure!(strays.is_empty(), "more was sent: {strays:?}");
        backend.unsubscribe(topic, &subscribed).await
    })
}

/// A frame that also tries to say who sent it and from where.
fn frame(action: &str) -> String {
    let forged = r#""user_id":"mallory","source":"lambda.presence.watchdog","timestamp":1,"connection_id":"x""#;
    format!(r#"{{{forged}, "message":{MESSAGE},"action":"{action}","id":{{"n":7}}}}"#)
}

async fn arrives(client: &mut Client, inbox: &mut Inbox, action: &str, connection: &str) -> Result<()> {
    let before = now_ms()?;
    client.send_text(&frame(action)).await?;
    let reply = client.next().await?;
    let source = format!("apigw.route.{action}");
    let received = inbox.take("the message", |message| message.attribute("source") == Some(&source)).await?;
    let after = now_ms()?;

    ensure_eq!(received.body, MESSAGE, "the message's text");
    let types: Vec<_> = received.attributes.keys().map(|name| (name.as_str(), received.attribute_type(name))).collect();
    let expected: Vec<_> = ATTRIBUTES.into_iter().map(|(name, kind)| (name, Some(kind))).collect();
    ensure_eq!(types, expected, "the attributes");
    ensure_eq!(received.attribute("user_id"), Some("alice"), "the sender");
    ensure_eq!(received.attribute("connection_id"), Some(connection), "the sender's connection");
    let timestamp: u128 = received.attribute("timestamp").context("no timestamp")?.parse()?;
    ensure!((before..=after).contains(&timestamp), "{timestamp} is not between {before} and {after} (milliseconds)");

    let message_id = text(&reply, "/messageId")?;
    if action == "send" {
        ensure_eq!(message_id, received.id, "SQS's id of the message");
    }
    let expected = json!({
        "type": "accepted", "statusCode": 202, "action": action, "messageId": message_id,
        "connectionId": connection, "requestId": received.attribute("request_id"), "id": {"n": 7},
    });
    ensure_eq!(reply, expected, "the reply");
    Ok(())
}

/// A message need not be an object.
async fn other_json_arrives(client: &mut Client, inbox: &mut Inbox) -> Result<()> {
    // About 110 KB, in fewer than as many letters.
    let large = format!("[\"{}\"]", "مرحبا ".repeat(10_000));
    for message in [r#""👋 مرحبا""#, "0.10", "null", "[ ]", "false", &large] {
        let reply = client.ask_text(&format!(r#"{{"action":"send","message":{message}}}"#)).await?;
        ensure_eq!(reply["type"], json!("accepted"), "the reply to {message}: {reply}");
        ensure!(reply.get("id").is_none(), "an id that nobody gave: {reply}");
        let id = text(&reply, "/messageId")?;
        let received = inbox.take("a message of other JSON", |received| received.id == id).await?;
        ensure_eq!(received.body, message, "the message's text");
    }
    Ok(())
}

fn is_from_a_client(message: &Received) -> bool {
    message.attribute("source").is_none_or(|source| source.starts_with("apigw."))
}

fn now_ms() -> Result<u128> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())
}

/// Frames that lead nowhere, the status and code of their errors, and the id that must come back.
const MISTAKES: [(&str, u16, &str, Option<&str>); 14] = [
    (r#"{"action":"shout","message":1,"id":"👋"}"#, 400, "UnknownAction", Some("👋")),
    (r#"{"action":"Send","message":1}"#, 400, "UnknownAction", None),
    (r#"{"action":"$default","message":1}"#, 400, "UnknownAction", None),
    // Routes of the gateway itself, which no client may run.
    (r#"{"action":"$connect","id":"c"}"#, 400, "UnknownAction", Some("c")),
    (r#"{"action":"$disconnect","id":"d"}"#, 400, "UnknownAction", Some("d")),
    (r#"{"message":"no action","id":"e"}"#, 400, "BadRequest", Some("e")),
    (r#"{"action":7}"#, 400, "BadRequest", None),
    ("hello 👋", 400, "InvalidJson", None),
    (r#"{"action":"send","message":"#, 400, "InvalidJson", None),
    ("[1]", 400, "BadRequest", None),
    (r#""ping""#, 400, "BadRequest", None),
    (r#"{"action":"send","id":"f"}"#, 400, "MessageMissing", Some("f")),
    (r#"{"action":"publish"}"#, 400, "MessageMissing", None),
    (r#"{"action":"send","message":1,"message":2}"#, 400, "BadRequest", None),
];

#[test]
fn mistakes_get_typed_errors_and_reach_nobody() -> Result<()> {
    scene("mistakes").play(async |scene| {
        let mut alice = scene.connect("alice").await?;
        let pong = alice.ping().await?;
        for (frame, status, code, id) in MISTAKES {
            let reply = alice.ask_text(frame).await.with_context(|| frame.to_owned())?;
            ensure_eq!(reply["type"], json!("error"), "the reply to {frame}: {reply}");
            ensure_eq!(reply["statusCode"], json!(status), "the status for {frame}: {reply}");
            ensure_eq!(reply["code"], json!(code), "the code for {frame}: {reply}");
            ensure_eq!(reply["connectionId"], pong["connectionId"], "the connection in {reply}");
            ensure_eq!(reply.get("id").and_then(Value::as_str), id, "the id of {frame} in {reply}");
            for member in ["/message", "/requestId"] {
                ensure!(!text(&reply, member)?.is_empty(), "no {member} in {reply}");
            }
        }
        nothing_but_the_last_arrives(scene, &mut alice).await
    })
}

async fn nothing_but_the_last_arrives(scene: &Scene, client: &mut Client) -> Result<()> {
    client.ask(&json!({"action": "send", "message": "the last"})).await?;
    let mut inbox = scene.backend()?.inbox(scene.text("/messages/queueUrl")?);
    let first = inbox.take("a client's message", is_from_a_client).await?;
    ensure_eq!(first.body, r#""the last""#, "the first message that arrived");
    let strays: Vec<_> = inbox.waiting().iter().filter(|message| is_from_a_client(message)).collect();
    ensure!(strays.is_empty(), "more arrived: {strays:?}");
    Ok(())
}
