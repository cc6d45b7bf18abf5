//! What would become of a stack, as people and programs read it. Pure.
//!
//! The text of a step is the one of the log. The members of the JSON are part of the interface: they are added to, and not
//! changed.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use serde::Serialize;

use crate::converge::Pass;
use crate::desired::Desired;
use crate::desired::end::End;
use crate::plan::loss::loss;
use crate::plan::rehearsal::{Foretold, Rehearsal, rehearse};
use crate::plan::step::GatewayStep;
use crate::plan::{Step, Wait, WaitReason};
use crate::stack::name::Names;
use crate::sumu_stack::SumuStack;

/// Stands for the digits in names that follow from a UID which is not known yet.
const UNKNOWN_DIGITS: &str = "????????";

/// What would become of one stack.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Preview {
    /// The object's namespace.
    pub namespace: String,
    /// The object's name.
    pub name: String,
    /// The account.
    pub account_id: String,
    /// The region.
    pub region: String,
    /// What is done to the object.
    pub about: About,
    /// Whether nothing would be done and nothing is waited for.
    pub is_settled: bool,
    /// Whether a step destroys what nobody can bring back.
    pub loses_data: bool,
    /// The calls to AWS, in the order in which they become possible.
    pub steps: Vec<Line>,
    /// What AWS is at work on, and what only a person ends.
    pub waits: Vec<Waiting>,
    /// What else is worth knowing, in sentences.
    pub notes: Vec<String>,
}

/// What is done to the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum About {
    /// It is made: the cluster has none of its name, as far as that could be seen.
    NewStack,
    /// It is made, and takes over a stack that is there.
    Adoption,
    /// It is kept or changed.
    Stack,
    /// It is deleted.
    Deletion,
}

/// One call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Line {
    /// Whether it comes at once or after others.
    pub when: When,
    /// `create`, `change` or `delete`.
    pub verb: &'static str,
    /// The kind of thing, as the metric `sumu_steps_total` has it.
    pub resource: &'static str,
    /// The part of the stack, as the conditions of the status name it.
    pub part: &'static str,
    /// The step as the log has it.
    pub text: String,
    /// What it destroys, for example `3 messages`.
    pub data_loss: Option<String>,
}

/// When a call comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum When {
    /// With the next pass.
    Now,
    /// Once what it needs is in place.
    Later,
}

/// Something that is waited for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Waiting {
    /// The part of the stack.
    pub part: &'static str,
    /// What is waited for, with the remedy when a person has to act.
    pub message: String,
    /// Whether AWS does not end it by itself.
    pub needs_a_person: bool,
}

impl Preview {
    /// What would become of a stack after a look. `notes` are what is known beside that.
    #[must_use]
    pub fn of(stack: &SumuStack, is_new: bool, desired: &Desired, pass: &Pass, mut notes: Vec<String>) -> Self {
        let Rehearsal { steps: later, waits: at_the_end } = rehearse(desired, &pass.observed);
        let names = &desired.names;
        let now = pass.plan.steps.iter().map(|step| Line::of(When::Now, step, loss(step, &pass.observed)));
        let later = later.into_iter().map(|Foretold { step, loss }| Line::of(When::Later, &step, loss));
        let mut steps: Vec<Line> = now.chain(later).collect();
        // What a step that is told makes up for is no news; what AWS is at work on, and what stays in the way, is.
        let is_news = |wait: &&Wait| !wait.reason.ends_by_itself() || matches!(wait.reason, WaitReason::Ready { .. });
        let mut waits: Vec<Waiting> = Vec::new();
        for wait in pass.plan.waits.iter().filter(is_news).chain(&at_the_end).map(Waiting::of) {
            if !waits.contains(&wait) {
                waits.push(wait);
            }
        }
        notes.extend(of_deletion(is_new, desired, pass));
        let is_adoption = stack.spec.adoption.is_some();
        if is_new && !is_adoption {
            for line in &mut steps {
                line.text = without_uid(&line.text, names);
            }
            for wait in &mut waits {
                wait.message = without_uid(&wait.message, names);
            }
        }
        let account = names.account();
        Self {
            namespace: stack.metadata.namespace.clone().unwrap_or_default(),
            name: stack.metadata.name.clone().unwrap_or_default(),
            account_id: account.id.clone(),
            region: account.region.clone(),
            about: match (desired.end, is_new) {
                (End::Never, true) if is_adoption => About::Adoption,
                (End::Never, true) => About::NewStack,
                (End::Never, false) => About::Stack,
                _ => About::Deletion,
            },
            is_settled: steps.is_empty() && waits.is_empty(),
            loses_data: steps.iter().any(|line| line.data_loss.is_some()),
            steps,
            waits,
            notes,
        }
    }

    fn lines(&self, when: When) -> impl Iterator<Item = &Line> {
        self.steps.iter().filter(move |line| line.when == when)
    }
}

/// What the deletion policy means, and what it leaves.
fn of_deletion(is_new: bool, desired: &Desired, pass: &Pass) -> Vec<String> {
    if desired.end == End::Never {
        return vec![];
    }
    if is_new {
        return vec!["the cluster has no such object, so its deletion leads to nothing".into()];
    }
    let policy = match desired.end {
        End::Never => return vec![],
        End::Retained => {
            "deletionPolicy is Retain: everything stays and works on, and only the tags that make it this stack's go"
        }
        End::DeletedOutOfUse => {
            "deletion.whenInUse is Wait: nothing is deleted while a client is connected or a queue holds messages"
        }
        End::Deleted => {
            "deletionPolicy is Delete and deletion.whenInUse is Delete: clients that are connected are cut off"
        }
    };
    let foreign: Vec<String> = pass.observed.foreign.iter().map(ToString::to_string).collect();
    let left = (!foreign.is_empty() && desired.end != End::Retained)
        .then(|| format!("left alone, because it has the stack's name but not its tag: {}", foreign.join(", ")));
    [policy.to_owned()].into_iter().chain(left).collect()
}

/// A text in which names show that their UID is not known.
pub(super) fn without_uid(text: &str, names: &Names) -> String {
    let prefix = names.prefix();
    let readable = prefix.rsplit_once('-').map_or(prefix, |(readable, _)| readable);
    text.replace(prefix, &format!("{readable}-{UNKNOWN_DIGITS}"))
}

impl Line {
    fn of(when: When, step: &Step, data_loss: Option<String>) -> Self {
        let (verb, resource, part) = (step.verb(), step.resource(), step.part().as_str());
        let text = match (when, step) {
            // Its hash is of ids that AWS has not given yet.
            (When::Later, Step::Gateway(GatewayStep::CreateDeployment { .. })) => "+ deployment".into(),
            _ => step.to_string(),
        };
        Self { when, verb, resource, part, text, data_loss }
    }
}

impl Waiting {
    fn of(wait: &Wait) -> Self {
        let (message, needs_a_person) = (wait.reason.to_string(), !wait.reason.ends_by_itself());
        Self { part: wait.part.as_str(), message, needs_a_person }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        match &self.data_loss {
            Some(what) => write!(f, "  ! data loss: {what}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Preview {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { namespace, name, account_id, region, .. } = self;
        let about = match self.about {
            About::NewStack => "a new stack",
            About::Adoption => "which adopts a stack that is there",
            About::Stack => "a stack that is there",
            About::Deletion => "its deletion",
        };
        writeln!(f, "{namespace}/{name}, {about}, in account {account_id} in {region}")?;
        for (title, when) in [("now", When::Now), ("then, if every call does what it should", When::Later)] {
            if self.lines(when).next().is_some() {
                writeln!(f, "\n{title}:")?;
                self.lines(when).try_for_each(|line| writeln!(f, "  {line}"))?;
            }
        }
        for (title, needs_a_person) in [("waited for", false), ("not without you", true)] {
            let mut waits = self.waits.iter().filter(|wait| wait.needs_a_person == needs_a_person).peekable();
            if waits.peek().is_some() {
                writeln!(f, "\n{title}:")?;
                waits.try_for_each(|wait| writeln!(f, "  … {}", wait.message))?;
            }
        }
        if !self.notes.is_empty() {
            writeln!(f)?;
            self.notes.iter().try_for_each(|note| writeln!(f, "note: {note}"))?;
        }
        writeln!(f, "\n{}", Sum(self))
    }
}

/// The last line.
struct Sum<'a>(&'a Preview);

impl fmt::Display for Sum<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(preview) = self;
        if preview.is_settled {
            return f.write_str("Nothing would change.");
        }
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for line in &preview.steps {
            *counts.entry(line.verb).or_default() += 1;
        }
        let count = |verb| counts.get(verb).copied().unwrap_or_default();
        write!(f, "{} to create, {} to change, {} to delete", count("create"), count("change"), count("delete"))?;
        match preview.steps.iter().filter(|line| line.data_loss.is_some()).count() {
            0 => f.write_str("; no data is lost."),
            1 => f.write_str("; 1 of these loses data."),
            losses => write!(f, "; {losses} of these lose data."),
        }
    }
}

/// Several stacks, and what else was in their file.
#[must_use]
pub fn all_as_text(stacks: &[Preview], skipped: &[String]) -> String {
    let mut text = stacks.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    for object in skipped {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "skipped: {object}, which is no SumuStack");
    }
    text
}
