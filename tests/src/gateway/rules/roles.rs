//! IAM: limits that the emulator does not hold, and the one condition of trust that the operator has to meet.

use futures::FutureExt;

use super::{Found, asked, refuse, rights};
use crate::gateway::call::{Call, Service};
use crate::gateway::facts::Facts;
use crate::gateway::rule::{Act, Rule};

/// All inline policies of a role together, without white space.
const POLICIES_MAX: usize = 10_240;

pub(in crate::gateway) const RULES: &[Rule] = &[
    Rule {
        name: "role-name-length",
        says: "A role's name has at most 64 characters.",
        source: "IAM API Reference, CreateRole: RoleName, maximum length of 64",
        service: Service::Iam,
        operations: &["CreateRole"],
        act: Act::Refuse(|call, _| async move { name_length(call) }.boxed()),
    },
    Rule {
        name: "role-policies-size",
        says: "The inline policies of a role have at most 10,240 characters together, white space not counted.",
        source: "IAM User Guide, IAM and AWS STS quotas: role inline policy size",
        service: Service::Iam,
        operations: &["PutRolePolicy"],
        act: Act::Refuse(|call, facts| policies_size(call, facts).boxed()),
    },
    Rule {
        name: "role-trust-names-a-principal",
        says: "A trust policy has a principal in every statement.",
        source: "IAM API Reference, CreateRole: MalformedPolicyDocument; IAM User Guide, policy elements: Principal",
        service: Service::Iam,
        operations: &["CreateRole", "UpdateAssumeRolePolicy"],
        act: Act::Refuse(|call, _| async move { trust(call) }.boxed()),
    },
    Rule {
        name: "role-external-id",
        says: "A role whose trust policy asks for an external id is assumed with this one only.",
        source: "IAM User Guide, Access to AWS accounts owned by third parties; IAM and AWS STS condition keys: sts:ExternalId",
        service: Service::Sts,
        operations: &["AssumeRole"],
        act: Act::Refuse(|call, facts| external_id(call, facts).boxed()),
    },
];

fn name_length(call: &Call) -> Found {
    if call.text("RoleName").chars().count() <= 64 {
        return Ok(None);
    }
    let message = "1 validation error detected: Value at 'roleName' failed to satisfy constraint: \
                   Member must have length less than or equal to 64";
    refuse(400, "ValidationError", message)
}

async fn policies_size(call: &Call, facts: &Facts) -> Found {
    let (role, policy) = (call.text("RoleName"), call.text("PolicyName"));
    let mut size = counted(call.text("PolicyDocument"));
    let names = asked(facts.iam.list_role_policies().role_name(role).send().await)?;
    let others = names.map(|answer| answer.policy_names).unwrap_or_default();
    for other in others.into_iter().filter(|other| other != policy) {
        let answer = asked(facts.iam.get_role_policy().role_name(role).policy_name(other).send().await)?;
        let document = answer.map(|answer| answer.policy_document).unwrap_or_default();
        size += counted(&percent_encoding::percent_decode_str(&document).decode_utf8_lossy());
    }
    if size <= POLICIES_MAX {
        return Ok(None);
    }
    refuse(409, "LimitExceeded", format!("Maximum policy size of {POLICIES_MAX} bytes exceeded for role {role}"))
}

fn counted(document: &str) -> usize {
    document.chars().filter(|letter| !letter.is_whitespace()).count()
}

fn trust(call: &Call) -> Found {
    let document = if call.operation == "CreateRole" { "AssumeRolePolicyDocument" } else { "PolicyDocument" };
    let document: serde_json::Value = serde_json::from_str(call.text(document)).unwrap_or_default();
    let statements = document["Statement"].as_array().map_or(&[][..], Vec::as_slice);
    let single = document["Statement"].is_object() && document["Statement"]["Principal"] != serde_json::Value::Null;
    let all = !statements.is_empty() && statements.iter().all(|one| !one["Principal"].is_null());
    if single || all { Ok(None) } else { refuse(400, "MalformedPolicyDocument", "Missing required field Principal") }
}

async fn external_id(call: &Call, facts: &Facts) -> Found {
    let arn = call.text("RoleArn");
    // What the emulator does not know counts as trusting everybody.
    let Some(trust) = rights::trust(facts, arn).await? else { return Ok(None) };
    let trust: serde_json::Value = serde_json::from_str(&trust).unwrap_or_default();
    let statements = rights::items(&trust["Statement"]);
    let asks_for = |statement: &serde_json::Value| {
        statement["Condition"]["StringEquals"]["sts:ExternalId"].as_str().map(ToOwned::to_owned)
    };
    let given = call.text("ExternalId");
    if statements.is_empty() || statements.iter().any(|one| asks_for(one).is_none_or(|wanted| wanted == given)) {
        return Ok(None);
    }
    let message = format!("User: {} is not authorized to perform: sts:AssumeRole on resource: {arn}", call.caller);
    refuse(403, "AccessDenied", message)
}
