//! Functions and event source mappings in AWS Lambda.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use aws_config::SdkConfig;
use aws_sdk_lambda::Client;
use aws_sdk_lambda::types::{
    DeadLetterConfig, DestinationConfig, Environment, EventSourceMappingConfiguration, EventSourcePosition,
    FunctionCode, FunctionConfiguration, FunctionResponseType, LastUpdateStatus, OnFailure, Runtime, ScalingConfig,
    State, TagsError,
};
use jiff::Timestamp;
use serde_json::Value;
use sumu_contract::Function;
use tokio::sync::Semaphore;

use super::answers::{NoEmptyAnswers, Pages};
use super::calls::{CallCounter, remembered};
use super::code::code;
use super::consumers::Consumers;
use super::denials::in_order;
use super::recent::{KNOWN_FOR, Recent};
use super::updates::FailedUpdates;
use super::{absent, deleted, failed, unexpected};
use crate::cloud::error::without_request_id;
use crate::cloud::{CloudError, Kind};
use crate::desired::functions::{GivingUp, Permission, Source};
use crate::desired::policy::Document;
use crate::observed::{FailedUpdate, FunctionState, Readiness, SourceState};
use crate::packages::{Package, Place};
use crate::plan::step::{Configuration, FunctionStep, SourceStep};
use crate::stack::name::{Names, SourceId, Tags};
use crate::sumu_stack::Architecture;

pub(super) struct Functions {
    pub(super) client: Client,
    /// Permissions by the function's name, for glances.
    known: Recent<Vec<Permission>>,
    failed_updates: FailedUpdates,
    pub(super) consumers: Consumers,
    /// One package in memory at a time: an upload holds it three times over, as bytes, as base64 and as a request.
    pub(super) upload: Semaphore,
}

impl Functions {
    pub(super) fn new(config: &SdkConfig) -> Self {
        let config =
            aws_sdk_lambda::config::Builder::from(config).interceptor(CallCounter).interceptor(NoEmptyAnswers).build();
        Self {
            client: Client::from_conf(config),
            known: Recent::lasting(KNOWN_FOR),
            failed_updates: FailedUpdates::default(),
            consumers: Consumers::default(),
            upload: Semaphore::new(1),
        }
    }

    pub(super) async fn read(&self, names: &Names) -> Result<BTreeMap<Function, FunctionState>, CloudError> {
        let found = in_order(Function::ALL.into_iter().map(|function| self.read_one(function, names))).await?;
        Ok(found.into_iter().flatten().collect())
    }

    async fn read_one(
        &self,
        function: Function,
        names: &Names,
    ) -> Result<Option<(Function, FunctionState)>, CloudError> {
        let name = names.function(function);
        // GetFunction has a quota of its own, ten times that of GetFunctionConfiguration, and brings the tags.
        let answer = self.client.get_function().function_name(&name).send().await;
        let Some(answer) = absent(answer.map_err(failed("GetFunction", &name)))? else {
            self.failed_updates.forget(&name);
            return Ok(None);
        };
        if let Some(error) = answer.tags_error {
            // Without the tags nobody can say whose the function is, and "not ours" would be the wrong guess.
            let TagsError { error_code: code, message, .. } = error;
            return Err(CloudError { operation: "ListTags", resource: name, kind: Kind::Denied, code, message });
        }
        let tags = answer.tags.unwrap_or_default().into_iter().collect();
        let configuration =
            answer.configuration.ok_or_else(|| unexpected("GetFunction", &name, "the answer has no configuration"))?;
        let permissions = match function {
            // Nobody invokes the watchdog: Lambda itself reads the stream.
            Function::Watchdog => Vec::new(),
            Function::Authorizer | Function::Routes | Function::Pusher => {
                remembered(&self.known, &name, self.permissions(&name)).await?
            }
        };
        let failed_update = self.failed_update(&name, &configuration);
        Ok(Some((function, FunctionState { failed_update, ..state(configuration, tags, permissions) })))
    }

    fn failed_update(&self, name: &str, found: &FunctionConfiguration) -> Option<FailedUpdate> {
        match &found.last_update_status {
            Some(LastUpdateStatus::Failed) => Some(FailedUpdate {
                reason: told(found.last_update_status_reason()),
                is_young: self.failed_updates.saw(name, found.last_modified().unwrap_or_default(), Instant::now()),
            }),
            Some(LastUpdateStatus::InProgress) => None,
            // Whatever comes next is a failure of its own.
            None | Some(_) => {
                self.failed_updates.forget(name);
                None
            }
        }
    }

    async fn permissions(&self, name: &str) -> Result<Vec<Permission>, CloudError> {
        let answer = self.client.get_policy().function_name(name).send().await;
        let answer = absent(answer.map_err(failed("GetPolicy", name)))?;
        let document = Document::parse(answer.and_then(|answer| answer.policy).as_deref().unwrap_or("{}"));
        Ok(document.statements().map(permission).collect())
    }

    pub(super) async fn tag(&self, arn: &str, tags: &Tags) -> Result<(), CloudError> {
        let call = self.client.tag_resource().resource(arn).set_tags(Some(tags.clone().into_iter().collect()));
        call.send().await.map(drop).map_err(failed("TagResource", arn))
    }

    pub(super) async fn untag(&self, arn: &str, keys: &[String]) -> Result<(), CloudError> {
        let call = self.client.untag_resource().resource(arn).set_tag_keys(Some(keys.to_vec()));
        deleted(call.send().await.map_err(failed("UntagResource", arn)))
    }

    pub(super) async fn apply(&self, step: &FunctionStep) -> Result<(), CloudError> {
        match step {
            FunctionStep::Create { package, architecture, configuration, tags } => {
                self.create(package, *architecture, configuration, tags).await
            }
            FunctionStep::UpdateCode { name, package, architecture } => {
                self.update_code(name, package, *architecture).await
            }
            FunctionStep::UpdateConfiguration { configuration } => self.configure(configuration).await,
            FunctionStep::AddPermission { name, permission } => {
                let call = self
                    .client
                    .add_permission()
                    .function_name(name)
                    .statement_id(&permission.sid)
                    .action("lambda:InvokeFunction")
                    .principal(&permission.principal)
                    .source_arn(&permission.source_arn);
                call.send().await.map(drop).map_err(failed("AddPermission", name))
            }
            FunctionStep::RemovePermission { name, sid } => {
                let call = self.client.remove_permission().function_name(name).statement_id(sid);
                deleted(call.send().await.map_err(failed("RemovePermission", name)))
            }
            FunctionStep::Delete { name } => {
                let answer = self.client.delete_function().function_name(name).send().await;
                deleted(answer.map_err(failed("DeleteFunction", name)))
            }
        }
    }

    async fn create(
        &self,
        package: &Package,
        architecture: Architecture,
        configuration: &Configuration,
        tags: &Tags,
    ) -> Result<(), CloudError> {
        let Configuration { name, role_arn, memory_mib, timeout_seconds, environment, dead_letters_arn } =
            configuration;
        let _turn = self.upload.acquire().await;
        let code = match &package.place {
            Place::File(path) => FunctionCode::builder().zip_file(code(name, package, path).await?),
            Place::Object { bucket, key } => FunctionCode::builder().s3_bucket(bucket).s3_key(key),
        };
        let call = self
            .client
            .create_function()
            .function_name(name)
            .role(role_arn)
            .runtime(Runtime::Providedal2023)
            .handler("bootstrap")
            .architectures(architecture.as_str().into())
            .memory_size(*memory_mib)
            .timeout(*timeout_seconds)
            .environment(sdk_environment(environment))
            .set_dead_letter_config(dead_letters_arn.as_ref().map(|arn| dead_letters(Some(arn))))
            .set_tags(Some(tags.clone().into_iter().collect()))
            .code(code.build());
        call.send().await.map(drop).map_err(failed("CreateFunction", name))
    }

    async fn configure(&self, configuration: &Configuration) -> Result<(), CloudError> {
        let Configuration { name, role_arn, memory_mib, timeout_seconds, environment, dead_letters_arn } =
            configuration;
        let call = self
            .client
            .update_function_configuration()
            .function_name(name)
            .role(role_arn)
            .memory_size(*memory_mib)
            .timeout(*timeout_seconds)
            .environment(sdk_environment(environment))
            .dead_letter_config(dead_letters(dead_letters_arn.as_ref()));
        call.send().await.map(drop).map_err(failed("UpdateFunctionConfiguration", name))
    }

    pub(super) async fn read_sources(&self, names: &Names) -> Result<Vec<SourceState>, CloudError> {
        // The other two functions are fed by nothing, and whatever somebody feeds to them is not ours.
        let fed: BTreeSet<Function> = SourceId::ALL.iter().map(|id| id.function()).collect();
        let of_each =
            in_order(fed.into_iter().map(|function| self.list_sources(Some(names.function(function)), None))).await?;
        let mut found: Vec<EventSourceMappingConfiguration> = of_each.iter().flatten().flatten().cloned().collect();
        if of_each.iter().any(Option::is_none) {
            // Lambda lists nothing for a function that does not exist, but its sources outlive it.
            let all = self.list_sources(None, None).await?.unwrap_or_default();
            found.extend(
                all.into_iter()
                    .filter(|source| found.iter().all(|other| other.uuid != source.uuid))
                    .collect::<Vec<_>>(),
            );
        }
        let mut found: Vec<SourceState> = found.into_iter().filter_map(|source| source_state(names, source)).collect();
        found.sort_by(|a, b| a.uuid.cmp(&b.uuid));
        Ok(found)
    }

    /// The sources of one function or of all, of one queue or of all; nothing when there is no such function.
    pub(super) async fn list_sources(
        &self,
        name: Option<String>,
        queue_arn: Option<String>,
    ) -> Result<Option<Vec<EventSourceMappingConfiguration>>, CloudError> {
        const OPERATION: &str = "ListEventSourceMappings";
        let whose = name.clone().or_else(|| queue_arn.clone()).unwrap_or_default();
        let mut found = Vec::new();
        let mut marker = None;
        let mut pages = Pages::of(OPERATION, &whose);
        loop {
            let call = self.client.list_event_source_mappings().set_function_name(name.clone());
            let call = call.set_event_source_arn(queue_arn.clone()).set_marker(marker);
            let answer = absent(call.send().await.map_err(failed(OPERATION, &whose)))?;
            let Some(answer) = answer else { return Ok(None) };
            found.extend(answer.event_source_mappings.unwrap_or_default());
            marker = pages.after(answer.next_marker)?;
            if marker.is_none() {
                return Ok(Some(found));
            }
        }
    }

    pub(super) async fn apply_source(&self, step: &SourceStep) -> Result<(), CloudError> {
        match step {
            SourceStep::Create { id, function_name, source_arn, source, tags } => {
                let Source { batch_size, concurrency_max, bisects, giving_up } = source;
                let is_stream = matches!(id, SourceId::Connections);
                let call = self
                    .client
                    .create_event_source_mapping()
                    .function_name(function_name)
                    .event_source_arn(source_arn)
                    .batch_size(*batch_size)
                    .function_response_types(FunctionResponseType::ReportBatchItemFailures)
                    .set_scaling_config(
                        concurrency_max.map(|max| ScalingConfig::builder().maximum_concurrency(max).build()),
                    )
                    // From the oldest record: with LATEST, what comes before the source is enabled is missed.
                    .set_starting_position(is_stream.then_some(EventSourcePosition::TrimHorizon))
                    .set_bisect_batch_on_function_error(is_stream.then_some(*bisects))
                    .set_maximum_retry_attempts(giving_up.as_ref().map(|it| it.retries_max))
                    .set_maximum_record_age_in_seconds(giving_up.as_ref().map(|it| it.age_seconds_max))
                    .set_destination_config(giving_up.as_ref().map(on_failure))
                    .set_tags(Some(tags.clone().into_iter().collect()));
                call.send().await.map(drop).map_err(failed("CreateEventSourceMapping", function_name))
            }
            SourceStep::Update { id, uuid, source } => {
                let Source { batch_size, concurrency_max, bisects, giving_up } = source;
                let is_stream = matches!(id, SourceId::Connections);
                let call = self
                    .client
                    .update_event_source_mapping()
                    .uuid(uuid)
                    .enabled(true)
                    .batch_size(*batch_size)
                    .function_response_types(FunctionResponseType::ReportBatchItemFailures)
                    .set_scaling_config(
                        concurrency_max.map(|max| ScalingConfig::builder().maximum_concurrency(max).build()),
                    )
                    .set_bisect_batch_on_function_error(is_stream.then_some(*bisects))
                    .set_maximum_retry_attempts(giving_up.as_ref().map(|it| it.retries_max))
                    .set_maximum_record_age_in_seconds(giving_up.as_ref().map(|it| it.age_seconds_max))
                    .set_destination_config(giving_up.as_ref().map(on_failure));
                call.send().await.map(drop).map_err(failed("UpdateEventSourceMapping", uuid))
            }
            SourceStep::Delete { uuid, .. } => {
                let answer = self.client.delete_event_source_mapping().uuid(uuid).send().await;
                deleted(answer.map_err(failed("DeleteEventSourceMapping", uuid)))
            }
        }
    }
}

fn sdk_environment(variables: &BTreeMap<String, String>) -> Environment {
    Environment::builder().set_variables(Some(variables.clone().into_iter().collect())).build()
}

/// An empty ARN clears it.
fn dead_letters(arn: Option<&String>) -> DeadLetterConfig {
    DeadLetterConfig::builder().target_arn(arn.map_or("", String::as_str)).build()
}

fn on_failure(giving_up: &GivingUp) -> DestinationConfig {
    let queue = OnFailure::builder().destination(&giving_up.dead_letters_arn).build();
    DestinationConfig::builder().on_failure(queue).build()
}

fn giving_up(found: &EventSourceMappingConfiguration) -> Option<GivingUp> {
    let dead_letters_arn = found.destination_config()?.on_failure()?.destination()?.to_owned();
    Some(GivingUp {
        retries_max: found.maximum_retry_attempts.unwrap_or(-1),
        age_seconds_max: found.maximum_record_age_in_seconds.unwrap_or(-1),
        dead_letters_arn,
    })
}

fn state(found: FunctionConfiguration, tags: Tags, permissions: Vec<Permission>) -> FunctionState {
    let readiness = readiness(&found);
    FunctionState {
        tags,
        readiness,
        failed_update: None,
        changed_lately: changed_lately(&found, Timestamp::now()),
        permissions,
        architecture: match found.architectures().first() {
            Some(aws_sdk_lambda::types::Architecture::X8664) => Some(Architecture::X86_64),
            Some(aws_sdk_lambda::types::Architecture::Arm64) => Some(Architecture::Arm64),
            _ => None,
        },
        memory_mib: found.memory_size.unwrap_or_default(),
        timeout_seconds: found.timeout.unwrap_or_default(),
        environment: found.environment.and_then(|e| e.variables).unwrap_or_default().into_iter().collect(),
        dead_letters_arn: found.dead_letter_config.and_then(|config| config.target_arn).filter(|arn| !arn.is_empty()),
        arn: found.function_arn.unwrap_or_default(),
        code_sha256: found.code_sha256.unwrap_or_default(),
        role_arn: found.role.unwrap_or_default(),
    }
}

fn readiness(found: &FunctionConfiguration) -> Readiness {
    match &found.state {
        Some(State::Failed) => {
            return Readiness::Failed(told(found.state_reason()));
        }
        // Inactive only means idle: the next invocation wakes it.
        None | Some(State::Active | State::Inactive) => {}
        Some(other) => return Readiness::Busy(other.as_str().to_owned()),
    }
    match &found.last_update_status {
        // A failed update leaves the old function in place, which can be invoked and updated again.
        None | Some(LastUpdateStatus::Successful | LastUpdateStatus::Failed) => Readiness::Ready,
        Some(other) => Readiness::Busy(other.as_str().to_owned()),
    }
}

/// Lambda's reason, as a condition may hold it.
fn told(reason: Option<&str>) -> String {
    reason.map_or_else(|| "no reason given".into(), without_request_id)
}

/// A copy that began before a change works on until its time is up. What it sent to a queue last is counted within a
/// minute.
fn changed_lately(found: &FunctionConfiguration, now: Timestamp) -> bool {
    const COUNTED_WITHIN_SECONDS: i64 = 60;
    let changed = found.last_modified.as_deref().and_then(|text| text.parse::<Timestamp>().ok());
    let seconds = COUNTED_WITHIN_SECONDS + i64::from(found.timeout.unwrap_or_default());
    changed.is_some_and(|changed| now.duration_since(changed).as_secs() <= seconds)
}

/// What a statement of a function's policy allows.
pub(super) fn permission(statement: &Value) -> Permission {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let condition = &statement["Condition"]["ArnLike"];
    Permission {
        sid: text(&statement["Sid"]),
        principal: text(&statement["Principal"]["Service"]),
        // Lambda writes it in capitals; the key is case-insensitive.
        source_arn: text(
            condition.get("AWS:SourceArn").or_else(|| condition.get("aws:SourceArn")).unwrap_or(&Value::Null),
        ),
    }
}

/// A source of one of our functions.
fn source_state(names: &Names, found: EventSourceMappingConfiguration) -> Option<SourceState> {
    let arn = found.function_arn.as_deref().unwrap_or_default();
    let function =
        SourceId::ALL.iter().map(|id| id.function()).find(|function| names.function_arn(*function) == arn)?;
    Some(SourceState {
        function,
        giving_up: giving_up(&found),
        reports_item_failures: found.function_response_types().contains(&FunctionResponseType::ReportBatchItemFailures),
        concurrency_max: found.scaling_config.and_then(|scaling| scaling.maximum_concurrency),
        uuid: found.uuid.unwrap_or_default(),
        source_arn: found.event_source_arn.unwrap_or_default(),
        state: found.state.unwrap_or_default(),
        batch_size: found.batch_size.unwrap_or_default(),
        bisects: found.bisect_batch_on_function_error.unwrap_or(false),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_young_until_every_copy_from_before_has_ended_and_is_counted() {
        // As Lambda writes it.
        let found = FunctionConfiguration::builder().last_modified("2026-03-01T11:59:00.123+0000").timeout(60).build();
        let at = |time: &str| changed_lately(&found, time.parse().unwrap());
        assert!(at("2026-03-01T11:59:01Z"));
        assert!(at("2026-03-01T12:01:00Z"));
        assert!(!at("2026-03-01T12:01:02Z"));
        assert!(at("2026-03-01T11:58:00Z"), "this clock is behind");
        assert!(!changed_lately(&FunctionConfiguration::builder().build(), Timestamp::now()));
    }
}
