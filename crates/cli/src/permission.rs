//! What to ask an administrator for when a permission is missing.

use serde_json::json;

/// Hints for an action that was refused: whom to ask, and the statement to add, ready to paste.
pub(crate) fn hints(action: &str, resource: &str) -> Vec<String> {
    // Reads can't be narrowed in EC2; what is no ARN does not help an administrator either.
    let resource = if resource.starts_with("arn:") { resource } else { "*" };
    let statement = json!({"Effect": "Allow", "Action": action, "Resource": resource});
    vec![
        format!("ask an administrator to add this statement to the policy of the app's execution role: {statement}"),
        "`sdocker policy` prints everything that sdocker needs, and `sdocker doctor` finds what is missing".to_owned(),
    ]
}
