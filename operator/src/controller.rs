//! The driver: watches `SumuStack` objects and makes passes over them. I/O towards Kubernetes.
//!
//! # Flow of one pass
//! 1. Read the object anew: the watch may lag behind our own writes.
//! 2. Ask AWS where we are, note that in the status, and put the finalizer on, before the first call that makes
//!    something.
//! 3. Check the object, look at AWS, plan, make the calls ([`crate::converge`]).
//! 4. Write the status, on every path, and only when it differs.
//! 5. Say when to look again ([`crate::backoff`]).
//!
//! # Guarantees
//! - Nothing is made in AWS for an object without our finalizer.
//! - The finalizer goes only when AWS has confirmed that nothing is left, twice with a pause when it may not show
//!   everything yet, or when the object says `Retain`.
//! - A stack is never worked on from another account or region than the one that its status names.
//! - Deleting depends on nothing that validation may refuse.

mod clouds;
mod events;
mod kubernetes;
mod memory;

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::{FutureExt as _, StreamExt as _};
use kube::core::error_boundary::{DeserializeGuard, InvalidObject};
use kube::runtime::controller::{Action, Config, Controller};
use kube::runtime::watcher;
use kube::{Api, Client, Resource as _, ResourceExt};
use tokio::signal::unix::{SignalKind, signal};
use tracing::{debug, error, info, warn};

use crate::arguments::RunArguments;
use crate::backoff::{self, History};
use crate::cloud::CloudError;
use crate::cloud::aws::{Aws, Calls, counted};
use crate::converge::{Pass, converge, look};
use crate::desired::{Desired, Provision};
use crate::packages::Packages;
use crate::stack::name::{Names, Owner};
use crate::stack::{Invalid, Location, StackSpec};
use crate::status::events::events;
use crate::status::{self, Occurrence, Progress, is_persistent, moved, status};
use crate::sumu_stack::SumuStack;
use clouds::Clouds;
use events::Events;
use kubernetes::{Guarded, Stacks};
use memory::Memory;

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
    events: Events,
    clouds: Clouds,
    provision: Provision,
    default_region: String,
    resync: Duration,
    memory: Memory,
}

/// Runs until the process is told to stop; a pass that is under way is finished first.
pub async fn run(arguments: RunArguments) -> Result<(), Error> {
    // Several TLS providers may be compiled in; this one is ours. An error means that one is installed already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    // From here on, so that an operator that is stopped while it starts ends as well as any other.
    let stop = stop_signal().map_err(Error::Signals)?;
    let packages = Packages::load(&arguments.functions_dir)
        .map_err(|source| Error::Packages { folder: arguments.functions_dir.display().to_string(), source })?;
    let client = Client::try_default().await.map_err(Error::Connect)?;
    let stacks: Api<Guarded> = match &arguments.namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    };
    stacks.list(&kube::api::ListParams::default().limit(1)).await.map_err(Error::List)?;
    let context = Arc::new(Context {
        events: Events::new(client.clone()),
        client,
        clouds: Clouds::new(arguments.aws_endpoint_url.clone()),
        provision: Provision { packages, endpoints: arguments.endpoints() },
        default_region: arguments.region.clone(),
        resync: arguments.resync(),
        memory: Memory::default(),
    });
    info!(namespace = arguments.namespace.as_deref().unwrap_or("all"), region = arguments.region, "operator started");
    let controller = Controller::new(stacks, watcher::Config::default());
    let (listed, stop) = (controller.store(), stop.shared());
    let passes = controller
        .with_config(Config::default().concurrency(arguments.concurrency))
        .graceful_shutdown_on(stop.clone())
        .run(reconcile, on_error, context)
        .for_each(|result| async move {
            if let Err(error) = result {
                debug!(error = &error as &dyn std::error::Error, "event not handled");
            }
        });
    // Told to stop before it has listed the stacks, the controller would wait for the list for ever. No pass begins
    // before that.
    let stopped_early = async {
        stop.await;
        if listed.wait_until_ready().now_or_never().is_some() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        () = passes => {}
        () = stopped_early => {}
    }
    info!("operator stopped");
    Ok(())
}

/// Ends when the process is told to stop, by a cluster or by Ctrl-C.
fn stop_signal() -> std::io::Result<impl Future<Output = ()> + Send + Sync + 'static> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (stop, stopped) = tokio::sync::oneshot::channel();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        info!("told to stop; what is under way is finished first");
        // Nobody listens when the operator has ended already.
        let _ = stop.send(());
    });
    Ok(async move { stopped.await.unwrap_or_default() })
}

#[expect(clippy::needless_pass_by_value, reason = "the signature is kube's")]
fn on_error(stack: Arc<Guarded>, error: &Error, context: Arc<Context>) -> Action {
    error!(stack = full_name(&*stack), error = error as &dyn std::error::Error, "pass not finished");
    let attempt = stack.uid().map_or(0, |uid| context.memory.count(&uid, stack.meta().generation));
    Action::requeue(Duration::from_secs(1 << attempt.min(6)))
}

async fn reconcile(stack: Arc<Guarded>, context: Arc<Context>) -> Result<Action, Error> {
    let stacks = Stacks::of(&context.client, &stack);
    let stack = match stacks.read().await? {
        None => return Ok(Action::await_change()),
        Some(DeserializeGuard(Err(invalid))) => return context.unreadable(&invalid, &stacks).await,
        Some(DeserializeGuard(Ok(stack))) => stack,
    };
    let owner = Owner::of(&stack)?;
    if let Some(due) = context.memory.not_before(&owner.uid, stack.resource_version().as_deref()) {
        return Ok(Action::requeue(due));
    }
    let is_deleting = stack.metadata.deletion_timestamp.is_some();
    match (is_deleting, stacks.has_finalizer(&stack)) {
        (true, false) => {
            context.memory.forget(&owner.uid);
            Ok(Action::await_change())
        }
        (true, true) => delete(&stack, &owner, &stacks, &context).await,
        (false, true) => keep(&stack, &owner, &stacks, &context).await,
        (false, false) => begin(&stack, &owner, &stacks, &context).await,
    }
}

/// Before the first call that makes something: is AWS there at all, and where is this? Only then comes the finalizer, so
/// that an object with a region that does not exist can simply be deleted again.
async fn begin(stack: &SumuStack, owner: &Owner, stacks: &Stacks, context: &Context) -> Result<Action, Error> {
    let location = Location::of(&stack.spec.aws, &context.default_region);
    let cloud = match context.enter(&location, stack).await {
        Ok(cloud) => cloud,
        Err(stopped) => return context.stop(stack, owner, stacks, &stopped).await,
    };
    stacks.write_status(stack, status::begun(stack, cloud.account())).await?;
    // The write has given the object another version.
    if let Some(DeserializeGuard(Ok(stack))) = stacks.read().await? {
        stacks.add_finalizer(&stack).await?;
        context.events.tell(&stack.metadata, vec![Occurrence::begun(cloud.account())]).await;
    }
    Ok(Action::requeue(Duration::ZERO))
}

/// Brings AWS to what the stack asks for, then says how far it got.
async fn keep(stack: &SumuStack, owner: &Owner, stacks: &Stacks, context: &Context) -> Result<Action, Error> {
    let attempt = context.memory.count(&owner.uid, stack.metadata.generation);
    let spec = match StackSpec::of(stack, &context.default_region) {
        Ok(spec) => spec,
        Err(invalid) => return context.refuse(stack, owner, stacks, &invalid).await,
    };
    let cloud = match context.enter(&spec.location, stack).await {
        Ok(cloud) => cloud,
        Err(stopped) => return context.stop(stack, owner, stacks, &stopped).await,
    };
    let names = Names::of(owner, cloud.account().clone());
    let desired = match Desired::of(&spec, names, &context.provision) {
        Ok(desired) => desired,
        Err(invalid) => return context.refuse(stack, owner, stacks, &invalid).await,
    };
    let is_suspended = stack.spec.suspend;
    let (result, calls) =
        if is_suspended { counted(look(&*cloud, &desired)).await } else { counted(converge(&*cloud, &desired)).await };
    let pass = match result {
        Ok(pass) => pass,
        Err(error) => return context.unseen(stack, owner, stacks, &error).await,
    };
    context.memory.saw(&owner.uid, pass.plan.is_settled());
    let progress = if is_suspended { Progress::Suspended(&pass, &desired) } else { Progress::Passed(&pass, &desired) };
    let next = if is_suspended { context.resync } else { context.after(&pass, owner, attempt) };
    Context::report(stack, &pass, &calls, next);
    context.finish(stack, owner, stacks, progress, &spec.not_in_effect, next).await
}

/// Deleting is converging to nothing.
async fn delete(stack: &SumuStack, owner: &Owner, stacks: &Stacks, context: &Context) -> Result<Action, Error> {
    if StackSpec::is_retained(stack) {
        info!(stack = full_name(stack), "retained: the AWS resources stay as they are");
        return context.release(stack, owner, stacks, vec![Occurrence::released(true)]).await;
    }
    let attempt = context.memory.count(&owner.uid, stack.metadata.generation);
    let location = Location::of(&stack.spec.aws, &context.default_region);
    let cloud = match context.enter(&location, stack).await {
        Ok(cloud) => cloud,
        Err(stopped) => return context.stop(stack, owner, stacks, &stopped).await,
    };
    let names = Names::of(owner, cloud.account().clone());
    let desired = Desired::nothing(owner.clone(), names, !stack.spec.connections.deletion_protection);
    let (result, calls) = counted(converge(&*cloud, &desired)).await;
    let pass = match result {
        Ok(pass) => pass,
        Err(error) => return context.unseen(stack, owner, stacks, &error).await,
    };
    let foreign = &pass.observed.foreign;
    let still_unsure = context.memory.saw_deleting(&owner.uid, pass.observed.is_nothing(), foreign.is_empty());
    let next = still_unsure.unwrap_or_else(|| context.after(&pass, owner, attempt));
    Context::report(stack, &pass, &calls, next);
    if still_unsure.is_some_and(|left| left.is_zero()) {
        for resource in foreign {
            warn!(stack = full_name(stack), %resource, "left alone: it has the stack's name but not its tag");
        }
        let mut last = vec![Occurrence::released(false)];
        if !foreign.is_empty() {
            let resources: Vec<String> = foreign.iter().map(ToString::to_string).collect();
            last.push(Occurrence::left_alone(&resources.join(", ")));
        }
        return context.release(stack, owner, stacks, last).await;
    }
    context.finish(stack, owner, stacks, Progress::Deleting(&pass), &[], next).await
}

/// Why a stack's place in AWS cannot be worked in.
enum Stopped {
    /// It cannot be reached.
    Unseen(CloudError),
    /// It is not the stack's place.
    Moved(Invalid),
}

impl Context {
    /// Goes where a stack lives, and nowhere else.
    async fn enter(&self, location: &Location, stack: &SumuStack) -> Result<Arc<Aws>, Stopped> {
        let cloud = self.clouds.get(location).await.map_err(Stopped::Unseen)?;
        moved(stack, cloud.account()).map_or(Ok(cloud), |moved| Err(Stopped::Moved(moved)))
    }

    async fn stop(
        &self,
        stack: &SumuStack,
        owner: &Owner,
        stacks: &Stacks,
        stopped: &Stopped,
    ) -> Result<Action, Error> {
        match stopped {
            Stopped::Unseen(error) => self.unseen(stack, owner, stacks, error).await,
            Stopped::Moved(invalid) => self.refuse(stack, owner, stacks, invalid).await,
        }
    }

    fn after(&self, pass: &Pass, owner: &Owner, attempt: u32) -> Duration {
        let history = History { attempt, repeats: self.memory.repeats(&owner.uid, &pass.plan.steps) };
        backoff::after_pass(pass, history, rand::random(), self.resync)
    }

    /// The stack cannot be built as it is written. Only a change of it, or another operator, can help.
    async fn refuse(
        &self,
        stack: &SumuStack,
        owner: &Owner,
        stacks: &Stacks,
        invalid: &Invalid,
    ) -> Result<Action, Error> {
        warn!(stack = full_name(stack), reason = %invalid, "stack refused");
        self.finish(stack, owner, stacks, Progress::Refused(invalid), &[], self.resync).await
    }

    /// The object is of a newer version than this operator.
    async fn unreadable(&self, invalid: &InvalidObject, stacks: &Stacks) -> Result<Action, Error> {
        let InvalidObject { error, metadata } = invalid;
        let uid = metadata.uid.clone().unwrap_or_default();
        if let Some(due) = self.memory.not_before(&uid, metadata.resource_version.as_deref()) {
            return Ok(Action::requeue(due));
        }
        warn!(stack = metadata.name, %error, "object not understood");
        let status = status::unreadable(invalid, &now());
        let is_news = self.memory.count(&uid, metadata.generation) == 0;
        let news = is_news.then(|| status.conditions.first().map(Occurrence::of)).flatten();
        let version = stacks.write_conditions(&status).await?;
        self.events.tell(metadata, news.into_iter().collect()).await;
        self.memory.remember(&uid, version, Instant::now() + self.resync, false);
        Ok(Action::requeue(self.resync))
    }

    /// AWS could not be looked at.
    async fn unseen(
        &self,
        stack: &SumuStack,
        owner: &Owner,
        stacks: &Stacks,
        error: &CloudError,
    ) -> Result<Action, Error> {
        let attempt = self.memory.count_failed_look(&owner.uid);
        warn!(stack = full_name(stack), attempt, error = %error, kind = error.kind.as_str(), "AWS not seen");
        let next = backoff::after_look(error, attempt, rand::random(), self.resync);
        let progress = Progress::Unseen { error, is_persistent: is_persistent(error, attempt) };
        self.finish(stack, owner, stacks, progress, &[], next).await
    }

    /// Writes the status and remembers when to look again.
    async fn finish(
        &self,
        stack: &SumuStack,
        owner: &Owner,
        stacks: &Stacks,
        progress: Progress<'_>,
        not_in_effect: &[&'static str],
        next: Duration,
    ) -> Result<Action, Error> {
        let now = now();
        let words = status::Context { endpoints: &self.provision.endpoints, not_in_effect, now: &now };
        let next_status = status(stack, progress, &words);
        let news = events(stack, &next_status, self.memory.was_settled(&owner.uid));
        let version = stacks.write_status(stack, next_status).await?;
        self.events.tell(&stack.metadata, news).await;
        let is_settled = matches!(progress, Progress::Passed(pass, _) if pass.plan.is_settled());
        self.memory.remember(&owner.uid, version, Instant::now() + next, is_settled);
        Ok(Action::requeue(next))
    }

    /// Lets the object go.
    async fn release(
        &self,
        stack: &SumuStack,
        owner: &Owner,
        stacks: &Stacks,
        last: Vec<Occurrence>,
    ) -> Result<Action, Error> {
        stacks.remove_finalizer(stack).await?;
        self.events.tell(&stack.metadata, last).await;
        self.memory.forget(&owner.uid);
        info!(stack = full_name(stack), "stack released");
        Ok(Action::await_change())
    }

    /// One line a pass, one a failure, and the plan for whoever asks for it.
    fn report(stack: &SumuStack, pass: &Pass, calls: &Calls, next: Duration) {
        let stack = full_name(stack);
        info!(
            stack,
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

/// The time as the API server writes it.
fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn full_name(stack: &impl ResourceExt) -> String {
    format!("{}/{}", stack.namespace().unwrap_or_default(), stack.name_any())
}
