//! Point-in-time recovery of the connections table, on and off as boto3 sees it.

use aws_sdk_dynamodb::types::PointInTimeRecoverySpecification;
use serde_json::json;
use sumu_tests::poll::eventually;
use sumu_tests::stack::SETTLED_WITHIN;
use sumu_tests::{Result, ensure_eq};

use crate::scene::scene;

#[test]
fn the_connections_table_can_be_restored_for_as_long_as_the_spec_asks_for_it() -> Result<()> {
    let wanted = json!({"connections": {"pointInTimeRecovery": true}});
    scene("recovery").resync_seconds(1).spec(wanted).play(async |scene| {
        let backend = scene.backend()?;
        let table = scene.text("/connectionsTable/name")?.to_owned();
        ensure_eq!(backend.recovery(&table).await?, "ENABLED", "recovery of the connections table");
        let presence = scene.text("/presenceTable/name")?;
        ensure_eq!(backend.recovery(presence).await?, "DISABLED", "recovery of the presence table");

        let client = aws_sdk_dynamodb::Client::new(&scene.sdk().await);
        let off = PointInTimeRecoverySpecification::builder().point_in_time_recovery_enabled(false).build()?;
        client.update_continuous_backups().table_name(&table).point_in_time_recovery_specification(off).send().await?;
        // Only a look at everything shows it.
        eventually(SETTLED_WITHIN, "the recovery to be on again", async || {
            ensure_eq!(backend.recovery(&table).await?, "ENABLED", "recovery of the connections table");
            Ok(())
        })
        .await?;
        scene.ready().await?;

        scene.edit(json!({"connections": {"pointInTimeRecovery": false}})).await?;
        ensure_eq!(backend.recovery(&table).await?, "DISABLED", "recovery once nobody asks for it");
        Ok(())
    })
}
