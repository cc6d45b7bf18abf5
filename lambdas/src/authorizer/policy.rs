//! What a REQUEST authorizer answers. Pure.

use serde_json::{Map, Value, json};
use sumu_contract::message::{CONTEXT_EXPIRES_AT, CONTEXT_ISSUER};

use super::verdict::Principal;

/// The longest issuer that is passed on: an authorizer's whole answer may have 8 KB.
const ISSUER_BYTES_MAX: usize = 1024;

/// The name of those who were not let in. API Gateway wants one.
const NOBODY: &str = "nobody";

/// Lets the principal in.
#[must_use]
pub fn allow(principal: &Principal, method_arn: &str) -> Value {
    let mut context = Map::new();
    if let Some(expires_at) = principal.expires_at {
        context.insert(CONTEXT_EXPIRES_AT.to_owned(), expires_at.into());
    }
    if let Some(issuer) = principal.issuer.as_ref().filter(|issuer| issuer.len() <= ISSUER_BYTES_MAX) {
        context.insert(CONTEXT_ISSUER.to_owned(), issuer.as_str().into());
    }
    let mut answer = policy(&principal.user_id, "Allow", method_arn);
    answer["context"] = Value::Object(context);
    answer
}

/// Keeps somebody out, which the gateway turns into 403. No reason is given: it would reach the client.
#[must_use]
pub fn deny(method_arn: &str) -> Value {
    policy(NOBODY, "Deny", method_arn)
}

fn policy(principal_id: &str, effect: &str, method_arn: &str) -> Value {
    json!({
        "principalId": principal_id,
        "policyDocument": {
            "Version": "2012-10-17",
            "Statement": [{"Action": "execute-api:Invoke", "Effect": effect, "Resource": method_arn}],
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_allow_names_the_user_the_method_and_the_context() {
        let principal = Principal { user_id: "u".into(), expires_at: Some(7), issuer: Some("https://i/".into()) };
        assert_eq!(
            allow(&principal, "arn:m"),
            json!({
                "principalId": "u",
                "policyDocument": {
                    "Version": "2012-10-17",
                    "Statement": [{"Action": "execute-api:Invoke", "Effect": "Allow", "Resource": "arn:m"}],
                },
                "context": {"exp": 7, "iss": "https://i/"},
            })
        );
    }

    #[test]
    fn an_issuer_that_would_burst_the_answer_is_not_passed_on() {
        let principal = Principal { user_id: "u".into(), expires_at: None, issuer: Some("i".repeat(1025)) };
        assert_eq!(allow(&principal, "arn:m")["context"], json!({}));
    }

    #[test]
    fn a_deny_gives_no_reason() {
        let answer = deny("arn:m");
        assert_eq!(answer["policyDocument"]["Statement"][0]["Effect"], "Deny");
        assert_eq!(answer.get("context"), None);
    }
}
