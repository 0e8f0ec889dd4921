//! The forms in which administrators take a policy.

use serde_json::{Value, json};

use super::statement::Statement;

/// A policy document, as IAM's console and API take it.
pub fn document(statements: &[Statement]) -> Value {
    json!({
        "Version": "2012-10-17",
        "Statement": statements.iter().map(Statement::to_json).collect::<Vec<_>>(),
    })
}

/// A Terraform resource. Terraform's object syntax takes JSON's as it is.
pub fn terraform(document: &Value) -> String {
    // `${` would be an interpolation, `%{` a directive.
    let json = format!("{document:#}").replace("${", "$${").replace("%{", "%%{");
    let json = json.replace('\n', "\n  ");
    format!(
        "resource \"aws_iam_policy\" \"sdocker\" {{\n  name        = \"sdocker\"\n  description = \"What sdocker needs in a SageMaker Studio \
         execution role\"\n  policy = jsonencode({json})\n}}"
    )
}

/// A CloudFormation template, with the name of the execution role as its parameter.
pub fn cloudformation(document: &Value) -> String {
    let template = json!({
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": "What sdocker needs in a SageMaker Studio execution role",
        "Parameters": {
            "ExecutionRoleName": {
                "Type": "String",
                "Description": "The name of the execution role of the domain or the user profile",
            },
        },
        "Resources": {
            "SdockerPolicy": {
                "Type": "AWS::IAM::ManagedPolicy",
                "Properties": {
                    "Description": "What sdocker needs",
                    "PolicyDocument": document,
                    "Roles": [{"Ref": "ExecutionRoleName"}],
                },
            },
        },
    });
    format!("{template:#}")
}

/// The statements, each with why it is there, as `policy --explain --output json` prints them.
pub fn explanation(statements: &[Statement]) -> Value {
    let explained = |statement: &Statement| json!({"statement": statement.to_json(), "why": statement.why});
    json!({"statements": statements.iter().map(explained).collect::<Vec<_>>()})
}

/// Statements for people to read, each with why it is there.
pub fn explained(statements: &[Statement]) -> String {
    let paragraphs: Vec<String> = statements
        .iter()
        .map(|statement| format!("{}: {}\n{:#}", statement.sid, statement.why, statement.to_json()))
        .collect();
    paragraphs.join("\n\n")
}
