//! Limits of the account: the stack says which, does what it can, and does not press.

use std::time::Duration;

use sumu_tests::gateway::call::Service;
use sumu_tests::gateway::fault::{Act, When};
use sumu_tests::stack::condition;
use sumu_tests::{Context, Result, ensure, ensure_eq, eventually};

use super::whole::{ask_for_a_look, becomes_whole, ensure_hit, inject_one, rests_for, told};
use crate::scene::scene;

const ROLES: &str = "Cannot exceed quota for RolesPerAccount: 1000";
const GROUPS: &str = "Resource limit exceeded.";
const TOPICS: &str = "Topic limit exceeded";

#[test]
#[ignore = "slow: make test-faults"]
fn a_full_account_is_told_and_the_rest_of_the_stack_is_made() -> Result<()> {
    scene("quota").play_from_the_start(async |scene| {
        let one = |service, operation, status, code, message| {
            inject_one(scene, service, operation, When::Always, Act::refuse(status, code, message))
        };
        let roles = one(Service::Iam, "CreateRole", 409, "LimitExceeded", ROLES);
        let groups = one(Service::Logs, "CreateLogGroup", 400, "LimitExceededException", GROUPS);
        let topics = one(Service::Sns, "CreateTopic", 403, "TopicLimitExceeded", TOPICS);
        scene.apply().await?;
        told(scene, "Functions", "QuotaExceeded", &["LimitExceeded", ROLES]).await?;
        told(scene, "Messages", "QuotaExceeded", &["CreateTopic", "TopicLimitExceeded", TOPICS]).await?;
        told(scene, "Ready", "QuotaExceeded", &[]).await?;
        scene
            .until("the tables to be in place", |object| {
                ensure_eq!(condition(object, "Connections").context("none")?["status"], "True", "Connections");
                Ok(())
            })
            .await?;
        // Roles, groups and topics are asked for again with every look, so looks must become rare.
        eventually(Duration::from_secs(30), "the operator to rest", async || {
            let rest = rests_for(scene)?;
            ensure!(rest >= Duration::from_secs(59), "it looks again in {rest:?}");
            Ok(())
        })
        .await?;
        let there = scene.inventory().await?;
        let counts = ["table", "queue", "api", "topic", "role", "log group"].map(|kind| there.count(kind));
        ensure_eq!(counts, [2, 7, 1, 0, 0, 0], "what is there");
        let refused = roles.hits() + groups.hits() + topics.hits();
        println!("{refused} calls were refused");
        ensure!(refused <= 10 * 16, "{refused} calls were refused");
        ensure_hit(&[("CreateRole", &roles), ("CreateLogGroup", &groups), ("CreateTopic", &topics)])?;
        for fault in [roles, groups, topics] {
            fault.end();
        }
        ask_for_a_look(scene).await?;
        becomes_whole(scene, usize::try_from(refused)?).await
    })
}
