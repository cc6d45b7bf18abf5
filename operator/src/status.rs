//! What is reported about a stack, from what a pass saw and did. Pure: the caller brings the time.

mod access_logs;
pub mod adoption;
mod conditions;
mod domain;
mod drift;
pub mod events;
pub mod export;
mod subscriptions;

use kube::core::error_boundary::InvalidObject;
use sumu_contract::Function;

use crate::cloud::CloudError;
use crate::converge::Pass;
use crate::desired::{Desired, Endpoints, consumers};
use crate::observed::Observed;
use crate::stack::Invalid;
use crate::stack::name::{Account, Names, QueueId, TableId, TopicId};
use crate::sumu_stack::{
    AwsStatus, Condition, FunctionStatus, FunctionsStatus, MessagingStatus, SumuStack, SumuStackStatus, TableStatus,
};

pub use conditions::{
    EXPORTED, READY, REASONS_FOR_A_PERSON, REASONS_IN_ORDER, REASONS_THAT_PASS, STALLED, SUBSCRIPTIONS_CONFIRMED,
    SUSPENDED, TYPES,
};
pub use events::Occurrence;

/// How far the operator has got with a stack.
#[derive(Clone, Copy, Debug)]
pub enum Progress<'a> {
    /// The stack cannot be built as it is written.
    Refused(&'a Invalid),
    /// AWS could not be looked at.
    Unseen {
        /// Why.
        error: &'a CloudError,
        /// Whether this has gone on for a while. One lost answer is no news.
        is_persistent: bool,
    },
    /// A pass is done.
    Passed(&'a Pass, &'a Desired),
    /// A look is done; the stack is suspended, so no call was made.
    Suspended(&'a Pass, &'a Desired),
    /// A pass towards nothing is done.
    Deleting(&'a Pass),
}

/// The words that the status needs beside what was seen.
#[derive(Clone, Debug)]
pub struct Context<'a> {
    /// Where API Gateway is reached.
    pub endpoints: &'a Endpoints,
    /// The time, RFC 3339 with whole seconds.
    pub now: &'a str,
    /// Whether this very operator has seen the spec as it is now in place: then what differs is drift.
    pub was_settled: bool,
}

/// Annotation by which a person asks for a look at once: any text that it did not have before, usually the time.
pub const RECONCILE_REQUESTED_AT: &str = "sumu.live/reconcile-requested-at";

fn requested_at(stack: &SumuStack) -> Option<&str> {
    stack.metadata.annotations.as_ref()?.get(RECONCILE_REQUESTED_AT).map(String::as_str)
}

/// Whether somebody has asked for a look, at everything and not only at what may have changed, and had none yet.
#[must_use]
pub fn is_look_requested(stack: &SumuStack) -> bool {
    let handled = stack.status.as_ref().and_then(|status| status.last_handled_reconcile_at.as_deref());
    requested_at(stack).is_some_and(|requested| Some(requested) != handled)
}

/// The status of a stack. Equal to the previous one when nothing has changed.
#[must_use]
pub fn status(stack: &SumuStack, progress: Progress<'_>, context: &Context<'_>) -> SumuStackStatus {
    let previous = stack.status.clone().unwrap_or_default();
    let mut news = match progress {
        Progress::Unseen { is_persistent: false, .. } if !previous.conditions.is_empty() => return previous,
        Progress::Refused(invalid) => conditions::refused(invalid),
        Progress::Unseen { error, .. } => conditions::unseen(error, stack.metadata.deletion_timestamp.is_some()),
        Progress::Passed(pass, _) => conditions::passed(pass),
        Progress::Suspended(pass, _) => conditions::suspended(pass),
        Progress::Deleting(pass) => conditions::deleting(pass),
    };
    if let Progress::Passed(pass, desired) | Progress::Suspended(pass, desired) = progress {
        news.extend(subscriptions::confirmed(desired, &pass.observed));
    }
    let generation = stack.metadata.generation;
    let mut status = match progress {
        // Nothing was seen of AWS: what was reported before is still the best that is known.
        Progress::Refused(_) | Progress::Unseen { .. } => previous.clone(),
        Progress::Passed(pass, desired) | Progress::Suspended(pass, desired) => {
            let stage = desired.gateway.as_ref().map(|gateway| gateway.stage_name.as_str());
            let mut status = described(&pass.observed, &desired.names, stage, context.endpoints);
            if let Some(messages) = status.messages.as_mut().filter(|found| found.queue_arn.is_some()) {
                let policy = || consumers::role_policy(&desired.names).text();
                messages.consumer_policy = (!desired.consumers.is_empty()).then(policy);
            }
            if let Some(want) = &desired.domain {
                status.custom_domain = domain::described(want, &pass.observed);
                let endpoint = status.endpoint.take();
                status.endpoint = endpoint.map(|own| domain::endpoint(want, &pass.observed).unwrap_or(own));
            }
            status
        }
        Progress::Deleting(pass) => SumuStackStatus {
            aws: previous.aws.clone(),
            endpoint: pass.observed.api().and(previous.endpoint.clone()),
            api_id: pass.observed.api_id().map(ToOwned::to_owned),
            ..SumuStackStatus::default()
        },
    };
    let drift = match progress {
        Progress::Passed(pass, _) if context.was_settled => drift::found(pass, generation, context.now),
        _ => None,
    };
    // Not forgotten with a change of the spec, which tells nothing of who changes AWS: its generation says what it is about.
    status.drift = drift.or(previous.drift);
    status.observed_generation = generation;
    status.last_handled_reconcile_at = match progress {
        Progress::Unseen { .. } => previous.last_handled_reconcile_at.clone(),
        _ => requested_at(stack).map(ToOwned::to_owned).or_else(|| previous.last_handled_reconcile_at.clone()),
    };
    status.conditions = conditions::dated(news, &previous.conditions, generation, context.now);
    if matches!(progress, Progress::Refused(_) | Progress::Unseen { .. }) {
        // As with the rest: what was known of the parts stays, with the generation that it was known for.
        let is_news = |old: &Condition| status.conditions.iter().any(|new| new.type_ == old.type_);
        let known: Vec<Condition> = previous.conditions.iter().filter(|old| !is_news(old)).cloned().collect();
        status.conditions.extend(known);
    }
    conditions::sum_up(&mut status, &previous.conditions, generation, context.now);
    status
}

/// What exists, in the words of the status.
fn described(observed: &Observed, names: &Names, stage: Option<&str>, endpoints: &Endpoints) -> SumuStackStatus {
    // The URL is told when somebody answers there: once the stage is open.
    let open_stage =
        observed.api().zip(stage).filter(|(api, stage)| api.stages.iter().any(|found| found.name == *stage));
    let fill = |template: &str| open_stage.map(|(api, stage)| Endpoints::fill(template, names, &api.id, stage));
    let function = |function| {
        observed
            .functions
            .get(&function)
            .map(|found| FunctionStatus { arn: found.arn.clone(), code_sha256: found.code_sha256.clone() })
    };
    let functions = FunctionsStatus {
        authorizer: function(Function::Authorizer),
        routes: function(Function::Routes),
        pusher: function(Function::Pusher),
        watchdog: function(Function::Watchdog),
    };
    let account = names.account();
    SumuStackStatus {
        aws: Some(AwsStatus { account_id: account.id.clone(), region: account.region.clone() }),
        endpoint: fill(&endpoints.websocket),
        management_endpoint: fill(&endpoints.management),
        api_id: observed.api_id().map(ToOwned::to_owned),
        stage_name: open_stage.map(|(_, stage)| stage.to_owned()),
        connections_table: table(TableId::Connections, observed, names),
        presence_table: table(TableId::Presence, observed, names),
        notifications: messaging(
            (TopicId::Notifications, QueueId::Notifications, QueueId::NotificationsDeadLetters),
            observed,
            names,
        ),
        messages: messaging((TopicId::Messages, QueueId::Messages, QueueId::MessagesDeadLetters), observed, names),
        functions: (functions != FunctionsStatus::default()).then_some(functions),
        ..SumuStackStatus::default()
    }
}

fn table(id: TableId, observed: &Observed, names: &Names) -> Option<TableStatus> {
    let found = observed.tables.get(&id)?;
    Some(TableStatus { name: names.table(id), arn: found.arn.clone(), stream_arn: found.stream_arn.clone() })
}

fn messaging(
    (topic, queue, dead_letters): (TopicId, QueueId, QueueId),
    observed: &Observed,
    names: &Names,
) -> Option<MessagingStatus> {
    let url = |id| observed.queue_url(id).map(ToOwned::to_owned);
    let undelivered = (topic == TopicId::Messages).then_some(QueueId::SubscriptionsDeadLetters);
    let status = MessagingStatus {
        topic_arn: observed.topics.get(&topic).map(|found| found.arn.clone()),
        queue_url: url(queue),
        queue_arn: url(queue).map(|_| names.queue_arn(queue)),
        dead_letter_queue_url: url(dead_letters),
        subscriptions_dead_letter_queue_url: undelivered.and_then(url),
        consumer_policy: None,
    };
    (status != MessagingStatus::default()).then_some(status)
}

/// The status of an object that this operator cannot read, because a newer CRD has admitted it.
#[must_use]
pub fn unreadable(invalid: &InvalidObject, now: &str) -> SumuStackStatus {
    let generation = invalid.metadata.generation;
    let message = format!(
        "this operator does not understand the object; it needs the operator of the installed CRD: {}",
        invalid.error
    );
    let news = conditions::refused(&Invalid(message));
    let mut status = SumuStackStatus {
        observed_generation: generation,
        conditions: conditions::dated(news, &[], generation, now),
        ..SumuStackStatus::default()
    };
    conditions::sum_up(&mut status, &[], generation, now);
    status
}

/// The status of a stack that nothing was made of yet: only where it will live.
#[must_use]
pub fn begun(stack: &SumuStack, account: &Account) -> SumuStackStatus {
    let aws = Some(AwsStatus { account_id: account.id.clone(), region: account.region.clone() });
    SumuStackStatus { aws, ..stack.status.clone().unwrap_or_default() }
}

/// Why an operator that works in another account or region than a stack must leave it alone: it would make a second
/// stack there, or find nothing and let the first one go.
#[must_use]
pub fn moved(stack: &SumuStack, account: &Account) -> Option<Invalid> {
    let home = stack.status.as_ref()?.aws.as_ref()?;
    if home.account_id == account.id && home.region == account.region {
        return None;
    }
    Some(Invalid(format!(
        "the stack lives in account {} in {}, but the operator now works in account {} in {}: give the operator its old \
         region and credentials back, or delete the object and take its finalizer sumu.live/aws-resources off to leave the \
         stack there",
        home.account_id, home.region, account.id, account.region
    )))
}

/// Whether a failure is news at once, or only when it goes on.
#[must_use]
pub fn is_persistent(error: &CloudError, attempt: u32) -> bool {
    const TRANSIENT_ATTEMPTS: u32 = 3;
    !error.kind.is_transient() || attempt >= TRANSIENT_ATTEMPTS
}
