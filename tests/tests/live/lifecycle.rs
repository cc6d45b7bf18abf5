//! A stack's life in Kubernetes: from `kubectl apply` to what its status tells, to its end.

use aws_sdk_sqs::types::QueueAttributeName;
use serde_json::{Value, json};
use sumu_tests::aws::REGION;
use sumu_tests::poll::PATIENCE;
use sumu_tests::stack::{SETTLED_WITHIN, condition};
use sumu_tests::{Context, Result, ensure, ensure_eq, poll, workspace};

use crate::scene::{Scene, ensure_complete, scene, text};
use crate::totals::{READS_MAX, are_counted_at_the_wire};

/// The conditions of every stack.
const CONDITIONS: [&str; 6] = ["Ready", "Connections", "Notifications", "Messages", "Functions", "Gateway"];

#[test]
fn an_applied_stack_becomes_ready_and_its_status_names_what_exists() -> Result<()> {
    scene("ready").play(async |scene| {
        ensure_complete(&scene.inventory().await?)?;
        conditions_are_true(&scene.stack.object().await?, &[])?;
        ensure_eq!(scene.text("/stageName")?, "live", "the stage");
        ensure_eq!(scene.text("/aws/region")?, REGION, "the region");
        let account = scene.text("/aws/accountId")?;
        ensure!(scene.text("/messages/queueArn")?.contains(&format!(":{account}:")), "it is not in account {account}");
        tables_exist(scene).await?;
        queues_and_topics_exist(scene).await?;
        functions_exist(scene).await?;
        addresses_answer(scene).await?;
        kubectl_shows_the_columns(scene).await
    })
}

#[test]
fn kubectl_waits_until_a_stack_is_ready_as_its_spec_is_now() -> Result<()> {
    scene("waited").play_from_the_start(async |scene| {
        scene.apply().await?;
        kubectl_waits(scene).await?;
        conditions_are_true(&scene.stack.object().await?, &[])?;
        scene.ready().await?;
        // What was true of the spec before is no answer.
        scene.stack.patch(&json!({"spec": {"functions": {"memoryMiB": 512}}})).await?;
        kubectl_waits(scene).await?;
        conditions_are_true(&scene.stack.object().await?, &[])?;
        ensure_eq!(memory(scene).await?, 512, "the memory when kubectl has waited");
        Ok(())
    })
}

/// Waits as the documents say, longer than kubectl may on a machine that does other things too.
async fn kubectl_waits(scene: &Scene) -> Result<()> {
    let arguments = ["wait", "--for=condition=Ready", "--timeout=1m", "sumu/live", "--namespace", &scene.namespace];
    poll::eventually(SETTLED_WITHIN, "kubectl to see the stack ready", async || {
        let answer = scene.testbed.kubernetes().kubectl(&arguments, "").await?;
        ensure!(answer.success && answer.stdout.contains("condition met"), "{answer:?}");
        Ok(())
    })
    .await
}

/// Fails unless every condition is true of the spec as it is now.
pub fn conditions_are_true(object: &Value, others: &[&str]) -> Result<()> {
    let generation = &object["metadata"]["generation"];
    ensure_eq!(object["status"]["observedGeneration"], *generation, "observedGeneration");
    let conditions = object["status"]["conditions"].as_array().context("no conditions")?;
    let types: Vec<_> = conditions.iter().filter_map(|condition| condition["type"].as_str()).collect();
    ensure_eq!(types, [&CONDITIONS, others].concat(), "the conditions");
    for condition in conditions {
        ensure_eq!(condition["status"], json!("True"), "{condition}");
        ensure_eq!(condition["observedGeneration"], *generation, "{condition}");
        for member in ["reason", "message", "lastTransitionTime"] {
            ensure!(condition[member].as_str().is_some_and(|text| !text.is_empty()), "no {member} in {condition}");
        }
    }
    Ok(())
}

async fn tables_exist(scene: &Scene) -> Result<()> {
    let client = aws_sdk_dynamodb::Client::new(&scene.sdk().await);
    for table in ["/connectionsTable", "/presenceTable"] {
        let name = scene.text(&format!("{table}/name"))?;
        let found = client.describe_table().table_name(name).send().await?;
        let found = found.table().context("no table")?;
        ensure_eq!(found.table_arn(), Some(scene.text(&format!("{table}/arn"))?), "the ARN of {table}");
        let stream = scene.status.pointer(&format!("{table}/streamArn")).and_then(Value::as_str);
        ensure_eq!(found.latest_stream_arn(), stream, "the stream of {table}");
    }
    ensure!(scene.text("/connectionsTable/streamArn")?.contains("/stream/"), "others can follow no presence");
    Ok(())
}

async fn queues_and_topics_exist(scene: &Scene) -> Result<()> {
    let sdk = scene.sdk().await;
    let (sqs, sns) = (aws_sdk_sqs::Client::new(&sdk), aws_sdk_sns::Client::new(&sdk));
    for part in ["/notifications", "/messages"] {
        let attributes = async |url: &str| {
            let name = QueueAttributeName::All;
            let found = sqs.get_queue_attributes().queue_url(url).attribute_names(name).send().await?;
            found.attributes().cloned().context("no attributes")
        };
        let queue = attributes(scene.text(&format!("{part}/queueUrl"))?).await?;
        let arn = queue.get(&QueueAttributeName::QueueArn).context("no ARN")?;
        ensure_eq!(arn, scene.text(&format!("{part}/queueArn"))?, "the ARN of the queue in {part}");
        let dead_letters = attributes(scene.text(&format!("{part}/deadLetterQueueUrl"))?).await?;
        let arn = dead_letters.get(&QueueAttributeName::QueueArn).context("no ARN")?;
        let redrive = queue.get(&QueueAttributeName::RedrivePolicy).context("no dead-letter queue")?;
        ensure!(redrive.contains(arn.as_str()), "{part} has the dead-letter queue {arn}, not that of {redrive}");
        sns.get_topic_attributes().topic_arn(scene.text(&format!("{part}/topicArn"))?).send().await?;
    }
    Ok(())
}

async fn functions_exist(scene: &Scene) -> Result<()> {
    let client = aws_sdk_lambda::Client::new(&scene.sdk().await);
    for function in ["authorizer", "routes", "pusher", "watchdog"] {
        let arn = scene.text(&format!("/functions/{function}/arn"))?;
        let found = client.get_function_configuration().function_name(arn).send().await?;
        ensure_eq!(found.function_arn(), Some(arn), "the ARN of {function}");
        let code = scene.text(&format!("/functions/{function}/codeSha256"))?;
        ensure_eq!(found.code_sha256(), Some(code), "the code of {function}");
    }
    Ok(())
}

/// A client connects to the endpoint, and what is posted to the management endpoint reaches it.
async fn addresses_answer(scene: &Scene) -> Result<()> {
    let client = aws_sdk_apigatewayv2::Client::new(&scene.sdk().await);
    let (api, stage) = (scene.text("/apiId")?, scene.text("/stageName")?);
    client.get_stage().api_id(api).stage_name(stage).send().await.context("the stage")?;
    let mut alice = scene.connect("alice").await?;
    let pong = alice.ping().await?;
    let connection = text(&pong, "/connectionId")?;
    let endpoint = aws_sdk_apigatewaymanagement::config::Builder::from(&scene.sdk().await)
        .endpoint_url(scene.text("/managementEndpoint")?)
        .build();
    let posts = aws_sdk_apigatewaymanagement::Client::from_conf(endpoint);
    let data = aws_sdk_apigatewaymanagement::primitives::Blob::new("by hand");
    posts.post_to_connection().connection_id(connection).data(data).send().await?;
    ensure_eq!(alice.next_text().await?, "by hand", "what was posted");
    Ok(())
}

async fn kubectl_shows_the_columns(scene: &Scene) -> Result<()> {
    let shown = scene.testbed.kubernetes().kubectl_ok(&["get", "sumu", "--namespace", &scene.namespace], "").await?;
    let lines: Vec<&str> = shown.lines().collect();
    let [head, row] = lines[..] else { return Err(sumu_tests::Error::new(format!("not two lines: {shown}"))) };
    let columns: Vec<&str> = head.split_whitespace().collect();
    ensure_eq!(columns, ["NAME", "READY", "STATUS", "ENDPOINT", "AGE"], "the columns");
    let object = scene.stack.object().await?;
    let summary = text(&object, "/status/summary")?;
    let endpoint = scene.text("/endpoint")?;
    let cells: Vec<&str> = row.split("   ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
    ensure_eq!(cells[..4], ["live", "True", summary, endpoint], "the row: {row}");
    Ok(())
}

#[test]
fn a_settled_stack_is_looked_at_again_and_again_without_a_write() -> Result<()> {
    scene("settled").resync_seconds(1).play(async |scene| {
        let before = scene.stack.object().await?;
        let passes = scene.more_passes(4).await?;
        are_counted_at_the_wire(scene, &passes)?;
        for pass in passes {
            ensure!(pass.settled, "not settled: {}", pass.line);
            ensure_eq!(pass.aws_writes, 0, "writes to AWS in {}", pass.line);
            ensure!((1..=READS_MAX).contains(&pass.aws_reads), "reads of AWS in {}", pass.line);
        }
        let after = scene.stack.object().await?;
        ensure_eq!(after["metadata"]["resourceVersion"], before["metadata"]["resourceVersion"], "the object's version");
        Ok(())
    })
}

#[test]
fn a_stack_for_which_there_is_no_package_tells_the_remedy_and_the_remedy_works() -> Result<()> {
    let ours = workspace::architecture();
    let other = if ours == "arm64" { "x86_64" } else { "arm64" };
    scene("refused").spec(json!({"functions": {"architecture": other}})).play_from_the_start(async |scene| {
        scene.apply().await?;
        let object = scene
            .until("the stack to be refused", |object| {
                let ready = condition(object, "Ready").context("no condition Ready")?;
                ensure!(ready["status"] == "False" && ready["reason"] == "InvalidSpec", "{ready}");
                Ok(())
            })
            .await?;
        let message = text(condition(&object, "Ready").context("no condition Ready")?, "/message")?;
        for part in ["spec.functions.architecture", other, ours] {
            ensure!(message.contains(part), "there is no {part} in {message:?}");
        }
        ensure_eq!(object["status"]["observedGeneration"], object["metadata"]["generation"], "observedGeneration");
        let made = scene.inventory().await?;
        ensure!(made.is_empty(), "made for a stack that cannot be: \n{made}");

        scene.edit(json!({"functions": {"architecture": ours}})).await?;
        ensure_complete(&scene.inventory().await?)
    })
}

#[test]
fn changes_of_a_suspended_stack_are_held_back_and_it_can_be_deleted() -> Result<()> {
    scene("suspend").play(async |scene| {
        suspend(scene, 512).await?;
        ensure_eq!(memory(scene).await?, 256, "the memory of a suspended stack's function");
        scene.edit(json!({"suspend": false})).await?;
        ensure_eq!(memory(scene).await?, 512, "the memory once the stack goes on");
        let object = scene.stack.object().await?;
        ensure!(condition(&object, "Suspended").is_none(), "still suspended: {}", object["status"]["conditions"]);

        // A stack can be deleted while it is suspended.
        suspend(scene, 256).await?;
        scene.delete().await
    })
}

/// Suspends the stack in the same breath as it asks for other functions, and waits until that is told.
async fn suspend(scene: &Scene, memory: i32) -> Result<()> {
    scene.stack.patch(&json!({"spec": {"suspend": true, "functions": {"memoryMiB": memory}}})).await?;
    scene
        .until("the stack to be suspended", |object| {
            let current = object["status"]["observedGeneration"] == object["metadata"]["generation"];
            ensure!(current, "the operator has not seen the change");
            let suspended = condition(object, "Suspended").context("no condition Suspended")?;
            ensure_eq!(suspended["status"], json!("True"), "{suspended}");
            let message = text(suspended, "/message")?;
            ensure!(message.contains("spec.suspend"), "{message:?} names no remedy");
            for function in ["authorizer", "routes"] {
                ensure!(message.contains(function), "{message:?} does not tell that {function} is held back");
            }
            ensure_eq!(condition(object, "Ready").context("no Ready")?["status"], json!("False"), "Ready");
            Ok(())
        })
        .await?;
    Ok(())
}

async fn memory(scene: &Scene) -> Result<i32> {
    let client = aws_sdk_lambda::Client::new(&scene.sdk().await);
    let arn = scene.text("/functions/authorizer/arn")?;
    let found = client.get_function_configuration().function_name(arn).send().await?;
    found.memory_size().context("no memory")
}

#[test]
fn a_stack_in_use_leaves_nothing_but_a_protected_table_until_that_is_let_go() -> Result<()> {
    scene("delete").spec(json!({"connections": {"deletionProtection": true}})).play(async |scene| {
        // Everything that a stack has beside its resources: rows, messages, logs, an open connection.
        let mut alice = scene.connect("alice").await?;
        alice.ask(&json!({"action": "send", "message": "hello"})).await?;
        let backend = scene.backend()?;
        backend.send(scene.text("/notifications/queueUrl")?, r#"{"data":"everyone"}"#).await?;
        alice.next().await.context("the push")?;

        scene.stack.delete().await?;
        let object = scene
            .until("the deletion to be held up", |object| {
                let ready = condition(object, "Ready").context("no condition Ready")?;
                ensure!(ready["reason"] == "DeletionProtected", "{ready}");
                Ok(())
            })
            .await?;
        let message = text(condition(&object, "Ready").context("no Ready")?, "/message")?;
        ensure!(message.contains("spec.connections.deletionProtection"), "{message:?} tells no remedy");
        let name = scene.text("/connectionsTable/name")?.to_owned();
        poll::eventually(PATIENCE, "all but the table to be gone", async || {
            let left = scene.inventory().await?;
            ensure_eq!(left.counts().into_iter().collect::<Vec<_>>(), [("table", 1)], "left in AWS\n{left}");
            ensure_eq!(left.names("table"), [name.as_str()], "the table that is left");
            Ok(())
        })
        .await?;

        scene.stack.patch(&json!({"spec": {"connections": {"deletionProtection": false}}})).await?;
        scene.stack.gone().await?;
        let left = scene.inventory().await?;
        ensure!(left.is_empty(), "left in AWS:\n{left}");
        Ok(())
    })
}
