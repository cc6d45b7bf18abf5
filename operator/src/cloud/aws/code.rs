//! The functions' code on its way to Lambda: from the operator's disk, or from a bucket.

use std::path::Path;

use aws_sdk_lambda::primitives::Blob;

use super::failed;
use super::lambda::Functions;
use crate::cloud::{CloudError, Kind};
use crate::packages::{Package, Place};
use crate::sumu_stack::Architecture;

const UPDATE: &str = "UpdateFunctionCode";

impl Functions {
    pub(super) async fn update_code(
        &self,
        name: &str,
        package: &Package,
        architecture: Architecture,
    ) -> Result<(), CloudError> {
        let _turn = self.upload.acquire().await;
        let call = self.client.update_function_code().function_name(name).architectures(architecture.as_str().into());
        let call = match &package.place {
            Place::File(path) => call.zip_file(code(name, package, path).await?),
            Place::Object { bucket, key } => {
                let call = call.s3_bucket(bucket).s3_key(key);
                let would_be = call.clone().dry_run(true).send().await.map_err(failed(UPDATE, name))?;
                ensure_same(name, package, bucket, key, would_be.code_sha256().unwrap_or_default())?;
                call
            }
        };
        call.send().await.map(drop).map_err(failed(UPDATE, name))
    }
}

/// What is in the bucket may have been replaced since the spec was written.
fn ensure_same(name: &str, package: &Package, bucket: &str, key: &str, is: &str) -> Result<(), CloudError> {
    let want = &package.code_sha256;
    if is == want {
        return Ok(());
    }
    Err(CloudError {
        operation: UPDATE,
        resource: name.to_owned(),
        kind: Kind::Rejected,
        code: String::new(),
        message: format!(
            "s3://{bucket}/{key} has the CodeSha256 {is}, and spec.functions.package.s3.codeSha256 says {want}: put \
             that package there, or correct the spec"
        ),
    })
}

/// The package's bytes, read only now that they are uploaded.
pub(super) async fn code(name: &str, package: &Package, path: &Path) -> Result<Blob, CloudError> {
    let bytes = package.read(path).await.map_err(|error| CloudError {
        operation: "ReadPackage",
        resource: name.to_owned(),
        kind: Kind::Internal,
        code: String::new(),
        message: format!("{}: {error}", path.display()),
    })?;
    Ok(Blob::new(bytes))
}
