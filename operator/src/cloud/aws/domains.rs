//! Custom domains: domain names and API mappings in Amazon API Gateway v2. Their records are in [`super::route53`].
//!
//! A call that makes, changes or deletes a domain name is accepted once in 30 s for a whole account. So none is repeated
//! by the SDK, and each waits for its turn ([`super::rates`]).

use aws_config::SdkConfig;
use aws_sdk_apigatewayv2::Client;
use aws_sdk_apigatewayv2::types::{
    ApiMapping, DomainName, DomainNameConfiguration, DomainNameStatus, EndpointType, SecurityPolicy,
};

use super::answers::Pages;
use super::apigateway::{never_repeated, sdk_tags};
use super::apigateway_read::{all_items, tags};
use super::route53::Zones;
use super::{deleted, failed, unexpected};
use crate::cloud::{CloudError, Kind};
use crate::observed::ApiState;
use crate::observed::domain::{DomainState, Domains as Observed, MappingState, ZoneState};
use crate::plan::step::DomainStep;
use crate::stack::name::{Names, Owner, Tags};
use crate::stack::note::Notes;

pub(super) struct Domains {
    client: Client,
    zones: Zones,
}

impl Domains {
    /// `client` is the one for the APIs.
    pub(super) fn new(config: &SdkConfig, client: Client) -> Self {
        Self { client, zones: Zones::new(config) }
    }

    /// The domain names that are the owner's or that the owner's API notes, with everything that leads there.
    ///
    /// What has a custom domain has an API that notes it, so that only without an API, or with notes, there can be one.
    pub(super) async fn read(&self, apis: &[ApiState], names: &Names, owner: &Owner) -> Result<Observed, CloudError> {
        let notes = apis.first().map(|api| Notes::of(&api.tags)).unwrap_or_default();
        if !apis.is_empty() && notes.is_empty() {
            return Ok(Observed::default());
        }
        let found = match Box::pin(self.names(apis, &notes, names, owner)).await {
            Err(error) if error.kind == Kind::Denied => {
                return Ok(Observed { denied: Some(error.to_string()), ..Observed::default() });
            }
            found => found?,
        };
        let mut observed = Observed { names: found.into_iter().collect(), ..Observed::default() };
        for name in notes.domains() {
            for (zone, _) in notes.zones(name) {
                let state = match Box::pin(self.zones.records(zone, name)).await {
                    Ok(Some(records)) => ZoneState::Records(records),
                    Ok(None) => ZoneState::Absent,
                    Err(error) if error.kind == Kind::Denied => ZoneState::Denied(error.to_string()),
                    Err(error) => return Err(error),
                };
                observed.zones.insert((name.clone(), zone.clone()), state);
            }
        }
        Ok(observed)
    }

    async fn names(
        &self,
        apis: &[ApiState],
        notes: &Notes,
        names: &Names,
        owner: &Owner,
    ) -> Result<Vec<(String, DomainState)>, CloudError> {
        let listed = all_items!(self.client.get_domain_names().max_results("100"), "GetDomainNames", names.prefix());
        let mut found = Vec::new();
        for listed in listed {
            let name = listed.domain_name.clone().unwrap_or_default();
            let mut state = state(listed, owner);
            if state.is_ours || notes.has(&name) {
                state.mappings = Box::pin(self.mappings(&name, apis)).await?;
                found.push((name, state));
            }
        }
        Ok(found)
    }

    async fn mappings(&self, name: &str, apis: &[ApiState]) -> Result<Vec<MappingState>, CloudError> {
        let call = self.client.get_api_mappings().domain_name(name).max_results("100");
        let listed = all_items!(call.clone(), "GetApiMappings", name);
        let mut found: Vec<MappingState> = listed.into_iter().map(|listed| mapping(listed, apis)).collect();
        found.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(found)
    }

    pub(super) async fn apply(&self, step: &DomainStep) -> Result<(), CloudError> {
        match step {
            DomainStep::Note { api_arn, tags } => Box::pin(self.tag(api_arn, tags)).await,
            DomainStep::Forget { api_arn, keys } => Box::pin(self.untag(api_arn, keys)).await,
            DomainStep::Create { name, certificate_arn, tags } => {
                Box::pin(self.create(name, certificate_arn, tags)).await
            }
            DomainStep::SetCertificate { name, certificate_arn } => Box::pin(self.update(name, certificate_arn)).await,
            DomainStep::Delete { name } => Box::pin(self.delete(name)).await,
            DomainStep::Map { name, key, api_id, stage } => Box::pin(self.map(name, key, api_id, stage)).await,
            DomainStep::SetStage { name, id, key, api_id, stage } => {
                Box::pin(self.set_stage((name, id), key, api_id, stage)).await
            }
            DomainStep::Unmap { name, id, key } => Box::pin(self.unmap(name, id, key)).await,
            DomainStep::ChangeRecords { name, zone_id, remove, add } => {
                Box::pin(self.zones.change(zone_id, name, remove, add)).await
            }
        }
    }

    async fn tag(&self, arn: &str, tags: &Tags) -> Result<(), CloudError> {
        let call = self.client.tag_resource().resource_arn(arn).set_tags(Some(sdk_tags(tags)));
        call.send().await.map(drop).map_err(failed("TagResource", arn))
    }

    async fn untag(&self, arn: &str, keys: &[String]) -> Result<(), CloudError> {
        let call = self.client.untag_resource().resource_arn(arn).set_tag_keys(Some(keys.to_vec()));
        deleted(call.send().await.map_err(failed("UntagResource", arn)))
    }

    async fn create(&self, name: &str, certificate_arn: &str, tags: &Tags) -> Result<(), CloudError> {
        let call = self
            .client
            .create_domain_name()
            .domain_name(name)
            .domain_name_configurations(configuration(certificate_arn))
            .set_tags(Some(sdk_tags(tags)))
            .customize()
            .config_override(never_repeated());
        let answer = call.send().await.map(drop).map_err(failed("CreateDomainName", name));
        answer.map_err(|mut error| {
            // It is not in the list, so it is not this account's, or will be listed by the next look.
            if error.kind == Kind::AlreadyExists {
                error.kind = Kind::Rejected;
                error.message.push_str(" If it is in another account or region, delete it there first.");
            }
            error
        })
    }

    async fn update(&self, name: &str, certificate_arn: &str) -> Result<(), CloudError> {
        let call = self.client.update_domain_name().domain_name(name);
        let call = call.domain_name_configurations(configuration(certificate_arn)).customize();
        let call = call.config_override(never_repeated());
        call.send().await.map(drop).map_err(failed("UpdateDomainName", name))
    }

    async fn delete(&self, name: &str) -> Result<(), CloudError> {
        let call = self.client.delete_domain_name().domain_name(name).customize();
        deleted(call.config_override(never_repeated()).send().await.map_err(failed("DeleteDomainName", name)))
    }

    async fn map(&self, name: &str, key: &str, api_id: &str, stage: &str) -> Result<(), CloudError> {
        let call = self.client.create_api_mapping().domain_name(name).api_id(api_id).stage(stage);
        let call = call.set_api_mapping_key((!key.is_empty()).then(|| key.to_owned()));
        call.send().await.map(drop).map_err(failed("CreateApiMapping", format!("{name}/{key}")))
    }

    async fn set_stage(
        &self,
        (name, id): (&str, &str),
        key: &str,
        api_id: &str,
        stage: &str,
    ) -> Result<(), CloudError> {
        let call = self.client.update_api_mapping().domain_name(name).api_mapping_id(id).api_id(api_id);
        let call = call.api_mapping_key(key).stage(stage);
        call.send().await.map(drop).map_err(failed("UpdateApiMapping", format!("{name}/{key}")))
    }

    async fn unmap(&self, name: &str, id: &str, key: &str) -> Result<(), CloudError> {
        let answer = self.client.delete_api_mapping().domain_name(name).api_mapping_id(id).send().await;
        deleted(answer.map_err(failed("DeleteApiMapping", format!("{name}/{key}"))))
    }
}

fn configuration(certificate_arn: &str) -> DomainNameConfiguration {
    DomainNameConfiguration::builder()
        .certificate_arn(certificate_arn)
        // WebSocket APIs have no others.
        .endpoint_type(EndpointType::Regional)
        .security_policy(SecurityPolicy::Tls12)
        .build()
}

fn state(listed: DomainName, owner: &Owner) -> DomainState {
    let tags = tags(listed.tags.as_ref());
    let configuration = listed.domain_name_configurations.unwrap_or_default().into_iter().next();
    let configuration = configuration.unwrap_or_else(|| DomainNameConfiguration::builder().build());
    let status = configuration.domain_name_status.as_ref().map_or("", DomainNameStatus::as_str).to_owned();
    DomainState {
        is_ours: owner.owns(&tags),
        tags,
        status,
        status_message: configuration.domain_name_status_message,
        certificate_arn: configuration.certificate_arn,
        target: configuration.api_gateway_domain_name.unwrap_or_default(),
        target_zone_id: configuration.hosted_zone_id.unwrap_or_default(),
        mappings: Vec::new(),
    }
}

fn mapping(listed: ApiMapping, apis: &[ApiState]) -> MappingState {
    let api_id = listed.api_id.unwrap_or_default();
    MappingState {
        id: listed.api_mapping_id.unwrap_or_default(),
        key: listed.api_mapping_key.filter(|key| key != "(none)").unwrap_or_default(),
        is_ours: apis.iter().any(|api| api.id == api_id),
        api_id,
        stage: listed.stage.unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::name::OWNER_TAG;

    #[test]
    fn a_domain_name_is_ours_by_its_tag_and_a_mapping_by_the_api_that_it_leads_to() {
        let owner = Owner { uid: "uid".into(), namespace: "n".into(), name: "s".into() };
        let listed = |uid: &str| {
            let configuration = DomainNameConfiguration::builder()
                .domain_name_status(DomainNameStatus::PendingOwnershipVerification)
                .api_gateway_domain_name("d-1.execute-api.eu-west-1.amazonaws.com")
                .hosted_zone_id("Z1");
            let tags = std::collections::HashMap::from([(OWNER_TAG.to_owned(), uid.to_owned())]);
            DomainName::builder().domain_name_configurations(configuration.build()).set_tags(Some(tags)).build()
        };
        let ours = state(listed("uid"), &owner);
        assert!(ours.is_ours && !ours.is_available());
        assert_eq!(ours.status, "PENDING_OWNERSHIP_VERIFICATION");
        assert_eq!([ours.target.as_str(), &ours.target_zone_id], ["d-1.execute-api.eu-west-1.amazonaws.com", "Z1"]);
        assert!(!state(listed("another"), &owner).is_ours);
        assert!(!state(DomainName::builder().build(), &owner).is_ours);

        let apis = [ApiState { id: "ours".into(), ..ApiState::default() }];
        let found =
            |api: &str, key: &str| mapping(ApiMapping::builder().api_id(api).api_mapping_key(key).build(), &apis);
        assert!(found("ours", "push").is_ours && !found("theirs", "push").is_ours);
        assert_eq!(found("ours", "(none)").key, "", "as REST APIs call the root");
    }
}
