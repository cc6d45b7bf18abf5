//! When the authorizer is asked, and what its answer means. Pure.
//!
//! Sources: the developer guide's pages on Lambda REQUEST authorizers and on `$connect`.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::http::Request;
use super::upstream::Invoked;

/// The most that an authorizer may answer (API Gateway's quotas).
const ANSWER_BYTES_MAX: usize = 8 * 1024;

/// What becomes of a handshake.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// The client comes in; every later event has this context.
    Allow(Map<String, Value>),
    /// 401.
    Unauthorized,
    /// 403.
    Forbidden,
    /// 500: the authorizer failed, or its answer is none.
    Fault,
}

/// Whether a handshake has *all* that must be there before the authorizer is asked.
#[must_use]
pub fn has_identity(sources: &[String], handshake: &Request, variables: &BTreeMap<String, String>) -> bool {
    sources.iter().all(|source| {
        let value = if let Some(name) = source.strip_prefix("route.request.header.") {
            handshake.header(name)
        } else if let Some(name) = source.strip_prefix("route.request.querystring.") {
            handshake.query.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
        } else if let Some(name) = source.strip_prefix("stageVariables.") {
            variables.get(name).map(String::as_str)
        } else {
            // `context.X`: always there, as far as tests go.
            Some(source.as_str())
        };
        value.is_some_and(|value| !value.is_empty())
    })
}

/// What the authorizer's answer means for a method.
#[must_use]
pub fn verdict(invoked: &Invoked, method_arn: &str) -> Verdict {
    match invoked {
        Invoked::Answer(answer) => of_answer(answer, method_arn).unwrap_or(Verdict::Fault),
        Invoked::Error(error) if error["errorMessage"] == "Unauthorized" => Verdict::Unauthorized,
        Invoked::Error(_) | Invoked::Unreachable => Verdict::Fault,
    }
}

/// Nothing when the answer is none that API Gateway takes.
fn of_answer(answer: &Value, method_arn: &str) -> Option<Verdict> {
    if answer.to_string().len() > ANSWER_BYTES_MAX {
        return None;
    }
    let principal = answer["principalId"].as_str()?;
    let mut context = Map::new();
    for (name, value) in answer.get("context").map_or(Some(&Map::new()), Value::as_object)? {
        // Numbers and truth values arrive as texts; anything nested makes the answer invalid.
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Number(_) | Value::Bool(_) => value.to_string(),
            Value::Null => continue,
            Value::Array(_) | Value::Object(_) => return None,
        };
        context.insert(name.clone(), text.into());
    }
    context.insert("principalId".to_owned(), principal.into());
    let statements = answer["policyDocument"]["Statement"].as_array()?;
    let says = |effect: &str| statements.iter().any(|s| s["Effect"] == effect && concerns(s, method_arn));
    Some(if says("Allow") && !says("Deny") { Verdict::Allow(context) } else { Verdict::Forbidden })
}

fn concerns(statement: &Value, method_arn: &str) -> bool {
    let any = |name: &str, wanted: &str| match &statement[name] {
        Value::String(pattern) => is_like(pattern, wanted),
        Value::Array(patterns) => patterns.iter().filter_map(Value::as_str).any(|pattern| is_like(pattern, wanted)),
        _ => false,
    };
    any("Action", "execute-api:Invoke") && any("Resource", method_arn)
}

/// Whether a text is like a pattern in which `*` stands for anything and `?` for one character.
fn is_like(pattern: &str, text: &str) -> bool {
    match pattern.split_at_checked(1) {
        None => text.is_empty(),
        Some(("*", rest)) => (0..=text.len()).any(|at| text.get(at..).is_some_and(|text| is_like(rest, text))),
        Some((first, rest)) => text
            .split_at_checked(1)
            .is_some_and(|(found, text)| (first == "?" || first == found) && is_like(rest, text)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ARN: &str = "arn:aws:execute-api:r:1:api/live/$connect";

    fn answer(effect: &str, resource: &str, context: &Value) -> Invoked {
        let statement = json!({"Action": "execute-api:Invoke", "Effect": effect, "Resource": resource});
        Invoked::Answer(json!({"principalId": "u", "policyDocument": {"Statement": [statement]}, "context": context}))
    }

    #[test]
    fn an_allow_of_the_method_lets_in_and_its_context_becomes_texts() {
        for resource in [ARN, "*", "arn:aws:execute-api:r:1:api/live/*", "arn:aws:execute-api:?:1:*/$connect"] {
            let told = verdict(&answer("Allow", resource, &json!({"exp": 7, "ok": true})), ARN);
            let expected = json!({"principalId": "u", "exp": "7", "ok": "true"});
            assert_eq!(told, Verdict::Allow(expected.as_object().unwrap().clone()), "{resource}");
        }
    }

    #[test]
    fn a_deny_or_an_allow_of_something_else_is_403() {
        assert_eq!(verdict(&answer("Deny", ARN, &json!({})), ARN), Verdict::Forbidden);
        assert_eq!(verdict(&answer("Allow", "arn:other", &json!({})), ARN), Verdict::Forbidden);
    }

    #[test]
    fn what_is_no_answer_is_500_and_the_word_unauthorized_401() {
        for invoked in [
            Invoked::Unreachable,
            Invoked::Error(json!({"errorMessage": "unauthorized"})),
            Invoked::Answer(json!({"principalId": "u"})),
            Invoked::Answer(Value::Null),
            answer("Allow", ARN, &json!({"nested": {}})),
            answer("Allow", ARN, &json!({"long": "x".repeat(8 * 1024)})),
        ] {
            assert_eq!(verdict(&invoked, ARN), Verdict::Fault, "{invoked:?}");
        }
        assert_eq!(verdict(&Invoked::Error(json!({"errorMessage": "Unauthorized"})), ARN), Verdict::Unauthorized);
    }

    #[test]
    fn all_identity_sources_must_be_there() {
        let sources = ["route.request.header.Authorization", "route.request.querystring.a"].map(ToOwned::to_owned);
        let request = |head: &str| Request::parse(head).unwrap();
        let none = BTreeMap::new();
        assert!(has_identity(&sources, &request("GET /?a=1 HTTP/1.1\r\nauthorization: x\r\n"), &none));
        assert!(!has_identity(&sources, &request("GET /?a= HTTP/1.1\r\nauthorization: x\r\n"), &none));
        assert!(!has_identity(&sources, &request("GET /?a=1 HTTP/1.1\r\n\r\n"), &none));
        assert!(has_identity(&[], &Request::default(), &none));
    }
}
