//! The attributes of a subscription as SNS takes them, and which of them differ.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::observed::subscriptions::AttributesState;
use crate::stack::subscription::Subscription;
use crate::sumu_stack::Protocol;

const RAW: &str = "RawMessageDelivery";
const FILTER: &str = "FilterPolicy";
const FILTER_SCOPE: &str = "FilterPolicyScope";
const REDRIVE: &str = "RedrivePolicy";
const ROLE: &str = "SubscriptionRoleArn";

/// What by default SNS compares filter policies with.
const ATTRIBUTES: &str = "MessageAttributes";
/// A filter policy that lets everything through, and by which SNS takes one away.
const NO_FILTER: &str = "{}";

/// The attributes of a new subscription. What is left out is as SNS has it by default.
pub(super) fn of_new(want: &Subscription, dead_letters_arn: &str) -> BTreeMap<&'static str, String> {
    let none = AttributesState::default();
    to_set(want, &none, dead_letters_arn).into_iter().collect()
}

/// The attributes to set, in an order in which SNS takes them: a filter policy is checked for what it is compared with.
pub(super) fn to_set(
    want: &Subscription,
    have: &AttributesState,
    dead_letters_arn: &str,
) -> Vec<(&'static str, String)> {
    // Without `..`, so that nothing is read and never compared.
    let AttributesState { is_raw, filter_policy, filters_bodies, role_arn, dead_letters_arn: have_dead_letters } = have;
    let mut attributes = Vec::new();
    if want.is_raw != *is_raw {
        attributes.push((RAW, want.is_raw.to_string()));
    }
    if *filters_bodies {
        attributes.push((FILTER_SCOPE, ATTRIBUTES.to_owned()));
    }
    if want.filter_policy != *filter_policy {
        attributes.push((FILTER, want.filter_policy.as_ref().map_or_else(|| NO_FILTER.into(), ToString::to_string)));
    }
    if want.protocol == Protocol::Firehose && want.role_arn != *role_arn {
        attributes.extend(want.role_arn.clone().map(|arn| (ROLE, arn)));
    }
    if have_dead_letters.as_deref() != Some(dead_letters_arn) {
        attributes.push((REDRIVE, json!({ "deadLetterTargetArn": dead_letters_arn }).to_string()));
    }
    attributes
}

/// What an attribute that is set makes of a subscription.
pub(in crate::plan) fn write(state: &mut AttributesState, attribute: &str, value: &str) {
    // We have written it.
    let json = || serde_json::from_str::<Value>(value).unwrap_or_default();
    match attribute {
        RAW => state.is_raw = value == "true",
        FILTER => {
            state.filter_policy = Some(json()).filter(|policy| policy.as_object().is_some_and(|keys| !keys.is_empty()));
        }
        FILTER_SCOPE => state.filters_bodies = value != ATTRIBUTES,
        ROLE => state.role_arn = Some(value.to_owned()),
        REDRIVE => state.dead_letters_arn = json()["deadLetterTargetArn"].as_str().map(ToOwned::to_owned),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn want() -> Subscription {
        Subscription {
            protocol: Protocol::Sqs,
            endpoint: "arn:aws:sqs:eu-west-1:123456789012:q".into(),
            is_raw: true,
            filter_policy: Some(json!({"source": ["a"]})),
            role_arn: None,
        }
    }

    fn have() -> AttributesState {
        AttributesState {
            is_raw: true,
            filter_policy: Some(json!({"source": ["a"]})),
            filters_bodies: false,
            role_arn: None,
            dead_letters_arn: Some("arn:d".into()),
        }
    }

    #[test]
    fn a_new_subscription_is_told_what_is_not_the_default() {
        let told = of_new(&want(), "arn:d");
        let expected = [
            (FILTER, r#"{"source":["a"]}"#.to_owned()),
            (RAW, "true".to_owned()),
            (REDRIVE, r#"{"deadLetterTargetArn":"arn:d"}"#.to_owned()),
        ];
        assert_eq!(told, BTreeMap::from(expected));
        let plain = Subscription { is_raw: false, filter_policy: None, ..want() };
        assert!(of_new(&plain, "arn:d").into_keys().eq([REDRIVE]));
    }

    #[test]
    fn only_what_differs_is_set() {
        assert_eq!(to_set(&want(), &have(), "arn:d"), []);
        let plain = Subscription { is_raw: false, filter_policy: None, ..want() };
        assert_eq!(to_set(&plain, &have(), "arn:d"), [(RAW, "false".to_owned()), (FILTER, "{}".to_owned())]);
        let of_bodies = AttributesState { filters_bodies: true, filter_policy: None, ..have() };
        let names: Vec<&str> = to_set(&want(), &of_bodies, "arn:d").into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, [FILTER_SCOPE, FILTER]);
        let stray = AttributesState { dead_letters_arn: None, ..have() };
        assert_eq!(to_set(&want(), &stray, "arn:d").len(), 1);
    }

    #[test]
    fn a_firehose_subscription_has_its_role() {
        let want = Subscription { protocol: Protocol::Firehose, role_arn: Some("arn:r".into()), ..want() };
        assert_eq!(of_new(&want, "arn:d")[ROLE], "arn:r");
        assert_eq!(to_set(&want, &have(), "arn:d"), [(ROLE, "arn:r".to_owned())]);
    }
}
