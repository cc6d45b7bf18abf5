//! Queues in Amazon SQS.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use aws_config::SdkConfig;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::QueueAttributeName;

use super::answers::NoEmptyAnswers;
use super::calls::CallCounter;
use super::denials::in_order;
use super::recent::{Recent, TAGS_READ_EVERY};
use super::{absent, deleted, failed, unexpected};
use crate::cloud::CloudError;
use crate::observed::QueueState;
use crate::plan::step::QueueStep;
use crate::stack::name::{Names, QueueId, Tags};

pub(super) struct Queues {
    client: Client,
    /// A queue's URL never changes while its name does not: this saves a read a queue at every pass.
    urls: Mutex<BTreeMap<String, String>>,
    /// Attributes that we wrote lately, by URL and name: each has its own minute.
    written: Recent<String>,
    /// The queues that we made lately and that SQS has not shown yet, by name. Otherwise they would be made again, and
    /// be gone from the status meanwhile.
    made: Recent<QueueState>,
    /// Tags of the queues that only we use, by URL.
    tags: Recent<Tags>,
}

impl Queues {
    pub(super) fn new(config: &SdkConfig) -> Self {
        let config =
            aws_sdk_sqs::config::Builder::from(config).interceptor(CallCounter).interceptor(NoEmptyAnswers).build();
        Self {
            client: Client::from_conf(config),
            urls: Mutex::default(),
            written: Recent::default(),
            made: Recent::default(),
            tags: Recent::lasting(TAGS_READ_EVERY),
        }
    }

    pub(super) async fn read(&self, names: &Names) -> Result<BTreeMap<QueueId, QueueState>, CloudError> {
        // That of subscriptions is looked for by itself, when there can be one.
        let ids = QueueId::ALL.iter().filter(|id| **id != QueueId::SubscriptionsDeadLetters);
        let found = in_order(ids.map(|id| self.read_one(*id, names))).await?;
        Ok(found.into_iter().flatten().collect())
    }

    pub(super) fn forget_tags(&self, names: &Names) {
        let urls = lock(&self.urls);
        for url in QueueId::ALL.iter().filter_map(|id| urls.get(&names.queue(*id))) {
            self.tags.forget(url);
        }
    }

    pub(super) async fn read_one(
        &self,
        id: QueueId,
        names: &Names,
    ) -> Result<Option<(QueueId, QueueState)>, CloudError> {
        let name = names.queue(id);
        let Some(url) = self.url(&name).await? else { return Ok(self.unshown(id, &name)) };
        let attributes = self.client.get_queue_attributes().queue_url(&url).attribute_names(QueueAttributeName::All);
        let attributes = attributes.send().await.map_err(failed("GetQueueAttributes", &name));
        let Some(attributes) = absent(attributes)? else {
            lock(&self.urls).remove(&name);
            self.tags.forget(&url);
            return Ok(self.unshown(id, &name));
        };
        let Some(mut tags) = self.tags_of(id, &name, &url).await? else { return Ok(self.unshown(id, &name)) };
        let shown = attributes.attributes.unwrap_or_default().into_iter();
        let mut shown: BTreeMap<String, String> = shown.map(|(key, value)| (key.as_str().to_owned(), value)).collect();
        shown.extend(self.written.of(&written(&url, "")));
        if tags.is_empty() {
            tags = self.made.get(&name).map(|made| made.tags).unwrap_or_default();
        } else {
            // From now on, what is not shown is not there.
            self.made.forget(&name);
        }
        let state = QueueState { tags, attributes: shown, url };
        Ok(Some((id, state)))
    }

    /// The queue as we have just made it.
    fn unshown(&self, id: QueueId, name: &str) -> Option<(QueueId, QueueState)> {
        self.made.get(name).map(|made| (id, made))
    }

    async fn tags_of(&self, id: QueueId, name: &str, url: &str) -> Result<Option<Tags>, CloudError> {
        let is_for_users = matches!(id, QueueId::Notifications | QueueId::Messages);
        if let Some(tags) = self.tags.get(url).filter(|_| !is_for_users) {
            return Ok(Some(tags));
        }
        let answer = self.client.list_queue_tags().queue_url(url).send().await;
        let Some(answer) = absent(answer.map_err(failed("ListQueueTags", name)))? else { return Ok(None) };
        let tags: Tags = answer.tags.unwrap_or_default().into_iter().collect();
        if !tags.is_empty() {
            self.tags.put(url, tags.clone());
        }
        Ok(Some(tags))
    }

    async fn url(&self, name: &str) -> Result<Option<String>, CloudError> {
        if let Some(url) = lock(&self.urls).get(name) {
            return Ok(Some(url.clone()));
        }
        let answer = self.client.get_queue_url().queue_name(name).send().await;
        let Some(answer) = absent(answer.map_err(failed("GetQueueUrl", name)))? else { return Ok(None) };
        let url = answer.queue_url.ok_or_else(|| unexpected("GetQueueUrl", name, "the answer has no URL"))?;
        lock(&self.urls).insert(name.to_owned(), url.clone());
        Ok(Some(url))
    }

    pub(super) async fn tag(&self, url: &str, tags: &Tags) -> Result<(), CloudError> {
        let call = self.client.tag_queue().queue_url(url).set_tags(Some(tags.clone().into_iter().collect()));
        call.send().await.map_err(failed("TagQueue", url))?;
        self.tags.forget(url);
        Ok(())
    }

    pub(super) async fn untag(&self, url: &str, keys: &[String]) -> Result<(), CloudError> {
        let call = self.client.untag_queue().queue_url(url).set_tag_keys(Some(keys.to_vec()));
        call.send().await.map_err(failed("UntagQueue", url))?;
        self.tags.forget(url);
        self.made.forget(url.rsplit('/').next().unwrap_or(url));
        Ok(())
    }

    pub(super) async fn apply(&self, step: &QueueStep) -> Result<(), CloudError> {
        match step {
            QueueStep::Create { name, attributes, tags } => {
                // SQS refuses an empty value in a create; there is nothing to clear yet.
                let attributes: BTreeMap<String, String> =
                    attributes.clone().into_iter().filter(|(_, value)| !value.is_empty()).collect();
                let call = self
                    .client
                    .create_queue()
                    .queue_name(name)
                    .set_attributes(Some(sdk_attributes(&attributes)))
                    .set_tags(Some(tags.clone().into_iter().collect()));
                let answer = call.send().await.map_err(failed("CreateQueue", name))?;
                let url = answer.queue_url.ok_or_else(|| unexpected("CreateQueue", name, "the answer has no URL"))?;
                self.made.put(name, QueueState { tags: tags.clone(), url, attributes });
                Ok(())
            }
            QueueStep::Set { url, attributes } => {
                let call = self.client.set_queue_attributes().queue_url(url);
                let call = call.set_attributes(Some(sdk_attributes(attributes)));
                call.send().await.map_err(failed("SetQueueAttributes", url))?;
                for (attribute, value) in attributes {
                    self.written.put(&written(url, attribute), value.clone());
                }
                Ok(())
            }
            QueueStep::Delete { url } => {
                deleted(self.client.delete_queue().queue_url(url).send().await.map_err(failed("DeleteQueue", url)))?;
                self.made.forget(url.rsplit('/').next().unwrap_or(url));
                Ok(())
            }
        }
    }
}

/// Under which name it is remembered that an attribute was written.
fn written(url: &str, attribute: &str) -> String {
    format!("{url} {attribute}")
}

/// Only whole entries are put in and taken out, so a panic elsewhere leaves nothing half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn sdk_attributes<'a>(
    attributes: impl IntoIterator<Item = (&'a String, &'a String)>,
) -> std::collections::HashMap<QueueAttributeName, String> {
    attributes.into_iter().map(|(key, value)| (QueueAttributeName::from(key.as_str()), value.clone())).collect()
}
