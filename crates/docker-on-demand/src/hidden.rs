//! What clients do not see of a host: containers and images that are not the user's.

use serde_json::{Value, json};

use crate::{
    Hidden,
    route::{List, Route},
};

impl Hidden {
    /// Whether something of a response is to be looked at.
    pub(crate) fn concerns(route: &Route) -> bool {
        matches!(route, Route::List(List::Containers | List::Images | List::DiskUsage))
    }

    /// Takes out of a response what is hidden.
    pub(crate) fn hide(&self, route: &Route, response: &mut Value) {
        match route {
            Route::List(List::Containers) => self.hide_containers(response),
            Route::List(List::Images) => self.hide_images(response),
            Route::List(List::DiskUsage) => {
                self.hide_containers(&mut response["Containers"]);
                self.hide_images(&mut response["Images"]);
            }
            _ => {}
        }
    }

    fn hide_containers(&self, list: &mut Value) {
        if let Some(containers) = list.as_array_mut() {
            containers.retain(|container| {
                container["Labels"].get(&self.label).is_none() && !self.is_image(&container["Image"])
            });
        }
    }

    /// Whether this is the name of an image that is hidden, with a tag.
    fn is_image(&self, name: &Value) -> bool {
        let name = name.as_str().and_then(|name| name.split_once(':'));
        name.is_some_and(|(name, _)| self.images.iter().any(|hidden| hidden == name))
    }

    fn hide_images(&self, list: &mut Value) {
        if let Some(images) = list.as_array_mut() {
            images.retain(|image| {
                !image["RepoTags"].as_array().is_some_and(|tags| tags.iter().any(|tag| self.is_image(tag)))
            });
        }
    }

    /// Whether an event is about something hidden.
    pub(crate) fn hides_event(&self, event: &Value) -> bool {
        let actor = &event["Actor"]["Attributes"];
        let name = actor["name"].as_str().or_else(|| event["id"].as_str()).unwrap_or_default();
        let name = name.split(':').next().unwrap_or_default();
        let of_image = event["Type"] == json!("image") && self.images.iter().any(|hidden| hidden == name);
        actor.get(&self.label).is_some() || of_image || self.is_image(&actor["image"])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_the_users_is_not_listed() {
        let hidden = Hidden { label: "agent".to_owned(), images: vec!["agents".to_owned()] };
        let containers = json!([{"Id": "1", "Labels": {"agent": "files"}}, {"Id": "2", "Labels": {}}, {"Id": "3"}, {"Id": "4", "Image": "agents:1", "Labels": {}}]);
        let images = json!([{"RepoTags": ["agents:1"]}, {"RepoTags": ["agentsmith:1"]}, {"RepoTags": null}]);
        let mut usage = json!({"Containers": containers, "Images": images, "Volumes": null});
        let (mut listed, mut named) = (containers, images);
        hidden.hide(&Route::List(List::Containers), &mut listed);
        assert_eq!(listed, json!([{"Id": "2", "Labels": {}}, {"Id": "3"}]));
        hidden.hide(&Route::List(List::Images), &mut named);
        assert_eq!(named, json!([{"RepoTags": ["agentsmith:1"]}, {"RepoTags": null}]));
        hidden.hide(&Route::List(List::DiskUsage), &mut usage);
        assert_eq!(usage, json!({"Containers": listed, "Images": named, "Volumes": null}));
        let event = |kind: &str, name: &str| json!({"Type": kind, "Actor": {"Attributes": {"name": name}}});
        assert!(hidden.hides_event(&event("image", "agents:1")) && !hidden.hides_event(&event("image", "busybox:1")));
        assert!(hidden.hides_event(&json!({"Type": "container", "Actor": {"Attributes": {"agent": "ports"}}})));
        assert!(!hidden.hides_event(&event("container", "agents")));
        assert!(hidden.hides_event(&json!({"Type": "container", "Actor": {"Attributes": {"image": "agents:1"}}})));
    }
}
