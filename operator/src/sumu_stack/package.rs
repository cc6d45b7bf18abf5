//! The part of the spec that says where the functions' code comes from.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sumu_contract::Function;

/// Where the functions' code comes from. With none of the fields it is the code that came with the operator.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!(has(self.embedded) && has(self.s3))")
    .message("spec.functions.package takes at most one of embedded and s3"))]
pub struct Package {
    /// The code that came with the operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embedded: Option<Embedded>,
    /// Code from a bucket of yours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub s3: Option<S3Package>,
}

/// The code that came with the operator. Has no settings.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Embedded {}

/// Code from a bucket: `<prefix>authorizer.zip`, `routes.zip`, `pusher.zip`, `watchdog.zip`, for the architecture of
/// `spec.functions`. A change of what a package's hash is rolls it out; a package that is another one is never used.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct S3Package {
    /// The bucket, in the stack's region. The operator's identity must be allowed `s3:GetObject` on what is named here.
    #[schemars(length(min = 3, max = 63), regex(pattern = "^[a-z0-9][a-z0-9.-]*[a-z0-9]$"))]
    pub bucket: String,
    /// What stands before each file's name.
    #[serde(default)]
    #[schemars(length(max = 900))]
    pub prefix: String,
    /// What the packages are, as `sumu-operator package` prints it.
    pub code_sha256: CodeSha256,
}

/// The SHA-256 of each package in base64, which Lambda calls `CodeSha256`.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct CodeSha256 {
    /// Of `authorizer.zip`.
    #[schemars(regex(pattern = "^[A-Za-z0-9+/]{43}=$"))]
    pub authorizer: String,
    /// Of `routes.zip`.
    #[schemars(regex(pattern = "^[A-Za-z0-9+/]{43}=$"))]
    pub routes: String,
    /// Of `pusher.zip`.
    #[schemars(regex(pattern = "^[A-Za-z0-9+/]{43}=$"))]
    pub pusher: String,
    /// Of `watchdog.zip`.
    #[schemars(regex(pattern = "^[A-Za-z0-9+/]{43}=$"))]
    pub watchdog: String,
}

impl CodeSha256 {
    /// Of one function's package.
    #[must_use]
    pub fn of(&self, function: Function) -> &str {
        match function {
            Function::Authorizer => &self.authorizer,
            Function::Routes => &self.routes,
            Function::Pusher => &self.pusher,
            Function::Watchdog => &self.watchdog,
        }
    }
}
