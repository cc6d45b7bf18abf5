//! Deliveries that go wrong: records that cannot be handled, functions that are killed, and leave that is taken away.

use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_sdk_lambda::types::{Environment, LastUpdateStatus};
use aws_sdk_sqs::types::QueueAttributeName;
use serde_json::{Value, json};
use sumu_tests::backend::Inbox;
use sumu_tests::client::{Client, Credentials};
use sumu_tests::gateway::call::Service;
use sumu_tests::gateway::fault::{Act, Calls, Fault};
use sumu_tests::poll::PATIENCE;
use sumu_tests::{Context, Result, ensure, ensure_eq, eventually};

use crate::scene::{Scene, names_begin, scene, text};

/// Longer than the functions' own calls are tried again.
const HANDED_OUT_AGAIN_AFTER: &str = "8";

/// Long enough for the watchdog to see a connection alive, on a busy machine.
const TTL_SECONDS: i64 = 8;

async fn told(inbox: &mut Inbox, user: &str, status: &str) -> Result<()> {
    let is = |message: &Value| message["user_id"] == user && message["status"] == status;
    inbox.take(&format!("{status} of {user}"), |event| is(&event.json().unwrap_or_default()["message"])).await?;
    Ok(())
}

fn function(scene: &Scene, name: &str) -> Result<String> {
    Ok(format!("{}-{name}", names_begin(&scene.status)?))
}

#[test]
fn a_user_whose_presence_cannot_be_asked_for_is_given_up_with_a_note_and_holds_nobody_up() -> Result<()> {
    scene("poison").play(async |scene| {
        let lambda = aws_sdk_lambda::Client::new(&scene.sdk().await);
        let watchdog = function(scene, "watchdog")?;
        let sources = lambda.list_event_source_mappings().function_name(watchdog).send().await?;
        let is_stream = |arn: Option<&str>| arn.is_some_and(|arn| arn.contains("/stream/"));
        let source = sources.event_source_mappings().iter().find(|source| is_stream(source.event_source_arn()));
        let uuid = source.and_then(|source| source.uuid()).context("no stream")?;
        // A hundred retries, as the operator asks for them, take minutes.
        lambda.update_event_source_mapping().uuid(uuid).maximum_retry_attempts(1).send().await?;
        let refused = Act::refuse(400, "AccessDeniedException", "Not for this user.");
        let calls = Calls::Operation(Service::DynamoDb, "Query");
        let mallory = format!("mallory of {}", scene.namespace);
        let fault = scene.testbed.aws().gateway().inject(Fault::of(calls, refused).about(&mallory));

        let mut inbox = scene.backend()?.inbox(scene.text("/messages/queueUrl")?);
        let _mallory = scene.connect(&mallory).await?;
        let alice = scene.connect("alice").await?;
        told(&mut inbox, "alice", "ONLINE").await?;
        let letters = scene.text("/messages/queueUrl")?.replace("-messages", "-presence-dead-letters");
        let mut letters = scene.backend()?.inbox(&letters);
        let is_note = |body: &Value| body["requestContext"]["condition"] == "RetryAttemptsExhausted";
        let note = letters.take("the note", |letter| is_note(&letter.json().unwrap_or_default())).await?.json()?;
        ensure!(note["DDBStreamBatchInfo"]["batchSize"].as_u64() >= Some(1), "how many were given up: {note}");
        ensure!(fault.hits() >= 2, "it was not tried again");
        alice.close().await?;
        told(&mut inbox, "alice", "OFFLINE").await?;

        // What was given up is made up for when the user is named again.
        fault.end();
        let _again = scene.connect(&mallory).await?;
        told(&mut inbox, &mallory, "ONLINE").await
    })
}

#[test]
fn a_pusher_that_is_killed_in_the_middle_of_a_batch_loses_nothing() -> Result<()> {
    scene("killed").play(async |scene| {
        let queue = scene.text("/notifications/queueUrl")?;
        let sqs = aws_sdk_sqs::Client::new(&scene.sdk().await);
        let visible = (QueueAttributeName::VisibilityTimeout, HANDED_OUT_AGAIN_AFTER);
        sqs.set_queue_attributes().queue_url(queue).attributes(visible.0, visible.1).send().await?;
        let slow = format!("slow of {}", scene.namespace);
        let mut clients = [scene.connect("alice").await?, scene.connect(&slow).await?];
        let calls = Fault::once(Service::DynamoDb, "Query", Act::Hang).about(&slow);
        let watchdog_is_done = async || {
            let mut inbox = scene.backend()?.inbox(scene.text("/messages/queueUrl")?);
            told(&mut inbox, &slow, "ONLINE").await
        };
        watchdog_is_done().await?;
        let fault = scene.testbed.aws().gateway().inject(calls);
        let push = |user: &str, data: usize| json!({"users": [user], "data": data}).to_string();
        let batch: Vec<String> = (0..8).map(|data| push(if data == 4 { &slow } else { "alice" }, data)).collect();
        let batch: Vec<&str> = batch.iter().map(String::as_str).collect();
        scene.backend()?.send_all(queue, &batch).await?;
        eventually(PATIENCE, "the pusher to be in the middle", async || {
            ensure!(fault.hits() > 0, "it is not");
            Ok(())
        })
        .await?;
        let killed = kill(&function(scene, "pusher")?)?;
        ensure!(killed > 0, "there was no process");
        gets(&mut clients[1], &[4]).await?;
        gets(&mut clients[0], &[0, 1, 2, 3, 5, 6, 7]).await
    })
}

/// Kills the processes of a function of this testbed, and says how many there were.
fn kill(function: &str) -> Result<usize> {
    let variable = format!("AWS_LAMBDA_FUNCTION_NAME={function}");
    let mut killed = 0;
    for process in std::fs::read_dir("/proc")? {
        let process = process?.path();
        // Processes of others are none of our business, and some end while we look.
        let Ok(environment) = std::fs::read(process.join("environ")) else { continue };
        if environment.split(|byte| *byte == 0).any(|found| found == variable.as_bytes()) {
            let id = process.file_name().context("no process")?;
            killed += usize::from(Command::new("kill").arg("-KILL").arg(id).status()?.success());
        }
    }
    Ok(killed)
}

/// A client gets all of these, in any order, some perhaps twice.
async fn gets(client: &mut Client, expected: &[u64]) -> Result<()> {
    let mut missing = expected.to_vec();
    while !missing.is_empty() {
        let got = client.next().await.with_context(|| format!("without {missing:?}"))?;
        missing.retain(|wanted| got != json!(wanted));
    }
    Ok(())
}

#[test]
fn a_connection_whose_end_nobody_told_is_a_departure_when_time_to_live_removes_it() -> Result<()> {
    scene("removed").play(async |scene| {
        let lambda = aws_sdk_lambda::Client::new(&scene.sdk().await);
        let routes = function(scene, "routes")?;
        let found = lambda.get_function_configuration().function_name(&routes).send().await?;
        let mut variables = found.environment.and_then(|found| found.variables).context("no environment")?;
        let ttl = variables.get_mut("SUMU_CONNECTION_TTL_SECONDS").context("no time to live")?;
        TTL_SECONDS.to_string().clone_into(ttl);
        let environment = Environment::builder().set_variables(Some(variables)).build();
        lambda.update_function_configuration().function_name(&routes).environment(environment).send().await?;

        let mut inbox = scene.backend()?.inbox(scene.text("/messages/queueUrl")?);
        eventually(PATIENCE, "the routes to have the change", async || {
            let found = lambda.get_function_configuration().function_name(&routes).send().await?;
            ensure_eq!(found.last_update_status, Some(LastUpdateStatus::Successful), "the update");
            Ok(())
        })
        .await?;
        let mut alice = scene.connect("alice").await?;
        let left = rows(scene).await?;
        ensure!(left.iter().all(|left| *left <= TTL_SECONDS), "seconds that connections have left: {left:?}");
        told(&mut inbox, "alice", "ONLINE").await?;
        let id = text(&alice.ping().await?, "/connectionId")?.to_owned();
        scene.testbed.front().lose_disconnect(&id);
        alice.abort();
        let table = scene.text("/connectionsTable/name")?;
        let delivery = scene.testbed.aws().delivery();
        eventually(PATIENCE, "time to live to remove it", async || {
            ensure!(delivery.expire(table).await? > 0, "it is not past its time");
            Ok(())
        })
        .await?;
        told(&mut inbox, "alice", "OFFLINE").await
    })
}

/// How many seconds each connection of the stack has left.
async fn rows(scene: &Scene) -> Result<Vec<i64>> {
    let client = aws_sdk_dynamodb::Client::new(&scene.sdk().await);
    let found = client.scan().table_name(scene.text("/connectionsTable/name")?).consistent_read(true).send().await?;
    let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())?;
    let ends = found.items().iter().filter_map(|row| row.get("delete_at")?.as_n().ok()?.parse::<i64>().ok());
    Ok(ends.map(|end| end - now).collect())
}

#[test]
fn without_leave_to_invoke_nobody_connects_and_nothing_is_pushed_until_the_operator_gives_it_again() -> Result<()> {
    scene("leave").play(async |scene| {
        scene.kill_operator()?;
        let lambda = aws_sdk_lambda::Client::new(&scene.sdk().await);
        let mut without = Vec::new();
        for (name, statement) in [("routes", "sumu-gateway"), ("pusher", "sumu-notifications")] {
            let name = function(scene, name)?;
            lambda.remove_permission().function_name(&name).statement_id(statement).send().await?;
            without.push(name);
        }
        let token = scene.testbed.issuer().token("alice").sign()?;
        let endpoint = scene.text("/endpoint")?;
        eventually(PATIENCE, "the front to notice", async || {
            let refused = Client::connect(endpoint, Credentials::Query(&token)).await.err().context("let in")?;
            ensure!(refused.to_string().contains("500"), "{refused}");
            Ok(())
        })
        .await?;
        let backend = scene.backend()?;
        let topic = scene.text("/notifications/topicArn")?.to_owned();
        backend.publish(&topic, r#"{"data":"first"}"#).await?;
        let mut letters = backend.inbox(scene.text("/notifications/deadLetterQueueUrl")?);
        let is = |letter: &Value| letter["Message"] == r#"{"data":"first"}"#;
        letters.take("what could not be handed over", |letter| is(&letter.json().unwrap_or_default())).await?;

        scene.start_operator()?;
        scene.more_passes(1).await?;
        for name in without {
            eventually(Duration::from_mins(1), &format!("leave for {name}"), async || {
                Ok(lambda.get_policy().function_name(&name).send().await?)
            })
            .await?;
        }
        let mut alice = eventually(PATIENCE, "somebody to connect", async || scene.connect("alice").await).await?;
        backend.publish(&topic, r#"{"data":"second"}"#).await?;
        ensure_eq!(alice.next().await?, json!("second"), "what is pushed");
        Ok(())
    })
}
