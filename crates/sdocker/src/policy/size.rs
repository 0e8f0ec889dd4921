//! How long a policy may be.

use super::{document, scope::Scope, statement::Statement};

/// Characters of a managed policy, white space not counted (IAM user guide, "IAM and AWS STS quotas").
pub const LONGEST: usize = 6144;

/// Statements that fit a managed policy, and what was given up for that.
#[derive(Clone, Debug)]
pub struct Fit {
    /// The statements.
    pub statements: Vec<Statement>,
    /// What they are not limited to, and why.
    pub widened: Vec<String>,
}

/// Takes a limit off a scope.
type Widen = fn(&mut Scope);

/// What is left of a place's limits so that statements fit a managed policy. A domain with very many subnets or mount targets is limited by its
/// VPC, which stays in the conditions, in place of each of them.
pub fn fitting(scope: &Scope, statements: impl Fn(&Scope) -> Vec<Statement>) -> Fit {
    let mut scope = scope.clone();
    let mut widened = Vec::new();
    let narrower: [(&str, Widen); 2] = [
        ("subnets", |scope| scope.subnets.clear()),
        ("mount targets' network interfaces", |scope| scope.interfaces.clear()),
    ];
    for (what, widen) in narrower {
        if length(&statements(&scope)) <= LONGEST {
            break;
        }
        // Nothing is given up that nothing else limits.
        if scope.vpc.is_some() {
            widen(&mut scope);
            widened.push(format!(
                "the policy is limited to the domain's VPC, and not to its {what}: with each of them it would have more than the {LONGEST} \
                 characters of a managed policy"
            ));
        }
    }
    let statements = statements(&scope);
    let length = length(&statements);
    if length > LONGEST {
        widened.push(format!(
            "the policy has {length} characters, and a managed policy {LONGEST} at most: attach it in parts, by `--for`, or as an inline policy"
        ));
    }
    Fit { statements, widened }
}

/// How long a document of these statements is, as IAM counts.
fn length(statements: &[Statement]) -> usize {
    document(statements).to_string().chars().filter(|c| !c.is_whitespace()).count()
}
