//! What is asked of AWS's Price List, and what its answer says (AWS Billing user guide, "Using the AWS Price List Query API"; AWS Price List API
//! reference, "GetProducts").

use host_provisioner::InstanceType;
#[cfg(any(feature = "aws", test))]
use serde_json::{Value, json};
#[cfg(feature = "aws")]
use studio_discovery::Region;

/// Something that has a price.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Product<'a> {
    /// An hour of an instance: Linux, on demand, on shared hardware.
    Instance(&'a InstanceType),
    /// A GiB of gp3 for a month.
    Volume,
}

impl Product<'_> {
    /// Its name in the cache.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Instance(instance_type) => instance_type.as_str(),
            Self::Volume => "gp3",
        }
    }

    /// The call's request.
    #[cfg(feature = "aws")]
    pub(crate) fn request(&self, region: &Region) -> Value {
        let fields = match self {
            Self::Instance(instance_type) => vec![
                ("instanceType", instance_type.as_str()),
                ("operatingSystem", "Linux"),
                ("tenancy", "Shared"),
                ("preInstalledSw", "NA"),
                // Neither a reservation that is not used, nor one that is.
                ("capacitystatus", "Used"),
            ],
            Self::Volume => vec![("productFamily", "Storage"), ("volumeApiName", "gp3")],
        };
        let fields = fields.into_iter().chain([("regionCode", region.as_str())]);
        let filters: Vec<Value> =
            fields.map(|(field, value)| json!({"Type": "TERM_MATCH", "Field": field, "Value": value})).collect();
        json!({"ServiceCode": "AmazonEC2", "FormatVersion": "aws_v1", "Filters": filters, "MaxResults": 10})
    }

    /// Its price in US dollars, by an answer; `None` where it has none, or several.
    #[cfg(any(feature = "aws", test))]
    pub(crate) fn price(&self, answer: &Value) -> Option<f64> {
        let unit = match self {
            Self::Instance(_) => "Hrs",
            Self::Volume => "GB-Mo",
        };
        // Each product is a document of its own, in a text.
        let products = answer["PriceList"].as_array()?.iter();
        let products = products.filter_map(|product| serde_json::from_str::<Value>(product.as_str()?).ok());
        let mut found: Vec<f64> = products
            .flat_map(|product| values(&product["terms"]["OnDemand"]))
            .flat_map(|term| values(&term["priceDimensions"]))
            .filter(|dimension| dimension["unit"] == unit)
            .filter_map(|dimension| dimension["pricePerUnit"]["USD"].as_str()?.parse().ok())
            .filter(|usd: &f64| usd.is_finite() && *usd > 0.0)
            .collect();
        found.dedup();
        match found.as_slice() {
            [one] => Some(*one),
            _ => None,
        }
    }
}

#[cfg(any(feature = "aws", test))]
fn values(object: &Value) -> Vec<Value> {
    object.as_object().map(|object| object.values().cloned().collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn product(unit: &str, usd: &str) -> Value {
        let product = json!({
            "serviceCode": "AmazonEC2",
            "product": {"productFamily": "Compute Instance", "sku": "SKU"},
            "terms": {
                "OnDemand": {"SKU.JRTCKXETXF": {"priceDimensions": {"SKU.JRTCKXETXF.6YS6EN2CT7": {
                    "unit": unit, "pricePerUnit": {"USD": usd}, "description": "per On Demand Linux c5.xlarge Instance Hour",
                }}}},
                "Reserved": {"SKU.2": {"priceDimensions": {"SKU.2.1": {"unit": "Hrs", "pricePerUnit": {"USD": "0.1"}}}}},
            },
        });
        Value::String(product.to_string())
    }

    #[test]
    fn a_price_is_what_one_product_costs_on_demand() {
        let instance_type = InstanceType::new("c5.xlarge");
        let instance = Product::Instance(&instance_type);
        let price = |product: Product<'_>, list: &[Value]| product.price(&json!({"PriceList": list}));
        assert_eq!(price(instance, &[product("Hrs", "0.1920000000")]), Some(0.192));
        assert_eq!(price(Product::Volume, &[product("GB-Mo", "0.0880000000")]), Some(0.088));
        // What is reserved and not used costs nothing by this list.
        assert_eq!(price(instance, &[product("Hrs", "0.0000000000"), product("Hrs", "0.1920000000")]), Some(0.192));
        for list in [
            vec![],
            vec![product("Hrs", "0.1"), product("Hrs", "0.2")],
            vec![product("GB-Mo", "0.1")],
            vec![json!("<html>")],
        ] {
            assert_eq!(price(instance, &list), None, "{list:?}");
        }
        assert_eq!(instance.price(&json!({"message": "no"})), None);
    }
}
