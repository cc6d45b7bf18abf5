//! Stacks as users write them, taken through the real pipeline: manifest, validation, desired state.
//!
//! No two things here have the same name, so that a swap of two of them cannot go unnoticed.

use serde_json::Value;
use sumu_contract::Function;
use sumu_operator::desired::{Desired, Endpoints, Provision};
use sumu_operator::packages::{Package, Packages, Place};
use sumu_operator::stack::name::{Account, Names, Owner};
use sumu_operator::stack::{Invalid, StackSpec};
use sumu_operator::sumu_stack::{Architecture, SumuStack};

/// The smallest stack that the CRD admits, with a UID as the API server gives one.
const MINIMAL: &str = "
apiVersion: sumu.live/v1alpha1
kind: SumuStack
metadata:
  name: chat
  namespace: team-blue
  uid: 5e1d3c1a-0000-4000-8000-000000000001
  generation: 3
spec:
  stageName: prod
  tags: {cost: c-42}
  authorizer:
    issuers:
      - jwksUri: https://issuer.example/keys
";

/// The region of stacks that name none.
const DEFAULT_REGION: &str = "eu-west-3";

/// A stack with what it should be, and with the nothing that it should be once it is deleted.
pub struct Fixture {
    pub stack: SumuStack,
    pub owner: Owner,
    pub desired: Desired,
    pub nothing: Desired,
}

/// The smallest stack with these changes to its spec, as YAML.
pub fn stack(changes: &str) -> Fixture {
    of(manifest(changes))
}

/// The same stack as it is in another cluster, where its object has another UID, and maybe other metadata.
pub fn restored(metadata: &str, changes: &str) -> Fixture {
    let mut manifest = serde_json::to_value(manifest(changes)).unwrap();
    manifest["metadata"]["uid"] = "5e1d3c1a-0000-4000-8000-000000000002".into();
    merge(&mut manifest["metadata"], serde_saphyr::from_str(metadata).unwrap());
    of(serde_json::from_value(manifest).unwrap())
}

fn of(stack: SumuStack) -> Fixture {
    let (_, desired) = pipeline(&stack).unwrap();
    let owner = Owner::of(&stack).unwrap();
    let may_unprotect = stack.spec.connections.deletion_protection == Some(false);
    let nothing = Desired::nothing(owner.clone(), names(&owner), may_unprotect);
    Fixture { stack, owner, desired, nothing }
}

/// The object alone.
pub fn manifest(changes: &str) -> SumuStack {
    let mut manifest: Value = serde_saphyr::from_str(MINIMAL).unwrap();
    if !changes.is_empty() {
        merge(&mut manifest["spec"], serde_saphyr::from_str(changes).unwrap());
    }
    serde_json::from_value(manifest).unwrap()
}

/// What the controller makes of an object before it looks at AWS.
pub fn pipeline(stack: &SumuStack) -> Result<(StackSpec, Desired), Invalid> {
    let spec = StackSpec::of(stack, DEFAULT_REGION)?;
    let desired = Desired::of(&spec, names(&spec.owner), &provision("1"))?;
    Ok((spec, desired))
}

/// The same stack when the operator comes with other code for the functions.
pub fn with_new_code(stack: &SumuStack) -> Desired {
    let spec = StackSpec::of(stack, DEFAULT_REGION).unwrap();
    Desired::of(&spec, names(&spec.owner), &provision("2")).unwrap()
}

pub fn endpoints() -> Endpoints {
    Endpoints {
        websocket: "wss://{apiId}.clients.{region}.{dnsSuffix}/{stage}".into(),
        management: "https://{apiId}.backends.{region}.{dnsSuffix}/{stage}".into(),
    }
}

pub fn names(owner: &Owner) -> Names {
    let account = Account { partition: "aws".into(), region: DEFAULT_REGION.into(), id: "210987654321".into() };
    Names::of(owner, account)
}

fn provision(version: &str) -> Provision {
    let mut packages = Vec::new();
    for architecture in [Architecture::X86_64, Architecture::Arm64] {
        for function in Function::ALL {
            let word = architecture.as_str();
            let package = Package {
                place: Place::File(format!("{word}/{function}.zip").into()),
                code_sha256: format!("sha-of-{word}-{function}-{version}"),
            };
            packages.push((architecture, function, package));
        }
    }
    Provision { packages: Packages::of(packages), endpoints: endpoints() }
}

/// Objects are merged, all else is replaced, and null takes away: JSON Merge Patch.
fn merge(into: &mut Value, changes: Value) {
    let Value::Object(changes) = changes else {
        *into = changes;
        return;
    };
    for (key, change) in changes {
        if change.is_null() {
            into.as_object_mut().unwrap().remove(&key);
        } else {
            if change.is_object() && !into[&key].is_object() {
                into[&key] = Value::Object(serde_json::Map::new());
            }
            merge(&mut into[&key], change);
        }
    }
}
