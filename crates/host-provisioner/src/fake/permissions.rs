//! Who may do what.

use super::State;
use crate::{CloudError, CloudErrorKind};

impl State {
    /// Fails where the caller may not call an action.
    pub(super) fn allow(&self, action: &'static str, resource: &str) -> Result<(), CloudError> {
        self.allow_for(action, action, resource)
    }

    /// Fails where a call needs the permission for another action as well, as tags in a call need `ec2:CreateTags`.
    pub(super) fn allow_for(&self, call: &'static str, action: &str, resource: &str) -> Result<(), CloudError> {
        let allowed = self.allowed.as_ref().is_none_or(|allowed| allowed.contains(action));
        if allowed && !self.denied.contains(action) {
            return Ok(());
        }
        let refused = (call != action).then(|| action.to_owned());
        let error = CloudError::new(call, resource, CloudErrorKind::AccessDenied { refused });
        Err(error.with_message("UnauthorizedOperation".to_owned(), "You are not authorized to perform this operation."))
    }
}
