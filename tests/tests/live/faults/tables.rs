//! DynamoDB: tables that take long, tags that lock, and a time to live that may not be changed yet.

use std::time::Duration;

use serde_json::{Value, json};
use sumu_tests::gateway::call::Service::DynamoDb;
use sumu_tests::gateway::fault::{Act, When};
use sumu_tests::{Result, ensure, ensure_eq};

use super::whole::{ask_for_a_look, becomes_whole, count, ensure_hit, inject_one, rests_for, told};
use crate::scene::scene;

fn still(state: &'static str) -> Act {
    Act::rewrite(move |body| body["Table"]["TableStatus"] = state.into())
}

#[test]
#[ignore = "slow: make test-faults"]
fn tables_that_take_long_and_lock_their_tags_are_waited_for() -> Result<()> {
    scene("creating").play_from_the_start(async |scene| {
        let long = When::FromTheFirst(Duration::from_secs(5));
        let creating = inject_one(scene, DynamoDb, "DescribeTable", long, still("CREATING"));
        let busy = "Attempt to change a resource which is still in use: Table is being updated";
        let busy = Act::refuse(400, "ResourceInUseException", busy);
        let busy = inject_one(scene, DynamoDb, "UpdateTimeToLive", When::Calls(1, 2), busy);
        scene.apply().await?;
        becomes_whole(scene, 4).await?;
        ensure_eq!(count(scene, DynamoDb, "CreateTable"), 2, "calls of CreateTable");

        let absent = Act::refuse(400, "ResourceNotFoundException", "Requested resource not found: Table: T not found");
        let absent = inject_one(scene, DynamoDb, "TagResource", When::Calls(1, 2), absent);
        let locked = Act::refuse(400, "LimitExceededException", "Table tags are being updated");
        let locked = inject_one(scene, DynamoDb, "TagResource", When::Calls(1, 2), locked);
        let lag = When::FromTheFirst(Duration::from_secs(3));
        let stale = inject_one(scene, DynamoDb, "ListTagsOfResource", lag, Act::Stale);
        scene.edit(json!({"tags": {"team": "chat"}})).await?;
        let tagged = count(scene, DynamoDb, "TagResource");
        ensure!(tagged <= 14, "{tagged} calls of TagResource for two tables");
        ensure_hit(&[("DescribeTable", &creating), ("UpdateTimeToLive", &busy), ("TagResource", &absent)])?;
        ensure_hit(&[("TagResource, locked", &locked), ("ListTagsOfResource", &stale)])
    })
}

#[test]
#[ignore = "slow: make test-faults"]
fn a_stack_is_deleted_while_its_tables_are_still_being_made() -> Result<()> {
    scene("unmade").play_from_the_start(async |scene| {
        let long = When::FromTheFirst(Duration::from_secs(4));
        let creating = inject_one(scene, DynamoDb, "DescribeTable", long, still("CREATING"));
        scene.apply().await?;
        scene
            .until("tables to be made", |_| {
                ensure!(creating.hits() > 1, "nobody has seen a table");
                Ok(())
            })
            .await?;
        scene.delete().await?;
        ensure_eq!(count(scene, DynamoDb, "CreateTable"), 2, "calls of CreateTable");
        let deletes = count(scene, DynamoDb, "DeleteTable");
        ensure!((2..=4).contains(&deletes), "{deletes} calls of DeleteTable");
        Ok(())
    })
}

#[test]
#[ignore = "slow: make test-faults"]
fn a_time_to_live_in_its_cool_down_leaves_a_stack_that_works_and_says_so() -> Result<()> {
    const COOL_DOWN: &str = "Time to live has been modified multiple times within a fixed interval";
    scene("cool-down").play_from_the_start(async |scene| {
        let refused = Act::refuse(400, "ValidationException", COOL_DOWN);
        let refused = inject_one(scene, DynamoDb, "UpdateTimeToLive", When::Always, refused);
        scene.apply().await?;
        let words = ["UpdateTimeToLive", "ValidationException", COOL_DOWN];
        told(scene, "Connections", "QuotaExceeded", &words).await?;
        let object = scene.until("all the rest to be in place", |object| {
            let conditions = object["status"]["conditions"].as_array().map_or(&[][..], Vec::as_slice);
            let others = conditions.iter().filter(|it| it["type"] != "Connections" && it["type"] != "Ready");
            let not: Vec<&Value> = others.filter(|it| it["status"] != "True").collect();
            ensure!(not.is_empty(), "not in place: {not:?}");
            ensure!(object["status"]["endpoint"].is_string(), "there is no endpoint");
            Ok(())
        });
        scene.status = object.await?["status"].clone();
        scene.connect("alice").await?.ping().await?;
        ensure!(rests_for(scene)? >= Duration::from_secs(59), "it looks again in {:?}", rests_for(scene)?);
        let calls = refused.calls();
        ensure!(calls <= 12, "{calls} calls of UpdateTimeToLive");
        refused.end();
        ask_for_a_look(scene).await?;
        becomes_whole(scene, 12).await
    })
}

#[test]
fn a_recovery_that_a_new_table_does_not_take_yet_is_switched_on_once_it_does() -> Result<()> {
    scene("backups").spec(json!({"connections": {"pointInTimeRecovery": true}})).play_from_the_start(async |scene| {
        let told = "Backups are being enabled for the table: T. Please retry later";
        let refused = Act::refuse(400, "ContinuousBackupsUnavailableException", told);
        let refused = inject_one(scene, DynamoDb, "UpdateContinuousBackups", When::Calls(1, 2), refused);
        scene.apply().await?;
        becomes_whole(scene, 3).await?;
        ensure_eq!(count(scene, DynamoDb, "UpdateContinuousBackups"), 3, "calls of UpdateContinuousBackups");
        let table = scene.text("/connectionsTable/name")?;
        ensure_eq!(scene.backend()?.recovery(table).await?, "ENABLED", "recovery");
        ensure_hit(&[("UpdateContinuousBackups", &refused)])
    })
}

#[test]
fn a_time_to_live_that_is_on_already_or_comes_on_for_an_hour_is_on() -> Result<()> {
    scene("enabling").play_from_the_start(async |scene| {
        // The SDK asks again and is told "TimeToLive is already enabled".
        let lost = inject_one(scene, DynamoDb, "UpdateTimeToLive", When::Calls(1, 1), Act::LoseAnswer);
        let enabling = Act::rewrite(|body| {
            let status = &mut body["TimeToLiveDescription"]["TimeToLiveStatus"];
            if *status == "ENABLED" {
                *status = "ENABLING".into();
            }
        });
        let enabling = inject_one(scene, DynamoDb, "DescribeTimeToLive", When::Always, enabling);
        scene.apply().await?;
        becomes_whole(scene, 2).await?;
        ensure_eq!(count(scene, DynamoDb, "UpdateTimeToLive"), 2, "calls of UpdateTimeToLive");
        ensure_hit(&[("UpdateTimeToLive", &lost), ("DescribeTimeToLive", &enabling)])
    })
}
