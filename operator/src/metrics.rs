//! What the operator counts, for Prometheus. [`ALL`] is the list; a tidy test holds `docs/operator-metrics.md` to it.
//!
//! No label is a stack's name: what a fleet of a thousand stacks costs Prometheus is what one costs. Which stack it is
//! stands in the log, in events and in the object.
//!
//! `prometheus-client` is the Prometheus project's own; families are shared handles, so each place counts by itself.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, prometheus_text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use crate::cloud::aws::{attempts, held};
use crate::plan::Step;
use crate::status::{READY, REASONS_FOR_A_PERSON, REASONS_IN_ORDER, REASONS_THAT_PASS, TYPES};
use crate::sumu_stack::Condition;

/// Name, kind and labels of a metric, as the document has them.
pub type Described = (&'static str, &'static str, &'static [&'static str]);

/// Every metric that there is.
pub const ALL: [Described; 11] = [
    ("sumu_aws_attempts_total", "counter", &["service", "operation", "result"]),
    ("sumu_aws_held_back_seconds_total", "counter", &["called"]),
    ("sumu_build_info", "gauge", &["version"]),
    ("sumu_conditions", "gauge", &["type", "status", "reason"]),
    ("sumu_drift_found_total", "counter", &[]),
    ("sumu_kubernetes_writes_total", "counter", &["what"]),
    ("sumu_leader", "gauge", &[]),
    ("sumu_pass_duration_seconds", "histogram", &[]),
    ("sumu_passes_total", "counter", &["outcome"]),
    ("sumu_stacks", "gauge", &["ready", "reason"]),
    ("sumu_steps_total", "counter", &["resource", "verb"]),
];

/// A pass is seldom below a tenth of a second, and with an upload takes tens of seconds.
const PASS_SECONDS: [f64; 9] = [0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// How a pass ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// At least one call has changed something in AWS, and none failed.
    Changed,
    /// Nothing was changed and nothing failed.
    Unchanged,
    /// AWS or Kubernetes has refused something or could not be reached, or the spec cannot be built.
    Failed,
}

impl Outcome {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Unchanged => "unchanged",
            Self::Failed => "failed",
        }
    }
}

/// What was written to Kubernetes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Write {
    /// The status of a stack.
    Status,
    /// The finalizer of a stack.
    Finalizer,
    /// An event.
    Event,
    /// The lease of the leader.
    Lease,
    /// The `ConfigMap` with a stack's addresses.
    ConfigMap,
}

impl Write {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Finalizer => "finalizer",
            Self::Event => "event",
            Self::Lease => "lease",
            Self::ConfigMap => "config_map",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WriteLabels {
    what: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StepLabels {
    resource: &'static str,
    verb: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StackLabels {
    ready: &'static str,
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ConditionLabels {
    r#type: &'static str,
    status: &'static str,
    reason: &'static str,
}

impl ConditionLabels {
    /// Each value is one of a list, whatever a condition says, so that there is an end of series.
    fn of(condition: &Condition) -> Self {
        let reasons = REASONS_IN_ORDER.iter().chain(&REASONS_FOR_A_PERSON).chain(&REASONS_THAT_PASS);
        Self {
            r#type: known(TYPES.iter(), &condition.type_),
            status: condition.status.as_str(),
            reason: known(reasons, &condition.reason),
        }
    }
}

fn known<'a>(mut words: impl Iterator<Item = &'a &'static str>, word: &str) -> &'static str {
    words.find(|known| **known == word).copied().unwrap_or("Other")
}

/// Everything that is counted.
pub struct Metrics {
    registry: Registry,
    passes: Family<OutcomeLabels, Counter>,
    pass_duration: Histogram,
    steps: Family<StepLabels, Counter>,
    drift: Counter,
    writes: Family<WriteLabels, Counter>,
    leader: Gauge,
    stacks: Family<StackLabels, Gauge>,
    conditions: Family<ConditionLabels, Gauge>,
    /// The conditions of each stack, by its UID.
    shown: Mutex<HashMap<String, Vec<ConditionLabels>>>,
}

impl Default for Metrics {
    fn default() -> Self {
        let metrics = Self {
            registry: Registry::default(),
            passes: Family::default(),
            pass_duration: Histogram::new(PASS_SECONDS),
            steps: Family::default(),
            drift: Counter::default(),
            writes: Family::default(),
            leader: Gauge::default(),
            stacks: Family::default(),
            conditions: Family::default(),
            shown: Mutex::default(),
        };
        metrics.registered()
    }
}

impl Metrics {
    /// Names everything, and lets what matters before it has happened begin at zero: a rate needs a first value.
    fn registered(mut self) -> Self {
        let registry = &mut self.registry;
        registry.register("sumu_passes", "Passes over stacks, by how they ended", self.passes.clone());
        let duration = self.pass_duration.clone();
        registry.register("sumu_pass_duration_seconds", "How long passes took", duration);
        registry.register("sumu_steps", "Calls that plans asked for, repeated ones too", self.steps.clone());
        registry.register("sumu_drift_found", "Stacks found changed by somebody else", self.drift.clone());
        let writes = self.writes.clone();
        registry.register("sumu_kubernetes_writes", "Writes to the Kubernetes API, by what was written", writes);
        registry.register("sumu_leader", "1 in the operator that works, 0 in one that stands by", self.leader.clone());
        registry.register("sumu_stacks", "Stacks by their condition Ready and its reason", self.stacks.clone());
        let conditions = self.conditions.clone();
        registry.register("sumu_conditions", "Stacks by each of their conditions and its reason", conditions);
        let attempts = attempts().clone();
        registry.register("sumu_aws_attempts", "Calls to AWS as they went out, retries counted each", attempts);
        registry.register("sumu_aws_held_back_seconds", "Seconds that calls waited for AWS's rates", held().clone());
        let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("sumu_build", "The operator's version", build);
        for outcome in [Outcome::Changed, Outcome::Unchanged, Outcome::Failed] {
            let _ = self.passes.get_or_create(&OutcomeLabels { outcome: outcome.as_str() });
        }
        for what in [Write::Status, Write::Finalizer, Write::Event, Write::Lease, Write::ConfigMap] {
            let _ = self.writes.get_or_create(&WriteLabels { what: what.as_str() });
        }
        self
    }

    /// Counts a pass.
    pub fn passed(&self, outcome: Outcome) {
        self.passes.get_or_create(&OutcomeLabels { outcome: outcome.as_str() }).inc();
    }

    /// Notes how long a pass took.
    pub fn took(&self, duration: Duration) {
        self.pass_duration.observe(duration.as_secs_f64());
    }

    /// Counts the steps of a plan that was carried out.
    pub fn planned(&self, steps: &[Step]) {
        for step in steps {
            let labels = StepLabels { resource: step.resource(), verb: step.verb() };
            self.steps.get_or_create(&labels).inc();
        }
    }

    /// Counts a stack that somebody else has changed.
    pub fn drifted(&self) {
        self.drift.inc();
    }

    /// Counts a write to Kubernetes.
    pub fn wrote(&self, what: Write) {
        self.writes.get_or_create(&WriteLabels { what: what.as_str() }).inc();
    }

    /// Notes whether this operator is the one that works.
    pub fn leads(&self, is_leader: bool) {
        self.leader.set(i64::from(is_leader));
    }

    /// Notes what a stack's conditions are now.
    pub fn shows(&self, uid: &str, conditions: &[Condition]) {
        let labels = conditions.iter().map(ConditionLabels::of).collect();
        self.lock().insert(uid.to_owned(), labels);
    }

    /// Forgets a stack that is gone.
    pub fn forget(&self, uid: &str) {
        self.lock().remove(uid);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Vec<ConditionLabels>>> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All of it in Prometheus' text format.
    ///
    /// # Errors
    /// When a metric cannot be written as text.
    pub fn text(&self) -> Result<String, fmt::Error> {
        let shown = self.lock();
        // The lock is held until the text is made, so that nobody reads half of it.
        self.stacks.clear();
        self.conditions.clear();
        for labels in shown.values().flatten() {
            self.conditions.get_or_create(labels).inc();
            if labels.r#type == READY {
                self.stacks.get_or_create(&StackLabels { ready: labels.status, reason: labels.reason }).inc();
            }
        }
        let mut text = String::new();
        prometheus_text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

#[cfg(test)]
mod tests;
