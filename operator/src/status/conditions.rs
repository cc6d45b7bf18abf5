//! The conditions: `Ready`, one for each part, and those about the spec itself.
//!
//! Messages name what is done or waited for in the plan's own words, so that "why is it not ready" is answered by
//! the object itself. Nothing that differs from pass to pass (times, request ids) gets in.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::access_logs;
use crate::cloud::{CloudError, Kind};
use crate::converge::Pass;
use crate::plan::{Part, Step, WaitReason};
use crate::stack::Invalid;
use crate::stack::name::{LogGroupId, QueueId};
use crate::sumu_stack::{Condition, ConditionStatus, SumuStackStatus};

/// Type of the condition that sums up all the others.
pub const READY: &str = "Ready";
/// Type of the condition of a suspended stack.
pub const SUSPENDED: &str = "Suspended";
/// Type of the condition of a stack that waits for a person, as kstatus has it: `True`, or absent.
pub const STALLED: &str = "Stalled";
/// Type of the condition of subscriptions that others must confirm.
pub const SUBSCRIPTIONS_CONFIRMED: &str = "SubscriptionsConfirmed";
/// Type of the condition of the `ConfigMap` with the stack's addresses.
pub const EXPORTED: &str = "Exported";

/// Every type of condition, in the order of the document.
pub const TYPES: [&str; 14] = [
    READY,
    Part::Connections.as_str(),
    Part::Notifications.as_str(),
    Part::Messages.as_str(),
    Part::Functions.as_str(),
    Part::Gateway.as_str(),
    Part::CustomDomain.as_str(),
    Part::AccessLogs.as_str(),
    Part::Subscriptions.as_str(),
    SUBSCRIPTIONS_CONFIRMED,
    Part::Consumers.as_str(),
    EXPORTED,
    STALLED,
    SUSPENDED,
];

/// Reasons of conditions that are what they should be, or will be by themselves.
pub const REASONS_IN_ORDER: [&str; 7] =
    ["Settled", PROGRESSING, "Waiting", "Deleting", IN_USE, SUSPENDED, "SuspendedByUser"];
/// Reasons that only a person ends: those of [`STALLED`].
pub const REASONS_FOR_A_PERSON: [&str; 11] = [
    "InvalidSpec",
    "OwnershipConflict",
    "Missing",
    Kind::Unprepared.as_str(),
    "InUseByOthers",
    "LostPrincipal",
    "DeletionProtected",
    "Failed",
    Kind::Denied.as_str(),
    Kind::Quota.as_str(),
    Kind::Rejected.as_str(),
];
/// Reasons that are AWS's, or the API server's, troubles of the moment.
pub const REASONS_THAT_PASS: [&str; 7] = [
    Kind::Throttled.as_str(),
    Kind::Unreachable.as_str(),
    Kind::Internal.as_str(),
    Kind::Busy.as_str(),
    Kind::Propagating.as_str(),
    Kind::NotFound.as_str(),
    Kind::AlreadyExists.as_str(),
];

const PROGRESSING: &str = "Progressing";
/// Reason of a deletion that waits until nobody uses the stack, or the queue.
pub(super) const IN_USE: &str = "InUse";

/// A column of a terminal.
const SUMMARY_CHARACTERS_MAX: usize = 60;

/// How many steps or waits a message names before it only counts the rest.
const NAMED_MAX: usize = 3;

/// A condition without its times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct News {
    type_: &'static str,
    status: ConditionStatus,
    reason: String,
    message: String,
}

impl News {
    pub(super) fn new(type_: &'static str, status: ConditionStatus, reason: &str, message: impl Into<String>) -> Self {
        let known = [&REASONS_IN_ORDER[..], &REASONS_FOR_A_PERSON, &REASONS_THAT_PASS];
        debug_assert!(known.iter().any(|known| known.contains(&reason)), "the list of reasons lacks {reason}");
        Self { type_, status, reason: reason.to_owned(), message: message.into() }
    }

    /// The condition that tells of this one.
    pub(super) fn sums_up(self, type_: &'static str) -> Self {
        let message = format!("{}: {}", self.type_, self.message);
        Self { type_, message, ..self }
    }
}

/// A stack that cannot be built as it is written.
pub(super) fn refused(invalid: &Invalid) -> Vec<News> {
    vec![News::new(READY, ConditionStatus::False, "InvalidSpec", invalid.to_string())]
}

/// AWS could not be looked at.
pub(super) fn unseen(error: &CloudError, is_deleting: bool) -> Vec<News> {
    let mut message = format!("AWS cannot be looked at: {error}");
    if is_deleting {
        message.push_str("; to let the object go without touching AWS, take its finalizer sumu.live/aws-resources off");
    }
    vec![News::new(READY, ConditionStatus::Unknown, error.kind.as_str(), message)]
}

/// A pass is done.
pub(super) fn passed(pass: &Pass) -> Vec<News> {
    let parts = parts(pass);
    let mut news = vec![with_rights(pass, ready(&parts))];
    news.extend(parts);
    news
}

/// A look is done, and no call was made.
pub(super) fn suspended(pass: &Pass) -> Vec<News> {
    let held_back = match pass.plan.steps.len() {
        0 => "nothing is held back".to_owned(),
        count => format!("held back: {}", list(pass.plan.steps.iter().map(in_words), count)),
    };
    let message = format!("spec.suspend is true, no change is made in AWS; {held_back}");
    let mut news = passed(pass);
    if let Some(ready) = news.first_mut().filter(|ready| ready.status == ConditionStatus::False) {
        *ready = News::new(READY, ConditionStatus::False, SUSPENDED, message.clone());
    }
    for part in news.iter_mut().filter(|news| news.reason == PROGRESSING) {
        part.message = format!("held back: {}", part.message);
        SUSPENDED.clone_into(&mut part.reason);
    }
    news.push(News::new(SUSPENDED, ConditionStatus::True, "SuspendedByUser", message));
    news
}

/// A pass towards nothing is done.
pub(super) fn deleting(pass: &Pass) -> Vec<News> {
    let in_use = pass.plan.waits.iter().filter(|wait| matches!(wait.reason, WaitReason::InUse { .. }));
    let in_use: Vec<String> = in_use.map(|wait| wait.reason.to_string()).collect();
    if !in_use.is_empty() {
        let message = format!(
            "Deleting waits while the stack is in use ({}): set spec.deletion.whenInUse to Delete to delete it all the same",
            in_use.join("; ")
        );
        return vec![News::new(READY, ConditionStatus::False, IN_USE, message)];
    }
    let parts = parts(pass);
    let (reason, message) = match worst(parts.iter()) {
        None => ("Deleting", "Deleting: nothing is left in AWS".to_owned()),
        Some(part) => {
            let is_expected = matches!(part.reason.as_str(), PROGRESSING | "Waiting");
            (if is_expected { "Deleting" } else { &part.reason }, deleting_sentence(&part.message))
        }
    };
    vec![with_rights(pass, News::new(READY, ConditionStatus::False, reason, message))]
}

/// What is denied, with all rights that are missing before what was denied first.
fn with_rights(pass: &Pass, news: News) -> News {
    match &pass.missing_rights {
        Some(missing) if news.reason == Kind::Denied.as_str() => {
            News { message: format!("Rights are missing: {missing}; {}", news.message), ..news }
        }
        _ => news,
    }
}

fn deleting_sentence(message: &str) -> String {
    match message.strip_prefix("deleting ") {
        Some(what) => format!("Deleting {what}"),
        None => format!("Deleting: {message}"),
    }
}

fn ready(parts: &[News]) -> News {
    let (spared, needed): (Vec<&News>, Vec<&News>) =
        parts.iter().partition(|part| access_logs::are_missed(part.type_, &part.reason));
    match (worst(needed.into_iter()), spared.first()) {
        (None, None) => News::new(READY, ConditionStatus::True, "Settled", "Everything is in place"),
        (None, Some(spared)) => {
            let message = format!("Everything is in place but access logs: {}", spared.message);
            News::new(READY, ConditionStatus::True, "Settled", message)
        }
        (Some(worst), _) => {
            News::new(READY, ConditionStatus::False, &worst.reason, format!("{}: {}", worst.type_, worst.message))
        }
    }
}

/// The part that says most about why the stack is not as it should be.
fn worst<'a>(parts: impl Iterator<Item = &'a News>) -> Option<&'a News> {
    // A failure says more than a wait, and what needs a person more than what ends by itself.
    let severity = |news: &&News| match news.reason.as_str() {
        "Waiting" => 1,
        PROGRESSING => 2,
        reason if Kind::ALL.iter().any(|kind| kind.is_transient() && kind.as_str() == reason) => 3,
        _ => 4,
    };
    parts.filter(|news| news.status != ConditionStatus::True).max_by_key(severity)
}

/// The parts of every stack, and those that only some have where there is, or should be, something of them.
fn parts(pass: &Pass) -> Vec<News> {
    let observed = &pass.observed;
    let others = [
        (Part::CustomDomain, !observed.domains.names.is_empty()),
        (Part::AccessLogs, observed.log_groups.contains_key(&LogGroupId::AccessLogs)),
        (Part::Subscriptions, observed.queues.contains_key(&QueueId::SubscriptionsDeadLetters)),
        (Part::Consumers, observed.consumers.iter().any(|found| found.is_ours)),
    ];
    let others = others.into_iter().filter_map(|(part, is_there)| {
        Some(of_part(part, pass)).filter(|news| is_there || news.status != ConditionStatus::True)
    });
    Part::ALL.into_iter().map(|part| of_part(part, pass)).chain(others).collect()
}

fn of_part(part: Part, pass: &Pass) -> News {
    let type_ = part.as_str();
    let failures: Vec<&CloudError> =
        pass.failures.iter().filter(|failure| failure.part == part).map(|failure| &failure.error).collect();
    if let Some(worst) = failures.iter().max_by_key(|error| error.kind) {
        let mut message = list(by_cause(&failures).into_iter().map(ToString::to_string), failures.len());
        if worst.kind == Kind::Unprepared {
            message = format!("{message}; {}", access_logs::REMEDY);
        }
        return News::new(type_, ConditionStatus::False, worst.kind.as_str(), message);
    }
    let waits: Vec<&WaitReason> =
        pass.plan.waits.iter().filter(|wait| wait.part == part).map(|wait| &wait.reason).collect();
    if let Some(stuck) = waits.iter().find(|wait| !wait.ends_by_itself()) {
        return News::new(type_, ConditionStatus::False, wait_word(stuck), stuck.to_string());
    }
    let steps: Vec<String> = pass.plan.steps.iter().filter(|step| step.part() == part).map(in_words).collect();
    if !steps.is_empty() {
        let count = steps.len();
        return News::new(type_, ConditionStatus::False, PROGRESSING, list(steps.into_iter(), count));
    }
    if !waits.is_empty() {
        let message = list(waits.iter().map(ToString::to_string), waits.len());
        return News::new(type_, ConditionStatus::False, "Waiting", message);
    }
    News::new(type_, ConditionStatus::True, "Settled", "In place")
}

/// One of each cause first: four roles that fail alike must not hide a log group that fails otherwise.
fn by_cause<'a>(failures: &[&'a CloudError]) -> Vec<&'a CloudError> {
    let mut known = BTreeSet::new();
    let (mut causes, others): (Vec<_>, Vec<_>) =
        failures.iter().partition(|error| known.insert((error.operation, &error.code, nameless(error))));
    causes.extend(others);
    causes
}

/// The words of a message but for those that name the resource, by its name or its ARN, as most of AWS's do.
fn nameless(error: &CloudError) -> Vec<&str> {
    let names = |word: &&str| {
        let before = word.trim_end_matches(['.', ',', ';', ':']).strip_suffix(&error.resource);
        !error.resource.is_empty() && before.is_some_and(|before| !before.ends_with(char::is_alphanumeric))
    };
    error.message.split_whitespace().filter(|word| !names(word)).collect()
}

/// A step as a person says it; the plan's signs are for lists.
pub(super) fn in_words(step: &Step) -> String {
    let line = step.to_string();
    for (sign, verb) in [("+ ", "creating "), ("~ ", "changing "), ("- ", "deleting ")] {
        if let Some(what) = line.strip_prefix(sign) {
            return format!("{verb}{what}");
        }
    }
    line
}

fn wait_word(wait: &WaitReason) -> &'static str {
    match wait {
        WaitReason::Exists { .. } | WaitReason::Ready { .. } | WaitReason::Gone { .. } => "Waiting",
        WaitReason::Foreign(_) | WaitReason::Conflict(_) => "OwnershipConflict",
        WaitReason::Protected(_) => "DeletionProtected",
        WaitReason::InUse { .. } | WaitReason::Holding { .. } => IN_USE,
        WaitReason::LostPrincipal { .. } => "LostPrincipal",
        WaitReason::Failed { .. } => "Failed",
        WaitReason::Absent { .. } => "Missing",
        WaitReason::Denied(_) => Kind::Denied.as_str(),
        WaitReason::Pending { .. } => Kind::Unprepared.as_str(),
        WaitReason::Shared { .. } => "InUseByOthers",
    }
}

pub(super) fn list(items: impl Iterator<Item = String>, count: usize) -> String {
    let mut text = items.take(NAMED_MAX).collect::<Vec<_>>().join("; ");
    if count > NAMED_MAX {
        // Writing to a String cannot fail.
        let _ = write!(text, "; and {} more", count - NAMED_MAX);
    }
    text
}

/// Puts the times in: a condition keeps its time until its status changes.
pub(super) fn dated(news: Vec<News>, previous: &[Condition], generation: Option<i64>, now: &str) -> Vec<Condition> {
    news.into_iter()
        .map(|News { type_, status, reason, message }| {
            let since = previous
                .iter()
                .find(|condition| condition.type_ == type_ && condition.status == status)
                .map_or(now, |condition| &condition.last_transition_time);
            Condition {
                type_: type_.to_owned(),
                status,
                reason,
                message,
                last_transition_time: since.to_owned(),
                observed_generation: generation,
            }
        })
        .collect()
}

/// What follows from the other conditions: whether a person is waited for, and the sentence for a column.
pub(super) fn sum_up(status: &mut SumuStackStatus, previous: &[Condition], generation: Option<i64>, now: &str) {
    status.conditions.retain(|condition| condition.type_ != STALLED);
    let Some(ready) = status.conditions.iter().find(|condition| condition.type_ == READY) else { return };
    let is_stalled = ready.status != ConditionStatus::True && REASONS_FOR_A_PERSON.contains(&ready.reason.as_str());
    let stalled = is_stalled.then(|| News::new(STALLED, ConditionStatus::True, &ready.reason, ready.message.clone()));
    status.summary = Some(shortened(&ready.message));
    status.conditions.extend(dated(stalled.into_iter().collect(), previous, generation, now));
}

/// The beginning of a sentence, cut off between two words.
fn shortened(sentence: &str) -> String {
    if sentence.chars().count() <= SUMMARY_CHARACTERS_MAX {
        return sentence.to_owned();
    }
    let end = sentence.char_indices().nth(SUMMARY_CHARACTERS_MAX - 1).map_or(sentence.len(), |(at, _)| at);
    let beginning = &sentence[..end];
    let beginning = beginning.rsplit_once(' ').map_or(beginning, |(words, _)| words);
    format!("{}…", beginning.trim_end_matches([' ', ',', ';', ':']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_sentence_is_cut_off_between_two_words_and_a_short_one_is_not() {
        assert_eq!(shortened("Everything is in place"), "Everything is in place");
        let long = "Gateway: creating route $connect; creating route $disconnect; creating route ping; and 3 more";
        assert_eq!(shortened(long), "Gateway: creating route $connect; creating route…");
        assert!(shortened(&"é".repeat(500)).chars().count() <= SUMMARY_CHARACTERS_MAX);
    }

    fn denied(operation: &'static str, resource: &str) -> CloudError {
        let message = format!("not authorized to perform {operation} on {resource}");
        CloudError { operation, resource: resource.into(), kind: Kind::Denied, code: "AccessDenied".into(), message }
    }

    #[test]
    fn what_fails_alike_for_four_roles_does_not_hide_what_fails_otherwise() {
        let roles = ["a", "b", "c", "d"].map(|role| denied("CreateRole", &format!("sumu-{role}")));
        let group = denied("CreateLogGroup", "/aws/lambda/sumu-a");
        let failures: Vec<&CloudError> = roles.iter().chain([&group]).collect();
        let resources: Vec<&str> = by_cause(&failures).into_iter().map(|error| error.resource.as_str()).collect();
        assert_eq!(resources, ["sumu-a", "/aws/lambda/sumu-a", "sumu-b", "sumu-c", "sumu-d"]);
    }

    #[test]
    fn the_rights_that_are_missing_stand_before_the_first_denial_also_while_a_stack_goes() {
        let failure = |error| crate::converge::StepFailure { part: Part::Messages, error };
        let pass = |error, missing: Option<&str>| Pass {
            observed: crate::observed::Observed::default(),
            plan: crate::plan::Plan::default(),
            applied: 0,
            failures: vec![failure(error)],
            missing_rights: missing.map(ToOwned::to_owned),
        };
        let says = |pass: &Pass| [passed(pass), deleting(pass)].map(|news| news[0].message.clone());
        let of_call = "DeleteQueue q: AccessDenied: not authorized to perform DeleteQueue on q";
        let denial = || denied("DeleteQueue", "q");
        let plain = [format!("Messages: {of_call}"), format!("Deleting: {of_call}")];
        assert_eq!(says(&pass(denial(), None)), plain);
        let told = says(&pass(denial(), Some("sqs:DeleteQueue, sqs:TagQueue (who says so)")));
        let begins = "Rights are missing: sqs:DeleteQueue, sqs:TagQueue (who says so); ";
        assert_eq!(told, plain.map(|plain| format!("{begins}{plain}")));
        let throttled = CloudError { kind: Kind::Throttled, ..denial() };
        let told = says(&pass(throttled, Some("sqs:TagQueue (who says so)")));
        assert!(told.iter().all(|message| !message.contains("Rights")), "{told:?}");
    }

    #[test]
    fn every_class_of_failure_is_a_known_reason() {
        let known = [&REASONS_FOR_A_PERSON[..], &REASONS_THAT_PASS].concat();
        assert!(Kind::ALL.iter().all(|kind| known.contains(&kind.as_str())));
        let transient = |reason: &&str| Kind::ALL.iter().any(|kind| kind.is_transient() && kind.as_str() == *reason);
        assert!(!REASONS_FOR_A_PERSON.iter().any(transient), "what passes needs no person");
    }
}
