"""Answers in the shapes of the services."""

import json
import uuid
from xml.sax.saxutils import escape

XML, JSON, JSON_11 = "text/xml;charset=UTF-8", "application/json", "application/x-amz-json-1.1"


class Answer:
    """A status, a kind, a body and further headers.

    Every answer of AWS names its request ("Common response headers" of each service); what does not, did not come from there.
    """

    def __init__(self, status, kind, body, headers=(), request="new"):
        named = {"x-amzn-RequestId": str(uuid.uuid4()) if request == "new" else request} if request else {}
        self.status, self.kind, self.body, self.headers = status, kind, body, {**named, **dict(headers)}


def error(service, code, message, status):
    """An error, as the service shapes it."""
    if service == "ec2":
        # EC2 developer guide, "API request errors".
        request = str(uuid.uuid4())
        body = (
            f'<?xml version="1.0" encoding="UTF-8"?>\n<Response><Errors><Error><Code>{code}</Code><Message>{escape(message)}</Message>'
            f"</Error></Errors><RequestID>{request}</RequestID></Response>"
        )
        return Answer(status, XML, body.encode(), request=request)
    if service == "elasticfilesystem":
        # restJson1: the header names the error. EFS's own errors have the members ErrorCode and Message (EFS API reference, "Errors" of
        # each call); those of the gateway before it have a message alone.
        own = code not in ("AccessDeniedException", "UnrecognizedClientException", "ExpiredTokenException")
        value = {"ErrorCode": code, "Message": message} if own else {"Message": message}
        return Answer(status, JSON, json.dumps(value).encode(), {"x-amzn-ErrorType": f"{code}:"})
    # awsJson1_1: smithy.io, "AWS JSON 1.1 protocol", "Operation error serialization".
    return Answer(status, JSON_11, json.dumps({"__type": code, "message": message}).encode())


def result(value):
    """A result of a JSON service."""
    return Answer(200, JSON_11, json.dumps(value).encode())


def ec2(action, members):
    """A result of EC2, of these members in XML."""
    request = str(uuid.uuid4())
    body = (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<{action}Response xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">'
        f"<requestId>{request}</requestId>{members}</{action}Response>"
    )
    return Answer(200, XML, body.encode(), request=request)


# What each service says where it throttles, fails by itself, or refuses a request for good (EC2 API reference, "Error codes"; EFS API
# reference, "Common Errors" and ThrottlingException of its model; SageMaker API reference, "Common Errors").
THROTTLED = {
    "ec2": ("RequestLimitExceeded", "Request limit exceeded.", 503), "elasticfilesystem": ("ThrottlingException", "Rate exceeded", 429),
}
FAILED = {
    "ec2": ("InternalError", "An internal error has occurred", 500),
    "elasticfilesystem": ("InternalServerError", "An internal error occurred.", 500),
}
REFUSED = {
    "ec2": ("OperationNotPermitted", "injected", 400), "elasticfilesystem": ("BadRequest", "injected", 400),
}


def throttled(service):
    return error(service, *THROTTLED.get(service, ("ThrottlingException", "Rate exceeded", 400)))


def failed(service):
    return error(service, *FAILED.get(service, ("InternalFailure", "The request processing has failed.", 500)))


def refused(service, code=None, message=None, status=None):
    """For good; with this code, message or status in place of the service's usual ones."""
    usual = REFUSED.get(service, ("ValidationException", "injected", 400))
    return error(service, code or usual[0], message or usual[1], status or usual[2])
