//! The process: what it needs before the first pass, and how it ends.
//!
//! 1. Packages, API server and CRD are looked for; what is missing ends the process with a sentence.
//! 2. From here on it is ready ([`crate::serve`]). With leader election it waits for the lease ([`crate::leader`]), and
//!    watches nothing until it has it.
//! 3. It works until it is told to stop. Passes that are under way are finished; then the lease is given back, so that
//!    whoever waits for it begins at once.
//! 4. Whoever loses the lease ends without finishing anything, before the lease can be another's.

use std::future::Future;
use std::sync::Arc;

use futures::{FutureExt as _, StreamExt as _};
use kube::runtime::controller::{Config, Controller, Error as ControllerError};
use kube::runtime::watcher;
use kube::{Api, Client};
use tokio::signal::unix::{SignalKind, signal};
use tracing::{debug, info};

use super::clouds::Clouds;
use super::events::Events;
use super::kubernetes::Guarded;
use super::memory::Memory;
use super::{Context, Error, on_error, reconcile};
use crate::arguments::{Listen, Pacing, RunArguments};
use crate::desired::Provision;
use crate::leader::Candidate;
use crate::metrics::Metrics;
use crate::packages::Packages;
use crate::serve::{Readiness, serve};

/// Runs until the process is told to stop; a pass that is under way is finished first.
pub async fn run(arguments: RunArguments) -> Result<(), Error> {
    // Several TLS providers may be compiled in; this one is ours. An error means that one is installed already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    // From here on, so that an operator that is stopped while it starts ends as well as any other.
    let (metrics, readiness) = (Arc::<Metrics>::default(), Arc::<Readiness>::default());
    let stops = Arc::clone(&readiness);
    let stop = stop_signal().map_err(Error::Signals)?.inspect(move |()| stops.set(false)).shared();
    if let Listen::At(address) = arguments.metrics_address {
        let served = serve(address, Arc::clone(&metrics), Arc::clone(&readiness)).await;
        served.map_err(|source| Error::Serve { address, source })?;
    }
    let packages = Packages::load(&arguments.functions_dir)
        .map_err(|source| Error::Packages { folder: arguments.functions_dir.display().to_string(), source })?;
    let client = Client::try_default().await.map_err(Error::Connect)?;
    let stacks: Api<Guarded> = match &arguments.namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    };
    stacks.list(&kube::api::ListParams::default().limit(1)).await.map_err(Error::List)?;
    readiness.set(true);
    let candidate = Candidate::of(&arguments, &client, &metrics);
    let context = Arc::new(Context {
        events: Events::new(client.clone(), Arc::clone(&metrics)),
        client,
        clouds: Clouds::new(arguments.aws_endpoint_url.clone(), arguments.aws_pacing == Pacing::On),
        provision: Provision { packages, endpoints: arguments.endpoints() },
        default_region: arguments.region.clone(),
        resync: arguments.resync(),
        memory: Memory::default(),
        metrics: Arc::clone(&metrics),
    });
    info!(
        version = env!("CARGO_PKG_VERSION"),
        namespace = arguments.namespace.as_deref().unwrap_or("all"),
        region = arguments.region,
        "operator started"
    );
    let work = work(stacks, context, arguments.concurrency, stop.clone());
    match candidate {
        None => {
            metrics.leads(true);
            work.await;
        }
        Some(candidate) => candidate.lead(work, stop).await?,
    }
    info!("operator stopped");
    Ok(())
}

/// Makes passes until it is told to stop.
async fn work<S>(stacks: Api<Guarded>, context: Arc<Context>, concurrency: u16, stop: S)
where
    S: Future<Output = ()> + Clone + Send + Sync + 'static,
{
    let controller = Controller::new(stacks, watcher::Config::default());
    let listed = controller.store();
    let passes = controller
        .with_config(Config::default().concurrency(concurrency))
        .graceful_shutdown_on(stop.clone())
        .run(reconcile, on_error, Arc::clone(&context))
        .for_each(|result| {
            match result {
                // Deleted without a finalizer: nothing was made of it.
                Err(ControllerError::ObjectNotFound(gone)) => context.forget(gone.extra.uid.as_deref()),
                Err(error) => debug!(error = &error as &dyn std::error::Error, "event not handled"),
                Ok(_) => {}
            }
            std::future::ready(())
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
