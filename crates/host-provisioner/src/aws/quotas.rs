//! Service Quotas.

use async_trait::async_trait;
use aws_answers::OnlyAws;
use aws_config::SdkConfig;
use aws_sdk_servicequotas::{Client, config};

use super::errors::Classifier;
use crate::{CloudError, CloudErrorKind, GROUPS_PER_INTERFACE, Market, QuotaClass, Quotas};

pub(super) struct ServiceQuotas {
    client: Client,
    classifier: Classifier,
}

impl ServiceQuotas {
    pub(super) fn new(config: &SdkConfig) -> Self {
        Self {
            client: Client::from_conf(config::Builder::from(config).interceptor(OnlyAws).build()),
            classifier: Classifier::new(config, "servicequotas"),
        }
    }
}

impl ServiceQuotas {
    async fn value(&self, service: &str, code: &str) -> Result<u64, CloudError> {
        let action = "servicequotas:GetServiceQuota";
        let answer = self.client.get_service_quota().service_code(service).quota_code(code).send().await;
        let answer = answer.map_err(|error| self.classifier.classify(action, code, error))?;
        let value = answer.quota().and_then(|quota| quota.value()).filter(|value| *value >= 0.0);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is a whole number, not negative"
        )]
        value
            .map(|value| value as u64)
            .ok_or_else(|| CloudError::new(action, code, CloudErrorKind::Other).with_message(None, "it has no value"))
    }
}

#[async_trait]
impl Quotas for ServiceQuotas {
    async fn vcpus(&self, class: QuotaClass, market: Market) -> Result<u64, CloudError> {
        self.value("ec2", class.code(market)).await
    }

    async fn groups_per_interface(&self) -> Result<u64, CloudError> {
        self.value("vpc", GROUPS_PER_INTERFACE).await
    }
}
