//! What a denial leaves unsaid: the other rights that are missing. AWS names one at a time.
//!
//! It is no condition for going on. The simulator knows neither the policies of a session nor those of resources, and whether
//! it may be asked is a right of its own: what it says is told beside AWS's own word, and without it AWS's word stands alone.

use crate::cloud::aws::{Aws, Purpose, counted};
use crate::cloud::{CloudError, Kind};
use crate::converge::Pass;
use crate::permissions::simulation::questions;
use crate::permissions::{Needs, Place, policy};
use crate::stack::name::Names;
use crate::stop::Stop;

/// Adds to what was denied all that is missing, as far as IAM tells.
pub(super) async fn advised(
    result: Result<Option<Pass>, CloudError>,
    cloud: &Aws,
    names: &Names,
    needs: impl FnOnce() -> Needs,
    stop: &Stop,
) -> Result<Option<Pass>, CloudError> {
    let is_denied = |error: &CloudError| error.kind == Kind::Denied;
    let has_denials = match &result {
        Err(error) => is_denied(error),
        Ok(pass) => pass.iter().flat_map(|pass| &pass.failures).any(|failure| is_denied(&failure.error)),
    };
    if !has_denials {
        return result;
    }
    let Some(missing) = missing(cloud, names, &needs(), stop).await else { return result };
    match result {
        Ok(pass) => Ok(pass.map(|pass| Pass { missing_rights: Some(missing), ..pass })),
        Err(error) => Err(CloudError { message: format!("{}; rights are missing: {missing}", error.message), ..error }),
    }
}

async fn missing(cloud: &Aws, names: &Names, needs: &Needs, stop: &Stop) -> Option<String> {
    let account = cloud.account();
    let asked = questions(&policy(&Place::of(account), needs), account, names.prefix());
    tokio::select! {
        biased;
        () = stop.told() => None,
        // Changes of other stacks go first.
        (judged, _) = counted(Purpose::Check, Box::pin(cloud.judge_us(&asked))) => judged.ok().flatten()?.missing(),
    }
}
