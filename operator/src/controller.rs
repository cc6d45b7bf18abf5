//! The driver: watches `SumuStack` objects and makes passes over them. I/O towards Kubernetes.
//!
//! # Flow of one pass
//! 1. Read the object anew: the watch may lag behind our own writes.
//! 2. Ask AWS where we are, note that in the status, and put the finalizer on, before the first call that makes
//!    something.
//! 3. Check the object, look at AWS, plan, make the calls ([`crate::converge`]).
//! 4. Write the `ConfigMap` with the addresses, if one is asked for, and the status, on every path, and only when it
//!    differs.
//! 5. Say when to look again ([`crate::backoff`]).
//!
//! # Guarantees
//! - Nothing is made in AWS for an object without our finalizer.
//! - The finalizer goes only when AWS has confirmed that nothing is left, or that with `Retain` nothing carries the
//!   owner's tag any more; twice with a pause when it may not show everything yet.
//! - A stack is never worked on from another account or region than the one that its status names, nor for two objects.
//! - Deleting depends on nothing that validation may refuse.

mod advice;
mod clouds;
mod entry;
mod events;
mod export;
mod kubernetes;
mod memory;
mod process;
mod slots;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kube::core::ObjectMeta;
use kube::core::error_boundary::{DeserializeGuard, InvalidObject};
use kube::runtime::controller::Action;
use kube::{Api, Client, Resource as _, ResourceExt};
use tracing::{debug, error, info, warn};

use crate::backoff::{self, History};
use crate::cloud::CloudError;
use crate::cloud::aws::{Aws, Calls, Purpose, counted};
use crate::converge::{Pass, converge_until, look_until};
use crate::desired::end::End;
use crate::desired::{Desired, Provision};
use crate::metrics::{Metrics, Outcome};
use crate::permissions::Needs;
use crate::stack::name::{Names, Owner};
use crate::stack::{Invalid, Location, Object, StackSpec, is_held};
use crate::status::events::{events, passing_refusal};
use crate::status::{self, Occurrence, Progress, is_look_requested, is_persistent, status};
use crate::stop::Stop;
use crate::sumu_stack::{SumuStack, SumuStackStatus};
use advice::advised;
use clouds::Clouds;
use entry::Stopped;
use events::Events;
use kubernetes::{Guarded, Stacks};
use memory::Memory;
pub use process::run;
use slots::Slots;

/// Why the operator cannot work, or a pass could not end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API server cannot be reached, or there is no configuration that says where it is.
    #[error("cannot connect to the Kubernetes API server")]
    Connect(#[source] kube::Error),
    /// The custom resource definition is not there, or may not be read.
    #[error(
        "cannot list sumustacks.sumu.live: is the CRD installed (`kubectl apply -f crds/sumustacks.yaml`), and may this service account list it?"
    )]
    List(#[source] kube::Error),
    /// The functions' packages cannot be read.
    #[error("cannot read the functions' packages in {folder}")]
    Packages {
        /// The folder.
        folder: String,
        /// Why.
        source: std::io::Error,
    },
    /// Metrics and health cannot be served.
    #[error("cannot serve on {address}: choose another --metrics-address, or `off`")]
    Serve {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// Another operator may work now.
    #[error("the lease {0} is lost, so another operator may work: this one ends")]
    LeaseLost(String),
    /// The process cannot be told to stop.
    #[error("cannot listen for signals")]
    Signals(#[source] std::io::Error),
    /// The API server has refused a call about one object.
    #[error("{action} failed")]
    Kubernetes {
        /// What was tried.
        action: &'static str,
        /// Why it failed.
        source: kube::Error,
    },
    /// The object has no UID or namespace.
    #[error("the object cannot be worked on")]
    Object(#[from] Invalid),
}

/// What every pass needs.
struct Context {
    client: Client,
    /// Where objects are watched.
    places: Vec<Api<Guarded>>,
    events: Events,
    clouds: Clouds,
    provision: Provision,
    default_region: String,
    resync: Duration,
    memory: Memory,
    metrics: Arc<Metrics>,
    /// How many passes may be made at once.
    slots: Slots,
    stop: Stop,
}

#[expect(clippy::needless_pass_by_value, reason = "the signature is kube's")]
fn on_error(stack: Arc<Guarded>, error: &Error, context: Arc<Context>) -> Action {
    context.metrics.passed(Outcome::Failed);
    error!(stack = full_name(&*stack), error = error as &dyn std::error::Error, "pass not finished");
    let attempt = stack.uid().map_or(0, |uid| context.memory.count(&uid, stack.meta().generation));
    Action::requeue(Duration::from_secs(1 << attempt.min(6)))
}

async fn reconcile(stack: Arc<Guarded>, context: Arc<Context>) -> Result<Action, Error> {
    let _slot = context.slots.take(context.is_check(&stack)).await;
    if context.stop.is_told() {
        return Ok(Action::await_change());
    }
    let stacks = Stacks::of(&context, &stack);
    let stack = match stacks.read().await? {
        None => {
            context.forget(stack.uid().as_deref());
            return Ok(Action::await_change());
        }
        Some(DeserializeGuard(Err(invalid))) => return context.unreadable(&invalid, &stacks).await,
        Some(DeserializeGuard(Ok(stack))) => stack,
    };
    let object = Object::of(&stack)?;
    let is_deleting = stack.metadata.deletion_timestamp.is_some();
    if let Some(due) = context.memory.not_before(&object.uid, stack.resource_version().as_deref()) {
        return if !is_deleting && context.memory.is_export_look_due(&object.uid) {
            Box::pin(context.export_again(&stack, &object, &stacks, due)).await
        } else {
            Ok(Action::requeue(due))
        };
    }
    let began = Instant::now();
    let result = match (is_deleting, is_held(&stack)) {
        (true, false) => {
            context.forget(Some(&object.uid));
            return Ok(Action::await_change());
        }
        (true, true) => Box::pin(delete(&stack, &object, &stacks, &context)).await,
        (false, true) => Box::pin(keep(&stack, &object, &stacks, &context)).await,
        (false, false) => Box::pin(begin(&stack, &object, &stacks, &context)).await,
    };
    context.metrics.took(began.elapsed());
    result
}

/// Before the first call that makes something: is AWS there at all, and where is this? Only then comes the finalizer, so
/// that an object with a region that does not exist can simply be deleted again.
async fn begin(stack: &SumuStack, object: &Object, stacks: &Stacks, context: &Context) -> Result<Action, Error> {
    let location = Location::of(&stack.spec.aws, &context.default_region);
    let cloud = match context.enter_first(&location, stack).await {
        Ok(cloud) => cloud,
        Err(stopped) => return context.stopped(stack, object, stacks, stopped).await,
    };
    stacks.write_status(stack, &status::begun(stack, cloud.account())).await?;
    // The write has given the object another version.
    if let Some(DeserializeGuard(Ok(now))) = stacks.read().await?
        && now.metadata.uid == stack.metadata.uid
    {
        stacks.add_finalizer(&now).await?;
        context.events.tell(&stack.metadata, vec![Occurrence::begun(cloud.account())]).await;
    }
    Ok(Action::requeue(Duration::ZERO))
}

/// Brings AWS to what the stack asks for, then says how far it got.
async fn keep(stack: &SumuStack, object: &Object, stacks: &Stacks, context: &Context) -> Result<Action, Error> {
    let attempt = context.memory.count(&object.uid, stack.metadata.generation);
    let resync = context.resync(stack);
    let spec = match StackSpec::of(stack, &context.default_region) {
        Ok(spec) => spec,
        Err(invalid) => return context.refuse(stack, object, stacks, &invalid, resync).await,
    };
    let cloud = match context.enter(&spec.location, stack).await {
        Ok(cloud) => cloud,
        Err(stopped) => return context.stopped(stack, object, stacks, stopped).await,
    };
    let names = Names::of(&spec.owner, cloud.account().clone());
    let desired = match Desired::of(&spec, names, &context.provision) {
        Ok(desired) => desired,
        Err(invalid) => return context.refuse(stack, object, stacks, &invalid, resync).await,
    };
    if is_look_requested(stack) {
        cloud.forget_tags(&desired.names);
    }
    let is_suspended = stack.spec.suspend;
    let is_settled = context.memory.was_settled(&object.uid);
    let is_glance =
        !is_look_requested(stack) && context.memory.may_glance(&object.uid, backoff::whole_look_after(resync));
    let purpose = if is_settled { Purpose::Check } else { Purpose::Change };
    // A look is a large future, and three of them in one would not fit the stack of a thread.
    let (result, calls) = match context.glance(is_glance, &cloud, &desired).await {
        Some(seen) => seen,
        None if is_suspended => counted(Purpose::Check, Box::pin(look_until(&*cloud, &desired, &context.stop))).await,
        None => counted(purpose, Box::pin(converge_until(&*cloud, &desired, &context.stop))).await,
    };
    let needs = || Needs::of(&spec, cloud.account());
    let pass = match Box::pin(advised(result, &cloud, &desired.names, needs, &context.stop)).await {
        Ok(Some(pass)) => pass,
        Ok(None) => return Ok(Action::await_change()),
        Err(error) => return context.unseen(stack, object, stacks, &error).await,
    };
    context.memory.saw(&object.uid, pass.plan.is_settled());
    if pass.plan.is_settled() && calls.purpose() != Purpose::Glance {
        context.memory.saw_whole(&object.uid);
    }
    if !is_suspended {
        context.metrics.planned(&pass.plan.steps);
        if !pass.plan.steps.is_empty() && context.memory.was_settled(&object.uid) {
            context.metrics.drifted();
        }
    }
    let progress = if is_suspended { Progress::Suspended(&pass, &desired) } else { Progress::Passed(&pass, &desired) };
    let next = if is_suspended { resync } else { context.after(&pass, object, attempt, resync) };
    Context::report(stack, &pass, &calls, next);
    context.finish(stack, object, stacks, progress, next).await
}

/// Deleting is converging to nothing.
async fn delete(stack: &SumuStack, object: &Object, stacks: &Stacks, context: &Context) -> Result<Action, Error> {
    let attempt = context.memory.count(&object.uid, stack.metadata.generation);
    let location = Location::of(&stack.spec.aws, &context.default_region);
    let cloud = match context.enter(&location, stack).await {
        Ok(cloud) => cloud,
        Err(Stopped::Taken(taken)) => {
            return context.release(stack, object, stacks, vec![Occurrence::not_its_own(&taken)]).await;
        }
        Err(stopped) => return context.stopped(stack, object, stacks, stopped).await,
    };
    let owner = Owner::of(stack)?;
    let names = Names::of(&owner, cloud.account().clone());
    let desired = Desired::of_deleted(stack, owner, names);
    let is_retained = desired.end == End::Retained;
    let (result, calls) = counted(Purpose::Change, Box::pin(converge_until(&*cloud, &desired, &context.stop))).await;
    // A spec that nothing could be made of is no reason to stay.
    let needs = || {
        let spec = StackSpec::of(stack, &context.default_region);
        spec.map(|spec| Needs::of(&spec, cloud.account())).unwrap_or_default()
    };
    let pass = match Box::pin(advised(result, &cloud, &desired.names, needs, &context.stop)).await {
        Ok(Some(pass)) => pass,
        Ok(None) => return Ok(Action::await_change()),
        Err(error) => return context.unseen(stack, object, stacks, &error).await,
    };
    context.metrics.planned(&pass.plan.steps);
    // What has just lost our tag is under our names too.
    let nobodys = BTreeSet::new();
    let foreign = if is_retained { &nobodys } else { &pass.observed.foreign };
    let still_unsure = context.memory.saw_deleting(&object.uid, pass.observed.is_nothing(), foreign.is_empty());
    let next = still_unsure.unwrap_or_else(|| context.after(&pass, object, attempt, context.resync(stack)));
    Context::report(stack, &pass, &calls, next);
    if still_unsure.is_some_and(|left| left.is_zero()) {
        for resource in foreign {
            warn!(stack = full_name(stack), %resource, "left alone: it has the stack's name but not its tag");
        }
        let mut last = vec![Occurrence::released(is_retained)];
        if !foreign.is_empty() {
            let resources: Vec<String> = foreign.iter().map(ToString::to_string).collect();
            last.push(Occurrence::left_alone(&resources.join(", ")));
        }
        return context.release(stack, object, stacks, last).await;
    }
    context.finish(stack, object, stacks, Progress::Deleting(&pass), next).await
}

impl Context {
    /// Whether a pass would only look for drift, as far as the watch has told.
    fn is_check(&self, stack: &Guarded) -> bool {
        let DeserializeGuard(Ok(stack)) = stack else { return false };
        let is_asked_for = stack.metadata.deletion_timestamp.is_some() || is_look_requested(stack);
        !is_asked_for && stack.uid().is_some_and(|uid| self.memory.is_in_place(&uid, stack.metadata.generation))
    }

    /// A glance at a stack that was in place a while ago. It counts only if it is still in place: what has changed is looked
    /// at as a whole before anything is done about it.
    async fn glance(
        &self,
        is_enough: bool,
        cloud: &Aws,
        desired: &Desired,
    ) -> Option<(Result<Option<Pass>, CloudError>, Arc<Calls>)> {
        if !is_enough {
            return None;
        }
        let (result, calls) = counted(Purpose::Glance, Box::pin(look_until(cloud, desired, &self.stop))).await;
        let is_in_place = matches!(&result, Ok(Some(pass)) if pass.plan.is_settled());
        is_in_place.then_some((result, calls))
    }

    /// How long a stack that is in place is left alone.
    fn resync(&self, stack: &SumuStack) -> Duration {
        backoff::resync(stack.spec.resync_seconds, self.resync)
    }

    fn after(&self, pass: &Pass, object: &Object, attempt: u32, resync: Duration) -> Duration {
        let history = History { attempt, repeats: self.memory.repeats(&object.uid, &pass.plan.steps) };
        backoff::after_pass(pass, history, rand::random(), resync)
    }

    /// The stack cannot be built as it is written. Only a change of it, or another operator, can help.
    async fn refuse(
        &self,
        stack: &SumuStack,
        object: &Object,
        stacks: &Stacks,
        invalid: &Invalid,
        next: Duration,
    ) -> Result<Action, Error> {
        warn!(stack = full_name(stack), reason = %invalid, "stack refused");
        self.finish(stack, object, stacks, Progress::Refused(invalid), next).await
    }

    /// The object is of a newer version than this operator.
    async fn unreadable(&self, invalid: &InvalidObject, stacks: &Stacks) -> Result<Action, Error> {
        let InvalidObject { error, metadata } = invalid;
        let uid = metadata.uid.clone().unwrap_or_default();
        if let Some(due) = self.memory.not_before(&uid, metadata.resource_version.as_deref()) {
            return Ok(Action::requeue(due));
        }
        warn!(stack = full_name_of(metadata), %error, "object not understood");
        let status = status::unreadable(invalid, &now());
        let is_news = self.memory.count(&uid, metadata.generation) == 0;
        let news = is_news.then(|| status.conditions.first().map(Occurrence::of)).flatten();
        let version = stacks.write_conditions(metadata.resource_version.as_deref(), &status).await?;
        self.count(&uid, &status, Outcome::Failed);
        self.events.tell(metadata, news.into_iter().collect()).await;
        self.memory.remember(&uid, version, Instant::now() + self.resync, false);
        Ok(Action::requeue(self.resync))
    }

    /// AWS could not be looked at.
    async fn unseen(
        &self,
        stack: &SumuStack,
        object: &Object,
        stacks: &Stacks,
        error: &CloudError,
    ) -> Result<Action, Error> {
        let attempt = self.memory.count_failed_look(&object.uid);
        warn!(stack = full_name(stack), attempt, error = %error, kind = error.kind.as_str(), "AWS not seen");
        let next = backoff::after_look(error, attempt, rand::random(), self.resync(stack));
        let progress = Progress::Unseen { error, is_persistent: is_persistent(error, attempt) };
        self.finish(stack, object, stacks, progress, next).await
    }

    /// Writes the status and remembers when to look again.
    async fn finish(
        &self,
        stack: &SumuStack,
        object: &Object,
        stacks: &Stacks,
        progress: Progress<'_>,
        next: Duration,
    ) -> Result<Action, Error> {
        let now = now();
        let was_settled = self.memory.was_settled(&object.uid);
        let words = status::Context { endpoints: &self.provision.endpoints, now: &now, was_settled };
        let next_status = self.export(stack, object, status(stack, progress, &words)).await;
        let mut news = events(stack, &next_status, was_settled);
        let refusal = passing_refusal(&next_status);
        if self.memory.lasts(&object.uid, refusal.map(|refusal| refusal.reason.as_str()), Instant::now()) {
            news.extend(refusal.map(Occurrence::of));
        }
        let version = stacks.write_status(stack, &next_status).await?;
        self.events.tell(&stack.metadata, news).await;
        self.count(&object.uid, &next_status, outcome(progress));
        let is_settled = match progress {
            Progress::Passed(pass, _) => pass.plan.is_settled(),
            // A look that failed says nothing: what differs when AWS is seen again is drift all the same.
            Progress::Unseen { .. } => was_settled,
            _ => false,
        };
        self.memory.remember(&object.uid, version, Instant::now() + next, is_settled);
        Ok(Action::requeue(self.export_due(object, next)))
    }

    /// Lets the object go.
    async fn release(
        &self,
        stack: &SumuStack,
        object: &Object,
        stacks: &Stacks,
        last: Vec<Occurrence>,
    ) -> Result<Action, Error> {
        stacks.remove_finalizer(stack).await?;
        self.events.tell(&stack.metadata, last).await;
        self.forget(Some(&object.uid));
        self.metrics.passed(Outcome::Changed);
        info!(stack = full_name(stack), "stack released");
        Ok(Action::await_change())
    }

    /// Nothing is kept of a stack that is gone.
    fn forget(&self, uid: Option<&str>) {
        if let Some(uid) = uid {
            self.memory.forget(uid);
            self.metrics.forget(uid);
        }
    }

    fn count(&self, uid: &str, status: &SumuStackStatus, outcome: Outcome) {
        self.metrics.passed(outcome);
        self.metrics.shows(uid, &status.conditions);
    }

    /// One line a pass, one a failure, and the plan for whoever asks for it.
    fn report(stack: &SumuStack, pass: &Pass, calls: &Calls, next: Duration) {
        let stack = full_name(stack);
        info!(
            stack,
            whole_look = calls.purpose() != Purpose::Glance,
            aws_reads = calls.reads(),
            aws_writes = calls.writes(),
            steps = pass.plan.steps.len(),
            waits = pass.plan.waits.len(),
            failures = pass.failures.len(),
            settled = pass.plan.is_settled(),
            next_ms = u64::try_from(next.as_millis()).unwrap_or(u64::MAX),
            "pass finished"
        );
        for failure in &pass.failures {
            let error = &failure.error;
            warn!(stack, part = failure.part.as_str(), kind = error.kind.as_str(), error = %error, "call failed");
        }
        debug!(stack, plan = %pass.plan, "plan");
    }
}

/// How a pass has ended, for whoever counts.
fn outcome(progress: Progress<'_>) -> Outcome {
    match progress {
        Progress::Refused(_) | Progress::Unseen { .. } => Outcome::Failed,
        Progress::Passed(pass, _) | Progress::Suspended(pass, _) | Progress::Deleting(pass) => {
            match (pass.failures.is_empty(), pass.applied) {
                (false, _) => Outcome::Failed,
                (true, 0) => Outcome::Unchanged,
                (true, _) => Outcome::Changed,
            }
        }
    }
}

/// The time as the API server writes it.
fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn full_name(stack: &impl ResourceExt) -> String {
    full_name_of(stack.meta())
}

fn full_name_of(stack: &ObjectMeta) -> String {
    format!("{}/{}", stack.namespace.as_deref().unwrap_or_default(), stack.name.as_deref().unwrap_or_default())
}
