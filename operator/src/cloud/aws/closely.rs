//! What is looked at only when a stack ends: tags of event sources and stages, and live connections.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::{AttributeValue, Select};
use futures::future::try_join_all;
use jiff::Timestamp;
use sumu_contract::connection::DELETE_AT;

use super::apigateway::Gateway;
use super::dynamodb::Tables;
use super::lambda::Functions;
use super::{Aws, absent, failed};
use crate::cloud::CloudError;
use crate::desired::end::Closer;
use crate::observed::{Closely, Count, Observed};
use crate::stack::name::{Names, TableId, Tags};

/// How many connections are counted: more need no number.
const COUNT_MAX: u64 = 1000;

impl Aws {
    pub(super) async fn closely(
        &self,
        closer: Closer,
        names: &Names,
        observed: &Observed,
    ) -> Result<Closely, CloudError> {
        match closer {
            Closer::Tags => {
                let (sources, stages) = tokio::try_join!(
                    self.functions.source_tags(names, observed),
                    self.gateway.stage_tags(names, observed),
                )?;
                Ok(Closely { sources, stages, ..Closely::default() })
            }
            // Without an API nobody is connected, and a table that is coming or going cannot be read.
            Closer::Connections if observed.apis.is_empty() => Ok(Closely::default()),
            Closer::Connections => {
                let table = observed.tables.get(&TableId::Connections).filter(|table| table.is_active());
                let Some(_) = table else { return Ok(Closely::default()) };
                let connections = self.tables.live_connections(&names.table(TableId::Connections)).await?;
                Ok(Closely { connections, ..Closely::default() })
            }
        }
    }
}

impl Functions {
    /// The tags of the event sources that were seen. One that is gone meanwhile has none.
    async fn source_tags(&self, names: &Names, observed: &Observed) -> Result<BTreeMap<String, Tags>, CloudError> {
        let tags = observed.sources.iter().map(|source| async {
            let answer = self.client.list_tags().resource(names.source_arn(&source.uuid)).send().await;
            let answer = absent(answer.map_err(failed("ListTags", &source.uuid)))?;
            let tags = answer.and_then(|answer| answer.tags).unwrap_or_default().into_iter().collect();
            Ok::<_, CloudError>((source.uuid.clone(), tags))
        });
        Ok(try_join_all(tags).await?.into_iter().collect())
    }
}

impl Gateway {
    /// The tags of the stages that were seen.
    async fn stage_tags(&self, names: &Names, observed: &Observed) -> Result<BTreeMap<String, Tags>, CloudError> {
        let Some(api) = observed.api() else { return Ok(BTreeMap::new()) };
        let tags = api.stages.iter().map(|stage| async {
            let answer = self.client.get_tags().resource_arn(names.stage_arn(&api.id, &stage.name)).send().await;
            let answer = absent(answer.map_err(failed("GetTags", &stage.name)))?;
            let tags = answer.and_then(|answer| answer.tags).unwrap_or_default().into_iter().collect();
            Ok::<_, CloudError>((stage.name.clone(), tags))
        });
        Ok(try_join_all(tags).await?.into_iter().collect())
    }
}

impl Tables {
    /// How many rows of the connections table are of a connection that counts as open. Rows past their time stay for
    /// days, so there may be pages without any.
    async fn live_connections(&self, table: &str) -> Result<Count, CloudError> {
        let now = AttributeValue::N(Timestamp::now().as_second().to_string());
        let mut count: u64 = 0;
        let mut start = None;
        loop {
            let call = self
                .client
                .scan()
                .table_name(table)
                .select(Select::Count)
                .consistent_read(true)
                .filter_expression("#delete_at > :now")
                .expression_attribute_names("#delete_at", DELETE_AT)
                .expression_attribute_values(":now", now.clone())
                .set_exclusive_start_key(start);
            let answer = call.send().await.map_err(failed("Scan", table))?;
            count = count.saturating_add(u64::try_from(answer.count()).unwrap_or(0));
            start = answer.last_evaluated_key.filter(|key| !key.is_empty());
            match start {
                None => return Ok(Count::Exactly(count)),
                Some(_) if count >= COUNT_MAX => return Ok(Count::AtLeast(count)),
                Some(_) => {}
            }
        }
    }
}
