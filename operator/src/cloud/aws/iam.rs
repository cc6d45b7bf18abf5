//! Roles in AWS IAM.

use std::collections::BTreeMap;

use aws_config::SdkConfig;
use aws_sdk_iam::Client;
use aws_sdk_iam::types::Tag;
use percent_encoding::percent_decode_str;
use sumu_contract::Function;

use super::answers::NoEmptyAnswers;
use super::calls::{CallCounter, remembered};
use super::denials::in_order;
use super::recent::{KNOWN_FOR, Recent};
use super::{absent, deleted, failed, unexpected};
use crate::cloud::CloudError;
use crate::desired::policy::Document;
use crate::desired::roles::POLICY_NAME;
use crate::observed::RoleState;
use crate::plan::step::RoleStep;
use crate::stack::name::{Names, Tags};

pub(super) struct Roles {
    pub(super) client: Client,
    /// The roles that we made lately and that IAM has not shown yet, by name. Otherwise they would be made again.
    made: Recent<RoleState>,
    /// Whole roles, for glances.
    known: Recent<Option<RoleState>>,
}

impl Roles {
    pub(super) fn new(config: &SdkConfig) -> Self {
        let config =
            aws_sdk_iam::config::Builder::from(config).interceptor(CallCounter).interceptor(NoEmptyAnswers).build();
        Self { client: Client::from_conf(config), made: Recent::default(), known: Recent::lasting(KNOWN_FOR) }
    }

    pub(super) async fn read(&self, names: &Names) -> Result<BTreeMap<Function, RoleState>, CloudError> {
        let found = in_order(Function::ALL.into_iter().map(|function| self.read_one(function, names))).await?;
        Ok(found.into_iter().flatten().collect())
    }

    async fn read_one(&self, function: Function, names: &Names) -> Result<Option<(Function, RoleState)>, CloudError> {
        let name = names.function(function);
        let role = remembered(&self.known, &name, self.read_whole(&name)).await?;
        Ok(role.map(|role| (function, role)))
    }

    async fn read_whole(&self, name: &str) -> Result<Option<RoleState>, CloudError> {
        let answer = self.client.get_role().role_name(name).send().await;
        let shown = match absent(answer.map_err(failed("GetRole", name)))? {
            None => self.made.get(name),
            Some(answer) => {
                // From now on, what is not shown is not there.
                self.made.forget(name);
                let role = answer.role.ok_or_else(|| unexpected("GetRole", name, "the answer has no role"))?;
                Some(RoleState {
                    tags: role.tags.unwrap_or_default().into_iter().map(|tag| (tag.key, tag.value)).collect(),
                    trust: document(role.assume_role_policy_document.as_deref().unwrap_or_default()),
                    policy: None,
                })
            }
        };
        let Some(shown) = shown else { return Ok(None) };
        let policy = self.client.get_role_policy().role_name(name).policy_name(POLICY_NAME).send().await;
        let policy = absent(policy.map_err(failed("GetRolePolicy", name)))?;
        let policy = policy.map(|policy| document(&policy.policy_document));
        Ok(Some(RoleState { policy, ..shown }))
    }

    pub(super) async fn tag(&self, name: &str, tags: &Tags) -> Result<(), CloudError> {
        let call = self.client.tag_role().role_name(name).set_tags(Some(sdk_tags(name, tags)?));
        call.send().await.map(drop).map_err(failed("TagRole", name))
    }

    pub(super) async fn untag(&self, name: &str, keys: &[String]) -> Result<(), CloudError> {
        let call = self.client.untag_role().role_name(name).set_tag_keys(Some(keys.to_vec()));
        call.send().await.map_err(failed("UntagRole", name))?;
        self.made.forget(name);
        Ok(())
    }

    pub(super) async fn apply(&self, step: &RoleStep) -> Result<(), CloudError> {
        match step {
            RoleStep::Create { name, trust, tags } => {
                let call = self
                    .client
                    .create_role()
                    .role_name(name)
                    .assume_role_policy_document(trust.text())
                    .set_tags(Some(sdk_tags(name, tags)?));
                call.send().await.map_err(failed("CreateRole", name))?;
                self.made.put(name, RoleState { tags: tags.clone(), trust: trust.clone(), policy: None });
                Ok(())
            }
            RoleStep::SetTrust { name, trust } => {
                let call = self.client.update_assume_role_policy().role_name(name).policy_document(trust.text());
                call.send().await.map(drop).map_err(failed("UpdateAssumeRolePolicy", name))
            }
            RoleStep::PutPolicy { name, policy } => {
                let call = self
                    .client
                    .put_role_policy()
                    .role_name(name)
                    .policy_name(POLICY_NAME)
                    .policy_document(policy.text());
                call.send().await.map(drop).map_err(failed("PutRolePolicy", name))
            }
            RoleStep::DeletePolicy { name } => {
                let call = self.client.delete_role_policy().role_name(name).policy_name(POLICY_NAME);
                deleted(call.send().await.map_err(failed("DeleteRolePolicy", name)))
            }
            RoleStep::Delete { name } => {
                deleted(self.client.delete_role().role_name(name).send().await.map_err(failed("DeleteRole", name)))?;
                self.made.forget(name);
                Ok(())
            }
        }
    }
}

/// IAM returns documents percent-encoded (RFC 3986).
fn document(text: &str) -> Document {
    Document::parse(&percent_decode_str(text).decode_utf8_lossy())
}

fn sdk_tags(resource: &str, tags: &Tags) -> Result<Vec<Tag>, CloudError> {
    tags.iter()
        .map(|(key, value)| Tag::builder().key(key).value(value).build())
        .collect::<Result<_, _>>()
        .map_err(|error| unexpected("TagRole", resource, error.to_string()))
}
