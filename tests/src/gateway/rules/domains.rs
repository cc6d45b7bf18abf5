//! API Gateway's domain names with their mappings, and Route 53's records.

use futures::FutureExt;
use serde_json::Value;

use super::{Found, asked, refuse};
use crate::Result;
use crate::aws::REGION;
use crate::gateway::call::{Call, Service};
use crate::gateway::facts::Facts;
use crate::gateway::rule::{Act, Rule};
use crate::gateway::wire::{Answer, Refusal};

const BAD: &str = "BadRequestException";

pub(in crate::gateway) const RULES: &[Rule] = &[
    Rule {
        name: "domain-certificate",
        says: "A Regional domain name needs a certificate that is issued, of the same region and account.",
        source: "API Gateway Developer Guide, set up a Regional custom domain name; reported messages of CreateDomainName",
        service: Service::ApiGateway,
        operations: &["CreateDomainName", "UpdateDomainName"],
        act: Act::Refuse(|call, facts| certificate(call, facts).boxed()),
    },
    Rule {
        name: "domain-states",
        says: "A domain name is UPDATING for minutes after it was made or has another certificate.",
        source: "API Gateway v2 API Reference, DomainNameConfiguration: domainNameStatus",
        service: Service::ApiGateway,
        operations: &["CreateDomainName", "UpdateDomainName", "GetDomainName", "GetDomainNames"],
        act: Act::Mend(|call, facts, answer| async move { Ok(states(call, facts, answer)) }.boxed()),
    },
    Rule {
        name: "domain-busy",
        says: "A domain name that is UPDATING is not changed and nothing is mapped under it.",
        source: "API Gateway v2 API Reference, UpdateDomainName and CreateApiMapping: ConflictException",
        service: Service::ApiGateway,
        operations: &["UpdateDomainName", "CreateApiMapping"],
        act: Act::RefuseAtOnce(busy),
    },
    Rule {
        name: "mapping-key",
        says: "The key of a mapping has letters, digits and $-_.+!*'(), no slash for a WebSocket API, and at most 300 of them.",
        source: "API Gateway Developer Guide, map API stages to a custom domain name for WebSocket APIs; reported message",
        service: Service::ApiGateway,
        operations: &["CreateApiMapping", "UpdateApiMapping"],
        act: Act::RefuseAtOnce(key),
    },
    Rule {
        name: "record-in-its-zone",
        says: "A record's name lies in its hosted zone.",
        source: "Recorded: ChangeResourceRecordSets, \"RRSet with DNS name … is not permitted in zone …\"",
        service: Service::Route53,
        operations: &["ChangeResourceRecordSets"],
        act: Act::Refuse(|call, facts| in_zone(call, facts).boxed()),
    },
];

async fn certificate(call: &Call, facts: &Facts) -> Found {
    let configuration = &call.input()["domainNameConfigurations"][0];
    let Some(arn) = configuration["certificateArn"].as_str() else {
        return refuse(400, BAD, "A certificate was not provided for the endpoint type REGIONAL.");
    };
    if arn.split(':').nth(3) != Some(REGION) {
        return refuse(400, BAD, format!("Invalid certificate ARN: {arn}. Certificate must be in '{REGION}'."));
    }
    match facts.certificate(arn).await?.as_deref() {
        Some("ISSUED") => Ok(None),
        Some(_) => refuse(400, BAD, "The provided certificate is not issued"),
        None => refuse(400, BAD, "The provided certificate does not exist"),
    }
}

fn states(call: &Call, facts: &Facts, answer: Answer) -> Answer {
    if !answer.is_good() {
        return answer;
    }
    let mut body = answer.json();
    let domains: Vec<&mut Value> = if call.operation == "GetDomainNames" {
        body["items"].as_array_mut().into_iter().flatten().collect()
    } else {
        vec![&mut body]
    };
    let mut is_changed = false;
    for domain in domains {
        if domain["domainName"].as_str().is_some_and(|name| facts.is_domain_busy(name)) {
            domain["domainNameConfigurations"][0]["domainNameStatus"] = "UPDATING".into();
            is_changed = true;
        }
    }
    if is_changed { answer.with_json(&body) } else { answer }
}

fn busy(call: &Call, facts: &Facts) -> Option<Refusal> {
    let message = "The domain name is being updated. Please try again later.";
    facts.is_domain_busy(call.id(0)).then(|| Refusal::new(409, "ConflictException", message))
}

fn key(call: &Call, _: &Facts) -> Option<Refusal> {
    let key = call.text("apiMappingKey");
    let is_allowed = |character: char| character.is_ascii_alphanumeric() || "$-_.+!*'()".contains(character);
    if key.len() <= 300 && key.chars().all(is_allowed) {
        return None;
    }
    let message = "An ApiMapping key may contain only letters, numbers and one of $-_.+!*'()";
    Some(Refusal::new(400, BAD, message))
}

async fn in_zone(call: &Call, facts: &Facts) -> Found {
    let Some(found) = zone(call.id(0), facts).await? else { return Ok(None) };
    let zone = found.trim_end_matches('.');
    for name in call.elements("Name") {
        let name = name.trim_end_matches('.');
        if name != zone && !name.ends_with(&format!(".{zone}")) {
            let message = format!("[RRSet with DNS name {name}. is not permitted in zone {zone}.]");
            return refuse(400, "InvalidChangeBatch", message);
        }
    }
    Ok(None)
}

async fn zone(id: &str, facts: &Facts) -> Result<Option<String>> {
    let answer = asked(facts.route53.get_hosted_zone().id(id).send().await);
    Ok(answer?.and_then(|answer| answer.hosted_zone).map(|zone| zone.name))
}
