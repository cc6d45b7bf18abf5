//! API Gateway's domain names with their mappings, and Route 53's records.

use aws_sdk_apigatewayv2::Client;
use aws_sdk_apigatewayv2::types::{DomainNameConfiguration, DomainNameStatus, EndpointType, ProtocolType};
use aws_sdk_route53::types::{AliasTarget, Change, ChangeAction, ChangeBatch, ResourceRecordSet, RrType};
use sumu_tests::gateway::Pace;
use sumu_tests::{Context, Result, ensure_eq};

use crate::bench::{AT_ONCE, NEVER, bench, certificate};

const BAD: &str = "BadRequestException";

fn regional(certificate: &str) -> DomainNameConfiguration {
    DomainNameConfiguration::builder().endpoint_type(EndpointType::Regional).certificate_arn(certificate).build()
}

#[tokio::test]
async fn a_domain_name_needs_an_issued_certificate_of_its_region() -> Result<()> {
    let bench = bench(AT_ONCE).await?;
    let client = Client::new(&bench.sdk);
    let make = |configuration| {
        client.create_domain_name().domain_name("certified.example.com").domain_name_configurations(configuration)
    };
    let rule = "domain-certificate";
    let none = DomainNameConfiguration::builder().endpoint_type(EndpointType::Regional).build();
    bench.refused(rule, make(none).send().await, (400, BAD, "A certificate was not provided"))?;
    let elsewhere = "arn:aws:acm:eu-west-1:000000000000:certificate/1";
    let expected = (400, BAD, "Certificate must be in 'us-east-1'.");
    bench.refused(rule, make(regional(elsewhere)).send().await, expected)?;
    let missing = "arn:aws:acm:us-east-1:000000000000:certificate/1";
    let expected = (400, BAD, "The provided certificate does not exist");
    bench.refused(rule, make(regional(missing)).send().await, expected)?;
    make(regional(&certificate("certified.example.com").await?)).send().await?;
    let other = client.update_domain_name().domain_name("certified.example.com");
    bench.refused(rule, other.domain_name_configurations(regional(missing)).send().await, expected)
}

#[tokio::test]
async fn a_domain_name_is_updating_for_a_while_and_takes_nothing_meanwhile() -> Result<()> {
    let bench = bench(NEVER).await?;
    let client = Client::new(&bench.sdk);
    let certificate = certificate("slow.example.com").await?;
    let made = client.create_domain_name().domain_name("slow.example.com");
    let made = made.domain_name_configurations(regional(&certificate)).send().await?;
    let status = |configurations: &[DomainNameConfiguration]| -> Option<DomainNameStatus> {
        configurations.first()?.domain_name_status().cloned()
    };
    ensure_eq!(status(made.domain_name_configurations()), Some(DomainNameStatus::Updating), "the status");
    let found = client.get_domain_name().domain_name("slow.example.com").send().await?;
    ensure_eq!(
        status(found.domain_name_configurations()),
        Some(DomainNameStatus::Updating),
        "the status it is read with"
    );
    ensure_eq!(bench.gateway.count("domain-states"), 2, "answers that were put right");
    let expected = (409, "ConflictException", "is being updated");
    let change = client.update_domain_name().domain_name("slow.example.com");
    let change = change.domain_name_configurations(regional(&certificate)).send().await;
    bench.refused("domain-busy", change, expected)?;
    let map = client.create_api_mapping().domain_name("slow.example.com").api_id("a").stage("live").send().await;
    bench.refused("domain-busy", map, expected)
}

#[tokio::test]
async fn a_mapping_has_a_key_of_one_level() -> Result<()> {
    let bench = bench(AT_ONCE).await?;
    let client = Client::new(&bench.sdk);
    let call = client.create_api().name("mapped").protocol_type(ProtocolType::Websocket);
    let api = call.route_selection_expression("$request.body.action").send().await?.api_id.context("no id")?;
    client.create_stage().api_id(&api).stage_name("live").send().await?;
    let certificate = certificate("keys.example.com").await?;
    let call = client.create_domain_name().domain_name("keys.example.com");
    call.domain_name_configurations(regional(&certificate)).send().await?;
    let map = |key: &str| {
        let call = client.create_api_mapping().domain_name("keys.example.com").api_id(&api).stage("live");
        call.api_mapping_key(key).send()
    };
    let expected = (400, BAD, "may contain only letters, numbers and one of $-_.+!*'()");
    for key in ["a/b", "/a", "a b", &"k".repeat(301)] {
        bench.refused("mapping-key", map(key).await, expected)?;
    }
    let mapping = map("push-1.0").await?.api_mapping_id.context("no id")?;
    let change = client.update_api_mapping().domain_name("keys.example.com").api_mapping_id(mapping).api_id(&api);
    bench.refused("mapping-key", change.api_mapping_key("a/b").send().await, expected)
}

#[tokio::test]
async fn a_domain_name_is_made_and_deleted_once_in_thirty_seconds() -> Result<()> {
    let bench = bench(Pace { rate: Some(0.001), ..AT_ONCE }).await?;
    let client = Client::new(&bench.sdk);
    let certificate = certificate("rate.example.com").await?;
    let make =
        |name: &str| client.create_domain_name().domain_name(name).domain_name_configurations(regional(&certificate));
    let expected = || (429, "TooManyRequestsException", "Too Many Requests");
    make("rate.example.com").send().await?;
    bench.refused("api-rate", make("rate-2.example.com").send().await, expected())?;
    client.delete_domain_name().domain_name("rate.example.com").send().await?;
    let again = client.delete_domain_name().domain_name("rate.example.com").send().await;
    bench.refused("api-rate", again, expected())
}

#[tokio::test]
async fn a_record_lies_in_its_zone() -> Result<()> {
    let bench = bench(AT_ONCE).await?;
    let client = aws_sdk_route53::Client::new(&bench.sdk);
    let zone = client.create_hosted_zone().name("zone.example.com").caller_reference("zone").send().await?;
    let zone = zone.hosted_zone.context("no zone")?.id;
    let put = async |name: &str| -> Result<_> {
        let alias = AliasTarget::builder()
            .dns_name("d-1.execute-api.us-east-1.amazonaws.com")
            .hosted_zone_id("Z1")
            .evaluate_target_health(false)
            .build()?;
        let record = ResourceRecordSet::builder().name(name).r#type(RrType::A).alias_target(alias).build()?;
        let change = Change::builder().action(ChangeAction::Create).resource_record_set(record).build()?;
        let batch = ChangeBatch::builder().changes(change).build()?;
        Ok(client.change_resource_record_sets().hosted_zone_id(&zone).change_batch(batch).send().await)
    };
    let expected = (400, "InvalidChangeBatch", "RRSet with DNS name live.example.org. is not permitted in zone");
    bench.refused("record-in-its-zone", put("live.example.org").await?, expected)?;
    put("live.zone.example.com").await??;
    put("zone.example.com").await??;
    Ok(())
}
