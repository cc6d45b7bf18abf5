//! What follows once the steps of a plan are done. Pure.
//!
//! The planner is asked again and again, each time about what AWS would show if every call had done what it should. So a
//! rehearsal decides nothing by itself: that it foretells the calls that are then made is a law of the planner's tests.
//!
//! # Assumptions
//! - No call fails, AWS finishes what it is at work on, and nobody else changes anything.
//! - Who keeps a stack from being deleted by using it is done with it, and departures under way come back.
//! - Of a domain name and a hosted zone that the API does not note yet nothing was seen: a domain name that is to be made
//!   is not there, one that is not the stack's to make is, and a hosted zone has no records of it.
//!
//! What only AWS can name is called [`NEW`].

mod compute;
mod consumers;
mod domain;
mod gateway;
mod storage;
mod subscriptions;
mod tags;

use super::loss::loss;
use super::{Step, Wait, plan};
use crate::desired::Desired;
use crate::desired::end::End;
use crate::observed::{Observed, Readiness};
use crate::stack::name::QueueId;

/// Stands for an id that AWS has not given yet.
pub const NEW: &str = "<new>";

/// More rounds than any stack has layers: one that goes round in circles ends here.
const ROUNDS_MAX: usize = 40;

/// What follows the steps of a plan.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rehearsal {
    /// The calls, in the order in which they become possible.
    pub steps: Vec<Foretold>,
    /// What is still waited for when no more call is possible; nothing when everything is in place.
    pub waits: Vec<Wait>,
}

/// A call that would be made later.
#[derive(Clone, Debug, PartialEq)]
pub struct Foretold {
    /// The call.
    pub step: Step,
    /// What it would destroy.
    pub loss: Option<String>,
}

/// What is known of AWS, and what is supposed of it.
struct Supposed {
    desired: Desired,
    world: Observed,
}

/// What follows the steps of [`plan`]`(desired, observed)`, without these.
#[must_use]
pub fn rehearse(desired: &Desired, observed: &Observed) -> Rehearsal {
    let mut supposed = Supposed { desired: desired.clone(), world: observed.clone() };
    let mut done = plan(desired, observed).steps;
    let mut steps = Vec::new();
    for _ in 0..ROUNDS_MAX {
        let before = supposed.world.clone();
        for step in &done {
            supposed.call(step);
        }
        supposed.finish();
        let is_released = supposed.release();
        let next = plan(&supposed.desired, &supposed.world);
        if next.is_settled() || (supposed.world == before && !is_released) {
            return Rehearsal { steps, waits: next.waits };
        }
        let foretold = |step: &Step| Foretold { step: step.clone(), loss: loss(step, &supposed.world) };
        steps.extend(next.steps.iter().map(foretold));
        done = next.steps;
    }
    let waits = plan(&supposed.desired, &supposed.world).waits;
    Rehearsal { steps, waits }
}

impl Supposed {
    /// A call has done what it should.
    fn call(&mut self, step: &Step) {
        match step {
            Step::Table(id, step) => self.table(*id, step),
            Step::Queue(id, step) => self.queue(*id, step),
            Step::Topic(id, step) => self.topic(*id, step),
            Step::LogGroup(id, step) => self.log_group(*id, step),
            Step::Role(function, step) => self.role(*function, step),
            Step::Function(function, step) => self.function(*function, step),
            Step::Source(function, step) => self.source(*function, step),
            Step::Consumer(step) => self.consumer(step),
            Step::Gateway(step) => self.gateway(step),
            Step::AccessLogs(step) => self.access_logs(step),
            Step::Domain(step) => self.domain(step),
            Step::Subscription(step) => self.subscription(step),
            Step::Tag(tagged, tags) => self.tag(tagged, tags),
            Step::Untag(tagged, keys) => self.untag(tagged, keys),
        }
    }

    /// AWS has finished what it was at work on.
    fn finish(&mut self) {
        self.finish_tables();
        self.finish_subscriptions();
        let world = &mut self.world;
        world.functions.retain(|_, found| found.readiness != Readiness::Busy("Deleting".into()));
        for found in world.functions.values_mut() {
            found.changed_lately = false;
            if let Some(failed) = &mut found.failed_update {
                failed.is_young = false;
            }
            if matches!(found.readiness, Readiness::Busy(_)) {
                found.readiness = Readiness::Ready;
            }
        }
        world.sources.retain(|source| source.state != "Deleting");
        world.consumers.retain(|consumer| consumer.state != "Deleting");
        let of_sources = world.sources.iter_mut().map(|source| &mut source.state);
        for state in of_sources.chain(world.consumers.iter_mut().map(|consumer| &mut consumer.state)) {
            match state.as_str() {
                "Creating" | "Enabling" | "Updating" => *state = "Enabled".into(),
                "Disabling" => *state = "Disabled".into(),
                _ => {}
            }
        }
        for deployment in world.apis.iter_mut().flat_map(|api| &mut api.deployments) {
            deployment.failed_lately = false;
            if deployment.status == "PENDING" {
                deployment.status = "DEPLOYED".into();
            }
        }
        for domain in world.domains.names.values_mut().filter(|domain| domain.status == "UPDATING") {
            domain.status = "AVAILABLE".into();
        }
        // What is no longer sent there comes to an end.
        if self.desired.end == End::Never && !self.desired.queues.contains_key(&QueueId::Departures) {
            self.work_off(QueueId::Departures);
        }
    }

    /// Who has kept the stack from being deleted is done with it. Says whether that may have changed something.
    fn release(&mut self) -> bool {
        if self.desired.end != End::DeletedOutOfUse {
            return false;
        }
        self.desired.end = End::Deleted;
        for id in QueueId::ALL {
            self.work_off(*id);
        }
        true
    }
}
