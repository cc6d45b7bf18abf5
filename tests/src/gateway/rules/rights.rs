//! What a role may do, as far as its inline policies say.

use std::sync::Arc;
use std::time::{Duration, Instant};

use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::asked;
use crate::Result;
use crate::delivery::permission::is_like;
use crate::gateway::facts::{Facts, Policies, Right, last};

/// How long what a role's policies have allowed is believed.
const KNOWN_FOR: Duration = Duration::from_secs(1);

/// Whether Lambda can assume a role: it is there, long enough, and trusts Lambda.
pub(super) async fn is_assumable(facts: &Facts, role_arn: &str) -> Result<bool> {
    let name = last(role_arn);
    let Some(trust) = trust(facts, role_arn).await? else { return Ok(false) };
    let made = facts.memory().roles_made.get(name).copied();
    let has_spread = made.is_none_or(|made| made.elapsed() >= facts.pace.role);
    Ok(has_spread && trust.contains("lambda.amazonaws.com"))
}

/// The trust policy of a role; nothing when there is no such role.
pub(super) async fn trust(facts: &Facts, role_arn: &str) -> Result<Option<String>> {
    let answer = asked(facts.iam.get_role().role_name(last(role_arn)).send().await)?;
    let document = answer.map(|answer| answer.role.and_then(|role| role.assume_role_policy_document));
    Ok(document.map(|document| decoded(document.as_deref().unwrap_or_default())))
}

/// Whether a role may do something with a resource, as the emulator has its policies now.
pub(super) async fn may(facts: &Facts, role_arn: &str, action: &str, resource: &str) -> Result<bool> {
    let role = last(role_arn);
    let policies = asked_for(facts, role).await?;
    Ok(is_allowed(facts, role, &policies, action, resource))
}

/// Whether a role has a right, which is noted then. What its policies allowed a moment ago is believed, since functions
/// call often; that they do not allow something is not.
pub(in crate::gateway) async fn has(facts: &Facts, role: &str, (action, resource): &Right) -> Result<bool> {
    let is_known_to = || {
        let known = facts.memory().policies.get(role).filter(|known| known.at.elapsed() < KNOWN_FOR).cloned();
        known.is_some_and(|known| is_allowed(facts, role, &known, action, resource))
    };
    let has = is_known_to() || {
        // One asks for all who have come meanwhile.
        let _turn = facts.looking_at_roles.lock().await;
        is_known_to() || {
            let policies = Arc::new(asked_for(facts, role).await?);
            facts.memory().policies.insert(role.to_owned(), Arc::clone(&policies));
            is_allowed(facts, role, &policies, action, resource)
        }
    };
    let mut memory = facts.memory();
    let noted = if has { &mut memory.used } else { &mut memory.lacked };
    noted.entry(role.to_owned()).or_default().insert((action.clone(), resource.clone()));
    Ok(has)
}

/// What the policies of a role say. A role that is not there has none.
async fn asked_for(facts: &Facts, role: &str) -> Result<Policies> {
    let attached = asked(facts.iam.list_attached_role_policies().role_name(role).send().await)?;
    let has_managed = attached.is_some_and(|answer| !answer.attached_policies().is_empty());
    let mut policies = Policies { at: Instant::now(), has_managed, inline: Vec::new() };
    let names = asked(facts.iam.list_role_policies().role_name(role).send().await)?;
    for name in names.map(|answer| answer.policy_names).unwrap_or_default() {
        let found = asked(facts.iam.get_role_policy().role_name(role).policy_name(&name).send().await)?;
        let document = found.map(|policy| decoded(&policy.policy_document)).unwrap_or_default();
        policies.inline.push((name, serde_json::from_str(&document).unwrap_or_default()));
    }
    Ok(policies)
}

/// Whether policies allow something, each as it is in force: one that was just put has to spread, and until then what was
/// there before it counts.
///
/// A managed policy that is attached counts as allowing, because nobody here knows what it says.
fn is_allowed(facts: &Facts, role: &str, policies: &Policies, action: &str, resource: &str) -> bool {
    let memory = facts.memory();
    let in_force = policies.inline.iter().map(|(name, document)| {
        let put = memory.policies_put.get(&(role.to_owned(), name.clone()));
        put.filter(|put| put.at.elapsed() < facts.pace.policy).map_or(document, |put| &put.before)
    });
    policies.has_managed || all_allow(in_force, action, resource, None)
}

/// IAM hands documents out percent-encoded.
fn decoded(document: &str) -> String {
    percent_decode_str(document).decode_utf8_lossy().into_owned()
}

/// Whether policies together allow something and deny it nowhere. Conditions count as met, but for that on the function of
/// an event source where this is known.
pub(super) fn all_allow<'a>(
    documents: impl IntoIterator<Item = &'a Value>,
    action: &str,
    resource: &str,
    function: Option<&str>,
) -> bool {
    let covers = |statement: &&Value| {
        let functions = texts(&statement["Condition"]["ArnLike"]["lambda:FunctionArn"]);
        let is_met = |arn: &str| functions.is_empty() || functions.iter().any(|pattern| is_like(pattern, arn));
        function.is_none_or(is_met) && is_about(statement, action, resource)
    };
    let statements = documents.into_iter().flat_map(|document| items(&document["Statement"]));
    let effects: Vec<&Value> = statements.filter(covers).map(|statement| &statement["Effect"]).collect();
    effects.iter().any(|effect| **effect == "Allow") && !effects.iter().any(|effect| **effect == "Deny")
}

/// Whether a statement is about an action with a resource, on whatever conditions.
pub(super) fn is_about(statement: &Value, action: &str, resource: &str) -> bool {
    texts(&statement["Action"]).iter().any(|pattern| is_like(&pattern.to_lowercase(), &action.to_lowercase()))
        && texts(&statement["Resource"]).iter().any(|pattern| is_like(pattern, resource))
}

pub(super) fn items(value: &Value) -> &[Value] {
    match value {
        Value::Array(items) => items,
        Value::Null => &[],
        one => std::slice::from_ref(one),
    }
}

fn texts(value: &Value) -> Vec<&str> {
    items(value).iter().filter_map(Value::as_str).collect()
}
