//! Who is online: told once when it changes, and never when only a device comes or goes.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Value, json};
use sumu_tests::backend::{Inbox, Received};
use sumu_tests::poll::{PATIENCE, eventually};
use sumu_tests::{Context, Result, ensure, ensure_eq};

use crate::scene::{Scene, scene};

/// The attributes of every event, with their types.
const ATTRIBUTES: [(&str, &str); 4] =
    [("id", "String"), ("source", "String"), ("timestamp", "Number"), ("user_id", "String")];

/// The operator waits two minutes before it believes that nothing more comes, and then looks every 16 s.
const QUEUE_GONE_WITHIN: Duration = Duration::from_mins(4);

#[test]
fn a_user_is_online_with_the_first_device_and_offline_after_the_last() -> Result<()> {
    scene("presence").play(async |scene| {
        let mut inbox = scene.backend()?.inbox(scene.text("/messages/queueUrl")?);
        let phone = scene.connect("alice 👋").await?;
        let online = take(&mut inbox, "alice 👋", "ONLINE").await?;
        let laptop = scene.connect("alice 👋").await?;
        fence(scene, &mut inbox, "first").await?;
        // Without a word, as a phone in a tunnel.
        phone.abort();
        fence(scene, &mut inbox, "second").await?;
        nothing_waits(&inbox)?;
        laptop.close().await?;
        let offline = take(&mut inbox, "alice 👋", "OFFLINE").await?;
        fence(scene, &mut inbox, "third").await?;
        nothing_waits(&inbox)?;

        let tablet = scene.connect("alice 👋").await?;
        let again = take(&mut inbox, "alice 👋", "ONLINE").await?;
        in_order(&[&online, &offline, &again])?;
        tablet.close().await?;
        take(&mut inbox, "alice 👋", "OFFLINE").await?;
        Ok(())
    })
}

#[test]
fn presence_goes_where_the_spec_says() -> Result<()> {
    scene("source").spec(json!({"presence": {"source": "Topic"}})).play(async |scene| {
        let backend = scene.backend()?;
        let topic = scene.text("/messages/topicArn")?.to_owned();
        let subscribed = backend.subscribe(&topic, &format!("{}-backend", scene.namespace)).await?;
        let mut published = backend.inbox(&subscribed);
        let mut queued = backend.inbox(scene.text("/messages/queueUrl")?);
        let alice = scene.connect("alice").await?;
        take(&mut published, "alice", "ONLINE").await?;
        let drained = backend.drain(scene.text("/messages/queueUrl")?).await?;
        ensure!(drained.is_empty(), "the queue has it too: {drained:?}");

        scene.edit(json!({"presence": {"source": "Both"}})).await?;
        alice.close().await?;
        let one = take(&mut published, "alice", "OFFLINE").await?;
        let other = take(&mut queued, "alice", "OFFLINE").await?;
        ensure_eq!(one.attribute("id"), other.attribute("id"), "the id of one change in both places");
        ensure_eq!(one.body, other.body, "the event in both places");

        // Whoever follows the table's stream needs neither.
        scene.edit(json!({"presence": {"source": "Stream"}})).await?;
        let alice = scene.connect("alice").await?;
        is_seen(scene, "alice", "ONLINE").await?;
        scene.edit(json!({"presence": {"source": "Queue"}})).await?;
        alice.close().await?;
        take(&mut queued, "alice", "OFFLINE").await?;
        nothing_waits(&queued)?;
        nothing_waits(&published)?;
        backend.unsubscribe(&topic, &subscribed).await
    })
}

/// Waits until the presence table says so of a user, and the watchdog has nothing left to tell.
async fn is_seen(scene: &Scene, user: &str, state: &str) -> Result<()> {
    let client = aws_sdk_dynamodb::Client::new(&scene.sdk().await);
    let table = scene.text("/presenceTable/name")?;
    eventually(PATIENCE, &format!("{user} to be {state} in the presence table"), async || {
        let key = AttributeValue::S(user.to_owned());
        let found = client.get_item().table_name(table).key("user_id", key).consistent_read(true).send().await?;
        let item = found.item().context("no item")?;
        ensure_eq!(item.get("state"), Some(&AttributeValue::S(state.to_owned())), "the state");
        ensure_eq!(item.get("announced"), item.get("version"), "the version that was announced");
        Ok(())
    })
    .await
}

#[test]
fn with_a_grace_period_only_an_absence_that_outlasts_it_is_told() -> Result<()> {
    scene("grace").spec(json!({"presence": {"gracePeriodSeconds": 4}})).play(async |scene| {
        let mut inbox = scene.backend()?.inbox(scene.text("/messages/queueUrl")?);
        let phone = scene.connect("alice").await?;
        let online = take(&mut inbox, "alice", "ONLINE").await?;
        phone.close().await?;
        // A tab that is loaded again.
        let tab = scene.connect("alice").await?;
        // Somebody else's absence outlasts hers: by then her departure has come as well.
        fence(scene, &mut inbox, "bob").await?;
        nothing_waits(&inbox)?;
        tab.close().await?;
        let offline = take(&mut inbox, "alice", "OFFLINE").await?;
        in_order(&[&online, &offline])?;
        let body = |event: &Received| event.json().map(|body| body["message"]["timestamp"].as_u64().unwrap_or(0));
        ensure!(body(&offline)? >= body(&online)? + 4000, "{offline:?} came too soon after {online:?}");
        Ok(())
    })
}

#[test]
fn a_departure_under_way_is_told_though_the_grace_period_is_taken_away() -> Result<()> {
    scene("grace-ends").spec(json!({"presence": {"gracePeriodSeconds": 20}})).play(async |scene| {
        let mut inbox = scene.backend()?.inbox(scene.text("/messages/queueUrl")?);
        let alice = scene.connect("alice").await?;
        take(&mut inbox, "alice", "ONLINE").await?;
        alice.close().await?;
        is_seen(scene, "alice", "LEAVING").await?;
        ensure_eq!(scene.inventory().await?.count("queue"), 8, "queues with a grace period");

        scene.stack.patch(&json!({"spec": {"presence": {"gracePeriodSeconds": 0}}})).await?;
        // Nothing else names her any more.
        take(&mut inbox, "alice", "OFFLINE").await?;
        eventually(QUEUE_GONE_WITHIN, "the departures queue to be gone", async || {
            let inventory = scene.inventory().await?;
            let left = (inventory.count("queue"), inventory.count("event source"));
            ensure_eq!(left, (7, 3), "queues and event sources of\n{inventory}");
            Ok(())
        })
        .await?;
        scene.ready().await?;
        fence(scene, &mut inbox, "carol").await?;
        nothing_waits(&inbox)
    })
}

#[test]
fn the_presence_table_says_who_is_online() -> Result<()> {
    scene("who").spec(json!({"presence": {"gracePeriodSeconds": 900}})).play(async |scene| {
        let alice = scene.connect("alice").await?;
        let _bob = scene.connect("bob").await?;
        is_seen(scene, "alice", "ONLINE").await?;
        is_seen(scene, "bob", "ONLINE").await?;
        alice.close().await?;
        is_seen(scene, "alice", "LEAVING").await?;
        let _alice = scene.connect("alice").await?;
        is_seen(scene, "alice", "ONLINE").await?;
        Ok(())
    })
}

/// Takes the event of a change and checks everything that it says.
async fn take(inbox: &mut Inbox, user: &str, status: &str) -> Result<Received> {
    let event = inbox
        .take(&format!("{status} of {user}"), |event| {
            let body = event.json().unwrap_or_default();
            body["message"]["user_id"] == user && body["message"]["status"] == status
        })
        .await?;
    let timestamp = event.attribute("timestamp").context("no timestamp")?;
    let milliseconds: u64 = timestamp.parse()?;
    ensure!(milliseconds > 1_700_000_000_000, "{milliseconds} are no milliseconds since 1970");
    let message = json!({"user_id": user, "status": status, "timestamp": milliseconds});
    ensure_eq!(event.json()?, json!({"type": "presence", "message": message}), "the event");
    let types: Vec<_> = event.attributes.keys().map(|name| (name.as_str(), event.attribute_type(name))).collect();
    let expected: Vec<_> = ATTRIBUTES.into_iter().map(|(name, kind)| (name, Some(kind))).collect();
    ensure_eq!(types, expected, "the attributes");
    ensure_eq!(event.attribute("user_id"), Some(user), "the user");
    ensure_eq!(event.attribute("source"), Some("lambda.presence.watchdog"), "the source");
    Ok(event)
}

/// Somebody else comes and goes. The stream is in order, so what came before has been looked at by then.
async fn fence(scene: &Scene, inbox: &mut Inbox, user: &str) -> Result<()> {
    let client = scene.connect(user).await?;
    take(inbox, user, "ONLINE").await?;
    client.close().await?;
    take(inbox, user, "OFFLINE").await?;
    Ok(())
}

fn nothing_waits(inbox: &Inbox) -> Result<()> {
    ensure!(inbox.waiting().is_empty(), "events that should not be: {:#?}", inbox.waiting());
    Ok(())
}

/// Backends can order one user's events, and tell a repeated one from another.
fn in_order(events: &[&Received]) -> Result<()> {
    let bodies: Vec<Value> = events.iter().map(|event| event.json()).collect::<Result<_>>()?;
    let times: Vec<_> = bodies.iter().map(|body| body["message"]["timestamp"].as_u64()).collect();
    ensure!(times.is_sorted_by(|one, other| one < other), "the times: {times:?}");
    let mut ids: Vec<_> = events.iter().map(|event| event.attribute("id")).collect();
    ids.sort_unstable();
    ids.dedup();
    ensure_eq!(ids.len(), events.len(), "ids: {ids:?}");
    Ok(())
}
