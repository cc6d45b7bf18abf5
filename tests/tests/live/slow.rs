//! Connections that are slow, dead or deaf, among healthy ones that must notice nothing.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::json;
use sumu_tests::backend::Backend;
use sumu_tests::client::{Client, Credentials};
use sumu_tests::front::{Fault, Front};
use sumu_tests::poll::PATIENCE;
use sumu_tests::{Context, Result, ensure, ensure_eq, eventually};

use crate::push::queues_are_done;
use crate::scene::{Scene, counts, scene, text};

/// Each is treated badly in one way.
const VICTIMS: [(&str, Fault); 7] = [
    ("hung", Fault::Hang),
    ("hung too", Fault::Hang),
    ("and hung", Fault::Hang),
    ("throttled", Fault::Throttle),
    ("failed", Fault::Fail),
    ("cut", Fault::HangUp),
    ("unanswered", Fault::LoseAnswer),
];

/// A post is tried twice more in place before it is put off.
const TRIES: usize = 3;

/// Long enough for a post that is put off for five seconds, and then for ten.
const RETRIED_WITHIN: Duration = Duration::from_mins(1);

#[test]
fn connections_that_hang_fail_or_are_throttled_hold_nobody_up_and_get_everything_in_the_end() -> Result<()> {
    scene("slow").play_from_the_start(async |scene| {
        let front = Front::start(scene.testbed.aws()).await?;
        // It may not have begun to listen for a polite request.
        scene.kill_operator()?;
        let (clients, posts) = (front.websocket_template(), front.management_template());
        scene.start_operator_with(&["--websocket-endpoint", &clients, "--management-endpoint", &posts])?;
        scene.apply().await?;
        scene.ready().await?;
        let mut healthy = [scene.connect("alice").await?, scene.connect("alice").await?, scene.connect("bob").await?];
        let mut victims = Vec::new();
        for (user, fault) in VICTIMS {
            let mut client = scene.connect(user).await?;
            let connection_id = text(&client.ping().await?, "/connectionId")?.to_owned();
            front.set(&connection_id, fault);
            victims.push(Victim { user, fault, connection_id, client });
        }

        let backend = scene.backend()?;
        let (topic, queue) = (scene.text("/notifications/topicArn")?, scene.text("/notifications/queueUrl")?);
        // Through both ways in, and to users as well as to everyone. Nothing is mended before the healthy have it all.
        backend.publish(topic, r#"{"data":"first"}"#).await?;
        all_get(&mut healthy, &["first"]).await?;
        nobody_waited(&front, &victims, TRIES)?;
        let users: Vec<&str> = VICTIMS.iter().map(|(user, _)| *user).chain(["alice", "bob"]).collect();
        let second = json!({"users": users, "data": "second"}).to_string();
        backend.send_all(queue, &[&second, r#"{"data":"third"}"#]).await?;
        all_get(&mut healthy, &["second", "third"]).await?;
        nobody_waited(&front, &victims, 3 * TRIES)?;
        for Victim { user, connection_id, .. } in &victims {
            eventually(PATIENCE, &format!("three posts to {user}, each tried {TRIES} times"), async || {
                ensure!(front.posts_to(connection_id) >= 3 * TRIES, "there were {}", front.posts_to(connection_id));
                Ok(())
            })
            .await?;
        }

        front.mend();
        for Victim { user, fault, client, .. } in &mut victims {
            gets_all(client, &["first", "second", "third"], *fault == Fault::LoseAnswer)
                .await
                .with_context(|| (*user).to_owned())?;
        }
        queues_are_done(scene, RETRIED_WITHIN).await?;
        for Victim { user, fault, client, .. } in &mut victims {
            if *fault != Fault::LoseAnswer {
                client.ensure_silent().await.with_context(|| (*user).to_owned())?;
            }
        }
        for client in &mut healthy {
            client.ensure_silent().await.context("one of the healthy")?;
        }
        let letters = backend.drain(scene.text("/notifications/deadLetterQueueUrl")?).await?;
        ensure!(letters.is_empty(), "nothing was given up: {letters:?}");
        let put_off = scene.counted(counts::RETRIED).await?;
        ensure!(put_off >= 21, "{put_off} posts were put off, of seven victims and three pushes");
        ensure!(front.callers() < front.posts(), "{} connections for {} posts", front.callers(), front.posts());
        Ok(())
    })
}

/// Somebody who is connected, and whose posts go wrong.
struct Victim {
    user: &'static str,
    fault: Fault,
    connection_id: String,
    client: Client,
}

/// Fails when all `tries` to reach who hangs were over before the healthy had theirs.
fn nobody_waited(front: &Front, victims: &[Victim], tries: usize) -> Result<()> {
    for Victim { connection_id, .. } in victims.iter().filter(|victim| victim.fault == Fault::Hang) {
        let made = front.posts_to(connection_id);
        ensure!(made < tries, "the healthy had to wait until {made} posts to who hangs were over");
    }
    Ok(())
}

/// Everybody gets this next, in any order.
async fn all_get(clients: &mut [Client], expected: &[&str]) -> Result<()> {
    for client in clients {
        gets_all(client, expected, false).await.context("one of the healthy")?;
    }
    Ok(())
}

/// A client gets all of this, in any order; more than once only where nobody can know whether it has arrived.
async fn gets_all(client: &mut Client, expected: &[&str], may_repeat: bool) -> Result<()> {
    let mut missing: BTreeSet<&str> = expected.iter().copied().collect();
    while !missing.is_empty() {
        let got = client.next().await.with_context(|| format!("without {missing:?}"))?;
        let got = got.as_str().context("not a text")?;
        let is_new = missing.remove(got);
        ensure!(is_new || (may_repeat && expected.contains(&got)), "{got} came, of {expected:?} without {missing:?}");
    }
    Ok(())
}

/// More than is kept for who does not read.
const LOADS: usize = 36;
const LOAD_BYTES: usize = 120 * 1024;

#[test]
fn the_deaf_and_the_dead_hold_nobody_up_and_a_row_goes_only_when_its_connection_is_known_to_be_dead() -> Result<()> {
    scene("dead").play(async |scene| {
        let backend = scene.backend()?;
        let endpoint = scene.text("/endpoint")?;
        let token = scene.testbed.issuer().token("deaf").sign()?;
        let mut deaf = Client::connect_narrow(endpoint, Credentials::Query(&token)).await?;
        scene.connect("tunnel").await?.abort();
        let mut healthy = scene.connect("alice").await?;

        for start in (0..LOADS).step_by(2) {
            let load = |n: usize| json!({"data": [n, "x".repeat(LOAD_BYTES)]}).to_string();
            backend.send_all(scene.text("/notifications/queueUrl")?, &[&load(start), &load(start + 1)]).await?;
        }
        ensure_eq!(loads(&mut healthy).await?, (0..LOADS).collect(), "what came to who reads");
        healthy.ensure_silent().await?;
        eventually(PATIENCE, "posts to be put off", async || {
            ensure!(scene.counted(counts::RETRIED).await? > 0, "the buffer of who does not read takes all of it");
            Ok(())
        })
        .await?;
        ensure_eq!(loads(&mut deaf).await?, (0..LOADS).collect(), "what came to who read late");
        queues_are_done(scene, RETRIED_WITHIN).await?;
        deaf.ensure_silent().await?;
        let letters = backend.drain(scene.text("/notifications/deadLetterQueueUrl")?).await?;
        ensure!(letters.is_empty(), "nothing was given up: {letters:?}");
        let (old, young, replaced) = rows_without_a_socket(scene, &backend).await?;
        ensure!(!old, "the row of a connection that is gone is still there");
        ensure!(young, "the row of a connection that may be opening is gone");
        ensure!(replaced, "the row of a connection that has another's id is gone");
        healthy.ensure_silent().await?;
        eventually(RETRIED_WITHIN, "the row to go that is no longer young", async || {
            ensure!(!row_exists(scene, "young", "young=").await?, "it is there");
            Ok(())
        })
        .await
    })
}

/// Takes frames until every load has come, each once.
async fn loads(client: &mut Client) -> Result<BTreeSet<usize>> {
    let mut seen = BTreeSet::new();
    while seen.len() < LOADS {
        let frame = client.next().await.with_context(|| format!("after {seen:?}"))?;
        let load = frame[0].as_u64().and_then(|n| usize::try_from(n).ok()).context("no load")?;
        ensure_eq!(frame[1].as_str().map(str::len), Some(LOAD_BYTES), "the size of load {load}");
        ensure!(seen.insert(load), "{load} came twice");
    }
    Ok(seen)
}

/// Pushes to connections that have only a row, and says which rows are left: of an old one, of one that may still be
/// opening, and of one that is newer than the pusher was told.
async fn rows_without_a_socket(scene: &Scene, backend: &Backend) -> Result<(bool, bool, bool)> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
    for (name, connected_at) in [("old", now - 60_000), ("young", now), ("replaced", now)] {
        put_row(scene, name, &format!("{name}="), connected_at).await?;
    }
    let gone = scene.counted(counts::GONE).await?;
    let before = json!({"user_id": "replaced", "connection_id": "replaced=", "connected_at": 1_700_000_000_000_u64});
    let to_rows = json!({"users": ["old", "young"], "data": 1}).to_string();
    let to_replaced = json!({"target": {"connections": [before]}, "data": 1}).to_string();
    backend.send_all(scene.text("/notifications/queueUrl")?, &[&to_rows, &to_replaced]).await?;
    eventually(PATIENCE, "two connections to be found gone", async || {
        ensure_eq!(scene.counted(counts::GONE).await?, gone + 2, "connections that were gone");
        Ok(())
    })
    .await?;
    Ok((
        row_exists(scene, "old", "old=").await?,
        row_exists(scene, "young", "young=").await?,
        row_exists(scene, "replaced", "replaced=").await?,
    ))
}

async fn put_row(scene: &Scene, user: &str, connection: &str, connected_at: u128) -> Result<()> {
    let client = aws_sdk_dynamodb::Client::new(&scene.sdk().await);
    let call = client
        .put_item()
        .table_name(scene.text("/connectionsTable/name")?)
        .item("user_id", AttributeValue::S(user.to_owned()))
        .item("connection_id", AttributeValue::S(connection.to_owned()))
        .item("connected_at", AttributeValue::N(connected_at.to_string()));
    call.send().await?;
    Ok(())
}

async fn row_exists(scene: &Scene, user: &str, connection: &str) -> Result<bool> {
    let client = aws_sdk_dynamodb::Client::new(&scene.sdk().await);
    let call = client
        .get_item()
        .table_name(scene.text("/connectionsTable/name")?)
        .key("user_id", AttributeValue::S(user.to_owned()))
        .key("connection_id", AttributeValue::S(connection.to_owned()))
        .consistent_read(true);
    Ok(call.send().await?.item().is_some())
}
