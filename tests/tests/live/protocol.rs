//! `docs/protocol.md`, run: every fenced block of it, as it is written, against a stack.

#[path = "protocol/programs.rs"]
mod programs;
#[path = "protocol/talks.rs"]
mod talks;

use serde_json::{Value, json};
use sumu_tests::backend::Received;
use sumu_tests::document::{Block, blocks, is_like};
use sumu_tests::{Context, Error, Result, ensure, ensure_eq, workspace};

use self::programs::Workshop;
use crate::scene::{Scene, scene, text};

/// What the document must have. One that is not here has no place in `run`, and one that is gone proves nothing.
const BLOCKS: [&str; 12] = [
    "json status",
    "js subprotocol",
    "text conversation",
    "js client",
    "rust client",
    "text pushes",
    "python push",
    "python receive",
    "python subscribe",
    "json presence",
    "python who",
    "json policy",
];

/// What the examples in Python call on something else than a client of AWS.
const NOT_AWS: [&str; 7] = ["client", "dumps", "get", "items", "load", "loads", "time"];

fn document() -> Result<String> {
    Ok(std::fs::read_to_string(workspace::root().join("docs/protocol.md"))?)
}

#[test]
fn every_block_of_the_protocol_document_does_what_the_document_says() -> Result<()> {
    scene("protocol").play(async |scene| {
        let mut blocks = blocks(&document()?)?;
        let infos: Vec<&str> = blocks.iter().map(|block| block.info.as_str()).collect();
        ensure_eq!(infos, BLOCKS, "the blocks of docs/protocol.md, of which each needs a test that runs it");
        // The one that receives for ever is killed in the middle of a receive, which may swallow the next message.
        blocks.sort_by_key(|block| block.info == "python receive");
        let workshop = Workshop::open(scene)?;
        for block in &blocks {
            let place = || format!("docs/protocol.md:{}, {}", block.line, block.info);
            run(scene, &workshop, block).await.with_context(place)?;
        }
        Ok(())
    })
}

async fn run(scene: &Scene, workshop: &Workshop<'_>, block: &Block) -> Result<()> {
    match block.info.as_str() {
        "json status" => status(scene, block),
        "js subprotocol" => workshop.subprotocol(block).await,
        "text conversation" => talks::conversation(scene, block).await,
        "js client" => workshop.javascript_client(block).await,
        "rust client" => workshop.rust_client(block).await,
        "text pushes" => talks::pushes(scene, block).await,
        "python push" => workshop.push(block).await,
        "python receive" => workshop.receive(block).await,
        "python subscribe" => workshop.subscribe(block).await,
        "json presence" => presence(scene, block).await,
        "python who" => workshop.who(block).await,
        "json policy" => policy(scene, block),
        _ => Err(Error::new("no test runs this block")),
    }
}

/// The status has what is shown, and more beside the members at the top.
fn status(scene: &Scene, block: &Block) -> Result<()> {
    let shown: Value = serde_json::from_str(&block.text)?;
    for (name, shown) in shown.as_object().context("no object")? {
        ensure!(is_like(&scene.status[name], shown), "{name} is {}", scene.status[name]);
    }
    Ok(())
}

/// A client sends the same, and only the source tells them apart.
async fn presence(scene: &Scene, block: &Block) -> Result<()> {
    let shown: Value = serde_json::from_str(&block.text)?;
    let user = text(&shown, "/message/user_id")?;
    let mut inbox = scene.backend()?.inbox(scene.text("/messages/queueUrl")?);
    let mut client = scene.connect(user).await?;
    client.ask(&json!({"action": "send", "message": shown})).await?;
    for source in ["lambda.presence.watchdog", "apigw.route.send"] {
        let is_it =
            |event: &Received| event.attribute("source") == Some(source) && event.attribute("user_id") == Some(user);
        let event = inbox.take(&format!("an event of {user} from {source}"), is_it).await?;
        ensure!(is_like(&event.json()?, &shown), "from {source} came {event:?}");
    }
    client.close().await
}

/// Each statement names what is in the status, and the rights are those that the examples use.
fn policy(scene: &Scene, block: &Block) -> Result<()> {
    let policy: Value = serde_json::from_str(&block.text)?;
    for statement in policy["Statement"].as_array().context("no statements")? {
        let resource = text(statement, "/Resource")?;
        let path = resource.strip_prefix("${").and_then(|path| path.strip_suffix('}'));
        let arn = scene.text(&format!("/{}", path.context("no placeholder")?.replace('.', "/")))?;
        let service = arn.strip_prefix("arn:aws:").and_then(|arn| arn.split(':').next()).context("no ARN")?;
        let actions = match &statement["Action"] {
            Value::Array(actions) => actions.iter().filter_map(Value::as_str).collect(),
            action => vec![action.as_str().context("no action")?],
        };
        for action in actions {
            let (of, call) = action.split_once(':').context("no service")?;
            ensure_eq!(of, service, "the service of {action} on {arn}");
            let called = calls()?.iter().any(|method| pascal(method) == call);
            ensure!(called, "no example needs {action}");
        }
    }
    let document = document()?;
    for call in calls()? {
        ensure!(document.contains(&format!(":{}", pascal(&call))), "the document names no right for {call}");
    }
    Ok(())
}

/// The calls of AWS in the examples in Python.
fn calls() -> Result<Vec<String>> {
    let mut calls = Vec::new();
    for block in blocks(&document()?)?.iter().filter(|block| block.info.starts_with("python")) {
        for (before, _) in block.text.match_indices('(').map(|(at, _)| block.text.split_at(at)) {
            let method = before.rsplit(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
            let is_method = before.strip_suffix(method).is_some_and(|before| before.ends_with('.'));
            if is_method && !NOT_AWS.contains(&method) {
                calls.push(method.to_owned());
            }
        }
    }
    ensure!(calls.len() >= 5, "only {calls:?} were found");
    Ok(calls)
}

/// A method of boto3 as AWS names it.
fn pascal(method: &str) -> String {
    let word = |word: &str| word.get(..1).unwrap_or_default().to_uppercase() + word.get(1..).unwrap_or_default();
    method.split('_').map(word).collect()
}
