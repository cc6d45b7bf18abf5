//! What SNS is certain to refuse, refused with the remedy before anything is made.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{FunctionName, Subscription};
use crate::stack::Invalid;
use crate::sumu_stack::{self, Protocol};

/// SNS's limits of a filter policy.
const KEYS_MAX: usize = 5;
const COMBINATIONS_MAX: usize = 150;

/// The subscriptions of a spec, checked.
pub(in crate::stack) fn all(spec: &[sumu_stack::Subscription]) -> Result<Vec<Subscription>, Invalid> {
    let mut known = BTreeSet::new();
    let mut checked = Vec::new();
    for (at, subscription) in spec.iter().enumerate() {
        let field = format!("spec.messages.subscriptions[{at}]");
        let one = one(&field, subscription)?;
        if !known.insert(one.id()) {
            return Err(Invalid(format!(
                "{field} has the protocol and the endpoint of one before it: SNS keeps one subscription for both; take \
                 one out, or put what both filter policies let through into one"
            )));
        }
        checked.push(one);
    }
    Ok(checked)
}

fn one(field: &str, subscription: &sumu_stack::Subscription) -> Result<Subscription, Invalid> {
    let sumu_stack::Subscription { protocol, endpoint, raw_message_delivery, filter_policy, subscription_role_arn } =
        subscription;
    if let Some(remedy) = wrong_endpoint(*protocol, endpoint) {
        return Err(Invalid(format!("{field}.endpoint is nothing that SNS can deliver to: {remedy}")));
    }
    if *protocol != Protocol::Firehose && subscription_role_arn.is_some() {
        return Err(Invalid(format!(
            "{field}.subscriptionRoleArn is for the protocol firehose alone: take it out; what others need is said in \
             their own policies"
        )));
    }
    let filter_policy: Option<Value> = (!filter_policy.is_empty())
        .then(|| Value::Object(filter_policy.iter().map(|(key, value)| (key.clone(), value.clone())).collect()));
    if let Some(remedy) = filter_policy.as_ref().and_then(wrong_filter_policy) {
        return Err(Invalid(format!("{field}.filterPolicy is none that SNS takes: {remedy}")));
    }
    Ok(Subscription {
        protocol: *protocol,
        endpoint: endpoint.clone(),
        is_raw: *raw_message_delivery,
        filter_policy,
        role_arn: subscription_role_arn.clone(),
    })
}

/// What to do about an endpoint that does not go with its protocol.
fn wrong_endpoint(protocol: Protocol, endpoint: &str) -> Option<&'static str> {
    match protocol {
        Protocol::Lambda => {
            let is_one = resource(endpoint, "lambda")
                .and_then(|rest| FunctionName::parse(rest.strip_prefix("function:")?))
                .is_some();
            (!is_one).then_some(
                "the protocol lambda takes the ARN of a function (arn:aws:lambda:REGION:ACCOUNT:function:NAME), or of an \
                 alias or a version of it, but not of $LATEST, which is the function itself",
            )
        }
        Protocol::Sqs => {
            let name = resource(endpoint, "sqs").filter(|name| is_name(name, "._-"));
            if name.is_some_and(|name| name.rsplit_once('.').is_some_and(|(_, kind)| kind == "fifo")) {
                return Some("a FIFO queue cannot be subscribed to a standard topic; name a standard queue");
            }
            name.is_none().then_some("the protocol sqs takes the ARN of a queue (arn:aws:sqs:REGION:ACCOUNT:NAME)")
        }
        Protocol::Firehose => {
            let name = resource(endpoint, "firehose").and_then(|rest| rest.strip_prefix("deliverystream/"));
            (!name.is_some_and(|name| is_name(name, "._-"))).then_some(
                "the protocol firehose takes the ARN of a delivery stream \
                 (arn:aws:firehose:REGION:ACCOUNT:deliverystream/NAME)",
            )
        }
        Protocol::Http => wrong_url(endpoint, "http://"),
        Protocol::Https => wrong_url(endpoint, "https://"),
        Protocol::Email => {
            let is_one = endpoint.split_once('@').is_some_and(|(person, host)| {
                !person.is_empty() && host.contains('.') && !endpoint.contains([' ', '\t', '\n'])
            });
            (!is_one).then_some("the protocol email takes an e-mail address (somebody@example.com)")
        }
        Protocol::Sms => {
            let digits = endpoint.strip_prefix('+').filter(|digits| (7..=15).contains(&digits.len()));
            let is_one = digits.is_some_and(|digits| digits.bytes().all(|c| c.is_ascii_digit()));
            (!is_one).then_some(
                "the protocol sms takes a telephone number with the sign + and the country's code, without spaces \
                 (+4915112345678)",
            )
        }
    }
}

fn wrong_url(endpoint: &str, begin: &str) -> Option<&'static str> {
    let Some(rest) = endpoint.strip_prefix(begin) else {
        return Some("the endpoint must begin with the protocol, http:// or https://");
    };
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if host.contains('@') {
        return Some(
            "a name or a password in a URL can be read by whoever may read this object; take them out and let the server \
             verify the signature that SNS puts into each message",
        );
    }
    (host.is_empty() || endpoint.contains([' ', '\t', '\n'])).then_some("name the host, and leave no spaces in the URL")
}

/// What stands in an ARN of a service behind its account.
fn resource<'a>(arn: &'a str, service: &str) -> Option<&'a str> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let ["arn", partition, found, region, account, resource] = parts[..] else { return None };
    let is_account = account.len() == 12 && account.bytes().all(|c| c.is_ascii_digit());
    (partition.starts_with("aws") && found == service && !region.is_empty() && is_account).then_some(resource)
}

fn is_name(name: &str, others: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || others.contains(c))
}

/// What to do about a filter policy on attributes that SNS does not take. `$or` holds alternatives in place of values.
fn wrong_filter_policy(policy: &Value) -> Option<String> {
    let keys = policy.as_object()?;
    if keys.len() > KEYS_MAX {
        return Some(format!("it has {} keys, and SNS allows {KEYS_MAX}; filter by fewer attributes", keys.len()));
    }
    let mut combinations: usize = 1;
    for (key, values) in keys {
        let Some(values) = values.as_array().filter(|values| !values.is_empty()) else {
            return Some(format!(
                "{key} must be a list of what is let through, such as [\"lambda.routes.publish\"]; messages are filtered by \
                 their attributes, which have no members"
            ));
        };
        let is_condition = |value: &Value| !value.is_array() && value.as_object().is_none_or(|it| !it.is_empty());
        if !values.iter().all(is_condition) {
            return Some(format!("a value of {key} is neither a text, a number, true, false, null nor a condition"));
        }
        combinations = combinations.saturating_mul(values.len());
    }
    (combinations > COMBINATIONS_MAX).then(|| {
        format!(
            "its lists have {combinations} combinations of values, and SNS allows {COMBINATIONS_MAX}; name fewer values, or \
             use a condition such as {{\"prefix\": …}}"
        )
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn checked(spec: Value) -> Result<Vec<Subscription>, String> {
        let spec: Vec<sumu_stack::Subscription> = serde_json::from_value(spec).map_err(|error| error.to_string())?;
        all(&spec).map_err(|invalid| invalid.to_string())
    }

    #[test]
    fn an_endpoint_goes_with_its_protocol() {
        let good = [
            ("lambda", "arn:aws:lambda:eu-west-1:123456789012:function:f"),
            ("lambda", "arn:aws:lambda:eu-west-1:123456789012:function:f:live"),
            ("lambda", "arn:aws-cn:lambda:cn-north-1:999999999999:function:f"),
            ("sqs", "arn:aws:sqs:us-east-1:999999999999:orders"),
            ("firehose", "arn:aws:firehose:eu-west-1:123456789012:deliverystream/archive"),
            ("http", "http://a.example"),
            ("https", "https://a.example:8443/hook?key=1"),
            ("email", "berta@example.com"),
            ("sms", "+4915112345678"),
        ];
        for (protocol, endpoint) in good {
            let spec = json!([{"protocol": protocol, "endpoint": endpoint}]);
            assert!(checked(spec.clone()).is_ok(), "{spec}: {:?}", checked(spec.clone()));
            // None of them goes with another protocol, but for none.
            for (other, _) in good.iter().filter(|(other, _)| *other != protocol) {
                let refused = checked(json!([{"protocol": other, "endpoint": endpoint}])).unwrap_err();
                assert!(refused.starts_with("spec.messages.subscriptions[0].endpoint"), "{refused}");
            }
        }
    }

    #[test]
    fn what_sns_is_certain_to_refuse_is_refused_with_the_remedy() {
        let function = "arn:aws:lambda:eu-west-1:123456789012:function:f";
        let queue = |others: Value| {
            let mut it = json!({"protocol": "sqs", "endpoint": "arn:aws:sqs:us-east-1:999999999999:orders"});
            it.as_object_mut().unwrap().extend(others.as_object().unwrap().clone());
            json!([it])
        };
        let keys: Value = (0..6).map(|key| (format!("k{key}"), json!(["v"]))).collect::<serde_json::Map<_, _>>().into();
        let many: Vec<usize> = (0..13).collect();
        let cases = [
            (json!([{"protocol": "lambda", "endpoint": format!("{function}:$LATEST")}]), "not of $LATEST"),
            (json!([{"protocol": "sqs", "endpoint": "arn:aws:sqs:us-east-1:999999999999:a.fifo"}]), "FIFO queue"),
            (json!([{"protocol": "sqs", "endpoint": "arn:aws:sqs:us-east-1:1:a"}]), "ARN of a queue"),
            (json!([{"protocol": "https", "endpoint": "https://u:p@a.example/"}]), "signature that SNS puts"),
            (json!([{"protocol": "https", "endpoint": "https:///x"}]), "name the host"),
            (json!([{"protocol": "email", "endpoint": "berta"}]), "e-mail address"),
            (json!([{"protocol": "sms", "endpoint": "0151 12345678"}]), "country's code"),
            (queue(json!({"subscriptionRoleArn": "arn:aws:iam::1:role/r"})), "firehose alone: take it out"),
            (queue(json!({"filterPolicy": keys})), "filter by fewer attributes"),
            (queue(json!({"filterPolicy": {"a": many.clone(), "b": many}})), "169 combinations"),
            (queue(json!({"filterPolicy": {"source": "x"}})), "must be a list"),
            (queue(json!({"filterPolicy": {"source": []}})), "must be a list"),
            (queue(json!({"filterPolicy": {"source": {"nested": ["x"]}}})), "must be a list"),
            (queue(json!({"filterPolicy": {"source": [["x"]]}})), "neither a text"),
        ];
        for (spec, sentence) in cases {
            let refused = checked(spec.clone()).unwrap_err();
            assert!(refused.starts_with("spec.messages.subscriptions[0]."), "{refused}");
            assert!(refused.contains(sentence), "{refused}");
        }
    }

    #[test]
    fn an_endpoint_is_subscribed_once_for_each_protocol() {
        let one = json!({"protocol": "sqs", "endpoint": "arn:aws:sqs:us-east-1:999999999999:orders"});
        let refused = checked(json!([one, {"protocol": "email", "endpoint": "b@example.com"}, one])).unwrap_err();
        assert!(refused.starts_with("spec.messages.subscriptions[2] has the protocol and the endpoint"), "{refused}");
        let two = json!([one, {"protocol": "sqs", "endpoint": "arn:aws:sqs:us-east-1:999999999999:others"}]);
        assert_eq!(checked(two).map(|all| all.len()), Ok(2));
    }

    #[test]
    fn every_kind_of_condition_on_attributes_is_taken() {
        let policy = json!({
            "source": ["lambda.routes.publish", {"prefix": "lambda."}],
            "user_id": [{"anything-but": ["bot"]}, {"exists": true}],
            "timestamp": [{"numeric": [">", 0]}, null, true, 7],
            "$or": [{"a": ["x"]}, {"b": ["y"], "c": ["z"]}],
        });
        let spec = json!([{
            "protocol": "sqs", "endpoint": "arn:aws:sqs:us-east-1:999999999999:orders", "filterPolicy": policy,
            "rawMessageDelivery": true,
        }]);
        let [one] = &checked(spec).unwrap()[..] else { panic!("not one") };
        assert_eq!((one.filter_policy.as_ref(), one.is_raw), (Some(&policy), true));
        let without = json!([{"protocol": "sms", "endpoint": "+4915112345678", "filterPolicy": {}}]);
        assert_eq!(checked(without).unwrap()[0].filter_policy, None, "an empty one lets everything through");
    }
}
