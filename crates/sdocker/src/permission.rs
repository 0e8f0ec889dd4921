//! What to ask an administrator for when a permission is missing.

use serde_json::{Value, json};

use crate::{
    CloudChoice, Surroundings, clouds,
    policy::{Scope, allowing},
    session,
};

/// Who was refused, as far as it is known without asking anybody.
#[derive(Debug, Default)]
pub struct Caller {
    scope: Scope,
    role: Option<String>,
}

impl Caller {
    /// The app that this process runs in.
    pub fn of(surroundings: &Surroundings) -> Self {
        // The sandbox has no permissions.
        let facts = (clouds::choose(surroundings) == CloudChoice::Aws).then(|| session::local_facts(surroundings));
        let Some(Ok(facts)) = facts else { return Self::default() };
        Self { scope: Scope::of_app(&facts), role: facts.execution_role().map(ToString::to_string) }
    }

    /// The same, in a place of which more is known.
    pub fn within(scope: Scope, role: Option<String>) -> Self {
        Self { scope, role }
    }
}

/// Hints for an action that was refused: who may not do what, and the statement to add, ready to paste.
///
/// `message` is AWS's own: `User: arn:aws:sts::123456789012:assumed-role/ROLE/SESSION is not authorized to perform: ACTION on resource:
/// ARN because ...`, or an encoded one that says nothing (IAM user guide, "Troubleshoot access denied error messages").
pub fn hints(action: &str, message: &str, caller: &Caller) -> Vec<String> {
    let resource = after(message, "on resource: ").filter(|resource| resource.starts_with("arn:"));
    let role = after(message, "assumed-role/").and_then(|user| user.split('/').next()).or(caller.role.as_deref());
    let who = role.map_or_else(|| "the app's execution role".to_owned(), |role| format!("role {role}"));
    let on = resource.map(|resource| format!(" on {resource}")).unwrap_or_default();
    let mut hints = vec![format!("{who} may not call {action}{on}")];
    if message.contains("explicit deny") {
        // No statement that allows it helps against one that denies it (IAM user guide, "Policy evaluation logic").
        hints.push(denied_by(message));
        return hints;
    }
    if let Some(encoded) = after(message, "Encoded authorization failure message: ") {
        hints.push(format!(
            "whether a policy is missing, or one denies the call, is in AWS's encoded message: an administrator can read it with `aws sts \
             decode-authorization-message --encoded-message {encoded}`"
        ));
    }
    let statements = allowing(action, resource, &caller.scope);
    let mut json: Vec<String> =
        statements.iter().map(|statement| Value::from(statement.anonymous()).to_string()).collect();
    if let (true, Some(resource)) = (json.is_empty(), resource) {
        // What the policy has only on demand, such as `iam:PassRole`.
        json.push(json!({"Effect": "Allow", "Action": action, "Resource": resource}).to_string());
    }
    match json.as_slice() {
        [] => hints.push(format!("ask an administrator to allow {action}")),
        [one] => hints.push(format!("ask an administrator to add this statement to its policy: {one}")),
        several => {
            hints.push(format!("ask an administrator to add these statements to its policy: [{}]", several.join(", ")));
        }
    }
    hints.push(
        "`sdocker policy` prints everything that sdocker needs, and `sdocker doctor` finds what is missing".to_owned(),
    );
    hints
}

/// Whom to ask where a policy denies a call: `... with an explicit deny in a service control policy`.
fn denied_by(message: &str) -> String {
    let policy = message.split_once("explicit deny in ").map(|(_, policy)| policy);
    let policy = policy.and_then(|policy| policy.split([':', '.', ',']).next()).map(str::trim);
    let policy = policy.filter(|policy| !policy.is_empty()).unwrap_or("a policy");
    format!("{policy} denies it, and no permission overrides that: ask whoever maintains that policy")
}

/// The word that follows a phrase.
fn after<'m>(message: &'m str, phrase: &str) -> Option<&'m str> {
    message.split_once(phrase)?.1.split_whitespace().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_role_resource_and_the_one_statement() {
        let message = "You are not authorized to perform this operation. User: arn:aws:sts::123456789012:assumed-role/studio/app is not \
                       authorized to perform: ec2:RunInstances on resource: arn:aws:ec2:eu-west-1:123456789012:subnet/subnet-1 because no \
                       identity-based policy allows the ec2:RunInstances action";
        let hints = hints("ec2:RunInstances", message, &Caller::default());
        assert_eq!(
            hints[0],
            "role studio may not call ec2:RunInstances on arn:aws:ec2:eu-west-1:123456789012:subnet/subnet-1"
        );
        let (_, statement) = hints[1].split_once(": ").expect("a statement");
        let statement: Value = serde_json::from_str(statement).expect("ready to paste");
        assert_eq!(statement["Action"], "ec2:RunInstances");
        assert_eq!(statement["Resource"], "arn:aws:ec2:*:*:subnet/*");
    }

    #[test]
    fn an_encoded_message_leaves_the_role_of_the_app() {
        let caller = Caller { role: Some("arn:aws:iam::1:role/studio".to_owned()), ..Caller::default() };
        let hints = hints("ec2:DescribeImages", "Encoded authorization failure message: abc", &caller);
        assert_eq!(hints[0], "role arn:aws:iam::1:role/studio may not call ec2:DescribeImages");
        assert!(hints[1].contains("aws sts decode-authorization-message --encoded-message abc`"), "{hints:?}");
        assert!(hints[2].contains(r#""Action":"ec2:DescribeImages""#), "{hints:?}");
    }

    /// Against a deny no statement is of use, and none is suggested.
    #[test]
    fn nothing_to_allow_is_suggested_against_a_deny() {
        let who = "User: arn:aws:sts::123456789012:assumed-role/studio/app is not authorized to perform: ec2:RunInstances on resource: \
                   arn:aws:ec2:eu-west-1:123456789012:instance/*";
        for (end, policy) in [
            ("with an explicit deny in a service control policy", "a service control policy denies it"),
            (
                "with an explicit deny in an identity-based policy: arn:aws:iam::1:policy/x",
                "an identity-based policy denies it",
            ),
            ("with an explicit deny. Encoded authorization failure message: abc", "a policy denies it"),
        ] {
            let hints = hints("ec2:RunInstances", &format!("{who} {end}"), &Caller::default());
            assert!(hints.len() == 2 && hints[1].starts_with(policy), "{hints:?}");
            assert!(!hints.concat().contains("Effect"), "{hints:?}");
        }
    }
}
