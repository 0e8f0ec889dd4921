//! One statement of a policy.

use host_provisioner::{TAG_DOMAIN, TAG_HOST, TAG_OWNER, Whose};
use serde_json::{Map, Value, json};

use super::scope::Scope;

/// A statement that allows something.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Statement {
    /// IAM's `Sid`.
    pub sid: &'static str,
    /// The actions that it allows.
    pub actions: Vec<&'static str>,
    /// The ARNs that it allows them on.
    pub resources: Vec<String>,
    /// IAM's `Condition`.
    pub condition: Option<Value>,
    /// Why sdocker needs it.
    pub why: &'static str,
}

impl Statement {
    /// As IAM takes it.
    pub fn to_json(&self) -> Value {
        let mut statement = Map::new();
        statement.insert("Sid".to_owned(), json!(self.sid));
        statement.extend(self.anonymous());
        Value::Object(statement)
    }

    /// The same without its name, of which a policy must not have two.
    pub fn anonymous(&self) -> Map<String, Value> {
        let mut statement = Map::new();
        statement.insert("Effect".to_owned(), json!("Allow"));
        statement.insert("Action".to_owned(), one_or_many(&self.actions));
        statement.insert("Resource".to_owned(), one_or_many(&self.resources));
        if let Some(condition) = &self.condition {
            statement.insert("Condition".to_owned(), condition.clone());
        }
        statement
    }

    /// Whether it is about resources of the kind of this ARN: `subnet/` of `arn:aws:ec2:eu-west-1:123456789012:subnet/subnet-1`.
    pub fn is_about(&self, arn: &str) -> bool {
        let kind = kind(arn);
        self.resources.iter().any(|resource| resource == "*" || self::kind(resource) == kind)
    }
}

fn kind(arn: &str) -> &str {
    let resource = arn.splitn(6, ':').last().unwrap_or_default();
    resource.split('/').next().unwrap_or_default()
}

fn one_or_many<T: serde::Serialize>(items: &[T]) -> Value {
    match items {
        [one] => json!(one),
        many => json!(many),
    }
}

/// Only with sdocker's tags in the request.
pub(super) fn tagged_in_request(scope: &Scope, whose: Whose) -> Option<Value> {
    Some(tags("aws:RequestTag", scope, whose))
}

/// Only what has sdocker's tags.
pub(super) fn tagged(scope: &Scope, whose: Whose) -> Option<Value> {
    Some(tags("aws:ResourceTag", scope, whose))
}

fn tags(key: &str, scope: &Scope, whose: Whose) -> Value {
    let mut equals = Map::new();
    if let Some(domain) = &scope.domain {
        equals.insert(format!("{key}/{TAG_DOMAIN}"), json!(domain));
    }
    if let (Whose::Owner, Some(owner)) = (whose, &scope.owner) {
        equals.insert(format!("{key}/{TAG_OWNER}"), json!(owner));
    }
    if equals.is_empty() {
        return json!({"StringLike": {format!("{key}/{TAG_HOST}"): "*"}});
    }
    json!({"StringEquals": equals})
}

/// Only an instance with sdocker's tags in the request, that answers metadata requests with a token only (IMDSv2), and of these types.
pub(super) fn instance(scope: &Scope, whose: Whose) -> Option<Value> {
    let tokens = json!({"StringEquals": {"ec2:MetadataHttpTokens": "required"}});
    let condition = both(tags("aws:RequestTag", scope, whose), tokens);
    if scope.instance_types.is_empty() {
        return Some(condition);
    }
    Some(both(condition, json!({"StringLike": {"ec2:InstanceType": scope.instance_types}})))
}

/// Only an encrypted volume with sdocker's tags in the request.
pub(super) fn encrypted_volume(scope: &Scope, whose: Whose) -> Option<Value> {
    Some(both(tags("aws:RequestTag", scope, whose), json!({"Bool": {"ec2:Encrypted": "true"}})))
}

/// All that both conditions demand; they have no key in common.
fn both(mut one: Value, other: Value) -> Value {
    if let (Value::Object(operators), Value::Object(others)) = (&mut one, other) {
        for (operator, keys) in others {
            match (operators.entry(operator).or_insert_with(|| json!({})), keys) {
                (Value::Object(known), Value::Object(keys)) => known.extend(keys),
                (known, keys) => *known = keys,
            }
        }
    }
    one
}

/// Only what is in the VPC, where it is known.
pub(super) fn in_vpc(scope: &Scope) -> Option<Value> {
    scope.vpc.as_ref()?;
    Some(json!({"ArnLike": {"ec2:Vpc": scope.vpc_arn()}}))
}
