//! How many calls API Gateway's control plane takes from an account.

use crate::gateway::call::{Call, Service};
use crate::gateway::facts::{Bucket, Facts};
use crate::gateway::rule::{Act, Rule};
use crate::gateway::wire::Refusal;

/// Calls a second, and calls at once.
type Rate = (f64, f64);

const ALL: Rate = (10.0, 40.0);
const DEPLOYMENTS: Rate = (1.0 / 5.0, 1.0);
/// Of each of the three.
const DOMAINS: Rate = (1.0 / 30.0, 1.0);
/// Published for REST APIs, and taken for others too.
const DELETIONS: Rate = (1.0 / 30.0, 1.0);

pub(in crate::gateway) const RULES: &[Rule] = &[Rule {
    name: "api-rate",
    says: "An account makes 10 calls a second and 40 at once, one deployment in 5 s, deletes one API in 30 s, and makes, changes and deletes one domain name each in 30 s.",
    source: "API Gateway Developer Guide, quotas: all control-plane actions, CreateDeployment, DeleteRestApi, CreateDomainName, UpdateDomainName, DeleteDomainName",
    service: Service::ApiGateway,
    operations: &[],
    act: Act::RefuseAtOnce(rate),
}];

fn rate(call: &Call, facts: &Facts) -> Option<Refusal> {
    let factor = facts.pace.rate?;
    let own = match call.operation.as_str() {
        "CreateDeployment" => Some(("CreateDeployment", DEPLOYMENTS)),
        "DeleteApi" => Some(("DeleteApi", DELETIONS)),
        "CreateDomainName" => Some(("CreateDomainName", DOMAINS)),
        "UpdateDomainName" => Some(("UpdateDomainName", DOMAINS)),
        "DeleteDomainName" => Some(("DeleteDomainName", DOMAINS)),
        _ => None,
    };
    let mut memory = facts.memory();
    let mut take = |(name, (per_second, burst)): (&'static str, Rate)| {
        memory.buckets.entry(name).or_insert_with(|| Bucket::full(burst)).take(per_second * factor, burst)
    };
    // What is refused for its own rate has cost a call of the account's all the same.
    if take(("all", ALL)) && own.is_none_or(take) {
        return None;
    }
    Some(Refusal::new(429, "TooManyRequestsException", "Too Many Requests"))
}
