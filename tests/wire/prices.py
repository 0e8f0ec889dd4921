"""AWS's Price List, as its one call in use answers: a few products, found by filters, each a document in a text.

A call of it is no call of the account: it is written down apart, and no fault strikes it but its own (`answer`). Its signature is made by this
program itself, so it is computed anew here, by botocore.
"""

import json
import re
import urllib.parse

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

import answers
import models

# AWS Billing user guide, "Finding services and products using the AWS Price List Query API".
HOMES = ("us-east-1", "eu-central-1", "ap-south-1")
SECRET = "test"
SIGNED = re.compile(r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/pricing/aws4_request, SignedHeaders=([^,]+), Signature=([0-9a-f]{64})")

INSTANCE = {"productFamily": "Compute Instance", "tenancy": "Shared", "operatingSystem": "Linux", "preInstalledSw": "NA", "capacitystatus": "Used"}


def product(family, unit, usd, **attributes):
    return {"family": family, "unit": unit, "usd": usd, "attributes": attributes}


def instance(usd, **attributes):
    return product("Compute Instance", "Hrs", usd, **{**INSTANCE, "regionCode": "eu-west-1", "instanceType": "c5.xlarge", **attributes})


PRODUCTS = [
    instance("0.1920000000"),
    instance("0.3760000000", operatingSystem="Windows"),
    instance("0.2110000000", tenancy="Dedicated"),
    instance("0.6720000000", preInstalledSw="SQL Std"),
    instance("0.1920000000", capacitystatus="UnusedCapacityReservation"),
    instance("0.0000000000", capacitystatus="AllocatedCapacityReservation"),
    instance("0.1700000000", regionCode="us-east-1"),
    instance("0.1070000000", instanceType="m5.large"),
    product("Storage", "GB-Mo", "0.0880000000", volumeApiName="gp3", regionCode="eu-west-1", productFamily="Storage"),
    product("System Operation", "IOPS-Mo", "0.0055000000", volumeApiName="gp3", regionCode="eu-west-1", productFamily="System Operation"),
    product("Storage", "GB-Mo", "0.1100000000", volumeApiName="gp2", regionCode="eu-west-1", productFamily="Storage"),
]
FIELDS = {field for known in PRODUCTS for field in known["attributes"]}


class Prices:
    """What was asked, with what came of it; and how it is answered from now on: None, `silent`, `page` or `denied`."""

    def __init__(self):
        self.asked, self.how = [], None

    def check_signature(self, headers, path, body):
        found = SIGNED.fullmatch(headers.get("Authorization", ""))
        if not found:
            raise models.Refused("MissingAuthenticationTokenException", "Missing Authentication Token", 403)
        key, _, home, names, signature = found.groups()
        if home not in HOMES:
            raise models.Refused("InvalidSignatureException", f"Credential should be scoped to a valid region, not {home}.", 403)
        for name in ("host", "x-amz-date", "x-amz-target"):
            if name not in names.split(";"):
                raise models.Refused("InvalidSignatureException", f"{name} must be a signed header.", 403)
        request = AWSRequest("POST", f"http://{headers['Host']}{path}", {name: headers[name] for name in names.split(";")}, body)
        request.context["timestamp"] = headers["X-Amz-Date"]
        auth = SigV4Auth(Credentials(key, SECRET, headers.get("X-Amz-Security-Token")), "pricing", home)
        if auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request) != signature:
            raise models.Refused("InvalidSignatureException", "The request signature we calculated does not match the signature you provided.", 403)

    def products(self, request):
        if request["ServiceCode"] != "AmazonEC2":
            raise models.Refused("NotFoundException", "no such service")
        found = PRODUCTS
        for asked in request.get("Filters", []):
            if asked["Field"] not in FIELDS:
                raise models.Refused("InvalidParameterException", f"Invalid field {asked['Field']}")
            found = [known for known in found if known["attributes"].get(asked["Field"]) == asked["Value"]]
        return found[: request.get("MaxResults", 100)]

    def answer(self, handler, call):
        """The answer; `call.refusal` says why the role may not make it."""
        try:
            url = urllib.parse.urlparse(handler.path)
            self.check_signature(handler.headers, url.path, call.body)
            models.check("pricing", call.action, call.request)
            value = {"FormatVersion": "aws_v1", "PriceList": [document(n, known) for n, known in enumerate(self.products(call.request))]}
            models.check_answer("pricing", call.action, value)
        except models.Refused as no:
            self.asked.append(no.code)
            return answers.error("pricing", no.code, str(no), no.status)
        self.asked.append("priced" if value["PriceList"] else "no product")
        return answers.result(value)


def document(number, known):
    sku = f"SKU{number}"
    dimension = {"unit": known["unit"], "pricePerUnit": {"USD": known["usd"]}, "beginRange": "0", "endRange": "Inf"}
    on_demand = {f"{sku}.JRTCKXETXF": {"sku": sku, "priceDimensions": {f"{sku}.JRTCKXETXF.6YS6EN2CT7": dimension}}}
    reserved = {"unit": "Hrs", "pricePerUnit": {"USD": "0.0740000000"}}
    return json.dumps({
        "product": {"sku": sku, "productFamily": known["family"], "attributes": known["attributes"]},
        "serviceCode": "AmazonEC2",
        "terms": {"OnDemand": on_demand, "Reserved": {f"{sku}.2": {"priceDimensions": {f"{sku}.2.1": reserved}}}},
    })
