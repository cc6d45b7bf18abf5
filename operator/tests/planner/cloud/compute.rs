//! AWS Lambda: functions, their permissions, and what feeds them.

use sumu_contract::Function;
use sumu_operator::cloud::{CloudError, Kind};
use sumu_operator::observed::{FunctionState, Readiness, SourceState};
use sumu_operator::packages::Package;
use sumu_operator::plan::step::{Configuration, FunctionStep, SourceStep};
use sumu_operator::stack::name::{LogGroupId, SourceId, TableId, Tags};
use sumu_operator::sumu_stack::Architecture;

use super::{Answer, Work, World, refusal, refuse};

impl World {
    pub(super) fn function_call(&mut self, function: Function, step: &FunctionStep) -> Answer {
        match step {
            FunctionStep::Create { package, architecture, configuration, tags } => {
                self.create_function(function, package, *architecture, configuration, tags)
            }
            FunctionStep::UpdateCode { name, package, architecture } => {
                let found = self.ready_function("UpdateFunctionCode", function, name)?;
                found.code_sha256.clone_from(&package.code_sha256);
                found.architecture = Some(*architecture);
                self.work_on_function(function, "InProgress");
                Ok(())
            }
            FunctionStep::UpdateConfiguration { configuration } => {
                const OPERATION: &str = "UpdateFunctionConfiguration";
                self.ready_function(OPERATION, function, &configuration.name)?;
                self.role_can_be_assumed(OPERATION, function, configuration)?;
                configure(self.held.functions.get_mut(&function).unwrap(), configuration);
                self.work_on_function(function, "InProgress");
                Ok(())
            }
            FunctionStep::AddPermission { name, permission } => {
                let found = self.ready_function("AddPermission", function, name)?;
                if found.permissions.iter().any(|other| other.sid == permission.sid) {
                    let message = "The statement id provided already exists.";
                    return refuse("AddPermission", name, Kind::AlreadyExists, message);
                }
                found.permissions.push(permission.clone());
                Ok(())
            }
            FunctionStep::RemovePermission { name, sid } => {
                let found = self.ready_function("RemovePermission", function, name)?;
                found.permissions.retain(|permission| permission.sid != *sid);
                Ok(())
            }
            FunctionStep::Delete { name } => self.delete_function(function, name),
        }
    }

    fn create_function(
        &mut self,
        function: Function,
        package: &Package,
        architecture: Architecture,
        configuration: &Configuration,
        tags: &Tags,
    ) -> Answer {
        const OPERATION: &str = "CreateFunction";
        let name = &configuration.name;
        assert_eq!(*name, self.names.function(function));
        if let Some(found) = self.held.functions.get(&function) {
            self.must_own(name, &found.tags);
            return refuse(OPERATION, name, Kind::AlreadyExists, "Function already exist");
        }
        let has_log_group = self.held.log_groups.contains_key(&LogGroupId::Function(function));
        assert!(has_log_group, "Lambda would make the log group of {function} by itself, without tags");
        self.role_can_be_assumed(OPERATION, function, configuration)?;
        self.role_has_policy(OPERATION, function)?;
        let mut state = FunctionState {
            tags: tags.clone(),
            arn: self.names.function_arn(function),
            code_sha256: package.code_sha256.clone(),
            architecture: Some(architecture),
            memory_mib: 128,
            timeout_seconds: 3,
            role_arn: String::new(),
            environment: std::collections::BTreeMap::new(),
            dead_letters_arn: None,
            readiness: Readiness::Ready,
            failed_update: None,
            changed_lately: false,
            permissions: vec![],
        };
        configure(&mut state, configuration);
        self.held.functions.insert(function, state);
        self.work_on_function(function, "Pending");
        Ok(())
    }

    fn function(
        &mut self,
        operation: &'static str,
        function: Function,
        name: &str,
    ) -> Result<&mut FunctionState, CloudError> {
        assert_eq!(name, self.names.function(function));
        let Some(found) = self.held.functions.get(&function) else {
            return Err(refusal(operation, name, Kind::NotFound, "Function not found"));
        };
        self.must_own(name, &found.tags);
        Ok(self.held.functions.get_mut(&function).unwrap())
    }

    /// A function that takes changes.
    fn ready_function(
        &mut self,
        operation: &'static str,
        function: Function,
        name: &str,
    ) -> Result<&mut FunctionState, CloudError> {
        let found = self.function(operation, function, name)?;
        match &found.readiness {
            Readiness::Ready => Ok(found),
            Readiness::Busy(state) => Err(refusal(operation, name, Kind::Busy, &format!("in the state {state}"))),
            Readiness::Failed(reason) => Err(refusal(operation, name, Kind::Rejected, reason)),
        }
    }

    fn work_on_function(&mut self, function: Function, state: &str) {
        let found = self.held.functions.get_mut(&function).unwrap();
        (found.readiness, found.changed_lately) = (Readiness::Busy(state.into()), true);
        found.failed_update = None;
        self.begin(Work::Function(function), self.pace.function);
        self.begin(Work::Change(function), self.pace.change);
    }

    fn role_can_be_assumed(
        &self,
        operation: &'static str,
        function: Function,
        configuration: &Configuration,
    ) -> Answer {
        assert_eq!(configuration.role_arn, self.names.role_arn(function), "each function has a role of its own");
        let exists = self.held.roles.contains_key(&function);
        if exists && !self.is_at_work(&Work::Role(function)) {
            return Ok(());
        }
        let message = "The role defined for the function cannot be assumed by Lambda.";
        refuse(operation, &configuration.name, Kind::Propagating, message)
    }

    fn role_has_policy(&self, operation: &'static str, function: Function) -> Answer {
        if self.held.roles.get(&function).is_some_and(|role| role.policy.is_some()) {
            return Ok(());
        }
        let message = "The provided execution role does not have permissions";
        refuse(operation, function, Kind::Propagating, message)
    }

    fn delete_function(&mut self, function: Function, name: &str) -> Answer {
        let Some(found) = self.held.functions.get(&function) else { return Ok(()) };
        self.must_own(name, &found.tags);
        if let Readiness::Busy(state) = &found.readiness {
            return refuse("DeleteFunction", name, Kind::Busy, &format!("in the state {state}"));
        }
        // Lambda would allow all of these.
        let is_fed = self.held.sources.iter().any(|source| source.function == function);
        assert!(!is_fed, "function {function} was deleted before its event source, which now is stuck");
        let uri = self.names.invocation_uri(function);
        let is_invoked = self.held.apis.iter().filter(|api| self.owner.owns(&api.tags)).any(|api| {
            api.integrations.iter().any(|found| found.uri == uri)
                || api.authorizers.iter().any(|found| found.uri == uri)
        });
        assert!(!is_invoked, "function {function} was deleted before the api that invokes it");
        let arn = self.names.function_arn(function);
        let mut topics = self.held.topics.values().filter(|topic| self.owner.owns(&topic.tags));
        let is_subscribed = topics.any(|topic| topic.subscriptions.iter().any(|found| found.endpoint == arn));
        assert!(!is_subscribed, "function {function} was deleted before its subscription");
        self.work_on_function(function, "Deleting");
        Ok(())
    }

    pub(super) fn source_call(&mut self, function: Function, step: &SourceStep) -> Answer {
        match step {
            SourceStep::Create { id, function_name, source_arn, source, tags } => {
                const OPERATION: &str = "CreateEventSourceMapping";
                assert_eq!((*function_name).clone(), self.names.function(id.function()));
                assert_eq!(function, id.function());
                assert!(self.owner.owns(tags), "an event source without the owner's tags");
                self.source_can_be_read(OPERATION, *id, function_name, source_arn)?;
                let twin = |found: &SourceState| found.function == function && found.source_arn == *source_arn;
                if self.held.sources.iter().any(twin) {
                    let message = "provided mapping already exists";
                    return refuse(OPERATION, function_name, Kind::AlreadyExists, message);
                }
                let uuid = self.next_id();
                self.child_tags.insert(uuid.clone(), tags.clone());
                self.held.sources.push(SourceState {
                    uuid: uuid.clone(),
                    function,
                    source_arn: source_arn.clone(),
                    state: "Creating".into(),
                    batch_size: source.batch_size,
                    concurrency_max: source.concurrency_max,
                    bisects: source.bisects,
                    giving_up: source.giving_up.clone(),
                    reports_item_failures: true,
                });
                self.begin(Work::Source(uuid), self.pace.source);
                Ok(())
            }
            SourceStep::Update { id: _, uuid, source } => {
                let found = self.resting_source("UpdateEventSourceMapping", uuid, function)?;
                found.state = "Updating".into();
                (found.batch_size, found.concurrency_max) = (source.batch_size, source.concurrency_max);
                (found.bisects, found.reports_item_failures) = (source.bisects, true);
                found.giving_up.clone_from(&source.giving_up);
                self.begin(Work::Source(uuid.clone()), self.pace.source);
                Ok(())
            }
            SourceStep::Delete { uuid, .. } => {
                if self.held.sources.iter().all(|source| source.uuid != *uuid) {
                    return Ok(());
                }
                self.resting_source("DeleteEventSourceMapping", uuid, function)?.state = "Deleting".into();
                self.begin(Work::Source(uuid.clone()), self.pace.source);
                Ok(())
            }
        }
    }

    fn source_can_be_read(&self, operation: &'static str, id: SourceId, name: &str, arn: &str) -> Answer {
        let propagating = |message| refuse(operation, name, Kind::Propagating, message);
        if !self.held.functions.contains_key(&id.function()) {
            return propagating("Function does not exist");
        }
        self.role_has_policy(operation, id.function())?;
        let exists = if let Some(queue) = id.queue() {
            arn == self.names.queue_arn(queue) && self.held.queues.contains_key(&queue)
        } else {
            let table = self.held.tables.get(&TableId::Connections);
            table.and_then(|table| table.stream_arn.as_deref()) == Some(arn)
        };
        if exists { Ok(()) } else { propagating("Stream not found") }
    }

    fn resting_source(
        &mut self,
        operation: &'static str,
        uuid: &str,
        function: Function,
    ) -> Result<&mut SourceState, CloudError> {
        let missing = || refusal(operation, uuid, Kind::NotFound, "The resource you requested does not exist.");
        let found = self.held.sources.iter_mut().find(|source| source.uuid == uuid).ok_or_else(missing)?;
        assert_eq!(found.function, function, "the event source of another function");
        if matches!(found.state.as_str(), "Enabled" | "Disabled") {
            return Ok(found);
        }
        Err(refusal(operation, uuid, Kind::Busy, "Cannot change the event source mapping because it is in use."))
    }
}

/// Without `..`: a new setting must not be lost here.
fn configure(function: &mut FunctionState, configuration: &Configuration) {
    let Configuration { name: _, role_arn, memory_mib, timeout_seconds, environment, dead_letters_arn } = configuration;
    function.role_arn.clone_from(role_arn);
    function.environment.clone_from(environment);
    function.dead_letters_arn.clone_from(dead_letters_arn);
    (function.memory_mib, function.timeout_seconds) = (*memory_mib, *timeout_seconds);
}
