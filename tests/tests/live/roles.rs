//! The functions' roles allow what the functions do in a stack that is used in all ways, and nothing else.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use sumu_operator::desired::roles::POLICY_NAME;
use sumu_tests::backend::{Inbox, Received};
use sumu_tests::client::Client;
use sumu_tests::delivery::permission::is_like;
use sumu_tests::gateway::call::Service;
use sumu_tests::gateway::fault::{Act, Calls, Fault, Injected};
use sumu_tests::poll::{PATIENCE, eventually};
use sumu_tests::workspace::FUNCTIONS;
use sumu_tests::{Context, Result, ensure, ensure_eq};

use crate::scene::{Scene, names_begin, scene};

/// Statements that allow what Lambda does as the role, with the testbed's own calls in its place, and why they are there.
const UNSEEN: [(&str, &str); 5] = [
    ("WriteOwnLog", "Lambda writes what the function says"),
    ("TakeRequests", "Lambda receives from the queues; asked for when an event source is made"),
    ("TakeDepartures", "the same"),
    ("ReadStream", "Lambda reads the stream; asked for when an event source is made"),
    ("ListStreams", "the same"),
];

/// A right that a role gives: the statement, the action, and a pattern of ARNs.
type Given = (String, String, String);

/// What the roles give, by the functions' names.
async fn given(scene: &Scene) -> Result<BTreeMap<&'static str, Vec<Given>>> {
    let iam = aws_sdk_iam::Client::new(&scene.sdk().await);
    let mut given = BTreeMap::new();
    for function in FUNCTIONS {
        let found = iam.get_role_policy().role_name(role(scene, function)?).policy_name(POLICY_NAME).send().await?;
        let policy: Value = serde_json::from_str(&percent_decode_str(found.policy_document()).decode_utf8_lossy())?;
        let mut all = Vec::new();
        for statement in policy["Statement"].as_array().context("no statements")? {
            for action in texts(&statement["Action"]) {
                for resource in texts(&statement["Resource"]) {
                    all.push((texts(&statement["Sid"]).concat(), action.clone(), resource));
                }
            }
        }
        given.insert(function, all);
    }
    Ok(given)
}

fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Array(all) => all.iter().flat_map(texts).collect(),
        other => other.as_str().map(ToOwned::to_owned).into_iter().collect(),
    }
}

fn role(scene: &Scene, function: &str) -> Result<String> {
    Ok(format!("{}-{function}", names_begin(&scene.status)?))
}

/// The rights of a statement that may be unseen, and those of others, that functions have used or not, as sentences.
fn rights(
    scene: &Scene,
    given: &BTreeMap<&'static str, Vec<Given>>,
    is_used: bool,
    is_unseen: bool,
) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for (function, rights) in given {
        let used = scene.testbed.aws().gateway().used(&role(scene, function)?);
        let covers = |(_, action, pattern): &&Given| {
            used.iter().any(|(needed, resource)| needed == action && is_like(pattern, resource))
        };
        let rights = rights.iter().filter(|(sid, ..)| UNSEEN.iter().any(|(unseen, _)| unseen == sid) == is_unseen);
        let rights = rights.filter(|right| covers(right) == is_used);
        found.extend(rights.map(|(sid, action, resource)| format!("{function}, {sid}: {action} on {resource}")));
    }
    Ok(found)
}

#[test]
fn the_functions_of_a_stack_that_is_used_in_all_ways_need_all_that_their_roles_allow() -> Result<()> {
    scene("roles").spec(json!({"presence": {"source": "Both", "gracePeriodSeconds": 1}})).play(async |scene| {
        let given = given(scene).await?;
        let sids: Vec<&String> = given.values().flatten().map(|(sid, ..)| sid).collect();
        for (unseen, why) in UNSEEN {
            ensure!(sids.iter().any(|sid| *sid == unseen), "no role has {unseen}, of which is said: {why}");
        }
        let mut inbox = scene.backend()?.inbox(scene.text("/messages/queueUrl")?);
        let mut alice = scene.connect("alice").await?;
        for action in ["send", "publish"] {
            alice.ask(&json!({"action": action, "message": "hello"})).await?;
        }
        told(&mut inbox, "alice", "ONLINE").await?;
        push(scene, &mut alice).await?;
        alice.close().await?;
        told(&mut inbox, "alice", "OFFLINE").await?;
        let (_mallory, fault) = be_given_up(scene).await?;
        eventually(PATIENCE, "every right to have been used", async || {
            ensure_eq!(rights(scene, &given, false, false)?, Vec::<String>::new(), "rights that nobody has used");
            Ok(())
        })
        .await?;
        fault.end();
        ensure_eq!(rights(scene, &given, true, true)?, Vec::<String>::new(), "rights that are seen after all");
        Ok(())
    })
}

/// Connects somebody whose presence cannot be asked for, and lets Lambda give up on that soon.
async fn be_given_up(scene: &Scene) -> Result<(Client, Injected)> {
    let lambda = aws_sdk_lambda::Client::new(&scene.sdk().await);
    let sources = lambda.list_event_source_mappings().function_name(role(scene, "watchdog")?).send().await?;
    let is_stream = |arn: Option<&str>| arn.is_some_and(|arn| arn.contains("/stream/"));
    let stream = sources.event_source_mappings().iter().find(|source| is_stream(source.event_source_arn()));
    let uuid = stream.and_then(|source| source.uuid()).context("no stream")?;
    lambda.update_event_source_mapping().uuid(uuid).maximum_retry_attempts(0).send().await?;
    let mallory = format!("mallory of {}", scene.namespace);
    let refused = Act::refuse(400, "ValidationException", "Not for this user.");
    let fault = Fault::of(Calls::Operation(Service::DynamoDb, "Query"), refused).about(&mallory);
    let fault = scene.testbed.aws().gateway().inject(fault);
    Ok((scene.connect(&mallory).await?, fault))
}

async fn told(inbox: &mut Inbox, user: &str, status: &str) -> Result<()> {
    let is = |event: &Received| {
        let message = &event.json().unwrap_or_default()["message"];
        message["user_id"] == user && message["status"] == status
    };
    inbox.take(&format!("{status} of {user}"), is).await.map(drop)
}

/// Pushes to a user and to one who is gone, to everybody in more than one page, and what cannot be pushed.
async fn push(scene: &Scene, alice: &mut Client) -> Result<()> {
    let (backend, table) = (scene.backend()?, scene.text("/connectionsTable/name")?);
    let (queue, letters) = (scene.text("/notifications/queueUrl")?, scene.text("/notifications/deadLetterQueueUrl")?);
    let row = [
        ("user_id", AttributeValue::S("ghost".to_owned())),
        ("connection_id", AttributeValue::S("ghost=".to_owned())),
        ("connected_at", AttributeValue::N("1700000000000".to_owned())),
    ];
    let row = row.map(|(name, value)| (name.to_owned(), value));
    let put = aws_sdk_dynamodb::Client::new(&scene.sdk().await).put_item().table_name(table);
    put.set_item(Some(row.into())).send().await?;
    backend.publish(scene.text("/notifications/topicArn")?, r#"{"users":["alice","ghost"],"data":"direct"}"#).await?;
    ensure_eq!(alice.next().await?, json!("direct"), "what came to the user");

    // A table of one page says that there is a second one.
    let goes_on = Act::rewrite(|page| {
        let last = page["Items"].as_array().and_then(|rows| rows.last()).cloned().unwrap_or_default();
        page["LastEvaluatedKey"] = json!({"user_id": last["user_id"], "connection_id": last["connection_id"]});
    });
    let first = Fault::once(Service::DynamoDb, "Scan", goes_on).about(table);
    let first = scene.testbed.aws().gateway().inject(first);
    backend.send(queue, r#"{"data":"all"}"#).await?;
    ensure_eq!(alice.next().await?, json!("all"), "what came to everybody");
    ensure_eq!(first.hits(), 1, "pages that said so");

    let pushes = queue.replace("-notifications", "-pushes");
    backend.send(queue, "no JSON").await?;
    backend.send(&pushes, "no JSON either").await?;
    let mut letters = [backend.inbox(letters), backend.inbox(&format!("{pushes}-dead-letters"))];
    letters[0].take("the request", |letter| letter.body == "no JSON").await?;
    letters[1].take("the work item", |letter| letter.body == "no JSON either").await.map(drop)
}
