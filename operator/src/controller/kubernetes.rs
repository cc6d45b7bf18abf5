//! The calls to the API server about one object.

use std::fmt::Debug;
use std::sync::Arc;

use kube::api::{Patch, PatchParams};
use kube::core::error_boundary::DeserializeGuard;
use kube::{Api, Resource as _, ResourceExt as _};
use serde::Serialize;
use serde_json::{Value, json};

use super::{Context, Error};
use crate::metrics::{Metrics, Write};
use crate::stack::FINALIZER;
use crate::status::export::FIELD_MANAGER;
use crate::sumu_stack::{SumuStack, SumuStackStatus};

/// How often the status is written again when somebody else writes the object in the same moment.
const CONFLICTS_MAX: u32 = 5;

/// An object as it is on the wire: one that a newer CRD has admitted may be unreadable for us, and must not keep us from
/// the others.
pub(super) type Guarded = DeserializeGuard<SumuStack>;

/// One object of the API server.
pub(super) struct Stacks {
    api: Api<Guarded>,
    name: String,
    metrics: Arc<Metrics>,
}

impl Stacks {
    pub(super) fn of(context: &Context, stack: &Guarded) -> Self {
        let namespace = stack.namespace().unwrap_or_default();
        let api = Api::namespaced(context.client.clone(), &namespace);
        Self { api, name: stack.name_any(), metrics: Arc::clone(&context.metrics) }
    }

    pub(super) async fn read(&self) -> Result<Option<Guarded>, Error> {
        self.api.get_opt(&self.name).await.map_err(|source| Error::Kubernetes { action: "reading the object", source })
    }

    pub(super) async fn add_finalizer(&self, stack: &SumuStack) -> Result<(), Error> {
        let mut finalizers = stack.finalizers().to_vec();
        finalizers.push(FINALIZER.into());
        self.set_finalizers(stack, finalizers, "adding the finalizer").await
    }

    pub(super) async fn remove_finalizer(&self, stack: &SumuStack) -> Result<(), Error> {
        let others = stack.finalizers().iter().filter(|finalizer| *finalizer != FINALIZER).cloned().collect();
        self.set_finalizers(stack, others, "removing the finalizer").await
    }

    /// Refused by the API server when somebody else has changed the object meanwhile: others' finalizers are never
    /// overwritten.
    async fn set_finalizers(
        &self,
        stack: &SumuStack,
        finalizers: Vec<String>,
        action: &'static str,
    ) -> Result<(), Error> {
        let patch = json!({ "metadata": { "resourceVersion": stack.resource_version(), "finalizers": finalizers } });
        let parameters = PatchParams { field_manager: Some(FIELD_MANAGER.into()), ..PatchParams::default() };
        self.metrics.wrote(Write::Finalizer);
        match self.api.patch(&self.name, &parameters, &Patch::Merge(&patch)).await {
            Ok(_) => Ok(()),
            // The object is gone, and with it its finalizers.
            Err(kube::Error::Api(error)) if error.code == 404 => Ok(()),
            Err(source) => Err(Error::Kubernetes { action, source }),
        }
    }

    /// Writes the status unless the object has it already. Returns the object's version afterwards, if nobody else has
    /// changed it since it was read: a version with a change that was not looked at must not count as one that was.
    pub(super) async fn write_status(
        &self,
        stack: &SumuStack,
        status: &SumuStackStatus,
    ) -> Result<Option<String>, Error> {
        if stack.status.as_ref() == Some(status) {
            return Ok(stack.resource_version());
        }
        let parameters = PatchParams::apply(FIELD_MANAGER).force();
        let mut version = stack.resource_version();
        for conflicts in 0..CONFLICTS_MAX {
            let patch = status_patch(stack, version.as_deref(), status);
            match self.patch_status(&parameters, &Patch::Apply(&patch)).await? {
                Written::As(version) => return Ok(version.filter(|_| conflicts == 0)),
                Written::Gone => return Ok(None),
                Written::Conflict => {}
            }
            // Somebody has changed the object, or it is another one by now: the one that this speaks of needs no status.
            let now = self.read().await?;
            let Some(now) = now.filter(|now| now.uid() == stack.uid()) else { return Ok(None) };
            version = now.resource_version();
        }
        // Whoever changes it that often is an event that brings the next pass.
        Ok(None)
    }

    /// Writes conditions alone, for an object whose other status cannot be read and must stay.
    pub(super) async fn write_conditions(
        &self,
        version: Option<&str>,
        status: &SumuStackStatus,
    ) -> Result<Option<String>, Error> {
        let SumuStackStatus { conditions, observed_generation, summary, .. } = status;
        let patch = json!({
            "metadata": { "resourceVersion": version },
            "status": { "conditions": conditions, "observedGeneration": observed_generation, "summary": summary },
        });
        let parameters = PatchParams { field_manager: Some(FIELD_MANAGER.into()), ..PatchParams::default() };
        match self.patch_status(&parameters, &Patch::Merge(&patch)).await? {
            Written::As(version) => Ok(version),
            Written::Gone | Written::Conflict => Ok(None),
        }
    }

    async fn patch_status<P: Serialize + Debug>(
        &self,
        parameters: &PatchParams,
        patch: &Patch<P>,
    ) -> Result<Written, Error> {
        self.metrics.wrote(Write::Status);
        match self.api.patch_status(&self.name, parameters, patch).await {
            Ok(written) => Ok(Written::As(written.resource_version())),
            Err(kube::Error::Api(error)) if error.code == 404 => Ok(Written::Gone),
            Err(kube::Error::Api(error)) if error.code == 409 => Ok(Written::Conflict),
            Err(source) => Err(Error::Kubernetes { action: "writing the status", source }),
        }
    }
}

/// What has become of a write of the status.
enum Written {
    /// The object has this version now.
    As(Option<String>),
    /// There is no such object.
    Gone,
    /// The object has another version than was named.
    Conflict,
}

/// The status of an object, as long as it has this version. The API server takes a UID in a status for nothing, but no two
/// objects ever have the same version.
fn status_patch(stack: &SumuStack, version: Option<&str>, status: &SumuStackStatus) -> Value {
    json!({
        "apiVersion": SumuStack::api_version(&()),
        "kind": SumuStack::kind(&()),
        "metadata": { "name": stack.metadata.name, "uid": stack.metadata.uid, "resourceVersion": version },
        "status": status,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_names_the_object_and_the_version_that_it_is_for() {
        let object = json!({
            "apiVersion": "sumu.live/v1alpha1",
            "kind": "SumuStack",
            "metadata": { "name": "live", "namespace": "apps", "uid": "u-1" },
            "spec": { "authorizer": { "issuers": [] } },
        });
        let stack: SumuStack = serde_json::from_value(object).unwrap();
        let patch = status_patch(&stack, Some("7"), &SumuStackStatus::default());
        assert_eq!(patch["metadata"], json!({ "name": "live", "uid": "u-1", "resourceVersion": "7" }));
    }
}
