//! One pass: look at AWS, plan, make the calls of the plan. I/O goes through [`Cloud`] alone.
//!
//! A pass makes one round. The next pass looks again and goes on, so that what is written into the status after
//! each pass is always what was seen, and a pass can end anywhere without loss.

use std::collections::BTreeMap;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;

use crate::cloud::{Cloud, CloudError, Kind};
use crate::desired::Desired;
use crate::desired::end::Closer;
use crate::observed::Observed;
use crate::plan::step::Lane;
use crate::plan::{Part, Plan, Step, plan};
use crate::stop::Stop;

/// What a pass saw and did.
#[derive(Clone, Debug, PartialEq)]
pub struct Pass {
    /// What AWS held before the calls.
    pub observed: Observed,
    /// What was to be done.
    pub plan: Plan,
    /// How many calls were made with success.
    pub applied: usize,
    /// The calls that failed.
    pub failures: Vec<StepFailure>,
    /// All rights that the operator lacks, if a call was denied and somebody has said so.
    pub missing_rights: Option<String>,
}

/// A call that failed.
#[derive(Clone, Debug, PartialEq)]
pub struct StepFailure {
    /// The part of the stack that it was about.
    pub part: Part,
    /// Why.
    pub error: CloudError,
}

/// Looks and plans, without a change.
///
/// # Errors
/// When AWS cannot be looked at.
pub async fn look(cloud: &impl Cloud, desired: &Desired) -> Result<Pass, CloudError> {
    // On the heap: what the SDK's calls need at once is too much for the stack of a worker, with all that waits for it.
    let mut observed = Box::pin(cloud.observe(&desired.names, &desired.owner)).await?;
    if let Some(closer) = desired.closer() {
        observed.closely = Box::pin(cloud.look_closer(closer, &desired.names, &observed)).await?;
        if closer == Closer::Tags {
            observed.leave_out_untagged_sources(&desired.owner);
        }
    }
    let plan = plan(desired, &observed);
    Ok(Pass { observed, plan, applied: 0, failures: Vec::new(), missing_rights: None })
}

/// Looks, plans and makes the calls of the plan.
///
/// # Errors
/// When AWS cannot be looked at. A call that fails is part of the [`Pass`]: the others go on.
pub async fn converge(cloud: &impl Cloud, desired: &Desired) -> Result<Pass, CloudError> {
    apply(cloud, look(cloud, desired).await?, &Stop::never()).await
}

/// The same until the operator is told to stop: a look ends at once, and then there is no pass; of the calls of the plan
/// those are finished that are under way, and no other begins.
///
/// # Errors
/// As with [`converge`].
pub async fn converge_until(cloud: &impl Cloud, desired: &Desired, stop: &Stop) -> Result<Option<Pass>, CloudError> {
    let Some(seen) = look_until(cloud, desired, stop).await? else { return Ok(None) };
    apply(cloud, seen, stop).await.map(Some)
}

/// Looks and plans until the operator is told to stop.
///
/// # Errors
/// When AWS cannot be looked at.
pub async fn look_until(cloud: &impl Cloud, desired: &Desired, stop: &Stop) -> Result<Option<Pass>, CloudError> {
    tokio::select! {
        biased;
        () = stop.told() => Ok(None),
        seen = Box::pin(look(cloud, desired)) => seen.map(Some),
    }
}

async fn apply(cloud: &impl Cloud, mut pass: Pass, stop: &Stop) -> Result<Pass, CloudError> {
    let mut lanes: BTreeMap<Lane, Vec<&Step>> = BTreeMap::new();
    for step in &pass.plan.steps {
        lanes.entry(step.lane()).or_default().push(step);
    }
    let mut running: FuturesUnordered<_> = lanes.into_values().map(|steps| run_lane(cloud, steps, stop)).collect();
    let mut results = Vec::new();
    while let Some(result) = running.next().await {
        results.push(result);
    }
    drop(running);
    for (applied, failures) in results {
        pass.applied += applied;
        pass.failures.extend(failures);
    }
    // Lanes end in any order, and a message that changed with it would be a needless write.
    pass.failures.sort_by(|a, b| (a.part, &a.error.resource).cmp(&(b.part, &b.error.resource)));
    Ok(pass)
}

/// One call after the other, up to the first that fails; then only those that need nothing before them.
async fn run_lane(cloud: &impl Cloud, steps: Vec<&Step>, stop: &Stop) -> (usize, Vec<StepFailure>) {
    let (mut applied, mut failures) = (0, Vec::new());
    for step in steps {
        if stop.is_told() {
            break;
        }
        if !failures.is_empty() && !step.stands_alone() {
            continue;
        }
        match Box::pin(cloud.apply(step)).await {
            Ok(()) => applied += 1,
            // Made by a call whose answer was lost, or not yet visible: the next look will find it.
            Err(error) if error.kind == Kind::AlreadyExists => applied += 1,
            Err(error) => failures.push(StepFailure { part: step.part(), error }),
        }
    }
    (applied, failures)
}
