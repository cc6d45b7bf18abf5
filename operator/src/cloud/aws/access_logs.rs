//! Access logs of stages in Amazon API Gateway v2.

use aws_sdk_apigatewayv2::types::AccessLogSettings;

use super::apigateway::Gateway;
use super::{deleted, failed};
use crate::cloud::CloudError;
use crate::desired::access_logs::AccessLogs;
use crate::plan::step::AccessLogStep;

/// What a stage is told to write; nothing when it is told no place.
pub(super) fn state(settings: AccessLogSettings) -> Option<AccessLogs> {
    let arn = settings.destination_arn.filter(|arn| !arn.is_empty())?;
    // Some of AWS's own tools name a log group with this at its end.
    let destination_arn = arn.trim_end_matches(":*").to_owned();
    Some(AccessLogs { destination_arn, format: settings.format.unwrap_or_default() })
}

impl Gateway {
    pub(super) async fn apply_access_logs(&self, step: &AccessLogStep) -> Result<(), CloudError> {
        match step {
            AccessLogStep::Set { api_id, stage, logs } => {
                let AccessLogs { destination_arn, format } = logs;
                let settings = AccessLogSettings::builder().destination_arn(destination_arn).format(format).build();
                let call = self.client.update_stage().api_id(api_id).stage_name(stage).access_log_settings(settings);
                call.send().await.map(drop).map_err(failed("UpdateStage", stage))
            }
            AccessLogStep::Remove { api_id, stage } => {
                let call = self.client.delete_access_log_settings().api_id(api_id).stage_name(stage);
                deleted(call.send().await.map_err(failed("DeleteAccessLogSettings", stage)))
            }
        }
    }
}
