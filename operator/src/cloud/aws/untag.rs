//! Taking our tags off: one call for each service, and what is forgotten with it.

use super::Aws;
use crate::cloud::CloudError;
use crate::plan::untag::Tagged;

impl Aws {
    pub(super) async fn untag(&self, tagged: &Tagged) -> Result<(), CloudError> {
        match tagged {
            Tagged::Table { arn, .. } => self.tables.untag(arn).await,
            Tagged::Queue { url, .. } => self.queues.untag(url).await,
            Tagged::Topic { arn, .. } => self.topics.untag(arn).await,
            Tagged::Role { name, .. } => self.roles.untag(name).await,
            Tagged::LogGroup { arn, .. } => self.log_groups.untag(arn).await,
            Tagged::Function { arn, .. } | Tagged::Source { arn, .. } => self.functions.untag(arn).await,
            Tagged::Domain { arn, .. } => self.domains.untag_ours(arn).await,
            Tagged::Api { arn } | Tagged::Stage { arn, .. } => self.gateway.untag(arn).await,
        }
    }
}
