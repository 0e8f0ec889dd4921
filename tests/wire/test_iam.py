"""The evaluator's own tests: each a rule of the IAM user guide."""

import unittest

from iam import Policies, Unsupported, context_of

INSTANCE = "arn:aws:ec2:eu-west-1:123456789012:instance/i-1"


def policies(*statements):
    whole = [{"Effect": "Allow", "Action": "ec2:TerminateInstances", "Resource": "*", **statement} for statement in statements]
    return Policies([{"Version": "2012-10-17", "Statement": whole}])


def allows(statement, action="ec2:TerminateInstances", resource=INSTANCE, **keys):
    context = context_of({key.replace("__", ":").replace("_of_", "/"): value for key, value in keys.items()})
    return policies(statement).refusal(action, resource, context) is None


def on_condition(condition, **keys):
    return allows({"Condition": condition}, **keys)


class Statements(unittest.TestCase):
    def test_nothing_is_allowed_that_no_statement_allows(self):
        self.assertIn("no identity-based policy allows", Policies([]).refusal("ec2:RunInstances", "*", {}))
        self.assertFalse(allows({}, action="ec2:RunInstances"))
        self.assertTrue(allows({}))

    def test_a_deny_goes_before_every_allow(self):
        both = policies({}, {"Effect": "Deny", "Resource": INSTANCE})
        self.assertIn("explicit deny", both.refusal("ec2:TerminateInstances", INSTANCE, {}))
        self.assertIsNone(both.refusal("ec2:TerminateInstances", INSTANCE + "2", {}))

    def test_several_documents_add_up(self):
        documents = [
            {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": f"ec2:{name}", "Resource": "*"}}
            for name in ("DescribeInstances", "DescribeImages")
        ]
        for name in ("DescribeInstances", "DescribeImages"):
            self.assertIsNone(Policies(documents).refusal(f"ec2:{name}", "*", {}))

    def test_actions_have_wildcards_and_no_case(self):
        for pattern, expected in (
            ("*", True), ("ec2:*", True), ("EC2:terminateinstances", True), ("ec2:Terminate?nstances", True),
            (["ec2:RunInstances", "ec2:Term*"], True), ("ec2:Terminate", False), ("ec2:Terminate?", False), ("sagemaker:*", False),
        ):
            self.assertEqual(allows({"Action": pattern}), expected, pattern)

    def test_resources_have_wildcards_and_case(self):
        for pattern, expected in (
            ("*", True), (INSTANCE, True), ("arn:aws:ec2:*:*:instance/*", True), ("arn:aws:ec2:eu-west-1:123456789012:*/*", True),
            ("arn:aws:ec2:eu-west-?:123456789012:instance/i-1", True), ("arn:aws:ec2:*:*:volume/*", False),
            ("arn:aws:ec2:eu-west-1::instance/*", False), ("arn:aws:ec2:EU-WEST-1:123456789012:instance/i-1", False),
            (["arn:aws:ec2:*:*:volume/*", "arn:aws:ec2:*:*:instance/*"], True),
        ):
            self.assertEqual(allows({"Resource": pattern}), expected, pattern)

    def test_wildcards_stay_between_colons_but_in_the_last_part(self):
        group = "arn:aws:logs:eu-west-1:1:log-group:a:b"
        self.assertFalse(allows({"Resource": "arn:aws:*:instance/i-1:x:y"}))
        self.assertTrue(allows({"Resource": "arn:aws:logs:*:*:log-group:*"}, resource=group))

    def test_only_a_star_allows_what_has_no_resources(self):
        self.assertTrue(allows({}, resource="*"))
        self.assertFalse(allows({"Resource": "arn:aws:ec2:*:*:*"}, resource="*"))


class Conditions(unittest.TestCase):
    def test_operators_and_keys_all_hold_and_values_are_alternatives(self):
        tags = {"StringEquals": {"aws:ResourceTag/owner": ["ana", "ben"], "aws:ResourceTag/domain": "d"}}
        self.assertTrue(on_condition(tags, aws__ResourceTag_of_owner="ben", aws__ResourceTag_of_domain="d"))
        self.assertFalse(on_condition(tags, aws__ResourceTag_of_owner="ben", aws__ResourceTag_of_domain="e"))
        two = {**tags, "StringLike": {"aws:ResourceTag/host": "h*"}}
        self.assertFalse(on_condition(two, aws__ResourceTag_of_owner="ben", aws__ResourceTag_of_domain="d"))

    def test_an_absent_key_does_not_match(self):
        for operator, value in (("StringEquals", ""), ("StringLike", "*"), ("ArnLike", "*"), ("Bool", "false")):
            self.assertFalse(on_condition({operator: {"aws:ResourceTag/owner": value}}), operator)
            self.assertTrue(on_condition({f"{operator}IfExists": {"aws:ResourceTag/owner": value}}), operator)

    def test_strings(self):
        for operator, value, expected in (
            ("StringEquals", "ana", True), ("StringEquals", "Ana", False), ("StringEquals", "an*", False),
            ("StringLike", "an*", True), ("StringLike", "?na", True), ("StringLike", "An*", False), ("StringLike", "a.a", False),
            ("StringEqualsIgnoreCase", "ANA", True),
        ):
            self.assertEqual(on_condition({operator: {"aws:ResourceTag/owner": value}}, aws__ResourceTag_of_owner="ana"), expected, value)

    def test_names_of_keys_have_no_case(self):
        self.assertTrue(on_condition({"StringEquals": {"AWS:resourcetag/Owner": "ana"}}, aws__ResourceTag_of_owner="ana"))

    def test_arns(self):
        vpc = "arn:aws:ec2:eu-west-1:123456789012:vpc/vpc-1"
        for operator in ("ArnEquals", "ArnLike"):
            self.assertTrue(on_condition({operator: {"ec2:Vpc": "arn:aws:ec2:*:*:vpc/vpc-1"}}, ec2__Vpc=vpc))
            self.assertFalse(on_condition({operator: {"ec2:Vpc": vpc + "2"}}, ec2__Vpc=vpc))

    def test_booleans(self):
        self.assertTrue(on_condition({"Bool": {"ec2:Encrypted": True}}, ec2__Encrypted="true"))
        self.assertFalse(on_condition({"Bool": {"ec2:Encrypted": "true"}}, ec2__Encrypted="false"))

    def test_null_asks_for_absence(self):
        self.assertTrue(on_condition({"Null": {"aws:RequestTag/a": "true"}}))
        self.assertFalse(on_condition({"Null": {"aws:RequestTag/a": True}}, aws__RequestTag_of_a=""))
        self.assertTrue(on_condition({"Null": {"aws:RequestTag/a": "false"}}, aws__RequestTag_of_a=""))

    def test_sets(self):
        every = {"ForAllValues:StringEquals": {"aws:TagKeys": ["a", "b"]}}
        some = {"ForAnyValue:StringEquals": {"aws:TagKeys": ["a", "b"]}}
        for keys, all_expected, any_expected in ((["a"], True, True), (["a", "c"], False, True), (["c"], False, False), ([], True, False)):
            self.assertEqual(on_condition(every, aws__TagKeys=keys), all_expected, keys)
            self.assertEqual(on_condition(some, aws__TagKeys=keys), any_expected, keys)
        self.assertTrue(on_condition(every))
        self.assertFalse(on_condition(some))
        with self.assertRaises(Unsupported):
            on_condition({"StringEquals": {"aws:TagKeys": "a"}}, aws__TagKeys=["a"])

    def test_what_is_not_modelled_is_refused_at_once(self):
        for statement in (
            {"Condition": {"StringNotEquals": {"aws:ResourceTag/a": "b"}}}, {"Condition": {"NullIfExists": {"aws:RequestTag/a": "true"}}},
            {"Condition": {"ForSome:StringEquals": {"aws:TagKeys": "a"}}}, {"Condition": {"StringEquals": {"a:b": "${aws:username}"}}},
            {"NotAction": "ec2:*"}, {"Principal": "*"}, {"Effect": "allow"}, {"Resource": "i-1"}, {"Action": "TerminateInstances"},
            {"Resource": "arn:aws:ec2:*"}, {"Resource": "arn:aws:ec2:*:*:instance/${aws:username}"},
        ):
            with self.assertRaises(Unsupported, msg=str(statement)):
                policies(statement)
        with self.assertRaises(Unsupported):
            Policies([{"Version": "2008-10-17", "Statement": []}])


if __name__ == "__main__":
    unittest.main()
