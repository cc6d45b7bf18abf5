//! What a role may do, as far as its inline policies say.

use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::asked;
use crate::Result;
use crate::gateway::facts::{Facts, last};

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

/// Whether a role may do something with a resource.
///
/// A managed policy that is attached counts as allowing, because nobody here knows what it says.
pub(super) async fn may(facts: &Facts, role_arn: &str, action: &str, resource: &str) -> Result<bool> {
    let name = last(role_arn);
    let put = facts.memory().policies_put.get(name).copied();
    if put.is_some_and(|put| put.elapsed() < facts.pace.policy) {
        return Ok(false);
    }
    let attached = asked(facts.iam.list_attached_role_policies().role_name(name).send().await)?;
    if attached.is_some_and(|answer| !answer.attached_policies().is_empty()) {
        return Ok(true);
    }
    let Some(names) = asked(facts.iam.list_role_policies().role_name(name).send().await)? else { return Ok(false) };
    for policy in names.policy_names {
        let policy = asked(facts.iam.get_role_policy().role_name(name).policy_name(policy).send().await)?;
        let document = policy.map(|policy| decoded(&policy.policy_document)).unwrap_or_default();
        if allows(&serde_json::from_str(&document).unwrap_or_default(), action, resource) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// IAM hands documents out percent-encoded.
fn decoded(document: &str) -> String {
    percent_decode_str(document).decode_utf8_lossy().into_owned()
}

/// Whether a policy allows something and denies it nowhere. Conditions count as met.
pub(crate) fn allows(document: &Value, action: &str, resource: &str) -> bool {
    allows_for(document, action, resource, None)
}

/// The same where the function of an event source is known, on which a statement may have a condition.
pub(crate) fn allows_for(document: &Value, action: &str, resource: &str, function: Option<&str>) -> bool {
    let covers = |statement: &&Value| {
        let actions = texts(&statement["Action"]);
        let resources = texts(&statement["Resource"]);
        let functions = texts(&statement["Condition"]["ArnLike"]["lambda:FunctionArn"]);
        let is_met = |arn: &str| functions.is_empty() || functions.iter().any(|pattern| matches(pattern, arn));
        function.is_none_or(is_met)
            && actions.iter().any(|pattern| matches(&pattern.to_lowercase(), &action.to_lowercase()))
            && resources.iter().any(|pattern| matches(pattern, resource))
    };
    let statements = items(&document["Statement"]);
    let effect = |effect: &str| statements.iter().filter(covers).any(|statement| statement["Effect"] == effect);
    effect("Allow") && !effect("Deny")
}

pub(super) fn items(value: &Value) -> Vec<Value> {
    match value {
        Value::Array(items) => items.clone(),
        Value::Null => Vec::new(),
        one => vec![one.clone()],
    }
}

fn texts(value: &Value) -> Vec<String> {
    items(value).iter().filter_map(|text| text.as_str().map(ToOwned::to_owned)).collect()
}

/// Whether a text is what a pattern with `*` and `?` means.
fn matches(pattern: &str, text: &str) -> bool {
    match (pattern.chars().next(), text.chars().next()) {
        (None, None) => true,
        (Some('*'), _) if matches(&pattern[1..], text) => true,
        (Some('*'), Some(first)) => matches(pattern, &text[first.len_utf8()..]),
        (Some(wanted), Some(first)) if wanted == '?' || wanted == first => {
            matches(&pattern[wanted.len_utf8()..], &text[first.len_utf8()..])
        }
        _ => false,
    }
}
