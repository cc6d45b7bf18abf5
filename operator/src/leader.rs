//! Which of several operators works: the one that holds a Lease.
//!
//! Nothing breaks when two work at once for a moment, because every call is safe to repeat and what is made carries its
//! owner's tag; but they would spend AWS's limits twice and write over each other's status.
//!
//! # How
//! - The holder renews the lease every 2 s. When that has not worked for 6 s it ends, in the middle of what it does.
//! - Others may take it when it was given back, or when it was not renewed for the 10 s that it is good for. So there are
//!   4 s in which nobody works, and a killed operator is replaced within about 12 s.
//! - An operator that is told to stop gives it back once its calls are done. Others watch the lease, so the next one
//!   begins at once.
//!
//! How long a lease was not renewed is measured by the clock of whoever wants it, from when the last change was *seen*;
//! times in the lease are for people. So clocks that differ cannot make two leaders. Each write names the version that
//! it replaces: of two who take an expired lease one is refused.
//!
//! # Why this is our own code
//! Of the crates, `kube-leader-election` and `kubert` are for older versions of kube, and `kube-lease-manager`, which is
//! for this one, compares its own clock with the times in the lease, and does not tell its user when to stop. What is
//! needed is below.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::api::{ObjectMeta, PostParams};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client};
use sha2::{Digest as _, Sha256};
use tracing::{debug, info, warn};

use crate::arguments::{LeaderElection, RunArguments};
use crate::controller::Error;
use crate::metrics::{Metrics, Write};
use crate::stack::name::hex;

/// How long a lease is good for without being renewed.
const LASTS: Duration = Duration::from_secs(10);
/// How long a holder that cannot renew it goes on.
const RENEW_WITHIN: Duration = Duration::from_secs(6);
/// How often it is renewed, and how often whoever waits looks at least.
const EVERY: Duration = Duration::from_secs(2);
/// How long giving it back may hold up the end of the process.
const RELEASE_WITHIN: Duration = Duration::from_secs(2);

/// The longest name that Kubernetes allows.
const NAME_LENGTH_MAX: usize = 253;

/// Variable that Kubernetes sets in every container.
const IN_CLUSTER: &str = "KUBERNETES_SERVICE_HOST";

/// An operator that works once it holds the lease.
#[derive(Clone)]
pub struct Candidate {
    api: Api<Lease>,
    name: String,
    identity: String,
    metrics: Arc<Metrics>,
}

/// What a candidate has seen of the lease.
#[derive(Debug)]
struct Seen {
    version: Option<String>,
    since: Instant,
}

impl Seen {
    /// Notes the lease's version, and says how long it has been the same.
    fn unchanged_for(&mut self, version: Option<&str>, now: Instant) -> Duration {
        if self.version.as_deref() != version {
            self.version = version.map(ToOwned::to_owned);
            self.since = now;
        }
        now.saturating_duration_since(self.since)
    }
}

/// The name of the lease of those who watch the same namespaces, given each once and in alphabetical order; none means
/// all. The chart's rights are for this name alone.
#[must_use]
pub fn lease_name(watched: &[&str]) -> String {
    let name = [&["sumu-operator"], watched].concat().join(".");
    if name.len() <= NAME_LENGTH_MAX {
        return name;
    }
    format!("sumu-operator.{}", hex(&Sha256::digest(&name)[..16]))
}

/// Whether a lease may be taken that has been the same for that long.
fn is_free(lease: &Lease, unchanged_for: Duration) -> bool {
    let Some(spec) = &lease.spec else { return true };
    let lasts = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok()).map(Duration::from_secs);
    holder(lease).is_none() || unchanged_for >= lasts.unwrap_or(LASTS)
}

fn holder(lease: &Lease) -> Option<&str> {
    lease.spec.as_ref()?.holder_identity.as_deref().filter(|holder| !holder.is_empty())
}

/// The lease as it is once `identity` has it.
fn taken(mut lease: Lease, identity: &str, now: Timestamp) -> Lease {
    let before = lease.spec.take().unwrap_or_default();
    lease.spec = Some(LeaseSpec {
        holder_identity: Some(identity.to_owned()),
        // It is ten.
        lease_duration_seconds: i32::try_from(LASTS.as_secs()).ok(),
        acquire_time: Some(MicroTime(now)),
        renew_time: Some(MicroTime(now)),
        lease_transitions: Some(before.lease_transitions.map_or(0, |count| count.saturating_add(1))),
        ..before
    });
    lease
}

/// The lease as it is once nobody has it.
fn released(mut lease: Lease, now: Timestamp) -> Lease {
    if let Some(spec) = &mut lease.spec {
        // An empty text, as client-go writes it, so that other tools understand it.
        spec.holder_identity = Some(String::new());
        spec.lease_duration_seconds = Some(1);
        spec.renew_time = Some(MicroTime(now));
    }
    lease
}

impl Candidate {
    /// A candidate, unless this operator is to work without asking others.
    #[must_use]
    pub fn of(arguments: &RunArguments, client: &Client, metrics: &Arc<Metrics>) -> Option<Self> {
        match arguments.leader_election {
            LeaderElection::Off => return None,
            LeaderElection::Auto if std::env::var_os(IN_CLUSTER).is_none() => return None,
            LeaderElection::Auto | LeaderElection::On => {}
        }
        let namespace = arguments.lease_namespace.as_deref().unwrap_or(client.default_namespace());
        // Operators for different namespaces have nothing to agree on.
        let name = lease_name(&arguments.watched());
        // The pod's name in a container. A container that is started again is another holder: the first may still hang.
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let identity = format!("{}_{:08x}", host.trim(), rand::random::<u32>());
        Some(Self { api: Api::namespaced(client.clone(), namespace), name, identity, metrics: Arc::clone(metrics) })
    }

    /// Waits for the lease, works while it has it, and gives it back when the work is done.
    ///
    /// # Errors
    /// When the lease is lost; then `work` has been dropped where it was.
    pub async fn lead(self, work: impl Future<Output = ()>, stop: impl Future<Output = ()>) -> Result<(), Error> {
        info!(lease = self.name, identity = self.identity, "waiting for the lease");
        let (lease, confirmed) = tokio::select! {
            taken = self.acquire() => taken,
            () = stop => return Ok(()),
        };
        info!(lease = self.name, identity = self.identity, "leading");
        self.metrics.leads(true);
        let keeper = self.clone();
        // A task of its own: nothing that the work does may hold up the next renewal.
        let mut kept = tokio::spawn(async move { keeper.keep(lease, confirmed).await });
        let is_done = tokio::select! {
            () = work => true,
            _ = &mut kept => false,
        };
        self.metrics.leads(false);
        if !is_done {
            return Err(Error::LeaseLost(self.name));
        }
        kept.abort();
        // Until it has ended it may be in the middle of a renewal, which would come between.
        let _ = kept.await;
        match tokio::time::timeout(RELEASE_WITHIN, self.release()).await {
            Ok(Ok(())) => info!(lease = self.name, "lease given back"),
            Ok(Err(error)) => {
                warn!(lease = self.name, error = &error as &dyn std::error::Error, "lease not given back");
            }
            Err(_) => warn!(lease = self.name, "lease not given back in time"),
        }
        Ok(())
    }

    /// Waits until it has the lease. The time is from before the call that took it.
    async fn acquire(&self) -> (Lease, Instant) {
        let mut seen = Seen { version: None, since: Instant::now() };
        let only_this = watcher::Config::default().fields(&format!("metadata.name={}", self.name));
        let mut changes = std::pin::pin!(watcher(self.api.clone(), only_this).default_backoff());
        loop {
            let began = Instant::now();
            match tokio::time::timeout(EVERY, self.try_to_take(&mut seen)).await {
                Ok(Ok(Some(lease))) => return (lease, began),
                Ok(Ok(None)) => {}
                Ok(Err(error)) => warn!(error = &error as &dyn std::error::Error, "lease not seen"),
                Err(_) => warn!("lease not seen: no answer in time"),
            }
            // A watch that fails says so with growing pauses; without it the time brings the next look.
            tokio::select! {
                _ = changes.next() => {}
                () = tokio::time::sleep(EVERY) => {}
            }
        }
    }

    async fn try_to_take(&self, seen: &mut Seen) -> Result<Option<Lease>, kube::Error> {
        let parameters = PostParams::default();
        let written = match self.api.get_opt(&self.name).await? {
            None => {
                let metadata = ObjectMeta { name: Some(self.name.clone()), ..ObjectMeta::default() };
                let lease = taken(Lease { metadata, spec: None }, &self.identity, Timestamp::now());
                self.metrics.wrote(Write::Lease);
                self.api.create(&parameters, &lease).await
            }
            Some(lease) => {
                let unchanged_for = seen.unchanged_for(lease.metadata.resource_version.as_deref(), Instant::now());
                if !is_free(&lease, unchanged_for) {
                    return Ok(None);
                }
                self.metrics.wrote(Write::Lease);
                let lease = taken(lease, &self.identity, Timestamp::now());
                self.api.replace(&self.name, &parameters, &lease).await
            }
        };
        match written {
            Ok(lease) => Ok(Some(lease)),
            // Somebody else was first.
            Err(error) if is_conflict(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Renews the lease, and ends when that does not work for too long or somebody else has it.
    async fn keep(&self, mut lease: Lease, mut confirmed: Instant) {
        loop {
            tokio::time::sleep(EVERY.min(RENEW_WITHIN.saturating_sub(confirmed.elapsed()))).await;
            let began = Instant::now();
            let left = RENEW_WITHIN.saturating_sub(confirmed.elapsed());
            match tokio::time::timeout(left, self.renew(&lease)).await {
                Ok(Ok(Some(renewed))) => (lease, confirmed) = (renewed, began),
                Ok(Ok(None)) => return warn!(lease = self.name, "the lease is another's"),
                Ok(Err(error)) => {
                    debug!(lease = self.name, error = &error as &dyn std::error::Error, "lease not renewed");
                }
                Err(_) => return warn!(lease = self.name, "the lease could not be renewed in time"),
            }
        }
    }

    /// Renews it, or says that it is another's.
    async fn renew(&self, lease: &Lease) -> Result<Option<Lease>, kube::Error> {
        let renewed = |mut lease: Lease| {
            if let Some(spec) = &mut lease.spec {
                spec.renew_time = Some(MicroTime(Timestamp::now()));
            }
            lease
        };
        self.metrics.wrote(Write::Lease);
        match self.api.replace(&self.name, &PostParams::default(), &renewed(lease.clone())).await {
            Ok(lease) => Ok(Some(lease)),
            // Somebody has touched it: a person with a label, or another operator.
            Err(error) if is_conflict(&error) => match self.api.get_opt(&self.name).await? {
                Some(lease) if holder(&lease) == Some(&self.identity) => {
                    self.metrics.wrote(Write::Lease);
                    self.api.replace(&self.name, &PostParams::default(), &renewed(lease)).await.map(Some)
                }
                _ => Ok(None),
            },
            Err(error) => Err(error),
        }
    }

    async fn release(&self) -> Result<(), kube::Error> {
        let Some(lease) = self.api.get_opt(&self.name).await? else { return Ok(()) };
        if holder(&lease) != Some(&self.identity) {
            return Ok(());
        }
        self.metrics.wrote(Write::Lease);
        self.api.replace(&self.name, &PostParams::default(), &released(lease, Timestamp::now())).await.map(drop)
    }
}

/// Whether somebody else has written the object, or made or deleted it, in between.
fn is_conflict(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 409 || status.code == 404)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held() -> Lease {
        taken(Lease::default(), "one", Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn a_lease_is_free_when_it_was_given_back_or_not_renewed_while_it_was_watched() {
        assert!(is_free(&Lease::default(), Duration::ZERO));
        assert!(!is_free(&held(), Duration::ZERO), "its times are of another clock and count for nothing");
        assert!(!is_free(&held(), LASTS.saturating_sub(Duration::from_millis(1))));
        assert!(is_free(&held(), LASTS));
        assert!(is_free(&released(held(), Timestamp::UNIX_EPOCH), Duration::ZERO));
    }

    #[test]
    fn who_watches_the_same_namespaces_wants_the_same_lease_whatever_their_number() {
        assert_eq!(lease_name(&[]), "sumu-operator");
        assert_eq!(lease_name(&["apps", "chat"]), "sumu-operator.apps.chat");
        let many: Vec<String> = (0..100).map(|number| format!("team-{number}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert!(lease_name(&many).len() <= NAME_LENGTH_MAX);
        assert_ne!(lease_name(&many), lease_name(&many[1..]));
    }

    #[test]
    fn a_lease_that_lasts_longer_is_waited_for_longer() {
        let mut lease = held();
        lease.spec.as_mut().unwrap().lease_duration_seconds = Some(60);
        assert!(!is_free(&lease, LASTS));
        assert!(is_free(&lease, Duration::from_mins(1)));
    }

    #[test]
    fn each_renewal_starts_the_wait_anew() {
        let start = Instant::now();
        let mut seen = Seen { version: None, since: start };
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(seen.unchanged_for(Some("1"), at(1)), Duration::ZERO);
        assert_eq!(seen.unchanged_for(Some("1"), at(9)), Duration::from_secs(8));
        assert_eq!(seen.unchanged_for(Some("2"), at(10)), Duration::ZERO);
        assert_eq!(seen.unchanged_for(Some("2"), at(20)), LASTS);
    }

    #[test]
    fn the_holder_ends_well_before_another_may_begin_and_has_more_than_one_try() {
        assert!(RENEW_WITHIN + EVERY < LASTS);
        assert!(EVERY * 2 < RENEW_WITHIN);
    }

    #[test]
    fn a_lease_says_how_often_it_has_changed_hands() {
        let transitions = |lease: &Lease| lease.spec.as_ref().and_then(|spec| spec.lease_transitions);
        let first = held();
        assert_eq!(transitions(&first), Some(0));
        let second = taken(first, "two", Timestamp::UNIX_EPOCH);
        assert_eq!((transitions(&second), holder(&second)), (Some(1), Some("two")));
    }
}
