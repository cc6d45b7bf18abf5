//! Who gets in, what the functions are told, and what a client hears that does not.

use serde_json::{Value, json};
use sumu_tests::client::{Client, Credentials, Refusal};
use sumu_tests::front::upstream::Invoked;
use sumu_tests::poll::{PATIENCE, within};
use sumu_tests::{Context, Error, Result, ensure, ensure_eq};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::stub::{Scene, has_members, scene};

/// What every request context has of a connection.
const CONTEXT: [&str; 13] = [
    "apiId",
    "connectedAt",
    "connectionId",
    "domainName",
    "eventType",
    "extendedRequestId",
    "identity",
    "messageDirection",
    "requestId",
    "requestTime",
    "requestTimeEpoch",
    "routeKey",
    "stage",
];

/// Guide, "Lambda REQUEST authorizer" and "Manage connected users": the events of a handshake.
#[tokio::test]
async fn authorizer_and_connect_get_the_handshake_as_the_client_sent_it() -> Result<()> {
    let scene = scene()?;
    let status = raw(&scene, "/_aws/execute-api/api/live?authorization=t%3D&a=1&a=2", "h:1", "X-CaSe: y\r\n").await?;
    ensure!(status.starts_with("HTTP/1.1 101 "), "{status}");

    let request = scene.stub.last("REQUEST")?;
    ensure_eq!(
        request["methodArn"],
        json!("arn:aws:execute-api:us-east-1:000000000000:api/live/$connect"),
        "the method"
    );
    let handshake = ["headers", "multiValueHeaders", "queryStringParameters", "multiValueQueryStringParameters"];
    has_members(&request, &[&handshake[..], &["type", "methodArn", "requestContext", "stageVariables"]].concat())?;
    has_members(&request["requestContext"], &CONTEXT)?;

    let connect = scene.stub.last("CONNECT")?;
    has_members(&connect, &[&handshake[..], &["requestContext", "isBase64Encoded"]].concat())?;
    has_members(&connect["requestContext"], &[&CONTEXT[..], &["authorizer"]].concat())?;
    ensure_eq!(connect["queryStringParameters"], json!({"authorization": "t=", "a": "2"}), "the query");
    ensure_eq!(connect["multiValueQueryStringParameters"]["a"], json!(["1", "2"]), "the query with all values");
    ensure_eq!(connect["headers"]["X-CaSe"], json!("y"), "a header by its name as it was sent");
    let context = &connect["requestContext"];
    ensure_eq!(context["authorizer"], json!({"principalId": "alice", "exp": "7"}), "the context, all texts");
    ensure_eq!(context["domainName"], json!("h"), "the host");
    ensure_eq!(context["identity"], json!({"sourceIp": "127.0.0.1"}), "the identity");
    ensure!(context["connectionId"].as_str().is_some_and(|id| id.ends_with('=')), "the id: {context}");
    ensure_eq!(context["connectionId"], request["requestContext"]["connectionId"], "the connection");
    Ok(())
}

/// Guide, "Invoke a WebSocket API": an API's host and the stage; anything else is `Forbidden`.
#[tokio::test]
async fn only_a_stage_that_serves_a_deployment_is_there() -> Result<()> {
    let scene = scene()?;
    let token = "?authorization=t";
    for (path, host, expected) in [
        ("/live", "api.execute-api.us-east-1.amazonaws.com", 101),
        ("/_aws/execute-api/api/live", "127.0.0.1", 101),
        ("/v1", "ws.example", 101),
        ("/v1/live", "ws.example", 403),
        ("/live", "ws.example", 403),
        ("/", "api.execute-api.us-east-1.amazonaws.com", 403),
        ("/other", "api.execute-api.us-east-1.amazonaws.com", 403),
        ("/live", "other.execute-api.us-east-1.amazonaws.com", 403),
    ] {
        let answer = raw(&scene, &format!("{path}{token}"), host, "").await?;
        ensure!(answer.starts_with(&format!("HTTP/1.1 {expected} ")), "{path} on {host}: {answer}");
        ensure!(expected == 101 || answer.contains(r#""message":"Forbidden""#), "{path} on {host}: {answer}");
    }
    scene.stub.deploy(None);
    refused(&scene, Credentials::Query("t"), 403, "Forbidden").await
}

/// Guide, "Lambda REQUEST authorizer": 401 without its identity sources, and it is not asked.
#[tokio::test]
async fn who_shows_nothing_is_401_and_the_authorizer_is_not_asked() -> Result<()> {
    let scene = scene()?;
    refused(&scene, Credentials::Nothing, 401, "Unauthorized").await?;
    ensure_eq!(scene.stub.events("REQUEST").len(), 0, "times that the authorizer was asked");
    scene.stub.change(|api| api.authorizer.as_mut().unwrap().identity_sources.clear());
    scene.stub.capture("second");
    scene.stub.deploy(Some("second"));
    Client::connect(&scene.url(), Credentials::Nothing).await?;
    Ok(())
}

/// Guide, "Permissions": the authorizer must let API Gateway in as this authorizer, `$connect` as this route.
#[tokio::test]
async fn a_handshake_needs_the_leave_of_both_functions() -> Result<()> {
    for on_behalf_of in ["authorizers/auth", "live/$connect"] {
        let scene = scene()?;
        scene.stub.bar(&format!("arn:aws:execute-api:us-east-1:000000000000:api/{on_behalf_of}"));
        refused(&scene, Credentials::Query("t"), 500, "Internal server error").await?;
    }
    Ok(())
}

/// Guide, "Lambda REQUEST authorizer": the word `Unauthorized` is 401, a denial 403, a failure 500.
#[tokio::test]
async fn what_the_authorizer_says_is_what_the_client_hears() -> Result<()> {
    let scene = scene()?;
    let deny = json!({"Action": "execute-api:Invoke", "Effect": "Deny", "Resource": "*"});
    let deny = json!({"principalId": "x", "policyDocument": {"Statement": [deny]}});
    let failed = "Internal server error";
    for (answer, status, message) in [
        (Invoked::Error(json!({"errorMessage": "Unauthorized"})), 401, "Unauthorized"),
        (Invoked::Answer(deny), 403, "Forbidden"),
        (Invoked::Error(json!({"errorMessage": "boom"})), 500, failed),
        (Invoked::Answer(json!({"isAuthorized": true})), 500, failed),
        (Invoked::Unreachable, 500, failed),
    ] {
        let what = format!("{answer:?}");
        scene.stub.answers("authorizer", answer);
        refused(&scene, Credentials::Query("t"), status, message).await.context(what)?;
    }
    ensure_eq!(scene.stub.events("CONNECT").len(), 0, "times that $connect was asked");
    Ok(())
}

/// Guide, "Manage connected users": the connection is not made unless `$connect` succeeds.
#[tokio::test]
async fn what_connect_says_but_2xx_is_the_end_of_the_handshake() -> Result<()> {
    let scene = scene()?;
    let failed = "Internal server error";
    for (answer, status, message) in [
        (Invoked::Answer(json!({"statusCode": 400})), 400, "Bad Request"),
        (Invoked::Answer(json!({"statusCode": 500})), 500, failed),
        (Invoked::Answer(json!({"ok": true})), 502, failed),
        (Invoked::Error(json!({"errorMessage": "boom"})), 502, failed),
        (Invoked::Unreachable, 500, failed),
    ] {
        let what = format!("{answer:?}");
        scene.stub.answers("$connect", answer);
        refused(&scene, Credentials::Query("t"), status, message).await.context(what)?;
    }
    ensure_eq!(scene.stub.events("DISCONNECT").len(), 0, "ends of what never began");
    Ok(())
}

/// Guide, "WebSocket subprotocols": the one that `$connect` answers with, and none otherwise.
#[tokio::test]
async fn a_subprotocol_is_answered_only_when_connect_has_chosen_it() -> Result<()> {
    let scene = scene()?;
    scene.stub.change(|api| api.authorizer = None);
    scene.stub.capture("first");
    let connect = async || Client::connect(&scene.url(), Credentials::Subprotocol("t")).await;
    ensure_eq!(connect().await?.subprotocol(), None, "the subprotocol that nobody chose");
    let answer = json!({"statusCode": 200, "headers": {"Sec-WebSocket-Protocol": "sumu"}});
    scene.stub.answers("$connect", Invoked::Answer(answer));
    ensure_eq!(connect().await?.subprotocol(), Some("sumu"), "the subprotocol that was chosen");
    Ok(())
}

/// Guide, "Throttling": a stage's limit counts connects and messages.
#[tokio::test]
async fn who_comes_beyond_the_stages_limit_is_429_and_so_are_frames() -> Result<()> {
    let scene = scene()?;
    scene.stub.throttle(0.000_1, 2.0);
    let mut client = scene.connect().await?;
    client.send_text("a").await?;
    ensure_eq!(client.next_text().await?, r#"$default "a""#, "what is within the limit");
    ensure_eq!(client.ask_text("b").await?["message"], json!("Too Many Requests"), "what is beyond it");
    refused(&scene, Credentials::Query("t"), 429, "Too Many Requests").await
}

/// Guide, "Manage connected users": the body of a refusal names the connection and the request.
async fn refused(scene: &Scene, credentials: Credentials<'_>, status: u16, message: &str) -> Result<()> {
    let Err(Refusal { status: found, body }) = Client::try_connect(&scene.url(), credentials).await? else {
        return Err(Error::new("the client got in"));
    };
    ensure_eq!(found, status, "the status, with {body}");
    let body: Value = serde_json::from_str(&body)?;
    has_members(&body, &["message", "connectionId", "requestId"])?;
    ensure_eq!(body["message"], json!(message), "the message");
    Ok(())
}

/// Shakes hands by hand and returns the beginning of the answer.
async fn raw(scene: &Scene, path: &str, host: &str, header: &str) -> Result<String> {
    let mut stream = TcpStream::connect(scene.front.authority()).await?;
    let head = format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n{header}\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await?;
    let mut answer = vec![0; 4096];
    let length = within(PATIENCE, "an answer", async { Ok(stream.read(&mut answer).await?) }).await?;
    Ok(String::from_utf8_lossy(&answer[..length]).into_owned())
}
