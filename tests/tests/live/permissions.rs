//! The operator may do what `sumu-operator iam` prints, and nothing else.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use sumu_operator::desired::policy::Document;
use sumu_operator::permissions::{Place, policy, policy_with_custom_domain};
use sumu_tests::aws::{ACCOUNT, REGION};
use sumu_tests::{Context, Result, ensure_eq, workspace};

use crate::drift::{becomes, change_everything};
use crate::faults::common::says;
use crate::scene::{Scene, change_of_every_part, names_begin, scene};
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
    let policy = serde_json::from_str(&printed(REGION, ACCOUNT).text())?;
    scene.testbed.aws().gateway().limit(scene.key(), policy);
    Ok(())
}

/// The same with what is printed for stacks with a custom domain, whose records are in a hosted zone.
pub fn limit_with_custom_domain(scene: &Scene, zone: &str) -> Result<()> {
    let policy = policy_with_custom_domain(&place(REGION, ACCOUNT), zone);
    scene.testbed.aws().gateway().limit(scene.key(), serde_json::from_str(&policy.text())?);
    Ok(())
}

/// Those of [`ENDS`] that the scene's operator has needed.
pub fn needed_for_the_end(scene: &Scene) -> Vec<&'static str> {
    let needed = scene.testbed.aws().gateway().needed(scene.key());
    ENDS.into_iter().filter(|action| needed.contains(*action)).collect()
}

/// How many of [`ENDS`] a stack that is retained needs: all but the first.
pub const FOR_RETAINING: usize = ENDS.len() - 1;

fn printed(region: &str, account: &str) -> Document {
    policy(&place(region, account))
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
fn without(mut policy: Value, action: &str) -> Value {
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

#[test]
fn the_documents_policy_is_the_one_that_is_printed() -> Result<()> {
    let document = std::fs::read_to_string(workspace::root().join("docs/permissions.md"))?;
    let mut blocks = document.split("```json").skip(1).filter_map(|rest| rest.split("```").next());
    let policy = Document::parse(blocks.next().context("no policy")?);
    ensure_eq!(
        policy,
        printed("REGION", "ACCOUNT"),
        "docs/permissions.md, whose text is `sumu-operator iam --region REGION --account ACCOUNT`"
    );
    let statements = format!(r#"{{"Version":"2012-10-17","Statement":{}}}"#, blocks.next().context("no statements")?);
    ensure_eq!(
        policy.completed_by(&Document::parse(&statements)),
        Some(policy_with_custom_domain(&place("REGION", "ACCOUNT"), "ZONE")),
        "docs/permissions.md, whose second text is added by `--with custom-domain --hosted-zone ZONE`"
    );
    Ok(())
}
