//! The custom domain: a domain name of API Gateway, the API mapping under it, and alias records that lead there.

use crate::stack::name::Names;
use crate::stack::{Invalid, StackSpec};

/// What clients are to find under a name of the user's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Domain {
    /// The domain name.
    pub name: String,
    /// The ARN of its certificate. With one the domain name is the stack's, without one it is somebody else's.
    pub certificate_arn: Option<String>,
    /// The key of the API mapping; empty for the root.
    pub mapping_key: String,
    /// The stage that is mapped.
    pub stage_name: String,
    /// The hosted zone of the alias records, if there are to be any.
    pub hosted_zone_id: Option<String>,
}

impl Domain {
    /// Where clients connect.
    #[must_use]
    pub fn url(&self) -> String {
        match self.mapping_key.as_str() {
            "" => format!("wss://{}", self.name),
            key => format!("wss://{}/{key}", self.name),
        }
    }
}

/// The custom domain of a stack.
///
/// # Errors
/// When API Gateway is certain to refuse the certificate because of the account that it is in.
pub(super) fn of(spec: &StackSpec, names: &Names) -> Result<Option<Domain>, Invalid> {
    let Some(domain) = &spec.custom_domain else { return Ok(None) };
    let of_certificate = domain.certificate_arn.as_deref().and_then(|arn| arn.split(':').nth(4));
    let account = &names.account().id;
    if let Some(other) = of_certificate.filter(|other| other != account) {
        return Err(Invalid(format!(
            "spec.gateway.customDomain.certificateArn is in account {other} and the stack in {account}: API Gateway \
             takes no certificate of another account; request or import one in {account}"
        )));
    }
    Ok(Some(Domain {
        name: domain.domain_name.clone(),
        certificate_arn: domain.certificate_arn.clone(),
        mapping_key: domain.path.clone().unwrap_or_default(),
        stage_name: spec.stage_name.clone(),
        hosted_zone_id: domain.hosted_zone_id.clone(),
    }))
}
