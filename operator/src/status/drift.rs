//! What somebody had changed in AWS, for whoever asks later: the event that tells of it is gone within the hour.

use super::conditions::in_words;
use crate::converge::Pass;
use crate::sumu_stack::DriftStatus;

/// So many that a queue that was deleted with its policy and what it feeds has room, and no more than a person reads.
const NAMED_MAX: usize = 10;

/// The drift that a pass over a stack has found which had been in place. The words are the plan's: they name settings, and
/// hold no values of tags, policies or functions.
pub(super) fn found(pass: &Pass, generation: Option<i64>, now: &str) -> Option<DriftStatus> {
    let steps = &pass.plan.steps;
    (!steps.is_empty()).then(|| DriftStatus {
        observed_at: now.to_owned(),
        generation,
        changes: steps.iter().take(NAMED_MAX).map(in_words).collect(),
        count: u32::try_from(steps.len()).unwrap_or(u32::MAX),
    })
}
