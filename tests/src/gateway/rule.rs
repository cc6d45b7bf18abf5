//! What a rule is, and the list of all.

use std::sync::atomic::{AtomicU64, Ordering};

use futures::future::BoxFuture;
use hyper::body::Bytes;

use super::call::{Call, Service};
use super::facts::Facts;
use super::rules;
use super::wire::{Answer, Refusal};
use crate::Result;

/// What AWS refuses, or answers in another way than the emulator.
#[derive(Debug)]
pub struct Rule {
    /// Its name, by which it can be switched off.
    pub name: &'static str,
    /// What AWS does, in a sentence.
    pub says: &'static str,
    /// Where that is written or was recorded.
    pub source: &'static str,
    /// The service that it is about.
    pub service: Service,
    /// The operations that it looks at; all of the service when there are none.
    pub operations: &'static [&'static str],
    pub(super) act: Act,
}

/// Finds out whether AWS would refuse a call.
pub(super) type Check = for<'a> fn(&'a Call, &'a Facts) -> BoxFuture<'a, Result<Option<Refusal>>>;
/// Puts right what the emulator has answered.
pub(super) type Mending = for<'a> fn(&'a Call, &'a Facts, Answer) -> BoxFuture<'a, Result<Answer>>;

/// Does itself what the emulator would do wrongly; nothing when the call is the emulator's all the same.
pub(super) type Doing = for<'a> fn(&'a Call, &'a Facts) -> BoxFuture<'a, Result<Option<Answer>>>;

/// Asks the emulator for something else than the caller did: another query, another body.
pub(super) type Asking = fn(&Call, &Facts) -> (String, Bytes);

#[derive(Clone, Copy, Debug)]
pub(super) enum Act {
    /// Before the call is passed on.
    Ask(Asking),
    /// In the place of the emulator.
    Do(Doing),
    /// Before the call is passed on, which no other checked write to the service overtakes.
    Refuse(Check),
    /// Before the call is passed on, beside all others.
    RefuseBeside(Check),
    /// Before the call is passed on, by what is known without asking.
    RefuseAtOnce(fn(&Call, &Facts) -> Option<Refusal>),
    /// After it was answered.
    Mend(Mending),
    /// Refused while another write to the same API is on its way.
    OneWriteAtATime,
}

/// The rules as the table in `docs/fidelity.md`.
#[must_use]
pub fn table() -> String {
    let row =
        |rule: &Rule| format!("| {} | `{}` | {} | {} |\n", rule.service.name(), rule.name, rule.says, rule.source);
    let rows: String = all().map(row).collect();
    format!("| Service | Rule | What AWS does | Source |\n|---|---|---|---|\n{rows}")
}

impl Rule {
    pub(super) fn is_for(&self, call: &Call) -> bool {
        let operations = self.operations;
        self.service == call.service && (operations.is_empty() || operations.contains(&call.operation.as_str()))
    }
}

/// All rules.
pub fn all() -> impl Iterator<Item = &'static Rule> {
    // AWS counts first, then asks who may, and then what.
    [rules::rates::RULES, rules::callers::RULES]
        .into_iter()
        .chain([rules::roles::RULES, rules::functions::RULES, rules::sources::RULES, rules::gateway::RULES])
        .chain([rules::gateway_forms::RULES, rules::gateway_lists::RULES, rules::tables::RULES])
        .chain([rules::domains::RULES, rules::queues::RULES, rules::topics::RULES, rules::forms::RULES])
        .chain([rules::lists::RULES, rules::simulator::RULES])
        .flatten()
}

/// The rules that are on, with how often each has changed an outcome.
#[derive(Debug)]
pub(super) struct RuleSet(Vec<(&'static Rule, AtomicU64)>);

impl RuleSet {
    pub(super) fn without(off: &[String]) -> Self {
        let on = all().filter(|rule| off.iter().all(|name| name != rule.name));
        Self(on.map(|rule| (rule, AtomicU64::new(0))).collect())
    }

    pub(super) fn of<'a>(&'a self, call: &'a Call) -> impl Iterator<Item = (&'static Rule, &'a AtomicU64)> {
        self.0.iter().filter(|(rule, _)| rule.is_for(call)).map(|(rule, count)| (*rule, count))
    }

    pub(super) fn count(&self, name: &str) -> u64 {
        self.0.iter().find(|(rule, _)| rule.name == name).map_or(0, |(_, count)| count.load(Ordering::SeqCst))
    }
}
