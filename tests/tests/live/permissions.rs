//! The operator may do what `sumu-operator iam` prints, and nothing else.

use std::collections::BTreeSet;

use clap::Parser as _;
use serde_json::{Value, json};
use sumu_operator::arguments::{Arguments, Command};
use sumu_operator::desired::policy::Document;
use sumu_operator::explain::operator_policy;
use sumu_operator::permissions::{Needs, Place, policy};
use sumu_tests::aws::{ACCOUNT, REGION};
use sumu_tests::operator::{Settings, tell};
use sumu_tests::{Context, Result, ensure, ensure_eq, workspace};

use crate::consumers::Team;
use crate::drift::{becomes, change_everything};
use crate::faults::common::says;
use crate::scene::{Scene, change_of_every_part, names_begin, scene, text};
use crate::snapshot;

/// Rights that the emulator never asks for, and why AWS does.
const UNSEEN: [(&str, &str); 2] = [
    ("iam:CreateServiceLinkedRole", "API Gateway makes its own role with the first API of an account"),
    ("apigateway:PUT", "AWS's own tools name it for tags that are set in a creation"),
];

/// Rights that only other ends of a stack need than its deletion, whose stories limit the operator too.
const ENDS: [&str; 8] = [
    "dynamodb:Scan",
    "dynamodb:UntagResource",
    "iam:UntagRole",
    "lambda:ListTags",
    "lambda:UntagResource",
    "logs:UntagResource",
    "sns:UntagResource",
    "sqs:UntagQueue",
];

/// Lets the scene's operator do what is printed, and nothing else.
pub fn limit(scene: &Scene) -> Result<()> {
    limit_with(scene, &Needs::default())
}

/// The same with what is printed for stacks with a custom domain, whose records are in a hosted zone.
pub fn limit_with_custom_domain(scene: &Scene, zone: &str) -> Result<()> {
    limit_with(scene, &custom_domain(zone))
}

/// The same with what is printed for stacks with these needs.
pub fn limit_with(scene: &Scene, needs: &Needs) -> Result<()> {
    let policy = policy(&place(REGION, ACCOUNT), needs);
    scene.testbed.aws().gateway().limit(scene.key(), serde_json::from_str(&policy.text())?);
    Ok(())
}

fn custom_domain(zone: &str) -> Needs {
    Needs { domain_names: true, hosted_zones: vec![zone.to_owned()], ..Needs::default() }
}

/// Those of [`ENDS`] that the scene's operator has needed.
pub fn needed_for_the_end(scene: &Scene) -> Vec<&'static str> {
    let needed = scene.testbed.aws().gateway().needed(scene.key());
    ENDS.into_iter().filter(|action| needed.contains(*action)).collect()
}

/// How many of [`ENDS`] a stack that is retained needs: all but the first.
pub const FOR_RETAINING: usize = ENDS.len() - 1;

/// The policy that is printed for a place.
pub fn printed(region: &str, account: &str) -> Document {
    policy(&place(region, account), &Needs::default())
}

fn place(region: &str, account: &str) -> Place {
    Place { partition: "aws".into(), region: region.into(), account: account.into() }
}

/// All actions of a policy.
fn actions(policy: &Value) -> BTreeSet<String> {
    let statements = policy["Statement"].as_array().into_iter().flatten();
    let actions = statements.flat_map(|statement| statement["Action"].as_array().into_iter().flatten());
    actions.filter_map(|action| action.as_str().map(ToOwned::to_owned)).collect()
}

/// A policy without an action.
pub fn without(mut policy: Value, action: &str) -> Value {
    for statement in policy["Statement"].as_array_mut().into_iter().flatten() {
        if let Some(actions) = statement["Action"].as_array_mut() {
            actions.retain(|found| found != action);
        }
    }
    policy
}

#[test]
fn the_policy_that_is_printed_suffices_for_a_life_and_every_action_of_it_is_needed() -> Result<()> {
    scene("allowed").play_from_the_start(async |scene| {
        let gateway = scene.testbed.aws().gateway();
        let policy: Value = serde_json::from_str(&printed(REGION, ACCOUNT).text())?;
        gateway.limit(scene.key(), without(policy.clone(), "iam:PassRole"));
        scene.apply().await?;
        says(scene, "Functions", "AccessDenied", &["not authorized to perform: iam:PassRole"]).await?;
        limit(scene)?;
        scene.ready().await?;
        scene.edit(change_of_every_part()).await?;
        scene.edit(json!({"connections": {"deletionProtection": true}, "pusher": {"maxConcurrency": 3}})).await?;
        scene.edit(json!({"connections": {"deletionProtection": false}})).await?;
        let (sdk, prefix) = (scene.sdk().await, names_begin(&scene.status)?.to_owned());
        let before = snapshot::take(&sdk, &prefix).await?;
        scene.kill_operator()?;
        Box::pin(change_everything(scene, &sdk, &prefix)).await?;
        scene.start_operator()?;
        becomes(&sdk, &prefix, &before).await?;
        scene.kill_operator()?;
        change_what_is_left(scene, &prefix).await?;
        scene.start_operator()?;
        becomes(&sdk, &prefix, &before).await?;
        scene.delete().await?;
        let mut needed = gateway.needed(scene.key());
        needed.extend(UNSEEN.map(|(action, _)| action.to_owned()));
        needed.extend(ENDS.map(ToOwned::to_owned));
        ensure_eq!(needed, actions(&policy), "the actions that a life needed, and those of the policy");
        Ok(())
    })
}

/// What is put right by calls that nothing else leads to.
async fn change_what_is_left(scene: &Scene, prefix: &str) -> Result<()> {
    let sdk = scene.sdk().await;
    let (sns, lambda) = (aws_sdk_sns::Client::new(&sdk), aws_sdk_lambda::Client::new(&sdk));
    let topic = scene.text("/notifications/topicArn")?;
    for subscription in sns.list_subscriptions_by_topic().topic_arn(topic).send().await?.subscriptions() {
        let arn = subscription.subscription_arn().context("no ARN")?;
        let change = sns.set_subscription_attributes().subscription_arn(arn).attribute_name("RedrivePolicy");
        change.attribute_value("{}").send().await?;
    }
    let (pusher, statement) = (format!("{prefix}-pusher"), "sumu-notifications");
    lambda.remove_permission().function_name(&pusher).statement_id(statement).send().await?;
    let other = lambda.add_permission().function_name(&pusher).statement_id(statement).action("lambda:InvokeFunction");
    other.principal("sns.amazonaws.com").source_arn(format!("{topic}-other")).send().await?;
    Ok(())
}

/// The policy that `iam --stack` prints for the operator of the scene's stack.
async fn told(scene: &Scene) -> Result<Value> {
    let arguments = ["iam", "--stack", "-f", "-", "--account", ACCOUNT, "--region", REGION];
    let told = tell(scene.testbed, &Settings::default(), &arguments, &scene.manifest().to_string()).await?;
    ensure_eq!(told.code, Some(0), "the exit code of {told:#?}");
    let told: Value = serde_json::from_str(&told.stdout)?;
    Ok(told["stacks"][0]["operator"].clone())
}

#[test]
fn what_is_printed_for_a_stack_with_functions_of_the_users_suffices_for_it_and_for_no_other_function() -> Result<()> {
    scene("theirs").play_from_the_start(async |scene| {
        let gateway = scene.testbed.aws().gateway();
        let team = Team::of(scene, "chat", 30).await?;
        let mailer = scene.backend()?.logging_function(&format!("mailer-{}", scene.namespace)).await?;
        let named = |consumer: &str, subscriber: &str| {
            json!({"messages": {"consumers": [{"functionArn": consumer}],
                "subscriptions": [{"protocol": "lambda", "endpoint": subscriber}]}})
        };
        scene.change(&named(&format!("{}-other", team.arn), &format!("{mailer}-other")));
        let of_others = told(scene).await?;
        scene.change(&named(&team.arn, &mailer));
        let of_it = told(scene).await?;
        gateway.limit(scene.key(), of_others);
        scene.apply().await?;
        says(scene, "Consumers", "AccessDenied", &["lambda:CreateEventSourceMapping"]).await?;
        says(scene, "Subscriptions", "AccessDenied", &["lambda:GetPolicy"]).await?;

        gateway.limit(scene.key(), of_it);
        let words = ["status.messages.consumerPolicy"];
        scene.stack.patch(&json!({"metadata": {"annotations": {"sumu.live/reconcile-requested-at": "now"}}})).await?;
        says(scene, "Consumers", "Propagating", &words).await?;
        let object = scene.stack.object().await?;
        team.backend.allow(&team.name, text(&object, "/status/messages/consumerPolicy")?).await?;
        scene.ready().await?;
        let settings = json!([{"functionArn": team.arn, "batchSize": 5}]);
        scene.edit(json!({"messages": {"consumers": settings}})).await?;
        scene.edit(json!({"messages": {"consumers": [], "subscriptions": []}})).await?;
        scene.delete().await?;
        let lambda = aws_sdk_lambda::Client::new(&scene.sdk().await);
        ensure!(lambda.get_policy().function_name(&mailer).send().await.is_err(), "a permission is left");
        team.leave().await
    })
}

#[test]
fn the_documents_policy_is_the_one_that_is_printed() -> Result<()> {
    let read = |path: &str| std::fs::read_to_string(workspace::root().join(path));
    let (document, consumers) = (read("docs/permissions.md")?, read("docs/consumers.md")?);
    let mut blocks = document.split("```json").skip(1).filter_map(|rest| rest.split("```").next());
    let policy = Document::parse(blocks.next().context("no policy")?);
    ensure_eq!(
        policy,
        printed("REGION", "ACCOUNT"),
        "docs/permissions.md, whose text is `sumu-operator iam --region REGION --account ACCOUNT`"
    );
    let consumer = Needs { consumers: vec!["FUNCTION".into()], ..Needs::default() };
    let theirs =
        Needs { subscribers: consumer.consumers.clone(), packages: vec!["BUCKET/PREFIX".into()], ..consumer.clone() };
    let of_consumers = consumers.split("```json").nth(1).and_then(|rest| rest.split("```").next());
    for (statements, needs, arguments) in [
        (blocks.next(), custom_domain("ZONE"), "--with custom-domain --hosted-zone ZONE"),
        (blocks.next(), theirs, "--consumer FUNCTION --subscriber FUNCTION --package BUCKET/PREFIX"),
        (of_consumers, consumer, "--consumer FUNCTION"),
    ] {
        let statements = statements.context("no statements")?;
        let added = format!(r#"{{"Version":"2012-10-17","Statement":{statements}}}"#);
        let complete = policy.completed_by(&Document::parse(&added));
        let expected = sumu_operator::permissions::policy(&place("REGION", "ACCOUNT"), &needs);
        ensure_eq!(complete, Some(expected), "what is added by {arguments}");
        let line = format!("sumu-operator iam --region REGION --account ACCOUNT {arguments}");
        let arguments: Vec<&str> = line.split(' ').collect();
        let Command::Iam(arguments) = Arguments::try_parse_from(arguments)?.command else { continue };
        ensure_eq!(Some(operator_policy(&arguments)), complete, "what {line} prints");
    }
    Ok(())
}
