//! Services of a Swarm, and the registries that they may be.

use std::collections::HashMap;

use bollard::{
    models::{NetworkCreateRequest, ServiceSpec},
    query_parameters::TagImageOptionsBuilder,
};
use bytes::Bytes;
use futures_util::stream;
use serde_json::{Value, json};

use super::{Client, ImageProgress, Stream, unless};
use crate::{Error, transport};

/// A service that has a port of its nodes for itself.
#[derive(Clone, Debug, Default)]
pub struct ServiceRequest {
    /// Its name, under which others in its network find its tasks.
    pub name: String,
    /// The image, which the nodes pull, or have.
    pub image: String,
    /// `NAME=value`.
    pub environment: Vec<String>,
    /// Where its tasks may run, such as `node.id==...`.
    pub constraints: Vec<String>,
    /// Whether each node that may run it does; otherwise one.
    pub everywhere: bool,
    /// The overlay network that it is in.
    pub network: String,
    /// The port of the nodes at which it is reached, which is its own port.
    pub port: u16,
    /// A volume of each node, and where it is in the container.
    pub volume: (String, String),
    /// Labels of the service and its containers.
    pub labels: HashMap<String, String>,
}

impl ServiceRequest {
    fn spec(&self) -> Value {
        let mode = if self.everywhere { json!({"Global": {}}) } else { json!({"Replicated": {"Replicas": 1}}) };
        let (volume, target) = &self.volume;
        json!({
            "Name": self.name,
            "Labels": self.labels,
            "Mode": mode,
            "TaskTemplate": {
                "ContainerSpec": {
                    "Image": self.image,
                    "Env": self.environment,
                    "Labels": self.labels,
                    "Mounts": [{"Type": "volume", "Source": volume, "Target": target}],
                },
                "Placement": {"Constraints": self.constraints},
                "Networks": [{"Target": self.network}],
            },
            // The nodes' own port, and no virtual address: neither needs the kernel's IPVS.
            "EndpointSpec": {
                "Mode": "dnsrr",
                "Ports": [{"Protocol": "tcp", "TargetPort": self.port, "PublishedPort": self.port, "PublishMode": "host"}],
            },
        })
    }
}

impl Client {
    /// Creates a service, on a manager.
    ///
    /// # Cancel safety
    /// Dropped, it may have created the service, which another call says is there.
    ///
    /// # Errors
    /// The daemon refuses, such as where there is a service of that name.
    pub async fn create_service(&self, request: &ServiceRequest) -> Result<(), Error> {
        let attempted = format!("create service {}", request.name);
        let spec: ServiceSpec =
            serde_json::from_value(request.spec()).map_err(|error| self.reported(&attempted, error.to_string()))?;
        self.changes(&attempted, self.short.create_service(spec, None)).await.map(drop)
    }

    /// Removes a service, on a manager. One that is not there: no error.
    ///
    /// # Cancel safety
    /// It can be dropped at any time, and repeated.
    ///
    /// # Errors
    /// This is no manager, or too few managers are there.
    pub async fn remove_service(&self, name: &str) -> Result<(), Error> {
        let removed = unless(404, self.short.delete_service(name));
        self.changes(&format!("remove service {name}"), removed).await
    }

    /// Makes a network of all nodes, on a manager. One that is there: no error.
    ///
    /// # Cancel safety
    /// It can be dropped at any time, and repeated.
    ///
    /// # Errors
    /// This is no manager, or too few managers are there.
    pub async fn create_overlay(&self, name: &str) -> Result<(), Error> {
        let request = NetworkCreateRequest {
            name: name.to_owned(),
            driver: Some("overlay".to_owned()),
            ..NetworkCreateRequest::default()
        };
        let made = async { self.short.create_network(request).await.map(drop) };
        self.changes(&format!("create network {name}"), unless(409, made)).await
    }

    /// Gives an image another name.
    ///
    /// # Cancel safety
    /// It can be dropped at any time, and repeated.
    ///
    /// # Errors
    /// The daemon has no such image.
    pub async fn tag(&self, image: &str, repository: &str, tag: &str) -> Result<(), Error> {
        let options = TagImageOptionsBuilder::new().repo(repository).tag(tag).build();
        self.changes(&format!("tag {image}"), self.short.tag_image(image, Some(options))).await
    }

    /// Pushes an image to a registry that wants no login. The push goes on while the stream is read; its last item tells whether it failed.
    pub fn push(&self, repository: &str, tag: &str) -> Stream<ImageProgress> {
        // Without a header with a login, daemons read one from the body (moby, `postImagesPush`).
        let nobody = stream::iter([Ok(Bytes::from_static(b"{}"))]);
        let path = format!("/images/{repository}/push?{}", transport::query(&[("tag", tag)]));
        self.progress(&path, transport::streamed(nobody), format!("push {repository}:{tag}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_has_a_port_of_its_nodes_and_no_virtual_address() {
        let mut request = ServiceRequest { name: "registry".to_owned(), port: 5000, ..ServiceRequest::default() };
        let port = json!([{"Protocol": "tcp", "TargetPort": 5000, "PublishedPort": 5000, "PublishMode": "host"}]);
        let spec = request.spec();
        assert_eq!((&spec["EndpointSpec"]["Mode"], &spec["EndpointSpec"]["Ports"]), (&json!("dnsrr"), &port));
        assert_eq!(spec["Mode"], json!({"Replicated": {"Replicas": 1}}));
        request.everywhere = true;
        assert_eq!(request.spec()["Mode"], json!({"Global": {}}));
        let spec: ServiceSpec = serde_json::from_value(request.spec()).expect("as the API has it");
        assert_eq!(spec.name.as_deref(), Some("registry"));
    }
}
