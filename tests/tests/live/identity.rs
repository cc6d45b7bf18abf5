//! Where the operator's own credentials come from in a cluster: a token of its service account, or an agent on its node.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use sumu_tests::aws::{ACCOUNT, KEY};
use sumu_tests::gateway::call::Service;
use sumu_tests::gateway::fault::{Act, Calls, Fault, Injected};
use sumu_tests::stack::Stack;
use sumu_tests::{Context, Result, ensure, ensure_eq};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::faults::common::ensure_says;
use crate::scene::{Scene, ensure_complete, scene};

const REFUSED: &str = "Not authorized to perform sts:AssumeRoleWithWebIdentity";

/// A file with a token, as a cluster mounts one.
fn token(scene: &Scene, token: &str) -> Result<PathBuf> {
    let path = scene.testbed.folder().data("tokens")?.join(&scene.namespace);
    std::fs::write(&path, token)?;
    Ok(path)
}

/// What EKS sets in the pods of a service account with a role.
fn web_identity(scene: &Scene) -> Result<Vec<(String, String)>> {
    let path = token(scene, "a.web.token")?.display().to_string();
    let role = format!("arn:aws:iam::{ACCOUNT}:role/{}", scene.namespace);
    Ok(vec![("AWS_WEB_IDENTITY_TOKEN_FILE".to_owned(), path), ("AWS_ROLE_ARN".to_owned(), role)])
}

/// The exchanges of the scene's token. Nobody has signed them, so that they are known by the role alone.
fn exchanges(scene: &Scene, act: Act) -> Injected {
    let calls = Calls::Operation(Service::Sts, "AssumeRoleWithWebIdentity");
    scene.testbed.aws().gateway().inject(Fault::of(calls, act).about(&scene.namespace))
}

#[test]
fn an_operator_with_a_web_identity_exchanges_it_once_for_all_regions_and_makes_a_stack() -> Result<()> {
    scene("webidentity").play_from_the_start(async |scene| {
        let exchanged = exchanges(scene, Act::Delay(Duration::ZERO));
        scene.operate_as(web_identity(scene)?)?;
        let mut elsewhere = scene.manifest().clone();
        elsewhere["metadata"]["name"] = "elsewhere".into();
        elsewhere["spec"]["aws"]["region"] = "eu-central-1".into();
        elsewhere["spec"]["suspend"] = true.into();
        let elsewhere = Stack::apply(scene.testbed, &elsewhere).await?;
        scene.apply().await?;
        scene.ready().await?;
        ensure_complete(&scene.inventory().await?)?;
        sumu_tests::eventually(sumu_tests::poll::PATIENCE, "the stack of another region to be seen", async || {
            let object = elsewhere.object().await?;
            ensure_eq!(object["status"]["aws"]["region"], "eu-central-1", "the region");
            Ok(())
        })
        .await?;
        elsewhere.delete().await?;
        elsewhere.gone().await?;
        ensure_eq!(exchanged.hits(), 1, "exchanges of the token");
        Ok(())
    })
}

#[test]
#[ignore = "slow: make test-faults"]
fn a_web_identity_that_is_refused_is_exchanged_once_a_minute_and_told_in_awss_words() -> Result<()> {
    scene("webrefused").play_from_the_start(async |scene| {
        let refused = exchanges(scene, Act::refuse(403, "AccessDenied", REFUSED));
        let began = Instant::now();
        scene.operate_as(web_identity(scene)?)?;
        scene.apply().await?;
        for memory in [320, 384, 448] {
            scene.stack.patch(&json!({"spec": {"functions": {"memoryMiB": memory}}})).await?;
            let object = scene
                .until("the refusal to be told", |object| {
                    ensure_eq!(object["status"]["observedGeneration"], object["metadata"]["generation"], "generation");
                    ensure_says(object, "Ready", "AccessDenied", &["AssumeRoleWithWebIdentity", REFUSED])
                })
                .await?;
            let told = object["status"].to_string().to_lowercase();
            ensure!(!told.contains("request_id") && !told.contains("requestid"), "a request's id is told: {told}");
        }
        let (asked, minutes) = (refused.hits(), began.elapsed().as_secs() / 60);
        ensure!((1..=1 + minutes).contains(&asked), "asked {asked} times in {minutes} minutes");
        refused.end();
        scene.stack.ready_within(Duration::from_mins(4)).await?;
        scene.ready().await?;
        ensure_complete(&scene.inventory().await?)
    })
}

/// The agent of a node: hands out keys to whoever shows its token.
struct Agent {
    url: String,
    asked: Arc<AtomicUsize>,
}

impl Agent {
    async fn start(token: &'static str, key: String) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let url = format!("http://{}/v1/credentials", listener.local_addr()?);
        let asked = Arc::<AtomicUsize>::default();
        let count = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                // What goes wrong is the operator's to tell.
                if answer(connection, token, &key).await.is_ok() {
                    count.fetch_add(1, Ordering::SeqCst);
                }
            }
        });
        Ok(Self { url, asked })
    }
}

/// One request a connection.
async fn answer(connection: TcpStream, token: &str, key: &str) -> Result<()> {
    let mut connection = BufReader::new(connection);
    let mut head = String::new();
    while connection.read_line(&mut head).await? > 0 && !head.ends_with("\r\n\r\n") {}
    let shown = head.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("authorization").then_some(value)
    });
    let shown = shown.context("no token")?;
    ensure_eq!(shown, token, "the token");
    let end = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(6);
    let keys = json!({
        "AccessKeyId": key, "SecretAccessKey": KEY, "Token": "session", "AccountId": ACCOUNT, "Expiration": end.to_string(),
    });
    let (keys, kind) = (keys.to_string(), "Content-Type: application/json");
    let head = format!("HTTP/1.1 200 OK\r\n{kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", keys.len());
    connection.write_all(head.as_bytes()).await?;
    connection.write_all(keys.as_bytes()).await?;
    Ok(connection.shutdown().await?)
}

#[test]
fn an_operator_with_a_pod_identity_asks_the_agent_once_and_makes_a_stack() -> Result<()> {
    scene("podidentity").play_from_the_start(async |scene| {
        let agent = Agent::start("a-pods-token", scene.key().to_owned()).await?;
        let path = token(scene, "a-pods-token")?.display().to_string();
        scene.operate_as(vec![
            ("AWS_CONTAINER_CREDENTIALS_FULL_URI".to_owned(), agent.url.clone()),
            ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE".to_owned(), path),
        ])?;
        scene.apply().await?;
        scene.ready().await?;
        ensure_complete(&scene.inventory().await?)?;
        ensure_eq!(agent.asked.load(Ordering::SeqCst), 1, "questions to the agent");
        Ok(())
    })
}
