//! Setting tags and taking them off: two calls for each service, and what is forgotten with them.

use super::Aws;
use crate::cloud::CloudError;
use crate::plan::tagged::Tagged;
use crate::stack::name::Tags;

impl Aws {
    pub(super) async fn tag(&self, tagged: &Tagged, tags: &Tags) -> Result<(), CloudError> {
        match tagged {
            Tagged::Table { arn, .. } => self.tables.tag(arn, tags).await,
            Tagged::Queue { url, .. } => self.queues.tag(url, tags).await,
            Tagged::Topic { arn, .. } => self.topics.tag(arn, tags).await,
            Tagged::Role { name, .. } => self.roles.tag(name, tags).await,
            Tagged::LogGroup { arn, .. } => self.log_groups.tag(arn, tags).await,
            Tagged::Function { arn, .. } | Tagged::Source { arn, .. } => self.functions.tag(arn, tags).await,
            Tagged::Consumer { arn, .. } => self.functions.tag_consumer(arn, tags).await,
            Tagged::Api { arn } | Tagged::Stage { arn, .. } | Tagged::Domain { arn, .. } => {
                self.gateway.tag(arn, tags).await
            }
        }
    }

    pub(super) async fn untag(&self, tagged: &Tagged, keys: &[String]) -> Result<(), CloudError> {
        match tagged {
            Tagged::Table { arn, .. } => self.tables.untag(arn, keys).await,
            Tagged::Queue { url, .. } => self.queues.untag(url, keys).await,
            Tagged::Topic { arn, .. } => self.topics.untag(arn, keys).await,
            Tagged::Role { name, .. } => self.roles.untag(name, keys).await,
            Tagged::LogGroup { arn, .. } => self.log_groups.untag(arn, keys).await,
            Tagged::Function { arn, .. } | Tagged::Source { arn, .. } => self.functions.untag(arn, keys).await,
            Tagged::Consumer { arn, .. } => self.functions.untag_consumer(arn, keys).await,
            Tagged::Api { arn } | Tagged::Stage { arn, .. } | Tagged::Domain { arn, .. } => {
                self.gateway.untag(arn, keys).await
            }
        }
    }
}
