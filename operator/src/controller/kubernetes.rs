//! The calls to the API server about one object.

use kube::api::{Patch, PatchParams};
use kube::{Api, Client, Resource as _, ResourceExt as _};
use serde_json::json;

use super::Error;
use crate::sumu_stack::{SumuStack, SumuStackStatus};

/// Keeps the object until its AWS resources are gone.
const FINALIZER: &str = "sumu.live/aws-resources";
/// Our name as the owner of fields.
const FIELD_MANAGER: &str = "sumu-operator";

/// One object of the API server.
pub(super) struct Stacks {
    api: Api<SumuStack>,
    name: String,
}

impl Stacks {
    pub(super) fn of(client: &Client, stack: &SumuStack) -> Self {
        let namespace = stack.namespace().unwrap_or_default();
        Self { api: Api::namespaced(client.clone(), &namespace), name: stack.name_any() }
    }

    pub(super) async fn read(&self) -> Result<Option<SumuStack>, Error> {
        self.api.get_opt(&self.name).await.map_err(|source| Error::Kubernetes { action: "reading the object", source })
    }

    #[expect(clippy::unused_self, reason = "reads beside add_finalizer and remove_finalizer")]
    pub(super) fn has_finalizer(&self, stack: &SumuStack) -> bool {
        stack.finalizers().iter().any(|finalizer| finalizer == FINALIZER)
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
        match self.api.patch(&self.name, &parameters, &Patch::Merge(&patch)).await {
            Ok(_) => Ok(()),
            // The object is gone, and with it its finalizers.
            Err(kube::Error::Api(error)) if error.code == 404 => Ok(()),
            Err(source) => Err(Error::Kubernetes { action, source }),
        }
    }

    /// Writes the status unless the object has it already. Returns the object's version afterwards.
    pub(super) async fn write_status(
        &self,
        stack: &SumuStack,
        status: SumuStackStatus,
    ) -> Result<Option<String>, Error> {
        if stack.status.as_ref() == Some(&status) {
            return Ok(stack.resource_version());
        }
        let patch = json!({
            "apiVersion": SumuStack::api_version(&()),
            "kind": SumuStack::kind(&()),
            "metadata": { "name": self.name },
            "status": status,
        });
        let parameters = PatchParams::apply(FIELD_MANAGER).force();
        match self.api.patch_status(&self.name, &parameters, &Patch::Apply(&patch)).await {
            Ok(written) => Ok(written.resource_version()),
            Err(kube::Error::Api(error)) if error.code == 404 => Ok(None),
            Err(source) => Err(Error::Kubernetes { action: "writing the status", source }),
        }
    }
}
