//! How connections end, and what `$disconnect` is told.

use std::time::Duration;

use serde_json::{Value, json};
use sumu_tests::front::Limits;
use sumu_tests::{Context, Result, ensure, ensure_eq};

use crate::stub::{Scene, has_members, scene};

/// Guide, "Manage connected users": the code and the reason of the end; no query, and the gateway's headers only.
#[tokio::test]
async fn disconnect_is_told_how_the_client_ended() -> Result<()> {
    let scene = scene()?;
    scene.connect().await?.close_with(4001, "bye").await?;
    let event = scene.stub.next("DISCONNECT").await?;
    has_members(&event, &["headers", "multiValueHeaders", "requestContext", "isBase64Encoded"])?;
    ends(&scene, 4001, "bye").await?;
    let (context, connected) = (&event["requestContext"], scene.stub.last("CONNECT")?);
    for same in ["connectedAt", "connectionId", "authorizer"] {
        ensure_eq!(context[same], connected["requestContext"][same], "{same} of $disconnect and of $connect");
    }
    Ok(())
}

/// RFC 6455, 7.4.1: 1006 stands for an end without a word.
#[tokio::test]
async fn an_end_without_a_word_is_1006() -> Result<()> {
    let scene = scene()?;
    scene.connect().await?.abort();
    ends(&scene, 1006, "").await
}

/// Guide, "Manage connected users": `$disconnect` is best effort.
#[tokio::test]
async fn a_disconnect_can_be_lost() -> Result<()> {
    let scene = scene()?;
    let (lost, id) = scene.connect_and_know().await?;
    scene.front.lose_disconnect(&id);
    lost.close().await?;
    let (told, other) = scene.connect_and_know().await?;
    told.close().await?;
    ensure_eq!(scene.stub.next("DISCONNECT").await?["requestContext"]["connectionId"], json!(other), "who has ended");
    ensure_eq!(scene.stub.events("DISCONNECT").len(), 1, "ends that were told");
    Ok(())
}

/// Quotas: ten minutes without a message; 1001.
#[tokio::test]
async fn who_says_nothing_for_ten_minutes_is_sent_away() -> Result<()> {
    let scene = scene()?;
    // 600 ms, and the lifetime of 72 s plays no part.
    scene.front.limit(Limits { lifetime: Duration::from_hours(2), ..Limits::default().faster(1000) });
    let mut client = scene.connect().await?;
    ensure_eq!(client.closed().await?, Some(1001), "the code");
    ends(&scene, 1001, "Going away").await
}

/// Quotas: two hours, whatever is said; 1001.
#[tokio::test]
async fn nobody_stays_for_more_than_two_hours() -> Result<()> {
    let scene = scene()?;
    scene.front.limit(Limits { idle: Duration::from_mins(10), ..Limits::default().faster(10_000) });
    let mut client = scene.connect().await?;
    let mut said = 0;
    // Until it is over, which is after 720 ms.
    while client.send_text("here").await.is_ok() && client.next_text().await.is_ok() {
        said += 1;
    }
    ensure!(said > 0, "nothing could be said");
    ends(&scene, 1001, "Going away").await
}

async fn ends(scene: &Scene, code: u16, reason: &str) -> Result<()> {
    let event = scene.stub.next("DISCONNECT").await?;
    let context = event.get("requestContext").context("no context")?;
    ensure_eq!(context["disconnectStatusCode"], json!(code), "the code");
    ensure_eq!(context["disconnectReason"], Value::from(reason), "the reason");
    Ok(())
}
