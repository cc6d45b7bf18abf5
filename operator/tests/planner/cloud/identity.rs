//! IAM roles, and the log groups of CloudWatch Logs.

use sumu_contract::Function;
use sumu_operator::cloud::{CloudError, Kind};
use sumu_operator::observed::{LogGroupState, RoleState};
use sumu_operator::plan::step::{LogGroupStep, RoleStep};
use sumu_operator::stack::name::LogGroupId;

use super::{Answer, Work, World, refusal, refuse};

impl World {
    pub(super) fn role_call(&mut self, function: Function, step: &RoleStep) -> Answer {
        match step {
            RoleStep::Create { name, trust, tags } => {
                assert_eq!(*name, self.names.function(function));
                if let Some(found) = self.held.roles.get(&function) {
                    self.must_own(name, &found.tags);
                    return refuse("CreateRole", name, Kind::AlreadyExists, "Role already exists.");
                }
                let role = RoleState { tags: tags.clone(), trust: trust.clone(), policy: None };
                self.held.roles.insert(function, role);
                self.begin(Work::Role(function), self.pace.role);
                Ok(())
            }
            RoleStep::SetTrust { name, trust } => {
                self.role("UpdateAssumeRolePolicy", function, name)?.trust = trust.clone();
                Ok(())
            }
            RoleStep::PutPolicy { name, policy } => {
                self.role("PutRolePolicy", function, name)?.policy = Some(policy.clone());
                Ok(())
            }
            RoleStep::DeletePolicy { name } => {
                if self.held.roles.contains_key(&function) {
                    self.role("DeleteRolePolicy", function, name)?.policy = None;
                    self.nobody_works_as(function);
                }
                Ok(())
            }
            RoleStep::Delete { name } => {
                if !self.held.roles.contains_key(&function) {
                    return Ok(());
                }
                if self.role("DeleteRole", function, name)?.policy.is_some() {
                    return refuse("DeleteRole", name, Kind::Busy, "Cannot delete entity, must delete policies first.");
                }
                self.nobody_works_as(function);
                self.held.roles.remove(&function);
                Ok(())
            }
        }
    }

    fn role(&mut self, operation: &'static str, function: Function, name: &str) -> Result<&mut RoleState, CloudError> {
        assert_eq!(name, self.names.function(function));
        let Some(found) = self.held.roles.get(&function) else {
            return Err(refusal(operation, name, Kind::NotFound, "The role cannot be found."));
        };
        self.must_own(name, &found.tags);
        Ok(self.held.roles.get_mut(&function).unwrap())
    }

    /// Lambda reads queues and streams as the function's role, also while it winds such a reader up.
    fn nobody_works_as(&self, function: Function) {
        let is_used = self.held.functions.get(&function).is_some_and(|found| self.owner.owns(&found.tags));
        assert!(!is_used, "the role of {function} was taken away before its function");
        let is_read = self.held.sources.iter().any(|source| source.function == function);
        assert!(!is_read, "the role of {function} was taken away before its event source, which now is stuck");
    }

    pub(super) fn log_group_call(&mut self, id: LogGroupId, step: &LogGroupStep) -> Answer {
        match step {
            LogGroupStep::Create { name, tags } => {
                assert_eq!(*name, self.names.log_group(id));
                if let Some(found) = self.held.log_groups.get(&id) {
                    self.must_own(name, &found.tags);
                    let message = "The specified log group already exists";
                    return refuse("CreateLogGroup", name, Kind::AlreadyExists, message);
                }
                self.held.log_groups.insert(id, LogGroupState { tags: tags.clone(), retention_days: None });
                Ok(())
            }
            LogGroupStep::SetRetention { name, days } => {
                self.log_group("PutRetentionPolicy", id, name)?.retention_days = Some(*days);
                Ok(())
            }
            LogGroupStep::Delete { name } => {
                if !self.held.log_groups.contains_key(&id) {
                    return Ok(());
                }
                self.log_group("DeleteLogGroup", id, name)?;
                self.nobody_writes_to(id);
                self.held.log_groups.remove(&id);
                Ok(())
            }
        }
    }

    /// What is written to a log group that is gone makes another one, without tags, or is lost.
    fn nobody_writes_to(&self, id: LogGroupId) {
        match id {
            LogGroupId::Function(function) => {
                let writes = self.held.functions.get(&function).is_some_and(|found| self.owner.owns(&found.tags));
                assert!(!writes, "the log group of {function} was deleted before its function");
            }
            LogGroupId::AccessLogs => {
                let arn = self.names.log_group_arn(id);
                let mut logs =
                    self.held.apis.iter().flat_map(|api| &api.stages).filter_map(|it| it.access_logs.as_ref());
                assert!(!logs.any(|logs| logs.destination_arn == arn), "a stage still writes to the log group");
            }
        }
    }

    fn log_group(
        &mut self,
        operation: &'static str,
        id: LogGroupId,
        name: &str,
    ) -> Result<&mut LogGroupState, CloudError> {
        assert_eq!(name, self.names.log_group(id));
        let Some(found) = self.held.log_groups.get(&id) else {
            return Err(refusal(operation, name, Kind::NotFound, "The specified log group does not exist."));
        };
        self.must_own(name, &found.tags);
        Ok(self.held.log_groups.get_mut(&id).unwrap())
    }
}
