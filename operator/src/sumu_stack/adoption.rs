//! A stack that an object takes over from one that is gone.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The object that a stack in AWS was made for, which is in this cluster no more. Names and ownership in AWS follow from its
/// UID, namespace and name.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Adoption {
    /// The UID that it had, as the tag `sumu.live/owner` of everything that the stack has in AWS tells it.
    #[schemars(length(max = 36), regex(pattern = "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"))]
    pub uid: String,
    /// The namespace that it had, before the slash in the tag `sumu.live/stack`. This object's own when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"))]
    pub namespace: Option<String>,
    /// The name that it had, after the slash. This object's own when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = "^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$"))]
    pub name: Option<String>,
}
