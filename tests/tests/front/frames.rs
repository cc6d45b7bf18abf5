//! Which route a frame takes, what comes back, and what no frame may be.

use serde_json::{Value, json};
use sumu_tests::front::upstream::Invoked;
use sumu_tests::{Context, Result, ensure_eq};

use crate::stub::{Scene, has_members, scene};

/// Guide, "Route selection": by the action, else `$default`; what is no JSON takes `$default` too.
#[tokio::test]
async fn a_frame_takes_the_route_of_its_action_or_the_default() -> Result<()> {
    let scene = scene()?;
    let mut client = scene.connect().await?;
    for (frame, route) in [(r#"{"action":"ask"}"#, "ask"), (r#"{"action":"?"}"#, "$default"), ("hello", "$default")] {
        client.send_text(frame).await?;
        ensure_eq!(client.next_text().await?, format!("{route} {}", json!(frame)), "the reply to {frame}");
    }
    let message = scene.stub.last("MESSAGE")?;
    has_members(&message, &["requestContext", "body", "isBase64Encoded"])?;
    let (context, connected) = (&message["requestContext"], scene.stub.last("CONNECT")?);
    for same in ["connectedAt", "connectionId", "authorizer", "identity", "domainName", "apiId", "stage"] {
        ensure_eq!(context[same], connected["requestContext"][same], "{same} of a frame and of $connect");
    }
    ensure_eq!(context["messageDirection"], json!("IN"), "the direction");
    context["messageId"].as_str().context("no message id")?;
    Ok(())
}

/// Guide, "Routes": without a route and without `$default` a frame is `Forbidden`.
#[tokio::test]
async fn a_frame_without_a_route_is_forbidden() -> Result<()> {
    let scene = scene()?;
    scene.stub.change(|api| drop(api.routes.remove("$default")));
    scene.stub.capture("first");
    says(&scene, "hello", "Forbidden").await
}

/// Guide, "Troubleshooting": what a failed integration leaves is `Internal server error`, not the function's words.
#[tokio::test]
async fn a_failed_function_is_an_internal_error_whatever_it_said() -> Result<()> {
    let scene = scene()?;
    for answer in [
        Invoked::Error(json!({"errorMessage": "secret"})),
        Invoked::Answer(json!({"body": "no status"})),
        Invoked::Unreachable,
    ] {
        scene.stub.answers("ask", answer);
        says(&scene, r#"{"action":"ask"}"#, "Internal server error").await?;
    }
    scene.stub.hold("slow");
    scene.stub.change(|api| api.routes.get_mut("ask").unwrap().integration.as_mut().unwrap().timeout_ms = 50);
    scene.stub.capture("second");
    scene.stub.deploy(Some("second"));
    says(&scene, r#"{"action":"ask","slow":1}"#, "Endpoint request timed out").await
}

async fn says(scene: &Scene, frame: &str, message: &str) -> Result<()> {
    let (mut client, id) = scene.connect_and_know().await?;
    let said = client.ask_text(frame).await?;
    has_members(&said, &["message", "connectionId", "requestId"])?;
    ensure_eq!(said["message"], json!(message), "what the gateway says to {frame}");
    ensure_eq!(said["connectionId"], json!(id), "the connection");
    Ok(())
}

/// Guide, "Route responses": only a route that has one answers. And "Deploy": routes are those of the deployment.
#[tokio::test]
async fn a_route_answers_only_with_a_route_response_that_was_deployed() -> Result<()> {
    let scene = scene()?;
    let mut client = scene.connect().await?;
    let fence = async |client: &mut sumu_tests::client::Client| -> Result<String> {
        client.send_text(r#"{"action":"tell"}"#).await?;
        scene.stub.next("MESSAGE").await?;
        client.send_text(r#"{"action":"ask"}"#).await?;
        client.next_text().await
    };
    ensure_eq!(
        fence(&mut client).await?.starts_with("ask "),
        true,
        "the first reply is that of the route that replies"
    );
    scene.stub.change(|api| api.routes.get_mut("tell").unwrap().replies = true);
    ensure_eq!(fence(&mut client).await?.starts_with("ask "), true, "and still is without a deployment");
    scene.stub.capture("second");
    scene.stub.deploy(Some("second"));
    client.send_text(r#"{"action":"tell"}"#).await?;
    ensure_eq!(client.next_text().await?.starts_with("tell "), true, "the reply after a deployment");
    Ok(())
}

/// Guide, "Deploy": a deployment is a snapshot, whenever a stage is pointed at it; a stage that deploys by itself follows.
#[tokio::test]
async fn a_stage_serves_its_deployment_as_it_was_captured_or_what_there_is_if_it_deploys_by_itself() -> Result<()> {
    let scene = scene()?;
    let mut client = scene.connect().await?;
    let taken = async |client: &mut sumu_tests::client::Client| -> Result<String> {
        client.send_text(r#"{"action":"late"}"#).await?;
        Ok(client.next_text().await?.split(' ').next().unwrap_or_default().to_owned())
    };
    scene.stub.capture("second");
    scene.stub.change(|api| {
        let ask = api.routes["ask"].clone();
        api.routes.insert("late".to_owned(), ask);
    });
    scene.stub.deploy(Some("second"));
    ensure_eq!(taken(&mut client).await?, "$default", "the route, captured before there was another");
    scene.stub.deploy_by_itself(true);
    ensure_eq!(taken(&mut client).await?, "late", "the route of a stage that deploys by itself");
    scene.stub.deploy_by_itself(false);
    ensure_eq!(taken(&mut client).await?, "$default", "the route of the deployment again");
    scene.stub.deploy(Some("never made"));
    let said = client.ask_text(r#"{"action":"late"}"#).await?;
    ensure_eq!(said["message"], json!("Forbidden"), "what a stage without a deployment says");
    Ok(())
}

/// Guide, "Permissions": a route's function must let API Gateway in for this API, this stage and this route.
#[tokio::test]
async fn a_function_that_does_not_let_the_route_in_is_an_internal_error() -> Result<()> {
    let scene = scene()?;
    let route = |key: &str| format!("arn:aws:execute-api:us-east-1:000000000000:api/live/{key}");
    let mut client = scene.connect().await?;
    scene.stub.bar(&route("ask"));
    let said = client.ask_text(r#"{"action":"ask"}"#).await?;
    ensure_eq!(said["message"], json!("Internal server error"), "what the gateway says");
    client.send_text("hello").await?;
    ensure_eq!(client.next_text().await?, r#"$default "hello""#, "another route answers as before");
    Ok(())
}

/// Guide, "Integrations": responses need not come in the order of the messages.
#[tokio::test]
async fn frames_of_one_socket_do_not_wait_for_each_other() -> Result<()> {
    let scene = scene()?;
    let mut client = scene.connect().await?;
    scene.stub.hold("first");
    client.send_text("first").await?;
    client.send_text("second").await?;
    ensure_eq!(client.next_text().await?, r#"$default "second""#, "the first reply");
    scene.stub.release("first");
    ensure_eq!(client.next_text().await?, r#"$default "first""#, "the second reply");
    Ok(())
}

/// Guide, "Binary media types": 1003. Quotas: a frame of 32 KB, a message of 128 KB, else 1009.
#[tokio::test]
async fn what_is_binary_or_too_large_is_the_end() -> Result<()> {
    const KB: usize = 1024;
    let scene = scene()?;
    let mut client = scene.connect().await?;
    client.send_binary(b"{}").await?;
    ensure_eq!(client.closed().await?, Some(1003), "the code for a binary frame");

    for (bytes, frame, code) in [
        (32 * KB, 32 * KB, None),
        (32 * KB + 1, 33 * KB, Some(1009)),
        (120 * KB, 32 * KB, None),
        (128 * KB + 1, 32 * KB, Some(1009)),
    ] {
        let mut client = scene.connect().await?;
        // The other end may have closed before all was written.
        let sent = client.send_in_frames(&"x".repeat(bytes), frame).await;
        if code.is_some() {
            ensure_eq!(client.closed().await?, code, "the code for {bytes} bytes by {frame}");
        } else {
            sent?;
            ensure_eq!(client.next_text().await?.len(), "$default ".len() + bytes + 2, "the reply's length");
        }
    }
    ensure_eq!(scene.stub.events("MESSAGE").len(), 2, "frames that reached the function");
    Ok(())
}

/// Guide, "Mapping template reference": the body is the frame, byte for byte.
#[tokio::test]
async fn a_frame_reaches_the_function_as_it_is() -> Result<()> {
    let scene = scene()?;
    let mut client = scene.connect().await?;
    let frame = "{\"b\": 1.0,\n \"a\":\"👋\\u0041\"}";
    client.send_text(frame).await?;
    client.next_text().await?;
    ensure_eq!(scene.stub.last("MESSAGE")?["body"], Value::from(frame), "the body");
    Ok(())
}
