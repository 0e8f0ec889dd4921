//! What is answered where there is no host.

use serde_json::{Map, Value, json};

use crate::{
    Engine,
    answer::Answer,
    route::{List, Made, Route},
};

/// Said of an object, where no host ever ended.
const NEVER: &str = "there is no host now";

/// The answer to a request that needs no host; `None` for one that does.
pub(crate) fn answer(route: &Route, engine: &Engine, ended: Option<&str>) -> Option<Answer> {
    let why = ended.unwrap_or(NEVER);
    Some(match route {
        Route::Creates(Made::Container | Made::Volume) | Route::Needs | Route::Tells(_) | Route::Events => return None,
        Route::Ping => ping(engine),
        Route::Version => Answer::json(200, &engine.version()),
        Route::Info => Answer::json(200, &engine.info(ended)),
        // The registry sees the credentials when something is pulled.
        Route::Auth => Answer::json(200, &json!({"Status": "Login Succeeded", "IdentityToken": ""})),
        Route::List(list) => Answer::json(200, &empty(*list)),
        Route::Prune(lists) => Answer::json(200, &removed_nothing(lists)),
        Route::Named(kind, name) => {
            // Clients look for these words: docker-py finds "no such image" (docker/errors.py).
            let message = match *kind {
                "volume" => format!("get {name}: no such volume: {why}"),
                "network" => format!("network {name} not found: {why}"),
                "plugin" => format!("plugin \"{name}\" not found: {why}"),
                kind => format!("No such {kind}: {name}: {why}"),
            };
            Answer::error(404, message)
        }
        Route::Swarm | Route::Creates(Made::Service) => Answer::error(
            503,
            "This node is not a swarm manager. Use \"docker swarm init\" or \"docker swarm join\" to connect this node to swarm and try again.",
        ),
        Route::Other => Answer::error(
            503,
            format!("{why}, and this request launches none; `docker pull`, `docker run` and `docker build` do"),
        ),
    })
}

/// The answer to a request while the host is stopped; `None` for one that starts it. What it has is not known, and is not said to be nothing: a
/// client that takes an empty list for the truth makes again what is there.
pub(crate) fn while_stopped(route: &Route, engine: &Engine, said: &str) -> Option<Answer> {
    match route {
        Route::Named(..) | Route::List(_) | Route::Prune(_) | Route::Other => {
            let how = "`docker pull`, `docker run` and `docker build` start it";
            Some(Answer::error(503, format!("{said}, with what it has; {how}")))
        }
        route => answer(route, engine, Some(said)),
    }
}

pub(crate) fn ping(engine: &Engine) -> Answer {
    let answer =
        Answer::text("OK").with("Swarm", "inactive").with("Cache-Control", "no-cache, no-store, must-revalidate");
    if engine.builds_with_buildkit() { answer.with("Builder-Version", "2") } else { answer }
}

fn empty(list: List) -> Value {
    match list {
        List::Containers | List::Images | List::Array => json!([]),
        List::Volumes => json!({"Volumes": [], "Warnings": []}),
        List::DiskUsage => {
            json!({"LayersSize": 0, "Images": [], "Containers": [], "Volumes": [], "BuildCache": [], "BuilderSize": 0})
        }
    }
}

fn removed_nothing(lists: &[&str]) -> Value {
    let mut removed = Map::new();
    for list in lists {
        removed.insert((*list).to_owned(), json!([]));
    }
    removed.insert("SpaceReclaimed".to_owned(), json!(0));
    Value::Object(removed)
}
