//! Whom a function's policy lets in. Pure.
//!
//! Sources: Lambda's developer guide on resource-based policies; API Gateway's on permissions of WebSocket routes and
//! authorizers; SNS's on Lambda endpoints.

use serde_json::Value;

/// API Gateway, as a policy names it.
pub const API_GATEWAY: &str = "apigateway.amazonaws.com";
/// SNS, as a policy names it.
pub const SNS: &str = "sns.amazonaws.com";

/// Whether a policy lets a service invoke the function on behalf of something.
#[must_use]
pub fn lets(policy: &Value, service: &str, source_arn: &str) -> bool {
    let statements = policy["Statement"].as_array().map(Vec::as_slice).unwrap_or_default();
    let concerns = |statement: &Value| {
        has(&statement["Action"], |action| is_like(&action.to_lowercase(), "lambda:invokefunction"))
            && is_principal(&statement["Principal"], service)
            && is_met(&statement["Condition"], source_arn)
    };
    let says = |effect: &str| statements.iter().any(|statement| statement["Effect"] == effect && concerns(statement));
    says("Allow") && !says("Deny")
}

fn is_principal(principal: &Value, service: &str) -> bool {
    principal == "*" || has(&principal["Service"], |named| named == service)
}

/// Conditions about the source; one that we do not know is not met.
fn is_met(condition: &Value, source_arn: &str) -> bool {
    let account = source_arn.split(':').nth(4).unwrap_or_default();
    let operators = condition.as_object().into_iter().flatten();
    operators.into_iter().all(|(operator, keys)| {
        keys.as_object().into_iter().flatten().all(|(key, wanted)| {
            let found = match key.to_lowercase().as_str() {
                "aws:sourcearn" => source_arn,
                "aws:sourceaccount" => account,
                _ => return false,
            };
            match operator.as_str() {
                "ArnLike" | "ArnEquals" | "StringLike" => has(wanted, |pattern| is_like(pattern, found)),
                "StringEquals" => has(wanted, |wanted| wanted == found),
                _ => false,
            }
        })
    })
}

fn has(value: &Value, is: impl Fn(&str) -> bool) -> bool {
    match value {
        Value::String(text) => is(text),
        Value::Array(texts) => texts.iter().filter_map(Value::as_str).any(is),
        _ => false,
    }
}

/// Whether a text is like a pattern in which `*` stands for anything and `?` for one character.
#[must_use]
pub fn is_like(pattern: &str, text: &str) -> bool {
    let mut chars = pattern.chars();
    match chars.next() {
        None => text.is_empty(),
        Some('*') => {
            text.char_indices().map(|(at, _)| at).chain([text.len()]).any(|at| is_like(chars.as_str(), &text[at..]))
        }
        Some(wanted) => {
            let mut rest = text.chars();
            rest.next()
                .is_some_and(|found| (wanted == '?' || wanted == found) && is_like(chars.as_str(), rest.as_str()))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ROUTE: &str = "arn:aws:execute-api:r:1:api/live/$connect";

    fn policy(service: &str, pattern: &str) -> Value {
        json!({"Statement": [{
            "Effect": "Allow", "Action": "lambda:InvokeFunction", "Principal": {"Service": service},
            "Condition": {"ArnLike": {"AWS:SourceArn": pattern}},
        }]})
    }

    #[test]
    fn a_service_is_let_in_on_behalf_of_what_the_policy_names() {
        for pattern in [ROUTE, "arn:aws:execute-api:r:1:api/live/*", "arn:aws:execute-api:r:1:api/*", "*"] {
            assert!(lets(&policy(API_GATEWAY, pattern), API_GATEWAY, ROUTE), "{pattern}");
        }
        for pattern in ["arn:aws:execute-api:r:1:other/*", "arn:aws:execute-api:r:1:api/test/*", ""] {
            assert!(!lets(&policy(API_GATEWAY, pattern), API_GATEWAY, ROUTE), "{pattern}");
        }
        assert!(!lets(&policy(SNS, "*"), API_GATEWAY, ROUTE));
        assert!(!lets(&json!(null), API_GATEWAY, ROUTE), "no policy");
    }

    #[test]
    fn a_deny_wins_and_an_unknown_condition_is_not_met() {
        let mut policy = policy(API_GATEWAY, "*");
        let mut deny = policy["Statement"][0].clone();
        deny["Effect"] = "Deny".into();
        let mut strange = policy.clone();
        strange["Statement"][0]["Condition"] = json!({"Bool": {"aws:SecureTransport": "true"}});
        assert!(!lets(&strange, API_GATEWAY, ROUTE));
        strange["Statement"][0]["Condition"] = json!({"StringEquals": {"aws:SourceAccount": "1"}});
        assert!(lets(&strange, API_GATEWAY, ROUTE));
        policy["Statement"].as_array_mut().unwrap().push(deny);
        assert!(!lets(&policy, API_GATEWAY, ROUTE));
    }
}
