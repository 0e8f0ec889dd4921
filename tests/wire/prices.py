"""AWS's Price List, as its one call in use answers: a few products, found by filters, each a document in a text; and EC2's Spot prices.

A call of either is no call of the account: it is written down apart, and no fault strikes it but its own (`answer`). The signature of the first is
made by sdocker itself, so it is computed anew here, by botocore.
"""

import json
import re
import time
import urllib.parse
from datetime import datetime, timezone

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
# Changes of Spot prices: how many hours ago, where, of what, to what. moto's are random, and have no times.
CHANGES = [
    (hours, "eu-west-1", zone, "c5.xlarge", product, usd)
    for hours, zone, product, usd in (
        (100, "a", "Linux/UNIX", "0.091000"), (30, "a", "Linux/UNIX", "0.085000"), (3, "a", "Linux/UNIX", "0.070200"),
        (20, "b", "Linux/UNIX", "0.074100"), (50, "c", "Linux/UNIX", "0.066000"),
        (2, "a", "Windows", "0.254200"), (2, "b", "SUSE Linux", "0.174100"),
    )
]
# EC2 API reference, DescribeSpotPriceHistory: StartTime, "up to the past 90 days"; MaxResults, "a value between 1 and 1000".
OLDEST, MOST_RESULTS = 90 * 24 * 3600, 1000
FIELDS = {field for known in PRODUCTS for field in known["attributes"]}


class Prices:
    """What was asked, with what came of it; and how it is answered from now on: None, `silent`, `page` or `denied`."""

    def __init__(self):
        self.asked, self.how, self.began = [], None, time.time()

    def note(self, call, outcome):
        """Writes down what came of a call; a further page belongs to its first."""
        if not call.further:
            self.asked.append(outcome if call.service == "pricing" else f"spot {outcome}")

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
            self.note(call, no.code)
            return answers.error("pricing", no.code, str(no), no.status)
        self.note(call, "priced" if value["PriceList"] else "no product")
        return answers.result(value)

    def spot_answer(self, call, pages):
        """DescribeSpotPriceHistory's answer."""
        try:
            models.check("ec2", call.action, call.request)
            if call.dry:
                return answers.error("ec2", "DryRunOperation", "Request would have succeeded, but DryRun flag is set.", 412)
            if call.further:
                return answers.Answer(200, answers.XML, pages.further(call))
            found = self.spot_history(call.region, call.request)
        except models.Refused as no:
            self.note(call, no.code)
            return answers.error("ec2", no.code, str(no), no.status)
        self.note(call, "priced" if found else "no price")
        items = "".join(
            f"<item><instanceType>{kind}</instanceType><productDescription>{product}</productDescription><spotPrice>{usd}</spotPrice>"
            f"<timestamp>{stamp(at)}</timestamp><availabilityZone>{zone}</availabilityZone></item>"
            for at, zone, kind, product, usd in found
        )
        members = f"<spotPriceHistorySet>{items}</spotPriceHistorySet><nextToken></nextToken>"
        return pages.first(call, answers.ec2(call.action, members))

    def spot_history(self, region, form):
        """The changes within a time, and of each price the last one before it: "the effective price as of the start time" (EC2 API reference,
        DescribeSpotPriceHistory)."""
        if "AvailabilityZone" in form and "AvailabilityZoneId" in form:
            raise models.Refused("InvalidParameterCombination", "AvailabilityZone and AvailabilityZoneId can't both be specified")
        if any(name.startswith("Filter.") or name == "AvailabilityZoneId" for name in form):
            raise models.Refused("InvalidParameter", "the front knows no filters of Spot prices, and no ids of zones")
        if not 1 <= int(form.get("MaxResults", MOST_RESULTS)) <= MOST_RESULTS:
            raise models.Refused("InvalidParameterValue", "Value for parameter maxResults is invalid. Expecting a value between 1 and 1000.")
        now = time.time()
        start, end = instant(form, "StartTime", now - OLDEST), instant(form, "EndTime", now)
        wanted = lambda name, value: (of := values_of(form, name)) == [] or value in of
        changes = sorted(
            (self.began - hours * 3600, f"{of}{zone}", kind, product, usd) for hours, of, zone, kind, product, usd in CHANGES
            if of == region and wanted("InstanceType", kind) and wanted("ProductDescription", product)
            and form.get("AvailabilityZone") in (None, f"{of}{zone}")
        )
        before = {change[1:4]: change for change in changes if change[0] <= start}
        return sorted([*before.values(), *(change for change in changes if start < change[0] <= end)])


def values_of(form, name):
    return [value for key, value in form.items() if re.fullmatch(rf"{name}\.\d+", key)]


def instant(form, name, default):
    """A time of a form (EC2 API reference, DescribeSpotPriceHistory: UTC, YYYY-MM-DDTHH:MM:SSZ)."""
    if name not in form:
        return default
    if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", form[name]):
        raise models.Refused("InvalidParameterValue", f"Invalid format for parameter {name}: {form[name]}")
    return datetime.fromisoformat(form[name]).timestamp()


def stamp(at):
    return datetime.fromtimestamp(at, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.000Z")


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
