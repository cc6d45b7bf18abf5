//! The management API, with AWS's own client as the judge of its form.

use aws_sdk_apigatewaymanagement::Client as Sdk;
use aws_sdk_apigatewaymanagement::config::retry::RetryConfig;
use aws_sdk_apigatewaymanagement::config::{self, BehaviorVersion, Region};
use aws_sdk_apigatewaymanagement::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_apigatewaymanagement::primitives::{Blob, DateTime};
use serde_json::Value;
use sumu_tests::client::{Client, Credentials};
use sumu_tests::front::{Fault, Limits};
use sumu_tests::poll::{PATIENCE, within};
use sumu_tests::{Context, Result, ensure, ensure_eq};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::stub::{Scene, scene};

fn sdk(scene: &Scene, stage: &str) -> Sdk {
    let endpoint = scene.front.management_template().replace("{apiId}", "api").replace("{stage}", stage);
    let settings = aws_sdk_apigatewaymanagement::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(endpoint)
        .region(Region::from_static("us-east-1"))
        .credentials_provider(config::Credentials::new("test", "test", None, None, "test"))
        .retry_config(RetryConfig::disabled());
    Sdk::from_conf(settings.build())
}

/// Status and code of a failure; 200 for a success.
fn told<T, E: ProvideErrorMetadata>(answer: Result<T, SdkError<E>>) -> (u16, String) {
    match answer {
        Ok(_) => (200, String::new()),
        Err(error) => {
            let code = error.code().unwrap_or_default().to_owned();
            (error.raw_response().map_or(0, |response| response.status().as_u16()), code)
        }
    }
}

async fn post(sdk: &Sdk, id: &str, data: &str) -> (u16, String) {
    told(sdk.post_to_connection().connection_id(id).data(Blob::new(data)).send().await)
}

fn is(told: &(u16, String), status: u16, code: &str) -> Result<()> {
    ensure_eq!((told.0, told.1.as_str()), (status, code), "status and code");
    Ok(())
}

/// Fails when something was on its way to a client before what it sends now.
async fn nothing_came(client: &mut Client) -> Result<()> {
    client.send_text("fence").await?;
    ensure_eq!(client.next_text().await?, r#"$default "fence""#, "the first that arrives");
    Ok(())
}

/// Model, `PostToConnection`: the data as it is; `GoneException` once the connection is closed.
#[tokio::test]
async fn a_post_arrives_as_it_is_and_then_the_connection_is_gone() -> Result<()> {
    let scene = scene()?;
    let sdk = sdk(&scene, "live");
    let (mut client, id) = scene.connect_and_know().await?;
    let large = "x".repeat(128 * 1024);
    for data in ["{\"a\": 1}", "👋", &large] {
        is(&post(&sdk, &id, data).await, 200, "")?;
        ensure!(client.next_text().await? == data, "something else than {} bytes arrived", data.len());
    }
    client.close().await?;
    scene.stub.next("DISCONNECT").await?;
    is(&post(&sdk, &id, "x").await, 410, "GoneException")?;
    is(&post(&sdk, "never=", "x").await, 410, "GoneException")
}

/// Model: `PayloadTooLargeException` beyond 128 KB; `ForbiddenException` for another stage, and for who is not signed.
#[tokio::test]
async fn what_is_too_large_or_elsewhere_or_unsigned_is_refused() -> Result<()> {
    let scene = scene()?;
    let (mut client, id) = scene.connect_and_know().await?;
    is(&post(&sdk(&scene, "live"), &id, &"x".repeat(128 * 1024 + 1)).await, 413, "PayloadTooLargeException")?;
    is(&post(&sdk(&scene, "other"), &id, "x").await, 403, "ForbiddenException")?;
    let mut stream = tokio::net::TcpStream::connect(scene.front.authority()).await?;
    let path = format!("/_aws/execute-api/api/live/@connections/{}", id.replace('=', "%3D"));
    stream.write_all(format!("POST {path} HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx").as_bytes()).await?;
    let mut answer = [0; 12];
    within(PATIENCE, "an answer", async { Ok(stream.read_exact(&mut answer).await?) }).await?;
    ensure_eq!(&answer, b"HTTP/1.1 403", "the answer to who is not signed");
    nothing_came(&mut client).await
}

/// API Gateway Developer Guide, IAM authorization for WebSocket APIs: `execute-api:ManageConnections` on each method.
#[tokio::test]
async fn who_may_not_post_is_told_so_and_may_still_look() -> Result<()> {
    let scene = scene()?;
    let sdk = sdk(&scene, "live");
    let (mut client, id) = scene.connect_and_know().await?;
    let resource =
        |account| format!("arn:aws:execute-api:us-east-1:{account}:api/live/POST/@connections/{{connectionId}}");
    scene.stub.bar(&resource("000000000000"));
    let error = sdk.post_to_connection().connection_id(&id).data(Blob::new("x")).send().await.err().context("made")?;
    let said = error.message().unwrap_or_default().to_owned();
    is(&told::<(), _>(Err(error)), 403, "AccessDeniedException")?;
    let who = "User: arn:aws:iam::000000000000:user/test is not authorized to perform: execute-api:ManageConnections";
    ensure_eq!(said, format!("{who} on resource: {}", resource("********0000")), "the message");
    sdk.get_connection().connection_id(&id).send().await?;
    nothing_came(&mut client).await
}

/// AWS re:Post, "410 Gone": there is no connection until the handshake is over.
#[tokio::test]
async fn a_post_during_the_handshake_is_gone() -> Result<()> {
    let scene = scene()?;
    let sdk = sdk(&scene, "live");
    // Only what goes to `$connect` has the authorizer's answer in it.
    scene.stub.hold("alice");
    let during = async {
        let event = scene.stub.next("CONNECT").await?;
        let id = event["requestContext"]["connectionId"].as_str().context("no id")?.to_owned();
        let told = post(&sdk, &id, "x").await;
        scene.stub.release("alice");
        is(&told, 410, "GoneException")?;
        Ok::<_, sumu_tests::Error>(id)
    };
    let (client, id) = tokio::join!(scene.connect(), during);
    let (mut client, id) = (client?, id?);
    is(&post(&sdk, &id, "y").await, 200, "")?;
    ensure_eq!(client.next_text().await?, "y", "the post after the handshake");
    Ok(())
}

/// Model, `LimitExceededException`: "or the WebSocket client side buffer is full".
#[tokio::test]
async fn a_client_that_does_not_read_is_429_until_it_does() -> Result<()> {
    let scene = scene()?;
    scene.front.limit(Limits { buffer_bytes: 256 * 1024, ..Limits::default() });
    let sdk = sdk(&scene, "live");
    let mut client = Client::connect_narrow(&scene.url(), Credentials::Query("t")).await?;
    let id = scene.stub.last("CONNECT")?["requestContext"]["connectionId"].as_str().context("no id")?.to_owned();
    let load = "x".repeat(100 * 1024);
    let mut taken = 0;
    let full = loop {
        let told = post(&sdk, &id, &load).await;
        if told.0 != 200 {
            break told;
        }
        taken += 1;
        ensure!(taken < 100, "10 MB and the buffer is not full");
    };
    is(&full, 429, "LimitExceededException")?;
    for _ in 0..taken {
        ensure_eq!(client.next_text().await?.len(), load.len(), "the length of what was taken");
    }
    is(&post(&sdk, &id, "again").await, 200, "")?;
    ensure_eq!(client.next_text().await?, "again", "what comes to who reads again");
    Ok(())
}

/// Model, `GetConnection`: `connectedAt` and `lastActiveAt` in ISO 8601, and the identity.
#[tokio::test]
async fn a_connection_tells_its_times_and_who_it_is() -> Result<()> {
    let scene = scene()?;
    let sdk = sdk(&scene, "live");
    let (mut client, id) = scene.connect_and_know().await?;
    let get = async || Ok::<_, sumu_tests::Error>(sdk.get_connection().connection_id(&id).send().await?);
    let before = get().await?;
    let connected: Value = scene.stub.last("CONNECT")?["requestContext"]["connectedAt"].clone();
    let millis = |time: Option<&DateTime>| time.and_then(|time| time.to_millis().ok());
    ensure_eq!(millis(before.connected_at()), connected.as_i64(), "the time of the handshake");
    ensure_eq!(before.identity().and_then(|identity| identity.source_ip()), Some("127.0.0.1"), "the address");
    client.send_text("x").await?;
    client.next_text().await?;
    let after = get().await?;
    ensure_eq!(after.connected_at(), before.connected_at(), "the time of the handshake, later");
    ensure!(millis(after.last_active_at()) >= millis(before.last_active_at()), "the last message is in the past");
    Ok(())
}

/// Model, `DeleteConnection`: the connection ends, and `$disconnect` is told.
#[tokio::test]
async fn a_deleted_connection_ends() -> Result<()> {
    let scene = scene()?;
    let sdk = sdk(&scene, "live");
    let (mut client, id) = scene.connect_and_know().await?;
    is(&told(sdk.delete_connection().connection_id(&id).send().await), 200, "")?;
    ensure_eq!(client.closed().await?, Some(1000), "the code");
    scene.stub.next("DISCONNECT").await?;
    is(&told(sdk.delete_connection().connection_id(&id).send().await), 410, "GoneException")
}

/// What is known from others' trouble with AWS: posts fail, are throttled, and are told 410 though the client is there.
#[tokio::test]
async fn posts_to_one_connection_go_wrong_as_a_test_wants_them() -> Result<()> {
    let scene = scene()?;
    let sdk = sdk(&scene, "live");
    let (mut client, id) = scene.connect_and_know().await?;
    let (mut other, other_id) = scene.connect_and_know().await?;
    for (fault, status, code) in [
        (Fault::Gone, 410, "GoneException"),
        (Fault::Throttle, 429, "LimitExceededException"),
        (Fault::Fail, 500, ""),
        (Fault::HangUp, 0, ""),
        (Fault::LoseAnswer, 0, ""),
    ] {
        scene.front.set(&id, fault);
        is(&post(&sdk, &id, "late").await, status, code).with_context(|| format!("{fault:?}"))?;
        is(&post(&sdk, &other_id, "x").await, 200, "")?;
        ensure_eq!(other.next_text().await?, "x", "what came to the other");
    }
    ensure_eq!(client.next_text().await?, "late", "what came, though nobody was told");
    ensure_eq!(scene.front.posts_to(&id), 5, "posts");
    scene.front.mend();
    is(&post(&sdk, &id, "again").await, 200, "")?;
    ensure_eq!(client.next_text().await?, "again", "what came when all was well again");
    Ok(())
}
