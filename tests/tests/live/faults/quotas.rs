//! Limits of the account, and what it lacks: the stack says which, does what it can, and does not press.

use std::time::Duration;

use serde_json::json;
use sumu_tests::gateway::call::Service;
use sumu_tests::gateway::fault::{Act, When};
use sumu_tests::stack::condition;
use sumu_tests::{Context, Result, ensure, ensure_eq, eventually};

use super::whole::{ask_for_a_look, becomes_whole, ensure_hit, inject_one, rests_for, told};
use crate::scene::scene;

const ROLES: &str = "Cannot exceed quota for RolesPerAccount: 1000";
const GROUPS: &str = "Resource limit exceeded.";
const TOPICS: &str = "Topic limit exceeded";
const NO_ROLE: &str = "CloudWatch Logs role ARN must be set in account settings to enable logging";

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

#[test]
fn an_account_without_a_role_for_logs_is_told_and_the_stack_is_ready_without_them() -> Result<()> {
    let wanted = json!({"gateway": {"accessLogs": {"retentionDays": 1}}});
    scene("logless").spec(wanted).play_from_the_start(async |scene| {
        let refused = Act::refuse(400, "BadRequestException", NO_ROLE);
        let refused = inject_one(scene, Service::ApiGateway, "UpdateStage", When::Always, refused);
        scene.apply().await?;
        scene.ready().await?;
        let words = [NO_ROLE, "AmazonAPIGatewayPushToCloudWatchLogs", "aws apigateway update-account"];
        let object = told(scene, "AccessLogs", "ActionRequired", &words).await?;
        let ready = condition(&object, "Ready").context("no condition Ready")?;
        ensure_eq!(ready["status"], "True", "Ready");
        ensure!(ready["message"].as_str().is_some_and(|it| it.contains("but access logs")), "it says {ready}");
        ensure!(condition(&object, "Stalled").is_none(), "it is stalled");
        scene.connect("alice").await?.ping().await?;
        eventually(Duration::from_secs(30), "the operator to rest", async || {
            let rest = rests_for(scene)?;
            ensure!(rest >= Duration::from_secs(59), "it looks again in {rest:?}");
            Ok(())
        })
        .await?;
        let hits = refused.hits();
        ensure!((1..=4).contains(&hits), "{hits} calls were refused");
        refused.end();
        ask_for_a_look(scene).await?;
        scene
            .until("access logs to be in place", |object| {
                let logs = condition(object, "AccessLogs").context("no condition AccessLogs")?;
                ensure_eq!(logs["status"], "True", "{logs}");
                Ok(())
            })
            .await?;
        let stage = aws_sdk_apigatewayv2::Client::new(&scene.sdk().await);
        let stage = stage.get_stage().api_id(scene.text("/apiId")?).stage_name("live").send().await?;
        ensure!(stage.access_log_settings.is_some(), "the stage logs nothing");
        scene.edit(json!({"gateway": {"accessLogs": null}})).await?;
        becomes_whole(scene, usize::try_from(hits)? + 5).await
    })
}
