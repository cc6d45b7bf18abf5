//! The `ConfigMap` with a stack's addresses, for applications: what it holds, whose it is, and what is told of it. Pure.
//!
//! It is made once all addresses are known and never holds a part of them, so a pod that takes its environment from it
//! starts when there is something to talk to. While an address is missing again, what it says is left standing.
//!
//! # Guarantees
//! - A `ConfigMap` that this operator has not made for this very object, or for the one whose stack it has adopted, is
//!   never written to or deleted: ours says so by its owner reference or its label, and the API server has noted us as
//!   one of its writers. A copy is not ours.
//! - What others add to ours (keys, labels, annotations) stays.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::core::ObjectMeta;
use kube::{Resource as _, ResourceExt as _};

use super::conditions::{self, News};
use super::{EXPORTED, READY};
use crate::stack::Object;
use crate::stack::name::OWNER_TAG;
use crate::sumu_stack::{ConditionStatus, MessagingStatus, SumuStack, SumuStackStatus};

/// Our name as the owner of fields.
pub const FIELD_MANAGER: &str = "sumu-operator";
/// Label with the UID of the stack, by which its `ConfigMaps` are found.
pub const OWNER_LABEL: &str = OWNER_TAG;

/// Every key, in the order of the document.
pub const KEYS: [&str; 11] = [
    "SUMU_ENDPOINT",
    "SUMU_MANAGEMENT_ENDPOINT",
    "SUMU_REGION",
    "NOTIFICATIONS_TOPIC_ARN",
    "NOTIFICATIONS_QUEUE_URL",
    "NOTIFICATIONS_DEAD_LETTER_QUEUE_URL",
    "MESSAGES_TOPIC_ARN",
    "MESSAGES_QUEUE_URL",
    "MESSAGES_DEAD_LETTER_QUEUE_URL",
    "CONNECTIONS_TABLE",
    "PRESENCE_TABLE",
];

/// What has become of the `ConfigMap`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exported {
    /// It says what the stack is.
    Written {
        /// Its name.
        name: String,
    },
    /// Not every address is known yet.
    Incomplete {
        /// Its name.
        name: String,
    },
    /// Somebody else's has the name.
    Foreign {
        /// Its name.
        name: String,
    },
    /// The API server has refused a call.
    Refused {
        /// The condition's reason.
        reason: &'static str,
        /// What was tried, and why it was refused.
        message: String,
    },
}

impl Exported {
    /// Whether nothing is left to do.
    #[must_use]
    pub const fn is_written(&self) -> bool {
        matches!(self, Self::Written { .. })
    }

    /// Whether only a pass over the stack can change it.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        matches!(self, Self::Written { .. } | Self::Incomplete { .. })
    }

    fn news(&self) -> News {
        let (status, reason, message) = match self {
            Self::Written { name } => {
                (ConditionStatus::True, "Settled", format!("ConfigMap {name} has the stack's addresses"))
            }
            Self::Incomplete { name } => (
                ConditionStatus::False,
                "Waiting",
                format!("ConfigMap {name} is written once the stack has all its addresses"),
            ),
            Self::Foreign { name } => (
                ConditionStatus::False,
                "OwnershipConflict",
                format!(
                    "ConfigMap {name} exists but is not this stack's: delete it or choose another spec.export.configMapName"
                ),
            ),
            Self::Refused { reason, message } => (ConditionStatus::False, *reason, message.clone()),
        };
        News::new(EXPORTED, status, reason, message)
    }
}

/// The name of the `ConfigMap` that the spec asks for.
#[must_use]
pub fn name(stack: &SumuStack) -> Option<&str> {
    stack.spec.export.as_ref().map(|export| export.config_map_name.as_str())
}

/// The stack's addresses; nothing while one of them is missing.
#[must_use]
pub fn data(status: &SumuStackStatus) -> Option<BTreeMap<String, String>> {
    let of = |messaging: &Option<MessagingStatus>| {
        let MessagingStatus {
            topic_arn,
            queue_url,
            queue_arn: _,
            dead_letter_queue_url,
            // Not every stack has these.
            subscriptions_dead_letter_queue_url: _,
            consumer_policy: _,
        } = messaging.clone()?;
        Some((topic_arn?, queue_url?, dead_letter_queue_url?))
    };
    let (notifications_topic, notifications_queue, notifications_dead_letters) = of(&status.notifications)?;
    let (messages_topic, messages_queue, messages_dead_letters) = of(&status.messages)?;
    let values = [
        status.endpoint.clone()?,
        status.management_endpoint.clone()?,
        status.aws.as_ref()?.region.clone(),
        notifications_topic,
        notifications_queue,
        notifications_dead_letters,
        messages_topic,
        messages_queue,
        messages_dead_letters,
        status.connections_table.as_ref()?.name.clone(),
        status.presence_table.as_ref()?.name.clone(),
    ];
    Some(KEYS.into_iter().map(ToOwned::to_owned).zip(values).collect())
}

/// The `ConfigMap` as it should be.
#[must_use]
pub fn config_map(object: &Object, name: &str, data: BTreeMap<String, String>) -> ConfigMap {
    let reference = OwnerReference {
        api_version: SumuStack::api_version(&()).into_owned(),
        kind: SumuStack::kind(&()).into_owned(),
        name: object.name.clone(),
        uid: object.uid.clone(),
        controller: Some(true),
        // Blocking the owner's deletion would need rights on its finalizers, and nothing is gained by it.
        block_owner_deletion: None,
    };
    let labels = [("app.kubernetes.io/managed-by", FIELD_MANAGER), (OWNER_LABEL, &object.uid)];
    ConfigMap {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            namespace: Some(object.namespace.clone()),
            labels: Some(labels.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()),
            owner_references: Some(vec![reference]),
            ..ObjectMeta::default()
        },
        data: Some(data),
        ..ConfigMap::default()
    }
}

/// Whether this operator has made a `ConfigMap` for this very object, or for the one in whose place it is.
#[must_use]
pub fn is_ours(found: &ConfigMap, object: &Object) -> bool {
    let is_written_by_us = found.managed_fields().iter().any(|entry| entry.manager.as_deref() == Some(FIELD_MANAGER));
    let is_its = |uid: &String| *uid == object.uid || Some(uid) == object.predecessor.as_ref();
    let is_marked = found.labels().get(OWNER_LABEL).is_some_and(is_its)
        || found.owner_references().iter().any(|reference| is_its(&reference.uid));
    is_written_by_us && is_marked
}

/// The owners that a `ConfigMap` is left with when the object in whose place this one is takes no part any more; nothing when
/// it takes none. It was written with a create, so an apply does not take it out, and there may be one controller.
#[must_use]
pub fn owners_left(found: &ConfigMap, object: &Object) -> Option<Vec<OwnerReference>> {
    let is_gone = |reference: &OwnerReference| Some(&reference.uid) == object.predecessor.as_ref();
    let owners = found.owner_references();
    owners.iter().any(is_gone).then(|| owners.iter().filter(|owner| !is_gone(owner)).cloned().collect())
}

/// Whether a `ConfigMap` of ours says what it should, whatever else it says.
#[must_use]
pub fn is_as_wanted(found: &ConfigMap, wanted: &ConfigMap) -> bool {
    let has = |found: &BTreeMap<String, String>, wanted: &BTreeMap<String, String>| {
        wanted.iter().all(|(key, value)| found.get(key) == Some(value))
    };
    let (none, nothing) = (BTreeMap::new(), BTreeMap::new());
    has(found.data.as_ref().unwrap_or(&none), wanted.data.as_ref().unwrap_or(&nothing))
        && has(found.labels(), wanted.labels())
        && wanted.owner_references().iter().all(|reference| found.owner_references().contains(reference))
}

/// Puts what has become of the `ConfigMap` into a status; nothing when none is asked for and none is left. AWS's parts
/// are as they are: only `Ready`, which stands for everything that the spec asks for, becomes `False` with it.
#[must_use]
pub fn told(stack: &SumuStack, mut status: SumuStackStatus, exported: Option<&Exported>, now: &str) -> SumuStackStatus {
    status.conditions.retain(|condition| condition.type_ != EXPORTED);
    let Some(exported) = exported else { return status };
    let previous = stack.status.as_ref().map_or(&[] as &[_], |status| &status.conditions);
    let mut news = vec![exported.news()];
    let is_ready = |status: &SumuStackStatus| {
        status.conditions.iter().any(|it| it.type_ == READY && it.status == ConditionStatus::True)
    };
    if !exported.is_written() && is_ready(&status) {
        news.push(exported.news().sums_up(READY));
    }
    for condition in conditions::dated(news, previous, stack.metadata.generation, now) {
        match status.conditions.iter_mut().find(|known| known.type_ == condition.type_) {
            Some(known) => *known = condition,
            None => status.conditions.push(condition),
        }
    }
    conditions::sum_up(&mut status, previous, stack.metadata.generation, now);
    status
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;

    use super::*;

    fn object() -> Object {
        Object { uid: "u-1".into(), namespace: "apps".into(), name: "live".into(), predecessor: None }
    }

    fn written() -> ConfigMap {
        let mut map = config_map(&object(), "live-sumu", BTreeMap::from([("SUMU_ENDPOINT".into(), "wss://a".into())]));
        let entry = ManagedFieldsEntry { manager: Some(FIELD_MANAGER.into()), ..ManagedFieldsEntry::default() };
        map.metadata.managed_fields = Some(vec![entry]);
        map
    }

    #[test]
    fn what_lost_one_of_its_marks_is_still_ours_and_what_lost_both_is_not() {
        let (mut without_label, mut without_reference) = (written(), written());
        without_label.metadata.labels = None;
        without_reference.metadata.owner_references = None;
        assert!([&written(), &without_label, &without_reference].into_iter().all(|map| is_ours(map, &object())));
        let wanted = config_map(&object(), "live-sumu", written().data.unwrap());
        assert!(is_as_wanted(&written(), &wanted));
        assert!(!is_as_wanted(&without_label, &wanted) && !is_as_wanted(&without_reference, &wanted));
        without_label.metadata.owner_references = None;
        assert!(!is_ours(&without_label, &object()));
    }

    #[test]
    fn neither_a_copy_nor_one_of_a_stack_of_the_same_name_is_ours() {
        let mut copy = written();
        copy.metadata.managed_fields.as_mut().unwrap()[0].manager = Some("kubectl-client-side-apply".into());
        assert!(!is_ours(&copy, &object()));
        assert!(!is_ours(&written(), &Object { uid: "u-2".into(), ..object() }));
    }

    #[test]
    fn what_was_made_for_the_object_in_whose_place_it_is_is_its_and_is_written_anew() {
        let heir = Object { uid: "u-2".into(), predecessor: Some("u-1".into()), ..object() };
        assert!(is_ours(&written(), &heir));
        let wanted = config_map(&heir, "live-sumu", written().data.unwrap());
        assert!(!is_as_wanted(&written(), &wanted), "it would go with the object that is gone");
        let mut found = written();
        let theirs = OwnerReference { uid: "u-3".into(), ..OwnerReference::default() };
        found.metadata.owner_references.get_or_insert_default().push(theirs.clone());
        assert_eq!(owners_left(&found, &heir), Some(vec![theirs]));
        assert_eq!([owners_left(&found, &object()), owners_left(&wanted, &heir)], [None, None]);
    }

    #[test]
    fn what_others_add_is_no_difference_and_what_they_change_is_one() {
        let wanted = config_map(&object(), "live-sumu", written().data.unwrap());
        let mut found = written();
        found.data.as_mut().unwrap().insert("EXTRA".into(), "theirs".into());
        found.metadata.labels.as_mut().unwrap().insert("team".into(), "chat".into());
        assert!(is_as_wanted(&found, &wanted));
        found.data.as_mut().unwrap().insert("SUMU_ENDPOINT".into(), "wss://b".into());
        assert!(!is_as_wanted(&found, &wanted));
    }
}
