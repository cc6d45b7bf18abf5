//! Stacks that are made with a role of their own, `spec.aws.roleArn`.

use serde_json::{Value, json};
use sumu_tests::aws::ACCOUNT;
use sumu_tests::gateway::call::Service;
use sumu_tests::{Result, ensure_eq};

use crate::scene::{Scene, ensure_complete, scene};

/// A spec with a role of this account.
pub fn role() -> Value {
    let arn = format!("arn:aws:iam::{ACCOUNT}:role/made-by-another-team");
    json!({"aws": {"roleArn": arn, "externalId": "a-word-that-both-sides-know"}})
}

/// What the operator has called with its own key.
fn own_calls(scene: &Scene) -> Vec<(Service, String)> {
    let seen = scene.testbed.aws().gateway().seen(scene.key());
    seen.into_iter().map(|seen| (seen.service, seen.operation)).collect()
}

#[test]
fn everything_of_a_stack_with_a_role_is_done_as_that_role_which_is_assumed_once_with_its_external_id() -> Result<()> {
    scene("assumed").play_from_the_start(async |scene| {
        // The gateway lets nobody assume it without the word.
        let name = format!("trusts-{}", scene.namespace);
        let trust = json!({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow",
            "Principal": {"AWS": "*"},
            "Action": "sts:AssumeRole",
            "Condition": {"StringEquals": {"sts:ExternalId": "a-word-that-both-sides-know"}},
        }]});
        let iam = aws_sdk_iam::Client::new(&scene.sdk().await);
        iam.create_role().role_name(&name).assume_role_policy_document(trust.to_string()).send().await?;
        scene.change(&role());
        scene.change(&json!({"aws": {"roleArn": format!("arn:aws:iam::{ACCOUNT}:role/{name}")}}));
        scene.apply().await?;
        scene.ready().await?;
        ensure_complete(&scene.inventory().await?)?;
        scene.connect("alice").await?.ping().await?;
        scene.edit(json!({"functions": {"memoryMiB": 384}})).await?;
        ensure_eq!(
            own_calls(scene),
            vec![(Service::Sts, "AssumeRole".to_owned())],
            "calls with the operator's own key"
        );
        scene.delete().await?;
        iam.delete_role().role_name(&name).send().await?;
        Ok(())
    })
}
