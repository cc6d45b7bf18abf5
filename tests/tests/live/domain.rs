//! A domain name of one's own: clients come by its host and path, it is shared, and what is not the stack's stays.

use aws_sdk_apigatewayv2::types::{DomainName, DomainNameConfiguration, EndpointType};
use aws_sdk_route53::types::{Change, ChangeAction, ChangeBatch, ResourceRecord, ResourceRecordSet, RrType};
use serde_json::{Value, json};
use sumu_tests::client::{Client, Credentials};
use sumu_tests::gateway::call::Service;
use sumu_tests::gateway::fault::{Act, Calls, Fault};
use sumu_tests::stack::{self, Stack, condition};
use sumu_tests::{Context, Result, certificate, ensure, ensure_eq, eventually};

use crate::permissions::limit_with_custom_domain;
use crate::scene::{Scene, scene, text};

/// How long it may take until a domain name is gone: API Gateway takes one such call in 30 s.
const GONE_WITHIN: std::time::Duration = std::time::Duration::from_mins(2);

/// What a scene has outside its stack: a name of its own, and a hosted zone for it.
struct Outside {
    name: String,
    zone: String,
    zones: aws_sdk_route53::Client,
    gateway: aws_sdk_apigatewayv2::Client,
}

impl Outside {
    async fn of(scene: &Scene) -> Result<Self> {
        let sdk = scene.sdk().await;
        let zones = aws_sdk_route53::Client::new(&sdk);
        let name = format!("{}.example.com", scene.namespace);
        let made = zones.create_hosted_zone().name(&name).caller_reference(&scene.namespace).send().await?;
        let zone = made.hosted_zone.context("no hosted zone")?.id.trim_start_matches("/hostedzone/").to_owned();
        Ok(Self { name: format!("live.{name}"), zone, zones, gateway: aws_sdk_apigatewayv2::Client::new(&sdk) })
    }

    async fn certificate(&self, scene: &Scene) -> Result<String> {
        certificate::issue(&scene.testbed.aws().endpoint(), &self.name).await
    }

    /// Makes the domain name, as somebody does who is no stack.
    async fn make(&self, scene: &Scene) -> Result<()> {
        let configuration = DomainNameConfiguration::builder()
            .endpoint_type(EndpointType::Regional)
            .certificate_arn(self.certificate(scene).await?)
            .build();
        self.gateway
            .create_domain_name()
            .domain_name(&self.name)
            .domain_name_configurations(configuration)
            .send()
            .await?;
        Ok(())
    }

    async fn domain(&self) -> Result<Option<DomainName>> {
        let listed = self.gateway.get_domain_names().max_results("500").send().await?.items.unwrap_or_default();
        Ok(listed.into_iter().find(|found| found.domain_name.as_ref() == Some(&self.name)))
    }

    /// The keys under which something is mapped, with the APIs.
    async fn mappings(&self) -> Result<Vec<(String, String)>> {
        let listed = self.gateway.get_api_mappings().domain_name(&self.name).send().await?.items.unwrap_or_default();
        let pair = |found: aws_sdk_apigatewayv2::types::ApiMapping| {
            (found.api_mapping_key.unwrap_or_default(), found.api_id.unwrap_or_default())
        };
        let mut pairs: Vec<_> = listed.into_iter().map(pair).collect();
        pairs.sort_unstable();
        Ok(pairs)
    }

    /// The records of the name: type, and where they lead.
    async fn records(&self) -> Result<Vec<(String, String)>> {
        let listed = self.zones.list_resource_record_sets().hosted_zone_id(&self.zone).send().await?;
        let ours = listed.resource_record_sets.iter().filter(|found| found.name.trim_end_matches('.') == self.name);
        let leads = |found: &ResourceRecordSet| match &found.alias_target {
            Some(alias) => alias.dns_name.trim_end_matches('.').to_owned(),
            None => found.resource_records().iter().map(|record| record.value.clone()).collect(),
        };
        Ok(ours.map(|found| (found.r#type.to_string(), leads(found))).collect())
    }

    /// Makes or deletes a record of somebody's own.
    async fn record(&self, action: ChangeAction) -> Result<()> {
        let value = ResourceRecord::builder().value("192.0.2.1").build()?;
        let record =
            ResourceRecordSet::builder().name(&self.name).r#type(RrType::A).ttl(60).resource_records(value).build()?;
        let change = Change::builder().action(action).resource_record_set(record).build()?;
        let batch = ChangeBatch::builder().changes(change).build()?;
        self.zones.change_resource_record_sets().hosted_zone_id(&self.zone).change_batch(batch).send().await?;
        Ok(())
    }
}

/// Connects where the URL leads once DNS has its name: to the front.
async fn connect(scene: &Scene, url: &str) -> Result<Client> {
    let token = scene.testbed.issuer().token("alice").sign()?;
    Client::connect_at(scene.testbed.front().authority(), url, Credentials::Query(&token)).await
}

async fn push(scene: &Scene, status: &Value, client: &mut Client, data: &str) -> Result<()> {
    let request = json!({"users": ["alice"], "data": data}).to_string();
    scene.backend()?.publish(text(status, "/notifications/topicArn")?, &request).await?;
    ensure_eq!(client.next().await?, json!(data), "the push");
    Ok(())
}

#[test]
fn clients_come_by_a_domain_name_of_the_stacks_own_until_it_is_taken_away() -> Result<()> {
    scene("domain").resync_seconds(2).play_from_the_start(async |scene| {
        let outside = Outside::of(scene).await?;
        limit_with_custom_domain(scene, &outside.zone)?;
        scene.change(&json!({"gateway": {"customDomain": {
            "domainName": outside.name,
            "certificateArn": outside.certificate(scene).await?,
            "path": "push",
            "hostedZoneId": outside.zone,
        }}}));
        scene.apply().await?;
        scene.ready().await?;
        let url = format!("wss://{}/push", outside.name);
        ensure_eq!(scene.text("/endpoint")?, url, "where clients connect");
        let domain = outside.domain().await?.context("no domain name")?;
        let target = domain.domain_name_configurations()[0].api_gateway_domain_name().context("no target")?;
        ensure_eq!(scene.text("/customDomain/domainName")?, outside.name, "the domain name");
        ensure_eq!(scene.text("/customDomain/target")?, target, "the target");
        let zone = domain.domain_name_configurations()[0].hosted_zone_id().context("no hosted zone of the target")?;
        ensure_eq!(scene.text("/customDomain/hostedZoneId")?, zone, "the hosted zone of the target");
        let records = [("A".to_owned(), target.to_owned()), ("AAAA".to_owned(), target.to_owned())];
        ensure_eq!(outside.records().await?, records, "the records");
        let tagged = domain.tags().and_then(|tags| tags.get("sumu.live/stack"));
        ensure_eq!(tagged, Some(&format!("{}/live", scene.namespace)), "the tag of the domain name");

        let mut alice = connect(scene, &url).await?;
        alice.ping().await?;
        push(scene, &scene.status, &mut alice, "by the name").await?;
        let token = scene.testbed.issuer().token("alice").sign()?;
        let elsewhere = format!("wss://{}/other", outside.name);
        let front = scene.testbed.front();
        let refused = Client::refused_at(front.authority(), &elsewhere, Credentials::Query(&token)).await?;
        ensure_eq!(refused, 403, "the status under a path that is not mapped");

        for pass in scene.more_passes(2).await? {
            ensure!(pass.settled && pass.aws_writes == 0, "not quiet: {}", pass.line);
            ensure!(pass.aws_reads <= crate::totals::READS_MAX + 3, "{} reads in {}", pass.aws_reads, pass.line);
        }

        scene.edit(json!({"gateway": {"customDomain": null}})).await?;
        ensure!(outside.domain().await?.is_none(), "the domain name is still there");
        ensure_eq!(outside.records().await?, [], "the records that are left");
        let needed = scene.testbed.aws().gateway().needed(scene.key());
        let of_records = needed.iter().filter(|action| action.starts_with("route53:")).count();
        ensure_eq!(of_records, 2, "rights on records that it needed: {needed:?}");
        ensure!(scene.status["customDomain"].is_null(), "it is still told: {}", scene.status["customDomain"]);
        let own = front.websocket_url(scene.text("/apiId")?, scene.text("/stageName")?);
        ensure_eq!(scene.text("/endpoint")?, own, "where clients connect without it");
        push(scene, &scene.status, &mut alice, "who is connected stays").await
    })
}

#[test]
fn a_domain_name_goes_with_its_stack_and_what_is_not_the_stacks_stays() -> Result<()> {
    scene("lone").play_from_the_start(async |scene| {
        let outside = Outside::of(scene).await?;
        outside.record(ChangeAction::Create).await?;
        scene.change(&json!({"gateway": {"customDomain": {
            "domainName": outside.name,
            "certificateArn": "arn:aws:acm:us-east-1:000000000000:certificate/none",
            "hostedZoneId": outside.zone,
        }}}));
        scene.apply().await?;
        told(scene, "Rejected", "The provided certificate does not exist").await?;

        let certificate = outside.certificate(scene).await?;
        scene.stack.patch(&json!({"spec": {"gateway": {"customDomain": {"certificateArn": certificate}}}})).await?;
        told(scene, "OwnershipConflict", "record A of").await?;
        ensure_eq!(outside.records().await?, [("A".to_owned(), "192.0.2.1".to_owned())], "somebody else's record");

        outside.record(ChangeAction::Delete).await?;
        look_again(scene, "now").await?;
        scene.ready().await?;
        ensure_eq!(outside.records().await?.len(), 2, "records");
        ensure_eq!(scene.text("/endpoint")?, format!("wss://{}", outside.name), "where clients connect");
        connect(scene, &format!("wss://{}", outside.name)).await?.ping().await?;

        let denied = Act::refuse(403, "AccessDenied", "not authorized to perform: route53:ListResourceRecordSets");
        let look = Calls::Operation(Service::Route53, "ListResourceRecordSets");
        let fault = scene.testbed.aws().gateway().inject(Fault::of(look, denied).by(scene.key()));
        scene.stack.delete().await?;
        let what = "the deletion to wait for a look at the records";
        scene
            .until(what, |object| {
                let ready = condition(object, "Ready").context("no condition Ready")?;
                ensure_eq!(ready["reason"], json!("AccessDenied"), "{ready}");
                ensure!(text(ready, "/message")?.contains("route53:ListResourceRecordSets"), "{ready}");
                Ok(())
            })
            .await?;
        ensure!(outside.domain().await?.is_some(), "the domain name is gone before its records are");
        fault.end();
        look_again(scene, "then").await?;
        scene.stack.gone_within(GONE_WITHIN).await?;
        ensure!(outside.domain().await?.is_none(), "the domain name is still there");
        ensure_eq!(outside.records().await?, [], "the records that are left");
        Ok(())
    })
}

/// Asks for a look at once.
async fn look_again(scene: &Scene, when: &str) -> Result<()> {
    scene.stack.patch(&json!({"metadata": {"annotations": {"sumu.live/reconcile-requested-at": when}}})).await
}

/// Waits until the custom domain's condition has a reason and a part of its sentence.
async fn told(scene: &Scene, reason: &str, sentence: &str) -> Result<()> {
    let what = format!("the condition CustomDomain to say {reason}");
    scene
        .until(&what, |object| {
            let domain = condition(object, "CustomDomain").context("no condition CustomDomain")?;
            ensure_eq!(domain["reason"], json!(reason), "{domain}");
            ensure!(text(domain, "/message")?.contains(sentence), "{domain}");
            Ok(())
        })
        .await
        .map(drop)
}

#[test]
fn stacks_share_a_domain_name_that_is_nobodys_and_leave_it_as_it_was() -> Result<()> {
    scene("share").play_from_the_start(async |scene| {
        let outside = Outside::of(scene).await?;
        scene.change(&json!({"gateway": {"customDomain": {"domainName": outside.name, "path": "one"}}}));
        scene.apply().await?;
        told(scene, "Missing", "does not exist").await?;
        outside.make(scene).await?;
        look_again(scene, "now").await?;
        scene.ready().await?;

        let mut manifest = stack::manifest(scene.testbed, &scene.namespace, "two");
        manifest["spec"]["gateway"] = json!({"customDomain": {"domainName": outside.name, "path": "one"}});
        let second = Stack::apply(scene.testbed, &manifest).await?;
        eventually(stack::SETTLED_WITHIN, "the second stack to find the path taken", async || {
            let object = second.object().await?;
            let domain = condition(&object, "CustomDomain").context("no condition CustomDomain")?;
            ensure_eq!(domain["reason"], json!("OwnershipConflict"), "{domain}");
            Ok(())
        })
        .await?;
        second.patch(&json!({"spec": {"gateway": {"customDomain": {"path": "two"}}}})).await?;
        let other = second.ready().await?;

        for (status, path) in [(&scene.status, "one"), (&other, "two")] {
            let url = format!("wss://{}/{path}", outside.name);
            ensure_eq!(text(status, "/endpoint")?, url, "where clients connect");
            push(scene, status, &mut connect(scene, &url).await?, path).await?;
        }
        second.delete().await?;
        second.gone().await?;
        let ours = [("one".to_owned(), scene.text("/apiId")?.to_owned())];
        ensure_eq!(outside.mappings().await?, ours, "the mappings that are left");
        scene.delete().await?;
        ensure_eq!(outside.mappings().await?, [], "the mappings that are left");
        ensure!(outside.domain().await?.is_some(), "somebody else's domain name was deleted");
        Ok(())
    })
}
