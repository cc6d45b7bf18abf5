//! Alias records in Amazon Route 53, a service of the whole partition: the SDK knows its endpoint and signs for the
//! region that it is in, whatever region the stack is in.

use aws_config::SdkConfig;
use aws_sdk_route53::Client;
use aws_sdk_route53::error::BuildError;
use aws_sdk_route53::types::{AliasTarget, Change, ChangeAction, ChangeBatch, ResourceRecordSet, RrType};

use super::answers::{NoEmptyAnswers, Pages};
use super::calls::CallCounter;
use super::{absent, failed, unexpected};
use crate::cloud::CloudError;
use crate::observed::domain::{Alias, RecordState};
use crate::plan::step::Record;

pub(super) struct Zones {
    client: Client,
}

impl Zones {
    pub(super) fn new(config: &SdkConfig) -> Self {
        let config =
            aws_sdk_route53::config::Builder::from(config).interceptor(CallCounter).interceptor(NoEmptyAnswers).build();
        Self { client: Client::from_conf(config) }
    }

    /// The records that decide where a name leads; nothing when there is no such hosted zone.
    pub(super) async fn records(&self, zone_id: &str, name: &str) -> Result<Option<Vec<RecordState>>, CloudError> {
        const OPERATION: &str = "ListResourceRecordSets";
        let resource = format!("{name} in hosted zone {zone_id}");
        let mut pages = Pages::of(OPERATION, resource.clone());
        let first = self.client.list_resource_record_sets().hosted_zone_id(zone_id).start_record_name(name);
        let (mut call, mut records) = (first.clone(), Vec::new());
        loop {
            let Some(answer) = absent(call.send().await.map_err(failed(OPERATION, &resource)))? else {
                return Ok(None);
            };
            // They come in the order of their names, beginning with this one.
            records.extend(
                answer.resource_record_sets.iter().filter(|found| is_named(&found.name, name)).filter_map(state),
            );
            let next = answer.next_record_name.filter(|next| answer.is_truncated && is_named(next, name));
            let (kind, identifier) = (answer.next_record_type, answer.next_record_identifier);
            let token = next.map(|next| format!("{next} {kind:?} {identifier:?}"));
            if pages.after(token)?.is_none() {
                return Ok(Some(records));
            }
            call = first.clone().set_start_record_type(kind).set_start_record_identifier(identifier);
        }
    }

    /// Removes and adds records, all of them or none. One that should be removed must be there exactly so, and none may
    /// be there where one is added: so nothing is overwritten, also not what came after the look.
    pub(super) async fn change(
        &self,
        zone_id: &str,
        name: &str,
        remove: &[Record],
        add: &[Record],
    ) -> Result<(), CloudError> {
        const OPERATION: &str = "ChangeResourceRecordSets";
        let resource = format!("{name} in hosted zone {zone_id}");
        let incomplete = |error: BuildError| unexpected(OPERATION, &resource, error.to_string());
        let remove = remove.iter().map(|record| change(ChangeAction::Delete, name, record));
        let add = add.iter().map(|record| change(ChangeAction::Create, name, record));
        let changes = remove.chain(add).collect::<Result<Vec<_>, _>>().map_err(incomplete)?;
        let batch = ChangeBatch::builder().set_changes(Some(changes)).build().map_err(incomplete)?;
        let call = self.client.change_resource_record_sets().hosted_zone_id(zone_id).change_batch(batch);
        call.send().await.map(drop).map_err(failed(OPERATION, resource))
    }
}

fn change(action: ChangeAction, name: &str, record: &Record) -> Result<Change, BuildError> {
    let alias = AliasTarget::builder()
        .dns_name(&record.alias.target)
        .hosted_zone_id(&record.alias.zone_id)
        .evaluate_target_health(false)
        .build()?;
    let records = ResourceRecordSet::builder()
        .name(name)
        .r#type(RrType::from(record.kind.as_str()))
        .alias_target(alias)
        .build()?;
    Change::builder().action(action).resource_record_set(records).build()
}

/// Of the types that decide where a name leads; the others may stand beside them.
fn state(found: &ResourceRecordSet) -> Option<RecordState> {
    let kind = found.r#type.as_str();
    if !["A", "AAAA", "CNAME"].contains(&kind) {
        return None;
    }
    let plain = found.alias_target.as_ref().filter(|alias| {
        found.set_identifier.is_none() && found.health_check_id.is_none() && !alias.evaluate_target_health
    });
    let alias = plain.map(|alias| Alias {
        target: without_dot(&alias.dns_name).to_ascii_lowercase(),
        zone_id: alias.hosted_zone_id.clone(),
    });
    Some(RecordState { kind: kind.to_owned(), alias })
}

fn is_named(found: &str, name: &str) -> bool {
    without_dot(found).eq_ignore_ascii_case(name)
}

/// Route 53 writes names out, with the dot of the root.
fn without_dot(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A set of records as Route 53 lists it.
    fn listed(kind: RrType, evaluates: bool) -> aws_sdk_route53::types::builders::ResourceRecordSetBuilder {
        let alias = AliasTarget::builder()
            .dns_name("D-1.execute-api.eu-west-1.amazonaws.com.")
            .hosted_zone_id("Z1")
            .evaluate_target_health(evaluates);
        ResourceRecordSet::builder().name("live.example.com.").r#type(kind).set_alias_target(alias.build().ok())
    }

    fn read(builder: aws_sdk_route53::types::builders::ResourceRecordSetBuilder) -> Option<RecordState> {
        state(&builder.build().unwrap())
    }

    #[test]
    fn only_a_plain_alias_can_be_ours() {
        let alias = Alias { target: "d-1.execute-api.eu-west-1.amazonaws.com".into(), zone_id: "Z1".into() };
        let plain = read(listed(RrType::A, false)).unwrap();
        assert_eq!((plain.kind.as_str(), plain.alias), ("A", Some(alias)));
        let others = [
            read(listed(RrType::A, true)),
            read(listed(RrType::Aaaa, false).set_identifier("weighted").weight(1)),
            read(listed(RrType::A, false).health_check_id("h")),
            read(ResourceRecordSet::builder().name("live.example.com.").r#type(RrType::Cname)),
        ];
        assert!(others.iter().all(|found| found.as_ref().is_some_and(|found| found.alias.is_none())), "{others:?}");
        assert_eq!(read(ResourceRecordSet::builder().name("live.example.com.").r#type(RrType::Txt)), None);
    }

    #[test]
    fn a_name_is_the_same_with_and_without_the_dot_of_the_root() {
        assert!(is_named("live.example.com.", "live.example.com") && is_named("Live.example.com", "live.example.com"));
        assert!(!is_named("a.live.example.com.", "live.example.com"));
    }
}
