//! AWS's Price List, of which one call is enough: it is signed here, and AWS's client of the whole service is left out (half a megabyte).

use std::time::SystemTime;

use aws_config::SdkConfig;
use aws_credential_types::provider::{ProvideCredentials as _, SharedCredentialsProvider};
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4,
};
use aws_smithy_runtime_api::client::identity::Identity;
use serde_json::Value;
use studio_discovery::Region;

use super::connections::{self, Posted};
use crate::{Error, Result, Surroundings, cost::Product, error::Context as _};

/// The headers of the call besides its signature.
const HEADERS: [(&str, &str); 2] =
    [("content-type", "application/x-amz-json-1.1"), ("x-amz-target", "AWSPriceListService.GetProducts")];

/// The Price List, as this app gets to it.
#[derive(Clone, Debug)]
pub(crate) struct PriceList {
    surroundings: Surroundings,
    credentials: Option<SharedCredentialsProvider>,
    endpoint: Option<String>,
}

impl PriceList {
    pub(super) fn new(config: &SdkConfig, surroundings: &Surroundings) -> Self {
        Self {
            surroundings: surroundings.clone(),
            credentials: config.credentials_provider(),
            endpoint: config.endpoint_url().map(str::to_owned),
        }
    }

    /// A price in US dollars; `None` where the list has none.
    ///
    /// # Cancel safety
    /// It only reads, and can be dropped at any time.
    ///
    /// # Errors
    /// It is not answered, or refused.
    pub(crate) async fn price(&self, region: &Region, product: Product<'_>) -> Result<Option<f64>> {
        let Some(home) = home_of(region) else { return Ok(None) };
        let given = self.endpoint.as_ref().map(|url| url.trim_end_matches('/').to_owned());
        let url = given.unwrap_or_else(|| format!("https://api.pricing.{home}.amazonaws.com")) + "/";
        let body = product.request(region).to_string();
        let headers = self.signed(home, &url, &body).await?;
        let Posted { status, is_of_aws, body } = connections::post(&url, &headers, body, &self.surroundings).await?;
        match serde_json::from_slice::<Value>(&body) {
            Ok(answer) if status == 200 && is_of_aws => Ok(product.price(&answer)),
            Ok(refused) if is_of_aws => Err(Error::new(format!("HTTP status {status}: {}", refused["__type"]))),
            _ => Err(Error::new(format!("HTTP status {status}, and the answer is not AWS's"))),
        }
    }

    /// The call's headers, with its signature.
    async fn signed(&self, home: &str, url: &str, body: &str) -> Result<Vec<(&'static str, String)>> {
        let provider = self.credentials.as_ref().context("there are no credentials")?;
        let identity: Identity = provider.provide_credentials().await.map_err(Error::wrapping)?.into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(home)
            .name("pricing")
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()
            .map_err(Error::wrapping)?;
        let request = SignableRequest::new("POST", url, HEADERS.into_iter(), SignableBody::Bytes(body.as_bytes()));
        let signed = sign(request.map_err(Error::wrapping)?, &parameters.into()).map_err(Error::wrapping)?;
        let (added, _) = signed.into_parts().0.into_parts();
        let added = added.into_iter().map(|header| (header.name(), header.value().to_owned()));
        Ok(HEADERS.into_iter().map(|(name, value)| (name, value.to_owned())).chain(added).collect())
    }
}

/// The Region of the list that is nearest to another (AWS Billing user guide, "Finding services and products using the AWS Price List Query API",
/// endpoints); `None` where none has it in US dollars for the same account: China and GovCloud.
fn home_of(region: &Region) -> Option<&'static str> {
    let region = region.as_str();
    match region.split('-').next()? {
        _ if region.starts_with("us-gov-") || region.contains("-iso") => None,
        "cn" => None,
        "eu" | "il" | "me" | "af" => Some("eu-central-1"),
        "ap" => Some("ap-south-1"),
        _ => Some("us-east-1"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_list_is_asked() {
        let home = |region: &str| home_of(&region.parse().expect("a Region"));
        assert_eq!((home("eu-west-1"), home("me-south-1")), (Some("eu-central-1"), Some("eu-central-1")));
        assert_eq!((home("ap-northeast-1"), home("sa-east-1")), (Some("ap-south-1"), Some("us-east-1")));
        for region in ["cn-north-1", "us-gov-west-1", "us-iso-east-1", "eu-isoe-west-1"] {
            assert_eq!(home(region), None, "{region}");
        }
    }
}
