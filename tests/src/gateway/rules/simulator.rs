//! IAM's policy simulator, of callers that a test limits, and as whom STS knows these: each has a role of its name.

use futures::FutureExt;
use serde_json::Value;

use super::asked;
use super::callers::session;
use super::rights::{all_allow, is_about, items};
use crate::Result;
use crate::aws::ACCOUNT;
use crate::gateway::call::{Call, Service};
use crate::gateway::facts::{Facts, last};
use crate::gateway::rule::{Act, Rule};
use crate::gateway::wire::{Answer, Refusal};

/// How many actions a page judges. AWS fills a page with up to a hundred results, and may give fewer.
const PAGE: usize = 4;

pub(in crate::gateway) const RULES: &[Rule] = &[
    Rule {
        name: "role-simulation",
        says: "The policy simulator judges each action for each resource, by the ARN of a role with its path, and tells the \
               keys of conditions that it was not given.",
        source: "IAM API Reference, SimulatePrincipalPolicy, EvaluationResult and ResourceSpecificResult; NoSuchEntity",
        service: Service::Iam,
        operations: &["SimulatePrincipalPolicy"],
        act: Act::Do(|call, facts| simulate(call, facts).boxed()),
    },
    Rule {
        name: "identity-of-session",
        says: "Who has assumed a role is told as a session of it, without the role's path.",
        source: "STS API Reference, GetCallerIdentity; IAM User Guide, IAM identifiers",
        service: Service::Sts,
        operations: &["GetCallerIdentity"],
        act: Act::Mend(|call, facts, answer| async move { Ok(identity(call, facts, answer)) }.boxed()),
    },
];

fn identity(call: &Call, facts: &Facts, answer: Answer) -> Answer {
    let (caller, body) = (&call.caller, String::from_utf8_lossy(&answer.body).into_owned());
    let arn = body.split_once("<Arn>").and_then(|(before, rest)| Some((before, rest.split_once("</Arn>")?.1)));
    match arn {
        Some((before, after)) if facts.memory().callers.contains_key(caller) => {
            answer.with_text(format!("{before}<Arn>{}</Arn>{after}", session(caller, caller)))
        }
        _ => answer,
    }
}

async fn simulate(call: &Call, facts: &Facts) -> Result<Option<Answer>> {
    let arn = call.text("PolicySourceArn");
    let name = last(arn);
    let Some((policy, _)) = facts.memory().callers.get(name).cloned() else { return Ok(None) };
    let role = asked(facts.iam.get_role().role_name(name).send().await)?.and_then(|answer| answer.role);
    if role.map_or_else(|| format!("arn:aws:iam::{ACCOUNT}:role/{name}"), |role| role.arn) != arn {
        let message = format!("The role with name {arn} cannot be found.");
        return Ok(Some(Refusal::new(404, "NoSuchEntity", message).answer(call.service)));
    }
    let (actions, resources) = (list(call, "ActionNames.member"), list(call, "ResourceArns.member"));
    let first: usize = call.text("Marker").parse().unwrap_or(0);
    let rest = &actions[first.min(actions.len())..];
    let judged: String = rest.iter().take(PAGE).map(|action| judge(&policy, action, &resources, call)).collect();
    let more = if rest.len() > PAGE {
        format!("<IsTruncated>true</IsTruncated><Marker>{}</Marker>", first + PAGE)
    } else {
        "<IsTruncated>false</IsTruncated>".to_owned()
    };
    let body = format!(
        "<SimulatePrincipalPolicyResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\">\
         <SimulatePrincipalPolicyResult><EvaluationResults>{judged}</EvaluationResults>{more}\
         </SimulatePrincipalPolicyResult></SimulatePrincipalPolicyResponse>"
    );
    Ok(Some(Answer::new(200, "text/xml", body)))
}

/// The texts of a list in a form.
fn list(call: &Call, name: &str) -> Vec<String> {
    (1..).map_while(|at| call.input()[format!("{name}.{at}")].as_str().map(ToOwned::to_owned)).collect()
}

fn judge(policy: &Value, action: &str, resources: &[String], call: &Call) -> String {
    let entry = |at: usize, field: &str| call.input()[format!("ContextEntries.member.{at}.{field}")].as_str();
    let given = || (1..).map_while(|at| Some((entry(at, "ContextKeyName")?, entry(at, "ContextKeyValues.member.1")?)));
    let function = given().find(|(key, _)| *key == "lambda:FunctionArn").map(|(_, arn)| arn);
    let judged: Vec<(&String, bool, Vec<&str>)> = resources
        .iter()
        .map(|resource| {
            let about = items(&policy["Statement"]).iter().filter(|statement| is_about(statement, action, resource));
            let keys = about.filter_map(|statement| statement["Condition"].as_object()).flatten();
            let keys = keys.filter_map(|(_, keys)| keys.as_object()).flatten().map(|(key, _)| key.as_str());
            let missing: Vec<&str> = keys.filter(|key| given().all(|(given, _)| given != *key)).collect();
            (resource, missing.is_empty() && all_allow([policy], action, resource, function), missing)
        })
        .collect();
    let all = decision(judged.iter().all(|(_, is_allowed, _)| *is_allowed));
    let one = |(resource, is_allowed, missing): &(&String, bool, Vec<&str>)| {
        let (decision, missing) = (decision(*is_allowed), missing.join("</member><member>"));
        let missing = if missing.is_empty() { missing } else { format!("<member>{missing}</member>") };
        format!(
            "<member><EvalResourceName>{resource}</EvalResourceName><EvalResourceDecision>{decision}</EvalResourceDecision>\
             <MissingContextValues>{missing}</MissingContextValues></member>"
        )
    };
    let each = judged.iter().map(one).collect::<Vec<_>>().concat();
    format!(
        "<member><EvalActionName>{action}</EvalActionName><EvalResourceName>*</EvalResourceName>\
         <EvalDecision>{all}</EvalDecision><ResourceSpecificResults>{each}</ResourceSpecificResults></member>"
    )
}

const fn decision(is_allowed: bool) -> &'static str {
    if is_allowed { "allowed" } else { "implicitDeny" }
}
