//! Writes the `ConfigMap` with a stack's addresses. I/O towards Kubernetes; what it says is [`crate::status::export`]'s.
//!
//! It is kept apart from AWS: whatever becomes of it, passes go on, and when only the `ConfigMap` was touched no call to
//! AWS is made.

use std::future;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt as _};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{DeleteParams, ListParams, PartialObjectMeta, Patch, PatchParams, PostParams, Preconditions};
use kube::runtime::controller::Action;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client, ResourceExt as _};
use serde_json::json;
use tracing::{debug, warn};

use super::kubernetes::{Guarded, Stacks};
use super::{Context, Error, now};
use crate::cloud::Kind;
use crate::metrics::{Metrics, Write};
use crate::stack::Object;
use crate::status::EXPORTED;
use crate::status::events::events;
use crate::status::export::{self, Exported, FIELD_MANAGER, OWNER_LABEL};
use crate::sumu_stack::{ConditionStatus, SumuStack, SumuStackStatus};

/// How soon a `ConfigMap` is looked at again that could not be written: somebody else's is seen by no watch of ours.
const AGAIN_AFTER: Duration = Duration::from_secs(30);

impl Context {
    /// The `ConfigMap` alone, between two passes: somebody has touched it, or it could not be written.
    pub(super) async fn export_again(
        &self,
        stack: &SumuStack,
        object: &Object,
        stacks: &Stacks,
        due: Duration,
    ) -> Result<Action, Error> {
        let was_written = is_exported(stack.status.as_ref(), ConditionStatus::True);
        let status = self.export(stack, object, stack.status.clone().unwrap_or_default()).await;
        if !was_written && is_exported(Some(&status), ConditionStatus::True) {
            // What `Ready` was without it, only a pass can tell.
            self.memory.make_due(&object.uid);
            return Ok(Action::requeue(Duration::ZERO));
        }
        let news = events(stack, &status, false);
        let version = stacks.write_status(stack, &status).await?;
        self.events.tell(&stack.metadata, news).await;
        self.memory.remember_version(&object.uid, version);
        Ok(Action::requeue(self.export_due(object, due)))
    }

    /// Writes the `ConfigMap` that the spec asks for, and puts into the status what has become of it.
    pub(super) async fn export(&self, stack: &SumuStack, object: &Object, status: SumuStackStatus) -> SumuStackStatus {
        if stack.metadata.deletion_timestamp.is_some() {
            // It goes with the object.
            return status;
        }
        // Whoever touches it from now on is noticed again.
        self.memory.take_export_look(&object.uid);
        let exported = write(&self.client, &self.metrics, stack, object, &status).await;
        if exported.as_ref().is_some_and(|exported| !exported.is_done()) {
            self.memory.look_at_export(&object.uid);
        }
        export::told(stack, status, exported.as_ref(), &now())
    }

    /// When a stack is to be looked at that is due for a pass then.
    pub(super) fn export_due(&self, object: &Object, due: Duration) -> Duration {
        if self.memory.is_export_look_due(&object.uid) { due.min(AGAIN_AFTER) } else { due }
    }
}

fn is_exported(status: Option<&SumuStackStatus>, as_told: ConditionStatus) -> bool {
    let mut conditions = status.iter().flat_map(|status| &status.conditions);
    conditions.any(|condition| condition.type_ == EXPORTED && condition.status == as_told)
}

/// Brings the `ConfigMaps` of a stack to what its spec and its status say; nothing when none is asked for and none left.
async fn write(
    client: &Client,
    metrics: &Metrics,
    stack: &SumuStack,
    object: &Object,
    status: &SumuStackStatus,
) -> Option<Exported> {
    let maps = Maps { api: Api::namespaced(client.clone(), &object.namespace), metrics, object };
    let name = export::name(stack);
    let before = stack.status.iter().flat_map(|status| &status.conditions);
    if name.is_none() && before.into_iter().all(|condition| condition.type_ != EXPORTED) {
        return None;
    }
    if let Err(error) = maps.remove_all_but(name).await {
        return Some(refused(&error));
    }
    let name = name?;
    let Some(data) = export::data(status) else { return Some(Exported::Incomplete { name: name.to_owned() }) };
    let wanted = export::config_map(object, name, data);
    Some(maps.write(name, &wanted).await.unwrap_or_else(|error| refused(&error)))
}

/// The calls about one stack's `ConfigMaps`.
struct Maps<'a> {
    api: Api<ConfigMap>,
    metrics: &'a Metrics,
    object: &'a Object,
}

/// A call that was refused.
struct Failure {
    action: &'static str,
    name: String,
    error: kube::Error,
}

fn failed(action: &'static str, name: &str) -> impl FnOnce(kube::Error) -> Failure {
    let name = name.to_owned();
    move |error| Failure { action, name, error }
}

impl Maps<'_> {
    /// Those of an earlier spec.
    async fn remove_all_but(&self, name: Option<&str>) -> Result<(), Failure> {
        let uids: Vec<&str> =
            [&self.object.uid].into_iter().chain(&self.object.predecessor).map(String::as_str).collect();
        let ours = ListParams::default().labels(&format!("{OWNER_LABEL} in ({})", uids.join(",")));
        let found = self.api.list(&ours).await.map_err(failed("listing", ""))?;
        for map in found.items.iter().filter(|map| export::is_ours(map, self.object)) {
            let old = map.name_any();
            if Some(old.as_str()) == name {
                continue;
            }
            let uid = Preconditions { uid: map.uid(), resource_version: None };
            let parameters = DeleteParams { preconditions: Some(uid), ..DeleteParams::default() };
            self.metrics.wrote(Write::ConfigMap);
            match self.api.delete(&old, &parameters).await {
                Ok(_) => {}
                // Somebody else was first, and has maybe made another one.
                Err(error) if is_gone(&error) => {}
                Err(error) => return Err(failed("deleting", &old)(error)),
            }
        }
        Ok(())
    }

    async fn write(&self, name: &str, wanted: &ConfigMap) -> Result<Exported, Failure> {
        let (written, foreign) =
            (Exported::Written { name: name.to_owned() }, Exported::Foreign { name: name.to_owned() });
        match self.api.get_opt(name).await.map_err(failed("reading", name))? {
            None => {
                // A create and not an apply, which would write over what somebody else makes in this moment.
                let parameters = PostParams { field_manager: Some(FIELD_MANAGER.into()), ..PostParams::default() };
                self.metrics.wrote(Write::ConfigMap);
                match self.api.create(&parameters, wanted).await {
                    Ok(_) => Ok(written),
                    Err(kube::Error::Api(status)) if status.reason == "AlreadyExists" => Ok(foreign),
                    Err(error) => Err(failed("creating", name)(error)),
                }
            }
            Some(found) if !export::is_ours(&found, self.object) => Ok(foreign),
            Some(found) if export::is_as_wanted(&found, wanted) => Ok(written),
            Some(found) => {
                let found = self.inherit(name, found).await?;
                let mut patch = json!(wanted);
                patch["apiVersion"] = json!("v1");
                patch["kind"] = json!("ConfigMap");
                // So that it cannot land on another one of the same name.
                patch["metadata"]["uid"] = json!(found.uid());
                patch["metadata"]["resourceVersion"] = json!(found.resource_version());
                let parameters = PatchParams::apply(FIELD_MANAGER).force();
                self.metrics.wrote(Write::ConfigMap);
                let applied = self.api.patch(name, &parameters, &Patch::Apply(&patch)).await;
                applied.map(|_| written).map_err(failed("writing", name))
            }
        }
    }

    /// Takes one from the object in whose place this one is.
    async fn inherit(&self, name: &str, found: ConfigMap) -> Result<ConfigMap, Failure> {
        let Some(left) = export::owners_left(&found, self.object) else { return Ok(found) };
        let (uid, version) = (found.uid(), found.resource_version());
        let patch = json!({ "metadata": { "uid": uid, "resourceVersion": version, "ownerReferences": left } });
        let parameters = PatchParams { field_manager: Some(FIELD_MANAGER.into()), ..PatchParams::default() };
        self.metrics.wrote(Write::ConfigMap);
        self.api.patch(name, &parameters, &Patch::Merge(&patch)).await.map_err(failed("writing", name))
    }
}

fn is_gone(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 404 || status.code == 409)
}

fn refused(failure: &Failure) -> Exported {
    let Failure { action, name, error } = failure;
    let kind = match error {
        kube::Error::Api(status) => match status.code {
            401 | 403 => Kind::Denied,
            429 => Kind::Throttled,
            // Somebody else has written it in the same moment, or the API server is in trouble.
            404 | 409 | 500.. => Kind::Internal,
            _ => Kind::Rejected,
        },
        _ => Kind::Unreachable,
    };
    let what = if name.is_empty() { "ConfigMaps".to_owned() } else { format!("ConfigMap {name}") };
    warn!(config_map = name, action, error = error as &dyn std::error::Error, "ConfigMap not exported");
    let why = match error {
        kube::Error::Api(status) => status.message.clone(),
        _ => "the API server could not be reached".to_owned(),
    };
    Exported::Refused { reason: kind.as_str(), message: format!("{action} {what} failed: {why}") }
}

/// The stacks whose `ConfigMap` somebody has touched: ourselves too, which costs one read. A watch that fails, for
/// example because the right to it is missing, is tried again with growing pauses and holds up nothing.
pub(super) fn touched(
    api: Api<PartialObjectMeta<ConfigMap>>,
    stacks: Store<Guarded>,
    context: Arc<Context>,
) -> impl Stream<Item = ObjectRef<Guarded>> + Send {
    let ours = watcher::Config::default().labels(OWNER_LABEL);
    watcher(api, ours).default_backoff().touched_objects().filter_map(move |event| {
        let touched = event.inspect_err(|error| debug!(error = error as &dyn std::error::Error, "ConfigMaps not seen"));
        let stack = touched.ok().and_then(|map| {
            let uid = map.labels().get(OWNER_LABEL)?.clone();
            let stack = stacks.find(|stack| stack.uid().as_ref() == Some(&uid))?;
            context.memory.look_at_export(&uid);
            Some(ObjectRef::from_obj(&*stack))
        });
        future::ready(stack)
    })
}
