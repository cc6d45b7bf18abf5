//! IAM and SNS: throttles and conflicts in XML, most of which the SDK does not repeat by itself.

use std::time::Duration;

use serde_json::json;
use sumu_tests::gateway::call::Service::{Iam, Sns};
use sumu_tests::gateway::fault::{Act, When};
use sumu_tests::gateway::wire::Refusal;
use sumu_tests::{Result, ensure, ensure_eq};

use super::whole::{becomes_whole, count, ensure_hit, inject_one};
use crate::scene::scene;

#[test]
fn throttles_and_conflicts_of_iam_pass() -> Result<()> {
    scene("iam").play_from_the_start(async |scene| {
        let throttled = Act::refuse(400, "Throttling", "Rate exceeded");
        let throttled = inject_one(scene, Iam, "CreateRole", When::Calls(1, 3), throttled);
        let changing = "Request was not completed because another request is in progress.";
        let changing = Act::refuse(409, "ConcurrentModification", changing);
        let changing = inject_one(scene, Iam, "PutRolePolicy", When::Calls(1, 2), changing);
        let frozen = "The entity is temporarily unmodifiable. Please try again later.";
        let frozen = Act::refuse(409, "EntityTemporarilyUnmodifiable", frozen);
        let frozen = inject_one(scene, Iam, "PutRolePolicy", When::Calls(1, 2), frozen);
        scene.apply().await?;
        becomes_whole(scene, 10).await?;
        ensure_eq!([throttled.hits(), changing.hits(), frozen.hits()], [3, 2, 2], "hits");

        let lag = When::FromTheFirst(Duration::from_secs(5));
        let full = Act::refuse(409, "DeleteConflict", "Cannot delete entity, must delete policies first.");
        let full = inject_one(scene, Iam, "DeleteRole", lag, full);
        scene.delete().await?;
        ensure_hit(&[("DeleteRole", &full)])?;
        let deletes = count(scene, Iam, "DeleteRole");
        ensure!(deletes <= 4 * 4, "{deletes} calls of DeleteRole for four roles in 5 s");
        Ok(())
    })
}

#[test]
#[ignore = "slow: make test-faults"]
fn errors_of_sns_that_the_sdk_does_not_repeat_pass() -> Result<()> {
    const OTHER_TAGS: &str = "Invalid parameter: Tags Reason: Topic already exists with different tags";
    scene("sns").play_from_the_start(async |scene| {
        let throttled = Act::refuse(429, "Throttled", "Rate exceeded");
        let throttled = inject_one(scene, Sns, "CreateTopic", When::Calls(1, 2), throttled);
        // The topic is there, and a look does not show it yet.
        let other = Act::Replace(Refusal::new(400, "InvalidParameter", OTHER_TAGS).answer(Sns));
        let other = inject_one(scene, Sns, "CreateTopic", When::Calls(1, 1), other);
        let concurrent = Act::refuse(400, "ConcurrentAccess", "Another tagging operation is in progress");
        let concurrent = inject_one(scene, Sns, "TagResource", When::Calls(1, 1), concurrent);
        scene.apply().await?;
        becomes_whole(scene, 6).await?;

        let denied = Act::refuse(403, "AuthorizationError", "User is not authorized to perform: SNS:TagResource");
        let denied = inject_one(scene, Sns, "TagResource", When::FromTheFirst(Duration::from_secs(3)), denied);
        scene.edit(json!({"tags": {"team": "chat"}})).await?;
        ensure_hit(&[("CreateTopic", &throttled), ("CreateTopic with other tags", &other)])?;
        ensure_hit(&[("TagResource", &concurrent), ("TagResource, denied", &denied)])?;
        let calls = count(scene, Sns, "TagResource");
        ensure!(calls <= 8, "{calls} calls of TagResource for two topics");
        Ok(())
    })
}
