//! The process: what it needs before the first pass, and how it ends.
//!
//! 1. Packages, API server and CRD are looked for; what is missing ends the process with a sentence.
//! 2. From here on it is ready ([`crate::serve`]). With leader election it waits for the lease ([`crate::leader`]), and
//!    watches nothing until it has it.
//! 3. It works until it is told to stop. Calls to AWS that change something and are under way are finished, and no other
//!    begins; then the lease is given back, so that whoever waits for it begins at once.
//! 4. Whoever loses the lease ends without finishing anything, before the lease can be another's.

use std::sync::Arc;

use futures::future::join_all;
use futures::{FutureExt as _, StreamExt as _};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::core::PartialObjectMeta;
use kube::runtime::controller::{Controller, Error as ControllerError};
use kube::runtime::watcher;
use kube::{Api, Client};
use tokio::signal::unix::{SignalKind, signal};
use tracing::{debug, info};

use super::clouds::Clouds;
use super::events::Events;
use super::kubernetes::Guarded;
use super::memory::Memory;
use super::slots::Slots;
use super::{Context, Error, export, on_error, reconcile};
use crate::arguments::{Listen, RunArguments};
use crate::desired::Provision;
use crate::leader::Candidate;
use crate::metrics::Metrics;
use crate::packages::Packages;
use crate::serve::{Readiness, serve};
use crate::stop::{self, Stop};

/// Runs until the process is told to stop; what is under way in AWS is finished first.
pub async fn run(arguments: RunArguments) -> Result<(), Error> {
    // Several TLS providers may be compiled in; this one is ours. An error means that one is installed already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    // From here on, so that an operator that is stopped while it starts ends as well as any other.
    let (metrics, readiness) = (Arc::<Metrics>::default(), Arc::<Readiness>::default());
    let stop = stop_signal(Arc::clone(&readiness)).map_err(Error::Signals)?;
    if let Listen::At(address) = arguments.metrics_address {
        let served = serve(address, Arc::clone(&metrics), Arc::clone(&readiness)).await;
        served.map_err(|source| Error::Serve { address, source })?;
    }
    let aws = &arguments.provision;
    let packages = Packages::load(&aws.functions_dir)
        .map_err(|source| Error::Packages { folder: aws.functions_dir.display().to_string(), source })?;
    let client = Client::try_default().await.map_err(Error::Connect)?;
    let watched = arguments.watched();
    let places = places(&client, &watched);
    for place in &places {
        place.stacks.list(&kube::api::ListParams::default().limit(1)).await.map_err(Error::List)?;
    }
    readiness.set(true);
    let candidate = Candidate::of(&arguments, &client, &metrics);
    let context = Arc::new(Context {
        events: Events::new(client.clone(), Arc::clone(&metrics)),
        client,
        places: places.iter().map(|place| place.stacks.clone()).collect(),
        clouds: Clouds::new(aws.region.clone(), aws.aws_endpoint_url.clone(), aws.aws_pacing),
        provision: Provision { packages, endpoints: aws.endpoints() },
        default_region: aws.region.clone(),
        resync: arguments.resync(),
        memory: Memory::default(),
        metrics: Arc::clone(&metrics),
        slots: Slots::new(arguments.concurrency),
        stop: stop.clone(),
    });
    info!(
        version = env!("CARGO_PKG_VERSION"),
        namespaces = if watched.is_empty() { "all".to_owned() } else { watched.join(",") },
        region = aws.region,
        "operator started"
    );
    let work = places.into_iter().map(|place| work(place, Arc::clone(&context)));
    let work = join_all(work).map(drop);
    match candidate {
        None => {
            metrics.leads(true);
            work.await;
        }
        Some(candidate) => candidate.lead(work, stop.told()).await?,
    }
    info!("operator stopped");
    Ok(())
}

/// Where objects are watched: a namespace, or all of them.
struct Place {
    stacks: Api<Guarded>,
    config_maps: Api<PartialObjectMeta<ConfigMap>>,
}

fn places(client: &Client, namespaces: &[&str]) -> Vec<Place> {
    if namespaces.is_empty() {
        return vec![Place { stacks: Api::all(client.clone()), config_maps: Api::all(client.clone()) }];
    }
    let of = |namespace: &&str| Place {
        stacks: Api::namespaced(client.clone(), namespace),
        config_maps: Api::namespaced(client.clone(), namespace),
    };
    namespaces.iter().map(of).collect()
}

/// Makes passes until it is told to stop. Their number is not limited here: all places share the slots of the context.
async fn work(place: Place, context: Arc<Context>) {
    let Place { stacks, config_maps } = place;
    let controller = Controller::new(stacks, watcher::Config::default());
    let listed = controller.store();
    let passes = controller
        .reconcile_on(export::touched(config_maps, listed.clone(), Arc::clone(&context)))
        .graceful_shutdown_on(told(context.stop.clone()))
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
        context.stop.told().await;
        if listed.wait_until_ready().now_or_never().is_some() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        () = passes => {}
        () = stopped_early => {}
    }
}

async fn told(stop: Stop) {
    stop.told().await;
}

/// Tells everybody when the process is told to stop, by a cluster or by Ctrl-C.
fn stop_signal(readiness: Arc<Readiness>) -> std::io::Result<Stop> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (stopper, stop) = stop::channel();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        info!("told to stop; what is under way in AWS is finished first");
        readiness.set(false);
        stopper.stop();
    });
    Ok(stop)
}
