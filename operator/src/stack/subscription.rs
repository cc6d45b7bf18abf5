//! Subscriptions to the messages topic as the spec asks for them, checked, and what identifies one. Pure.
//!
//! A subscription is its protocol and its endpoint: neither can be changed. Everything else of it can.

mod check;
pub mod notes;

use std::fmt;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::name::{Account, hex};
use crate::sumu_stack::Protocol;
pub(super) use check::all;

/// How much of a hash tells subscriptions of one topic apart.
const ID_BYTES: usize = 6;

/// A subscription that is wanted.
#[derive(Clone, Debug, PartialEq)]
pub struct Subscription {
    /// How SNS delivers.
    pub protocol: Protocol,
    /// Where.
    pub endpoint: String,
    /// Whether a message comes without SNS's envelope.
    pub is_raw: bool,
    /// Which messages come, by their attributes: a JSON object that is not empty.
    pub filter_policy: Option<Value>,
    /// The role with which SNS writes to a Firehose delivery stream.
    pub role_arn: Option<String>,
}

impl Subscription {
    /// What tells it from the others of its topic.
    #[must_use]
    pub fn id(&self) -> SubscriptionId {
        SubscriptionId::of(self.protocol.as_str(), &self.endpoint)
    }

    /// The function that is to be invoked, if it is one of the stack's account and region: only there the stack can
    /// give SNS leave.
    #[must_use]
    pub fn function(&self, account: &Account) -> Option<FunctionName> {
        FunctionName::of(self.protocol.as_str(), &self.endpoint, account)
    }
}

impl fmt::Display for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shown(self.protocol.as_str(), &self.endpoint))
    }
}

/// What tells a subscription from the others of its topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubscriptionId(u64);

impl SubscriptionId {
    /// That of a protocol and an endpoint, as SNS lists them.
    #[must_use]
    pub fn of(protocol: &str, endpoint: &str) -> Self {
        let hash = Sha256::digest(format!("{protocol} {endpoint}"));
        Self(hash[..ID_BYTES].iter().fold(0, |number, byte| (number << 8) | u64::from(*byte)))
    }

    /// Reads what was written.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_one =
            text.len() == 2 * ID_BYTES && text.bytes().all(|c| c.is_ascii_digit() || (b'a'..=b'f').contains(&c));
        if is_one { u64::from_str_radix(text, 16).ok().map(Self) } else { None }
    }
}

impl fmt::Display for SubscriptionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0.to_be_bytes()[8 - ID_BYTES..]))
    }
}

/// A function of a user's in the stack's account and region, or a version or an alias of one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FunctionName {
    /// Its name.
    pub name: String,
    /// The version or the alias.
    pub qualifier: Option<String>,
}

impl FunctionName {
    /// The function that a subscription invokes, if it is one of this account and region.
    #[must_use]
    pub fn of(protocol: &str, endpoint: &str, account: &Account) -> Option<Self> {
        let Account { partition, region, id } = account;
        let name = endpoint.strip_prefix(&format!("arn:{partition}:lambda:{region}:{id}:function:"))?;
        (protocol == Protocol::Lambda.as_str()).then(|| Self::parse(name))?
    }

    /// Reads what was written.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (name, qualifier) = match text.split_once(':') {
            Some((name, qualifier)) => (name, Some(qualifier)),
            None => (text, None),
        };
        let is_word = |word: &str, longest: usize| {
            (1..=longest).contains(&word.len())
                && word.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-' || c == b'_')
        };
        (is_word(name, 64) && qualifier.is_none_or(|qualifier| is_word(qualifier, 128)))
            .then(|| Self { name: name.to_owned(), qualifier: qualifier.map(ToOwned::to_owned) })
    }

    /// Its ARN.
    #[must_use]
    pub fn arn(&self, account: &Account) -> String {
        let Account { partition, region, id } = account;
        format!("arn:{partition}:lambda:{region}:{id}:function:{self}")
    }
}

impl fmt::Display for FunctionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.qualifier {
            Some(qualifier) => write!(f, "{}:{qualifier}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

/// A subscription as it may stand in logs and conditions. URLs may hold secrets, and addresses of people are nobody's
/// business: enough of them is left to tell which of one's own it is.
#[must_use]
pub fn shown(protocol: &str, endpoint: &str) -> String {
    let address = match protocol {
        "http" | "https" => {
            let host = endpoint.split_once("://").map_or(endpoint, |(_, rest)| rest);
            let host = host.split(['/', '?', '#']).next().unwrap_or_default();
            host.rsplit('@').next().unwrap_or_default().to_owned()
        }
        "email" | "email-json" => {
            let (person, host) = endpoint.split_once('@').unwrap_or(("", endpoint));
            format!("{}…@{host}", person.chars().next().unwrap_or_default())
        }
        "sms" => {
            let end = endpoint.char_indices().nth_back(2).map_or(0, |(at, _)| at);
            format!("…{}", &endpoint[end..])
        }
        // `arn:partition:service:region:account:` says nothing that one does not know.
        _ => endpoint.splitn(6, ':').nth(5).unwrap_or(endpoint).to_owned(),
    };
    format!("{protocol} {address}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account() -> Account {
        Account { partition: "aws".into(), region: "eu-west-1".into(), id: "123456789012".into() }
    }

    #[test]
    fn an_id_is_read_again_and_is_another_for_another_protocol_or_endpoint() {
        let id = SubscriptionId::of("https", "https://a.example/");
        assert_eq!(SubscriptionId::parse(&id.to_string()), Some(id));
        assert_eq!(id.to_string().len(), 12);
        assert_ne!(id, SubscriptionId::of("http", "https://a.example/"));
        assert_ne!(id, SubscriptionId::of("https", "https://a.example/b"));
        for other in ["", "none", "0123456789a", "0123456789AB", "+12345678901"] {
            assert_eq!(SubscriptionId::parse(other), None, "{other}");
        }
    }

    #[test]
    fn only_functions_of_the_stacks_account_and_region_can_be_given_a_permission() {
        let of = |arn: &str| FunctionName::of("lambda", arn, &account()).map(|found| found.to_string());
        assert_eq!(of("arn:aws:lambda:eu-west-1:123456789012:function:f").as_deref(), Some("f"));
        assert_eq!(of("arn:aws:lambda:eu-west-1:123456789012:function:f:live").as_deref(), Some("f:live"));
        for other in [
            "arn:aws:lambda:eu-west-2:123456789012:function:f",
            "arn:aws:lambda:eu-west-1:999999999999:function:f",
            "arn:aws:lambda:eu-west-1:123456789012:function:f:$LATEST",
            "arn:aws:sqs:eu-west-1:123456789012:f",
        ] {
            assert_eq!(of(other), None, "{other}");
        }
        let arn = "arn:aws:lambda:eu-west-1:123456789012:function:f:live";
        assert_eq!(FunctionName::parse("f:live").unwrap().arn(&account()), arn);
        assert_eq!(FunctionName::of("sqs", arn, &account()), None);
    }

    #[test]
    fn neither_a_persons_address_nor_what_a_url_may_hold_is_shown() {
        let cases = [
            ("https", "https://user:secret@hooks.example.com:8443/s/token?key=1", "https hooks.example.com:8443"),
            ("http", "http://a.example", "http a.example"),
            ("email", "berta@example.com", "email b…@example.com"),
            ("sms", "+4915112345678", "sms …678"),
            ("sqs", "arn:aws:sqs:eu-west-1:123456789012:orders", "sqs orders"),
            ("lambda", "arn:aws:lambda:eu-west-1:1:function:f:live", "lambda function:f:live"),
            ("sms", "1", "sms …1"),
            ("application", "odd", "application odd"),
        ];
        for (protocol, endpoint, expected) in cases {
            assert_eq!(shown(protocol, endpoint), expected);
        }
    }
}
