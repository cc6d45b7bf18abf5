//! Access logs: the stage writes to a log group of the stack's own, for as long as the spec asks for it.

use aws_sdk_apigatewayv2::types::AccessLogSettings;
use aws_sdk_cloudwatchlogs::types::LogGroup;
use serde_json::{Value, json};
use sumu_operator::desired::access_logs::FIELDS;
use sumu_tests::aws::{ACCOUNT, REGION};
use sumu_tests::poll::eventually;
use sumu_tests::stack::{SETTLED_WITHIN, condition};
use sumu_tests::{Context, Result, ensure, ensure_eq};

use crate::scene::{Scene, names_begin, scene};
use crate::totals::READS_MAX;

/// What AWS has of a stack's access logs.
struct Outside {
    gateway: aws_sdk_apigatewayv2::Client,
    cloudwatch: aws_sdk_cloudwatchlogs::Client,
    api: String,
    group: String,
}

impl Outside {
    async fn of(scene: &Scene) -> Result<Self> {
        let sdk = scene.sdk().await;
        let group = format!("/aws/apigateway/{}", names_begin(&scene.status)?);
        let gateway = aws_sdk_apigatewayv2::Client::new(&sdk);
        let cloudwatch = aws_sdk_cloudwatchlogs::Client::new(&sdk);
        Ok(Self { gateway, cloudwatch, api: scene.text("/apiId")?.to_owned(), group })
    }

    fn arn(&self) -> String {
        format!("arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{}", self.group)
    }

    async fn group(&self) -> Result<Option<LogGroup>> {
        let found = self.cloudwatch.describe_log_groups().log_group_name_prefix(&self.group).send().await?;
        Ok(found.log_groups.unwrap_or_default().into_iter().find(|it| it.log_group_name.as_ref() == Some(&self.group)))
    }

    async fn retention(&self) -> Result<Option<i32>> {
        Ok(self.group().await?.context("no log group")?.retention_in_days)
    }

    /// What the stage is told to write.
    async fn settings(&self) -> Result<Option<AccessLogSettings>> {
        Ok(self.gateway.get_stage().api_id(&self.api).stage_name("live").send().await?.access_log_settings)
    }

    async fn destination(&self) -> Result<Option<String>> {
        Ok(self.settings().await?.and_then(|settings| settings.destination_arn))
    }
}

#[test]
fn the_stage_logs_to_a_log_group_of_the_stacks_own_until_that_is_taken_away() -> Result<()> {
    let wanted = json!({"gateway": {"accessLogs": {"retentionDays": 5}}});
    scene("logged").resync_seconds(2).spec(wanted).play(async |scene| {
        let logs = Outside::of(scene).await?;
        let settings = logs.settings().await?.context("the stage logs nothing")?;
        ensure_eq!(settings.destination_arn(), Some(&*logs.arn()), "where the stage logs");
        let line: Value = serde_json::from_str(settings.format().unwrap_or_default())?;
        let line = line.as_object().context("a line is no object")?;
        for (name, variable) in FIELDS {
            ensure_eq!(line.get(name).and_then(Value::as_str), Some(variable), "{name} of a line");
        }
        ensure_eq!(logs.retention().await?, Some(5), "days");
        let tags =
            logs.cloudwatch.list_tags_for_resource().resource_arn(logs.arn()).send().await?.tags.unwrap_or_default();
        ensure_eq!(tags.get("sumu.live/stack"), Some(&format!("{}/live", scene.namespace)), "the tag of the log group");
        let object = scene.stack.object().await?;
        let told = condition(&object, "AccessLogs").context("no condition AccessLogs")?;
        ensure_eq!(told["status"], json!("True"), "{told}");

        for pass in scene.more_passes(2).await? {
            ensure!(pass.settled && pass.aws_writes == 0, "not quiet: {}", pass.line);
            ensure!(pass.aws_reads <= READS_MAX, "{} reads in {}", pass.aws_reads, pass.line);
        }
        let other = AccessLogSettings::builder().destination_arn(format!("{}-other", logs.arn()));
        let other = other.format("$context.requestId").build();
        logs.gateway.update_stage().api_id(&logs.api).stage_name("live").access_log_settings(other).send().await?;
        eventually(SETTLED_WITHIN, "the stage to log to its own group again", async || {
            ensure_eq!(logs.destination().await?, Some(logs.arn()), "where the stage logs");
            Ok(())
        })
        .await?;

        scene.edit(json!({"gateway": {"accessLogs": {"retentionDays": 1}}})).await?;
        ensure_eq!(logs.retention().await?, Some(1), "days");
        scene.edit(json!({"gateway": {"accessLogs": {"enabled": false}}})).await?;
        ensure_eq!(logs.settings().await?, None, "what the stage logs without");
        ensure!(logs.group().await?.is_none(), "the log group is still there");
        let object = scene.stack.object().await?;
        ensure!(condition(&object, "AccessLogs").is_none(), "it is still told: {}", object["status"]["conditions"]);
        scene.connect("alice").await?.ping().await.map(|_| ())
    })
}
