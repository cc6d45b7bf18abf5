//! Access logs of the stage: set by a call of their own once the stage is open.
//!
//! An account without a role for logs refuses that call. Were it part of opening the stage, nobody could connect.

use super::step::AccessLogStep;
use super::{Part, Plan};
use crate::desired::Desired;
use crate::observed::{Observed, ResourceId, StageState};
use crate::stack::name::LogGroupId;

const PART: Part = Part::AccessLogs;

pub(super) fn plan(desired: &Desired, observed: &Observed, plan: &mut Plan) {
    let Some(gateway) = &desired.gateway else { return };
    let stage = gateway.stage_name.clone();
    let is_open = |found: &&StageState| found.name == stage;
    let open = observed.api().and_then(|api| Some((api.id.clone(), api.stages.iter().find(is_open)?)));
    match (&gateway.access_logs, open) {
        (None, None) => {}
        (None, Some((api_id, found))) => {
            // Logs that go elsewhere are somebody's own.
            if is_written_to_ours(found, desired) {
                plan.step(AccessLogStep::Remove { api_id, stage });
            }
        }
        (Some(_), None) => plan.wait_for(PART, "the access log", format!("stage {stage}")),
        (Some(want), Some((api_id, found))) => {
            let group = ResourceId::LogGroup(LogGroupId::AccessLogs);
            if !observed.log_groups.contains_key(&LogGroupId::AccessLogs) {
                plan.wait_for(PART, "the access log", group);
            } else if found.access_logs.as_ref() != Some(want) {
                plan.step(AccessLogStep::Set { api_id, stage, logs: want.clone() });
            }
        }
    }
}

/// What still writes to the log group that is to go. A line that comes later would find none, or make another.
pub(super) fn writer(desired: &Desired, observed: &Observed) -> Option<String> {
    if desired.gateway.is_none() {
        return (!observed.apis.is_empty()).then(|| "the api".into());
    }
    let mut stages = observed.apis.iter().flat_map(|api| &api.stages);
    stages.find(|stage| is_written_to_ours(stage, desired)).map(|stage| format!("stage {}'s use of it", stage.name))
}

fn is_written_to_ours(stage: &StageState, desired: &Desired) -> bool {
    let ours = desired.names.log_group_arn(LogGroupId::AccessLogs);
    stage.access_logs.as_ref().is_some_and(|logs| logs.destination_arn == ours)
}
