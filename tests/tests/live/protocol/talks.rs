//! The blocks that show who says what: frames and their replies, requests and whom they reach.

use std::collections::BTreeMap;

use serde_json::Value;
use sumu_tests::client::Client;
use sumu_tests::document::{Block, is_like};
use sumu_tests::poll::PATIENCE;
use sumu_tests::{Context, Error, Result, ensure, ensure_eq, eventually};

use crate::push::queue_is_done;
use crate::scene::{Scene, text};

/// Sends each frame, whose reply must be like the one that is shown.
pub async fn conversation(scene: &Scene, block: &Block) -> Result<()> {
    let mut client = scene.connect("alice").await?;
    let mut pairs = 0;
    for line in block.text.lines() {
        if let Some(frame) = line.strip_prefix("> ") {
            client.send_text(frame).await?;
        } else {
            let shown: Value = serde_json::from_str(line.strip_prefix("< ").context("neither > nor <")?)?;
            let reply = client.next().await.context(line)?;
            ensure!(is_like(&reply, &shown), "the reply is {reply}, not {shown}");
            pairs += 1;
        }
    }
    ensure!(pairs > 0, "nobody said anything");
    client.ensure_silent().await
}

/// One request, and who gets what.
struct Push<'a> {
    request: &'a str,
    frames: Vec<(&'a str, &'a str)>,
    reason: Option<&'a str>,
}

/// Sends each request, which must reach those who are named with what is shown, and nobody else.
pub async fn pushes(scene: &Scene, block: &Block) -> Result<()> {
    let mut clients = BTreeMap::new();
    for (name, user) in [("phone", "alice"), ("laptop", "alice"), ("bob", "bob")] {
        clients.insert(name, scene.connect(user).await?);
    }
    let mut ids = Vec::new();
    for (name, client) in &mut clients {
        ids.push((format!("<{name}>"), text(&client.ping().await?, "/connectionId")?.to_owned()));
    }
    let sqs = aws_sdk_sqs::Client::new(&scene.sdk().await);
    for push in script(&block.text)? {
        let named = |request: String, (name, id): &(String, String)| request.replace(name, id);
        let request = ids.iter().fold(push.request.to_owned(), named);
        sqs.send_message().queue_url(scene.text("/notifications/queueUrl")?).message_body(&request).send().await?;
        reaches(scene, &sqs, &mut clients, &push, &request).await.with_context(|| push.request.to_owned())?;
    }
    Ok(())
}

fn script(block: &str) -> Result<Vec<Push<'_>>> {
    let mut pushes: Vec<Push<'_>> = Vec::new();
    for line in block.lines() {
        if let Some(request) = line.strip_prefix("backend > ") {
            pushes.push(Push { request, frames: Vec::new(), reason: None });
            continue;
        }
        let (who, what) = line.split_once(" < ").with_context(|| format!("neither > nor < in {line}"))?;
        let push = pushes.last_mut().context("nothing was pushed")?;
        match who.trim_end() {
            "letter" => push.reason = Some(what),
            client => push.frames.push((client, what)),
        }
    }
    ensure!(!pushes.is_empty(), "there are no pushes");
    Ok(pushes)
}

async fn reaches(
    scene: &Scene,
    sqs: &aws_sdk_sqs::Client,
    clients: &mut BTreeMap<&'static str, Client>,
    push: &Push<'_>,
    request: &str,
) -> Result<()> {
    for (name, frame) in &push.frames {
        let client = clients.get_mut(*name).with_context(|| format!("nobody is called {name}"))?;
        ensure_eq!(client.next_text().await.with_context(|| (*name).to_owned())?, *frame, "what came to {name}");
    }
    // Then every post has been made and every letter put.
    queue_is_done(scene).await?;
    for (name, client) in clients {
        client.ensure_silent().await.with_context(|| (*name).to_owned())?;
    }
    match push.reason {
        Some(reason) => letter(scene, sqs, request, reason).await,
        None => Ok(()),
    }
}

async fn letter(scene: &Scene, sqs: &aws_sdk_sqs::Client, request: &str, reason: &str) -> Result<()> {
    let queue = scene.text("/notifications/deadLetterQueueUrl")?;
    let letter = eventually(PATIENCE, "the dead letter", async || {
        let received = sqs.receive_message().queue_url(queue).message_attribute_names("All").send().await?;
        received.messages.unwrap_or_default().pop().ok_or_else(|| Error::new("there is none"))
    })
    .await?;
    let handle = letter.receipt_handle().context("no receipt handle")?;
    sqs.delete_message().queue_url(queue).receipt_handle(handle).send().await?;
    ensure_eq!(letter.body(), Some(request), "the letter");
    let attributes = letter.message_attributes().context("no attributes")?;
    let said = attributes.get("reason").and_then(|reason| reason.string_value());
    ensure_eq!(said, Some(reason), "the reason");
    Ok(())
}
