//! One `SumuStack` in the testbed's Kubernetes, as its users see it: JSON, and no type of the operator's.

use std::time::Duration;

use kube::Api;
use kube::api::{ApiResource, DeleteParams, DynamicObject, Patch, PatchParams};
use serde_json::{Value, json};

use crate::issuer::AUDIENCE;
use crate::poll::eventually;
use crate::{Context, Result, Testbed, ensure};

/// How long a stack may take to become what it should be, on a machine that does other things too.
pub const SETTLED_WITHIN: Duration = Duration::from_mins(2);

/// A stack that has been applied.
#[derive(Clone, Debug)]
pub struct Stack {
    api: Api<DynamicObject>,
    name: String,
}

/// The API of a namespace's stacks.
#[must_use]
pub fn api(client: kube::Client, namespace: &str) -> Api<DynamicObject> {
    let kind = ApiResource {
        group: "sumu.live".to_owned(),
        version: "v1alpha1".to_owned(),
        api_version: "sumu.live/v1alpha1".to_owned(),
        kind: "SumuStack".to_owned(),
        plural: "sumustacks".to_owned(),
    };
    Api::namespaced_with(client, namespace, &kind)
}

/// A stack with the testbed's issuer and everything else as it is by default, but for the token sources: all.
#[must_use]
pub fn manifest(testbed: &Testbed, namespace: &str, name: &str) -> Value {
    let issuer = testbed.issuer();
    json!({
        "apiVersion": "sumu.live/v1alpha1",
        "kind": "SumuStack",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "authorizer": {
                "issuers": [{"jwksUri": issuer.jwks_uri(), "issuer": issuer.url(), "audiences": [AUDIENCE]}],
                "tokenSources": ["QueryString", "Header", "Subprotocol"],
            },
            "tags": tags(testbed),
        },
    })
}

/// A tag by which the resources of a run in a real account are found in its bills.
fn tags(testbed: &Testbed) -> Value {
    testbed.aws().account().map_or_else(|| json!({}), |account| json!({"sumu-test-run": account.run()}))
}

impl Stack {
    /// Applies a manifest with `kubectl`.
    pub async fn apply(testbed: &Testbed, manifest: &Value) -> Result<Self> {
        testbed.kubernetes().kubectl_ok(&["apply", "--filename=-"], &manifest.to_string()).await?;
        let namespace = manifest["metadata"]["namespace"].as_str().context("the manifest has no namespace")?;
        let name = manifest["metadata"]["name"].as_str().context("the manifest has no name")?;
        Self::existing(testbed, namespace, name).await
    }

    /// A stack that somebody has applied.
    pub async fn existing(testbed: &Testbed, namespace: &str, name: &str) -> Result<Self> {
        let api = api(testbed.kubernetes().client().await?, namespace);
        Ok(Self { api, name: name.to_owned() })
    }

    /// The whole object.
    pub async fn object(&self) -> Result<Value> {
        Ok(serde_json::to_value(self.api.get(&self.name).await?)?)
    }

    /// Whether the object is there.
    pub async fn exists(&self) -> Result<bool> {
        Ok(self.api.get_opt(&self.name).await?.is_some())
    }

    /// Changes the object by a JSON merge patch.
    pub async fn patch(&self, patch: &Value) -> Result<()> {
        self.api.patch(&self.name, &PatchParams::default(), &Patch::Merge(patch)).await?;
        Ok(())
    }

    /// Waits until the stack is Ready as its spec is now, and returns its status.
    pub async fn ready(&self) -> Result<Value> {
        self.ready_within(SETTLED_WITHIN).await
    }

    /// The same with another deadline, for a stack among many.
    pub async fn ready_within(&self, within: Duration) -> Result<Value> {
        eventually(within, &format!("stack {} to be Ready", self.name), async || {
            let object = self.object().await?;
            let status = &object["status"];
            let current = status["observedGeneration"] == object["metadata"]["generation"];
            ensure!(current, "the operator has not seen the spec as it is now; status {status}");
            let ready = condition(&object, "Ready").context("no condition Ready")?;
            ensure!(ready["status"] == "True", "conditions {}", status["conditions"]);
            Ok(status.clone())
        })
        .await
    }

    /// Asks for the deletion and returns at once.
    pub async fn delete(&self) -> Result<()> {
        self.api.delete(&self.name, &DeleteParams::default()).await?;
        Ok(())
    }

    /// Waits until the object is gone, which is when the operator has let it go.
    pub async fn gone(&self) -> Result<()> {
        self.gone_within(SETTLED_WITHIN).await
    }

    /// The same with another deadline, for a stack among many.
    pub async fn gone_within(&self, within: Duration) -> Result<()> {
        eventually(within, &format!("stack {} to be gone", self.name), async || {
            let left = self.api.get_opt(&self.name).await?;
            let left = left.map(|object| object.data["status"]["conditions"].to_string());
            ensure!(left.is_none(), "it is there, conditions {}", left.unwrap_or_default());
            Ok(())
        })
        .await
    }
}

/// One condition of an object.
#[must_use]
pub fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    object["status"]["conditions"].as_array()?.iter().find(|condition| condition["type"] == kind)
}
