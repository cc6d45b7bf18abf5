//! Puts what happens to a stack where `kubectl describe` and `kubectl events` show it.
//!
//! An event that cannot be written is a line in the log and stops nothing: the status has the same news.

use std::sync::Arc;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::core::ObjectMeta;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::{Client, Resource as _};
use tracing::warn;

use crate::metrics::{Metrics, Write};
use crate::status::Occurrence;
use crate::sumu_stack::SumuStack;

/// Our name as the reporter of events.
const CONTROLLER: &str = "sumu.live/operator";

pub(super) struct Events {
    recorder: Recorder,
    metrics: Arc<Metrics>,
}

impl Events {
    pub(super) fn new(client: Client, metrics: Arc<Metrics>) -> Self {
        Self { recorder: Recorder::new(client, Reporter::from(CONTROLLER)), metrics }
    }

    pub(super) async fn tell(&self, stack: &ObjectMeta, events: Vec<Occurrence>) {
        for event in events {
            self.tell_one(stack, event).await;
        }
    }

    async fn tell_one(&self, stack: &ObjectMeta, event: Occurrence) {
        let Occurrence { is_warning, reason, note, is_same_again } = event;
        let regarding = ObjectReference {
            api_version: Some(SumuStack::api_version(&()).into_owned()),
            kind: Some(SumuStack::kind(&()).into_owned()),
            namespace: stack.namespace.clone(),
            name: stack.name.clone(),
            uid: stack.uid.clone(),
            // The recorder counts an event up when it has told one of the same reason and object lately, and keeps the
            // first one's note. So only what says the same may be counted: another version is another object to it.
            resource_version: stack.resource_version.clone().filter(|_| !is_same_again),
            field_path: None,
        };
        let event = Event {
            type_: if is_warning { EventType::Warning } else { EventType::Normal },
            action: "Reconcile".into(),
            reason,
            note: Some(note),
            secondary: None,
        };
        self.metrics.wrote(Write::Event);
        if let Err(error) = self.recorder.publish(&event, &regarding).await {
            let error = &error as &dyn std::error::Error;
            warn!(stack = super::full_name_of(stack), reason = event.reason, error, "event not written");
        }
    }
}
